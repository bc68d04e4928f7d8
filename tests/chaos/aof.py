"""The bytes of an AOF: where each commit begins and ends."""


def commands(data):
    """(begin, end, words) of each command of an AOF."""
    at = 0
    while at < len(data):
        begin = at
        end = data.index(b'\r\n', at)
        if data[at:at + 1] != b'*':  # an annotation
            at = end + 2
            continue
        count, at, words = int(data[at + 1:end]), end + 2, []
        for _ in range(count):
            end = data.index(b'\r\n', at)
            size, at = int(data[at + 1:end]), end + 2
            words.append(data[at:at + size])
            at += size + 2
        yield begin, at, words


def commits(data):
    """(begin, end, key of the log, id) of each commit: MULTI, HSET, XADD, EXEC."""
    begin, added = None, None
    for at, end, words in commands(data):
        verb = words[0].upper()
        if verb == b'MULTI':
            begin, added = at, None
        elif verb == b'XADD':
            added = (words[1], words[2])
        elif verb == b'EXEC' and begin is not None and added:
            yield (begin, end, *added)
            begin = None
