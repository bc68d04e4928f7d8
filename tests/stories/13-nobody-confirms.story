# Anna came and went, and Li never says a word.  After a day Li is reminded; after a week the order
# ends, and nothing is posted: an hour needs two parties.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Anna accepts order 1
Mon 14:00 Anna starts order 1
Mon 15:00 Anna finishes order 1
Mon+1w 16:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 1 offer until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:20 intake       Anna says yes to offer 1
Mon 09:20 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:20 matching     order 1 has all its helpers
Mon 09:20 notification Anna hears: BOOKED
Mon 09:20 notification Li hears: HELP_FOUND
Mon 13:00 scheduling   Anna is to be reminded: START of order 1
Mon 13:00 notification Anna hears: START_REMINDER
Mon 14:00 intake       Anna starts order 1 (volunteer/uid:1001)
Mon 15:00 scheduling   Anna is to be reminded: FINISH of order 1
Mon 15:00 intake       Anna finishes order 1 after 60 minutes (volunteer/uid:1001)
Mon 15:00 intake       order 1 is served
Mon 15:00 notification Anna need not hear: FINISH_REMINDER
Mon 15:00 notification Li hears: CONFIRM_REQUEST
Tue 15:00 scheduling   Li is to be reminded: CONFIRM of order 1
Tue 15:00 notification Li hears: CONFIRM_REMINDER
Mon+1w 15:00 scheduling   order 1: the time of CONFIRMATION is over
Mon+1w 15:00 intake       order 1 ends: UNCONFIRMED
