"""Runs PostgreSQL's own suites against a port, and reads their verdicts.

A Stage is a primary, a streaming replica and the suites' files, all where the
user who runs the servers can read and write: regress has the server itself
read its data and write its results. A suite runs straight against the primary
or through a pgweir in front of both nodes.

Where the sources are of another minor release than the server, a few tests
fail straight as well. What the server answers there is learned once, by a
straight run, and kept beside the sources: from then on it counts as expected,
straight and through pgweir alike.

The primary commits with synchronous_commit = remote_apply. pgweir promises a
connection its own writes, but a test file expects the writes of another one
that has ended: that is more than read_after_write_window gives.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import source  # noqa: E402 - found by the path above
from harness import (Cluster, Pgweir, give_away, make_dir,  # noqa: E402
                     unprivileged)

PGXS = Path("/usr/lib/postgresql/%s/lib/pgxs/src/test" % source.MAJOR)
PIPELINE = "src/test/modules/libpq_pipeline"
VERDICT = re.compile(r"^(?:test)?\s+(\S+)\s+\.\.\. (ok|FAILED|failed)", re.M)
DATABASE_SETTINGS = {
    "lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C",
    "lc_time": "C", "bytea_output": "hex",
    "timezone_abbreviations": "Default", "compute_query_id": "regress"}
NODE_SETTINGS = {
    "max_stack_depth": "2MB", "log_min_messages": "panic",
    # Plans depend on pages known to be visible to all, replica included.
    "hot_standby_feedback": "off",
    # A test file reads what the one before has made, in another session: no
    # promise of pgweir's, so a commit waits until the replica shows it.
    "synchronous_standby_names": "*", "synchronous_commit": "remote_apply"}
WEIR = {"pool_mode": "transaction", "auth_type": "trust",
        "default_pool_size": 60, "max_client_conn": 500,
        "monitor_user": "postgres", "query_wait_timeout": 60}


def names(schedule):
    """The tests of a schedule file, in order."""
    return [name for kind, rest in re.findall(r"^(test):(.*)$", schedule, re.M)
            for name in rest.split()]


def all_tests():
    """Every test of every suite, as the sources list them."""
    sources, built = source.ready()
    test = sources / "src/test"
    traces = [p.stem for p in (sources / PIPELINE / "traces").iterdir()]
    pipeline = subprocess.run([built / "libpq_pipeline", "tests"], text=True,
                              stdout=subprocess.PIPE, check=True)
    return {
        "regress": names((test / "regress/parallel_schedule").read_text()),
        "isolation": names((test / "isolation/isolation_schedule")
                           .read_text()),
        "pipeline": [name for test in pipeline.stdout.split() for name in
                     [test] + [test + " trace"] * (test in traces)]}


def differences():
    """{(suite, test): reason}: what is known to differ, and may."""
    text = (Path(__file__).parent / "differences.tsv").read_text()
    rows = [line.split("\t") for line in text.splitlines()
            if line and not line.startswith("#")]
    return {(suite, test): reason for suite, test, reason in rows}


class Outcome:
    """The verdicts of one run: {test: passed}, and where the output is."""

    def __init__(self, verdicts, outputs, said=""):
        self.verdicts, self.outputs, self.said = verdicts, outputs, said

    def failed(self):
        return sorted(n for n, ok in self.verdicts.items() if not ok)

    def diff(self, test):
        """What pg_regress wrote about one failed test."""
        path = self.outputs / "regression.diffs"
        text = path.read_text(errors="replace") if path.exists() else ""
        for part in re.split(r"^(?=diff )", text, flags=re.M):
            first = part.split("\n", 1)[0]
            if re.search(r"/results/%s\.out$" % re.escape(test), first):
                return part
        return self.said[-2000:]


class Stage:
    """Two nodes, and the files of the suites beside them."""

    def __init__(self):
        self.sources, self.built = source.ready()
        self.dir = make_dir("pgweir-conformance.")
        self.runs = 0
        for name in ("regress", "isolation"):
            shutil.copytree(self.sources / "src/test" / name,
                            self.dir / name)
        shutil.copytree(self.built, self.dir / "built")
        for path in self.dir.rglob("*"):
            give_away(path)
        self.nodes = Cluster()
        try:
            self.settle_nodes()
        except Exception:
            self.down()
            raise

    # What this server answers otherwise than the sources expect.

    @property
    def learned(self):
        return source.CACHE / ("expected-" + self.nodes.value(
            "SHOW server_version").split()[0])

    def learn(self):
        """Unless it is known: one straight run of regress."""
        if not self.learned.exists():
            outcome = self.regress(self.nodes.ports["primary"])
            part = self.learned.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for test in outcome.failed():
                shutil.copy(outcome.outputs / "results" / (test + ".out"),
                            part)
            part.rename(self.learned)
        for path in self.learned.glob("*.out"):
            # pg_regress takes NAME_1.out to NAME_9.out for as good.
            target = self.dir / "regress/expected" / (path.stem + "_9.out")
            shutil.copy(path, target)
            give_away(target)
        return sorted(path.stem for path in self.learned.glob("*.out"))

    def settle_nodes(self):
        for node in ("replica", "primary"):
            for name, value in NODE_SETTINGS.items():
                self.nodes.sql("ALTER SYSTEM SET %s = '%s'" % (name, value),
                               node=node)
            self.nodes.sql("SELECT pg_reload_conf()", node=node)

    def down(self):
        self.nodes.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    # Databases are made straight, as pg_regress would.

    def make_database(self, name):
        with self.nodes.connect(dbname="postgres") as conn:
            for gid, in conn.execute("SELECT gid FROM pg_prepared_xacts"
                                     " WHERE database = %s", (name,)):
                self.nodes.sql("ROLLBACK PREPARED '%s'" % gid, dbname=name)
            conn.execute('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
            conn.execute('CREATE DATABASE "%s" TEMPLATE template0'
                         " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                         % name)
            for key, value in DATABASE_SETTINGS.items():
                conn.execute("ALTER DATABASE \"%s\" SET %s TO '%s'"
                             % (name, key, value))
        self.nodes.position()

    def weir(self, **settings):
        """A pgweir for every database of both nodes."""
        hosts = ",".join("127.0.0.1:%d" % self.nodes.ports[n]
                         for n in ("primary", "replica"))
        return Pgweir(self.nodes, {**WEIR, **settings},
                      databases={"*": "host=" + hosts})

    def environment(self):
        keep = {k: v for k, v in os.environ.items()
                if not k.startswith(("PG", "LC_", "LANG"))}
        return {**keep, "HOME": str(self.dir), "PGUSER": "postgres",
                "PGCONNECT_TIMEOUT": "30", "PGISOLATIONTIMEOUT": "60",
                "LC_ALL": "C"}

    def run(self, args, where, timeout, **more):
        with open(where / "log", "w+", errors="replace") as log:
            subprocess.run([str(a) for a in args], cwd=where, stdout=log,
                           stderr=log, stdin=subprocess.DEVNULL,
                           env={**self.environment(), **more},
                           timeout=timeout, check=False, **unprivileged())
            log.seek(0)
            return log.read()

    def psql(self, test, port, database, timeout=900):
        """One file of regress, as pg_regress would have it run."""
        results = self.dir / "results"
        results.mkdir(exist_ok=True)
        give_away(results)
        return self.run(
            [self.dir / "built/psql", "-X", "-q", "-a", "-h", "127.0.0.1",
             "-p", port, "-d", database, "-v", "HIDE_TABLEAM=on", "-v",
             "HIDE_TOAST_COMPRESSION=on", "-f",
             self.dir / "regress/sql" / (test + ".sql")],
            self.dir, timeout, PG_ABS_SRCDIR=str(self.dir / "regress"),
            PG_ABS_BUILDDIR=str(self.dir), PG_DLSUFFIX=".so",
            PG_LIBDIR=str(self.dir / "built"), PGTZ="PST8PDT",
            PGDATESTYLE="Postgres, MDY",
            PGOPTIONS="-c intervalstyle=postgres_verbose")

    def outputs(self, name):
        self.runs += 1
        path = self.dir / ("%s.%d" % (name, self.runs))
        path.mkdir()
        give_away(path)
        return path

    # The suites.

    def schedule(self, name, tests):
        return list(tests or ["--schedule=%s" % (self.dir / name)])

    def regress(self, port, tests=None, timeout=600):
        self.make_database("regression")
        where = self.outputs("regress")
        said = self.run(
            [PGXS / "regress" / "pg_regress", "--use-existing",
             "--dbname=regression", "--host=127.0.0.1", "--port=%d" % port,
             "--inputdir=%s" % (self.dir / "regress"),
             "--outputdir=%s" % where, "--bindir=%s" % (self.dir / "built"),
             "--dlpath=%s" % (self.dir / "built"), "--max-connections=20",
             *self.schedule("regress/parallel_schedule", tests)],
            where, timeout)
        return self.outcome(said, where)

    def isolation(self, port, tests=None, timeout=600):
        self.make_database("isolation_regression")
        where = self.outputs("isolation")
        said = self.run(
            [PGXS / "isolation" / "pg_isolation_regress", "--use-existing",
             "--dbname=isolation_regression", "--host=127.0.0.1",
             "--port=%d" % port, "--outputdir=%s" % where,
             "--inputdir=%s" % (self.dir / "isolation"),
             *self.schedule("isolation/isolation_schedule", tests)],
            where, timeout)
        return self.outcome(said, where)

    def outcome(self, said, where):
        verdicts = {name: verdict == "ok"
                    for name, verdict in VERDICT.findall(said)}
        return Outcome(verdicts, where, said)

    def pipeline(self, port, tests=None, timeout=60):
        """Each test of libpq_pipeline, and the messages of those whose
        trace PostgreSQL has on file, as "NAME trace"."""
        where, verdicts, said = self.outputs("pipeline"), {}, ""
        expected = self.sources / PIPELINE / "traces"
        for test in tests or all_tests()["pipeline"]:
            if test.endswith(" trace"):
                continue
            trace = where / (test + ".trace")
            verdicts[test], text = self.pipeline_one(port, test, trace,
                                                     timeout)
            said += "== %s\n%s" % (test, text)
            if (expected / trace.name).exists():
                verdicts[test + " trace"] = trace.exists() and \
                    trace.read_text() == (expected / trace.name).read_text()
        return Outcome(verdicts, where, said)

    def pipeline_one(self, port, test, trace, timeout):
        args = [self.dir / "built/libpq_pipeline", "-r", "700", "-t", trace,
                test, "host=127.0.0.1 port=%d user=postgres dbname=postgres"
                % port]
        try:
            done = subprocess.run(args, timeout=timeout, text=True,
                                  stdout=subprocess.PIPE, check=False,
                                  stderr=subprocess.STDOUT,
                                  env=self.environment(), **unprivileged())
            return done.returncode == 0, done.stdout
        except subprocess.TimeoutExpired as late:
            return False, "timed out: %s" % late.stdout
