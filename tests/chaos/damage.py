"""Flipped bits: in the AOF at rest, and in snapshots, while the district is down."""
import os
import shutil

from google.protobuf.message import DecodeError

from aof import commits
from checker import Checker, state_of
from ground import SERVICES, SHARD
from power import Server


def kept(world):
    return os.path.join(world.data, 'log.kept')


def aof_of(folder):
    """The part of the AOF that grows."""
    parts = os.path.join(folder, 'appendonlydir')
    name, = [one for one in os.listdir(parts) if one.endswith('.incr.aof')]
    return os.path.join(parts, name)


def flip(path, dice, begin=0, end=None):
    """One bit, somewhere between."""
    with open(path, 'r+b') as file:
        end = end or file.seek(0, os.SEEK_END)
        at = dice.randrange(begin, end)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << dice.randrange(8)]))


def restore(world):
    """The log's folder as it was before all damage; snapshots of the damaged one would be ahead."""
    world.tool('down', check=False)
    shutil.rmtree(os.path.join(world.data, 'snapshots'), ignore_errors=True)
    if os.path.exists(kept(world)):
        log = os.path.join(world.data, 'log')
        shutil.rmtree(log, ignore_errors=True)
        os.rename(kept(world), log)
    world.power.forget('log')


def fresh_copy(world, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept(world), folder, ignore=shutil.ignore_patterns('.powercut'))
    world.power.forget(os.path.basename(folder))


def faults_in(server):
    checker = Checker()
    try:
        with server.connect() as redis:
            checker.read(redis)
    except (DecodeError, KeyError, ValueError, RuntimeWarning) as problem:
        return [f'unreadable: {problem!r}']
    return checker.faults + [f'never came: {name}' for name in checker.unfolded()]


def verify(world, server):
    """`paidan verify` over that server, with the clients' journal."""
    from world import environment
    with environment(PAIDAN_LOG_REDIS='unix:' + server.socket, PAIDAN_LOG_USER='default'):
        return world.tool('verify', '--journal', os.path.join(world.run_dir, 'acks.jsonl'),
                          check=False)


def flips_found(world, dice, count):
    """Flip a bit of a copy, so many times; (found, without effect).  A third would be a fault."""
    os.rename(os.path.join(world.data, 'log'), kept(world))
    shutil.copytree(kept(world), os.path.join(world.data, 'log'))
    folder = os.path.join(world.run_dir, 'flipped')
    fresh_copy(world, folder)
    server = Server(world.power, folder, '--appendfsync', 'no')
    assert server.start()
    with server.connect() as redis:
        good = state_of(redis)
    done = verify(world, server)
    assert done.returncode == 0, f'the undamaged copy: {done.stdout} {done.stderr}'
    server.kill()
    found = 0
    for _ in range(count):
        fresh_copy(world, folder)
        flip(aof_of(folder), dice)
        if not server.start():
            found += 1  # Redis itself has found it
            continue
        with server.connect() as redis:
            same = state_of(redis) == good
        if not same:
            ours, tool = faults_in(server), verify(world, server)
            assert tool.returncode == 1, f'paidan verify finds nothing: {tool.stdout}'
            assert ours or 'P1' in tool.stdout, 'the checker finds nothing'
            found += 1
        server.kill()
    shutil.rmtree(folder)
    return found, count - found


def start_refused(world, dice):
    """A bit of an entry flips, and no snapshot stands in for it: the district does not start."""
    path = aof_of(os.path.join(world.data, 'log'))
    with open(path, 'rb') as file:
        data = file.read()
    begin, end, key, ident = dice.choice(list(commits(data)))
    payload = data.index(b'\r\ne\r\n', data.index(b'XADD', begin)) + 10
    flip(path, dice, payload, end - 100 if end - 100 > payload else payload + 20)
    shutil.rmtree(os.path.join(world.data, 'snapshots'))
    world.power.forget('log')
    done = world.up(wait_s=4, check=False)
    name = key.decode().rsplit(':', 1)[1]
    assert done.returncode != 0, f'{name} {ident} is damaged, and the district starts'
    why = 'the log cannot be replayed'
    said = ''.join(world.said(service) for service in SERVICES)
    assert why in said and '`paidan verify`' in said, f'refused, but why? {done.stderr} {said}'
    return why


def snapshot(world, name):
    return os.path.join(world.data, 'snapshots', f'{SHARD:06d}', name + '.snapshot')


def ignored(world, name):
    """How often this daemon has said that its snapshot is not to be trusted."""
    with open(os.path.join(world.run_dir, name + '.log'), encoding='utf-8') as file:
        return file.read().count('snapshot is ignored')
