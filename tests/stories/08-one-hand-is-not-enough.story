# The site says that Anna began and ended, and confirms it too: one hand.  The hour waits until
# somebody else decides; the same hand cannot.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Anna accepts order 1
Mon 14:00 the site starts order 1 for Anna
Mon 15:00 the site finishes order 1 for Anna
Mon 16:00 the site confirms order 1
Mon 16:10 the site approves hold 1
Mon 16:20 another site approves hold 1
Mon 17:00 nothing

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
Mon 14:00 intake       Anna starts order 1 (site/uid:500)
Mon 15:00 scheduling   Anna is to be reminded: FINISH of order 1
Mon 15:00 intake       Anna finishes order 1 after 60 minutes (site/uid:500)
Mon 15:00 intake       order 1 is served
Mon 15:00 notification Anna need not hear: FINISH_REMINDER
Mon 15:00 notification Li hears: CONFIRM_REQUEST
Mon 16:00 intake       60 minutes of Anna in order 1 are confirmed, the last ones (site/uid:500)
Mon 16:00 points       hold 1: 60 minutes of Anna for order 1 wait for another's word
Mon 16:00 notification Anna hears: HELD
Mon 16:10 intake       site/uid:500 approves hold 1
Mon 16:20 intake       site/uid:501 approves hold 1
Mon 16:20 points       hold 1 ends: POSTED
Mon 16:20 notification Anna hears: POINTS
