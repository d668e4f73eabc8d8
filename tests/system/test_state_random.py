"""Fifty clients walk at random through session state, over four servers.

Each client is there twice: through pgweir, where it shares the servers of
the primary and of the replica with all others, and on a private connection to
PostgreSQL. Every answer is compared, message by message. All clients are busy
at once, so that the servers change hands with each transaction.

A difference is printed with what its client has done before, as little of it
as is needed to see it again. The walks come from a seed:

    STATE_SEED=7 STATE_STEPS=1000000 pytest test_state_random.py
"""
import collections
import os
import re
import select
import signal
import struct
import time

import pytest

import oracle
import states
import walk
import wire
from harness import SLOW, Pgweir
from oracle import STRAIGHT, THROUGH, show

SEED = os.environ.get("STATE_SEED", "1")
STEPS = int(os.environ.get("STATE_STEPS", "0"))
# A value of the startup packet that is reset without having been changed is
# reported once more, which PostgreSQL does not: a difference that is known.
WITHOUT = os.environ.get("STATE_WITHOUT", "startup").split(",")
CLIENTS = int(os.environ.get("STATE_CLIENTS", "50"))
SUITE_STEPS = 12000
STORY_SECONDS = float(os.environ.get("STATE_STORY", "15"))
PATIENCE = 30 * SLOW


class Side:
    """One of a client's two connections, driven by what select says."""

    def __init__(self, client, port, database, startup):
        self.client = client
        self.database = database.encode()
        self.conn = wire.Wire(port)
        self.hello = wire.startup_packet(client.walk.user, database,
                                         **startup)
        self.sock = self.conn.sock
        self.sock.setblocking(False)
        self.pid = None
        self.data = bytearray()
        self.out = b""
        self.at = 0
        self.missing = 0

    def send(self, step):
        self.data.clear()
        self.at = 0
        self.missing = step.readies
        self.out = step.data or self.hello
        if b"DATABASE" in self.out:
            self.out = resized(self.out, self.database)
        self.write()

    def write(self):
        try:
            self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass

    def read(self):
        """True when all answers are here."""
        try:
            got = self.sock.recv(1 << 18)
        except BlockingIOError:
            return False
        if not got:
            raise wire.Closed("end of file")
        self.data += got
        data, at = self.data, self.at
        while len(data) >= at + 5:
            size = int.from_bytes(data[at + 1:at + 5], "big") + 1
            if len(data) < at + size:
                break
            if data[at] == 90:
                self.missing -= 1
            at += size
        self.at = at
        if self.missing < 0:
            raise AssertionError("more answers than questions")
        return self.missing == 0 and at == len(data)

    def lines(self):
        """The answers as text, without what must differ."""
        out, at, data = [], 0, bytes(self.data)
        while at + 5 <= len(data):
            size = int.from_bytes(data[at + 1:at + 5], "big") + 1
            msg = wire.Message(chr(data[at]), data[at + 5:at + size])
            if msg.type == "K":
                self.pid, = struct.unpack_from("!I", msg.payload)
            out.append(show(msg, self.pid))
            at += size
        return out

    def close(self, roughly=False):
        if roughly:
            self.conn.abort()
        else:
            self.conn.close()


def resized(data, database):
    """A Query whose text gets another length."""
    body = data[5:].replace(b"DATABASE", database)
    return data[:1] + struct.pack("!i", len(body) + 4) + body


# The first step of each session: the startup packet, and its greeting.
LOGIN = walk.Step("login", b"", 1)


class Difference(Exception):
    """What a client was told, and what it should have been told."""

    def __init__(self, client, expected, got):
        super().__init__("client %d" % client.walk.n)
        self.client, self.expected, self.got = client, expected, got


class Session:
    """One login of a client: what a replay needs to know of it."""

    def __init__(self, number, startup):
        self.number, self.startup = number, startup


class Client:
    """A walk on two connections."""

    def __init__(self, game, number):
        self.game = game
        self.walk = walk.Walk(game.seed, number, WITHOUT)
        self.sides = ()
        self.startup, self.steps = {}, []
        self.done, self.now = [], None
        self.waits = set()

    def begin_session(self):
        self.leave()
        self.startup, self.steps = self.walk.session()
        self.open()
        self.steps.insert(0, LOGIN)

    def open(self):
        self.done = []
        self.now = Session(self.walk.n, self.startup)
        one = Side(self, self.game.straight, STRAIGHT, self.startup)
        try:
            two = Side(self, self.game.through, THROUGH, self.startup)
        except BaseException:
            one.close()
            raise
        self.sides = (one, two)
        self.game.watch(self)

    def leave(self):
        for side in self.sides:
            self.game.unwatch(side)
            side.close(len(self.done) % 3 == 0)
        self.sides = ()

    def next_step(self):
        if not self.steps:
            self.begin_session()
        self.tell(self.steps.pop(0))

    def tell(self, step):
        self.done.append(step)
        self.since = time.monotonic()
        self.waits = set(self.sides)
        for side in self.sides:
            side.send(step)
            if side.out:
                self.game.watch_output(side, True)

    def heard(self, side):
        """True when both sides have answered, and have said the same."""
        self.waits.discard(side)
        if self.waits:
            return False
        one, two = self.sides
        if one.data != two.data:
            expected, got = one.lines(), two.lines()
            if expected != got:
                raise Difference(self, expected, got)
        return True


class Game:
    """All clients, as busy as they can be."""

    def __init__(self, straight, through, seed, clients):
        self.straight, self.through, self.seed = straight, through, seed
        self.poll = select.epoll()
        self.by_fd = {}
        self.clients = [Client(self, n) for n in range(clients)]
        self.played = 0
        self.log = collections.deque(maxlen=4000)

    def watch(self, client):
        for side in client.sides:
            self.by_fd[side.sock.fileno()] = side
            self.poll.register(side.sock.fileno(), select.EPOLLIN)

    def watch_output(self, side, wanted):
        self.poll.modify(side.sock.fileno(), select.EPOLLIN | (
            select.EPOLLOUT if wanted else 0))

    def unwatch(self, side):
        self.poll.unregister(side.sock.fileno())
        del self.by_fd[side.sock.fileno()]

    def warm_up(self):
        """
        The first reader of sequences in a database comes too late, and the
        first lock in a block that is tied to a replica is there.
        """
        with self.house.twin() as twin:
            twin.play(["SELECT lastval()", "BEGIN ISOLATION LEVEL REPEATABLE"
                       " READ READ ONLY", "SELECT count(*) FROM state_rows",
                       "SELECT pg_try_advisory_lock_shared(1)", "COMMIT",
                       "SELECT pg_advisory_unlock_all()"])

    def play(self, steps):
        for client in self.clients:
            client.next_step()
        while self.played < steps:
            events = self.poll.poll(1)
            for fd, event in events:
                if fd in self.by_fd:
                    self.take(self.by_fd[fd], event)
            if not events or self.played % 997 == 0:
                self.check_patience()

    def take(self, side, event):
        if event & select.EPOLLOUT:
            side.write()
            self.watch_output(side, bool(side.out))
        if not event & ~select.EPOLLOUT:
            return
        try:
            is_whole = side.read()
        except (wire.Closed, OSError, AssertionError) as error:
            self.lost(side, error)
            return
        if is_whole and side in side.client.waits \
                and side.client.heard(side):
            self.played += 1
            self.log.append((side.client.now, side.client.done[-1]))
            side.client.next_step()

    def lost(self, side, error):
        lines = side.lines() + [repr(error)]
        client = side.client
        pair = (lines, ["?"]) if side is client.sides[0] else (["?"], lines)
        raise Difference(client, *pair)

    def check_patience(self):
        now = time.monotonic()
        for client in self.clients:
            if client.waits and now - client.since > PATIENCE:
                names = ["PostgreSQL" if s is client.sides[0] else "pgweir"
                         for s in client.waits]
                raise Difference(client, ["?"], [
                    "no answer of %s for %d s" % (" and ".join(names),
                                                  PATIENCE)])

    def close(self):
        for client in self.clients:
            client.leave()


# --- the story of a difference ------------------------------------------------

HOPPER = {"options": "-c work_mem=999kB -c geqo_threshold=99"
          " -c search_path=hopper -c random_page_cost=99"
          " -c statement_timeout=99s -c lock_timeout=99s -c enable_sort=off"
          " -c bytea_output=escape -c extra_float_digits=-9"
          " -c default_transaction_isolation=serializable",
          "DateStyle": "Postgres, DMY", "TimeZone": "Asia/Kolkata",
          "client_encoding": "LATIN2", "application_name": "hopper",
          "IntervalStyle": "sql_standard"}


class Hopper:
    """
    Another client, with settings of its own, that keeps a server busy every
    other time, so that who comes next gets another one.
    """

    def __init__(self, port, user):
        self.conn = oracle.Speaker(port, THROUGH, user, HOPPER)
        self.turn = 0

    def before(self):
        self.turn += 1
        self.conn.play(["BEGIN"] if self.turn % 2 else ["SELECT 1"])

    def after(self):
        if self.conn.status != "I":
            self.conn.play(["COMMIT"])


class Replay(Game):
    """Some sessions again, step by step, in the order of their answers."""

    def __init__(self, game, hops=False):
        super().__init__(game.straight, game.through, game.seed, 0)
        self.hops = hops
        self.hopper = None

    def differs(self, events):
        """events: [(session, step)]; the difference, or None."""
        clients = {}
        try:
            for session, step in events:
                if session not in clients:
                    clients[session] = client = Client(self, session.number)
                    client.startup = session.startup
                    client.open()
                    if step is not LOGIN:
                        self.step(client, LOGIN)
                self.one(clients[session], step)
        except Difference as difference:
            # Rows of the first time may show up, and not on a replica yet.
            is_it = difference.client.now.number == events[-1][0].number
            return difference if is_it else None
        except (wire.LoginError, wire.Closed, OSError, AssertionError):
            return None
        finally:
            for client in clients.values():
                client.leave()
            if self.hopper:
                self.hopper.conn.close()
            self.hopper = None
        return None

    def one(self, client, step):
        if self.hops and not self.hopper:
            self.hopper = Hopper(self.through, client.walk.user)
        if self.hops:
            self.hopper.before()
        self.step(client, step)
        if self.hops:
            self.hopper.after()

    def step(self, client, step):
        client.tell(step)
        until = time.monotonic() + SLOW
        while client.waits:
            if time.monotonic() > until:
                raise wire.Closed("no answer")
            for fd, event in self.poll.poll(0.1):
                if fd in self.by_fd:
                    self.hear(self.by_fd[fd], event)

    def hear(self, side, event):
        if event & select.EPOLLOUT:
            side.write()
            self.watch_output(side, bool(side.out))
        if event & ~select.EPOLLOUT and side.read() \
                and side in side.client.waits:
            side.client.heard(side)


def without(events, groups):
    """The events that belong to none of these sessions or are none of them."""
    return [e for e in events if e[0] not in groups and e not in groups]


def shortest(replay, events, seconds):
    """Fewer events that still differ, and how; None if these do not."""
    found = replay.differs(events)
    until = time.monotonic() + seconds
    for of in (lambda e: e[0], lambda e: e):
        parts = list(dict.fromkeys(of(e) for e in events))
        size = max(1, len(parts) // 2)
        while found and size and time.monotonic() < until:
            at = 0
            while at < len(parts) and time.monotonic() < until:
                fewer = without(events, set(parts[at:at + size]))
                again = replay.differs(fewer) if fewer else None
                if again:
                    events, found = fewer, again
                    del parts[at:at + size]
                else:
                    at += size
            size //= 2
    return (events, found) if found else None


def told(expected, got):
    at = 0
    while at < min(len(expected), len(got)) and expected[at] == got[at]:
        at += 1
    return "PostgreSQL:\n  %s\npgweir:\n  %s" % tuple(
        "\n  ".join(line[:400] for line in lines[max(0, at - 1):at + 5])
        for lines in (expected, got))


def story(game, difference):
    client = difference.client
    game.log.append((client.now, client.done[-1]))
    text = ["client %d (%s), STATE_SEED=%s, step %d in all" % (
        client.walk.n, client.walk.user, game.seed, game.played),
        told(difference.expected, difference.got)]
    game.close()
    game.house.throw_away()
    own = [e for e in game.log if e[0] is client.now]
    short = shortest(Replay(game), own, STORY_SECONDS) \
        or shortest(Replay(game, hops=True), own, STORY_SECONDS) \
        or shortest(Replay(game), recent(game.log, client.now),
                    STORY_SECONDS)
    events = short[0] if short else own
    if short:
        difference = short[1]
        text += ["Again, with these steps:",
                 told(difference.expected, difference.got)]
    else:
        text += ["Not seen again. All of its session:"]
    for session in dict.fromkeys(e[0] for e in events):
        text.append("client %d: startup %r" % (session.number,
                                               session.startup))
    text += ["  %2d: %s" % (session.number, step.label[:500])
             for session, step in events]
    return "\n".join(text)


def recent(log, session):
    """All of the sessions that were there lately, in order."""
    there = {e[0] for e in list(log)[-300:]} | {session}
    return [e for e in log if e[0] in there]


@pytest.fixture(scope="module")
def databases(cluster):
    oracle.make_databases(cluster, states.SETUP + walk.SETUP)
    return cluster


@pytest.mark.own
@pytest.mark.parametrize("mode", ["transaction"])
def test_walks(binary, databases, mode):
    if STEPS:
        signal.alarm(0)
    weir = Pgweir(databases, {
        "pool_mode": mode, "workers": int(os.environ.get("STATE_WORKERS", "2")), "default_pool_size": 4,
        "max_client_conn": 200, "query_wait_timeout": 0,
        "query_wait_notify": 0, "sequence_keep": 0,
        "read_after_write_window": 5}, binary=binary, start=False)
    weir.databases = {THROUGH: weir.node_line(THROUGH)}
    weir.write_ini()
    with weir:
        weir.start()
        weir.settle()
        game = Game(databases.ports["primary"], weir.port, SEED, CLIENTS)
        game.house = oracle.House(databases, weir.port)
        game.warm_up()
        began = time.monotonic()
        try:
            game.play(STEPS or SUITE_STEPS)
        except Difference as difference:
            text = story(game, difference)
            pytest.fail(text + "\nlog of pgweir:\n" + weir.log()[-1500:],
                        pytrace=False)
        finally:
            game.close()
        spent = time.monotonic() - began
        print("%d steps, %.0f a second" % (game.played, game.played / spent))
