"""auth_query: users that only the server knows."""
import signal
import socket
import threading
import time

import psycopg
import pytest

from harness import SLOW, free_port, wait_for
from wire import LoginError, Wire, startup_packet

pytestmark = pytest.mark.own
ONE = ("primary",)
METHODS = ("md5", "scram", "none")


@pytest.fixture(scope="module", autouse=True)
def roles(cluster):
    """Who asks, users of each kind, and a table of users that lies."""
    for method in METHODS:
        cluster.sql("DROP ROLE IF EXISTS query_" + method)
        with cluster.connect() as conn:
            conn.execute("SET password_encryption = '%s'" % (
                "md5" if method == "md5" else "scram-sha-256"))
            conn.execute("CREATE ROLE query_%s LOGIN PASSWORD %s" % (
                method, "NULL" if method == "none" else "'pw'"))
    cluster.position()
    cluster.set_hba(["host all query_md5 samenet md5",
                     "host all query_scram samenet scram-sha-256"])
    yield
    cluster.set_hba([])
    for method in METHODS:
        cluster.sql("DROP ROLE IF EXISTS query_" + method)


def start(make_weir, settings=None, line=None, **more):
    weir = make_weir({"auth_type": "md5", "auth_user": "postgres",
                      **(settings or {})}, nodes=ONE, start=False,
                     auth_file={"postgres": "boss", "app": "filed"}, **more)
    weir.databases = {"app": weir.node_line(**(line or {}))}
    weir.write_ini()
    weir.start()
    return weir


def whoami(weir, user, password="pw", **more):
    with weir.connect(user=user, password=password, **more) as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


def refused(weir, user, password="pw", words="password authentication"):
    with pytest.raises(psycopg.OperationalError, match=words):
        whoami(weir, user, password)


@pytest.mark.tsan
@pytest.mark.parametrize("user", ["query_md5", "query_scram"])
@pytest.mark.parametrize("auth_type", ["md5", "plain", "scram-sha-256"])
def test_who_is_let_in(make_weir, auth_type, user):
    """... and logged in at the server as himself, with what was learnt."""
    weir = start(make_weir, {"auth_type": auth_type, "workers": 2})
    if (auth_type, user) == ("scram-sha-256", "query_md5"):
        refused(weir, user)
        return
    for _ in range(3):
        assert whoami(weir, user) == user
    refused(weir, user, "wrong")
    refused(weir, "nobody1")
    assert whoami(weir, "app", "filed") == "app"
    wait_for(lambda: "closing because: no such user (age=" in weir.log(), 5,
             "the words of an unknown user")


def test_who_has_no_password(make_weir):
    weir = start(make_weir)
    refused(weir, "query_none", "x")
    with Wire(weir.port) as wire:
        with pytest.raises(LoginError):
            wire.login("query_none", "app", password="")


def test_trust_asks_whether_there_is_such_a_user(make_weir):
    weir = start(make_weir, {"auth_type": "trust"})
    assert whoami(weir, "query_none") == "query_none"
    refused(weir, "nobody1")
    assert '"trust" authentication' not in weir.log()


def test_a_new_password_holds_at_once(cluster, make_weir):
    weir = start(make_weir)
    assert whoami(weir, "query_scram") == "query_scram"
    cluster.sql("ALTER ROLE query_scram PASSWORD 'newer'")
    try:
        refused(weir, "query_scram")
        assert whoami(weir, "query_scram", "newer") == "query_scram"
    finally:
        cluster.sql("ALTER ROLE query_scram PASSWORD 'pw'")


def test_of_a_line_and_of_another_database(make_weir):
    """What the line says goes first; auth_dbname is where it is asked."""
    weir = start(make_weir, {"auth_user": "nobody1",
                             "auth_query": "SELECT nonsense"}, {
        "auth_user": "postgres", "auth_dbname": "users", "auth_query":
        "'SELECT $1::text, ''pw'' WHERE current_database() = ''postgres'''"})
    weir.reload(databases={
        **weir.databases, "users": weir.node_line(dbname="postgres")})
    assert whoami(weir, "query_none") == "query_none"


def test_under_the_lines_user(make_weir):
    """Who logs in here need not be who logs in there."""
    weir = start(make_weir, line={"user": "app"})
    assert whoami(weir, "query_scram") == "app"


def test_names_are_no_sql(make_weir):
    weir = start(make_weir)
    for name in ("x' OR 'a'='a", 'x"; DROP ROLE query_md5', "$1", "\\"):
        with Wire(weir.port) as wire:
            with pytest.raises(LoginError):
                wire.login(name, "app", password="pw")
    assert whoami(weir, "query_md5") == "query_md5"


@pytest.mark.parametrize("sql, why", [
    ("SELECT 'app'::text, $1::text", "another user"),
    ("SELECT NULL, $1::text", "another user"),
    ("SELECT $1::text", "two columns"),
    ("SELECT $1::text, 'pw', 1", "two columns"),
    ("SELECT $1::text, 'pw' FROM generate_series(1, 3)", "more than one"),
    ("SELECT $1::text, repeat('x', 3000)", "too long"),
    ("SELECT $1::text, repeat('x', 3000000)", "auth_query failed"),
    ("SELECT $1::text, 1/(length($1)-length($1))", "division by zero"),
    ("SELECT nonsense", "nonsense"), ("no sql", "syntax error"),
    ("BEGIN", "auth_query failed"), ("COPY pg_am TO STDOUT", "auth_query"),
    ("SELECT $1::text, pg_terminate_backend(pg_backend_pid())::text",
     "auth_query failed")])
def test_answers_that_are_none(make_weir, sql, why):
    weir = start(make_weir, {"auth_query": sql})
    for _ in range(2):
        refused(weir, "query_md5", words="cannot be looked up")
    wait_for(lambda: "auth_query failed: " in weir.log(), 5, "a reason")
    assert why in weir.log()
    assert whoami(weir, "app", "filed") == "app"


def test_nobody_to_ask(make_weir):
    weir = start(make_weir, {"auth_dbname": "far", "server_connect_timeout": 2})
    weir.reload(databases={**weir.databases, "far":
                           "host=127.0.0.1 port=%d" % free_port()})
    refused(weir, "query_md5", words="cannot be looked up")
    assert "auth_query failed" in weir.log()
    assert whoami(weir, "app", "filed") == "app"
    weir.reload({"auth_dbname": "nowhere"})
    refused(weir, "query_md5")


def test_clients_that_leave_while_they_wait(make_weir):
    """Their questions are not asked, and others are answered in order."""
    weir = start(make_weir, {
        "workers": 1, "auth_query":
        "SELECT $1::text, 'pw' || left(pg_sleep(0.5 * length(left($1, 1)))"
        "::text, 0)"})
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", weir.port)) as sock:
            sock.sendall(startup_packet("gone", "app"))
            time.sleep(0.01)
    begun = time.monotonic()
    assert whoami(weir, "query_none") == "query_none"
    assert time.monotonic() - begun < 5 * SLOW


def test_many_at_once(make_weir):
    weir = start(make_weir, {"workers": 2, "default_pool_size": 5})
    names = ["query_md5", "query_scram"] * 10
    seen = []

    def run(name):
        seen.append((name, whoami(weir, name)))

    threads = [threading.Thread(target=run, args=(n,)) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted((n, n) for n in names)


def test_console_asks_nobody(make_weir):
    weir = start(make_weir, {"admin_users": "query_scram"})
    with pytest.raises(psycopg.OperationalError):
        weir.connect(dbname="pgbouncer", user="query_scram", password="pw")


def test_the_database_can_be_dropped(cluster, make_weir):
    """The connection that asks does not keep it."""
    cluster.sql("DROP DATABASE IF EXISTS query_db")
    cluster.sql("CREATE DATABASE query_db")
    weir = start(make_weir)
    weir.reload(databases={**weir.databases,
                           "query_db": weir.node_line(dbname="query_db")})
    assert whoami(weir, "query_scram", dbname="query_db") == "query_scram"
    with weir.connect(user="postgres", password="boss") as conn:
        conn.execute("DROP DATABASE query_db")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_somebody_waits(make_weir, number):
    weir = start(make_weir, {
        "auth_query": "SELECT $1::text, pg_sleep(30)::text"})
    with socket.create_connection(("127.0.0.1", weir.port)) as sock:
        sock.sendall(startup_packet("query_md5", "app"))
        wait_for(lambda: "login attempt: db=app user=query_md5" in weir.log(),
                 10, "the login")
        weir.signal(number)
        sock.settimeout(20 * SLOW)
        try:
            assert sock.recv(1) in (b"E", b"")
        except ConnectionError:
            pass
    assert weir.wait_end() == 0
