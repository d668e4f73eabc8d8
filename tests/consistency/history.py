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
        if self.counts[rule] <= 3:
            client, _, key, value, sent, got = row
            self.examples.append(
                "%s: client %d read key %d as %d at %.6f..%.6f, not >= %d"
                % (rule, client, key, value, sent / 1e9, got / 1e9, least))

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


def moments(history):
    """Indexes of all beginnings of reads and all ends, by time.

    An end counts for what begins later, not for what begins at the same
    tick of the clock.
    """
    got, sent = history.columns["got"], history.columns["sent"]
    kind = history.columns["kind"]
    out = [(got[i], 1, i) for i in range(len(history))]
    out += [(sent[i], 0, i) for i in range(len(history)) if kind[i] == READ]
    out.sort()
    return out


def check_all(history, verdict):
    """What anybody was told before a read was sent."""
    rows = list(history.rows())
    written, read, since = {}, {}, {}
    for at, is_end, index in moments(history):
        row = rows[index]
        kind, key, value = row[1:4]
        if is_end:
            newest = written if kind == WRITE else read
            if kind == WRITE:
                since.setdefault((key, value), at)
            newest[key] = max(value, newest.get(key, 0))
            continue
        if value < written.get(key, 0):
            verdict.note("missed", row, written[key])
            age = at - since.get((key, value + 1), at)
            verdict.oldest_us = max(verdict.oldest_us, age // 1000)
        if value < read.get(key, 0):
            verdict.note("crossed", row, read[key])


def check(history):
    verdict = Verdict()
    check_clients(history, verdict)
    check_all(history, verdict)
    return verdict
