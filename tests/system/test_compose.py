"""The compose file and what it mounts, as far as that goes without an engine.

The entry scripts are run natively here, in the order and with the settings
of the compose file; the images themselves are not built.
"""
import json
import os
import shutil
import subprocess

import psycopg
import pytest

from harness import IS_PGBOUNCER, PGWEIR_BIN, ROOT, SLOW, free_port, \
    make_dir, unprivileged, wait_for

COMPOSE = ROOT / "docker-compose.replica.yml"
ENTRIES = ROOT / "scripts" / "docker"


@pytest.fixture(scope="module")
def config():
    done = subprocess.run(["docker-compose", "-f", str(COMPOSE), "config"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env={**os.environ, "HOME": "/tmp"})
    assert done.returncode == 0, done.stderr
    # PyYAML comes with docker-compose; its own interpreter has it.
    loaded = subprocess.run(
        ["/usr/bin/python3", "-c", "import json, sys, yaml;"
         " print(json.dumps(yaml.safe_load(sys.stdin)))"],
        input=done.stdout, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(loaded.stdout)


def test_services(config):
    assert set(config["services"]) == {"primary", "replica", "pgweir",
                                       "prometheus"}
    for name, service in config["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["volumes"], name
    order = {n: set(s.get("depends_on", {}))
             for n, s in config["services"].items()}
    assert order["replica"] == {"primary"}
    assert order["pgweir"] == {"primary", "replica"}
    assert order["prometheus"] == {"pgweir"}


def test_what_is_mounted_and_run_exists(config):
    for name in ("primary", "replica"):
        entry, = config["services"][name]["entrypoint"]
        own = ENTRIES / os.path.basename(entry)
        assert entry == "/opt/pgweir/docker/" + own.name
        assert os.access(own, os.X_OK)
        mounts = [v for v in config["services"][name]["volumes"]
                  if "/opt/pgweir" in str(v)]
        assert str(ROOT / "scripts") in str(mounts)
    build = config["services"]["pgweir"]["build"]
    dockerfile = os.path.join(build["context"], build["dockerfile"])
    text = open(dockerfile).read()
    for line in text.splitlines():
        if line.startswith("COPY scripts/"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    assert (ROOT / "etc" / "prometheus.yml").exists()


def test_prometheus_configuration():
    subprocess.run(["promtool", "check", "config",
                    str(ROOT / "etc" / "prometheus.yml")], check=True,
                   stdout=subprocess.DEVNULL)


def test_scripts_parse():
    for script in [ROOT / "scripts" / "quickstart",
                   ROOT / "scripts" / "lib" / "cluster.sh",
                   *ENTRIES.glob("*-entry")]:
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(IS_PGBOUNCER, reason="the entry is pgweir's")
def test_entries_run_natively(config):
    """The whole chain with the file's own settings; only ports differ."""
    path = make_dir("pgweir-compose.")
    ports = {n: free_port() for n in ("primary", "replica", "pgweir",
                                      "stats")}
    running = []

    def start(name, **env):
        given = {k: str(v) for k, v in config["services"][name].get(
            "environment", {}).items()}
        with open(path / (name + ".log"), "w") as log:
            running.append(subprocess.Popen(
                [str(ENTRIES / (name + "-entry"))], stdout=log, stderr=log,
                env={**os.environ, **given,
                     **{k: str(v) for k, v in env.items()}},
                start_new_session=True, **unprivileged()))

    def says(dsn, statement):
        try:
            with psycopg.connect(dsn, connect_timeout=5,
                                 autocommit=True) as conn:
                return conn.execute(statement).fetchone()[0]
        except psycopg.Error:
            return None

    def app(name, user="app", password="app"):
        return "host=127.0.0.1 port=%d dbname=app user=%s password=%s" % (
            ports[name], user, password)
    try:
        start("primary", PGDATA=path / "primary", PGPORT=ports["primary"],
              CLUSTER_LISTEN="127.0.0.1", CLUSTER_DURABLE="no")
        wait_for(lambda: says(app("primary"), "SELECT 1") == 1, 30,
                 "the primary")
        start("replica", PGDATA=path / "replica", PGPORT=ports["replica"],
              CLUSTER_LISTEN="127.0.0.1", PRIMARY_HOST="127.0.0.1",
              PRIMARY_PORT=ports["primary"], CLUSTER_DURABLE="no")
        wait_for(lambda: says(app("replica"), "SELECT pg_is_in_recovery()"),
                 30, "the replica")
        start("pgweir", PGWEIR_BIN=PGWEIR_BIN, PGWEIR_DIR=path / "etc",
              PGWEIR_PORT=ports["pgweir"], PGWEIR_LISTEN="127.0.0.1",
              PGWEIR_STATS_PORT=ports["stats"],
              PGWEIR_STATS_ADDR="127.0.0.1",
              PGWEIR_NODES="127.0.0.1:%d,127.0.0.1:%d" % (
                  ports["primary"], ports["replica"]))
        wait_for(lambda: says(app("pgweir"), "SELECT current_user") == "app",
                 30, "pgweir")
        assert says(app("pgweir", password="wrong"), "SELECT 1") is None
        ini = path / "etc" / "pgweir.ini"
        assert oct(ini.stat().st_mode & 0o077) == "0o0"
        calls = "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE" \
            " '%%compose_probe%%'"
        for _ in range(20):
            assert says(app("pgweir"), "SELECT 1 AS compose_probe") == 1
        assert says(app("replica", "postgres", "postgres"), calls) >= 1
    finally:
        for process in reversed(running):
            process.send_signal(2)
        for process in running:
            try:
                process.wait(15 * SLOW)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(path, ignore_errors=True)
