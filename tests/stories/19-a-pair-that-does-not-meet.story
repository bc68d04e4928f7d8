# Li would rather not meet Anna again: nobody else hears why, and Anna reads what anybody reads whose invitation ended.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 2 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Tue 14:00 to Tue 18:00
Mon 09:10 Anna accepts order 1
Mon 10:00 Li blocks Anna
Mon 11:00 Li asks for 1 helper for 60 minutes, Wed 14:00 to Wed 18:00
Mon 12:00 Li does not mind Anna
Mon 12:30 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Tue 14:00 to Tue 18:00
Mon 09:00 matching     wave 1 of order 1: 2 offers until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Tue 14:00 to Tue 15:00
Mon 09:00 matching     offer 2 of order 1 to Bo, 1959 m away: Tue 14:00 to Tue 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:00 notification Bo hears: OFFER
Mon 09:10 intake       Anna says yes to offer 1
Mon 09:10 matching     Anna has slot 1 of order 1, Tue 14:00 to Tue 15:00
Mon 09:10 matching     offer 2 to Bo ends: FILLED
Mon 09:10 matching     order 1 has all its helpers
Mon 09:10 notification Anna hears: BOOKED
Mon 09:10 notification Li hears: HELP_FOUND
Mon 09:10 notification Bo hears: OFFER_WITHDRAWN
Mon 10:00 intake       Li and Anna: blocked
Mon 10:00 matching     Anna loses slot 1 of order 1: BLOCKED
Mon 10:00 matching     nobody can be invited to order 1; of 2: 2 ALREADY_ASKED
Mon 10:00 notification Anna hears: OFFER_WITHDRAWN
Mon 10:00 notification Li hears: HELPER_LOST
Mon 11:00 intake       Li asks: order 2, 1 helper, 60 minutes, Wed 14:00 to Wed 18:00
Mon 11:00 matching     wave 1 of order 2: 1 offer until Mon 12:00
Mon 11:00 matching     offer 3 of order 2 to Bo, 1959 m away: Wed 14:00 to Wed 15:00
Mon 11:00 scheduling   time of wave 2 of order 1
Mon 11:00 matching     nobody can be invited to order 1; of 2: 2 ALREADY_ASKED
Mon 11:00 notification Li hears: ORDER_RECEIVED
Mon 11:00 notification Bo hears: OFFER
Mon 12:00 intake       Li and Anna: lifted
Mon 12:00 scheduling   time of wave 1 of order 2
Mon 12:00 scheduling   time of wave 2 of order 1
Mon 12:00 matching     offer 3 to Bo ends: SILENT
Mon 12:00 matching     wave 2 of order 2: 1 offer until Mon 13:00
Mon 12:00 matching     offer 4 of order 2 to Anna, 980 m away: Wed 14:00 to Wed 15:00
Mon 12:00 matching     nobody can be invited to order 1; of 2: 2 ALREADY_ASKED
Mon 12:00 notification Anna hears: OFFER
