"""Replication connections: passed through one to one, with the real tools."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from fakeserver import FakeServer
from harness import SLOW, Cluster, free_port, give_away, make_dir, \
    unprivileged, wait_for, write_file
from wire import Closed, LoginError, Wire, cancel, copy_data, copy_done, \
    message, query, startup_packet, terminate

pytestmark = pytest.mark.own

MODES = ["session", "transaction", "statement"]
SOME_WAL = ("INSERT INTO bulk SELECT repeat(md5(g::text), 30)"
            " FROM generate_series(1, %d) g")


@pytest.fixture(scope="module")
def cluster():
    """Nodes of this file's own, ready for logical decoding."""
    nodes = Cluster()
    for name, value in (("wal_level", "logical"), ("max_wal_senders", "20"),
                        ("max_replication_slots", "20")):
        for node in ("primary", "replica"):
            config = nodes.dir / node / "postgresql.conf"
            config.write_text(config.read_text()
                              + "\n%s = %s\n" % (name, value))
    for node in ("replica", "primary"):
        nodes.stop(node)
    for node in ("primary", "replica"):
        nodes.start(node)
    # A catalog snapshot needs a standby's or the primary's quiet moment.
    nodes.sql("ALTER ROLE replicator SUPERUSER")
    nodes.sql("CREATE TABLE IF NOT EXISTS bulk (t text)", dbname="app")
    yield nodes
    nodes.down()


@pytest.fixture
def weir(make_weir, cluster):
    return make_weir(cluster=cluster)


@pytest.fixture
def scratch():
    path = make_dir("pgweir-repl.")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def conninfo(weir, **more):
    text = "host=127.0.0.1 port=%d user=replicator" % weir.port
    return text + "".join(" %s=%s" % kv for kv in more.items())


def spawn(cluster, tool, *args):
    return subprocess.Popen(
        [str(cluster.bindir / tool), *map(str, args)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
        env={**os.environ, "HOME": "/nonexistent"}, **unprivileged())


def run(cluster, tool, *args, timeout=50, code=0):
    process = spawn(cluster, tool, *args)
    try:
        out, _ = process.communicate(timeout=timeout * SLOW)
    finally:
        process.kill()
    assert process.returncode == code, out
    return out


def interrupt(process):
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=15 * SLOW)
    return out


def wait_line(process, pattern):
    """The first line of a tool's output that matches, within time."""
    timer = threading.Timer(15 * SLOW, process.kill)
    timer.start()
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if re.search(pattern, line):
                return line
    finally:
        timer.cancel()
    raise AssertionError("no line like %r in %r" % (pattern, seen))


def senders(cluster):
    """Who streams from the primary, but for the cluster's own replica."""
    return cluster.sql("SELECT pid FROM pg_stat_replication WHERE"
                       " application_name <> 'walreceiver'")


def login(weir, **params):
    params = {"user": "replicator", "database": "app",
              "replication": "database", **params}
    wire = Wire(weir.port)
    wire.login(**params)
    return wire


# pg_basebackup ------------------------------------------------------------


class Standby:
    """A server made of a base backup."""

    def __init__(self, cluster, data):
        self.cluster, self.data, self.port = cluster, data, free_port()
        self.process = None

    def start(self, **settings):
        args = ["-D", self.data, "-p", self.port,
                "-c", "unix_socket_directories=", "-c",
                "listen_addresses=127.0.0.1"]
        for name, value in settings.items():
            args += ["-c", "%s=%s" % (name, value)]
        self.process = spawn(self.cluster, "postgres", *args)
        wait_for(self.answers, 30, "the backup to start as a server")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(self.process.stdout.read())
        try:
            self.value("SELECT 1")
            return True
        except psycopg.OperationalError:
            return False

    def value(self, statement, dbname="app"):
        with psycopg.connect(
                "host=127.0.0.1 port=%d dbname=%s user=postgres"
                % (self.port, dbname), autocommit=True) as conn:
            return conn.execute(statement).fetchone()[0]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20 * SLOW)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["stream", "fetch"])
def test_basebackup_starts_as_a_server(make_weir, cluster, scratch, mode,
                                       method):
    weir = make_weir({"pool_mode": mode}, cluster=cluster)
    cluster.sql("CREATE TABLE IF NOT EXISTS marks (t text)", dbname="app")
    mark = "%s %s" % (mode, method)
    cluster.sql("INSERT INTO marks VALUES (%s)", (mark,), dbname="app")
    data = scratch / "data"
    run(cluster, "pg_basebackup", "-d", conninfo(weir), "-D", data, "-X",
        method, "--checkpoint=fast", "--no-sync")
    server = Standby(cluster, data)
    try:
        server.start()
        assert server.value("SELECT count(*) FROM marks WHERE t = '%s'"
                            % mark) == 1
        assert not server.value("SELECT pg_is_in_recovery()")
    finally:
        server.stop()
    wait_for(lambda: not senders(cluster), 5, "walsenders to end")


def test_standby_follows_through_pgweir(weir, cluster, scratch):
    """primary_conninfo points at pgweir, and so does its slot."""
    data = scratch / "data"
    run(cluster, "pg_basebackup", "-d", conninfo(
        weir, application_name="standby1"), "-D", data, "-X", "stream", "-C",
        "-S", "standby1", "-R", "--checkpoint=fast", "--no-sync")
    auto = (data / "postgresql.auto.conf").read_text()
    assert "port=%d" % weir.port in auto
    server = Standby(cluster, data)
    try:
        server.start(hot_standby="on")
        assert server.value("SELECT pg_is_in_recovery()")
        cluster.sql("CREATE TABLE followed AS SELECT 42 AS i", dbname="app")

        def arrived():
            try:
                return server.value("SELECT i FROM followed") == 42
            except psycopg.errors.UndefinedTable:
                return False
        wait_for(arrived, 20, "the table on the standby")
        row = cluster.sql("SELECT state, sent_lsn = flush_lsn FROM"
                          " pg_stat_replication WHERE application_name ="
                          " 'standby1'")[0]
        assert row[0] == "streaming"
        # The walreceiver comes back by itself after pgweir has gone.
        weir.signal(signal.SIGTERM)
        weir.wait_end()
        weir.start()
        cluster.sql("UPDATE followed SET i = 43", dbname="app")
        wait_for(lambda: server.value("SELECT i FROM followed") == 43, 30,
                 "the standby to catch up again")
    finally:
        server.stop()
        wait_for(lambda: not cluster.value(
            "SELECT active FROM pg_replication_slots WHERE slot_name ="
            " 'standby1'"), 10, "the slot to be free")
        cluster.sql("SELECT pg_drop_replication_slot('standby1')")


def test_standby_survives_a_failover(make_weir, own_cluster, scratch):
    """Behind pgweir it finds the new primary, and follows its timeline."""
    weir = make_weir(cluster=own_cluster)
    data = scratch / "data"
    run(own_cluster, "pg_basebackup", "-d", conninfo(weir), "-D", data, "-X",
        "stream", "-R", "--checkpoint=fast", "--no-sync")
    server = Standby(own_cluster, data)
    try:
        server.start()
        own_cluster.sql("CREATE TABLE kept AS SELECT 1 AS i", dbname="app")
        own_cluster.position()
        wait_for(lambda: server.value("SELECT to_regclass('kept')"), 20,
                 "the table on the standby")
        own_cluster.stop("primary", "immediate")
        own_cluster.promote("replica")
        wait_for(lambda: not own_cluster.value(
            "SELECT pg_is_in_recovery()", node="replica"), 15, "promotion")
        own_cluster.sql("UPDATE kept SET i = 2", dbname="app",
                        node="replica")
        wait_for(lambda: server.value("SELECT i FROM kept") == 2, 40,
                 "the standby to follow the new primary")
        assert server.value("SELECT pg_is_in_recovery()")
    finally:
        server.stop()


def test_line_named_replication(make_weir, cluster, scratch):
    """Two clusters as far as pgweir knows: "replication" says which."""
    weir = make_weir({"max_db_connections": 4}, cluster=cluster)
    other = free_port()
    lines = {"app": weir.node_line(),
             "other": "host=127.0.0.1:%d dbname=app" % other}
    weir.reload(databases=lines)
    out = run(cluster, "pg_basebackup", "-d", conninfo(weir), "-D",
              scratch / "none", code=1)
    assert 'database "replication" does not exist' in out
    lines["replication"] = weir.node_line(dbname="postgres")
    weir.reload(databases=lines)
    run(cluster, "pg_basebackup", "-d", conninfo(weir), "-D",
        scratch / "data", "--checkpoint=fast", "--no-sync")
    assert (scratch / "data" / "PG_VERSION").exists()


# pg_receivewal ------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_receivewal_with_a_slot(make_weir, cluster, scratch, mode):
    weir = make_weir({"pool_mode": mode}, cluster=cluster)
    dsn, slot = conninfo(weir), "wal_" + mode
    run(cluster, "pg_receivewal", "-d", dsn, "--create-slot", "-S", slot)
    run(cluster, "pg_receivewal", "-d", dsn, "--create-slot",
        "--if-not-exists", "-S", slot)
    process = spawn(cluster, "pg_receivewal", "-d", dsn, "-S", slot, "-D",
                    scratch, "--synchronous", "-v", "--no-loop")
    wait_for(lambda: senders(cluster), 10, "the walsender")
    # A stream that begins behind the switch has a whole file to receive.
    cluster.value("SELECT pg_switch_wal()")
    cluster.sql(SOME_WAL % 1000, dbname="app")
    end = cluster.value("SELECT pg_current_wal_flush_lsn()")
    wait_for(lambda: cluster.value(
        "SELECT flush_lsn >= %s::pg_lsn FROM pg_stat_replication WHERE"
        " application_name = 'pg_receivewal'", (end,)), 20, "the WAL")
    out = interrupt(process)
    assert process.returncode == 0, out
    assert any(re.match("[0-9A-F]{24}", p.name) for p in scratch.iterdir())
    wait_for(lambda: not senders(cluster), 5, "the walsender to end")
    run(cluster, "pg_receivewal", "-d", dsn, "--drop-slot", "-S", slot)


def test_receivewal_without_a_slot_is_the_same_wal(weir, cluster, scratch):
    straight, through = scratch / "straight", scratch / "through"
    for path in (straight, through):
        path.mkdir()
        give_away(path)
    tools = [spawn(cluster, "pg_receivewal", "-D", path, "-d", dsn)
             for path, dsn in (
                 (straight, cluster.dsn(user="replicator")),
                 (through, conninfo(weir)))]
    wait_for(lambda: len(senders(cluster)) == 2, 10, "both walsenders")
    for _ in range(3):
        cluster.sql(SOME_WAL % 3000, dbname="app")
        cluster.value("SELECT pg_switch_wal()")

    def files(path):
        return {p.name: p for p in path.iterdir()
                if re.fullmatch("[0-9A-F]{24}", p.name)}
    wait_for(lambda: len(set(files(straight)) & set(files(through))) >= 3,
             30, "three files of WAL")
    for tool in tools:
        interrupt(tool)
    for name in set(files(straight)) & set(files(through)):
        assert files(straight)[name].read_bytes() == \
            files(through)[name].read_bytes()


# Logical decoding ----------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_recvlogical(make_weir, cluster, scratch, mode):
    weir = make_weir({"pool_mode": mode}, cluster=cluster)
    dsn, slot = conninfo(weir, dbname="app"), "logical_" + mode
    run(cluster, "pg_recvlogical", "-d", dsn, "-S", slot, "--create-slot",
        "-P", "test_decoding")
    assert cluster.value("SELECT database FROM pg_replication_slots WHERE"
                         " slot_name = %s", (slot,)) == "app"
    process = spawn(cluster, "pg_recvlogical", "-d", dsn, "-S", slot,
                    "--start", "-f", "-", "--no-loop", "-F", "0")
    cluster.sql("INSERT INTO bulk VALUES ('seen %s')" % mode, dbname="app")
    wait_line(process, r"^BEGIN ")
    assert "seen " + mode in wait_line(process, r"INSERT")
    wait_line(process, r"^COMMIT ")
    interrupt(process)
    wait_for(lambda: not cluster.value(
        "SELECT active FROM pg_replication_slots WHERE slot_name = %s",
        (slot,)), 5, "the slot to be free")
    run(cluster, "pg_recvlogical", "-d", dsn, "-S", slot, "--drop-slot")


def test_psycopg2_logical(weir, cluster):
    conn = psycopg2.connect(
        weir.dsn(user="replicator"),
        connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cursor = conn.cursor()
    # A database walsender takes SQL, too; nothing of it is pooled.
    cursor.execute("SELECT current_database(), pg_backend_pid()")
    assert cursor.fetchone() == ("app", conn.info.backend_pid)
    cursor.execute("IDENTIFY_SYSTEM")
    assert cursor.fetchone()[3] == "app"
    cursor.create_replication_slot("psy", output_plugin="test_decoding")
    cursor.start_replication(slot_name="psy", decode=True)
    for i in range(3):
        cluster.sql("INSERT INTO bulk VALUES ('psycopg2 %d')" % i,
                    dbname="app")
    seen = []

    def read():
        message = cursor.read_message()
        if message:
            seen.append(message.payload)
            message.cursor.send_feedback(flush_lsn=message.data_start)
        return sum("psycopg2" in s for s in seen) == 3
    wait_for(read, 10, "three inserts")
    conn.close()
    with psycopg2.connect(
            weir.dsn(user="replicator"), connection_factory=psycopg2
            .extras.LogicalReplicationConnection) as conn:
        wait_for(lambda: not cluster.value(
            "SELECT active FROM pg_replication_slots WHERE slot_name ="
            " 'psy'"), 5, "the slot to be free")
        conn.cursor().drop_replication_slot("psy")
    conn.close()


def test_subscription_of_a_server(weir, cluster):
    """CREATE SUBSCRIPTION: a real apply worker connects to pgweir."""
    cluster.sql("CREATE TABLE published (i int PRIMARY KEY)", dbname="app")
    cluster.sql("CREATE PUBLICATION pub FOR TABLE published", dbname="app")
    cluster.sql("INSERT INTO published VALUES (1)", dbname="app")
    cluster.sql("CREATE DATABASE subscriber")
    where = {"dbname": "subscriber"}
    cluster.sql("CREATE TABLE published (i int PRIMARY KEY)", **where)
    cluster.sql("SELECT pg_create_logical_replication_slot('sub',"
                " 'pgoutput')", dbname="app")
    cluster.sql("CREATE SUBSCRIPTION sub CONNECTION '%s' PUBLICATION pub"
                " WITH (create_slot = false)"
                % conninfo(weir, dbname="app"), **where)
    try:
        cluster.sql("INSERT INTO published VALUES (2)", dbname="app")
        wait_for(lambda: cluster.value("SELECT count(*) FROM published",
                                       **where) == 2, 30, "both rows")
    finally:
        cluster.sql("DROP SUBSCRIPTION sub", **where)
        wait_for(lambda: not cluster.sql(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name LIKE 'sub%'"),
            10, "the slot to go")
        cluster.sql("DROP DATABASE subscriber")


# The login ------------------------------------------------------------------


def test_startup_packet_goes_on_as_it_came(weir, cluster):
    with login(weir, application_name="a 'name'", options="-c geqo=off"
               " -cwork_mem=3MB --enable_seqscan=off",
               extra_float_digits="2") as wire:
        assert wire.value("SHOW geqo") == "off"
        assert wire.value("SHOW work_mem") == "3MB"
        assert wire.value("SHOW enable_seqscan") == "off"
        assert wire.value("SHOW extra_float_digits") == "2"
        assert wire.value("SHOW application_name") == "a 'name'"
        assert wire.parameters["application_name"] == "a 'name'"
    with Wire(cluster.ports["primary"]) as straight, login(weir) as wire:
        straight.login("replicator", "app", replication="database")
        assert list(straight.parameters.items()) == \
            list(wire.parameters.items())


def test_values_are_read_as_postgresql_reads_them(weir, cluster):
    for value in ("true", "on", "1", "yes", "t", "TRUE", "y", "tr", "database",
                  "false", "off", "0", "no", "f", "of", "n",
                  "maybe", "o", "", "Database", "2", "truex", "db'x\"\n",
                  "x" * 500):
        with Wire(cluster.ports["primary"]) as straight, \
                Wire(weir.port) as wire:
            told = []
            for one in (straight, wire):
                try:
                    one.login("replicator", "app", replication=value)
                    one.send(query("IDENTIFY_SYSTEM"))
                    told.append(next(m.sqlstate or "" for m in one.until()
                                     if m.type in "ET"))
                except LoginError as error:
                    fields = error.message.fields
                    told.append({k: fields.get(k) for k in "SVCMH"})
            if len(value) < 64:
                assert told[0] == told[1], value
            else:
                assert told[0]["C"] == told[1]["C"] == "22023"


def test_server_refuses(weir, cluster):
    """No line of pg_hba.conf, no such role: the server's own words."""
    for user, database in (("app", "app"), ("nobody_here", "app")):
        for kind in ("true", "database"):
            told = []
            for port in (cluster.ports["primary"], weir.port):
                with Wire(port) as wire:
                    with pytest.raises(LoginError) as caught:
                        wire.login(user, database, replication=kind)
                    told.append(caught.value.message.fields)
            assert told[0] == told[1]
    with Wire(weir.port) as wire, pytest.raises(LoginError) as caught:
        wire.login("replicator", "app", replication="database",
                   no_such_parameter="1")
    assert caught.value.sqlstate == "42704"
    assert weir.metric("pgweir_replication_connections") in (None, 0)


def test_wrong_password_here(make_weir, cluster):
    weir = make_weir({"auth_type": "scram-sha-256"}, cluster=cluster,
                     auth_file={"replicator": "secret"})
    out = run(cluster, "pg_basebackup", "-d", conninfo(
        weir, password="wrong"), "-D", "-", "-Ft", "-X", "fetch", code=1)
    assert "password authentication failed" in out
    out = run(cluster, "pg_receivewal", "-d", conninfo(
        weir, password="secret"), "--create-slot", "-S", "pw")
    out = run(cluster, "pg_receivewal", "-d", conninfo(
        weir, password="secret"), "--drop-slot", "-S", "pw")


def test_scram_keys_pass_through(make_weir, own_cluster):
    """pgweir knows the secret alone, and logs in with the client's keys."""
    own_cluster.sql("ALTER ROLE replicator PASSWORD 'pencil'")
    own_cluster.set_hba(["host replication replicator 127.0.0.1/32"
                         " scram-sha-256"])
    secret = own_cluster.value("SELECT rolpassword FROM pg_authid WHERE"
                               " rolname = 'replicator'")
    weir = make_weir({"auth_type": "scram-sha-256"}, cluster=own_cluster,
                     auth_file={"replicator": secret})
    run(own_cluster, "pg_receivewal", "-d", conninfo(
        weir, password="pencil"), "--create-slot", "-S", "keys")
    # The server has another password by now: its words, its SQLSTATE.
    own_cluster.sql("ALTER ROLE replicator PASSWORD 'crayon'")
    with Wire(weir.port) as wire, pytest.raises(LoginError) as caught:
        wire.login("replicator", "x", "pencil", replication="1")
    assert caught.value.sqlstate == "28P01"
    assert caught.value.message.fields["M"] == \
        'password authentication failed for user "replicator"'


def test_primary_is_down(make_weir, own_cluster):
    weir = make_weir({"client_login_timeout": 2, "monitor_interval": 0.1},
                     cluster=own_cluster)
    own_cluster.stop("primary", "immediate")
    with Wire(weir.port, timeout=30) as wire, \
            pytest.raises(LoginError) as caught:
        wire.login("replicator", "app", replication="database")
    assert caught.value.sqlstate in ("08006", "57P03")
    own_cluster.start("primary")

    def comes_in():
        with Wire(weir.port, timeout=30) as wire:
            try:
                wire.login("replicator", "app", replication="database")
                return True
            except LoginError:
                return False
    wait_for(comes_in, 15, "a walsender of the primary that is back")


@pytest.fixture
def certificate(scratch):
    key, crt = scratch / "server.key", scratch / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", str(key), "-out", str(crt), "-days", "2", "-subj",
         "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True)
    key.chmod(0o600)
    for path in (key, crt):
        give_away(path)
    return key, crt


def test_tls_on_both_sides(make_weir, own_cluster, scratch, certificate):
    key, crt = certificate
    for name, value in (("ssl_key_file", key), ("ssl_cert_file", crt),
                        ("ssl", "on")):
        own_cluster.sql("ALTER SYSTEM SET %s = '%s'" % (name, value))
    own_cluster.value("SELECT pg_reload_conf()")
    own_cluster.set_hba(["hostssl replication all 127.0.0.1/32 trust",
                         "hostnossl replication replicator 127.0.0.1/32"
                         " reject"])
    weir = make_weir({"client_tls_sslmode": "require",
                      "client_tls_key_file": key,
                      "client_tls_cert_file": crt,
                      "server_tls_sslmode": "prefer"}, cluster=own_cluster)
    run(own_cluster, "pg_basebackup", "-d", conninfo(
        weir, sslmode="verify-full", sslrootcert=crt), "-D",
        scratch / "data", "-X", "stream", "--checkpoint=fast", "--no-sync")
    assert (scratch / "data" / "PG_VERSION").exists()
    out = run(own_cluster, "pg_basebackup", "-d", conninfo(
        weir, sslmode="disable"), "-D", scratch / "no", code=1)
    assert "TLS is required" in out


# Bytes ----------------------------------------------------------------------


def resident_kb(weir):
    text = Path("/proc/%d/status" % weir.process.pid).read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def test_slow_reader_is_waited_for(weir, cluster):
    """200 MB for a client that reads nothing: they wait at the server."""
    with login(weir) as warm:
        warm.value("SELECT 1")
    before = resident_kb(weir)
    with login(weir) as wire:
        wire.sock.settimeout(30 * SLOW)
        wire.send(query("COPY (SELECT repeat('x', 1000) FROM"
                        " generate_series(1, 200000)) TO STDOUT"))
        time.sleep(2)
        assert resident_kb(weir) - before < 20000
        total = 0
        while True:
            data = wire.sock.recv(1 << 20)
            total += len(data)
            if data.endswith(b"Z\0\0\0\5I"):
                break
        assert total > 200000 * 1000
        assert wire.value("SELECT 1") == "1"
    assert weir.memory_peak_kb() - before < 40000


def test_big_upload_to_a_slow_server(weir, cluster):
    """The other direction: the server does not read while it is locked."""
    cluster.sql("CREATE TABLE locked (t text)", dbname="app")
    with cluster.connect() as holder, login(weir) as wire:
        wire.sock.settimeout(30 * SLOW)
        before = resident_kb(weir)
        holder.autocommit = False
        holder.execute("LOCK TABLE locked")
        wire.send(query("COPY locked FROM STDIN"))
        row = copy_data(b"y" * 9999 + b"\n")
        sent = threading.Thread(
            target=wire.send, args=[row * 2500, copy_done()])
        sent.start()
        time.sleep(1.5)
        assert sent.is_alive()
        assert resident_kb(weir) - before < 20000
        holder.commit()
        sent.join(30 * SLOW)
        wire.until()
        assert wire.value("SELECT count(*) FROM locked") == "2500"


def test_last_words_reach_a_slow_reader(weir, cluster):
    """The server's FATAL stands behind bytes that nobody has read yet."""
    with login(weir) as wire:
        pid = wire.value("SELECT pg_backend_pid()")
        wire.send(query("COPY (SELECT repeat('x', 100000) FROM"
                        " generate_series(1, 10)) TO STDOUT"))
        time.sleep(0.5)
        cluster.sql("SELECT pg_terminate_backend(%s)", (int(pid),))
        time.sleep(0.5)
        messages = wire.until_closed()
        assert sum(m.type == "d" for m in messages) == 10
        assert messages[-1].type == "E" and messages[-1].sqlstate == "57P01"
        assert messages[-1].fields["M"] == \
            "terminating connection due to administrator command"


def test_client_that_closes_its_half(weir, cluster):
    """What was sent before the end is done, answered or not."""
    cluster.sql("CREATE TABLE halves (i int)", dbname="app")
    with login(weir) as wire:
        wire.send(query("INSERT INTO halves VALUES (1)"), terminate())
        wire.sock.shutdown(socket.SHUT_WR)
        wire.until_closed()
    wait_for(lambda: cluster.value("SELECT count(*) FROM halves",
                                   dbname="app") == 1, 5, "the row")


def test_client_killed(weir, cluster):
    for _ in range(3):
        wire = login(weir)
        wire.send(query("COPY (SELECT repeat('x', 1000) FROM"
                        " generate_series(1, 1000000)) TO STDOUT"))
        wire.recv()
        pid = int.from_bytes(wire.cancel_key[:4], "big")
        assert cluster.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s",
                           (pid,))
        wire.abort()
        wait_for(lambda: not cluster.sql(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)), 10,
            "the walsender to go")
    assert weir.metric("pgweir_replication_connections") == 0


def test_server_killed(make_weir, own_cluster, scratch):
    weir = make_weir(cluster=own_cluster)
    process = spawn(own_cluster, "pg_receivewal", "-d", conninfo(weir), "-D",
                    scratch, "--no-loop", "-v")
    wait_for(lambda: senders(own_cluster), 10, "the walsender")
    own_cluster.stop("primary", "immediate")
    out, _ = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 1
    assert "terminating connection" in out or "closed the connection" in out \
        or "could not receive data" in out or "could not send" in out, out
    wait_for(lambda: weir.metric("pgweir_replication_connections") == 0, 5,
             "the tunnel to be gone")


# Cancel ----------------------------------------------------------------------


def test_cancel_reaches_this_backend_alone(make_weir, cluster):
    weir = make_weir({"workers": 2}, cluster=cluster)
    wires = [login(weir) for _ in range(4)]
    for wire in wires:
        pid = int(wire.value("SELECT pg_backend_pid()"))
        assert pid == int.from_bytes(wire.cancel_key[:4], "big")
        wire.send(query("SELECT pg_sleep(5)"))
    time.sleep(0.3)
    wrong = wires[1].cancel_key[:4] + bytes(4)
    cancel(weir.port, wrong)
    cancel(weir.port, wires[1].cancel_key)
    assert wires[1].until("E")[-1].sqlstate == "57014"
    time.sleep(0.3)
    for i in (0, 2, 3):
        wires[i].sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            wires[i].sock.recv(1)
    for wire in wires:
        wire.close()


def test_cancel_of_a_basebackup(weir, cluster):
    with login(weir, replication="true") as wire:
        wire.sock.settimeout(30 * SLOW)
        wire.send(query("BASE_BACKUP (CHECKPOINT 'fast', MAX_RATE 1024,"
                        " WAIT false)"))
        wire.until("d")
        cancel(weir.port, wire.cancel_key)
        assert wire.until("E")[-1].sqlstate == "57014"
        wire.until("Z")
        wire.send(query("IDENTIFY_SYSTEM"))
        assert wire.until()[0].type == "T"


# Other servers than PostgreSQL -----------------------------------------------


def meet(make_weir, cluster, script):
    fake = FakeServer(cluster.ports["primary"], script, ["replicator"])
    weir = make_weir(cluster=cluster, nodes=("primary",), databases={
        "app": "host=127.0.0.1:%d dbname=app" % fake.port})
    return fake, weir


def test_greeting_that_never_ends(make_weir, cluster):
    def script(sock):
        sock.sendall(message("R", bytes(4)))
        while True:
            sock.sendall(message("S", b"name\0" + b"v" * 60000 + b"\0"))
    fake, weir = meet(make_weir, cluster, script)
    with Wire(weir.port, timeout=30) as wire, \
            pytest.raises(LoginError) as caught:
        wire.login("replicator", "app", replication="true")
    assert caught.value.sqlstate == "08P01"
    assert weir.memory_peak_kb() < 200000
    fake.close()


def test_greeting_is_passed_on_word_for_word(make_weir, cluster):
    """Notices and unknown parameters too, in the server's order."""
    said = [message("S", b"b\0" + b"2\0"), message(
        "N", b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
        message("S", b"a\0" + b"1\0")]

    def script(sock):
        sock.sendall(message("R", bytes(4)) + b"".join(said)
                     + message("K", bytes([0, 0, 16, 146, 0, 0, 0, 17]))
                     + message("Z", b"I") + b"\x01\x02 anything")
        sock.recv(100)
    fake, weir = meet(make_weir, cluster, script)
    with Wire(weir.port) as wire:
        got = wire.login("replicator", "app", replication="true")
        assert [m.type for m in got] == list("RSNSKZ")
        assert [message(m.type, m.payload) for m in got[1:4]] == said
        assert wire.cancel_key[:4] == bytes([0, 0, 16, 146])
        assert wire.recv_raw(11) == b"\x01\x02 anything"
        wire.send(b"no protocol at all")
        with pytest.raises(Closed):
            wire.recv()
    fake.close()


def test_server_that_dies_in_the_login(make_weir, cluster):
    for said in (b"", b"N" * 100, message("R", bytes(4)),
                 message("R", bytes(4)) + message("Z", b"E"),
                 message("E", b"SFATAL\0VFATAL\0C57P03\0Mnot yet\0\0")):
        def script(sock, said=said):
            sock.sendall(said)
        fake, weir = meet(make_weir, cluster, script)
        with Wire(weir.port) as wire, pytest.raises(LoginError) as caught:
            wire.login("replicator", "app", replication="database")
        assert caught.value.sqlstate == \
            ("57P03" if b"57P03" in said else caught.value.sqlstate)
        assert caught.value.sqlstate in ("57P03", "08006", "08P01")
        wait_for(lambda: weir.metric("pgweir_client_connections",
                                     user="replicator") in (None, 0), 5,
                 "nobody to be left")
        fake.close()


# Operations ------------------------------------------------------------------


def console_rows(weir, command):
    with psycopg.connect(weir.dsn("pgweir", "postgres"), autocommit=True,
                         cursor_factory=psycopg.ClientCursor) as conn:
        cursor = conn.execute(command)
        names = [c.name for c in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def test_seen_by_the_operator(weir, cluster):
    with login(weir, application_name="eye") as one, \
            login(weir, replication="true", database="replication") as two:
        clients = [r for r in console_rows(weir, "SHOW CLIENTS")
                   if r["user"] == "replicator"]
        assert sorted(r["replication"] for r in clients) == \
            ["logical", "physical"]
        assert all(r["state"] == "active" for r in clients)
        servers = [r for r in console_rows(weir, "SHOW SERVERS")
                   if r["user"] == "replicator"]
        assert sorted(r["replication"] for r in servers) == \
            ["logical", "physical"]
        assert {r["ptr"] for r in servers} == {r["link"] for r in clients}
        pids = {int.from_bytes(w.cancel_key[:4], "big") for w in (one, two)}
        assert {r["remote_pid"] for r in servers} == pids
        for kind in ("physical", "logical"):
            assert weir.metric("pgweir_replication_connections",
                               kind=kind) == 1
        one.query("SELECT repeat('x', 100000)")
        one.query("SELECT 1")
        assert weir.metric("pgweir_bytes_total", side="client",
                           direction="sent") > 100000
        target = next(r for r in clients if r["application_name"] == "eye")
        console_rows_ok(weir, "KILL_CLIENT %d" % target["id"])
        assert one.until_closed()[-1].sqlstate == "57P01"
        two.send(query("IDENTIFY_SYSTEM"))
        assert two.until()[0].type == "T"
    wait_for(lambda: weir.metric("pgweir_replication_connections") == 0, 5,
             "the gauge to be 0")
    assert not [r for r in console_rows(weir, "SHOW CLIENTS")
                if r["user"] == "replicator"]


def console_rows_ok(weir, command):
    with psycopg.connect(weir.dsn("pgweir", "postgres"), autocommit=True,
                         cursor_factory=psycopg.ClientCursor) as conn:
        conn.execute(command)


def test_outside_of_the_pool_inside_of_the_limits(make_weir, cluster):
    weir = make_weir({"default_pool_size": 1, "max_db_connections": 3},
                     cluster=cluster)
    with weir.connect(user="replicator") as pooled:
        pooled.execute("BEGIN; SELECT 1")
        with login(weir) as one, login(weir) as two:
            # Three servers: the fourth has to wait, until one has gone.
            third = []
            waits = threading.Thread(
                target=lambda: third.append(login(weir)))
            waits.start()
            time.sleep(0.5)
            assert not third
            assert one.value("SELECT 1") == two.value("SELECT 1") == "1"
            one.send(terminate())
            waits.join(10 * SLOW)
            assert third[0].value("SELECT 1") == "1"
            third[0].close()
    # An idle server of the pool makes room at once.
    with login(weir) as one, login(weir) as two, login(weir) as three:
        assert three.value("SELECT 1") == "1"
    weir.reload({"client_login_timeout": 1, "max_db_connections": 1})
    with login(weir), pytest.raises(LoginError) as caught:
        login(weir)
    assert caught.value.sqlstate == "53300"


def test_time_limits_leave_them_alone(make_weir, cluster):
    weir = make_weir({
        "client_idle_timeout": 1, "server_idle_timeout": 1,
        "server_lifetime": 1, "idle_transaction_timeout": 1,
        "query_timeout": 1, "transaction_timeout": 1,
        "client_login_timeout": 1}, cluster=cluster)
    with login(weir) as wire:
        pid = wire.value("SELECT pg_backend_pid()")
        time.sleep(2.5)
        assert wire.rows("SELECT pg_sleep(1.5), pg_backend_pid()")[0][1] \
            == pid


def test_reload_keeps_them(weir, cluster):
    with login(weir) as wire:
        pid = wire.value("SELECT pg_backend_pid()")
        weir.reload(databases={"other": weir.node_line()})
        assert wire.value("SELECT pg_backend_pid()") == pid
        with pytest.raises(LoginError):
            login(weir)
        weir.reload(databases={"app": weir.node_line()})
        with login(weir) as another:
            assert another.value("SELECT 1") == "1"
        assert wire.value("SELECT pg_backend_pid()") == pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_tells_them_and_waits_for_nobody(weir, cluster, number):
    with login(weir) as wire, login(weir, replication="true") as idle:
        wire.value("SELECT 1")
        wire.send(query("SELECT pg_sleep(5)"))
        time.sleep(0.2)
        weir.signal(number)
        for one in (wire, idle):
            said = one.until_closed()
            assert said[-1].sqlstate == "57P01"
            assert "shutting down" in said[-1].fields["M"]
        assert weir.wait_end(5) == 0
    wait_for(lambda: not senders(cluster), 10, "walsenders to end")


def test_shutdown_never_cuts_a_message(weir, cluster):
    """57P01 stands between two messages, also under a stream of rows."""
    with login(weir) as wire:
        wire.sock.settimeout(30 * SLOW)
        wire.send(query("COPY (SELECT repeat('x', 300000) FROM"
                        " generate_series(1, 10000)) TO STDOUT"))
        wire.until("d")
        reader = threading.Thread(
            target=lambda: said.extend(wire.until_closed()))
        said = []
        reader.start()
        time.sleep(0.3)
        weir.signal(signal.SIGTERM)
        reader.join(20 * SLOW)
        assert said[-1].sqlstate == "57P01"
        assert {len(m.payload) for m in said[:-1]} == {300001}
        assert not wire.buffer
        assert weir.wait_end(10) == 0


def test_shutdown_while_nobody_reads(weir, cluster):
    with login(weir) as wire:
        wire.send(query("COPY (SELECT repeat('x', 300000) FROM"
                        " generate_series(1, 1000)) TO STDOUT"))
        time.sleep(0.5)
        weir.signal(signal.SIGTERM)
        assert weir.wait_end(10) == 0


# Hostile ----------------------------------------------------------------------


def test_early_and_odd_bytes(weir, cluster):
    """Bytes in front of the greeting wait for it; nonsense is the server's."""
    with Wire(weir.port) as wire:
        wire.send(startup_packet("replicator", "app",
                                 replication="database"),
                  query("SELECT 'early'"))
        wire.authenticate("replicator", None)
        assert wire.until()[1].values == [b"early"]
        wire.send(b"\xff" * 1000)
        assert wire.until_closed()[-1].type == "E"
    for i in range(20):
        with Wire(weir.port) as wire:
            wire.send(startup_packet("replicator", "app",
                                     replication="database"))
            time.sleep(0.001 * i)
            wire.abort()
    wait_for(lambda: not cluster.sql(
        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender' AND"
        " application_name <> 'walreceiver'"), 10, "no walsender left")
    with weir.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_replication_beside_pooled_clients(weir, cluster):
    """The same database and user, pooled and not, at once."""
    with login(weir) as wire:
        for _ in range(20):
            with weir.connect(user="replicator") as conn:
                pid = conn.execute("SELECT pg_backend_pid()").fetchone()[0]
            assert wire.value("SELECT pg_backend_pid()") != str(pid)
