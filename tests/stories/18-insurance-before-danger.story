# Who goes where it is dangerous is insured, on that day: Anna's insurance ends too soon, Bo's does not; when Bo's is withdrawn,
# somebody else is looked for before anybody is in danger.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 2 km away

Mon 08:00 the site records insurance of Anna until Mon 15:00
Mon 08:10 the site records insurance of Bo until Fri 12:00
Mon 09:00 Li asks for 1 helper for 60 minutes, Tue 14:00 to Tue 18:00, dangerous
Mon 09:10 Bo accepts order 1
Mon 10:00 the site records insurance of Anna until Fri 12:00
Mon 11:00 the site withdraws the insurance of Bo
Mon 11:30 nothing

expect
Mon 08:00 intake       INSURANCE of Anna is on record
Mon 08:10 intake       INSURANCE of Bo is on record
Mon 09:00 intake       Li asks: order 1, 1 helper, 60 minutes, Tue 14:00 to Tue 18:00
Mon 09:00 matching     wave 1 of order 1: 1 offer until Mon 10:00
Mon 09:00 matching     offer 1 of order 1 to Bo, 1959 m away: Tue 14:00 to Tue 15:00
Mon 09:00 notification Li hears: ORDER_RECEIVED
Mon 09:00 notification Bo hears: OFFER
Mon 09:10 intake       Bo says yes to offer 1
Mon 09:10 matching     Bo has slot 1 of order 1, Tue 14:00 to Tue 15:00
Mon 09:10 matching     order 1 has all its helpers
Mon 09:10 notification Bo hears: BOOKED
Mon 09:10 notification Li hears: HELP_FOUND
Mon 10:00 intake       INSURANCE of Anna is on record
Mon 11:00 intake       INSURANCE of Bo is withdrawn
Mon 11:00 matching     Bo loses slot 1 of order 1: INSURANCE
Mon 11:00 matching     wave 2 of order 1: 1 offer until Mon 12:00
Mon 11:00 matching     offer 2 of order 1 to Anna, 980 m away: Tue 14:00 to Tue 15:00
Mon 11:00 notification Bo hears: OFFER_WITHDRAWN
Mon 11:00 notification Li hears: HELPER_LOST
Mon 11:00 notification Anna hears: OFFER
