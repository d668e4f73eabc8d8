"""Clients that write and read while the primary changes, and their books.

Each client is a thread with a connection of its own. What was acknowledged
is written down; so is each error, by where it came: outside of a transaction,
inside of one, or as an unknown outcome (08007).
"""
import itertools
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import psycopg  # noqa: E402
from wire import Closed, LoginError, Wire, query  # noqa: E402


class Failed(Exception):
    def __init__(self, sqlstate, text):
        super().__init__("%s %s" % (sqlstate, text))
        self.sqlstate = sqlstate


class Books:
    """What one kind of client has seen."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        self.acked, self.times = [], []
        self.errors, self.unknown, self.in_block = [], [], []

    def ack(self, number):
        with self.lock:
            self.acked.append(number)
            self.times.append(time.monotonic())

    def gap(self, since):
        """The longest time without an acknowledgement from then on."""
        times = [t for t in self.times if t >= since]
        before = [t for t in self.times if t < since]
        times = sorted(before[-1:] + times)
        return max((b - a for a, b in itertools.pairwise(times)),
                   default=float("inf"))


class Client(threading.Thread):
    def __init__(self, books, number):
        super().__init__(daemon=True)
        self.books, self.number, self.is_over = books, number, False
        self.numbers = itertools.count(number * 10_000_000)
        self.start()

    def run(self):
        while not self.is_over:
            self.turn()

    def end(self):
        self.is_over = True
        self.join(90)
        assert not self.is_alive(), "%s hangs" % self.books.name


class WeirClient(Client):
    """Through pgweir, by the raw protocol, so that SQLSTATEs are seen."""

    def __init__(self, books, number, port):
        self.port, self.wire = port, None
        super().__init__(books, number)

    def ask(self, sql):
        last = None
        self.wire.send(query(sql))
        try:
            while (msg := self.wire.recv()).type != "Z":
                last = msg if msg.type == "E" else last
        except Closed:
            if not last:
                raise Failed("", "closed without a word") from None
        if last:
            raise Failed(last.sqlstate, last.fields.get("M"))

    def turn(self):
        try:
            if not self.wire:
                self.wire = Wire(self.port, timeout=60)
                self.wire.login()
            self.work()
        except (Failed, LoginError) as error:
            self.fail(error.sqlstate, str(error))
        except (Closed, OSError) as error:
            self.fail("", repr(error))

    def fail(self, sqlstate, text):
        if sqlstate == "08007":
            self.books.unknown.append(text)
        elif self.is_in_block():
            self.books.in_block.append(text)
        else:
            self.books.errors.append(text)
        if self.wire:
            self.wire.close()
        self.wire = None

    def is_in_block(self):
        return False


class Writer(WeirClient):
    """One INSERT at a time, outside of any transaction."""

    def work(self):
        number = next(self.numbers)
        self.ask("INSERT INTO fo VALUES (%d)" % number)
        self.books.ack(number)
        time.sleep(0.002)


class BlockWriter(WeirClient):
    """BEGIN, two INSERTs, COMMIT, each by itself."""

    step = 0

    def is_in_block(self):
        return self.step > 0

    def work(self):
        pair = next(self.numbers), next(self.numbers)
        self.step = 0
        self.ask("BEGIN")
        for self.step, number in enumerate(pair, 1):
            self.ask("INSERT INTO fo VALUES (%d)" % number)
        self.ask("COMMIT")
        self.step = 0
        for number in pair:
            self.books.ack(number)
        time.sleep(0.005)


class Reader(WeirClient):
    def work(self):
        self.ask("SELECT count(*) FROM fo WHERE i < 100")
        self.books.ack(0)
        time.sleep(0.002)


class DirectWriter(Client):
    """libpq's own way: several hosts, target_session_attrs=read-write."""

    def __init__(self, books, number, ports):
        self.conn = None
        self.dsn = "host=%s port=%s user=app dbname=app connect_timeout=2" \
            " target_session_attrs=read-write" % (
                ",".join(["127.0.0.1"] * len(ports)),
                ",".join(map(str, ports)))
        super().__init__(books, number)

    def turn(self):
        number = next(self.numbers)
        try:
            if not self.conn:
                self.conn = psycopg.connect(self.dsn, autocommit=True)
            self.conn.execute("INSERT INTO fo VALUES (%d)" % number)
            self.books.ack(number)
            time.sleep(0.002)
        except psycopg.Error as error:
            self.books.errors.append(str(error))
            if self.conn:
                self.conn.close()
            self.conn = None
            time.sleep(0.02)
