"""Sessions at their edges: who leaves, waits, or does not read, and when.

Each test stands for a fault that was found by reading or by random sessions.
"""
import signal
import socket
import time

import pytest

import wire
from harness import SLOW, wait_for
from wire import Closed, LoginError, Wire, bind, close, copy_data, copy_done, \
    describe, execute, one_query, parse, query, sync

ONE = ("primary",)
pytestmark = pytest.mark.own


@pytest.fixture
def narrow(make_weir):
    """One server for all, so that everybody follows somebody."""
    return make_weir({"default_pool_size": 1, "workers": 1}, nodes=ONE)


def login(weir, **where):
    conn = Wire(weir.port)
    conn.login(**where)
    return conn


def kinds(messages):
    return "".join(m.type for m in messages)


def test_client_that_never_reads_is_not_listened_to(make_weir):
    weir = make_weir({"workers": 1}, nodes=ONE)
    ask = query("SELECT repeat('x', 100000)") * 100
    with login(weir) as conn:
        conn.sock.setblocking(False)
        sent, quiet = 0, 0
        while quiet < 20 and sent < 400:
            try:
                conn.sock.send(ask)
                sent, quiet = sent + 1, 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.05)
        assert weir.memory_peak_kb() < 200 * 1024
        with login(weir) as other:
            assert other.value("SELECT 1") == "1"
        # Whoever reads at last gets everything.
        conn.sock.settimeout(10 * SLOW)
        for _ in range(100):
            assert kinds(conn.until()) == "TDCZ"


def test_cancelled_while_waiting_with_more_behind(narrow):
    with login(narrow) as holder, login(narrow) as conn:
        holder.query("BEGIN; SELECT 1")
        conn.send(query("SELECT 1"), query("SELECT 2"))
        time.sleep(0.2)
        wire.cancel(narrow.port, conn.cancel_key)
        first = conn.until()
        assert first[0].sqlstate == "57014"
        holder.query("COMMIT")
        assert conn.until()[1].values == [b"2"]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("first", [
    query("INSERT INTO nowhere VALUES (1)"), query("SELECT 1"),
    one_query("SELECT 1") + sync()])
def test_first_statement_cancelled_while_waiting(narrow, first, end):
    """The BEGIN has been answered, and no server has heard of it: the
    transaction has failed all the same, and ends without one."""
    with login(narrow) as holder, login(narrow) as conn:
        holder.query("BEGIN; SELECT 1")
        assert kinds(conn.query("BEGIN")) == "CZ"
        conn.send(first)
        time.sleep(0.2)
        wire.cancel(narrow.port, conn.cancel_key)
        told = conn.until()
        assert kinds(told) == "EZ" and told[0].sqlstate == "57014"
        assert conn.status == "E"
        told = conn.query(end)
        assert told[0].payload == b"ROLLBACK\0" and conn.status == "I"
        holder.query("COMMIT")
        assert kinds(conn.query("SELECT 1")) == "TDCZ"


def test_cancelled_transaction_stays_failed(narrow):
    with login(narrow) as holder, login(narrow) as conn:
        holder.query("BEGIN; SELECT 1")
        conn.send(query("BEGIN"), query("SELECT 1"))
        assert kinds(conn.until()) == "CZ"
        time.sleep(0.2)
        wire.cancel(narrow.port, conn.cancel_key)
        assert conn.until()[0].sqlstate == "57014"
        holder.query("COMMIT")
        for text in ("SELECT 1", "SET TRANSACTION READ ONLY", "BEGIN",
                     "SAVEPOINT a"):
            told = conn.query(text)
            assert told[0].sqlstate == "25P02" and conn.status == "E"
        told = conn.send(one_query("SELECT 1"), sync()).until()
        assert told[0].sqlstate == "25P02" and conn.status == "E"
        # Nothing runs: a cancel means nothing.
        wire.cancel(narrow.port, conn.cancel_key)
        assert conn.query("COMMIT")[0].payload == b"ROLLBACK\0"
        assert conn.status == "I"
        assert kinds(conn.query("SELECT 1")) == "TDCZ"


def test_huge_unit_cancelled_while_waiting(narrow):
    with login(narrow) as holder, login(narrow) as conn:
        holder.query("BEGIN; SELECT 1")
        body = b"SELECT '" + b"x" * 30_000_000 + b"'\0"
        conn.sock.setblocking(False)
        data, at = wire.message("Q", body), 0
        conn.sock.send(data[:200000])
        at = 200000
        time.sleep(0.3)
        wire.cancel(narrow.port, conn.cancel_key)
        conn.sock.settimeout(10 * SLOW)
        conn.send(data[at:] if at == 200000 else b"")
        holder.query("COMMIT")


@pytest.mark.parametrize("sent", [
    query("COPY target FROM STDIN"),
    query("COPY target FROM STDIN") + copy_data(b"1\n"),
    parse("COPY target FROM STDIN") + bind() + execute() + sync(),
    parse("COPY target FROM STDIN") + bind() + execute(),
    parse("SELEKT") + query("SELECT 1"),
    parse("SELEKT"), parse("SELECT 1"),
    query("BEGIN") + query("SELEKT") + parse("SELECT 1") + bind(),
    query("SELECT pg_sleep(0.2)") + parse("SELEKT"),
])
def test_leaving_at_once_costs_no_server(cluster, narrow, sent):
    cluster.sql("CREATE TABLE IF NOT EXISTS target (a int)")
    cluster.sql("GRANT ALL ON target TO PUBLIC")
    with login(narrow) as conn:
        server = conn.value("SELECT pg_backend_pid()")
    for _ in range(5):
        with login(narrow) as leaver:
            leaver.send(sent)
        with Wire(narrow.port, timeout=5 * SLOW) as conn:
            conn.login()
            assert conn.value("SELECT pg_backend_pid()") == server


def test_part_of_copy_data_left_after_the_copy_failed(cluster, narrow):
    """The rest of the message comes when the error was told already."""
    cluster.sql("CREATE TABLE IF NOT EXISTS target (a int)")
    cluster.sql("GRANT ALL ON target TO PUBLIC")
    with login(narrow) as conn:
        data = copy_data(b"9" * 1000)
        conn.send(query("COPY target FROM STDIN"), copy_data(b"bad\n"),
                  data[:500])
        assert kinds(conn.until()) == "GEZ"
        conn.send(data[500:])
        with Wire(narrow.port, timeout=5 * SLOW) as other:
            other.login()
            assert other.value("SELECT 1") == "1"


def test_unnamed_statement_is_nobody_elses(narrow):
    with login(narrow) as one, login(narrow) as other:
        one.send(parse("SELECT 'secret'"), sync()).until()
        got = other.send(bind(), execute(), sync()).until()
        assert got[0].sqlstate == "26000"
        got = other.send(describe("S"), sync()).until()
        assert got[0].sqlstate == "26000"
        got = one.send(bind(), execute(), sync()).until()
        assert kinds(got) == "2DCZ"


def test_server_is_free_after_a_name_that_is_taken(narrow):
    with login(narrow) as conn, login(narrow) as other:
        conn.send(parse("SELECT 1", "s1"), sync()).until()
        got = conn.send(parse("SELECT 2", "s1"), sync()).until()
        assert got[0].sqlstate == "42P05"
        other.sock.settimeout(5 * SLOW)
        assert other.value("SELECT 1") == "1"
        # The statement that made PostgreSQL say so is gone.
        got = other.send(bind(name="s1"), sync()).until()
        assert got[0].sqlstate == "26000"


def test_statement_that_no_longer_parses_is_an_error(cluster, make_weir):
    """Prepared elsewhere, its table gone: Bind says what Parse would."""
    weir = make_weir({"default_pool_size": 2}, nodes=ONE)
    cluster.sql("CREATE TABLE fleeting (a int)")
    cluster.sql("GRANT ALL ON fleeting TO PUBLIC")
    with login(weir) as conn, login(weir) as other:
        conn.send(parse("SELECT a FROM fleeting", "s1"), sync()).until()
        other.query("BEGIN; SELECT 1")  # takes the server that has it
        cluster.sql("DROP TABLE fleeting")
        got = conn.send(bind(name="s1"), execute(), sync()).until()
        assert [m.sqlstate for m in got if m.type == "E"] == ["42P01"]


def test_setting_stays_on_the_primary(cluster, make_weir):
    weir = make_weir()
    with login(weir) as conn:
        got = conn.send(parse("SELECT $1::text"),
                        parse("SET application_name = 'x'", "s1"),
                        bind(name="s1"), execute(), sync()).until()
        assert kinds(got)[-1] == "Z"
        assert conn.value("SELECT pg_is_in_recovery()") == "f"


def test_line_of_a_database_changes(cluster, make_weir):
    """Idle servers of the old database serve nobody of the new one."""
    cluster.sql("DROP DATABASE IF EXISTS another")
    cluster.sql("CREATE DATABASE another")
    weir = make_weir({"workers": 2}, nodes=ONE)
    conns = [login(weir) for _ in range(4)]
    for conn in conns:
        assert conn.value("SELECT current_database()") == "app"
    weir.databases["app"] = weir.node_line("another")
    weir.write_ini()
    weir.process.send_signal(signal.SIGHUP)
    wait_for(lambda: conns[0].value("SELECT current_database()") == "another",
             what="the new line")
    for conn in conns * 3:
        assert conn.value("SELECT current_database()") == "another"
    weir.databases = {"app2": weir.node_line()}
    weir.write_ini()
    weir.process.send_signal(signal.SIGHUP)

    def is_refused():
        try:
            login(weir).close()
            return False
        except LoginError as error:
            return error.sqlstate == "3D000"
    wait_for(is_refused, what="the database to go")
    got = conns[1].send(query("SELECT 1")).until_closed()
    assert got[0].sqlstate == "3D000"
    weir.databases = {"app": weir.node_line()}
    weir.write_ini()
    weir.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not is_refused(), what="the database to come back")
    # A session that slept through all of it.
    assert conns[2].value("SELECT current_database()") == "app"
    for conn in conns:
        conn.close()
