"""What an attacker sends: commands that are nearly right, and entries that are."""
import hashlib
import time

from district import SHARD, command, edge, types


def an_order(requester, key):
    now = int(time.time() * 1000)
    message = command.Command(shard=SHARD, key=key, actor=requester)
    body = message.place_order
    body.requester, body.kind, body.category = requester, types.ORDER_KIND_VISIT, 'elder_escort'
    body.note, body.urgency, body.channel = '陪诊', types.URGENCY_SOON, types.CHANNEL_PHONE
    body.skills.append(types.SKILL_SIGN_LANGUAGE)  # which nobody has: others' offers are left alone
    body.point.datum, body.point.lon_e7, body.point.lat_e7 = 1, 1164400000, 399200000
    body.need, body.minutes = 1, 60
    body.window_start_ms, body.window_end_ms = now + 7200000, now + 6 * 3600000
    return message


def templates(door, person, helper):
    """Valid commands of this door."""
    made = []

    def add(**parts):
        message = command.Command(shard=SHARD, actor=helper if door == 'volunteer' else person)
        for name, fields in parts.items():
            body = getattr(message, name)
            body.SetInParent()
            for key, value in fields.items():
                setattr(body, key, value)
        made.append(message)
        return message

    made.append(an_order(person, ''))
    add(cancel_order={'order': 1})
    add(answer_offer={'offer': 3, 'accept': True})
    add(withdraw={'order': 2, 'slot': 1})
    add(start_service={'order': 2, 'slot': 1})
    add(finish_service={'order': 2, 'slot': 1})
    add(confirm_service={'order': 2, 'slot': 0, 'minutes': 30})
    add(rate_order={'order': 2, 'stars': 5, 'comment': '很好'})
    add(register_resident={'name': '甲', 'phone': '138', 'address': '某路1号'})
    add(pause_volunteer={'person': helper})
    add(resume_volunteer={'person': helper})
    add(decide_hold={'hold': 1, 'approve': True})
    add(register_site={'level': 3, 'parent_ref': 'S0', 'ref': 'X', 'name': '站'})
    add(register_team={'ref': 'T', 'name': '队', 'branch': 1, 'site_ref': 'S0'})
    add(join_team={'team_ref': 'T', 'person': helper})
    return made


def spoil(dice, data):
    """One way of many to make bytes wrong."""
    data = bytearray(data)
    way = dice.randrange(9)
    at = dice.randrange(len(data))
    if way == 0:
        data[at] ^= 1 << dice.randrange(8)
    elif way == 1:
        data[at] = dice.randrange(256)
    elif way == 2:
        del data[at:]
    elif way == 3:
        data[at:at] = dice.randbytes(dice.randrange(1, 9))
    elif way == 4:
        del data[at:at + dice.randrange(1, 5)]
    elif way == 5:
        data += data[at:]
    elif way == 6:  # a length or a number without an end
        data[at:at + 1] = b'\xff' * dice.randrange(1, 12)
    elif way == 7:  # many unknown fields
        data += b'\xf8\x07\x01' * dice.randrange(200)
    else:
        return dice.randbytes(dice.randrange(200))
    return bytes(data)


def malformed(dice, door, person, helper, count):
    """Frames fuzzed from valid ones, one to three times each."""
    valid = templates(door, person, helper)
    for number in range(count):
        message = dice.choice(valid)
        message.key = f'{door}-{number}'
        data = message.SerializeToString()
        for _ in range(dice.choice((1, 1, 2, 3))):
            data = spoil(dice, data) or b'\0'
        yield data


def requests(dice, count):
    """Requests at the edge's third port, spoiled one to three times each."""
    valid = [edge.EdgeRequest(hello=edge.EdgeHello())]
    for log in range(1, 6):
        message = edge.EdgeRequest()
        message.replay.shard, message.replay.log, message.replay.from_seq = SHARD, log, 1
        message.replay.kinds.extend(['order_placed', 'ext.charity.'])
        message.replay.limit = 10
        valid.append(message)
    for number in range(count):
        message = dice.choice(valid)
        message.request = number + 1
        data = message.SerializeToString()
        for _ in range(dice.choice((1, 1, 2, 3))):
            data = spoil(dice, data) or b'\0'
        yield data


def varint(value):
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes(made) + bytes([value])


def hash_of(data):
    return hashlib.sha256(data).digest()


class Forge:
    """Entries that would follow a real one, but for one thing each."""

    def __init__(self, event, entry, last, last_hash, shard):
        self.event, self.entry, self.shard = event, entry, shard
        self.last, self.hash = last, last_hash
        head = entry.Entry.FromString(last)
        self.log, self.epoch, self.next = head.log, head.epoch, head.last_seq + 1
        self.time_ms = head.time_ms

    def pack(self, seq=None, epoch=None, prev=None, shard=None, inner=None, **lies):
        """An entry of one order_staffed; lies: what the event says of itself instead."""
        seq, shard = seq or self.next, shard or self.shard
        one = self.event.Event(log=self.log, seq=seq, time_ms=self.time_ms, shard=shard)
        one.order_staffed.order = 1
        for name, value in lies.items():
            setattr(one, name, value)
        data = inner if inner is not None else one.SerializeToString()
        item = b'\x12' + varint(len(data)) + data
        epoch = self.epoch if epoch is None else epoch
        return (b'\x08' + varint(shard) + b'\x10' + varint(self.log) + b'\x18' + varint(epoch)
                + b'\x20' + varint(seq) + b'\x28' + varint(seq) + b'\x30' + varint(self.time_ms)
                + b'\x3a\x20' + (prev or self.hash) + b'\x42' + varint(len(item)) + item)

    def all(self):
        """[frames behind the topic] of each; every one must be refused as bad."""
        good = self.pack()
        made = []
        for bit in range(0, 8 * len(good), max(1, len(good) // 12)):  # flipped on the way
            data = bytearray(good)
            data[bit // 8] ^= 1 << bit % 8
            made.append([bytes(data), hash_of(good)])
        made += [[good[:size], hash_of(good)] for size in (0, 1, 40, len(good) - 1)]
        made += [[good[:size], hash_of(good[:size])] for size in (0, 1, 40, len(good) - 1)]
        wrong = [self.pack(epoch=self.epoch - 1), self.pack(prev=bytes(32)),
                 self.pack(prev=hash_of(b'another')), self.pack(shard=self.shard + 1),
                 self.pack(log=1), self.pack(inner=b'\xff'),
                 self.pack(inner=self.event.Event(
                     log=self.log, seq=self.next + 5, shard=self.shard,
                     order_staffed={'order': 1}).SerializeToString()),
                 self.pack(inner=self.event.Event(
                     log=self.log, seq=self.next, shard=self.shard,
                     order_closed={'order': 1, 'state': 7}).SerializeToString())]
        made += [[data, hash_of(data)] for data in wrong]
        made += [[good, hash_of(good)[:31]], [good, b''], [good, hash_of(good), b'more'], [b'']]
        return made

    def claims(self):
        """Whole messages that announce events far beyond the log's end."""
        topic = f'@{self.shard:06d}/matching'.encode()
        made = []
        for seq in (self.next + 1000, 2 ** 63, 2 ** 64 - 1):
            tip = self.entry.Tip(shard=self.shard, log=self.log, epoch=self.epoch, last_seq=seq)
            made.append([topic + b'/tip', tip.SerializeToString()])
        for seq in (self.next + 7, 2 ** 64 - 1):
            data = self.pack(seq=seq)
            made.append([topic, data, hash_of(data)])
        return made
