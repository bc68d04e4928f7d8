"""A district of its own for a test, spoken to from the published contract alone.

The tool starts it.  Nothing here comes from Paidan's C code: the messages are compiled from
proto/paidan/v1 by protoc, frames and topics are as proto/README.md says, the sockets are pyzmq's.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import zmq

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARD = 110105
SERVICES = ('intake', 'matching', 'scheduling', 'points', 'notification')


def compile_contract():
    """Compile the contract into a folder and import it."""
    folder = tempfile.mkdtemp(prefix='paidan-contract.')
    protos = [os.path.join(ROOT, 'proto', 'paidan', 'v1', name + '.proto')
              for name in ('types', 'event', 'command', 'entry', 'edge')]
    subprocess.run(['protoc', '-I', os.path.join(ROOT, 'proto'), '--python_out', folder] + protos,
                   check=True)
    sys.path.insert(0, folder)
    from paidan.v1 import command_pb2, edge_pb2, entry_pb2, event_pb2, types_pb2
    shutil.rmtree(folder)
    return types_pb2, event_pb2, command_pb2, entry_pb2, edge_pb2


types, event, command, entry, edge = compile_contract()


class Refused(Exception):
    def __init__(self, refusal):
        super().__init__(f'{refusal.code} {refusal.field}: {refusal.rule}')
        self.refusal = refusal


class Door:
    """A DEALER socket at one of intake's doors; where there are instances, it goes to who leads."""

    def __init__(self, district, name):
        self.district, self.name, self.socket = district, name, None
        self.endpoints = [f'ipc://{folder}/door.{name}' for folder in district.folders]
        self.connect(self.endpoints[0])
        self.requests = 0
        self.keys = 0

    def connect(self, endpoint):
        if self.socket is not None:
            self.socket.close()
        self.endpoint = endpoint
        self.socket = self.district.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def send(self, message):
        """One command, one reply: an Ack, or Refused is raised."""
        self.requests += 1
        message.shard = message.shard or self.district.shard
        message.request = self.requests
        if not message.key:
            self.keys += 1
            message.key = f'{self.name}-{os.getpid()}-{self.keys}'
        return self.exchange(message.SerializeToString())

    def exchange(self, data, wait_ms=20000):
        for _ in range(20):
            reply = self.ask(data, wait_ms)
            if not reply.HasField('moved'):
                break
            assert reply.moved.endpoint in self.endpoints, reply
            self.connect(reply.moved.endpoint)
            time.sleep(0.05)
        if reply.HasField('refusal'):
            raise Refused(reply.refusal)
        return reply.ack

    def ask(self, data, wait_ms):
        self.socket.send(data)
        while True:
            if not self.socket.poll(wait_ms):
                if len(self.endpoints) > 1:  # perhaps nobody answers here, but elsewhere
                    self.connect(self.endpoints[self.endpoint == self.endpoints[0]])
                raise TimeoutError(f'no reply from door {self.name}')
            reply = command.Reply.FromString(self.socket.recv())
            if reply.request in (0, self.requests):
                return reply


class District:
    """`paidan up` in a directory of its own; ended by its pid."""

    def __init__(self, bin_dir, **settings):
        self.bin = bin_dir
        self.run_dir = tempfile.mkdtemp(prefix='paidan-it.', dir='/tmp')
        self.context = zmq.Context()
        self.folders = [self.run_dir]
        self.shard = SHARD  # that doors and subscriptions speak of
        if settings.get('instances', 1) > 1:
            self.folders.append(os.path.join(self.run_dir, 'b'))
        if 'shards' not in settings:
            settings['shard'] = SHARD
        self.tool('up', '--detach', '--zone', '+08:00',
                  *[word for key, value in settings.items() for word in (f'--{key}', str(value))])
        self.doors = {}

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        for door in self.doors.values():
            door.socket.close()
        self.context.destroy(linger=0)
        down = self.tool('down', check=False)
        if failed[0] is None and down.returncode != 0:
            raise AssertionError(f'paidan down: {down.stderr}')
        if failed[0] is not None and os.environ.get('PAIDAN_KEEP'):
            print('kept:', self.run_dir, file=sys.stderr)
        else:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def tool(self, *words, check=True):
        done = subprocess.run([os.path.join(self.bin, 'paidan'), *words, '--run-dir', self.run_dir],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f'paidan {" ".join(words)}: exit {done.returncode}\n'
                                 f'{done.stdout}\n{done.stderr}')
        return done

    def door(self, name):
        if name not in self.doors:
            self.doors[name] = Door(self, name)
        return self.doors[name]

    def subscribe(self, *logs):
        socket = self.context.socket(zmq.SUB)
        socket.linger = 0
        for log in logs or SERVICES:
            for folder in self.folders:
                socket.connect(f'ipc://{folder}/{log}.pub')
            socket.subscribe(f'@{self.shard:06d}/{log}')
        return Events(socket)

    def settle(self, ref='S'):
        """A centre, an institute and two stations around one point; returns the point."""
        site = self.door('site')
        for level, parent, name, dx, dy in ((1, '', '0', 0, 0), (2, '0', '1', 20000, 0),
                                            (3, '1', '2', 50000, 50000),
                                            (3, '1', '3', -50000, -50000)):
            message = command.Command()
            body = message.register_site
            body.level, body.parent_ref = level, parent and ref + parent
            body.ref, body.name, body.point.datum = ref + name, '站' + name, 1
            body.point.lon_e7, body.point.lat_e7 = 1164400000 + dx, 399200000 + dy
            site.send(message)

    def volunteer(self, name='志愿者甲', phone='13800000001', address='',
                  skills=(types.SKILL_COMPANION,), dx=0, dy=0,
                  **more):
        message = command.Command()
        body = message.register_volunteer
        body.name, body.phone, body.address = name, phone, address
        body.home.datum, body.home.lon_e7, body.home.lat_e7 = 1, 1164400000 + dx, 399200000 + dy
        body.skills.extend(skills)
        body.available.extend([0xffffff] * 7)
        body.radius_m, body.max_per_week, body.age = 3000, 20, types.AGE_BAND_36_59
        for key, value in more.items():
            setattr(body, key, value)
        return self.door('site').send(message).person

    def resident(self, name='居民甲', phone='13900000001', address=''):
        message = command.Command()
        body = message.register_resident
        body.name, body.phone, body.address = name, phone, address
        return self.door('resident').send(message).person

    def order(self, requester, note='陪老人去医院', address='', need=1, minutes=60, start_ms=None,
              key='', **more):
        now = int(time.time() * 1000)
        message = command.Command(key=key, actor=requester)
        body = message.place_order
        body.requester, body.kind, body.category = requester, types.ORDER_KIND_VISIT, 'elder_escort'
        body.note, body.address = note, address
        body.point.datum, body.point.lon_e7, body.point.lat_e7 = 1, 1164400000, 399200000
        body.skills.append(types.SKILL_COMPANION)
        body.need, body.minutes = need, minutes
        body.window_start_ms = start_ms or now + 3600000
        body.window_end_ms = body.window_start_ms + 4 * 3600000
        body.urgency, body.channel = types.URGENCY_SOON, types.CHANNEL_MINIPROGRAM
        for key, value in more.items():
            setattr(body, key, value)
        return self.door('resident').send(message)

    def pid(self, service):
        """Of a daemon or a Redis, found by its command line."""
        for number in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{number}/cmdline', 'rb') as file:
                    words = file.read().decode(errors='replace').split('\0')
            except OSError:
                continue
            line = ' '.join(words)
            if (self.run_dir in line and service in os.path.basename(words[0]) + ' ' + line
                    and 'paidan\0up' not in line):
                if os.path.basename(words[0]) == f'paidan-{service}':
                    return int(number)
                if service not in SERVICES and 'redis' in words[0] and service in line:
                    return int(number)
        return None

    def pid_of(self, service, instance):
        """Of an instance of a daemon, 0 or 1, as `up` wrote it down; None: it does not run."""
        try:
            path = os.path.join(self.folders[instance], f'{service}.pid')
            with open(path, encoding='ascii') as file:
                number = int(file.read())
            os.kill(number, 0)
            return number
        except (OSError, ValueError):
            return None

    def kill(self, service):
        pid = self.pid(service)
        if pid is None:
            raise AssertionError(f'{service} does not run')
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_ready(self, seconds=30):
        until = time.time() + seconds
        while time.time() < until:
            status = self.tool('status', '--output', 'json', check=False)
            if status.returncode == 0:
                return json.loads(status.stdout.splitlines()[0])
            time.sleep(0.1)
        raise AssertionError(f'not ready within {seconds} s: {status.stdout} {status.stderr}')


class Events:
    """What a subscriber hears: every event of the entries, in order."""

    def __init__(self, socket):
        self.socket = socket
        self.heard = []
        self.last = {}

    def poll(self, wait_ms):
        """Take what is there; False if nothing came in time."""
        if not self.socket.poll(wait_ms):
            return False
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            if len(frames) != 3:
                continue
            block = entry.Entry.FromString(frames[1])
            for item in block.items:
                if item.HasField('event'):
                    if self.last.setdefault(block.log, item.event.seq - 1) + 1 != item.event.seq:
                        raise AssertionError(f'gap in log {block.log} before {item.event.seq}')
                    self.last[block.log] = item.event.seq
                    self.heard.append(item.event)
        return True

    def wait(self, kind, found=lambda body: True, seconds=20):
        """The first event of this kind, heard already or yet to come, that `found` accepts."""
        until = time.time() + seconds
        seen = 0
        while True:
            for one in self.heard[seen:]:
                if one.WhichOneof('body') == kind and found(getattr(one, kind)):
                    return one
            seen = len(self.heard)
            left = until - time.time()
            if left <= 0:
                raise AssertionError(f'no {kind} within {seconds} s; heard '
                                     f'{[one.WhichOneof("body") for one in self.heard[-20:]]}')
            self.poll(int(min(left, 1) * 1000))


def wait_connected(events, seconds=10, logs=len(SERVICES)):
    """A subscription takes a moment: wait for heartbeats of every log (or of so many)."""
    until = time.time() + seconds
    wanted, logs = logs, set()
    while time.time() < until and len(logs) < wanted:
        if events.socket.poll(200):
            frames = events.socket.recv_multipart()
            if len(frames) == 2:
                logs.add(entry.Tip.FromString(frames[1]).log)
    if len(logs) < wanted:
        raise AssertionError(f'heartbeats of {len(logs)} logs only')


class Suite:
    """Runs functions named test_*, one line each, and ends with the counts."""

    def __init__(self, names):
        self.tests = [(name, test) for name, test in names.items() if name.startswith('test_')]

    def run(self, *arguments):
        failed = 0
        for name, test in self.tests:
            try:
                test(*arguments)
                print(f'ok    {name[5:]}', flush=True)
            except Exception as problem:
                failed += 1
                print(f'FAIL  {name[5:]}: {type(problem).__name__}: {problem}', flush=True)
        print(f'{len(self.tests) - failed} passed, {failed} failed')
        return 1 if failed else 0
