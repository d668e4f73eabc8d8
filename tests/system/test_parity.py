"""What operators know from PgBouncer: SET, the reserve, hooks on servers."""
import threading
import time

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import SLOW, wait_for

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
    weir = make_weir({"default_pool_size": 2, "reserve_pool_timeout": 1 * SLOW,
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
    wait_for(lambda: cluster.backends() <= 2, 5, "the reserve to go")


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
