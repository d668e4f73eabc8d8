"""psycopg 3: a metadata store of topics, offsets and leases.

The same workload runs straight on the primary and through pgweir, and must
give the same results; then the replica says which reads it served.
"""
import asyncio

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

pytestmark = pytest.mark.tsan

SCHEMA = """
DROP TABLE IF EXISTS mq_offsets, mq_leases, mq_partitions, mq_topics;
CREATE TABLE mq_topics (id serial PRIMARY KEY, name text UNIQUE NOT NULL,
                        config jsonb NOT NULL DEFAULT '{}');
CREATE TABLE mq_partitions (topic int NOT NULL REFERENCES mq_topics,
    number int NOT NULL, high bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, number));
CREATE TABLE mq_leases (topic int, number int, holder text NOT NULL,
    epoch bigint NOT NULL, PRIMARY KEY (topic, number));
CREATE TABLE mq_offsets (consumer text, topic int, number int,
    at bigint NOT NULL, PRIMARY KEY (consumer, topic, number));
"""


def migrate(dsn):
    """Migrations at start, under an advisory lock held by a transaction."""
    with psycopg.connect(dsn) as conn:
        conn.execute("SELECT pg_advisory_xact_lock(4711)")
        conn.execute(SCHEMA)


def create_topic(conn, name, partitions):
    with conn.transaction():
        topic, = conn.execute(
            "INSERT INTO mq_topics (name, config) VALUES (%s, %s)"
            " RETURNING id", (name, Jsonb({"partitions": partitions}))
        ).fetchone()
        conn.cursor().executemany(
            "INSERT INTO mq_partitions (topic, number) VALUES (%s, %s)",
            [(topic, n) for n in range(partitions)])
    return topic


def take_lease(conn, topic, holder, epoch):
    """Compare-and-set: the lease passes on only at the epoch that is known."""
    return conn.execute(
        "INSERT INTO mq_leases VALUES (%s, 0, %s, 1) ON CONFLICT (topic,"
        " number) DO UPDATE SET holder = excluded.holder,"
        " epoch = mq_leases.epoch + 1 WHERE mq_leases.epoch = %s"
        " RETURNING holder, epoch", (topic, holder, epoch)).fetchone()


def write_phase(dsn, out):
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=2) as conn:
        topics = [create_topic(conn, "topic-%d" % n, 40) for n in range(5)]
        topics.append(create_topic(conn, "big", 2000))
        out["leases"] = [take_lease(conn, topics[0], h, e) for h, e in
                         (("a", 0), ("b", 1), ("c", 1), ("d", 2))]
        for step in range(30):
            conn.execute(
                "INSERT INTO mq_offsets VALUES (%s, %s, %s, %s) ON CONFLICT"
                " (consumer, topic, number) DO UPDATE SET at = excluded.at",
                ("c1", topics[0], step % 3, step))
            at, = conn.execute(
                "SELECT at FROM mq_offsets WHERE consumer = %s AND topic ="
                " %s AND number = %s", ("c1", topics[0], step % 3)).fetchone()
            assert at == step, "an offset was not readable after its write"
        out["duplicate"] = fails(conn, "INSERT INTO mq_topics (name)"
                                 " VALUES ('big')")
        out["after"] = conn.execute("SELECT count(*) FROM mq_topics"
                                    ).fetchone()


def fails(conn, statement):
    try:
        conn.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def read_phase(dsn, out):
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=3,
                         row_factory=dict_row) as conn:
        out["point"] = [conn.execute(
            "SELECT t.name, p.number, p.high FROM mq_partitions p JOIN"
            " mq_topics t ON t.id = p.topic WHERE t.name = %s AND p.number"
            " = %s", ("topic-%d" % (n % 5), n)).fetchall()
            for n in range(40)]
        out["list"] = conn.execute(
            "SELECT number, high FROM mq_partitions WHERE topic = (SELECT"
            " id FROM mq_topics WHERE name = 'big') ORDER BY number"
        ).fetchall()
        out["json"] = conn.execute(
            "SELECT name, config FROM mq_topics WHERE config @> %s ORDER BY"
            " name", (Jsonb({"partitions": 40}),)).fetchall()


def workload(dsn, settle):
    out = {}
    migrate(dsn)
    write_phase(dsn, out)
    settle()
    read_phase(dsn, out)
    return out


def test_store_gives_the_same_and_reads_on_the_replica(cluster, weir):
    straight = workload(cluster.dsn(), cluster.position)
    before = cluster.calls("mq_")
    through = workload(weir.dsn(), weir.settle)
    after = cluster.calls("mq_")
    assert through == straight
    assert straight["leases"] == [("a", 1), ("b", 2), None, ("d", 3)]
    assert straight["duplicate"] == "23505"
    assert len(straight["list"]) == 2000
    # Those of the last phase at least, and what is read back before.
    assert after["replica"] - before["replica"] >= 42
    assert after["primary"] > before["primary"]


def test_prepared_statements_from_many_connections(cluster, weir):
    """More clients than servers, each with names of its own."""
    conns = [weir.connect(prepare_threshold=0) for _ in range(30)]
    try:
        for turn in range(4):
            for number, conn in enumerate(conns):
                # The same name means another statement for each client.
                row = conn.execute("SELECT %s::int + {} AS sum{}".format(
                    number, number % 7), (turn,)).fetchone()
                assert row == (turn + number,)
    finally:
        for conn in conns:
            conn.close()


def test_statement_survives_ddl(cluster, weir):
    with weir.connect(prepare_threshold=0) as conn:
        conn.execute("DROP TABLE IF EXISTS mq_ddl")
        conn.execute("CREATE TABLE mq_ddl (a int, b text)")
        conn.execute("INSERT INTO mq_ddl VALUES (%s, %s)", (1, "x"))
        read = "SELECT a, b FROM mq_ddl WHERE a = %s"
        assert conn.execute(read, (1,)).fetchall() == [(1, "x")]
        conn.execute("ALTER TABLE mq_ddl ADD c int")
        assert conn.execute(read, (1,)).fetchall() == [(1, "x")]
        conn.execute("DROP TABLE mq_ddl")


def test_pipeline(cluster, weir):
    def run(dsn):
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("DROP TABLE IF EXISTS mq_pipe")
            conn.execute("CREATE TABLE mq_pipe (i int PRIMARY KEY)")
            out = []
            with conn.pipeline() as pipeline:
                cursors = [conn.execute("INSERT INTO mq_pipe VALUES (%s)"
                                        " RETURNING i", (i,))
                           for i in range(200)]
                pipeline.sync()
                out.append([c.fetchone()[0] for c in cursors])
                reads = []
                for i in range(100):
                    reads.append(conn.execute(
                        "SELECT i, i * 2 FROM mq_pipe WHERE i = %s", (i,)))
                    if i % 10 == 9:
                        pipeline.sync()
                out.append([c.fetchone() for c in reads])
            with pytest.raises(psycopg.errors.UniqueViolation):
                with conn.pipeline() as pipeline:
                    conn.execute("INSERT INTO mq_pipe VALUES (1000)")
                    conn.execute("INSERT INTO mq_pipe VALUES (1)")
                    conn.execute("INSERT INTO mq_pipe VALUES (1001)")
                    pipeline.sync()
            out.append(conn.execute("SELECT count(*) FROM mq_pipe WHERE i >"
                                    " 999").fetchone())
            return out
    assert run(weir.dsn()) == run(cluster.dsn())


def test_copy_both_ways(cluster, weir):
    rows = [(i, "text %d \t\n\\" % i, None if i % 3 else i / 2.0)
            for i in range(5000)]

    def run(dsn, settle):
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("DROP TABLE IF EXISTS mq_copy")
            conn.execute("CREATE TABLE mq_copy (a int, b text, c float8)")
            with conn.cursor().copy("COPY mq_copy FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            with pytest.raises(psycopg.errors.BadCopyFileFormat):
                with conn.cursor().copy("COPY mq_copy FROM STDIN") as copy:
                    copy.write(b"1\tonly two\n")
            with pytest.raises(psycopg.errors.QueryCanceled):
                with conn.cursor().copy("COPY mq_copy FROM STDIN") as copy:
                    copy.write_row((1, "x", 1.0))
                    raise RuntimeError("the program thought better of it")
        settle()
        with psycopg.connect(dsn, autocommit=True) as conn:
            with conn.cursor().copy("COPY (SELECT * FROM mq_copy ORDER BY a)"
                                    " TO STDOUT") as copy:
                text = b"".join(copy)
            with conn.cursor().copy("COPY mq_copy TO STDOUT (FORMAT binary)"
                                    ) as copy:
                copy.set_types(["int4", "text", "float8"])
                binary = sorted(copy.rows())
        return text, binary

    straight = run(cluster.dsn(), cluster.position)
    through = run(weir.dsn(), cluster.position)
    assert through == straight
    assert through[1] == rows


def test_cursors_in_a_transaction(cluster, weir):
    def run(dsn):
        with psycopg.connect(dsn) as conn:
            with conn.cursor(name="walk") as cursor:
                cursor.itersize = 77
                cursor.execute("SELECT g, md5(g::text) FROM"
                               " generate_series(1, 1000) g")
                walked = list(cursor)
            with conn.cursor(name="jump", scrollable=True) as cursor:
                cursor.execute("SELECT g FROM generate_series(1, 50) g")
                cursor.scroll(40)
                part = cursor.fetchmany(5)
                cursor.scroll(-20)
                return walked, part, cursor.fetchone()
    assert run(weir.dsn()) == run(cluster.dsn())


def test_binary_results_and_types(cluster, weir):
    statement = ("SELECT 1::int2, 2::int8, 1.5::float8, 3.25::numeric,"
                 " 'é'::text, '\\x00ff'::bytea, true, null::int,"
                 " '2024-02-29'::date, '2024-02-29 12:30:00+02'::timestamptz,"
                 " '{\"a\": [1, null]}'::jsonb, array[1, 2, null],"
                 " 'c0ffee00-0000-4000-8000-000000000001'::uuid,"
                 " '192.168.0.1/24'::inet, int4range(1, 5)")

    def run(dsn, binary):
        with psycopg.connect(dsn, autocommit=True) as conn:
            return conn.cursor(binary=binary).execute(statement).fetchall()
    for binary in (False, True):
        assert run(weir.dsn(), binary) == run(cluster.dsn(), binary)


def test_settings_stay_with_their_client(weir):
    with weir.connect() as one, weir.connect() as two:
        one.execute("SET timezone = 'Asia/Tokyo'")
        two.execute("SET timezone = 'America/Lima'")
        one.execute("SET application_name = 'first'")
        for _ in range(5):
            assert one.execute("SHOW timezone").fetchone() == ("Asia/Tokyo",)
            assert two.execute("SHOW timezone").fetchone() == (
                "America/Lima",)
        assert one.info.timezone.key == "Asia/Tokyo"
        assert one.execute("SHOW application_name").fetchone() == ("first",)


def test_savepoints_and_rollback(cluster, weir):
    with weir.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS mq_save")
        conn.execute("CREATE TABLE mq_save (i int)")
        with conn.transaction():
            conn.execute("INSERT INTO mq_save VALUES (1)")
            with pytest.raises(psycopg.errors.DivisionByZero):
                with conn.transaction():
                    conn.execute("INSERT INTO mq_save VALUES (2)")
                    conn.execute("SELECT 1 / 0")
            conn.execute("INSERT INTO mq_save VALUES (3)")
        with pytest.raises(RuntimeError):
            with conn.transaction():
                conn.execute("INSERT INTO mq_save VALUES (4)")
                raise RuntimeError
        assert conn.execute("SELECT i FROM mq_save ORDER BY i"
                            ).fetchall() == [(1,), (3,)]


def test_async_clients(cluster, weir):
    """Sixty tasks share ten servers; each sees its own rows only."""
    async def one(number):
        async with await psycopg.AsyncConnection.connect(
                weir.dsn(), autocommit=True) as conn:
            for turn in range(10):
                async with conn.transaction():
                    await conn.execute("INSERT INTO mq_async VALUES (%s, %s)",
                                       (number, turn))
                    cursor = await conn.execute(
                        "SELECT count(*) FROM mq_async WHERE client = %s",
                        (number,))
                    assert await cursor.fetchone() == (turn + 1,)

    async def all_of_them():
        await asyncio.gather(*(one(n) for n in range(60)))

    with weir.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS mq_async")
        conn.execute("CREATE TABLE mq_async (client int, turn int)")
    asyncio.run(all_of_them())
    assert cluster.value("SELECT count(*) FROM mq_async") == 600
    assert cluster.backends("primary") <= 10


def test_cancel_stops_only_its_own_query(weir):
    with weir.connect() as slow, weir.connect() as other:
        slow_pid = slow.execute("SELECT 1").fetchone()
        assert slow_pid == (1,)

        async def cancel_soon():
            await asyncio.sleep(0.3)
            slow.cancel()

        def run_slow():
            with pytest.raises(psycopg.errors.QueryCanceled):
                slow.execute("SELECT pg_sleep(20)")

        async def both():
            await asyncio.gather(asyncio.to_thread(run_slow), cancel_soon())
        asyncio.run(both())
        assert other.execute("SELECT 2").fetchone() == (2,)
        assert slow.execute("SELECT 3").fetchone() == (3,)


def test_identifiers_notices_and_notice_handler(weir):
    heard = []
    with weir.connect() as conn:
        conn.add_notice_handler(lambda d: heard.append(d.message_primary))
        conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(
            sql.Identifier("no such table é")))
        conn.execute("DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$")
    assert any("no such table é" in text for text in heard)
    assert "hello 1" in heard
