"""Every kind of fault once, within a minute, by a seed; tests/chaos/run plays longer."""
import os
import sys
import time

from faults import FAULTS
from ground import Suite
from rounds import Rounds

SHIM, BIN = sys.argv[1:3]
SEED = int(os.environ.get('CHAOS_SEED') or int(time.time()) // 86400)  # another one every day
LIMIT_S = float(os.environ.get('CHAOS_LIMIT_S', '120'))  # a slow machine plays fewer rounds


def say(text):
    print('      ' + text, flush=True)


def test_every_promise_holds_through_every_fault():
    say(f'seed {SEED} (CHAOS_SEED={SEED} plays the same faults again)')
    began = time.monotonic()
    with Rounds(BIN, SHIM, SEED, rate=80, say=say) as rounds:
        rounds.world.longest = 2.5
        order = [name for name in FAULTS if name != 'standby']
        rounds.dice.shuffle(order)
        for number, name in enumerate(order):
            if time.monotonic() - began > LIMIT_S:
                say(f'left out for want of time: {", ".join(order[number:])}')
                break
            rounds.round([name])
        rounds.finish()
        say(rounds.summary())
        assert rounds.counts['rounds'] >= 5 and len(rounds.people.acks) > 500


if __name__ == '__main__':
    sys.exit(Suite(globals()).run())
