"""Clients that die at every byte: the next user of the server sees nothing.

Scripts of messages are cut at each offset (at many, if they are long), the
client ends there in one of several ways, and the only server of the pool is
looked at by somebody else: nothing that a session can have may be left, no
row that was not committed, nothing done that was not sent whole - and it is
the same server, which is not thrown away for a client's sake.
"""
import os
import random
from dataclasses import dataclass

import pytest

import oracle
import wire
from harness import Pgweir
from oracle import THROUGH, House, Speaker
from states import ODD, SETUP
from wire import bind, close, copy_data, copy_done, copy_fail, describe, \
    execute, flush, parse, query, sync

MODES = ("transaction", "session")
STEP = int(os.environ.get("DEATH_STEP", "1"))
COUNT = "SELECT count(*) FROM state_written WHERE k = 'death'"
INSERT = "INSERT INTO state_written VALUES ('death', 1)"


@dataclass
class Part:
    """Some bytes, and the message that ends the answer to them."""

    data: bytes
    end: str = None
    done: int = 0   # rows that are there for good when this has been done


def ask(*texts):
    return [Part(query(text), "Z") for text in texts]


def batch(*messages):
    return [Part(m) for m in messages] + [Part(sync(), "Z")]


SETTINGS = ask(
    "SET work_mem = '5MB'", "SET DateStyle = German, DMY",
    "SET search_path = 'Odd Schema', pg_temp", "SET TIME ZONE 'Asia/Tokyo'",
    "SELECT set_config('enable_sort', 'off', false)", "SET ROLE state_role",
    "SET application_name = 'dying'", "DO $$ BEGIN SET geqo = off; END $$",
    "SET statement_timeout = '1h'; SET lock_timeout = '1h'", "RESET ALL",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
THINGS = ask(
    "CREATE TEMP TABLE state_tmp AS SELECT 1 AS a", "SELECT state_temp()",
    "PREPARE q1 AS SELECT 1", "LISTEN state_a", "NOTIFY state_a",
    "SELECT pg_advisory_lock(7), state_lock(8)", "SELECT state_next()",
    "DECLARE h CURSOR WITH HOLD FOR SELECT a FROM state_rows", "FETCH 2 FROM"
    " h")
FOR_GOOD = ask("SELECT setseed(0.5)", "SELECT 1")
BLOCK = ask(
    "BEGIN", INSERT, "SET work_mem = '5MB'", "SAVEPOINT a",
    "SET LOCAL datestyle = German", "DECLARE c CURSOR FOR SELECT a FROM"
    " state_rows", "FETCH 3 FROM c", "SELECT 1/0", "ROLLBACK TO a",
    "SELECT lo_create(77777), lo_open(77777, 393216)", "LOCK state_rows",
    "CREATE TEMP TABLE state_tmp ON COMMIT DROP AS SELECT 1",
    "SELECT pg_advisory_xact_lock(7), pg_advisory_lock(8)", "LISTEN state_a",
    "ROLLBACK AND CHAIN", INSERT, "SELECT nonsense", "SELECT 1")
BATCHES = (
    batch(parse("SELECT $1::int + a FROM state_rows", "s1"),
          describe("S", "s1"), bind([5], "s1", "p1"), describe("P", "p1"),
          execute("p1", 3), flush(), execute("p1", 2), close("P", "p1"))
    + batch(parse("SET work_mem = '5MB'"), bind(), execute(),
            parse("SELECT set_config($1, $2, false)"),
            bind(["enable_sort", "off"]), execute())
    + batch(parse("BEGIN"), bind(), execute(), parse(INSERT, "s2"),
            bind((), "s2"), execute())
    + batch(bind((), "s2"), execute(), parse("SELECT 1 / $1::int", "s3"),
            bind([0], "s3"), execute(), bind((), "s2"), execute()))
UNFINISHED = (
    [Part(parse("PREPARE q1 AS SELECT 1")), Part(bind()), Part(execute()),
     Part(parse(INSERT, "s2")), Part(bind((), "s2")), Part(execute()),
     Part(flush(), "C"), Part(parse("SELECT $1::text", "s1")),
     Part(bind([ODD], "s1", "p1")), Part(describe("P", "p1")),
     Part(execute("p1")), Part(flush(), "D"), Part(close("S", "s1"))])
COPY_IN = (
    ask("BEGIN")
    + [Part(query("COPY state_written FROM STDIN"), "G"),
       Part(copy_data(b"death\t1\ndeath\t2\n")), Part(copy_data(b"dea")),
       Part(copy_data(b"th\t3\n")), Part(copy_done(), "Z")]
    + batch(parse("COPY state_written FROM STDIN"), bind(), execute(),
            copy_data(b"death\t4\n"), copy_done())
    + [Part(query("COPY state_written FROM STDIN"), "G"),
       Part(copy_data(b"death\t5\n")), Part(copy_fail(), "Z")])
COPY_ALONE = (
    [Part(query("COPY state_written FROM STDIN"), "G"),
     Part(copy_data(b"death\t1\ndeath\t2\n")), Part(copy_done(), "Z", 2),
     Part(parse("COPY state_written FROM STDIN")), Part(bind()),
     Part(execute()), Part(copy_data(b"death\t1\n")), Part(copy_done()),
     Part(sync(), "Z", 3)])
COMMITTED = ([Part(query(INSERT), "Z", n) for n in range(1, 6)]
             + [Part(parse(INSERT)), Part(bind()), Part(execute()),
                Part(sync(), "Z", 6)])
OUT = (ask("COPY state_rows TO STDOUT", "TABLE state_rows")
       + [Part(query("COPY (SELECT repeat('x', 9000) FROM generate_series(1,"
                     " 500)) TO STDOUT"), "H"),
          Part(query("SELECT repeat('y', 100000) FROM generate_series(1, 40)"
                     ), "T")])
CALL = ask("BEGIN", INSERT) + [
    Part(wire.message("F", b"\0\0\x05\x75\0\0\0\1\0\0\0\4\xff\xff\xff\xfe"
                           b"\0\0"), "Z")]
LONG = (
    ask("BEGIN", "SELECT '%s'" % ("x" * 70000))
    + batch(parse("SELECT length($1::text), '%s'" % ("y" * 40000)),
            bind(["z" * 300000]), execute())
    + [Part(query("COPY state_written FROM STDIN"), "G"),
       Part(copy_data(b"death\t1\n" * 20000)),
       Part(copy_data(b"death\t2\n" * 9)), Part(copy_done(), "Z")])
# Passed on before it is there whole: a server that has half a message can
# only be closed.
HUGE = ask("BEGIN", INSERT, "SELECT length('%s')" % ("x" * 5000000))

#         name          parts       step  may the server be lost?
SCRIPTS = [("settings", SETTINGS, 1, False),
           ("things", THINGS, 1, False),
           ("block", BLOCK, 1, False),
           ("batches", BATCHES, 1, False),
           ("unfinished", UNFINISHED, 1, False),
           ("copy in", COPY_IN, 1, False),
           ("copy alone", COPY_ALONE, 1, False),
           ("committed", COMMITTED, 1, False),
           ("out", OUT, 1, False),
           ("call", CALL, 1, False),
           ("for good", FOR_GOOD, 1, True),
           ("long", LONG, 7919, True),
           ("huge", HUGE, 900001, True)]


@pytest.fixture(scope="module")
def databases(cluster):
    oracle.make_databases(cluster, SETUP)
    return cluster


@pytest.fixture(scope="module", params=MODES)
def house(request, binary, databases):
    """One pgweir with a single server, on the primary."""
    weir = Pgweir(databases, {
        "pool_mode": request.param, "workers": 1, "default_pool_size": 1,
        "max_client_conn": 200}, nodes=("primary",), binary=binary,
        start=False)
    weir.databases = {THROUGH: weir.node_line(THROUGH)}
    weir.write_ini()
    weir.start()
    weir.settle()
    weir.house = House(databases, weir.port)
    weir.house.mode = request.param
    yield weir.house
    weir.stop()


class Watch:
    """Looks at the server after each death."""

    def __init__(self, house):
        self.house = house
        self.lost = []
        house.throw_away()
        with house.eye() as eye:
            eye.conn.play(["DELETE FROM state_written"])
            self.pid = eye.ask().see("before")
            eye.release()

    def look(self, what, rows):
        """rows: how many may be there for good."""
        eye = self.house.eye()
        with eye:
            pid = eye.ask().see(what)
            got = eye.conn.play([COUNT, "COMMIT"])
            count = int(got[0][1][2:])
            assert count in rows, "%s: %d rows" % (what, count)
            if count:
                eye.conn.play(["DELETE FROM state_written"])
        if self.pid != pid:
            self.lost.append(what)
        self.pid = pid


def wait_for_answers(conn, ends):
    """Until the last whole request of the client has been answered."""
    for end in ends:
        conn.until(end)


def die(conn, cut):
    """The ways to go, in turn."""
    if cut % 3 == 0:
        conn.abort()
    else:
        conn.close()


def cut_at(house, parts, cut, begin=b""):
    """A client that sends so many bytes of a script; what it has done."""
    data = b"".join(part.data for part in parts)
    at, ends, done = 0, [], 0
    for part in parts:
        at += len(part.data)
        if at > cut:
            break
        ends += [part.end] if part.end else []
        done = part.done or done
    conn = Speaker(house.port, THROUGH)
    conn.send(data[:cut])
    waits = cut % 2 == 0
    if waits:
        wait_for_answers(conn, ends)
    die(conn, cut)
    return {done} if waits else set(range(done + 1))


def offsets(house, length, step):
    """In session pooling fewer: what cleans is the same."""
    if house.mode == "session" and step == 1:
        step = 4
    return range(0, length + 1, step * STEP)


@pytest.mark.own
@pytest.mark.parametrize("name, parts, step, may_lose", SCRIPTS,
                         ids=[s[0] for s in SCRIPTS])
def test_cut(house, name, parts, step, may_lose):
    length = sum(len(part.data) for part in parts)
    watch = Watch(house)
    for cut in offsets(house, length, step):
        rows = cut_at(house, parts, cut)
        watch.look("%s, cut at byte %d" % (name, cut), rows)
    assert may_lose or not watch.lost, "servers were thrown away: " \
        + ", ".join(watch.lost[:20])


@pytest.mark.own
def test_cut_while_starting(house):
    packets = [
        wire.startup_packet("app", THROUGH, options="-c work_mem=5MB",
                            DateStyle="German", application_name=ODD)
        + query("SET work_mem = '6MB'") + query("SELECT 1"),
        b"\0\0\0\x08\x04\xd2\x16\x2f" + wire.startup_packet("app", THROUGH),
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2",
        wire.startup_packet("app", "no_such_database"),
        wire.startup_packet("nobody", THROUGH) + query("SELECT 1")]
    watch = Watch(house)
    for number, packet in enumerate(packets):
        for cut in offsets(house, len(packet), 1):
            conn = wire.Wire(house.port)
            conn.send(packet[:cut])
            die(conn, cut)
            watch.look("packet %d cut at %d" % (number, cut), {0})
    assert not watch.lost


@pytest.mark.own
def test_dies_while_answers_flow(house):
    """With the answer anywhere between the server and the client."""
    dice = random.Random(4711)
    watch = Watch(house)
    for turn in range(60):
        conn = Speaker(house.port, THROUGH)
        conn.send(query("BEGIN"), query(INSERT), query("SELECT g, repeat('x',"
                  " 2000) FROM generate_series(1, 3000) g"))
        size = dice.choice((1, 100, 10000, 1000000))
        while size > 0:
            size -= len(conn.sock.recv(min(size, 1 << 16)))
        die(conn, turn)
        watch.look("answer cut, turn %d" % turn, {0})
    assert not watch.lost


@pytest.mark.own
@pytest.mark.parametrize("end", ["", "done", "fail", "sync"])
def test_dies_behind_a_sync_in_copy(house, end):
    """The server reads over that Sync: the batch is still open, and nothing
    but the end of the COPY will be answered."""
    ends = {"": b"", "done": copy_done(), "fail": copy_fail(),
            "sync": copy_done() + sync()}
    watch = Watch(house)
    for _ in range(3):
        conn = Speaker(house.port, THROUGH)
        conn.send(parse("COPY state_written FROM STDIN"), bind(), execute(),
                  sync(), copy_data(b"death\t1\n"), ends[end])
        conn.close()
        # Its end may be heard before its last words.
        watch.look("COPY, %s" % end, {0, 1} if end == "sync" else {0})
    assert not watch.lost
