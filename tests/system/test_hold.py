"""PAUSE, RESUME, KILL, RECONNECT, WAIT_CLOSE, DISABLE and ENABLE: what the
console of PgBouncer does with a database while clients are at work."""
import signal
import threading
import time

import psycopg
import pytest

from harness import IS_PGBOUNCER, SLOW, wait_for

SETTINGS = {"query_wait_timeout": 30 * SLOW, "admin_users": "postgres"}


@pytest.fixture
def weir(cluster, make_weir):
    more = {} if IS_PGBOUNCER else {"workers": 2}
    return make_weir({**SETTINGS, **more}, nodes=("primary",), databases={
        "app": "host=127.0.0.1 port=%d dbname=app" % cluster.ports["primary"],
        "other": "host=127.0.0.1 port=%d dbname=app"
                 % cluster.ports["primary"]})


def console(weir, command):
    """psycopg's own BEGIN and statements are nothing for this console."""
    import psycopg2
    conn = psycopg2.connect(weir.dsn("pgbouncer", "postgres"))
    conn.autocommit = True
    try:
        with conn.cursor() as cursor:
            cursor.execute(command)
            return cursor.fetchall() if cursor.description else None
    finally:
        conn.close()


def pid(conn):
    return conn.execute("SELECT pg_backend_pid()").fetchone()[0]


class Later(threading.Thread):
    """Runs something that may have to wait, and keeps what came of it."""

    def __init__(self, do):
        super().__init__()
        self.do, self.value, self.error = do, None, None
        self.start()

    def run(self):
        try:
            self.value = self.do()
        except Exception as error:
            self.error = error

    def result(self):
        self.join(20 * SLOW)
        assert not self.is_alive()
        if self.error:
            raise self.error
        return self.value


def lingers(thread):
    time.sleep(0.3)
    return thread.is_alive()


def test_pause_waits_and_holds(cluster, weir):
    with weir.connect() as busy, weir.connect() as idle:
        idle.execute("SELECT 1")
        busy.execute("BEGIN")
        first = pid(busy)
        pause = Later(lambda: console(weir, "PAUSE"))
        assert lingers(pause)
        # A transaction goes on to its end, on its server.
        assert pid(busy) == first
        held = Later(lambda: idle.execute("SELECT 1").fetchone())
        assert lingers(held)
        busy.execute("COMMIT")
        pause.result()
        assert cluster.backends() == 0
        assert lingers(held)
        console(weir, "RESUME")
        assert held.result() == (1,)
        assert pid(busy) != first


def test_pause_of_one_database(weir):
    with weir.connect() as conn, weir.connect("other") as other:
        conn.execute("SELECT 1")
        other.execute("SELECT 1")
        console(weir, "PAUSE app")
        assert other.execute("SELECT 1").fetchone() == (1,)
        held = Later(lambda: conn.execute("SELECT 1").fetchone())
        assert lingers(held)
        console(weir, "RESUME app")
        assert held.result() == (1,)


def test_clients_may_come_while_paused(weir):
    with weir.connect() as conn:
        conn.execute("SELECT 1")
    console(weir, "PAUSE app")

    def play():
        with weir.connect() as conn:
            return conn.execute("SELECT 1").fetchone()
    late = Later(play)
    assert lingers(late)
    console(weir, "RESUME app")
    assert late.result() == (1,)


@pytest.mark.parametrize("command", [
    "PAUSE nothing", "RESUME nothing", "KILL nothing", "DISABLE nothing",
    "RESUME", "RESUME app", "PAUSE pgbouncer"])
def test_said_when_wrong(weir, command):
    with pytest.raises(Exception) as caught:
        console(weir, command)
    assert str(caught.value)
    weir.alive()


def test_twice(weir):
    console(weir, "PAUSE")
    with pytest.raises(Exception, match="already"):
        console(weir, "PAUSE")
    console(weir, "RESUME")
    with pytest.raises(Exception, match="not paused"):
        console(weir, "RESUME")


def test_kill(cluster, weir):
    other = weir.connect("other")
    other.execute("SELECT 1")
    idle = weir.connect()
    idle.execute("SELECT 1")
    busy = weir.connect()
    query = Later(lambda: busy.execute("SELECT pg_sleep(30)"))
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
        " '%pg_sleep(30)%' AND state = 'active' AND usename = 'app'") == 1,
        what="the query")
    console(weir, "KILL app")
    with pytest.raises(psycopg.OperationalError):
        query.result()
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    assert other.execute("SELECT 1").fetchone() == (1,)
    other.close()

    def play():
        with weir.connect() as conn:
            return conn.execute("SELECT 2").fetchone()
    late = Later(play)
    assert lingers(late)
    console(weir, "RESUME app")
    assert late.result() == (2,)


def test_reconnect(weir):
    with weir.connect() as conn, weir.connect() as busy:
        busy.execute("BEGIN")
        old = pid(busy)
        before = pid(conn)
        console(weir, "RECONNECT app")
        assert pid(conn) != before
        assert pid(busy) == old
        wait = Later(lambda: console(weir, "WAIT_CLOSE app"))
        assert lingers(wait)
        busy.execute("COMMIT")
        wait.result()
        assert pid(busy) != old
    console(weir, "RECONNECT")
    console(weir, "WAIT_CLOSE")


def test_disable(weir):
    with weir.connect() as conn:
        conn.execute("SELECT 1")
        console(weir, "DISABLE app")
        # Who is in stays in.
        assert conn.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError,
                           match='database "app" is disabled'):
            weir.connect()
        weir.connect("other").close()
        console(weir, "ENABLE app")
        weir.connect().close()


@pytest.mark.own
def test_shown(weir):
    def flags():
        rows = console(weir, "SHOW DATABASES")
        return {row[0]: row[-2:] for row in rows}
    assert dict(console(weir, "SHOW STATE"))["paused"] == "no"
    console(weir, "PAUSE app")
    console(weir, "DISABLE other")
    assert flags() == {"app": (1, 0), "other": (0, 1), "pgbouncer": (0, 0)} \
        or flags() == {"app": (1, 0), "other": (0, 1)}
    console(weir, "RESUME app")
    console(weir, "PAUSE")
    assert dict(console(weir, "SHOW STATE"))["paused"] == "yes"
    # A reload changes nothing about it.
    weir.hup()
    assert dict(console(weir, "SHOW STATE"))["paused"] == "yes"
    console(weir, "RESUME")


@pytest.mark.own
def test_resumed_by_another(weir):
    with weir.connect() as busy:
        busy.execute("BEGIN")
        busy.execute("SELECT 1")
        pause = Later(lambda: console(weir, "PAUSE"))
        assert lingers(pause)
        console(weir, "RESUME")
        with pytest.raises(Exception, match="RESUME"):
            pause.result()


@pytest.mark.own
def test_end_while_a_console_waits(weir):
    busy = weir.connect()
    busy.execute("BEGIN")
    busy.execute("SELECT 1")
    pause = Later(lambda: console(weir, "PAUSE"))
    assert lingers(pause)
    weir.signal(signal.SIGQUIT)
    assert weir.wait_end() == 0
    with pytest.raises(Exception):
        pause.result()


def test_signals(cluster, weir):
    """SIGUSR1 is PAUSE, SIGUSR2 is RESUME."""
    with weir.connect() as conn:
        conn.execute("SELECT 1")
        weir.signal(signal.SIGUSR1)
        wait_for(lambda: cluster.backends() == 0, what="no server")
        held = Later(lambda: conn.execute("SELECT 1").fetchone())
        assert lingers(held)
        weir.signal(signal.SIGUSR2)
        assert held.result() == (1,)
    # Without anything to end: said in the log.
    weir.signal(signal.SIGUSR2)
    with weir.connect() as conn:
        assert conn.execute("SELECT 2").fetchone() == (2,)
