"""P8 on a real AOF: a commit that was cut off anywhere is there as a whole or not at all.

A district writes some hundreds of commits.  Then its AOF is cut at every byte of one of them, as a
power cut may, and Redis loads each of these: every log must be what it was before that commit or
after it, and the next commit must be taken.  At some offsets the whole district goes on from there.
"""
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time

from aof import commits
from checker import Checker, state_of
from ground import Suite
from people import People
from power import Server
from world import World

SHIM, BIN = sys.argv[1:3]
dice = random.Random(int(os.environ.get('CHAOS_SEED', '11')))
SMALL = 900  # bytes in the AOF; every one of them costs a start of Redis
world = None
aof = None


class Aof:
    """A folder with the AOF of the district, cut where a test wants it."""

    def __init__(self, folder):
        shutil.copytree(os.path.join(world.data, 'log'), folder,
                        ignore=shutil.ignore_patterns('.powercut'))
        parts = os.path.join(folder, 'appendonlydir')
        name, = [one for one in os.listdir(parts) if one.endswith('.incr.aof')]
        self.folder, self.path = folder, os.path.join(parts, name)
        with open(self.path, 'rb') as file:
            self.data = file.read()

    def cut(self, size):
        with open(self.path, 'wb') as file:
            file.write(self.data[:size])


def checked(redis):
    """No fault up to a mark that has not come: the other logs may be cut before it."""
    checker = Checker()
    checker.read(redis)
    assert not checker.faults, checker.faults[:5]
    return checker


def goes_on(redis, key):
    """The next commit is taken, after a leader's start, as the store does it."""
    tip = key.replace(b':log:', b':tip:')
    seq, digest, epoch = redis('FCALL', 'paidan_boot', 2, key, tip)
    next_seq, data = int(seq) + 1, dice.randbytes(50)
    answer = redis('FCALL', 'paidan_commit', 2, key, tip, int(epoch) + 1, next_seq, next_seq,
                   digest, hashlib.sha256(data).digest(), data)
    assert answer == [b'ok'], answer


def chosen():
    """A commit behind some hundreds of others, small enough to try each of its bytes."""
    all_of_them = list(commits(aof.data))
    assert len(all_of_them) > 200, f'{len(all_of_them)} commits only'
    small = [one for one in all_of_them[200:] if one[1] - one[0] < SMALL]
    return dice.choice(small or [min(all_of_them[200:], key=lambda one: one[1] - one[0])])


def test_at_every_byte_a_commit_is_whole_or_not_there():
    begin, end, key, ident = chosen()
    server = Server(world.power, aof.folder, '--appendfsync', 'always', '--aof-load-truncated',
                    'yes')
    seen, started = {}, time.monotonic()
    for size in range(begin, end + 1):
        aof.cut(size)
        world.power.forget(server.name)
        assert server.start(), f'Redis does not load what is cut at {size}'
        with server.connect() as redis:
            what = state_of(redis)
            if what not in seen:
                checker = checked(redis)
                last = max(log.seq for log in checker.logs.values()
                           if log.name.encode() in key)
                seen[what] = (size, last)
            goes_on(redis, key)
        server.kill()
    (first, before), (second, after) = sorted(seen.values())
    assert (first, second) == (begin, end), f'another state at {seen}'
    assert before < int(ident.split(b'-')[0]) == after
    spent = time.monotonic() - started
    print(f'      {key.decode()} {ident.decode()}: {end - begin + 1} offsets in {spent:.0f} s, '
          f'{len(list(commits(aof.data[:begin])))} commits before it', flush=True)


def test_the_district_goes_on_from_a_torn_commit():
    log = os.path.join(world.data, 'log')
    for _ in range(4):
        begin, end, _, _ = dice.choice(list(commits(aof.data))[-40:])
        shutil.rmtree(log)
        aof.cut(dice.randrange(begin + 1, end))
        shutil.copytree(aof.folder, log)
        shutil.rmtree(os.path.join(world.data, 'snapshots'))
        world.power.forget('log')
        world.up()
        person = world.resident(name='居民', phone='139')
        assert world.order(person, start_ms=world.now_ms() + 3600000).id
        world.wait_ready()
        world.tool('verify')
        with world.redis() as redis:
            checked(redis)
        world.tool('down')


def write_some(seconds=4):
    people = People(world, 5, os.path.join(world.run_dir, 'acks.jsonl'))
    people.start()
    people.placing = True
    time.sleep(seconds)
    assert people.rest(30) and not people.failure
    people.stopping = True
    people.join()
    world.tool('down')


if __name__ == '__main__':
    with World(BIN, SHIM, disk_mb=0) as world:
        write_some()
        with tempfile.TemporaryDirectory(prefix='paidan-cut.', dir='/tmp') as where:
            aof = Aof(os.path.join(where, 'log'))
            code = Suite(globals()).run()
        world.up()
    sys.exit(code)
