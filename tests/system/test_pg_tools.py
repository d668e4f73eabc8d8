"""PostgreSQL's own client programs, through pgweir and straight: they do and
say the same, pooled by transaction in front of two nodes."""
import contextlib
import os
import re
import shutil
import subprocess
import time

import psycopg
import pytest

from harness import SLOW, give_away, make_dir, unprivileged, wait_for, \
    write_file
from wire import Wire, bind, cancel, describe, execute, one_query, parse, \
    query, sync

pytestmark = pytest.mark.own

BASE = """
CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO parents SELECT g, 'name ' || g FROM generate_series(1, 2000) g;
CREATE TABLE children (id bigserial PRIMARY KEY,
    parent int REFERENCES parents, at timestamptz DEFAULT '2020-02-02 UTC',
    note text COLLATE "C", data jsonb, raw bytea);
INSERT INTO children (parent, note, data, raw)
    SELECT 1 + g %% 2000, E'tab\\t back\\\\slash \\n line ' || g,
           jsonb_build_object('g', g), decode(md5(g::text), 'hex')
    FROM generate_series(1, 5000) g;
CREATE INDEX ON children (parent) WHERE note IS NOT NULL;
CREATE TABLE parts (i int, t text) PARTITION BY RANGE (i);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT g, 'p' FROM generate_series(1, 300) g;
CREATE VIEW joined AS SELECT p.name, c.note FROM parents p JOIN children c
    ON c.parent = p.id;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM children;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE
    AS 'SELECT 2 * i';
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE odd INCREMENT 2;
SELECT nextval('odd'), nextval('odd');
COMMENT ON TABLE parents IS 'it''s "quoted"';
SELECT lo_from_bytea(4711, 'large object');
ALTER DATABASE %(db)s SET work_mem = '5MB';
"""


def fill(cluster, name):
    cluster.sql("CREATE DATABASE %s" % name)
    with cluster.connect(dbname=name) as conn:
        conn.execute(BASE % {"db": name})
    cluster.position()


def drop(cluster, *names):
    for name in names:
        cluster.sql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)


@pytest.fixture(scope="module")
def shop(cluster):
    """A database with some of everything in it."""
    fill(cluster, "tools_shop")
    yield "tools_shop"
    drop(cluster, "tools_shop")


@pytest.fixture
def weir(make_weir, cluster):
    """One line serves every database."""
    return make_weir(databases={"*": "host=" + ",".join(
        "127.0.0.1:%d" % cluster.ports[n] for n in ("primary", "replica"))})


@pytest.fixture
def scratch():
    path = make_dir("pgweir-tools.")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def databases(cluster, *names):
    drop(cluster, *names)
    try:
        for name in names:
            cluster.sql("CREATE DATABASE %s" % name)
        yield
    finally:
        drop(cluster, *names)


def run(port, tool, *args, code=0, text=None, **env):
    """A client program as superuser at that port; what it says."""
    bindir = subprocess.run(["pg_config", "--bindir"], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    done = subprocess.run(
        [os.path.join(bindir, tool), *map(str, args)], input=text, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
        timeout=55 * SLOW, env={
            **os.environ, "HOME": "/nonexistent", "PGHOST": "127.0.0.1",
            "PGPORT": str(port), "PGUSER": "postgres", **env},
        **unprivileged())
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    # Newer minor versions put a random word into each dump.
    return re.sub(r"(\\(?:un)?restrict) \w+", r"\1 key",
                  done.stdout + done.stderr)


def both(cluster, weir, tool, *args, **more):
    """The same run straight and through pgweir."""
    return (run(cluster.ports["primary"], tool, *args, **more),
            run(weir.port, tool, *args, **more))


def dump_of(cluster, name, *args):
    """What a straight dump says of a database, its own name left out."""
    text = run(cluster.ports["primary"], "pg_dump", "-d", name, *args)
    return text.replace(name, "THE_DB")


# pg_dump, pg_restore, pg_dumpall ---------------------------------------------


@pytest.mark.parametrize("args", [
    [], ["--create", "--clean", "--if-exists"], ["--schema-only"],
    ["--inserts", "--rows-per-insert=100", "--data-only"],
    ["-t", "children", "--column-inserts"],
    ["--serializable-deferrable"], ["--enable-row-security"]],
    ids=lambda a: " ".join(a) or "plain")
def test_pg_dump_says_the_same(weir, cluster, shop, args):
    straight, through = both(cluster, weir, "pg_dump", "-d", shop, *args)
    assert straight == through
    assert len(straight) > 1000


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_pg_dump_in_parallel_and_restore(weir, cluster, shop, scratch, mode):
    """-j: workers import the leader's snapshot; restored, nothing differs."""
    weir.reload({"pool_mode": mode})
    with databases(cluster, "tools_copy"):
        for i in range(3):
            run(weir.port, "pg_dump", "-d", shop, "-Fd", "-j", 4, "-f",
                scratch / ("dir%d" % i))
        run(weir.port, "pg_restore", "-d", "tools_copy", "-j", 4,
            scratch / "dir0")
        assert dump_of(cluster, "tools_copy") == dump_of(cluster, shop)
        run(weir.port, "pg_restore", "-d", "tools_copy", "-j", 2, "--clean",
            "--if-exists", scratch / "dir1")
        run(weir.port, "pg_restore", "-d", "tools_copy", "--clean",
            "--single-transaction", scratch / "dir2")
        assert dump_of(cluster, "tools_copy") == dump_of(cluster, shop)


@pytest.mark.parametrize("form", ["c", "t", "p"])
def test_dump_and_restore_all_through_pgweir(weir, cluster, shop, scratch,
                                             form):
    file = scratch / "dump"
    run(weir.port, "pg_dump", "-d", shop, "-F", form, "-f", file)
    with databases(cluster, "tools_copy"):
        if form == "p":
            run(weir.port, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                "tools_copy", "-f", file)
        else:
            run(weir.port, "pg_restore", "-d", "tools_copy", file)
        assert dump_of(cluster, "tools_copy") == dump_of(cluster, shop)


def test_restore_creates_the_database(weir, cluster, shop, scratch):
    file = scratch / "dump"
    run(weir.port, "pg_dump", "-d", shop, "-Fc", "-f", file)
    with databases(cluster):
        before = dump_of(cluster, shop, "--create")
        drop(cluster, shop)
        run(weir.port, "pg_restore", "-d", "postgres", "--create", file)
        assert dump_of(cluster, shop, "--create") == before
    cluster.position()


def test_pg_dumpall(weir, cluster, shop):
    for args in ([], ["--globals-only"], ["--schema-only"]):
        straight, through = both(cluster, weir, "pg_dumpall", *args)
        assert straight == through
        assert "CREATE ROLE" in straight or args == ["--schema-only"]


# Snapshots -------------------------------------------------------------------


BEGINS = ["BEGIN ISOLATION LEVEL REPEATABLE READ",
          "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
          "START TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ"]


@pytest.mark.parametrize("first", BEGINS)
@pytest.mark.parametrize("then", BEGINS)
@pytest.mark.parametrize("writes", [False, True])
def test_exported_snapshots_are_imported(weir, cluster, shop, first, then,
                                         writes):
    """Whoever exports, whoever imports, whatever either did before."""
    with weir.connect(shop, "postgres") as one, \
            weir.connect(shop, "postgres") as two:
        if writes:
            two.execute("UPDATE parents SET name = name WHERE id = 1")
        one.execute(first)
        name = one.execute("SELECT pg_export_snapshot()").fetchone()[0]
        count = one.execute("SELECT count(*) FROM parts").fetchone()
        cluster.sql("INSERT INTO parts VALUES (7, 'late')", dbname=shop)
        cluster.position()
        two.execute(then)
        two.execute("SET TRANSACTION SNAPSHOT '%s'" % name)
        assert two.execute("SELECT count(*) FROM parts").fetchone() == count
        two.execute("COMMIT")
        one.execute("COMMIT")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_transaction_moves_with_its_begin(weir, cluster, shop, mode):
    """What decides where a transaction belongs may come behind its BEGIN."""
    weir.reload({"pool_mode": mode})
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    with weir.connect(shop, "postgres") as conn:
        def value(sql):
            return conn.execute(sql).fetchone()[0]

        def in_recovery():
            tag = cluster.fresh()
            value("SELECT count(*) AS %s FROM parents" % tag)
            return cluster.calls(tag)["replica"] == 1
        conn.execute("SET application_name = 'mover'")
        for follow, recovery in (("SELECT 1", True), ("SHOW work_mem", False),
                                 ("SELECT pg_is_in_recovery()", False),
                                 ("DECLARE c CURSOR FOR SELECT 1", True)):
            conn.execute(begin)
            conn.execute(follow)
            assert in_recovery() == recovery, follow
            conn.execute("COMMIT")
            wait_for(lambda: in_recovery(), 5, "the window after a write")
        conn.execute(begin)
        assert value("SHOW transaction_isolation") == "repeatable read"
        assert value("SHOW transaction_read_only") == "on"
        assert value("SHOW application_name") == "mover"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("INSERT INTO parts VALUES (1, 'no')")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            conn.execute("SELECT 1")
        conn.execute("ROLLBACK")
        wait_for(lambda: in_recovery(), 5, "the window after a write")
        conn.execute("BEGIN READ ONLY")
        conn.execute("SET TRANSACTION READ WRITE")
        conn.execute("INSERT INTO parts VALUES (8, 'rw')")
        conn.execute("COMMIT")
        wait_for(lambda: in_recovery(), 5, "the window after a write")
        conn.execute("BEGIN READ ONLY")
        conn.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        assert value("SHOW transaction_isolation") == "serializable"
        conn.execute("COMMIT")


def test_begin_and_what_follows_in_one_packet(weir, cluster, shop):
    """Placed when the BEGIN is answered; every answer comes, in order."""
    with Wire(weir.port) as wire:
        wire.login("postgres", shop)
        wire.rows("SELECT count(*) FROM parents")
        wire.send(query("BEGIN READ ONLY"),
                  query("SET TRANSACTION READ WRITE"),
                  query("INSERT INTO parts VALUES (9, 'x')"), query("COMMIT"))
        told = [m for _ in range(4) for m in wire.until()]
        assert [m.payload for m in told if m.type == "C"] == [
            b"BEGIN\0", b"SET\0", b"INSERT 0 1\0", b"COMMIT\0"]
        assert [m.payload for m in told if m.type == "Z"] == [
            b"T", b"T", b"T", b"I"]


def test_begin_of_the_extended_protocol(weir, cluster, shop):
    with Wire(weir.port) as wire:
        wire.login("postgres", shop)
        for _ in range(3):
            wait_for(lambda: replica_reads(cluster, wire), 5,
                     "the window after a write")
            wire.send(one_query("BEGIN READ ONLY"), sync())
            assert wire.until()[-1].payload == b"T"
            wire.send(one_query("SELECT pg_is_in_recovery()"), sync())
            assert [m.values for m in wire.until() if m.type == "D"] == [
                [b"f"]]
            wire.send(one_query("COMMIT"), sync())
            assert wire.until()[-1].payload == b"I"
            wire.send(parse("BEGIN READ ONLY"), bind(), describe(),
                      execute(), sync(), one_query(
                          "SET TRANSACTION READ WRITE"), sync(),
                      one_query("INSERT INTO parts VALUES (1, 'e')"),
                      sync(), one_query("COMMIT"), sync())
            said = [m for _ in range(4) for m in wire.until()]
            assert [m.payload for m in said if m.type == "Z"] == [
                b"T", b"T", b"T", b"I"]
            assert not [m for m in said if m.type == "E"]


def replica_reads(cluster, wire):
    tag = cluster.fresh()
    wire.rows("SELECT count(*) AS %s FROM parents" % tag)
    return cluster.calls(tag)["replica"] == 1


def test_moving_waits_and_is_cancelled(make_weir, cluster, shop):
    """The primary's one server is taken: the unit waits, BEGIN kept. There is
    no server that could be cancelled, but its transaction has failed."""
    weir = make_weir({"default_pool_size": 1}, databases={
        "*": "host=" + ",".join("127.0.0.1:%d" % cluster.ports[n]
                                for n in ("primary", "replica"))})
    with weir.connect(shop, "postgres") as holder, Wire(weir.port) as wire:
        wire.login("postgres", shop)
        time.sleep(1.2)
        for is_cancelled in (False, True):
            holder.execute("BEGIN; SELECT 1")
            assert wire.query("BEGIN READ ONLY")[-1].payload == b"T"
            wire.send(query("SELECT pg_is_in_recovery()"))
            wait_for(lambda: weir.metric("pgweir_pool_waiting_clients",
                                         role="primary"), 5, "a waiter")
            if is_cancelled:
                cancel(weir.port, wire.cancel_key)
                assert [m.sqlstate for m in wire.until() if m.type == "E"] == [
                    "57014"]
                assert wire.query("COMMIT")[0].payload == b"ROLLBACK\0"
                holder.execute("COMMIT")
                continue
            holder.execute("COMMIT")
            assert [m.values for m in wire.until() if m.type == "D"] == [
                [b"f"]]
            assert wire.query("COMMIT")[0].payload == b"COMMIT\0"


def test_pg_dump_leaves_nothing_behind(make_weir, cluster, shop):
    """Its search_path, timeouts and bytea format: the next client's own."""
    weir = make_weir({"default_pool_size": 2}, databases={
        "*": "host=" + ",".join("127.0.0.1:%d" % cluster.ports[n]
                                for n in ("primary", "replica"))})
    names = ("search_path", "statement_timeout", "lock_timeout",
             "idle_in_transaction_session_timeout", "extra_float_digits",
             "synchronize_seqscans", "row_security", "DateStyle",
             "IntervalStyle", "transaction_isolation", "quote_all_identifiers")
    with cluster.connect(dbname=shop) as straight:
        want = [straight.execute("SHOW " + n).fetchone() for n in names]
    for _ in range(3):
        run(weir.port, "pg_dump", "-d", shop, "--lock-wait-timeout=5000")
        with weir.connect(shop, "postgres") as conn:
            assert want == [conn.execute("SHOW " + n).fetchone()
                            for n in names]
            assert conn.execute("SELECT count(*) FROM parents"
                                ).fetchone() == (2000,)


# psql -------------------------------------------------------------------------


SCRIPT = r"""
\set ON_ERROR_STOP 1
\pset null (null)
\d
\d+ children
\dt+ parents
\df twice
\l tools_shop
\dn+
\sf twice
SELECT count(*) AS n FROM parents \gset
\echo :n
SELECT NULL;
SELECT * FROM parents ORDER BY id LIMIT 2 \gx
SELECT 'SELECT ' || g FROM generate_series(1, 3) g \gexec
SELECT 1 AS one \; SELECT 2 AS two;
SELECT * FROM joined LIMIT 1 \gdesc
\set FETCH_COUNT 100
SELECT id FROM parents WHERE id < 350 ORDER BY id;
\unset FETCH_COUNT
BEGIN;
SAVEPOINT s;
\set ON_ERROR_STOP 0
SELECT 1 / 0;
\errverbose
\set ON_ERROR_STOP 1
ROLLBACK TO s;
SELECT 'after';
COMMIT;
\encoding LATIN1
\encoding
\encoding UTF8
SELECT g, g % 2 AS odd, g * g FROM generate_series(1, 3) g \crosstabview
\lo_list
"""


def test_psql_script(weir, cluster, shop):
    straight, through = both(cluster, weir, "psql", "-X", "-d", shop,
                             text=SCRIPT)
    # A node keeps its own free space map, so sizes differ by some pages.
    straight, through = (re.sub(r"\| \d+ kB \|", "| SIZE |", said)
                         for said in (straight, through))
    assert straight == through
    assert "| SIZE |" in straight and "(null)" in straight
    assert "division by zero" in straight
    assert "LOCATION" in straight


def test_psql_copy(weir, cluster, shop, scratch):
    """\\copy out and in, text, csv and binary, and from a pipe."""
    with databases(cluster, "tools_copy"):
        run(weir.port, "psql", "-X", "-d", "tools_copy", "-c",
            "CREATE TABLE c (LIKE pg_catalog.pg_class)", "-c",
            "CREATE TABLE k (id bigint, parent int, at timestamptz,"
            " note text, data jsonb, raw bytea)")
        for form in ("text", "csv", "binary"):
            files = [scratch / (form + which) for which in ("1", "2", "3")]
            for port, file in ((cluster.ports["primary"], files[0]),
                               (weir.port, files[1])):
                run(port, "psql", "-X", "-d", shop, "-c",
                    "\\copy (SELECT * FROM children ORDER BY id) TO '%s'"
                    " (FORMAT %s)" % (file, form))
            assert files[0].read_bytes() == files[1].read_bytes()
            out = run(weir.port, "psql", "-X", "-d", "tools_copy", "-c",
                      "TRUNCATE k", "-c", "\\copy k FROM '%s' (FORMAT %s)"
                      % (files[1], form), "-c",
                      "\\copy (SELECT * FROM k ORDER BY id) TO '%s'"
                      " (FORMAT %s)" % (files[2], form))
            assert "COPY 5000" in out
            assert files[0].read_bytes() == files[2].read_bytes()
        out = run(weir.port, "psql", "-X", "-At", "-d", "tools_copy", "-c",
                  "TRUNCATE k", "-c", "\\copy k (id) FROM PSTDIN", "-c",
                  "SELECT sum(id) FROM k", text="1\n2\n3\n")
        assert out.split()[-1] == "6"


# Maintenance ------------------------------------------------------------------


def test_vacuumdb(weir, cluster, shop):
    for args in (["-j", "4"], ["--analyze-in-stages"], ["-z", "-j", "2"],
                 ["-t", "children", "--full"], ["--freeze"]):
        straight, through = both(cluster, weir, "vacuumdb", "-d", shop, *args)
        assert straight == through
    before = cluster.sql("SELECT relname, vacuum_count, analyze_count FROM"
                         " pg_stat_user_tables ORDER BY 1", dbname=shop)
    run(weir.port, "vacuumdb", "-a", "-z", "-j", "3")

    def counted():
        after = cluster.sql("SELECT relname, vacuum_count, analyze_count FROM"
                            " pg_stat_user_tables ORDER BY 1", dbname=shop)
        return all(a[1] > b[1] and a[2] > b[2] for a, b in zip(after, before)
                   if a[0] != "parts")
    wait_for(counted, 10, "every table to be vacuumed once more")


def test_reindexdb_and_clusterdb(weir, cluster, shop):
    def files():
        return cluster.sql("SELECT relname, relfilenode FROM pg_class WHERE"
                           " relnamespace = 'public'::regnamespace AND"
                           " relkind = 'i' ORDER BY 1", dbname=shop)
    for args in (["-j", "4"], ["--concurrently", "-j", "2"],
                 ["-t", "children"], ["-S", "public"], ["--system"]):
        before = files()
        run(weir.port, "reindexdb", "-d", shop, *args)
        changed = [a != b for a, b in zip(files(), before)]
        assert any(changed) != ("--system" in args)
    cluster.sql("CLUSTER children USING children_pkey", dbname=shop)
    out = run(weir.port, "clusterdb", "-d", shop, "-v")
    assert 'clustering "public.children"' in out


def test_pgbench_initialises(weir, cluster):
    with databases(cluster, "tools_bench"):
        for steps in ("dtgvpf", "dtGvpf"):
            run(weir.port, "pgbench", "-i", "-s", 2, "-I", steps,
                "--partitions=2", "-d", "tools_bench")
            assert cluster.value("SELECT count(*) FROM pgbench_accounts",
                                 dbname="tools_bench") == 200000
        run(weir.port, "pgbench", "-n", "-c", 4, "-j", 2, "-t", 50, "-M",
            "prepared", "-P", 1, "tools_bench")
        assert cluster.value("SELECT count(*) FROM pgbench_history",
                             dbname="tools_bench") == 200


def test_databases_and_roles(weir, cluster, shop):
    drop(cluster, "tools_made", "tools_other")
    cluster.sql("DROP ROLE IF EXISTS tools_role")
    try:
        run(weir.port, "createuser", "--createdb", "-c", 3, "tools_role")
        run(weir.port, "createdb", "-O", "tools_role", "-E", "UTF8", "-T",
            "template0", "tools_made", "a comment")
        assert cluster.sql(
            "SELECT rolname, shobj_description(d.oid, 'pg_database') FROM"
            " pg_database d JOIN pg_roles r ON r.oid = datdba WHERE datname"
            " = 'tools_made'") == [("tools_role", "a comment")]
        out = run(weir.port, "createdb", "tools_made", code=1)
        assert 'database "tools_made" already exists' in out
        # At once, though the replica may not have it yet.
        run(weir.port, "psql", "-X", "-d", "tools_made", "-c", "CREATE TABLE"
            " t (i int)", "-c", "SELECT * FROM t")
        run(weir.port, "createdb", "tools_other")
        run(weir.port, "dropdb", "tools_other")
        out = run(weir.port, "dropdb", "tools_other", code=1)
        assert 'database "tools_other" does not exist' in out
        run(weir.port, "dropdb", "--if-exists", "tools_other")
        # With servers of it in the pools, on both nodes.
        run(weir.port, "createdb", "-T", shop, "tools_other")
        with weir.connect("tools_other", "postgres") as conn:
            for _ in range(5):
                conn.execute("SELECT count(*) FROM parents")
            conn.execute("INSERT INTO parts VALUES (1, 'x')")
        run(weir.port, "dropdb", "tools_other")
        run(weir.port, "dropdb", "--force", "tools_made")
        run(weir.port, "dropuser", "tools_role")
    finally:
        drop(cluster, "tools_made", "tools_other")
        cluster.sql("DROP ROLE IF EXISTS tools_role")


def test_pg_isready(weir, cluster):
    def answer(port, *args, code=0):
        return re.sub(r":\d+ ", ": ", run(port, "pg_isready", *args,
                                          code=code))
    assert answer(weir.port) == answer(cluster.ports["primary"])
    assert answer(weir.port, "-d", "no_such_db", "-U", "nobody") == \
        answer(cluster.ports["primary"], "-d", "no_such_db", "-U", "nobody")
    port = weir.port
    weir.signal(2)
    weir.wait_end()
    assert "no response" in answer(port, code=2)


def test_amcheck_vacuumlo_and_oid2name(weir, cluster, shop):
    cluster.sql("CREATE EXTENSION IF NOT EXISTS amcheck", dbname=shop)
    try:
        straight, through = both(cluster, weir, "pg_amcheck", "-d", shop,
                                 "-j", "3", "--heapallindexed")
        assert straight == through
        straight, through = both(cluster, weir, "oid2name", "-d", shop)
        assert straight == through
        with databases(cluster, "tools_lo"):
            cluster.sql("CREATE EXTENSION lo", dbname="tools_lo")
            cluster.sql("SELECT lo_create(0) FROM generate_series(1, 50)",
                        dbname="tools_lo")
            out = run(weir.port, "vacuumlo", "-v", "tools_lo")
            assert "removed 50 large objects" in out or "50" in out
            assert cluster.value("SELECT count(*) FROM"
                                 " pg_largeobject_metadata",
                                 dbname="tools_lo") == 0
    finally:
        cluster.sql("DROP EXTENSION amcheck", dbname=shop)


def test_pg_rewind_from_a_server_behind_pgweir(make_weir, own_cluster):
    """The old primary is rewound from the new one, which pgweir finds."""
    own_cluster.sql("ALTER SYSTEM SET full_page_writes = on")
    own_cluster.sql("ALTER SYSTEM SET wal_log_hints = on")
    own_cluster.stop("primary")
    own_cluster.start("primary")
    own_cluster.sql("ALTER SYSTEM SET full_page_writes = on",
                    node="replica")
    own_cluster.value("SELECT pg_reload_conf()", node="replica")
    wait_for(lambda: own_cluster.sql("SELECT 1 FROM pg_stat_replication"),
             20, "the replica to stream")
    own_cluster.position()
    own_cluster.promote("replica")
    wait_for(lambda: not own_cluster.value("SELECT pg_is_in_recovery()",
                                           node="replica"), 15, "promotion")
    own_cluster.sql("CREATE TABLE new_line (i int)", node="replica")
    own_cluster.sql("CHECKPOINT", node="replica")
    own_cluster.sql("CREATE TABLE old_line (i int)", node="primary")
    own_cluster.stop("primary")
    weir = make_weir(cluster=own_cluster, nodes=("replica",), databases={
        "*": "host=127.0.0.1:%d" % own_cluster.ports["replica"]})
    data = own_cluster.dir / "primary"
    own = (data / "postgresql.conf").read_bytes()
    out = run(weir.port, "pg_rewind", "-D", data, "--source-server",
              "host=127.0.0.1 port=%d user=postgres dbname=postgres"
              % weir.port, "--progress", "--write-recovery-conf")
    assert "Done!" in out
    write_file(data / "postgresql.conf", own.decode())
    assert "port=%d" % weir.port in (data / "postgresql.auto.conf").read_text()
