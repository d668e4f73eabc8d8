"""Real servers for the system tests: PostgreSQL nodes and pgweir itself.

Nothing here runs as root: when the tests do, the servers drop to the user
that scripts/lib/cluster.sh drops to. The program under test is PGWEIR_BIN,
the repository's ./pgweir by default. A run with PGWEIR_BIN=/usr/sbin/pgbouncer
tries the harness and the tests of shared behaviour against PgBouncer.
"""
import glob
import itertools
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_SH = ROOT / "scripts" / "lib" / "cluster.sh"
PGWEIR_BIN = os.environ.get("PGWEIR_BIN", str(ROOT / "pgweir"))
IS_PGBOUNCER = os.path.basename(PGWEIR_BIN) == "pgbouncer"
UNPRIVILEGED = os.environ.get("CLUSTER_USER", "postgres")
SLOW = float(os.environ.get("PGWEIR_SLOW", "1"))
OWN_KEYS = {"workers", "worker_fill", "stats_addr", "stats_port",
            "max_replica_lag", "monitor_interval", "monitor_user", "monitor_password",
            "monitor_dbname", "monitor_timeout", "read_after_write_window",
            "split_reads", "catalog_refresh", "stats_compat_pgbouncer"}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def unprivileged():
    """Arguments for subprocess that drop root's rights, if we have them."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def make_dir(prefix="pgweir-test."):
    """A scratch directory that the unprivileged user owns and may reach."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    path.chmod(0o755)
    give_away(path)
    return path


def give_away(path):
    if os.geteuid() == 0:
        entry = pwd.getpwnam(UNPRIVILEGED)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def write_file(path, text, mode=0o600):
    path = Path(path)
    path.write_text(text)
    path.chmod(mode)
    give_away(path)
    return path


def wait_for(check, timeout=10, what="condition", step=0.03):
    """The first true result of check(), or a failure naming the wait."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("timed out waiting for " + what)
        time.sleep(step)


class Cluster:
    """A primary and a streaming replica of their own, by cluster.sh."""

    def __init__(self):
        self.dir = make_dir("pgweir-nodes.")
        self.tags = itertools.count()
        self.env = {**os.environ, "CLUSTER_AUTH": "trust",
                    "CLUSTER_MAX_CONNECTIONS": "250",
                    "TMPDIR": "/tmp"}
        for _ in range(3):
            self.ports = {"primary": free_port(), "replica": free_port()}
            done = self.run("up", self.dir, self.ports["primary"],
                            self.ports["replica"], check=False)
            if done.returncode == 0:
                return
            self.run("down", self.dir)
        raise RuntimeError("cluster did not start: " + done.stderr)

    def run(self, *args, check=True):
        # Output goes to a file: a pipe would be kept open by the servers.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run([str(CLUSTER_SH), *map(str, args)],
                                  env=self.env, stdout=out, stderr=out,
                                  stdin=subprocess.DEVNULL)
            out.seek(0)
            done.stderr = out.read()
        if check and done.returncode != 0:
            raise RuntimeError("cluster.sh %s: %s" % (args, done.stderr))
        return done

    @property
    def bindir(self):
        done = subprocess.run([str(CLUSTER_SH), "bindir"], check=True,
                              stdout=subprocess.PIPE, text=True)
        return Path(done.stdout.strip())

    def stop(self, node, mode="fast"):
        self.run("stop", self.dir, node, mode)

    def start(self, node):
        self.run("start", self.dir, node)

    def promote(self, node="replica"):
        self.run("promote", self.dir, node)

    def down(self):
        self.run("down", self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)

    def dsn(self, node="primary", dbname="app", user="app"):
        return "host=127.0.0.1 port=%d dbname=%s user=%s" % (
            self.ports[node], dbname, user)

    def connect(self, node="primary", dbname="app", user="postgres"):
        return psycopg.connect(self.dsn(node, dbname, user), autocommit=True,
                               application_name="harness")

    def sql(self, statement, params=None, node="primary", dbname="app",
            user="postgres"):
        """Rows of one statement run straight on a node as superuser."""
        with self.connect(node, dbname, user) as conn:
            cursor = conn.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement, params=None, node="primary", **where):
        return self.sql(statement, params, node, **where)[0][0]

    def position(self):
        """Waits until the replica has replayed all of the primary."""
        lsn = self.value("SELECT pg_current_wal_flush_lsn()")
        wait_for(lambda: self.value(
            "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,),
            "replica"), what="replay")

    def set_hba(self, lines):
        """Puts rules in front of the trust rules of both nodes."""
        for node in ("primary", "replica"):
            path = self.dir / node / "pg_hba.conf"
            text = path.read_text()
            own = text[text.index("host  replication"):]
            write_file(path, "".join(l + "\n" for l in lines) + own)
            self.value("SELECT pg_reload_conf()", node=node)
        time.sleep(0.2)

    def fresh(self):
        """A tag for one probing statement. The nodes forget what they
        counted: statements that differ in names and constants only are one
        entry to them, under the text that came first."""
        for node in self.ports:
            self.sql("SELECT pg_stat_statements_reset()", node=node)
        return "tag%dq" % next(self.tags)

    def calls(self, tag):
        """How often each node ran statements with this text in them."""
        return {node: int(self.value(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
            " WHERE query LIKE %s AND query NOT LIKE '%%pg_stat_statem%%'",
            ("%" + tag + "%",), node)) for node in self.ports}

    def backends(self, node="primary", user="app", **more):
        """Connections that are open on a node, but the harness's own."""
        return self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
            " AND datname = %s AND backend_type = 'client backend'",
            (user, more.get("dbname", "app")), node)

    def transactions(self, node, dbname="app"):
        return self.value("SELECT xact_commit + xact_rollback FROM"
                          " pg_stat_database WHERE datname = %s",
                          (dbname,), node, dbname="postgres")


class Pgweir:
    """One running pgweir in front of some nodes."""

    def __init__(self, cluster=None, settings=None, databases=None,
                 users=None, auth_file=None, nodes=("primary", "replica"),
                 args=(), binary=PGWEIR_BIN, start=True, ready=True, files=4096):
        self.cluster = cluster
        self.binary = str(binary)
        self.is_pgbouncer = os.path.basename(self.binary) == "pgbouncer"
        self.args = list(args)
        self.files = files
        self.dir = make_dir()
        self.port = free_port()
        self.stats_port = free_port()
        self.ini = self.dir / "pgweir.ini"
        self.log_path = self.dir / "pgweir.log"
        self.nodes = nodes
        self.databases = databases or {"app": self.node_line()}
        self.users = users or {}
        self.settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port,
            "unix_socket_dir": "", "auth_type": "trust",
            "pool_mode": "transaction", "default_pool_size": 10,
            "max_client_conn": 500, "stats_addr": "127.0.0.1",
            "stats_port": self.stats_port, "monitor_interval": 0.1,
            "server_login_retry": 0.5, "logfile": "",
            "admin_users": "postgres",
        }
        if self.is_pgbouncer and not auth_file:
            auth_file = {"app": "", "postgres": ""}
        if auth_file is not None:
            self.settings["auth_file"] = self.write_auth_file(auth_file)
        self.settings.update(settings or {})
        self.process = None
        self.write_ini()
        if start:
            self.start(ready)

    def node_line(self, dbname="app", **more):
        ports = [self.cluster.ports[n] for n in self.nodes] \
            if self.cluster else []
        if self.is_pgbouncer:
            line = "host=127.0.0.1 port=%d dbname=%s" % (ports[0], dbname)
        else:
            line = "host=%s dbname=%s" % (
                ",".join("127.0.0.1:%d" % p for p in ports), dbname)
        return line + "".join(" %s=%s" % kv for kv in more.items())

    def write_auth_file(self, secrets):
        text = "".join('"%s" "%s"\n' % (u.replace('"', '""'),
                                        s.replace('"', '""'))
                       for u, s in secrets.items())
        return write_file(self.dir / "users.txt", text)

    def write_ini(self):
        def section(name, rows):
            return "[%s]\n" % name + "".join(
                "%s = %s\n" % kv for kv in rows.items()) + "\n"
        settings = self.settings
        if self.is_pgbouncer:
            settings = {k: v for k, v in settings.items()
                        if k not in OWN_KEYS}
        main = "pgbouncer" if self.is_pgbouncer else "pgweir"
        text = section("databases", self.databases) + section(main, settings)
        if self.users:
            text += section("users", self.users)
        write_file(self.ini, text)

    def environment(self):
        san = str(self.dir / "sanitizer")
        return {
            **os.environ, "HOME": str(self.dir),
            "ASAN_OPTIONS": "log_path=%s:detect_leaks=1:exitcode=99"
            ":quarantine_size_mb=8" % san,
            "LSAN_OPTIONS": os.environ.get("LSAN_OPTIONS", "exitcode=99"),
            "UBSAN_OPTIONS": "log_path=%s:print_stacktrace=1" % san,
            "TSAN_OPTIONS": "log_path=%s:exitcode=99 %s" % (
                san, os.environ.get("TSAN_OPTIONS", "")),
        }

    def start(self, ready=True):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *self.args, str(self.ini)], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                env=self.environment(), start_new_session=True,
                preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_NOFILE, (self.files, self.files)),
                **unprivileged())
        if ready:
            self.wait_ready()

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError("%s ended with %s:\n%s" % (
                self.binary, self.process.returncode, self.log()[-4000:]))
        return True

    def listens(self):
        self.alive()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def wait_ready(self):
        wait_for(self.listens, 15, "pgweir to listen")
        if not self.is_pgbouncer and int(self.settings["stats_port"]) \
                and self.cluster:
            self.wait_nodes(len(self.nodes))

    def wait_nodes(self, count, timeout=15):
        """Until the monitor sees this many nodes up, and a primary."""
        def seen():
            self.alive()
            try:
                values = self.metrics()
            except OSError:
                return False
            return (sum(v for k, v in values.items()
                        if k.startswith("pgweir_backend_up{")) == count
                    and sum(v for k, v in values.items() if k.startswith(
                        "pgweir_backend_is_primary{")) == 1)
        wait_for(seen, timeout, "%d nodes up in /metrics" % count)

    # What the program says.

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def http(self, path):
        """Status and text of one page of the stats port."""
        url = "http://127.0.0.1:%d%s" % (self.stats_port, path)
        try:
            with urllib.request.urlopen(url, timeout=5 * SLOW) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """The metrics page as {'name{labels}': value}."""
        status, text = self.http("/metrics")
        assert status == 200, (status, text)
        out = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out

    def metric(self, name, **labels):
        """Sum of a metric's samples that carry all of these labels."""
        total, found = 0.0, False
        for key, value in self.metrics().items():
            bare, _, rest = key.partition("{")
            own = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
            if bare == name and all(own.get(k) == str(v)
                                    for k, v in labels.items()):
                total, found = total + value, True
        return total if found else None

    def memory_peak_kb(self):
        text = Path("/proc/%d/status" % self.process.pid).read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1))

    def settle(self):
        """After DDL and writes: the replica has them, and pgweir has had
        the time to look the new tables up in the catalog."""
        self.cluster.position()
        if not self.is_pgbouncer:
            time.sleep(1.0 * SLOW)

    # Clients.

    def dsn(self, dbname="app", user="app", **more):
        text = "host=127.0.0.1 port=%d dbname=%s user=%s" % (
            self.port, dbname, user)
        return text + "".join(" %s=%s" % kv for kv in more.items())

    def connect(self, dbname="app", user="app", autocommit=True, **more):
        return psycopg.connect(self.dsn(dbname, user), autocommit=autocommit,
                               **more)

    # Life.

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, settings=None, databases=None, users=None):
        """Rewrites the file and sends SIGHUP; waits until it was noticed."""
        self.settings.update(settings or {})
        if databases:
            self.databases = databases
        if users is not None:
            self.users = users
        self.write_ini()
        self.hup()

    def hup(self):
        before = len(self.log())
        self.signal(signal.SIGHUP)
        wait_for(lambda: self.alive() and len(self.log()) > before, 5,
                 "a log line about the reload")
        time.sleep(0.1 * SLOW)

    def wait_end(self, timeout=15):
        return self.process.wait(timeout * SLOW)

    def stop(self):
        """Ends the program if it still runs and checks how it went."""
        if self.process is None:
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        if self.process.poll() is None:
            for patience in (1.5, 10):
                self.signal(signal.SIGINT)
                try:
                    self.process.wait(patience * SLOW)
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                self.process.kill()
                self.process.wait()
                raise AssertionError("did not stop after two SIGINT:\n"
                                     + self.log()[-3000:])
        process, self.process = self.process, None
        log, problems = self.log(), self.sanitizer_reports()
        shutil.rmtree(self.dir, ignore_errors=True)
        if problems:
            raise AssertionError("sanitizer report:\n" + problems[:12000])
        if process.returncode not in (0, -signal.SIGQUIT) \
                and not self.is_pgbouncer:
            raise AssertionError("ended with %d:\n%s" % (
                process.returncode, log[-3000:]))

    def sanitizer_reports(self):
        """What ASan, UBSan or TSan had to say, in files or in the log."""
        found = "".join(Path(p).read_text(errors="replace")
                        for p in glob.glob(str(self.dir / "sanitizer*")))
        log = self.log()
        for mark in ("AddressSanitizer", "ThreadSanitizer",
                     "LeakSanitizer", "runtime error:"):
            if mark in log:
                found += log[max(0, log.index(mark) - 200):][:6000]
        return found

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop()
        except AssertionError:
            if kind is None:
                raise
            print("pgweir, too, has a complaint:", sys.exc_info()[1],
                  file=sys.stderr)
