"""One client twice: straight at PostgreSQL, and through pgweir.

Both say the same, and every answer is compared: rows, tags, errors,
ParameterStatus, the state of the transaction, all in their order. What must
differ is taken out first: the numbers of backends and of tables, the name of
the database, the place in the server's source where an error was made.

The two sides work in databases of their own with the same objects, so that
neither meets what the other has done.
"""
import os
import struct

import psycopg

from harness import SLOW
from wire import Wire, bind, cstr, describe, execute, parse, query, sync

PATIENCE = float(os.environ.get("STATE_PATIENCE", "4")) * SLOW
STRAIGHT, THROUGH = "state_one", "state_two"
WAYS = ("simple", "extended", "pipelined")


class Raw(bytes):
    """A step in messages of its own; it ends with its only Sync."""

    def __repr__(self):
        out, at = [], 0
        while at < len(self):
            size, = struct.unpack_from("!i", self, at + 1)
            body = self[at + 5:at + 1 + size].rstrip(b"\0")
            out.append(chr(self[at]) + body.decode("latin1").replace(
                "\0", "|"))
            at += 1 + size
        return "<%s>" % " ".join(out)


def literal(value):
    if value is None:
        return "NULL"
    text = str(value)
    quoted = "'%s'" % text.replace("'", "''").replace("\\", "\\\\")
    return (" E" if "\\" in text else "") + quoted


def inline(step):
    """A statement with its values in its text."""
    sql, *values = step
    for number in range(len(values), 0, -1):
        sql = sql.replace("$%d" % number, literal(values[number - 1]))
    return sql


def packet(step, way):
    """The messages of a step: text, (text, value ...) or Raw."""
    if isinstance(step, Raw):
        return step
    if isinstance(step, str):
        step = (step,)
    if way == "simple":
        return query(inline(step))
    return (parse(step[0]) + bind(step[1:]) + describe() + execute()
            + sync())


def own(step, database):
    """The step with the database's name in the place of DATABASE."""
    if isinstance(step, Raw):
        return Raw(step.replace(b"DATABASE", database.encode()))
    if isinstance(step, str):
        return step.replace("DATABASE", database)
    return tuple(own(part, database) if isinstance(part, str) else part
                 for part in step)


# --- answers as text ---------------------------------------------------------

def show_row(msg):
    return "|".join("NULL" if v is None else v.decode("utf-8", "replace")
                    for v in msg.values)


def show_columns(payload):
    count, = struct.unpack_from("!h", payload)
    at, out = 2, []
    for _ in range(count):
        end = payload.index(b"\0", at)
        table, column, oid, size, mod, form = struct.unpack_from(
            "!IhIhih", payload, end + 1)
        out.append("%s:%d:%d:%d:%d" % (payload[at:end].decode(
            "utf-8", "replace"), column if table else 0,
            oid if oid < 16384 else 0, mod, form))
        at = end + 19
    return " ".join(out)


def show_error(fields):
    return " ".join("%s=%s" % (k, v) for k, v in sorted(fields.items())
                    if k not in "SFLR")


def show_notification(msg, own_pid):
    pid, = struct.unpack_from("!I", msg.payload)
    channel, payload = msg.payload[4:].split(b"\0")[:2]
    return "%s %r %r" % ("own" if pid == own_pid else "other",
                         channel.decode(), payload.decode())


def show(msg, own_pid=None):
    """A message as a line, without what must differ."""
    if msg.type == "D":
        text = show_row(msg)
    elif msg.type == "T":
        text = show_columns(msg.payload)
    elif msg.type in "EN":
        text = show_error(msg.fields)
    elif msg.type == "A":
        text = show_notification(msg, own_pid)
    elif msg.type == "K":
        text = ""
    else:
        text = msg.payload.decode("utf-8", "replace").rstrip("\0")
    return ("%s %s" % (msg.type, text.replace(THROUGH, STRAIGHT))).rstrip()


def said(lines):
    """What a statement answered, in brief: rows, or SQLSTATE, or tag."""
    rows = [line[2:] for line in lines if line.startswith("D")]
    if any(line.startswith("E ") for line in lines):
        return [w for line in lines if line.startswith("E ")
                for w in line.split(" ") if w.startswith("C=")][0][2:]
    if rows or any(line.startswith("T") for line in lines):
        return ",".join(rows)
    return "".join(line[2:] for line in lines if line.startswith("C "))


# --- clients -----------------------------------------------------------------

class Speaker(Wire):
    """A client whose answers come as lines of text."""

    def __init__(self, port, database, user="app", startup=None):
        super().__init__(port, timeout=PATIENCE)
        self.database = database
        self.pid = None
        self.greeting = []
        for msg in self.login(user, database, **(startup or {})):
            if msg.type == "K":
                self.pid, = struct.unpack_from("!I", msg.payload)
            self.greeting.append(show(msg))

    def say(self, steps, way="simple"):
        for step in steps:
            self.send(packet(own(step, self.database), way))

    def hear(self):
        return [show(msg, self.pid) for msg in self.until()]

    def play(self, steps, way="simple"):
        """The answers, as a list of lines for each step."""
        if way == "pipelined":
            self.say(steps, way)
            return [self.hear() for _ in steps]
        out = []
        for step in steps:
            self.say([step], way)
            out.append(self.hear())
        return out

    def leave(self):
        self.send(b"X\0\0\0\4")
        self.close()


class Twin:
    """The same client on both sides."""

    def __init__(self, straight, through, user="app", startup=None):
        self.one = Speaker(straight, STRAIGHT, user, startup)
        self.two = Speaker(through, THROUGH, user, startup)
        compare("the greeting", self.one.greeting, self.two.greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.one.close()
        self.two.close()

    def play(self, steps, way="simple"):
        """Compares every answer; returns the last one in brief."""
        if not steps:
            return None
        expected = self.one.play(steps, way)
        got = []
        try:
            got = self.two.play(steps, way)
        except TimeoutError:
            raise AssertionError("no answer to one of\n  %s"
                                 % "\n  ".join(map(repr, steps))) from None
        for step, *answers in zip(steps, expected, got):
            compare(repr(step), *answers)
        return said(expected[-1])

    def leave(self):
        self.one.leave()
        self.two.leave()


def compare(what, expected, got):
    if expected == got:
        return
    one = "\n".join(expected).split("\n")
    two = "\n".join(got).split("\n")
    while one[:1] == two[:1]:
        del one[0], two[0]
    while one[-1:] == two[-1:]:
        del one[-1], two[-1]
    raise AssertionError("%s\n  PostgreSQL: %s\n  pgweir:     %s" % (
        what, "\n              ".join(clip(one)),
        "\n              ".join(clip(two))))


def clip(lines):
    return [line[:300] for line in lines[:12]] or ["(nothing)"]


# --- what another client sees ------------------------------------------------

LOOK = [
    "SELECT pg_is_in_recovery(), pg_backend_pid()",
    # A language that a server has loaded has settings of its own.
    "SELECT string_agg(name || '=' || coalesce(setting, '') || CASE WHEN"
    " source = 'session' AND name !~ '^transaction_' THEN ' (session)' ELSE"
    " '' END, E'\\n' ORDER BY name) FROM pg_settings WHERE (context IN"
    " ('user', 'superuser', 'internal') AND name !~ '^plpgsql')"
    " OR source = 'session'",
    "SELECT current_user, session_user, current_setting('role')",
    "SELECT classid, objid, mode FROM pg_locks WHERE locktype = 'advisory'"
    " AND pid = pg_backend_pid()",
    "SELECT name, statement FROM pg_prepared_statements"
    " WHERE name !~ '^pgweir' ORDER BY 1",
    "SELECT name FROM pg_cursors WHERE is_holdable ORDER BY 1",
    "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace ="
    " pg_my_temp_schema() UNION ALL SELECT typname FROM pg_type WHERE"
    " typnamespace = pg_my_temp_schema() ORDER BY 1",
    "SELECT * FROM pg_listening_channels() ORDER BY 1",
    "SAVEPOINT look", "SELECT lastval()", "ROLLBACK TO look",
]


def looks(more=()):
    """Everything that a session can see of itself, for one transaction."""
    out = list(LOOK)
    for step in more:
        out += ["SAVEPOINT look", step, "ROLLBACK TO look"]
    return out


class Eye:
    """Another client, which compares what it sees with a fresh session."""

    def __init__(self, house, user="app", more=()):
        self.house, self.user = house, user
        self.look_for(more)
        self.begin = None
        self.conn = Speaker(house.port, THROUGH, user)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def look_for(self, more):
        self.steps = looks(more)
        return self

    def ask(self, begin="BEGIN"):
        """Takes a server, and keeps it until release()."""
        self.begin = begin
        self.conn.say([begin, *self.steps])
        return self

    def see(self, when):
        """Takes the answers and judges them; the server's pid."""
        try:
            got = [self.conn.hear() for _ in range(len(self.steps) + 1)]
        except TimeoutError:
            raise AssertionError(when + ": no server is free for another"
                                 " client") from None
        place = got[1][1]
        node = "replica" if place.startswith("D t") else "primary"
        expected = self.house.fresh(node, self.user, self.begin, self.steps)
        for step, *answers in zip(self.steps[1:], expected[2:], got[2:]):
            compare("%s, another client on the %s sees of\n  %r" % (
                when, node, step), *answers)
        return int(place.split("|")[1])

    def release(self):
        if self.begin:
            self.conn.play(["COMMIT"])
        self.begin = None


class House:
    """The nodes with their two databases, and the port of a pgweir."""

    def __init__(self, cluster, port):
        self.cluster, self.port = cluster, port
        self.straight = cluster.ports["primary"]
        self.seen = {}
        self.pairs = {}

    def twin(self, user="app", startup=None):
        return Twin(self.straight, self.port, user, startup)

    def eye(self, user="app", more=()):
        return Eye(self, user, more)

    def eyes(self, user, more):
        """Two that stay from test to test: logging in takes its time."""
        if user not in self.pairs:
            self.pairs[user] = [self.eye(user), self.eye(user)]
        return [eye.look_for(more) for eye in self.pairs[user]]

    def forget_eyes(self):
        for eye in sum(self.pairs.values(), []):
            eye.conn.close()
        self.pairs = {}

    def fresh(self, node, user, begin, steps):
        """What a new session, straight at the node, sees."""
        key = (node, user, begin, *steps)
        if key not in self.seen:
            with Speaker(self.cluster.ports[node], STRAIGHT, user) as conn:
                self.seen[key] = conn.play([begin, *steps])
        return self.seen[key]

    def throw_away(self):
        """Ends pgweir's servers: a dirty one must not be met again."""
        self.forget_eyes()
        for node in self.cluster.ports:
            self.cluster.sql(
                "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                (THROUGH,), node)


def make_databases(cluster, setup):
    """Both databases with the same objects."""
    for name in (STRAIGHT, THROUGH):
        for gid, in cluster.sql("SELECT gid FROM pg_prepared_xacts WHERE"
                                " database = %s", (name,)):
            cluster.sql("ROLLBACK PREPARED '%s'" % gid, dbname=name)
        cluster.sql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)
        cluster.sql("CREATE DATABASE %s OWNER app" % name)
        with psycopg.connect(cluster.dsn(dbname=name, user="postgres"),
                             autocommit=True) as conn:
            conn.execute(setup)
    cluster.position()
