"""kill -9 of each daemon and of both Redis servers under load: nothing acknowledged is lost."""
import json
import os
import sys
import threading
import time

from district import SERVICES, District, Refused, Suite, command, wait_connected

district = None


class Load(threading.Thread):
    """Places orders one by one, sends again what has no answer, and keeps a journal of acks."""

    def __init__(self, asker):
        super().__init__()
        self.asker, self.stop, self.acked, self.tries = asker, False, [], 0
        self.failure = None

    def run(self):
        try:
            number = 0
            while not self.stop:
                number += 1
                self.place(f'load-{self.name}-{number}')
                time.sleep(0.002)
        except Exception as problem:
            self.failure = problem

    def place(self, key):
        start = int(time.time() * 1000) + 3600000
        while True:
            self.tries += 1
            try:
                door = district.door('resident')
                ack = self.send(door, key, start)
                break
            except TimeoutError:
                continue
            except Refused as refused:
                if refused.refusal.code != command.CODE_RETRY:
                    raise
                time.sleep(0.05)
        self.acked.append({'log': 'intake', 'seq': ack.position.seq, 'key': key, 'order': ack.id})

    def send(self, door, key, start):
        exchange = door.exchange
        door.exchange = lambda data: exchange(data, 1000)
        try:
            return district.order(self.asker, key=key, start_ms=start)
        finally:
            door.exchange = exchange


def under_load(disturb):
    """Disturb while orders come in; then all acknowledged are in the log, and orders still flow."""
    load = Load(district.resident('居民'))
    load.start()
    time.sleep(0.5)
    try:
        disturb()
        before = len(load.acked)
        until = time.time() + 30
        while len(load.acked) < before + 50 and time.time() < until and load.failure is None:
            time.sleep(0.05)
    finally:
        load.stop = True
        load.join()
    if load.failure is not None:
        raise load.failure
    more = len(load.acked) - before
    assert more >= 50, f'orders stopped flowing: {more} acks after it'
    district.wait_ready()
    journal = os.path.join(district.run_dir, 'acks.jsonl')
    with open(journal, 'w') as file:
        file.writelines(json.dumps(line) + '\n' for line in load.acked)
    checked = district.tool('verify', '--journal', journal, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    numbers = [line['order'] for line in load.acked]
    assert len(set(numbers)) == len(numbers), 'two keys, one order'


def kill_and_wait(name):
    pid = district.kill(name)
    until = time.time() + 20
    while district.pid(name) in (None, pid) and time.time() < until:
        time.sleep(0.02)
    assert district.pid(name) not in (None, pid), f'{name} did not come back'


def test_an_order_placed_before_the_kills_still_finds_its_helper():
    events = district.subscribe()
    wait_connected(events)
    asker = district.resident('居民戊')
    order = district.order(asker).id
    offer = events.wait('offer_made', lambda body: body.order == order)
    kill_and_wait('matching')
    kill_and_wait('intake')
    district.wait_ready()
    # What was said while the publisher was away is in the log, not here.
    events = district.subscribe()
    wait_connected(events)
    message = command.Command(actor=offer.offer_made.volunteer)
    message.answer_offer.offer, message.answer_offer.accept = offer.offer_made.offer, True
    for _ in range(10):
        try:
            district.door('volunteer').send(message)
            break
        except TimeoutError:
            continue
    events.wait('slot_filled', lambda body: body.order == order)


def test_each_daemon_comes_back_and_nothing_acknowledged_is_lost():
    for name in SERVICES:
        under_load(lambda: kill_and_wait(name))


def test_the_redis_of_the_logs_comes_back_and_nothing_acknowledged_is_lost():
    under_load(lambda: kill_and_wait('log'))


def test_the_redis_of_the_vault_comes_back():
    under_load(lambda: kill_and_wait('vault'))


if __name__ == '__main__':
    # So that restarts begin with snapshots, and some snapshots are cut off.
    os.environ['PAIDAN_SNAPSHOT_EVERY'] = '1000'
    with District(sys.argv[1]) as district:
        district.settle()
        for number in range(40):
            district.volunteer(name=f'志愿者{number}', dx=number * 2000 - 40000, dy=number * 1000)
        code = Suite(globals()).run()
        district.tool('verify')
    sys.exit(code)
