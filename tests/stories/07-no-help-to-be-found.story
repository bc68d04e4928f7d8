# Nobody can cut hair.  The matcher tries again and again, the institute is told half way to the
# latest start, the centre at three quarters; then the order ends, and Li hears of it.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 10:00 to Mon 14:00, haircut
Mon 18:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 10:00 to Mon 14:00
Mon 09:00 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 10:00 scheduling   time of wave 1 of order 1
Mon 10:00 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 10:45 scheduling   time of wave 1 of order 1
Mon 10:45 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 11:00 scheduling   order 1 is told to the INSTITUTE
Mon 11:00 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 11:00 notification the site hears: ESCALATED
Mon 11:30 scheduling   time of wave 1 of order 1
Mon 11:30 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 11:52 scheduling   time of wave 1 of order 1
Mon 11:52 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 12:00 scheduling   order 1 is told to the CENTER
Mon 12:00 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 12:00 notification the site hears: ESCALATED
Mon 12:15 scheduling   time of wave 1 of order 1
Mon 12:15 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 12:26 scheduling   time of wave 1 of order 1
Mon 12:26 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 12:36 scheduling   time of wave 1 of order 1
Mon 12:36 matching     nobody can be invited to order 1; of 1: 1 SKILL
Mon 12:46 scheduling   time of wave 1 of order 1
Mon 12:46 matching     nobody can be invited to order 1; of 0:
Mon 12:56 scheduling   time of wave 1 of order 1
Mon 12:56 matching     nobody can be invited to order 1; of 0:
Mon 13:00 scheduling   order 1: the time of STAFFING is over
Mon 13:00 intake       order 1 ends: UNFILLED
Mon 13:00 notification Li hears: UNFILLED
