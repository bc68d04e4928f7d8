"""A district on the disk that forgets, its clock, its servers, and what heals them."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import zmq

from ground import SERVICES, SHARD, District
from power import Power, kill
from resp import Redis, RedisError

REDIS = ('log.redis', 'vault.redis')


class World(District):
    """Its logs and vault are on a small disk of their own where that can be mounted."""

    def __init__(self, bin_dir, shim, speed=600, disk_mb=400, settle=True, standby=False,
                 fsync='always'):
        self.bin, self.longest = bin_dir, 6.0  # seconds that something stands still
        self.run_dir = tempfile.mkdtemp(prefix='paidan-chaos.', dir='/tmp')
        self.context, self.doors = zmq.Context(), {}
        self.folders, self.shard = [self.run_dir], SHARD
        self.standby, self.daemons, self.takeovers = standby, list(SERVICES), []
        if standby:
            self.folders.append(os.path.join(self.run_dir, 'b'))
            self.daemons += ['b/' + name for name in SERVICES]
        self.power = Power(shim, os.path.join(self.run_dir, 'power'))
        self.power.write('log', 'options', f'--appendfsync {fsync}')
        self.data = os.path.join(self.run_dir, 'data')
        os.mkdir(self.data)
        self.mounted = disk_mb and self.mount(disk_mb)
        try:
            self.up('--speed', str(speed))
            if settle:
                self.settle()
        except BaseException:
            self.leave(False)
            raise

    def mount(self, size_mb):
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size_mb}m', 'paidan-chaos',
                               self.data], stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def up(self, *words, wait_s=60, check=True):
        return self.tool('up', '--detach', '--shard', str(SHARD), '--zone', '+08:00',
                         '--archive', '0', '--wait', str(wait_s), *words,
                         *(['--standby'] if self.standby else []), check=check)

    def tool(self, *words, check=True):
        with environment(**self.power.env, PAIDAN_SNAPSHOT_EVERY='1500'):
            return super().tool(*words, check=check)

    def __exit__(self, *failed):
        keep = failed[0] is not None and os.environ.get('PAIDAN_KEEP')
        self.leave(keep)

    def leave(self, keep):
        for door in self.doors.values():
            door.socket.close()
        self.context.destroy(linger=0)
        self.tool('down', check=False)
        if keep:
            print('kept:', self.run_dir)
            return
        if self.mounted:
            subprocess.run(['umount', '-l', self.data], check=False)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    # ---- clock ----

    def now_ms(self):
        """The shard's clock, as paidan.json tells it."""
        with open(os.path.join(self.run_dir, 'paidan.json'), encoding='utf-8') as file:
            clock = json.load(file)
        now = int(time.time() * 1000)
        if not clock['clock_anchor_ms']:
            return now
        if not clock['clock_at_ms']:  # it is down, and the clock stands still
            return clock['clock_anchor_ms']
        return clock['clock_anchor_ms'] + (now - clock['clock_at_ms']) * clock['clock_factor']

    # ---- processes ----

    def pid_of(self, name, instance=0):
        """As `paidan up` noted it; None while it does not run."""
        try:
            path = os.path.join(self.folders[instance], name + '.pid')
            with open(path, encoding='ascii') as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def wait_pid(self, name, but=None, seconds=15):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pid = self.pid_of(name)
            if pid not in (None, but):
                return pid
            time.sleep(0.01)
        raise AssertionError(f'{name} did not come back within {seconds} s: {self.said(name)}')

    def said(self, name):
        """The end of what it wrote."""
        try:
            with open(os.path.join(self.run_dir, name + '.log'), encoding='utf-8') as file:
                return file.read()[-3000:]
        except OSError:
            return ''

    def kill_one(self, name):
        pid = self.wait_pid(name)
        kill(pid)
        return pid

    def stop(self, name):
        pid = self.wait_pid(name)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def cut_power(self, name, seed, how):
        pid = self.wait_pid(name)
        self.power.cut(name.split('.')[0], pid, seed, how)
        return pid

    # ---- Redis ----

    def redis(self, name='log.redis', seconds=10):
        """As a user who may do all."""
        return Redis(os.path.join(self.run_dir, name), 'chaos', 'any', seconds)

    def ask(self, name, *words, seconds=20):
        """Until the server is there to answer."""
        until = time.monotonic() + seconds
        while True:
            try:
                with self.redis(name) as redis:
                    return redis(*words)
            except (OSError, RedisError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    # ---- who leads ----

    def leader(self, service):
        """Of a daemon: its name here; None: nobody does."""
        name = self.ask('log.redis', 'HGET', f'{{{SHARD:06d}}}:lease:{service}', 'n')
        return {b'a': service, b'b': 'b/' + service}.get(name)

    def epoch(self, service):
        """Of the last entry in its log."""
        rows = self.ask('log.redis', 'XREVRANGE', f'{{{SHARD:06d}}}:log:{service}', '+', '-',
                        'COUNT', 1)
        return int(dict(zip(rows[0][1][::2], rows[0][1][1::2]))[b'p']) if rows else 0

    # ---- the disk ----

    def ballast(self):
        return os.path.join(self.data, 'ballast')

    def fill_disk(self, left):
        """Leave so many bytes, and see to it that nothing else is freed meanwhile."""
        for _ in range(20):  # what others took meanwhile is full too
            space = os.statvfs(self.data)
            size = space.f_bavail * space.f_frsize - left
            with open(self.ballast(), 'wb') as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
                return
        raise AssertionError('the disk cannot be filled')

    def make_space(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.ballast())


@contextlib.contextmanager
def environment(**changes):
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

