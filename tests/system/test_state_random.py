"""Fifty clients walk at random through session state, over four servers.

Each client is there twice: through pgweir, where it shares the servers of
the primary and of the replica with all others, and on a private connection to
PostgreSQL. Every answer is compared, message by message. All clients are busy
at once, so that the servers change hands with each transaction.

A difference is printed with what its client has done before, as little of it
as is needed to see it again. The walks come from a seed:

    STATE_SEED=7 STATE_STEPS=1000000 pytest test_state_random.py
"""
import os
import select
import signal
import socket
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
WITHOUT = os.environ.get("STATE_WITHOUT", "").split(",")
CLIENTS = int(os.environ.get("STATE_CLIENTS", "50"))
SUITE_STEPS = 12000
PATIENCE = 30 * SLOW


class Side:
    """One of a client's two connections, driven by what select says."""

    def __init__(self, client, port, database, startup):
        self.client = client
        self.database = database.encode()
        self.conn = wire.Wire(port)
        self.conn.login(client.walk.user, database, **startup)
        self.sock = self.conn.sock
        self.sock.setblocking(False)
        self.pid, = struct.unpack_from("!I", self.conn.cancel_key)
        self.data = bytearray(self.conn.buffer)
        self.out = b""
        self.at = 0
        self.missing = 0

    def send(self, step):
        self.data.clear()
        self.at = 0
        self.missing = step.readies
        self.out = step.data
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
            out.append(show(wire.Message(chr(data[at]),
                                         data[at + 5:at + size]), self.pid))
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


class Difference(Exception):
    """What a client was told, and what it should have been told."""

    def __init__(self, client, expected, got):
        super().__init__("client %d" % client.walk.n)
        self.client, self.expected, self.got = client, expected, got


class Client:
    """A walk on two connections."""

    def __init__(self, game, number, sessions=None):
        self.game = game
        self.walk = walk.Walk(game.seed, number, WITHOUT)
        self.given = sessions
        self.sides = ()
        self.startup, self.steps = {}, []
        self.done = []
        self.waits = set()

    def begin_session(self):
        self.leave()
        self.startup, self.steps = self.walk.session()
        self.open()

    def open(self):
        self.done = []
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

class Alone(Game):
    """One client, or some, step by step."""

    def __init__(self, game):
        super().__init__(game.straight, game.through, game.seed, 0)

    def differs(self, sessions):
        """sessions: [(number, startup, steps)]; the last one is asked."""
        clients = []
        try:
            for number, startup, _ in sessions:
                client = Client(self, number)
                client.startup = startup
                client.open()
                clients.append(client)
            for client, (_, _, steps) in zip(clients, sessions):
                for step in steps:
                    self.one(client, step)
        except Difference as difference:
            return difference
        except (wire.LoginError, wire.Closed, OSError, TimeoutError) as error:
            return None if not clients else Difference(
                clients[-1], ["?"], [repr(error)])
        finally:
            for client in clients:
                client.leave()
        return None

    def one(self, client, step):
        client.tell(step)
        until = time.monotonic() + 2 * SLOW
        while client.waits and time.monotonic() < until:
            for fd, event in self.poll.poll(0.1):
                if fd in self.by_fd:
                    self.take(self.by_fd[fd], event)
        if client.waits:
            raise TimeoutError("no answer")

    def take(self, side, event):
        if event & select.EPOLLOUT:
            side.write()
            self.watch_output(side, bool(side.out))
        if event & ~select.EPOLLOUT and side.read() \
                and side in side.client.waits:
            side.client.heard(side)


def shortest(alone, number, startup, steps, seconds=15):
    """Fewer steps that still differ; None when they do not by themselves."""
    found = alone.differs([(number, startup, steps)])
    until = time.monotonic() + seconds
    size = len(steps) // 2
    while found and size and time.monotonic() < until:
        at = 0
        while at < len(steps) and time.monotonic() < until:
            fewer = steps[:at] + steps[at + size:]
            again = alone.differs([(number, startup, fewer)])
            if again:
                steps, found = fewer, again
            else:
                at += size
        size //= 2
    return (steps, found) if found else None


def told(expected, got):
    at = 0
    while at < min(len(expected), len(got)) and expected[at] == got[at]:
        at += 1
    return "PostgreSQL:\n  %s\npgweir:\n  %s" % tuple(
        "\n  ".join(line[:400] for line in lines[max(0, at - 1):at + 5])
        for lines in (expected, got))


def story(game, difference):
    client = difference.client
    number, startup, steps = client.walk.n, client.startup, list(client.done)
    text = ["client %d (%s), STATE_SEED=%s, step %d in all" % (
        number, client.walk.user, game.seed, game.played),
        told(difference.expected, difference.got)]
    game.close()
    alone = Alone(game)
    short = shortest(alone, number, startup, steps)
    if short:
        steps, difference = short
        text += ["By itself, too, with these steps:",
                 told(difference.expected, difference.got)]
    else:
        text += ["Not by itself. All of its session:"]
    text += ["startup %r" % startup]
    text += ["  " + step.label[:600] for step in steps]
    return "\n".join(text)


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
        "pool_mode": mode, "workers": 2, "default_pool_size": 4,
        "max_client_conn": 200, "query_wait_timeout": 0,
        "read_after_write_window": 5}, binary=binary, start=False)
    weir.databases = {THROUGH: weir.node_line(THROUGH)}
    weir.write_ini()
    with weir:
        weir.start()
        weir.settle()
        game = Game(databases.ports["primary"], weir.port, SEED, CLIENTS)
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
