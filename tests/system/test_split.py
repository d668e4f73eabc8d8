"""Which node a statement runs on, as the nodes themselves counted it."""
import threading
import time

import psycopg
import pytest

from harness import SLOW, wait_for
from wire import Wire, one_query, sync

pytestmark = pytest.mark.own

FIXTURE = """
DROP TABLE IF EXISTS sp_t CASCADE;
CREATE TABLE sp_t (id int PRIMARY KEY, v text);
INSERT INTO sp_t SELECT g, 'v' || g FROM generate_series(1, 1000) g;
DROP TABLE IF EXISTS sp_u; CREATE UNLOGGED TABLE sp_u (id int);
DROP SEQUENCE IF EXISTS sp_sq; CREATE SEQUENCE sp_sq;
SELECT nextval('sp_sq');
CREATE OR REPLACE FUNCTION sp_write(int) RETURNS int LANGUAGE plpgsql AS
$$BEGIN INSERT INTO sp_t VALUES ($1 + 100000, 'x') ON CONFLICT DO NOTHING;
RETURN $1; END$$;
CREATE OR REPLACE FUNCTION sp_swallow(int) RETURNS text LANGUAGE plpgsql AS
$$BEGIN INSERT INTO sp_t VALUES ($1 + 200000, 'x') ON CONFLICT DO NOTHING;
RETURN 'wrote'; EXCEPTION WHEN OTHERS THEN RETURN 'swallowed'; END$$;
CREATE OR REPLACE FUNCTION sp_pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS
$$SELECT $1 * 2$$;
CREATE OR REPLACE VIEW sp_view AS SELECT sp_write(1) AS x;
CREATE OR REPLACE VIEW sp_plain AS SELECT id, v FROM sp_t WHERE id < 10;
"""

READS = [
    "SELECT 1 AS {t}",
    "SELECT v AS {t} FROM sp_t WHERE id = 1",
    "/* x */ -- y\n/* a /* nested */ b */ SELECT v AS {t} FROM sp_t"
    " WHERE id = 2",
    "SELECT 'FOR UPDATE', \"for update\" AS {t} FROM (SELECT 1 AS"
    " \"for update\") q",
    "WITH w AS (SELECT id FROM sp_t) SELECT count(*) AS {t} FROM w",
    "VALUES (1, 'a{t}')",
    "SELECT v AS {t} FROM sp_plain",
    "SELECT random() AS {t}, clock_timestamp(), gen_random_uuid()",
    "SELECT sp_pure(2) AS {t}",
    "SELECT upper(v) AS {t}, count(*), max(id) FROM sp_t GROUP BY v LIMIT 1",
    "SELECT id AS {t} FROM sp_t UNION SELECT 5 ORDER BY 1 LIMIT 2",
    "(SELECT 1 AS {t})",
    "EXPLAIN SELECT v AS {t} FROM sp_t",
]
WRITES = [
    "INSERT INTO sp_t VALUES (5000, 'x') ON CONFLICT DO NOTHING"
    " RETURNING id AS {t}",
    "UPDATE sp_t SET v = v WHERE id = 1 RETURNING id AS {t}",
    "DELETE FROM sp_t WHERE id = -1 RETURNING id AS {t}",
    "SELECT id AS {t} FROM sp_t WHERE id = 1 FOR UPDATE",
    "SELECT id AS {t} FROM sp_t WHERE id = 1 FOR SHARE SKIP LOCKED",
    "WITH x AS (UPDATE sp_t SET v = v WHERE id = 1 RETURNING id)"
    " SELECT id AS {t} FROM x",
    "WITH s AS (SELECT 7000) INSERT INTO sp_t SELECT 7001, 'x' ON CONFLICT"
    " DO NOTHING RETURNING id AS {t}",
    "SELECT nextval('sp_sq') AS {t}",
    "SELECT \"nextval\"('sp_sq') AS {t}",
    "SELECT pg_catalog.nextval('sp_sq') AS {t}",
    "SELECT last_value AS {t} FROM sp_sq",
    "SELECT txid_current() AS {t}",
    "SELECT pg_try_advisory_xact_lock(1) AS {t}",
    "SELECT pg_is_in_recovery() AS {t}",
    "SELECT sp_write(1) AS {t}",
    "SELECT sp_swallow(1) AS {t}",
    "SELECT x AS {t} FROM sp_view",
    "SELECT id AS {t} FROM sp_u",
    "SELECT set_config('work_mem', '4MB', true) AS {t}",
    "EXPLAIN ANALYZE INSERT INTO sp_t SELECT 8000 AS {t}, 'x' WHERE false",
    "SELECT 1 AS {t} INTO TEMP {t}_temp",
    "CREATE TABLE IF NOT EXISTS sp_{t} (i int)",
    "DO $$ BEGIN PERFORM 1 /* {t} */; END $$",
]
# SQL whose tag sits where the server's own text keeps it.
UNTAGGED = ("DO ", "VALUES")


@pytest.fixture(scope="module")
def tables(cluster):
    with cluster.connect(user="app") as conn:
        conn.execute(FIXTURE)
    cluster.position()


@pytest.fixture
def split(tables, make_weir):
    return make_weir({"read_after_write_window": 0.3 * SLOW})


def served(cluster, tag):
    calls = cluster.calls(tag)
    return [node for node, count in calls.items() if count]


def sides():
    for sql in READS:
        yield pytest.param(sql, "replica", id=sql[:50].replace("{t}", "x"))
    for sql in WRITES:
        yield pytest.param(sql, "primary", id=sql[:50].replace("{t}", "x"))


@pytest.mark.tsan
@pytest.mark.parametrize("sql, node", sides())
def test_statement(cluster, split_all, sql, node):
    """Each as a simple Query and as an extended batch, in fresh sessions."""
    for extended in (False, True):
        tag = cluster.fresh()
        with Wire(split_all.port) as conn:
            conn.login()
            text = sql.format(t=tag)
            if extended:
                replies = conn.send(one_query(text), sync()).until()
            else:
                replies = conn.query(text)
        assert not [m.fields for m in replies if m.type == "E"]
        if sql.startswith(UNTAGGED):
            # Constants are not kept in the node's own text.
            continue
        assert served(cluster, tag) == [node], "extended: %s" % extended


@pytest.fixture(scope="module")
def split_all(binary, tables, cluster):
    from harness import Pgweir
    with Pgweir(cluster, {"read_after_write_window": 0},
                binary=binary) as weir:
        with weir.connect() as conn:
            # The first client's database is looked up in the catalog.
            conn.execute("SELECT 1")
        weir.settle()
        yield weir


@pytest.mark.parametrize("sql, node", [
    ("VALUES (1, 'a')", "replica"), ("DO $$ BEGIN PERFORM 1; END $$",
                                     "primary")])
def test_untagged_by_metrics(split_all, sql, node):
    before = split_all.metric("pgweir_routing_decisions_total", target=node)
    with split_all.connect() as conn:
        conn.execute(sql)
    after = split_all.metric("pgweir_routing_decisions_total", target=node)
    assert after - (before or 0) == 1


def test_swallowed_write_is_not_lost(cluster, split_all):
    """A function that hides its refusal must run where it can write."""
    with split_all.connect() as conn:
        assert conn.execute("SELECT sp_swallow(77)").fetchone() == ("wrote",)
    assert cluster.value("SELECT count(*) FROM sp_t WHERE id = 200077") == 1


def test_several_statements_go_as_one(cluster, split_all):
    tag = cluster.fresh()
    with Wire(split_all.port) as conn:
        conn.login()
        conn.query("SELECT 1 AS %s; SELECT 2 AS %s" % (tag, tag))
        assert served(cluster, tag) == ["replica"]
        tag = cluster.fresh()
        replies = conn.query("SELECT 1 AS %s; UPDATE sp_t SET v = v WHERE id"
                             " = 1 RETURNING 1 AS %s" % (tag, tag))
        assert [m.type for m in replies].count("C") == 2
    assert served(cluster, tag) == ["primary"]


def test_batch_with_a_write_goes_to_the_primary(cluster, split_all):
    tag = cluster.fresh()
    with Wire(split_all.port) as conn:
        conn.login()
        replies = conn.send(
            one_query("SELECT 1 AS %s" % tag),
            one_query("UPDATE sp_t SET v = v WHERE id = 1 RETURNING 1 AS "
                      + tag), sync()).until()
        assert not [m for m in replies if m.type == "E"]
    assert served(cluster, tag) == ["primary"]


def test_pipelined_units_keep_their_order(tables, make_weir):
    """Read, write, read sent without waiting: the second read sees it."""
    with Wire(make_weir().port) as conn:
        conn.login()
        for n in range(30):
            number = 300000 + n
            conn.send(
                one_query("SELECT count(*) FROM sp_t WHERE id = %d" % number),
                sync(),
                one_query("INSERT INTO sp_t VALUES (%d, 'p')" % number),
                sync(),
                one_query("SELECT count(*) FROM sp_t WHERE id = %d" % number),
                sync())
            counts = []
            for _ in range(3):
                counts += [m.values[0] for m in conn.until()
                           if m.type == "D"]
            assert counts == [b"0", b"1"]
        conn.query("DELETE FROM sp_t WHERE id >= 300000 AND id < 300100")


def test_blocks(cluster, split_all):
    with split_all.connect() as conn:
        for begin, node in (
                ("BEGIN", "primary"),
                ("BEGIN READ ONLY", "replica"),
                ("START TRANSACTION READ ONLY", "replica"),
                ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                 "replica"),
                ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "primary")):
            tag = cluster.fresh()
            conn.execute(begin)
            conn.execute("SELECT 1 AS %s" % tag)
            conn.execute("SELECT v AS %s FROM sp_t WHERE id = 1" % tag)
            conn.execute("COMMIT")
            assert served(cluster, tag) == [node], begin


def test_write_in_a_read_only_block_is_the_clients_error(split_all):
    with split_all.connect() as conn:
        conn.execute("BEGIN READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("INSERT INTO sp_t VALUES (9999, 'x')")
        conn.execute("ROLLBACK")
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_cursor_in_a_read_only_block(split_all):
    with split_all.connect() as conn:
        conn.execute("BEGIN READ ONLY")
        conn.execute("DECLARE c CURSOR FOR SELECT id FROM sp_t ORDER BY id")
        assert len(conn.execute("FETCH 10 FROM c").fetchall()) == 10
        assert conn.execute("FETCH 1 FROM c").fetchone() == (11,)
        conn.execute("COMMIT")


def test_copy_out_goes_to_the_replica(cluster, split_all):
    tag = cluster.fresh()
    with split_all.connect() as conn:
        with conn.cursor().copy("COPY (SELECT v AS %s FROM sp_t ORDER BY id"
                                " LIMIT 3) TO STDOUT" % tag) as copy:
            assert b"".join(copy) == b"v1\nv2\nv3\n"
    assert served(cluster, tag) == ["replica"]


def test_client_sees_a_primary(split_all):
    with Wire(split_all.port) as conn:
        conn.login()
        assert conn.parameters["in_hot_standby"] == "off"
        assert conn.parameters["default_transaction_read_only"] == "off"
        conn.query("SELECT 1")
        assert conn.parameters["in_hot_standby"] == "off"
    with split_all.connect() as conn:
        assert conn.execute("SHOW transaction_read_only").fetchone() == (
            "off",)


def test_settings_follow_to_the_replica(split_all):
    with split_all.connect() as conn:
        conn.execute("SET timezone = 'Asia/Tokyo'")
        conn.execute("SET extra_float_digits = 0")
        row = conn.execute("SELECT timestamptz '2024-01-01 00:00+00'::text,"
                           " (0.1::float8 + 0.2::float8)::text").fetchone()
        assert row == ("2024-01-01 09:00:00+09", "0.3")


def test_search_path_follows_to_the_replica(cluster, split_all):
    cluster.sql("CREATE SCHEMA IF NOT EXISTS tenant1 AUTHORIZATION app")
    cluster.sql("CREATE TABLE IF NOT EXISTS tenant1.sp_t (id int, v text)",
                user="app")
    cluster.position()
    with split_all.connect() as conn:
        conn.execute("SET search_path = tenant1")
        for _ in range(3):
            assert conn.execute("SELECT count(*) FROM sp_t").fetchone() == (
                0,)
    with split_all.connect() as conn:
        count, = conn.execute("SELECT count(*) FROM sp_t").fetchone()
        assert count >= 1000


def test_reads_stay_on_the_primary_after_a_write(cluster, split):
    window = split.settings["read_after_write_window"]
    with split.connect() as writer, split.connect() as other:
        cluster.fresh()
        writer.execute("SELECT 1 AS before_it")
        writer.execute("UPDATE sp_t SET v = v WHERE id = 3")
        writer.execute("SELECT 1, 2 AS after_it")
        other.execute("SELECT 1, 2, 3 AS of_another")
        time.sleep(window * 2 + 0.2)
        writer.execute("SELECT 1, 2, 3, 4 AS later_on")
    tags = ("before_it", "after_it", "of_another", "later_on")
    assert [served(cluster, t) for t in tags] == [
        ["replica"], ["primary"], ["replica"], ["replica"]]


def test_own_writes_are_read_at_once(cluster, make_weir, tables):
    weir = make_weir()
    with weir.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS sp_own")
        conn.execute("CREATE TABLE sp_own (id int PRIMARY KEY)")
        for n in range(300):
            conn.execute("INSERT INTO sp_own VALUES (%s)", (n,))
            assert conn.execute("SELECT count(*) FROM sp_own WHERE id = %s",
                                (n,)).fetchone() == (1,)


def test_temporary_table_stays_with_its_session(split_all):
    with split_all.connect() as conn, split_all.connect() as other:
        conn.execute("CREATE TEMP TABLE sp_temp (i int)")
        conn.execute("INSERT INTO sp_temp VALUES (1)")
        other.execute("UPDATE sp_t SET v = v WHERE id = 1")
        for _ in range(3):
            assert conn.execute("SELECT i FROM sp_temp").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            other.execute("SELECT i FROM sp_temp")


def test_split_off(cluster, tables, make_weir):
    weir = make_weir({"split_reads": 0})
    tag = cluster.fresh()
    with weir.connect() as conn:
        conn.execute("SELECT 1 AS %s" % tag)
    assert served(cluster, tag) == ["primary"]


def test_replica_that_lags_is_left_out(own_cluster, make_weir):
    own_cluster.sql("CREATE TABLE sp_lag (i int)", user="app")
    own_cluster.position()
    weir = make_weir({"max_replica_lag": 0.5, "read_after_write_window": 0},
                     cluster=own_cluster)
    with weir.connect() as conn:
        def node():
            tag = own_cluster.fresh()
            conn.execute("SELECT 1 AS %s" % tag)
            return served(own_cluster, tag)
        assert node() == ["replica"]
        own_cluster.sql("SELECT pg_wal_replay_pause()", node="replica")
        own_cluster.sql("INSERT INTO sp_lag VALUES (1)", user="app")
        wait_for(lambda: node() == ["primary"], 10, "reads to leave a"
                 " replica that lags", step=0.2)
        own_cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
        wait_for(lambda: node() == ["replica"], 10, "reads to return to a"
                 " replica that caught up", step=0.2)


class Readers:
    """Clients that read in autocommit until told to stop."""

    def __init__(self, weir, count=6):
        self.weir, self.ended = weir, threading.Event()
        self.errors, self.done = [], 0
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        try:
            with self.weir.connect() as conn:
                while not self.ended.is_set():
                    row = conn.execute("SELECT 41 + 1").fetchone()
                    assert row == (42,)
                    self.done += 1
                    time.sleep(0.002)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.errors.append(error)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(30 * SLOW)


@pytest.mark.tsan
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_replica_stops_and_returns(own_cluster, make_weir, mode):
    weir = make_weir(cluster=own_cluster)
    with Readers(weir) as readers:
        time.sleep(0.5)
        own_cluster.stop("replica", mode)
        weir.wait_nodes(1)
        at = readers.done
        time.sleep(0.5 * SLOW)
        assert readers.done > at, "reads did not go on"
        own_cluster.start("replica")
        weir.wait_nodes(2)
        tag = own_cluster.fresh()

        def back():
            with weir.connect() as conn:
                conn.execute("SELECT 1 AS %s" % tag)
            return "replica" in served(own_cluster, tag)
        wait_for(back, 10, "reads on the replica that came back", step=0.2)
    assert not readers.errors
    assert readers.done > 100 / SLOW


@pytest.mark.tsan
def test_promotion_is_followed(own_cluster, make_weir):
    own_cluster.sql("CREATE TABLE sp_fail (i int)", user="app")
    own_cluster.position()
    weir = make_weir({"query_wait_timeout": 20}, cluster=own_cluster)
    conn = weir.connect()
    conn.execute("INSERT INTO sp_fail VALUES (1)")
    own_cluster.position()
    own_cluster.stop("primary", "immediate")
    status, _ = weir.http("/healthz")
    assert status == 200
    wait_for(lambda: weir.http("/readyz")[0] == 503, 10, "/readyz to say no")
    own_cluster.promote("replica")

    def writes():
        nonlocal conn
        try:
            conn.execute("INSERT INTO sp_fail VALUES (2)")
            return True
        except psycopg.OperationalError:
            conn.close()
            try:
                conn = weir.connect()
            except psycopg.OperationalError:
                pass
            return False
    wait_for(writes, 15, "a write on the promoted node", step=0.1)
    conn.close()
    assert weir.http("/readyz")[0] == 200
    assert own_cluster.value("SELECT count(*) FROM sp_fail WHERE i = 2",
                             node="replica") == 1
    assert weir.metric("pgweir_backend_is_primary", backend="127.0.0.1:%d"
                       % own_cluster.ports["replica"]) == 1
    assert weir.metric("pgweir_failovers_total") == 1


def test_idle_session_survives_a_promotion(own_cluster, make_weir):
    """No transaction was open, nothing was sent: nothing is lost."""
    own_cluster.sql("CREATE TABLE sp_idle (i int)", user="app")
    own_cluster.position()
    weir = make_weir({"query_wait_timeout": 20}, cluster=own_cluster)
    with weir.connect() as conn:
        conn.execute("SET application_name = 'survivor'")
        conn.execute("INSERT INTO sp_idle VALUES (1)")
        own_cluster.position()
        own_cluster.stop("primary")
        own_cluster.promote("replica")
        wait_for(lambda: weir.http("/readyz")[0] == 200, 15, "a primary")
        wait_for(lambda: weir.metric(
            "pgweir_backend_is_primary", backend="127.0.0.1:%d"
            % own_cluster.ports["replica"]) == 1, 15, "the new primary")
        conn.execute("INSERT INTO sp_idle VALUES (2)")
        assert conn.execute("SHOW application_name").fetchone() == (
            "survivor",)
        assert conn.execute("SELECT count(*) FROM sp_idle").fetchone() == (
            2,)
