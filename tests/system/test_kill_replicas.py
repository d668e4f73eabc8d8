"""A hundred readers of all drivers, while replicas are killed and return.

The texts change all the time, so that at any moment somebody has a statement
prepared.  PGWEIR_KILL_SECONDS makes the run longer.
"""
import asyncio
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import asyncpg
import psycopg2
import pytest

from harness import wait_for
from test_balance import nodes, start  # noqa: F401 - fixtures
from test_drivers_node import node_path  # noqa: F401 - a fixture

pytestmark = pytest.mark.own

SCRIPT = Path(__file__).with_name("node_reads.js")
SECONDS = float(os.environ.get("PGWEIR_KILL_SECONDS", "0"))
PAUSE = 0.05  # of a client between two reads: others use the machine, too


def text(number, parameter):
    """Four times each, in turn."""
    return "SELECT v AS n%d FROM counters WHERE k = %s" % (
        number // 8 % 500, parameter)


class Load:
    """Clients of one kind; `reads` counts what each has read."""

    def __init__(self, weir, count):
        self.weir, self.over = weir, threading.Event()
        self.errors, self.reads = [], [0] * count
        self.threads = [threading.Thread(target=self.guard, args=(i,))
                        for i in range(self.width())]
        for thread in self.threads:
            thread.start()

    def width(self):
        return len(self.reads)

    def guard(self, index):
        try:
            self.run(index)
        except Exception as error:  # noqa: BLE001 - all of them are faults
            self.errors.append("%s: %r" % (type(self).__name__, error))

    def total(self):
        return sum(self.reads)

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Psycopg(Load):
    """Prepares at the sixth time."""

    def run(self, index):
        with self.weir.connect() as conn:
            while not self.over.is_set():
                number = self.reads[index]
                assert conn.execute(text(number, "%s"),
                                    (number % 16,)).fetchone()
                self.reads[index] += 1
                time.sleep(PAUSE)


class PsycopgPipeline(Load):
    """Several reads in one batch, prepared at once."""

    def run(self, index):
        with self.weir.connect() as conn:
            while not self.over.is_set():
                number = self.reads[index]
                with conn.pipeline():
                    found = [conn.execute(text(number + k, "%s"), (k,),
                                          prepare=k % 2 == 0)
                             for k in range(3)]
                for cursor in found:
                    assert cursor.fetchone()
                self.reads[index] += 3
                time.sleep(PAUSE)


class Psycopg2(Load):
    """The simple protocol."""

    def run(self, index):
        conn = psycopg2.connect(self.weir.dsn())
        conn.autocommit = True
        with conn.cursor() as cursor:
            while not self.over.is_set():
                number = self.reads[index]
                cursor.execute(text(number, "%s"), (number % 16,))
                assert cursor.fetchone()
                self.reads[index] += 1
                time.sleep(PAUSE)
        conn.close()


class Asyncpg(Load):
    """Prepares everything in front of a Flush."""

    def width(self):
        return 1

    async def client(self, index):
        conn = await asyncpg.connect(host="127.0.0.1", port=self.weir.port,
                                     user="app", database="app", timeout=60)
        while not self.over.is_set():
            number = self.reads[index]
            assert await conn.fetchrow(text(number, "$1"), number % 16)
            self.reads[index] += 1
            await asyncio.sleep(PAUSE)
        await conn.close()

    async def clients(self):
        await asyncio.gather(*map(self.client, range(len(self.reads))))

    def run(self, _):
        asyncio.run(self.clients())


class Node(Load):
    """node-postgres, with names and without."""

    def __init__(self, weir, count, path):
        self.path = path
        super().__init__(weir, count)

    def width(self):
        return 1

    def run(self, _):
        with subprocess.Popen(
                ["node", SCRIPT, "127.0.0.1", str(self.weir.port),
                 str(len(self.reads))], text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "NODE_PATH": self.path}) as process:
            if process.stdout.readline() == "all\n":
                self.reads = [1] * len(self.reads)
                self.over.wait()
            process.stdin.close()
            told = json.loads(process.stdout.read().split("\n")[-2])
        self.errors += ["Node: " + error for error in told["errors"]]
        self.reads = told["reads"]


class Pgbench(Load):
    def __init__(self, weir, count, protocol):
        self.protocol = protocol
        super().__init__(weir, count)

    def width(self):
        return 1

    def run(self, _):
        with subprocess.Popen(
                ["pgbench", "-n", "-S", "-M", self.protocol, "-c",
                 str(len(self.reads)), "-T", "3600", "-R", "200", self.weir.dsn()],
                text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as process:
            self.reads = [1] * len(self.reads)
            while not self.over.wait(0.1) and process.poll() is None:
                continue
            ended = process.poll()
            process.terminate()
            said = process.stdout.read()
        if ended is not None or re.search("aborted|error", said):
            self.errors.append("pgbench %s: %s" % (self.protocol,
                                                   said[-500:]))


@pytest.fixture
def bench(nodes):  # noqa: F811 - the fixture
    subprocess.run(["pgbench", "-i", "-q", "-s", "1", nodes.dsn()],
                   check=True, stderr=subprocess.DEVNULL)
    nodes.catch_up()


def kill_and_return(nodes, loads, node):  # noqa: F811
    nodes.kill(node)
    try:
        go_on(loads, 20)
    finally:
        nodes.launch(node)


def go_on(loads, reads):
    """All that can be watched have read so often."""
    watched = [load for load in loads if isinstance(load, (
        Psycopg, PsycopgPipeline, Psycopg2, Asyncpg))]
    goals = [load.total() + reads for load in watched]

    def is_done():
        return any(load.errors for load in loads) or all(
            load.total() >= goal for load, goal in zip(watched, goals))
    wait_for(is_done, 30, "reads")
    assert not any(load.errors for load in loads), [
        load.errors[:3] for load in loads]


def test_all_drivers(nodes, start, bench, node_path):  # noqa: F811
    weir = start()
    loads = [Psycopg(weir, 20), PsycopgPipeline(weir, 10),
             Psycopg2(weir, 15), Asyncpg(weir, 15), Node(weir, 10, node_path),
             Pgbench(weir, 10, "simple"), Pgbench(weir, 10, "extended"),
             Pgbench(weir, 10, "prepared")]
    began = time.monotonic()
    kills = 0
    try:
        wait_for(lambda: any(load.errors for load in loads) or
                 min(min(load.reads) for load in loads) > 0, 30,
                 "all clients")
        while kills < 4 or time.monotonic() - began < SECONDS:
            kill_and_return(nodes, loads, ("replica", "second")[kills % 2])
            kills += 1
            weir.wait_nodes(3)
            go_on(loads, 20)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.finish()
    assert not any(load.errors for load in loads), [
        load.errors[:3] for load in loads]
    print("%d kills in %.0f s; reads %s; repeated %s" % (
        kills, time.monotonic() - began,
        {type(load).__name__: load.total() for load in loads},
        weir.metric("pgweir_replays_total")))
