"""The console: PgBouncer's listings and commands, who may use them, and what
they do while clients are at work on several workers."""
import shutil
import subprocess
import threading
import time

import psycopg
import psycopg2
import pytest
from psycopg.rows import dict_row

from harness import SLOW, make_dir, unprivileged, wait_for
from wire import (LoginError, QueryError, Wire, bind, close, describe, execute,
                  message, one_query, parse, query, sync, terminate)

pytestmark = pytest.mark.own

SOCKET = """type user database replication state addr port local_addr
    local_port connect_time request_time wait wait_us close_needed ptr link
    remote_pid tls application_name prepared_statements id""".split()
DEBUG = """recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail
    send_avail""".split()
FIGURES = """server_assignment_count xact_count query_count received sent
    xact_time query_time wait_time client_parse_count server_parse_count
    bind_count""".split()
PLAIN = [{"received": "bytes_received", "sent": "bytes_sent"}.get(f, f)
         for f in FIGURES]

# PgBouncer 1.25's columns, in order; ours may only follow them.
COLUMNS = {
    "ACTIVE_SOCKETS": SOCKET + DEBUG,
    "CLIENTS": SOCKET,
    "CONFIG": "key value default changeable".split(),
    "DATABASES": """name host port database force_user pool_size min_pool_size
        reserve_pool_size server_lifetime pool_mode load_balance_hosts
        max_connections current_connections max_client_connections
        current_client_connections paused disabled""".split(),
    "DNS_HOSTS": "hostname ttl addrs".split(),
    "DNS_ZONES": "zonename serial count".split(),
    "LISTS": "list items".split(),
    "MEM": "name size used free memtotal".split(),
    "PEERS": "peer_id host port pool_size".split(),
    "PEER_POOLS": """peer_id cl_active_cancel_req cl_waiting_cancel_req
        sv_active_cancel sv_login""".split(),
    "POOLS": """database user cl_active cl_waiting cl_active_cancel_req
        cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled
        sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode
        load_balance_hosts""".split(),
    "SERVERS": SOCKET,
    "SOCKETS": SOCKET + DEBUG,
    "STATE": "key value".split(),
    "STATS": ["database"] + ["total_" + f for f in FIGURES] + [
        "avg_" + {"received": "recv"}.get(f, f) for f in FIGURES],
    "STATS_AVERAGES": ["database"] + PLAIN,
    "STATS_TOTALS": ["database"] + PLAIN,
    "TOTALS": "name value".split(),
    "USERS": """name pool_size reserve_pool_size pool_mode
        max_user_connections current_connections max_user_client_connections
        current_client_connections""".split(),
    "VERSION": ["version"],
}
OWN = {"NODES": """node host port address role up streaming lag_us lag_bytes
    timeline lsn server_version probed state lag_ms weight backup outstanding
    response_us reads""".split(),
    "ROUTES": """count class reason replica_percent kept_by mean_us p99_us
    repeats statement""".split()}
NUMBERS = {"port", "pool_size", "cl_active", "sv_idle", "items", "maxwait_us",
           "total_query_count", "query_count", "id", "current_connections"}
LISTS = """databases users peers pools peer_pools free_clients used_clients
    login_clients free_servers used_servers dns_names dns_zones dns_queries
    dns_pending""".split()

HOLDS = ["PAUSE", "PAUSE app", "RESUME", "DISABLE app", "ENABLE app",
         "RECONNECT", "WAIT_CLOSE app", "KILL app"]
REFUSED = ["SUSPEND"]


def console(weir, user="postgres", **more):
    return psycopg.connect(weir.dsn("pgbouncer", user), autocommit=True,
                           row_factory=dict_row, **more)


def show(weir, what, user="postgres"):
    """Rows of one listing as dictionaries."""
    with console(weir, user) as conn:
        return conn.execute("SHOW " + what).fetchall()


@pytest.fixture
def busy(make_weir):
    """Three workers, a stats user, and something done in each database."""
    weir = make_weir({"workers": 3, "stats_users": "watcher"})
    with weir.connect() as conn:
        conn.execute("SELECT 1")
    return weir


@pytest.mark.parametrize("what", sorted({**COLUMNS, **OWN}))
def test_columns(busy, what):
    expected = {**COLUMNS, **OWN}[what]
    with console(busy) as conn:
        cursor = conn.execute("SHOW " + what)
        names = [c.name for c in cursor.description]
        assert names[:len(expected)] == expected
        if what not in ("CLIENTS", "SERVERS"):
            assert names == expected
        # Types, not all text: exporters and scripts compute with them.
        for column in cursor.description:
            is_number = column.type_code in (20, 23, 1700)
            if column.name in NUMBERS and what != "USERS":
                assert is_number, column.name
        assert cursor.statusmessage == "SHOW"
        cursor.fetchall()


def test_columns_by_psycopg2(busy):
    conn = psycopg2.connect(busy.dsn("pgweir", "postgres"))
    conn.autocommit = True
    cursor = conn.cursor()
    for what, expected in COLUMNS.items():
        cursor.execute("show %s;" % what.lower())
        names = [c.name for c in cursor.description]
        assert names[:len(expected)] == expected, what
        assert all(len(r) == len(names) for r in cursor.fetchall())
    conn.close()


def test_psql(busy):
    done = subprocess.run(
        ["psql", "-X", "-At", "-d", busy.dsn("pgbouncer", "postgres"),
         "-c", "SHOW VERSION", "-c", "SHOW HELP", "-c", "show state;"],
        capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pgweir ")
    assert "active|yes" in done.stdout
    assert "SHOW CLIENTS" in done.stderr and "KILL_CLIENT" in done.stderr


def test_greeting(busy):
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        assert wire.parameters["server_version"].endswith("/pgweir")
        assert wire.parameters["client_encoding"] == "UTF8"
        assert wire.parameters["standard_conforming_strings"] == "on"
        assert wire.parameters["is_superuser"] == "on"
        assert wire.status == "I" and len(wire.cancel_key) == 8


# Who may what.

@pytest.mark.parametrize("what", sorted({**COLUMNS, **OWN}))
def test_stats_user_may_look(busy, what):
    show(busy, what, "watcher")


@pytest.mark.parametrize("command", [
    "RELOAD", "KILL_CLIENT 1", "SHUTDOWN", "SHUTDOWN WAIT_FOR_CLIENTS",
    "SHUTDOWN WAIT_FOR_SERVERS"] + REFUSED + HOLDS)
def test_stats_user_may_not_act(busy, command):
    with console(busy, "watcher") as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(command)
        assert conn.execute("SHOW VERSION").fetchall()
    busy.alive()


def test_others_may_not_enter(busy):
    for name in ("pgbouncer", "pgweir"):
        with Wire(busy.port) as wire:
            with pytest.raises(LoginError):
                wire.login("app", name)


def test_owner_of_the_program(make_weir):
    """On a Unix socket the user that pgweir runs as needs no password; for
    others, on TCP, and in databases the name means nothing."""
    sockets = make_dir()
    weir = make_weir({"unix_socket_dir": sockets, "auth_type": "scram-sha-256",
                      "admin_users": ""}, auth_file={"app": "secret"})

    def ask(host, name, dbname="pgbouncer", **more):
        done = subprocess.run(
            ["psql", "-wXAtqc", "RELOAD", "-h", str(host), "-p",
             str(weir.port), "-U", name, "-d", dbname], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd="/", **more)
        return done.returncode, done.stdout

    try:
        for name in ("pgbouncer", "pgweir"):
            status, said = ask(sockets, name, name, **unprivileged())
            assert status == 0, said
        for where in ((sockets, "app"), (sockets, "root"),
                      ("127.0.0.1", "pgbouncer"),
                      (sockets, "pgbouncer", "app")):
            assert ask(*where, **unprivileged())[0] == 2, where
        if unprivileged():
            assert ask(sockets, "pgbouncer")[0] == 2
    finally:
        shutil.rmtree(sockets)


def test_sockets_are_not_handed_over(busy):
    """Scripts that walk all listings of PgBouncer get an answer."""
    with console(busy) as conn:
        cursor = conn.execute("SHOW FDS")
        assert [c.name for c in cursor.description][:6] == [
            "fd", "task", "user", "database", "addr", "port"]
        assert cursor.fetchall() == []
    with console(busy, "watcher") as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SHOW FDS")


@pytest.mark.parametrize("command", REFUSED)
def test_not_supported_is_said(busy, command):
    with console(busy) as conn:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            conn.execute(command)
        assert conn.execute("SHOW VERSION").fetchall()


def test_unknown_command(busy):
    with console(busy) as conn:
        with pytest.raises(psycopg.errors.SyntaxError) as caught:
            conn.execute("SHOW CLINETS")
        assert caught.value.diag.message_hint == "Did you mean SHOW CLIENTS?"
        with pytest.raises(psycopg.errors.SyntaxError) as caught:
            conn.execute("BEGIN")
        assert "autocommit" in caught.value.diag.message_hint
        assert conn.execute("SHOW VERSION").fetchall()


# What is listed.

def test_clients_of_all_workers(busy):
    conns = [busy.connect(application_name="c%d" % i) for i in range(12)]
    with conns[3].transaction():
        conns[3].execute("SELECT 1")
        rows = show(busy, "CLIENTS")
        assert {r["application_name"] for r in rows} == {
            "c%d" % i for i in range(12)}
        assert len({r["id"] for r in rows}) == 12
        for row in rows:
            assert row["type"] == "C" and row["database"] == "app"
            assert row["addr"] == "127.0.0.1"
        ports = {c.pgconn.socket: c for c in conns}
        assert len(ports) == 12
        mine = next(r for r in rows if r["application_name"] == "c3")
        assert mine["state"] == "active"
        servers = {r["ptr"]: r for r in show(busy, "SERVERS")}
        server = servers[mine["link"]]
        assert server["type"] == "S" and server["state"] == "active"
        assert server["node"] == mine["node"]
        pid = conns[3].execute("SELECT pg_backend_pid()").fetchone()[0]
        assert server["remote_pid"] == pid
        active = show(busy, "ACTIVE_SOCKETS")
        assert {r["state"] for r in active} == {"cl_active", "sv_active"}
    states = {r["state"] for r in show(busy, "SOCKETS")}
    assert states == {"cl_idle", "sv_idle"}
    for conn in conns:
        conn.close()
    wait_for(lambda: show(busy, "CLIENTS") == [], 5, "clients to leave")


def test_pools_and_databases(make_weir):
    weir = make_weir({"workers": 2, "default_pool_size": 1},
                     nodes=("primary",))
    with weir.connect() as one, weir.connect() as two:
        one.execute("BEGIN; SELECT 1")
        one.execute("SELECT 1")
        waiter = threading.Thread(target=two.execute, args=("SELECT 1",))
        waiter.start()
        row = wait_for(lambda: next(
            (r for r in show(weir, "POOLS") if r["cl_waiting"] == 1), None),
            5, "a waiter")
        assert (row["database"], row["user"]) == ("app", "app")
        assert row["cl_active"] == 1 and row["sv_active"] == 1
        assert row["sv_idle"] == 0 and row["pool_mode"] == "transaction"
        time.sleep(0.2)
        row, = show(weir, "POOLS")
        assert row["maxwait"] * 1000000 + row["maxwait_us"] >= 200000
        row, = show(weir, "DATABASES")
        assert (row["name"], row["database"]) == ("app", "app")
        assert row["port"] == weir.cluster.ports["primary"]
        assert row["pool_size"] == 1 and row["current_connections"] == 1
        assert row["current_client_connections"] == 2
        assert row["paused"] == row["disabled"] == 0
        lists = {r["list"]: r["items"] for r in show(weir, "LISTS")}
        assert list(lists) == LISTS
        assert lists["used_clients"] == 2 and lists["pools"] == 1
        assert lists["used_servers"] == 1 and lists["free_servers"] == 0
        user, = show(weir, "USERS")
        assert user["name"] == "app" and user["current_connections"] == 1
        one.execute("COMMIT")
        waiter.join()
        row, = show(weir, "POOLS")
        assert row["cl_waiting"] == 0 and row["sv_idle"] == 1
        wait_for(lambda: show(weir, "POOLS")[0]["maxwait_us"] == 0, 2,
                 "maxwait to end with the last waiter")


def test_fallback_database(make_weir, cluster):
    weir = make_weir(databases={
        "*": "host=127.0.0.1 port=%d dbname=app" % cluster.ports["primary"]},
        nodes=("primary",))
    assert show(weir, "DATABASES") == []
    with weir.connect("whatever") as conn:
        conn.execute("SELECT 1")
        row, = show(weir, "DATABASES")
        assert (row["name"], row["database"]) == ("whatever", "app")


def test_stats(busy):
    before = {r["database"]: r for r in show(busy, "STATS")}["app"]
    # What prepares nothing by itself: each statement is one query.
    with busy.connect(prepare_threshold=None) as conn:
        for _ in range(10):
            conn.execute("SELECT 1")
        with conn.transaction():
            conn.execute("SELECT 1")

    def grown():
        after = {r["database"]: r for r in show(busy, "STATS")}["app"]
        return after["total_xact_count"] - before["total_xact_count"] == 11 \
            and after
    after = wait_for(grown, 5, "eleven transactions more")
    assert after["total_query_count"] - before["total_query_count"] == 13
    assert after["total_query_time"] > before["total_query_time"]
    assert after["avg_query_count"] >= 0
    totals = {r["database"]: r for r in show(busy, "STATS_TOTALS")}["app"]
    assert totals["query_count"] == after["total_query_count"]
    sums = {r["name"]: r["value"] for r in show(busy, "TOTALS")}
    assert sums["total_query_count"] == after["total_query_count"]
    assert sums["total_xact_count"] == after["total_xact_count"]


def test_nodes(busy):
    rows = {r["role"]: r for r in show(busy, "NODES")}
    assert set(rows) == {"primary", "replica"}
    for role, row in rows.items():
        assert row["port"] == busy.cluster.ports[role]
        assert row["up"] == "yes" and row["timeline"] >= 1
        assert "/" in row["lsn"] and row["server_version"]
    assert rows["replica"]["streaming"] == "yes"


def test_config_hides_secrets(make_weir):
    weir = make_weir({"monitor_password": "tell-nobody",
                      "monitor_user": "postgres"})
    rows = {r["key"]: r for r in show(weir, "CONFIG")}
    assert rows["default_pool_size"]["value"] == "10"
    assert rows["default_pool_size"]["changeable"] == "yes"
    assert rows["listen_port"]["changeable"] == "no"
    assert rows["max_client_conn"]["value"] == "500"
    assert "tell-nobody" not in repr(rows)


# What is done.

def test_kill_client(busy):
    conns = {name: busy.connect(application_name=name)
             for name in ("stays", "goes", "stays2")}
    ids = {r["application_name"]: r["id"] for r in show(busy, "CLIENTS")}
    with console(busy) as conn:
        cursor = conn.execute("KILL_CLIENT %d" % ids["goes"])
        assert cursor.statusmessage == "KILL_CLIENT"
        with pytest.raises(psycopg.errors.UndefinedObject):
            conn.execute("KILL_CLIENT %d" % ids["goes"])
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            conn.execute("KILL_CLIENT goes")
    with pytest.raises(psycopg.OperationalError) as caught:
        conns["goes"].execute("SELECT 1")
    assert caught.value.sqlstate in ("57P01", None)
    for name in ("stays", "stays2"):
        conns[name].execute("SELECT 1")
        conns[name].close()


def test_kill_client_at_work(busy):
    victim = busy.connect(application_name="victim")
    failure = []

    def work():
        try:
            victim.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            failure.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    row = wait_for(lambda: next(
        (r for r in show(busy, "CLIENTS")
         if r["application_name"] == "victim" and r["state"] == "active"),
        None), 5, "the victim at work")
    with console(busy) as conn:
        conn.execute("KILL_CLIENT %d" % row["id"])
    thread.join(10 * SLOW)
    assert failure and not thread.is_alive()


def test_reload(busy):
    busy.settings["default_pool_size"] = 7
    busy.write_ini()
    with console(busy) as conn:
        assert conn.execute("RELOAD").statusmessage == "RELOAD"
        value = {r["key"]: r["value"]
                 for r in conn.execute("SHOW CONFIG").fetchall()}
        assert value["default_pool_size"] == "7"
        busy.settings["default_pool_size"] = "many"
        busy.write_ini()
        with pytest.raises(psycopg.Error) as caught:
            conn.execute("RELOAD")
        assert "default_pool_size" in caught.value.diag.message_primary
        value = {r["key"]: r["value"]
                 for r in conn.execute("SHOW CONFIG").fetchall()}
        assert value["default_pool_size"] == "7"


def test_shutdown_waits_for_clients(busy):
    client = busy.connect()
    client.execute("SELECT 1")
    with console(busy) as conn:
        done = conn.execute("SHUTDOWN WAIT_FOR_CLIENTS")
        assert done.statusmessage == "SHUTDOWN"
    client.close()
    assert busy.wait_end() == 0


def test_shutdown_at_once(busy):
    conn = console(busy)
    try:
        conn.execute("SHUTDOWN")
    except psycopg.OperationalError:
        pass
    assert busy.wait_end() == 0


# The protocol.

def test_extended(busy):
    with console(busy) as conn:
        for _ in range(3):
            cursor = conn.execute("SHOW LISTS", prepare=True)
            assert len(cursor.fetchall()) == len(LISTS)
        with conn.cursor(binary=True) as cursor:
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                cursor.execute("SHOW LISTS")
        assert conn.execute("SHOW VERSION").fetchall()


def kinds(messages):
    return "".join(m.type for m in messages)


def test_extended_in_step(busy):
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        wire.send(one_query("SHOW VERSION"), sync())
        assert kinds(wire.until()) == "12TDCZ"
        # Rows that other workers are asked for, twice in one batch.
        wire.send(one_query("SHOW SERVERS", name="s"),
                  bind(name="s"), execute(), sync())
        assert kinds(wire.until()).replace("D", "") == "12TC2CZ"
        wire.send(parse("", name="empty"), bind(name="empty"), describe(),
                  execute(), sync())
        assert kinds(wire.until()) == "12nIZ"
        # An error skips the rest of its batch, and no more.
        wire.send(one_query("SHOW NONSENSE"), query("SHOW VERSION"), sync(),
                  one_query("SHOW VERSION"), sync())
        assert kinds(wire.until()) == "EZ"
        assert kinds(wire.until()) == "12TDCZ"
        for batch, state in (
                (bind(name="none"), "26000"), (describe("P", "none"), "34000"),
                (describe("S", "none"), "26000"), (execute("none"), "34000"),
                (parse("SHOW STATE", "s"), "42P05"),
                (parse("SHOW STATE", "t", [23]), "0A000"),
                (bind([1], "s"), "0A000"), (bind([], "s", "", [1]), "0A000")):
            answers = wire.send(batch, sync()).until()
            assert kinds(answers) == "EZ"
            assert answers[0].sqlstate == state
        wire.send(describe("S", "s"), close("S", "s"), close("S", "s"),
                  parse("RELOAD", "s"), describe("S", "s"), sync())
        assert kinds(wire.until()) == "tT331tnZ"


def test_simple_in_step(busy):
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        assert kinds(wire.query("")) == "IZ"
        assert kinds(wire.query("SHOW STATE")) == "TDDDCZ"
        assert kinds(wire.query("SHOW NONSENSE")) == "EZ"
        assert kinds(wire.query("SET client_encoding = 'UTF8'")) == "NCZ"
        assert wire.value("SHOW client_encoding") == "UTF8"
        wire.send(message("F", b"\0" * 12))
        assert kinds(wire.until()) == "EZ"
        wire.send(message("d", b"data"), message("c"), sync())
        assert kinds(wire.until()) == "Z"


def test_pipeline(busy):
    """Hundreds of commands at once: answered in order, none lost."""
    commands = ["SHOW VERSION", "SHOW CLIENTS", "SHOW STATE", "nonsense"] * 200
    with Wire(busy.port, timeout=30 * SLOW) as wire:
        wire.login("postgres", "pgbouncer")
        sender = threading.Thread(
            target=wire.send, args=[query(c) for c in commands])
        sender.start()
        for command in commands:
            got = kinds(wire.until())
            assert got == {"SHOW VERSION": "TDCZ", "SHOW CLIENTS": "TCZ",
                           "SHOW STATE": "TDDDCZ", "nonsense": "EZ"}[command]
        sender.join()


def test_reader_that_does_not_read(busy):
    """Its answers do not pile up without end."""
    before = busy.memory_peak_kb()
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        wire.sock.settimeout(1)
        try:
            for _ in range(2000):
                wire.send(query("SHOW CONFIG") * 50)
        except TimeoutError:
            pass
        assert show(busy, "STATE")
        assert busy.memory_peak_kb() - before < 50000
        wire.abort()
    assert show(busy, "STATE")


def test_leaves_in_the_middle(busy):
    """The listing comes home and finds nobody."""
    for _ in range(50):
        with Wire(busy.port) as wire:
            wire.login("postgres", "pgbouncer")
            wire.send(query("SHOW SERVERS") * 3, terminate())
        with Wire(busy.port) as wire:
            wire.login("postgres", "pgbouncer")
            wire.send(query("SHOW SERVERS"))
            wire.abort()
    assert show(busy, "STATE")


@pytest.mark.parametrize("data", [
    message("Q", b"SHOW VERSION"),             # no end
    message("Q", b"x" * 100000),               # too long
    b"Q\x00\x00\x00\x03",                      # impossible length
    b"Q\x7f\xff\xff\xff",
    message("?", b""),
    message("p", b"password\0"),
    message("P", b"a"),
    message("B", b"\0\0\0"),
    message("B", b"\0\0\0\1"),
    message("D", b""),
    message("E", b"\0"),
    message("E", b""),
    message("C", b"X\0"),
    b"\x16\x03\x01\x02\x00\x01",
])
def test_hostile(busy, data):
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        wire.send(data)
        last = wire.until_closed()
        assert last and last[-1].fields["S"] == "FATAL"
        assert last[-1].sqlstate == "08P01"
    assert show(busy, "STATE")


def test_long_words(busy):
    with Wire(busy.port) as wire:
        wire.login("postgres", "pgbouncer")
        for size in (126, 127, 128, 129, 999, 1000, 1001, 60000):
            for text in ("a" * size, "SHOW " + "b" * size, '"' * size,
                         "KILL_CLIENT " + "9" * size, "SET a = '%s'" %
                         ("x" * size)):
                with pytest.raises(QueryError):
                    wire.rows(text)
        assert wire.value("SHOW VERSION")
