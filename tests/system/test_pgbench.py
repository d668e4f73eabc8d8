"""pgbench: two hundred clients over ten server connections on each node."""
import re
import subprocess
import threading

import pytest

CLIENTS, SERVERS = 200, 10


@pytest.fixture(scope="module")
def bench(cluster):
    subprocess.run(["pgbench", "-i", "-q", "-s", "5", cluster.dsn()],
                   check=True, stderr=subprocess.DEVNULL)
    cluster.sql("VACUUM ANALYZE")
    cluster.position()
    return cluster


class Watch(threading.Thread):
    """Counts the server connections of both nodes while a test runs."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.ended = cluster, threading.Event()
        self.most = {"primary": 0, "replica": 0}
        self.conns = {n: cluster.connect(n) for n in self.most}

    def run(self):
        while not self.ended.wait(0.05):
            for node, conn in self.conns.items():
                count, = conn.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename ="
                    " 'app' AND datname = 'app'").fetchone()
                self.most[node] = max(self.most[node], count)

    def finish(self):
        self.ended.set()
        self.join()
        for conn in self.conns.values():
            conn.close()
        return self.most


def run(weir, cluster, protocol, per_client, *args):
    """Runs pgbench to its end; returns transactions by node and peaks."""
    before = {n: cluster.transactions(n) for n in cluster.ports}
    watch = Watch(cluster)
    watch.start()
    done = subprocess.run(
        ["pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-M", protocol,
         "-t", str(per_client), *args, weir.dsn()], timeout=240,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    most = watch.finish()
    assert done.returncode == 0, done.stdout[-3000:]
    assert "error" not in done.stdout.lower(), done.stdout
    assert re.search(r"processed: %d/%d" % ((CLIENTS * per_client,) * 2),
                     done.stdout), done.stdout
    # Ended connections have reported all that they did.
    weir.stop()
    after = {n: cluster.transactions(n) for n in cluster.ports}
    return {n: after[n] - before[n] for n in after}, most


@pytest.mark.parametrize("protocol", [
    "simple", "extended", pytest.param("prepared", marks=pytest.mark.own)])
def test_select_runs_on_the_replica(bench, make_weir, protocol):
    weir = make_weir({"default_pool_size": SERVERS})
    with weir.connect() as conn:
        # The first client's database is looked up in the catalog; what comes
        # before that is done is read on the primary.
        conn.execute("SELECT 1")
    weir.settle()
    total = CLIENTS * 100
    did, most = run(weir, bench, protocol, 100, "-S")
    assert did["replica"] >= total
    assert did["primary"] < total * 0.02
    assert 1 <= most["replica"] <= SERVERS
    assert most["primary"] <= SERVERS


@pytest.mark.parametrize("protocol", [
    "simple", "extended", pytest.param("prepared", marks=pytest.mark.own)])
def test_tpcb_runs_on_the_primary(bench, make_weir, protocol):
    weir = make_weir({"default_pool_size": SERVERS})
    balance = "SELECT sum(abalance) - (SELECT sum(tbalance) FROM" \
        " pgbench_tellers) FROM pgbench_accounts"
    history = bench.value("SELECT count(*) FROM pgbench_history")
    total = CLIENTS * 10
    did, most = run(weir, bench, protocol, 10)
    assert did["primary"] >= total
    assert did["replica"] < total * 0.1
    assert 1 <= most["primary"] <= SERVERS
    assert most["replica"] <= SERVERS
    assert bench.value(balance) == 0
    assert bench.value("SELECT count(*) FROM pgbench_history") \
        == history + total


@pytest.mark.tsan
def test_tpcb_and_select_together(bench, make_weir):
    """A smaller mix that is worth its time under a thread checker."""
    weir = make_weir({"default_pool_size": 4, "workers": 4})
    runs = [subprocess.Popen(
        ["pgbench", "-n", "-c", "20", "-T", "2", "-M", protocol, *args,
         weir.dsn()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True) for protocol, args in (
            ("simple", []), ("extended", []), ("extended", ["-S"]),
            ("prepared", ["-S"]), ("simple", ["-S", "-C"]))]
    for process in runs:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text[-2000:]
    assert bench.backends("primary") <= 4
    assert bench.backends("replica") <= 4
