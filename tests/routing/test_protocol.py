"""The cases of the table that one text does not show: what the protocol, the
role, the options or a node's state decides."""
import threading
import time

import psycopg
import pytest
from conftest import BEHIND, STRAIGHT

from harness import SLOW, wait_for
from wire import (Wire, bind, cancel, close, describe, execute, flush, message,
                  one_query, parse, sync)


HUGE = {
    "list": ("SELECT count(*) FROM t WHERE id IN (%s)"
             % ",".join(map(str, range(140000))), "replica"),
    "insert": ("INSERT INTO empty SELECT length('%s') WHERE false"
               % ("x" * 10_000_000), "primary"),
    "read": ("SELECT length('%s')" % ("x" * 10_000_000), "primary"),
    "operators": ("SELECT 1" + "+1" * 3000, "replica"),
    "nested": ("SELECT " + "(" * 300 + "1" + ")" * 300, None),
    "too deep": ("SELECT " + "(" * 50000 + "1" + ")" * 50000, "primary"),
}


@pytest.mark.parametrize("what", HUGE)
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_huge_texts(nodes, weir, wire, what, extended):
    """A30: a megabyte of a list is one literal; of what is longer than pgweir
    holds, and nested deeper than it follows, nothing is known."""
    sql, node = HUGE[what]
    mark, text = marked(nodes, sql)
    if extended:
        said = wire.send(one_query(text), sync()).until()
    else:
        said = wire.query(text)
    assert errors(said) in ([], ["54001"], ["42601"])
    assert node is None or nodes.seen(mark) == [node]


def marked(nodes, sql):
    mark = nodes.begin()
    return mark, "/* %s */ %s" % (mark, sql)


def errors(messages):
    return [m.sqlstate for m in messages if m.type == "E"]


def values(messages):
    return [m.values for m in messages if m.type == "D"]


def test_function_call(nodes, wire):
    """B18: nothing but a number says what is called: lo_create here."""
    oid = nodes.value("SELECT 'lo_create(oid)'::regprocedure::oid")
    call = (oid.to_bytes(4, "big") + b"\0\0" + b"\0\1" + b"\0\0\0\1" + b"0"
            + b"\0\0")
    said = wire.send(message("F", call)).until()
    assert not errors(said) and [m.type for m in said] == ["V", "Z"]


def test_told_at_login(wire):
    """B25: whoever asks at login learns of a primary."""
    assert wire.parameters["in_hot_standby"] == "off"
    assert wire.parameters["default_transaction_read_only"] == "off"
    wire.rows("SELECT id FROM t WHERE id = 1")
    assert wire.parameters["in_hot_standby"] == "off"


def test_serializable_by_role(nodes, weir):
    """C09: a setting of the role that a replica refuses."""
    nodes.sql("CREATE ROLE strict LOGIN")
    nodes.sql("ALTER ROLE strict SET default_transaction_isolation"
              " = 'serializable'")
    nodes.sql("GRANT SELECT ON t TO strict", dbname=BEHIND)
    nodes.catch_up()
    with Wire(weir.port, timeout=20 * SLOW) as made:
        made.login(user="strict", database=BEHIND)
        for _ in range(3):
            assert made.value("SELECT v FROM t WHERE id = 1") == "v1"
        mark, text = marked(nodes, "SELECT v FROM t WHERE id = 1")
        assert made.value(text) == "v1"
        assert nodes.seen(mark) == ["primary"]


def test_statement_decides_not_message(nodes, wire):
    """D01: what is executed counts, not which message had the text."""
    mark, text = marked(nodes, "INSERT INTO empty VALUES (1)")
    assert not errors(wire.send(parse(text, "s1"), sync()).until())
    for _ in range(2):
        said = wire.send(bind(name="s1"), execute(), sync()).until()
        assert not errors(said)
    assert nodes.seen(mark) == ["primary"]
    wire.query("DELETE FROM empty")


def test_prepared_on_another_server(nodes, weir, wire):
    """D02: what was prepared here is there when it is needed there."""
    mark, text = marked(nodes, "SELECT v FROM t WHERE id = $1::int")
    assert not errors(wire.send(parse(text, "s2"), sync()).until())
    # On the primary, in a block; on the replica outside of it.
    wire.query("BEGIN")
    said = wire.send(bind(["3"], "s2"), execute(), sync()).until()
    assert values(said) == [[b"v3"]]
    wire.query("COMMIT")
    nodes.catch_up()
    said = wire.send(bind(["4"], "s2"), execute(), sync()).until()
    assert values(said) == [[b"v4"]]
    assert nodes.seen(mark) == ["primary", "replica"]
    assert not errors(wire.send(close("S", "s2"), sync()).until())
    said = wire.send(bind(["4"], "s2"), execute(), sync()).until()
    assert errors(said) == ["26000"]


@pytest.mark.parametrize("sql, node", [
    ("SELECT v FROM t WHERE id = $1", "replica"),
    ("UPDATE t SET v = v WHERE id = $1", "primary")])
def test_described_alone(nodes, wire, sql, node):
    """D03: Parse, Describe, Sync first, and Bind in a later batch."""
    mark, text = marked(nodes, sql)
    nodes.catch_up()
    said = wire.send(parse(text, "s3"), describe("S", "s3"), sync()).until()
    assert [m.type for m in said if m.type != "T"] in (
        ["1", "t", "Z"], ["1", "t", "n", "Z"])
    said = wire.send(bind(["3"], "s3"), describe(), execute(), sync()).until()
    assert not errors(said)
    assert nodes.seen(mark) == [node]


def test_flush_without_sync(nodes, wire):
    """D04: a portal lives on one server until the Sync; a write may come
    before that, so the server is the primary's."""
    mark, text = marked(nodes, "SELECT id FROM t ORDER BY id")
    nodes.catch_up()
    wire.send(parse(text), bind(), describe(), flush()).until("T")
    got = []
    for _ in range(3):
        said = wire.send(execute(rows=2), flush()).until("s")
        got += [int(v[0]) for v in values(said)]
    wire.send(sync()).until()
    assert got == [1, 2, 3, 4, 5, 6]
    assert nodes.seen(mark) == ["primary"]


def test_batch_is_one_unit(nodes, wire):
    """D06: one statement that writes takes the whole batch along."""
    mark, text = marked(nodes, "SELECT id FROM t WHERE id = 1")
    said = wire.send(one_query(text),
                     one_query("INSERT INTO empty VALUES (2)"),
                     one_query("SELECT i FROM empty"), sync()).until()
    assert not errors(said)
    assert values(said) == [[b"1"], [b"2"]]
    assert nodes.seen(mark) == ["primary"]
    wire.query("DELETE FROM empty")


def test_unnamed_statement_stays(nodes, wire):
    """D11: the unnamed statement is the session's until the next Parse."""
    mark, text = marked(nodes, "SELECT v FROM t WHERE id = $1::int")
    assert not errors(wire.send(parse(text), sync()).until())
    wire.query("BEGIN")
    said = wire.send(describe("S"), sync()).until()
    wire.query("COMMIT")
    nodes.catch_up()
    # A simple Query does away with it, as on a server.
    assert errors(wire.send(bind(["5"]), execute(), sync()).until()) == [
        "26000"]
    wire.send(parse(text), sync()).until()
    said = wire.send(bind(["5"]), execute(), sync()).until()
    assert values(said) == [[b"v5"]]


def paused(nodes, pause=True):
    nodes.sql("SELECT pg_wal_replay_%s()" % ("pause" if pause else "resume"),
              node="replica")


def test_column_that_has_not_arrived(nodes, weir):
    """D12: a replica that does not know a column yet is not believed."""
    with Wire(weir.port, timeout=20 * SLOW) as made:
        made.login(database=BEHIND)
        nodes.catch_up()
        paused(nodes)
        try:
            # Not through pgweir, which would know.
            nodes.sql("ALTER TABLE mixed ADD COLUMN late int", user="app",
                      dbname=BEHIND)
            for send in (made.query,
                         lambda sql: made.send(one_query(sql), sync())
                         .until()):
                mark, text = marked(nodes, "SELECT late FROM public.mixed")
                assert not errors(send(text))
                assert "primary" in nodes.seen(mark)
        finally:
            paused(nodes, False)
            nodes.catch_up()
    nodes.sql("ALTER TABLE mixed DROP COLUMN late", user="app", dbname=BEHIND)


def test_result_type_changes(nodes, wire):
    """D13: a plan that is out of date is not the client's trouble."""
    wire.query("CREATE TABLE changing (a int)")
    nodes.catch_up()
    text = "SELECT * FROM changing"
    wire.send(parse(text, "s4"), sync()).until()
    assert not errors(wire.send(bind(name="s4"), execute(), sync()).until())
    wire.query("ALTER TABLE changing ADD COLUMN b text")
    nodes.catch_up()
    straight = Wire(nodes.ports["primary"])
    straight.login(database=BEHIND)
    assert errors(straight.send(parse(text, "x"), bind(name="x"), execute(),
                                sync()).until()) == []
    straight.close()
    # The same text prepared anew must see both columns wherever it runs.
    with Wire(wire.sock.getpeername()[1], timeout=20 * SLOW) as other:
        other.login(database=BEHIND)
        said = other.send(parse(text, "s5"), describe("S", "s5"),
                          sync()).until()
        described = [m for m in said if m.type == "T"]
        assert described[0].payload[:2] == b"\0\2"
        assert not errors(other.send(bind(name="s5"), execute(),
                                     sync()).until())
    wire.query("DROP TABLE changing")


def test_cancel_on_the_replica(nodes, weir, wire):
    """D14: a cancel request goes where the statement runs."""
    nodes.catch_up()

    def is_read():
        mark, text = marked(nodes, "SELECT count(*) FROM t")
        wire.query(text)
        return nodes.seen(mark) == ["replica"]

    # The test before has dropped a table.
    wait_for(is_read, 30, "the catalog")
    mark, text = marked(nodes, "SELECT count(*), pg_sleep(30) FROM t")
    wire.send(message("Q", text.encode() + b"\0"))
    wait_for(lambda: nodes.seen(mark) == ["replica"], what="the statement")
    start = time.monotonic()
    cancel(weir.port, wire.cancel_key)
    assert errors(wire.until()) == ["57014"]
    assert time.monotonic() - start < 10 * SLOW
    assert wire.value("SELECT 1") == "1"


def test_options_on_both_nodes(nodes, weir):
    """E06: options of the startup packet hold on every server."""
    nodes.catch_up()
    with Wire(weir.port, timeout=20 * SLOW) as made:
        made.login(database=BEHIND,
                   options="-c search_path=tenant1 -c statement_timeout=20s")
        for sql, node in (("SELECT v FROM t WHERE id = 1", "replica"),
                          ("SELECT v FROM t WHERE id = 1 FOR UPDATE",
                           "primary")):
            mark, text = marked(nodes, sql)
            assert made.value(text) == "of the tenant"
            assert nodes.seen(mark) == [node]
        assert made.value("SHOW statement_timeout") == "20s"


def slow_read(weir, sql, out):
    with Wire(weir.port, timeout=40 * SLOW) as made:
        made.login(database=BEHIND)
        out.extend(made.query(sql))


def test_recovery_conflict(nodes, weir):
    """C21, F06: replay is in the way of a read; the primary serves it."""
    nodes.sql("ALTER SYSTEM SET max_standby_streaming_delay = 0",
              node="replica")
    nodes.sql("SELECT pg_reload_conf()", node="replica")
    try:
        nodes.catch_up()
        mark, text = marked(nodes, "SELECT id, pg_sleep(1.5) FROM mv"
                                   " WHERE id = 1")
        out = []
        reader = threading.Thread(target=slow_read, args=(weir, text, out))
        reader.start()
        wait_for(lambda: nodes.seen(mark) == ["replica"], what="the read")
        nodes.sql("REFRESH MATERIALIZED VIEW mv", dbname=BEHIND, user="app")
        reader.join(30 * SLOW)
        assert not errors(out) and values(out)[0][0] == b"1"
        assert nodes.seen(mark) == ["primary", "replica"]
    finally:
        nodes.sql("ALTER SYSTEM RESET max_standby_streaming_delay",
                  node="replica")
        nodes.sql("SELECT pg_reload_conf()", node="replica")


def test_replica_dies_after_rows(nodes, weir, wire):
    """F05: what was delivered in part is never done again."""
    nodes.catch_up()
    mark, text = marked(nodes, "SELECT repeat(v, 3000), pg_sleep(CASE id WHEN"
                               " 100 THEN 20 ELSE 0 END) FROM t")
    wire.send(message("Q", text.encode() + b"\0"))
    wire.until("D")
    assert nodes.seen(mark) == ["replica"]
    nodes.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
              " WHERE query LIKE '%%%s%%' AND pid <> pg_backend_pid()" % mark,
              node="replica")
    assert errors(wire.until_closed()) == ["57P01"]
    assert nodes.seen(mark) == ["replica"]


def test_own_writes_are_read(nodes, weir):
    """Answers of a session that writes and reads by turns, beside a straight
    one: whatever is read where, no answer is older than the write."""
    sessions = [psycopg.connect(dsn, autocommit=True) for dsn in (
        weir.dsn(BEHIND), nodes.dsn(dbname=STRAIGHT))]
    for turn in range(10):
        got = []
        for conn in sessions:
            conn.execute("UPDATE doc SET id = %s", (turn,))
            nodes.catch_up()
            got.append(conn.execute("SELECT id FROM doc").fetchall())
        assert got[0] == got[1] == [(turn,)]
    for conn in sessions:
        conn.close()
