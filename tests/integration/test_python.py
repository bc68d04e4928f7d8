"""The edge with Debian's python3-zmq and python3-protobuf: an order is placed and followed to its
rating, a gap is healed by replay, and a key that is not granted is refused."""
import sys
import time

import zmq
import zmq.utils.monitor

from district import SHARD, District, Suite, command, types
from edge import Commands, Follower, Key, free_ports

district = None
LIMIT = 20  # seconds


def said(kind, actor=b'', seen=None, **fields):
    message = command.Command(actor=actor)
    if seen is not None:
        message.seen.log, message.seen.seq = seen.log, seen.seq
    getattr(message, kind).SetInParent()
    for name, value in fields.items():
        setattr(getattr(message, kind), name, value)
    return message


def an_order(person):
    now = int(time.time() * 1000)
    message = command.Command(actor=person)
    body = message.place_order
    body.requester, body.kind, body.category = person, types.ORDER_KIND_VISIT, 'elder_escort'
    body.note, body.point.datum = '陪诊', 1
    body.point.lon_e7, body.point.lat_e7 = 1164400000, 399200000
    body.skills.append(types.SKILL_COMPANION)
    body.need, body.minutes, body.urgency, body.channel = 1, 60, 2, 1
    body.window_start_ms, body.window_end_ms = now + 3600000, now + 5 * 3600000
    return message


class Story:
    """A key that may do everything, and what it hears, once and in order."""

    def __init__(self, name):
        self.key = Key(district, name, hear=str(SHARD), roles='resident,volunteer')
        self.says, self.hears = Commands(self.key), Follower(self.key)
        while len(self.hears.next) < 5:
            self.hears.turn(100)

    def wait(self, kind, order):
        until = time.time() + LIMIT
        while time.time() < until:
            for events in self.hears.events.values():
                for one in events:
                    if one.WhichOneof('body') == kind and getattr(one, kind).order == order:
                        return one
            self.hears.turn(100)
        raise AssertionError(f'no {kind} of order {order}')


def test_an_order_is_followed_from_its_placing_to_its_rating():
    story = Story('python')
    person = story.says.send(said('register_resident', name='居民')).person
    order = story.says.send(an_order(person)).id
    offer = story.wait('offer_made', order)
    helper = offer.offer_made.volunteer
    story.says.send(said('answer_offer', helper, offer, offer=offer.offer_made.offer,
                         accept=True))
    filled = story.wait('slot_filled', order)
    slot = filled.slot_filled.slot
    story.says.send(said('start_service', helper, filled, order=order, slot=slot))
    story.says.send(said('finish_service', helper, order=order, slot=slot))
    story.wait('order_served', order)
    story.says.send(said('confirm_service', person, order=order))
    story.wait('service_confirmed', order)
    story.says.send(said('rate_order', person, order=order, stars=5))
    assert story.wait('order_rated', order).order_rated.stars == 5


def test_what_is_said_while_the_edge_is_down_comes_by_replay():
    story = Story('gap')
    pid = district.kill('gateway')
    orders = [district.order(district.resident('居民')).id for _ in range(5)]
    until = time.time() + LIMIT
    while district.pid('gateway') in (None, pid):
        assert time.time() < until
        time.sleep(0.02)
    for order in orders:
        story.wait('order_placed', order)
    for log, events in story.hears.events.items():
        seqs = [one.seq for one in events]
        assert not seqs or seqs == list(range(seqs[0], seqs[0] + len(seqs))), (log, seqs)
    assert story.hears.healed > 0


def test_a_refused_key_is_seen_by_the_monitor():
    key = Key(district, 'ungranted')
    socket = district.context.socket(zmq.DEALER)
    socket.linger = 0
    socket.curve_serverkey, socket.curve_publickey = key.server, key.public
    socket.curve_secretkey = key.secret
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    socket.connect(f'tcp://127.0.0.1:{district.port + 2}')
    assert monitor.poll(5000), 'the refusal is not seen'
    news = zmq.utils.monitor.recv_monitor_message(monitor)
    assert news['event'] == zmq.EVENT_HANDSHAKE_FAILED_AUTH and news['value'] == 400, news
    socket.disable_monitor()
    socket.close()


if __name__ == '__main__':
    port = free_ports()
    with District(sys.argv[1], edge=f'tcp://127.0.0.1:{port}') as district:
        district.port = port
        district.settle()
        for number in range(10):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 10000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
