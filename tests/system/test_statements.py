"""What sessions say about statements where a server does not have them, and
in the ways of known drivers; each compared with straight PostgreSQL."""
import time

import pytest

from test_prepared import play
from wire import (Wire, bind, close, describe, execute, flush, parse, query,
                  sync)

pytestmark = pytest.mark.own

SETUP = ["DROP TABLE IF EXISTS stat", "CREATE TABLE stat (a int, b text)",
         "INSERT INTO stat SELECT i, 'b' || i FROM generate_series(1, 20) i",
         "GRANT ALL ON stat TO app"]


@pytest.fixture(scope="module")
def tables(cluster):
    for text in SETUP:
        cluster.sql(text)
    cluster.position()
    return cluster


INSERT = "INSERT INTO stat VALUES (100, $1::text)"
READ = "SELECT a, b FROM stat WHERE a = $1 AND b <> $2"

# Where it does not fit, a server has one statement only.
FAILED = {
    "known text again": [
        query("BEGIN"),
        parse(INSERT, "one") + sync(),
        query("SELECT 1/0"),
        parse(INSERT, "two") + sync(),
        describe("S", "one") + sync(),
        bind(["1", "2"], "one") + sync(),
        bind(["1"], "one") + execute() + sync(),
        parse("ROLLBACK", "end") + sync(),
        describe("S", "end") + sync(),
        bind(["1"], "end") + sync(),
        parse("ROLLBACK", "end2") + bind([], "end2") + execute() + sync(),
        bind(["x"], "one") + execute() + sync(),
        query("DELETE FROM stat WHERE a = 100"),
    ],
    "not on this server": [
        parse(INSERT, "one") + sync(),
        parse(READ, "two", [23, 25]) + sync(),
        parse("COMMIT", "end") + sync(),
        parse("PREPARE TRANSACTION 'stat'", "end2") + sync(),
        parse("SELECT 'makes room'", "three") + sync(),
        query("BEGIN"),
        query("SELECT 1/0"),
        bind([], "end2") + execute() + sync(),
        query("BEGIN"),
        query("SELECT 1/0"),
        bind(["1", "2"], "one") + sync(),
        bind(["1"], "one") + sync(),
        bind(["1"], "two") + sync(),
        bind(["1", "2"], "two") + describe() + execute() + sync(),
        describe("S", "two") + sync(),
        describe("S", "one") + sync(),
        bind(["1"], "end") + sync(),
        describe("S", "end") + sync(),
        bind(["1", "2", "3"], "three") + sync(),
        close("S", "three") + sync(),
        bind([], "three") + sync(),
        bind([], "end") + execute() + sync(),
        bind(["1", "2"], "two") + describe() + execute() + sync(),
    ],
    "not on this server, pipelined": [
        parse(INSERT, "one") + sync(),
        parse(READ, "two", [23, 25]) + sync(),
        parse("SELECT 'makes room'", "three") + sync(),
        query("BEGIN") + query("SELECT 1/0")
        + bind(["1", "2"], "one") + sync() + bind(["1"], "one") + sync()
        + describe("S", "one") + sync() + describe("S", "two") + sync()
        + bind(["1"], "two") + sync() + query("ROLLBACK"),
        parse("BEGIN", "begin") + sync(),
        bind([], "begin") + execute() + sync()
        + parse("SELECT 1/0") + bind() + execute() + sync()
        + bind(["1", "2"], "one") + sync() + bind(["1"], "two") + sync()
        + query("ROLLBACK"),
    ],
    "two names": [
        parse(READ, "one", [23, 25]) + sync(),
        parse(READ, "two", [23, 25]) + sync(),
        bind(["1"], "one") + sync(),
        bind(["1"], "two") + sync(),
        close("S", "one") + sync(),
        bind(["1"], "two") + sync(),
        parse(READ, "one", [23, 25]) + bind(["1"], "one") + sync(),
        bind(["1"], "two") + sync() + bind(["1"], "one") + sync(),
    ],
    "portals of a read-only block": [
        query("BEGIN READ ONLY"),
        parse("SELECT a FROM stat ORDER BY a") + bind(portal="p")
        + describe("P", "p") + execute("p", 2) + sync(),
        query("SHOW transaction_isolation"),
        execute("p", 2) + sync(),
        query("PREPARE p AS SELECT 1"),
        execute("p", 2) + sync(),
        close("P", "p") + execute("p", 2) + sync(),
        query("COMMIT"),
        query("DEALLOCATE ALL"),
        parse("BEGIN READ ONLY") + bind(portal="p") + execute("p") + sync(),
        query("SHOW transaction_isolation"),
        execute("p") + sync(),
        query("ROLLBACK"),
    ],
    "what is gone and was not made anew": [
        query("CREATE TABLE stat_gone (a int)"),
        parse("SELECT * FROM stat_gone", "foo") + sync(),
        query("DROP TABLE stat_gone"),
        parse("SELECT * FROM stat_gone", "bar") + sync(),
        parse("SELECT 1/0") + bind() + execute() + bind([], "foo") + sync(),
        bind([], "foo") + sync(),
        query("SELECT name, statement FROM pg_prepared_statements"
              " WHERE name <> 'foo'"),
    ],
    "a Flush between a read and a write": [
        parse("SELECT count(*) FROM stat") + bind() + execute() + flush()
        + parse("INSERT INTO stat VALUES (200, 'x')") + bind() + execute()
        + sync(),
        parse("SELECT count(*) FROM stat", "c") + describe("S", "c")
        + flush() + bind([], "c") + execute() + flush()
        + parse("DELETE FROM stat WHERE a = 200") + bind() + execute()
        + flush() + bind([], "c") + execute() + sync(),
    ],
    "EXECUTE with too few": [
        parse("SELECT $1::int", "one") + sync(),
        query("PREPARE two (int) AS SELECT $1"),
        query("BEGIN"),
        parse("EXECUTE one") + bind() + describe() + execute() + sync(),
        query("ROLLBACK"),
        parse("EXECUTE two") + bind() + execute() + sync(),
        parse("EXECUTE two(1, 2)", "run") + sync(),
        bind([], "run") + execute() + sync(),
        query("EXECUTE one"),
        query("EXECUTE one(1, 2)"),
    ],
}


def compare(tables, weir, steps, times=2):
    straight = play(tables.ports["primary"], steps)
    for _ in range(times):
        through = play(weir.port, steps)
        for number, (one, other) in enumerate(zip(straight, through)):
            assert other == one, (number, straight[:number])
        assert len(through) == len(straight)


@pytest.mark.parametrize("kept", [1, 100])
@pytest.mark.parametrize("story", FAILED)
def test_failed_transaction(tables, make_weir, story, kept):
    weir = make_weir({"default_pool_size": 2, "workers": 1,
                      "max_prepared_statements": kept})
    weir.settle()
    compare(tables, weir, FAILED[story])


def test_limits_of_waiting_end_with_it(tables, make_weir):
    """A read that has waited for a replica may take as long as it likes."""
    weir = make_weir({"workers": 1, "causal_wait": 0.3})
    weir.settle()
    tables.sql("SELECT pg_wal_replay_pause()", node="replica")
    try:
        with Wire(weir.port) as wire:
            wire.login()
            wire.query("INSERT INTO stat VALUES (300, 'y')")
            wire.send(parse("SELECT count(*) FROM stat", "read")
                      + describe("S", "read") + flush())
            time.sleep(0.1)
            tables.sql("SELECT pg_wal_replay_resume()", node="replica")
            wire.until("T")
            time.sleep(0.6)
            wire.send(bind([], "read") + execute() + sync())
            assert [m.type for m in wire.until()] == ["2", "D", "C", "Z"]
            wire.query("DELETE FROM stat WHERE a = 300")
    finally:
        tables.sql("SELECT pg_wal_replay_resume()", node="replica")
