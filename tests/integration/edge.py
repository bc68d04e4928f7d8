"""An integrator's side of the edge, with pyzmq and protobuf alone, as proto/README.md says."""
import json
import socket
import time

import zmq
import zmq.auth

from district import SERVICES, SHARD, Refused, command, edge, event, types


def free_ports(count=3):
    """The first of so many free ports in a row."""
    for first in range(20000 + int(time.time() * 1000) % 20000, 60000, count):
        held = []
        try:
            for port in range(first, first + count):
                one = socket.socket()
                held.append(one)
                one.bind(('127.0.0.1', port))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
    raise AssertionError('no free ports')


class Key:
    """A pair that `paidan key new` made, granted or not."""

    def __init__(self, district, name, **grant):
        made = json.loads(district.tool('key', 'new', name, '--output', 'json').stdout)
        self.district, self.name, self.server = district, name, made['server_key'].encode()
        self.public, self.secret = zmq.auth.load_certificate(made['secret_file'])
        if grant:
            self.grant(**grant)

    def grant(self, **lists):
        words = [word for name, value in lists.items() for word in ('--' + name, value)]
        self.district.tool('key', 'grant', self.name, *words)

    def socket(self, kind, offset, mark=1000):
        made = self.district.context.socket(kind)
        made.linger, made.hwm = 0, mark
        made.curve_serverkey, made.curve_publickey = self.server, self.public
        made.curve_secretkey = self.secret
        made.reconnect_ivl = 50
        made.connect(f'tcp://127.0.0.1:{self.district.port + offset}')
        return made


class Asker:
    """A DEALER at the edge's command port (1) or replay port (2)."""

    def __init__(self, key, offset):
        self.key, self.offset = key, offset
        self.socket = key.socket(zmq.DEALER, offset)
        self.numbers = 0

    def ask(self, message, kind, wait_ms=10000):
        self.numbers += 1
        message.request = self.numbers
        until = time.time() + wait_ms / 1000
        self.socket.send(message.SerializeToString())
        while time.time() < until:
            if not self.socket.poll(min(1000, wait_ms)):
                self.socket.send(message.SerializeToString())  # its connection may have been lost
                continue
            reply = kind.FromString(self.socket.recv())
            if reply.request != self.numbers:
                continue
            if reply.HasField('refusal'):
                raise Refused(reply.refusal)
            return reply
        raise TimeoutError('no reply from the edge')


class Commands(Asker):
    def __init__(self, key):
        super().__init__(key, 1)
        self.keys = 0

    def send(self, message, wait_ms=10000):
        message.shard = message.shard or SHARD
        if not message.key:
            self.keys += 1
            message.key = f'{self.key.name}-{self.keys}-{time.time()}'
        return self.ask(message, command.Reply, wait_ms).ack


class Replays(Asker):
    def __init__(self, key):
        super().__init__(key, 2)

    def hello(self):
        return self.ask(edge.EdgeRequest(hello=edge.EdgeHello()), edge.EdgeReply).welcome

    def batch(self, log, seq=0, time_ms=0, kinds=(), limit=0):
        wanted = edge.EdgeRequest()
        wanted.replay.shard, wanted.replay.log = SHARD, log
        wanted.replay.from_seq, wanted.replay.from_time_ms = seq, time_ms
        wanted.replay.kinds.extend(kinds)
        wanted.replay.limit = limit
        return self.ask(wanted, edge.EdgeReply).batch

    def all(self, log, seq=1, kinds=(), limit=0):
        heard = []
        while True:
            batch = self.batch(log, seq, kinds=kinds, limit=limit)
            heard.extend(batch.events)
            seq = batch.next_seq
            if batch.end:
                return heard


class Listener:
    """A SUB socket: what it heard, in order, as (topic, bytes, Event)."""

    def __init__(self, key, *topics):
        self.key = key
        self.socket = key.socket(zmq.SUB, 0)
        for topic in topics:
            self.socket.subscribe(topic)
        self.heard, self.tips = [], []

    def take(self, wait_ms):
        if not self.socket.poll(wait_ms):
            return False
        topic, data = self.socket.recv_multipart()
        if topic.endswith(b'/tip'):
            self.tips.append(edge.EdgeTip.FromString(data))
        else:
            self.heard.append((topic.decode(), data, event.Event.FromString(data)))
        return True

    def connected(self, seconds=10):
        """Tips come when the subscription is in force."""
        until, before = time.time() + seconds, len(self.tips)
        while time.time() < until and len(self.tips) == before:
            self.take(100)
        assert len(self.tips) > before, f'{self.key.name} hears no tips'
        return self

    def listen(self, seconds):
        until = time.time() + seconds
        while time.time() < until:
            self.take(50)
        return self.heard

    def wait(self, kind, found=lambda body: True, seconds=15):
        until, seen = time.time() + seconds, 0
        while True:
            for _, _, one in self.heard[seen:]:
                if one.WhichOneof('body') == kind and found(getattr(one, kind)):
                    return one
            seen = len(self.heard)
            left = until - time.time()
            if left <= 0:
                raise AssertionError(f'no {kind}; heard {[t for t, _, _ in self.heard[-20:]]}')
            self.take(int(min(left, 0.5) * 1000))


class Follower(Listener):
    """Hears every event of the district once and in order: live, or by replay where one is missing.

    This is all that gap healing takes: the next seq of each log, tips, and replays."""

    def __init__(self, key):
        super().__init__(key, str(SHARD))
        self.replays = Replays(key)
        self.next = {}
        self.events = {log: [] for log in range(1, len(SERVICES) + 1)}
        self.healed = 0

    def keep(self, one):
        if one.seq == self.next[one.log]:
            self.events[one.log].append(one)
            self.next[one.log] += 1

    def heal(self, log, upto):
        while self.next[log] <= upto:
            batch = self.replays.batch(log, self.next[log], limit=10000)
            for one in batch.events:
                self.keep(one)
            assert not batch.first_seq and self.next[log] == batch.next_seq
            self.healed += len(batch.events)

    def turn(self, wait_ms):
        if not self.take(wait_ms):
            return
        for _, _, one in self.heard:
            if one.log in self.next:
                self.heal(one.log, one.seq - 1)
                self.keep(one)
        for tip in self.tips:
            for log in tip.logs:
                self.next.setdefault(log.log, log.last_seq + 1)
                self.heal(log.log, log.last_seq)
        self.heard, self.tips = [], []


assert types.LOG_NOTIFICATION == len(SERVICES)
