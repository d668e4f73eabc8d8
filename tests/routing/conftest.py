"""Fixtures: two nodes that log every statement, pgweir in front of them, and
the same tables once behind it and once for the straight answers."""
import itertools
import os
import sys
from pathlib import Path

import psycopg
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from harness import (PGWEIR_BIN, SLOW, Cluster,  # noqa: E402 - by the path
                     Pgweir, wait_for)
from wire import Wire, bind, copy_done, describe  # noqa: E402
from wire import execute, parse, query, sync  # noqa: E402

BEHIND, STRAIGHT = "routing", "straight"
NODE_SETTINGS = {"log_statement": "all", "autovacuum": "off",
                 "wal_receiver_status_interval": "100ms"}
WEIR = {"monitor_user": "postgres", "consistency": "eventual",
        "catalog_refresh": 3600, "verbose": 2, "begin_wait": 60}
EXTENSIONS = ["dblink", "hstore", "isn", "tablefunc", "xml2"]
# What sorts pairs writes; nobody but a superuser may say so.
SORTING = """CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair
USING btree AS OPERATOR 1 <<!, OPERATOR 2 <=!, OPERATOR 3 ==!,
OPERATOR 4 >=!, OPERATOR 5 >>!, FUNCTION 1 pair_cmp(pair, pair)"""


class Nodes(Cluster):
    """Says which of the two has seen a statement, by a mark in its text."""

    def __init__(self):
        super().__init__()
        self.marks = itertools.count(1000)
        self.open = {}
        for name, value in NODE_SETTINGS.items():
            for node in self.ports:
                self.sql("ALTER SYSTEM SET %s = '%s'" % (name, value),
                         node=node)
        for node in self.ports:
            self.sql("SELECT pg_reload_conf()", node=node)
        self.sql("CREATE ROLE other")
        self.sql("GRANT other TO app")
        for name in (BEHIND, STRAIGHT):
            self.make(name)
        self.position()
        self.ends = {node: self.log_end(node) for node in self.ports}

    def make(self, name):
        self.sql("CREATE DATABASE %s OWNER app" % name)
        with self.connect(dbname=name) as conn:
            conn.execute("ALTER SCHEMA public OWNER TO app")
            for extension in EXTENSIONS:
                conn.execute("CREATE EXTENSION " + extension)
            conn.execute("CREATE SERVER far FOREIGN DATA WRAPPER dblink_fdw"
                         " OPTIONS (dbname 'nowhere')")
            conn.execute("CREATE FOREIGN TABLE ft (id int) SERVER far")
            conn.execute("GRANT SELECT ON ft TO PUBLIC")
        with self.connect(dbname=name, user="app") as conn:
            conn.execute((HERE / "fixture.sql").read_text())
            conn.execute((HERE / "unseen.sql").read_text())
        with self.connect(dbname=name) as conn:
            conn.execute(SORTING)

    def path(self, node):
        return Path(self.dir) / (node + ".log")

    def log_end(self, node):
        return self.path(node).stat().st_size

    def begin(self):
        """A mark for the texts of one case; what was logged is forgotten."""
        self.ends = {node: self.log_end(node) for node in self.ports}
        return "mark%d" % next(self.marks)

    def seen(self, mark):
        """The nodes that have logged this mark since it was made."""
        found = []
        for node in self.ports:
            with open(self.path(node), "rb") as log:
                log.seek(self.ends[node])
                if mark.encode() in log.read():
                    found.append(node)
        return found

    def catch_up(self):
        """As position(), over connections that stay."""
        for node in self.ports:
            if node not in self.open:
                self.open[node] = self.connect(node)
        lsn = self.open["primary"].execute(
            "SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        wait_for(lambda: self.open["replica"].execute(
            "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn",
            (lsn,)).fetchone()[0], what="replay", step=0.005)

    def down(self):
        for conn in self.open.values():
            conn.close()
        super().down()


@pytest.fixture(scope="session")
def nodes():
    made = Nodes()
    yield made
    made.down()


@pytest.fixture(scope="session")
def weir(nodes):
    if not os.access(PGWEIR_BIN, os.X_OK):
        pytest.exit("no program at %s: build it, or set PGWEIR_BIN"
                    % PGWEIR_BIN, 3)
    made = Pgweir(nodes, WEIR, databases={"routing": "host=%s" % ",".join(
        "127.0.0.1:%d" % nodes.ports[n] for n in ("primary", "replica"))})
    try:
        wait_for(lambda: knows(nodes, made), 60, "the catalog")
        yield made
    finally:
        made.stop()


def knows(nodes, weir):
    """A table that the catalog has is read on the replica."""
    mark = nodes.begin()
    with psycopg.connect(weir.dsn(BEHIND), autocommit=True) as conn:
        conn.execute("SELECT * FROM t WHERE id = 1 /* %s */" % mark)
    return nodes.seen(mark) == ["replica"]


class Talk:
    """One session that sends the steps of a case, marked."""

    def __init__(self, port, database, protocol):
        self.wire = Wire(port, timeout=20 * SLOW)
        self.wire.login(database=database)
        self.protocol = protocol

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def step(self, text):
        if self.protocol == "S":
            self.wire.send(query(text))
        else:
            self.wire.send(parse(text), bind(), describe(), execute(),
                           sync())
        messages = self.wire.until("ZG")
        if messages[-1].type == "G":
            messages += self.wire.send(copy_done()).until()
        return messages


@pytest.fixture(scope="session")
def talk(nodes, weir):
    ports = {BEHIND: weir.port, STRAIGHT: nodes.ports["primary"]}
    return lambda database, protocol: Talk(ports[database], database,
                                           protocol)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what pgweir logged last."""
    outcome = yield
    report = outcome.get_result()
    weir = getattr(item, "funcargs", {}).get("weir")
    if report.failed and weir:
        report.sections.append(("log of pgweir", weir.log()[-1500:]))


@pytest.fixture
def wire(weir):
    with Wire(weir.port, timeout=20 * SLOW) as made:
        made.login(database=BEHIND)
        yield made
