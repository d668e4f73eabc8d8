"""Random walks through session state: what a client does next, by its dice.

A walk is a list of sessions; a session is a login with some startup
parameters and some steps, each a packet of messages with a known number of
ReadyForQuery behind it. The same seed and number make the same walk,
whatever the answers are: many steps are errors, and that is meant so.

Names are the same for all clients wherever PostgreSQL keeps them apart
(statements, cursors, temporary tables, made-up settings); values are each
client's own, so that one which turns up elsewhere tells whose it was. What
PostgreSQL shares between sessions (tables, sequences, channels, locks) has
the client's number in its name.
"""
import random
from collections import namedtuple

from oracle import Raw, packet
from wire import bind, close, describe, execute, flush, parse, sync

Step = namedtuple("Step", "label data readies")

CLIENTS = 60
SETUP = "".join("""
CREATE TABLE walk_%(n)d (a int, b text);
CREATE SEQUENCE walk_seq_%(n)d;
""" % {"n": n} for n in range(CLIENTS)) + """
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""

SHOWN = ["work_mem", "statement_timeout", "enable_sort", "bytea_output",
         "random_page_cost", "extra_float_digits", "search_path",
         "DateStyle", "IntervalStyle", "TimeZone", "application_name",
         "client_encoding", "default_transaction_isolation",
         "default_transaction_read_only", "geqo_threshold", "role",
         "lock_timeout", "standard_conforming_strings"]
PROBE = ("SELECT " + ", ".join("current_setting('%s')" % s for s in SHOWN)
         + ", current_user, session_user,"
         " nullif(current_setting('myapp.usr', true), '')")
FORMATS = ("SELECT timestamptz '2026-07-01 12:00 UTC', date '2026-02-01',"
           " interval '1 day 2 hours', 1::float8 / 3, '\\x41ff'::bytea")
READS = ["SELECT a, b FROM state_rows WHERE a < 4 ORDER BY a", FORMATS,
         "SELECT count(*) FROM state_rows", "SELECT 1 / (a - 2) FROM"
         " state_rows ORDER BY a LIMIT 3", "SELECT a FROM only_there",
         "TABLE no_such_table", "SELECT repeat('x', 20000)"]


def values_of(n):
    """Settings, with values that are client n's own where that can be."""
    return {
        "work_mem": ["'%dkB'" % (2000 + n), str(3000 + n)],
        "statement_timeout": ["'%ds'" % (1000 + n)],
        "lock_timeout": [str(700000 + n)],
        "enable_sort": ["on", "off"],
        "bytea_output": ["escape", "'hex'"],
        "random_page_cost": ["%d.5" % (10 + n)],
        "extra_float_digits": ["-3", "0", "2"],
        "search_path": ['"Odd Schema", public', "public", "''",
                        "public, client_%d" % n],
        "DateStyle": ["German", "'SQL, DMY'", "ISO, YMD"],
        "IntervalStyle": ["iso_8601", "postgres_verbose"],
        "TimeZone": ["'Asia/Tokyo'", "'UTC'", "-%d" % (n % 12)],
        "application_name": ["'client %d'" % n, "'it''s %d \\ \"'" % n],
        "client_encoding": ["LATIN1", "UTF8", "'win1252'"],
        "default_transaction_isolation": ["'repeatable read'",
                                          "'read committed'"],
        "default_transaction_read_only": ["on", "off", "off"],
        "geqo_threshold": [str(100 + n)],
        "myapp.usr": ["'client %d'" % n, "E'%d\\nit\\'s'" % n, "''"],
        "no_such_setting": ["1"],
        "work_mem ": ["'nonsense'"],
    }


def label(way, steps):
    return ("%s %r" % (way, steps)).replace(repr(PROBE), "PROBE")


class Walk:
    """One client's dice and what it has begun that it must end."""

    def __init__(self, seed, number, without=()):
        """without: kinds of statements, by name, that are left out."""
        self.without = without
        self.dice = random.Random("%s %s" % (seed, number))
        self.n = number
        self.user = "postgres" if number % 10 == 9 else "app"
        self.values = values_of(number)
        self.due = []
        self.sessions = 0

    # --- single statements, by kind --------------------------------------

    def setting(self):
        return self.dice.choice(list(self.values))

    def set(self):
        name = self.setting()
        value = self.dice.choice(self.values[name])
        how = self.dice.choice(["SET %s = %s", "SET %s TO %s",
                                "SET SESSION %s = %s", "SET LOCAL %s = %s"])
        return how % (name, value)

    def reset(self):
        name = self.setting()
        return self.dice.choice(["RESET %s", "RESET %s", "SET %s TO DEFAULT"]
                                ) % name

    def reset_much(self):
        return self.dice.choice(["RESET ALL", "RESET ALL", "DISCARD ALL",
                                 "DISCARD PLANS"])

    def zone(self):
        return "SET TIME ZONE " + self.dice.choice(
            ["'Europe/Berlin'", "-%d" % (self.n % 12), "LOCAL", "DEFAULT",
             "INTERVAL '-08:00' HOUR TO MINUTE", "'No/Where'"])

    def role(self):
        choices = ["SET ROLE state_role", "SET ROLE \"state Role's\"",
                   "RESET ROLE", "SET ROLE NONE", "SET ROLE postgres",
                   "SET LOCAL ROLE state_role"]
        if self.user == "postgres":
            choices += ["SET SESSION AUTHORIZATION app",
                        "SET SESSION AUTHORIZATION state_role",
                        "RESET SESSION AUTHORIZATION"] * 2
        return self.dice.choice(choices)

    def set_config(self):
        name = self.setting().strip()
        value = self.dice.choice(["%d" % (4000 + self.n), "off", "German",
                                  "Asia/Tokyo", "client %d" % self.n])
        local = self.dice.choice("tf")
        if self.dice.random() < 0.5:
            return ("SELECT set_config($1, $2, $3)", name, value, local)
        return "SELECT set_config('%s', '%s', '%s')" % (name, value, local)

    def characteristics(self):
        return "SET SESSION CHARACTERISTICS AS TRANSACTION " + \
            self.dice.choice(["READ ONLY", "READ WRITE", "ISOLATION LEVEL"
                              " REPEATABLE READ, READ WRITE"])

    def show(self):
        name = self.setting()
        if name == "myapp.usr":
            return PROBE
        return "SHOW " + name

    def probe(self):
        return self.dice.choice([PROBE, PROBE, FORMATS])

    def read(self):
        if self.dice.random() < 0.2:
            return ("SELECT $1::text, a FROM state_rows WHERE a = $2::int",
                    "of %d" % self.n, 3)
        return self.dice.choice(READS)

    def write(self):
        # Rows of this session only: others may be late on a replica.
        return self.dice.choice([
            "INSERT INTO public.walk_%d VALUES (1, '%d')",
            "INSERT INTO public.walk_%d VALUES (2, '%d') RETURNING a",
            "UPDATE public.walk_%d SET a = a + 1 WHERE b = '%d'",
            "DELETE FROM public.walk_%d WHERE a > 2 AND b = '%d'",
            "SELECT count(*), sum(a) FROM public.walk_%d WHERE b = '%d'"]
            ) % (self.n, self.sessions)

    def block(self):
        return self.dice.choice([
            "BEGIN", "BEGIN", "BEGIN", "BEGIN READ ONLY",
            "BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT", "COMMIT",
            "COMMIT", "ROLLBACK", "ROLLBACK", "SAVEPOINT a", "SAVEPOINT b",
            "ROLLBACK TO a", "ROLLBACK TO b", "RELEASE a",
            "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SELECT 1/0",
            "SET TRANSACTION READ ONLY"])

    def hidden(self):
        n = self.n
        return self.dice.choice([
            "SELECT state_hide('work_mem', '%dkB')" % (5000 + n),
            "SELECT state_hide('application_name', 'hid %d')" % n,
            "SELECT state_hide_local('work_mem', '%dkB')" % (5000 + n),
            "SELECT state_hide('myapp.usr', 'hid %d')" % n,
            "SELECT state_own_set()", "SELECT state_hide_set()",
            "DO $$ BEGIN SET geqo_threshold = %d; END $$" % (200 + n),
            "DO $$ BEGIN SET LOCAL geqo_threshold = %d; END $$" % (200 + n),
            "DO $$ BEGIN EXECUTE 'SET lock_timeout = %d'; END $$" % (
                800000 + n),
            "CALL state_call()", "SELECT state_sql_set(), 1/0"])

    def prepare(self):
        name = self.dice.choice(["q1", "q2", '"Q 3"'])
        return self.dice.choice([
            "PREPARE %s AS SELECT %d, current_setting('work_mem')"
            % (name, self.n),
            "PREPARE %s (int) AS SELECT $1 + %d" % (name, self.n),
            "PREPARE %s AS INSERT INTO public.walk_%d VALUES (3, '%d')"
            % (name, self.n, self.sessions),
            "PREPARE %s AS SELECT no_such_column" % name,
            "EXECUTE %s" % name, "EXECUTE %s" % name, "EXECUTE %s" % name,
            "EXECUTE %s (5)" % name, "EXECUTE %s (6)" % name,
            "DEALLOCATE %s" % name, "DEALLOCATE ALL"])

    def named(self):
        """Statements of the protocol."""
        name = self.dice.choice(["s1", "s2", "s3"])
        text = self.dice.choice([
            FORMATS, "SELECT $1::int + %d" % self.n,
            "SELECT a, b FROM state_rows WHERE a = $1",
            "SET work_mem = '%dkB'" % (6000 + self.n),
            "SELECT set_config('application_name', $1, false)",
            "INSERT INTO public.walk_%d VALUES ($1, 's')" % self.n,
            "SELECT nonsense"])
        value = self.dice.choice([(), (7,), (7,), ("x",)])
        run = bind(value, name) + describe() + execute()
        return Raw(self.dice.choice([
            parse(text, name), parse(text, name) + describe("S", name),
            parse(text, name) + run, run, run, run, describe("S", name),
            run + flush() + run, close("S", name),
            close("S", name) + parse(text, name) + run]) + sync())

    def listen(self):
        n = self.n
        return self.dice.choice([
            "LISTEN chan_%d_a" % n, "LISTEN chan_%d_b" % n,
            "UNLISTEN chan_%d_a" % n, "UNLISTEN *",
            "NOTIFY chan_%d_a, 'to myself'" % n,
            ("SELECT pg_notify($1, $2)", "chan_%d_b" % n, "it's"),
            "SELECT * FROM pg_listening_channels() ORDER BY 1"])

    def temp(self):
        n = self.n
        return self.dice.choice([
            "CREATE TEMP TABLE tmp1 AS SELECT %d AS a" % n,
            "CREATE TEMP TABLE IF NOT EXISTS tmp2 (a int)",
            "SELECT %d AS a INTO TEMP tmp3" % n,
            "CREATE TEMP TABLE tmp4 ON COMMIT DROP AS SELECT %d AS a" % n,
            "CREATE TEMP VIEW tmp5 AS SELECT %d AS a" % n,
            "INSERT INTO tmp2 VALUES (%d)" % n,
            "SELECT * FROM tmp1", "SELECT * FROM tmp2", "SELECT * FROM tmp3",
            "SELECT * FROM tmp4", "SELECT * FROM tmp5", "DROP TABLE tmp1",
            "DROP TABLE IF EXISTS tmp2", "DROP TABLE tmp3", "DROP VIEW tmp5",
            "SELECT state_temp()", "DROP TABLE made_inside",
            "DISCARD TEMP"])

    def lock(self):
        # A session that has just ended may have its locks for a moment yet.
        key = self.n * 100000 + self.sessions
        return self.dice.choice([
            "SELECT pg_advisory_lock(%d)", "SELECT pg_advisory_unlock(%d)",
            "SELECT pg_advisory_unlock(%d)",
            "SELECT pg_try_advisory_lock_shared(%d)",
            "SELECT pg_advisory_unlock_shared(%d)",
            "SELECT pg_advisory_xact_lock(%d)", "SELECT state_lock(%d)",
            "SELECT state_unlock(%d)",
            "SELECT pg_advisory_unlock_all() FROM (SELECT %d) x",
            "SELECT mode, count(*) FROM pg_locks JOIN pg_database d ON"
            " d.oid = database WHERE datname = current_database() AND"
            " locktype = 'advisory' AND objid = %d GROUP BY 1 ORDER BY 1"]
            ) % key

    def cursor(self):
        return self.dice.choice([
            "DECLARE h CURSOR WITH HOLD FOR SELECT a, %d FROM state_rows"
            " ORDER BY a" % self.n,
            "DECLARE c CURSOR FOR SELECT a, %d FROM state_rows ORDER BY a"
            % self.n, "FETCH 2 FROM h", "FETCH 2 FROM h", "FETCH 1 FROM c",
            "MOVE 3 FROM h", "CLOSE h", "CLOSE c", "CLOSE ALL",
            "SELECT state_hold()", "FETCH 1 FROM state_held"])

    def sequence(self):
        return self.dice.choice([
            "SELECT nextval('public.walk_seq_%d')",
            "SELECT setval('public.walk_seq_%d', 50)",
            "SELECT currval('public.walk_seq_%d')",
            "SELECT lastval() FROM (SELECT %d) x", "DISCARD SEQUENCES; --%d"]
            ) % self.n

    def large(self):
        return self.dice.choice([
            "SELECT lo_create(%d)", "SELECT lo_open(%d, 393216)",
            "SELECT lowrite(0, 'abc') FROM (SELECT %d) x",
            "SELECT lo_lseek(0, 0, 0), loread(0, 2) FROM (SELECT %d) x",
            "SELECT lo_unlink(%d)"]) % (500000 + self.n)

    def two_phase(self):
        """From the begin to the end: what is left over would block."""
        gid = "'walk %d DATABASE'" % self.n
        self.due = [
            "RESET SESSION AUTHORIZATION", "RESET ROLE", "BEGIN",
            self.setting_here(), self.write(), "PREPARE TRANSACTION " + gid,
            PROBE, "%s PREPARED %s" % (self.dice.choice(
                ["COMMIT", "ROLLBACK"]), gid), "ROLLBACK PREPARED " + gid]
        return "ROLLBACK"

    def setting_here(self):
        return "SET work_mem = '%dkB'" % (8000 + self.n)

    # --- packets ---------------------------------------------------------

    FREE = [(set, 6), (reset, 3), (reset_much, 0.7), (zone, 1), (role, 1.5),
            (set_config, 3), (characteristics, 0.5), (show, 2), (probe, 5),
            (read, 4), (write, 2), (block, 5), (hidden, 2), (prepare, 4),
            (named, 5), (large, 0.5), (two_phase, 0.3), (listen, 1)]
    # These keep a server, of which there are few.
    KEEPING = [(temp, 5), (lock, 4), (cursor, 4), (sequence, 3)]

    def statement(self, kinds):
        kind, = self.dice.choices([k for k, _ in kinds],
                                  [w for _, w in kinds])
        return kind(self)

    def step(self, kinds):
        if self.due:
            steps = [self.due.pop(0)]
            return Step(label("simple", steps), packet(steps[0], "simple"), 1)
        way = self.dice.choice(["simple", "simple", "extended", "batch",
                                "pipeline"])
        count = 1 if way in ("simple", "extended") else \
            self.dice.randrange(2, 5)
        steps = [self.statement(kinds)]
        while len(steps) < count and not self.due:
            steps.append(self.statement([k for k in kinds
                                         if k[0] is not Walk.two_phase]))
        if way == "batch" and any(isinstance(s, Raw) for s in steps):
            way = "pipeline"
        if way == "batch":
            # pgweir learns too late, within a batch, that names are gone.
            steps = [s for s in steps if not isinstance(s, str)
                     or "DISCARD" not in s and s != "DEALLOCATE ALL"]
            data = b"".join(packet(s, "extended")[:-5] for s in steps)
            return Step(label(way, steps), data + sync(), 1)
        data = b"".join(packet(s, "simple" if way == "simple" else
                               "extended") for s in steps)
        return Step(label(way, steps), data, len(steps))

    def startup(self):
        dice, n = self.dice, self.n
        out = {}
        if "startup" in self.without:
            return out
        if dice.random() < 0.3:
            out["application_name"] = "start %d" % n
        if dice.random() < 0.2:
            out["options"] = "-c work_mem=%dkB -c geqo_threshold=%d" % (
                7000 + n, 300 + n)
        if dice.random() < 0.15:
            out["DateStyle"] = dice.choice(["German", "SQL"])
        if dice.random() < 0.15:
            out["TimeZone"] = "Asia/Tokyo"
        if dice.random() < 0.1:
            out["client_encoding"] = dice.choice(["LATIN1", "utf-8"])
        if dice.random() < 0.1:
            out["extra_float_digits"] = "3"
        return out

    def session(self):
        """Startup parameters, and the steps of one session."""
        dice = self.dice
        self.sessions += 1
        keeps = dice.random() < 0.3
        kinds = [(kind, weight * dice.choice((0, 1, 1, 3)))
                 for kind, weight in self.FREE]
        if keeps:
            kinds += [(kind, weight * dice.choice((0, 1, 3)))
                      for kind, weight in self.KEEPING]
        kinds += [(Walk.probe, 3)]
        kinds = [k for k in kinds if k[0].__name__ not in self.without]
        length = dice.randrange(2, 12 if keeps else 50)
        startup = self.startup()
        steps = [self.step(kinds) for _ in range(length)]
        while self.due:
            steps.append(self.step(kinds))
        return startup, steps
