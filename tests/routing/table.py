"""The tables of cases, and how an answer is held against another.

cases.tsv is the acceptance table; variants.tsv has its cases as texts that can
be sent, more.tsv what follows from the rules beyond them. The cases that no
text alone shows are tests of their own, here (test_protocol.py) or among the
system tests.
"""
import itertools
import struct
from collections import Counter, namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
STEP = " ▸ "
FIRST_USER_OID = 16384
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "\\": "\\"}

# protocol: "S" or "E"; words: one for each step
Case = namedtuple("Case", "name protocol words exact steps")


def unescape(text):
    out, rest = "", iter(text)
    for char in rest:
        if char == "\\":
            char = next(rest, "")
            char = ESCAPES.get(char, "\\" + char)
        out += char
    return out


def lines(file):
    text = (HERE / file).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.split("\n")
            if line and not line.startswith("#")]


def cases(file):
    """Every text of a table, once for each protocol that it may have."""
    seen = Counter()
    for name, protocols, words, compare, text in lines(file):
        seen[name] += 1
        steps = [unescape(step) for step in text.split(STEP)]
        words = words.split(" ")
        words = words * len(steps) if len(words) == 1 else words
        assert len(words) == len(steps), text
        for protocol in protocols.split("+"):
            yield Case("%s.%d%s" % (name, seen[name], protocol), protocol,
                       words, compare == "=", steps)


def listed():
    """The numbers of the acceptance table."""
    return [row[0] for row in lines("cases.tsv")[1:]]


# ---- answers ---------------------------------------------------------------


def columns(payload):
    """A RowDescription without what differs between two databases."""
    count, = struct.unpack_from("!h", payload)
    at, out = 2, []
    for _ in range(count):
        end = payload.index(b"\0", at)
        oid, size, modifier, form = struct.unpack_from(
            "!IhiH", payload, end + 1 + 6)
        out.append((payload[at:end], min(oid, FIRST_USER_OID), size,
                    modifier, form))
        at = end + 1 + 18
    return tuple(out)


def digest(message, exact):
    """One message as it is compared; None when it does not count."""
    kind, fields = message.type, message.fields
    if kind in "SK":
        return None
    if kind == "E":
        return kind, fields.get("C"), fields.get("M") if exact else None
    if kind == "N":
        return kind, fields.get("C")
    if kind == "T":
        return kind, columns(message.payload)
    if kind == "D":
        return (kind, tuple(message.values)) if exact else (kind,)
    return kind, message.payload


def sorted_rows(found):
    """Where a row lies in its table is nobody's business."""
    out = []
    for kind, rows in itertools.groupby(found, lambda one: one[0]):
        out += sorted(rows, key=repr) if kind in "Dd" else rows
    return out


def answer(messages, exact, is_ordered=False):
    found = [digest(message, exact) for message in messages]
    found = [one for one in found if one is not None]
    if exact:
        return found if is_ordered else sorted_rows(found)
    # How many rows a plan has is not told beforehand.
    return [one for i, one in enumerate(found)
            if one[0] != "D" or found[i - 1][0] != "D"]
