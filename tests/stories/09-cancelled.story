# Li does not need help any more.  Who was booked and who was invited hear of it; after that nothing
# can be done with the order.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away

Mon 09:00 Li asks for 2 helpers for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Anna accepts order 1
Mon 10:00 Li cancels order 1
Mon 10:05 Anna starts order 1
Mon 10:10 nothing

expect
Mon 09:00 intake       Li asks: order 1, 2 helpers, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 2 offers until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 2 of order 1 to Bo, 1425 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:00 notification Bo hears: OFFER
Mon 09:20 intake       Anna says yes to offer 1
Mon 09:20 matching     Anna has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:20 notification Anna hears: BOOKED
Mon 09:20 notification Li hears: HELP_FOUND
Mon 10:00 intake       order 1 is cancelled
Mon 10:00 intake       order 1 ends: CANCELLED
Mon 10:00 matching     offer 2 to Bo ends: ORDER_ENDED
Mon 10:00 notification Anna hears: CANCELLED
Mon 10:00 notification Bo hears: OFFER_WITHDRAWN
Mon 10:05 intake       refused: UNKNOWN
