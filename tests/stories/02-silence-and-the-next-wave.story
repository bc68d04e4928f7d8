# The three nearest do not answer within the hour; then the next ones are asked.  Silence costs
# nothing, but nobody is asked twice for the same order.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away
given a volunteer Dora, 3 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 10:30 Dora accepts order 1
Mon 11:00 nothing

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
Mon 10:00 scheduling   time of wave 1 of order 1
Mon 10:00 matching     offer 1 to Anna ends: SILENT
Mon 10:00 matching     offer 2 to Bo ends: SILENT
Mon 10:00 matching     offer 3 to Chen ends: SILENT
Mon 10:00 matching     wave 2 of order 1: 1 offer until Mon 11:00
Mon 10:00 matching     offer 4 of order 1 to Dora, 2939 m away: Mon 14:00 to Mon 15:00
Mon 10:00 notification Dora hears: OFFER
Mon 10:30 intake       Dora says yes to offer 4
Mon 10:30 matching     Dora has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 10:30 matching     order 1 has all its helpers
Mon 10:30 notification Dora hears: BOOKED
Mon 10:30 notification Li hears: HELP_FOUND
