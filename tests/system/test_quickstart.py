"""The workload of scripts/quickstart, in small, and how the script ends."""
import os
import subprocess

import pytest

from harness import ROOT, SLOW

WORKLOAD = ROOT / "scripts" / "lib" / "workload.py"
QUICKSTART = ROOT / "scripts" / "quickstart"


def uri(port, user):
    return "postgresql://%s@127.0.0.1:%d/app" % (user, port)


@pytest.mark.own
@pytest.mark.tsan
def test_workload(cluster, make_weir):
    """A hundred clients; the workload compares and counts by itself."""
    weir = make_weir({"default_pool_size": 10})
    done = subprocess.run(
        ["/usr/bin/python3", str(WORKLOAD), "--seconds", "4",
         "--through", uri(weir.port, "app"),
         "--primary", uri(cluster.ports["primary"], "postgres"),
         "--replica", uri(cluster.ports["replica"], "postgres")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120 * SLOW)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "every one done exactly once" in done.stdout
    assert cluster.backends("primary") <= 10
    assert cluster.backends("replica") <= 10


def test_workload_notices_what_is_wrong(cluster):
    """Straight to the primary nothing is split, which is an error here."""
    port = cluster.ports["primary"]
    done = subprocess.run(
        ["/usr/bin/python3", str(WORKLOAD), "--seconds", "1",
         "--through", uri(port, "app"), "--primary", uri(port, "postgres"),
         "--replica", uri(cluster.ports["replica"], "postgres")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120 * SLOW)
    assert done.returncode == 1
    assert "WRONG     the replica served no statement" in done.stdout


def test_usage():
    done = subprocess.run([str(QUICKSTART), "--help"], text=True,
                          stdout=subprocess.PIPE, env=os.environ)
    assert done.returncode == 0
    assert "--keep" in done.stdout
    done = subprocess.run([str(QUICKSTART), "--no-such"],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
