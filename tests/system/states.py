"""Every kind of state that a PostgreSQL session has, as a table.

A row: how the state is set, how it is seen, what PostgreSQL says then, and
how it ends. The tests play a row against PostgreSQL itself, too, so that a
row that is wrong about PostgreSQL fails as well.
"""
from dataclasses import dataclass, field

from oracle import WAYS, Raw
from wire import bind, close, execute, parse, sync

ODD = "it's \\ \"odd\"\n$$ line; -- /* é"
LONG = "0123456789abcdef" * 128


@dataclass
class State:
    name: str
    set: list
    see: list
    says: str
    end: list = field(default_factory=list)
    startup: dict = field(default_factory=dict)
    user: str = "app"
    block: bool = False    # what it sets is in a transaction left open
    ways: tuple = WAYS
    keeps: bool = False    # the state lives in the server: it may be kept
    look: list = None      # what others try; the same as see
    cleanup: list = field(default_factory=list)

    @property
    def others_try(self):
        return self.see if self.look is None else self.look


SETUP = """
DO $$ BEGIN CREATE ROLE state_role; EXCEPTION WHEN duplicate_object THEN
END $$;
DO $$ BEGIN CREATE ROLE "state Role's" IN ROLE state_role;
 EXCEPTION WHEN duplicate_object THEN END $$;
GRANT state_role, "state Role's" TO app;
CREATE TABLE state_rows (a int, b text);
INSERT INTO state_rows SELECT n, 'row ' || n FROM generate_series(1, 50) n;
CREATE TABLE state_written (k text, n int CHECK (n < 100));
CREATE SEQUENCE state_seq;
CREATE SEQUENCE state_seq_two;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema".only_there AS SELECT 'found' AS a;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
GRANT ALL ON SCHEMA "Odd Schema", public TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA "Odd Schema" TO PUBLIC;
SELECT setseed(0.5);
CREATE TABLE state_random AS
 SELECT random() AS r FROM generate_series(1, 100);
GRANT SELECT ON state_random TO PUBLIC;
CREATE FUNCTION state_hide(text, text) RETURNS text LANGUAGE plpgsql AS
 'BEGIN PERFORM set_config($1, $2, false); RETURN $2; END';
CREATE FUNCTION state_hide_local(text, text) RETURNS text LANGUAGE plpgsql AS
 'BEGIN PERFORM set_config($1, $2, true); RETURN $2; END';
CREATE FUNCTION state_hide_set() RETURNS void LANGUAGE plpgsql AS
 'BEGIN SET work_mem = ''7777kB''; END';
CREATE FUNCTION state_own_set() RETURNS text LANGUAGE plpgsql
 SET work_mem = '3333kB' AS
 'BEGIN RETURN current_setting(''work_mem''); END';
CREATE FUNCTION state_sql_set() RETURNS text LANGUAGE sql VOLATILE AS
 'SELECT set_config(''work_mem'', ''4444kB'', false)';
CREATE FUNCTION state_temp() RETURNS int LANGUAGE plpgsql AS
 'BEGIN CREATE TEMP TABLE made_inside AS SELECT 5 AS a; RETURN 1; END';
CREATE FUNCTION state_lock(bigint) RETURNS void LANGUAGE plpgsql AS
 'BEGIN PERFORM pg_advisory_lock($1); END';
CREATE FUNCTION state_unlock(bigint) RETURNS bool LANGUAGE plpgsql AS
 'BEGIN RETURN pg_advisory_unlock($1); END';
CREATE FUNCTION state_next() RETURNS bigint LANGUAGE plpgsql AS
 'BEGIN PERFORM setval(''state_seq'', 70); RETURN nextval(''state_seq''); END';
CREATE FUNCTION state_listen() RETURNS void LANGUAGE plpgsql AS
 'BEGIN LISTEN state_inside; END';
CREATE PROCEDURE state_call() LANGUAGE plpgsql AS
 'BEGIN SET work_mem = ''8888kB''; COMMIT; SET search_path = pg_catalog;
  ROLLBACK; END';
CREATE FUNCTION state_hold() RETURNS void LANGUAGE plpgsql AS
 'BEGIN EXECUTE ''DECLARE state_held CURSOR WITH HOLD FOR VALUES (1), (2)'';
  END';
CREATE FUNCTION state_prepare() RETURNS void LANGUAGE plpgsql AS
 'BEGIN EXECUTE ''PREPARE state_made AS SELECT 12''; END';
"""


def setting(name, change, says, see=None, end=None, **more):
    """A setting, seen by SHOW and as functions see it."""
    gone = end if end is not None else ["RESET " + name.split("/")[0]]
    bare = name.split("/")[0]
    return State(name, [change], see or [
        "SHOW " + bare, "SELECT current_setting('%s')" % bare], says, gone,
        **more)


def custom(name, change, says, **more):
    return State("custom/" + name, change, [
        "SELECT current_setting('myapp.usr', true)", "SHOW myapp.usr"], says,
        look=["SELECT nullif(current_setting('myapp.usr', true), '')"],
        **more)


WORK_MEM = ["SHOW work_mem"]
PLAIN_SETTINGS = [
    setting("work_mem/kB", "SET work_mem = 5120", "5MB"),
    setting("work_mem/unit", "SET work_mem = '6MB'", "6MB"),
    setting("work_mem/to", "SET work_mem TO '7 MB'", "7MB"),
    setting("work_mem/session", "SET SESSION work_mem = '8MB'", "8MB"),
    setting("work_mem/upper", "SET WORK_MEM = '9MB'", "9MB"),
    setting("work_mem/comment", "/* x */ SET -- y\n work_mem /* z */ = '9MB';",
            "9MB"),
    setting("work_mem/default", "SET work_mem TO DEFAULT", "4MB"),
    setting("work_mem/same", "SET work_mem = '4MB'", "4MB"),
    setting("work_mem/bad", "SET work_mem = 'much'", "4MB"),
    setting("work_mem/small", "SET work_mem = 1", "4MB"),
    setting("statement_timeout", "SET statement_timeout = '90s'", "90s"),
    setting("statement_timeout/ms", "SET statement_timeout = 61500",
            "61500ms"),
    setting("lock_timeout", "SET lock_timeout = '1.5s'", "1500ms"),
    setting("idle_in_transaction_session_timeout",
            "SET idle_in_transaction_session_timeout = '1h'", "1h"),
    setting("idle_session_timeout", "SET idle_session_timeout = '1d'", "1d"),
    setting("geqo_threshold", "SET geqo_threshold = 3", "3"),
    setting("temp_buffers", "SET temp_buffers = '2MB'", "2MB"),
    setting("enable_seqscan", "SET enable_seqscan = off", "off"),
    setting("enable_sort", "SET enable_sort TO 'no'", "off"),
    setting("enable_hashjoin", "SET enable_hashjoin = 0", "off"),
    State("bytea_output", ["SET bytea_output = escape"],
          ["SHOW bytea_output", r"SELECT '\x4142ff'::bytea"], r"AB\377",
          ["RESET bytea_output"]),
    setting("xmlbinary", "SET xmlbinary = 'hex'", "hex"),
    setting("plan_cache_mode", "SET plan_cache_mode = force_generic_plan",
            "force_generic_plan"),
    setting("random_page_cost", "SET random_page_cost = 1.25", "1.25"),
    setting("seq_page_cost", "SET seq_page_cost = 1e-3", "0.001"),
    setting("random_page_cost/minus", "SET cpu_tuple_cost = -1", "4"),
    State("extra_float_digits", ["SET extra_float_digits = -5"],
          ["SHOW extra_float_digits", "SELECT 1.0::float8 / 3"],
          "0.3333333333", ["RESET extra_float_digits"]),
    State("array_nulls", ["SET array_nulls = off"],
          ["SELECT '{NULL}'::text[] = ARRAY['NULL']"], "t",
          ["RESET array_nulls"]),
    State("search_path", ['SET search_path = "Odd Schema", public'],
          ["SHOW search_path", "SELECT a FROM only_there"], "found",
          ["RESET search_path"]),
    State("search_path/one string", ["SET search_path = '\"Odd Schema\", x'"],
          ["SHOW search_path", "SELECT current_schemas(true)"],
          "{pg_catalog}", ["RESET search_path"]),
    State("search_path/empty", ["SET search_path = ''"],
          ["SHOW search_path", "SELECT count(*) FROM state_rows"], "42P01",
          ["RESET search_path"]),
    State("search_path/set_config empty",
          ["SELECT pg_catalog.set_config('search_path', '', false)"],
          ["SHOW search_path", "SELECT count(*) FROM state_rows"], "42P01",
          ["RESET search_path"]),
    State("DateStyle", ["SET DateStyle = German, DMY"],
          ["SHOW DateStyle", "SELECT date '2026-02-01'"], "01.02.2026",
          ["RESET DateStyle"]),
    State("DateStyle/half", ["SET datestyle TO 'SQL'", "SET DateStyle = YMD"],
          ["SHOW datestyle"], "SQL, YMD", ["SET datestyle TO DEFAULT"]),
    State("IntervalStyle", ["SET intervalstyle = iso_8601"],
          ["SELECT interval '1 day 2 hours'"], "P1DT2H",
          ["RESET intervalstyle"]),
    State("application_name", ["SET application_name = 'mine'"],
          ["SHOW application_name", "SELECT application_name FROM"
           " pg_stat_activity WHERE pid = pg_backend_pid()"], "mine",
          ["RESET application_name"]),
    State("application_name/odd", ["SET application_name = 'It''s \\ \"\t é'"],
          ["SHOW application_name"], "It's \\ \"? ??",
          ["RESET application_name"]),
    State("standard_conforming_strings",
          ["SET standard_conforming_strings = off",
           "SET escape_string_warning = off"],
          ["SELECT 'a\\tb'"], "a\tb",
          ["RESET standard_conforming_strings",
           "RESET escape_string_warning"]),
    State("backslash_quote", ["SET backslash_quote = on"],
          ["SHOW backslash_quote"], "on", ["RESET backslash_quote"]),
    State("SET NAMES", ["SET NAMES 'LATIN1'"],
          ["SHOW client_encoding", "SELECT octet_length(convert_to(chr(233),"
           " getdatabaseencoding())), chr(233)"], "2|\ufffd", ["SET NAMES"]),
    State("client_encoding", ["SET client_encoding TO WIN1252"],
          ["SHOW client_encoding"], "WIN1252", ["RESET client_encoding"]),
    State("lc_time", ["SET lc_time = 'C.UTF-8'"], ["SHOW lc_time"], "C.UTF-8",
          ["RESET lc_time"]),
    State("temp_tablespaces", ["SET temp_tablespaces = ''"],
          ["SHOW temp_tablespaces"], '""', ["RESET temp_tablespaces"]),
    State("many at once", ["SET work_mem = '5MB'", "SET datestyle = German",
                           "SET TIME ZONE 'Asia/Tokyo'",
                           "SET search_path = pg_catalog",
                           "SET enable_sort = off"],
          ["SELECT array[current_setting('work_mem'), current_setting("
           "'datestyle'), current_setting('timezone'), current_setting("
           "'search_path'), current_setting('enable_sort')]"],
          '{5MB,"German, DMY",Asia/Tokyo,pg_catalog,off}', ["RESET ALL"]),
    State("many in one query", ["SET work_mem = '5MB'; SET datestyle = German;"
                                " SELECT 1; SET enable_sort = off"],
          ["SHOW work_mem", "SHOW enable_sort"], "off",
          ["RESET ALL"], ways=("simple",)),
    State("RESET ALL and SET in one batch",
          ["SET DateStyle = German",
           Raw(parse("RESET ALL") + bind() + execute()
               + parse("SET IntervalStyle = iso_8601") + bind() + execute()
               + sync())],
          ["SHOW DateStyle", "SHOW IntervalStyle"],
          "iso_8601", ["RESET ALL"]),
    State("RESET ALL and ROLLBACK in one batch",
          ["SET DateStyle = German",
           Raw(parse("RESET ALL") + bind() + execute() + parse("ROLLBACK")
               + bind() + execute() + sync())],
          ["SHOW DateStyle"], "German, DMY", ["RESET ALL"]),
    State("RESET ALL and SET in one query",
          ["RESET ALL; SET IntervalStyle = iso_8601"],
          ["SHOW IntervalStyle"], "iso_8601", ["RESET ALL"],
          ways=("simple",)),
    State("many in one query/error",
          ["SET work_mem = '5MB'; SET datestyle = German; SELECT 1/0"],
          ["SHOW datestyle", "SHOW work_mem"], "4MB", ways=("simple",)),
    State("of a superuser", ["SET session_replication_role = replica",
                             "SET log_min_duration_statement = '1h'"],
          ["SHOW session_replication_role", "SHOW log_min_duration_statement"],
          "1h", ["RESET session_replication_role",
                 "RESET log_min_duration_statement"], user="postgres"),
    State("of a superuser/refused", ["SET session_replication_role = replica"],
          ["SHOW session_replication_role"], "origin"),
    State("unknown", ["SET no_such_setting = 1"], ["SHOW no_such_setting"],
          "42704"),
]

TIME_ZONES = [
    State("SET TIME ZONE/" + name, ["SET TIME ZONE " + value],
          ["SHOW TIME ZONE", "SELECT timestamptz '2026-07-01 12:00 UTC'"],
          says, ["SET TIME ZONE DEFAULT"])
    for name, value, says in (
        ("name", "'Europe/Berlin'", "2026-07-01 14:00:00+02"),
        ("word", "UTC", "2026-07-01 12:00:00+00"),
        ("number", "-3.5", "2026-07-01 08:30:00-03:30"),
        ("integer", "7", "2026-07-01 19:00:00+07"),
        ("interval", "INTERVAL '-08:00' HOUR TO MINUTE",
         "2026-07-01 04:00:00-08"),
        ("posix", "'<+05>-05:30'", "2026-07-01 17:30:00+05:30"),
        ("local", "LOCAL", "2026-07-01 12:00:00+00"),
        ("bad", "'No/Where'", "2026-07-01 12:00:00+00"))
] + [
    State("SET timezone", ["SET timezone TO 'America/New_York'"],
          ["SELECT timestamptz '2026-07-01 12:00 UTC'"],
          "2026-07-01 08:00:00-04", ["RESET timezone"]),
    State("SET timezone/number", ["SET timezone = -2"], ["SHOW timezone"],
          "<-02>+02", ["RESET timezone"]),
    State("SET TIME ZONE/session", ["SET SESSION TIME ZONE 'Asia/Kolkata'"],
          ["SHOW TimeZone"], "Asia/Kolkata", ["RESET TIME ZONE"]),
]

WHO = ["SELECT current_user, session_user, current_setting('role'),"
       " current_setting('is_superuser')"]
ROLES = [
    State("SET ROLE", ["SET ROLE state_role"], WHO,
          "state_role|app|state_role|off", ["RESET ROLE"]),
    State("SET ROLE/quoted", ['SET ROLE "state Role\'s"'], WHO,
          "state Role's|app|state Role's|off", ["SET ROLE NONE"]),
    State("SET ROLE/string", ["SET SESSION ROLE 'state_role'"], WHO,
          "state_role|app|state_role|off", ["SET ROLE 'none'"]),
    State("SET ROLE/set_config",
          [("SELECT set_config($1, $2, $3)", "role", "state_role", "f")], WHO,
          "state_role|app|state_role|off", ["RESET ROLE"]),
    State("SET ROLE/refused", ["SET ROLE postgres"], WHO, "app|app|none|off"),
    State("SET ROLE/reset all", ["SET ROLE state_role", "RESET ALL"], WHO,
          "state_role|app|state_role|off", ["RESET ROLE"]),
    State("SET ROLE/discard all", ["SET ROLE state_role", "DISCARD ALL"], WHO,
          "app|app|none|off"),
    State("SET ROLE/rollback", ["BEGIN", "SET ROLE state_role", "ROLLBACK"],
          WHO, "app|app|none|off"),
    State("SET LOCAL ROLE", ["BEGIN", "SET LOCAL ROLE state_role"], WHO,
          "state_role|app|state_role|off", ["COMMIT"], block=True),
    State("SET ROLE/superuser", ["SET ROLE app"], WHO,
          "app|postgres|app|off", ["RESET ROLE"], user="postgres"),
    State("SET SESSION AUTHORIZATION", ["SET SESSION AUTHORIZATION app"], WHO,
          "app|app|none|off", ["RESET SESSION AUTHORIZATION"],
          user="postgres"),
    State("SET SESSION AUTHORIZATION/string",
          ["SET SESSION SESSION AUTHORIZATION 'state_role'"], WHO,
          "state_role|state_role|none|off",
          ["SET SESSION AUTHORIZATION DEFAULT"], user="postgres"),
    State("SET SESSION AUTHORIZATION/and role",
          ["SET SESSION AUTHORIZATION app", "SET ROLE state_role"], WHO,
          "state_role|app|state_role|off",
          ["RESET ROLE", "RESET SESSION AUTHORIZATION"], user="postgres"),
    State("SET SESSION AUTHORIZATION/discard",
          ["SET SESSION AUTHORIZATION app", "DISCARD ALL"], WHO,
          "postgres|postgres|none|on", user="postgres"),
]

CUSTOM = [
    custom("set", ["SET myapp.usr = 'alice'"], "alice",
           end=["SET myapp.usr = ''"]),
    custom("reset", ["SET myapp.usr = 'alice'", "RESET myapp.usr"], ""),
    custom("odd", [("SELECT set_config('myapp.usr', $1, false)", ODD)], ODD,
           end=["RESET myapp.usr"]),
    custom("long", ["SET myapp.usr = '%s'" % LONG], LONG,
           end=["RESET ALL"]),
    custom("escapes", ["SET myapp.usr = E'a\\nb\\\\c\\'d'"], "a\nb\\c'd",
           end=["DISCARD ALL"]),
    custom("bound", [("SELECT set_config($1, $2, false)", "myapp.usr",
                      "bob")], "bob"),
    custom("number", ["SET myapp.usr = 42"], "42"),
    custom("list", ["SET myapp.usr = a, 'B c', 3"], "42704"),
    custom("dollar", [("SELECT set_config('myapp.usr', $$x$$, false)",)],
           "x"),
    custom("two", ["SET myapp.usr = 'alice'", "SET myapp.other = 'bob'"],
           "alice"),
    custom("case", ["SET MyApp.USR = 'alice'"], "alice"),
    custom("quoted", ['SET "myapp"."usr" = \'alice\''], "alice"),
    custom("in a function", ["SELECT state_hide('myapp.usr', 'carl')"],
           "carl"),
    custom("in DO", ["DO $$ BEGIN PERFORM set_config('myapp.usr', 'dora',"
                     " false); END $$"], "dora"),
    custom("rollback", ["BEGIN", "SET myapp.usr = 'x'", "ROLLBACK"], ""),
    custom("local", ["BEGIN", "SET LOCAL myapp.usr = 'x'", "COMMIT"], ""),
    custom("of the start", [], "eve",
           startup={"options": "-c myapp.usr=eve"}),
    custom("of the start/reset",
           ["SET myapp.usr = 'x'", "RESET myapp.usr"], "eve",
           startup={"options": "-c myapp.usr=eve"}),
]

SET_CONFIG = [
    State("set_config", ["SELECT set_config('work_mem', '5MB', false)"],
          WORK_MEM, "5MB", ["SELECT set_config('work_mem', NULL, false)"]),
    State("set_config/bound", [("SELECT set_config($1, $2, $3)", "work_mem",
                                "6MB", "f")], WORK_MEM, "6MB",
          [("SELECT set_config($1, $2, $3)", "work_mem", "4MB", "f")]),
    State("set_config/bound true", [("SELECT set_config($1, $2, $3)",
                                     "work_mem", "6MB", "t")], WORK_MEM,
          "4MB"),
    State("set_config/true", ["SELECT set_config('work_mem', '5MB', true)"],
          WORK_MEM, "4MB"),
    State("set_config/true in a block",
          ["BEGIN", "SELECT set_config('work_mem', '5MB', true)"], WORK_MEM,
          "5MB", ["COMMIT"], block=True),
    State("set_config/several",
          ["SELECT set_config(n, v, false) FROM (VALUES ('work_mem', '5MB'),"
           " ('TimeZone', 'Asia/Tokyo')) x (n, v)"],
          ["SHOW timezone", "SHOW work_mem"], "5MB", ["DISCARD ALL"],
          keeps=True),
    # A made-up setting is seen by its name alone, and this might be one.
    State("set_config/computed",
          ["SELECT set_config('work' || '_mem', (5 * 1024)::text,"
           " 1 > 2)"], WORK_MEM, "5MB", ["DISCARD ALL"], keeps=True),
    State("set_config/in DML",
          ["UPDATE state_rows SET b = b WHERE a = 1 AND"
           " set_config('work_mem', '5MB', false) IS NOT NULL"],
          WORK_MEM, "5MB", ["RESET work_mem"]),
    State("set_config/pg_settings",
          ["UPDATE pg_settings SET setting = '5120' WHERE name = 'work_mem'"],
          WORK_MEM, "5MB", ["RESET work_mem"]),
    State("set_config/qualified",
          ["SELECT pg_catalog . \"set_config\" ('work_mem', '5MB', 'no')"],
          WORK_MEM, "5MB", ["RESET work_mem"]),
]

OWN = {"options": "-c work_mem=7MB -c search_path=pg_catalog,public"
       " --enable-sort=off", "DateStyle": "German", "TimeZone": "Asia/Tokyo",
       "extra_float_digits": "-3", "application_name": "started so"}
OWN_SEE = ["SHOW search_path", "SHOW enable_sort", "SHOW DateStyle",
           "SHOW timezone", "SHOW extra_float_digits",
           "SHOW application_name", "SHOW work_mem"]


def of_start(name, startup, see, says, change=(), **more):
    return State("startup/" + name, list(change), see, says, startup=startup,
                 **more)


STARTUP = [
    of_start("many", OWN, OWN_SEE, "7MB"),
    of_start("options c", {"options": "-c work_mem=5MB"}, WORK_MEM, "5MB"),
    of_start("options cc", {"options": "-cwork_mem=5MB -cgeqo=off"},
             WORK_MEM, "5MB"),
    of_start("options dashes", {"options": "--work-mem=5MB"}, WORK_MEM, "5MB"),
    of_start("options escaped",
             {"options": r"-c search_path=\"Odd\ Schema\" -c geqo=off"},
             ["SHOW search_path", "SELECT a FROM only_there"], "found"),
    of_start("options short", {"options": "-S 5120"}, WORK_MEM, "5MB"),
    of_start("options twice", {"options": "-c work_mem=5MB -c work_mem=6MB"},
             WORK_MEM, "6MB"),
    of_start("options and parameter",
             {"options": "-c DateStyle=SQL", "DateStyle": "German"},
             ["SHOW DateStyle"], "German, DMY"),
    of_start("role", {"options": "-c role=state_role"}, WHO,
             "state_role|app|state_role|off"),
    of_start("search_path", {"search_path": '"Odd Schema"'},
             ["SELECT a FROM only_there"], "found"),
    of_start("client_encoding", {"client_encoding": "LATIN1"},
             ["SELECT chr(233)", "SHOW client_encoding"], "LATIN1"),
    of_start("client_encoding/quoted", {"client_encoding": "'utf-8'"},
             ["SHOW client_encoding"], "UTF8"),
    of_start("read only", {"options": "-c default_transaction_read_only=on"},
             ["INSERT INTO state_written VALUES ('x', 1)"], "25006"),
    of_start("application_name", {"application_name": ODD},
             ["SHOW application_name"], "it's \\ \"odd\"?$$ line; -- /* ??"),
    of_start("statement_timeout", {"statement_timeout": "20"},
             ["SELECT pg_sleep(0.3)"], "57014"),
    of_start("SET and RESET", {"options": "-c work_mem=7MB"}, WORK_MEM, "7MB",
             ["SET work_mem = '9MB'", "RESET work_mem"]),
    of_start("SET and TO DEFAULT", {"options": "-c work_mem=7MB"}, WORK_MEM,
             "7MB", ["SET work_mem = '9MB'", "SET work_mem TO DEFAULT"]),
    of_start("SET", OWN, OWN_SEE, "9MB", ["SET work_mem = '9MB'"],
             end=["RESET work_mem"]),
    of_start("RESET of a reported one", {"DateStyle": "German"},
             ["SHOW DateStyle"], "German, DMY",
             ["SET DateStyle = SQL", "RESET DateStyle"]),
    of_start("SET TIME ZONE DEFAULT", {"TimeZone": "Asia/Tokyo"},
             ["SHOW timezone"], "Asia/Tokyo",
             ["SET TIME ZONE 'UTC'", "SET TIME ZONE DEFAULT"]),
    of_start("SET TIME ZONE LOCAL", {"TimeZone": "Asia/Tokyo"},
             ["SHOW timezone"], "Asia/Tokyo",
             ["SET TIME ZONE 'UTC'", "SET TIME ZONE LOCAL"]),
    of_start("SET NAMES", {"client_encoding": "LATIN1"},
             ["SHOW client_encoding"], "LATIN1",
             ["SET NAMES 'UTF8'", "RESET client_encoding"]),
    of_start("RESET ALL", OWN, OWN_SEE, "7MB",
             ["SET work_mem = '9MB'", "SET DateStyle = SQL",
              "SET geqo = off", "RESET ALL"]),
    of_start("DISCARD ALL", OWN, OWN_SEE, "7MB",
             ["SET work_mem = '9MB'", "SET timezone = 'UTC'",
              "SET application_name = 'x'", "DISCARD ALL"]),
    of_start("RESET ALL rolled back", OWN, OWN_SEE, "9MB",
             ["SET work_mem = '9MB'", "BEGIN", "RESET ALL", "ROLLBACK"]),
    of_start("set_config NULL", {"options": "-c work_mem=7MB"}, WORK_MEM,
             "7MB", ["SET work_mem = '9MB'",
                     "SELECT set_config('work_mem', NULL, false)"]),
    of_start("RESET in a function", {"options": "-c work_mem=7MB"}, WORK_MEM,
             "7MB", ["SET work_mem = '9MB'",
                     "DO $$ BEGIN RESET work_mem; END $$"]),
    of_start("RESET ROLE", {"options": "-c role=state_role"}, WHO,
             "state_role|app|state_role|off",
             ["SET ROLE NONE", "RESET ROLE"]),
]

TRANSACTIONS = [
    State("BEGIN SET COMMIT", ["BEGIN", "SET work_mem = '5MB'", "COMMIT"],
          WORK_MEM, "5MB", ["RESET work_mem"]),
    State("BEGIN SET ROLLBACK", ["BEGIN", "SET work_mem = '5MB'", "ROLLBACK"],
          WORK_MEM, "4MB"),
    State("BEGIN SET error COMMIT",
          ["BEGIN", "SET work_mem = '5MB'", "SELECT 1/0", "COMMIT"],
          WORK_MEM, "4MB"),
    State("SET before, BEGIN SET ROLLBACK",
          ["SET work_mem = '5MB'", "BEGIN", "SET work_mem = '6MB'",
           "ROLLBACK"], WORK_MEM, "5MB", ["RESET work_mem"]),
    State("ROLLBACK TO",
          ["BEGIN", "SET work_mem = '5MB'", "SAVEPOINT a",
           "SET work_mem = '6MB'", "SET DateStyle = German", "SAVEPOINT b",
           "SET work_mem = '7MB'", "ROLLBACK TO a", "COMMIT"],
          ["SHOW datestyle", "SHOW work_mem"], "5MB", ["RESET ALL"]),
    State("RELEASE",
          ["BEGIN", "SAVEPOINT a", "SET work_mem = '6MB'", "RELEASE a",
           "SAVEPOINT b", "SELECT 1/0", "ROLLBACK TO b", "COMMIT"],
          WORK_MEM, "6MB", ["RESET work_mem"]),
    State("SET LOCAL COMMIT", ["BEGIN", "SET LOCAL work_mem = '5MB'",
                               "COMMIT"], WORK_MEM, "4MB"),
    State("SET LOCAL", ["BEGIN", "SET LOCAL work_mem = '5MB'",
                        "SET LOCAL DateStyle = German"],
          ["SHOW DateStyle"] + WORK_MEM, "5MB", ["COMMIT"], block=True),
    State("SET LOCAL after SET",
          ["SET work_mem = '6MB'", "BEGIN", "SET work_mem = '7MB'",
           "SET LOCAL work_mem = '5MB'", "SHOW work_mem", "COMMIT"],
          WORK_MEM, "7MB", ["RESET work_mem"]),
    State("SET LOCAL TIME ZONE", ["BEGIN", "SET LOCAL TIME ZONE 'Asia/Tokyo'"],
          ["SHOW timezone"], "Asia/Tokyo", ["ROLLBACK"], block=True),
    State("SET LOCAL outside", ["SET LOCAL work_mem = '5MB'"], WORK_MEM,
          "4MB"),
    State("AND CHAIN", ["BEGIN", "SET work_mem = '5MB'", "COMMIT AND CHAIN",
                        "SET work_mem = '6MB'", "ROLLBACK AND CHAIN"],
          WORK_MEM, "5MB", ["COMMIT", "RESET work_mem"], block=True),
    State("RESET in a block rolled back",
          ["SET work_mem = '5MB'", "BEGIN", "RESET work_mem", "ROLLBACK"],
          WORK_MEM, "5MB", ["RESET work_mem"]),
    State("SET TRANSACTION",
          ["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ,"
           " READ ONLY"],
          ["SHOW transaction_read_only", "SHOW transaction_isolation"],
          "repeatable read", ["COMMIT"], block=True),
    State("SET SESSION CHARACTERISTICS/isolation",
          ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL"
           " REPEATABLE READ"], ["SHOW transaction_isolation"],
          "repeatable read", ["RESET default_transaction_isolation"]),
    State("SET SESSION CHARACTERISTICS/read only",
          ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"],
          ["SHOW default_transaction_read_only",
           "INSERT INTO state_written VALUES ('x', 1)"], "25006",
          ["SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"]),
    State("SET SESSION CHARACTERISTICS/all",
          ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL"
           " SERIALIZABLE, READ ONLY, DEFERRABLE"],
          ["SHOW default_transaction_read_only",
           "SHOW default_transaction_isolation",
           "SHOW default_transaction_deferrable"], "on", ["RESET ALL"]),
    State("default_transaction_isolation",
          ["SET default_transaction_isolation = 'serializable'"],
          ["SHOW transaction_isolation"], "serializable",
          ["RESET default_transaction_isolation"]),
    State("default_transaction_deferrable",
          ["SET default_transaction_deferrable = on"],
          ["SHOW transaction_deferrable"], "on",
          ["RESET default_transaction_deferrable"]),
    State("default_transaction_read_only",
          ["SET default_transaction_read_only = on"],
          ["BEGIN READ WRITE", "INSERT INTO state_written VALUES ('x', 1)",
           "ROLLBACK", "INSERT INTO state_written VALUES ('x', 1)"], "25006",
          ["SET default_transaction_read_only = off"],
          look=["SHOW default_transaction_read_only"]),
    State("statement_timeout/at work", ["SET statement_timeout = 20"],
          ["SELECT pg_sleep(0.3)"], "57014", ["RESET statement_timeout"],
          look=["SELECT pg_sleep(0.03)"]),
]

HIDDEN = [
    State("hidden/function", ["SELECT state_hide('work_mem', '5MB')"],
          WORK_MEM, "5MB", ["SELECT state_hide('work_mem', '4MB')"]),
    State("hidden/SET in a function", ["SELECT state_hide_set()"], WORK_MEM,
          "7777kB", ["RESET work_mem"]),
    State("hidden/SQL function", ["SELECT state_sql_set()"], WORK_MEM,
          "4444kB", ["RESET work_mem"]),
    State("hidden/in FROM", ["SELECT * FROM state_hide('work_mem', '5MB')"],
          WORK_MEM, "5MB", ["RESET ALL"]),
    State("hidden/rolled back",
          ["BEGIN", "SELECT state_hide('work_mem', '5MB')", "ROLLBACK"],
          WORK_MEM, "4MB"),
    State("hidden/error behind it",
          ["SELECT state_hide('work_mem', '5MB'), 1 / (a - 1) FROM state_rows"
           " WHERE a = 1"], WORK_MEM, "4MB"),
    State("hidden/local", ["SELECT state_hide_local('work_mem', '5MB')"],
          WORK_MEM, "4MB"),
    State("hidden/DO", ["DO $$ BEGIN SET search_path = pg_catalog;"
                        " PERFORM set_config('work_mem', '5MB', false);"
                        " END $$"],
          ["SHOW search_path"] + WORK_MEM, "5MB", ["RESET ALL"]),
    State("hidden/DO execute", ["DO $$ BEGIN EXECUTE 'SET work' || '_mem ='"
                                " || 5120; END $$"], WORK_MEM, "5MB",
          ["RESET work_mem"]),
    State("hidden/DO local", ["DO $$ BEGIN SET LOCAL work_mem = '5MB'; END $$"
                              ], WORK_MEM, "4MB"),
    State("hidden/CALL", ["CALL state_call()"],
          ["SHOW search_path"] + WORK_MEM, "8888kB", ["RESET work_mem"]),
    State("hidden/function with SET", ["SELECT state_own_set()"], WORK_MEM,
          "4MB"),
    State("hidden/role in DO", ["DO $$ BEGIN SET ROLE state_role; END $$"],
          WHO, "state_role|app|state_role|off", ["RESET ROLE"]),
    State("hidden/prepared", ["PREPARE q1 AS SELECT state_hide('work_mem',"
                              " '5MB')", "EXECUTE q1"], WORK_MEM, "5MB",
          ["DEALLOCATE q1", "RESET work_mem"], keeps=True),
    State("hidden/in a cursor",
          ["BEGIN", "DECLARE c CURSOR FOR SELECT state_hide('work_mem',"
           " '5MB')", "FETCH c", "COMMIT"], WORK_MEM, "5MB",
          ["RESET work_mem"]),
]

IN_TEMP = ["SELECT a FROM state_tmp ORDER BY a"]


def temp(name, change, see=None, says="1", end=(), **more):
    return State("temp/" + name, change, see or IN_TEMP, says, list(end),
                 keeps=True, **more)


TEMP = [
    temp("table", ["CREATE TEMP TABLE state_tmp (a int)",
                   "INSERT INTO state_tmp VALUES (1)"],
         end=["DROP TABLE state_tmp"]),
    temp("local temporary", ["CREATE LOCAL TEMPORARY TABLE IF NOT EXISTS"
                             " state_tmp AS SELECT 1 AS a"],
         end=["DROP TABLE IF EXISTS state_tmp"]),
    temp("schema", ["CREATE TABLE pg_temp.state_tmp AS SELECT 1 AS a"],
         end=["DROP TABLE pg_temp.state_tmp"]),
    temp("select into", ["SELECT 1 AS a INTO TEMP state_tmp"],
         end=["DISCARD TEMP"]),
    temp("discard all", ["CREATE TEMP TABLE state_tmp AS SELECT 1 AS a"],
         end=["DISCARD ALL"]),
    temp("rolled back", ["BEGIN", "CREATE TEMP TABLE state_tmp (a int)",
                         "ROLLBACK"], says="42P01"),
    temp("on commit drop", ["BEGIN", "CREATE TEMP TABLE state_tmp ON COMMIT"
                            " DROP AS SELECT 1 AS a",
                            "SELECT * FROM state_tmp", "COMMIT"],
         says="42P01"),
    temp("on commit drop, open",
         ["BEGIN", "CREATE TEMP TABLE state_tmp ON COMMIT DROP AS SELECT 1 AS"
          " a"], end=["COMMIT"], block=True),
    temp("on commit delete",
         ["CREATE TEMP TABLE state_tmp (a int) ON COMMIT DELETE ROWS",
          "INSERT INTO state_tmp VALUES (1)"], says="",
         end=["DROP TABLE state_tmp"]),
    temp("in a function", ["SELECT state_temp()"],
         ["SELECT a FROM made_inside"], "5", ["DROP TABLE made_inside"]),
    temp("in DO", ["DO $$ BEGIN CREATE TEMP TABLE state_tmp AS SELECT 1 AS a;"
                   " END $$"], end=["DO 'BEGIN DROP TABLE state_tmp; END'"]),
    temp("view", ["CREATE TEMP VIEW state_tmp AS SELECT 1 AS a"],
         end=["DROP VIEW state_tmp"]),
    temp("view of a temp table",
         ["CREATE TEMP TABLE state_base AS SELECT 1 AS a",
          "CREATE VIEW state_tmp AS SELECT * FROM state_base"],
         end=["DROP TABLE state_base CASCADE"]),
    temp("sequence", ["CREATE TEMP SEQUENCE state_tmp_seq",
                      "SELECT nextval('state_tmp_seq')"],
         ["SELECT last_value FROM state_tmp_seq",
          "SELECT currval('state_tmp_seq')"], "1",
         ["DROP SEQUENCE state_tmp_seq", "DISCARD SEQUENCES"]),
    temp("function", ["CREATE FUNCTION pg_temp.state_f() RETURNS int LANGUAGE"
                      " sql AS 'SELECT 1'"],
         ["SELECT pg_temp.state_f()"], "1",
         # A server that ever had a temporary schema keeps it, empty: another
         # error than in a session without.
         ["DROP FUNCTION pg_temp.state_f()"], look=[]),
    temp("type", ["CREATE TYPE pg_temp.state_t AS ENUM ('one', 'two')"],
         ["SELECT 'two'::pg_temp.state_t > 'one'"], "t",
         ["DROP TYPE pg_temp.state_t"], look=[]),
    temp("hides a table", ["CREATE TEMP TABLE state_rows AS SELECT 1 AS a"],
         ["SELECT count(*) FROM state_rows"], "1",
         ["DROP TABLE pg_temp.state_rows"]),
    temp("prepare in one transaction",
         ["BEGIN", "CREATE TEMP TABLE state_tmp AS SELECT 1 AS a", "COMMIT"],
         end=["BEGIN", "DROP TABLE state_tmp", "COMMIT"]),
    temp("drop rolled back",
         ["CREATE TEMP TABLE state_tmp AS SELECT 1 AS a", "BEGIN",
          "DROP TABLE state_tmp", "ROLLBACK"],
         end=["DROP TABLE state_tmp"]),
]

LOCKS_SEEN = ["SELECT classid, objid, objsubid, mode FROM pg_locks WHERE"
              " locktype = 'advisory' AND pid = pg_backend_pid()"
              " ORDER BY 1, 2, 3, 4"]


def lock(name, change, says, end=(), **more):
    return State("lock/" + name, change, LOCKS_SEEN, says, list(end),
                 keeps=True, **more)


EXCLUSIVE, SHARED = "0|7|1|ExclusiveLock", "0|7|1|ShareLock"
LOCKS = [
    lock("session", ["SELECT pg_advisory_lock(7)"], EXCLUSIVE,
         ["SELECT pg_advisory_unlock(7)"]),
    lock("twice", ["SELECT pg_advisory_lock(7)", "SELECT pg_advisory_lock(7)",
                   "SELECT pg_advisory_unlock(7)"], EXCLUSIVE,
         ["SELECT pg_advisory_unlock(7)", "SELECT pg_advisory_unlock(7)"]),
    lock("unlock all", ["SELECT pg_advisory_lock(7)",
                        "SELECT pg_advisory_lock(1, 2)"],
         "0|7|1|ExclusiveLock,1|2|2|ExclusiveLock",
         ["SELECT pg_advisory_unlock_all()"]),
    lock("discard all", ["SELECT pg_advisory_lock(7)"], EXCLUSIVE,
         ["DISCARD ALL"]),
    lock("try", ["SELECT pg_try_advisory_lock(7)"], EXCLUSIVE,
         ["SELECT pg_advisory_unlock(7)"]),
    lock("shared", ["SELECT pg_advisory_lock_shared(7)",
                    "SELECT pg_try_advisory_lock_shared(7)"], SHARED,
         ["SELECT pg_advisory_unlock_shared(7)",
          "SELECT pg_advisory_unlock_shared(7)"]),
    lock("bound", [("SELECT pg_advisory_lock($1)", 7)], EXCLUSIVE,
         [("SELECT pg_advisory_unlock($1)", 7)]),
    lock("in a function", ["SELECT state_lock(7)"], EXCLUSIVE,
         ["SELECT state_unlock(7)"]),
    lock("in DO", ["DO 'BEGIN PERFORM pg_advisory_lock(7); END'"], EXCLUSIVE,
         ["DO 'BEGIN PERFORM pg_advisory_unlock(7); END'"]),
    lock("of a transaction", ["BEGIN", "SELECT pg_advisory_xact_lock(7)"],
         EXCLUSIVE, ["COMMIT"], block=True),
    lock("of a transaction, over", ["SELECT pg_advisory_xact_lock(7)"], ""),
    lock("survives ROLLBACK", ["BEGIN", "SELECT pg_advisory_lock(7)",
                               "ROLLBACK"], EXCLUSIVE,
         ["SELECT pg_advisory_unlock(7)"]),
    lock("survives an error", ["SELECT pg_advisory_lock(7), 1 / (a - 1) FROM"
                               " state_rows WHERE a = 1"], EXCLUSIVE,
         ["SELECT pg_advisory_unlock_all()"]),
    lock("unlock in a block rolled back",
         ["SELECT pg_advisory_lock(7)", "BEGIN",
          "SELECT pg_advisory_unlock(7)", "ROLLBACK"], ""),
    lock("unlock of none", ["SELECT pg_advisory_unlock(7)"], ""),
]

HELD = ["FETCH 1 FROM h"]
CURSORS = [
    State("hold", ["DECLARE h CURSOR WITH HOLD FOR SELECT a FROM state_rows"
                   " ORDER BY a"], HELD, "1", ["CLOSE h"], keeps=True),
    State("hold/in a block", ["BEGIN", "DECLARE h SCROLL CURSOR WITH HOLD FOR"
                              " SELECT a FROM state_rows ORDER BY a",
                              "FETCH 2 FROM h", "COMMIT"], HELD, "3",
          ["CLOSE ALL"], keeps=True),
    State("hold/rolled back", ["BEGIN", "DECLARE h CURSOR WITH HOLD FOR VALUES"
                               " (1), (2)", "ROLLBACK"], HELD, "34000"),
    State("hold/discard all", ["DECLARE h BINARY INSENSITIVE CURSOR WITH HOLD"
                               " FOR SELECT 'x'"], HELD, "x", ["DISCARD ALL"],
          keeps=True),
    State("hold/of a function", ["SELECT state_hold()"],
          ["FETCH 1 FROM state_held"], "1", ["CLOSE state_held"],
          keeps=True),
    State("hold/close in a block rolled back",
          ["DECLARE h CURSOR WITH HOLD FOR VALUES (1), (2)", "BEGIN",
           "CLOSE h", "ROLLBACK"], HELD, "34000", keeps=True),
    State("hold/move", ["DECLARE h CURSOR WITH HOLD FOR SELECT a FROM"
                        " state_rows ORDER BY a", "MOVE 5 FROM h"], HELD, "6",
          ["CLOSE h"], keeps=True),
    State("cursor", ["BEGIN", "DECLARE c CURSOR FOR SELECT a FROM state_rows"
                     " ORDER BY a"], ["FETCH 2 FROM c"], "1,2", ["COMMIT"],
          block=True),
    State("cursor/outside", ["DECLARE c CURSOR FOR SELECT 1"], HELD, "34000"),
]

PREPARED = [
    State("PREPARE", ["PREPARE q1 AS SELECT 11"], ["EXECUTE q1"], "11",
          ["DEALLOCATE q1"]),
    State("PREPARE/typed", ["PREPARE q1 (int, text) AS SELECT $1 + 1, $2"],
          ["EXECUTE q1 (5, 'it''s')"], "6|it's", ["DEALLOCATE PREPARE q1"]),
    State("PREPARE/quoted", ['PREPARE "Q 1" AS SELECT 12'],
          ['EXECUTE "Q 1"'], "12", ["DEALLOCATE ALL"]),
    State("PREPARE/twice", ["PREPARE q1 AS SELECT 11", "PREPARE q1 AS SELECT"
                            " 12"], ["EXECUTE q1"], "11", ["DISCARD ALL"]),
    State("PREPARE/in a block rolled back",
          ["BEGIN", "PREPARE q1 AS SELECT 11", "ROLLBACK"], ["EXECUTE q1"],
          "11", ["DEALLOCATE q1"]),
    State("PREPARE/bad", ["PREPARE q1 AS SELECT no_such_column"],
          ["EXECUTE q1"], "26000"),
    State("PREPARE/write", ["PREPARE q1 AS INSERT INTO state_written VALUES"
                            " ('w', 1)"],
          ["BEGIN", "EXECUTE q1", "ROLLBACK", "SELECT count(*) FROM"
           " state_written WHERE k = 'w'"], "0", ["DEALLOCATE q1"], look=["EXECUTE q1"]),
    State("PREPARE/create as", ["PREPARE q1 AS SELECT 5 AS a"],
          ["BEGIN", "CREATE TABLE state_ctas AS EXECUTE q1",
           "SELECT a FROM state_ctas", "ROLLBACK", "EXPLAIN (COSTS off)"
           " EXECUTE q1"], "Result", ["DEALLOCATE q1"], look=["EXECUTE q1"]),
    State("PREPARE/in a function", ["SELECT state_prepare()"],
          ["EXECUTE state_made"], "12", ["DEALLOCATE state_made"],
          keeps=True),
    State("PREPARE/execute in a function", ["PREPARE q1 AS SELECT 11"],
          ["DO $$ BEGIN EXECUTE 'EXECUTE q1'; END $$"], "DO",
          ["DEALLOCATE q1"], keeps=True),
    State("PREPARE/seen", ["PREPARE q1 (int) AS SELECT $1"],
          ["SELECT name, statement, parameter_types, from_sql FROM"
           " pg_prepared_statements"],
          "q1|PREPARE q1 (int) AS SELECT $1|{integer}|t", ["DEALLOCATE q1"],
          look=["EXECUTE q1 (1)"]),
    State("PREPARE/many", ["PREPARE q%d AS SELECT %d" % (n, n)
                           for n in range(8)],
          ["EXECUTE q%d" % n for n in range(8)], "7", ["DEALLOCATE ALL"]),
    State("PREPARE/by settings", ["PREPARE q1 AS SELECT date '2026-02-01'",
                                  "SET datestyle = German"], ["EXECUTE q1"],
          "01.02.2026", ["DEALLOCATE q1", "RESET datestyle"]),
    State("DEALLOCATE/unknown", ["DEALLOCATE q1"], ["EXECUTE q1"], "26000"),
    State("PREPARE/a protocol name",
          [Raw(parse("SELECT 21", "q1") + sync())],
          ["EXECUTE q1"], "21", ["DEALLOCATE q1"]),
    State("PREPARE/by protocol", ["PREPARE q1 (int) AS SELECT $1 + 1"],
          [Raw(bind([5], "q1") + execute() + sync())], "6",
          [Raw(close("S", "q1") + sync())]),
    State("Parse", [Raw(parse("SELECT 22", "s1") + sync())],
          [Raw(bind((), "s1") + execute() + sync())], "22",
          [Raw(close("S", "s1") + sync())]),
    State("Parse/typed", [Raw(parse("SELECT $1 + $2", "s1", (23, 23))
                              + sync())],
          [Raw(bind((3, 4), "s1") + execute() + sync())], "7",
          ["DEALLOCATE s1"]),
    State("Parse/rolled back", ["BEGIN", Raw(parse("SELECT 23", "s1")
                                             + sync()), "ROLLBACK"],
          [Raw(bind((), "s1") + execute() + sync())], "23",
          ["DEALLOCATE ALL"]),
    State("Parse/of a temp table",
          ["CREATE TEMP TABLE state_tmp AS SELECT 1 AS a",
           Raw(parse("SELECT * FROM state_tmp", "s1") + sync())],
          [Raw(bind((), "s1") + execute() + sync())], "1",
          ["DISCARD ALL"], keeps=True),
    State("Parse/failed", [Raw(parse("SELECT nonsense", "s1") + sync())],
          [Raw(bind((), "s1") + execute() + sync())], "26000"),
]

CHANNELS = ["SELECT * FROM pg_listening_channels() ORDER BY 1"]
LISTEN = [
    State("LISTEN", ["LISTEN state_a", "NOTIFY state_a, 'one'"],
          CHANNELS, "state_a", ["UNLISTEN state_a"]),
    State("LISTEN/two", ["LISTEN state_b", 'LISTEN "State A"',
                         "NOTIFY state_b", "SELECT pg_notify('State A',"
                         " 'it''s')"], CHANNELS, "State A,state_b",
          ["UNLISTEN *"]),
    State("LISTEN/discard", ["LISTEN state_a"], CHANNELS, "state_a",
          ["DISCARD ALL"]),
    State("LISTEN/rolled back", ["BEGIN", "LISTEN state_a", "ROLLBACK"],
          CHANNELS, ""),
    State("LISTEN/in a block", ["BEGIN", "LISTEN state_a", "NOTIFY state_a",
                                "COMMIT"], CHANNELS, "state_a",
          ["UNLISTEN *"]),
    State("LISTEN/unlisten rolled back",
          ["LISTEN state_a", "BEGIN", "UNLISTEN state_a", "ROLLBACK",
           "NOTIFY state_a, 'still'"], CHANNELS, "state_a", ["UNLISTEN *"]),
    State("LISTEN/in a function", ["SELECT state_listen()",
                                   "NOTIFY state_inside, 'x'"], CHANNELS,
          "state_inside", ["UNLISTEN state_inside"], keeps=True),
    State("LISTEN/unlisten", ["LISTEN state_a", "UNLISTEN state_a",
                              "NOTIFY state_a"], CHANNELS, ""),
    State("LISTEN/notify in a block",
          ["LISTEN state_a", "BEGIN", "NOTIFY state_a, '1'",
           "NOTIFY state_a, '2'", "NOTIFY state_a, '1'", "SELECT 1",
           "COMMIT"], CHANNELS, "state_a", ["UNLISTEN *"]),
    State("LISTEN/notify rolled back",
          ["LISTEN state_a", "BEGIN", "NOTIFY state_a, '1'", "ROLLBACK",
           "NOTIFY state_a, '2'"], CHANNELS, "state_a", ["UNLISTEN *"]),
]

SEQUENCES = [
    State("currval", ["SELECT setval('state_seq', 41)",
                      "SELECT nextval('state_seq')"],
          ["SELECT currval('state_seq')", "SELECT lastval()"], "42",
          ["DISCARD SEQUENCES"], keeps=True),
    State("currval/rolled back", ["SELECT setval('state_seq', 41)", "BEGIN",
                                  "SELECT nextval('state_seq')", "ROLLBACK"],
          ["SELECT lastval()"], "42", ["DISCARD ALL"], keeps=True),
    State("currval/in a function", ["SELECT state_next()"],
          ["SELECT currval('state_seq')"], "71", ["DISCARD SEQUENCES"],
          keeps=True),
    State("currval/two", ["SELECT setval('state_seq', 41)",
                          "SELECT setval('state_seq_two', 5)",
                          "SELECT nextval('state_seq'),"
                          " nextval('state_seq_two')"],
          ["SELECT currval('state_seq'), currval('state_seq_two'),"
           " lastval()"], "42|6|6", ["DISCARD SEQUENCES"], keeps=True),
    State("currval/serial",
          ["CREATE TEMP TABLE state_ser (i serial, b text)",
           "INSERT INTO state_ser (b) VALUES ('x'), ('y')"],
          ["SELECT lastval()", "SELECT currval(pg_get_serial_sequence("
           "'state_ser', 'i'))"], "2", ["DISCARD ALL"], keeps=True),
    State("currval/none", [], ["SELECT currval('state_seq')"], "55000"),
    State("setseed", ["SELECT setseed(0.5)"],
          ["SELECT random() = r FROM state_random LIMIT 1"], "t",
          look=["SELECT count(*) FROM (SELECT random() AS v FROM"
                " generate_series(1, 3)) x JOIN state_random ON r = v"],
          keeps=True),
    State("setseed/SET", ["SET seed = 0.5"],
          ["SELECT random() = r FROM state_random LIMIT 1"], "t",
          look=["SELECT count(*) FROM (SELECT random() AS v FROM"
                " generate_series(1, 3)) x JOIN state_random ON r = v"],
          keeps=True),
    State("LOAD", ["LOAD 'auto_explain'"],
          ["SHOW auto_explain.log_min_duration"], "-1", user="postgres",
          keeps=True),
    State("LOAD/and SET", ["LOAD 'auto_explain'",
                           "SET auto_explain.log_min_duration = '1h'"],
          ["SHOW auto_explain.log_min_duration"], "1h",
          user="postgres", keeps=True),
]

TWO_PHASE_SEEN = ["SELECT gid FROM pg_prepared_xacts WHERE gid ="
                  " 'state DATABASE'",
                  "SELECT count(*) FROM state_written WHERE k = '2pc'"]
CLEAN_TWO_PHASE = ["ROLLBACK PREPARED 'state DATABASE'",
                   "DELETE FROM state_written"]


def two_phase(name, change, says, end, **more):
    return State("two-phase/" + name, change, TWO_PHASE_SEEN, says, end,
                 look=["SELECT 1"], cleanup=CLEAN_TWO_PHASE, **more)


TWO_PHASE = [
    two_phase("commit", ["BEGIN", "INSERT INTO state_written VALUES ('2pc',"
                         " 1)", "PREPARE TRANSACTION 'state DATABASE'"], "0",
              ["COMMIT PREPARED 'state DATABASE'",
               "DELETE FROM state_written"]),
    two_phase("rollback", ["BEGIN", "INSERT INTO state_written VALUES ('2pc',"
                           " 1)", "PREPARE TRANSACTION 'state DATABASE'"],
              "0", ["ROLLBACK PREPARED 'state DATABASE'"]),
    two_phase("with SET", ["BEGIN", "SET LOCAL work_mem = '5MB'",
                           "SET DateStyle = German", "SHOW work_mem",
                           "PREPARE TRANSACTION 'state DATABASE'",
                           "SHOW DateStyle", "RESET DateStyle"], "0",
              ["COMMIT PREPARED 'state DATABASE'"]),
    two_phase("with a lock", ["SELECT pg_advisory_lock(7)",
                              "SELECT pg_advisory_unlock(7)", "BEGIN",
                              "SELECT pg_advisory_xact_lock(7)",
                              "PREPARE TRANSACTION 'state DATABASE'"], "0",
              ["COMMIT PREPARED 'state DATABASE'"]),
    two_phase("failed", ["BEGIN", "SELECT 1/0", "PREPARE TRANSACTION"
                         " 'state DATABASE'"], "0",
              ["ROLLBACK PREPARED 'state DATABASE'"]),
    two_phase("temp refused", ["BEGIN", "CREATE TEMP TABLE state_tmp (a int)",
                               "PREPARE TRANSACTION 'state DATABASE'"], "0",
              ["SELECT * FROM state_tmp"]),
    two_phase("unknown", [], "0", ["COMMIT PREPARED 'state DATABASE'"]),
]

LARGE_OBJECTS = [
    State("large object", ["BEGIN", "SELECT lo_create(77777)",
                           "SELECT lo_open(77777, 393216)",
                           "SELECT lowrite(0, 'abc'), lo_lseek(0, 0, 0)"],
          ["SELECT loread(0, 3)", "SELECT lo_lseek(0, 0, 0)"], "0",
          ["ROLLBACK"], block=True, look=["SELECT loread(0, 3)"]),
    State("large object/over", ["BEGIN", "SELECT lo_create(77777)",
                                "SELECT lo_open(77777, 393216)", "COMMIT",
                                "SELECT lo_unlink(77777)"],
          ["SELECT loread(0, 3)"], "42704"),
]

GROUPS = [PLAIN_SETTINGS, TIME_ZONES, ROLES, CUSTOM, SET_CONFIG, STARTUP,
          TRANSACTIONS, HIDDEN, TEMP, LOCKS, CURSORS, PREPARED, LISTEN,
          SEQUENCES, TWO_PHASE, LARGE_OBJECTS]
STATES = [state for group in GROUPS for state in group]
