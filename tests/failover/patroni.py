"""etcd and Patroni on one machine: a primary and synchronous standbys.

Everything runs unprivileged on free ports under one scratch directory; what
was started is ended by its own process group. Debian's packages etcd-server
and patroni are needed (and nothing of them as a service).
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import psycopg  # noqa: E402
from harness import (CLUSTER_SH, free_port, make_dir, unprivileged,  # noqa: E402
                     wait_for, write_file)

CONFIG = """
scope: weir
name: {name}
log: {{level: WARNING}}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{host: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 5
    master_start_timeout: 0
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters:
        max_connections: 120
        shared_buffers: 32MB
        wal_log_hints: "on"
        hot_standby: "on"
        max_wal_size: 256MB
  initdb: [{{encoding: UTF8}}, {{auth: trust}}, {{locale: C}}]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: "{dir}/{name}"
  bin_dir: "{bin}"
  pgpass: "{dir}/{name}.pgpass"
  authentication:
    superuser: {{username: postgres}}
    replication: {{username: postgres}}
    rewind: {{username: postgres}}
  parameters:
    unix_socket_directories: "{dir}"
    fsync: "off"
    logging_collector: "off"
  pg_hba:
    - host all all 127.0.0.1/32 trust
    - host replication all 127.0.0.1/32 trust
    - local all all trust
"""


def is_installed():
    return bool(shutil.which("patroni") and shutil.which("patronictl")
                and shutil.which("etcd"))


class Patroni:
    """A cluster of so many nodes, n0 the first primary; all are up."""

    def __init__(self, count=2):
        self.dir = make_dir("pgweir-patroni.")
        self.names = ["n%d" % i for i in range(count)]
        self.ports = {name: free_port() for name in self.names}
        self.rest = {name: free_port() for name in self.names}
        self.etcd_port = free_port()
        self.children = {}
        bindir = subprocess.run([str(CLUSTER_SH), "bindir"], check=True,
                                stdout=subprocess.PIPE, text=True)
        self.bin = bindir.stdout.strip()
        try:
            self.up()
        except BaseException:
            self.down()
            raise

    def spawn(self, name, *args):
        with open(self.dir / (name + ".log"), "ab") as log:
            self.children[name] = subprocess.Popen(
                args, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.dir, start_new_session=True,
                env={**os.environ, "HOME": str(self.dir)}, **unprivileged())

    def up(self):
        client = "http://127.0.0.1:%d" % self.etcd_port
        peer = "http://127.0.0.1:%d" % free_port()
        self.spawn("etcd", "etcd", "--name", "e", "--data-dir",
                   str(self.dir / "etcd"), "--unsafe-no-fsync",
                   "--listen-client-urls", client, "--advertise-client-urls",
                   client, "--listen-peer-urls", peer,
                   "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", "e=" + peer)
        wait_for(lambda: self.answers(self.etcd_port, "/health"), 20, "etcd")
        for name in self.names:
            self.start(name)
            if name == self.names[0]:
                wait_for(lambda: self.leader() == name, 60, "a primary")
        wait_for(self.is_whole, 60, "streaming, synchronous standbys")

    def start(self, name):
        config = self.dir / (name + ".yml")
        write_file(config, CONFIG.format(
            name=name, rest=self.rest[name], etcd=self.etcd_port,
            port=self.ports[name], dir=self.dir, bin=self.bin))
        self.spawn(name, "patroni", str(config))

    @staticmethod
    def answers(port, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s"
                                        % (port, path), timeout=2) as page:
                return page.read()
        except (OSError, urllib.error.URLError):
            return None

    def members(self):
        """What Patroni says of all nodes, from the first that answers."""
        for name in self.names:
            text = self.answers(self.rest[name], "/cluster")
            if text:
                return json.loads(text)["members"]
        return []

    def leader(self):
        for member in self.members():
            if member["role"] == "leader" and member["state"] == "running":
                return member["name"]
        return None

    def is_whole(self):
        """All follow the leader, and one of them is waited for."""
        members = self.members()
        roles = [m["role"] for m in members]
        if len(members) < len(self.names) or "leader" not in roles \
                or "sync_standby" not in roles:
            return False
        timelines = {m.get("timeline") for m in members}
        if len(timelines) > 1 or not all(
                m["state"] in ("running", "streaming") for m in members):
            return False
        rows = self.sql("SELECT count(*) FROM pg_stat_replication"
                        " WHERE state = 'streaming'")
        return rows[0][0] == len(self.names) - 1

    def sql(self, statement, params=None, node=None, dbname="postgres"):
        node = node or self.leader()
        with psycopg.connect("host=127.0.0.1 port=%d user=postgres dbname=%s"
                             % (self.ports[node], dbname),
                             autocommit=True) as conn:
            cursor = conn.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def switchover(self):
        """Planned: returns when Patroni says that it is done."""
        old = self.leader()
        done = subprocess.run(
            ["patronictl", "-c", str(self.dir / (old + ".yml")), "switchover",
             "weir", "--master", old, "--force"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, "HOME": str(self.dir)}, cwd=self.dir,
            timeout=120, check=False, **unprivileged())
        assert "Successfully" in done.stdout, done.stdout
        return old

    def kill_primary(self):
        """kill -9 of the primary's postmaster."""
        old = self.leader()
        path = self.dir / old / "postmaster.pid"
        os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
        return old

    def down(self):
        for name in reversed(list(self.children)):
            child = self.children.pop(name)
            if child.poll() is None:
                # Patroni stops its PostgreSQL before it goes.
                child.terminate()
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
        self.end_postmasters()
        shutil.rmtree(self.dir, ignore_errors=True)

    def end_postmasters(self):
        for name in self.names:
            path = self.dir / name / "postmaster.pid"
            try:
                os.kill(int(path.read_text().split()[0]), signal.SIGQUIT)
                time.sleep(0.5)
            except (OSError, ValueError, IndexError):
                continue
