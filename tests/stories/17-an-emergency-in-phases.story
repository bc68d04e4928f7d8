# A child is lost.  The nearest are asked at once, a ring farther every three minutes, while the first
# may still answer.  When enough come, everybody else is stood down at once.  Minors are not asked.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 0.3 km away
given a volunteer Bo, 0.6 km away, a minor
given a volunteer Chen, 1.5 km away
given a volunteer Dan, 2.5 km away
given a volunteer Eva, 4.5 km away

Mon 09:00 Li asks for 2 helpers for 60 minutes, Mon 09:00 to Mon 18:00, emergency
Mon 09:04 Chen accepts order 1
Mon 09:08 Anna accepts order 1
Mon 09:30 nothing

expect
Mon 09:00 intake       Li asks: order 1, 2 helpers, 60 minutes, Mon 09:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 1 offer until Mon 09:15, within 1000 m; the next at Mon 09:03
Mon 09:00 matching     offer 1 of order 1 to Anna, 268 m away: Mon 09:15 to Mon 10:15
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:03 scheduling   time of wave 1 of order 1
Mon 09:03 matching     wave 2 of order 1: 1 offer until Mon 09:18, within 2000 m; the next at Mon 09:06
Mon 09:03 matching     offer 2 of order 1 to Chen, 1425 m away: Mon 09:18 to Mon 10:18
Mon 09:03 notification Chen hears: OFFER
Mon 09:04 intake       Chen says yes to offer 2
Mon 09:04 matching     Chen has slot 1 of order 1, Mon 09:18 to Mon 10:18
Mon 09:04 notification Chen hears: BOOKED
Mon 09:04 notification Li hears: HELP_FOUND
Mon 09:06 scheduling   time of wave 2 of order 1
Mon 09:06 matching     wave 3 of order 1: 1 offer until Mon 09:21, within 3000 m; the next at Mon 09:09
Mon 09:06 matching     offer 3 of order 1 to Dan, 2494 m away: Mon 09:21 to Mon 10:21
Mon 09:06 notification Dan hears: OFFER
Mon 09:08 intake       Anna says yes to offer 1
Mon 09:08 matching     Anna has slot 2 of order 1, Mon 09:15 to Mon 10:15
Mon 09:08 matching     offer 3 to Dan ends: FILLED
Mon 09:08 matching     order 1 has all its helpers
Mon 09:08 notification Anna hears: BOOKED
Mon 09:08 notification Li hears: HELP_FOUND
Mon 09:08 notification Dan hears: STOOD_DOWN
