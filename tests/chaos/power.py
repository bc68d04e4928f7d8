"""The disk that forgets (powercut.c), from outside: cutting the power, failing an fsync."""
import contextlib
import os
import signal
import struct
import subprocess
import time

from ground import HERE
from resp import Redis, RedisError


def children_of(pid):
    found = []
    for number in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{number}/stat', encoding='ascii', errors='replace') as file:
                if int(file.read().rsplit(')', 1)[1].split()[1]) == pid:
                    found.append(int(number))
        except (OSError, IndexError):
            continue
    return found


def kill(pid):
    """At once, with what it has forked; False: it was gone already."""
    try:
        family = [pid] + children_of(pid)
        for one in family:
            os.kill(one, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Power:
    """Of all servers that are started with this environment."""

    def __init__(self, shim, folder):
        self.folder = folder
        self.env = {'CHAOS_SHIM': shim, 'CHAOS_STATE': folder,
                    'PATH': os.path.join(HERE, 'shim') + ':' + os.environ['PATH']}

    def path(self, name, file):
        os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        return os.path.join(self.folder, name, file)

    def write(self, name, file, text):
        with open(self.path(name, file) + '.new', 'w', encoding='ascii') as out:
            out.write(text)
        os.rename(self.path(name, file) + '.new', self.path(name, file))

    def cut(self, name, pid, seed, how='torn'):
        """The server dies now, and what was not durable with it."""
        self.write(name, 'cut', f'{seed} {how}\n')
        return kill(pid)

    def fail_fsync(self, name):
        self.write(name, 'eio', '')

    def failed_fsyncs(self, name):
        return self.log(name).count('eio:')

    def forget(self, name):
        """All that lies there now is durable: it was put there while the server was down."""
        for file in ('ledger', 'cut', 'eio', 'log'):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path(name, file))

    def log(self, name):
        try:
            with open(self.path(name, 'log'), encoding='utf-8') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def syncs(self, name):
        with open(self.path(name, 'ledger'), 'rb') as file:
            file.seek(8 + 40)  # behind magic and lock
            return struct.unpack('<Q', file.read(8))[0]


class Server:
    """A redis-server alone, on such a disk."""

    def __init__(self, power, folder, *options):
        self.power, self.folder, self.options = power, folder, options
        self.name = os.path.basename(folder)
        self.socket = folder + '.sock'
        self.process = None
        os.makedirs(folder, exist_ok=True)

    def start(self, *more):
        """Until it has loaded its data; False if it ended instead."""
        words = ['redis-server', '--port', '0', '--unixsocket', self.socket, '--dir', self.folder,
                 '--save', '', '--appendonly', 'yes', '--loglevel', 'warning', '--logfile',
                 self.folder + '.log', *self.options, *more]
        self.process = subprocess.Popen(words, env={**os.environ, **self.power.env},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while self.process.poll() is None:
            try:
                with self.connect() as redis:
                    redis('PING')
                return True
            except (OSError, ConnectionError, RedisError):
                time.sleep(0.002)
        return False

    def connect(self):
        return Redis(self.socket)

    def cut(self, seed, how='torn'):
        self.power.cut(self.name, self.process.pid, seed, how)
        self.process.wait()

    def kill(self):
        kill(self.process.pid)
        self.process.wait()
