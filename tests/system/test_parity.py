"""What operators know from PgBouncer: SET, the reserve, hooks on servers."""
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
