# Anna pauses: her open offer ends, and she is not asked.  When she is back, she is.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:10 Anna pauses
Mon 09:20 Li asks for 1 helper for 60 minutes, Tue 14:00 to Tue 18:00
Mon 09:25 Anna is back
Mon 10:30 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 1 offer until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:10 intake       Anna pauses
Mon 09:10 matching     offer 1 to Anna ends: INACTIVE
Mon 09:10 matching     nobody can be invited to order 1; of 1: 1 INACTIVE
Mon 09:20 intake       Li asks: order 2, 1 helper, 60 minutes, Tue 14:00 to Tue 18:00
Mon 09:20 matching     nobody can be invited to order 2; of 1: 1 INACTIVE
Mon 09:20 notification Li hears: ORDER_RECEIVED
Mon 09:25 intake       Anna is back
Mon 10:10 scheduling   time of wave 2 of order 1
Mon 10:10 matching     nobody can be invited to order 1; of 1: 1 ALREADY_ASKED
Mon 10:20 scheduling   time of wave 1 of order 2
Mon 10:20 matching     wave 1 of order 2: 1 offer until Mon 11:20
Mon 10:20 matching     offer 2 of order 2 to Anna, 980 m away: Tue 14:00 to Tue 15:00
Mon 10:20 notification Anna hears: OFFER
