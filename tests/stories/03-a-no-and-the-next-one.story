# Everybody of the first wave says no: the next one is asked at once, not when the hour is over.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away
given a volunteer Dora, 3 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:05 Anna declines order 1
Mon 09:10 Bo declines order 1
Mon 09:15 Chen declines order 1
Mon 09:30 nothing

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
Mon 09:05 intake       Anna says no to offer 1
Mon 09:05 matching     offer 1 to Anna ends: DECLINED
Mon 09:10 intake       Bo says no to offer 2
Mon 09:10 matching     offer 2 to Bo ends: DECLINED
Mon 09:15 intake       Chen says no to offer 3
Mon 09:15 matching     offer 3 to Chen ends: DECLINED
Mon 09:15 matching     wave 2 of order 1: 1 offer until Mon 10:15
Mon 09:15 matching     offer 4 of order 1 to Dora, 2939 m away: Mon 14:00 to Mon 15:00
Mon 09:15 notification Dora hears: OFFER
