# Two look at the hall.  Who asks first has the place at once; the other hears why not.  Sensitive
# orders are not in the hall.
given the center
given the institute
given the station
given a resident Li
given a volunteer Anna, 1 km away
given a volunteer Bo, 1.5 km away
given a volunteer Chen, 2 km away
given a volunteer Dan, 2.5 km away
given a volunteer Eva, 4 km away

Mon 09:00 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:05 Anna asks for order 1
Mon 09:10 Eva asks for order 1
Mon 09:11 Dan asks for order 1
Mon 09:20 Li asks for 1 helper for 60 minutes, Mon 14:00 to Mon 18:00, sensitive
Mon 09:30 Dan asks for order 2
Mon 09:40 the site finishes order 1 for Eva
Mon 10:00 nothing

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
Mon 09:05 intake       Anna asks for order 1 in the hall
Mon 09:05 matching     Anna cannot have order 1: ALREADY_ASKED
Mon 09:05 notification Anna hears: ASK_DENIED
Mon 09:10 intake       Eva asks for order 1 in the hall
Mon 09:10 matching     offer 4 of order 1 to Eva, 3918 m away: Mon 14:00 to Mon 15:00, as asked for
Mon 09:10 matching     Eva has slot 1 of order 1, Mon 14:00 to Mon 15:00
Mon 09:10 matching     offer 1 to Anna ends: FILLED
Mon 09:10 matching     offer 2 to Bo ends: FILLED
Mon 09:10 matching     offer 3 to Chen ends: FILLED
Mon 09:10 matching     order 1 has all its helpers
Mon 09:10 notification Eva hears: BOOKED
Mon 09:10 notification Li hears: HELP_FOUND
Mon 09:10 notification Anna hears: OFFER_WITHDRAWN
Mon 09:10 notification Bo hears: OFFER_WITHDRAWN
Mon 09:10 notification Chen hears: OFFER_WITHDRAWN
Mon 09:11 intake       Dan asks for order 1 in the hall
Mon 09:11 matching     Dan cannot have order 1: FILLED
Mon 09:11 notification Dan hears: ASK_DENIED
Mon 09:20 intake       Li asks: order 2, 1 helper, 60 minutes, Mon 14:00 to Mon 18:00
Mon 09:20 matching     nobody can be invited to order 2; of 5: 5 NOT_VETTED
Mon 09:20 notification Li hears: ORDER_RECEIVED
Mon 09:30 intake       Dan asks for order 2 in the hall
Mon 09:30 matching     Dan cannot have order 2: HALL_CLOSED
Mon 09:30 notification Dan hears: ASK_DENIED
Mon 09:40 intake       refused: STATE
