"""The primary goes: who waits, who goes on, who is told what."""
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from fakeserver import FakeServer, log_in, read_message
from harness import SLOW, wait_for
from wire import (Wire, bind, cstr, execute, message, one_query, parse, query,
                  sync)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "failover"))

from load import BlockWriter, Books, Reader, Writer  # noqa: E402

pytestmark = pytest.mark.own


class Later(threading.Thread):
    """Runs something at the same time; .value or .error, and .seconds."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_it, self.value, self.error = run, None, None
        self.seconds = None
        self.start()

    def run(self):
        begun = time.monotonic()
        try:
            self.value = self.run_it()
        except psycopg.Error as error:
            self.error = error
        self.seconds = time.monotonic() - begun

    def result(self, timeout=20):
        self.join(timeout * SLOW)
        assert not self.is_alive(), "still waiting"
        if self.error:
            raise self.error
        return self.value


def no_primary(weir):
    wait_for(lambda: weir.http("/readyz")[0] == 503, 10, "/readyz to say no")


@pytest.mark.tsan
def test_the_gap(own_cluster, make_weir):
    """Writers and new clients wait, readers read, idle ones notice nothing,
    a transaction gets its one error."""
    own_cluster.sql("CREATE TABLE fo (i int primary key)", user="app")
    own_cluster.sql("INSERT INTO fo VALUES (1)", user="app")
    own_cluster.position()
    weir = make_weir(cluster=own_cluster)
    idle, writer, reader, mid, fresh = (weir.connect() for _ in range(5))
    writer.execute("INSERT INTO fo VALUES (2)")
    fresh.execute("SET pgweir.consistency = 'eventual'")
    weir.settle()
    # Both have read on the replica all that they have seen.
    for conn in (reader, writer):
        assert conn.execute("SELECT count(*) FROM fo").fetchone() == (2,)
    assert weir.metric("pgweir_routing_decisions_total", target="replica",
                       reason="autocommit_read") == 2
    mid.autocommit = False
    mid.execute("INSERT INTO fo VALUES (3)")
    own_cluster.stop("primary", "immediate")
    no_primary(weir)
    with pytest.raises(psycopg.OperationalError):
        mid.execute("INSERT INTO fo VALUES (4)")
    # Those who read, and who have seen what they have written.
    assert reader.execute("SELECT count(*) FROM fo").fetchone() == (2,)
    assert writer.execute("SELECT count(*) FROM fo").fetchone() == (2,)
    assert fresh.execute("SELECT count(*) FROM fo").fetchone() == (2,)
    # New clients get in, and read.
    with weir.connect() as late:
        assert late.execute("SELECT count(*) FROM fo").fetchone() == (2,)
        waits = Later(lambda: writer.execute("INSERT INTO fo VALUES (5)"))
        too = Later(lambda: late.execute("INSERT INTO fo VALUES (6)"))
        time.sleep(0.3)
        assert waits.is_alive() and too.is_alive()
        own_cluster.promote("replica")
        waits.result()
        too.result()
    idle.execute("INSERT INTO fo VALUES (7)")
    rows = idle.execute("SELECT i FROM fo ORDER BY i").fetchall()
    assert [i for i, in rows] == [1, 2, 5, 6, 7]
    assert "without a primary" in weir.log()
    assert weir.metric("pgweir_primaries", database="app") == 1
    old_primary_comes_back(own_cluster, weir, idle)
    for conn in (idle, writer, reader, mid, fresh):
        conn.close()


def old_primary_comes_back(cluster, weir, conn):
    """On its old timeline: it gets nothing, even while it is alone."""
    cluster.start("primary")
    wait_for(lambda: weir.metric("pgweir_primaries", database="app") == 2,
             15, "two primaries")
    assert "both say that they are the primary" in weir.log()
    conn.execute("INSERT INTO fo VALUES (8)")
    assert cluster.value("SELECT max(i) FROM fo", node="replica") == 8
    cluster.stop("replica")
    no_primary(weir)
    waits = Later(lambda: conn.execute("INSERT INTO fo VALUES (9)"))
    time.sleep(0.5)
    assert waits.is_alive()
    cluster.start("replica")
    waits.result()
    assert cluster.value("SELECT max(i) FROM fo", node="replica") == 9
    assert cluster.value("SELECT max(i) FROM fo") == 2


def test_failover_timeout(own_cluster, make_weir):
    weir = make_weir({"failover_timeout": 1}, cluster=own_cluster)
    own_cluster.sql("CREATE TABLE fot (i int)", user="app")
    with weir.connect() as conn, weir.connect() as reader:
        conn.execute("INSERT INTO fot VALUES (1)")
        own_cluster.position()
        own_cluster.stop("primary")
        no_primary(weir)
        write = Later(lambda: conn.execute("INSERT INTO fot VALUES (2)"))
        with pytest.raises(psycopg.OperationalError, match="failover_timeout"):
            write.result()
        assert 0.9 < write.seconds < 3 * SLOW
        assert reader.execute("SELECT 1").fetchone() == (1,)
    assert weir.metric("pgweir_primaries", database="app") == 0


def logged_in(weir):
    wire = Wire(weir.port, timeout=30 * SLOW)
    wire.login()
    return wire


def busy(cluster, mark, count=1):
    """Backends of the primary that run a statement with this text in it."""
    def look():
        rows = cluster.sql(
            "SELECT pid FROM pg_stat_activity WHERE state = 'active'"
            " AND pid <> pg_backend_pid() AND query LIKE %s",
            ("%" + mark + "%",))
        return [pid for pid, in rows] if len(rows) == count else None
    return wait_for(look, what="%d statements to run" % count)


SLEEPY = "INSERT INTO fod SELECT %d FROM pg_sleep(%s) /* %s */"


def test_undone_units_go_to_the_next_primary(own_cluster, make_weir):
    """An administrator's shutdown undoes what runs, and says so: alone on
    its server, in either protocol, such a statement is done again."""
    own_cluster.sql("CREATE TABLE fod (i int)", user="app")
    weir = make_weir(cluster=own_cluster)
    with logged_in(weir) as simple, logged_in(weir) as extended, \
            logged_in(weir) as named, logged_in(weir) as mid, \
            logged_in(weir) as call:
        named.send(parse("INSERT INTO fod SELECT 3 FROM pg_sleep($1)", "n",
                         [701]), sync()).until()
        mid.rows("BEGIN")
        weir.settle()
        simple.send(query(SLEEPY % (1, 0.7, "held")))
        extended.send(one_query(SLEEPY % (2, 0.7, "held")), sync())
        named.send(bind([0.7], "n"), execute(), sync())
        mid.send(query(SLEEPY % (4, 0.7, "held")))
        call.send(query("DO $$BEGIN PERFORM pg_sleep(0.7); /* held */"
                        " INSERT INTO fod VALUES (5); END$$"))
        busy(own_cluster, "held", 4)
        own_cluster.stop("primary")
        own_cluster.promote("replica")
        for wire in simple, extended, named:
            kinds = [m.type for m in wire.until("ZE")]
            assert kinds[-1] == "Z" and "E" not in kinds
        for wire in mid, call:
            *_, last = wire.until_closed()
            assert last.type == "E" and last.sqlstate == "57P01"
    assert own_cluster.sql("SELECT i FROM fod ORDER BY i",
                           node="replica") == [(1,), (2,), (3,)]


def test_a_killed_statement_stays_killed(own_cluster, make_weir):
    """pg_terminate_backend() is meant: nothing has happened to the node."""
    own_cluster.sql("CREATE TABLE fod (i int)", user="app")
    weir = make_weir(cluster=own_cluster)
    with logged_in(weir) as wire:
        wire.rows("INSERT INTO fod VALUES (0)")
        weir.settle()
        wire.send(query(SLEEPY % (1, 20, "runaway")))
        pid, = busy(own_cluster, "runaway")
        own_cluster.sql("SELECT pg_terminate_backend(%s)", (pid,))
        *_, last = wire.until_closed()
        assert last.type == "E" and last.sqlstate == "57P01"
    assert own_cluster.sql("SELECT i FROM fod") == [(0,)]


def test_unknown_outcomes_are_told(own_cluster, make_weir):
    """A back end dies without a word: what may be committed is 08007, what
    cannot be is 08006, and a read is done again."""
    own_cluster.sql("CREATE TABLE fod (i int)", user="app")
    weir = make_weir({"split_reads": 0}, cluster=own_cluster)
    with logged_in(weir) as alone, logged_in(weir) as block, \
            logged_in(weir) as reader:
        block.rows("BEGIN")
        block.rows("INSERT INTO fod VALUES (1)")
        weir.settle()
        alone.send(query(SLEEPY % (2, 20, "doomed")))
        block.send(query(SLEEPY % (3, 20, "doomed")))
        reader.send(query("SELECT 7 FROM pg_sleep(1) /* doomed */"))
        pids = busy(own_cluster, "doomed", 3)
        # The postmaster would say why to the others: stopped, it cannot.
        postmaster = int((own_cluster.dir / "primary" / "postmaster.pid")
                         .read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for wire, sqlstate in (alone, "08007"), (block, "08006"):
            *_, last = wire.until_closed()
            assert last.type == "E" and last.sqlstate == sqlstate
        os.kill(postmaster, signal.SIGCONT)
        kinds = [m.type for m in reader.until("ZE")]
        assert kinds == ["T", "D", "C", "Z"]
    wait_for(lambda: weir.http("/readyz")[0] == 200, 15, "the primary")
    assert own_cluster.sql("SELECT i FROM fod") == []


class Silent:
    """A socket that keeps back what version 13 does not say."""

    def __init__(self, sock):
        self.sock = sock

    def sendall(self, data):
        if b"in_hot_standby" not in data:
            self.sock.sendall(data)


READ_ONLY = message("E", b"".join(
    key + cstr(text) for key, text in (
        (b"S", "ERROR"), (b"V", "ERROR"), (b"C", "25006"),
        (b"M", "cannot execute INSERT in a read-only transaction"))) + b"\0")
READY = message("Z", b"I")
DONE = message("C", cstr("INSERT 0 1"))


@pytest.mark.parametrize("answers, kinds", [
    ((READ_ONLY, DONE), "CZ"), ((READ_ONLY, READ_ONLY), "EZ"),
    ((DONE, READ_ONLY), "CZ")])
def test_a_refused_write_is_tried_once_more(cluster, make_weir, answers,
                                            kinds):
    """25006 from the primary of an old version: it is asked what it is, and
    what it says after that holds."""
    asked = []

    def script(sock):
        log_in(Silent(sock))
        while (kind := read_message(sock))[0] == "Q":
            if b"INSERT" in kind[1]:
                asked.append(kind[1])
                sock.sendall(answers[len(asked) - 1] + READY)
            else:
                sock.sendall(message("C", cstr("SET")) + READY)

    with FakeServer(cluster.ports["primary"], script) as fake:
        weir = make_weir({"monitor_user": "postgres"}, start=False,
                         nodes=("primary",))
        weir.databases = {
            "fake": "host=127.0.0.1 port=%d dbname=app" % fake.port}
        weir.write_ini()
        weir.start()
        with Wire(weir.port, timeout=20 * SLOW) as wire:
            wire.login(user="victim", database="fake")
            wait_for(lambda: "relations known" in weir.log(), 15, "a catalog")
            told = wire.query("INSERT INTO x VALUES (1)")
            assert "".join(m.type for m in told) == kinds
            assert kinds == "CZ" or told[0].sqlstate == "25006"
    assert len(asked) == (1 if answers[0] == DONE else 2)


def test_promotion_under_load(own_cluster, make_weir):
    """A planned change without any tool: the primary is shut down, which
    sends all that it has, and the replica is promoted."""
    own_cluster.sql("CREATE TABLE fo (i bigint PRIMARY KEY)", user="app")
    weir = make_weir(cluster=own_cluster)
    weir.settle()
    books = [Books("writers"), Books("writers of blocks"), Books("readers")]
    kinds = Writer, BlockWriter, Reader
    clients = [kind(book, 10 * turn + i, weir.port)
               for turn, (kind, book) in enumerate(zip(kinds, books))
               for i in range(1, 5)]
    time.sleep(0.5 * SLOW)
    own_cluster.stop("primary")
    own_cluster.promote("replica")
    since = time.monotonic()
    for book in books:
        wait_for(lambda b=book: b.times and b.times[-1] > since, 20,
                 "%s to go on" % book.name)
    time.sleep(0.3)
    for client in clients:
        client.end()
    there = {i for i, in own_cluster.sql("SELECT i FROM fo", node="replica")}
    for book in books[:2]:
        assert set(book.acked) <= there, "%s: lost commits" % book.name
    assert [b.errors for b in books] == [[], [], []]
    assert len(books[1].in_block) <= 4 and not books[2].unknown
