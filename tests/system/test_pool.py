"""Pools: exact limits, first come first served, timeouts, clean hand-backs."""
import threading
import socket
import time

import psycopg
import pytest

from harness import IS_PGBOUNCER, SLOW, wait_for
from wire import (LoginError, Wire, bind, close, execute, flush, one_query,
                  parse, query, sync, terminate)

# One node, so that every statement meets the same pool.
ONE = ("primary",)


def pid(conn):
    return conn.execute("SELECT pg_backend_pid()").fetchone()[0]


def hold(weir, count, **where):
    """Clients that each keep a server by an open transaction."""
    conns = []
    for _ in range(count):
        conn = weir.connect(**where)
        conn.execute("BEGIN")
        conn.execute("SELECT 1")
        conns.append(conn)
    return conns


def release(conns):
    for conn in conns:
        conn.close()


def waits(weir, **where):
    """Whether one more client would have to wait for a server."""
    with Wire(weir.port, timeout=0.5 * SLOW) as conn:
        try:
            conn.login(**where)
            conn.query("SELECT 1")
            return False
        except TimeoutError:
            return True


class Waiter(threading.Thread):
    """One client in the queue; notes when it was served."""

    def __init__(self, weir, served, name):
        super().__init__(daemon=True)
        self.weir, self.served, self.label = weir, served, name
        self.error = None

    def run(self):
        try:
            with self.weir.connect() as conn:
                with conn.transaction():
                    conn.execute("SELECT 1")
                    self.served.append(self.label)
        except psycopg.Error as error:
            self.error = error


@pytest.mark.tsan
@pytest.mark.parametrize("size", [1, 3])
def test_pool_size_is_exact(cluster, make_weir, size):
    weir = make_weir({"default_pool_size": size, "workers": 3}, nodes=ONE)
    held = hold(weir, size)
    assert cluster.backends() == size
    assert waits(weir)
    assert cluster.backends() == size
    release(held)
    wait_for(lambda: not waits(weir), 5, "the pool to be free again")
    assert cluster.backends() <= size


def test_pool_size_of_a_database_and_of_a_user(cluster, make_weir):
    weir = make_weir(start=False, nodes=ONE)
    weir.databases = {"app": weir.node_line(pool_size=2),
                      "other": weir.node_line(pool_size=1)}
    if not IS_PGBOUNCER:
        weir.users = {"postgres": "pool_size=3"}
    weir.write_ini()
    weir.start()
    held = hold(weir, 2) + hold(weir, 1, dbname="other")
    assert waits(weir)
    assert waits(weir, database="other")
    if not IS_PGBOUNCER:
        held += hold(weir, 3, user="postgres")
        assert waits(weir, user="postgres")
    release(held)


@pytest.mark.tsan
def test_max_db_connections(cluster, make_weir):
    weir = make_weir({"default_pool_size": 5, "max_db_connections": 3,
                      "workers": 2}, nodes=ONE)
    held = hold(weir, 2) + hold(weir, 1, user="postgres")
    assert waits(weir)
    assert waits(weir, user="postgres")
    assert cluster.backends() + 1 == 3
    release(held)


def test_max_db_connections_takes_an_idle_server(cluster, make_weir):
    """An idle server of another user makes room for who waits."""
    weir = make_weir({"default_pool_size": 5, "max_db_connections": 1},
                     nodes=ONE)
    with weir.connect() as one, weir.connect(user="postgres") as two:
        for _ in range(3):
            assert one.execute("SELECT 1").fetchone() == (1,)
            assert two.execute("SELECT 2").fetchone() == (2,)


def test_max_user_connections(cluster, make_weir):
    weir = make_weir({"default_pool_size": 5, "max_user_connections": 2},
                     start=False, nodes=ONE)
    weir.databases = {"app": weir.node_line(), "two": weir.node_line()}
    weir.write_ini()
    weir.start()
    held = hold(weir, 1) + hold(weir, 1, dbname="two")
    assert waits(weir)
    assert waits(weir, database="two")
    assert not waits(weir, user="postgres")
    release(held)


@pytest.mark.tsan
def test_max_client_conn(make_weir):
    weir = make_weir({"max_client_conn": 3, "workers": 2}, nodes=ONE)
    conns = [weir.connect() for _ in range(3)]
    with Wire(weir.port) as conn:
        with pytest.raises(LoginError) as caught:
            conn.login()
        if not IS_PGBOUNCER:
            assert caught.value.sqlstate == "53300"
        assert conn.is_closed()
    conns.pop().close()

    def gets_in():
        try:
            conns.append(weir.connect())
            return True
        except psycopg.OperationalError:
            return False
    wait_for(gets_in, 5, "the place of the one who left")
    for conn in conns:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    release(conns)
    if not IS_PGBOUNCER:
        assert weir.metric("pgweir_client_rejected_total",
                           reason="max_conn") >= 1


@pytest.mark.tsan
def test_waiters_are_served_in_order(make_weir):
    weir = make_weir({"default_pool_size": 1, "workers": 3}, nodes=ONE)
    held = hold(weir, 1)
    served, waiters = [], []
    for number in range(12):
        waiters.append(Waiter(weir, served, number))
        waiters[-1].start()
        time.sleep(0.1 * SLOW)
    assert served == []
    release(held)
    for waiter in waiters:
        waiter.join(20 * SLOW)
        assert waiter.error is None
    assert served == list(range(12))


def test_query_wait_timeout(make_weir):
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 0.6},
                     nodes=ONE)
    held = hold(weir, 1)
    started = time.monotonic()
    with Wire(weir.port) as conn:
        if IS_PGBOUNCER:
            pytest.skip("PgBouncer waits at login")
        conn.login()
        conn.send(query("SELECT 1"))
        said = conn.until_closed()
    spent = time.monotonic() - started
    assert [m.type for m in said][-1] == "E"
    assert said[-1].fields["S"] == "FATAL"
    assert "query_wait_timeout" in said[-1].fields["M"]
    assert 0.5 <= spent <= 3 * SLOW
    release(held)
    with weir.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.own
def test_query_timeout_counts_the_wait(make_weir):
    """Who waits for an answer does not mind whether the query has begun."""
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 30,
                      "query_timeout": 0.6}, nodes=ONE)
    holder = hold(weir, 1)
    with Wire(weir.port, timeout=10) as conn:
        conn.login()
        start = time.monotonic()
        conn.send(query("SELECT 1"))
        said = conn.until_closed()
        took = time.monotonic() - start
    assert said[-1].sqlstate == "57014", said
    assert "query_timeout" in said[-1].fields["M"]
    assert 0.5 < took < 3 * SLOW
    release(holder)


@pytest.mark.own
def test_query_wait_timeout_of_one_user_leaves_others_alone(make_weir):
    weir = make_weir({"default_pool_size": 1, "query_wait_timeout": 30},
                     users={"postgres": "query_wait_timeout=0.4"}, nodes=ONE)
    held = hold(weir, 1) + hold(weir, 1, user="postgres")
    with Wire(weir.port) as one, Wire(weir.port) as two:
        one.login(user="postgres")
        two.login()
        one.send(query("SELECT 1"))
        two.send(query("SELECT 1"))
        assert one.is_closed(5 * SLOW)
        release(held)
        assert two.until()[-1].type == "Z"


@pytest.mark.own
def test_client_idle_timeout_of_one_user_leaves_others_alone(make_weir):
    weir = make_weir(users={"postgres": "client_idle_timeout=0.4"}, nodes=ONE)
    with Wire(weir.port) as one, Wire(weir.port) as two:
        one.login(user="postgres")
        two.login()
        assert one.is_closed(5 * SLOW)
        time.sleep(0.5 * SLOW)
        assert two.value("SELECT 5") == "5"


def test_server_idle_timeout(cluster, make_weir):
    weir = make_weir({"server_idle_timeout": 0.6}, nodes=ONE)
    with weir.connect() as conn:
        first = pid(conn)
        assert pid(conn) == first
        wait_for(lambda: cluster.backends() == 0, 5, "an idle server to go")
        assert pid(conn) != first


def test_server_lifetime(cluster, make_weir):
    weir = make_weir({"server_lifetime": 0.7}, nodes=ONE)
    with weir.connect() as conn:
        first = pid(conn)
        conn.execute("BEGIN; SELECT 1")
        held = pid(conn)
        time.sleep(1.5 * SLOW)
        assert pid(conn) == held, "a lifetime must not cut a transaction"
        conn.execute("COMMIT")
        wait_for(lambda: pid(conn) != first, 5, "another server")


@pytest.mark.own
def test_idle_transaction_timeout(cluster, make_weir):
    weir = make_weir({"idle_transaction_timeout": 0.5}, nodes=ONE)
    with Wire(weir.port) as conn, Wire(weir.port) as calm:
        calm.login()
        conn.login()
        conn.query("BEGIN; SELECT 1")
        said = conn.until_closed()
        assert said[-1].type == "E" and said[-1].fields["S"] == "FATAL"
        assert said[-1].sqlstate == "25P03"
        # Outside a transaction idleness is nobody's business.
        time.sleep(0.5 * SLOW)
        assert calm.value("SELECT 1") == "1"
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND"
        " state LIKE 'idle in transaction%'") == 0, 5, "no open transaction")


@pytest.mark.own
@pytest.mark.tsan
@pytest.mark.parametrize("leave", ["terminate", "close", "reset"])
@pytest.mark.parametrize("state", ["open", "failed"])
def test_leaving_in_a_transaction_costs_a_rollback(cluster, make_weir, leave,
                                                   state):
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    cluster.sql("CREATE TABLE IF NOT EXISTS pool_left (i int)", user="app")
    with weir.connect() as conn:
        server = pid(conn)
    conn = Wire(weir.port)
    conn.login()
    conn.query("BEGIN")
    conn.query("INSERT INTO pool_left VALUES (1)")
    if state == "failed":
        conn.query("SELECT 1 / 0")
    if leave == "terminate":
        conn.send(b"X\0\0\0\4")
        conn.close()
    elif leave == "close":
        conn.close()
    else:
        conn.abort()
    with weir.connect() as conn:
        assert pid(conn) == server, "the server was thrown away"
        assert conn.execute("SELECT count(*) FROM pool_left"
                            ).fetchone() == (0,)
        assert conn.info.transaction_status == \
            psycopg.pq.TransactionStatus.IDLE


@pytest.mark.own
@pytest.mark.own
def test_leaving_behind_a_question(make_weir):
    """What stands in front of a Terminate is answered before the end, as
    PostgreSQL does; what cursors of node-postgres do when they are ended."""
    weir = make_weir(nodes=ONE)
    one = one_query("SELECT 1")
    for parts, end in (
            ([query("SELECT 1")], ["T", "D", "C", "Z"]),
            ([query("SELECT pg_sleep(0.2)"), one, sync()],
             ["T", "D", "C", "Z", "1", "2", "T", "D", "C", "Z"]),
            ([query("BEGIN"), query("SELECT 1/0")], ["C", "Z", "E", "Z"])):
        with Wire(weir.port, timeout=10 * SLOW) as conn:
            conn.login()
            conn.send(*parts, terminate())
            assert [m.type for m in conn.until_closed()] == end
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        conn.send(parse("SELECT generate_series(1, 6)"), bind(),
                  execute("", 3), flush())
        conn.until("s")
        conn.send(close("P"), sync(), terminate())
        assert [m.type for m in conn.until_closed()] == ["3", "Z"]
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        conn.send(query("SELECT repeat('x', 1000) FROM"
                        " generate_series(1, 20000)"), terminate())
        said = conn.until_closed()
        assert [m.type for m in said[-2:]] == ["C", "Z"]
        assert len(said) == 20003
    wait_for(lambda: weir.metric("pgweir_client_connections") in (0, None),
             what="clients gone")


@pytest.mark.own
def test_leaving_and_hanging_up(cluster, make_weir):
    """The same of one that closes its end behind the Terminate, as
    node-postgres does: what it said is done."""
    cluster.sql("CREATE TABLE IF NOT EXISTS hung_up (i int)", user="app")
    weir = make_weir(nodes=ONE)
    for number, port in enumerate((cluster.ports["primary"], weir.port)):
        with Wire(port, timeout=10 * SLOW) as conn:
            conn.login()
            conn.send(query("SELECT pg_sleep(0.3)"),
                      query("INSERT INTO hung_up VALUES (%d)" % number),
                      one_query("SELECT 1"), sync(), terminate())
            conn.sock.shutdown(socket.SHUT_WR)
            assert [m.type for m in conn.until_closed()] \
                == ["T", "D", "C", "Z", "C", "Z", "1", "2", "T", "D", "C", "Z"]
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        conn.send(query("SELECT repeat('x', 1000) FROM"
                        " generate_series(1, 20000)"), terminate())
        conn.sock.shutdown(socket.SHUT_WR)
        assert len(conn.until_closed()) == 20003
    assert cluster.sql("SELECT i FROM hung_up ORDER BY 1") == [(0,), (1,)]
    cluster.sql("DROP TABLE hung_up")
    wait_for(lambda: weir.metric("pgweir_client_connections") in (0, None),
             what="clients gone")


@pytest.mark.own
def test_hanging_up_in_the_queue(cluster, make_weir):
    """Nobody is there to hear of it; it is done all the same."""
    cluster.sql("CREATE TABLE IF NOT EXISTS hung_up (i int)", user="app")
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    with Wire(weir.port) as other, Wire(weir.port) as conn:
        other.login()
        conn.login()
        other.query("BEGIN")
        other.query("INSERT INTO hung_up VALUES (1)")
        conn.send(query("INSERT INTO hung_up VALUES (2)"), terminate())
        conn.sock.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        other.query("COMMIT")
        assert [m.type for m in conn.until_closed()] == ["C", "Z"]
    assert cluster.sql("SELECT i FROM hung_up ORDER BY 1") == [(1,), (2,)]
    cluster.sql("DROP TABLE hung_up")


def test_leaving_while_a_query_runs(cluster, make_weir):
    """The next user of the server sees nothing of the one before."""
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    for cut in (0.0, 0.02, 0.1):
        conn = Wire(weir.port)
        conn.login()
        conn.send(query("SELECT g, repeat('x', 500) FROM"
                        " generate_series(1, 20000) g"))
        time.sleep(cut)
        conn.abort()
        with weir.connect() as other:
            assert other.execute("SELECT 'mine'").fetchone() == ("mine",)
    conn = Wire(weir.port)
    conn.login()
    conn.send(query("SELECT pg_sleep(60)"))
    time.sleep(0.2)
    conn.close()
    with weir.connect() as other:
        assert other.execute("SELECT 'mine'").fetchone() == ("mine",)
    wait_for(lambda: cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT"
        " pg_sleep(60)%' AND state = 'active'") == 0, 5,
        "the abandoned query to be cancelled")


def test_servers_are_shared_in_transaction_mode(make_weir):
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    with weir.connect() as one, weir.connect() as two:
        assert pid(one) == pid(two) == pid(one)


def test_session_mode(cluster, make_weir):
    weir = make_weir({"pool_mode": "session", "default_pool_size": 2},
                     nodes=ONE)
    with weir.connect() as one, weir.connect() as two:
        first = pid(one)
        assert first != pid(two)
        one.execute("SET work_mem = '77MB'")
        one.execute("CREATE TEMP TABLE pool_temp (i int)")
        assert waits(weir)
        assert pid(one) == first
        assert one.execute("SHOW work_mem").fetchone() == ("77MB",)
    with weir.connect() as three:
        # Same server, cleaned by server_reset_query.
        assert three.execute("SHOW work_mem").fetchone() != ("77MB",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            three.execute("SELECT * FROM pool_temp")


@pytest.mark.own
def test_session_mode_of_one_user(make_weir):
    weir = make_weir({"default_pool_size": 2}, nodes=ONE,
                     users={"postgres": "pool_mode=session"})
    with weir.connect(user="postgres") as one, weir.connect(
            user="postgres") as two, weir.connect() as three:
        assert pid(one) != pid(two)
        assert pid(one) == pid(one)
        assert pid(three) == pid(three)


def test_statement_mode(make_weir):
    weir = make_weir({"pool_mode": "statement"}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.login()
        assert conn.value("SELECT 1") == "1"
        conn.send(query("BEGIN"))
        said = conn.until_closed()
        errors = [m for m in said if m.type == "E"]
        assert errors and "transaction" in errors[-1].fields["M"]
    with Wire(weir.port) as conn:
        conn.login()
        assert conn.value("SELECT 2") == "2"


def test_min_pool_size(cluster, make_weir):
    weir = make_weir({"min_pool_size": 4, "default_pool_size": 6}, nodes=ONE)
    with weir.connect() as conn:
        conn.execute("SELECT 1")
        wait_for(lambda: cluster.backends() == 4, 10,
                 "four servers to be kept open")


@pytest.mark.tsan
def test_server_that_dies_idle_is_replaced(cluster, make_weir):
    weir = make_weir({"default_pool_size": 2}, nodes=ONE)
    with weir.connect() as conn:
        for _ in range(5):
            server = pid(conn)
            cluster.value("SELECT pg_terminate_backend(%s, 3000)", (server,))
            time.sleep(0.1 * SLOW)
            assert pid(conn) != server


def test_server_that_dies_in_a_transaction(cluster, make_weir):
    weir = make_weir({"default_pool_size": 2}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.login()
        conn.query("BEGIN; SELECT 1")
        server = int(conn.value("SELECT pg_backend_pid()"))
        cluster.value("SELECT pg_terminate_backend(%s, 3000)", (server,))
        conn.send(query("SELECT 1"))
        said = conn.until_closed()
        errors = [m for m in said if m.type == "E"]
        assert errors, "the client must be told"
        assert errors[0].sqlstate in ("57P01", "08006", "08P01")
    with weir.connect() as other:
        assert other.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.own
def test_reset_of_counts_after_failed_logins(make_weir):
    """Refused logins must not eat the client limit."""
    weir = make_weir({"max_client_conn": 3}, nodes=ONE)
    for _ in range(12):
        with Wire(weir.port) as conn:
            with pytest.raises(LoginError):
                conn.login(database="no_such_database_line")
    conns = [weir.connect() for _ in range(3)]
    release(conns)


@pytest.mark.own
@pytest.mark.tsan
def test_cancel_never_hits_the_next_client(make_weir):
    """A hundred cancels for one client while another uses the server."""
    import wire
    weir = make_weir({"default_pool_size": 1}, nodes=ONE)
    with Wire(weir.port) as one, Wire(weir.port) as two:
        one.login()
        two.login()
        failures = []

        def spam():
            for _ in range(100):
                wire.cancel(weir.port, one.cancel_key)
        thread = threading.Thread(target=spam)
        thread.start()
        while thread.is_alive():
            replies = two.query("SELECT count(*) FROM generate_series(1,"
                                " 5000)")
            failures += [m.fields for m in replies if m.type == "E"]
        thread.join()
        assert not failures
        assert one.value("SELECT 1") == "1"


@pytest.mark.own
def test_two_hundred_batches_in_flight(make_weir):
    weir = make_weir({"default_pool_size": 2}, nodes=ONE)
    with Wire(weir.port, timeout=30) as conn:
        conn.login()
        conn.send(*(parse("SELECT %d" % n) + bind() + execute() + sync()
                    for n in range(200)))
        for n in range(200):
            rows = [m.values for m in conn.until() if m.type == "D"]
            assert rows == [[str(n).encode()]]


def test_unnamed_statements_of_clients_on_two_workers(make_weir):
    """One server goes from worker to worker; neither client may be taken for
    the other because both have used it the same number of times."""
    weir = make_weir({"default_pool_size": 1, "workers": 2}, nodes=ONE)
    with Wire(weir.port) as one, Wire(weir.port) as other:
        for conn, sql in ((one, "SELECT 'one'"), (other, "SELECT 'other'")):
            conn.login()
            conn.send(parse(sql), sync()).until()
        for conn, said in ((one, b"one"), (other, b"other"), (one, b"one")):
            conn.send(bind(), execute(), sync())
            assert [m.values for m in conn.until() if m.type == "D"] == [
                [said]]
