"""BEGIN is answered by pgweir, and goes to a server with the first statement:
to the client all is as on the primary, and meanwhile no server is held."""
import threading
import time

import pytest

from blocks import extended, play, play_at_once, said, simple, wait_for_catalog
from harness import SLOW, wait_for
from wire import (Wire, bind, cancel, close, describe, execute, flush,
                  one_query, parse, query, sync)

pytestmark = pytest.mark.own

READ = "SELECT count(*) FROM deferred"


@pytest.fixture(scope="module")
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS deferred; CREATE TABLE deferred AS"
                " SELECT i FROM generate_series(1, 10) i", user="app")
    cluster.position()


@pytest.fixture
def weir(make_weir, cluster, table):
    weir = make_weir({"workers": 1, "begin_wait": 60})
    look_up(cluster, weir)
    return weir


def look_up(cluster, weir):
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        wait_for_catalog(cluster, conn, "deferred")


def described(conn, text):
    return said(conn.send(parse(text), describe("", "S"), bind(), describe(),
                          execute(), sync()).until())


WAYS = {"simple": simple, "extended": extended, "described": described}

BLOCKS = {
    "nothing": ["BEGIN", "COMMIT"],
    "nothing_rolled_back": ["START TRANSACTION", "ROLLBACK"],
    "words": ["begin work", "end transaction", "Begin Transaction;", "ABORT"],
    "modes": ["BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
              "SHOW transaction_isolation", "SHOW transaction_read_only",
              "SHOW transaction_deferrable", "COMMIT"],
    "set_later": ["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                  "SET TRANSACTION READ ONLY", "SHOW transaction_isolation",
                  "SHOW transaction_read_only", READ, "COMMIT"],
    "set_alone": ["BEGIN", "SET TRANSACTION READ ONLY", "COMMIT",
                  "INSERT INTO deferred SELECT 1 WHERE false"],
    "to_read_write": ["BEGIN READ ONLY", "SET TRANSACTION READ WRITE",
                      "INSERT INTO deferred VALUES (99)", READ, "ROLLBACK"],
    "to_read_only": ["BEGIN READ WRITE", "SET TRANSACTION READ ONLY",
                     "INSERT INTO deferred VALUES (99)", "ROLLBACK"],
    "not_understood": ["BEGIN ISOLATION LEVEL FOO", "BEGIN READ", "BEGIN",
                       "SET TRANSACTION READ", READ, "COMMIT"],
    "twice": ["BEGIN", "BEGIN", "INSERT INTO deferred VALUES (1)",
              "ROLLBACK", "ROLLBACK"],
    "twice_read_only": ["BEGIN READ ONLY", "BEGIN READ WRITE", READ,
                        "ROLLBACK"],
    "no_transaction": ["COMMIT", "ROLLBACK", "SET TRANSACTION READ ONLY"],
    "chained": ["BEGIN", "COMMIT AND CHAIN", READ, "ROLLBACK AND CHAIN",
                "COMMIT"],
    "chained_modes": ["BEGIN READ ONLY", "SET TRANSACTION ISOLATION LEVEL"
                      " REPEATABLE READ", READ, "COMMIT AND CHAIN",
                      "SHOW transaction_isolation",
                      "SHOW transaction_read_only", "COMMIT"],
    "savepoint": ["BEGIN", "SAVEPOINT a", "INSERT INTO deferred VALUES (5)",
                  "ROLLBACK TO a", READ, "COMMIT"],
    "savepoint_then_modes": ["BEGIN", "SAVEPOINT a",
                             "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                             "ROLLBACK"],
    "failed": ["BEGIN", "SELECT 1/0", READ, "COMMIT", READ],
    "failed_commit": ["BEGIN", "nonsense", "BEGIN", "ROLLBACK"],
    "write": ["BEGIN", "INSERT INTO deferred VALUES (70)", READ, "COMMIT",
              "DELETE FROM deferred WHERE i = 70"],
    "empty": ["BEGIN", "", "COMMIT"],
    "string": ["BEGIN; SELECT 1", READ, "COMMIT; SELECT 2"],
    "string_ends": ["BEGIN", "SELECT 1; COMMIT", "BEGIN", "COMMIT; SELECT 3"],
    "set_local": ["BEGIN", "SET LOCAL work_mem = '5MB'", "SHOW work_mem",
                  "COMMIT", "SHOW work_mem"],
    "set": ["BEGIN", "SET work_mem = '6MB'", "COMMIT", "SHOW work_mem",
            "RESET work_mem"],
    "cursor": ["BEGIN", "DECLARE c CURSOR FOR SELECT i FROM deferred ORDER"
               " BY i", "FETCH 2 FROM c", "COMMIT"],
    "snapshot": ["BEGIN ISOLATION LEVEL REPEATABLE READ",
                 "SET TRANSACTION SNAPSHOT 'none'", "ROLLBACK"],
    "two_phase": ["BEGIN", "PREPARE TRANSACTION 'deferred'",
                  "ROLLBACK PREPARED 'deferred'"],
    "no_block": ["BEGIN", "VACUUM deferred", "ROLLBACK"],
    "clock": ["BEGIN", "SELECT now() = transaction_timestamp(),"
              " now() <= clock_timestamp()", "COMMIT"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BLOCKS)
def test_as_postgresql_says(cluster, weir, name, way):
    talks = play(cluster, weir, BLOCKS[name], WAYS[way])
    assert talks[0] == talks[1]


@pytest.mark.parametrize("name", BLOCKS)
def test_in_one_pipeline(cluster, weir, name):
    talks = play_at_once(cluster, weir, BLOCKS[name])
    assert talks[0] == talks[1]


BATCHES = {
    "begin_and_read": [one_query("BEGIN"), one_query(READ), sync(),
                       one_query("COMMIT"), sync()],
    "begin_and_error": [one_query("BEGIN"), one_query("SELECT 1/0"), sync(),
                        query("SELECT 2"), query("ROLLBACK")],
    "whole": [one_query("BEGIN"), one_query("SELECT 1"), one_query("COMMIT"),
              sync()],
    "flushed": [one_query("BEGIN"), flush(), one_query("SELECT 1"), sync(),
                query("COMMIT")],
    "run_again": [one_query("BEGIN"), sync(), bind(), execute(), sync(),
                  query("ROLLBACK")],
    "parsed_alone": [parse("BEGIN"), sync(), bind(), execute(), sync(),
                     parse("SELECT 4"), sync(), bind(), execute(), sync(),
                     query("COMMIT")],
    "named": [parse("BEGIN", "b"), sync(), parse("COMMIT", "c"), sync(),
              bind([], "b"), execute(), sync(), bind([], "c"), execute(),
              sync(), bind([], "b"), execute(), sync(), query("SELECT 5"),
              bind([], "c"), execute(), sync()],
    "portal_again": [one_query("BEGIN"), sync(), parse("SELECT 1", "s"),
                     sync(), execute(), sync(), execute(), sync(),
                     query("ROLLBACK")],
    "portal_again_at_once": [one_query("BEGIN"), sync(), execute(), sync(),
                             query("ROLLBACK"), execute(), sync()],
    "portal_again_in_batch": [one_query("BEGIN"), parse("SELECT 1", "s"),
                              execute(), parse("SELECT 2"), sync(),
                              execute(), sync(), query("ROLLBACK")],
    "portal_of_a_failed_block": [one_query("BEGIN"), parse("nonsense"),
                                 sync(), execute(), sync(), execute(), sync(),
                                 query("ROLLBACK"), execute(), sync()],
    "portal_and_failed_bind": [one_query("BEGIN"), sync(),
                               parse("SELECT 1", "s"), bind([1], "s"), sync(),
                               execute(), sync(), execute("p"), sync(),
                               query("ROLLBACK")],
    "portal_and_good_bind": [one_query("BEGIN"), sync(),
                             parse("VALUES (1), (2), (3)", "s"),
                             bind([], "s"), execute("", 1), sync(),
                             execute("", 1), sync(), parse("nonsense"),
                             sync(), execute(), sync(), query("ROLLBACK")],
    "portal_described": [one_query("BEGIN"), sync(), parse("SELECT 1", "s"),
                         sync(), describe(), sync(), execute(), sync(),
                         describe(), execute(), sync(), query("ROLLBACK")],
    "portal_described_failed": [one_query("BEGIN"), parse("nonsense"), sync(),
                                describe(), sync(), execute(), sync(),
                                query("ROLLBACK")],
    "portal_closed": [one_query("BEGIN"), sync(), close("P", ""), execute(),
                      sync(), query("ROLLBACK")],
    "portal_and_query": [one_query("BEGIN"), sync(), query("SELECT 1"),
                         execute(), sync(), query("ROLLBACK")],
    "portal_of_an_end": [one_query("BEGIN"), sync(), parse("ROLLBACK", "r"),
                         sync(), query("SELECT 1/0"), bind([], "r"), sync(),
                         execute(), sync(), execute(), sync()],
    "portal_of_modes": [one_query("BEGIN"), sync(),
                        one_query("SET TRANSACTION READ ONLY"), sync(),
                        execute(), sync(), query("ROLLBACK")],
    "closed": [query("BEGIN"), parse("SELECT 1", "s"), sync(),
               close("S", "s"), sync(), query("COMMIT")],
    "sync_alone": [query("BEGIN"), sync(), sync(), query("COMMIT"), sync()],
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches(cluster, weir, name):
    """Each part that is answered waits for it, then all at once."""
    ends = [i for i, part in enumerate(BATCHES[name])
            if part[:1] == b"Q" or part == sync()]
    talks = []
    for port in (cluster.ports["primary"], weir.port):
        for at_once in (False, True):
            with Wire(port, timeout=10 * SLOW) as conn:
                conn.login()
                got = []
                if at_once:
                    conn.send(*BATCHES[name])
                for i, part in enumerate(BATCHES[name]):
                    if not at_once:
                        conn.send(part)
                    if i in ends:
                        got.append(said(conn.until()))
                talks.append(got)
    assert talks[0] == talks[1] == talks[2] == talks[3]


def nodes_of(cluster, conn, way, texts):
    tag = cluster.fresh()
    for text in texts:
        WAYS[way](conn, text.replace("count(*)", "count(*) AS " + tag))
    return {n for n, calls in cluster.calls(tag).items() if calls}


@pytest.mark.parametrize("way", WAYS)
def test_the_first_statement_decides(cluster, weir, way):
    rows = [
        (["BEGIN", "SET TRANSACTION READ ONLY", READ, READ, "COMMIT"],
         {"replica"}),
        (["BEGIN READ ONLY", "SET TRANSACTION READ WRITE", READ, "COMMIT"],
         {"primary"}),
        (["BEGIN", READ, "COMMIT"], {"primary"}),
        (["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY",
          READ, "COMMIT"], {"primary"}),
        (["/* pgweir: primary */ BEGIN READ ONLY", READ, "COMMIT"],
         {"primary"}),
        (["BEGIN READ ONLY", "LOCK TABLE deferred IN ACCESS SHARE MODE", READ,
          "COMMIT"], {"primary"}),
    ]
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        for texts, where in rows:
            assert nodes_of(cluster, conn, way, texts) == where, texts


def test_a_block_without_a_statement_needs_no_server(make_weir, table):
    weir = make_weir({"default_pool_size": 1, "workers": 1, "begin_wait": 60})
    with Wire(weir.port, timeout=10 * SLOW) as holder, \
            Wire(weir.port, timeout=10 * SLOW) as client:
        holder.login()
        client.login()
        holder.query("BEGIN")
        holder.query("SELECT 1")
        for texts in (["BEGIN", "COMMIT"], ["BEGIN", "ROLLBACK"],
                      ["START TRANSACTION READ ONLY",
                       "SET TRANSACTION READ WRITE", "END"]):
            for way in WAYS.values():
                for text in texts:
                    way(client, text)
        assert client.status == "I"
        client.query("BEGIN")
        assert client.status == "T"
        holder.query("COMMIT")
        # A server is held from here on only.
        assert holder.value("SELECT 2") == "2"
        client.query("INSERT INTO deferred SELECT 1 WHERE false")
        holder.send(query("SELECT 3"))
        time.sleep(0.2)
        client.query("COMMIT")
        assert [m.type for m in holder.until()] == ["T", "D", "C", "Z"]


def test_a_begin_that_nothing_follows_is_sent(cluster, make_weir, table):
    """Then PostgreSQL shows it, and its own time limits hold."""
    weir = make_weir({"workers": 1, "begin_wait": 0.1})
    seen = ("SELECT count(*) FROM pg_stat_activity WHERE state ="
            " 'idle in transaction' AND query ~ '^BEGIN /. seen'")
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        conn.query("BEGIN /* seen */")
        wait_for(lambda: cluster.value(seen) == 1, what="the transaction")
        before = conn.value("SELECT clock_timestamp()")
        assert conn.value("SELECT now() < '%s'" % before) == "t"
        conn.query("ROLLBACK")
        conn.query("SET idle_in_transaction_session_timeout = 100")
        conn.query("BEGIN")
        got = conn.recv()
        assert (got.type, got.sqlstate) == ("E", "25P03")


def test_it_waits_in_the_queue_and_leaves_it(make_weir, table):
    """Nobody is held up by a BEGIN whose COMMIT needs no server."""
    weir = make_weir({"default_pool_size": 1, "workers": 1,
                      "begin_wait": 0.05})
    with Wire(weir.port, timeout=10 * SLOW) as holder, \
            Wire(weir.port, timeout=10 * SLOW) as client:
        holder.login()
        client.login()
        holder.query("BEGIN")
        holder.query("SELECT 1")
        client.query("BEGIN")
        time.sleep(0.3)
        assert [m.type for m in client.query("COMMIT")] == ["C", "Z"]
        client.query("BEGIN")
        time.sleep(0.3)
        client.send(query("SELECT 2"))
        time.sleep(0.1)
        cancel(weir.port, client.cancel_key)
        error, _ = client.until()
        assert error.sqlstate == "57014" and client.status == "E"
        assert [m.type for m in client.query("COMMIT")] == ["C", "Z"]
        assert client.status == "I"
        holder.query("COMMIT")


def test_the_limits_of_a_transaction_hold(make_weir, table):
    for limits, sqlstate in (({"idle_transaction_timeout": 0.2}, "25P03"),
                             ({"transaction_timeout": 0.2}, "25P04")):
        weir = make_weir({"workers": 1, "begin_wait": 60, **limits})
        with Wire(weir.port, timeout=10 * SLOW) as conn:
            conn.login()
            conn.query("BEGIN")
            assert conn.recv().sqlstate == sqlstate


def test_a_client_that_leaves(cluster, weir):
    for texts in (["BEGIN"], ["BEGIN", "SET TRANSACTION READ ONLY"],
                  ["BEGIN", "INSERT INTO deferred VALUES (77)"]):
        conn = Wire(weir.port)
        conn.login()
        for text in texts:
            conn.query(text)
        conn.abort()
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        assert conn.value("SELECT count(*) FROM deferred WHERE i = 77") == "0"
        assert conn.status == "I"


def test_many_clients_in_few_servers(make_weir, table):
    """Transactions of all in two servers, each with what it was told."""
    weir = make_weir({"default_pool_size": 2, "workers": 2,
                      "begin_wait": 0.02})
    errors = []

    def work(number):
        try:
            with Wire(weir.port, timeout=20 * SLOW) as conn:
                conn.login()
                for turn in range(15):
                    conn.query("BEGIN")
                    if turn % 5 == number % 5:
                        time.sleep(0.03)
                    conn.query("SET LOCAL my.number = '%d'" % number)
                    if turn % 3:
                        assert conn.value("SHOW my.number") == str(number)
                    conn.query("ROLLBACK" if turn % 2 else "COMMIT")
                    assert conn.status == "I"
        except Exception as error:  # noqa: BLE001 - told by the test
            errors.append(error)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
