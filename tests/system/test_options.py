"""Options whose effect no other test looks at."""
import time

import pytest

from harness import SLOW, wait_for
from wire import LoginError, Wire, copy_data, one_query, query, \
    startup_packet, sync

# One node, so that every statement meets the same pool.
ONE = ("primary",)
pytestmark = pytest.mark.own


def pid(conn):
    return conn.execute("SELECT pg_backend_pid()").fetchone()[0]


def pids_in_turn(weir, clients, rounds=3):
    """The servers that one client after the other is given, one at a time."""
    conns = [weir.connect(prepare_threshold=None) for _ in range(clients)]
    for conn in conns:
        conn.execute("BEGIN; SELECT 1")
    for conn in conns:
        conn.execute("COMMIT")
    seen = [pid(conns[0]) for _ in range(clients * rounds)]
    for conn in conns:
        conn.close()
    return seen


@pytest.mark.parametrize("in_turn", [0, 1])
def test_server_round_robin(make_weir, in_turn):
    weir = make_weir({"server_round_robin": in_turn, "workers": 1,
                      "default_pool_size": 3}, nodes=ONE)
    seen = pids_in_turn(weir, 3)
    assert len(set(seen)) == (3 if in_turn else 1)
    if in_turn:
        assert seen[:3] == seen[3:6] == seen[6:]


def test_server_lifetime_0_is_one_use(cluster, make_weir):
    weir = make_weir({"server_lifetime": 0, "min_pool_size": 1}, nodes=ONE)
    with weir.connect() as conn:
        assert len({pid(conn) for _ in range(5)}) == 5
        # A transaction is one use; and nobody closes what was not used.
        with conn.transaction():
            assert pid(conn) == pid(conn)
        wait_for(lambda: cluster.backends() == 1, 5, "a server kept ready")
        ready = cluster.value(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'app'"
            " AND datname = 'app' AND backend_type = 'client backend'")
        time.sleep(1.2 * SLOW)
        assert pid(conn) == ready


@pytest.fixture
def crowded(cluster):
    """A role that the server has no place for."""
    cluster.sql("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    yield "crowded"
    cluster.sql("DROP ROLE crowded")


@pytest.mark.parametrize("retry, least, most", [(0.1, 10, 99), (15, 3, 6)])
def test_server_login_retry(make_weir, crowded, retry, least, most):
    """Pauses double, but never beyond it."""
    weir = make_weir({"server_login_retry": retry, "workers": 1,
                      "log_pooler_errors": 0}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.send(startup_packet(user=crowded))
        time.sleep(2.5)
        tries = weir.metric("pgweir_server_connect_errors_total",
                            reason="too_many")
    assert least <= tries <= most


def left_behind(weir):
    """What the second client of one server finds of the first."""
    with weir.connect() as conn:
        conn.execute("SET work_mem = '7MB'")
        first = pid(conn)
    with weir.connect() as conn:
        assert pid(conn) == first
        return conn.execute("SHOW work_mem").fetchone()[0] == "7MB"


@pytest.mark.parametrize("mode, reset, is_left", [
    ("session", "", True), ("session", "DISCARD ALL", False),
    ("session", "SET work_mem = '7MB'", True), ("transaction", "", False)])
def test_server_reset_query(make_weir, mode, reset, is_left):
    weir = make_weir({"pool_mode": mode, "server_reset_query": reset,
                      "default_pool_size": 1}, nodes=ONE)
    assert left_behind(weir) == is_left


@pytest.mark.parametrize("always", [0, 1])
def test_server_reset_query_always(make_weir, cluster, always):
    """Sees to what pgweir cannot see: a name made up in a function."""
    cluster.sql("CREATE OR REPLACE FUNCTION makes_up() RETURNS text LANGUAGE "
                "sql AS $$ SELECT set_config('made.' || 'up', '7', false) $$",
                user="app")
    weir = make_weir({"server_reset_query_always": always,
                      "default_pool_size": 1}, nodes=ONE)
    with weir.connect() as conn:
        conn.execute("SELECT makes_up()")
        # Behind the look at the server: a client that leaves before it is
        # over has its server cleaned.
        conn.execute("BEGIN; SELECT 1")
        conn.execute("COMMIT")
    with weir.connect() as conn:
        found = conn.execute(
            "SELECT current_setting('made.up', true)").fetchone()[0]
    assert (found == "7") == (not always)


def refusal(weir, **where):
    """What a login is refused with, or None."""
    with Wire(weir.port) as conn:
        try:
            conn.login(**where)
        except LoginError as error:
            return error.sqlstate, str(error)
    return None


@pytest.mark.tsan
def test_max_db_client_connections(make_weir):
    weir = make_weir({"max_db_client_connections": 3, "workers": 2},
                     start=False, nodes=ONE)
    weir.databases = {"app": weir.node_line(max_db_client_connections=2),
                      "two": weir.node_line()}
    weir.write_ini()
    weir.start()
    held = [weir.connect(), weir.connect(user="postgres")]
    state, why = refusal(weir)
    assert state == "53300" and "max_db_client_connections" in why
    held += [weir.connect(dbname="two") for _ in range(3)]
    assert refusal(weir, database="two")[0] == "53300"
    held.pop(0).close()
    wait_for(lambda: refusal(weir) is None, 5, "a place to be free again")
    for conn in held:
        conn.close()


@pytest.mark.tsan
def test_max_user_client_connections(make_weir):
    weir = make_weir({"max_user_client_connections": 1, "workers": 2},
                     users={"app": "max_user_client_connections=2"}, nodes=ONE)
    held = [weir.connect(), weir.connect(), weir.connect(user="postgres")]
    state, why = refusal(weir)
    assert state == "53300" and "max_user_client_connections" in why
    assert refusal(weir, user="postgres")[0] == "53300"
    # The console asks for no place, and a reload raises the limit.
    with weir.connect(dbname="pgweir", user="postgres") as console:
        console.execute("SHOW VERSION")
    weir.reload(users={"app": "max_user_client_connections=3"})
    assert refusal(weir) is None
    for conn in held:
        conn.close()


@pytest.mark.parametrize("work", [
    ["SELECT pg_sleep(30)"],  # a transaction on its own
    ["BEGIN", "SELECT pg_sleep(0.7)", "SELECT pg_sleep(0.7)"],
    ["BEGIN", "SELECT 1"],  # and nothing more
])
def test_transaction_timeout(cluster, make_weir, work):
    weir = make_weir({"transaction_timeout": 60},
                     users={"app": "transaction_timeout=1"}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.login()
        conn.query("SELECT 1")
        time.sleep(1.2)  # no transaction, no limit
        begun = time.monotonic()
        conn.send(*(query(sql) for sql in work))
        errors = [m for m in conn.until_closed() if m.type == "E"]
        assert 0.9 < time.monotonic() - begun < 2.5 * SLOW
    assert [e.sqlstate for e in errors] == ["25P04"]
    # The server does not keep what the transaction held.
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
        " AND xact_start IS NOT NULL") == 0, 10, "the end of the transaction")


def test_query_wait_notify(make_weir):
    weir = make_weir({"query_wait_notify": 0.3, "query_wait_timeout": 1.5,
                      "default_pool_size": 1, "workers": 1}, nodes=ONE)
    with weir.connect() as holder, Wire(weir.port) as conn:
        conn.login()
        holder.execute("BEGIN; SELECT 1")
        holder.execute("SELECT 1")
        conn.send(query("SELECT 2"))
        begun = time.monotonic()
        notice = conn.recv()
        assert notice.type == "N" and b"queue" in notice.payload
        assert 0.2 < time.monotonic() - begun < 1.4
        holder.execute("COMMIT")
        assert "".join(m.type for m in conn.until()) == "TDCZ"
        # Once more, told once, up to the end of all patience.
        holder.execute("BEGIN; SELECT 1")
        holder.execute("SELECT 1")
        conn.send(query("SELECT 3"))
        told = conn.until_closed()
        assert [m.type for m in told] == ["N", "E"]
        assert told[-1].sqlstate == "53300"


def last_word(conn):
    """The SQLSTATE and text that a client is sent away with."""
    errors = [m for m in conn.until_closed() if m.type == "E"]
    assert len(errors) == 1
    return errors[0].sqlstate, str(errors[0].fields)


def test_disable_pqexec(make_weir):
    weir = make_weir({"disable_pqexec": 1}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.login()
        conn.send(one_query("SELECT 1"), sync())
        assert "E" not in [m.type for m in conn.until()]
        conn.send(query("SELECT 1"))
        state, why = last_word(conn)
    assert state == "08P01" and "disable_pqexec" in why


@pytest.mark.parametrize("message", [
    query("SELECT '%s'" % ("x" * 5000)),
    one_query("SELECT '%s'" % ("x" * 5000)),
    query("COPY pg_temp.t FROM STDIN") + copy_data(b"x" * 5000)])
def test_max_packet_size(cluster, make_weir, message):
    weir = make_weir({"max_packet_size": 4096}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.login()
        conn.query("BEGIN; SELECT 1")
        conn.query("CREATE TEMP TABLE t (a text)")
        # Many that are short enough may be long together.
        conn.send(*[query("SELECT '%s'" % ("x" * 4000))] * 5)
        for _ in range(5):
            assert conn.until()[-1].type == "Z"
        conn.send(message)
        state, why = last_word(conn)
    assert state == "08P01" and "max_packet_size" in why
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
        " AND xact_start IS NOT NULL") == 0, 10, "the end of the transaction")


def test_application_name_add_host(cluster, make_weir):
    weir = make_weir({"application_name_add_host": 1}, nodes=ONE)
    for given, shown in (({"application_name": "shop"}, "shop"), ({}, "app")):
        with Wire(weir.port) as conn:
            conn.login(**given)
            port = conn.sock.getsockname()[1]
            assert conn.value("SHOW application_name") == \
                "%s - 127.0.0.1:%d" % (shown, port)
