"""Rounds: load, a fault, healing, and then every promise is checked."""
import collections
import os
import random
import time

from checker import Checker
from ground import SHARD, command
from faults import FAULTS, NotHere
from people import People
from world import World


class Rounds:
    def __init__(self, bin_dir, shim, seed, rate=120, speed=600, say=print, standby=False,
                 fsync='always'):
        self.seed, self.say = seed, say
        self.dice = random.Random(seed)
        self.world = World(bin_dir, shim, speed=speed, standby=standby, fsync=fsync)
        self.journal = os.path.join(self.world.run_dir, 'acks.jsonl')
        self.people = People(self.world, seed, self.journal, rate=rate)
        self.checker = Checker()
        self.counts = collections.Counter()
        self.skipped = {}
        self.healing = []

    def __enter__(self):
        self.people.start()
        self.people.placing = True
        try:
            self.until(lambda: len(self.people.helpers) >= 100, 30, 'a first hundred helpers')
        except BaseException as problem:
            self.__exit__(type(problem), problem, None)
            raise
        return self

    def __exit__(self, *failed):
        self.people.stopping = True
        self.people.join()
        self.world.__exit__(*failed)

    def until(self, found, seconds, what):
        until = time.monotonic() + seconds
        while not found():
            self.still_well()
            if time.monotonic() > until:
                raise AssertionError(f'not within {seconds} s: {what}')
            time.sleep(0.05)

    def still_well(self):
        if self.people.failure:
            raise self.people.failure

    # ---- a round ----

    def round(self, names):
        """The faults of these names, one after the other, under load; then all is checked."""
        self.counts['rounds'] += 1
        self.people.placing = True
        acks = len(self.people.acks)
        time.sleep(self.dice.uniform(0.3, 0.8))
        did = [self.disturb(name) for name in names]
        began = time.monotonic()
        self.heal(len(self.people.acks))
        healed = time.monotonic() - began
        self.healing.append(healed)
        self.check()
        self.say(f'round {self.counts["rounds"]}: {"; ".join(filter(None, did))}: '
                 f'{len(self.people.acks) - acks} acks, healed in {healed:.1f} s')

    def disturb(self, name):
        try:
            return FAULTS[name](self.world, self.dice)
        except NotHere as why:
            if name not in self.skipped:
                self.say(f'note: {name} is left out: {why}')
            self.skipped[name] = str(why)
            return None

    def heal(self, before):
        """Everybody is ready, there are acks again, and nothing is left without an answer."""
        self.world.wait_ready(40)
        self.until(lambda: len(self.people.acks) >= before + 20, 40, 'acks after the fault')
        answered = self.people.rest(40)
        self.still_well()
        if not answered:
            left = [(wish.kind, wish.tries) for wish in self.people.waiting.values()]
            raise AssertionError(f'without an answer for 40 s: {left[:10]}')

    # ---- checks ----

    def read(self):
        """All logs to their ends, and every entry folded: its causes are there too."""
        for _ in range(100):
            with self.world.redis() as redis:
                self.checker.read(redis)
            if not self.checker.unfolded():
                return
            time.sleep(0.05)
        self.checker.fault(f'entries whose causes never came: {self.checker.unfolded()}')

    def check(self):
        acks = self.people.take_fresh()
        self.before_ms = self.world.now_ms()
        with self.world.redis() as redis:
            self.checker.still_there(redis)
        self.read()
        self.counts['lost'] += self.checker.held(acks)
        self.check_deadlines()
        self.check_answers(40)
        self.check_vault()
        self.check_tool()
        self.raise_faults()

    def raise_faults(self):
        faults = self.checker.faults
        self.counts['doubled'] += sum(what.find('P2') >= 0 or what.find('P4') >= 0
                                      or what.find('P5') >= 0 for what in faults)
        if faults:
            raise AssertionError(f'{len(faults)} faults:\n  ' + '\n  '.join(faults[:20]))

    def check_deadlines(self):
        """P3: what was due when the district had healed is done within ten seconds."""
        until = time.monotonic() + 10
        while late := self.checker.overdue(self.before_ms):
            if time.monotonic() > until:
                for number, why in list(late.items())[:5]:
                    self.checker.fault(f'P3: order {number} is {why}')
                return
            time.sleep(0.2)
            self.read()

    def check_answers(self, count):
        """P2: old commands, sent once more, have the answers that they had."""
        known = list(self.people.sent_bytes)
        for key in self.dice.sample(known, min(count, len(known))):
            name, data = self.people.sent_bytes[key]
            door = self.world.door(name)
            message = command.Command.FromString(data)
            door.requests += 1
            message.request = door.requests
            _, kind, seq, number, person = self.people.acks[key]
            ack = door.exchange(message.SerializeToString())
            self.counts['asked again'] += 1
            if (ack.position.seq, ack.id, ack.person) != (seq, number, person) \
                    or not ack.duplicate:
                self.checker.fault(f'P2: {key} ({kind}) at {seq} is now answered with {ack}')

    def check_vault(self):
        """The key of everybody registered is there, the key of everybody erased is not."""
        with self.world.redis('vault.redis') as vault:
            there = set(vault('HKEYS', f'{{{SHARD:06d}}}:vault'))
        for person in self.checker.people:
            kept = person.hex().encode() in there
            if kept == (person in self.checker.erased):
                self.checker.fault(f'vault: the key of {person.hex()} is '
                                   + ('back after the erasure' if kept else 'lost'))

    def check_tool(self):
        done = self.world.tool('verify', '--journal', self.journal, '--output', 'json',
                               check=False)
        if done.returncode != 0:
            self.checker.fault(f'paidan verify: {done.stdout[:800]} {done.stderr[:400]}')

    # ---- the end ----

    def finish(self):
        """From the first byte, once more, by a checker that starts anew."""
        self.people.rest(40)
        acks = list(self.people.acks.values())
        old, fresh = self.checker, Checker()
        self.checker = fresh
        self.read()
        self.counts['lost'] += fresh.held(acks)
        if fresh.events < old.events:
            fresh.fault(f'{old.events} events were there, {fresh.events} are left')
        self.raise_faults()

    def summary(self):
        people, checker = self.people, self.checker
        ledger = sum(checker.balance.values())
        spans = sorted(self.world.takeovers)
        took = (f' ({len(spans)} forced, half within {spans[len(spans) // 2]:.2f} s, all within '
                f'{spans[-1]:.2f} s)' if spans else '')
        states = collections.Counter(checker.closed.values())
        return (f'{self.counts["rounds"]} rounds, {len(people.acks)} acks, '
                f'{self.counts["lost"]} lost, {self.counts["doubled"]} doubled, '
                f'{checker.takeovers} takeovers{took}, {checker.events} events, '
                f'{checker.placed} orders ({len(checker.orders)} open, '
                f'{states.get(6, 0)} completed), '
                f'{len(checker.posted)} postings (sum {ledger}), '
                f'{self.counts["asked again"]} asked again, '
                f'{people.counts["acks after a second try"]} acked after a second try, '
                f'longest wait {people.slowest:.1f} s; seed {self.seed}')
