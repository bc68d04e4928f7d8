"""What each Redis user may do, and above all what it may not: tried on a running district."""
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from district import ROOT, SERVICES, SHARD, District, Suite

district = None
USERS = SERVICES + ('tool', 'deploy', 'archivist')
TAG = '{%06d}' % SHARD
VAULT, HASH_KEY = TAG + ':vault', TAG + ':vault:hashkey'
ZEROS = '0' * 32

# Commands that a user may run at all, whatever the key.
CLUSTER = {'asking', 'cluster|slots'}
DAEMON = CLUSTER | {'auth', 'hello', 'ping', 'wait', 'fcall', 'fcall_ro', 'xrange', 'xrevrange',
                    'xadd', 'hset', 'hmget', 'del', 'hdel', 'pexpire', 'pttl'}
ALLOWED = {
    **{name: DAEMON for name in SERVICES},
    'intake': DAEMON | {'hget', 'hsetnx', 'hdel', 'get', 'set', 'bgrewriteaof'},
    'tool': {'auth', 'hello', 'ping', 'asking', 'multi', 'exec', 'fcall_ro', 'xrange', 'xrevrange',
             'xlen', 'info', 'hget', 'hgetall', 'get', 'hmget', 'pttl'},
    'deploy': CLUSTER | {'auth', 'hello', 'ping', 'info', 'function|load', 'fcall', 'fcall_ro',
                         'xrange', 'xrevrange', 'xadd', 'hset', 'hmget', 'hget', 'del', 'set',
                         'get', 'hdel', 'bgrewriteaof'},
    'archivist': {'auth', 'hello', 'ping', 'asking', 'fcall_ro', 'xrange', 'xrevrange', 'xtrim'},
    'health': {'ping'},
}
# Redis lets everybody log in, leave and start the connection anew.
ALWAYS = {'auth', 'hello', 'quit', 'reset'}


def redis(socket, *words, user=None, password=None, text=''):
    """One command; its answer as redis-cli prints it."""
    login = ['--user', user] if user else []
    env = {**os.environ, 'REDISCLI_AUTH': password} if password else os.environ
    done = subprocess.run(['redis-cli', '-s', socket, '--no-auth-warning', *login, *words],
                          input=text.encode(), env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.decode('latin-1').strip()


def ask(user, server, *words):
    password = 'none'
    if user != 'health':
        with open(os.path.join(district.run_dir, 'secrets', user), encoding='utf-8') as file:
            password = file.read().strip()
    return redis(os.path.join(district.run_dir, server + '.redis'), *words, user=user,
                 password=password)


def log(name):
    return f'{TAG}:log:{name}'


def tip(name):
    return f'{TAG}:tip:{name}'


def lease(name):
    return f'{TAG}:lease:{name}'


def refused(user, server, *words):
    answer = ask(user, server, *words)
    # A Function that runs into a missing right says so inside its own error.
    assert answer.startswith('NOPERM') or 'ACL failure in script' in answer, (user, words, answer)


def granted(user, server, *words):
    answer = ask(user, server, *words)
    for sign in ('NOPERM', 'NOAUTH', 'WRONGPASS', 'ACL failure', 'Could not connect'):
        assert sign not in answer, (user, words, answer)
    return answer


def contents():
    """All logs and the vault, as the tool reads them."""
    found = {name: granted('tool', 'log', 'XRANGE', log(name), '-', '+') for name in SERVICES}
    found['vault'] = granted('tool', 'vault', 'HGETALL', VAULT)
    found['hash key'] = granted('tool', 'vault', 'GET', HASH_KEY)
    return found


def test_nobody_gets_in_without_a_password():
    for server in ('log', 'vault'):
        socket = os.path.join(district.run_dir, server + '.redis')
        assert redis(socket, 'PING').startswith('NOAUTH')
        for user in ('default',) + USERS:
            for password in ('none', user, 'default'):
                answer = redis(socket, 'AUTH', user, password)
                assert answer.startswith('WRONGPASS'), (user, answer)
        assert ask('health', server, 'PING') == 'PONG'
        for words in (['GET', HASH_KEY], ['XRANGE', log('intake'), '-', '+'], ['INFO'],
                      ['ACL', 'WHOAMI'], ['COMMAND', 'COUNT'],
                      ['FCALL_RO', 'paidan_tail', '1', log('intake')]):
            refused('health', server, *words)


def test_nobody_runs_scripts_and_only_deploy_loads_functions():
    library = '#!lua name=evil\nredis.register_function("evil", function() return 1 end)'
    for server in ('log', 'vault'):
        for user in USERS:
            for words in (['EVAL', 'return 1', '0'], ['EVAL_RO', 'return 1', '0'],
                          ['EVALSHA', ZEROS + '00000000', '0'], ['SCRIPT', 'LOAD', 'return 1'],
                          ['SCRIPT', 'FLUSH'], ['FUNCTION', 'FLUSH'],
                          ['FUNCTION', 'DELETE', 'paidan'], ['FUNCTION', 'DUMP'],
                          ['FUNCTION', 'RESTORE', 'x', 'REPLACE'],
                          ['FUNCTION', 'KILL']):
                refused(user, server, *words)
            if user != 'deploy':
                refused(user, server, 'FUNCTION', 'LOAD', library)
                refused(user, server, 'FUNCTION', 'LOAD', 'REPLACE',
                        library.replace('evil', 'paidan'))
    assert 'Missing library metadata' in granted('deploy', 'log', 'FUNCTION', 'LOAD', 'nonsense')


def test_nobody_administers_the_server_or_moves_keys():
    for server, key in (('log', log('intake')), ('vault', VAULT)):
        for user in USERS:
            for words in (['RESTORE', key + '2', '0', 'x'], ['DUMP', key], ['COPY', key, key + '2'],
                          ['RENAME', key, key + '2'], ['MIGRATE', '127.0.0.1', '1', key, '0', '1'],
                          ['EXPIRE', key, '1'], ['UNLINK', key], ['FLUSHALL'], ['FLUSHDB'],
                          ['SWAPDB', '0', '1'], ['KEYS', '*'], ['SCAN', '0'], ['RANDOMKEY'],
                          ['CONFIG', 'SET', 'appendfsync', 'no'], ['CONFIG', 'GET', '*'],
                          ['ACL', 'LIST'], ['ACL', 'SETUSER', user, 'allcommands'], ['ACL', 'LOAD'],
                          ['SHUTDOWN', 'NOSAVE'], ['MONITOR'],
                          ['REPLICAOF', '127.0.0.1', '1'], ['CLIENT', 'LIST'], ['SAVE'],
                          ['CLIENT', 'KILL', 'TYPE', 'normal'], ['MODULE', 'LIST'],
                          ['SUBSCRIBE', 'x'], ['PUBLISH', 'x', 'y'], ['SLOWLOG', 'GET']):
                refused(user, server, *words)


def writes_to(name):
    """What would change a log or its tip, in any way that a client could try."""
    keys = ['2', log(name), tip(name)]
    return [['FCALL', 'paidan_commit', *keys, '99', '1', '1', ZEROS, ZEROS, 'x'],
            ['XADD', log(name), '999999999-0', 'e', 'x'], ['XADD', log(name), '*', 'e', 'x'],
            ['HSET', tip(name), 's', '9'], ['DEL', tip(name)], ['DEL', log(name)],
            ['PEXPIRE', log(name), '1'], ['HDEL', tip(name), 's'],
            ['FCALL', 'paidan_lease', '1', lease(name), 'take', 'x', 'ipc:///x', '1', '1200', '0'],
            ['DEL', lease(name)], ['PEXPIRE', lease(name), '1'],
            ['FCALL', 'paidan_boot', *keys]]


def test_no_daemon_writes_the_log_of_another():
    for user in SERVICES:
        for other in SERVICES:
            if other == user:
                continue
            for words in writes_to(other):
                refused(user, 'log', *words)
            # Its own key beside another's opens nothing.
            refused(user, 'log', 'FCALL', 'paidan_commit', '2', log(user), tip(other), '99', '1',
                    '1', ZEROS, ZEROS, 'x')
            refused(user, 'log', 'FCALL', 'paidan_commit', '2', log(other), tip(user), '99', '1',
                    '1', ZEROS, ZEROS, 'x')
            assert granted(user, 'log', 'XRANGE', log(other), '-', '+', 'COUNT', '1') != ''
        assert granted(user, 'log', 'FCALL_RO', 'paidan_version', '0') == '2'
        assert granted(user, 'log', 'FCALL_RO', 'paidan_tail', '1', log(user)) != ''


def test_no_daemon_shortens_even_its_own_log_and_the_tool_writes_nothing():
    for user in SERVICES:
        for words in (['DEL', log(user)], ['XDEL', log(user), '1-0'], ['XSETID', log(user), '1-0'],
                      ['XTRIM', log(user), 'MAXLEN', '0'], ['SET', log(user), 'x']):
            refused(user, 'log', *words)
    for name in SERVICES:
        for words in writes_to(name):
            refused('tool', 'log', *words)
        refused('tool', 'log', 'XTRIM', log(name), 'MAXLEN', '0')
        refused('deploy', 'log', 'XTRIM', log(name), 'MAXLEN', '0')


def test_who_trims_a_log_writes_nothing_into_it():
    for name in SERVICES:
        for words in writes_to(name) + [['XDEL', log(name), '1-0'], ['XSETID', log(name), '1-0'],
                                        ['SET', log(name), 'x']]:
            refused('archivist', 'log', *words)
        assert granted('archivist', 'log', 'XTRIM', log(name), 'MINID', '=', '1-0') == '0'
        refused('archivist', 'log', 'XTRIM', tip(name), 'MAXLEN', '0')


def test_only_intake_and_those_who_run_the_place_see_the_vault():
    person = granted('tool', 'vault', 'HGETALL', VAULT).split('\n')[0]
    reads = [['HGET', VAULT, person], ['HGETALL', VAULT], ['GET', HASH_KEY], ['HKEYS', VAULT],
             ['HMGET', VAULT, person], ['HEXISTS', VAULT, person], ['EXISTS', VAULT],
             ['STRLEN', HASH_KEY], ['TYPE', VAULT]]
    writes = [['HSET', VAULT, person, 'x'], ['HSETNX', VAULT, 'x', 'y'], ['HDEL', VAULT, person],
              ['DEL', VAULT], ['SET', HASH_KEY, 'x'], ['DEL', HASH_KEY], ['BGREWRITEAOF']]
    for user in SERVICES[1:]:
        for words in reads + writes:
            refused(user, 'vault', *words)
    for words in writes:
        refused('tool', 'vault', *words)
    for words in (['HGETALL', VAULT], ['HSET', VAULT, person, 'x'], ['DEL', VAULT],
                  ['DEL', HASH_KEY]):
        refused('intake', 'vault', *words)
    for user in ('intake', 'tool', 'deploy'):
        assert granted(user, 'vault', 'HGET', VAULT, person) != '', user


def test_after_all_that_nothing_has_changed(before):
    after = contents()
    for name, text in before.items():
        # The daemons themselves may have gone on.
        assert after[name].startswith(text), name
        assert name in SERVICES or after[name] == text, name
    assert district.wait_ready()['ready']
    assert 'faults: 0' in district.tool('verify').stdout


# ---- every command there is ----

def all_commands(socket):
    """Name and least number of words of every command of the server; 'function|load' for parts."""
    found = {}

    def take(rows):
        for row in rows:
            if row[9]:
                take(row[9])
            else:
                found[row[0]] = abs(row[1])

    take(json.loads(redis(socket, '--json', 'COMMAND', user='admin', password='none')))
    return found


def attempts(user, name, least):
    """Ways to call a command so that only the rights decide: with each kind of key in turn."""
    words = name.split('|')
    if name.startswith(('fcall', 'eval')):
        return [words + ['paidan_version', '0']]
    fill = max(least - len(words), 0)
    keys = [log(user), tip(user), lease(user), VAULT, HASH_KEY, 'x']
    return [words + [key] * min(fill, 1) + ['x'] * (fill - 1) for key in keys]


def runnable(socket, user):
    """The commands that the server would let this user run, as the server itself says."""
    tries = [(name, words) for name, least in all_commands(socket).items()
             for words in attempts(user, name, least)]
    lines = ''.join(' '.join(['ACL', 'DRYRUN', user, *words]) + '\n' for name, words in tries)
    answers = redis(socket, user='admin', password='none', text=lines).splitlines()
    answers = [line for line in answers if line]
    assert len(answers) == len(tries), (user, len(answers), len(tries))
    return {name for (name, words), answer in zip(tries, answers) if answer == 'OK'}


def start_redis(folder, users):
    """A server with deploy's own files and one more user who may look."""
    path = os.path.join(folder, 'all.acl')
    shutil.copy(os.path.join(folder, users), path)
    with open(path, 'a', encoding='utf-8') as file:
        file.write('user admin on nopass ~* &* +@all\n')
    socket = os.path.join(folder, 'redis.sock')
    process = subprocess.Popen(
        ['redis-server', os.path.join(ROOT, 'deploy', 'redis.conf'), '--dir', folder,
         '--unixsocket', socket, '--aclfile', path], stdout=subprocess.DEVNULL)
    for _ in range(200):
        if redis(socket, 'PING', user='admin', password='none') == 'PONG':
            return process, socket
        time.sleep(0.05)
    process.kill()
    raise AssertionError('redis-server does not answer')


def make_users(folder):
    subprocess.run([os.path.join(ROOT, 'deploy', 'make-users'), folder, str(os.getuid())],
                   check=True)


def with_server(users, look):
    folder = tempfile.mkdtemp(prefix='paidan-acl.', dir='/tmp')
    try:
        make_users(folder)
        process, socket = start_redis(folder, users)
        try:
            return look(socket, folder)
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder)


def test_of_all_commands_each_user_may_run_its_own_few():
    def look(socket, folder):
        for user, allowed in ALLOWED.items():
            may = runnable(socket, user)
            assert may - ALWAYS == allowed - ALWAYS, (user, may ^ allowed)

    with_server('log.acl', look)


def test_make_users_keeps_passwords_and_lets_few_into_the_vault():
    def look(socket, folder):
        passwords = {}
        for user in USERS:
            path = os.path.join(folder, user)
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, user
            with open(path, encoding='utf-8') as file:
                passwords[user] = file.read()
            answer = redis(socket, 'AUTH', user, passwords[user])
            inside = user in ('intake', 'tool', 'deploy')
            assert answer.startswith('OK' if inside else 'WRONGPASS'), (user, answer)
        assert len(set(passwords.values())) == len(USERS)
        os.remove(os.path.join(folder, 'matching'))
        make_users(folder)
        for user in USERS:
            with open(os.path.join(folder, user), encoding='utf-8') as file:
                assert (file.read() == passwords[user]) == (user != 'matching'), user

    with_server('vault.acl', look)


def main():
    global district
    tests = dict(globals())
    last = tests.pop('test_after_all_that_nothing_has_changed')
    with District(sys.argv[1]) as district:
        district.settle()
        district.volunteer()
        district.order(district.resident())
        district.wait_ready()
        before = contents()
        tests[last.__name__] = lambda: last(before)
        return Suite(tests).run()


sys.exit(main())
