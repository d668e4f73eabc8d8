"""What random walks have found about prepared statements.

As in test_state_found, a row is a session, played straight at PostgreSQL and
through pgweir; once on the servers that come, and once while another client
takes these away before every other packet, so that statements have to be
brought to servers that lack them.
"""
import pytest

import oracle
from oracle import Raw
from test_state_random import Hopper
from wire import bind, close, describe, execute, flush, parse, sync

ROWS = "SELECT a, b FROM state_rows WHERE a = $1"


def run(name, *values):
    return bind(values, name) + describe() + execute()


def raw(*messages):
    return [Raw(b"".join(messages) + sync())]


BAD, GOOD = run("s1", "x"), run("s1", "1")
PARSE = raw(parse(ROWS, "s1"))
NOWHERE, BACK = ["SET search_path = ''"], ["SET search_path = public"]

FOUND = [
    # What has been read stays so; only then are names looked up again.
    ("a path that leads elsewhere", {},
     [PARSE, NOWHERE, raw(BAD), raw(run("s1")), raw(run("s1", "1", "2")),
      raw(GOOD), raw(describe("S", "s1")), BACK, raw(GOOD),
      raw(describe("S", "s1"))]),
    ("a path that leads elsewhere, in a transaction", {},
     [PARSE, ["BEGIN"], NOWHERE, raw(describe("S", "s1")), ["ROLLBACK"],
      ["BEGIN", "SAVEPOINT a"], NOWHERE, raw(BAD), ["ROLLBACK TO a"],
      raw(GOOD), ["SET LOCAL search_path = ''"], raw(GOOD), ["ROLLBACK"],
      NOWHERE, ["BEGIN"], raw(BAD), ["ROLLBACK"], ["BEGIN"], raw(GOOD),
      ["COMMIT"], BACK, ["BEGIN"], raw(GOOD), ["COMMIT"]]),
    ("a path that leads elsewhere, in a batch", {},
     [PARSE, raw(parse("SELECT $1::int", "s2")), NOWHERE,
      raw(run("s2", 1), BAD), raw(run("s2", 1), describe("S", "s1")),
      raw(run("s2", 1), flush(), run("s2", 2), GOOD), BACK,
      raw(run("s2", 1), GOOD, run("s2", 2), GOOD)]),
    ("dates are read once", {},
     [["SET DateStyle = 'SQL, DMY'"],
      raw(parse("SELECT date '01/02/2026', '03/04/2026'::date + $1", "s1")),
      raw(run("s1", 1)), ["SET DateStyle = 'ISO, MDY'"], raw(run("s1", 1)),
      ["BEGIN"], raw(run("s1", 1)), ["COMMIT"]]),
    ("parameters in a failed transaction", {},
     [raw(parse("SELECT 1", "s1")), raw(parse("SET work_mem = 1000", "s2")),
      ["SET DateStyle = 'German'"], ["BEGIN READ ONLY"], ["SELECT 1/0"],
      raw(describe("S", "s1")), raw(run("s1", 7)), raw(describe("S", "s2")),
      raw(run("s2", 7)), raw(run("s1")), ["ROLLBACK"], raw(run("s1", 7)),
      raw(run("s1"))]),
    ("names in errors", {},
     [raw(parse("SELECT 2", "s1"), parse("SELECT 2", "s2")),
      raw(run("s1", 7)), raw(run("s2", 7)), ["BEGIN", "SELECT 1/0"],
      raw(run("s2", 7)), raw(run("s1", 7)), ["ROLLBACK"],
      raw(run("s1", 7), close("S", "s1"), close("S", "s2")), raw(run("s1", 7)),
      raw(run("s1", 7)) + raw(close("S", "s1"))
      + raw(parse("SELECT 2", "s3")), raw(run("s2", 7)), raw(run("s3", 7)),
      raw(run("s3", 7)) + raw(close("S", "s2")) + raw(close("S", "s3")),
      raw(run("s3", 7)), raw(parse("SELECT 2", "s2")), raw(run("s2", 7)),
      ["DEALLOCATE s2"], raw(run("s2", 7))]),
    # The second is sent before it is known that the first found it there.
    ("names in errors, while settings are unknown", {},
     [raw(parse("SET work_mem = 1000", "s1")),
      raw(parse("SET work_mem = 2000", "s2")), ["SET work_mem = 3000"],
      raw(run("s1", 7)) + raw(run("s1", "x")) + ["SHOW TimeZone"],
      raw(run("s2", 7)) + raw(run("s2", "x")) + raw(close("S", "s2")),
      ["SELECT state_hide('myapp.usr', 'x')"] + raw(run("s1", 7))
      + raw(run("s1", 7)) + raw(close("S", "s1"))]),
    # Another has its place when the error comes.
    ("an unnamed one that is shared, in errors", {},
     [raw(parse("SELECT $1::int + 9"), run("", 1))] * 12
     + [raw(parse("SELECT $1::int + 9"), run("", 1, 2), parse("SELECT 5"))]
     * 2 + [raw(parse("SELECT $1::int + 9"), run("", 1, 2))]),
    # What is answered here is not told while it may have to be said again.
    ("closed behind a read that is in flight", {},
     [["SELECT 1"] + raw(close("S", "s2"), parse("SELECT nonsense", "s2"),
                         run("s2")) + ["SELECT 2"]]),
]


@pytest.mark.own
@pytest.mark.parametrize("hops", [False, True], ids=["stays", "hops"])
@pytest.mark.parametrize("startup,packets", [f[1:] for f in FOUND],
                         ids=[f[0] for f in FOUND])
def test_found(house, startup, packets, hops):
    hopper = Hopper(house.port, "app")
    try:
        with house.twin("app", startup) as twin:
            for steps in packets:
                if hops:
                    hopper.before()
                way = "pipelined" if len(steps) > 1 else "extended"
                twin.play(steps, way)
                if hops:
                    hopper.after()
            twin.leave()
    finally:
        hopper.conn.close()


@pytest.mark.own
@pytest.mark.parametrize("turn", range(2))
def test_brought_in_vain(house, turn):
    """A statement that is brought twice, both times behind an error."""
    text = "INSERT INTO public.walk_1 VALUES (1, 'turn %d')" % turn
    taken = raw(parse("DELETE FROM public.walk_2", "s1"), run("s1"))
    sleep = ["INSERT INTO public.walk_2 SELECT 1, pg_sleep(0.2)::text"]
    with house.twin() as twin, house.twin() as other:
        for _ in range(turn):
            other.play(["SHOW work_mem"])
        twin.play(raw(parse(text, "s1")))
        other.play(["BEGIN", "SHOW work_mem"])
        # What is pipelined is in flight together.
        twin.play(sleep + taken + taken, "pipelined")
        twin.play(sleep + raw(run("s1")), "pipelined")
        other.play(["COMMIT"])
        twin.play(raw(run("s1")))
        # First as it was read, then as it is read behind the SET.
        twin.play(raw(parse("SET work_mem = %d" % (4000 + turn), "s2")))
        other.play(["BEGIN", "SHOW work_mem"])
        twin.play(sleep + raw(run("s2", 7))
                  + ["SET LOCAL client_encoding = LATIN1"]
                  + raw(run("s2", 7)), "pipelined")
        other.play(["COMMIT"])
        twin.leave()


# Settings that decide how a text is read, where nothing tells of them before
# the text is sent; and the text.
NULLS = "SELECT 1 = NULL"
DATES = "SELECT date '01/02/2026'"
UNSEEN = {
    "local": (NULLS, ["BEGIN", "SET LOCAL transform_null_equals = on"]),
    "in a block": (NULLS, ["BEGIN", "SET transform_null_equals = on"]),
    "in a function": (NULLS, ["SELECT state_hide('transform_null_equals',"
                              " 'on')"]),
    "hidden in a block": (NULLS, ["BEGIN", "SELECT state_hide_local("
                                  "'transform_null_equals', 'on')"]),
    "of a name in a parameter": (NULLS, [
        ("SELECT set_config($1, 'on', false)", "transform_null_equals")]),
    "by EXECUTE": (NULLS, [
        "PREPARE q1 AS SELECT set_config($1, 'on', true)", "BEGIN",
        "EXECUTE q1 ('transform_null_equals')"]),
    "reported": (DATES, ["SET DateStyle = 'SQL, DMY'"]),
    "reported and reset": (DATES, ["SET DateStyle = 'SQL, DMY'",
                                   "RESET DateStyle"]),
    "undone": (DATES, ["BEGIN", "SET DateStyle = 'SQL, DMY'", "ROLLBACK"]),
    "undone in part": (DATES, ["SET DateStyle = 'German'", "BEGIN",
                               "SAVEPOINT a", "SET DateStyle = 'SQL, DMY'",
                               "ROLLBACK TO a"]),
    "all reset": (DATES, ["SET DateStyle = 'SQL, DMY'", "RESET ALL"]),
}


@pytest.mark.own
@pytest.mark.parametrize("way", ["extended", "pipelined"])
@pytest.mark.parametrize("text,steps", UNSEEN.values(), ids=UNSEEN.keys())
def test_reading_is_ones_own(house, text, steps, way):
    """How a client reads a text is nothing to others who send it."""
    text += " -- " + way + repr(steps).replace("\\", "")
    prepare = raw(parse(text, "s1"))
    with house.twin() as twin, house.twin() as one, house.twin() as two:
        twin.play(steps + prepare + raw(run("s1")), way)
        twin.play(["ROLLBACK"])
        for other in (one, two):
            other.play(["BEGIN"] + prepare + raw(run("s1")))
        for other in (one, two):
            other.play(["COMMIT"] + raw(run("s1")))
            other.leave()
        if "BEGIN" not in steps:
            twin.play(raw(run("s1")), way)
        twin.play(["DISCARD ALL"] + prepare + raw(run("s1")), way)
        twin.leave()
