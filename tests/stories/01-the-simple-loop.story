# A resident asks for an hour of help.  The nearest are invited, one says yes, comes, and is
# thanked.  The hour is posted, because two parties spoke: Anna and Li.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 2 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Anna accepts order 1
Mon 14:00 Anna starts order 1
Mon 15:05 Anna finishes order 1
Mon 16:00 Li confirms order 1
Mon 16:01 Li rates order 1 with 5
Mon 17:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 2 offers until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 2 of order 1 to Bo, 1959 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:00 notification Bo hears: OFFER
Mon 09:20 intake       Anna says yes to offer 1
Mon 09:20 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:20 matching     offer 2 to Bo ends: FILLED
Mon 09:20 matching     order 1 has all its helpers
Mon 09:20 notification Anna hears: BOOKED
Mon 09:20 notification Li hears: HELP_FOUND
Mon 09:20 notification Bo hears: OFFER_WITHDRAWN
Mon 13:00 scheduling   Anna is to be reminded: START of order 1
Mon 13:00 notification Anna hears: START_REMINDER
Mon 14:00 intake       Anna starts order 1 (volunteer/uid:1001)
Mon 15:00 scheduling   Anna is to be reminded: FINISH of order 1
Mon 15:00 notification Anna hears: FINISH_REMINDER
Mon 15:05 intake       Anna finishes order 1 after 65 minutes (volunteer/uid:1001)
Mon 15:05 intake       order 1 is served
Mon 15:05 notification Li hears: CONFIRM_REQUEST
Mon 16:00 intake       65 minutes of Anna in order 1 are confirmed, the last ones (resident/uid:1000)
Mon 16:00 points       Anna gets 65 minutes and 2 points for order 1
Mon 16:00 notification Anna hears: POINTS
Mon 16:01 intake       order 1 is rated 5
Mon 16:01 intake       order 1 ends: COMPLETED
