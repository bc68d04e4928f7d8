# A coordinator knows better than the waves: an offer by name is an offer like any other.  Eva says
# no, and the waves go on; then Bo, who was silent before, is named, and comes.  A minor is not sent
# to a rescue, whoever asks.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away, a minor, rescue
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away
given a volunteer Dan, 2.5 km away
given a volunteer Eva, 4 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00, rescue
Mon 09:10 the site names Anna for order 1
Mon 09:15 Li cancels order 1
Mon 09:20 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:30 the site names Eva for order 2
Mon 09:40 Eva declines order 2
Mon 10:30 the site names Bo for order 2
Mon 10:35 Bo accepts order 2
Mon 11:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     nobody can be invited to order 1; of 5: 4 SKILL 1 AGE
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:10 intake       Anna is named for order 1: KNOWN (site/uid:500)
Mon 09:10 matching     Anna cannot have order 1: AGE
Mon 09:15 intake       order 1 is cancelled
Mon 09:15 intake       order 1 ends: CANCELLED
Mon 09:20 intake       Li asks: order 2, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 matching     wave 1 of order 2: 3 offers until Mon 10:20
Mon 09:20 matching     offer 1 of order 2 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:20 matching     offer 2 of order 2 to Bo, 1425 m away: Mon 14:00 to Mon 15:00
Mon 09:20 matching     offer 3 of order 2 to Chen, 1959 m away: Mon 14:00 to Mon 15:00
Mon 09:20 notification Li hears: ORDER_RECEIVED
Mon 09:20 notification Anna hears: OFFER
Mon 09:20 notification Bo hears: OFFER
Mon 09:20 notification Chen hears: OFFER
Mon 09:30 intake       Eva is named for order 2: KNOWN (site/uid:500)
Mon 09:30 matching     offer 4 of order 2 to Eva, 3918 m away: Mon 14:00 to Mon 15:00, named
Mon 09:30 notification Eva hears: OFFER_COMMANDED
Mon 09:40 intake       Eva says no to offer 4
Mon 09:40 matching     offer 4 to Eva ends: DECLINED
Mon 10:20 scheduling   time of wave 1 of order 2
Mon 10:20 matching     offer 1 to Anna ends: SILENT
Mon 10:20 matching     offer 2 to Bo ends: SILENT
Mon 10:20 matching     offer 3 to Chen ends: SILENT
Mon 10:20 matching     wave 2 of order 2: 1 offer until Mon 11:20
Mon 10:20 matching     offer 5 of order 2 to Dan, 2494 m away: Mon 14:00 to Mon 15:00
Mon 10:20 notification Dan hears: OFFER
Mon 10:30 intake       Bo is named for order 2: KNOWN (site/uid:500)
Mon 10:30 scheduling   time of wave 2 of order 2
Mon 10:30 matching     offer 6 of order 2 to Bo, 1425 m away: Mon 14:00 to Mon 15:00, named, overruled: ALREADY_ASKED
Mon 10:30 notification Bo hears: OFFER_COMMANDED
Mon 10:35 intake       Bo says yes to offer 6
Mon 10:35 matching     Bo has slot 1 of order 2, Mon 14:00 to Mon 15:00
Mon 10:35 matching     offer 5 to Dan ends: FILLED
Mon 10:35 matching     order 2 has all its helpers
Mon 10:35 notification Bo hears: BOOKED
Mon 10:35 notification Li hears: HELP_FOUND
Mon 10:35 notification Dan hears: OFFER_WITHDRAWN
