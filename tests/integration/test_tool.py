"""The command-line tool as a person at a terminal uses it: what it says, refuses, finds, keeps."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from district import ROOT, SERVICES, District

BIN = sys.argv[1]
HELP = os.path.join(ROOT, 'tests', 'integration', 'help.txt')
SITES = 'id,level,parent,name,lon,lat\r\nS0,center,,中心,116.44,39.92\r\n' \
        'S1,institute,S0,所,116.441,39.921\r\nS2,station,S1,站,116.442,39.922\r\n'
VOLUNTEER = 'id,name,phone,home_lon,home_lat,branch,skills,availability,radius_m,max_per_week,' \
            'age_band,status,shoe_size\r\n'
HOURS = '|'.join(f'{day}:0-24' for day in range(1, 8))


def paidan(*words, code=0, env=None):
    done = subprocess.run([os.path.join(BIN, 'paidan'), *words], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


def write(folder, name, text):
    with open(os.path.join(folder, name), 'w', newline='', encoding='utf-8') as file:
        file.write(text)


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help_is_what_the_golden_file_says():
    text = paidan('--help').stdout
    names = [line.split('  ')[1].strip() for line in text.split('commands:\n')[1].splitlines()
             if line.startswith('  ')]
    names = names[:names.index('--output json|text')]
    for name in names:
        one = paidan(*name.split(), '--help').stdout
        assert 'example:\n  paidan ' + name in one, name
        text += f'\n==== {name}\n' + one
    if os.environ.get('PAIDAN_GOLDEN'):
        write(os.path.dirname(HELP), 'help.txt', text)
    with open(HELP, encoding='utf-8') as file:
        assert file.read() == text, 'PAIDAN_GOLDEN=1 writes it anew'


def test_a_wrong_command_line_is_exit_2_and_says_how_to_get_help():
    for words in (['nonsense'], ['order', 'nonsense'], ['log', 'get'], ['log', 'get', 'x'], ['up'],
                  ['order', 'show', 'x'], ['verify', '--nonsense'], ['load'],
                  ['up', '--shard', '12'], ['status', '--output', 'xml'],
                  ['answer', '1', 'perhaps']):
        done = paidan(*words, code=2)
        assert 'next:' in done.stderr and done.stdout == '', (words, done)
    done = paidan('nonsense', '--output', 'json', code=2)
    assert json.loads(done.stderr)['error']['exit'] == 2


def test_a_run_folder_that_is_too_long_for_sockets_is_refused():
    done = paidan('status', '--run-dir', '/tmp/' + 'x' * 100, code=2)
    assert '107' in done.stderr and '--run-dir' in done.stderr


def test_without_a_shard_it_says_how_to_start_one():
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        for words in (['status'], ['order', 'list'], ['verify'], ['down'], ['tail']):
            done = paidan(*words, '--run-dir', folder, code=69)
            assert 'next:' in done.stderr, done.stderr


def test_loading_names_bad_rows_and_loads_the_good_ones_once(district):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        write(folder, 'sites.csv', SITES + 'S3,palace,S1,站,116.4,39.9\r\n'
              + 'S4,station,S9,站,116.4,39.9\r\n')
        write(folder, 'volunteers.csv', VOLUNTEER
              + f'V1,甲,138,116.4401,39.9201,5,companion,{HOURS},3000,5,36-59,active,44\r\n'
              + f'V2,乙,138,116.4402,39.9202,5,,{HOURS},3000,5,36-59,paused,44\r\n'
              + f'V3,丙,138,116.4402,39.9202,5,,{HOURS},3000,5,36-59,exited,44\r\n'
              + f'V4,丁,138,116.4402,39.9202,5,flying,{HOURS},3000,5,36-59,active,44\r\n')
        path = os.path.join(folder, 'map.json')
        done = district.tool('load', '--data', folder, '--map', path, check=False)
        assert done.returncode == 1, done
        assert 'sites.csv:5:4: level:' in done.stderr, done.stderr
        assert 'sites.csv:6:1: register_site.parent_ref' in done.stderr, done.stderr
        assert "volunteers.csv:5:" in done.stderr and "'flying'" in done.stderr, done.stderr
        assert 'columns not used: shoe_size' in done.stderr, done.stderr
        with open(path, encoding='utf-8') as file:
            first = json.load(file)
        assert sorted(first['volunteers']) == ['V1', 'V2', 'V3'] and sorted(first['sites']) == [
            'S0', 'S1', 'S2']
        done = district.tool('load', '--data', folder, '--map', path, '--output', 'json',
                             check=False)
        counts = objects(done)[-1]
        assert counts['volunteers'] == {'loaded': 0, 'before': 3, 'bad': 1}, counts
        with open(path, encoding='utf-8') as file:
            assert json.load(file) == first
        states = {one['person']: one['state'] for one in
                  objects(district.tool('volunteer', 'list', '--output', 'json'))}
        assert [states[first['volunteers'][ref]] for ref in ('V1', 'V2', 'V3')] == [
            'active', 'paused', 'exited']
    return first['volunteers']['V1']


def the_whole_life_of_an_order(district, helper):
    """Placed, answered, served, confirmed, rated: by the tool's commands alone."""
    asker = objects(district.tool('resident', 'add', '--name', '张三', '--phone', '139',
                                  '--output', 'json'))[0]['ack']['person']
    placed = objects(district.tool('order', 'place', '--for', asker, '--category', 'elder_escort',
                                   '--lon', '116.44', '--lat', '39.92', '--note', '陪诊',
                                   '--skills', 'companion', '--output', 'json'))
    order = str(placed[0]['ack']['id'])
    for _ in range(100):
        shown = objects(district.tool('order', 'show', order, '--output', 'json'))[0]
        if shown['offers']:
            break
        time.sleep(0.05)
    assert [offer['volunteer'] for offer in shown['offers']] == [helper], shown
    offer = str(shown['offers'][0]['offer'])
    answer = objects(district.tool('answer', offer, 'accept', '--as', helper,
                                   '--output', 'json'))[0]
    assert answer['booked'] and answer['outcome']['slot_filled']['slot'] == 1, answer
    again = district.tool('answer', offer, 'decline', '--as', helper, check=False)
    assert again.returncode == 1 and 'answer_offer.offer' in again.stderr, again
    district.tool('service', 'start', order, '1')  # at once: what was seen at the terminal counts
    district.tool('service', 'finish', order, '1')
    district.tool('service', 'confirm', order, '--door', 'site')
    district.tool('order', 'rate', order, '5', '--as', asker, '--door', 'resident')
    return asker, order


def test_an_order_lives_its_whole_life_by_the_tool(district, helper):
    asker, order = the_whole_life_of_an_order(district, helper)
    for _ in range(100):
        shown = objects(district.tool('volunteer', 'show', helper, '--output', 'json'))[0]
        if shown['minutes'] == 1:
            break
        time.sleep(0.05)
    assert shown['minutes'] == 1 and shown['served'] == 1, shown
    assert objects(district.tool('order', 'list', '--state', 'completed', '--site', 'S0',
                                 '--output', 'json'))[0]['order'] == int(order)
    assert '0 orders' in district.tool('order', 'list', '--older-than', '1h').stdout
    story = [one['kind'] for one in objects(district.tool('trace', order, '--output', 'json'))
             if one['log'] != 'notification']
    expected = ['order_placed', 'wave_opened', 'offer_made', 'offer_answered', 'slot_filled',
                'order_staffed', 'service_started', 'service_finished', 'order_served',
                'service_confirmed', 'points_posted', 'order_rated', 'order_closed']
    assert [kind for kind in expected if kind not in story] == [], story
    assert story.index('order_placed') < story.index('offer_made') < story.index('offer_answered')
    why = objects(district.tool('why', order, '--output', 'json'))[0]
    assert [one['verdict'] for one in why['waves'][0]['candidates']] == ['invited'], why
    one = objects(district.tool('why', order, helper, '--output', 'json'))[0]
    assert one['waves'][0]['candidates'][0]['verdict'] == 'invited', one
    return asker


def test_tail_prints_events_from_a_seq_and_then_live(district):
    words = [os.path.join(BIN, 'paidan'), 'tail', 'resident_registered', '--since', '1', '--count',
             '2', '--run-dir', district.run_dir]
    tail = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    first = json.loads(tail.stdout.readline())
    assert first['kind'] == 'resident_registered' and first['log'] == 'intake', first
    time.sleep(0.5)
    district.tool('resident', 'add', '--name', '李四')
    assert json.loads(tail.stdout.readline())['seq'] > first['seq']
    assert tail.wait(10) == 0


def test_a_log_is_read_from_seq_to_seq(district):
    got = objects(district.tool('log', 'get', 'intake', '--from', '3', '--to', '5'))
    assert [one['seq'] for one in got] == [3, 4, 5], got
    logs = objects(district.tool('log', 'ls', '--output', 'json'))
    assert [one['log'] for one in logs] == list(SERVICES) and all(one['first'] == 1 for one in logs)


def test_verify_holds_the_logs_against_a_clients_journal(district):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        write(folder, 'good', '{"log":"intake","seq":3,"key":"k","order":0}\n')
        write(folder, 'bad', '{"log":"intake","seq":999999,"key":"k","order":1}\n')
        district.tool('verify', '--journal', os.path.join(folder, 'good'))
        done = district.tool('verify', '--journal', os.path.join(folder, 'bad'), check=False)
        assert done.returncode == 1 and 'P1' in done.stdout, done


def listed_volunteers(district):
    return len(objects(district.tool('volunteer', 'list', '--limit', '100000', '--output', 'json')))


def test_a_load_goes_on_when_intake_is_killed_in_the_middle(district):
    """The same keys are sent again: every row is there once."""
    before = listed_volunteers(district)
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        write(folder, 'sites.csv', SITES)
        write(folder, 'volunteers.csv', VOLUNTEER + ''.join(
            f'W{number},甲,138,116.{4400 + number % 90},39.9201,5,,{HOURS},3000,5,'
            '36-59,active,44\r\n'
            for number in range(20000)))
        words = [os.path.join(BIN, 'paidan'), 'load', '--data', folder, '--output', 'json',
                 '--run-dir', district.run_dir]
        load = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        time.sleep(0.4)
        district.kill('intake')
        assert load.poll() is None, 'the load was over before intake was killed'
        counts = json.loads(load.communicate(timeout=60)[0].splitlines()[-1])['volunteers']
    assert load.returncode == 0 and counts['loaded'] + counts['before'] == 20000, counts
    assert listed_volunteers(district) == before + 20000
    district.wait_ready()


def seqs(district):
    listed = district.tool('log', 'ls', '--output', 'json')
    return {one['log']: one['last'] for one in objects(listed)}


def test_nothing_is_lost_when_redis_is_killed_and_when_all_is_started_again(district):
    before = seqs(district)
    for name in ('log.redis', 'vault.redis'):
        with open(os.path.join(district.run_dir, name + '.pid'), encoding='ascii') as file:
            os.kill(int(file.read()), signal.SIGKILL)
    time.sleep(1)
    district.wait_ready()
    middle = seqs(district)
    assert all(middle[log] >= before[log] for log in before), (before, middle)
    district.tool('down')
    district.tool('up', '--detach')
    district.wait_ready()
    after = seqs(district)
    assert all(after[log] > middle[log] for log in before), (middle, after)
    district.tool('verify')


def test_a_second_up_in_the_same_folder_is_refused(district):
    done = district.tool('up', '--detach', check=False)
    assert done.returncode == 1 and 'paidan down' in done.stderr, done


def test_a_restored_backup_keeps_the_erased_erased(district, asker):
    """The vault is copied before the erasure, the logs after it: the erasure wins."""
    folder = tempfile.mkdtemp(prefix='paidan-bk.', dir='/tmp')
    try:
        backup = os.path.join(folder, 'backup')
        export = json.loads(district.tool('person', 'export', asker, '--output', 'json').stdout)
        assert '张三' in json.dumps(export, ensure_ascii=False)
        district.tool('backup', backup, '--only', 'vault')
        district.tool('person', 'erase', asker, '--yes')
        district.tool('backup', backup, '--only', 'logs')
        ends = seqs(district)
        with open(os.path.join(backup, 'vault', 'keys.json'), encoding='ascii') as file:
            assert asker in json.load(file)['keys']
        assert os.stat(os.path.join(backup, 'vault', 'keys.json')).st_mode & 0o077 == 0
        again = ['--run-dir', os.path.join(folder, 'run')]
        done = objects(paidan('restore', backup, '--output', 'json', *again))[0]
        assert done['erased'] == 1 and done['keys'] >= 2, done
        paidan('restore', backup, *again, code=1)  # not into a folder that holds something
        paidan('up', '--detach', *again)
        try:
            listed = paidan('log', 'ls', '--output', 'json', *again)
            logs = {one['log']: one for one in objects(listed)}
            assert all(logs[log]['last'] >= ends[log] - 2 for log in ends), (logs, ends)
            paidan('verify', *again)
            text = paidan('person', 'export', asker, *again).stdout
            assert '张三' not in text and '"contact": null' in text, text
        finally:
            paidan('down', *again)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def redis(district, *words):
    """As the user that deploys: it may write to a log, no daemon may write to another's."""
    with open(os.path.join(district.run_dir, 'secrets', 'deploy'), encoding='ascii') as file:
        password = file.read()
    done = subprocess.run(['redis-cli', '-s', os.path.join(district.run_dir, 'log.redis'),
                           '--user', 'deploy', '-x', *words], input=b'forged', check=True,
                          capture_output=True, env={**os.environ, 'REDISCLI_AUTH': password})
    return done.stdout.decode()


def test_verify_names_a_forged_entry(district):
    """Last: the log is damaged for good."""
    last = seqs(district)['points']
    forged = hashlib.sha256(b'x').hexdigest()[:32]
    said = redis(district, 'XADD', '{110105}:log:points', f'{last + 5}-0', 'h', forged, 'p', '1',
                 'e')
    assert said.startswith(str(last + 5)), said
    done = district.tool('verify', '--output', 'json', check=False)
    assert done.returncode == 1, done
    faults = [one['fault'] for one in objects(done) if 'fault' in one]
    assert any(one['log'] == 'points' and one['seq'] == last + 5 for one in faults), faults


def run(name, test, *arguments):
    """One line a test; a failure ends the run, since the tests build on each other."""
    try:
        result = test(*arguments)
        print(f'ok    {name}', flush=True)
        return result
    except Exception as problem:
        print(f'FAIL  {name}: {type(problem).__name__}: {problem}', flush=True)
        raise SystemExit(1) from problem


if __name__ == '__main__':
    run('help', test_help_is_what_the_golden_file_says)
    run('usage', test_a_wrong_command_line_is_exit_2_and_says_how_to_get_help)
    run('long_path', test_a_run_folder_that_is_too_long_for_sockets_is_refused)
    run('no_shard', test_without_a_shard_it_says_how_to_start_one)
    with District(BIN) as district:
        helper = run('load', test_loading_names_bad_rows_and_loads_the_good_ones_once, district)
        asker = run('life', test_an_order_lives_its_whole_life_by_the_tool, district, helper)
        run('tail', test_tail_prints_events_from_a_seq_and_then_live, district)
        run('log', test_a_log_is_read_from_seq_to_seq, district)
        run('journal', test_verify_holds_the_logs_against_a_clients_journal, district)
        run('killed', test_a_load_goes_on_when_intake_is_killed_in_the_middle, district)
        run('redis', test_nothing_is_lost_when_redis_is_killed_and_when_all_is_started_again,
            district)
        run('second_up', test_a_second_up_in_the_same_folder_is_refused, district)
        run('restore', test_a_restored_backup_keeps_the_erased_erased, district, asker)
        run('forged', test_verify_names_a_forged_entry, district)
    print('14 passed, 0 failed')
