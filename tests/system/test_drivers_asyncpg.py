"""asyncpg: an API over items and circuits with UUID, time and JSONB types.

asyncpg prepares everything it runs under names of its own, asks the catalog
about types it does not know, and speaks binary throughout.
"""
import asyncio
import datetime
import json
import uuid

import asyncpg
import pytest

pytestmark = pytest.mark.tsan

SCHEMA = """
DROP TABLE IF EXISTS farm_history, farm_items, farm_circuits;
DROP TYPE IF EXISTS farm_state, farm_place;
CREATE TYPE farm_state AS ENUM ('seeded', 'grown', 'harvested');
CREATE TYPE farm_place AS (latitude float8, longitude float8);
CREATE TABLE farm_circuits (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE farm_items (id uuid PRIMARY KEY, circuit uuid NOT NULL
    REFERENCES farm_circuits, state farm_state NOT NULL DEFAULT 'seeded',
    place farm_place, tags text[] NOT NULL DEFAULT '{}', data jsonb,
    at timestamptz NOT NULL);
CREATE TABLE farm_history (item uuid NOT NULL, step int NOT NULL,
    note text, PRIMARY KEY (item, step));
"""
START = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)


def name_uuid(*words):
    return uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, words)))


def address(dsn):
    return dict(pair.split("=") for pair in dsn.replace(
        "dbname=", "database=").split())


async def connect(dsn):
    conn = await asyncpg.connect(**address(dsn), timeout=20)
    await conn.set_type_codec("jsonb", encoder=json.dumps,
                              decoder=json.loads, schema="pg_catalog")
    return conn


async def write_phase(dsn, out):
    conn = await connect(dsn)
    await conn.execute(SCHEMA)
    circuits = [name_uuid("circuit", n) for n in range(4)]
    await conn.executemany("INSERT INTO farm_circuits VALUES ($1, $2)",
                           [(c, str(c)[:8]) for c in circuits])
    async with conn.transaction():
        for n in range(60):
            await conn.execute(
                "INSERT INTO farm_items VALUES ($1, $2, $3, $4, $5, $6, $7)",
                name_uuid("item", n), circuits[n % 4],
                ("seeded", "grown", "harvested")[n % 3],
                (n / 2.0, -n / 4.0), ["t%d" % n, "all"],
                {"n": n, "deep": [n, None]},
                START + datetime.timedelta(hours=n))
    out["copied"] = await conn.copy_records_to_table(
        "farm_history", records=[(name_uuid("item", n % 60), n, "note %d" % n)
                                 for n in range(3000)],
        columns=["item", "step", "note"])
    with pytest.raises(asyncpg.UniqueViolationError):
        async with conn.transaction():
            await conn.execute("INSERT INTO farm_circuits VALUES ($1, 'x')",
                               circuits[0])
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await conn.execute("INSERT INTO farm_items (id, circuit, at) VALUES"
                           " ($1, $1, $2)", name_uuid("none"), START)
    await conn.close()


async def read_phase(dsn, out):
    conn = await connect(dsn)
    statement = await conn.prepare(
        "SELECT id, state, place, tags, data, at FROM farm_items WHERE"
        " circuit = $1 AND at < $2 ORDER BY at")
    out["prepared"] = [[tuple(r) for r in await statement.fetch(
        name_uuid("circuit", n), START + datetime.timedelta(hours=40))]
        for n in range(4)]
    out["columns"] = [a.name + ":" + a.type.name
                      for a in statement.get_attributes()]
    out["value"] = await conn.fetchval(
        "SELECT count(*) FROM farm_history WHERE note LIKE $1", "note 1%")
    async with conn.transaction(readonly=True):
        out["cursor"] = [tuple(r) async for r in conn.cursor(
            "SELECT step, note FROM farm_history ORDER BY step",
            prefetch=70)]
        cursor = await conn.cursor(
            "SELECT step FROM farm_history ORDER BY step")
        await cursor.forward(100)
        out["forward"] = await cursor.fetchrow()
    await conn.close()


async def workload(dsn, settle):
    out = {}
    await write_phase(dsn, out)
    settle()
    await read_phase(dsn, out)
    return out


def test_farm(cluster, weir):
    straight = asyncio.run(workload(cluster.dsn(), cluster.position))
    before = cluster.calls("farm_items WHERE")["replica"]
    through = asyncio.run(workload(weir.dsn(), weir.settle))
    assert through == straight
    assert straight["copied"] == "COPY 3000"
    assert len(straight["cursor"]) == 3000
    assert cluster.calls("farm_items WHERE")["replica"] - before >= 4
    assert cluster.calls("count(*) FROM farm_history")["replica"] >= 1


def test_pool_of_sixteen(cluster, weir):
    async def handle(pool, number):
        item = name_uuid("pool", number)
        async with pool.acquire() as conn:
            async with conn.transaction():
                await conn.execute("INSERT INTO farm_pool VALUES ($1, $2)",
                                   item, number)
                assert await conn.fetchval(
                    "SELECT n FROM farm_pool WHERE id = $1", item) == number
            assert await conn.fetchval(
                "SELECT n FROM farm_pool WHERE id = $1", item) == number

    async def run():
        async with asyncpg.create_pool(**address(weir.dsn()), min_size=4,
                                       max_size=16) as pool:
            await pool.execute("DROP TABLE IF EXISTS farm_pool")
            await pool.execute("CREATE TABLE farm_pool (id uuid, n int)")
            await asyncio.gather(*(handle(pool, n) for n in range(300)))

    asyncio.run(run())
    assert cluster.value("SELECT count(DISTINCT id) FROM farm_pool") == 300
    assert cluster.backends("primary") <= 10


def test_statement_cache_over_shared_servers(weir):
    """Clients with the same texts and the same names in another order."""
    async def client(number):
        conn = await connect(weir.dsn())
        try:
            for turn in range(12):
                which = (turn + number) % 5
                assert await conn.fetchval(
                    "SELECT $1::int * %d" % (which + 1), turn
                ) == turn * (which + 1)
        finally:
            await conn.close()

    async def run():
        await asyncio.gather(*(client(n) for n in range(40)))
    asyncio.run(run())


def test_timeout_cancels_and_the_connection_stays(weir):
    async def run():
        conn = await connect(weir.dsn())
        with pytest.raises(asyncio.TimeoutError):
            await conn.fetch("SELECT pg_sleep(30)", timeout=0.5)
        assert await conn.fetchval("SELECT 7") == 7
        await conn.close()
    asyncio.run(run())


def test_error_in_prepare_leaves_the_connection_usable(weir):
    async def run():
        conn = await connect(weir.dsn())
        for _ in range(3):
            with pytest.raises(asyncpg.UndefinedTableError):
                await conn.prepare("SELECT * FROM farm_missing")
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await conn.fetch("SELEC 1")
            assert await conn.fetchval("SELECT 1") == 1
        await conn.close()
    asyncio.run(run())
