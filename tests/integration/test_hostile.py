"""Hostile input: every piece is answered or dropped, counted, told of once, and never served; the
district goes on as if nothing had been.  One district stands through all of it.
"""
import os
import random
import re
import shutil
import signal
import socket as sockets
import struct
import subprocess
import sys
import tempfile
import threading
import time

import zmq

import hostile
from district import SERVICES, SHARD, District, Refused, Suite, command, edge, entry, event
from edge import Key, Listener, free_ports

district = None
FRAMES = int(os.environ.get('PAIDAN_HOSTILE_FRAMES', '60000'))
WINDOW = 500


def metric(service, name):
    """A counter or gauge of a daemon, from its /metrics."""
    client = sockets.socket(sockets.AF_UNIX)
    client.settimeout(10)
    client.connect(f'{district.run_dir}/{service}.http')
    client.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
    text = b''
    while True:
        part = client.recv(65536)
        if not part:
            break
        text += part
    client.close()
    found = re.search(rf'^{re.escape(name)} (\S+)$', text.decode(), re.M)
    if not found:
        raise AssertionError(f'{service} has no {name}')
    return float(found.group(1))


def rss_mb(service):
    with open(f'/proc/{district.pid(service)}/status') as file:
        return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1)) / 1024


def cpu_seconds(service):
    with open(f'/proc/{district.pid(service)}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def said(service, text):
    """How many lines of a daemon's journal hold this."""
    with open(f'{district.run_dir}/{service}.log', errors='replace') as file:
        return sum(text in line for line in file)


def until(holds, seconds=20, what=''):
    end = time.time() + seconds
    while time.time() < end:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f'not within {seconds} s: {what}')


class GoodClient(threading.Thread):
    """Places orders all the while, and notes how long each ack took."""

    def __init__(self, door='resident'):
        super().__init__()
        self.name = f'good{time.time_ns()}'
        self.asker = district.resident('居民好')
        self.door, self.ended, self.times, self.failure = door, False, [], None

    def socket(self):
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f'ipc://{district.run_dir}/door.{self.door}')
        return dealer

    def run(self):
        dealer = self.socket()
        try:
            number = 0
            while not self.ended:
                number += 1
                self.place(dealer, number)
                time.sleep(0.02)
        except Exception as problem:
            self.failure = problem
        finally:
            dealer.close()

    def place(self, dealer, number):
        message = hostile.an_order(self.asker, f'good-{self.name}-{number}')
        message.request = number
        began = time.time()
        dealer.send(message.SerializeToString())
        if not dealer.poll(20000):
            raise TimeoutError('a good client got no answer')
        reply = command.Reply.FromString(dealer.recv())
        assert reply.request == number and reply.HasField('ack'), reply
        self.times.append(time.time() - began)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failed):
        self.ended = True
        self.join()
        if self.failure is not None:
            raise self.failure
        times = sorted(self.times)
        assert times, 'the good client placed nothing'
        print(f'      good client: {len(times)} acks, p50 {times[len(times) // 2] * 1e3:.1f} ms, '
              f'p99 {times[len(times) * 99 // 100] * 1e3:.1f} ms', flush=True)


class GoodEdgeClient(GoodClient):
    """The same from another machine."""

    def socket(self):
        if 'good' not in keys:
            keys['good'] = Key(district, 'good', hear=str(SHARD), roles='resident,site')
        return keys['good'].socket(zmq.DEALER, 1)


keys = {}


def key_of(name, **grant):
    if name not in keys:
        keys[name] = Key(district, name, **grant)
    return keys[name]


def still_works():
    """A whole loop as far as a booking, and the verifier finds nothing."""
    district.wait_ready()
    events = district.subscribe('matching')
    district.volunteer(name='志愿者后')  # with room for one more offer
    order = district.order(district.resident('居民后')).id
    made = events.wait('offer_made', lambda body: body.order == order)
    offer = made.offer_made
    message = command.Command(actor=offer.volunteer)
    message.seen.log, message.seen.seq = made.log, made.seq
    message.answer_offer.offer, message.answer_offer.accept = offer.offer, True
    district.door('volunteer').send(message)
    events.wait('slot_filled', lambda body: body.order == order)
    events.socket.close()
    district.tool('verify')


# ---- bytes in the store ----

def commands_of(data):
    """(name, [(offset, length) of each argument]) for each command of an append-only file."""
    at = 0
    while at < len(data):
        end = data.index(b'\r\n', at)
        count, at = int(data[at + 1:end]), end + 2
        places = []
        for _ in range(count):
            end = data.index(b'\r\n', at)
            size = int(data[at + 1:end])
            places.append((end + 2, size))
            at = end + 2 + size + 2
        yield data[places[0][0]:places[0][0] + places[0][1]].upper(), places


def payloads(data):
    """Where an entry's bytes, hash and epoch stand: values of the fields e, h and p of XADD."""
    for name, places in commands_of(data):
        if name != b'XADD':
            continue
        words = [data[at:at + size] for at, size in places]
        for i, word in enumerate(words[:-1]):
            if word in (b'e', b'h', b'p'):
                yield word.decode(), places[i + 1]


class CopiedStore:
    """A Redis of its own over a copy of the log's directory, in a copy of the run_dir."""

    def __init__(self):
        self.run_dir = tempfile.mkdtemp(prefix='paidan-flip.', dir='/tmp')
        shutil.rmtree(self.run_dir)
        shutil.copytree(district.run_dir, self.run_dir,
                        ignore=lambda folder, names: [
                            name for name in names
                            if name.endswith(('.redis', '.pub', '.http')) or 'door.' in name
                            or name.startswith('temp-')])
        folder = f'{self.run_dir}/data/log/appendonlydir'
        parts = [f'{folder}/{name}' for name in os.listdir(folder) if '.incr.' in name]
        self.aof = max(parts, key=os.path.getsize)
        with open(self.aof, 'rb') as file:
            self.bytes = file.read()

    def verify(self, data):
        """What `paidan verify` says of a store with these bytes; None: Redis did not load them."""
        with open(self.aof, 'wb') as file:
            file.write(data)
        server = subprocess.Popen(
            ['redis-server', f'{self.run_dir}/redis.conf', '--dir', f'{self.run_dir}/data/log',
             '--unixsocket', f'{self.run_dir}/log.redis', '--aclfile', f'{self.run_dir}/users.acl'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(f'{self.run_dir}/log.redis'):
                if server.poll() is not None:
                    return None
                time.sleep(0.005)
            while True:
                done = subprocess.run([f'{district.bin}/paidan', 'verify', '--run-dir',
                                       self.run_dir], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
                if done.returncode != 69 or server.poll() is not None:
                    return done
        finally:
            if server.poll() is None:
                server.kill()
            server.wait()
            if os.path.exists(f'{self.run_dir}/log.redis'):
                os.unlink(f'{self.run_dir}/log.redis')


def test_every_bit_flipped_in_the_store_is_found():
    dice = random.Random(7)
    store = CopiedStore()
    try:
        clean = store.verify(store.bytes)
        assert clean is not None and clean.returncode == 0, clean and clean.stdout
        places = list(payloads(store.bytes))
        for number in range(40):
            field = 'hp'[number % 2] if number % 4 == 0 else 'e'
            _, (at, size) = dice.choice([place for place in places if place[0] == field])
            bit = dice.randrange(8 * size)
            flipped = bytearray(store.bytes)
            flipped[at + bit // 8] ^= 1 << bit % 8
            found = store.verify(bytes(flipped))
            assert found is None or found.returncode == 1, \
                f'bit {bit} of field {field} at {at}: exit {found.returncode}\n{found.stdout}'
    finally:
        shutil.rmtree(store.run_dir)
    still_works()


# ---- frames at a door ----

def flood(dealer, frames, kind=command.Reply):
    """Send frames with a window; returns the replies."""
    replies, flying = [], 0
    for data in frames:
        dealer.send(data)
        flying += 1
        while flying >= WINDOW or dealer.poll(0):
            if not dealer.poll(20000):
                raise TimeoutError(f'{flying} frames without an answer')
            replies.append(kind.FromString(dealer.recv()))
            flying -= 1
    while flying > 0 and dealer.poll(20000):
        replies.append(kind.FromString(dealer.recv()))
        flying -= 1
    assert flying == 0, f'{flying} frames were never answered'
    return replies


def test_fuzzed_commands_are_all_answered_counted_and_told_of_once():
    dice = random.Random(20250304)
    helper = district.volunteer(name='志愿者坏', phone='1')
    person = district.resident('居民坏')
    before, memory, began = metric('intake', 'paidan_commands_malformed_total'), rss_mb('intake'), \
        time.time()
    lines = said('intake', 'a frame that is no command')
    malformed = acks = 0
    with GoodClient():
        for door in ('resident', 'volunteer', 'site', 'ops'):
            dealer = district.context.socket(zmq.DEALER)
            dealer.linger = 0
            dealer.connect(f'ipc://{district.run_dir}/door.{door}')
            makes = hostile.malformed(dice, door, person, helper, FRAMES // 4)
            for reply in flood(dealer, makes):
                assert reply.HasField('ack') or reply.HasField('refusal'), reply
                acks += reply.HasField('ack')
                if reply.HasField('refusal'):
                    assert reply.refusal.rule and reply.refusal.next and reply.refusal.zh, reply
                    malformed += reply.refusal.code == command.CODE_MALFORMED
            dealer.close()
    seconds = time.time() - began
    counted = metric('intake', 'paidan_commands_malformed_total') - before
    print(f'      {FRAMES} frames in {seconds:.1f} s: {malformed} malformed, {acks} acks; '
          f'intake grew by {rss_mb("intake") - memory:.0f} MB', flush=True)
    assert malformed >= counted > FRAMES // 2, (counted, malformed)  # the core refuses some so
    told = said('intake', 'a frame that is no command') - lines
    assert 1 <= told <= 4 * (2 + seconds / 10), f'{told} lines in {seconds:.0f} s'
    assert rss_mb('intake') - memory < 512
    still_works()


def test_messages_of_many_parts_are_dropped_and_counted():
    before, memory = metric('intake', 'paidan_commands_malformed_total'), rss_mb('intake')
    with GoodClient():
        dealer = district.context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f'ipc://{district.run_dir}/door.volunteer')
        for count in (100000, 9, 8, 7, 3):
            for _ in range(count - 1):
                dealer.send(b'part', zmq.SNDMORE)
            dealer.send(b'last')
        answered = 0
        until(lambda: metric('intake', 'paidan_commands_malformed_total') - before >= 5, 30,
              'five messages counted')
        while dealer.poll(500):
            dealer.recv_multipart()
            answered += 1
        dealer.close()
    assert answered <= 5
    grown = rss_mb('intake') - memory
    print(f'      intake grew by {grown:.0f} MB', flush=True)
    assert grown < 256
    still_works()


def test_frames_over_the_limit_cut_off_only_who_sends_them():
    with GoodClient():
        for size in (65536, 65537, 65538, 1 << 20, 64 << 20):
            dealer = district.context.socket(zmq.DEALER)
            dealer.linger = 0
            dealer.connect(f'ipc://{district.run_dir}/door.site')
            dealer.send(b'\x12' * size)
            if size <= 65537:
                assert dealer.poll(20000), f'no answer to {size} bytes'
                reply = command.Reply.FromString(dealer.recv())
                assert reply.refusal.code == command.CODE_MALFORMED, reply
            else:
                assert not dealer.poll(300), f'{size} bytes were answered'
            dealer.close()
    still_works()


def test_bytes_that_are_no_zeromq_disturb_nobody():
    dice = random.Random(1)
    held = []
    with GoodClient():
        for number in range(300):
            raw = sockets.socket(sockets.AF_UNIX)
            raw.connect(f'{district.run_dir}/{dice.choice(["door.resident", "intake.pub"])}')
            greeting = b'\xff' + bytes(8) + b'\x7f\x03\x00NULL' + bytes(48)
            try:
                if number % 3:
                    raw.sendall(greeting[:64] if number % 3 == 1 else greeting[:dice.randrange(64)])
                raw.sendall(dice.randbytes(dice.randrange(2000)))
            except OSError:
                pass  # it hung up on us already
            held.append(raw)
        time.sleep(1)
        for raw in held:
            raw.close()
    still_works()


# ---- the edge, with a key that is granted ----

def flood_edge(offset, frames, kind):
    dealer = key_of('fuzzer', hear=str(SHARD), roles='resident,volunteer,site',
                    publish='ext.fuzz.*').socket(zmq.DEALER, offset)
    replies = flood(dealer, frames, kind)
    dealer.close()
    return replies


def check_edge(offset, frames, kind, text):
    """Each is answered; what is malformed is counted, and told of once a window."""
    before, memory, began = metric('gateway', 'paidan_frames_bad_total'), rss_mb('gateway'), \
        time.time()
    lines, pid = said('gateway', text), district.pid('gateway')
    with GoodEdgeClient():
        replies = flood_edge(offset, frames, kind)
    seconds = time.time() - began
    malformed = sum(reply.refusal.code == command.CODE_MALFORMED for reply in replies)
    counted = metric('gateway', 'paidan_frames_bad_total') - before
    print(f'      {len(replies)} frames in {seconds:.1f} s: {malformed} malformed; '
          f'the edge grew by {rss_mb("gateway") - memory:.0f} MB', flush=True)
    assert counted > len(replies) // 3, (counted, malformed)
    assert 1 <= said('gateway', text) - lines <= 2 + seconds / 10
    assert district.pid('gateway') == pid, 'it ended'
    assert rss_mb('gateway') - memory < 256
    still_works()


def test_fuzzed_commands_at_the_edge_are_all_answered_and_counted():
    dice = random.Random(20250305)
    person, helper = district.resident('居民坏'), district.volunteer(name='志愿者坏', phone='1')
    frames = hostile.malformed(dice, 'site', person, helper, FRAMES // 4)
    check_edge(1, frames, command.Reply, 'a frame that is no command')


def test_fuzzed_requests_at_the_edge_are_all_answered_and_counted():
    dice = random.Random(20250306)
    check_edge(2, hostile.requests(dice, FRAMES // 4), edge.EdgeReply, 'a frame that is no request')


def test_subscriptions_to_anything_at_all_disturb_nobody():
    dice = random.Random(20250307)
    before = metric('gateway', 'paidan_edge_ungranted_total')
    with GoodEdgeClient():
        socket = key_of('asker', hear='37').socket(zmq.SUB, 0, mark=0)
        for number in range(1500):
            socket.subscribe(dice.randbytes(dice.randrange(1, 300)))
        until(lambda: metric('gateway', 'paidan_edge_ungranted_total') - before >= 1400, 10,
              'the subscriptions were counted')
        socket.close()
    Listener(keys['good'], str(SHARD)).connected()
    still_works()


def test_messages_of_many_parts_at_the_edge_are_dropped_and_counted():
    before, memory = metric('gateway', 'paidan_frames_bad_total'), rss_mb('gateway')
    key = key_of('parts', hear=str(SHARD), roles='resident')
    with GoodEdgeClient():
        for offset, kind in ((1, command.Reply), (2, edge.EdgeReply)):
            dealer = key.socket(zmq.DEALER, offset, mark=0)
            for count in (100000, 9, 8, 7):
                for _ in range(count - 1):
                    dealer.send(b'part', zmq.SNDMORE)
                dealer.send(b'last')
            dealer.send(b'')  # answered: all before it was read
            while True:
                assert dealer.poll(20000), 'no answer'
                reply = kind.FromString(dealer.recv_multipart()[-1])
                if reply.HasField('refusal'):
                    break
            dealer.close()
    assert metric('gateway', 'paidan_frames_bad_total') - before >= 8
    assert rss_mb('gateway') - memory < 256
    still_works()


def test_frames_over_the_limit_at_the_edge_cut_off_only_who_sends_them():
    key = key_of('large', hear=str(SHARD), roles='site')
    with GoodEdgeClient():
        for offset, limit in ((1, 65537), (2, 16384)):
            for size in (limit, limit + 1, 1 << 20, 64 << 20):
                dealer = key.socket(zmq.DEALER, offset)
                dealer.send(b'\x12' * size)
                answered = dealer.poll(20000 if size <= limit else 300)
                assert bool(answered) == (size <= limit), (offset, size)
                dealer.close()
    still_works()


# ---- snapshots ----

def test_a_snapshot_that_was_cut_off_or_flipped_is_told_of_and_not_used():
    dice = random.Random(3)
    folder = f'{district.run_dir}/data/snapshots/{SHARD}'
    district.tool('down')
    district.tool('up', '--detach', '--edge', f'tcp://127.0.0.1:{district.port}')
    district.tool('down')  # each has written one at its end
    files = [os.path.join(folder, name) for name in os.listdir(folder)]
    assert len(files) >= len(SERVICES), files
    for number, path in enumerate(sorted(files)):
        with open(path, 'r+b') as file:
            data = bytearray(file.read())
            if number % 2:
                del data[dice.randrange(len(data)):]
            else:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            file.seek(0)
            file.truncate()
            file.write(data)
    lines = {name: said(name, 'snapshot is ignored') for name in SERVICES}
    district.tool('up', '--detach', '--edge', f'tcp://127.0.0.1:{district.port}')
    district.wait_ready()
    for name in SERVICES:
        assert said(name, 'snapshot is ignored') == lines[name] + 1, name
    still_works()


# ---- entries ----

class FakePublisher:
    """Bound at matching's path while matching itself is stopped."""

    def __init__(self):
        heard = district.subscribe('matching')
        until(lambda: heard.socket.poll(100), 10, 'a heartbeat of matching')
        self.last = self.learn(heard)
        self.pid = district.pid('matching')
        os.kill(self.pid, signal.SIGSTOP)
        heard.socket.close()
        os.unlink(f'{district.run_dir}/matching.pub')
        self.socket = district.context.socket(zmq.XPUB)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.socket.bind(f'ipc://{district.run_dir}/matching.pub')
        for name in FOLLOWERS:  # they come over when their heartbeats time out
            assert self.socket.poll(15000), f'before {name}: a daemon did not come over'
            self.socket.recv()

    def learn(self, heard):
        """Matching's latest entry and its hash: one is provoked if none comes."""
        district.order(district.resident('居民示'))
        last, quiet = None, time.time()
        while last is None or time.time() < quiet + 1.5:
            assert time.time() < quiet + 20, 'no entry of matching'
            frames = heard.socket.recv_multipart() if heard.socket.poll(100) else []
            if len(frames) == 3:
                last, quiet = frames, time.time()
        return last

    def say(self, *frames):
        self.socket.send_multipart([f'@{SHARD:06d}/matching'.encode(), *frames])

    def close(self):
        self.socket.close()
        os.kill(self.pid, signal.SIGKILL)  # it starts again and takes its path back
        until(lambda: district.pid('matching') not in (None, self.pid), 20, 'matching again')


FOLLOWERS = ('intake', 'scheduling', 'points', 'notification', 'gateway')


def test_forged_entries_are_counted_and_never_taken():
    old = district.kill('matching')  # the next epoch is 2, so that 1 is a past one
    until(lambda: district.pid('matching') not in (None, old), 20, 'matching again')
    district.wait_ready()
    fake = FakePublisher()
    try:
        last = fake.last
        forge = hostile.Forge(event, entry, last[1], last[2], SHARD)
        place = 'paidan_input_seq{log="matching"}'
        seqs = {name: metric(name, place) for name in FOLLOWERS}
        bad = {name: metric(name, 'paidan_frames_bad_total') for name in FOLLOWERS}
        frames = forge.all()
        for number, parts in enumerate(frames):
            fake.say(*parts)
            for name in FOLLOWERS:
                until(lambda: metric(name, 'paidan_frames_bad_total') > bad[name], 10,
                      f'{name} counts forged entry {number}')
            time.sleep(0.02)  # the log is read, and says that there is no such entry
            for name in FOLLOWERS:
                bad[name] = metric(name, 'paidan_frames_bad_total')
                assert metric(name, place) == seqs[name], f'{name} took forged entry {number}'
        for name in FOLLOWERS:
            place_said = '"log":"matching","not_said_before"'
            if name == 'gateway':
                place_said = '"from":"frames/matching"'
            assert 1 <= said(name, place_said) <= 3, name
        for parts in forge.claims():
            fake.socket.send_multipart(parts)
        time.sleep(0.5)
        spent = {name: cpu_seconds(name) for name in FOLLOWERS}
        time.sleep(2)
        for name in FOLLOWERS:
            used = cpu_seconds(name) - spent[name]
            assert used < 1, f'{name} is busy with events that do not exist: {used:.1f} s of 2'
            assert metric(name, place) == seqs[name], f'{name} took a forged entry'
        print(f'      {len(frames)} forged entries, each counted by {len(FOLLOWERS)} daemons',
              flush=True)
    finally:
        fake.close()
    still_works()


if __name__ == '__main__':
    port = free_ports()
    with District(sys.argv[1], edge=f'tcp://127.0.0.1:{port}') as district:
        district.port = port
        district.settle()
        for number in range(40):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 40000, dy=number * 1000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
