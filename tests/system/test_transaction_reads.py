"""transaction_reads = until_write: in a READ COMMITTED transaction the plain
reads in front of anything else run on the replica, the rest on the primary,
and the client cannot tell."""
import pytest

from blocks import extended, play, play_at_once, said, simple, wait_for_catalog
from harness import SLOW
from wire import (Wire, bind, describe, execute, flush, one_query, parse,
                  query, sync)

pytestmark = pytest.mark.own

READ = "SELECT count(*) FROM early"
WRITE = "INSERT INTO early VALUES (500)"


# What shows the transaction's time without a word for it in the text.
TIMELY = """
DROP SCHEMA IF EXISTS timely CASCADE; CREATE SCHEMA timely;
CREATE VIEW timely.v AS SELECT now() AS at;
CREATE VIEW timely.v_key AS SELECT CURRENT_TIMESTAMP AS at;
CREATE VIEW timely.v_v AS SELECT at FROM timely.v_key;
CREATE FUNCTION timely.body() RETURNS timestamptz STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN now(); END$$;
CREATE FUNCTION timely.word() RETURNS timestamptz STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN LOCALTIMESTAMP; END$$;
CREATE FUNCTION timely.literal() RETURNS timestamptz STABLE LANGUAGE plpgsql AS
$$BEGIN RETURN 'now'; END$$;
CREATE FUNCTION timely.atomic() RETURNS timestamptz STABLE LANGUAGE sql
RETURN transaction_timestamp();
CREATE FUNCTION timely.calls() RETURNS timestamptz STABLE LANGUAGE sql AS
'SELECT timely.body()';
CREATE FUNCTION timely.reads() RETURNS timestamptz STABLE LANGUAGE sql AS
'SELECT at FROM timely.v_v';
CREATE FUNCTION timely.dflt(timestamptz DEFAULT now()) RETURNS timestamptz
IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION timely.op(timestamptz, int) RETURNS timestamptz STABLE
LANGUAGE sql AS 'SELECT now()';
CREATE OPERATOR timely.+@ (LEFTARG = timestamptz, RIGHTARG = int,
 FUNCTION = timely.op);
"""
TIMELY_READS = {
    "view": "SELECT at FROM timely.v",
    "keyword": "SELECT at FROM timely.v_key",
    "view_of_view": "SELECT at FROM timely.v_v",
    "function": "SELECT timely.body()",
    "keyword_in_body": "SELECT timely.word()",
    "literal_in_body": "SELECT timely.literal()",
    "atomic_body": "SELECT timely.atomic()",
    "calls": "SELECT timely.calls()",
    "reads_view": "SELECT timely.reads()",
    "default": "SELECT timely.dflt()",
    "operator": "SELECT '-infinity'::timestamptz OPERATOR(timely.+@) 1"}


@pytest.fixture(scope="module")
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS early; CREATE TABLE early AS"
                " SELECT i FROM generate_series(1, 10) i", user="app")
    cluster.sql(TIMELY, user="app")
    cluster.position()


@pytest.fixture
def make_early(make_weir, cluster, table):
    def make(**settings):
        weir = make_weir({"workers": 1, "begin_wait": 60,
                          "transaction_reads": "until_write", **settings})
        with Wire(weir.port, timeout=10 * SLOW) as conn:
            conn.login()
            wait_for_catalog(cluster, conn, "early")
        return weir
    return make


@pytest.fixture
def weir(make_early):
    return make_early()


WAYS = {"simple": simple, "extended": extended}

# Texts of a block, and the nodes of its reads, "r" or "p".
BLOCKS = {
    "reads": (["BEGIN", READ, READ, "COMMIT"], "rr"),
    "read_write_read": (["BEGIN", READ, WRITE, READ, "ROLLBACK"], "rp"),
    "committed": (["BEGIN", READ, WRITE, "COMMIT", READ,
                   "DELETE FROM early WHERE i = 500"], None),
    "write_first": (["BEGIN", WRITE, READ, "ROLLBACK"], "p"),
    "level": (["BEGIN ISOLATION LEVEL READ COMMITTED", READ, "COMMIT"], "r"),
    "repeatable": (["BEGIN ISOLATION LEVEL REPEATABLE READ", READ, WRITE,
                    READ, "ROLLBACK"], "pp"),
    "serializable": (["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                      READ, "COMMIT"], "p"),
    "read_write": (["BEGIN READ WRITE", READ, "COMMIT"], "p"),
    "default_level": (["SET default_transaction_isolation = 'repeatable read'",
                       "BEGIN", READ, "COMMIT",
                       "RESET default_transaction_isolation"], "p"),
    "set_local": (["BEGIN", READ, "SET LOCAL work_mem = '5MB'",
                   "SHOW work_mem", READ, "COMMIT", "SHOW work_mem"], "rp"),
    "set_first": (["BEGIN", "SET LOCAL search_path = pg_catalog, public",
                   READ, "COMMIT"], "p"),
    "set_stays": (["BEGIN", READ, "SET work_mem = '6MB'", "COMMIT",
                   "SHOW work_mem", "RESET work_mem"], "r"),
    "savepoint": (["BEGIN", READ, "SAVEPOINT a", "SELECT 1/0",
                   "ROLLBACK TO a", READ, "COMMIT"], "rp"),
    "cursor": (["BEGIN", READ, "DECLARE c CURSOR FOR SELECT i FROM early"
                " ORDER BY i", "FETCH 3 FROM c", READ, "CLOSE c", "COMMIT"],
               "rp"),
    "lock": (["BEGIN", READ, "LOCK TABLE early IN ACCESS SHARE MODE", READ,
              "COMMIT"], "rp"),
    "row_lock": (["BEGIN", READ, "SELECT i FROM early WHERE i = 1 FOR UPDATE",
                  READ, "COMMIT"], "rp"),
    "temporary": (["BEGIN", READ, "CREATE TEMP TABLE early_t (a int)"
                   " ON COMMIT DROP", "INSERT INTO early_t VALUES (1)",
                   "SELECT * FROM early_t", READ, "COMMIT"], "rp"),
    "advisory": (["BEGIN", READ, "SELECT pg_advisory_xact_lock(31)", READ,
                  "COMMIT"], "rp"),
    "failed": (["BEGIN", READ, "SELECT 1/0", READ, WRITE, "SAVEPOINT x",
                "COMMIT", READ], None),
    "failed_rolled_back": (["BEGIN", "SELECT i/0 FROM early", "ROLLBACK",
                            WRITE, "DELETE FROM early WHERE i = 500"], None),
    "no_such_table": (["BEGIN", READ, "SELECT * FROM nothing_there", READ,
                       "ROLLBACK"], None),
    "chained": (["BEGIN", READ, "COMMIT AND CHAIN", READ, WRITE,
                 "ROLLBACK AND CHAIN", READ, "COMMIT"], "rrp"),
    "failed_chained": (["BEGIN", READ, "SELECT 1/0", "ROLLBACK AND CHAIN",
                        WRITE, READ, "ROLLBACK"], "rp"),
    "time": (["BEGIN", READ, "SELECT now() = transaction_timestamp()", READ,
              "COMMIT"], "rp"),
    "twice": (["BEGIN", READ, "BEGIN", READ, WRITE, "ROLLBACK"], "rp"),
    "to_read_only": (["BEGIN", READ, "SET TRANSACTION READ ONLY", WRITE,
                      "ROLLBACK"], "r"),
    "level_too_late": (["BEGIN", READ, "SET TRANSACTION ISOLATION LEVEL"
                        " SERIALIZABLE", "ROLLBACK"], "r"),
    "read_only": (["BEGIN READ ONLY", READ, WRITE, "ROLLBACK"], "r"),
    "prepare": (["BEGIN", READ, "PREPARE early_p AS SELECT 8",
                 "EXECUTE early_p", "COMMIT", "DEALLOCATE early_p"], "r"),
    "two_reads": (["BEGIN", "SELECT 1; SELECT 2", READ, WRITE, "ROLLBACK"],
                  None),
    "two_phase": (["BEGIN", READ, "PREPARE TRANSACTION 'early'",
                   "ROLLBACK PREPARED 'early'"], "r"),
    "hint": (["BEGIN", READ, "/* pgweir: primary */ SELECT 1", READ,
              "COMMIT"], "rp"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BLOCKS)
def test_as_postgresql_says(cluster, weir, name, way):
    talks = play(cluster, weir, BLOCKS[name][0], WAYS[way])
    assert talks[0] == talks[1]


@pytest.mark.parametrize("name", BLOCKS)
def test_in_one_pipeline(cluster, weir, name):
    talks = play_at_once(cluster, weir, BLOCKS[name][0])
    assert talks[0] == talks[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [n for n in BLOCKS if BLOCKS[n][1]])
def test_where_reads_run(cluster, weir, name, way):
    texts, where = BLOCKS[name]
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        tag = cluster.fresh()
        tags = []
        for text in texts:
            if text == READ:
                # Each is another statement to pg_stat_statements.
                tags.append("%sn%d" % (tag, len(tags)))
                text = text.replace("count(*)", "count(*) AS %s%s" % (
                    tags[-1], ", max(i)" * len(tags)))
            WAYS[way](conn, text)
    seen = [cluster.calls(tag) for tag in tags]
    assert "".join(node[0] for calls in seen
                   for node, n in calls.items() if n) == where


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", TIMELY_READS)
def test_time_behind_a_name(weir, what, way):
    """Of one transaction there is one time, whatever shows it."""
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        WAYS[way](conn, "BEGIN")
        WAYS[way](conn, READ)
        rows, now = ([one[1] for one in WAYS[way](conn, text)
                      if one[0] == "D"]
                     for text in (TIMELY_READS[what], "SELECT now()"))
        WAYS[way](conn, "COMMIT")
    assert rows == now != []


def test_time_as_a_value(weir):
    """A parameter may be the word itself; others are no reason to move."""
    text = "SELECT $1::text::timestamptz, i FROM early WHERE i = 1"
    seen = []
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        for value in ("now", "2020-01-01", None):
            conn.query("BEGIN")
            conn.query(READ)
            said = conn.send(parse(text), bind([value]), describe(),
                             execute(), sync()).until()
            time = next(m.values[0] for m in said if m.type == "D")
            seen.append(time == conn.value("SELECT now()").encode())
            conn.query("COMMIT")
    assert seen == [True, False, False]


def test_portals_that_stay_open(cluster, weir):
    """What is to be read on later is not begun where it cannot stay."""
    rows = "SELECT i FROM early ORDER BY i"
    script = [query("BEGIN"),
              parse(rows) + bind() + execute(rows=2) + sync(),
              query(WRITE), query("ROLLBACK"),
              query("BEGIN"),
              parse(rows) + bind(portal="p") + execute("p", 2) + sync(),
              query(WRITE), execute("p", 2) + sync(), query("ROLLBACK"),
              query("BEGIN"),
              parse(rows) + bind() + describe() + sync(),
              execute() + sync(), query(WRITE), query("ROLLBACK"),
              query("BEGIN"),
              parse(rows, "s") + sync(), bind([], "s") + execute() + sync(),
              query(WRITE), bind([], "s") + execute() + sync(),
              query("ROLLBACK")]
    talks = []
    for port in (cluster.ports["primary"], weir.port):
        with Wire(port, timeout=10 * SLOW) as conn:
            conn.login()
            talks.append([said(conn.send(part).until()) for part in script])
    assert talks[0] == talks[1]


def test_a_batch_that_begins(cluster, weir):
    """As JDBC sends it: BEGIN and the first statement up to one Sync."""
    tag = cluster.fresh()
    read = READ.replace("count(*)", "count(*) AS " + tag)
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        got = conn.send(one_query("BEGIN"), one_query(read), sync()).until()
        assert [m.type for m in got] == list("12nC12TDCZ")
        assert conn.status == "T"
        conn.send(one_query(WRITE), sync()).until()
        conn.send(one_query("ROLLBACK"), sync()).until()
        # What stands behind a Flush is not known: not on the replica.
        conn.query("BEGIN")
        conn.send(one_query(READ), flush())
        conn.send(one_query(WRITE), sync()).until()
        assert conn.query("ROLLBACK")[0].type == "C"
    assert cluster.calls(tag)["replica"]


def test_own_writes_are_read(cluster, weir):
    """Between two transactions the level holds."""
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        for turn in range(40):
            conn.query("BEGIN")
            before = int(conn.value(READ))
            conn.query(WRITE)
            assert int(conn.value(READ)) == before + 1
            conn.query("COMMIT" if turn % 2 else "ROLLBACK")
            conn.query("BEGIN")
            assert int(conn.value(READ)) == before + turn % 2
            conn.query("COMMIT")
        conn.query("DELETE FROM early WHERE i = 500")
    cluster.position()


def test_strong_holds_in_a_transaction(cluster, make_early):
    """Each read shows what was committed before it came."""
    weir = make_early(consistency="strong", causal_wait=0.5)
    with Wire(weir.port, timeout=10 * SLOW) as conn, \
            Wire(cluster.ports["primary"]) as other:
        conn.login()
        other.login()
        for begin in ("BEGIN", "BEGIN READ ONLY"):
            conn.query(begin)
            for number in range(20):
                other.query("INSERT INTO early VALUES (%d)" % (1000 + number))
                assert conn.value("SELECT count(*) FROM early WHERE i >= 1000"
                                  ) == str(number + 1)
            conn.query("COMMIT")
            other.query("DELETE FROM early WHERE i >= 1000")
    cluster.position()


def test_role_that_wants_snapshots(cluster, make_early):
    """Its default is not READ COMMITTED: nobody has said so to pgweir."""
    cluster.sql("ALTER ROLE app SET default_transaction_isolation ="
                " 'repeatable read'")
    cluster.position()
    try:
        weir = make_early()
        tag = cluster.fresh()
        with Wire(weir.port, timeout=10 * SLOW) as conn:
            conn.login()
            conn.query("BEGIN")
            conn.query(READ.replace("count(*)", "count(*) AS " + tag))
            conn.query("COMMIT")
        assert not cluster.calls(tag)["replica"]
    finally:
        cluster.sql("ALTER ROLE app RESET default_transaction_isolation")
        cluster.position()


def test_the_loss_of_the_replica_is_not_told(cluster, weir):
    with Wire(weir.port, timeout=10 * SLOW) as conn:
        conn.login()
        conn.query("BEGIN")
        before = conn.value(READ)
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'app' AND pid <> pg_backend_pid()",
                    node="replica")
        assert conn.value(READ) == before
        assert [m.type for m in conn.query(WRITE)] == ["C", "Z"]
        conn.query("ROLLBACK")
        assert conn.status == "I"
