"""What the logs' bytes must say, whatever happened to the servers.

Written from proto/ alone, apart from the daemons and from `paidan verify`.  It reads the five
streams as Redis has them, folds them in the order in which their marks let them happen, and goes on
where it stopped, so that each round costs only what that round wrote.  A fault is a sentence.
"""
import collections
import hashlib
import warnings

from ground import SERVICES, SHARD, entry, types

warnings.filterwarnings('error', 'Unexpected end-group tag')  # protobuf only warns of it
MINUTE = 60000
LOGS = {number: name for number, name in enumerate(SERVICES, 1)}
FINAL = (types.ORDER_STATE_COMPLETED, types.ORDER_STATE_CANCELLED, types.ORDER_STATE_UNFILLED,
         types.ORDER_STATE_UNCONFIRMED)
ZEROS = bytes(32)
# Defaults of services/scheduling, in minutes of the shard.
SERVICE_GRACE, CONFIRMATION, RATING = 60, 7 * 1440, 7 * 1440


def state_of(redis):
    """What all logs hold, as one hash."""
    digest = hashlib.sha256()
    for name in SERVICES:
        for ident, fields in redis('XRANGE', f'{{{SHARD:06d}}}:log:{name}', '-', '+'):
            digest.update(ident + b''.join(fields))
    return digest.digest()


class Log:
    """One log as far as it was read: the chain, and what waits for other logs."""

    def __init__(self, number):
        self.number, self.name = number, LOGS[number]
        self.seq, self.hash, self.epoch, self.time_ms = 0, ZEROS, 0, 0
        self.last_of_kind = {}
        self.upto = collections.Counter()     # marks, by log
        self.items = collections.deque()      # read, not folded yet
        self.folded = 0                       # seq
        self.entries = 0


class Order:
    __slots__ = ('placed_ms', 'end_ms', 'minutes', 'need', 'started', 'finished', 'confirmed',
                 'served_ms', 'confirmed_ms', 'last', 'rated', 'requester', 'booked')

    def __init__(self, body, time_ms):
        self.placed_ms, self.end_ms, self.minutes = time_ms, body.window_end_ms, body.minutes
        self.need, self.requester = body.need, body.requester
        self.started, self.finished, self.confirmed = {}, {}, {}  # by slot
        self.served_ms, self.confirmed_ms, self.last, self.rated = 0, 0, False, False
        self.booked = False  # once; whoever was may have dropped out after the latest start


class Checker:
    def __init__(self):
        self.faults = []
        self.logs = {number: Log(number) for number in LOGS}
        self.origins = {}        # (principal, key) -> seq
        self.facts = {}          # intake seq -> (kind, id, person): for the clients' journals
        self.orders, self.closed, self.placed = {}, {}, 0
        self.winners = {}        # (order, slot) -> volunteer
        self.bookings = collections.defaultdict(dict)  # volunteer -> {(order, slot): (start, end)}
        self.ended = collections.deque()  # (intake seq, order): for matching, when it has heard it
        self.slots_of = collections.defaultdict(set)
        self.offers = {}         # open
        self.offer_last = self.posting_last = 0
        self.posted, self.holds, self.granted = {}, {}, {}
        self.balance = collections.Counter()  # (account, person, unit)
        self.events = self.takeovers = 0
        self.people, self.erased = {}, set()
        self.taken = {}          # seq -> key of the command that was answered with it

    def fault(self, what):
        self.faults.append(what)

    # ---- reading: the bytes and the chain ----

    def read(self, redis):
        """Everything new, from all logs; matching's marks name what intake has, so intake last."""
        for number in sorted(self.logs, reverse=True):
            log = self.logs[number]
            key = f'{{{SHARD:06d}}}:log:{log.name}'
            while True:
                rows = redis('XRANGE', key, f'({log.seq}-0' if log.seq else '-', '+', 'COUNT', 500)
                for ident, fields in rows:
                    self.take(log, ident, dict(zip(fields[::2], fields[1::2])))
                if len(rows) < 500:
                    break
        self.fold()

    def still_there(self, redis):
        """What was read before is what is there: no log has another end than it had."""
        for log in self.logs.values():
            if not log.seq:
                continue
            key = f'{{{SHARD:06d}}}:log:{log.name}'
            rows = redis('XRANGE', key, f'{log.seq}-0', f'{log.seq}-0')
            if not rows or dict(zip(rows[0][1][::2], rows[0][1][1::2]))[b'h'] != log.hash:
                self.fault(f'P1: {log.name} {log.seq}: the entry that was there is not any more')

    def take(self, log, ident, fields):
        data = fields[b'e']
        digest = hashlib.sha256(data).digest()
        one = entry.Entry.FromString(data)
        where = f'{log.name} {one.first_seq}-{one.last_seq}'
        events = [item.event for item in one.items if item.HasField('event')]
        for good, what in (
                (digest == fields[b'h'], 'the hash is not of these bytes'),
                (one.prev_hash == log.hash, 'the chain is broken'),
                (ident == b'%d-0' % one.last_seq, f'stored as {ident}'),
                (one.first_seq == log.seq + 1, f'follows {log.seq}'),
                (one.last_seq - one.first_seq + 1 == len(events) > 0, f'{len(events)} events'),
                (one.shard == SHARD and one.log == log.number, 'of another shard or log'),
                (fields[b'p'] == b'%d' % one.epoch, 'another epoch in the stream'),
                (one.epoch >= log.epoch, f'P7: the epoch falls from {log.epoch} to {one.epoch}'),
                (one.time_ms >= log.time_ms, 'the time falls')):
            if not good:
                self.fault(f'{where}: {what}')
        if one.epoch != log.epoch:
            first = events and events[0].WhichOneof('body')
            if first != 'epoch_began' or events[0].epoch_began.epoch != one.epoch:
                self.fault(f'{where}: P7: epoch {one.epoch} begins with {first}')
            self.takeovers += 1
        for number, one_event in enumerate(events):
            self.take_event(log, one.first_seq + number, one_event)
        log.seq, log.hash, log.epoch, log.time_ms = one.last_seq, digest, one.epoch, one.time_ms
        log.entries += 1
        log.items.extend(one.items)

    def take_event(self, log, seq, one):
        kind = one.WhichOneof('body')
        if (one.log, one.seq, one.shard) != (log.number, seq, SHARD):
            self.fault(f'{log.name} {seq}: an event that says it is {one.log}, {one.seq}')
        if one.prev != log.last_of_kind.get(kind, 0):
            self.fault(f'{log.name} {seq}: {kind} before it was {log.last_of_kind.get(kind, 0)},'
                       f' it says {one.prev}')
        log.last_of_kind[kind] = seq
        if one.HasField('origin') and log.number == types.LOG_INTAKE:
            origin = (one.origin.principal, one.origin.key)
            if origin in self.origins:
                self.fault(f'P2: intake {seq}: the command of {self.origins[origin]} once more')
            self.origins[origin] = seq
        self.events += 1

    # ---- folding: causes before effects ----

    def fold(self):
        moved = True
        while moved:
            moved = False
            for log in self.logs.values():
                while log.items and self.step(log, log.items[0]):
                    log.items.popleft()
                    moved = True

    def step(self, log, item):
        """Fold one item; False: it must wait for another log."""
        if item.HasField('mark'):
            other, upto = item.mark.log, item.mark.upto
            if other not in self.logs or other == log.number or upto < log.upto[other]:
                self.fault(f'{log.name} {log.folded}: a mark of log {other} at {upto}')
                return True
            if self.logs[other].folded < upto:
                return False
            log.upto[other] = upto
            if (log.number, other) == (types.LOG_MATCHING, types.LOG_INTAKE):
                while self.ended and self.ended[0][0] <= upto:
                    self.unbook(self.ended.popleft()[1])
            return True
        one = item.event
        log.folded = one.seq
        if one.cause.seq and one.cause.log != log.number \
                and one.cause.seq > log.upto[one.cause.log]:
            self.fault(f'{log.name} {one.seq}: its cause is not heard yet')
        kind = one.WhichOneof('body')
        call = getattr(self, 'on_' + kind, None) if kind else None
        if call:
            call(one, getattr(one, kind))
        return True

    def unfolded(self):
        return {log.name: len(log.items) for log in self.logs.values() if log.items}

    def at(self, one, what):
        self.fault(f'{LOGS[one.log]} {one.seq}: {what}')

    # ---- intake: people and the lives of orders ----

    def on_volunteer_registered(self, one, body):
        self.facts[one.seq] = ('person', 0, body.person)
        if body.person in self.people:
            self.at(one, 'P2: a person is registered twice')
        self.people[body.person] = True

    on_resident_registered = on_volunteer_registered

    def on_person_erased(self, one, body):
        self.facts[one.seq] = ('person_erased', 0, body.person)
        self.erased.add(body.person)

    def on_order_placed(self, one, body):
        self.facts[one.seq] = ('order_placed', body.order, body.requester)
        self.placed += 1
        if body.order != self.placed:
            self.at(one, f'P2: order {body.order} is the {self.placed}th')
        self.orders[body.order] = Order(body, one.time_ms)

    def living(self, one, number):
        order = self.orders.get(number)
        if order is None:
            self.at(one, f'order {number} is not alive: {self.closed.get(number, "never placed")}')
        return order

    def on_order_cancelled(self, one, body):
        self.facts[one.seq] = ('order_cancelled', body.order, b'')
        self.living(one, body.order)

    def on_offer_answered(self, one, body):
        self.facts[one.seq] = ('offer_answered', body.offer, body.volunteer)

    def on_volunteer_withdrew(self, one, body):
        self.facts[one.seq] = ('volunteer_withdrew', body.order, body.volunteer)
        self.living(one, body.order)

    def on_service_started(self, one, body):
        self.facts[one.seq] = ('service_started', body.order, body.volunteer)
        order = self.living(one, body.order)
        if order and body.slot in order.started:
            self.at(one, 'P2: started twice')
        if order:
            order.started[body.slot] = body.volunteer
            order.served_ms, order.last = 0, False  # who had accepted before that may still come

    def on_service_finished(self, one, body):
        self.facts[one.seq] = ('service_finished', body.order, body.volunteer)
        order = self.living(one, body.order)
        if not order:
            return
        if order.started.get(body.slot) != body.volunteer or body.slot in order.finished:
            self.at(one, 'finished twice, or by somebody who had not started')
        order.finished[body.slot] = body.minutes

    def on_order_served(self, one, body):
        order = self.living(one, body.order)
        if order:
            if order.served_ms or not order.finished:
                self.at(one, 'served twice, or by nobody')
            order.served_ms = one.time_ms

    def on_service_confirmed(self, one, body):
        self.facts[one.seq] = ('service_confirmed', body.order, body.volunteer)
        order = self.living(one, body.order)
        if not order:
            return
        if body.minutes > order.finished.get(body.slot, -1) or body.slot in order.confirmed:
            self.at(one, 'P5: confirmed twice, or more than was served')
        order.confirmed[body.slot] = body.minutes
        order.confirmed_ms, order.last = one.time_ms, body.last
        self.granted[body.order, body.slot] = (body.volunteer, body.minutes)

    def on_order_rated(self, one, body):
        self.facts[one.seq] = ('order_rated', body.order, b'')
        order = self.living(one, body.order)
        if order and (order.rated or not order.served_ms):
            self.at(one, 'rated twice, or before it was served')
        if order:
            order.rated = True

    def on_order_closed(self, one, body):
        order = self.living(one, body.order)
        if body.state not in FINAL:
            self.at(one, f'closed as {body.state}')
        if order and body.state == types.ORDER_STATE_COMPLETED and not order.confirmed:
            self.at(one, 'completed, but nothing was confirmed')
        self.orders.pop(body.order, None)
        self.closed[body.order] = body.state
        self.ended.append((one.seq, body.order))

    def on_hold_decided(self, one, body):
        self.facts[one.seq] = ('hold_decided', body.hold, b'')

    # ---- P4: matching ----

    def on_offer_made(self, one, body):
        if body.offer != self.offer_last + 1:
            self.at(one, f'P2: offer {body.offer} follows {self.offer_last}')
        self.offer_last = body.offer
        self.offers[body.offer] = (body.order, body.volunteer)

    def end_offer(self, one, body):
        if self.offers.pop(body.offer, None) != (body.order, body.volunteer):
            self.at(one, f'P4: offer {body.offer} ends twice, or for somebody else')

    def on_offer_closed(self, one, body):
        self.end_offer(one, body)

    def on_slot_filled(self, one, body):
        if body.offer:
            self.end_offer(one, body)
        place = (body.order, body.slot)
        if place in self.winners:
            self.at(one, f'P4: slot {body.slot} of order {body.order} is won twice')
        for other, (start, end) in self.bookings[body.volunteer].items():
            if body.start_ms < end and start < body.end_ms:
                self.at(one, f'P4: booked for {place} and {other} at one time')
        self.winners[place] = body.volunteer
        self.bookings[body.volunteer][place] = (body.start_ms, body.end_ms)
        self.slots_of[body.order].add(body.slot)
        if body.order in self.orders:
            self.orders[body.order].booked = True

    def on_slot_reopened(self, one, body):
        place = (body.order, body.slot)
        if self.winners.pop(place, None) != body.volunteer:
            self.at(one, 'P4: a slot is reopened that this volunteer had not won')
        self.bookings[body.volunteer].pop(place, None)

    def unbook(self, order):
        """Matching has heard that it is closed: nobody is booked for it any more."""
        for slot in self.slots_of.pop(order, ()):
            volunteer = self.winners.pop((order, slot), None)
            if volunteer is not None:
                self.bookings[volunteer].pop((order, slot), None)

    # ---- P5, P6: the ledger ----

    def add_up(self, one, lines):
        sums = collections.Counter()
        for line in lines:
            sums[line.unit] += line.amount
            account = (line.account, line.person, line.unit)
            self.balance[account] += line.amount
            if line.account != types.ACCOUNT_ISSUED and self.balance[account] < 0:
                self.at(one, 'P5: an account falls below zero')
        if any(sums.values()):
            self.at(one, f'P5: the lines sum to {dict(sums)}')

    def source(self, one, body):
        place = (body.order, body.slot)
        if place in self.posted:
            self.at(one, f'P5: {place} was posted at {self.posted[place]} before')
        self.posted[place] = one.seq
        volunteer, minutes = self.granted.get(place, (b'', -1))
        for line in body.lines:
            if line.unit == types.UNIT_MINUTES and line.amount > 0 \
                    and (line.person != volunteer or line.amount > minutes):
                self.at(one, f'P5: {line.amount} minutes that were not granted')
        self.add_up(one, body.lines)

    def on_points_posted(self, one, body):
        if body.posting != self.posting_last + 1:
            self.at(one, f'P5: posting {body.posting} follows {self.posting_last}')
        self.posting_last = body.posting
        self.source(one, body)

    def on_hold_placed(self, one, body):
        if body.hold in self.holds:
            self.at(one, 'P6: a hold is placed twice')
        self.holds[body.hold] = None
        self.source(one, body)

    def on_hold_resolved(self, one, body):
        if self.holds.get(body.hold, 'nowhere') is not None:
            self.at(one, f'P6: hold {body.hold} ends twice, or never began')
        self.holds[body.hold] = body.outcome
        self.add_up(one, body.lines)

    # ---- P3: definite, or its deadline ahead ----

    def overdue(self, now_ms):
        """{order: why} of orders that should have ended before now."""
        late = {}
        for number, order in self.orders.items():
            if order.served_ms and (order.last or order.rated):
                until = max(order.served_ms, order.confirmed_ms) + RATING * MINUTE
            elif order.served_ms:
                until = order.served_ms + CONFIRMATION * MINUTE
            elif not order.booked and not order.started:
                until = order.end_ms - order.minutes * MINUTE
            else:
                until = order.end_ms + (order.minutes + SERVICE_GRACE) * MINUTE
            if until < now_ms:
                late[number] = f'open, due {(now_ms - until) // MINUTE} min ago'
        return late

    # ---- P1, P2: the clients' journals ----

    def held(self, acks):
        """Each ack against the log: [(key, kind, seq, id, person)]; returns how many are lost."""
        lost = 0
        for key, kind, seq, number, person in acks:
            fact = self.facts.get(seq)
            if fact is None:
                lost += 1
                self.fault(f'P1: {key}: {kind} acknowledged at intake {seq}, which is not there')
            elif fact[0] != kind or (number and fact[1] and fact[1] != number) \
                    or (person and fact[2] and fact[2] != person):
                lost += 1
                self.fault(f'P1: {key}: {kind} {number} acknowledged at intake {seq}: {fact[:2]}')
            if self.taken.setdefault(seq, key) != key:
                self.fault(f'P2: two commands, {self.taken[seq]} and {key}, one event {seq}')
        return lost
