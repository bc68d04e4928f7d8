"""The edge with Node: node/edge.js places an order and follows it to its rating, heals a gap by
replay, and sees that a key is refused.  Its packages are installed into the build folder; where
there is no Node, or the packages cannot be had, this is skipped, and says so."""
import json
import os
import shutil
import subprocess
import sys
import time

from district import ROOT, SHARD, District, Suite, types
from edge import Key, free_ports

district = None
folder = None  # with the packages in it
SKIPPED = 77
LIMIT = 20  # seconds


def skip(why):
    print(f'SKIP  {why}')
    sys.exit(SKIPPED)


def prepare(build):
    """A folder with edge.js and the packages of the lock file."""
    for program in ('node', 'npm'):
        if shutil.which(program) is None:
            skip(f'no {program} here; scripts/setup installs it')
    made = os.path.join(build, 'node')
    source = os.path.join(ROOT, 'tests', 'integration', 'node')
    os.makedirs(made, exist_ok=True)
    stamp = os.path.join(made, 'installed')
    with open(os.path.join(source, 'package-lock.json')) as file:
        lock = file.read()
    for name in os.listdir(source):
        shutil.copy(os.path.join(source, name), made)
    if os.path.exists(stamp) and open(stamp).read() == lock:
        return made
    words = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries', '1']
    try:
        done = subprocess.run(words, cwd=made, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120)
    except subprocess.TimeoutExpired:
        skip('npm did not get the packages zeromq and protobufjs within 120 s')
    if done.returncode != 0:
        skip(f'npm cannot get the packages zeromq and protobufjs:\n{done.stdout[-1000:]}')
    with open(stamp, 'w') as file:
        file.write(lock)
    return made


class Node:
    """edge.js, running; what it says, line by line."""

    def __init__(self):
        key = Key(district, 'node', hear=str(SHARD), roles='resident,volunteer')
        given = {'port': district.port, 'server': key.server.decode(), 'shard': SHARD,
                 'public': key.public.decode(), 'secret': key.secret.decode(),
                 'proto': os.path.join(ROOT, 'proto'), 'skill': types.SKILL_COMPANION}
        self.process = subprocess.Popen(
            ['node', os.path.join(folder, 'edge.js'), json.dumps(given)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def said(self):
        line = self.process.stdout.readline()
        assert line, f'node ended with {self.process.wait()}'
        what = json.loads(line)
        assert 'failed' not in what, what['failed']
        return what

    def tell(self, what):
        self.process.stdin.write(json.dumps(what) + '\n')
        self.process.stdin.flush()


def kill_the_edge_and_go_on_behind_it():
    pid = district.kill('gateway')
    orders = [district.order(district.resident('居民')).id for _ in range(5)]
    until = time.time() + LIMIT
    while district.pid('gateway') in (None, pid):
        assert time.time() < until
        time.sleep(0.02)
    return orders


def test_node_follows_an_order_to_its_rating_heals_a_gap_and_sees_a_refusal():
    node = Node()
    try:
        assert node.said()['stars'] == 5
        assert node.said()['kill']
        node.tell({'orders': kill_the_edge_and_go_on_behind_it()})
        assert node.said()['healed'] > 0
        assert node.said()['refused'], 'the handshake was not refused'
        assert node.said()['done']
        assert node.process.wait(10) == 0
    finally:
        node.process.kill()


if __name__ == '__main__':
    folder = prepare(os.path.dirname(sys.argv[1]))
    port = free_ports()
    with District(sys.argv[1], edge=f'tcp://127.0.0.1:{port}') as district:
        district.port = port
        district.settle()
        for number in range(10):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 10000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
