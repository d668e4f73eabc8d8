"""The stats port: /metrics, /healthz, /readyz, and a real Prometheus."""
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import psycopg
import pytest

from harness import SLOW, free_port, give_away, make_dir, unprivileged, \
    wait_for, write_file
from wire import LoginError, Wire

pytestmark = pytest.mark.own

EXPECTED = """
build_info start_time_seconds config_last_reload_successful
config_last_reload_success_timestamp_seconds client_connections
client_connections_total server_connections server_connects_total
pool_size_max pool_waiting_clients pool_maxwait_seconds queries_total
routing_decisions_total query_duration_seconds_bucket
transaction_duration_seconds_bucket client_wait_seconds_bucket
server_connect_seconds_bucket bytes_total backend_up backend_is_primary
backend_replication_lag_seconds backend_replication_lag_bytes
classify_cache_hits_total classify_cache_misses_total
event_loop_lag_seconds_bucket event_loop_turn_seconds_bucket
worker_busy_seconds_total
""".split()


class Traffic:
    """Some clients that read, write and fail, while the page is read."""

    def __init__(self, weir):
        self.weir, self.ended = weir, threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(4)]

    def run(self):
        with self.weir.connect() as conn:
            while not self.ended.is_set():
                conn.execute("SELECT 1")
                conn.execute("CREATE TEMP TABLE IF NOT EXISTS m (i int)")
                with conn.transaction():
                    conn.execute("SELECT 2")
                try:
                    conn.execute("SELECT 1 / 0")
                except psycopg.errors.DivisionByZero:
                    pass

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(20)


@pytest.mark.tsan
@pytest.mark.parametrize("compat", [0, 1])
def test_promtool_is_content(make_weir, compat):
    weir = make_weir({"stats_compat_pgbouncer": compat})
    with Traffic(weir):
        time.sleep(0.5 * SLOW)
        for _ in range(3):
            status, text = weir.http("/metrics")
            assert status == 200
            done = subprocess.run(["promtool", "check", "metrics"],
                                  input=text, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout
            assert done.stdout.strip() == "", done.stdout
    assert ("pgbouncer_pools_client_active_connections" in text) == bool(
        compat)


def test_names_of_the_specification(make_weir):
    weir = make_weir()
    with Traffic(weir):
        time.sleep(0.3 * SLOW)
    names = {k.partition("{")[0] for k in weir.metrics()}
    missing = [n for n in EXPECTED if "pgweir_" + n not in names]
    assert not missing
    for name in ("process_cpu_seconds_total", "process_open_fds",
                 "process_resident_memory_bytes", "process_max_fds"):
        assert name in names


def test_content_type(make_weir):
    weir = make_weir()
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics"
                                % weir.stats_port) as page:
        kind = page.headers["Content-Type"]
    assert kind.startswith("text/plain") and "version=0.0.4" in kind


def test_numbers_are_true(cluster, make_weir):
    cluster.sql("CREATE TABLE IF NOT EXISTS met_t (i int)", user="app")
    cluster.position()
    weir = make_weir({"read_after_write_window": 0})

    def look():
        return {
            "reads": weir.metric("pgweir_queries_total", database="app",
                                 role="replica") or 0,
            "writes": weir.metric("pgweir_queries_total", database="app",
                                  role="primary") or 0,
            "reason": weir.metric("pgweir_routing_decisions_total",
                                  reason="autocommit_read") or 0,
            "timed": weir.metric("pgweir_query_duration_seconds_count",
                                 database="app", role="replica") or 0,
            "logins": weir.metric("pgweir_client_connections_total"),
        }
    before = look()
    with Wire(weir.port) as conn:
        conn.login()
        for _ in range(50):
            conn.query("SELECT 1")
        for _ in range(20):
            conn.query("INSERT INTO met_t VALUES (1)")
        assert weir.metric("pgweir_client_connections", database="app",
                           user="app") == 1
        assert weir.metric("pgweir_server_connections",
                           database="app") == 2
    after = look()
    assert {k: after[k] - before[k] for k in after} == {
        "reads": 50, "writes": 20, "reason": 50, "timed": 50, "logins": 1}
    assert weir.metric("pgweir_backend_up") == 2
    assert weir.metric("pgweir_backend_is_primary", backend="127.0.0.1:%d"
                       % cluster.ports["primary"]) == 1


def test_histograms_add_up(make_weir):
    weir = make_weir()
    with weir.connect() as conn:
        for _ in range(30):
            conn.execute("SELECT 1")
        conn.execute("SELECT pg_sleep(0.2)")
    series = {}
    for key, value in weir.metrics().items():
        match = re.match(r'(\w+)_bucket\{(.*?),?\ble="(.*?)"\}', key)
        if match:
            series.setdefault(match.group(1, 2), []).append(
                (float(match.group(3).replace("+Inf", "inf")), value))
    assert series
    for (name, labels), buckets in series.items():
        counts = [v for _, v in buckets]
        assert [b for b, _ in buckets] == sorted(b for b, _ in buckets)
        assert counts == sorted(counts), name
        assert buckets[-1][0] == float("inf")
        total = weir.metrics()["%s_count%s" % (
            name, "{%s}" % labels if labels else "")]
        assert total >= counts[-1]
    slow = weir.metric("pgweir_query_duration_seconds_sum", database="app")
    assert slow >= 0.2


def test_waiting_clients_are_seen(make_weir):
    weir = make_weir({"default_pool_size": 1}, nodes=("primary",))
    with weir.connect() as holder, Wire(weir.port) as waiter:
        holder.execute("BEGIN; SELECT 1")
        holder.execute("SELECT 1")
        waiter.login()
        waiter.send(b"Q\0\0\0\x0dSELECT 1\0")
        wait_for(lambda: weir.metric("pgweir_pool_waiting_clients") == 1, 5,
                 "one who waits")
        time.sleep(0.3)
        assert weir.metric("pgweir_pool_maxwait_seconds") >= 0.2
        holder.execute("COMMIT")
        waiter.until()
        assert weir.metric("pgweir_pool_waiting_clients") == 0


def test_strangers_cannot_make_labels(make_weir):
    weir = make_weir()
    for number in range(30):
        with Wire(weir.port) as conn:
            with pytest.raises(LoginError):
                conn.login(user="stranger%d" % number,
                           database="strange%d" % number)
    _, text = weir.http("/metrics")
    assert "strange" not in text
    assert weir.metric("pgweir_client_rejected_total") >= 30


@pytest.mark.tsan
def test_prometheus_scrapes_it(make_weir):
    weir = make_weir()
    path = make_dir("pgweir-prom.")
    config = write_file(path / "prometheus.yml", """
global: {scrape_interval: 300ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: pgweir
    static_configs: [{targets: ["127.0.0.1:%d"]}]
""" % weir.stats_port)
    port = free_port()
    (path / "data").mkdir()
    give_away(path / "data")
    with open(path / "log", "w") as log:
        process = subprocess.Popen(
            ["prometheus", "--config.file=%s" % config,
             "--storage.tsdb.path=%s" % (path / "data"),
             "--web.listen-address=127.0.0.1:%d" % port],
            stdout=log, stderr=log, **unprivileged())

    def ask(expression):
        url = "http://127.0.0.1:%d/api/v1/query?%s" % (
            port, urllib.parse.urlencode({"query": expression}))
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                found = json.load(page)["data"]["result"]
        except OSError:
            return None
        return float(found[0]["value"][1]) if found else None
    try:
        with weir.connect() as conn:
            for _ in range(20):
                conn.execute("SELECT 1")
        wait_for(lambda: ask('up{job="pgweir"}') == 1, 20, "up == 1",
                 step=0.2)
        wait_for(lambda: (ask("sum(pgweir_queries_total)") or 0) >= 20, 10,
                 "the counter in Prometheus", step=0.2)
        assert ask("sum(pgweir_backend_up)") == 2
        assert ask("count(scrape_samples_scraped) > 0") == 1
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(path)


def test_health_and_readiness(own_cluster, make_weir):
    weir = make_weir(cluster=own_cluster)
    assert weir.http("/healthz")[0] == 200
    assert weir.http("/readyz")[0] == 200
    own_cluster.stop("primary")
    wait_for(lambda: weir.http("/readyz")[0] == 503, 10, "not ready")
    assert weir.http("/healthz")[0] == 200
    own_cluster.start("primary")
    wait_for(lambda: weir.http("/readyz")[0] == 200, 10, "ready again")


def raw(port, data, wait=3):
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(wait * SLOW)
        try:
            sock.sendall(data)
            out = b""
            while part := sock.recv(65536):
                out += part
            return out
        except (TimeoutError, ConnectionError):
            return out


@pytest.mark.tsan
def test_bad_requests(make_weir):
    weir = make_weir()
    port = weir.stats_port
    assert weir.http("/nothing")[0] == 404
    head = raw(port, b"HEAD /metrics HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.") and b" 200 " in head.split(b"\r")[0]
    for method in (b"POST", b"PUT", b"DELETE", b"TRACE", b"BREW"):
        said = raw(port, method + b" /metrics HTTP/1.0\r\nContent-Length:"
                   b" 0\r\n\r\n")
        assert b" 200 " not in said.split(b"\r")[0]
    raw(port, b"\0\xff" * 1000, 1)
    raw(port, b"GET /" + b"a" * 200000 + b" HTTP/1.0\r\n\r\n", 1)
    raw(port, b"GET / HTTP/1.0\r\nX: " + b"a" * 2000000 + b"\r\n\r\n", 1)
    said = raw(port, b"POST /metrics HTTP/1.0\r\nContent-Length:"
               b" 4294967295\r\n\r\nx", 1)
    assert b" 200 " not in said.split(b"\r")[0]
    # Half a request holds nobody up.
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET /met")
        assert weir.http("/healthz")[0] == 200
        with weir.connect() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


def test_off(make_weir):
    weir = make_weir({"stats_port": 0}, ready=False)
    wait_for(weir.listens, 10, "listening")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", weir.stats_port), 1)
