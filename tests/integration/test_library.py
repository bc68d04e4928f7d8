"""The installed client library, as somebody else's program has it: installed into a prefix of its
own, the examples built outside the tree with pkg-config and with CMake, run against a real edge."""
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

from district import ROOT, SHARD, District, Suite, types
from edge import Key, Replays, free_ports

district = None
place = None  # where it is installed, and what was built against it
LIMIT = 15  # seconds
EXAMPLES = os.path.join(ROOT, 'common', 'client', 'examples')
NAMES = ('place_order', 'follow', 'publish')


def run(*words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **more)
    assert done.returncode == 0, f'{" ".join(words)}\n{done.stdout}'
    return done.stdout


class Place:
    """A prefix with the library in it, and the examples built against that."""

    def __init__(self, bin_dir):
        self.root = tempfile.mkdtemp(prefix='paidan-lib.', dir='/tmp')
        self.prefix = os.path.join(self.root, 'prefix')
        run('cmake', '--install', os.path.dirname(bin_dir), '--component', 'client', '--prefix',
            self.prefix)
        self.lib = os.path.dirname(self.find('libpaidan-client.so'))
        self.env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.lib, 'pkgconfig'))
        self.made = {}

    def find(self, name):
        for folder, _, files in os.walk(self.prefix):
            if name in files:
                return os.path.join(folder, name)
        raise AssertionError(f'{name} is not installed')

    def flags(self, *words):
        return run('pkg-config', *words, 'paidan-client', env=self.env).split()

    def program(self, name):
        """An example, built with pkg-config's words alone."""
        if name not in self.made:
            made = os.path.join(self.root, name)
            run('cc', '-Wall', '-Wextra', '-Werror', os.path.join(EXAMPLES, name + '.c'), '-o',
                made, *self.flags('--cflags', '--libs'), f'-Wl,-rpath,{self.lib}')
            self.made[name] = made
        return self.made[name]


def words_of(key, server=None, port=None):
    return [f'tcp://127.0.0.1:{port or district.port}', server or key.server.decode(),
            os.path.join(district.run_dir, 'data', 'edge', 'keys', key.name + '.key_secret')]


def call(name, key, *more, program=None, **where):
    """Run an example to its end: (exit code, what it printed, what it complained of, seconds)."""
    began = time.time()
    done = subprocess.run([program or place.program(name), *words_of(key, **where), *more],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout.strip(), done.stderr.strip(), time.time() - began


class Following:
    """The example `follow`, running; what it printed, as (log, seq, name)."""

    def __init__(self, key, cursor, *topics):
        self.lines, self.raw = [], []
        self.process = subprocess.Popen([place.program('follow'), *words_of(key), cursor, *topics],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            log, seq, name = line.split()[:3]
            assert name != 'cannot', line
            self.raw.append(line.strip())
            self.lines.append((log, int(seq), name))

    def wait(self, holds, seconds=LIMIT):
        until = time.time() + seconds
        while time.time() < until:
            if holds(self.lines):
                return
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)
        raise AssertionError(f'not within {seconds} s; it printed {self.lines[-10:]}')

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.thread.join()
        self.said = self.process.stderr.read()
        self.process.wait()
        return self.lines


def numbers(lines, log):
    return [seq for where, seq, _ in lines if where == log]


def tail_of(key, log):
    return Replays(key).batch(log, 1, limit=1).last_seq


def test_everything_is_installed_and_only_paidans_names_are_seen():
    for name in ('paidan-client.h', 'libpaidan-client.so', 'libpaidan-client.a',
                 'libpaidan-messages.a', 'paidan-client.pc', 'paidan-client-config.cmake',
                 'paidan-client-config-version.cmake', 'command.proto', 'edge.pb-c.h'):
        place.find(name)
    for name, words in (('libpaidan-client.so', ['-D']), ('libpaidan-client.a', ['-g'])):
        listed = run('nm', *words, '--defined-only', '--format=posix', place.find(name))
        names = {line.split()[0] for line in listed.splitlines() if len(line.split()) > 2}
        strange = {one for one in names if not one.startswith('paidan_')}
        assert len(names) > 12 and not strange, f'{name} shows {sorted(strange)[:5]}'
    assert run('pkg-config', '--modversion', 'paidan-client', env=place.env).strip() == '0.1.0'


def test_the_header_is_c_and_cplusplus_and_needs_no_messages():
    for language, std in (('c', 'c99'), ('c', 'c17'), ('c++', 'c++17')):
        for words in (['-DPAIDAN_BYTES_ONLY'], []):
            if not words and std == 'c99':
                continue  # the generated code has anonymous unions
            run('clang', '-x', language, f'-std={std}', '-Wall', '-Wextra', '-Werror', '-pedantic',
                '-fsyntax-only', *words, *place.flags('--cflags'), '-',
                input='#include <paidan-client.h>\n'
                      'struct paidan_options o = PAIDAN_OPTIONS_INIT;\n')


def test_a_cmake_project_finds_it_shared_and_static():
    build = os.path.join(place.root, 'cmake')
    run('cmake', '-S', os.path.join(EXAMPLES, 'outside'), '-B', build,
        f'-DCMAKE_PREFIX_PATH={place.prefix}')
    run('cmake', '--build', build)
    key = Key(district, 'cmake', hear=str(SHARD), roles='resident')
    for name in ('place_order', 'place_order-static'):
        code, out, err, _ = call('', key, program=os.path.join(build, name))
        assert code == 0 and out.startswith('order '), (name, out, err)
        linked = run('ldd', os.path.join(build, name))
        assert ('libpaidan-client' in linked) == (name == 'place_order'), linked


def test_an_order_is_placed_and_followed():
    key = Key(district, 'app', hear=str(SHARD), roles='resident')
    following = Following(key, os.path.join(place.root, 'app.cursor'))
    code, out, err, _ = call('place_order', key)
    assert code == 0, err
    _, order, _, _, seq = out.split()
    following.wait(lambda lines: ('intake', int(seq), 'order_placed') in lines)
    assert f'intake {seq} order_placed order {order}' in following.raw
    following.wait(lambda lines: any(name == 'offer_made' for _, _, name in lines))
    following.end()
    for log in ('intake', 'matching', 'scheduling'):
        heard = numbers(following.lines, log)
        assert heard == list(range(1, len(heard) + 1)), (log, heard)


def test_what_was_killed_on_either_side_misses_nothing():
    key = Key(district, 'keeper', hear=str(SHARD), roles='resident')
    cursor = os.path.join(place.root, 'keeper.cursor')
    heard = {}
    acked = []
    for round_ in range(6):
        following = Following(key, cursor)
        for _ in range(5):
            code, out, err, _ = call('place_order', key)
            assert code == 0, err
            acked.append(int(out.split()[4]))
        if round_ % 2:
            district.kill('gateway')
            code, out, err, _ = call('place_order', key)
            acked.append(int(out.split()[4]))
        following.wait(lambda lines: ('intake', acked[-1], 'order_placed') in lines)
        for log, seq, name in following.end(signal.SIGKILL if round_ % 3 == 0 else signal.SIGTERM):
            assert heard.setdefault((log, seq), name) == name
        for log in ('intake', 'matching'):  # in order, without a hole, from the cursor on
            seqs = numbers(following.lines, log)
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), (log, seqs)
    for log in ('intake', 'matching'):
        seqs = sorted(seq for where, seq in heard if where == log)
        assert seqs == list(range(1, len(seqs) + 1)), log
    assert all(heard['intake', seq] == 'order_placed' for seq in acked)


def test_some_kinds_come_in_order_and_complete_through_a_restart_of_the_edge():
    key = Key(district, 'some', hear=str(SHARD), roles='resident')
    following = Following(key, os.path.join(place.root, 'some.cursor'), 'order_', 'wave_opened')
    for number in range(12):
        code, out, err, _ = call('place_order', key)
        assert code == 0, err
        if number % 4 == 1:
            district.kill('gateway')
    last = int(out.split()[4])
    following.wait(lambda lines: ('intake', last, 'order_placed') in lines)
    replays = Replays(key)
    logs = (('intake', types.LOG_INTAKE), ('matching', types.LOG_MATCHING))
    wanted = {name: [one.seq for one in replays.all(log, kinds=['order_', 'wave_opened'])]
              for name, log in logs}
    following.wait(lambda lines: all(len(numbers(lines, name)) >= len(seqs)
                                     for name, seqs in wanted.items()))
    following.end()
    for name, seqs in wanted.items():
        assert numbers(following.lines, name)[:len(seqs)] == seqs, name
    assert len(wanted['intake']) >= 12 and len(wanted['matching']) >= 12


def test_an_outside_event_is_said_once_with_the_same_key():
    key = Key(district, 'charity', hear=f'{SHARD}/ext.', publish='ext.charity.meal')
    words = ('ext.charity.meal', 'Meal/1', 'ten meals', 'meal-1')
    code, out, err, _ = call('publish', key, *words)
    assert code == 0 and out.startswith('recorded at intake') and 'before' not in out, (out, err)
    seq = int(out.split()[3])
    code, out, err, _ = call('publish', key, *words)
    assert code == 0 and out == f'recorded at intake {seq}, before', (out, err)
    code, out, err, _ = call('publish', key, 'ext.other.meal', *words[1:])
    assert code == 1 and 'refused: publish_external.type' in err, err
    following = Following(key, os.path.join(place.root, 'ext.cursor'), 'ext.charity.')
    following.wait(lambda lines: ('intake', seq, 'ext.charity.meal') in lines)
    assert {name for _, _, name in following.end()} == {'ext.charity.meal'}


def refused(key, text, **where):
    code, _, err, seconds = call('place_order', key, **where)
    assert code == 1 and text in err, err
    assert seconds < 7, f'{seconds:.1f} s, and the deadline is 5'
    return seconds


def test_whoever_is_not_let_in_is_told_why_within_the_deadline():
    stranger = Key(district, 'stranger')
    assert refused(stranger, 'it is not granted') < 2, 'that needs no waiting'
    app = Key(district, 'known', hear=str(SHARD), roles='resident')
    refused(app, "most likely server_key is not the edge's key", server=stranger.public.decode())
    refused(app, 'nobody listens at', port=free_ports())
    with socket.socket() as other:  # two ports on from what is named
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1] - 2
        threading.Thread(target=answer_like_a_web_server, args=(other,), daemon=True).start()
        refused(app, 'or it is no edge', port=port)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        port = other.bind_to_random_port('tcp://127.0.0.1') - 2
        refused(app, 'no edge', port=port)  # it may hang up before it is understood
    file = words_of(app)[2]
    os.chmod(file, 0o644)
    refused(app, 'others may read it: chmod 600')
    os.chmod(file, 0o600)


def answer_like_a_web_server(listener):
    try:
        while True:
            peer, _ = listener.accept()
            peer.recv(64)
            peer.sendall(b'HTTP/1.0 400 Bad Request\r\n\r\n' + b'x' * 64)
            peer.close()
    except OSError:
        pass  # the test is over


def test_whose_grant_is_taken_back_is_told_so():
    key = Key(district, 'fleeting', hear=str(SHARD), roles='resident')
    following = Following(key, os.path.join(place.root, 'fleeting.cursor'))
    following.wait(lambda lines: len(lines) > 0)
    district.tool('key', 'revoke', 'fleeting')
    until = time.time() + LIMIT
    while following.process.poll() is None and time.time() < until:
        time.sleep(0.05)
    following.end()
    assert following.process.returncode == 1 and 'it is not granted' in following.said


if __name__ == '__main__':
    port = free_ports()
    place = Place(sys.argv[1])
    try:
        with District(sys.argv[1], edge=f'tcp://127.0.0.1:{port}') as district:
            district.port = port
            district.settle()
            for number in range(10):
                district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 20000)
            code = Suite(globals()).run()
            district.tool('verify')
    finally:
        shutil.rmtree(place.root, ignore_errors=True)
    sys.exit(code)
