"""currval() and lastval(): a session finds what sequences gave to it, and
nothing of others; who never asks pays nothing."""
import random
import threading
import time

import psycopg
import pytest

from harness import SLOW, wait_for
from wire import Wire, bind, execute, parse, query, sync

pytestmark = pytest.mark.own


@pytest.fixture
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS drawn; DROP SEQUENCE IF EXISTS drawn_s;"
                "CREATE TABLE drawn (id serial, who int);"
                "CREATE SEQUENCE drawn_s;"
                "GRANT ALL ON drawn, drawn_s, drawn_id_seq TO public;"
                "CREATE OR REPLACE FUNCTION draw(i int) RETURNS int AS"
                " 'INSERT INTO drawn (who) VALUES (i) RETURNING id'"
                " LANGUAGE sql")
    cluster.position()
    yield
    cluster.sql("DROP FUNCTION draw; DROP TABLE drawn CASCADE;"
                " DROP SEQUENCE drawn_s")


def one(conn, sql):
    return conn.execute(sql).fetchone()[0]


def pinned(weir):
    with psycopg.connect(weir.dsn("pgweir", "postgres"),
                         autocommit=True) as console:
        cursor = console.execute("SHOW CLIENTS")
        names = [c.name for c in cursor.description]
        return [dict(zip(names, row))["pinned"] for row in cursor
                if dict(zip(names, row))["database"] == "app"]


def insert(conn, who=0):
    conn.execute("INSERT INTO drawn (who) VALUES (%d)" % who)
    return one(conn, "SELECT max(id) FROM drawn WHERE who = %d" % who)


def test_nobody_asks(make_weir, table):
    """One server does for all: none of them keeps it."""
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 5})
    conns = [weir.connect() for _ in range(4)]
    for _ in range(5):
        for conn in conns:
            conn.execute("INSERT INTO drawn (who) VALUES (1)")
            conn.execute("SELECT nextval('drawn_s'), draw(2)")
    assert not any(pinned(weir)), pinned(weir)
    for conn in conns:
        conn.close()


def test_the_first_one_asks(make_weir, table):
    """In a quiet pool he finds it, and keeps his server from then on."""
    weir = make_weir()
    with weir.connect() as conn, weir.connect() as other:
        got = insert(conn, 1)
        assert one(conn, "SELECT lastval()") == got
        assert pinned(weir).count("sequence") == 1
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            other.execute("SELECT lastval()")
        insert(other, 2)
        assert one(conn, "SELECT currval('drawn_id_seq')") == got
        conn.execute("DISCARD SEQUENCES")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            conn.execute("SELECT lastval()")
        assert pinned(weir).count("sequence") == 1
        other.execute("DISCARD ALL")
        assert "sequence" not in pinned(weir)


def test_never_anothers(make_weir, table):
    """He has drawn, others have since: none of their values is shown."""
    weir = make_weir({"default_pool_size": 1, "workers": 2})
    with weir.connect() as conn, weir.connect() as other:
        insert(conn, 1)
        insert(other, 2)
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            conn.execute("SELECT currval('drawn_id_seq')")


def test_everybody_asks(make_weir, table):
    """Interleaved at random, through two workers: always the own value."""
    weir = make_weir({"default_pool_size": 12, "workers": 2})
    with weir.connect() as conn:
        insert(conn)
        conn.execute("SELECT lastval()")
    wrong = []

    def play(who):
        dice = random.Random(who)
        with weir.connect() as conn:
            last = None
            for _ in range(60):
                step = dice.randrange(5)
                if step == 0:
                    last = insert(conn, who)
                elif step == 1:
                    last = one(conn, "SELECT draw(%d)" % who)
                elif step == 2:
                    one(conn, "SELECT count(*) FROM drawn")
                elif last is not None:
                    got = one(conn, "SELECT lastval()" if step == 3 else
                              "SELECT currval('drawn_id_seq')")
                    if got != last:
                        wrong.append((who, got, last))

    threads = [threading.Thread(target=play, args=(w,)) for w in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_in_front_of_a_draw(make_weir, table):
    """What others have left goes in front of a statement that draws, in one
    packet: the pin is that statement's own."""
    weir = make_weir({"default_pool_size": 2, "workers": 1})
    others = [weir.connect() for _ in range(2)]
    for other in others:
        other.execute("BEGIN; SELECT 1")
        other.execute("INSERT INTO drawn (who) VALUES (5)")
    for other in others:
        other.execute("COMMIT")
    with weir.connect() as first, weir.connect() as second:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            first.execute("SELECT lastval()")
        first.execute("BEGIN; SELECT 1")
        first.execute("SELECT 1 FROM drawn FOR UPDATE")
        for _ in range(3):
            got = insert(second, 1)
            assert one(second, "SELECT lastval()") == got
            assert pinned(weir).count("sequence") == 1
        first.execute("ROLLBACK")
        assert one(second, "SELECT lastval()") == got
    for other in others:
        other.close()


@pytest.mark.parametrize("way", ("simple", "extended", "pipelined"))
def test_protocols(make_weir, table, way):
    weir = make_weir()

    def steps(*statements):
        for sql in statements:
            yield [query(sql)] if way == "simple" else \
                [parse(sql), bind(), execute(), sync()]

    statements = ["SELECT setval('drawn_s', 41)", "SELECT nextval('drawn_s')",
                  "SELECT currval('drawn_s'), lastval()"]
    for _ in range(3):
        with Wire(weir.port) as conn:
            conn.login()
            if way == "pipelined":
                conn.send(*[p for s in steps(*statements) for p in s])
            for parts in steps(*statements):
                if way != "pipelined":
                    conn.send(*parts)
                got = conn.until()
            rows = [m.values for m in got if m.type == "D"]
            assert rows == [[b"42", b"42"]]


def test_a_full_pool_does_not_stand_still(make_weir, table):
    """Who keeps a server for what it has drawn gives it to those who wait."""
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 20,
                      "sequence_keep": 0.1}, nodes=("primary",))
    with weir.connect() as reader, weir.connect() as writer:
        reader.execute("INSERT INTO drawn (who) VALUES (1)")
        drawn = one(reader, "SELECT lastval()")
        assert one(reader, "SELECT lastval()") == drawn
        assert sorted(pinned(weir)) == ["", "sequence"]
        writer.execute("INSERT INTO drawn (who) VALUES (2)")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            reader.execute("SELECT lastval()")
        # In a transaction nobody is disturbed.
        with reader.transaction():
            reader.execute("INSERT INTO drawn (who) VALUES (1)")
            mine = one(reader, "SELECT lastval()")
            assert one(reader, "SELECT max(id) FROM drawn") == mine


def waits(conn, sql):
    """Runs it in a thread; the list becomes its error, or None."""
    done = []

    def run():
        try:
            conn.execute(sql)
            done.append(None)
        except psycopg.Error as error:
            done.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


@pytest.mark.parametrize("keep", (1, 0))
def test_who_has_asked_keeps_it_longer(make_weir, table, keep):
    """Others wait for a server: for sequence_keep, or for ever."""
    weir = make_weir({"default_pool_size": 1, "sequence_keep": keep * SLOW,
                      "query_wait_timeout": 3 * SLOW}, nodes=("primary",))
    with weir.connect() as reader, weir.connect() as writer:
        reader.execute("INSERT INTO drawn (who) VALUES (1)")
        drawn = one(reader, "SELECT lastval()")
        thread, done = waits(writer, "INSERT INTO drawn (who) VALUES (2)")
        for _ in range(4):
            time.sleep(0.4 * SLOW)
            assert one(reader, "SELECT lastval()") == drawn
            assert not done
        thread.join()
        if keep:
            assert done == [None]
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                reader.execute("SELECT lastval()")
        else:
            assert "query_wait_timeout" in str(done)
            assert one(reader, "SELECT lastval()") == drawn


def test_who_has_never_asked_gives_way_soon(make_weir, table):
    weir = make_weir({"default_pool_size": 1, "sequence_keep": 20 * SLOW,
                      "query_wait_timeout": 5 * SLOW}, nodes=("primary",))
    with weir.connect() as asker:
        asker.execute("INSERT INTO drawn (who) VALUES (1)")
        asker.execute("SELECT lastval()")
    with weir.connect() as one_writer, weir.connect() as other:
        for _ in range(3):
            one_writer.execute("INSERT INTO drawn (who) VALUES (2)")
            assert pinned(weir).count("sequence") == 1
            other.execute("INSERT INTO drawn (who) VALUES (3)")


def test_within_a_transaction(make_weir, table):
    """What the same transaction has drawn keeps no server."""
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 5})
    with weir.connect() as a, weir.connect() as b:
        for _ in range(3):
            with a.transaction():
                mine = insert(a, 1)
                assert one(a, "SELECT lastval()") == mine
            b.execute("SELECT nextval('drawn_s')")
        assert not any(pinned(weir)), pinned(weir)


@pytest.mark.parametrize("was_there", (True, False))
def test_a_default_asks(make_weir, cluster, table, was_there):
    """Nobody says currval(): the table does."""
    make = "CREATE TABLE child (of int DEFAULT currval('drawn_id_seq'))"
    cluster.sql("DROP TABLE IF EXISTS child")
    if was_there:
        cluster.sql(make + "; GRANT ALL ON child TO public")
        cluster.position()
    weir = make_weir({"default_pool_size": 4}, nodes=("primary",))
    with weir.connect() as a, weir.connect() as b:
        if was_there:
            a.execute("SELECT 1")
            wait_for(lambda: "relations known" in weir.log(), 5, "a catalog")
            time.sleep(0.2 * SLOW)
        else:
            a.execute(make)
        for _ in range(3):
            mine = insert(a, 1)
            insert(b, 2)
            b.execute("SELECT 1")
            a.execute("INSERT INTO child DEFAULT VALUES")
            assert one(a, "SELECT max(of) FROM child") == mine
    cluster.sql("DROP TABLE child")
