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
  early    as "back" or "crossed", but nobody had been told yet of the write
           when the read was sent. A replica may show a commit before the
           primary itself does, which ends it a moment after it is in the WAL;
           who reads on the primary next misses it. No level can change that.
"""
from array import array
from collections import Counter

READ, WRITE = 0, 1
RULES = ("stale", "back", "missed", "crossed")
COUNTED = (*RULES, "early")
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
        self.counts = Counter({rule: 0 for rule in COUNTED})
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
        return ", ".join("%s %d" % (r, self.counts[r]) for r in COUNTED)


def tellings(history):
    """When the writer of a value was told that it is there."""
    return {row[2:4]: row[5] for row in history.rows() if row[1] == WRITE}


def is_early(told, row, least):
    """What is not known to the history was there before it."""
    key, value, sent = row[2:5]
    return all(told.get((key, missing), 0) > sent
               for missing in range(value + 1, least + 1))


def check_clients(history, verdict, told):
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
            early = is_early(told, row, read[own])
            verdict.note("early" if early else "back", row, read[own])
        read[own] = max(value, read.get(own, 0))


def check_all(history, verdict, told):
    """What anybody was told before a read was sent.

    An end counts for what begins later, not for what begins at the same
    tick of the clock.
    """
    kinds, keys, values, sents, gots = (
        history.columns[name] for name in History.NAMES[1:])
    ends = iter(sorted(range(len(history)), key=gots.__getitem__))
    begins = sorted((i for i in range(len(history)) if kinds[i] == READ),
                    key=sents.__getitem__)
    written, read = {}, {}
    end = next(ends, None)
    for index in begins:
        while gots[end] < sents[index]:
            is_write = kinds[end] == WRITE
            newest, key, value = written if is_write else read, \
                keys[end], values[end]
            if value > newest.get(key, 0):
                newest[key] = value
            end = next(ends)
        key, value = keys[index], values[index]
        if value < written.get(key, 0):
            verdict.note("missed", history.row(index), written[key])
            age = sents[index] - told.get((key, value + 1), sents[index])
            verdict.oldest_us = max(verdict.oldest_us, age // 1000)
        if value < read.get(key, 0):
            row = history.row(index)
            early = is_early(told, row, read[key])
            verdict.note("early" if early else "crossed", row, read[key])


def check(history):
    verdict = Verdict()
    told = tellings(history)
    check_clients(history, verdict, told)
    check_all(history, verdict, told)
    return verdict
