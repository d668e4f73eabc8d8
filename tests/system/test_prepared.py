"""Prepared statements: SQL and protocol share one set of names, which goes
with the client from server to server; compared with straight PostgreSQL."""
import asyncio
import itertools
import random
import threading

import psycopg
import pytest

from wire import (Wire, bind, close, describe, execute, flush, parse, query,
                  sync)

pytestmark = pytest.mark.own


def said(message):
    """A message without what may differ from one run to the next."""
    if message.type in "EN":
        fields = message.fields
        return message.type, fields["C"], fields["M"]
    if message.type == "T":
        return message.type, columns(message.payload)
    return message.type, message.payload


def columns(payload):
    """A RowDescription without the numbers of tables."""
    count, at, out = int.from_bytes(payload[:2], "big"), 2, []
    for _ in range(count):
        end = payload.index(b"\0", at)
        out.append((payload[at:end], payload[end + 5:end + 19]))
        at = end + 19
    return out


def play(port, steps, **params):
    """What the server says to each of these steps; one step, one answer up
    to as many ReadyForQuery as it holds."""
    out = []
    with Wire(port) as wire:
        wire.login(**params)
        for step in steps:
            wire.send(step)
            count = expected_ready(step)
            for _ in range(count):
                out.append([said(m) for m in wire.until()
                            if m.type not in "NS"])
    return out


def expected_ready(data):
    """Query and Sync messages in the bytes."""
    count, at = 0, 0
    while at < len(data):
        if data[at:at + 1] in (b"Q", b"S"):
            count += 1
        at += 1 + int.from_bytes(data[at + 1:at + 5], "big")
    return count


class Crowd(threading.Thread):
    """Other clients, who use the servers and prepare things of their own."""

    def __init__(self, weir, number=3):
        super().__init__(daemon=True)
        self.weir, self.ended = weir, threading.Event()
        self.number, self.errors = number, []

    def run(self):
        conns = [self.weir.connect(prepare_threshold=0)
                 for _ in range(self.number)]
        for turn in itertools.count():
            if self.ended.is_set():
                break
            for conn in conns:
                try:
                    conn.execute("SELECT %s::int + " + str(turn % 50), (1,))
                except Exception as error:
                    self.errors.append(error)
                    return
        for conn in conns:
            conn.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert not self.errors, self.errors


@pytest.fixture(scope="module")
def tables(cluster):
    cluster.sql("DROP TABLE IF EXISTS prep")
    cluster.sql("CREATE TABLE prep (a int, b text)")
    cluster.sql("INSERT INTO prep SELECT i, 'b' || i FROM"
                " generate_series(1, 20) i")
    cluster.sql("GRANT ALL ON prep TO app")
    cluster.position()
    return cluster


SELECT = "SELECT a, b FROM prep WHERE a = $1"

# Each a list of steps; all that is sent in one step goes in one packet.
STORIES = {
    "protocol, then SQL": [
        parse(SELECT, "foo", [23]) + sync(),
        query("EXECUTE foo(3)"),
        query("EXECUTE foo(4); EXECUTE FOO(5)"),
        query("EXPLAIN (COSTS off) EXECUTE foo(3)"),
        query('EXECUTE "FOO"(1)'),
        query("DEALLOCATE foo"),
        query("EXECUTE foo(3)"),
        bind(["3"], "foo") + execute() + sync(),
        query("DEALLOCATE foo"),
        parse(SELECT, "foo", [23]) + sync(),
        bind(["3"], "foo") + execute() + sync(),
    ],
    "SQL, then protocol": [
        query("PREPARE foo(int) AS SELECT a, b FROM prep WHERE a = $1"),
        bind(["3"], "foo") + describe() + execute() + sync(),
        describe("S", "foo") + sync(),
        parse("SELECT 1", "foo") + sync(),
        query("EXECUTE foo(7)"),
        close("S", "foo") + sync(),
        query("EXECUTE foo(7)"),
        query("PREPARE foo AS SELECT 'new'"),
        query("EXECUTE foo"),
        query("PREPARE foo AS SELECT 2"),
        query("DEALLOCATE PREPARE foo"),
        bind([], "foo") + execute() + sync(),
    ],
    "names of all sorts": [
        query('PREPARE "Foo Bar" AS SELECT 1'),
        query('EXECUTE "Foo Bar"'),
        bind([], "Foo Bar") + execute() + sync(),
        query('PREPARE "a""b" AS SELECT 2; EXECUTE "a""b"'),
        bind([], 'a"b') + execute() + sync(),
        query("PREPARE " + "x" * 70 + " AS SELECT 3"),
        query("EXECUTE " + "x" * 63),
        query("EXECUTE " + "x" * 80),
        query("PREPARE " + "\u20ac" * 30 + " AS SELECT 4"),
        query("EXECUTE " + "\u20ac" * 40),
        query("DEALLOCATE prepare"),
        query("PREPARE prepare AS SELECT 5; DEALLOCATE prepare"),
        query('PREPARE "all" AS SELECT 6; DEALLOCATE "all"'),
        query("PREPARE transaction AS SELECT 7; EXECUTE transaction"),
    ],
    "a taken name": [
        parse("SELECT 1", "foo") + sync(),
        query("PREPARE foo AS SELECT 2"),
        query("EXECUTE foo"),
        query("PREPARE bar AS SELECT 3"),
        parse("SELECT 4", "bar") + sync(),
        query("PREPARE bar AS SELECT 5; SELECT 6"),
        query("EXECUTE bar"),
        query("PREPARE baz AS SELECT 7; PREPARE baz AS SELECT 8"),
        query("EXECUTE baz"),
    ],
    "transactions do not matter": [
        parse(SELECT, "foo", [23]) + sync(),
        query("BEGIN"),
        query("PREPARE bar AS SELECT 1"),
        query("DEALLOCATE foo"),
        query("EXECUTE foo(1)"),
        query("EXECUTE bar"),
        query("ROLLBACK"),
        query("EXECUTE bar"),
        query("EXECUTE foo(1)"),
        query("BEGIN; DEALLOCATE bar; SELECT 1/0; COMMIT"),
        query("ROLLBACK"),
        query("EXECUTE bar"),
        query("BEGIN"),
        query("PREPARE one AS SELECT 1"),
        query("SAVEPOINT s"),
        query("EXECUTE one"),
        query("EXECUTE two"),
        query("EXECUTE one"),
        query("ROLLBACK TO s"),
        query("EXECUTE one"),
        query("COMMIT"),
        query("EXECUTE one"),
    ],
    "half of a text": [
        query("PREPARE a AS SELECT 1; PREPARE b AS SELECT no_such;"
              " PREPARE c AS SELECT 3"),
        query("EXECUTE a"),
        query("EXECUTE b"),
        query("EXECUTE c"),
        query("DEALLOCATE a; SELECT 1/0; PREPARE d AS SELECT 4"),
        query("EXECUTE a"),
        query("EXECUTE d"),
        query("PREPARE e AS SELECT 5; DEALLOCATE e; EXECUTE e"),
        query("EXECUTE e"),
        query("DEALLOCATE nothing; PREPARE f AS SELECT 6"),
        query("EXECUTE f"),
    ],
    "by the extended protocol": [
        parse(SELECT, "foo", [23]) + sync(),
        parse("EXECUTE foo(3)") + bind() + describe() + execute() + sync(),
        parse("EXECUTE foo(4)", "run") + describe("S", "run") + sync(),
        bind([], "run") + describe() + execute() + sync(),
        bind([], "run") + execute() + sync(),
        parse("PREPARE sql(int) AS " + SELECT) + bind() + execute() + sync(),
        bind(["5"], "sql") + execute() + sync(),
        parse("EXECUTE sql(6)") + bind() + describe() + execute() + sync(),
        parse("DEALLOCATE foo", "drop") + bind([], "drop") + execute()
        + sync(),
        bind([], "run") + execute() + sync(),
        bind([], "drop") + execute() + sync(),
        parse("DEALLOCATE sql") + bind() + execute() + sync(),
        bind(["5"], "sql") + execute() + sync(),
    ],
    "within one batch": [
        parse("SELECT 1", "foo") + sync(),
        parse("DEALLOCATE foo") + bind() + execute()
        + parse("SELECT 'second'", "foo") + bind([], "foo") + execute()
        + sync(),
        query("EXECUTE foo"),
        parse("DEALLOCATE ALL") + bind() + execute()
        + parse("SELECT 'third'", "foo") + bind([], "foo") + describe()
        + execute() + sync(),
        query("EXECUTE foo"),
        parse("DEALLOCATE ALL") + bind() + execute()
        + bind([], "foo") + execute() + sync(),
        parse("DISCARD ALL") + bind() + execute()
        + parse("SELECT 'fourth'", "foo") + bind([], "foo") + execute()
        + sync(),
        parse("PREPARE sql AS SELECT 'fifth'") + bind() + execute()
        + bind([], "sql") + execute() + describe("S", "sql") + sync(),
        parse("PREPARE sql2 AS SELECT 'sixth'") + bind() + execute()
        + parse("SELECT 1", "sql2") + sync(),
        bind([], "sql2") + execute() + sync(),
        parse("DEALLOCATE sql2") + bind() + execute() + close("S", "sql2")
        + parse("SELECT 'seventh'", "sql2") + flush()
        + bind([], "sql2") + execute() + sync(),
        query("DEALLOCATE ALL; DEALLOCATE sql"),
    ],
    "a pipeline": [
        parse("SELECT 1", "foo") + sync()
        + parse("DEALLOCATE foo") + bind() + execute() + sync()
        + parse("SELECT 2", "foo") + sync()
        + bind([], "foo") + execute() + sync()
        + query("EXECUTE foo") + query("DEALLOCATE foo")
        + bind([], "foo") + execute() + sync()
        + query("PREPARE foo AS SELECT 3")
        + bind([], "foo") + execute() + sync() + query("EXECUTE foo"),
        query("BEGIN") + query("SELECT 1/0") + query("EXECUTE foo")
        + query("DEALLOCATE foo") + bind([], "foo") + execute() + sync()
        + query("ROLLBACK") + query("EXECUTE foo"),
    ],
    "what it runs is gone": [
        query("CREATE TABLE prep_gone (a int)"),
        parse("SELECT * FROM prep_gone", "foo") + sync(),
        query("PREPARE bar AS SELECT * FROM prep_gone"),
        query("EXECUTE foo"),
        query("EXECUTE bar"),
        query("DROP TABLE prep_gone"),
        query("EXECUTE foo"),
        query("SELECT 1; EXECUTE bar"),
        query("BEGIN"),
        query("EXECUTE bar"),
        query("SELECT 1"),
        query("ROLLBACK"),
        query("DEALLOCATE foo; DEALLOCATE bar"),
    ],
    "tables from statements": [
        parse("SELECT g FROM generate_series(1, $1) g", "foo", [23]) + sync(),
        query("PREPARE bar(int) AS SELECT g FROM generate_series(1, $1) g"),
        query("BEGIN; CREATE TEMP TABLE prep_t ON COMMIT DROP AS"
              " EXECUTE foo(3); TABLE prep_t; COMMIT"),
        query("BEGIN; CREATE TEMP TABLE prep_t ON COMMIT DROP AS"
              " EXECUTE bar(2); TABLE prep_t; COMMIT"),
    ],
    "mistakes": [
        query("PREPARE"),
        query("EXECUTE"),
        query("EXECUTE 1"),
        query("DEALLOCATE"),
        query("DEALLOCATE nothing"),
        query("PREPARE a AS CREATE TABLE x()"),
        query("PREPARE a AS SELECT $1"),
        query("EXECUTE a"),
        query("EXECUTE a(1, 2)"),
        query("EXECUTE a('x')"),
        query("SELECT 1; EXECUTE a('x'"),
    ],
    "the list of statements": [
        query("SELECT name, from_sql FROM pg_prepared_statements"),
        parse(SELECT, "foo", [23]) + sync(),
        query("PREPARE bar(text) AS SELECT $1"),
        query("SELECT name, statement, parameter_types, from_sql FROM"
              " pg_prepared_statements ORDER BY name"),
        parse("SELECT name FROM pg_prepared_statement() ORDER BY 1")
        + bind() + execute() + sync(),
        query("DEALLOCATE bar"),
        query("SELECT count(*) FROM pg_prepared_statements"),
        bind(["3"], "foo") + execute() + sync(),
        query("DISCARD ALL"),
        query("SELECT count(*) FROM pg_prepared_statements"),
    ],
}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("story", STORIES)
def test_story(tables, make_weir, story, mode):
    steps = STORIES[story]
    straight = play(tables.ports["primary"], steps)
    weir = make_weir({"pool_mode": mode, "default_pool_size": 2 if
                      mode == "transaction" else 10, "workers": 1})
    weir.settle()
    with Crowd(weir):
        for _ in range(3):
            through = play(weir.port, steps)
            for number, (one, other) in enumerate(zip(straight, through)):
                assert other == one, (number, straight[:number])
            assert len(through) == len(straight)


def test_ddl_that_nobody_has_told(tables, make_weir):
    """Plans that went stale straight on the node are made anew, unseen."""
    weir = make_weir({"default_pool_size": 2, "workers": 1,
                      "split_reads": 0, "catalog_refresh": 60})
    tables.sql("CREATE TABLE prep_ddl (a int)")
    tables.sql("GRANT ALL ON prep_ddl TO app")
    reads = "SELECT * FROM prep_ddl"
    writes = "INSERT INTO prep_ddl (a) VALUES (%s) RETURNING *"
    conns = [weir.connect(prepare_threshold=0) for _ in range(6)]
    for number in range(4):
        for at, conn in enumerate(conns):
            row = conn.execute(writes, (at,)).fetchone()
            assert len(row) == number + 1
        rows = conns[number].execute(reads).fetchall()
        assert len(rows) == 6 * (number + 1)
        assert all(len(row) == number + 1 for row in rows)
        tables.sql("ALTER TABLE prep_ddl ADD c%d int" % number)
    for conn in conns:
        conn.close()
    tables.sql("DROP TABLE prep_ddl")


def test_ddl_through_pgweir(tables, make_weir):
    """What another client has prepared before, on whatever server, is no
    longer what a new client's statement meets, not even in a transaction."""
    weir = make_weir({"default_pool_size": 3, "workers": 2, "begin_wait": 0})
    with weir.connect() as conn:
        conn.execute("CREATE TABLE prep_other (a int)")
    weir.settle()
    text = "SELECT * FROM prep_other"
    with Wire(weir.port) as one, Wire(weir.port) as two, \
            Wire(weir.port) as other:
        for wire in (one, two, other):
            wire.login()
        for wire in (one, two):
            wire.query("BEGIN")
        for wire in (one, two):
            wire.send(parse(text, "s") + bind([], "s") + execute()
                      + sync()).until()
        for wire in (one, two):
            wire.query("COMMIT")
        other.query("ALTER TABLE prep_other ADD b int")
        for wire in (one, two, other):
            wire.query("BEGIN")
        for _ in range(2):
            got = other.send(parse(text, "n") + bind([], "n") + describe()
                             + execute() + sync()).until()
            assert [m.type for m in got] == ["1", "2", "T", "C", "Z"]
            assert len(columns(got[2].payload)) == 2
            other.query("ROLLBACK")
            other.send(close("S", "n") + sync()).until()
            other.query("BEGIN")
        for wire in (one, two, other):
            wire.query("ROLLBACK")
        other.query("DROP TABLE prep_other")


def test_known_good_needs_no_server(tables, make_weir):
    """A Parse is answered while others hold all servers."""
    weir = make_weir({"default_pool_size": 1, "workers": 1,
                      "split_reads": 0, "begin_wait": 0})
    with Wire(weir.port) as holder, Wire(weir.port) as client:
        holder.login()
        client.login()
        client.send(parse("SELECT 'known'", "a") + sync()).until()
        holder.query("BEGIN")
        holder.query("SELECT 1")
        got = client.send(parse("SELECT 'known'", "b") + sync()).until()
        assert [m.type for m in got] == ["1", "Z"]
        # What is not known, or whose name is taken, has to wait.
        client.sock.settimeout(0.5)
        client.send(parse("SELECT 'news'", "c") + sync())
        with pytest.raises(TimeoutError):
            client.until()
        holder.query("COMMIT")
        client.sock.settimeout(20)
        assert [m.type for m in client.until()] == ["1", "Z"]
        assert [m.values for m in client.send(
            bind([], "b") + execute() + sync()).until()
            if m.type == "D"] == [[b"known"]]
        # DDL makes it unknown.
        client.query("CREATE TABLE prep_known ()")
        holder.query("BEGIN")
        client.sock.settimeout(0.5)
        client.send(parse("SELECT 'known'", "d") + sync())
        with pytest.raises(TimeoutError):
            client.until()
        holder.query("COMMIT")
        client.sock.settimeout(20)
        assert [m.type for m in client.until()] == ["1", "Z"]
        client.query("DROP TABLE prep_known")


def test_search_path_decides_what_is_shared(tables, make_weir):
    weir = make_weir({"default_pool_size": 2, "workers": 1})
    for schema, value in (("prep_a", "1"), ("prep_b", "'two'::text"),
                          ("prep_c", "3")):
        tables.sql("DROP SCHEMA IF EXISTS %s CASCADE" % schema)
        tables.sql("CREATE SCHEMA %s" % schema)
        tables.sql("CREATE TABLE %s.who AS SELECT %s AS name"
                   % (schema, value))
        tables.sql("GRANT USAGE ON SCHEMA %s TO app" % schema)
        tables.sql("GRANT SELECT ON %s.who TO app" % schema)
    weir.settle()
    conns = [weir.connect(prepare_threshold=0,
                          options="-c search_path=" + path)
             for path in ("prep_a", "prep_b") * 4]
    for turn in range(3):
        for at, conn in enumerate(conns):
            row = conn.execute("SELECT name FROM who").fetchone()
            assert row == ((1,) if at % 2 == 0 else ("two",))
    # It may change after the Parse, too (another type would be 0A000).
    with weir.connect(prepare_threshold=0) as conn:
        for path, name in (("prep_a", 1), ("prep_c", 3), ("prep_a", 1)):
            conn.execute("SET search_path = " + path)
            assert conn.execute("SELECT name FROM who").fetchone() == (name,)
    for conn in conns:
        conn.close()


def test_psycopg_lets_go_of_names(tables, make_weir):
    """It deallocates by SQL what it has prepared by the protocol."""
    weir = make_weir({"default_pool_size": 2, "workers": 1})
    weir.settle()
    conns = [weir.connect(prepare_threshold=0) for _ in range(6)]
    for conn in conns:
        conn.prepared_max = 2
    dice = random.Random(1)
    for turn in range(60):
        for conn in conns:
            number = dice.randrange(5)
            row = conn.execute("SELECT %s::int + " + str(number),
                               (turn,)).fetchone()
            assert row == (turn + number,)
    for conn in conns:
        assert len(conn.execute("SELECT name FROM pg_prepared_statements")
                   .fetchall()) <= 3
        conn.close()


def test_asyncpg_statements(tables, make_weir):
    asyncpg = pytest.importorskip("asyncpg")
    weir = make_weir({"default_pool_size": 2, "workers": 2})
    weir.settle()

    async def one(number):
        conn = await asyncpg.connect(
            host="127.0.0.1", port=weir.port, user="app", database="app",
            statement_cache_size=3)
        for turn in range(20):
            text = "SELECT $1::int + %d" % (turn % 5 + number)
            assert await conn.fetchval(text, 1) == turn % 5 + number + 1
        statement = await conn.prepare("SELECT $1::text || 'x'")
        assert await statement.fetchval("a") == "ax"
        await conn.execute("DEALLOCATE ALL")
        await conn.close()

    async def all_of_them():
        await asyncio.gather(*(one(n) for n in range(8)))
    asyncio.run(all_of_them())


@pytest.mark.parametrize("story", STORIES)
def test_nothing_stays_behind(tables, make_weir, story):
    """No name of the story is known to the next client, and no server is
    kept: many tell the story at once over two servers."""
    weir = make_weir({"default_pool_size": 2, "workers": 2})
    weir.settle()
    errors = []

    def tell():
        try:
            play(weir.port, STORIES[story])
            with Wire(weir.port) as wire:
                wire.login()
                for name in ("foo", "bar", "sql", "a"):
                    assert wire.query("EXECUTE " + name)[0].sqlstate \
                        == "26000"
                rows = wire.rows("SELECT name FROM pg_prepared_statements")
                assert rows == []
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
