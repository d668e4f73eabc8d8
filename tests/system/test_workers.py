"""Which worker has a client, and clients that go from one to another."""
import re
import signal
import threading
import time

import psycopg
import pytest

from harness import wait_for
from wire import Wire, bind, execute, parse, query, sync

pytestmark = [pytest.mark.own, pytest.mark.tsan]
ONE = ("primary",)
# So low that whoever does anything is busy: clients move all the time.
RESTLESS = {"workers": 3, "worker_fill": 1, "default_pool_size": 4}
NOISY = ("-v", "-v", "-v")


def moves(weir):
    """How often each client has moved, by its address."""
    out = {}
    for who in re.findall(r"client (\S+): moved to worker", weir.log()):
        out[who] = out.get(who, 0) + 1
    return out


def until_moved(weir, work, count, timeout=30):
    """Works until so many clients have moved."""
    def done():
        work()
        return len(moves(weir)) >= count
    wait_for(done, timeout, "%d clients to move" % count, step=0)


def test_few_clients_share_a_worker(make_weir):
    weir = make_weir({"workers": 2, "worker_fill": 60}, nodes=ONE)
    conns = [weir.connect() for _ in range(6)]
    # Process numbers tell the worker: they are dealt out by turns.
    pids = [conn.info.backend_pid for conn in conns]
    assert len({pid % 2 for pid in pids}) == 1
    for conn in conns:
        conn.close()


def test_in_turn(make_weir):
    weir = make_weir({"workers": 2, "worker_fill": 0}, nodes=ONE)
    conns = [weir.connect() for _ in range(6)]
    pids = [conn.info.backend_pid for conn in conns]
    assert len([pid for pid in pids if pid % 2]) == 3
    for conn in conns:
        conn.close()


def test_state_goes_with_the_client(make_weir):
    """Settings, names of statements and the unnamed one, wherever it is."""
    weir = make_weir(RESTLESS, nodes=ONE, args=NOISY)
    wires = [Wire(weir.port) for _ in range(6)]
    for number, wire in enumerate(wires):
        wire.login(application_name="app%d" % number)
        wire.query("SET TimeZone TO 'Etc/GMT+%d'" % (number + 1))
        wire.send(parse("SELECT 'named %d'" % number, "one"),
                  parse("SELECT 'unnamed %d', current_setting("
                        "'application_name')" % number), sync()).until()

    def work():
        for _ in range(20):
            for number, wire in enumerate(wires):
                wire.send(bind(name="one"), execute(), bind(), execute(),
                          sync())
                rows = [m.values for m in wire.until() if m.type == "D"]
                assert rows == [[b"named %d" % number],
                                [b"unnamed %d" % number,
                                 b"app%d" % number]]
        for number, wire in enumerate(wires):
            wire.send(query("SHOW TimeZone"))
            rows = [m.values for m in wire.until() if m.type == "D"]
            assert rows == [[b"Etc/GMT+%d" % (number + 1)]]
            # A simple query has ended the unnamed statement.
            wire.send(parse("SELECT 'unnamed %d', current_setting("
                            "'application_name')" % number), sync()).until()

    until_moved(weir, work, 4)
    for wire in wires:
        wire.close()
    wait_for(lambda: weir.metrics()[
        'pgweir_client_connections{database="app",user="app",state="idle"}']
        == 0, what="all clients to be counted out")


def test_cancel_finds_a_client_that_has_moved(make_weir):
    weir = make_weir(RESTLESS, nodes=ONE, args=NOISY)
    conns = [weir.connect() for _ in range(6)]

    def work():
        for conn in conns * 20:
            conn.execute("SELECT 1")

    until_moved(weir, work, 3)
    moved = moves(weir)
    for conn in conns:
        said = []

        def run(conn=conn, said=said):
            try:
                conn.execute("SELECT pg_sleep(20)")
            except psycopg.errors.QueryCanceled as error:
                said.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.3)
        conn.cancel()
        thread.join(10)
        assert said
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert moved
    for conn in conns:
        conn.close()


def test_transactions_are_not_torn(make_weir, cluster):
    """Clients move between transactions only, in queues or not."""
    weir = make_weir({**RESTLESS, "default_pool_size": 2}, nodes=ONE,
                     args=NOISY)
    cluster.sql("DROP TABLE IF EXISTS moved")
    cluster.sql("CREATE TABLE moved (who int, step int, xact xid8)",
                user="app")
    stop = threading.Event()
    failures, done = [], []

    def work(number):
        try:
            with weir.connect() as conn:
                count = 0
                while not stop.is_set():
                    with conn.transaction():
                        for step in range(3):
                            conn.execute(
                                "INSERT INTO moved VALUES (%s, %s,"
                                " pg_current_xact_id())", (number, step))
                    count += 1
                done.append(count)
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    try:
        until_moved(weir, lambda: time.sleep(0.1), 5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert cluster.sql(
        "SELECT count(*), count(DISTINCT xact), count(DISTINCT (xact, who))"
        " FROM moved", user="app") == [(3 * sum(done), sum(done), sum(done))]
    cluster.sql("DROP TABLE moved")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGQUIT])
def test_stopping_while_clients_move(make_weir, number):
    weir = make_weir({**RESTLESS, "default_pool_size": 2}, nodes=ONE,
                     args=NOISY)
    stop = threading.Event()

    def work():
        try:
            with weir.connect() as conn:
                while not stop.is_set():
                    conn.execute("SELECT 1")
        except psycopg.Error:
            pass

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        until_moved(weir, lambda: time.sleep(0.05), 4)
    finally:
        weir.signal(number)
        if number == signal.SIGINT:
            stop.set()
        weir.process.wait(20)
        stop.set()
        for thread in threads:
            thread.join()
    assert weir.process.returncode == 0


def test_numbers_are_not_soon_used_again(cluster, make_weir):
    """Pools of drivers tell their connections apart by them (pgx)."""
    weir = make_weir({"workers": 1})
    seen = []
    with Wire(weir.port) as stays:
        stays.login()
        for _ in range(30):
            with Wire(weir.port) as wire:
                key = [m for m in wire.login() if m.type == "K"]
            seen.append(key[0].payload[:4])
    assert len(set(seen)) == len(seen)
