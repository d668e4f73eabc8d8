"""Session pooling: a client keeps its server, is greeted by it, knows its
real process number - and still has its plain reads answered by a replica."""
import struct
import threading
import time

import psycopg
import pytest

from harness import SLOW, wait_for
from wire import (LoginError, Wire, bind, cancel, execute,
                  one_query, parse, query, sync)

pytestmark = pytest.mark.own

ONE = ("primary",)


def session_weir(make_weir, settings=None, **more):
    return make_weir({"pool_mode": "session", "consistency": "eventual",
                      **(settings or {})}, **more)


def login(weir, **where):
    conn = Wire(weir.port, timeout=10 * SLOW)
    conn.login(**where)
    return conn


def announced(conn):
    return struct.unpack("!i", conn.cancel_key[:4])[0]


def own_pid(conn):
    return int(conn.value("SELECT pg_backend_pid()"))


def end_by(conn):
    """What a connection is told when it ends."""
    return [m for m in conn.until_closed() if m.type == "E"]


# --- the process number ---


@pytest.mark.parametrize("nodes", [ONE, ("primary", "replica")])
def test_the_announced_process_number_is_the_servers(make_weir, nodes):
    weir = session_weir(make_weir, {"workers": 3}, nodes=nodes)
    conns = [login(weir) for _ in range(8)]
    pids = [announced(conn) for conn in conns]
    assert len(set(pids)) == 8
    for conn, pid in zip(conns, pids):
        assert own_pid(conn) == pid
        conn.query("BEGIN READ ONLY")
        conn.value("SELECT 1")
        conn.query("COMMIT")
        assert own_pid(conn) == pid
        conn.close()


def test_a_server_that_is_used_again_is_announced_again(cluster, make_weir):
    weir = session_weir(make_weir, {"default_pool_size": 1}, nodes=ONE)
    with login(weir) as conn:
        first, key = announced(conn), conn.cancel_key
    wait_for(lambda: weir.metric("pgweir_pool_servers", state="idle") != 0,
             what="the server to be given back")
    with login(weir) as conn:
        assert announced(conn) == first == own_pid(conn)
        assert conn.cancel_key != key


def test_transaction_pooling_announces_nobodys_number(cluster, make_weir):
    weir = make_weir()
    with login(weir) as conn:
        pid = announced(conn)
        assert pid >= 1 << 30
        assert conn.value("SELECT count(*) FROM pg_stat_activity"
                          " WHERE pid = %d" % pid) == "0"


def test_parameters_are_those_of_the_server(cluster, make_weir):
    weir = session_weir(make_weir)
    with login(weir, application_name="mine", TimeZone="Asia/Tokyo",
               client_encoding="latin1") as conn:
        shown = dict(conn.parameters)
        assert shown["application_name"] == "mine"
        assert shown["TimeZone"] == "Asia/Tokyo"
        assert shown["client_encoding"] == "LATIN1"
        assert shown["in_hot_standby"] == "off"
        assert conn.value("SHOW TimeZone") == "Asia/Tokyo"
    with Wire(cluster.ports["primary"]) as straight:
        straight.login(application_name="mine", TimeZone="Asia/Tokyo",
                       client_encoding="latin1")
        assert shown == straight.parameters


def test_a_blocked_client_is_found_by_its_number(cluster, make_weir):
    """What PostgreSQL's isolation tests look for."""
    weir = session_weir(make_weir)
    with login(weir) as one, login(weir) as two:
        one.query("CREATE TABLE IF NOT EXISTS smode_locked ()")
        one.query("BEGIN")
        one.query("LOCK TABLE smode_locked")
        two.query("BEGIN")
        two.send(query("LOCK TABLE smode_locked"))
        wait_for(lambda: cluster.value(
            "SELECT pg_blocking_pids(%s)", (announced(two),))
            == [announced(one)], what="the one to block the other")
        one.query("ROLLBACK")
        two.until()


# --- cancel ---


def sleeper(conn, seconds=30):
    conn.send(query("SELECT pg_sleep(%d)" % seconds))


def test_cancel_by_the_real_number(make_weir):
    weir = session_weir(make_weir, {"workers": 3})
    with login(weir) as one, login(weir) as two:
        sleeper(one)
        sleeper(two, 2)
        time.sleep(0.3)
        cancel(weir.port, one.cancel_key)
        assert [m.sqlstate for m in one.until() if m.type == "E"] == ["57014"]
        assert not [m for m in two.until() if m.type == "E"]
        assert one.value("SELECT 1") == "1"


@pytest.fixture
def slow(cluster):
    """A read that takes its time."""
    cluster.sql("CREATE OR REPLACE FUNCTION smode_slow(n int) RETURNS bigint"
                " LANGUAGE sql STABLE AS 'SELECT count(*) FROM"
                " generate_series(1, n) a, generate_series(1, n) b'",
                user="app")
    cluster.position()


def running_on_replica(cluster, text):
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE query = %s"
        " AND state = 'active'", (text,), "replica"),
        what="the read to run on the replica")


def test_cancel_reaches_a_read_on_the_replica(cluster, make_weir, slow):
    weir = session_weir(make_weir, {"workers": 2})
    with login(weir) as conn:
        settled(cluster, conn, "SELECT smode_slow(1) AS %s")
        conn.send(query("SELECT smode_slow(1000000)"))
        running_on_replica(cluster, "SELECT smode_slow(1000000)")
        cancel(weir.port, conn.cancel_key)
        assert [m.sqlstate for m in conn.until() if m.type == "E"] == ["57014"]
        assert own_pid(conn) == announced(conn)


def test_a_wrong_secret_cancels_nothing(make_weir):
    weir = session_weir(make_weir, {"workers": 2})
    with login(weir) as conn:
        sleeper(conn, 2)
        time.sleep(0.2)
        pid, secret = struct.unpack("!iI", conn.cancel_key)
        for wrong in (0, secret ^ 1, secret ^ 0x80000000):
            cancel(weir.port, struct.pack("!iI", pid, wrong))
        for other in (0, 1, pid + 1, 1 << 30, -1):
            cancel(weir.port, struct.pack("!iI", other, secret))
        assert not [m for m in conn.until() if m.type == "E"]
        assert weir.metric("pgweir_cancel_requests_total",
                           result="unknown_key") == 8


def test_a_key_dies_with_its_session(make_weir):
    weir = session_weir(make_weir, {"default_pool_size": 1}, nodes=ONE)
    with login(weir) as conn:
        old = conn.cancel_key
    with login(weir) as conn:
        assert announced(conn) == struct.unpack("!i", old[:4])[0]
        sleeper(conn, 2)
        time.sleep(0.2)
        cancel(weir.port, old)
        assert not [m for m in conn.until() if m.type == "E"]


@pytest.mark.tsan
def test_cancels_under_load_hit_their_own(make_weir):
    """Many are cancelled again and again; those that are not never are."""
    weir = session_weir(make_weir, {"workers": 3, "default_pool_size": 12},
                        nodes=ONE)
    until = time.monotonic() + 4 * SLOW
    wrong, hits = [], []

    def victim():
        with login(weir) as conn:
            while time.monotonic() < until:
                sleeper(conn, 20)
                stop = threading.Timer(0.03, cancel,
                                       (weir.port, conn.cancel_key))
                stop.start()
                said = [m.sqlstate for m in conn.until() if m.type == "E"]
                stop.join()
                if said != ["57014"]:
                    wrong.append(said)
                hits.append(1)

    def bystander():
        while time.monotonic() < until:
            with login(weir) as conn:
                for _ in range(5):
                    said = [m.fields for m in conn.query(
                        "SELECT pg_sleep(0.02)") if m.type == "E"]
                    wrong.extend(said)

    threads = [threading.Thread(target=job) for job in
               [victim] * 4 + [bystander] * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(hits) > 20


# --- waiting at login ---


def test_clients_wait_at_login(make_weir):
    weir = session_weir(make_weir, {"default_pool_size": 1,
                                    "client_login_timeout": 1}, nodes=ONE)
    first = login(weir)
    second = Wire(weir.port, timeout=10 * SLOW)
    third = Wire(weir.port, timeout=10 * SLOW)
    greeted = []

    def wait(conn, name):
        conn.login()
        greeted.append((name, announced(conn)))

    threads = []
    for conn, name in ((second, "second"), (third, "third")):
        threads.append(threading.Thread(target=wait, args=(conn, name)))
        threads[-1].start()
        time.sleep(0.3)
    # Longer than client_login_timeout: they have proved who they are.
    time.sleep(1.5)
    assert not greeted
    pid = announced(first)
    first.close()
    wait_for(lambda: greeted == [("second", pid)], what="the first in line")
    time.sleep(0.2)
    assert len(greeted) == 1
    assert own_pid(second) == pid
    second.close()
    wait_for(lambda: len(greeted) == 2, what="the second in line")
    assert greeted[1] == ("third", pid)
    third.close()
    for thread in threads:
        thread.join()


def test_query_wait_timeout_at_login(make_weir):
    weir = session_weir(make_weir, {"default_pool_size": 1,
                                    "query_wait_timeout": 0.6}, nodes=ONE)
    with login(weir) as first:
        started = time.monotonic()
        with pytest.raises(LoginError) as caught:
            login(weir)
        assert time.monotonic() - started >= 0.5
        assert caught.value.message.fields["M"] == "query_wait_timeout"
        assert caught.value.message.fields["S"] == "FATAL"
        assert own_pid(first) == announced(first)


def test_who_leaves_the_queue_takes_no_server(make_weir):
    weir = session_weir(make_weir, {"default_pool_size": 1}, nodes=ONE)
    first = login(weir)
    gone = Wire(weir.port, timeout=0.4)
    with pytest.raises(TimeoutError):
        gone.login()
    gone.close()
    time.sleep(0.2)
    first.close()
    with login(weir) as conn:
        assert own_pid(conn) == announced(conn)


# --- reads on the replica ---

OF_TABLE = "SELECT 1 AS %s FROM smode LIMIT 1"


def settled(cluster, conn, read="SELECT 1 AS %s"):
    """Until a plain read of this client was answered by the replica."""
    def seen():
        tag = cluster.fresh()
        conn.query(read % tag)
        return cluster.calls(tag)["replica"] == 1
    wait_for(seen, what="a read on the replica")


def where(cluster, conn, sql):
    """On which nodes a statement runs; %s in it becomes a tag."""
    tag = cluster.fresh()
    said = conn.query(sql % tag)
    assert not [m for m in said if m.type == "E"], said
    return {n for n, calls in cluster.calls(tag).items() if calls}


@pytest.fixture
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS smode; CREATE TABLE smode"
                " (i int, t text); INSERT INTO smode SELECT i, 'x' FROM"
                " generate_series(1, 100) i", user="app")
    cluster.position()


def test_reads_go_to_the_replica(cluster, make_weir, table):
    weir = session_weir(make_weir, {"workers": 1})
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        before = cluster.transactions("replica")
        for _ in range(50):
            assert conn.value("SELECT count(*) FROM smode") == "100"
        wait_for(lambda: cluster.transactions("replica") - before >= 45,
                 what="the replica to have counted the reads")
        assert own_pid(conn) == announced(conn)
        # One server of its own, and one that is borrowed, not kept.
        assert cluster.backends() == 1
        with login(weir) as other:
            settled(cluster, other)
            assert cluster.backends() == 2
            assert cluster.backends("replica") == 1


def test_without_splitting_nothing_leaves(cluster, make_weir, table):
    weir = session_weir(make_weir, {"split_reads": 0})
    with login(weir) as conn:
        for _ in range(5):
            assert where(cluster, conn, "SELECT count(*) AS %s FROM smode"
                         ) == {"primary"}


def test_transactions_and_writes_stay_at_home(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("BEGIN")
        assert where(cluster, conn, "SELECT count(*) AS %s FROM smode"
                     ) == {"primary"}
        conn.query("ROLLBACK")
        assert where(cluster, conn, "INSERT INTO smode SELECT 1 AS %s"
                     ) == {"primary"}
        assert where(cluster, conn, "SELECT 1 AS %s, pg_backend_pid()"
                     ) == {"primary"}
        assert where(cluster, conn, "SELECT 1 AS %s") == {"replica"}


def test_the_window_after_a_write(cluster, make_weir, table):
    weir = session_weir(make_weir, {"read_after_write_window": 1.5})
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("INSERT INTO smode VALUES (0)")
        assert where(cluster, conn, "SELECT 1 AS %s FROM smode LIMIT 1"
                     ) == {"primary"}
        time.sleep(1.6)
        assert where(cluster, conn, "SELECT 1 AS %s FROM smode LIMIT 1"
                     ) == {"replica"}


def test_settings_go_along(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir, extra_float_digits="0", application_name="first") as conn:
        settled(cluster, conn, OF_TABLE)
        assert conn.value("SELECT 0.1::float8 + 0.2::float8") == "0.3"
        conn.query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'")
        assert where(cluster, conn, "SELECT 1 AS %s") == {"replica"}
        assert conn.value("SELECT timestamptz '2020-01-01 00:00+00'"
                          ) == "01.01.2020 09:00:00 JST"
        conn.query("BEGIN; SET TimeZone = 'UTC'; ROLLBACK")
        assert where(cluster, conn, "SELECT 1 AS %s") == {"replica"}
        assert conn.value("SELECT timestamptz '2020-01-01 00:00+00'"
                          ) == "01.01.2020 09:00:00 JST"
    with login(weir) as other:
        settled(cluster, other)
        assert other.value("SELECT timestamptz '2020-01-01 00:00+00'"
                           " = '2020-01-01'::timestamptz") in ("t", "f")
        assert other.value("SHOW DateStyle") == "ISO, MDY"
        assert other.value("SELECT 0.1::float8 + 0.2::float8"
                           ) == "0.30000000000000004"


def test_startup_settings_survive_discard_all(make_weir, cluster):
    weir = session_weir(make_weir)
    with login(weir, work_mem="77MB", TimeZone="Asia/Tokyo") as conn:
        for reset in ("RESET ALL", "DISCARD ALL"):
            conn.query(reset)
            assert conn.value("SHOW work_mem") == "77MB"
            assert conn.value("SHOW TimeZone") == "Asia/Tokyo"


def test_many_settings_in_a_transaction(make_weir):
    """Too many to be asked for by name: the rest of it waits for nothing."""
    weir = session_weir(make_weir)
    names = ("work_mem", "maintenance_work_mem", "temp_buffers",
             "logical_decoding_work_mem")
    with login(weir, application_name="mine") as conn:
        conn.query("BEGIN")
        text = "".join("SET %s = '%dMB'; " % (name, 10 + i)
                       for i, name in enumerate(names * 10))
        conn.query(text + "RESET enable_seqscan; SELECT 1")
        assert conn.value("SHOW work_mem") == "46MB"
        conn.query("COMMIT")
        assert conn.value("SHOW work_mem") == "46MB"


def test_state_keeps_reads_at_home(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("CREATE TEMP TABLE smode_temp AS SELECT 1 AS i")
        for _ in range(3):
            assert conn.value("SELECT i FROM smode_temp") == "1"
        conn.query("DISCARD ALL")
        settled(cluster, conn, OF_TABLE)
        # A temporary table hides the one of the same name.
        conn.query("CREATE TEMP TABLE smode AS SELECT 7 AS i")
        assert conn.value("SELECT count(*) FROM smode") == "1"
        conn.query("DISCARD ALL")
        assert conn.value("SELECT count(*) FROM smode") == "100"
        conn.query("PREPARE p AS SELECT count(*) FROM smode")
        assert conn.value("EXECUTE p") == "100"
        conn.query("SELECT pg_advisory_lock(4711)")
        assert conn.value("SELECT count(*) FROM pg_locks WHERE"
                          " locktype = 'advisory'") == "1"
        assert own_pid(conn) == announced(conn)


def test_prepared_statements_on_both_nodes(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        tag = cluster.fresh()
        conn.send(parse("SELECT count(*) AS %s FROM smode WHERE i <= $1"
                        % tag, "s"), sync()).until()
        for value in ("10", "20"):
            said = conn.send(bind([value], "s"), execute(), sync()).until()
            assert [m.values for m in said if m.type == "D"] == [
                [value.encode()]]
        assert cluster.calls(tag)["replica"] == 2
        conn.query("BEGIN")
        said = conn.send(bind(["30"], "s"), execute(), sync()).until()
        assert [m.values for m in said if m.type == "D"] == [[b"30"]]
        conn.query("COMMIT")
        assert cluster.calls(tag)["primary"] == 1
        # The unnamed one too, over a change of nodes.
        conn.send(parse("SELECT $1::int + count(*) FROM smode"), sync()).until()
        conn.send(parse("INSERT INTO smode VALUES (1000)", "w"),
                  bind([], "w"), execute(), sync()).until()
        said = conn.send(bind(["1"]), execute(), sync()).until()
        assert len([m for m in said if m.type == "D"]) == 1


def test_pipelines_cross_the_nodes_in_order(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        parts, expected = [], []
        for i in range(60):
            if i % 3 == 2:
                parts += [one_query("SELECT pg_backend_pid()"), sync()]
                expected.append(str(announced(conn)).encode())
            elif i % 3 == 1:
                parts += [query("SELECT %d FROM smode LIMIT 1" % i)]
                expected.append(b"%d" % i)
            else:
                parts += [one_query("SELECT $1::int", [i]), sync()]
                expected.append(b"%d" % i)
        conn.send(*parts)
        got = []
        for _ in range(60):
            said = conn.until()
            got += [m.values[0] for m in said if m.type == "D"]
        assert got == expected


def test_read_only_transactions(cluster, make_weir, table):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("BEGIN READ ONLY")
        assert where(cluster, conn, "SELECT count(*) AS %s FROM smode"
                     ) == {"replica"}
        conn.query("COMMIT")
        assert own_pid(conn) == announced(conn)
        assert not [m for m in conn.query(
            "INSERT INTO smode VALUES (2000)") if m.type == "E"]


def test_a_replica_that_dies_is_not_missed(own_cluster, make_weir):
    weir = session_weir(make_weir, cluster=own_cluster)
    own_cluster.sql("CREATE TABLE smode AS SELECT 1 AS i", user="app")
    own_cluster.position()
    with login(weir) as conn:
        settled(own_cluster, conn)
        own_cluster.stop("replica", "immediate")
        for _ in range(20):
            assert conn.value("SELECT i FROM smode") == "1"
        assert own_pid(conn) == announced(conn)
        own_cluster.start("replica")
        settled(own_cluster, conn)


def test_a_full_replica_pool_is_waited_for(cluster, make_weir, table):
    """Half as many servers on the replica as sessions: reads take turns."""
    weir = session_weir(make_weir, {"default_pool_size": 8, "workers": 2})
    conns = [login(weir) for _ in range(8)]
    settled(cluster, conns[0])
    wrong = []

    def read(conn):
        for i in range(60):
            if conn.value("SELECT %d + 0 * count(*) FROM smode" % i) != str(i):
                wrong.append(i)
            if i % 20 == 0 and own_pid(conn) != announced(conn):
                wrong.append("pid")

    threads = [threading.Thread(target=read, args=(c,)) for c in conns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for conn in conns:
        conn.close()
    assert not wrong


# --- losing the server ---


def test_a_lost_server_ends_its_session_in_its_words(cluster, make_weir):
    weir = session_weir(make_weir)
    with login(weir) as conn, login(weir) as other:
        settled(cluster, conn)
        cluster.sql("SELECT pg_terminate_backend(%s)", (announced(conn),))
        said = end_by(conn)
        assert said[-1].sqlstate == "57P01"
        assert said[-1].fields["M"] == (
            "terminating connection due to administrator command")
        assert own_pid(other) == announced(other)


def test_a_server_lost_while_its_session_reads_elsewhere(cluster, make_weir,
                                                         table, slow):
    weir = session_weir(make_weir)
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("BEGIN READ ONLY")
        assert where(cluster, conn, "SELECT count(*) AS %s FROM smode"
                     ) == {"replica"}
        cluster.sql("SELECT pg_terminate_backend(%s)", (announced(conn),))
        assert end_by(conn)[-1].sqlstate == "57P01"
    with login(weir) as conn:
        settled(cluster, conn, "SELECT smode_slow(1) AS %s")
        conn.send(query("SELECT smode_slow(4000)"))
        running_on_replica(cluster, "SELECT smode_slow(4000)")
        cluster.sql("SELECT pg_terminate_backend(%s)", (announced(conn),))
        said = conn.until_closed()
        # The answer is whole, and the end comes behind it.
        assert [m.type for m in said] == ["T", "D", "C", "Z", "E"]
        assert said[-1].sqlstate == "57P01"


def test_server_restart(own_cluster, make_weir):
    weir = session_weir(make_weir, cluster=own_cluster)
    with login(weir) as conn:
        own_cluster.stop("primary")
        assert end_by(conn)[-1].sqlstate == "57P01"
    own_cluster.start("primary")

    def again():
        try:
            return login(weir)
        except LoginError:
            return None
    with wait_for(again, 20, "the primary to be back") as conn:
        assert own_pid(conn) == announced(conn)


# --- leaving ---


def test_the_next_client_meets_nothing(cluster, make_weir, table):
    weir = session_weir(make_weir, {"default_pool_size": 1})
    with login(weir) as conn:
        settled(cluster, conn, OF_TABLE)
        conn.query("DISCARD ALL")
        # Behind a DISCARD ALL nothing that is seen has changed the state.
        conn.query("DO $$BEGIN PERFORM set_config('work_mem', '77MB',"
                   " false); PERFORM pg_advisory_lock(99); END$$")
        assert conn.value("SHOW work_mem") == "77MB"
        first = announced(conn)
    with login(weir) as conn:
        assert announced(conn) == first
        assert conn.value("SHOW work_mem") != "77MB"
        assert conn.value("SELECT count(*) FROM pg_locks WHERE"
                          " locktype = 'advisory'") == "0"


@pytest.mark.parametrize("cut", [0, 0.02, 0.2])
def test_clients_that_die_while_away(cluster, make_weir, table, cut):
    weir = session_weir(make_weir, {"default_pool_size": 1})
    for text in ("SELECT count(*) FROM smode a, smode b, smode c",
                 "BEGIN READ ONLY; SELECT 1", "SELECT 1", "SELECT pg_sleep(9)",
                 "SELECT repeat('x', 100000) FROM generate_series(1, 1000)"):
        conn = login(weir)
        settled(cluster, conn, OF_TABLE)
        conn.send(query(text))
        time.sleep(cut)
        conn.abort()
    with login(weir) as conn:
        assert own_pid(conn) == announced(conn)
        assert conn.value("SELECT count(*) FROM smode") == "100"


def test_drivers(make_weir, cluster, table):
    weir = session_weir(make_weir)
    with weir.connect() as conn:
        for i in range(10):
            assert conn.execute("SELECT count(*) FROM smode WHERE i > %s",
                                (i,)).fetchone() == (100 - i,)
        with conn.transaction():
            conn.execute("INSERT INTO smode VALUES (%s)", (1,))
        with conn.pipeline():
            rows = [conn.execute("SELECT %s::int", (i,)) for i in range(20)]
        assert [r.fetchone()[0] for r in rows] == list(range(20))
        assert conn.info.backend_pid == conn.execute(
            "SELECT pg_backend_pid()").fetchone()[0]
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute("SELECT * FROM nowhere")
        assert conn.execute("SELECT 1").fetchone() == (1,)
