"""Personal data is nowhere outside the vault, and erasing a person erases the person."""
import glob
import json
import os
import sys
import threading
import time

from district import SERVICES, District, Suite, command, wait_connected

district = None
CANARIES = ['金丝雀甲', '金丝雀乙', '13712345678', '13787654321', '金丝雀胡同 7 号', '金丝雀大街 9 号', '金丝雀需要陪诊',
            '金丝雀很满意']


class Listener(threading.Thread):
    """Every byte that any topic carries."""

    def __init__(self):
        super().__init__()
        self.events = district.subscribe()
        self.bytes, self.stop = bytearray(), False

    def run(self):
        while not self.stop:
            if self.events.socket.poll(100):
                for frame in self.events.socket.recv_multipart():
                    self.bytes += frame


def use_the_canaries():
    """A whole life of an order with canaries in every field that may hold personal data."""
    events = district.subscribe()
    wait_connected(events)
    helper = district.volunteer(name=CANARIES[0], phone=CANARIES[2], address=CANARIES[4])
    asker = district.resident(name=CANARIES[1], phone=CANARIES[3], address=CANARIES[5])
    order = district.order(asker, note=CANARIES[6], address=CANARIES[5], key=CANARIES[1]).id
    offer = events.wait('offer_made', lambda body: body.order == order and body.volunteer == helper)

    def say(door, actor, **body):
        message = command.Command(actor=actor)
        (kind, fields), = body.items()
        getattr(message, kind).SetInParent()
        for name, value in fields.items():
            setattr(getattr(message, kind), name, value)
        return district.door(door).send(message)

    say('volunteer', helper, answer_offer={'offer': offer.offer_made.offer, 'accept': True})
    slot = events.wait('slot_filled', lambda body: body.order == order).slot_filled.slot
    time.sleep(0.3)
    say('volunteer', helper, start_service={'order': order, 'slot': slot})
    say('volunteer', helper, finish_service={'order': order, 'slot': slot})
    events.wait('order_served', lambda body: body.order == order)
    say('resident', asker, confirm_service={'order': order})
    say('resident', asker, rate_order={'order': order, 'stars': 1, 'comment': CANARIES[7]})
    events.wait('order_closed', lambda body: body.order == order)
    events.wait('message_sent', lambda body: body.person == helper)
    return helper, asker


def files_outside_the_vault():
    for path in glob.glob(district.run_dir + '/**', recursive=True):
        inside = os.path.relpath(path, district.run_dir)
        if os.path.isfile(path) and 'vault' not in inside:
            yield path


def test_canaries_are_in_no_topic_log_snapshot_or_file():
    listener = Listener()
    listener.start()
    use_the_canaries()
    time.sleep(1)
    listener.stop = True
    listener.join()
    district.tool('down')
    places = {'topics': bytes(listener.bytes)}
    for path in files_outside_the_vault():
        with open(path, 'rb') as file:
            places[path] = file.read()
    assert len(listener.bytes) > 1000 and any('.snapshot' in name
                                              for name in places), sorted(places)
    assert any(name.endswith('.aof') for name in places), sorted(places)
    for name, data in places.items():
        for canary in CANARIES:
            assert canary.encode() not in data, f'{canary} is in {name}'
    district.tool('up', '--detach', '--shard', '110105', '--zone', '+08:00')
    district.wait_ready()


def test_an_erased_person_cannot_be_read_again_even_from_a_backup():
    asker = district.resident(name='金丝雀丙', phone='13711112222', address='金丝雀巷 1 号')
    person = asker.hex()
    shown = district.tool('person', 'export', person, '--output', 'json')
    assert '金丝雀丙' in shown.stdout, shown.stdout
    backup = os.path.join(district.run_dir, 'backup')
    district.tool('backup', backup)
    message = command.Command()
    message.erase_person.person = asker
    district.door('site').send(message)
    until = time.time() + 10
    while time.time() < until:
        after = district.tool('person', 'export', person, '--output', 'json', check=False)
        if '金丝雀丙' not in after.stdout:
            break
        time.sleep(0.1)
    assert '金丝雀丙' not in after.stdout, 'still readable after the erasure'
    district.tool('down')
    district.tool('up', '--detach', '--shard', '110105', '--zone', '+08:00')
    district.wait_ready()
    assert '金丝雀丙' not in district.tool('person', 'export', person,
                                       check=False).stdout, 'readable after a restart'


if __name__ == '__main__':
    with District(sys.argv[1]) as district:
        district.settle()
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
