"""The edge over CURVE, from the contract alone: commands, events, replays; and who may not."""
import json
import os
import signal
import sys
import threading
import time

import zmq

from district import SHARD, District, Refused, Suite, command, edge, types
from edge import Commands, Follower, Key, Listener, Replays, free_ports

district = None
LIMIT = 10  # seconds


def refusal(send, message):
    try:
        send(message)
    except Refused as refused:
        return refused.refusal
    raise AssertionError('it was taken')


def order_of(person, key='', shard=SHARD):
    now = int(time.time() * 1000)
    message = command.Command(shard=shard, key=key, actor=person)
    body = message.place_order
    body.requester, body.kind, body.category = person, types.ORDER_KIND_VISIT, 'elder_escort'
    body.note, body.point.datum = '请保密', 1
    body.point.lon_e7, body.point.lat_e7 = 1164400000, 399200000
    body.skills.append(types.SKILL_COMPANION)
    body.need, body.minutes, body.urgency, body.channel = 1, 60, 2, 1
    body.window_start_ms, body.window_end_ms = now + 3600000, now + 5 * 3600000
    return message


def said(kind, actor, **fields):
    message = command.Command(actor=actor)
    getattr(message, kind).SetInParent()
    for name, value in fields.items():
        setattr(getattr(message, kind), name, value)
    return message


def published(type_name, payload=b'x', key=''):
    message = command.Command(key=key)
    body = message.publish_external
    body.type, body.schema, body.payload = type_name, 'charity.Meal/1', payload
    return message


def gateway_log():
    with open(os.path.join(district.run_dir, 'gateway.log')) as file:
        return [json.loads(line) for line in file if line.startswith('{')]


def wait_log(text, seconds=LIMIT):
    until = time.time() + seconds
    while time.time() < until:
        for line in gateway_log():
            if text in json.dumps(line):
                return line
        time.sleep(0.05)
    raise AssertionError(f'"{text}" is not in gateway.log')


def metric(name):
    import http.client
    import socket
    connection = http.client.HTTPConnection('localhost')
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.path.join(district.run_dir, 'gateway.http'))
    connection.request('GET', '/metrics')
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[1])
    raise AssertionError(f'no metric {name}')


def test_an_order_is_placed_and_followed_from_another_machine():
    app = Key(district, 'app', hear=str(SHARD), roles='resident,volunteer')
    hears, says = Listener(app, b'1101').connected(), Commands(app)
    person = says.send(said('register_resident', b'', name='居民', phone='1380')).person
    ack = says.send(order_of(person))
    offer = hears.wait('offer_made', lambda body: body.order == ack.id)
    accept = said('answer_offer', offer.offer_made.volunteer, offer=offer.offer_made.offer,
                  accept=True)
    accept.seen.log, accept.seen.seq = offer.log, offer.seq
    says.send(accept)
    hears.wait('order_staffed', lambda body: body.order == ack.id)
    placed = hears.wait('order_placed', lambda body: body.order == ack.id)
    assert (placed.seq, placed.shard) == (ack.position.seq, SHARD)
    assert placed.origin.principal == 'app', 'the principal is the name of the key'
    topics = {topic for topic, _, one in hears.heard if one.WhichOneof('body') == 'order_placed'}
    assert topics == {f'{SHARD}/order_placed'}, topics


def test_the_bytes_heard_and_replayed_are_the_committed_ones():
    key = Key(district, 'bytes', hear=str(SHARD))
    inside = district.subscribe()
    outside = Listener(key, str(SHARD)).connected()
    while not inside.last:
        district.resident('居民')
        inside.poll(100)
    district.order(district.resident('居民'))
    outside.wait('offer_made')
    inside.wait('offer_made')
    outside.listen(0.5)
    until = time.time() + 0.5
    while time.time() < until:
        inside.poll(50)
    committed = {(one.log, one.seq): one.SerializeToString() for one in inside.heard}
    both = [(one.log, one.seq, data) for _, data, one in outside.heard
            if (one.log, one.seq) in committed]
    assert len(both) > 5
    for log, seq, data in both:
        assert committed[log, seq] == data, (log, seq)
    again = {(one.log, one.seq): one.SerializeToString()
             for log in (1, 2, 3) for one in Replays(key).all(log)}
    for log, seq, data in both:
        assert log > 3 or again[log, seq] == data, (log, seq)


def test_a_replay_goes_on_from_a_cursor_or_a_time_in_pages():
    key = Key(district, 'pages', hear=str(SHARD))
    replays = Replays(key)
    everything = replays.all(types.LOG_INTAKE)
    assert [one.seq for one in everything] == list(range(1, len(everything) + 1))
    assert [one.seq for one in replays.all(types.LOG_INTAKE, limit=3)] == \
        [one.seq for one in everything]
    cursor = everything[len(everything) // 2].seq
    assert [one.seq for one in replays.all(types.LOG_INTAKE, cursor + 1)] == \
        [one.seq for one in everything[cursor:]]
    placed = replays.all(types.LOG_INTAKE, kinds=['order_placed'])
    assert placed and {one.WhichOneof('body') for one in placed} == {'order_placed'}
    for one in (everything[0], everything[7], everything[-1]):
        batch = replays.batch(types.LOG_INTAKE, time_ms=one.time_ms)
        first = next(other for other in everything if other.time_ms >= one.time_ms)
        assert batch.events[0].seq == first.seq, (batch.events[0].seq, first.seq)
    late = replays.batch(types.LOG_INTAKE, time_ms=int(time.time() * 1000) + 3600000)
    assert late.end and not late.events and late.next_seq == late.last_seq + 1
    for wrong in ({'log': 9, 'seq': 1}, {'log': 1}, {'log': 1, 'seq': 1, 'limit': 10001}):
        log = wrong.pop('log')
        try:
            replays.batch(log, **wrong)
            raise AssertionError(f'{wrong} was taken')
        except Refused as refused:
            assert refused.refusal.field and refused.refusal.next and refused.refusal.zh


def test_a_key_that_is_not_granted_gets_nothing():
    stranger = Key(district, 'stranger')
    denied = metric('paidan_edge_denied_total')
    hears = Listener(stranger, b'')
    assert not hears.listen(1.5) and not hears.tips
    says = stranger.socket(zmq.DEALER, 1)
    says.sndtimeo = 0
    try:
        says.send(order_of(b'x' * 16, key='k').SerializeToString())
    except zmq.Again:
        pass  # libzmq has given the connection up
    assert not says.poll(1000)
    assert metric('paidan_edge_denied_total') > denied
    line = wait_log('the key is not granted')
    assert line['public_key'] == stranger.public.decode()


def test_what_the_grant_leaves_out_is_not_seen():
    key = Key(district, 'blind', hear=f'{SHARD}/order_placed,{SHARD}/resident',
              redact='order_placed.note,order_placed.place,order_placed.requester,event.origin')
    hears, replays = Listener(key, f'blind/{SHARD}').connected(), Replays(key)
    assert replays.hello().view == 'blind/'
    district.order(district.resident('居民'), note='请帮忙')
    heard = hears.wait('order_placed')
    stored = replays.all(types.LOG_INTAKE, heard.seq, kinds=['order_placed'])[0]
    for one in (heard, stored):
        body = one.order_placed
        assert not body.HasField('note') and not body.HasField('place') and not body.requester
        assert not one.HasField('origin')
        assert body.order and body.category == 'elder_escort' and body.HasField('cell')
    assert {topic for topic, _, _ in hears.heard} <= \
        {f'blind/{SHARD}/order_placed', f'blind/{SHARD}/resident_registered'}
    plain = Listener(key, str(SHARD))
    district.order(district.resident('居民'))
    assert not plain.listen(1), 'the whole of it was heard'


def test_a_topic_that_is_not_granted_is_not_heard():
    key = Key(district, 'narrow', hear='11/order_placed,37')
    hears = Listener(key, b'', b'110105/offer_made', str(SHARD)).connected()
    ack = district.order(district.resident('居民'))
    hears.wait('order_placed', lambda body: body.order == ack.id)
    hears.listen(0.5)
    assert {topic for topic, _, _ in hears.heard} == {f'{SHARD}/order_placed'}
    for log in range(1, 6):
        kinds = {one.WhichOneof('body') for one in Replays(key).all(log)}
        assert kinds <= {'order_placed'}, kinds


def test_a_role_that_is_not_granted_is_refused_and_no_name_can_be_claimed():
    nobody = Commands(Key(district, 'nobody', hear=str(SHARD)))
    person = district.resident('居民')
    assert refusal(nobody.send, order_of(person)).code == command.CODE_NOT_ALLOWED
    helper = Commands(Key(district, 'helper', roles='volunteer'))
    assert refusal(helper.send, order_of(person)).code == command.CODE_NOT_ALLOWED
    other = Commands(Key(district, 'other', roles='site'))
    # Frames in front of the command claim nothing: the shape is refused.
    command_bytes = order_of(person, key='claimed').SerializeToString()
    for frames in ([b'app', command_bytes], [b'', b'app', b'\x08', command_bytes]):
        other.socket.send_multipart(frames)
        reply = command.Reply.FromString(other.socket.recv_multipart()[-1])
        assert reply.refusal.code == command.CODE_MALFORMED, reply
    key = 'the same key'
    first = other.send(order_of(person, key=key))
    second = Commands(Key(district, 'second', roles='site')).send(order_of(person, key=key))
    assert first.id != second.id and not second.duplicate, 'a key is bound within its principal'


def test_outside_events_are_published_once_heard_by_type_and_only_by_whom_it_is_granted():
    charity = Key(district, 'charity', publish='ext.charity.meal')
    reader = Key(district, 'reader', hear='11/ext.charity.')
    hears = Listener(reader, b'110105/ext.', b'110105/tip').connected()
    says = Commands(charity)
    payload = bytes(range(256)) * 64
    first = says.send(published('ext.charity.meal', payload, 'meal-1'))
    again = says.send(published('ext.charity.meal', payload, 'meal-1'))
    assert again.duplicate and again.position.seq == first.position.seq
    one = hears.wait('external_noted')
    assert one.external_noted.payload == payload and one.origin.principal == 'charity'
    assert hears.heard[0][0] == f'{SHARD}/ext.charity.meal'
    for name, code in (('ext.charity.news', command.CODE_NOT_ALLOWED),
                       ('ext.other.meal', command.CODE_NOT_ALLOWED)):
        assert refusal(says.send, published(name)).code == code
    assert refusal(says.send, published('ext.charity.meal', b'x' * 16385)).code == \
        command.CODE_FIELD
    person = district.resident('居民')
    assert refusal(says.send, order_of(person)).code == command.CODE_NOT_ALLOWED
    hears.listen(0.5)
    assert len(hears.heard) == 1


def test_grants_are_taken_back_and_a_bad_file_changes_nothing():
    key = Key(district, 'fleeting', hear=str(SHARD), roles='site')
    hears = Listener(key, str(SHARD)).connected()
    grants = os.path.join(district.run_dir, 'data', 'edge', 'grants.yaml')
    with open(grants) as file:
        good = file.read()
    with open(grants, 'w') as file:
        file.write(good + '  - name: extra\n    wishes: [all]\n')
    os.kill(district.pid('gateway'), signal.SIGHUP)
    line = wait_log('the grants file is not taken; the old grants stay')
    place = f'{grants}:{len(good.splitlines()) + 2}:5: unknown "wishes"'
    assert line['why'].startswith(place), line
    hears.connected()
    with open(grants, 'w') as file:
        file.write(good)
    district.tool('key', 'revoke', 'fleeting')
    hears.listen(1.5)
    hears.heard.clear()
    hears.tips.clear()
    district.order(district.resident('居民'))
    assert not hears.listen(1) and not hears.tips
    key.grant(hear=str(SHARD))
    Listener(key, str(SHARD)).connected()


def test_whoever_offends_is_barred_and_the_others_come_back():
    good = Listener(Key(district, 'good', hear=str(SHARD)), str(SHARD)).connected()
    # Not a subscription: libzmq would count it as one, and give somebody another's topics.
    bad = Key(district, 'bad', hear='37')
    upstream = bad.socket(zmq.XSUB, 0)
    upstream.send(b'\x01' + b'3')
    time.sleep(0.3)
    upstream.send(b'neither one nor nought')
    wait_log('a message upstream that is no subscription')
    good.tips.clear()
    good.connected(3)
    # A key without end of subscriptions.
    endless = Key(district, 'endless', hear='37')
    flood = endless.socket(zmq.SUB, 0, mark=0)
    for number in range(20000):
        flood.subscribe(f'11{number}')
    wait_log('subscriptions without end')
    # The edge may be on its way down or up just then: what counts is that they come back.
    for last in (False, False, False, False, True):
        good.tips.clear()
        good.connected(3)
        district.order(district.resident('居民'))
        try:
            good.wait('order_placed')
            break
        except AssertionError:
            if last:
                raise


def test_broken_frames_are_refused_and_counted():
    key = Key(district, 'broken', hear=str(SHARD), roles='resident')
    says, replays = Commands(key), Replays(key)
    person = district.resident('居民')
    good = order_of(person, key='k').SerializeToString()
    for cut in range(1, len(good), 7):
        says.socket.send(bytes(good[:cut]))
        reply = command.Reply.FromString(says.socket.recv())
        assert reply.HasField('refusal'), cut
    for junk in (b'', b'\xff' * 40, b'\x0a\xff\xff\xff\xff\x0f', b'\x1a\x02\x08\x01'):
        replays.socket.send(junk)
        reply = edge.EdgeReply.FromString(replays.socket.recv())
        assert reply.refusal.code in (command.CODE_MALFORMED, command.CODE_WRONG_SHARD), junk
    replays.socket.send(b'x' * 100000)  # over the limit of a frame: the connection is dropped
    says.socket.send(b'x' * 100000)
    time.sleep(0.3)
    assert replays.hello().name == 'broken'
    assert says.send(order_of(person)).id


def test_a_killed_edge_comes_back_and_a_follower_misses_nothing():
    key = Key(district, 'follower', hear=str(SHARD), roles='site')
    follower = Follower(key)
    while len(follower.next) < 5:
        follower.turn(100)
    start = dict(follower.next)
    person = district.resident('居民')
    acked, stop = [], threading.Event()

    def load():
        says = Commands(key)
        while not stop.is_set():
            message = order_of(person, key=f'load-{len(acked)}')
            try:
                acked.append(says.send(message, 30000).position.seq)
            except Refused as refused:
                assert refused.refusal.code == command.CODE_RETRY, refused
                time.sleep(0.02)

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(3):
        until = time.time() + 1
        while time.time() < until:
            follower.turn(20)
        killed = time.time()
        before, pid = len(acked), district.kill('gateway')
        while district.pid('gateway') in (None, pid) or len(acked) < before + 3:
            follower.turn(20)
            assert time.time() < killed + LIMIT, 'it did not come back'
    stop.set()
    thread.join()
    district.wait_ready()
    seen = Follower(key)
    while len(seen.next) < 5:
        seen.turn(100)
    until = time.time() + LIMIT
    while time.time() < until and any(follower.next[log] < seen.next[log] for log in seen.next):
        follower.turn(50)
    assert len(acked) > 20
    replays = Replays(key)
    for log in range(1, 6):
        heard = [one.SerializeToString() for one in follower.events[log]]
        wanted = [one.SerializeToString() for one in replays.all(log, start[log], limit=10000)]
        assert heard == wanted[:len(heard)] and len(heard) >= seen.next[log] - start[log]
    numbers = {one.seq for one in follower.events[types.LOG_INTAKE]}
    assert set(acked) <= numbers, 'acknowledged, but not heard'
    assert follower.healed > 0


def test_a_replay_reads_through_archive_and_log_without_a_seam():
    key = Key(district, 'historian', hear=str(SHARD))
    before = {log: Replays(key).all(log) for log in range(1, 6)}
    district.tool('down')
    district.tool('up', '--detach', '--archive', '0', '--edge', f'tcp://127.0.0.1:{district.port}')
    ran = district.tool('archive', 'run', '--retain', '5', '--output', 'json').stdout
    assert json.loads(ran.splitlines()[0])['stream_from'] > 1, ran
    ack = district.order(district.resident('居民'))
    replays = Replays(key)
    for log in range(1, 6):
        after = replays.all(log, limit=100)
        count = len(before[log])
        assert [one.seq for one in after] == list(range(1, len(after) + 1)), ran
        assert [one.SerializeToString() for one in after[:count]] == \
            [one.SerializeToString() for one in before[log]]
    assert ack.position.seq in {one.seq for one in replays.all(types.LOG_INTAKE)}
    early = before[types.LOG_INTAKE][3]
    batch = replays.batch(types.LOG_INTAKE, time_ms=early.time_ms)
    assert batch.events[0].time_ms == early.time_ms and not batch.first_seq


if __name__ == '__main__':
    port = free_ports()
    with District(sys.argv[1], edge=f'tcp://127.0.0.1:{port}') as district:
        district.port = port
        district.settle()
        for number in range(20):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 20000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
