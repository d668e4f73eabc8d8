"""node-postgres: the video platform registers, logs in, uploads, counts.

The driver is found by NODE_PATH, or fetched from npm into build/node.
"""
import json
import os
import shutil
import subprocess

import pytest

from harness import ROOT

pytestmark = pytest.mark.tsan
SCRIPT = os.path.join(os.path.dirname(__file__), "node_workload.js")


def has_driver(path):
    return subprocess.run(["node", "-e", "require('pg')"],
                          env={**os.environ, "NODE_PATH": path},
                          stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture(scope="module")
def node_path():
    own = ROOT / "build" / "node"
    path = ":".join(p for p in (
        os.environ.get("NODE_PATH"), str(own / "node_modules"),
        "/usr/share/nodejs") if p)
    if shutil.which("node") and has_driver(path):
        return path
    if not shutil.which("npm"):
        pytest.fail("node-postgres is missing: apt-get install nodejs"
                    " node-pg")
    own.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund",
                    "--prefix", str(own), "pg@8"], check=True)
    return path


def run(node_path, port, phase):
    done = subprocess.run(
        ["node", SCRIPT, "127.0.0.1", str(port), phase], timeout=120,
        env={**os.environ, "NODE_PATH": node_path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def workload(node_path, port, settle):
    written = run(node_path, port, "write")
    settle()
    return written, run(node_path, port, "read")


def test_video_platform(cluster, weir, node_path):
    straight = workload(node_path, cluster.ports["primary"],
                        cluster.position)
    before = cluster.calls("vid_videos")["replica"]
    through = workload(node_path, weir.port, weir.settle)
    assert through == straight
    written, read = through
    assert written["twice"] == "23505"
    assert written["uploads"].count("stored") == 54
    assert read["bad"] == "42P01"
    assert cluster.calls("vid_videos")["replica"] - before == 45
