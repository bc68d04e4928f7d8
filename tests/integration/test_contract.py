"""From the published contract alone, an order is placed and followed to its rating."""
import os
import sys
import time

from district import SHARD, District, Refused, Suite, command, event, types, wait_connected

district = None


def position(of):
    return {'log': of.log, 'seq': of.seq}


def say(door, actor, seen=None, **body):
    message = command.Command(actor=actor)
    if seen is not None:
        message.seen.log, message.seen.seq = seen.log, seen.seq  # an event, or its position
    (kind, fields), = body.items()
    getattr(message, kind).SetInParent()
    for name, value in fields.items():
        setattr(getattr(message, kind), name, value)
    return district.door(door).send(message)


def test_an_order_is_followed_from_its_placing_to_its_rating():
    events = district.subscribe()
    wait_connected(events)
    helper, asker = district.volunteer(), district.resident()
    ack = district.order(asker, note='请帮忙取药', address='永安里 3 号楼')
    order = ack.id
    offer = events.wait('offer_made', lambda body: body.order == order and body.volunteer == helper)
    say('volunteer', helper, offer, answer_offer={'offer': offer.offer_made.offer, 'accept': True})
    filled = events.wait('slot_filled', lambda body: body.order == order)
    assert filled.slot_filled.volunteer == helper
    events.wait('order_staffed', lambda body: body.order == order)
    slot = filled.slot_filled.slot
    say('volunteer', helper, filled, start_service={'order': order, 'slot': slot})
    say('volunteer', helper, finish_service={'order': order, 'slot': slot})
    events.wait('order_served', lambda body: body.order == order)
    say('resident', asker, confirm_service={'order': order})
    confirmed = events.wait('service_confirmed', lambda body: body.order == order)
    posted = events.wait('points_posted', lambda body: body.order == order)
    lines = posted.points_posted.lines
    assert sum(line.amount for line in lines if line.unit == types.UNIT_MINUTES) == 0
    mine = [line.amount for line in lines if line.person == helper
            and line.unit == types.UNIT_MINUTES]
    assert mine == [confirmed.service_confirmed.minutes], mine
    say('resident', asker, rate_order={'order': order, 'stars': 5, 'comment': '谢谢'})
    events.wait('order_rated', lambda body: body.order == order)
    closed = events.wait('order_closed', lambda body: body.order == order)
    assert closed.order_closed.state == types.ORDER_STATE_COMPLETED
    events.wait('message_sent', lambda body: body.template == event.TEMPLATE_POINTS)


def test_who_speaks_is_what_the_kernel_says_for_every_command():
    """Alone and in bursts: the transport once knew its peer in the one case only."""
    events = district.subscribe('intake')
    wait_connected(events, logs=1)
    door = district.door('resident')
    for burst in (1, 1, 5, 1, 20):
        for number in range(burst):
            message = command.Command(shard=SHARD, key=f'burst-{burst}-{time.time_ns()}')
            message.register_resident.name = f'居民{number}'
            door.socket.send(message.SerializeToString())
        for _ in range(burst):
            assert door.socket.poll(20000), 'no answer'
            assert command.Reply.FromString(door.socket.recv()).HasField('ack')
    events.wait('resident_registered', lambda _: len(
        [one for one in events.heard if one.HasField('resident_registered')]) >= 28)
    said = {one.origin.principal for one in events.heard if one.HasField('resident_registered')}
    assert said == {f'resident/uid:{os.getuid()}'}, said


def test_the_same_key_gives_the_same_answer_and_another_body_is_refused():
    asker = district.resident('居民乙')
    start = int(time.time() * 1000) + 7200000
    first = district.order(asker, key='twice', start_ms=start)
    again = district.order(asker, key='twice', start_ms=start)
    assert (again.id, again.position.seq, again.duplicate) == (first.id, first.position.seq, True)
    try:
        district.order(asker, key='twice', start_ms=start, need=2)
        raise AssertionError('another body under the same key was taken')
    except Refused as refused:
        assert refused.refusal.code == command.CODE_KEY_REUSED


def refusal_of(**change):
    asker = refusal_of.asker = getattr(refusal_of, 'asker', None) or district.resident('居民丙')
    try:
        district.order(asker, **change)
    except Refused as refused:
        assert refused.refusal.next and refused.refusal.zh and refused.refusal.rule, refused
        return refused.refusal.code, refused.refusal.field
    raise AssertionError(f'{change} was taken')


def test_what_breaks_a_rule_is_refused_with_the_field():
    field = command.CODE_FIELD
    assert refusal_of(need=0) == (field, 'place_order.need')
    assert refusal_of(need=10000) == (field, 'place_order.need')
    assert refusal_of(minutes=3) == (field, 'place_order.minutes')
    assert refusal_of(window_end_ms=1) == (field, 'place_order.window_end_ms')
    assert refusal_of(category='Elder Escort') == (field, 'place_order.category')
    assert refusal_of(urgency=99) == (field, 'place_order.urgency')
    assert refusal_of(note='长' * 400) == (field, 'place_order.note')


def test_frames_that_are_no_command_are_refused_and_disturb_nobody():
    door = district.door('resident')
    for data in (b'', b'\xff' * 100, b'\x00' * 65537,
                 command.Command(key='x', shard=110105).SerializeToString()[:-1]):
        try:
            door.exchange(data)
            raise AssertionError('taken')
        except Refused as refused:
            wanted = (command.CODE_MALFORMED, command.CODE_FIELD, command.CODE_WRONG_SHARD)
            assert refused.refusal.code in wanted, refused
    # Over what a frame may be: the transport drops the connection.
    door.socket.send(b'\x00' * 100000)
    try:
        door.exchange(b'', 500)
        raise AssertionError('answered')
    except (TimeoutError, Refused):
        pass
    bad = command.Command(key='ok', shard=110105)
    bad.register_resident.name = 'name'
    data = bad.SerializeToString().replace(b'name', b'na\xc0e')
    try:
        door.exchange(data)
        raise AssertionError('bad UTF-8 was taken')
    except Refused as refused:
        assert refused.refusal.code == command.CODE_MALFORMED
        assert refused.refusal.field == 'register_resident.name', refused
        assert 'UTF-8' in refused.refusal.rule, refused
    assert district.resident('居民丁')


def test_a_log_that_intake_does_not_hear_is_refused_at_once():
    """It once said "send it again" for ever: the event never comes."""
    asker = district.resident('居民己')
    for log in (types.LOG_POINTS, types.LOG_NOTIFICATION, types.LOG_UNSPECIFIED, 77):
        try:
            say('resident', asker, types.Position(log=log, seq=1), cancel_order={'order': 1})
            raise AssertionError('taken')
        except Refused as refused:
            assert (refused.refusal.code, refused.refusal.field) == (command.CODE_FIELD, 'seen'), \
                f'{log}: {refused}'


def test_a_door_lets_only_its_own_commands_in():
    helper = district.volunteer(name='志愿者乙')
    for door, body in (('resident', {'pause_volunteer': {'person': helper}}),
                       ('volunteer', {'erase_person': {'person': helper}})):
        try:
            say(door, helper, **body)
            raise AssertionError('taken')
        except Refused as refused:
            assert refused.refusal.code == command.CODE_NOT_ALLOWED, refused


if __name__ == '__main__':
    with District(sys.argv[1]) as district:
        district.settle()
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
