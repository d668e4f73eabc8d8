#!/usr/bin/python3
"""The quickstart's application: a job queue and a search, through pgweir.

Two programs that moved to PostgreSQL are played here, over psycopg 3 and over
pgbench at the same time: a job queue with a state machine (claims by FOR
UPDATE SKIP LOCKED, idempotent transitions, JSONB, retries) and a ranked
full-text search over staff records (tsvector, GIN, ts_rank). The workload
checks itself - every job done exactly once, every search answered with the
right rows in the right order, every job readable by its producer at once -
and ends with exit status 1 when a check fails. What it reports about the
nodes it asks the nodes themselves, not pgweir.

Usage: workload.py --seconds N --through DSN --primary DSN --replica DSN
"""
import argparse
import asyncio
import glob
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import psycopg
from psycopg.types.json import Jsonb

TOPICS = 50
RECORDS = 4000
FIRST_JOBS = 1500
WORKERS, PRODUCERS, SEARCHERS, BENCHERS = 20, 4, 16, 30
HERE = os.path.dirname(os.path.abspath(__file__))

SCHEMA = """
DROP TABLE IF EXISTS job_runs, jobs, staff_records;
CREATE TABLE jobs (
    id bigserial PRIMARY KEY,
    state text NOT NULL DEFAULT 'queued' CHECK
        (state IN ('queued', 'running', 'failed', 'done')),
    payload jsonb NOT NULL,
    result jsonb,
    attempts int NOT NULL DEFAULT 0,
    owner text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz);
CREATE INDEX jobs_queued ON jobs (id) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
CREATE TABLE job_runs (
    job_id bigint NOT NULL REFERENCES jobs,
    owner text NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
CREATE TABLE staff_records (
    id int PRIMARY KEY,
    name text NOT NULL,
    reason text NOT NULL,
    days numeric NOT NULL,
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', name), 'A') ||
        setweight(to_tsvector('simple', reason), 'B')) STORED);
CREATE INDEX staff_records_search ON staff_records USING gin (search);
"""

# Every topic stands in RECORDS / TOPICS records; in each tenth of them it
# stands in the name and so ranks first.
SEED_RECORDS = """
INSERT INTO staff_records (id, name, reason, days)
SELECT i, 'person' || i || CASE WHEN (i / %(topics)s) %% 10 = 0
           THEN ' topic' || (i %% %(topics)s) ELSE '' END,
       'leave for topic' || (i %% %(topics)s) || ' approved by lead'
           || (i %% 7), (i %% 20) / 2.0
FROM generate_series(0, %(records)s - 1) AS i
"""

SEARCH = """
SELECT id, name, ts_rank(search, query) AS rank
FROM staff_records, to_tsquery('simple', %s) AS query
WHERE search @@ query ORDER BY rank DESC, id LIMIT 20
"""

CLAIM = """
UPDATE jobs SET state = 'running', attempts = attempts + 1, owner = %s
WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1
            FOR UPDATE SKIP LOCKED)
RETURNING id, payload, attempts
"""

MOVE = """
UPDATE jobs SET state = %s, result = %s, finished_at = now()
WHERE id = %s AND owner = %s AND state = 'running'
"""


class Tally:
    """What the clients saw."""

    def __init__(self):
        self.latencies = {"job": [], "search": []}
        self.problems = []
        self.done = self.searched = self.enqueued = 0

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)


def prepare(primary):
    """Schema and rows straight on the primary; returns the right answers."""
    with psycopg.connect(primary) as conn:
        conn.execute("SET ROLE app")
        conn.execute(SCHEMA)
        conn.execute(SEED_RECORDS, {"topics": TOPICS, "records": RECORDS})
        conn.execute("INSERT INTO jobs (payload) SELECT jsonb_build_object("
                     "'n', i, 'kind', 'transcode') FROM"
                     " generate_series(1, %s) AS i", (FIRST_JOBS,))
    with psycopg.connect(primary, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
        return [conn.execute(SEARCH, ("topic%d" % n,)).fetchall()
                for n in range(TOPICS)]


async def work(dsn, name, tally, stop):
    """Claims and finishes jobs until told to stop and the queue is empty."""
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        while True:
            started = time.perf_counter()
            job = await claim(conn, name)
            if job is None:
                if stop.is_set():
                    return
                await asyncio.sleep(0.05)
                continue
            await finish(conn, name, job, tally)
            tally.latencies["job"].append(time.perf_counter() - started)
            await asyncio.sleep(random.uniform(0.005, 0.02))


async def claim(conn, name):
    async with conn.transaction():
        return await (await conn.execute(CLAIM, (name,))).fetchone()


async def finish(conn, name, job, tally):
    number, payload, attempts = job
    if payload.get("fail_once") and attempts == 1:
        async with conn.transaction():
            await conn.execute(MOVE, ("failed", None, number, name))
        async with conn.transaction():
            await conn.execute("UPDATE jobs SET state = 'queued' WHERE"
                               " id = %s AND state = 'failed'", (number,))
        return
    result = Jsonb({"by": name, "n": payload["n"]})
    for expected in (1, 0):
        # The second time changes nothing: the transition is idempotent.
        async with conn.transaction():
            cursor = await conn.execute(MOVE, ("done", result, number, name))
            if cursor.rowcount == 1:
                await conn.execute("INSERT INTO job_runs (job_id, owner)"
                                   " VALUES (%s, %s)", (number, name))
        if cursor.rowcount != expected:
            tally.problem("job %d: transition changed %d rows, not %d"
                          % (number, cursor.rowcount, expected))
    tally.done += 1


async def produce(dsn, number, tally, stop):
    """Adds jobs in autocommit and reads each back at once."""
    async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True) as conn:
        while not stop.is_set():
            payload = {"n": number, "kind": "transcode"}
            if tally.enqueued % 10 == 0:
                payload["fail_once"] = True
            cursor = await conn.execute(
                "INSERT INTO jobs (payload) VALUES (%s) RETURNING id",
                (Jsonb(payload),))
            job, = await cursor.fetchone()
            cursor = await conn.execute(
                "SELECT payload FROM jobs WHERE id = %s", (job,))
            if await cursor.fetchone() != (payload,):
                tally.problem("job %d: not readable after its insert" % job)
            tally.enqueued += 1
            await asyncio.sleep(random.uniform(0.02, 0.06))


async def search(dsn, answers, tally, stop):
    """Searches in autocommit and compares with the primary's answers."""
    async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True) as conn:
        while not stop.is_set():
            topic = random.randrange(TOPICS)
            started = time.perf_counter()
            cursor = await conn.execute(SEARCH, ("topic%d" % topic,))
            rows = await cursor.fetchall()
            tally.latencies["search"].append(time.perf_counter() - started)
            if rows != answers[topic]:
                tally.problem("search for topic%d: %d wrong rows"
                              % (topic, len(rows)))
            tally.searched += 1
            await asyncio.sleep(random.uniform(0.005, 0.02))


class Nodes:
    """The nodes' own account of what happened on them."""

    def __init__(self, primary, replica):
        self.conns = {"primary": psycopg.connect(primary, autocommit=True),
                      "replica": psycopg.connect(replica, autocommit=True)}
        self.peak = {"primary": 0, "replica": 0}
        self.lags = []

    def value(self, node, sql):
        return self.conns[node].execute(sql).fetchone()

    def reset(self):
        for conn in self.conns.values():
            conn.execute("SELECT pg_stat_statements_reset()")

    def sample(self):
        for node in self.conns:
            count, = self.value(node, "SELECT count(*) FROM pg_stat_activity"
                                " WHERE usename = 'app' AND backend_type ="
                                " 'client backend'")
            self.peak[node] = max(self.peak[node], count)
        lag = self.value("primary", "SELECT coalesce(pg_wal_lsn_diff("
                         "pg_current_wal_flush_lsn(), replay_lsn), 0)::bigint,"
                         " coalesce(extract(epoch FROM replay_lag), 0)::float8"
                         " FROM pg_stat_replication")
        if lag is not None:
            self.lags.append(lag)

    def statements(self, node):
        return self.value(node, """
            SELECT coalesce(sum(s.calls), 0)::bigint,
                   coalesce(sum(s.calls) FILTER (WHERE s.query ~*
                       '^\\s*(insert|update|delete|with)'), 0)::bigint
            FROM pg_stat_statements AS s JOIN pg_roles AS r
              ON r.oid = s.userid WHERE r.rolname = 'app'""")


def start_pgbench(dsn, seconds, log_dir):
    """Both scripts at once; returns processes by name."""
    runs = {"job": ("jobs.pgbench", "simple", "250"),
            "search": ("search.pgbench", "prepared", "600")}
    out = {}
    for name, (script, protocol, rate) in runs.items():
        out[name] = subprocess.Popen(
            ["pgbench", "-n", "-c", str(BENCHERS), "-j", "2", "-T",
             str(seconds), "-M", protocol, "-R", rate, "-D",
             "topics=%d" % TOPICS, "-D", "hits=%d" % (RECORDS // TOPICS),
             "-f", os.path.join(HERE, script), "--log",
             "--log-prefix=" + os.path.join(log_dir, name), dsn],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return out


def finish_pgbench(runs, log_dir, tally):
    for name, process in runs.items():
        text, _ = process.communicate(timeout=60)
        if process.returncode != 0:
            tally.problem("pgbench %s ended with %d: %s" % (
                name, process.returncode, text.strip()[-400:]))
        for path in glob.glob(os.path.join(log_dir, name + ".*")):
            with open(path) as log:
                for line in log:
                    fields = line.split()
                    wait = int(fields[6]) if len(fields) > 6 else 0
                    tally.latencies[name].append(
                        (int(fields[2]) - wait) / 1e6)


async def watch(nodes, tally, seconds):
    """Progress, and samples of the nodes, once a second."""
    started = time.monotonic()
    while (spent := time.monotonic() - started) < seconds:
        await asyncio.to_thread(nodes.sample)
        show_progress(spent, seconds, nodes, tally)
        await asyncio.sleep(0.5)


def show_progress(spent, seconds, nodes, tally):
    line = ("%3.0fs of %ds: %d jobs done by psycopg, %d added, %d searches;"
            " connections %d on the primary, %d on the replica" % (
                spent, seconds, tally.done, tally.enqueued, tally.searched,
                nodes.peak["primary"], nodes.peak["replica"]))
    if sys.stdout.isatty():
        print("\r\033[K" + line, end="", flush=True)
    elif spent // 5 != (spent - 0.6) // 5:
        print(line, flush=True)


async def drive(args, answers, nodes, tally):
    stop = asyncio.Event()
    dsn = args.through
    with tempfile.TemporaryDirectory() as log_dir:
        benches = start_pgbench(dsn, args.seconds, log_dir)
        try:
            workers = [asyncio.create_task(work(
                dsn, "psycopg-%d" % i, tally, stop)) for i in range(WORKERS)]
            others = [asyncio.create_task(produce(dsn, i, tally, stop))
                      for i in range(PRODUCERS)]
            others += [asyncio.create_task(search(dsn, answers, tally, stop))
                       for _ in range(SEARCHERS)]
            await watch(nodes, tally, args.seconds)
            await asyncio.to_thread(finish_pgbench, benches, log_dir, tally)
            stop.set()
            for result in await asyncio.gather(*others, *workers,
                                               return_exceptions=True):
                if isinstance(result, Exception):
                    tally.problem("client ended with %s: %s" % (
                        type(result).__name__, result))
        finally:
            for process in benches.values():
                if process.poll() is None:
                    process.terminate()
                    process.wait()


def check_jobs(nodes, tally):
    """Every job done exactly once; nothing lost, nothing run twice."""
    left, twice, never, tries, total = nodes.value("primary", """
        SELECT count(*) FILTER (WHERE state <> 'done'),
               count(*) FILTER (WHERE runs > 1),
               count(*) FILTER (WHERE runs = 0),
               count(*) FILTER (WHERE attempts <> 1 +
                                (payload ? 'fail_once')::int),
               count(*)
        FROM (SELECT j.*, (SELECT count(*) FROM job_runs AS r
                           WHERE r.job_id = j.id) AS runs
              FROM jobs AS j) AS counted""")
    for count, what in ((left, "not done"), (twice, "run more than once"),
                        (never, "never run"), (tries, "tried a wrong number"
                                               " of times")):
        if count:
            tally.problem("%d of %d jobs %s" % (count, total, what))
    if total != FIRST_JOBS + tally.enqueued:
        tally.problem("%d jobs in the table, %d were added" % (
            total, FIRST_JOBS + tally.enqueued))
    return total


def percentiles(values):
    values = sorted(values)
    return tuple(1000 * values[min(len(values) - 1, int(len(values) * q))]
                 for q in (0.5, 0.99)) if values else (0, 0)


def report(args, nodes, tally, total):
    clients = WORKERS + PRODUCERS + SEARCHERS + 2 * BENCHERS
    searches = len(tally.latencies["search"])
    print("\n\n  jobs      %d, every one done exactly once" % total
          if not tally.problems else "\n\n  jobs      %d" % total)
    print("  searches  %d, compared with the primary's answers" % searches)
    for node in nodes.conns:
        calls, writes = nodes.statements(node)
        print("  %-9s counted %7d statements of ours, %6d of them writes,"
              " on at most %d connections" % (node, calls, writes,
                                              nodes.peak[node]))
    print("  clients   %d over %d server connections"
          % (clients, sum(nodes.peak.values())))
    for name, values in tally.latencies.items():
        print("  %-9s p50 %.1f ms, p99 %.1f ms" % (
            (name,) + percentiles(values)))
    if nodes.lags:
        print("  replica   behind by at most %d bytes, %.1f ms replay lag"
              " (now %d bytes)" % (max(b for b, _ in nodes.lags),
                                   1000 * max(s for _, s in nodes.lags),
                                   nodes.lags[-1][0]))


def check_split(nodes, tally):
    """Reads were shared out: the replica served some, and no writes."""
    calls, writes = nodes.statements("replica")
    if calls == 0:
        tally.problem("the replica served no statement")
    if writes:
        tally.problem("%d writes were tried on the replica" % writes)
    if tally.searched == 0 or tally.done == 0:
        tally.problem("the workload did nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=20)
    for name in ("through", "primary", "replica"):
        parser.add_argument("--" + name, required=True, metavar="DSN")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    tally = Tally()
    answers = prepare(args.primary)
    nodes = Nodes(args.primary, args.replica)
    nodes.reset()
    try:
        asyncio.run(drive(args, answers, nodes, tally))
    except KeyboardInterrupt:
        return 130
    time.sleep(0.5)
    nodes.sample()
    total = check_jobs(nodes, tally)
    check_split(nodes, tally)
    report(args, nodes, tally, total)
    for problem in tally.problems:
        print("  WRONG     " + problem)
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
