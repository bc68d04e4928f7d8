"""The disk that forgets, tested: with `always` nothing acknowledged is lost, with less it is.

Were nothing lost with `everysec` and `no` either, then no test on this disk could ever fail.
"""
import os
import random
import sys
import tempfile
import threading
import time

from ground import Suite
from power import Power, Server

dice = random.Random(int(os.environ.get('CHAOS_SEED', '7')))
SHIM = sys.argv[1]


class Writer(threading.Thread):
    """Appends numbers to a stream, and knows which were acknowledged."""

    def __init__(self, server, first, window):
        super().__init__(daemon=True)
        self.redis, self.next, self.window = server.connect(), first, window
        self.acked = first - 1

    def run(self):
        try:
            while True:
                for number in range(self.next, self.next + self.window):
                    self.redis.send('XADD', 'log', f'{number}-0', 'e', f'entry {number} ' * 9)
                for number in range(self.next, self.next + self.window):
                    self.redis.receive()
                    self.acked = number
                self.next += self.window
        except OSError:
            pass  # the power is gone


def rounds(folder, policy, count, how='torn', rewrite=False):
    """Cut the power at random moments under load.  (acked, lost, syncs)"""
    power = Power(SHIM, os.path.join(folder, 'state'))
    server = Server(power, os.path.join(folder, 'log'), '--appendfsync', policy)
    assert server.start(), 'redis-server does not start'
    acked, lost, last = 0, 0, 0
    for _ in range(count):
        writer = Writer(server, last + 1, dice.choice((1, 8, 64)))
        writer.start()
        time.sleep(dice.uniform(0.05, 0.15))
        if rewrite:
            with server.connect() as redis:
                redis('BGREWRITEAOF')
            time.sleep(dice.uniform(0, 0.06))
        server.cut(dice.randrange(1 << 32), how)
        writer.join()
        assert server.start(), f'it does not start again: {power.log("log")[-800:]}'
        with server.connect() as redis:
            found = [int(row[0].split(b'-')[0]) for row in redis('XRANGE', 'log', '-', '+')]
        assert found == list(range(1, len(found) + 1)), 'what is left is no first part'
        acked, lost = acked + writer.acked - last, lost + max(0, writer.acked - len(found))
        last = len(found)
    syncs = power.syncs('log')
    server.kill()
    assert 'BROKEN' not in power.log('log'), power.log('log')
    return acked, lost, syncs


def tried(*arguments, **more):
    with tempfile.TemporaryDirectory(prefix='paidan-power.', dir='/tmp') as folder:
        acked, lost, syncs = rounds(folder, *arguments, **more)
    print(f'      {arguments}: {acked} acked, {lost} lost, {syncs} syncs', flush=True)
    assert acked > 100, 'it hardly wrote anything'
    return lost


def test_with_always_nothing_acknowledged_is_lost():
    assert tried('always', 12, 'torn') == 0
    assert tried('always', 4, 'drop') == 0


def test_with_everysec_acknowledged_entries_are_lost():
    assert tried('everysec', 6, 'torn') > 0


def test_with_no_fsync_at_all_acknowledged_entries_are_lost():
    assert tried('no', 4, 'drop') > 0


def test_while_the_log_is_written_anew_nothing_acknowledged_is_lost():
    assert tried('always', 10, 'torn', rewrite=True) == 0
    assert tried('always', 6, 'drop', rewrite=True) == 0


def test_a_failed_fsync_ends_the_server_and_acknowledges_nothing():
    with tempfile.TemporaryDirectory(prefix='paidan-power.', dir='/tmp') as folder:
        power = Power(SHIM, os.path.join(folder, 'state'))
        server = Server(power, os.path.join(folder, 'log'), '--appendfsync', 'always')
        assert server.start()
        writer = Writer(server, 1, 4)
        writer.start()
        time.sleep(0.1)
        power.fail_fsync('log')
        assert server.process.wait(5) != 0, 'it went on after an fsync that failed'
        writer.join()
        assert power.failed_fsyncs('log') == 1
        power.write('log', 'cut', '1 drop')  # the kernel had dropped the pages
        assert server.start()
        with server.connect() as redis:
            left = redis('XLEN', 'log')
        server.kill()
    assert left >= writer.acked > 0, (left, writer.acked)


if __name__ == '__main__':
    sys.exit(Suite(globals()).run())
