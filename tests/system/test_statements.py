"""What sessions say about statements where a server does not have them, and
in the ways of known drivers; each compared with straight PostgreSQL."""
import struct
import time

import pytest

from test_prepared import play
from wire import (Wire, bind, close, cstr, describe, execute, flush, message,
                  parse, query, sync)

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
    "waiting for names behind an error": [
        parse("SELECT 1", "foo") + sync(),
        parse("DEALLOCATE foo", "d") + bind([], "d") + execute()
        + parse("SELECT no_such") + bind() + execute() + close("S")
        + bind([], "foo") + describe("S", "foo") + sync(),
        parse("DEALLOCATE ALL") + bind() + execute()
        + parse("EXECUTE foo") + bind(["1"]) + execute() + bind() + sync(),
        parse("DEALLOCATE ALL") + bind() + execute() + parse("SELEKT")
        + bind() + parse("EXECUTE foo") + bind() + execute() + close("S")
        + bind() + sync(),
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



def in_binary(value, name):
    """A Bind with one parameter, all of it in binary format."""
    return message("B", cstr("") + cstr(name) + struct.pack("!hhh", 1, 1, 1)
                   + struct.pack("!i", len(value)) + value
                   + struct.pack("!hh", 1, 1))


LIST = "SELECT a, b FROM stat WHERE a > $1 ORDER BY a"

# How drivers speak, as far as they differ from each other.
DRIVERS = {
    "JDBC: fetch size, named portals, binary": [
        query("BEGIN READ ONLY"),
        parse(LIST, "S_1", [23]) + bind(["2"], "S_1", "C_2")
        + describe("P", "C_2") + execute("C_2", 3) + sync(),
        execute("C_2", 3) + sync(),
        execute("C_2", 100) + sync(),
        close("P", "C_2") + execute("C_2", 3) + sync(),
        parse("ROLLBACK", "S_4") + bind([], "S_4") + execute("", 1) + sync(),
        parse("BEGIN", "S_5") + bind([], "S_5") + execute("", 0)
        + bind(["18"], "S_1", "", [0, 1]) + describe() + execute("", 0)
        + sync(),
        bind([], "S_4") + execute("", 1) + sync(),
        in_binary(b"\0\0\0\x12", "S_1") + execute() + sync(),
        in_binary(b"\0\x12", "S_1") + execute() + sync(),
        close("S", "S_1") + close("S", "S_4") + close("S", "S_5") + sync(),
        bind(["2"], "S_1") + sync(),
    ],
    "pgx: a cache that describes, and lets go": [
        parse(LIST, "stmtcache_1") + describe("S", "stmtcache_1") + sync(),
        bind(["17"], "stmtcache_1", "", [1, 0]) + describe("P")
        + execute() + sync(),
        parse("SELECT no_such", "stmtcache_2") + describe("S", "stmtcache_2")
        + sync(),
        bind(["x"], "stmtcache_1") + describe("P") + execute() + sync(),
        query("BEGIN") + query("SELECT 1/0"),
        bind(["17"], "stmtcache_1") + describe("P") + execute() + sync(),
        query("ROLLBACK"),
        query("deallocate stmtcache_1"),
        close("S", "stmtcache_1") + sync(),
        parse(LIST, "stmtcache_1") + describe("S", "stmtcache_1") + sync()
        + bind(["19"], "stmtcache_1") + describe("P") + execute() + sync(),
    ],
    "npgsql: batches with one Sync, names that take turns": [
        parse("SELECT 1") + bind() + describe() + execute()
        + parse(LIST, "_p1", [23]) + bind(["18"], "_p1", "", [1])
        + describe() + execute() + sync(),
        bind(["19"], "_p1") + describe() + execute()
        + parse("SELECT 1/0") + bind() + describe() + execute()
        + bind(["19"], "_p1") + describe() + execute() + sync(),
        close("S", "_p1") + parse("SELECT 'other'", "_p1")
        + bind([], "_p1") + describe() + execute() + sync(),
        close("S", "_p1") + parse("SELECT no_such", "_p1")
        + bind([], "_p1") + describe() + execute() + sync(),
        bind([], "_p1") + execute() + sync(),
        query("DISCARD ALL"),
        bind([], "_p1") + execute() + sync(),
        parse("SELECT 'last'", "_p1") + bind([], "_p1") + execute() + sync(),
    ],
    "PDO, Ruby: DEALLOCATE by SQL": [
        parse(LIST, "pdo_stmt_00000001") + sync(),
        bind(["19"], "pdo_stmt_00000001") + describe() + execute() + sync(),
        query("DEALLOCATE pdo_stmt_00000001"),
        query("DEALLOCATE pdo_stmt_00000001"),
        parse(LIST, "pdo_stmt_00000002") + sync(),
        query("BEGIN") + query("SELECT 1/0"),
        query("DEALLOCATE pdo_stmt_00000002"),
        query("ROLLBACK"),
        bind(["19"], "pdo_stmt_00000002") + execute() + sync(),
        parse("SELECT $1::text", "a1", [0]) + sync()
        + describe("S", "a1") + sync() + bind([None], "a1") + execute()
        + sync() + query("DEALLOCATE a1") + query("DEALLOCATE ALL"),
        bind([None], "a1") + sync(),
    ],
    "asyncpg: Flush, limits, portals": [
        parse(LIST, "__asyncpg_stmt_1__") + describe("S", "__asyncpg_stmt_1__")
        + flush(),
        sync(),
        bind(["15"], "__asyncpg_stmt_1__", "", [1]) + execute("", 2) + sync(),
        execute("", 2) + sync(),
        query("BEGIN"),
        bind(["15"], "__asyncpg_stmt_1__", "c1") + execute("c1", 2) + sync(),
        bind(["1"], "__asyncpg_stmt_1__", "c2") + execute("c2", 1) + sync(),
        execute("c1", 2) + execute("c2", 1) + sync(),
        query("SAVEPOINT s") + query("SELECT 1/0") + query("ROLLBACK TO s"),
        execute("c1", 9) + close("P", "c1") + sync(),
        query("COMMIT"),
        execute("c2", 1) + sync(),
        close("S", "__asyncpg_stmt_1__") + sync(),
    ],
    "empty texts": [
        parse("") + describe("S") + bind() + describe() + execute() + sync(),
        parse("", "e") + describe("S", "e") + sync() + bind([], "e")
        + execute() + sync(),
        parse("", "typed", [23, 25]) + describe("S", "typed") + sync(),
        bind(["1"], "typed") + sync(),
        bind(["1", "2"], "typed") + execute() + sync(),
        parse(" -- nothing", "n") + bind([], "n") + describe() + execute()
        + sync(),
        query(""),
    ],
    "types of one's own": [
        query("CREATE TYPE stat_mood AS ENUM ('sad', 'glad')"),
        parse("SELECT $1::stat_mood", "m") + sync(),
        bind(["glad"], "m") + execute() + sync(),
        bind(["mad"], "m") + execute() + sync(),
        parse("SELECT $1", "o", [987654321]) + sync(),
        query("DROP TYPE stat_mood"),
    ],
    "the unnamed one": [
        parse("SELECT 'unnamed'") + sync(),
        bind() + execute() + sync() + sync() + bind() + execute() + sync(),
        parse("SELEKT") + sync(),
        bind() + execute() + sync(),
        parse("SELECT 'again'") + sync() + query("SELECT 1"),
        bind() + execute() + sync(),
        query("BEGIN"),
        parse("SELECT 'kept'") + bind() + execute("", 1) + sync(),
        bind() + execute() + sync() + close("S") + sync(),
        bind() + sync(),
        query("ROLLBACK"),
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


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("story", DRIVERS)
def test_driver(tables, make_weir, story, mode):
    weir = make_weir({"default_pool_size": 2, "workers": 1,
                      "pool_mode": mode})
    weir.settle()
    compare(tables, weir, DRIVERS[story])
