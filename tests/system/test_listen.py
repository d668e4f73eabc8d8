"""LISTEN and NOTIFY: clients share servers, and hear what they would hear.

What a client hears is compared, message by message, with what PostgreSQL
tells a client of its own. The number of a notification's sender is compared
as the client that was told this number at its login.
"""
import asyncio
import json
import os
import random
import signal
import struct
import subprocess
import threading
import time

import asyncpg
import psycopg
import pytest

from harness import SLOW, wait_for
from test_drivers_node import node_path  # noqa: F401, a fixture
from wire import (Wire, bind, cstr, describe, execute, message, parse, query,
                  sync)

pytestmark = pytest.mark.own

SMALL = {"workers": 2, "default_pool_size": 2}
LISTENER = "SELECT count(*) FROM pg_stat_activity WHERE application_name = " \
    "'pgweir listener'"


def own_pid(conn):
    return struct.unpack_from("!I", conn.cancel_key)[0]


def heard(msg):
    """PID, channel and payload of a NotificationResponse."""
    channel, payload = msg.payload[4:].split(b"\0")[:2]
    return (struct.unpack_from("!I", msg.payload)[0], channel.decode(),
            payload.decode())


class Client(Wire):
    """Logged in; remembers what has come outside of its units."""

    def __init__(self, port, **params):
        super().__init__(port, timeout=20 * SLOW)
        self.login(**params)
        self.pid = own_pid(self)

    def next(self):
        msg = self.recv()
        assert msg.type == "A", msg
        return heard(msg)

    def is_quiet(self, seconds=0.2):
        self.sock.settimeout(seconds * SLOW)
        try:
            return self.recv()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(20 * SLOW)

    def types(self, sql):
        return "".join(m.type for m in self.query(sql))

    def channels(self):
        return [r[0] for r in self.rows("SELECT pg_listening_channels()")]


@pytest.fixture
def small(make_weir):
    return make_weir(SMALL)


@pytest.fixture
def clients(small):
    made = []

    def make(count=1, port=None, **params):
        new = [Client(port or small.port, **params) for _ in range(count)]
        made.extend(new)
        return new if count > 1 else new[0]

    yield make
    for conn in made:
        conn.close()


# --- what a client hears ---

def test_idle_client_is_told_at_once(small, clients):
    ear, mouth = clients(2)
    assert ear.types("LISTEN news") == "CZ"
    assert mouth.types("NOTIFY news, 'first'") == "CZ"
    assert ear.next() == (mouth.pid, "news", "first")
    mouth.query("SELECT pg_notify('news', 'second')")
    assert ear.next() == (mouth.pid, "news", "second")
    mouth.query("NOTIFY news")
    assert ear.next() == (mouth.pid, "news", "")


def test_own_notification_comes_before_ready(small, clients, cluster):
    for port in (cluster.ports["primary"], small.port):
        conn = Client(port)
        conn.query("LISTEN me")
        for sql in ("NOTIFY me, 'x'", "SELECT pg_notify('me', 'x')",
                    "DO $$BEGIN NOTIFY me, 'x'; END$$"):
            out = conn.query(sql)
            assert [m.type for m in out][-2:] == ["A", "Z"], sql
            assert heard(out[-2]) == (conn.pid, "me", "x")
        conn.query("BEGIN")
        assert conn.types("NOTIFY me, 'y'") == "CZ"
        out = conn.query("COMMIT")
        assert "".join(m.type for m in out) == "CAZ"
        assert heard(out[1]) == (conn.pid, "me", "y")
        conn.close()


def test_trigger_that_notifies_its_own_client(small, clients, cluster):
    cluster.sql("DROP TABLE IF EXISTS listen_jobs; CREATE TABLE listen_jobs"
                " (id int); GRANT ALL ON listen_jobs TO app; CREATE OR REPLACE"
                " FUNCTION listen_tell() RETURNS trigger LANGUAGE plpgsql AS"
                " $$BEGIN PERFORM pg_notify('jobs', NEW.id::text); RETURN"
                " NEW; END$$; CREATE TRIGGER tell AFTER INSERT ON listen_jobs"
                " FOR EACH ROW EXECUTE FUNCTION listen_tell()")
    small.settle()
    conn = clients()
    conn.query("LISTEN jobs")
    out = conn.query("INSERT INTO listen_jobs VALUES (7), (8)")
    assert [m.type for m in out] == ["C", "A", "A", "Z"]
    assert [heard(m) for m in out[1:3]] == [(conn.pid, "jobs", "7"),
                                            (conn.pid, "jobs", "8")]


def test_nothing_inside_a_transaction(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    assert ear.types("BEGIN") == "CZ"
    mouth.query("NOTIFY a, '1'")
    assert ear.types("SELECT 1") == "TDCZ"
    assert ear.is_quiet() is True
    mouth.query("NOTIFY a, '2'")
    out = ear.query("COMMIT")
    assert [m.type for m in out] == ["C", "A", "A", "Z"]
    assert [heard(m)[2] for m in out[1:3]] == ["1", "2"]


def test_failed_transaction_is_told_at_its_end(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    ear.query("BEGIN")
    assert ear.types("SELECT 1/0")[-1] == "Z" and ear.status == "E"
    mouth.query("NOTIFY a, 'x'")
    assert ear.is_quiet() is True
    assert ear.types("ROLLBACK") == "CAZ"


def test_told_before_the_next_answer(small, clients):
    """Who hears of a commit elsewhere has been notified when it asks."""
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    for number in range(100):
        mouth.query("NOTIFY a, '%d'" % number)
        out = ear.query("SELECT 1")
        assert [heard(m)[2] for m in out if m.type == "A"] == [str(number)]


def test_unlisten_is_heeded(small, clients):
    ear, mouth = clients(2)
    for channel in ("a", "b", "c"):
        ear.query("LISTEN " + channel)
    ear.query("UNLISTEN a")
    mouth.query("NOTIFY a; NOTIFY b")
    assert ear.next()[1] == "b"
    ear.query("UNLISTEN *")
    mouth.query("NOTIFY a; NOTIFY b; NOTIFY c")
    assert ear.is_quiet() is True
    assert ear.channels() == []


def test_discard_all_ends_listening(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    assert ear.types("DISCARD ALL") == "CZ"
    mouth.query("NOTIFY a")
    assert ear.is_quiet() is True
    assert ear.channels() == []


def test_rolled_back_listen_is_none(small, clients):
    ear, mouth = clients(2)
    ear.query("BEGIN")
    ear.query("LISTEN a")
    ear.query("ROLLBACK")
    assert ear.channels() == []
    mouth.query("NOTIFY a")
    assert ear.is_quiet() is True


def test_savepoints(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN kept")
    for sql in ("BEGIN", "LISTEN one", "SAVEPOINT s", "LISTEN two",
                "UNLISTEN kept", "ROLLBACK TO s", "LISTEN three", "COMMIT"):
        assert ear.query(sql)[-2].type == "C", sql
    assert ear.channels() == ["kept", "one", "three"]
    mouth.query("NOTIFY two; NOTIFY one; NOTIFY kept; NOTIFY three")
    assert [ear.next()[1] for _ in range(3)] == ["one", "kept", "three"]
    assert ear.is_quiet() is True


def test_listen_in_a_block_of_code(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    ear.query("DO $$BEGIN EXECUTE 'LISTEN b'; EXECUTE 'UNLISTEN a'; END$$")
    assert ear.channels() == ["b"]
    mouth.query("NOTIFY a; NOTIFY b")
    assert ear.next()[1] == "b"
    assert ear.is_quiet() is True


NAMES = ["plain", "Folded", '"Quoted"', '"with ""quotes"" inside"',
         'U&"d\\0061t\\+000061"', '"%s"' % ("x" * 70), "y" * 80,
         '"\N{SNOWMAN} und äöü"', '"%s"' % ("ä" * 40), '"semi;colon"',
         '"back\\slash"', '" "', '"it\'s"', '"new\nline"']


def test_names_of_channels(small, clients, cluster):
    straight = Client(cluster.ports["primary"])
    ear, mouth = clients(2)
    for name in NAMES:
        for conn in (straight, ear):
            assert [m for m in conn.query("LISTEN " + name)
                    if m.type == "E"] == [], name
    assert ear.channels() == straight.channels()
    for number, name in enumerate(NAMES):
        mouth.query("NOTIFY %s, '%d'" % (name, number))
        assert ear.next()[1:] == straight.next()[1:]
    straight.close()


def test_errors_are_postgres_own(small, clients, cluster):
    straight = Client(cluster.ports["primary"])
    ear = clients()
    for sql in ("LISTEN", "LISTEN a.b", "LISTEN 'a'", "LISTEN *", "UNLISTEN",
                "LISTEN a; SELECT 1/0", "NOTIFY a, '%s'" % ("x" * 9000),
                'NOTIFY "%s"' % ("x" * 70), "SELECT pg_notify('', 'x')"):
        mine, other = ear.query(sql), straight.query(sql)
        assert [m.type for m in mine] == [m.type for m in other], sql
        assert [m.fields for m in mine if m.type in "EN"] == [
            m.fields for m in other if m.type in "EN"], sql
    assert ear.channels() == straight.channels() == []
    straight.close()


def test_extended_protocol(small, clients):
    ear, mouth = clients(2)
    ear.send(parse("LISTEN a") + bind() + describe() + execute() + sync())
    assert [m.type for m in ear.until()] == list("12nCZ")
    mouth.send(parse("SELECT pg_notify($1, $2)", types=(25, 25))
               + bind(("a", "x")) + execute() + sync())
    assert [m.type for m in mouth.until()] == list("12DCZ")
    assert ear.next() == (mouth.pid, "a", "x")
    ear.send(parse("SELECT pg_listening_channels()", "channels")
             + bind(name="channels") + execute() + sync())
    assert [m.values for m in ear.until() if m.type == "D"] == [[b"a"]]
    ear.send(parse("UNLISTEN a") + bind() + execute() + sync())
    ear.until()
    assert ear.channels() == []


def test_pipeline(small, clients):
    """Units behind each other; each ReadyForQuery has its own in front."""
    conn = clients()
    conn.send(query("LISTEN a"), query("NOTIFY a, '1'"), query("SELECT 1"),
              query("NOTIFY a, '2'"), query("UNLISTEN a"),
              query("NOTIFY a, '3'"))
    types = [[m.type for m in conn.until()] for _ in range(6)]
    assert types == [list("CZ"), list("CAZ"), list("TDCZ"), list("CAZ"),
                     list("CZ"), list("CZ")]
    conn.send(query("LISTEN a"), query("BEGIN"), query("NOTIFY a"),
              query("COMMIT"), query("NOTIFY a, 'x'"))
    types = ["".join(m.type for m in conn.until()) for _ in range(5)]
    assert types == ["CZ", "CZ", "CZ", "CAZ", "CAZ"]


# --- what it costs ---

def test_listening_keeps_no_server(small, clients, cluster):
    ears = clients(20)
    for number, ear in enumerate(ears):
        ear.query("LISTEN all_hear")
        ear.query("LISTEN only_%d" % number)
    assert cluster.value(LISTENER) == 1
    # Two servers and the listener, the harness's own not counted.
    assert cluster.backends() <= 3
    mouth = clients()
    mouth.query("NOTIFY all_hear, 'x'")
    for number, ear in enumerate(ears):
        assert ear.next() == (mouth.pid, "all_hear", "x")
        mouth.query("NOTIFY only_%d" % number)
        assert ear.next()[1] == "only_%d" % number
    for ear in ears:
        assert ear.is_quiet(0.01) is True


def test_nobody_hears_what_another_wants(small, clients):
    ear = clients()
    ear.query("LISTEN a")
    others = clients(6)
    for other in others:
        assert other.types("SELECT 1") == "TDCZ"
        other.query("NOTIFY a, 'x'")
        assert ear.next() == (other.pid, "a", "x")
        assert other.channels() == []
    for other in others:
        assert other.is_quiet(0.05) is True


def test_listener_goes_with_the_last_client(small, clients, cluster):
    ear = clients()
    ear.query("LISTEN a")
    assert cluster.value(LISTENER) == 1
    ear.close()
    wait_for(lambda: cluster.value(LISTENER) == 0, 20, "listener to go")


def test_listener_does_not_hold_a_database(make_weir, cluster):
    cluster.sql("DROP DATABASE IF EXISTS listened")
    cluster.sql("CREATE DATABASE listened OWNER app")
    weir = make_weir(SMALL, databases={"*": "host=127.0.0.1:%d,127.0.0.1:%d"
                                       % tuple(cluster.ports.values())})
    ear = Client(weir.port, database="listened")
    ear.query("LISTEN a")
    assert cluster.value(LISTENER + " AND datname = 'listened'") == 1
    ear.close()
    with weir.connect(user="postgres") as conn:
        conn.execute("DROP DATABASE listened")
    assert cluster.sql("SELECT 1 FROM pg_database WHERE datname ="
                       " 'listened'") == []


def test_console_and_metrics(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    ear.query("LISTEN b")
    ear.query("NOTIFY a")
    with psycopg.connect(small.dsn("pgweir", "postgres"),
                         autocommit=True) as console:
        cursor = console.execute("SHOW CLIENTS")
        names = [c.name for c in cursor.description]
        rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    rows = [(int(r["channels"]), r["pinned"]) for r in rows
            if r["database"] == "app"]
    assert sorted(rows) == [(0, ""), (2, "")]
    assert small.metric("pgweir_listeners", database="app") == 1
    assert small.metric("pgweir_listen_channels", database="app") == 2
    assert small.metric("pgweir_notifications_total", database="app") == 1
    assert small.metric("pgweir_listener_losses_total", database="app") == 0
    mouth.close()


def test_client_with_very_many_channels(small, clients):
    ear, mouth = clients(2)
    ear.query("BEGIN")
    for at in range(0, 1500, 100):
        ear.query(";".join("LISTEN c%d" % n for n in range(at, at + 100)))
    assert ear.types("COMMIT") == "CZ"
    for number in (0, 777, 1499):
        mouth.query("NOTIFY c%d" % number)
        assert ear.next()[1] == "c%d" % number
    assert len(ear.channels()) == 1500
    ear.query("UNLISTEN *")
    mouth.query("NOTIFY c777")
    assert ear.is_quiet() is True


def test_users_of_a_database_share_its_listener(small, clients, cluster):
    ear, other = clients(), clients(user="postgres")
    ear.query("LISTEN a")
    other.query("LISTEN a")
    other.query("NOTIFY a, 'x'")
    assert ear.next() == (other.pid, "a", "x")
    ear.query("NOTIFY a, 'y'")
    assert other.next() == (ear.pid, "a", "y")
    assert cluster.value(LISTENER) == 1


def test_listener_logs_in_as_the_client_did(make_weir, cluster):
    """By the keys that the client's own SCRAM login has proved."""
    cluster.sql("DROP ROLE IF EXISTS listen_scram; SET password_encryption ="
                " 'scram-sha-256'; CREATE ROLE listen_scram LOGIN PASSWORD"
                " 'secret'")
    secret = cluster.value("SELECT rolpassword FROM pg_authid WHERE rolname ="
                           " 'listen_scram'")
    cluster.position()
    cluster.set_hba(["host all listen_scram samenet scram-sha-256"])
    try:
        weir = make_weir({**SMALL, "auth_type": "scram-sha-256"},
                         auth_file={"listen_scram": secret})
        with Wire(weir.port) as conn:
            conn.login("listen_scram", password="secret")
            conn.query("LISTEN a")
            assert cluster.value(LISTENER + " AND usename = 'listen_scram'"
                                 ) == 1
            assert [m.type for m in conn.query("NOTIFY a")] == list("CAZ")
            assert kill_listener(cluster) == 1
            assert conn.recv().sqlstate == "01000"
    finally:
        cluster.set_hba([])


def test_encodings(small, clients):
    latin = clients(client_encoding="LATIN1")
    utf = clients(client_encoding="UTF8")
    for conn in (latin, utf):
        assert conn.types("LISTEN a") == "CZ"
    assert utf.send(query("NOTIFY a, 'm\u00fc\u00df'")).until()[-2].payload[4:] \
        == b"a\0m\xc3\xbc\xc3\x9f\0"
    assert latin.recv().payload[4:] == b"a\0m\xfc\xdf\0"
    latin.send(query(b"NOTIFY a, '\xe4'"))
    assert latin.until()[-2].payload[4:] == b"a\0\xe4\0"
    assert utf.recv().payload[4:] == b"a\0\xc3\xa4\0"


def test_statement_mode(make_weir):
    weir = make_weir({**SMALL, "pool_mode": "statement"})
    ear, mouth = Client(weir.port), Client(weir.port)
    assert ear.types("LISTEN a") == "CZ"
    mouth.query("NOTIFY a, 'x'")
    assert ear.next() == (mouth.pid, "a", "x")
    assert ear.types("NOTIFY a") == "CAZ"
    ear.close()
    mouth.close()


def test_pins_of_other_kinds(small, clients):
    """A temporary table keeps the server; what is heard comes all the same."""
    ear, mouth = clients(2)
    ear.query("CREATE TEMP TABLE mine (id int)")
    ear.query("LISTEN a")
    ear.send(parse("LISTEN b") + bind() + execute() + sync())
    assert [m.type for m in ear.until()] == list("12CZ")
    ear.send(parse("UNLISTEN a") + bind() + execute() + sync())
    ear.until()
    assert ear.channels() == ["b"]
    mouth.query("NOTIFY a; NOTIFY b, 'x'")
    assert ear.next() == (mouth.pid, "b", "x")
    assert ear.rows("SELECT count(*) FROM mine") == [("0",)]
    ear.query("DROP TABLE mine")
    assert ear.types("NOTIFY b") == "CAZ"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopping_with_listeners(make_weir, how):
    weir = make_weir(SMALL)
    ears = [Client(weir.port) for _ in range(4)]
    for ear in ears:
        ear.query("LISTEN a")
    weir.signal(how)
    time.sleep(0.2)
    weir.stop()
    for ear in ears:
        assert ear.until_closed()[-1].sqlstate == "57P01"
        ear.close()


def test_session_mode_hears_as_well(make_weir):
    weir = make_weir({**SMALL, "pool_mode": "session"})
    ear, mouth = Client(weir.port), Client(weir.port)
    assert ear.types("LISTEN a") == "CZ"
    mouth.query("NOTIFY a, 'x'")
    assert ear.next() == (mouth.pid, "a", "x")
    out = ear.query("NOTIFY a, 'own'")
    assert [m.type for m in out] == ["C", "A", "Z"]
    assert heard(out[1]) == (ear.pid, "a", "own")
    ear.close()
    mouth.close()


# --- many at once ---

class Counter(threading.Thread):
    """Hears a channel on which somebody counts."""

    def __init__(self, port, last, busy):
        super().__init__(daemon=True)
        self.conn = Client(port)
        self.last, self.busy = last, busy
        self.seen, self.error = [], None
        self.conn.query("LISTEN counting")

    def take(self, messages):
        self.seen += [int(heard(m)[2]) for m in messages if m.type == "A"]

    def run(self):
        rng = random.Random(self.conn.pid)
        try:
            while not self.seen or self.seen[-1] != self.last:
                kind = rng.randrange(4) if self.busy else 3
                if kind == 0:
                    self.take(self.conn.query("SELECT 1"))
                elif kind == 1:
                    for sql in ("BEGIN", "SELECT 1", "COMMIT"):
                        self.take(self.conn.query(sql))
                elif kind == 2:
                    self.take(self.conn.query("LISTEN own_%d"
                                              % rng.randrange(3)))
                else:
                    self.take([self.conn.recv()])
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def count(weir, listeners, last, busy):
    ears = [Counter(weir.port, last, busy) for _ in range(listeners)]
    for ear in ears:
        ear.start()
    mouth = Client(weir.port)
    for number in range(1, last + 1):
        mouth.query("NOTIFY counting, '%d'" % number)
    for ear in ears:
        ear.join(30 * SLOW)
        assert ear.error is None, ear.error
        assert ear.seen == list(range(1, last + 1))
        ear.conn.close()
    mouth.close()


def test_every_listener_hears_all_in_order(small):
    count(small, 50, 300, busy=False)


def test_none_lost_or_twice_while_clients_work(small):
    count(small, 12, 400, busy=True)


def test_joining_has_no_gap(small, clients):
    """From the answer to LISTEN on every single one comes, and only once."""
    mouth = clients()
    state = {"last": 0, "stop": False}

    def talk():
        while not state["stop"]:
            number = state["last"] + 1
            mouth.query("NOTIFY gap, '%d'" % number)
            state["last"] = number

    talker = threading.Thread(target=talk, daemon=True)
    talker.start()
    for _ in range(40):
        ear = Client(small.port)
        first_after = None
        out = ear.query("LISTEN gap")
        first_after = state["last"] + 2
        seen = [int(heard(m)[2]) for m in out if m.type == "A"]
        while len(seen) < 20:
            seen.append(int(ear.next()[2]))
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert seen[0] <= first_after
        ear.close()
    state["stop"] = True
    talker.join(10 * SLOW)


def test_own_pid_is_never_another_clients(small):
    """Two servers, many who talk: whose a notification is, is never wrong."""
    problems = []

    def work(seed):
        conn = Client(small.port)
        conn.query("LISTEN who")
        for number in range(60):
            for msg in conn.query("NOTIFY who, '%d'" % conn.pid):
                if msg.type != "A":
                    continue
                pid, _, payload = heard(msg)
                if (pid == conn.pid) != (int(payload) == conn.pid):
                    problems.append((seed, number, pid, payload, conn.pid))
        conn.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50 * SLOW)
    assert problems == []


# --- the same as with a server of one's own ---

CHANNELS = ["c1", "c2", '"C3"']


def statement(rng, is_open):
    channel = rng.choice(CHANNELS)
    return rng.choice([
        "LISTEN " + channel, "LISTEN " + channel, "UNLISTEN " + channel,
        "NOTIFY %s, '%d'" % (channel, rng.randrange(100)),
        "NOTIFY %s, '%d'" % (channel, rng.randrange(100)),
        "SELECT pg_notify('c1', '%d')" % rng.randrange(9),
        "SELECT pg_listening_channels()", "SELECT 1", "UNLISTEN *",
        "DO $$BEGIN EXECUTE 'LISTEN c2'; NOTIFY c1, 'do'; END$$",
        "SELECT 1/0", "DISCARD ALL", "LISTEN c1; NOTIFY c1, 'two'",
        "BEGIN" if not is_open else "COMMIT",
        "BEGIN" if not is_open else "ROLLBACK",
        "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s",
        "SET search_path = public", "SELECT 2",
    ])


def script(seed, clients=3, length=60):
    """Who says what; whether in one message or in a batch."""
    rng = random.Random(seed)
    steps, is_open = [], [False] * clients
    for _ in range(length):
        who = rng.randrange(clients)
        sql = statement(rng, is_open[who])
        word = sql.split()[0]
        if word in ("BEGIN", "COMMIT", "ROLLBACK") and " TO " not in sql:
            is_open[who] = word == "BEGIN"
        steps.append((who, sql, ";" not in sql and rng.random() < 0.3))
    return steps


def shown(msg, own):
    """Of other clients the number is a hint, one's own is a promise."""
    if msg.type == "A":
        pid, channel, payload = heard(msg)
        return "A", pid == own, channel, payload
    if msg.type in "EN":
        return msg.type, msg.fields.get("C"), msg.fields.get("M")
    return msg.type, msg.payload


def play(port, steps, clients=3):
    """Per client and unit: what came up to its ReadyForQuery."""
    conns = [Client(port) for _ in range(clients)]
    out = []
    for who, sql, is_batch in steps:
        conn = conns[who]
        conn.send(parse(sql) + bind() + execute() + sync() if is_batch
                  else query(sql))
        unit = [shown(m, conn.pid) for m in conn.until()]
        out.append((who, sql, [m for m in unit if m[0] == "A"],
                    [m for m in unit if m[0] not in "AS"]))
    for who, conn in enumerate(conns):
        conn.send(query("ROLLBACK"), query("SELECT 1"))
        last = [shown(m, conn.pid)
                for m in conn.until() + conn.until()]
        out.append((who, "end", [m for m in last if m[0] == "A"], []))
        conn.close()
    return out


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_scripts_as_straight(make_weir, cluster, first):
    small = make_weir({**SMALL, "default_pool_size": 3})
    for seed in range(first, first + 10):
        steps = script(seed)
        straight = play(cluster.ports["primary"], steps)
        through = play(small.port, steps)
        for number, (one, other) in enumerate(zip(straight, through)):
            assert other == one, "seed %d, step %d: %s" % (
                seed, number, steps[:number + 1])


# --- accidents ---

def kill_listener(cluster):
    return cluster.value("SELECT count(pg_terminate_backend(pid)) FROM"
                         " pg_stat_activity WHERE application_name ="
                         " 'pgweir listener'")


def test_lost_listener_comes_back_and_says_so(small, clients, cluster):
    ear, mouth = clients(2)
    ear.query("LISTEN a")
    ear.query('LISTEN "B"')
    assert kill_listener(cluster) == 1
    notice = ear.recv()
    assert notice.type == "N" and notice.fields["S"] == "WARNING"
    assert notice.sqlstate == "01000"
    assert notice.fields["D"] == "a, B"
    assert "missed" in notice.fields["M"]
    mouth.query("NOTIFY a, 'after'")
    assert ear.next() == (mouth.pid, "a", "after")
    assert ear.channels() == ["a", "B"]
    assert ear.types("SELECT 1") == "TDCZ"


def test_warning_waits_for_the_end_of_the_transaction(small, clients,
                                                      cluster):
    ear = clients()
    ear.query("LISTEN a")
    ear.query("BEGIN")
    kill_listener(cluster)
    wait_for(lambda: cluster.value(LISTENER) == 1, what="listener")
    assert ear.types("SELECT 1") == "TDCZ"
    assert ear.is_quiet(0.5) is True
    assert ear.types("COMMIT") == "CNZ"


def test_work_goes_on_while_the_listener_is_lost(small, clients, cluster):
    """Nobody hangs, whoever is killed when; and all is well afterwards."""
    ears = clients(4)
    for number, ear in enumerate(ears):
        ear.query("LISTEN x%d" % number)
    stop = time.monotonic() + 3 * SLOW
    while time.monotonic() < stop:
        kill_listener(cluster)
        for ear in ears:
            for sql in ("SELECT 1", "NOTIFY other", "LISTEN y", "UNLISTEN y"):
                out = ear.query(sql)
                assert not [m for m in out if m.type == "E"]
    wait_for(lambda: cluster.value(LISTENER) == 1, what="listener")
    time.sleep(1.5 * SLOW)
    for number, ear in enumerate(ears):
        ear.query("SELECT 1")
        assert ear.channels() == ["x%d" % number]
        ear.query("NOTIFY x%d, 'mine'" % number)
    assert cluster.backends() <= 3


def test_nobody_hangs_on_a_listener_that_does(make_weir, own_cluster):
    weir = make_weir(SMALL, cluster=own_cluster)
    ear, mouth = Client(weir.port), Client(weir.port)
    ear.query("LISTEN a")
    pid = own_cluster.value("SELECT pid FROM pg_stat_activity WHERE"
                            " application_name = 'pgweir listener'")
    os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert ear.types("SELECT 1") == "TDCZ"
        for sql in ("SELECT 2", "BEGIN", "LISTEN b", "COMMIT"):
            assert ear.query(sql)[-1].type == "Z"
        assert mouth.types("LISTEN c") == "CZ"
        out = mouth.query("NOTIFY c, 'own'")
        assert [m.type for m in out] == ["C", "A", "Z"]
        assert time.monotonic() - begin < 20 * SLOW
    finally:
        os.kill(pid, signal.SIGCONT)
    mouth.query("NOTIFY a, 'x'")
    mouth.query("NOTIFY b, 'y'")
    assert [ear.next()[2] for _ in range(2)] == ["x", "y"]
    wait_for(lambda: own_cluster.backends() <= 3, what="servers to be shared")
    assert mouth.types("NOTIFY c") == "CAZ"
    ear.close()
    mouth.close()


def test_server_restart(make_weir, own_cluster):
    weir = make_weir(SMALL, cluster=own_cluster)
    ear, mouth = Client(weir.port), Client(weir.port)
    ear.query("LISTEN a")
    own_cluster.stop("primary")
    own_cluster.start("primary")
    notice = ear.recv()
    assert notice.type == "N" and notice.sqlstate == "01000"
    mouth.query("NOTIFY a, 'x'")
    assert ear.next() == (mouth.pid, "a", "x")
    ear.close()
    mouth.close()


def test_promotion(make_weir, own_cluster):
    weir = make_weir(SMALL, cluster=own_cluster)
    ear, mouth = Client(weir.port), Client(weir.port)
    ear.query("LISTEN a")
    own_cluster.stop("primary", "immediate")
    own_cluster.promote()
    assert ear.recv().sqlstate == "01000"
    mouth.query("NOTIFY a, 'x'")
    assert ear.next()[1:] == ("a", "x")
    ear.close()
    mouth.close()


def test_clients_that_leave_at_any_moment(small, clients, cluster):
    rng = random.Random(1)
    mouth = clients()
    for _ in range(60):
        conn = Client(small.port)
        conn.send(query("LISTEN gone"), query("BEGIN"), query("LISTEN more"),
                  query("NOTIFY gone"), query("COMMIT"))
        time.sleep(rng.random() * 0.01)
        conn.abort()
    ear = clients()
    assert ear.channels() == []
    mouth.query("NOTIFY gone")
    assert ear.is_quiet() is True
    assert mouth.types("SELECT 1") == "TDCZ"
    wait_for(lambda: cluster.value(LISTENER) == 0, 20, "listener to go")


def test_client_that_does_not_read_is_ended(small, clients):
    ear, mouth = clients(2)
    ear.query("LISTEN flood")
    ear.query("BEGIN")
    for _ in range(5):
        mouth.query("SELECT count(pg_notify('flood', i || repeat('x', 7000)))"
                    " FROM generate_series(1, 700) i")
    out = ear.until_closed()
    assert out[-1].sqlstate == "53400"
    assert "does not read its notifications" in small.log()
    assert mouth.types("SELECT 1") == "TDCZ"


# --- drivers ---

def test_psycopg(small):
    with small.connect() as ear, small.connect() as mouth:
        ear.execute("LISTEN drivers")
        for number in range(5):
            mouth.execute("SELECT pg_notify('drivers', %s)", (str(number),))
        found = []
        for note in ear.notifies():
            found.append((note.channel, note.payload, note.pid))
            if len(found) == 5:
                break
        pid = mouth.pgconn.backend_pid
        assert found == [("drivers", str(n), pid) for n in range(5)]


def test_psycopg_in_transactions(small):
    """Without autocommit: LISTEN is in a block of the driver's."""
    with small.connect(autocommit=False) as ear, small.connect() as mouth:
        ear.execute("LISTEN drivers")
        ear.commit()
        told = []
        ear.add_notify_handler(told.append)
        mouth.execute("NOTIFY drivers, 'x'")
        ear.execute("SELECT 1")
        ear.commit()
        assert [(n.channel, n.payload) for n in told] == [("drivers", "x")]


def test_asyncpg_with_a_pool(small):
    async def run():
        address = {"host": "127.0.0.1", "port": small.port, "user": "app",
                   "database": "app"}
        pool = await asyncpg.create_pool(**address, min_size=3, max_size=3)
        heard_all = asyncio.Queue()

        def on_notice(conn, pid, channel, payload):
            heard_all.put_nowait((pid, channel, payload))

        ear = await asyncpg.connect(**address)
        await ear.add_listener("drivers", on_notice)
        await ear.add_listener("Other Name", on_notice)
        for number in range(20):
            async with pool.acquire() as conn:
                await conn.execute("SELECT pg_notify('drivers', $1)",
                                   str(number))
        got = [await asyncio.wait_for(heard_all.get(), 10 * SLOW)
               for _ in range(20)]
        assert [g[2] for g in got] == [str(n) for n in range(20)]
        await pool.execute("NOTIFY \"Other Name\", 'x'")
        assert (await asyncio.wait_for(heard_all.get(), 10 * SLOW))[1:] == (
            "Other Name", "x")
        await ear.remove_listener("drivers", on_notice)
        await pool.execute("NOTIFY drivers, 'none'")
        await pool.execute("NOTIFY \"Other Name\", 'last'")
        assert (await asyncio.wait_for(heard_all.get(), 10 * SLOW))[2] == (
            "last")
        async with pool.acquire() as conn:
            await conn.add_listener("drivers", on_notice)
            await conn.remove_listener("drivers", on_notice)
        await ear.close()
        await pool.close()

    asyncio.run(run())


def test_psql(small):
    """It tells notifications by the process number of its own connection."""
    done = subprocess.run(
        ["psql", "-X", "-At", "-d", small.dsn()], text=True, timeout=60,
        input="LISTEN tty;\nNOTIFY tty, 'from psql';\n\\conninfo\n"
        "SELECT 'last';\n", stdout=subprocess.PIPE, check=True)
    lines = done.stdout.splitlines()
    assert lines[0:2] == ["LISTEN", "NOTIFY"]
    assert lines[2].startswith("Asynchronous notification \"tty\" with payload"
                               " \"from psql\" received from server process"
                               " with PID ")


NODE = """
const { Client } = require('pg');
(async () => {
  const where = { host: '127.0.0.1', port: +process.argv[1], user: 'app',
                  database: 'app' };
  const ear = new Client(where), mouth = new Client(where);
  await ear.connect(); await mouth.connect();
  const heard = [];
  const all = new Promise(done => ear.on('notification', n => {
    heard.push([n.channel, n.payload, n.processId === mouth.processID,
                n.processId === ear.processID]);
    if (heard.length === 11) done();
  }));
  await ear.query('LISTEN node');
  for (let i = 0; i < 10; i++)
    await mouth.query("SELECT pg_notify('node', $1)", ['m' + i]);
  while (heard.length < 10) await new Promise(r => setTimeout(r, 5));
  await ear.query("NOTIFY node, 'own'");
  await all;
  console.log(JSON.stringify(heard));
  await ear.end(); await mouth.end();
})().catch(e => { console.error(e); process.exit(1); });
"""


def test_node_postgres(small, node_path):
    env = {**os.environ, "NODE_PATH": node_path}
    done = subprocess.run(["node", "-e", NODE, str(small.port)], env=env,
                          stdout=subprocess.PIPE, text=True, timeout=60,
                          check=True)
    assert json.loads(done.stdout) == [
        ["node", "m%d" % n, True, False] for n in range(10)] + [
        ["node", "own", False, True]]


def test_queue_of_jobs(small):
    """The usual work queue: wait for word, take a job, tell that it is done."""
    with small.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS listen_queue;"
                     " CREATE TABLE listen_queue (id int PRIMARY KEY,"
                     " taken int)")
        small.settle()
    done = []

    def worker():
        with psycopg.connect(small.dsn(), autocommit=True) as conn:
            conn.execute("LISTEN queue")
            started.release()
            # notifies() does not tell of what came during execute().
            words = []
            conn.add_notify_handler(words.append)
            while not stopping.is_set():
                words.clear()
                row = conn.execute(
                    "UPDATE listen_queue SET taken = %s WHERE id = (SELECT id"
                    " FROM listen_queue WHERE taken IS NULL ORDER BY id"
                    " LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
                    (conn.pgconn.backend_pid,)).fetchone()
                if row:
                    done.append(row[0])
                elif not words:
                    next(conn.notifies())

    stopping = threading.Event()
    started = threading.Semaphore(0)
    threads = [threading.Thread(target=worker) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in threads:
        started.acquire(timeout=20 * SLOW)
    with small.connect() as conn:
        for number in range(60):
            conn.execute("INSERT INTO listen_queue VALUES (%s)", (number,))
            conn.execute("NOTIFY queue, 'job'")
        wait_for(lambda: len(done) == 60, 20, "all jobs")
        stopping.set()
        conn.execute("NOTIFY queue, 'stop'")
        for thread in threads:
            thread.join(20 * SLOW)
            assert not thread.is_alive()
    assert sorted(done) == list(range(60))


@pytest.mark.parametrize("parts", [
    [parse("COPY listen_copy FROM STDIN"), bind(), execute(), sync(),
     message("d", b"1\n"), message("c"), sync()],
    [query("COPY listen_copy FROM STDIN"), message("d", b"1\n"),
     message("H"), message("d", b"2\n"), message("c")],
], ids=["sync_in_front_of_data", "flush_between_data"])
@pytest.mark.parametrize("pause", [0, 0.2])
def test_copy_of_a_listener(cluster, make_weir, parts, pause):
    """The COPY waits for its data: so its data waits for nothing."""
    cluster.sql("CREATE TABLE IF NOT EXISTS listen_copy (i int)", user="app")
    weir = make_weir(SMALL)
    with Client(weir.port) as conn:
        conn.query("LISTEN copies")
        for part in [parts] if pause == 0 else [[p] for p in parts]:
            conn.send(*part)
            time.sleep(pause)
        got = conn.until()
        assert [m.type for m in got][-3:] == ["G", "C", "Z"]
        assert conn.value("SELECT 1") == "1"
