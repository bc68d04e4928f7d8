"""Two instances of every daemon under load: whoever leads is killed, stopped, told to go; the other
leads on, nothing acknowledged is lost, and who wakes up late changes nothing.  And two districts in
the same daemons: what happens to one is nothing to the other."""
import json
import os
import signal
import socket
import sys
import threading
import time

from district import SERVICES, SHARD, District, Refused, Suite, command, entry, wait_connected

district = None
OTHER = SHARD + 1
LIMIT = 10  # seconds; what it really takes is printed


class Redis:
    """Enough of its protocol to ask, as the tool, who leads and how far a log is."""

    def __init__(self, user='tool'):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(district.run_dir, 'log.redis'))
        self.file = self.socket.makefile('rb')
        with open(os.path.join(district.run_dir, 'secrets', user), encoding='ascii') as file:
            self.ask('AUTH', user, file.read().strip())

    def ask(self, *words):
        parts = [str(word).encode() if not isinstance(word, bytes) else word for word in words]
        self.socket.sendall(b'*%d\r\n' % len(parts) +
                            b''.join(b'$%d\r\n%s\r\n' % (len(part), part) for part in parts))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b'$':
            return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2]
        if kind == b'*':
            return [self.read() for _ in range(int(rest))]
        if kind == b'-':
            raise RuntimeError(rest.decode())
        return rest

    def leader(self, log, shard=SHARD):
        """0 or 1: the instance; None: nobody."""
        name = self.ask('HMGET', f'{{{shard:06d}}}:lease:{log}', 'n')[0]
        return None if name is None else (b'a', b'b').index(name)

    def epoch(self, log, shard=SHARD):
        return int(self.ask('FCALL_RO', 'paidan_tail', '1', f'{{{shard:06d}}}:log:{log}')[2])


def until(found, seconds=LIMIT, what='it'):
    """Wait until it is so; returns how long that took."""
    begin = time.monotonic()
    while not found():
        if time.monotonic() - begin > seconds:
            raise AssertionError(f'{what} did not happen within {seconds} s')
        time.sleep(0.005)
    return time.monotonic() - begin


class Load(threading.Thread):
    """Places orders one by one, sends again what has no answer, and keeps a journal of acks."""

    def __init__(self, asker):
        super().__init__()
        self.asker, self.stop, self.acked, self.failure = asker, False, [], None
        self.longest = 0

    def run(self):
        try:
            while not self.stop:
                begin = time.monotonic()
                self.place(f'load-{self.name}-{len(self.acked)}')
                self.longest = max(self.longest, time.monotonic() - begin)
                time.sleep(0.002)
        except Exception as problem:
            self.failure = problem

    def place(self, key):
        start = int(time.time() * 1000) + 3600000
        door = district.door('resident')
        exchange, door.exchange = door.exchange, lambda data: type(door).exchange(door, data, 500)
        try:
            while True:
                try:
                    ack = district.order(self.asker, key=key, start_ms=start)
                    break
                except TimeoutError:
                    continue
                except Refused as refused:
                    if refused.refusal.code != command.CODE_RETRY:
                        raise
                    time.sleep(0.02)
        finally:
            door.exchange = exchange
        self.acked.append({'log': 'intake', 'seq': ack.position.seq, 'key': key, 'order': ack.id})


class Ears(threading.Thread):
    """Hears both instances: of each log every event may be said once, whoever says it."""

    def __init__(self):
        super().__init__()
        self.socket = district.subscribe().socket
        self.stop, self.heard, self.twice = False, {}, []

    def run(self):
        while not self.stop:
            if not self.socket.poll(100):
                continue
            frames = self.socket.recv_multipart()
            if len(frames) != 3:
                continue
            one = entry.Entry.FromString(frames[1])
            for seq in range(one.first_seq, one.last_seq + 1):
                if self.heard.setdefault((one.log, seq), frames[2]) != frames[2]:
                    self.twice.append((one.log, seq))


def under_load(disturb):
    """Disturb while orders come in; then all acknowledged are in the log, and orders still flow."""
    load, ears = Load(district.resident('居民')), Ears()
    load.start()
    ears.start()
    time.sleep(0.5)
    try:
        disturb()
        before = len(load.acked)
        limit = time.time() + 30
        while len(load.acked) < before + 50 and time.time() < limit and load.failure is None:
            time.sleep(0.05)
        more = len(load.acked) - before
    finally:
        load.stop = ears.stop = True
        load.join()
        ears.join()
        ears.socket.close()
    if load.failure is not None:
        raise load.failure
    assert more >= 50, f'orders stopped flowing: {more} acks after it'
    assert not ears.twice, f'two entries for the same events: {ears.twice[:5]}'
    district.wait_ready()
    journal = os.path.join(district.run_dir, 'acks.jsonl')
    with open(journal, 'w', encoding='utf-8') as file:
        file.writelines(json.dumps(line) + '\n' for line in load.acked)
    checked = district.tool('verify', '--journal', journal, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    numbers = [line['order'] for line in load.acked]
    assert len(set(numbers)) == len(numbers), 'two keys, one order'
    return load.longest


def reasons(service, instance):
    """What /readyz says; None: it does not answer."""
    path = os.path.join(district.folders[instance], f'{service}.http')
    try:
        with socket.socket(socket.AF_UNIX) as http:
            http.settimeout(2)
            http.connect(path)
            http.sendall(b'GET /readyz HTTP/1.0\r\n\r\n')
            text = b''
            while part := http.recv(4096):
                text += part
        return ' '.join(json.loads(text.split(b'\r\n\r\n', 1)[1])['reasons'])
    except OSError:
        return None


def stands_by(service, instance):
    return 'standing by' in (reasons(service, instance) or '')


def take_over(service, disturb, redis):
    """Disturb whoever leads; returns how long it takes until the other has begun its epoch."""
    leader = redis.leader(service)
    assert leader is not None, f'nobody leads {service}'
    until(lambda: stands_by(service, 1 - leader), what='standing by')
    epoch = redis.epoch(service)
    disturb(district.pid_of(service, leader))
    took = until(lambda: redis.leader(service) == 1 - leader and redis.epoch(service) > epoch,
                 what=f'that the other instance leads {service}')
    return leader, took


def supervisor():
    with open(os.path.join(district.run_dir, 'up.lock'), encoding='ascii') as file:
        return int(file.read())


def test_a_killed_leader_that_is_started_again_or_the_other_leads_on():
    redis = Redis()
    for service in SERVICES:
        epoch = redis.epoch(service)
        begin = time.monotonic()
        os.kill(district.pid_of(service, redis.leader(service)), signal.SIGKILL)
        until(lambda: redis.epoch(service) > epoch, what=f'that {service} is led on')
        print(f'      {service}: kill -9 and started again, led on after '
              f'{time.monotonic() - begin:.2f} s')
    district.wait_ready()


def test_who_stands_by_leads_on_after_kill_9_and_nothing_acknowledged_is_lost():
    redis = Redis()
    for service in SERVICES:
        found = {}

        def kill():
            os.kill(supervisor(), signal.SIGSTOP)  # or it would be there again within 0.1 s
            try:
                found['leader'], found['took'] = take_over(
                    service, lambda pid: os.kill(pid, signal.SIGKILL), redis)
            finally:
                os.kill(supervisor(), signal.SIGCONT)

        longest = under_load(kill)
        until(lambda: stands_by(service, found['leader']), what='that the killed one stands by')
        print(f'      {service}: kill -9, led on after {found["took"]:.2f} s, '
              f'longest wait for an ack {longest:.2f} s')


def test_who_stood_still_changes_nothing_and_stands_by():
    redis = Redis()
    for service, pause in zip(SERVICES, (3, 4, 5, 6, 3)):
        found = {}

        def stop():
            pid = []

            def halt(number):
                pid.append(number)
                os.kill(number, signal.SIGSTOP)

            leader, took = take_over(service, halt, redis)
            time.sleep(max(pause - took, 0))
            epoch = redis.epoch(service)
            os.kill(pid[0], signal.SIGCONT)
            until(lambda: stands_by(service, leader), what='that the woken one stands by')
            assert district.pid_of(service, leader) == pid[0], 'it was started anew'
            assert redis.leader(service) == 1 - leader and redis.epoch(service) == epoch
            found['took'] = took

        longest = under_load(stop)
        print(f'      {service}: stopped for {pause} s, led on after {found["took"]:.2f} s, '
              f'longest wait for an ack {longest:.2f} s')


def test_who_is_told_to_go_hands_over_at_once():
    redis = Redis()
    for service in SERVICES:
        found = {}

        def end():
            found['leader'], found['took'] = take_over(
                service, lambda pid: os.kill(pid, signal.SIGTERM), redis)

        longest = under_load(end)
        print(f'      {service}: SIGTERM, led on after {found["took"]:.2f} s, '
              f'longest wait for an ack {longest:.2f} s')


def test_a_client_at_the_wrong_instance_is_told_where_to_go():
    redis = Redis()
    leader = redis.leader('intake')
    door = district.door('site')
    door.connect(door.endpoints[1 - leader])
    message = command.Command(shard=SHARD, key='moved-1', request=door.requests)
    message.register_resident.name, message.register_resident.phone = '居民', '13900000002'
    said = door.ask(message.SerializeToString(), 5000)
    assert said.moved.endpoint == door.endpoints[leader], said
    assert said.moved.instance == 'ab'[leader] and said.moved.shard == SHARD, said
    assert len(door.exchange(message.SerializeToString()).person) == 16
    # The tool's client begins at the first instance, wherever the leader is.
    order = district.order(district.resident()).id
    district.tool('order', 'cancel', str(order))


def test_both_redis_come_back_and_somebody_leads():
    redis = Redis()
    before = {service: redis.epoch(service) for service in SERVICES}
    under_load(lambda: district.kill('log'))
    redis = Redis()
    until(lambda: all(redis.leader(service) is not None for service in SERVICES), 20, 'leading')
    assert all(redis.epoch(service) >= before[service] for service in SERVICES)


def with_instances(bin_dir):
    global district
    with District(bin_dir, instances=2) as district:
        district.settle()
        for number in range(40):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 40000, dy=number * 1000)
        code = Suite(globals()).run()
        district.tool('verify')
    return code


# ---- several districts ----


def order_in(shard, key=''):
    """Place an order of somebody new there; its number."""
    district.shard = shard
    try:
        return district.order(district.resident(), key=key, note='').id
    finally:
        district.shard = SHARD


def offers_in(shard, events):
    order = order_in(shard)
    return events.wait('offer_made', lambda body: body.order == order)


def several_two_districts_live_in_the_same_daemons(redis):
    for shard in (SHARD, OTHER):
        district.shard = shard
        district.settle()
        district.volunteer()
        events = district.subscribe()
        wait_connected(events)
        offers_in(shard, events)
        events.socket.close()
        assert redis.epoch('matching', shard) > 0
        checked = district.tool('verify', '--shard', str(shard))
        assert 'faults: 0' in checked.stdout, checked.stdout
    district.shard = SHARD


def several_a_command_for_another_district_is_refused(redis):
    district.shard = OTHER + 1
    try:
        district.resident()
        raise AssertionError('a command for a district that nobody serves was taken')
    except Refused as refused:
        assert refused.refusal.code == command.CODE_WRONG_SHARD, refused
    finally:
        district.shard = SHARD


def several_the_districts_spread_over_the_instances(redis):
    for log in SERVICES:
        took = until(lambda: sorted((redis.leader(log, SHARD), redis.leader(log, OTHER))) == [0, 1],
                     20, f'that the districts of {log} are spread')
        print(f'      {log}: spread after {took:.2f} s')


def several_metrics_name_the_district(redis):
    with socket.socket(socket.AF_UNIX) as http:
        http.connect(os.path.join(district.run_dir, 'intake.http'))
        http.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
        text = b''
        while part := http.recv(65536):
            text += part
    for shard in (SHARD, OTHER):
        assert f'paidan_leading{{shard="{shard}"}}'.encode() in text, text[:2000]


def several_what_is_done_to_one_log_is_nothing_to_the_other(redis):
    """A foreign entry stands in a log of one district: it is not served, and the other is."""
    deploy = Redis('deploy')
    key = f'{{{OTHER:06d}}}:log:intake'
    last = int(redis.ask('FCALL_RO', 'paidan_tail', '1', key)[0])
    deploy.ask('XADD', key, f'{last + 9}-0', 'e', 'not an entry', 'h', b'x' * 32, 'p', '99')
    leader = redis.leader('intake', OTHER)
    os.kill(district.pid_of('intake', leader), signal.SIGKILL)  # who comes back must read it
    until(lambda: str(OTHER) in (reasons('intake', 0) or '') + (reasons('intake', 1) or ''), 20,
          'that it is said')
    until(lambda: redis.leader('intake', SHARD) is not None, what='leading')
    numbers = [order_in(SHARD) for _ in range(20)]
    assert len(set(numbers)) == 20
    try:
        district.door('site')
        door = district.door('resident')
        exchange, door.exchange = door.exchange, lambda data: type(door).exchange(door, data, 1000)
        order_in(OTHER)
        raise AssertionError('a log that does not hold was written on')
    except (Refused, TimeoutError):
        pass
    finally:
        door.exchange = exchange
    checked = district.tool('verify', '--shard', str(SHARD))
    assert 'faults: 0' in checked.stdout, checked.stdout


def with_districts(bin_dir):
    global district
    with District(bin_dir, instances=2, shards=f'{SHARD},{OTHER}') as district:
        redis = Redis()
        suite = Suite({})
        suite.tests = [(f'test_{name[8:]}', test) for name, test in globals().items()
                       if name.startswith('several_')]
        return suite.run(redis)


if __name__ == '__main__':
    # So that restarts begin with snapshots, and some snapshots are cut off.
    os.environ['PAIDAN_SNAPSHOT_EVERY'] = '1000'
    sys.exit(with_instances(sys.argv[1]) or with_districts(sys.argv[1]))
