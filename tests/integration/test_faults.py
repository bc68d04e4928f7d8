"""What an operator meets: silent servers, signals at bad moments, logs that lost something."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from district import SERVICES, SHARD, District, Refused, Suite, command

BIN = sys.argv[1]
district = None


def pid_of(name, run_dir=None):
    """As `paidan up` noted it; None while it does not run."""
    try:
        path = os.path.join(run_dir or district.run_dir, name + '.pid')
        with open(path, encoding='ascii') as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def runs(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def wait_until(found, seconds, what):
    until = time.time() + seconds
    while time.time() < until:
        result = found()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f'not within {seconds} s: {what}')


def readyz(service):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(os.path.join(district.run_dir, service + '.http'))
        client.sendall(b'GET /readyz HTTP/1.0\r\n\r\n')
        answer = b''
        while more := client.recv(65536):
            answer += more
    return json.loads(answer.split(b'\r\n\r\n', 1)[1])


class Stopped:
    """A server that neither answers nor goes away."""

    def __init__(self, name):
        self.pid = pid_of(name)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *failed):
        os.kill(self.pid, signal.SIGCONT)


def resident(key, name='居民'):
    message = command.Command(key=key)
    message.register_resident.name = name
    return district.door('resident').send(message).person


def test_a_silent_log_is_said_on_readyz_and_nothing_is_lost():
    asker = resident('asker')
    start = int(time.time() * 1000) + 3600000
    with Stopped('log.redis'):
        try:
            door, exchange = district.door('resident'), district.door('resident').exchange
            door.exchange = lambda data: exchange(data, 300)
            district.order(asker, key='in the dark', start_ms=start)
            raise AssertionError('acknowledged without a log')
        except TimeoutError:
            pass
        finally:
            door.exchange = exchange
        for service in SERVICES:
            wait_until(lambda: any("the log's Redis is away" in why
                                   for why in readyz(service)['reasons']), 10, service)
        done = district.tool('status', '--output', 'json', check=False)
        assert done.returncode == 69, done
        said = json.loads(done.stdout.splitlines()[0])
        assert [one['name'] for one in said['daemons']] == list(SERVICES), said
        assert all(one['up'] and 'Redis' in one['why'] for one in said['daemons']), said
    district.wait_ready()
    first = district.order(asker, key='in the dark', start_ms=start)
    assert first.duplicate, 'the order that was under way when the log fell silent is there'
    district.tool('verify')


def test_a_silent_vault_is_said_and_the_command_is_answered():
    with Stopped('vault.redis'):
        try:
            resident('dark vault')
            raise AssertionError('registered without a vault')
        except Refused as refused:
            assert refused.refusal.code == command.CODE_RETRY, refused
        assert "the vault's Redis is away" in readyz('intake')['reasons']
    district.wait_ready()
    assert len(resident('dark vault')) == 16


def ends(service, signals=(signal.SIGTERM,), seconds=2.5):
    """The daemon ends in time; `paidan up` starts another."""
    pid = wait_until(lambda: pid_of(service), 10, service)
    for number in signals:
        os.kill(pid, number)
        time.sleep(0.1)
    wait_until(lambda: not runs(pid), seconds, f'{service} ends after {signals}')
    return pid


def test_sigterm_ends_every_daemon_in_time():
    for service in SERVICES:
        district.wait_ready()
        ends(service, seconds=2)
    district.wait_ready()


def test_sigterm_ends_a_daemon_whose_log_is_silent():
    """With a commit under way, while it boots, and when the signal comes twice."""
    with Stopped('log.redis'):
        message = command.Command(shard=SHARD, key='silent', request=1)
        message.register_resident.name = '居民'
        district.door('resident').socket.send(message.SerializeToString())
        time.sleep(0.2)
        first = ends('intake', (signal.SIGTERM, signal.SIGTERM, signal.SIGINT))
        wait_until(lambda: pid_of('intake') not in (None, first), 10, 'started again')
        time.sleep(0.3)
        ends('intake')
    district.wait_ready()


HOURS = '|'.join(f'{day}:0-24' for day in range(1, 8))


def test_sigterm_in_the_middle_of_a_replay_is_not_forgotten():
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        with open(os.path.join(folder, 'sites.csv'), 'w', encoding='utf-8') as file:
            file.write('id,level,parent,name,lon,lat\n')
        with open(os.path.join(folder, 'volunteers.csv'), 'w', encoding='utf-8') as file:
            file.write('id,name,phone,home_lon,home_lat,branch,skills,availability,radius_m,'
                       'max_per_week,age_band,status\n')
            for number in range(20000):
                file.write(f'V{number},甲,138,116.44,39.92,5,,{HOURS},3000,5,36-59,active\n')
        done = district.tool('load', '--data', folder, check=False)
    snapshots = os.path.join(district.run_dir, 'data', 'snapshots')
    for delay_ms in range(5, 125, 20):
        district.wait_ready()
        shutil.rmtree(snapshots, ignore_errors=True)
        before = pid_of('intake')
        os.kill(before, signal.SIGKILL)
        pid = wait_until(lambda: pid_of('intake') not in (None, before) and pid_of('intake'), 10,
                         'started again')
        time.sleep(delay_ms / 1000)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not runs(pid), 2.5, f'ends when told {delay_ms} ms after its start')
    district.wait_ready()
    assert done.returncode == 0, done


def test_a_log_that_lost_what_a_snapshot_holds_is_refused():
    district.tool('down')
    kept = os.path.join(district.run_dir, 'data', 'log')
    shutil.move(kept, kept + '.kept')
    done = district.tool('up', '--detach', '--wait', '4', check=False)
    assert done.returncode == 78, done
    assert 'the log has lost what the snapshot holds' in done.stderr, done.stderr
    shutil.rmtree(kept)
    shutil.move(kept + '.kept', kept)
    district.tool('up', '--detach')
    district.tool('verify')


def test_a_deadline_that_has_to_wait_does_not_stop_the_loop():
    """A timer that was due, and could not be acted upon yet, once ran for ever: here while a commit
    is under way and the daemon is told to end; while a snapshot waits for a commit it is the same.
    """
    with District(BIN, speed=3600) as fast:
        fast.settle()
        asker = fast.resident()
        with open(os.path.join(fast.run_dir, 'paidan.json'), encoding='utf-8') as file:
            clock = json.load(file)
        for number in range(60):
            now = (clock['clock_anchor_ms'] + clock['clock_factor']
                   * (int(time.time() * 1000) - clock['clock_at_ms']))
            fast.order(asker, start_ms=now + (30 + 2 * number) * 60000)
        silent, pid = (pid_of(name, fast.run_dir) for name in ('log.redis', 'scheduling'))
        os.kill(silent, signal.SIGSTOP)
        try:
            time.sleep(0.5)
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not runs(pid), 3, 'scheduling ends when told')
        finally:
            os.kill(silent, signal.SIGCONT)
        fast.wait_ready()


def test_ctrl_c_reaches_up_alone_and_everything_ends_in_order():
    run_dir = tempfile.mkdtemp(prefix='paidan-it.', dir='/tmp')
    try:
        up = subprocess.Popen([os.path.join(BIN, 'paidan'), 'up', '--shard', str(SHARD),
                               '--run-dir', run_dir], stdout=subprocess.PIPE, text=True,
                              start_new_session=True)
        while not up.stdout.readline().startswith('look:'):
            assert up.poll() is None, 'it did not come up'
        os.killpg(up.pid, signal.SIGINT)
        assert up.wait(15) == 0
        for service in SERVICES:
            with open(os.path.join(run_dir, service + '.log'), encoding='utf-8') as file:
                said = [json.loads(line) for line in file]
            assert said[-1]['msg'] == 'stopped', said
            assert not [one for one in said if one['level'] in ('warn', 'error')], said
            assert [one['signal'] for one in said if one['msg'] == 'stopping'] == [15], said
    finally:
        shutil.rmtree(run_dir)


if __name__ == '__main__':
    with District(BIN) as district:
        district.settle()
        sys.exit(Suite(globals()).run())
