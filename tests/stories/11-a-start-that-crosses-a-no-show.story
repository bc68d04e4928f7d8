# Anna is half an hour late, and says that she begins in the very moment in which she is noted as
# missing.  Intake has taken her word, so she keeps the slot; the offer to Dora, made a moment ago,
# ends.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away
given a volunteer Dora, 2.5 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Anna accepts order 1
Mon 14:30 Anna starts order 1
Mon 15:30 Anna finishes order 1
Mon 15:40 Li confirms order 1
Mon 15:50 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 3 offers until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 2 of order 1 to Bo, 1425 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 3 of order 1 to Chen, 1959 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:00 notification Bo hears: OFFER
Mon 09:00 notification Chen hears: OFFER
Mon 09:20 intake       Anna says yes to offer 1
Mon 09:20 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:20 matching     offer 2 to Bo ends: FILLED
Mon 09:20 matching     offer 3 to Chen ends: FILLED
Mon 09:20 matching     order 1 has all its helpers
Mon 09:20 notification Anna hears: BOOKED
Mon 09:20 notification Li hears: HELP_FOUND
Mon 09:20 notification Bo hears: OFFER_WITHDRAWN
Mon 09:20 notification Chen hears: OFFER_WITHDRAWN
Mon 13:00 scheduling   Anna is to be reminded: START of order 1
Mon 13:00 notification Anna hears: START_REMINDER
Mon 14:30 scheduling   Anna has not come to order 1
Mon 14:30 intake       Anna starts order 1 (volunteer/uid:1001)
Mon 14:30 matching     Anna loses slot 1 of order 1: NO_SHOW
Mon 14:30 matching     wave 2 of order 1: 1 offer until Mon 15:30
Mon 14:30 matching     offer 4 of order 1 to Dora, 2494 m away: Mon 14:45 to Mon 15:45
Mon 14:30 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00, and has begun
Mon 14:30 matching     offer 4 to Dora ends: FILLED
Mon 14:30 matching     order 1 has all its helpers
Mon 14:30 scheduling   order 1 is told to the INSTITUTE
Mon 14:30 notification Dora need not hear: OFFER
Mon 14:30 notification Li hears: HELPER_LOST
Mon 14:30 notification Li hears: HELP_FOUND
Mon 14:30 notification the site hears: ESCALATED
Mon 15:00 scheduling   Anna is to be reminded: FINISH of order 1
Mon 15:00 notification Anna hears: FINISH_REMINDER
Mon 15:30 intake       Anna finishes order 1 after 60 minutes (volunteer/uid:1001)
Mon 15:30 intake       order 1 is served
Mon 15:30 notification Li hears: CONFIRM_REQUEST
Mon 15:40 intake       60 minutes of Anna in order 1 are confirmed, the last ones (resident/uid:1000)
Mon 15:40 points       Anna gets 60 minutes and 2 points for order 1
Mon 15:40 notification Anna hears: POINTS
