# The same with two slots: Bo says yes in that moment too, and is given the slot that Anna seems to
# have lost.  Anna keeps it, and Bo moves to the free one.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away

Mon 13:40 Li asks for 2 helpers for 60 minutes, Mon 14:00 to Mon 20:00
Mon 13:50 Anna accepts order 1
Mon 14:30 Bo accepts order 1
Mon 14:30 Anna starts order 1
Mon 15:00 nothing

expect
Mon 13:40 intake       Li asks: order 1, 2 helpers, 60 minutes, Mon 14:00 to Mon 20:00
Mon 13:40 matching     wave 1 of order 1: 2 offers until Mon 14:40
Mon 13:40 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 13:40 matching     offer 2 of order 1 to Bo, 1425 m away: Mon 14:00 to Mon 15:00
Mon 13:40 notification Li hears: ORDER_RECEIVED
Mon 13:40 notification Anna hears: OFFER
Mon 13:40 notification Bo hears: OFFER
Mon 13:50 intake       Anna says yes to offer 1
Mon 13:50 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 13:50 notification Anna hears: BOOKED
Mon 13:50 notification Li hears: HELP_FOUND
Mon 14:30 scheduling   Anna has not come to order 1
Mon 14:30 intake       Bo says yes to offer 2
Mon 14:30 intake       Anna starts order 1 (volunteer/uid:1001)
Mon 14:30 matching     Anna loses slot 1 of order 1: NO_SHOW
Mon 14:30 matching     Bo has slot 1 of order 1, Mon 14:45 to Mon 15:45
Mon 14:30 matching     Bo loses slot 1 of order 1: FILLED
Mon 14:30 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00, and has begun
Mon 14:30 matching     Bo has slot 2 of order 1, Mon 14:45 to Mon 15:45, in exchange
Mon 14:30 matching     order 1 has all its helpers
Mon 14:30 notification Bo need not hear: BOOKED
Mon 14:30 notification Li need not hear: HELP_FOUND
Mon 14:30 notification Li hears: HELPER_LOST
Mon 14:30 notification Li hears: HELP_FOUND
Mon 14:30 notification Bo hears: BOOKED
Mon 14:30 notification Li hears: HELP_FOUND
