"""What operators know from PgBouncer: SET, the reserve, hooks on servers."""
import socket
import threading
import time

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import SLOW, free_port, wait_for

pytestmark = pytest.mark.own
ONE = ("primary",)


def console(weir, command, user="postgres"):
    with psycopg.connect(weir.dsn("pgbouncer", user), autocommit=True,
                         row_factory=dict_row) as conn:
        cursor = conn.execute(command)
        return cursor.fetchall() if cursor.description else []


def setting(weir, key):
    return next(row["value"] for row in console(weir, "SHOW CONFIG")
                if row["key"] == key)


def hold(weir, count, **where):
    """Clients that each keep a server by an open transaction."""
    conns = []
    for _ in range(count):
        conns.append(weir.connect(**where))
        conns[-1].execute("BEGIN")
        conns[-1].execute("SELECT 1")
    return conns


def release(conns):
    for conn in conns:
        conn.close()


class hold_all:
    """Clients that want a server each at the same time, and keep it."""

    def __init__(self, weir, count):
        self.served = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(weir,))
                        for _ in range(count)]

    def run(self, weir):
        with weir.connect() as conn:
            conn.execute("BEGIN")
            conn.execute("SELECT 1")
            self.served += 1
            self.over.wait(60 * SLOW)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


# --- SET -------------------------------------------------------------------

def test_set_changes_what_runs(cluster, make_weir):
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    held = hold(weir, 1)
    console(weir, "SET default_pool_size = 3")
    held += hold(weir, 2)
    assert cluster.backends() == 3
    assert setting(weir, "default_pool_size") == "3"
    release(held)
    weir.hup()
    assert setting(weir, "default_pool_size") == "1"


def test_set_of_texts_and_words(make_weir):
    weir = make_weir(nodes=ONE)
    console(weir, "set server_reset_query = 'DISCARD ALL; SELECT 1'")
    assert setting(weir, "server_reset_query") == "DISCARD ALL; SELECT 1"
    console(weir, "SET server_reset_query = ''")
    assert setting(weir, "server_reset_query") == ""
    console(weir, "SET pool_mode TO session")
    assert setting(weir, "pool_mode") == "session"
    console(weir, "SET monitor_password = 'hush'")
    assert setting(weir, "monitor_password") == "****"
    assert "hush" not in weir.log()


@pytest.mark.parametrize("words", [
    "nonsense = 1", "listen_port = 1", "max_client_conn = much",
    "max_client_conn = 0", "auth_type = 'pam'", "auth_file = '/nowhere'",
    "client_tls_sslmode = require"])
def test_set_refuses(make_weir, words):
    weir = make_weir(nodes=ONE)
    before = console(weir, "SHOW CONFIG")
    with pytest.raises(psycopg.Error, match="SET failed"):
        console(weir, "SET " + words)
    assert console(weir, "SHOW CONFIG") == before


def test_set_is_for_admins(make_weir):
    weir = make_weir({"stats_users": "app"}, nodes=ONE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        console(weir, "SET max_client_conn = 7", "app")
    console(weir, "SET client_encoding = 'UTF8'", "app")
    assert setting(weir, "max_client_conn") == "500"


def test_set_of_who_may_log_in(make_weir):
    weir = make_weir(nodes=ONE, auth_file={"app": "old", "postgres": ""})
    other = weir.dir / "other.txt"
    other.write_text('"app" "new"\n"postgres" ""\n')
    other.chmod(0o644)
    console(weir, "SET auth_file = '%s'" % other)
    console(weir, "SET auth_type = plain")
    weir.connect(password="new").close()
    with pytest.raises(psycopg.OperationalError):
        weir.connect(password="old")


# --- the reserve -----------------------------------------------------------

@pytest.mark.tsan
@pytest.mark.parametrize("where", ["settings", "database", "user"])
def test_reserve_helps_who_has_waited(cluster, make_weir, where):
    """Exactly as many servers more as configured, and not at once."""
    weir = make_weir({"default_pool_size": 2, "reserve_pool_timeout": 2 * SLOW,
                      "workers": 2,
                      "reserve_pool_size": 2 if where == "settings" else 5},
                     nodes=ONE, start=False)
    more = {"reserve_pool": 2} if where == "database" else {}
    weir.databases = {"app": weir.node_line(**more)}
    if where == "user":
        weir.users = {"app": "reserve_pool_size=2"}
    weir.write_ini()
    weir.start()
    with hold_all(weir, 8) as held:
        wait_for(lambda: held.served == 2, 5, "the pool itself")
        assert cluster.backends() == 2
        wait_for(lambda: held.served == 4, 5, "the reserve")
        assert "taking connection from reserve_pool" in weir.log()
        time.sleep(0.5)
        assert held.served == 4 and cluster.backends() == 4
    assert cluster.backends() == 4, "they stay for server_idle_timeout"
    console(weir, "SET server_idle_timeout = 0.2")
    wait_for(lambda: cluster.backends() == 0, 5, "the reserve to go")


@pytest.mark.parametrize("settings", [
    {"reserve_pool_size": 0, "reserve_pool_timeout": 0.1},
    {"reserve_pool_size": 3, "reserve_pool_timeout": 0},
    {"reserve_pool_size": 3, "reserve_pool_timeout": 600},
    {"reserve_pool_size": 3, "reserve_pool_timeout": 0.1,
     "max_db_connections": 1}])
def test_no_reserve(cluster, make_weir, settings):
    weir = make_weir({"default_pool_size": 1, **settings}, nodes=ONE)
    with hold_all(weir, 3) as held:
        wait_for(lambda: held.served == 1, 5, "the pool itself")
        time.sleep(1 * SLOW)
        assert held.served == 1 and cluster.backends() == 1


# --- words of the log ------------------------------------------------------

def logs(weir, words):
    wait_for(lambda: words in weir.log(), 5, "%r in the log" % words)


def fails(weir, **where):
    with pytest.raises(psycopg.OperationalError):
        weir.connect(**where)


def test_words_of_a_life(make_weir):
    weir = make_weir({"server_idle_timeout": 0.3}, nodes=ONE)
    port = weir.cluster.ports["primary"]
    with weir.connect() as conn:
        conn.execute("SELECT 1")
    logs(weir, "login attempt: db=app user=app tls=no")
    logs(weir, "app/app@127.0.0.1:%d new connection to server" % port)
    logs(weir, "closing because: client close request (age=0s)")
    logs(weir, "closing because: server idle timeout (age=")


@pytest.mark.parametrize("auth_type, known, unknown", [
    ("trust", None, '"trust" authentication failed'),
    ("plain", "password authentication failed",
     "password authentication failed"),
    ("md5", "password authentication failed",
     "password authentication failed"),
    ("scram-sha-256", "SASL authentication failed",
     "SASL authentication failed")])
def test_words_of_a_login(make_weir, auth_type, known, unknown):
    weir = make_weir({"auth_type": auth_type}, nodes=ONE,
                     auth_file={"app": "right", "postgres": "p"})
    if known:
        fails(weir, password="wrong")
        logs(weir, "closing because: %s (age=0s)" % known)
        assert "no such user" not in weir.log()
    fails(weir, user="nobody1", password="wrong")
    logs(weir, "no such user: nobody1")
    assert weir.log().count("closing because: " + unknown) == 1 + bool(known)
    fails(weir, dbname="nowhere", password="right")
    logs(weir, "closing because: no such database: nowhere")


def test_words_of_an_auto_database(make_weir):
    weir = make_weir(nodes=ONE, start=False, settings={"workers": 2})
    weir.databases = {"*": weir.node_line().replace(" dbname=app", "")}
    weir.write_ini()
    weir.start()
    conns = [weir.connect(dbname=name) for name in ["app", "postgres"] * 4]
    assert weir.log().count("registered new auto-database: db=app") == 1
    assert weir.log().count("registered new auto-database: db=postg") == 1
    release(conns)


def test_words_of_losses(cluster, make_weir):
    weir = make_weir({"default_pool_size": 5, "max_db_connections": 1},
                     nodes=ONE)
    with weir.connect() as one, weir.connect(user="postgres") as two:
        one.execute("SELECT 1")
        two.execute("SELECT 1")
        logs(weir, "closing because: evicted")
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = 'app' AND usename = 'postgres'"
                    " AND pid <> pg_backend_pid()")
        logs(weir, "closing because: ")


# --- connect_query ---------------------------------------------------------

SET_TWO = "connect_query='set enable_seqscan=off; set enable_nestloop=off'"


def two(conn):
    return [conn.execute("SHOW " + name).fetchone()[0]
            for name in ("enable_seqscan", "enable_nestloop")]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_connect_query(make_weir, mode):
    weir = make_weir({"pool_mode": mode, "default_pool_size": 1}, start=False)
    weir.databases = {"app": weir.node_line() + " " + SET_TWO,
                      "plain": weir.node_line()}
    weir.write_ini()
    weir.start()
    with weir.connect() as conn:
        assert two(conn) == ["off", "off"]
        conn.execute("BEGIN")
        assert two(conn) == ["off", "off"]
        conn.execute("COMMIT")
    with weir.connect(dbname="plain") as conn:
        assert two(conn) == ["on", "on"]


@pytest.mark.parametrize("left", [
    ["SET work_mem = '5MB'"], ["SET enable_seqscan = on"],
    ["CREATE TEMP TABLE parity_t (i int)"],
    ["SELECT set_config('enable_' || 'nestloop', 'on', false)"],
    ["DO $$ BEGIN SET work_mem = '6MB'; END $$"]])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_connect_query_after_a_client(make_weir, mode, left):
    """What a client leaves is undone, what connect_query set is not."""
    weir = make_weir({"pool_mode": mode, "default_pool_size": 1}, nodes=ONE,
                     start=False)
    weir.databases = {"app": weir.node_line() + " " + SET_TWO}
    weir.write_ini()
    weir.start()
    with weir.connect() as conn:
        for statement in left:
            conn.execute(statement)
    for _ in range(2):
        with weir.connect() as conn:
            assert two(conn) == ["off", "off"]
            assert conn.execute("SHOW work_mem").fetchone()[0] == "4MB"


@pytest.mark.parametrize("text, words", [
    ("SELECT 1, ''x''", None), ("", None), ("SELECT 1 FROM nowhere", "nowhere"),
    ("BEGIN", "not idle"), ("COPY app TO STDOUT", "connect_query"),
    ("no sql", "syntax error")])
def test_connect_query_that_answers(make_weir, text, words):
    weir = make_weir(nodes=ONE, start=False)
    weir.databases = {"app": weir.node_line() + " connect_query='%s'" % text}
    weir.write_ini()
    weir.start()
    if words:
        with pytest.raises(psycopg.OperationalError, match=words):
            with weir.connect() as conn:
                conn.execute("SELECT 1")
    else:
        with weir.connect() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


# --- server_fast_close -----------------------------------------------------

def is_gone(conn):
    try:
        conn.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.mark.parametrize("mode, fast, gone", [
    ("session", 1, True), ("session", 0, False), ("transaction", 1, False)])
def test_fast_close(make_weir, mode, fast, gone):
    weir = make_weir({"pool_mode": mode, "server_fast_close": fast}, nodes=ONE)
    with weir.connect() as idle, weir.connect() as busy:
        idle.execute("SELECT 1")
        busy.execute("BEGIN")
        busy.execute("SELECT 1")
        console(weir, "RECONNECT")
        # Each worker hears of it by itself.
        if gone:
            wait_for(lambda: is_gone(idle), 5, "the end of the idle one")
        else:
            assert not is_gone(idle)
        busy.execute("SELECT 1")
        busy.execute("COMMIT")
        if gone:
            wait_for(lambda: is_gone(busy), 5, "the end of the other")
        else:
            time.sleep(1)
            assert not is_gone(busy)


def test_words_of_limits(make_weir):
    weir = make_weir({"query_timeout": 1, "idle_transaction_timeout": 0.5},
                     nodes=ONE)
    conn = weir.connect()
    with pytest.raises(psycopg.Error):
        conn.execute("SELECT pg_sleep(20)")
    logs(weir, "closing because: query timeout (age=")
    conn = weir.connect()
    conn.execute("BEGIN")
    conn.execute("SELECT 1")
    logs(weir, "closing because: idle transaction timeout (age=")


def test_words_of_servers_that_cannot_be_had(make_weir):
    weir = make_weir({"server_connect_timeout": 0.5, "query_wait_timeout": 3,
                      "server_tls_sslmode": "disable"}, nodes=ONE, start=False)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        weir.databases = {
            "mute": "host=127.0.0.1 port=%d" % silent.getsockname()[1],
            "none": "host=127.0.0.1 port=%d" % free_port()}
        weir.write_ini()
        weir.start(ready=False)
        wait_for(weir.listens, 15, "pgweir to listen")
        for name, words in (("mute", "closing because: connect timeout"),
                            ("none", "closing because: connect failed")):
            with pytest.raises(psycopg.Error):
                weir.connect(dbname=name).execute("SELECT 1")
            logs(weir, words)
