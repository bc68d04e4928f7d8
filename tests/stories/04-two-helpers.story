# Two are needed.  The first two to say yes have the two slots; the third hears that it is filled.
# The site confirms for both, and each gets what was served.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away

Mon 09:00 Li asks for 2 helpers for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 Bo accepts order 1
Mon 09:30 Chen accepts order 1
Mon 09:31 Anna accepts order 1
Mon 14:00 Bo starts order 1
Mon 14:10 Chen starts order 1
Mon 15:00 Bo finishes order 1
Mon 15:10 Chen finishes order 1
Mon 16:00 the site confirms order 1
Mon 17:00 nothing

expect
Mon 09:00 intake       Li asks: order 1, 2 helpers, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:00 matching     wave 1 of order 1: 3 offers until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Anna, 980 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 2 of order 1 to Bo, 1425 m away: Mon 14:00 to Mon 15:00
Mon 09:00 matching     offer 3 of order 1 to Chen, 1959 m away: Mon 14:00 to Mon 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Anna hears: OFFER
Mon 09:00 notification Bo hears: OFFER
Mon 09:00 notification Chen hears: OFFER
Mon 09:20 intake       Bo says yes to offer 2
Mon 09:20 matching     Bo has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:20 notification Bo hears: BOOKED
Mon 09:20 notification Li hears: HELP_FOUND
Mon 09:30 intake       Chen says yes to offer 3
Mon 09:30 matching     Chen has slot 2 of order 1, Mon 14:00 to Mon 15:00
Mon 09:30 matching     offer 1 to Anna ends: FILLED
Mon 09:30 matching     order 1 has all its helpers
Mon 09:30 notification Chen hears: BOOKED
Mon 09:30 notification Li hears: HELP_FOUND
Mon 09:30 notification Anna hears: OFFER_WITHDRAWN
Mon 09:31 intake       refused: UNKNOWN
Mon 13:00 scheduling   Bo is to be reminded: START of order 1
Mon 13:00 scheduling   Chen is to be reminded: START of order 1
Mon 13:00 notification Bo hears: START_REMINDER
Mon 13:00 notification Chen hears: START_REMINDER
Mon 14:00 intake       Bo starts order 1 (volunteer/uid:1002)
Mon 14:10 intake       Chen starts order 1 (volunteer/uid:1003)
Mon 15:00 scheduling   Bo is to be reminded: FINISH of order 1
Mon 15:00 scheduling   Chen is to be reminded: FINISH of order 1
Mon 15:00 intake       Bo finishes order 1 after 60 minutes (volunteer/uid:1002)
Mon 15:00 notification Bo need not hear: FINISH_REMINDER
Mon 15:00 notification Chen hears: FINISH_REMINDER
Mon 15:10 intake       Chen finishes order 1 after 60 minutes (volunteer/uid:1003)
Mon 15:10 intake       order 1 is served
Mon 15:10 notification Li hears: CONFIRM_REQUEST
Mon 16:00 intake       60 minutes of Bo in order 1 are confirmed (site/uid:500)
Mon 16:00 intake       60 minutes of Chen in order 1 are confirmed, the last ones (site/uid:500)
Mon 16:00 points       Bo gets 60 minutes and 2 points for order 1
Mon 16:00 points       Chen gets 60 minutes and 2 points for order 1
Mon 16:00 notification Bo hears: POINTS
Mon 16:00 notification Chen hears: POINTS
