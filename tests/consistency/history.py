"""What was done, and whether the answers were allowed to be what they were.

A history has one row for each operation that a client finished: who, what,
on which key, the value, when it was sent and when the whole answer was there,
on one monotonic clock. Values of a key only ever grow, so an answer is stale
when its number is smaller than one that it had to show.

The rules know nothing of pgweir or of servers:

  stale    a client reads less than it has itself written before
  back     a client reads less than it has itself read before
  missed   a read shows less than a write that was acknowledged to anybody
           before the read was sent
  crossed  a read shows less than another one, of anybody, that was over
           before it was sent
"""
from array import array
from collections import Counter

READ, WRITE = 0, 1
RULES = ("stale", "back", "missed", "crossed")
# What must never happen, by level.
FORBIDDEN = {
    "eventual": (), "bounded": (), "session": ("stale", "back"),
    "global": ("stale", "back", "missed"), "strong": RULES,
}


class History:
    """Columns of numbers: a million operations are some tens of MB."""

    NAMES = ("client", "kind", "key", "value", "sent", "got")

    def __init__(self):
        self.columns = {name: array("q") for name in self.NAMES}
        self.appends = [self.columns[name].append for name in self.NAMES]

    def add(self, *row):
        for append, value in zip(self.appends, row):
            append(value)

    def __len__(self):
        return len(self.columns["client"])

    def row(self, index):
        return tuple(self.columns[name][index] for name in self.NAMES)

    def rows(self):
        return zip(*(self.columns[name] for name in self.NAMES))

    def count(self, kind):
        return self.columns["kind"].count(kind)

    def latencies(self, kind):
        """Sorted, in microseconds."""
        return sorted((row[5] - row[4]) // 1000 for row in self.rows()
                      if row[1] == kind)


class Verdict:
    """How often each rule was broken, and the first few times."""

    def __init__(self):
        self.counts = Counter({rule: 0 for rule in RULES})
        self.examples = []
        self.oldest_us = 0  # age of the oldest answer that missed a write

    def note(self, rule, row, least):
        self.counts[rule] += 1
        if self.counts[rule] <= 5:
            client, _, key, value, sent, got = row
            self.examples.append((sent,
                "%s: client %d read key %d as %d at %.6f..%.6f, not >= %d"
                % (rule, client, key, value, sent / 1e9, got / 1e9, least)))

    def broken(self, level):
        return sum(self.counts[rule] for rule in FORBIDDEN[level])

    def __str__(self):
        return ", ".join("%s %d" % (r, self.counts[r]) for r in RULES)


def check_clients(history, verdict):
    """What each client has seen, in the order of its own operations."""
    read, written = {}, {}
    for row in history.rows():
        client, kind, key, value = row[:4]
        own = (client, key)
        if kind == WRITE:
            written[own] = max(value, written.get(own, 0))
            continue
        if value < written.get(own, 0):
            verdict.note("stale", row, written[own])
        if value < read.get(own, 0):
            verdict.note("back", row, read[own])
        read[own] = max(value, read.get(own, 0))


def check_all(history, verdict):
    """What anybody was told before a read was sent.

    An end counts for what begins later, not for what begins at the same
    tick of the clock.
    """
    kinds, keys, values, sents, gots = (
        history.columns[name] for name in History.NAMES[1:])
    ends = iter(sorted(range(len(history)), key=gots.__getitem__))
    begins = sorted((i for i in range(len(history)) if kinds[i] == READ),
                    key=sents.__getitem__)
    written, read, since = {}, {}, {}
    end = next(ends, None)
    for index in begins:
        while gots[end] < sents[index]:
            is_write = kinds[end] == WRITE
            newest, key, value = written if is_write else read, \
                keys[end], values[end]
            if is_write:
                since.setdefault((key, value), gots[end])
            if value > newest.get(key, 0):
                newest[key] = value
            end = next(ends)
        key, value = keys[index], values[index]
        if value < written.get(key, 0):
            verdict.note("missed", history.row(index), written[key])
            age = sents[index] - since.get((key, value + 1), sents[index])
            verdict.oldest_us = max(verdict.oldest_us, age // 1000)
        if value < read.get(key, 0):
            verdict.note("crossed", history.row(index), read[key])


def check(history):
    verdict = Verdict()
    check_clients(history, verdict)
    check_all(history, verdict)
    return verdict
