"""A district on a Redis Cluster, three masters and three replicas: a slot moves, a master dies."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import zmq

import test_kill as kill
from district import ROOT, SERVICES, SHARD, District, Suite

NODES = 6
LUA = os.path.join(ROOT, 'common', 'io', 'paidan.lua')
KEYS = [f'{{{SHARD}}}:{kind}:{log}' for log in SERVICES for kind in ('log', 'tip')]
district = None


def free_ports(count):
    """Ports that nobody listens on, each with one 10000 above it for the cluster's own bus."""
    found = []
    port = 20000 + os.getpid() % 20000
    while len(found) < count:
        port += 1
        try:
            for one in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(('127.0.0.1', one))
        except OSError:
            continue
        found.append(port)
    return found


class Cluster:
    """deploy/redis.conf, redis-cluster.conf and cluster.acl, as the README says."""

    def __init__(self, folder):
        self.folder = folder
        self.secrets = os.path.join(folder, 'secrets')
        subprocess.run([os.path.join(ROOT, 'deploy', 'make-users'), self.secrets,
                        str(os.getuid())], check=True)
        self.ports = free_ports(NODES)
        self.processes = {}
        for port in self.ports:
            self.start(port)
        for port in self.ports:
            self.wait(port, 'PONG', 'PING')
        self.run('--cluster', 'create', *[f'127.0.0.1:{port}' for port in self.ports],
                 '--cluster-replicas', '1', '--cluster-yes')
        for port in self.ports:
            wait_until(lambda: 'cluster_state:ok' in self.cli(port, 'CLUSTER', 'INFO'), 20, 'ok')
        self.slot = int(self.cli(self.ports[0], 'CLUSTER', 'KEYSLOT', KEYS[0]))
        wait_until(lambda: all('state=online' in self.cli(port, 'INFO', 'replication')
                               for port in self.masters()), 30, 'replicas')
        for port in self.masters():
            with open(LUA, encoding='utf-8') as file:
                assert self.cli(port, '-x', 'FUNCTION', 'LOAD', 'REPLACE',
                                text=file.read()) == 'paidan'

    def password(self, user):
        with open(os.path.join(self.secrets, user), encoding='utf-8') as file:
            return file.read().strip()

    def start(self, port):
        home = os.path.join(self.folder, str(port))
        os.makedirs(home, exist_ok=True)
        self.processes[port] = subprocess.Popen(
            ['redis-server', os.path.join(ROOT, 'deploy', 'redis.conf'),
             '--include', os.path.join(ROOT, 'deploy', 'redis-cluster.conf'),
             '--port', str(port), '--bind', '127.0.0.1', '--dir', home,
             '--aclfile', os.path.join(self.secrets, 'cluster.acl'),
             '--masteruser', 'replica', '--masterauth', self.password('replica'),
             '--logfile', os.path.join(home, 'redis.log'), '--cluster-node-timeout', '1000'])

    def run(self, *words, text=''):
        env = {**os.environ, 'REDISCLI_AUTH': self.password('operator')}
        done = subprocess.run(['redis-cli', '--user', 'operator', '--no-auth-warning', *words],
                              env=env, input=text, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.stdout.strip()

    def cli(self, port, *words, text=''):
        return self.run('-p', str(port), *words, text=text)

    def wait(self, port, want, *words):
        wait_until(lambda: self.cli(port, *words) == want, 20, f'{words}: {want}')

    def nodes(self):
        """port: (id, flags, slots), as a node that lives sees them."""
        for port in self.ports:
            text = self.cli(port, 'CLUSTER', 'NODES')
            if 'connect' not in text:
                continue
            found = {}
            for line in text.splitlines():
                word = line.split()
                if len(word) < 8 or ':' not in word[1]:
                    continue
                number = int(word[1].split('@')[0].rsplit(':', 1)[1])
                found[number] = (word[0], word[2].split(','), word[8:])
            return found
        raise AssertionError('no node answers')

    def masters(self):
        return [port for port, (_, flags, slots) in self.nodes().items()
                if 'master' in flags and 'fail' not in flags and slots]

    def owner(self):
        for port, (_, flags, slots) in self.nodes().items():
            if 'master' not in flags or 'fail' in flags:
                continue
            for one in slots:
                if one.startswith('['):
                    continue
                ends = [int(end) for end in one.split('-')]
                if ends[0] <= self.slot <= ends[-1]:
                    return port
        return None

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def wait_until(found, seconds, what):
    until = time.time() + seconds
    while time.time() < until:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f'not within {seconds} s: {what}')


class OnCluster(District):
    """Five daemons, as one would start them by hand, on logs that stand elsewhere."""

    def __init__(self, bin_dir):
        self.bin = bin_dir
        self.run_dir = tempfile.mkdtemp(prefix='paidan-it.', dir='/tmp')
        self.context = zmq.Context()
        self.folders, self.shard, self.doors = [self.run_dir], SHARD, {}
        self.processes = []
        self.cluster = Cluster(self.run_dir)
        seeds = ','.join(f'127.0.0.1:{port}' for port in self.cluster.ports[:2])
        secrets = self.cluster.secrets
        os.environ.update({
            'PAIDAN_SHARD': str(SHARD), 'PAIDAN_LOG_REDIS': seeds,
            'PAIDAN_LOG_PASSWORD_FILE': os.path.join(secrets, 'tool'),
            'PAIDAN_VAULT_PASSWORD_FILE': os.path.join(secrets, 'tool')})
        vault = os.path.join(self.run_dir, 'vault.redis')
        os.makedirs(os.path.join(self.run_dir, 'vault'))
        self.processes.append(subprocess.Popen(
            ['redis-server', os.path.join(ROOT, 'deploy', 'redis.conf'), '--unixsocket', vault,
             '--dir', os.path.join(self.run_dir, 'vault'), '--aclfile',
             os.path.join(secrets, 'vault.acl'), '--logfile', 'redis.log']))
        for name in SERVICES:
            self.processes.append(self.start(name, seeds, vault, secrets))
        self.wait_ready()

    def start(self, name, seeds, vault, secrets):
        env = {**os.environ, 'PAIDAN_LOG_USER': name, 'PAIDAN_VAULT_USER': name,
               'PAIDAN_LOG_PASSWORD_FILE': os.path.join(secrets, name),
               'PAIDAN_VAULT_PASSWORD_FILE': os.path.join(secrets, name),
               'PAIDAN_RUN_DIR': self.run_dir, 'PAIDAN_VAULT_REDIS': 'unix:' + vault,
               'PAIDAN_DATA_DIR': os.path.join(self.run_dir, 'data'), 'PAIDAN_REPLICAS': '1',
               'PAIDAN_HTTP': f'unix:{self.run_dir}/{name}.http', 'PAIDAN_LOG_REDIS': seeds}
        os.makedirs(env['PAIDAN_DATA_DIR'], exist_ok=True)
        with open(os.path.join(self.run_dir, name + '.log'), 'ab') as journal:
            return subprocess.Popen([os.path.join(self.bin, 'paidan-' + name)], env=env,
                                    stdout=journal, stderr=journal)

    def said(self, name):
        with open(os.path.join(self.run_dir, name + '.log'), encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.startswith('{')]

    def __exit__(self, *failed):
        for door in self.doors.values():
            door.socket.close()
        self.context.destroy(linger=0)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            process.wait(20)
        self.cluster.end()
        if os.environ.get('PAIDAN_KEEP'):
            print('kept:', self.run_dir, file=sys.stderr)
        else:
            shutil.rmtree(self.run_dir, ignore_errors=True)


class Neighbour(threading.Thread):
    """Another district's log at another master: written all the time, with a replica each time."""

    def __init__(self, cluster):
        super().__init__()
        self.stop, self.longest, self.count, self.failure = False, 0, 0, None
        self.cluster = cluster
        owner = cluster.owner()
        self.port, self.key = next(
            (port, key) for port in cluster.masters() if port != owner
            for key in (f'{{{code}}}:log:intake' for code in range(370302, 370402))
            if not cluster.cli(port, 'XLEN', key).startswith('MOVED'))

    def run(self):
        try:
            last = time.time()
            while not self.stop:
                done = self.cluster.cli(self.port, text=f'XADD {self.key} * e x\nWAIT 1 500\n')
                assert done.split()[-1] == '1', done
                now = time.time()
                self.longest, last, self.count = max(self.longest, now - last), now, self.count + 1
        except Exception as problem:
            self.failure = problem


def move_slot(to):
    """As redis-cli's reshard does it: announced, keys moved, given over."""
    cluster = district.cluster
    nodes, owner = cluster.nodes(), cluster.owner()
    slot = str(cluster.slot)
    assert owner != to
    for port, words in ((to, ('IMPORTING', nodes[owner][0])), (owner, ('MIGRATING', nodes[to][0]))):
        assert cluster.cli(port, 'CLUSTER', 'SETSLOT', slot, *words) == 'OK'
    auth = ('AUTH2', 'operator', cluster.password('operator'))
    for pair in range(0, len(KEYS), 2):
        done = cluster.cli(owner, 'MIGRATE', '127.0.0.1', str(to), '', '0', '5000', *auth, 'KEYS',
                           *KEYS[pair:pair + 2])
        assert done in ('OK', 'NOKEY'), done
        time.sleep(0.2)
    for port in [to, owner] + [one for one in cluster.masters() if one not in (to, owner)]:
        assert cluster.cli(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', nodes[to][0]) == 'OK'


def test_a_districts_slot_moves_under_load():
    cluster = district.cluster
    for _ in range(2):
        to = next(port for port in cluster.masters() if port != cluster.owner())
        kill.under_load(lambda: move_slot(to))
        assert cluster.owner() == to
    moved = [one for one in district.said('intake')
             if one['msg'] == 'store is away' and 'its slot is at' in one['why']]
    assert len(moved) >= 2, moved


def test_the_master_dies_and_nothing_acknowledged_is_lost():
    cluster = district.cluster
    neighbour = Neighbour(cluster)
    neighbour.start()
    dead = cluster.owner()

    def kill_master():
        cluster.processes[dead].kill()
        cluster.processes[dead].wait()
        wait_until(lambda: cluster.owner() not in (None, dead), 20, 'another master')
        time.sleep(1)
        cluster.start(dead)

    try:
        kill.under_load(kill_master)
    finally:
        neighbour.stop = True
        neighbour.join()
    assert neighbour.failure is None, neighbour.failure
    assert neighbour.count > 20 and neighbour.longest < 2, (neighbour.count, neighbour.longest)
    assert cluster.owner() != dead


def test_without_the_replica_nothing_is_acknowledged_and_readyz_says_why():
    cluster = district.cluster
    nodes, owner = cluster.nodes(), cluster.owner()
    replicas = [port for port, (_, flags, _) in nodes.items() if 'slave' in flags]
    mine = [port for port in replicas if f'master_port:{owner}' in
            cluster.cli(port, 'INFO', 'replication')]
    assert len(mine) == 1, (mine, nodes)
    asker = district.resident('居民庚')
    os.kill(cluster.processes[mine[0]].pid, signal.SIGSTOP)
    try:
        door, exchange = district.door('resident'), district.door('resident').exchange
        door.exchange = lambda data: exchange(data, 1500)
        try:
            district.order(asker, key='alone', start_ms=int(time.time() * 1000) + 3600000)
            raise AssertionError('acknowledged without a replica')
        except TimeoutError:
            pass
        finally:
            door.exchange = exchange
        status = district.tool('status', '--output', 'json', check=False)
        why = [one['why'] for one in json.loads(status.stdout.splitlines()[0])['daemons']
               if one['name'] == 'intake']
        assert 'replicas' in why[0], status.stdout
    finally:
        os.kill(cluster.processes[mine[0]].pid, signal.SIGCONT)
    district.wait_ready()
    district.tool('verify')


def test_the_tool_reads_and_backs_up_from_the_cluster():
    folder = os.path.join(district.run_dir, 'backup')
    district.tool('backup', folder, '--only', 'logs')
    done = district.tool('order', 'list', '--output', 'json')
    assert done.stdout, done


if __name__ == '__main__':
    with OnCluster(sys.argv[1]) as district:
        kill.district = district
        district.settle()
        for number in range(10):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 10000, dy=number * 1000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
