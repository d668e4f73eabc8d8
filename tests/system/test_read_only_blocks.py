"""Blocks that begin READ ONLY: they run on a replica, and what no replica can
do takes them to the primary. Each is played straight on the primary as well,
and the client must not see a difference."""
import threading
import time

import pytest

from blocks import extended, play, play_at_once, said, simple, wait_for_catalog
from harness import SLOW, wait_for
from wire import (Wire, bind, cancel, describe, execute, flush, parse, query,
                  sync)

pytestmark = pytest.mark.own

READ = "SELECT count(*) FROM blocks"


@pytest.fixture(scope="module")
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS blocks; CREATE TABLE blocks AS"
                " SELECT i FROM generate_series(1, 10) i", user="app")
    cluster.position()


@pytest.fixture(params=["transaction", "session"])
def weir(request, make_weir, cluster, table):
    weir = make_weir({"pool_mode": request.param, "workers": 1,
                      "read_after_write_window": 0})
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        wait_for_catalog(cluster, conn, "blocks")
    return weir


def by_flush(conn, text):
    conn.send(parse(text), flush())
    first = conn.recv()
    if first.type == "E":
        return said([first] + conn.send(sync()).until())
    return said([first] + conn.send(bind(), execute(), sync()).until())


WAYS = {"simple": simple, "extended": extended, "flush": by_flush}

BLOCKS = {
    "reads": ["BEGIN READ ONLY", READ, READ, "COMMIT"],
    "write": ["BEGIN READ ONLY", READ, "INSERT INTO blocks VALUES (1)",
              READ, "ROLLBACK"],
    "write_at_once": ["BEGIN READ ONLY", "INSERT INTO blocks VALUES (1)",
                      "COMMIT"],
    "to_read_write": ["BEGIN READ ONLY", "SET TRANSACTION READ WRITE",
                      "INSERT INTO blocks VALUES (99)", READ, "ROLLBACK"],
    "to_read_write_late": ["BEGIN READ ONLY", READ,
                           "SET TRANSACTION READ WRITE", "ROLLBACK"],
    "lock": ["BEGIN READ ONLY", READ,
             "LOCK TABLE blocks IN ACCESS SHARE MODE",
             "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock'"
             " AND relation = 'blocks'::regclass"
             " AND pid = pg_backend_pid()", "COMMIT"],
    "notify": ["BEGIN READ ONLY", READ, "NOTIFY blocks", "COMMIT"],
    "prepare": ["BEGIN READ ONLY", READ, "PREPARE blocks_p AS SELECT 7",
                "EXECUTE blocks_p", "COMMIT", "EXECUTE blocks_p",
                "INSERT INTO blocks SELECT 1 WHERE false",
                "DEALLOCATE blocks_p"],
    "hold": ["BEGIN READ ONLY", READ,
             "DECLARE blocks_h CURSOR WITH HOLD FOR SELECT 1", "COMMIT",
             "FETCH blocks_h", "INSERT INTO blocks SELECT 1 WHERE false",
             "CLOSE blocks_h"],
    "cursor": ["BEGIN READ ONLY",
               "DECLARE blocks_c CURSOR FOR SELECT i FROM blocks ORDER BY i",
               "FETCH 2 FROM blocks_c", "CLOSE blocks_c", "COMMIT"],
    "advisory": ["BEGIN READ ONLY", READ, "SELECT pg_advisory_xact_lock(77)",
                 "SELECT count(*) FROM pg_locks WHERE objid = 77", "COMMIT"],
    "xid": ["BEGIN READ ONLY", READ, "SELECT txid_current() > 0", "ROLLBACK"],
    "two_phase": ["BEGIN READ ONLY", READ, "PREPARE TRANSACTION 'blocks'",
                  "ROLLBACK PREPARED 'blocks'"],
    "characteristics": ["BEGIN READ ONLY", READ, "SET SESSION CHARACTERISTICS"
                        " AS TRANSACTION READ WRITE", "SELECT txid_current() > 0",
                        "ROLLBACK", "SHOW default_transaction_read_only"],
    "set_local": ["BEGIN READ ONLY", "SET LOCAL work_mem = '5MB' -- five",
                  "SHOW work_mem", READ, "COMMIT", "SHOW work_mem"],
    "set_reported": ["BEGIN READ ONLY", "SET TimeZone = 'Asia/Tokyo'",
                     "LOCK TABLE blocks IN ACCESS SHARE MODE",
                     "SHOW TimeZone", "COMMIT", "SHOW TimeZone",
                     "RESET TimeZone"],
    "set_undone": ["BEGIN READ ONLY", "SET TimeZone = 'Asia/Tokyo'",
                   "SET work_mem = '6MB'",
                   "LOCK TABLE blocks IN ACCESS SHARE MODE", "ROLLBACK",
                   "SHOW TimeZone", "SHOW work_mem"],
    "set_kept": ["BEGIN READ ONLY", "SET work_mem = '7MB'",
                 "LOCK TABLE blocks IN ACCESS SHARE MODE", "COMMIT",
                 "SHOW work_mem", "RESET work_mem"],
    "savepoint": ["BEGIN READ ONLY", READ, "SAVEPOINT one", "SELECT 1/0",
                  "ROLLBACK TO one", READ, "RELEASE one", "COMMIT"],
    "repeatable": ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                   "SHOW transaction_isolation", READ, "COMMIT"],
    "serializable": ["BEGIN READ ONLY",
                     "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                     READ, "COMMIT"],
    "chained": ["BEGIN READ ONLY", READ, "COMMIT AND CHAIN",
                "SHOW transaction_read_only", READ,
                "INSERT INTO blocks VALUES (1)", "ROLLBACK"],
    "chained_level": ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", READ,
                      "ROLLBACK AND CHAIN", "SHOW transaction_isolation",
                      "SHOW transaction_read_only", "COMMIT"],
    "chained_read_write": ["BEGIN READ ONLY", READ, "COMMIT AND CHAIN",
                           "SET TRANSACTION READ WRITE",
                           "INSERT INTO blocks VALUES (98)", "ROLLBACK"],
    "failed_chain": ["BEGIN READ ONLY", "SELECT 1/0", "COMMIT AND CHAIN",
                     "INSERT INTO blocks VALUES (97)", READ, "ROLLBACK"],
    "failed_chain_shown": ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                           "SELECT 1/0", "ROLLBACK AND CHAIN",
                           "SHOW transaction_read_only",
                           "SHOW transaction_isolation", "COMMIT"],
    "failed_chain_chained": ["BEGIN READ ONLY", "SELECT 1/0",
                             "COMMIT AND CHAIN", "COMMIT AND CHAIN",
                             "INSERT INTO blocks VALUES (96)", "ROLLBACK"],
    "failed": ["BEGIN READ ONLY", "SELECT 1/0", READ,
               "INSERT INTO blocks VALUES (1)", "COMMIT", READ],
    "begin_twice": ["BEGIN READ ONLY", "BEGIN", READ, "COMMIT", "COMMIT"],
    "empty": ["BEGIN READ ONLY", "", "COMMIT"],
    "nothing": ["START TRANSACTION READ ONLY", "COMMIT"],
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


def nodes_of(cluster, conn, texts):
    """Where the reads of a block ran."""
    tag = cluster.fresh()
    for text in texts:
        WAYS["extended"](conn, text.replace("count(*)", "count(*) AS " + tag))
    return {n for n, calls in cluster.calls(tag).items() if calls}


def test_reads_of_a_block_run_on_the_replica(cluster, weir):
    with Wire(weir.port) as conn:
        conn.login()
        for begin in ("BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL"
                      " REPEATABLE READ, READ ONLY"):
            assert nodes_of(cluster, conn, [begin, READ, READ, "COMMIT"]
                            ) == {"replica"}
            assert nodes_of(cluster, conn, [
                begin, "SET LOCAL work_mem = '4MB'", READ, "COMMIT"]
                ) == {"replica"}
        assert nodes_of(cluster, conn, [
            "BEGIN READ ONLY", "LOCK TABLE blocks IN ACCESS SHARE MODE",
            READ, "COMMIT"]) == {"primary"}
        assert nodes_of(cluster, conn, ["BEGIN", READ, "COMMIT"]
                        ) == {"primary"}


def test_a_snapshot_that_is_in_use_is_not_left(cluster, weir):
    """At REPEATABLE READ what has been read must be read again."""
    with Wire(weir.port) as conn:
        conn.login()
        conn.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        before = conn.value(READ)
        cluster.sql("INSERT INTO blocks VALUES (0)", user="app")
        cluster.position()
        conn.query("SHOW work_mem")
        assert conn.value(READ) == before
        conn.query("COMMIT")
        assert conn.value(READ) == str(int(before) + 1)
        cluster.sql("DELETE FROM blocks WHERE i = 0", user="app")
        cluster.position()


def test_the_block_waits_for_a_server_of_the_primary(cluster, make_weir,
                                                     table):
    weir = make_weir({"default_pool_size": 1, "workers": 1,
                      "read_after_write_window": 0})
    with Wire(weir.port, timeout=10 * SLOW) as conn, Wire(weir.port) as other:
        conn.login()
        other.login()
        wait_for_catalog(cluster, conn, "blocks")
        other.query("BEGIN")
        other.query("SELECT 1")
        conn.query("BEGIN READ ONLY")
        conn.value(READ)
        conn.send(query("SELECT pg_advisory_xact_lock(78)"))
        time.sleep(0.3)
        cancel(weir.port, conn.cancel_key)
        assert [m.sqlstate for m in conn.until() if m.type == "E"] == ["57014"]
        assert conn.status == "E"
        assert conn.query("COMMIT")[0].payload == b"ROLLBACK\0"
        conn.query("BEGIN READ ONLY")
        conn.value(READ)
        conn.send(query("SELECT pg_advisory_xact_lock(78)"))
        done = threading.Timer(0.3, other.query, ("COMMIT",))
        done.start()
        assert [m.type for m in conn.until()] == ["T", "D", "C", "Z"]
        done.join()
        assert conn.status == "T"
        conn.query("COMMIT")
        assert conn.status == "I"


def test_a_client_that_leaves_its_block(cluster, weir):
    for texts in (["BEGIN READ ONLY", READ],
                  ["BEGIN READ ONLY", READ,
                   "LOCK TABLE blocks IN ACCESS SHARE MODE"],
                  ["BEGIN READ ONLY", "SELECT 1/0", "COMMIT AND CHAIN"]):
        conn = Wire(weir.port)
        conn.login()
        for text in texts:
            conn.query(text)
        conn.abort()
    with Wire(weir.port) as conn:
        conn.login()
        assert conn.value("SELECT 1") == "1"
        assert conn.status == "I"
    wait_for(lambda: not any(cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
        " AND state LIKE 'idle in transaction%%'", node=node)
        for node in cluster.ports), what="no transaction to be open")


def test_describe_in_a_block(weir):
    with Wire(weir.port) as conn:
        conn.login()
        conn.query("BEGIN READ ONLY")
        conn.send(parse(READ, "s"), describe("S", "s"), sync()).until()
        conn.query("LOCK TABLE blocks IN ACCESS SHARE MODE")
        got = conn.send(bind([], "s"), execute(), sync()).until()
        assert [m.type for m in got] == ["2", "D", "C", "Z"]
        conn.query("COMMIT")


CURSOR = "DECLARE blocks_c CURSOR FOR SELECT i FROM blocks ORDER BY i"
RR = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
TYING = {
    "cursor_and_lock": [
        "BEGIN READ ONLY", CURSOR, "FETCH 2 FROM blocks_c",
        "SELECT pg_advisory_lock(79)", "COMMIT",
        "INSERT INTO blocks SELECT 1 WHERE false",
        "SELECT pg_advisory_unlock(79)"],
    "snapshot_and_lock": [
        RR, READ, "SELECT pg_advisory_lock(79)", "COMMIT",
        "INSERT INTO blocks SELECT 1 WHERE false",
        "SELECT pg_advisory_unlock(79)"],
    "snapshot_and_table": [
        RR, READ, "CREATE TEMP TABLE tied AS SELECT 1 AS a",
        "COMMIT", "DISCARD TEMP"],
    "cursor_and_notify": [
        "BEGIN READ ONLY", READ, CURSOR, "LISTEN tied", "NOTIFY tied",
        "UNLISTEN *", "COMMIT"],
}


@pytest.mark.parametrize("way", ("simple", "extended"))
def test_blocks_that_want_locks_are_not_tied(cluster, weir, way):
    """Cursors and snapshots tie a block, until one of them wants a lock."""
    with Wire(weir.port) as conn:
        conn.login()
        assert nodes_of(cluster, conn, [RR, READ, "COMMIT"]) == {"replica"}
        for text in TYING["snapshot_and_lock"][:4]:
            conn.query(text)
        conn.query("SELECT pg_advisory_unlock_all()")
    with Wire(weir.port) as conn:
        conn.login()
        assert nodes_of(cluster, conn, ["BEGIN READ ONLY", READ, READ,
                                        "COMMIT"]) == {"replica"}
        assert nodes_of(cluster, conn, [RR, READ, "COMMIT"]) == {"primary"}
    for name, texts in TYING.items():
        talks = play(cluster, weir, texts, WAYS[way])
        assert talks[0] == talks[1], name
