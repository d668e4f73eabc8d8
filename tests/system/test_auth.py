"""Logins on both sides, and TLS on both sides with a CA made on the spot."""
import base64
import hashlib
import hmac
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time

import psycopg
import pytest

from harness import IS_PGBOUNCER, give_away, make_dir, wait_for
from wire import LoginError, SSL_REQUEST, GSSENC_REQUEST, Wire, \
    startup_packet, query

SECRET = "s3cret; 'of\\ \"app"
ONE = ("primary",)


def md5_secret(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def scram_secret(password, rounds=4096):
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (
        rounds, base64.b64encode(salt).decode(),
        base64.b64encode(hashlib.sha256(client).digest()).decode(),
        base64.b64encode(server).decode())


@pytest.fixture(scope="module", autouse=True)
def roles(cluster):
    """Roles that the nodes themselves ask for a password, each its way."""
    for method in ("password", "md5", "scram"):
        cluster.sql("DROP ROLE IF EXISTS auth_" + method)
        encryption = "md5" if method == "md5" else "scram-sha-256"
        with cluster.connect() as conn:
            conn.execute("SET password_encryption = '%s'" % encryption)
            conn.execute("CREATE ROLE auth_%s LOGIN PASSWORD %s" % (
                method, psycopg.sql.Literal("pw of " + method).as_string(
                    conn)))
    cluster.position()
    cluster.set_hba(["host all auth_password samenet password",
                     "host all auth_md5 samenet md5",
                     "host all auth_scram samenet scram-sha-256"])
    yield
    cluster.set_hba([])


def refused(weir, user="app", password=None, **more):
    with Wire(weir.port) as conn:
        with pytest.raises(LoginError) as caught:
            conn.login(user, password=password, **more)
        assert caught.value.message.fields["S"] == "FATAL"
        assert conn.is_closed()
        return caught.value.message.fields


# The client's side.

@pytest.mark.parametrize("auth_type, secret", [
    ("plain", "plain"), ("md5", "plain"), ("md5", "md5"), ("md5", "scram"),
    ("scram-sha-256", "plain"), ("scram-sha-256", "scram")])
def test_client_login(make_weir, auth_type, secret):
    stored = {"plain": SECRET, "md5": md5_secret("app", SECRET),
              "scram": scram_secret(SECRET)}[secret]
    weir = make_weir({"auth_type": auth_type}, nodes=ONE,
                     auth_file={"app": stored})
    if not IS_PGBOUNCER:
        weir.wait_ready()
    with Wire(weir.port) as conn:
        conn.login(password=SECRET)
        assert conn.value("SELECT current_user") == "app"
    for user, password in (("app", "wrong"), ("app", ""),
                           ("nobody", SECRET)):
        fields = refused(weir, user, password)
        assert fields["C"] == "28P01"


def test_unknown_user_looks_like_a_wrong_password(make_weir):
    """Same messages, same text, and not answered sooner."""
    for auth_type in ("plain", "md5", "scram-sha-256"):
        weir = make_weir({"auth_type": auth_type}, nodes=ONE,
                         auth_file={"app": SECRET})
        seen = []
        for user in ("app", "nobody"):
            with Wire(weir.port) as conn:
                conn.send(startup_packet(user))
                kinds = []
                try:
                    conn.authenticate(user, "wrong")
                except LoginError as error:
                    fields = {k: v.replace(user, "USER")
                              for k, v in error.message.fields.items()}
                    kinds.append(fields)
                seen.append(kinds)
        assert seen[0] == seen[1], auth_type


@pytest.mark.own
def test_mock_salt_of_an_unknown_user_is_stable(make_weir):
    weir = make_weir({"auth_type": "scram-sha-256"}, nodes=ONE,
                     auth_file={"app": scram_secret(SECRET)})

    def salt(user):
        with Wire(weir.port) as conn:
            conn.send(startup_packet(user))
            conn.recv()
            first = b"n,,n=,r=abcdefghijklmnop"
            conn.send(b"p" + struct.pack("!i", 4 + 14 + 4 + len(first))
                      + b"SCRAM-SHA-256\0" + struct.pack("!i", len(first))
                      + first)
            fields = conn.recv().payload[4:].decode().split(",")
            return [f for f in fields if f[0] in "si"]
    assert salt("nobody") == salt("nobody")
    assert salt("nobody") != salt("somebody")
    assert salt("nobody")[1] == salt("app")[1]


def test_trust_knows_everybody_by_name(cluster, make_weir):
    if IS_PGBOUNCER:
        pytest.skip("PgBouncer wants a file")
    weir = make_weir({"auth_type": "trust"}, nodes=ONE)
    for user in ("app", "postgres"):
        with weir.connect(user=user) as conn:
            assert conn.execute("SELECT current_user").fetchone() == (user,)
    fields = refused_or_failed(weir, "no_such_role")
    assert "no_such_role" in fields["M"]


def refused_or_failed(weir, user):
    """The error for a user that no server knows, at login or at use."""
    with Wire(weir.port) as conn:
        try:
            conn.login(user)
            said = conn.send(query("SELECT 1")).until_closed()
            return [m for m in said if m.type == "E"][0].fields
        except LoginError as error:
            return error.message.fields


@pytest.mark.own
def test_scram_client_without_plain_secret_is_passed_through(cluster,
                                                             make_weir):
    """The node's own SCRAM secret in auth_file serves both sides."""
    weir = make_weir(
        {"auth_type": "scram-sha-256"}, nodes=ONE, auth_file={
            "auth_scram": stored_secret(cluster, "auth_scram")})
    with Wire(weir.port) as conn:
        conn.login("auth_scram", password="pw of scram")
        assert conn.value("SELECT current_user") == "auth_scram"


def stored_secret(cluster, role):
    return cluster.value("SELECT rolpassword FROM pg_authid WHERE rolname ="
                         " %s", (role,))


# The server's side.

@pytest.mark.parametrize("method", ["password", "md5", "scram"])
def test_server_login_with_the_clients_own(make_weir, method):
    user = "auth_" + method
    weir = make_weir({"auth_type": "trust"}, nodes=ONE,
                     auth_file={user: "pw of " + method})
    with Wire(weir.port) as conn:
        conn.login(user)
        assert conn.value("SELECT current_user") == user


@pytest.mark.parametrize("method", ["password", "md5", "scram"])
def test_server_login_from_the_database_line(make_weir, method):
    weir = make_weir({"auth_type": "trust"}, start=False, nodes=ONE)
    weir.databases = {"app": weir.node_line(
        user="auth_" + method, password="'pw of %s'" % method)}
    weir.write_ini()
    weir.start()
    with Wire(weir.port) as conn:
        conn.login("app")
        assert conn.value("SELECT current_user") == "auth_" + method


def test_wrong_server_password_is_told(make_weir):
    weir = make_weir({"auth_type": "trust", "server_login_retry": 0.2,
                      "query_wait_timeout": 5, "monitor_user": "postgres"},
                     start=False, nodes=ONE)
    weir.databases = {
        "app": weir.node_line(),
        "bad": weir.node_line(user="auth_scram", password="wr0ngpass")}
    weir.write_ini()
    weir.start()
    with Wire(weir.port) as conn:
        try:
            conn.login("app", "bad")
            said = conn.send(query("SELECT 1")).until_closed()
        except LoginError as error:
            said = [error.message]
    fields = [m.fields for m in said if m.type == "E"][0]
    assert fields["C"] in ("28P01", "08006", "08P01", "58000")
    assert "wr0ngpass" not in weir.log() + str(fields)
    with weir.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_no_secret_in_the_log(make_weir):
    """At the highest verbosity, through logins, reloads and failures."""
    weir = make_weir({"auth_type": "scram-sha-256", "verbose": 3},
                     args=["-v", "-v", "-v"], start=False, nodes=ONE)
    weir.settings["auth_file"] = weir.write_auth_file(
        {"app": "hush-client", "other": md5_secret("other", "hush-other")})
    weir.databases = {"app": weir.node_line(user="auth_scram",
                                            password="'pw of scram'"),
                      "bad": weir.node_line(user="auth_md5",
                                            password="hush-server")}
    weir.settings["monitor_user"] = "auth_scram"
    weir.settings["monitor_password"] = "pw of scram"
    weir.write_ini()
    weir.start()
    with Wire(weir.port) as conn:
        conn.login(password="hush-client")
        conn.query("SELECT 1")
    refused(weir, password="hush-wrong")
    with Wire(weir.port) as conn:
        try:
            conn.login(database="bad", password="hush-client")
            conn.send(query("SELECT 1")).until_closed()
        except LoginError:
            pass
    weir.hup()
    texts = [weir.log()]
    if not IS_PGBOUNCER:
        texts.append(weir.http("/metrics")[1])
    for text in texts:
        for secret in ("hush", "pw of", "SCRAM-SHA-256$",
                       md5_secret("other", "hush-other")):
            assert secret not in text, secret


# TLS.

@pytest.fixture(scope="module")
def certs():
    """A CA, certificates for localhost and for elsewhere, another CA."""
    path = make_dir("pgweir-tls.")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=path, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    for ca in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                "30", "-subj", "/CN=" + ca, "-keyout", ca + ".key", "-out",
                ca + ".crt")
    for name, alt in (("server", "DNS:localhost,IP:127.0.0.1"),
                      ("elsewhere", "DNS:elsewhere.example")):
        (path / "ext").write_text("subjectAltName=" + alt)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj",
                "/CN=" + name, "-keyout", name + ".key", "-out",
                name + ".csr")
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt",
                "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "ext", "-out", name + ".crt")
    for file in path.iterdir():
        give_away(file)
        file.chmod(0o600)
    yield path
    shutil.rmtree(path)


def client_tls(certs, sslmode, name="server"):
    return {"client_tls_sslmode": sslmode,
            "client_tls_key_file": certs / (name + ".key"),
            "client_tls_cert_file": certs / (name + ".crt"),
            "client_tls_ca_file": certs / "ca.crt"}


def test_client_tls_modes(make_weir, certs):
    weir = make_weir(client_tls(certs, "prefer"), nodes=ONE)
    for mode in ("disable", "prefer", "require", "verify-ca", "verify-full"):
        with psycopg.connect(weir.dsn(), sslmode=mode,
                             sslrootcert=readable(certs, "ca.crt")) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
            assert conn.pgconn.ssl_in_use == (mode != "disable")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(weir.dsn(), sslmode="verify-ca",
                        sslrootcert=readable(certs, "stranger.crt"))
    weir = make_weir(client_tls(certs, "require"), nodes=ONE)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(weir.dsn(), sslmode="disable")
    with psycopg.connect(weir.dsn(), sslmode="require") as conn:
        # More than one TLS record each way.
        text = "x" * 100000
        assert conn.execute("SELECT %s::text", (text,)).fetchone() == (text,)
        row = conn.execute("SELECT repeat('y', 3000000)").fetchone()
        assert len(row[0]) == 3000000
    weir = make_weir(nodes=ONE)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(weir.dsn(), sslmode="require")


def readable(certs, name):
    return str(certs / name)


@pytest.mark.own
def test_client_certificates(make_weir, certs):
    weir = make_weir(client_tls(certs, "verify-full"), nodes=ONE)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(weir.dsn(), sslmode="require").execute("SELECT 1")
    with psycopg.connect(weir.dsn(), sslmode="require",
                         sslcert=readable(certs, "elsewhere.crt"),
                         sslkey=readable(certs, "elsewhere.key")) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_plaintext_behind_an_ssl_request_is_refused(make_weir, certs):
    """CVE-2021-3935: nothing sent before the handshake may run after it."""
    weir = make_weir(client_tls(certs, "prefer"), nodes=ONE)
    with Wire(weir.port) as conn:
        conn.send(struct.pack("!ii", 8, SSL_REQUEST),
                  startup_packet("app"))
        answer = conn.recv_raw(1)
        assert answer in (b"S", b"E")
        assert conn.is_closed()
    with Wire(weir.port) as conn:
        conn.send(struct.pack("!ii", 8, GSSENC_REQUEST))
        assert conn.recv_raw(1) == b"N"
        conn.login()
        assert conn.value("SELECT 1") == "1"


def test_tls_client_that_stops_in_the_handshake(make_weir, certs):
    weir = make_weir({**client_tls(certs, "prefer"),
                      "client_login_timeout": 1}, nodes=ONE)
    with Wire(weir.port) as conn:
        conn.send(struct.pack("!ii", 8, SSL_REQUEST))
        assert conn.recv_raw(1) == b"S"
        conn.send(b"\x16\x03\x01\x02\x00\x01")
        assert conn.is_closed(6)
    with Wire(weir.port) as conn:
        conn.send(struct.pack("!ii", 8, SSL_REQUEST))
        conn.recv_raw(1)
        conn.send(b"GET / HTTP/1.0\r\n\r\n")
        assert conn.is_closed(6)
    context = ssl.create_default_context(cafile=readable(certs, "ca.crt"))
    with socket.create_connection(("127.0.0.1", weir.port), 5) as raw:
        raw.sendall(struct.pack("!ii", 8, SSL_REQUEST))
        assert raw.recv(1) == b"S"
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            assert tls.version() in ("TLSv1.2", "TLSv1.3")
            tls.sendall(startup_packet("app"))
            assert tls.recv(1) == b"R"


@pytest.fixture
def tls_nodes(own_cluster, certs):
    """Nodes that speak TLS, with the certificate that a test asks for."""
    def use(name):
        for node in own_cluster.ports:
            with own_cluster.connect(node) as conn:
                for key, file in (("ssl_cert_file", name + ".crt"),
                                  ("ssl_key_file", name + ".key")):
                    conn.execute("ALTER SYSTEM SET %s = '%s'" % (
                        key, certs / file))
                conn.execute("ALTER SYSTEM SET ssl = on")
                conn.execute("SELECT pg_reload_conf()")
        wait_for(lambda: own_cluster.value("SHOW ssl") == "on", 5, "ssl")
        time.sleep(0.3)
        return own_cluster
    return use


def server_uses_tls(weir):
    with weir.connect() as conn:
        return conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid ="
                            " pg_backend_pid()").fetchone()[0]


def fails_to_serve(weir):
    try:
        with weir.connect(connect_timeout=10) as conn:
            conn.execute("SELECT 1")
    except psycopg.Error:
        return True
    return False


def test_server_tls_modes(tls_nodes, certs, make_weir):
    nodes = tls_nodes("server")

    def weir(mode, ca="ca.crt", **more):
        return make_weir({"server_tls_sslmode": mode, "server_login_retry":
                          0.2, "query_wait_timeout": 2,
                          "server_tls_ca_file": certs / ca, **more},
                         cluster=nodes, nodes=ONE, ready=False)
    for mode in ("disable", "prefer", "require", "verify-ca", "verify-full"):
        one = weir(mode)
        wait_for(one.listens, 10, "listening")
        assert server_uses_tls(one) == (mode != "disable"), mode
    for mode in ("verify-ca", "verify-full"):
        one = weir(mode, "stranger.crt")
        wait_for(one.listens, 10, "listening")
        assert fails_to_serve(one), mode


@pytest.mark.own
def test_server_certificate_for_another_host(tls_nodes, certs, make_weir):
    nodes = tls_nodes("elsewhere")
    for mode, works in (("require", True), ("verify-ca", True),
                        ("verify-full", False)):
        weir = make_weir({"server_tls_sslmode": mode, "server_login_retry":
                          0.2, "query_wait_timeout": 2,
                          "server_tls_ca_file": certs / "ca.crt"},
                         cluster=nodes, nodes=ONE, ready=False)
        wait_for(weir.listens, 10, "listening")
        assert fails_to_serve(weir) == (not works), mode
    assert "elsewhere" in weir.log() or "certificate" in weir.log()


def test_server_without_tls(make_weir):
    """The shared nodes have no certificate."""
    weir = make_weir({"server_tls_sslmode": "prefer"}, nodes=ONE)
    assert server_uses_tls(weir) is False
    weir = make_weir({"server_tls_sslmode": "require", "query_wait_timeout":
                      1.5, "server_login_retry": 0.2}, nodes=ONE,
                     ready=False)
    wait_for(weir.listens, 10, "listening")
    assert fails_to_serve(weir)
