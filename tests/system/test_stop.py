"""How pgweir ends: which signal waits for whom, and what it leaves behind."""
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from harness import PGWEIR_BIN, SLOW, UNPRIVILEGED, unprivileged, wait_for
from wire import Wire, query

pytestmark = [pytest.mark.own, pytest.mark.tsan]


@pytest.fixture
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS stop_t")
    cluster.sql("CREATE TABLE stop_t (i int)", user="app")
    return cluster


def begin(weir):
    conn = Wire(weir.port)
    conn.login()
    conn.query("BEGIN")
    conn.query("INSERT INTO stop_t VALUES (1)")
    return conn


def is_refused(weir):
    try:
        with Wire(weir.port, timeout=3) as conn:
            conn.login()
        return False
    except Exception:  # noqa: BLE001 - refused in whatever way
        return True


def rows(cluster):
    return cluster.value("SELECT count(*) FROM stop_t")


def test_term_lets_a_transaction_finish(table, make_weir):
    weir = make_weir()
    with begin(weir) as conn:
        weir.signal(signal.SIGTERM)
        wait_for(lambda: is_refused(weir), 5, "new clients to be refused")
        assert weir.process.poll() is None
        conn.query("INSERT INTO stop_t VALUES (2)")
        replies = conn.query("COMMIT")
        assert [m.type for m in replies] == ["C", "Z"]
    assert weir.wait_end() == 0
    assert rows(table) == 2
    wait_for(lambda: table.backends() == 0, 5, "servers to be closed")


def test_term_with_nobody_there_ends_at_once(make_weir):
    weir = make_weir()
    started = time.monotonic()
    weir.signal(signal.SIGTERM)
    assert weir.wait_end() == 0
    assert time.monotonic() - started < 3 * SLOW


def test_int_waits_for_servers_only(table, make_weir):
    weir = make_weir()
    with begin(weir) as conn, Wire(weir.port) as idle:
        idle.login()
        weir.signal(signal.SIGINT)
        time.sleep(0.4 * SLOW)
        assert weir.process.poll() is None
        assert conn.query("COMMIT")[-1].type == "Z"
        # Both clients are still connected and do not keep it alive.
        assert weir.wait_end() == 0
        assert idle.is_closed()
    assert rows(table) == 1


def test_quit_is_immediate(table, make_weir):
    weir = make_weir()
    with begin(weir) as conn:
        started = time.monotonic()
        weir.signal(signal.SIGQUIT)
        weir.wait_end()
        assert time.monotonic() - started < 2 * SLOW
        assert conn.is_closed()
    wait_for(lambda: table.backends() == 0, 5, "servers to be closed")
    assert rows(table) == 0


@pytest.mark.parametrize("first, second", [
    (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT),
    (signal.SIGTERM, signal.SIGINT), (signal.SIGTERM, signal.SIGQUIT)])
def test_second_signal_hurries(table, make_weir, first, second):
    weir = make_weir()
    with begin(weir) as conn:
        weir.signal(first)
        time.sleep(0.4 * SLOW)
        assert weir.process.poll() is None
        weir.signal(second)
        if (first, second) == (signal.SIGTERM, signal.SIGINT):
            # Hurried from waiting for clients to waiting for servers.
            conn.query("ROLLBACK")
        weir.wait_end(5)
    assert rows(table) == 0


def test_term_while_clients_wait_in_the_queue(table, make_weir):
    weir = make_weir({"default_pool_size": 1}, nodes=("primary",))
    with begin(weir) as holder, Wire(weir.port) as waiter:
        waiter.login()
        waiter.send(query("SELECT 1"))
        time.sleep(0.2 * SLOW)
        weir.signal(signal.SIGTERM)
        holder.query("COMMIT")
        said = waiter.until_closed() if waiter.is_closed(5 * SLOW) \
            else waiter.until()
        kinds = [m.type for m in said]
        assert "D" in kinds or "E" in kinds
    assert weir.wait_end() == 0


def test_term_when_the_primary_is_away(own_cluster, make_weir):
    weir = make_weir(cluster=own_cluster)
    own_cluster.stop("primary", "immediate")
    own_cluster.stop("replica", "immediate")
    with Wire(weir.port) as conn:
        try:
            conn.login()
            conn.send(query("SELECT 1"))
        except Exception:  # noqa: BLE001 - it may refuse or queue
            pass
        weir.signal(signal.SIGINT)
        time.sleep(0.3)
        weir.signal(signal.SIGINT)
        assert weir.wait_end(10) == 0


# The daemon.

def daemon(weir, *args, user=None):
    done = subprocess.run([PGWEIR_BIN, "-d", *args, str(weir.ini)], cwd="/",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          timeout=20 * SLOW, env=weir.environment(),
                          **(unprivileged() if user is None else {}))
    assert done.returncode == 0, done.stdout
    pid_file = Path(weir.settings["pidfile"])
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), 5,
             "the pid file")
    return int(pid_file.read_text())


def is_alive(pid):
    try:
        state = Path("/proc/%d/stat" % pid).read_text().rsplit(")")[1]
        return state.split()[0] != "Z"
    except FileNotFoundError:
        return False


def end(pid):
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not is_alive(pid), 10, "the daemon to end")


@pytest.fixture
def daemon_weir(make_weir):
    weir = make_weir(start=False)
    weir.settings["logfile"] = weir.dir / "own.log"
    weir.settings["pidfile"] = weir.dir / "own.pid"
    weir.write_ini()
    return weir


def test_daemon(daemon_weir):
    weir = daemon_weir
    pid = daemon(weir)
    try:
        with psycopg.connect(weir.dsn()) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
        assert os.getsid(pid) != os.getsid(0)
        done = subprocess.run([PGWEIR_BIN, "-d", str(weir.ini)], cwd="/",
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=20 * SLOW,
                              **unprivileged())
        assert done.returncode != 0, "two with one pid file"
        # The log is opened anew on SIGHUP, as logrotate wants it.
        log = weir.dir / "own.log"
        os.rename(log, weir.dir / "old.log")
        os.kill(pid, signal.SIGHUP)
        wait_for(log.exists, 5, "a new log")
    finally:
        end(pid)
    assert not (weir.dir / "own.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop it")
def test_user_is_dropped(daemon_weir):
    pid = daemon(daemon_weir, "-u", UNPRIVILEGED, user="root")
    try:
        assert os.stat("/proc/%d" % pid).st_uid == pwd.getpwnam(
            UNPRIVILEGED).pw_uid
        status = Path("/proc/%d/status" % pid).read_text()
        assert "CapEff:\t0000000000000000" in status
        with psycopg.connect(daemon_weir.dsn()) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
    finally:
        end(pid)


def test_daemon_without_a_pid_file_says_so(make_weir):
    weir = make_weir(start=False)
    done = subprocess.run([PGWEIR_BIN, "-d", str(weir.ini)], cwd="/",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=20 * SLOW, **unprivileged())
    assert done.returncode != 0
    assert "pidfile" in done.stdout


def test_quiet(make_weir):
    weir = make_weir(args=["-q"])
    weir.signal(signal.SIGTERM)
    weir.wait_end()
    assert weir.log() == ""
