"""A primary with two replicas, and what can go wrong with them."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
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
        self.leader = "primary"  # whoever is it now
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

    def replicas(self):
        return [node for node in self.ports if node != self.leader]

    def basebackup(self, node):
        self.command(self.bindir / "pg_basebackup", "-N", "-h", "127.0.0.1",
                     "-p", self.ports[self.leader], "-U", "replicator", "-D",
                     self.dir / node, "-R", "-X", "stream", "-c", "fast")

    def launch(self, node):
        """Starts a node; it listens when this returns, if it can at all."""
        self.command(self.bindir / "pg_ctl", "start", "-s", "-w", "-t", "60",
                     "-D", self.dir / node, "-l", self.dir / "nodes.log",
                     "-o", "-p %d -c listen_addresses=127.0.0.1"
                     % self.ports[node])

    def kill(self, node, all_at_once=False):
        """kill -9 of the postmaster; its children notice and end.

        Or of all of them at once, as a host dies: else a commit that still
        waits for a replica is seen by other sessions before they end.
        """
        path = self.dir / node / "postmaster.pid"
        lines = path.read_text().split("\n")
        pid, port = int(lines[0]), int(lines[3])
        family = [pid]
        if all_at_once:
            children = Path("/proc/%d/task/%d/children" % (pid, pid))
            family += map(int, children.read_text().split())
        for number in (signal.SIGSTOP, signal.SIGKILL)[not all_at_once:]:
            for member in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, number)
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

    def catch_up(self):
        lsn = self.value("SELECT pg_current_wal_flush_lsn()",
                         node=self.leader)
        for node in self.replicas():
            wait_for(lambda: self.value(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,),
                node), 30, "replay of " + node)

    def heal(self):
        """All as it was: nobody delayed, nobody paused."""
        for node in self.replicas():
            self.delay(node, 0)
            self.resume(node)
        self.catch_up()

    def follow(self, node, leader):
        """From whom a node gets its WAL: now, or when it starts."""
        self.setting(node, "primary_slot_name", "")
        self.setting(node, "primary_conninfo", "host=127.0.0.1 port=%d"
                     " user=replicator password=replicator"
                     % self.ports[leader])

    def lead(self, node):
        """A node is promoted; all others follow it by now."""
        self.command(self.bindir / "pg_ctl", "promote", "-s", "-w", "-t",
                     "60", "-D", self.dir / node)
        self.leader = node

    def switch_over(self, node):
        """The primary goes in good order, a replica takes its place, and
        the old one comes back behind it. The stop waits until the replica
        has received all, so no acknowledged commit is lost."""
        old = self.leader
        for other in self.ports:
            if other != node:
                self.follow(other, node)
        self.wait_streams(node)
        self.command(self.bindir / "pg_ctl", "stop", "-s", "-w", "-t", "60",
                     "-m", "fast", "-D", self.dir / old)
        self.lead(node)
        write_file(self.dir / old / "standby.signal", "")
        self.launch(old)

    def wait_streams(self, node):
        wait_for(lambda: self.value(
            "SELECT count(*) FROM pg_stat_wal_receiver WHERE"
            " status = 'streaming' AND sender_port = %s",
            (self.ports[self.leader],), node), 30, node + " to stream")

    def lose_primary(self):
        """kill -9 of the primary; the replica that has most takes its place,
        and the old one begins anew. Commits wait for a replica before that,
        so that none which was acknowledged is lost."""
        old = self.leader
        self.setting(old, "synchronous_standby_names", "ANY 1 (*)")
        wait_for(lambda: self.value(
            "SELECT count(*) FROM pg_stat_replication"
            " WHERE sync_state = 'quorum' AND state = 'streaming'",
            node=old) == 2, 30, "synchronous replicas")
        self.catch_up()
        self.kill(old, all_at_once=True)
        replicas = self.replicas()
        replicas.sort(key=lambda node: self.value(
            "SELECT pg_last_wal_receive_lsn() - '0/0'", node=node))
        self.follow(replicas[0], replicas[1])
        self.lead(replicas[1])
        shutil.rmtree(self.dir / old)
        self.basebackup(old)
        self.launch(old)

    def down(self):
        for node in self.ports:
            if (self.dir / node / "postmaster.pid").exists():
                self.command(self.bindir / "pg_ctl", "stop", "-s", "-m",
                             "immediate", "-D", self.dir / node, check=False)
        super().down()
