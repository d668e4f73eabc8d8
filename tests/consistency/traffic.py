"""Many clients in one thread, so that one clock orders all that they do.

Each client has one statement under way. It writes (adds to a counter that all
share, or appends to its own list, some in a BEGIN ... COMMIT), then reads back
what it wrote, reads what it has read before, or what others write. Every
second client uses prepared statements.
"""
import random
import select
import struct
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import wire  # noqa: E402 - found by the path above
from history import READ, WRITE, History  # noqa: E402
from nodes import COUNTERS, LIST  # noqa: E402

READY = (b"Z\0\0\0\x05I", b"Z\0\0\0\x05T", b"Z\0\0\0\x05E")
TEXTS = {
    "count": "UPDATE counters SET v = v + 1 WHERE k = %s RETURNING v",
    "counter": "SELECT v FROM counters WHERE k = %s",
    "append": "INSERT INTO lists VALUES (%s, %s) RETURNING n",
    "list": "SELECT max(n) FROM lists WHERE k = %s",
}


def first_value(reply):
    """The one column of the first row, and the SQLSTATE of an error."""
    at, value, state = 0, None, None
    while at < len(reply):
        kind, size = reply[at], struct.unpack_from("!i", reply, at + 1)[0]
        if kind == 68 and value is None:
            value = int(reply[at + 11:at + size + 1])
        elif kind == 69 and state is None:
            state = wire.Message("E", reply[at + 5:at + size + 1]).sqlstate
        at += size + 1
    return value, state


class Client:
    def __init__(self, number, port, level, writes, seed):
        self.number = number
        self.port = port
        self.level = level
        self.writes = writes
        self.random = random.Random(seed * 1000 + number)
        self.appended = 0  # what this client has tried to append
        self.recent = []   # keys that it has just written
        self.wire = None
        self.again_at = 0
        self.reply = b""

    def login(self):
        self.wire = wire.Wire(self.port, timeout=60)
        options = {"options": "-c pgweir.consistency=" + self.level} \
            if self.level else {}
        self.wire.login(**options)
        if self.number % 2:
            for name, text in TEXTS.items():
                for count in ("$1", "$2"):
                    text = text.replace("%s", count, 1)
                self.wire.send(wire.parse(text, name), wire.sync()).until()
        self.appended = int(self.wire.value(
            "/* pgweir: primary */ " + TEXTS["list"] % self.own()))
        self.wire.sock.setblocking(False)

    def own(self):
        return LIST + self.number

    def text(self, name, *values):
        if self.number % 2:
            return wire.bind(values, name) + wire.execute() + wire.sync()
        text = TEXTS[name] % values
        if name in ("count", "append") and self.random.random() < 0.3:
            text = "BEGIN; %s; COMMIT" % text
        return wire.query(text)

    def write(self):
        if self.random.random() < 0.5:
            self.key = self.own()
            self.appended += 1
            out = self.text("append", self.key, self.appended)
        else:
            self.key = self.random.randrange(COUNTERS)
            out = self.text("count", self.key)
        self.recent = (self.recent + [self.key])[-3:]
        return WRITE, out

    def pick(self, clients):
        """Its own writes, what all write, and the lists of others."""
        chance = self.random.random()
        if chance < 0.4 and self.recent:
            return self.recent[-1] if chance < 0.25 else self.recent[0]
        if chance < 0.8:
            return self.random.randrange(COUNTERS)
        return LIST + self.random.randrange(clients)

    def read(self, clients):
        self.key = self.pick(clients)
        name = "list" if self.key >= LIST else "counter"
        return READ, self.text(name, self.key)

    def start(self, clients):
        chance = self.random.random()
        self.kind, out = self.write() if chance < self.writes \
            else self.read(clients)
        self.sent = time.monotonic_ns()
        self.wire.sock.sendall(out)

    def take(self):
        """True once the whole answer is there."""
        data = self.wire.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        self.reply += data
        return self.reply[-6:] in READY

    def drop(self):
        if self.wire:
            self.wire.close()
        self.wire, self.reply = None, b""
        self.again_at = time.monotonic() + 0.05


class Traffic:
    def __init__(self, port, level=None, clients=16, writes=0.3, seed=1):
        self.clients = [Client(i, port, level, writes, seed)
                        for i in range(clients)]
        self.history = History()
        self.errors = Counter()
        self.reads = self.failed_reads = 0
        self.poll = select.epoll()
        self.by_fd = {}

    def connect(self, client):
        """Trouble is no news while nodes are killed: it tries again."""
        try:
            client.login()
        except (OSError, wire.Closed, wire.LoginError) as error:
            self.errors["login %s" % getattr(error, "sqlstate", "lost")] += 1
            client.drop()
            return
        self.by_fd[client.wire.sock.fileno()] = client
        self.poll.register(client.wire.sock.fileno(), select.EPOLLIN)
        self.send(client)

    def lose(self, client):
        self.failed_reads += client.kind == READ
        self.errors["connection lost"] += 1
        fd = client.wire.sock.fileno()
        self.poll.unregister(fd)
        del self.by_fd[fd]
        client.drop()

    def send(self, client):
        try:
            client.start(len(self.clients))
        except OSError:
            self.lose(client)

    def answered(self, client):
        got = time.monotonic_ns()
        value, state = first_value(client.reply)
        client.reply = b""
        if state:
            self.errors[state] += 1
            self.failed_reads += client.kind == READ
        elif value is not None:
            self.history.add(client.number, client.kind, client.key, value,
                             client.sent, got)
            self.reads += client.kind == READ

    def step(self, is_over):
        for fd, _ in self.poll.poll(0.05):
            client = self.by_fd[fd]
            try:
                is_whole = client.take()
            except OSError:
                self.lose(client)
                continue
            if is_whole:
                self.answered(client)
                if not is_over:
                    self.send(client)
                else:
                    self.poll.unregister(fd)
                    del self.by_fd[fd]
                    client.drop()

    def run(self, seconds=None, reads=None, until=None):
        """Until the time is over, or so many reads have been answered, or
        until() says so."""
        end = time.monotonic() + (seconds or 1e9)
        while time.monotonic() < end and self.reads < (reads or 1e18) \
                and not (until and until()):
            for client in self.clients:
                if not client.wire and time.monotonic() >= client.again_at:
                    self.connect(client)
            self.step(False)
        patience = time.monotonic() + 60
        while self.by_fd and time.monotonic() < patience:
            self.step(True)
        return self.history
