"""Many clients in one thread, so that one clock orders all that they do.

Each client has one packet under way: some statements in a row, each a unit of
its own, so pgweir places each by itself, and the next one in the very moment
in which it has passed on the end of the one before. The shortest packet has
one statement. Some have a write among them: it adds to a counter that all
share, or appends to the client's own list, and is read back by the next
statement; what is left reads what was read or written before, or what others
write. A write comes by itself, as BEGIN, write and COMMIT in three units, or
in one text. Every second client uses prepared statements. Who loses his
connection comes back as somebody new: that one has seen nothing yet.
"""
import random
import select
import struct
import sys
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import wire  # noqa: E402 - found by the path above
from history import READ, WRITE, History  # noqa: E402
from nodes import COUNTERS, LIST  # noqa: E402

# What else may stand in a packet: a BEGIN; a write in a block, which counts
# once the block has ended; and the end.
OPEN, INNER, COMMIT = 2, 3, 4
TEXTS = {
    "count": "UPDATE counters SET v = v + 1 WHERE k = %s RETURNING v",
    "counter": "SELECT v FROM counters WHERE k = %s",
    "append": "INSERT INTO lists VALUES (%s, %s) RETURNING n",
    "list": "SELECT max(n) FROM lists WHERE k = %s",
    "begin": "BEGIN",
    "commit": "COMMIT",
}
HEAD = struct.Struct("!Bi")


class Answers:
    """Takes the answers of units apart as they come."""

    def __init__(self):
        self.data = b""
        self.at = 0
        self.value = self.state = None

    def feed(self, data):
        """(value, SQLSTATE) for each unit whose end has come: the one column
        of the first row, and that of an error."""
        self.data = self.data[self.at:] + data
        self.at, out, size = 0, [], len(self.data)
        while self.at + 5 <= size:
            kind, length = HEAD.unpack_from(self.data, self.at)
            end = self.at + 1 + length
            if end > size:
                break
            if kind == 68 and self.value is None:
                self.value = int(self.data[self.at + 11:end])
            elif kind == 69:
                self.state = self.state or wire.Message(
                    "E", self.data[self.at + 5:end]).sqlstate
            elif kind == 90:
                out.append((self.value, self.state))
                self.value = self.state = None
            self.at = end
        return out


class Client:
    def __init__(self, number, port, level, seed, writes, burst, clients):
        self.number = number
        self.session = number  # in the history
        self.port = port
        self.level = level
        self.writes = writes
        self.burst = burst
        self.all = clients
        self.random = random.Random(seed * 1000 + number)
        self.appended = None  # what this client has tried to append
        self.recent = []      # keys that it has just written
        self.wire = None
        self.again_at = 0
        self.drop()

    def login(self):
        link = wire.Wire(self.port, timeout=60)
        options = {"options": "-c pgweir.consistency=" + self.level} \
            if self.level else {}
        link.login(**options)
        if self.number % 2:
            for name, text in TEXTS.items():
                for count in ("$1", "$2"):
                    text = text.replace("%s", count, 1)
                link.send(wire.parse(text, name), wire.sync()).until()
        if self.appended is None:
            self.appended = int(link.value(
                "/* pgweir: primary */ " + TEXTS["list"] % self.own()))
        link.sock.setblocking(False)
        return link

    def own(self):
        return LIST + self.number

    def text(self, name, *values):
        if self.number % 2:
            return wire.bind(values, name) + wire.execute() + wire.sync()
        return wire.query(TEXTS[name] % values)

    def write(self):
        """One write: the units, and what they are."""
        if self.random.random() < 0.5:
            key = self.own()
            self.appended += 1
            name, values = "append", (key, self.appended)
        else:
            key = self.random.randrange(COUNTERS)
            name, values = "count", (key,)
        self.recent = (self.recent + [key])[-3:]
        how = self.random.random()
        if how < 0.2:
            return [(OPEN, key, self.text("begin")),
                    (INNER, key, self.text(name, *values)),
                    (COMMIT, key, self.text("commit"))]
        if how < 0.5 and self.number % 2 == 0:
            return [(WRITE, key, wire.query(
                "BEGIN; %s; COMMIT" % (TEXTS[name] % values)))]
        return [(WRITE, key, self.text(name, *values))]

    def pick(self):
        """Its own writes, what all write, and the lists of others."""
        chance = self.random.random()
        if chance < 0.4 and self.recent:
            return self.recent[-1] if chance < 0.25 else self.recent[0]
        if chance < 0.8:
            return self.random.randrange(COUNTERS)
        return LIST + self.random.randrange(self.all)

    def read(self, key):
        return READ, key, self.text("list" if key >= LIST else "counter", key)

    def packet(self):
        """Some reads; often a write among them, and what it wrote next."""
        size = self.random.randint(1, self.burst)
        if self.random.random() >= self.writes:
            return [self.read(self.pick()) for _ in range(size)]
        before = self.random.randrange((size + 1) // 2)
        units = [self.read(self.pick()) for _ in range(before)]
        units += self.write()
        back = [self.recent[-1]] if before + 1 < size else []
        back += [self.pick() for _ in range(size - before - 2)]
        return units + [self.read(key) for key in back]

    def start(self):
        units = self.packet()
        self.under_way = deque(units)
        data = b"".join(unit[2] for unit in units)
        self.sent = time.monotonic_ns()
        self.wire.sock.sendall(data)

    def take(self):
        """Answers that have come: (value, state, unit)."""
        data = self.wire.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        return [(value, state, self.under_way.popleft())
                for value, state in self.answers.feed(data)]

    def drop(self):
        if self.wire:
            self.wire.close()
            self.session += 1000
        self.wire, self.held = None, None
        self.answers, self.under_way = Answers(), deque()
        self.again_at = time.monotonic() + 0.05


class Traffic:
    def __init__(self, port, level=None, clients=16, writes=0.3, burst=16,
                 seed=1):
        self.clients = [Client(i, port, level, seed, writes, burst, clients)
                        for i in range(clients)]
        self.history = History()
        self.errors = Counter()
        self.reads = self.failed_reads = 0
        self.poll = select.epoll()
        self.by_fd = {}
        self.logins = {}  # under way: they may have to wait for a primary
        self.threads = ThreadPoolExecutor(clients)

    def connect(self, client):
        """Trouble is no news while nodes are killed: it tries again."""
        attempt = self.logins.get(client)
        if not attempt:
            self.logins[client] = self.threads.submit(client.login)
            return
        if not attempt.done():
            return
        del self.logins[client]
        try:
            client.wire = attempt.result()
        except (OSError, wire.Closed, wire.LoginError) as error:
            self.errors["login %s" % getattr(error, "sqlstate", "lost")] += 1
            client.drop()
            return
        self.by_fd[client.wire.sock.fileno()] = client
        self.poll.register(client.wire.sock.fileno(), select.EPOLLIN)
        self.send(client)

    def lose(self, client):
        """What stood behind a write in one packet is lost with that."""
        ahead = client.under_way and client.under_way[0][0] == READ
        self.failed_reads += bool(ahead)
        self.errors[client.answers.state or "connection lost"] += 1
        self.leave(client)

    def leave(self, client):
        fd = client.wire.sock.fileno()
        self.poll.unregister(fd)
        del self.by_fd[fd]
        client.drop()

    def send(self, client):
        try:
            client.start()
        except OSError:
            self.lose(client)

    def answered(self, client, got, value, state, unit):
        kind, key = unit[:2]
        if kind == INNER:
            client.held = value
        elif kind == COMMIT:
            kind, value = WRITE, client.held
        if state:
            self.errors[state] += 1
            self.failed_reads += kind == READ
        elif value is not None and kind in (READ, WRITE):
            self.history.add(client.session, kind, key, value, client.sent,
                             got)
            self.reads += kind == READ

    def step(self, is_over):
        for fd, _ in self.poll.poll(0.05):
            client = self.by_fd[fd]
            try:
                answers = client.take()
            except OSError:
                self.lose(client)
                continue
            got = time.monotonic_ns()
            for answer in answers:
                self.answered(client, got, *answer)
            if not client.under_way:
                if is_over:
                    self.leave(client)
                else:
                    self.send(client)

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
        self.threads.shutdown()
        for client in self.clients:
            client.drop()
        return self.history
