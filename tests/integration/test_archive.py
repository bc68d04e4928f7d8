"""Archive and trimming under load, with kill -9 at random moments: Redis stays small, nothing is
lost, and a daemon without a snapshot finds everything in archive and log."""
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

from district import SERVICES, SHARD, District, Refused, Suite, command

district = None
RETAIN = 500
EVERY = 1000  # events from snapshot to snapshot


class Load(threading.Thread):
    """Places orders and cancels them, keeping a journal of acks."""

    def __init__(self, asker):
        super().__init__(daemon=True)
        self.asker, self.stop, self.acked, self.failure = asker, False, [], None

    def run(self):
        try:
            number = 0
            while not self.stop:
                number += 1
                start = int(time.time() * 1000) + 3600000
                ack = self.insist(lambda: district.order(
                    self.asker, key=f'load-{number}', start_ms=start))
                self.acked.append({'log': 'intake', 'seq': ack.position.seq, 'order': ack.id})
                if len(self.acked) > 20:
                    self.cancel(self.acked[-20]['order'])
        except Exception as problem:
            self.failure = problem

    def cancel(self, order):
        message = command.Command(actor=self.asker, key=f'cancel-{order}')
        message.cancel_order.order = order
        try:
            self.insist(lambda: district.door('resident').send(message))
        except Refused:
            pass

    def insist(self, call):
        door = district.door('resident')
        exchange = type(door).exchange
        door.exchange = lambda data: exchange(door, data, 1000)
        while True:
            try:
                return call()
            except TimeoutError:
                continue
            except Refused as refused:
                if refused.refusal.code != command.CODE_RETRY:
                    raise
                time.sleep(0.02)


def redis(*words):
    with open(os.path.join(district.run_dir, 'secrets', 'tool'), encoding='utf-8') as file:
        password = file.read().strip()
    done = subprocess.run(['redis-cli', '-s', os.path.join(district.run_dir, 'log.redis'),
                           '--no-auth-warning', '--user', 'tool', *words],
                          env={**os.environ, 'REDISCLI_AUTH': password}, stdout=subprocess.PIPE,
                          check=False)
    return done.stdout.decode('latin-1').strip()


def memory():
    for line in redis('INFO', 'memory').splitlines():
        if line.startswith('used_memory:'):
            return int(line.split(':')[1])
    return None


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def ends():
    return {row['log']: row for row in lines(district.tool('log', 'ls', '--output', 'json'))}


def archive_pass(kill_after=None):
    """One pass; False if it was killed on its way or refused for a moment."""
    process = subprocess.Popen([os.path.join(district.bin, 'paidan'), 'archive', 'run', '--retain',
                                str(RETAIN), '--run-dir', district.run_dir],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    _, said = process.communicate()
    assert process.returncode in (0, -9, 69) or b'broke' in said, said
    return process.returncode == 0


def verify(journal=()):
    path = os.path.join(district.run_dir, 'acks.jsonl')
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(json.dumps(line) + '\n' for line in journal)
    done = district.tool('verify', '--journal', path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    done = district.tool('archive', 'verify', check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def stream_from(log):
    first = redis('XRANGE', '{%06d}:log:%s' % (SHARD, log), '-', '+', 'COUNT', '1').split('-')[0]
    return int(first or 0)


def segments():
    folder = os.path.join(district.run_dir, 'data', 'archive', '%06d' % SHARD)
    return sorted(os.path.join(path, name) for path, _, names in os.walk(folder)
                  for name in names if name.endswith('.seg'))


def test_under_load_and_kills_streams_stay_short_and_nothing_is_lost():
    dice = random.Random(7)
    load = Load(district.resident('居民'))
    load.start()
    until, rounds = time.time() + 25, 0
    while load.failure is None and (time.time() < until or (
            len(load.acked) < 2000 and time.time() < until + 60)):  # a slow build takes longer
        rounds += 1
        archive_pass(dice.choice([None, None, 0.002, 0.01, 0.03]))
        if rounds % 4 == 0:
            victim = dice.choice(SERVICES + ('log',))
            if district.pid(victim):
                district.kill(victim)
            time.sleep(0.3)
        if rounds % 10 == 0:
            print(f'      used_memory {memory()}', flush=True)
        time.sleep(0.2)
    load.stop = True
    load.join()
    if load.failure:
        raise load.failure
    district.wait_ready()
    district.tool('down')
    start()
    assert archive_pass(), 'a pass of its own'
    print(f'      {len(load.acked)} orders, {len(segments())} segments, used_memory {memory()}')
    for log, row in ends().items():
        assert row['first'] <= 1, f'{log}: the tool reads on into the archive: {row}'
        left = row['last'] - stream_from(log)
        assert left < RETAIN + 2 * EVERY, f'{log}: {left} events are left in the stream'
    assert stream_from('intake') > 1 and stream_from('matching') > 1, 'nothing was trimmed'
    verify(load.acked)


def start():
    district.tool('up', '--detach', '--shard', str(SHARD), '--zone', '+08:00', '--archive', '0')
    district.wait_ready()


def image(service):
    """The compressed image of a snapshot: the same bytes for the same state."""
    path = os.path.join(district.run_dir, 'data', 'snapshots', '%06d' % SHARD,
                        service + '.snapshot')
    with open(path, 'rb') as file:
        data = file.read()
    return path, data[data.index(b'\x28\xb5\x2f\xfd', 64):-32]


def test_a_daemon_without_a_snapshot_is_the_same_again():
    district.tool('down')
    before = {name: image(name) for name in ('intake', 'matching', 'points')}
    for path, _ in before.values():
        os.remove(path)
    start()
    district.tool('down')
    for name, (_, bytes_before) in before.items():
        assert image(name)[1] == bytes_before, f'{name} is not what it was'
    start()
    verify()


def test_what_was_trimmed_is_read_as_if_it_stood_in_the_log():
    last = ends()['intake']['last']
    assert stream_from('intake') > 1
    events = lines(district.tool('log', 'get', 'intake', '--from', '1', '--to', str(last)))
    assert [one['seq'] for one in events] == list(range(1, last + 1))
    order = next(one for one in events if one['kind'] == 'order_placed')
    number = str(order['order_placed']['order'])
    assert 'order_placed' in district.tool('trace', number, '--output', 'json').stdout
    assert district.tool('why', number, check=False).returncode == 0
    tail = district.tool('tail', 'intake', '--since', '1', '--count', '50')
    assert [one['seq'] for one in lines(tail)] == list(range(1, 51))
    some = lines(district.tool('archive', 'export', 'intake', '--from', '7', '--to', '90'))
    assert some == events[6:90]


def test_a_backup_holds_the_archive_too_and_comes_back():
    folder, other = os.path.join(district.run_dir, 'backup'), district.run_dir + '.2'
    district.tool('backup', folder)
    want = {log: row['last'] for log, row in ends().items()}
    os.mkdir(other)
    try:
        words = [os.path.join(district.bin, 'paidan'), '--run-dir', other]
        done = subprocess.run([words[0], 'restore', folder, *words[1:]], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert str(sum(want.values())) in done.stdout, (want, done.stdout)
    finally:
        shutil.rmtree(other)


def test_a_flipped_bit_in_a_segment_is_found():
    dice = random.Random(3)
    for path in dice.sample(segments(), 3):
        with open(path, 'rb') as file:
            good = file.read()
        for _ in range(10):
            bad, at = bytearray(good), dice.randrange(len(good))
            bad[at] ^= 1 << dice.randrange(8)
            with open(path, 'wb') as file:
                file.write(bad)
            done = district.tool('archive', 'verify', check=False)
            assert done.returncode == 1 and 'FAULT' in done.stdout, f'{path}: byte {at}'
        with open(path, 'wb') as file:
            file.write(good)
    verify()


if __name__ == '__main__':
    os.environ['PAIDAN_SNAPSHOT_EVERY'] = str(EVERY)
    with District(sys.argv[1], archive=0) as district:
        district.settle()
        for number in range(40):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 40000,
                               dy=number * 1000)
        code = Suite(globals()).run()
    sys.exit(code)
