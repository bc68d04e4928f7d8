"""What is done to a district: each fault is a function of (world, dice) that returns what it did.

It begins under load; when it returns the cause is gone, and the rest is for the district to heal.
A fault that cannot be made here (no mount without root) raises NotHere.
"""
import os
import signal
import time

import damage
from ground import SERVICES
from world import REDIS


class NotHere(Exception):
    """It cannot be made on this machine; the reason."""


def kill(world, dice):
    """kill -9 of one to three daemons."""
    names = dice.sample(world.daemons, dice.choice((1, 1, 2, 3)))
    for name in names:
        world.kill_one(name)
        time.sleep(dice.uniform(0, 0.2))
    return 'kill -9 of ' + ', '.join(names)


def stop(world, dice):
    """SIGSTOP of a daemon, and SIGCONT later."""
    return pause(world, dice, dice.choice(world.daemons))


def pause(world, dice, name):
    seconds = dice.uniform(1, world.longest)
    pid = world.stop(name)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
    return f'{name} stands still for {seconds:.1f} s'


def redis_stop(world, dice):
    """SIGSTOP of a Redis: it holds its connections and says nothing."""
    return pause(world, dice, dice.choice(REDIS))


def redis_kill(world, dice):
    """kill -9 of a Redis, once or twice."""
    name, times = dice.choice(REDIS), dice.choice((1, 1, 2))
    for _ in range(times):
        world.kill_one(name)
        time.sleep(dice.uniform(0.1, 0.6))
    return f'kill -9 of {name}, {times} times'


def power(world, dice, name='log.redis'):
    """The power of a Redis is cut at a random moment; what was not synced is gone, or torn."""
    time.sleep(dice.uniform(0, 0.3))
    how = dice.choice(('torn', 'torn', 'drop'))
    before = world.cut_power(name, dice.randrange(1 << 32), how)
    world.wait_pid(name, but=before)
    return f'power cut of {name} ({how})'


def vault_power(world, dice):
    return power(world, dice, 'vault.redis')


def rewrite_power(world, dice):
    """A power cut while the log is written anew."""
    world.ask('log.redis', 'BGREWRITEAOF')
    time.sleep(dice.uniform(0, 0.1))
    return 'rewrite, then ' + power(world, dice)


def blackout(world, dice):
    """Everything at once: both Redis lose their power, all daemons are killed."""
    seeds = [dice.randrange(1 << 32) for _ in REDIS]
    for name, seed in zip(REDIS, seeds):
        world.cut_power(name, seed, 'torn')
    for name in world.daemons:
        world.kill_one(name)
    return 'power cut of everything'


def eio(world, dice):
    """One fsync fails; what it should have made durable is lost with the next cut, or is not."""
    name = dice.choice(REDIS)
    book = name.split('.')[0]
    before, pid = world.power.failed_fsyncs(book), world.wait_pid(name)
    lost = dice.random() < 0.5
    if lost:
        world.power.write(book, 'cut', f'{dice.randrange(1 << 32)} drop\n')
    world.power.fail_fsync(book)
    until = time.monotonic() + 10
    while world.power.failed_fsyncs(book) == before and time.monotonic() < until:
        if name == 'vault.redis':
            world.ask(name, 'SET', 'chaos', 'x')
        time.sleep(0.05)
    assert world.power.failed_fsyncs(book) == before + 1, 'no fsync failed'
    world.wait_pid(name, but=pid)
    return f'an fsync of {name} fails' + (', its pages are lost' if lost else '')


def disk(world, dice):
    """The disk is full for a while."""
    if not world.mounted:
        raise NotHere('a small disk cannot be mounted (root?)')
    left = dice.choice((0, 4096, 65536, 300000))
    try:
        world.fill_disk(left)
        time.sleep(dice.uniform(1, world.longest))
    finally:
        world.make_space()
    return f'the disk is full ({left} bytes left)'


def memory(world, dice):
    """A Redis has no memory left for a while."""
    name = dice.choice(REDIS)
    world.ask(name, 'CONFIG', 'SET', 'maxmemory', '1mb')
    try:
        time.sleep(dice.uniform(1, world.longest))
    finally:
        world.ask(name, 'CONFIG', 'SET', 'maxmemory', '0')
    return f'{name} has no memory left'


def flip_log(world, dice):
    """Bits flip in the AOF at rest: found by Redis, by the checkers or by the daemons' start."""
    world.tool('down')
    try:
        found, harmless = damage.flips_found(world, dice, 4)
        why = damage.start_refused(world, dice)
    finally:
        damage.restore(world)
        world.up()
    return f'{found} flips in the AOF found, {harmless} without effect; start refused: {why}'


def flip_snapshot(world, dice):
    """A bit flips in some snapshots: they are said to be damaged, and the log is replayed."""
    world.tool('down')
    names = dice.sample(SERVICES, dice.randrange(1, 6))
    before = {name: damage.ignored(world, name) for name in names}
    for name in names:
        damage.flip(damage.snapshot(world, name), dice)
    world.up()
    for name in names:
        assert damage.ignored(world, name) == before[name] + 1, \
            f'{name} has taken a damaged snapshot: {world.said(name)}'
    return f'a bit flips in the snapshots of {", ".join(names)}'


def standby(world, dice):
    """Whoever leads is killed or stands still; the other instance leads on, and how soon is noted.

    Who stood still wakes up as a stale leader: what it had under way must not be taken.
    """
    if not world.standby:
        raise NotHere('one instance of each daemon runs (--standby)')
    did = []
    for service in dice.sample(SERVICES, dice.choice((1, 2, 5))):
        name, epoch = leads(world, service), world.epoch(service)
        dies, began = dice.random() < 0.6, time.monotonic()
        pid = world.kill_one(name) if dies else world.stop(name)
        try:
            while world.epoch(service) <= epoch:
                assert time.monotonic() < began + 15, f'nobody leads {service} after {name}'
                time.sleep(0.01)
            world.takeovers.append(time.monotonic() - began)
            time.sleep(dice.uniform(0, 1))
        finally:
            if not dies:
                os.kill(pid, signal.SIGCONT)
        did.append(f'{name} {"dies" if dies else "stands still"}: {world.takeovers[-1]:.2f} s')
    return 'takeovers: ' + ', '.join(did)


def leads(world, service):
    until = time.monotonic() + 15
    while not (name := world.leader(service)):
        assert time.monotonic() < until, f'nobody leads {service}'
        time.sleep(0.05)
    return name


FAULTS = {'kill': kill, 'stop': stop, 'redis-kill': redis_kill, 'redis-stop': redis_stop,
          'power': power, 'vault-power': vault_power, 'rewrite-power': rewrite_power,
          'blackout': blackout, 'eio': eio, 'disk': disk, 'memory': memory,
          'flip-log': flip_log, 'flip-snapshot': flip_snapshot, 'standby': standby}
