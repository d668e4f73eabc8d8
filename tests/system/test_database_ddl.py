"""Databases and roles that come, change and go behind the pools.

pgweir's idle servers are nobody's business: they never make a statement
fail that wants a database for itself, on no node and in no worker. Servers
that are older than a change of a role or a database serve no new session,
and replicas that do not have it yet serve nobody.
"""
import subprocess
import threading
import time

import psycopg
import pytest

from harness import SLOW, wait_for
from wire import (Wire, bind, describe, execute, flush, parse, query, sync)

pytestmark = pytest.mark.own

CYCLES = 30


def everything(cluster):
    """A line for any database, on both nodes."""
    return {"*": "host=" + ",".join(
        "127.0.0.1:%d" % cluster.ports[n] for n in ("primary", "replica"))}


@pytest.fixture
def star(make_weir, cluster):
    return make_weir({"workers": 2, "read_after_write_window": 0},
                     databases=everything(cluster))


@pytest.fixture
def scratch(cluster):
    """Databases and roles of this test: gone before it and after it."""
    names = ["dd_%s" % c for c in "abcdef"]

    def wipe():
        for name in names:
            cluster.sql('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
        for name in ("dd_role", "dd_other"):
            cluster.sql("DROP ROLE IF EXISTS %s" % name)
        cluster.position()

    wipe()
    yield names
    wipe()


def warm(weir, dbname, count=6, user="postgres"):
    """Idle servers of a database in every worker and on both nodes: many
    clients at once, then none."""
    conns = [weir.connect(dbname, user) for _ in range(count)]
    for conn in conns:
        conn.execute("BEGIN")
        conn.execute("SELECT 1")
    for conn in conns:
        conn.execute("COMMIT")
        for _ in range(2):
            conn.execute("SELECT 1")
    for conn in conns:
        conn.close()


def idle(cluster, dbname, node="primary"):
    return cluster.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (dbname,),
        node, dbname="postgres")


def warm_both(weir, cluster, dbname):
    def both():
        warm(weir, dbname)
        return idle(cluster, dbname) > 1 and \
            idle(cluster, dbname, "replica") > 0
    wait_for(both, 10, "idle servers of %s on both nodes" % dbname, 0.2)


def admin(weir, **more):
    return weir.connect("postgres", "postgres", **more)


def sqlstate_of(call):
    with pytest.raises(psycopg.Error) as caught:
        call()
    return caught.value.sqlstate, str(caught.value)


def login_error(weir, dbname, user="postgres"):
    with pytest.raises(psycopg.OperationalError) as caught:
        weir.connect(dbname, user).close()
    return str(caught.value)


# Databases.

def test_drop_with_idle_servers(star, cluster, scratch):
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        cluster.position()
        warm_both(star, cluster, name)
        conn.execute("DROP DATABASE %s" % name)
        assert name in login_error(star, name)
    cluster.position()
    assert idle(cluster, name) == 0 and idle(cluster, name, "replica") == 0


def test_create_from_a_template_with_idle_servers(star, cluster, scratch):
    source, copy = scratch[:2]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % source)
        with star.connect(source, "postgres") as inside:
            inside.execute("CREATE TABLE t AS SELECT 1 AS a")
        cluster.position()
        warm_both(star, cluster, source)
        conn.execute('CREATE DATABASE "%s" WITH TEMPLATE = %s'
                     % (copy, source))
    with star.connect(copy, "postgres") as inside:
        assert inside.execute("SELECT a FROM t").fetchone() == (1,)


def test_create_from_the_own_database(star, cluster, scratch):
    """Its own session is in nobody's way; others' idle servers go."""
    source, copy = scratch[:2]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % source)
    cluster.position()
    warm_both(star, cluster, source)
    with star.connect(source, "postgres") as inside:
        inside.execute("CREATE DATABASE %s TEMPLATE %s" % (copy, source))
        assert inside.execute("SELECT current_database()").fetchone() == \
            (source,)


def test_rename_and_swap(star, cluster, scratch):
    """After a swap each name is the other database, on both nodes."""
    first, second, between = scratch[:3]
    with admin(star) as conn:
        for name in (first, second):
            conn.execute("CREATE DATABASE %s" % name)
            with star.connect(name, "postgres") as inside:
                inside.execute("CREATE TABLE who AS SELECT '%s' AS me" % name)
        cluster.position()
        warm_both(star, cluster, first)
        warm_both(star, cluster, second)
        for before, after in ((first, between), (second, first),
                              (between, second)):
            conn.execute("ALTER DATABASE %s RENAME TO %s" % (before, after))
        ends = time.monotonic() + 2 * SLOW
        while time.monotonic() < ends:
            for name, other in ((first, second), (second, first)):
                with star.connect(name, "postgres") as inside:
                    assert inside.execute("SELECT me FROM who").fetchone() \
                        == (other,)


def test_rename_while_the_replica_is_behind(star, cluster, scratch):
    """The replica still has the old names: nobody reads there."""
    first, second = scratch[:2]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % first)
        with star.connect(first, "postgres") as inside:
            inside.execute("CREATE TABLE t AS SELECT 'old' AS a")
        cluster.position()
        warm_both(star, cluster, first)
        cluster.sql("SELECT pg_wal_replay_pause()", node="replica")
        try:
            conn.execute("ALTER DATABASE %s RENAME TO %s" % (first, second))
            conn.execute("CREATE DATABASE %s" % first)
            with star.connect(first, "postgres") as inside:
                inside.execute("CREATE TABLE t AS SELECT 'new' AS a")
                for _ in range(20):
                    assert inside.execute("SELECT a FROM t").fetchone() == \
                        ("new",)
                    time.sleep(0.05)
        finally:
            cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
        cluster.position()
        with star.connect(second, "postgres") as inside:
            assert inside.execute("SELECT a FROM t").fetchone() == ("old",)
        # ... and reads find their way back to it.
        def read_there():
            with star.connect(first, "postgres") as inside:
                inside.execute("SELECT a FROM t")
            return idle(cluster, first, "replica") > 0
        wait_for(read_there, 10, "reads of it on the replica", 0.2)


def test_set_tablespace(star, cluster, scratch):
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        cluster.position()
        warm_both(star, cluster, name)
        conn.execute("ALTER DATABASE %s SET TABLESPACE pg_default" % name)


def test_drop_with_force(star, cluster, scratch):
    """Whoever is in a transaction there is told what PostgreSQL tells."""
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        busy = star.connect(name, "postgres")
        busy.execute("BEGIN; SELECT 1")
        busy.execute("CREATE TABLE t (a int)")
        state, text = sqlstate_of(
            lambda: conn.execute("DROP DATABASE %s" % name))
        assert state == "55006" and "accessed by other users" in text
        conn.execute("DROP DATABASE %s WITH (FORCE)" % name)
        _, text = sqlstate_of(lambda: busy.execute("SELECT 1"))
        assert "terminating connection due to administrator" in text


def test_one_who_leaves_in_time(star, cluster, scratch):
    """PostgreSQL waits 5 s for those who are there; so their servers go."""
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        busy = star.connect(name, "postgres")
        busy.execute("BEGIN; SELECT 1")
        busy.execute("SELECT 1")
        end = threading.Timer(1.0, lambda: busy.execute("COMMIT"))
        end.start()
        conn.execute("DROP DATABASE %s" % name)
        end.join()
        _, text = sqlstate_of(lambda: busy.execute("SELECT 1"))
        assert 'database "%s" does not exist' % name in text


def test_one_who_listens(star, cluster, scratch):
    """Listening is no transaction, and keeps no server there."""
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("LISTEN dd")
        for _ in range(2):
            conn.execute("CREATE DATABASE %s" % name)
            with star.connect(name, "postgres") as there:
                there.execute("LISTEN dd")
                there.execute("SELECT 1")
                there.execute("UNLISTEN dd")
                conn.execute("CREATE DATABASE %s TEMPLATE %s"
                             % (scratch[1], name))
            conn.execute("DROP DATABASE %s" % name)
            conn.execute("DROP DATABASE %s" % scratch[1])


def test_session_mode_is_in_the_way(make_weir, cluster, scratch):
    """There a client holds its server: PostgreSQL says so."""
    name = scratch[0]
    weir = make_weir({"pool_mode": "session"}, databases=everything(cluster))
    with admin(weir) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        with weir.connect(name, "postgres") as there:
            there.execute("SELECT 1")
            state, _ = sqlstate_of(
                lambda: conn.execute("DROP DATABASE %s" % name))
            assert state == "55006"
        conn.execute("DROP DATABASE %s" % name)


def test_idle_clients_are_in_nobodys_way(star, cluster, scratch):
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        there = [star.connect(name, "postgres") for _ in range(4)]
        for other in there:
            other.execute("SELECT 1")
        conn.execute("DROP DATABASE %s" % name)
        for other in there:
            _, text = sqlstate_of(lambda: other.execute("SELECT 1"))
            assert "does not exist" in text and other.closed


def test_the_open_database(star, cluster, scratch):
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
    with star.connect(name, "postgres") as conn:
        state, text = sqlstate_of(
            lambda: conn.execute("DROP DATABASE %s" % name))
        assert state == "55006" and "currently open" in text
        state, text = sqlstate_of(
            lambda: conn.execute("ALTER DATABASE %s RENAME TO x" % name))
        assert state == "0A000"
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_names_of_any_spelling(star, cluster):
    """The name on the server counts, however it is written."""
    names = {'"dd Ä ""x"""': 'dd Ä "x"', 'U&"dd!00e9" UESCAPE \'!\'': "ddé",
             "DD_Upper": "dd_upper", '"%s"' % ("d" * 70): "d" * 63}
    with admin(star) as conn:
        for written, name in names.items():
            conn.execute("DROP DATABASE IF EXISTS %s" % written)
            conn.execute("CREATE DATABASE %s" % written)
            warm(star, "'%s'" % name.replace("\\", ""))
            assert idle(cluster, name) > 0
            conn.execute("DROP DATABASE %s" % written)


def test_lines_that_share_a_database(make_weir, cluster, scratch):
    """What servers call it counts, not what clients call it."""
    name = scratch[0]
    cluster.sql("CREATE DATABASE %s" % name)
    cluster.position()
    hosts = everything(cluster)["*"]
    weir = make_weir({"workers": 2}, databases={
        "one": hosts + " dbname=" + name, "two": hosts + " dbname=" + name,
        "postgres": hosts})
    warm(weir, "one")
    warm(weir, "two")
    assert idle(cluster, name) > 1
    with admin(weir) as conn:
        conn.execute("DROP DATABASE %s" % name)
        conn.execute("CREATE DATABASE %s" % name)
    with weir.connect("two", "postgres") as conn:
        assert conn.execute("SELECT current_database()").fetchone() == (name,)


@pytest.mark.parametrize("minimum, cycles", ((0, CYCLES), (3, 8)))
def test_cycles(make_weir, cluster, scratch, minimum, cycles):
    """What test suites of frameworks do: 30 databases, no error."""
    weir = make_weir({"workers": 2, "min_pool_size": minimum,
                      "read_after_write_window": 0},
                     databases=everything(cluster))
    name = scratch[0]
    with admin(weir) as conn:
        for cycle in range(cycles):
            conn.execute("DROP DATABASE IF EXISTS %s" % name)
            conn.execute("CREATE DATABASE %s" % name)
            with weir.connect(name, "postgres") as first, \
                    weir.connect(name, "postgres") as second:
                first.execute("CREATE TABLE t (a int)")
                first.execute("INSERT INTO t VALUES (%s)", (cycle,))
                assert second.execute("SELECT a FROM t").fetchone() == \
                    (cycle,)
            conn.execute("DROP DATABASE %s" % name)


def test_cycles_with_psql(star, cluster, scratch):
    """createdb, psql and dropdb, each with connections of its own."""
    name = scratch[0]
    where = ["-h", "127.0.0.1", "-p", str(star.port), "-U", "postgres"]
    run = lambda *args: subprocess.run(
        [str(cluster.bindir / args[0]), *where, *args[1:]], check=True,
        capture_output=True, text=True).stdout
    for cycle in range(3):
        run("createdb", name)
        out = run("psql", "-XqAt", "-c", "CREATE TABLE t AS SELECT %d AS a"
                  % cycle, "-c", "SELECT a FROM t", name)
        assert out == "%d\n" % cycle
        run("createdb", "-T", name, scratch[1])
        run("dropdb", name)
        run("dropdb", "--force", scratch[1])


def test_a_crowd(star, cluster, scratch):
    """Four at once, each with databases of its own, through two workers."""
    errors = []

    def play(name):
        try:
            with admin(star) as conn:
                for _ in range(6):
                    conn.execute("CREATE DATABASE %s" % name)
                    with star.connect(name, "postgres") as inside:
                        inside.execute("CREATE TABLE t (a int)")
                        inside.execute("SELECT * FROM t")
                    conn.execute("DROP DATABASE %s" % name)
        except psycopg.Error as error:
            # Copies of template1 at the same time are PostgreSQL's affair.
            errors.append(error)

    threads = [threading.Thread(target=play, args=(n,)) for n in scratch[:4]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


# What PostgreSQL says to each, in one session: the same through pgweir.
SCRIPT = (
    "DROP DATABASE dd_a", "DROP DATABASE IF EXISTS dd_a",
    "CREATE DATABASE dd_a", "CREATE DATABASE dd_a",
    "CREATE DATABASE dd_b TEMPLATE dd_nothing",
    "CREATE DATABASE dd_b TEMPLATE = 'dd_a' CONNECTION LIMIT = 5",
    "CREATE DATABASE dd_c TEMPLATE dd_b TEMPLATE dd_a",
    "CREATE DATABASE", "CREATE DATABASE dd_c WITH (FORCE)",
    "CREATE DATABASE dd_c ENCODING 'nonsense'",
    "ALTER DATABASE dd_a RENAME TO dd_b",
    "ALTER DATABASE dd_a RENAME TO dd_c",
    "ALTER DATABASE dd_a SET TABLESPACE pg_default",
    "ALTER DATABASE dd_c SET TABLESPACE nothing",
    "ALTER DATABASE dd_c SET TABLESPACE pg_default",
    "ALTER DATABASE dd_c SET work_mem = '5MB'",
    "ALTER DATABASE dd_c SET nonsense = '5MB'",
    "SELECT setconfig FROM pg_db_role_setting"
    " JOIN pg_database ON oid = setdatabase WHERE datname = 'dd_c'",
    "BEGIN", "DROP DATABASE dd_c", "SELECT 1", "ROLLBACK",
    "BEGIN", "CREATE DATABASE dd_d", "COMMIT",
    "BEGIN", "ALTER DATABASE dd_c RENAME TO dd_d", "ROLLBACK",
    "BEGIN", "ALTER DATABASE dd_c RENAME TO dd_d",
    "ALTER DATABASE dd_b RENAME TO dd_c", "COMMIT",
    "SELECT datname FROM pg_database WHERE datname LIKE 'dd\\_%'"
    " ORDER BY 1",
    "SELECT 1; DROP DATABASE dd_c", "DROP DATABASE dd_c; SELECT 1",
    "DROP DATABASE dd_c, dd_d", "DROP DATABASE U&\"dd\\005fc\"",
    "DROP DATABASE postgres", "DROP DATABASE template1",
    "DROP DATABASE dd_d WITH (FORCE, FORCE)", "DROP DATABASE dd_d (force)",
    "CREATE ROLE dd_role LOGIN", "CREATE USER dd_role",
    "ALTER ROLE dd_role SET work_mem = '1 lightyear'",
    "ALTER ROLE dd_role RENAME TO dd_other", "DROP ROLE dd_role",
    "DROP ROLE IF EXISTS dd_role, dd_other", "DROP ROLE dd_other",
    "GRANT CONNECT ON DATABASE dd_nothing TO postgres",
)


def outcomes(conn):
    out = []
    for sql in SCRIPT:
        try:
            cursor = conn.execute(sql)
            out.append((sql, cursor.statusmessage,
                        cursor.fetchall() if cursor.description else None))
        except psycopg.Error as error:
            out.append((sql, error.sqlstate, error.diag.message_primary))
    return out


@pytest.mark.parametrize("mode", ("transaction", "session"))
def test_as_postgresql_says_it(make_weir, cluster, scratch, mode):
    with cluster.connect(dbname="postgres") as conn:
        straight = outcomes(conn)
    weir = make_weir({"workers": 2, "pool_mode": mode},
                     databases=everything(cluster))
    with admin(weir) as conn:
        through = outcomes(conn)
    assert [t for s, t in zip(straight, through) if s != t] == []


def test_extended_protocol(star, cluster, scratch):
    """At the Execute, however the statement came there."""
    name = scratch[0]
    drop = "DROP DATABASE %s" % name

    def answers(conn, *parts):
        conn.send(*parts)
        got = conn.until()
        assert not [m for m in got if m.type == "E"], got
        return [m.type for m in got]

    ways = (
        lambda c: answers(c, parse(drop), bind(), execute(), sync()),
        lambda c: (answers(c, parse(drop, "s1"), sync()),
                   warm(star, name),
                   answers(c, bind(name="s1"), execute(), sync())),
        lambda c: answers(c, query("BEGIN"), query("SELECT 1"),
                          query("COMMIT"))
        and c.until() and c.until() and answers(c, query(drop)),
    )
    for way in ways:
        cluster.sql("CREATE DATABASE %s" % name)
        cluster.position()
        warm_both(star, cluster, name)
        with Wire(star.port, timeout=20 * SLOW) as conn:
            conn.login("postgres", "postgres")
            way(conn)


def test_behind_a_flush(star, cluster, scratch):
    """Drivers that ask for the description first, then go on."""
    name = scratch[0]
    cluster.sql("CREATE DATABASE %s" % name)
    cluster.position()
    warm_both(star, cluster, name)
    with Wire(star.port, timeout=20 * SLOW) as conn:
        conn.login("postgres", "postgres")
        conn.send(parse("DROP DATABASE %s" % name),
                  describe("S", ""), flush())
        assert conn.recv().type == "1"
        assert conn.recv().type == "t"
        assert conn.recv().type == "n"
        conn.send(bind(), execute(), sync())
        assert [m.type for m in conn.until()] == ["2", "C", "Z"]


def test_a_client_that_leaves(star, cluster, scratch):
    """Whatever becomes of its statement, nothing is shut for ever."""
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
    warm(star, name)
    for _ in range(3):
        with Wire(star.port) as gone:
            gone.login("postgres", "postgres")
            gone.send(query("DROP DATABASE IF EXISTS %s" % name))
            gone.abort()
    with admin(star) as conn:
        conn.execute("DROP DATABASE IF EXISTS %s" % name)
        conn.execute("CREATE DATABASE %s" % name)
    with star.connect(name, "postgres") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_created_behind_our_back(star, cluster, scratch):
    """The replica does not have it yet: its reads go to the primary, and
    the other databases' reads still go to the replica."""
    name = scratch[0]
    assert "does not exist" in login_error(star, name)
    cluster.position()
    cluster.sql("SELECT pg_wal_replay_pause()", node="replica")
    try:
        cluster.sql("CREATE DATABASE %s" % name)
        cluster.sql("CREATE TABLE t AS SELECT 1 AS a", dbname=name)
        with star.connect(name, "postgres") as conn:
            for _ in range(5):
                assert conn.execute("SELECT 1").fetchone() == (1,)
                assert conn.execute("SELECT a FROM t").fetchone() == (1,)
        before = cluster.transactions("replica")
        with star.connect("app") as conn:
            for _ in range(5):
                conn.execute("SELECT 1")
        time.sleep(1.2 * SLOW)
        assert star.metric("pgweir_backend_up") == 2
    finally:
        cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
    wait_for(lambda: cluster.transactions("replica") > before, 5,
             "reads of another database on the replica")
    cluster.position()

    def read_there():
        with star.connect(name, "postgres") as conn:
            conn.execute("SELECT a FROM t")
            time.sleep(0.3)
        return idle(cluster, name, "replica") > 0
    wait_for(read_there, 15, "reads of it on the replica", 0.2)


def test_dropped_behind_our_back(star, cluster, scratch):
    """No loop, no noise: one line, and the metrics stay valid."""
    name = scratch[0]
    cluster.sql("CREATE DATABASE %s" % name)
    cluster.position()
    conn = star.connect(name, "postgres")
    conn.execute("SELECT 1")
    cluster.sql("DROP DATABASE %s WITH (FORCE)" % name)
    cluster.position()
    _, text = sqlstate_of(lambda: conn.execute("SELECT 1"))
    assert "does not exist" in text or "terminating connection" in text
    for _ in range(3):
        assert "does not exist" in login_error(star, name)


def test_no_noise_after_a_drop(make_weir, cluster, scratch):
    """Clients stay connected to what is gone: nobody asks for it again."""
    name = scratch[0]
    weir = make_weir({"workers": 2, "min_pool_size": 2, "catalog_refresh": 1},
                     databases=everything(cluster))
    with admin(weir) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        there = [weir.connect(name, "postgres") for _ in range(4)]
        for other in there:
            other.execute("SELECT 1")
        time.sleep(1.0 * SLOW)
        conn.execute("DROP DATABASE %s" % name)
        time.sleep(1.0 * SLOW)
        before = len(weir.log())
        time.sleep(4.0 * SLOW)
        noise = [l for l in weir.log()[before:].splitlines() if name in l]
        assert len(noise) == 0, noise
        status, text = weir.http("/metrics")
        assert status == 200 and text.endswith("\n")
        for other in there:
            other.close()
        wait_for(lambda: not weir.metric("pgweir_pool_server_connections",
                                         database=name), 10,
                 "its servers to go from the metrics")


def test_monitored_database(make_weir, cluster, scratch):
    """The monitor itself is in nobody's way."""
    name, copy = scratch[:2]
    cluster.sql("CREATE DATABASE %s" % name)
    cluster.position()
    weir = make_weir({"monitor_dbname": name},
                     databases=everything(cluster))
    wait_for(lambda: idle(cluster, name) > 0, 5, "the monitor there")
    with admin(weir) as conn:
        for _ in range(5):
            conn.execute("CREATE DATABASE %s TEMPLATE %s" % (copy, name))
            conn.execute("DROP DATABASE %s" % copy)
            time.sleep(0.15)
        assert weir.metric("pgweir_backend_up") == 2
        # One that fails does not keep it away.
        state, _ = sqlstate_of(lambda: conn.execute(
            "CREATE DATABASE postgres TEMPLATE %s" % name))
        assert state == "42P04"
        wait_for(lambda: idle(cluster, name) > 0, 5, "the monitor there")
        conn.execute("ALTER DATABASE %s RENAME TO %s" % (name, copy))
        conn.execute("ALTER DATABASE %s RENAME TO %s" % (copy, name))


def test_a_failed_statement_changes_nothing(star, cluster, scratch):
    name = scratch[0]
    with admin(star) as conn:
        conn.execute("CREATE DATABASE %s" % name)
        state, _ = sqlstate_of(
            lambda: conn.execute("CREATE DATABASE %s" % name))
        assert state == "42P04"
        with star.connect(name, "postgres") as inside:
            assert inside.execute("SELECT 1").fetchone() == (1,)
        with conn.transaction():
            state, _ = sqlstate_of(
                lambda: conn.execute("DROP DATABASE %s" % name))
            assert state == "25001"
            conn.execute("ROLLBACK")
            conn.execute("BEGIN; SELECT 1")


# Roles and settings.

def shown(weir, setting, dbname="app", user="dd_role"):
    with weir.connect(dbname, user) as conn:
        return conn.execute("SHOW %s" % setting).fetchone()[0], \
            conn.info.parameter_status(setting)


@pytest.fixture
def role(star, cluster, scratch):
    with admin(star) as conn:
        conn.execute("CREATE ROLE dd_role LOGIN")
        yield conn


@pytest.mark.parametrize("statement, undo", (
    ("ALTER ROLE dd_role SET %s", "ALTER ROLE dd_role RESET ALL"),
    ("ALTER USER dd_role IN DATABASE app SET %s",
     "ALTER ROLE dd_role IN DATABASE app RESET ALL"),
    ("ALTER ROLE ALL IN DATABASE app SET %s",
     "ALTER ROLE ALL IN DATABASE app RESET ALL"),
    ("ALTER DATABASE app SET %s", "ALTER DATABASE app RESET ALL"),
    ("BEGIN; ALTER ROLE dd_role SET %s; COMMIT",
     "ALTER ROLE dd_role RESET ALL")))
def test_defaults_reach_new_sessions(star, cluster, role, statement, undo):
    warm(star, "app", user="dd_role")
    plain = shown(star, "work_mem")[0]
    try:
        for value in ("5MB", "6MB"):
            role.execute(statement % ("work_mem = '%s'" % value))
            for _ in range(4):
                assert shown(star, "work_mem")[0] == value
        role.execute(statement % "timezone = 'Asia/Tokyo'")
        for _ in range(4):
            assert shown(star, "TimeZone") == ("Asia/Tokyo", "Asia/Tokyo")
        # Where reads go, too: not only what SHOW says on the primary.
        for _ in range(20):
            with star.connect("app", "dd_role") as conn:
                assert conn.execute(
                    "SELECT current_setting('work_mem')").fetchone() == \
                    ("6MB",)
                time.sleep(0.05)
    finally:
        role.execute(undo)
    assert shown(star, "work_mem")[0] == plain
    assert shown(star, "TimeZone")[1] != "Asia/Tokyo"


def test_defaults_of_a_transaction_that_fails(star, role):
    plain = shown(star, "work_mem")[0]
    role.execute("BEGIN; SELECT 1")
    role.execute("ALTER ROLE dd_role SET work_mem = '7MB'")
    assert shown(star, "work_mem")[0] == plain
    role.execute("ROLLBACK")
    assert shown(star, "work_mem")[0] == plain


def test_a_busy_server_is_not_kept(star, cluster, role):
    """In use when the change came: closed instead of returned."""
    with star.connect("app", "dd_role") as busy:
        busy.execute("BEGIN; SELECT 1")
        old = busy.execute("SELECT pg_backend_pid()").fetchone()[0]
        role.execute("ALTER ROLE dd_role SET work_mem = '7MB'")
        assert busy.execute("SHOW work_mem").fetchone()[0] != "7MB"
        busy.execute("COMMIT")
        assert shown(star, "work_mem")[0] == "7MB"
        assert old != busy.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_reload_of_the_server(star, cluster, role):
    try:
        warm(star, "app", user="dd_role")
        assert shown(star, "TimeZone")[1] != "Asia/Tokyo"
        role.execute("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
        role.execute("SELECT pg_reload_conf()")
        wait_for(lambda: cluster.value("SHOW timezone") == "Asia/Tokyo", 5,
                 "the reload")
        with star.connect("app", "dd_role") as conn:
            conn.execute("BEGIN; SELECT 1")
            assert conn.execute("SHOW timezone").fetchone() == \
                ("Asia/Tokyo",)
    finally:
        cluster.sql("ALTER SYSTEM RESET timezone")
        cluster.sql("SELECT pg_reload_conf()")


def test_new_role(star, cluster, scratch):
    """The replica does not know it yet."""
    with admin(star) as conn:
        for _ in range(5):
            conn.execute("CREATE ROLE dd_role LOGIN")
            with star.connect("app", "dd_role") as there:
                for _ in range(3):
                    assert there.execute("SELECT current_user").fetchone() \
                        == ("dd_role",)
            conn.execute("DROP ROLE dd_role")
            assert "dd_role" in login_error(star, "app", "dd_role")


def test_role_that_the_replica_lacks(star, cluster, scratch):
    """Made behind our back, and not replicated yet."""
    cluster.sql("SELECT pg_wal_replay_pause()", node="replica")
    try:
        cluster.sql("CREATE ROLE dd_role LOGIN")
        with star.connect("app", "dd_role") as conn:
            for _ in range(5):
                assert conn.execute("SELECT session_user").fetchone() == \
                    ("dd_role",)
        assert star.metric("pgweir_backend_up") == 2
    finally:
        cluster.sql("SELECT pg_wal_replay_resume()", node="replica")
    cluster.position()
    with star.connect("app", "dd_role") as conn:
        def read_there():
            conn.execute("SELECT session_user")
            return cluster.backends("replica", "dd_role") > 0
        wait_for(read_there, 15, "his reads on the replica", 0.2)


def test_renamed_role(star, cluster, role):
    warm(star, "app", user="dd_role")
    role.execute("ALTER ROLE dd_role RENAME TO dd_other")
    try:
        assert "dd_role" in login_error(star, "app", "dd_role")
        with star.connect("app", "dd_other") as conn:
            assert conn.execute("SELECT session_user").fetchone() == \
                ("dd_other",)
    finally:
        role.execute("ALTER ROLE dd_other RENAME TO dd_role")


def test_attributes_of_a_role(star, role):
    with star.connect("app", "dd_role") as conn:
        conn.execute("SELECT 1")
        assert conn.info.parameter_status("is_superuser") == "off"
    role.execute("ALTER ROLE dd_role SUPERUSER")
    with star.connect("app", "dd_role") as conn:
        conn.execute("SELECT 1")
        assert conn.info.parameter_status("is_superuser") == "on"
    role.execute("ALTER ROLE dd_role NOLOGIN")
    assert "not permitted to log in" in login_error(star, "app", "dd_role")


def test_connect_privilege(star, cluster, scratch, role):
    name = scratch[0]
    role.execute("CREATE DATABASE %s" % name)
    with star.connect(name, "dd_role") as conn:
        conn.execute("SELECT 1")
    role.execute("REVOKE CONNECT ON DATABASE %s FROM public" % name)
    assert "permission denied for database" in \
        login_error(star, name, "dd_role")
    role.execute("ALTER DATABASE %s ALLOW_CONNECTIONS false" % name)
    assert "not currently accepting" in login_error(star, name)


def test_password(make_weir, cluster, scratch):
    """The server's passwords count where pgweir sends one."""
    cluster.sql("CREATE ROLE dd_role LOGIN PASSWORD 'first'")
    cluster.position()
    cluster.set_hba(["host all dd_role 127.0.0.1/32 scram-sha-256"])
    try:
        weir = make_weir({"auth_type": "trust"},
                         databases=everything(cluster), auth_file={
            "dd_role": "first", "postgres": ""})
        with weir.connect("app", "dd_role") as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
        with admin(weir) as conn:
            conn.execute("ALTER ROLE dd_role PASSWORD 'second'")
        assert "password authentication failed" in \
            login_error(weir, "app", "dd_role")
        with admin(weir) as conn:
            conn.execute("ALTER ROLE dd_role PASSWORD 'first'")
        with weir.connect("app", "dd_role") as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
    finally:
        cluster.set_hba([])
