"""Unnamed statements that come again and again are prepared once on a server
(share_unnamed): what a client sees of that is the time it takes.  Each script
is played by a client behind pgweir, whose texts are in constant use, and by
one straight on PostgreSQL."""
import time

import pytest

import test_prepared
from harness import Pgweir
from wire import Wire, bind, describe, execute, one_query, parse, query, sync

pytestmark = pytest.mark.own

SETUP = """
DROP SCHEMA IF EXISTS hidden CASCADE; DROP SCHEMA IF EXISTS shared CASCADE;
CREATE SCHEMA shared; CREATE SCHEMA hidden;
GRANT ALL ON SCHEMA shared, hidden TO app;
CREATE TABLE shared.t (a int PRIMARY KEY, b int);
CREATE TABLE shared.dates (d date);
CREATE TABLE shared.times (at timestamptz);
INSERT INTO shared.t SELECT i, i FROM generate_series(1, 100) i;
GRANT ALL ON ALL TABLES IN SCHEMA shared TO app;
ALTER TABLE shared.t OWNER TO app
"""
PATH = "-c search_path=hidden,shared"
READ = "SELECT * FROM t WHERE a = $1"
WRITE = "UPDATE t SET b = b + 1 WHERE a = $1"
DATE = "INSERT INTO dates VALUES ('01/02/2020')"
USES = 12


@pytest.fixture(scope="module")
def tables(cluster):
    for text in SETUP.split(";"):
        cluster.sql(text)
    cluster.position()
    yield cluster
    cluster.sql("DROP SCHEMA shared CASCADE")
    cluster.sql("DROP SCHEMA hidden CASCADE")


@pytest.fixture(scope="module", params=["primary", "split"])
def weir(request, binary, tables):
    split = request.param == "split"
    made = Pgweir(tables, {"workers": 1, "default_pool_size": 1,
                           "consistency": "global", "causal_wait": 5,
                           "split_reads": int(split)},
                  binary=binary, start=False)
    with made:
        made.start()
        made.settle()
        yield made


def said(message):
    """Columns without their numbers: the same is done to a table twice."""
    if message.type == "D":
        return "D", tuple(message.values)
    what = test_prepared.said(message)
    if message.type == "T":
        what = "T", [(name, facts[2:]) for name, facts in what[1]]
    return what


class Client:
    """Sends batches, and keeps what was said to them."""

    def __init__(self, port):
        self.wire = Wire(port)
        self.wire.login(options=PATH)
        self.said = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def ask(self, data):
        return [said(m) for m in self.wire.send(data).until()
                if m.type not in "NS"]

    def play(self, *steps):
        for step in steps:
            self.said.append(self.ask(step))
        return self.said[-1]

    def heat(self, *texts):
        """Puts the texts, with their values, into constant use."""
        for _ in range(USES):
            for text, *values in texts:
                self.ask(one_query(text, values) + sync())


def run(text, *values):
    return one_query(text, values) + sync()


def parses(weir):
    return (weir.metric("pgweir_client_parses_total"),
            weir.metric("pgweir_server_parses_total"))


@pytest.fixture
def both(tables, weir):
    """A client of pgweir, and one of PostgreSQL behind it in time."""
    with Client(weir.port) as ours, \
            Client(tables.ports["primary"]) as straight:
        yield ours, straight


def test_parsed_once(tables, weir):
    """In a transaction what has no result, outside of one all."""
    with Client(weir.port) as ours:
        ours.heat((READ, 1), (WRITE, 1))
        before = parses(weir)
        for i in range(20):
            ours.ask(run(READ, i))
        ours.ask(query("BEGIN"))
        for i in range(20):
            ours.ask(run(WRITE, i))
        ours.ask(query("COMMIT"))
        after = parses(weir)
    assert after[0] - before[0] == 40
    # A second may have passed, more than once on a busy machine.
    assert after[1] - before[1] < 20


def test_seldom_is_as_it_was(tables, weir):
    before = parses(weir)
    with Client(weir.port) as ours:
        for i in range(30):
            ours.ask(run("SELECT %d + a FROM t WHERE a = $1" % i, i))
        after = parses(weir)
    assert after[0] - before[0] == after[1] - before[1] == 30


def test_switched_off(tables, make_weir):
    weir = make_weir({"share_unnamed": 0})
    weir.settle()
    with Client(weir.port) as ours:
        ours.heat((READ, 1))
    counts = parses(weir)
    assert counts[0] == counts[1] == USES


SCRIPTS = {
    "temporary table": [
        query("CREATE TEMP TABLE t (x text)"), run(READ.replace("a", "x"), 1),
        run(READ, 1), query("INSERT INTO t VALUES ('1')"),
        run("SELECT * FROM t"), query("DROP TABLE pg_temp.t"), run(READ, 1)],
    "table in front": [
        query("CREATE TABLE hidden.t AS SELECT 1 AS a, 'front'::text AS b"),
        run(READ, 1), query("DROP TABLE hidden.t"), run(READ, 1)],
    "in front, undone": [
        query("BEGIN"),
        query("CREATE TABLE hidden.t AS SELECT 1 AS a, 7 AS b"),
        run(READ, 1), run(WRITE, 1), run(READ, 1), query("ROLLBACK"),
        run(READ, 1)],
    "in front, by what nobody sees through": [
        query("DO $$BEGIN CREATE TABLE hidden.t AS SELECT 1 AS a, 7 AS b;"
              " END$$"),
        run(READ, 1), run(WRITE, 1), run(READ, 1),
        query("DO $$BEGIN DROP TABLE hidden.t; END$$"), run(READ, 1)],
    "in front, by a batch": [
        one_query("CREATE TABLE hidden.t AS SELECT 1 AS a, 7 AS b")
        + one_query(READ, [1]) + sync(),
        run(READ, 1), query("DROP TABLE hidden.t"), run(READ, 1)],
    "columns": [
        query("ALTER TABLE t ADD c text"), run(READ, 1),
        query("ALTER TABLE t DROP c"), run(READ, 1)],
    "columns in a transaction": [
        query("BEGIN"), run(READ, 1), query("ALTER TABLE t ADD c text"),
        run(READ, 1), run(WRITE, 1), query("ROLLBACK"), run(READ, 1)],
    "dropped": [
        query("ALTER TABLE t RENAME TO u"), run(READ, 1), run(WRITE, 1),
        bind(["1"]) + execute() + sync(),
        query("ALTER TABLE u RENAME TO t"), run(READ, 1)],
    "settings of a transaction": [
        query("BEGIN"), query("SET LOCAL datestyle = 'German, DMY'"),
        run(DATE), query("COMMIT"), run(DATE),
        run("SELECT d - '2000-01-01'::date FROM dates ORDER BY 1 DESC"
            " LIMIT 2")],
    "settings of a session": [
        query("SET datestyle = 'German, DMY'"), run(DATE),
        query("RESET datestyle"), run(DATE),
        run("SELECT d - '2000-01-01'::date FROM dates ORDER BY 1 DESC"
            " LIMIT 2")],
    "settings by a function": [
        query("BEGIN"),
        run("SELECT set_config('datestyle', 'German, DMY', true)"),
        run(DATE), query("COMMIT"), run(DATE),
        run("SELECT d - '2000-01-01'::date FROM dates ORDER BY 1 DESC"
            " LIMIT 2")],
    "search_path": [
        query("CREATE TABLE hidden.t AS SELECT 1 AS a, 7 AS b"),
        query("SET search_path = shared"), run(READ, 1),
        query("RESET search_path"), run(READ, 1),
        query("BEGIN"), query("SET LOCAL search_path = shared"),
        run(READ, 1), run(WRITE, 1), query("COMMIT"), run(READ, 1),
        query("DROP TABLE hidden.t")],
    "failed transaction": [
        query("BEGIN"), query("SELECT 1/0"), run(WRITE, 1), run(READ, 1),
        parse(WRITE) + sync(), bind(["1"]) + sync(), query("ROLLBACK"),
        run(READ, 1)],
    "wrong values": [
        parse(READ) + bind([]) + execute() + sync(),
        parse(READ) + bind(["x"]) + execute() + sync(),
        parse(WRITE) + bind(["1", "2"]) + execute() + sync(),
        run(READ, 1)],
    "later": [
        parse(READ) + sync(), describe("S") + sync(),
        bind(["2"]) + describe() + execute() + sync(),
        query("BEGIN"), bind(["2"]) + execute() + sync(),
        parse(WRITE) + sync(), describe("S") + sync(),
        bind(["2"]) + execute() + sync(), query("COMMIT"),
        bind(["2"]) + sync()],
    "skipped": [
        parse("SELECT 'before'") + sync(),
        parse("SELEC") + parse(READ) + bind(["2"]) + sync(),
        bind([]) + execute() + sync(),
        parse("SELECT 'before'") + sync(),
        bind(["x"]) + parse(READ) + sync(),
        bind([]) + execute() + sync()],
    "several in a batch": [
        one_query(WRITE, [1]) + one_query(READ, [1]) + one_query(WRITE, [1])
        + one_query(READ, [1]) + sync(),
        one_query(WRITE, [1]) + one_query("SELECT 1/0") + one_query(READ, [1])
        + sync(), run(READ, 1)],
    "names": [
        parse(READ, "s") + sync(), run(READ, 1),
        bind(["3"], "s") + execute() + sync(),
        parse(READ, "s") + sync(), run(READ, 3),
        query("SELECT name, statement FROM pg_prepared_statements"),
        query("DEALLOCATE ALL"), run(READ, 3),
        bind(["3"], "s") + sync(), run(READ, 3),
        query("SELECT name, statement FROM pg_prepared_statements")],
    "discarded": [
        parse(READ) + sync(), query("DISCARD ALL"), bind(["1"]) + sync(),
        query("SET search_path = shared"), run(READ, 1), run(WRITE, 1)],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_as_straight(both, script):
    for client in both:
        client.heat((READ, 1), (WRITE, 50), (DATE,))
        client.ask(query("UPDATE t SET b = a; DELETE FROM dates"))
        client.play(*SCRIPTS[script])
        client.ask(query("UPDATE t SET b = a; DELETE FROM dates"))
        client.ask(query("DISCARD TEMP"))
    assert both[0].said == both[1].said


def test_ddl_that_went_elsewhere(tables, both):
    """The result of a read changes its type: outside of a transaction and in
    one nobody hears of that."""
    ours = both[0]
    ours.heat((READ, 1), (WRITE, 1))
    tables.sql("ALTER TABLE shared.t ADD c text DEFAULT 'new'")
    tables.position()
    assert ours.play(run(READ, 2))[-3] == ("D", (b"2", b"2", b"new"))
    ours.play(query("BEGIN"))
    ours.heat((WRITE, 2))
    assert ours.play(run(READ, 3))[-3] == ("D", (b"3", b"3", b"new"))
    ours.play(query("ROLLBACK"))
    tables.sql("ALTER TABLE shared.t DROP c")


def test_name_taken_elsewhere(tables, both):
    """What has taken a name is found within a second."""
    ours = both[0]
    ours.heat((READ, 1))
    tables.sql("CREATE TABLE hidden.t AS SELECT 1 AS a, 7 AS b")
    tables.sql("GRANT ALL ON hidden.t TO app")
    tables.position()
    time.sleep(1.1)
    assert ours.play(run(READ, 1))[-3] == ("D", (b"1", b"7"))
    tables.sql("DROP TABLE hidden.t")


def test_time_in_a_text(both):
    """'now' is the time of the Parse."""
    ours = both[0]
    ours.ask(query("DELETE FROM times"))
    text = "INSERT INTO times VALUES ('now')"
    for _ in range(USES):
        ours.play(run(text))
    ours.play(query("SELECT count(DISTINCT at) FROM times"))
    assert ("D", (b"%d" % USES,)) in ours.said[-1]
