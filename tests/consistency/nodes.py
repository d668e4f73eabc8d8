"""A primary with two replicas, and what can go wrong with them."""
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from harness import (Cluster, free_port, unprivileged,  # noqa: E402
                     wait_for, write_file)

COUNTERS = 16
CLIENTS = 64  # at most, each with a list of its own
LIST = 1000   # key of the first client's list


class Nodes(Cluster):
    """The harness's pair and a second replica beside it."""

    def __init__(self):
        super().__init__()
        self.ports["second"] = free_port()
        self.basebackup("second")
        self.launch("second")
        self.make_tables()

    def make_tables(self):
        for line in (
                "CREATE TABLE counters (k int PRIMARY KEY, v int NOT NULL)",
                "INSERT INTO counters SELECT k, 0 FROM generate_series(0, %d)"
                " AS k" % (COUNTERS - 1),
                "CREATE TABLE lists (k int, n int, PRIMARY KEY (k, n))",
                "INSERT INTO lists SELECT k, 0 FROM generate_series(%d, %d)"
                " AS k" % (LIST, LIST + CLIENTS - 1),
                "ALTER TABLE counters SET (fillfactor = 50)"):
            self.sql(line, user="app")
        self.sql("VACUUM ANALYZE")
        self.catch_up()

    def command(self, *args, check=True):
        with open(self.dir / "second.log", "ab") as log:
            return subprocess.run(list(map(str, args)), check=check, cwd="/",
                                  stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, env={
                                      **os.environ, "HOME": "/",
                                      "PGPASSWORD": "replicator"},
                                  **unprivileged()).returncode

    def basebackup(self, node):
        self.command(self.bindir / "pg_basebackup", "-N", "-h", "127.0.0.1",
                     "-p", self.ports["primary"], "-U", "replicator", "-D",
                     self.dir / node, "-R", "-X", "stream", "-c", "fast")

    def launch(self, node):
        """Starts a node; it listens when this returns, if it can at all."""
        self.command(self.bindir / "pg_ctl", "start", "-s", "-w", "-t", "60",
                     "-D", self.dir / node, "-l", self.dir / "nodes.log",
                     "-o", "-p %d -c listen_addresses=127.0.0.1"
                     % self.ports[node])

    def kill(self, node):
        """kill -9 of the postmaster; its children notice and end."""
        path = self.dir / node / "postmaster.pid"
        lines = path.read_text().split("\n")
        port = int(lines[3])
        os.kill(int(lines[0]), signal.SIGKILL)
        shared = lines[6].split()[-1]
        wait_for(lambda: not self.attached(shared), 20,
                 "the end of %s on port %d" % (node, port))
        # Where nobody reaps orphans, the dead one still counts as running.
        path.unlink()

    @staticmethod
    def attached(shared):
        """Processes that use a segment of shared memory, by its id."""
        for line in Path("/proc/sysvipc/shm").read_text().split("\n")[1:]:
            fields = line.split()
            if fields and fields[1] == shared:
                return int(fields[6])
        return 0

    def crash(self, node):
        self.kill(node)
        self.launch(node)

    def setting(self, node, name, value):
        """ALTER SYSTEM works while nothing is replayed, and on replicas."""
        self.sql("ALTER SYSTEM SET %s = '%s'" % (name, value), node=node)
        self.sql("SELECT pg_reload_conf()", node=node)

    def delay(self, node, milliseconds):
        self.setting(node, "recovery_min_apply_delay", "%dms" % milliseconds)

    def pause(self, node):
        self.sql("SELECT pg_wal_replay_pause()", node=node)

    def resume(self, node):
        self.sql("SELECT pg_wal_replay_resume()", node=node)

    def catch_up(self, primary="primary"):
        lsn = self.value("SELECT pg_current_wal_flush_lsn()", node=primary)
        for node in self.ports:
            if node != primary:
                wait_for(lambda: self.value(
                    "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,),
                    node), 30, "replay of " + node)

    def heal(self):
        """All as it was: nobody delayed, nobody paused."""
        for node in ("replica", "second"):
            self.delay(node, 0)
            self.resume(node)
        self.catch_up()

    def switch_over(self):
        """The primary goes, "replica" is the new one, and the old one comes
        back as its replica.

        An orderly stop waits until its replicas have received all, so no
        acknowledged commit is lost; what is tried here is what pgweir makes
        of positions on two timelines.
        """
        source = ("host=127.0.0.1 port=%d user=replicator password=replicator"
                  % self.ports["replica"])
        self.setting("second", "primary_conninfo", source)
        self.setting("primary", "primary_conninfo", source)
        self.stop("primary")
        self.promote("replica")
        write_file(self.dir / "primary" / "standby.signal", "")
        self.launch("primary")

    def down(self):
        if (self.dir / "second").exists():
            self.command(self.bindir / "pg_ctl", "stop", "-s", "-m",
                         "immediate", "-D", self.dir / "second", check=False)
        super().down()


class Faults(threading.Thread):
    """Disturbs the replicas in turn, until it is told to end."""

    def __init__(self, nodes, pause=0.4):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.quiet = pause
        self.over = threading.Event()
        self.done = []
        self.error = None

    def delayed(self, node):
        self.nodes.delay(node, 150)
        self.over.wait(3 * self.quiet)
        self.nodes.delay(node, 0)

    def paused(self, node):
        self.nodes.pause(node)
        self.over.wait(3 * self.quiet)
        self.nodes.resume(node)

    def crashed(self, node):
        self.nodes.crash(node)

    def crashed_behind(self, node):
        """Comes back with what it showed when it was last on disk."""
        self.nodes.delay(node, 700)
        self.nodes.crash(node)
        self.over.wait(2 * self.quiet)
        self.nodes.delay(node, 0)

    def run(self):
        try:
            while not self.over.is_set():
                self.round()
        except Exception as error:  # noqa: BLE001 - the owner raises it
            self.error = error

    def round(self):
        for act in (self.delayed, self.paused, self.crashed,
                    self.crashed_behind):
            for node in ("replica", "second"):
                if self.over.wait(self.quiet):
                    return
                act(node)
                self.done.append(act.__name__)

    def finish(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error
        self.nodes.heal()


class Delays(Faults):
    """One replica is behind all the time: what "eventual" must show."""

    def round(self):
        self.nodes.delay("replica", 300)
        self.done.append("delayed")
        self.over.wait()
