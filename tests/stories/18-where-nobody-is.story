# Two ask for help where nobody lives within a quarter of an hour on foot.  The next day the centre
# hears of it, once.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 4 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 10:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 15:00
Mon 10:10 Li cancels order 2
Mon 10:20 Li cancels order 1
Wed 10:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 1 offer until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 3918 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 10:00 intake       Li asks: order 2, 1 helper, 60 minutes, Mon 14:00 to Mon 15:00
Mon 10:00 matching     wave 1 of order 2: 1 offer until Mon 11:00
Mon 10:00 matching     offer 2 of order 2 to Anna, 3918 m away: Mon 14:00 to Mon 15:00
Mon 10:00 scheduling   time of wave 1 of order 1
Mon 10:00 matching     offer 1 to Anna ends: SILENT
Mon 10:00 matching     nobody can be invited to order 1; of 1: 1 ALREADY_ASKED
Mon 10:00 notification Li hears: ORDER_RECEIVED
Mon 10:00 notification Anna hears: OFFER
Mon 10:10 intake       order 2 is cancelled
Mon 10:10 intake       order 2 ends: CANCELLED
Mon 10:10 matching     offer 2 to Anna ends: ORDER_ENDED
Mon 10:10 notification Anna hears: OFFER_WITHDRAWN
Mon 10:20 intake       order 1 is cancelled
Mon 10:20 intake       order 1 ends: CANCELLED
Tue 00:00 matching     nobody lives near 1 place with 2 orders; 0 of 1 have waited long
Tue 00:00 notification the site hears: COVERAGE
