"""Session state in transaction pooling: it goes with its client, nobody else
meets it, and what keeps a client on its server ends when the state ends."""
import threading
import time

import psycopg
import pytest

from harness import SLOW, wait_for
from wire import Wire, bind, execute, parse, query, sync

# One server for all: whatever is left behind, the next client would meet.
ONE_SERVER = {"default_pool_size": 1}


def value(conn, sql):
    return conn.execute(sql).fetchone()[0]


def pinned(weir):
    """Why clients keep servers, as SHOW CLIENTS tells it."""
    with psycopg.connect(weir.dsn("pgweir", "postgres"),
                         autocommit=True) as conn:
        rows = conn.pgconn.exec_(b"SHOW CLIENTS")
        names = [rows.fname(i).decode() for i in range(rows.nfields)]
        at = names.index("pinned")
        return [rows.get_value(i, at).decode() for i in range(rows.ntuples)
                if rows.get_value(i, at)]


def free(weir):
    """Whether nobody is kept on a server."""
    wait_for(lambda: not pinned(weir), 5, "no client to be pinned")


@pytest.fixture
def weir(make_weir):
    return make_weir(ONE_SERVER, nodes=("primary",))


SETTINGS = [
    ("SET work_mem = '7MB'", "work_mem", "7MB"),
    ("SET search_path = pg_catalog, \"Odd, name\", '$user'", "search_path",
     "pg_catalog, \"Odd, name\", \"$user\""),
    ("SET SESSION lock_timeout TO 12345", "lock_timeout", "12345ms"),
    ("SET enable_seqscan = off", "enable_seqscan", "off"),
    ("SET bytea_output TO escape", "bytea_output", "escape"),
    ("SET extra_float_digits = -3", "extra_float_digits", "-3"),
    ("SET seq_page_cost TO 1.25", "seq_page_cost", "1.25"),
    ("SET \"my_app\".who TO E'it''s \\\\ \"me\"\\n'", "my_app.who",
     "it's \\ \"me\"\n"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL "
     "REPEATABLE READ", "default_transaction_isolation", "repeatable read"),
    ("SELECT set_config('statement_timeout', '77s', false)",
     "statement_timeout", "77s"),
    ("SELECT set_config('my_app.' || 'made', 'up', false)", "my_app.made",
     None),
    ("DO $$ BEGIN PERFORM set_config('temp_buffers', '900', false); "
     "SET random_page_cost = 3; END $$", "random_page_cost", "3"),
    ("SET XML OPTION DOCUMENT", "xmloption", "document"),
    ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "timezone",
     "<-08>+08"),
]


@pytest.mark.parametrize("sql,name,expected", SETTINGS,
                         ids=[s[1] for s in SETTINGS])
def test_setting_follows_its_client(weir, sql, name, expected):
    with weir.connect() as one, weir.connect() as other:
        show = "SELECT current_setting('%s', true)" % name
        before = value(other, show)
        one.execute(sql)
        if expected is None:  # nobody can know the name
            wait_for(lambda: pinned(weir) == ["SET"], 5, "a pin")
            return
        for _ in range(2):
            # A made-up setting that another client has set is empty.
            assert value(other, show) in (before, "")
            assert value(one, show) == expected
        free(weir)


def test_bound_parameters_name_the_setting(weir):
    with weir.connect() as one, weir.connect() as other:
        one.execute("SELECT set_config(%s, %s, false)", ("app.tenant", "t1"))
        other.execute("SELECT set_config(%s, %s, false)", ("app.tenant", "t2"))
        assert value(one, "SHOW app.tenant") == "t1"
        assert value(other, "SHOW app.tenant") == "t2"


@pytest.mark.parametrize("end,expected", [
    ("COMMIT", "7MB"), ("ROLLBACK", "4MB"),
    ("ROLLBACK TO a; COMMIT", "6MB"), ("SELECT 1/0; COMMIT", "4MB")])
def test_transaction_decides(weir, end, expected):
    with weir.connect() as one, weir.connect() as other:
        for sql in ["BEGIN", "SET work_mem = '6MB'", "SAVEPOINT a",
                    "SET work_mem = '7MB'", "SET LOCAL hash_mem_multiplier=9",
                    *end.split("; ")]:
            try:
                one.execute(sql)
            except psycopg.errors.DivisionByZero:
                pass
        assert value(other, "SHOW work_mem") == "4MB"
        assert value(one, "SHOW work_mem") == expected
        assert value(one, "SHOW hash_mem_multiplier") != "9"
        free(weir)


def test_roles(weir, cluster):
    cluster.sql("DROP ROLE IF EXISTS acts", user="postgres")
    cluster.sql("CREATE ROLE acts", user="postgres")
    cluster.sql("GRANT acts TO app", user="postgres")
    with weir.connect() as one, weir.connect() as other:
        one.execute("SET ROLE acts")
        assert value(other, "SELECT current_user") == "app"
        assert value(one, "SELECT current_user") == "acts"
        one.execute("RESET ROLE")
        assert value(one, "SELECT current_user") == "app"
        free(weir)


def test_role_that_is_gone_runs_nothing(weir, cluster):
    """Settings that a server refuses cost the client, not what it sent."""
    cluster.sql("DROP TABLE IF EXISTS left_alone; CREATE TABLE left_alone();"
                "ALTER TABLE left_alone OWNER TO app;"
                "DROP ROLE IF EXISTS goes; CREATE ROLE goes;"
                "GRANT goes TO app", user="postgres")
    with weir.connect() as one, weir.connect() as other:
        one.execute("SET ROLE goes")
        assert value(other, "SELECT current_user") == "app"
        cluster.sql("DROP ROLE goes", user="postgres")
        with pytest.raises(psycopg.Error):
            one.execute("ALTER TABLE left_alone ADD COLUMN i int")
        assert value(other, "SELECT current_user") == "app"
    assert value(weir.connect(), "SELECT count(*) FROM pg_attribute WHERE "
                 "attrelid = 'left_alone'::regclass AND attnum > 0") == 0


def test_reset_goes_back_to_the_startup_packet(weir):
    options = "-c work_mem=9MB -c DateStyle=German -c my.own=first"
    with weir.connect(options=options) as one, weir.connect() as other:
        for change, reset in [("SET work_mem = '1MB'", "RESET work_mem"),
                              ("SET work_mem = '1MB'", "RESET ALL"),
                              ("SET work_mem = '1MB'", "DISCARD ALL"),
                              ("SET DateStyle = SQL", "RESET DateStyle"),
                              ("SET DateStyle = SQL", "DISCARD ALL"),
                              ("SET my.own = 'second'", "RESET ALL"),
                              ("SET work_mem = '1MB'",
                               "BEGIN; RESET ALL; COMMIT")]:
            one.execute(change)
            assert value(other, "SHOW work_mem") == "4MB"
            one.execute(reset)
            assert value(one, "SHOW work_mem") == "9MB", reset
            assert value(other, "SHOW DateStyle") == "ISO, MDY"
            assert value(one, "SHOW DateStyle") == "German, DMY", reset
            assert one.info.parameter_status("DateStyle") == "German, DMY"
            assert value(one, "SHOW my.own") == "first"
        free(weir)


PINS = [
    ("temporary table", ["CREATE TEMP TABLE mine(i int)"],
     ["DROP TABLE mine"]),
    ("temporary table", ["SELECT 1 AS i INTO TEMP mine"],
     ["BEGIN", "DROP TABLE mine", "COMMIT"]),
    ("temporary table", ["DO $$ BEGIN CREATE TEMP TABLE mine(i int); END $$"],
     ["DISCARD TEMP"]),
    ("advisory lock", ["SELECT pg_advisory_lock(77)",
                       "SELECT pg_advisory_lock(77)"],
     ["SELECT pg_advisory_unlock(77), pg_advisory_unlock(77)"]),
    ("cursor WITH HOLD", ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                          "COMMIT"], ["CLOSE c"]),
    ("temporary table", ["CREATE TEMP TABLE mine(i int)"], ["DISCARD ALL"]),
]


@pytest.mark.parametrize("why,begin,end", PINS,
                         ids=[p[0].split()[0] + str(i)
                              for i, p in enumerate(PINS)])
def test_pin_ends_with_its_state(weir, why, begin, end):
    with weir.connect() as one:
        for sql in begin:
            one.execute(sql)
        wait_for(lambda: pinned(weir) == [why], 5, "a pin: " + why)
        one.execute("SELECT 1")
        assert pinned(weir) == [why]
        for sql in end:
            one.execute(sql)
        free(weir)
        with weir.connect() as other:
            assert value(other, "SELECT count(*) FROM pg_locks WHERE "
                         "locktype = 'advisory'") == 0


NO_PINS = [
    ["BEGIN", "CREATE TEMP TABLE mine(i int) ON COMMIT DROP", "COMMIT"],
    ["BEGIN", "CREATE TEMP TABLE mine(i int)", "ROLLBACK"],
    ["BEGIN", "SELECT pg_advisory_xact_lock(5)", "COMMIT"],
    ["SELECT pg_try_advisory_lock(5), pg_advisory_unlock(5)"],
    ["DO $$ BEGIN PERFORM 1; END $$"],
    ["BEGIN", "DECLARE c CURSOR FOR SELECT 1", "COMMIT"],
]


@pytest.mark.parametrize("steps", NO_PINS, ids=range(len(NO_PINS)))
def test_nothing_left_no_pin(weir, steps):
    with weir.connect() as one:
        for sql in steps:
            one.execute(sql)
        free(weir)


FUNCTIONS = [
    # body, whether the server has to be asked
    ("UPDATE thing SET i = 1", False),
    ("PERFORM 1; UPDATE thing SET i = 2; DELETE FROM thing", False),
    ("PERFORM set_config('work_mem', '5MB', false)", True),
    ("SET work_mem = '5MB'", True),
    ("-- first\n /* ; */ SET work_mem = '5MB'; PERFORM '--'", True),
    ("/* a */ IF true THEN /* b */ SET work_mem = '5MB'; END IF /* c */",
     True),
    ("EXECUTE 'SET work_mem = 5555'", True),
    ("PERFORM sets()", True),
]


def test_functions_are_known_by_their_bodies(make_weir, cluster):
    cluster.sql("DROP TABLE IF EXISTS thing; CREATE TABLE thing(i int);"
                "CREATE OR REPLACE FUNCTION sets() RETURNS void LANGUAGE sql "
                "AS $$ SET work_mem = '5MB' $$;", user="app")
    for number, (body, _) in enumerate(FUNCTIONS):
        cluster.sql("CREATE OR REPLACE FUNCTION f%d() RETURNS void LANGUAGE "
                    "plpgsql AS $f$BEGIN %s; END$f$" % (number, body),
                    user="app")
    weir = make_weir({**ONE_SERVER, "verbose": 2}, nodes=("primary",))
    with weir.connect() as one, weir.connect() as other:
        one.execute("SELECT f1()")
        wait_for(lambda: "relations known" in weir.log(), 5, "the catalog")
        time.sleep(0.2 * SLOW)
        for number, (body, is_asked) in enumerate(FUNCTIONS):
            before = weir.log().count("session state looked at")
            one.execute("SELECT f%d()" % number)
            assert value(other, "SHOW work_mem") == "4MB", body
            after = weir.log().count("session state looked at")
            assert (after > before) == is_asked, body
            one.execute("RESET ALL")


def test_client_goes_on_while_its_server_is_looked_at(weir):
    """What is sent behind a SET, in the same packet, sees it."""
    with Wire(weir.port) as conn:
        conn.login()
        conn.send(b"".join([
            query("SET work_mem = '5MB'"),
            parse("SHOW work_mem"), bind("", ""), execute(""), sync(),
            query("BEGIN"), query("SET work_mem = '6MB'"),
            query("ROLLBACK"), query("SHOW work_mem")]))
        said = [conn.until() for _ in range(6)]
        assert b"5MB" in repr(said[1]).encode()
        assert b"5MB" in repr(said[5]).encode()


def test_small_statement_timeout_does_no_harm(weir):
    with weir.connect() as one, weir.connect() as other:
        one.execute("SET statement_timeout = '1ms'")
        for _ in range(20):
            try:
                assert value(one, "SHOW statement_timeout") == "1ms"
            except psycopg.errors.QueryCanceled:
                pass
        one.execute("RESET statement_timeout")
        assert value(other, "SHOW statement_timeout") == "0"
        free(weir)


def test_client_lost_while_its_server_is_looked_at(weir):
    for _ in range(30):
        with Wire(weir.port) as conn:
            conn.login()
            conn.send(query("SET work_mem = '5MB'"))
            conn.until()
        with weir.connect() as other:
            assert value(other, "SHOW work_mem") == "4MB"


def test_many_clients_few_servers(make_weir):
    weir = make_weir({"default_pool_size": 3, "workers": 2})
    failures = []

    def client(number):
        with weir.connect() as conn:
            for turn in range(25):
                mine = "%dkB" % (2049 + number * 40 + turn)
                conn.execute("SET work_mem = '%s'" % mine)
                conn.execute("SELECT set_config('app.n', '%s', false)" % mine)
                got = conn.execute("SELECT current_setting('work_mem'), "
                                   "current_setting('app.n')").fetchone()
                if got != (mine, mine):
                    failures.append((number, mine, got))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
