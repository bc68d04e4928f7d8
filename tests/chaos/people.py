"""The load: residents, volunteers and site staff who keep a journal of what was acknowledged.

One thread, one loop.  What they do is decided by a seed and by what they hear on the bus; what has
no answer is sent again, the same bytes under the same key, until it has one.
"""
import collections
import heapq
import json
import os
import random
import threading
import time

import zmq

from ground import SHARD, command, entry, types

MINUTE = 60000
AGAIN_S = 1.0
EVENT_OF = {
    'register_resident': 'person', 'register_volunteer': 'person', 'erase_person': 'person_erased',
    'place_order': 'order_placed', 'cancel_order': 'order_cancelled',
    'answer_offer': 'offer_answered', 'withdraw': 'volunteer_withdrew',
    'start_service': 'service_started', 'finish_service': 'service_finished',
    'confirm_service': 'service_confirmed', 'rate_order': 'order_rated',
    'decide_hold': 'hold_decided'}


class Wish:
    """A command under way."""
    __slots__ = ('door', 'data', 'kind', 'key', 'then', 'sent', 'tries', 'first')

    def __init__(self, door, message, then):
        self.door, self.data, self.key = door, message.SerializeToString(), message.key
        self.kind = message.WhichOneof('body')
        self.then, self.sent, self.tries, self.first = then, 0.0, 0, time.monotonic()


class People(threading.Thread):
    def __init__(self, district, seed, journal, rate=120, window=64):
        super().__init__(daemon=True)
        self.district, self.dice = district, random.Random(seed)
        self.rate, self.window, self.journal = rate, window, open(journal, 'a', encoding='ascii')
        self.doors = {(folder, name): self.socket(zmq.DEALER, f'{folder}/door.{name}')
                      for folder in district.folders
                      for name in ('resident', 'volunteer', 'site', 'ops')}
        self.folder = 0                       # of the instance that leads intake, as far as known
        self.bus = self.socket(zmq.SUB, *(f'{folder}/{log}.pub' for folder in district.folders
                                          for log in ('matching', 'intake', 'points')))
        self.bus.subscribe(b'@')
        self.waiting, self.requests = {}, 0
        self.later, self.order_of = [], 0     # heap of (when, number, call)
        self.acks, self.fresh = {}, []        # key -> ack; and those not yet checked
        self.sent_bytes = {}                  # key -> (door, bytes) of what was acknowledged
        self.counts = collections.Counter()
        self.residents, self.helpers, self.asker = [], [], {}
        self.placing, self.stopping, self.failure = False, False, None
        self.slowest = 0.0
        self.run_number = 0

    def socket(self, kind, *names):
        socket = self.district.context.socket(kind)
        socket.linger = 0
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        for name in names:
            socket.connect(f'ipc://{name}')
        return socket

    # ---- the loop ----

    def run(self):
        try:
            poller = zmq.Poller()
            for socket in (*self.doors.values(), self.bus):
                poller.register(socket, zmq.POLLIN)
            next_order = time.monotonic()
            while not self.stopping:
                ready = dict(poller.poll(10))
                for socket in ready:
                    self.hear(socket)
                now = time.monotonic()
                while self.later and self.later[0][0] <= now:
                    heapq.heappop(self.later)[2]()
                next_order = max(next_order, now - 0.1)
                while self.placing and next_order <= now and len(self.waiting) < self.window:
                    next_order += self.dice.expovariate(self.rate)
                    self.one_more()
                self.send_again(now)
        except Exception as problem:
            self.failure = problem
            raise
        finally:
            for socket in (*self.doors.values(), self.bus):
                socket.close()

    def hear(self, socket):
        while True:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if socket is not self.bus:
                self.answered(command.Reply.FromString(frames[-1]))
            elif len(frames) == 3:
                for item in entry.Entry.FromString(frames[1]).items:
                    kind = item.HasField('event') and item.event.WhichOneof('body')
                    call = getattr(self, 'on_' + kind, None) if kind else None
                    if call:
                        call(item.event, getattr(item.event, kind))

    def send_again(self, now):
        for number, wish in list(self.waiting.items()):
            if now - wish.sent >= AGAIN_S:
                self.counts['again'] += 1
                self.folder = (self.folder + 1) % len(self.district.folders)  # who leads?
                self.put(number, wish, now)

    def put(self, number, wish, now):
        wish.sent, wish.tries = now, wish.tries + 1
        try:
            folder = self.district.folders[self.folder]
            self.doors[folder, wish.door].send(wish.data, zmq.NOBLOCK)
        except zmq.Again:
            pass

    def after(self, seconds, call):
        self.order_of += 1
        heapq.heappush(self.later, (time.monotonic() + seconds, self.order_of, call))

    # ---- commands and answers ----

    def say(self, door, then=None, actor=b'', seen=None, **body):
        """One command: then(ack) when it is acknowledged."""
        self.requests += 1
        message = command.Command(shard=SHARD, request=self.requests, actor=actor,
                                  key=f'{door}-{self.run_number}-{self.requests}')
        if seen is not None:
            message.seen.log, message.seen.seq = seen.log, seen.seq
        (kind, fields), = body.items()
        part = getattr(message, kind)
        part.SetInParent()
        for name, value in fields.items():
            if name in ('point', 'home'):
                getattr(part, name).datum = types.DATUM_WGS84
                getattr(part, name).lon_e7, getattr(part, name).lat_e7 = value
            elif isinstance(value, (list, tuple)):
                getattr(part, name).extend(value)
            else:
                setattr(part, name, value)
        wish = Wish(door, message, then)
        self.waiting[self.requests] = wish
        self.put(self.requests, wish, time.monotonic())

    def answered(self, reply):
        wish = self.waiting.get(reply.request)
        if wish is None:
            self.counts['late answers'] += 1
            return
        if reply.HasField('moved'):
            folder = os.path.dirname(reply.moved.endpoint[len('ipc://'):])
            self.folder = self.district.folders.index(folder)
            self.counts['moved'] += 1
            wish.sent = time.monotonic()
            self.after(0.05, lambda: self.put(reply.request, wish, time.monotonic())
                       if reply.request in self.waiting else None)
            return
        if reply.HasField('refusal'):
            code = reply.refusal.code
            self.counts[f'refused {command.Code.Name(code)}'] += 1
            if code == command.CODE_RETRY or code == command.CODE_FULL:
                wish.sent = time.monotonic() - AGAIN_S + self.dice.uniform(0.05, 0.2)
                return
            late = reply.refusal.field.startswith('place_order.window')  # its time has passed
            if not late and code not in (command.CODE_STATE, command.CODE_UNKNOWN,
                                         command.CODE_NOT_ALLOWED):
                self.counts['wrongly refused'] += 1
                self.failure = self.failure or AssertionError(f'{wish.kind}: {reply.refusal}')
            del self.waiting[reply.request]
            return
        del self.waiting[reply.request]
        self.slowest = max(self.slowest, time.monotonic() - wish.first)
        self.note(wish, reply.ack)
        if wish.then:
            wish.then(reply.ack)

    def note(self, wish, ack):
        kind = EVENT_OF[wish.kind]
        row = (wish.key, kind, ack.position.seq, ack.id, ack.person)
        self.counts['acks'] += 1
        self.counts['acks after a second try'] += wish.tries > 1
        self.acks[wish.key] = row
        self.fresh.append(row)
        if self.dice.random() < 0.2:
            self.sent_bytes[wish.key] = (wish.door, wish.data)
        line = {'log': 'intake', 'seq': ack.position.seq, 'kind': kind, 'key': wish.key}
        if kind == 'order_placed':
            line['order'] = ack.id
        self.journal.write(json.dumps(line) + '\n')

    # ---- what they do ----

    def now_ms(self):
        return self.district.now_ms()

    def near(self):
        return (1164400000 + self.dice.randrange(-100000, 100000),
                399200000 + self.dice.randrange(-100000, 100000))

    def one_more(self):
        chance = self.dice.random()
        if chance < 0.06 or len(self.residents) < 20:
            self.say('resident', self.met_resident,
                     register_resident={'name': '居民', 'phone': '13900000001', 'address': '某路'})
        elif chance < 0.07 or len(self.helpers) < 150:
            self.enlist()
        elif chance < 0.075 and len(self.residents) > 60:
            person = self.residents.pop(self.dice.randrange(len(self.residents)))
            self.say('site', erase_person={'person': person})
        else:
            self.order()

    def met_resident(self, ack):
        self.residents.append(ack.person)

    def enlist(self):
        self.say('site', lambda ack: self.helpers.append(ack.person), register_volunteer={
            'name': '志愿者', 'phone': '13800000001', 'home': self.near(),
            'skills': [types.SKILL_COMPANION], 'available': [0xffffff] * 7, 'radius_m': 5000,
            'max_per_week': 50, 'age': types.AGE_BAND_36_59})

    def order(self):
        person, now = self.dice.choice(self.residents), self.now_ms()
        start = now + self.dice.randrange(40, 240) * MINUTE
        body = {'requester': person, 'kind': types.ORDER_KIND_VISIT, 'category': 'elder_escort',
                'note': '陪诊', 'point': self.near(), 'skills': [types.SKILL_COMPANION],
                'need': self.dice.choice((1, 1, 1, 2, 3)), 'window_start_ms': start,
                'window_end_ms': start + self.dice.randrange(60, 240) * MINUTE,
                'minutes': self.dice.choice((20, 30, 60)), 'urgency': types.URGENCY_SOON,
                'channel': types.CHANNEL_MINIPROGRAM}
        self.say('resident', lambda ack: self.placed(ack, person), actor=person, place_order=body)

    def placed(self, ack, person):
        self.asker[ack.id] = person
        if self.dice.random() < 0.05:
            self.after(self.dice.uniform(0, 2), lambda: self.say(
                'resident', actor=person, cancel_order={'order': ack.id}))

    def on_offer_made(self, one, body):
        chance, offer, helper = self.dice.random(), body.offer, body.volunteer
        if chance < 0.75:
            self.after(self.dice.uniform(0, 0.8), lambda: self.say(
                'volunteer', actor=helper, seen=one,
                answer_offer={'offer': offer, 'accept': chance < 0.6}))

    def on_slot_filled(self, one, body):
        chance, helper = self.dice.random(), body.volunteer
        place = {'order': body.order, 'slot': body.slot}
        if chance < 0.08:
            self.after(0.1, lambda: self.say('volunteer', actor=helper, seen=one, withdraw=place))
        elif chance < 0.9 and not body.started:
            self.after(self.dice.uniform(0, 1), lambda: self.say(
                'volunteer', lambda ack: self.started(place, helper), actor=helper, seen=one,
                start_service=place))

    def started(self, place, helper):
        door = 'site' if self.dice.random() < 0.1 else 'volunteer'
        self.after(self.dice.uniform(0.1, 1.5), lambda: self.say(
            door, actor=helper if door == 'volunteer' else b'', finish_service=place))

    def on_order_served(self, one, body):
        order, person = body.order, self.asker.pop(body.order, None)
        if person is None or self.dice.random() < 0.05:
            return
        door = 'site' if self.dice.random() < 0.1 else 'resident'
        actor = person if door == 'resident' else b''
        self.after(self.dice.uniform(0, 0.5), lambda: self.say(
            door, actor=actor, seen=one, confirm_service={'order': order}))
        if self.dice.random() < 0.8:
            self.after(self.dice.uniform(0.5, 1), lambda: self.say(
                'resident', actor=person, rate_order={'order': order, 'stars': 5}))

    def on_hold_placed(self, one, body):
        if self.dice.random() < 0.7:
            self.after(0.2, lambda: self.say(
                'ops', decide_hold={'hold': body.hold, 'approve': True}))

    # ---- asked by the rounds, from the other thread ----

    def rest(self, seconds):
        """Place nothing more; everything asked for is answered.  False: not in time."""
        self.placing = False
        until = time.monotonic() + seconds
        while self.waiting:  # for a moment: who hears of something goes on to react
            if time.monotonic() > until or self.failure:
                return False
            time.sleep(0.005)
        self.journal.flush()
        return True

    def take_fresh(self):
        fresh, self.fresh = self.fresh, []
        return fresh
