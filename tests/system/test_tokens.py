"""SHOW pgweir.lsn and SET pgweir.min_lsn: what one connection has seen is
shown to another one, also behind another pgweir."""
import re

import pytest

from blocks import wait_for_catalog
from harness import SLOW, wait_for
from wire import Wire, bind, describe, execute, one_query, parse, query, sync

pytestmark = pytest.mark.own

TOKEN = re.compile(r"^\d+:[0-9A-F]{8}:[0-9A-F]+/[0-9A-F]+$")


@pytest.fixture(scope="module")
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS tokens; CREATE TABLE tokens (i int)",
                user="app")
    cluster.position()


@pytest.fixture
def make_two(cluster, make_weir, table):
    def make(**settings):
        made = [make_weir({"workers": 1, **settings}) for _ in range(2)]
        for weir in made:
            with Wire(weir.port, timeout=10 * SLOW) as conn:
                conn.login()
                wait_for_catalog(cluster, conn, "tokens")
        return made
    return make


def login(weir, **params):
    conn = Wire(weir.port, timeout=20 * SLOW)
    conn.login(**params)
    return conn


@pytest.fixture
def paused(cluster):
    cluster.sql("SELECT pg_wal_replay_pause()", node="replica")
    yield
    cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
    cluster.position()


@pytest.mark.parametrize("level", ["eventual", "session"])
def test_across_two_pgweirs(cluster, make_two, paused, level):
    one, two = make_two(consistency=level, causal_wait=0.05)
    with login(one) as writer, login(two) as reader, login(two) as other:
        for number in range(3):
            writer.query("INSERT INTO tokens VALUES (%d)" % number)
            token = writer.value("SHOW pgweir.lsn")
            assert TOKEN.match(token)
            count = "SELECT count(*) FROM tokens WHERE i = %d" % number
            # Who has no token reads what the replica has.
            assert other.value(count) == "0"
            assert [m.type for m in reader.query(
                "SET pgweir.min_lsn = '%s'" % token)] == ["C", "Z"]
            assert reader.value(count) == "1"
        cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
        cluster.position()
        tag = cluster.fresh()

        def on_replica():
            reader.query("SELECT 1 AS %s FROM tokens" % tag)
            return cluster.calls(tag)["replica"]
        wait_for(on_replica, what="the replica to serve again")
        writer.query("DELETE FROM tokens")


@pytest.mark.parametrize("way", ["simple", "extended", "named"])
def test_shown_in_all_protocols(make_two, way):
    one, _ = make_two()
    ask = {"simple": query("SHOW pgweir.lsn"),
           "extended": parse("SHOW pgweir.lsn") + bind() + describe()
           + execute() + sync(),
           "named": bind([], "s") + describe() + execute() + sync()}[way]

    def told(conn):
        got = conn.send(ask).until()
        assert [m.type for m in got if m.type in "DE"] == ["D"]
        assert b"pgweir.lsn\0" in next(m.payload for m in got
                                       if m.type == "T")
        return next(m.values[0] for m in got if m.type == "D").decode()
    with login(one) as conn, login(one) as other:
        conn.send(parse("SHOW pgweir.lsn", "s") + sync()).until()
        first = told(conn)
        other.query("INSERT INTO tokens VALUES (1)")
        second = told(conn)
        assert TOKEN.match(first) and TOKEN.match(second)
        assert first != second
        conn.query("BEGIN")
        assert TOKEN.match(told(conn))
        # In a block that has begun: what others have done since is in it.
        conn.query("INSERT INTO tokens VALUES (2)")
        third = told(conn)
        other.query("INSERT INTO tokens VALUES (3)")
        fourth = told(conn)
        assert TOKEN.match(third) and TOKEN.match(fourth)
        assert third != fourth and conn.status == "T"
        conn.query("SELECT 1/0")
        assert [m.sqlstate for m in conn.send(ask).until()
                if m.type == "E"] == ["25P02"]
        conn.query("ROLLBACK")
        # Two in flight, behind a write.
        conn.send(query("INSERT INTO tokens VALUES (2)"), ask, ask)
        assert conn.until()[-1].type == "Z"
        assert TOKEN.match(next(m.values[0] for m in conn.until()
                                if m.type == "D").decode())
        assert any(m.type == "D" for m in conn.until())


@pytest.mark.parametrize("text", [
    "SET pgweir.min_lsn = 'nonsense'", "SET pgweir.min_lsn TO '0/3000060'",
    "SET LOCAL pgweir.min_lsn = 'nonsense'",
    "SET pgweir.min_lsn = '42:00000001:0/3000060'"])
def test_what_is_no_token(make_two, text):
    one, _ = make_two()
    batch = parse(text) + bind() + execute() + sync()
    with login(one) as conn:
        for ask in (query(text), batch):
            error = next(m for m in conn.send(ask).until() if m.type == "E")
            assert error.sqlstate == "22023"
            assert "pgweir.min_lsn" in error.fields["M"]
            assert conn.status == "I"
            conn.query("BEGIN")
            conn.query("SELECT 1")
            conn.send(query(text) if ask == batch else ask).until()
            assert conn.status == "E"
            conn.query("ROLLBACK")
        assert conn.value("SELECT 1") == "1"
        for fine in ("SET pgweir.min_lsn = ''", "RESET pgweir.min_lsn",
                     "SET pgweir.min_lsn TO DEFAULT"):
            assert [m.type for m in conn.query(fine)] == ["C", "Z"]


def test_position_still_to_come(cluster, make_two):
    """It may be true elsewhere already: reads go to the primary."""
    one, _ = make_two()
    with login(one) as conn:
        system, timeline, _ = conn.value("SHOW pgweir.lsn").split(":")
    for token in ("%s:%s:FFFF/0" % (system, timeline),
                  "%s:00000063:0/1" % system):
        with login(one) as conn:
            assert [m.type for m in conn.query(
                "SET pgweir.min_lsn = '%s'" % token)] == ["C", "Z"]
            tag = cluster.fresh()
            for _ in range(3):
                conn.value("SELECT count(*) AS %s FROM tokens" % tag)
            assert cluster.calls(tag) == {"primary": 3, "replica": 0}


def test_in_the_startup_packet(cluster, make_two, paused):
    one, two = make_two(consistency="eventual")
    with login(one) as writer:
        writer.query("INSERT INTO tokens VALUES (77)")
        token = writer.value("SHOW pgweir.lsn")
        with login(two, options="-c pgweir.min_lsn=" + token) as reader:
            assert reader.value("SELECT count(*) FROM tokens WHERE i = 77"
                                ) == "1"
        # What nobody understands is no licence for old answers.
        with login(two, options="-c pgweir.min_lsn=x") as reader:
            assert reader.value("SELECT count(*) FROM tokens WHERE i = 77"
                                ) == "1"
        writer.query("DELETE FROM tokens WHERE i = 77")


def test_one_query_in_a_transaction_of_its_own(make_two):
    """A SHOW that is the first statement of a block that waits."""
    one, _ = make_two()
    with login(one) as conn:
        for begin in ("BEGIN", "BEGIN READ ONLY"):
            conn.send(one_query(begin), sync()).until()
            assert TOKEN.match(conn.value("SHOW pgweir.lsn"))
            conn.query("COMMIT")


@pytest.mark.parametrize("how", ["SET", "SET LOCAL", "role"])
def test_commits_that_are_not_flushed(cluster, make_two, how):
    """Their writer reads from the primary until they are for sure."""
    if how == "role":
        cluster.sql("ALTER ROLE app SET synchronous_commit = off")
        cluster.position()
    try:
        one, _ = make_two()
        with login(one) as conn:
            if how == "SET":
                conn.query("SET synchronous_commit = off")
            for number in range(20):
                conn.query("BEGIN")
                if how == "SET LOCAL":
                    conn.query("SET LOCAL synchronous_commit TO off")
                conn.query("INSERT INTO tokens VALUES (%d)" % (900 + number))
                conn.query("COMMIT")
                tag = cluster.fresh() if number == 19 else "few"
                assert conn.value("SELECT count(*) AS %s FROM tokens"
                                  " WHERE i >= 900" % tag) == str(number + 1)
            calls = cluster.calls(tag)
            assert calls["primary"] and not calls["replica"]
            conn.query("DELETE FROM tokens")
    finally:
        cluster.sql("ALTER ROLE app RESET synchronous_commit")
        cluster.position()
