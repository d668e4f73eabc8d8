"""The command line, the ini file, and changing it while clients are there."""
import os
import subprocess
import time

import psycopg
import pytest

from harness import PGWEIR_BIN, SLOW, free_port, unprivileged, wait_for, \
    write_file
from wire import LoginError, Wire, startup_packet

pytestmark = pytest.mark.own


def run(*args, timeout=20):
    """Runs the program to its end; returns status and all it said."""
    done = subprocess.run([PGWEIR_BIN, *map(str, args)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd="/",
                          timeout=timeout * SLOW, stdin=subprocess.DEVNULL,
                          **unprivileged())
    return done.returncode, done.stdout


@pytest.fixture
def ini(make_weir):
    """A good file of a pgweir that is not started; edit it and check it."""
    return make_weir(start=False)


def check_text(weir, text):
    write_file(weir.ini, text)
    return run("--check", weir.ini)


def edit(weir, old, new):
    text = weir.ini.read_text()
    assert old in text
    return check_text(weir, text.replace(old, new, 1))


def line_of(weir, word):
    lines = weir.ini.read_text().splitlines()
    return [n for n, l in enumerate(lines, 1) if l.startswith(word)][0]


def test_help_and_version():
    for option, word in (("--help", "--check"), ("--version", "pgweir"),
                         ("--help-config", "default_pool_size")):
        status, said = run(option)
        assert status == 0, said
        assert word in said
    assert run()[0] != 0
    assert run("--no-such-option")[0] != 0


def test_check_of_a_good_file(ini, cluster):
    status, said = run("--check", ini.ini)
    assert status == 0, said
    for port in cluster.ports.values():
        assert str(port) in said
    assert "primary" in said and "replica" in said


@pytest.mark.parametrize("old, new, key, hint", [
    ("default_pool_size", "defalt_pool_size", "defalt", "default_pool_size"),
    ("pool_mode", "pol_mode", "pol_mode", "pool_mode"),
    ("max_client_conn = 500", "max_client_conn = many", "max_client",
     "max_client_conn"),
    ("pool_mode = transaction", "pool_mode = sometimes", "pool_mode",
     "transaction"),
    ("default_pool_size = 10", "default_pool_size = -4", "default_pool",
     "default_pool_size"),
    ("listen_port = ", "listen_port = 9", "listen_port", "listen_port"),
    ("auth_type = trust", "auth_type = magic", "auth_type", "auth_type"),
])
def test_check_names_the_place(ini, old, new, key, hint):
    status, said = edit(ini, old, new)
    assert status == 1, said
    assert "%s:%d" % (ini.ini, line_of(ini, key)) in said
    assert hint in said


def test_check_of_a_database_line(ini):
    for bad in ("app = hoost=127.0.0.1", "app = host=a port=xyz",
                "app = host=127.0.0.1:99999", "app = host='unclosed",
                "app = pool_size=-3 host=127.0.0.1"):
        text = "[databases]\n%s\n[pgweir]\nlisten_port = 1\n" % bad
        status, said = check_text(ini, text)
        assert status == 1, bad
        assert "%s:2" % ini.ini in said, said


@pytest.mark.parametrize("text", [
    "garbage\n", "[databases\napp = host=x\n", "[nonsense]\na = b\n",
    "[pgweir]\nlisten_port\n", "\0\1\2\xff", "[databases]\n" * 3 + "= x\n"])
def test_check_of_what_is_no_configuration(ini, text):
    status, said = check_text(ini, text)
    assert status == 1, said
    assert str(ini.ini) in said


def test_check_of_unreachable_nodes(ini):
    port = free_port()
    status, said = check_text(ini, "[databases]\napp = host=127.0.0.1:%d\n"
                              "[pgweir]\nlisten_port = 6432\n" % port)
    assert status == 1
    assert "127.0.0.1:%d" % port in said


def test_unreadable_files(ini):
    status, said = run(ini.dir / "missing.ini")
    assert status != 0
    assert "missing.ini" in said and "No such file" in said
    status, said = edit(ini, "auth_type = trust",
                        "auth_type = md5\nauth_file = /nonexistent/users")
    assert status == 1
    assert "/nonexistent/users" in said


def test_start_with_a_bad_file_ends_at_once(ini):
    write_file(ini.ini, ini.ini.read_text().replace("pool_mode", "pol_mode"))
    status, said = run(ini.ini)
    assert status == 1
    assert "%s:%d" % (ini.ini, line_of(ini, "pol_mode")) in said


def test_port_that_is_taken(make_weir):
    weir = make_weir()
    other = make_weir({"listen_port": weir.port}, start=False)
    status, said = run(other.ini)
    assert status != 0
    assert str(weir.port) in said


def test_pgbouncers_own_section_and_unused_keys(make_weir):
    weir = make_weir(start=False)
    text = weir.ini.read_text().replace("[pgweir]", "[pgbouncer]")
    text += "pkt_buf = 4096\nsbuf_loopcnt = 5\nso_reuseport = 1\n"
    text = "; a comment\n# another\n" + text
    write_file(weir.ini, text)
    weir.start()
    assert "pkt_buf" in weir.log()
    with weir.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_include_quoted_names_and_the_star(cluster, make_weir):
    weir = make_weir(start=False)
    write_file(weir.dir / "more.ini",
               '"odd name" = %s\n' % weir.node_line())
    text = weir.ini.read_text().replace(
        "[databases]\n", "[databases]\n%%include %s\n* = host=127.0.0.1:%d\n"
        % (weir.dir / "more.ini", cluster.ports["primary"]))
    write_file(weir.ini, text)
    weir.start(ready=False)
    wait_for(weir.listens, 10, "listening")
    for name, real in (("app", "app"), ("odd name", "app"),
                       ("postgres", "postgres")):
        with Wire(weir.port) as conn:
            conn.login(database=name)
            assert conn.value("SELECT current_database()") == real
    with Wire(weir.port) as conn:
        try:
            conn.login(database="no_such_database")
            said = conn.send(b"Q\0\0\0\x0dSELECT 1\0").until_closed()
            fields = [m.fields for m in said if m.type == "E"][0]
        except LoginError as error:
            fields = error.message.fields
        assert fields["C"] == "3D000"
    wait_for(lambda: weir.http("/readyz")[0] == 200, 10, "ready")


def test_long_and_odd_values_arrive_whole(cluster, make_weir):
    """Longer than inih's line, with every sign that ends a value."""
    password = "a b;c #d 'e \\f \"g=" + "x" * 400 + " ; end"
    cluster.sql("DROP ROLE IF EXISTS cfg_long")
    with cluster.connect() as conn:
        conn.execute(psycopg.sql.SQL("CREATE ROLE cfg_long LOGIN PASSWORD {}"
                                     ).format(psycopg.sql.Literal(password)))
    cluster.position()
    cluster.set_hba(["host all cfg_long samenet scram-sha-256"])
    weir = make_weir(start=False, nodes=("primary",))
    weir.databases = {"app": weir.node_line(
        user="cfg_long", password="'%s'" % password.replace("'", "''"))}
    weir.settings["monitor_user"] = "postgres"
    weir.write_ini()
    weir.start()
    with weir.connect() as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("cfg_long",)
    cluster.set_hba([])


def test_an_address_may_be_a_bare_ipv6_or_carry_its_port(cluster, make_weir):
    weir = make_weir(start=False)
    weir.databases = {"app": "host=localhost:%d,127.0.0.1:%d dbname=app"
                      % (cluster.ports["primary"], cluster.ports["replica"])}
    weir.write_ini()
    weir.start()
    with weir.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    weir.databases = {"app": "host=::1,127.0.0.1 port=%d dbname=app"
                      % cluster.ports["primary"]}
    weir.write_ini()
    status, said = run("--check", weir.ini)
    assert "[::1]:%d" % cluster.ports["primary"] in said or "::1" in said


def test_unix_sockets_on_both_sides(make_weir, cluster):
    weir = make_weir(start=False, nodes=("primary",))
    weir.settings["unix_socket_dir"] = weir.dir
    weir.write_ini()
    weir.start()
    path = weir.dir / (".s.PGSQL.%d" % weir.port)
    wait_for(path.exists, 5, "the socket's file")
    with psycopg.connect("host=%s port=%d user=app dbname=app"
                         % (weir.dir, weir.port)) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    second = make_weir(start=False, nodes=("primary",))
    second.databases = {"app": "host=%s port=%d dbname=app"
                        % (weir.dir, weir.port)}
    second.write_ini()
    second.start(ready=False)
    wait_for(second.listens, 10, "listening")
    with second.connect(connect_timeout=10) as conn:
        assert conn.execute("SELECT 2").fetchone() == (2,)
    second.stop()
    weir.stop()
    assert not path.exists()


# Reload.

@pytest.mark.tsan
def test_reload_of_a_bad_file_changes_nothing(make_weir):
    weir = make_weir()
    good = weir.ini.read_text()
    with weir.connect() as conn:
        for bad in (good.replace("pool_mode", "pol_mode"),
                    good.replace("[databases]", "[databases"),
                    good.replace("default_pool_size = 10",
                                 "default_pool_size = lots")):
            at = len(weir.log())
            write_file(weir.ini, bad)
            weir.hup()
            assert conn.execute("SELECT 1").fetchone() == (1,)
            assert str(weir.ini) in weir.log()[at:]
            wait_for(lambda: weir.metric(
                "pgweir_config_last_reload_successful") == 0, 5, "a zero")
        os.rename(weir.ini, str(weir.ini) + ".away")
        weir.hup()
        assert conn.execute("SELECT 1").fetchone() == (1,)
        write_file(weir.ini, good)
        weir.hup()
        wait_for(lambda: weir.metric(
            "pgweir_config_last_reload_successful") == 1, 5, "a one")
        assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.tsan
def test_pool_size_changes_live(cluster, make_weir):
    weir = make_weir({"default_pool_size": 1, "workers": 2},
                     nodes=("primary",))
    conns = [weir.connect() for _ in range(5)]
    pids = [c.execute("SELECT pg_backend_pid()").fetchone()[0]
            for c in conns]
    assert len(set(pids)) == 1
    weir.reload({"default_pool_size": 4})
    for conn in conns[:4]:
        conn.execute("BEGIN")
        conn.execute("SELECT 1")
    assert cluster.backends() == 4
    weir.reload({"default_pool_size": 2})
    for conn in conns[:4]:
        conn.execute("COMMIT")
    wait_for(lambda: cluster.backends() <= 2, 10, "the pool to shrink")
    for conn in conns:
        assert conn.execute("SELECT 7").fetchone() == (7,)
        conn.close()


def test_pool_size_grows_for_who_waits_already(make_weir):
    weir = make_weir({"default_pool_size": 1}, nodes=("primary",))
    with weir.connect() as holder, Wire(weir.port) as waiter:
        holder.execute("BEGIN")
        holder.execute("SELECT 1")
        waiter.login()
        waiter.send(b"Q\0\0\0\x0dSELECT 1\0")
        time.sleep(0.2 * SLOW)
        weir.reload({"default_pool_size": 2})
        assert waiter.until()[-1].type == "Z"


@pytest.mark.tsan
def test_nodes_change_live(cluster, make_weir):
    weir = make_weir({"read_after_write_window": 0}, nodes=("primary",))
    both = dict(weir.databases)
    weir.nodes = ("primary", "replica")
    both["app"] = weir.node_line()
    alone = dict(weir.databases)
    with weir.connect() as conn:
        def reads_on(node):
            tag = cluster.fresh()
            conn.execute("SELECT 1 AS %s" % tag)
            return cluster.calls(tag)[node] > 0
        assert reads_on("primary")
        weir.reload(databases=both)
        weir.wait_nodes(2)
        wait_for(lambda: reads_on("replica"), 10,
                 "reads on the node that came")
        weir.reload(databases=alone)
        weir.wait_nodes(1)
        tag = cluster.fresh()
        for _ in range(20):
            conn.execute("SELECT 1 AS %s" % tag)
        assert cluster.calls(tag) == {"primary": 20, "replica": 0}
        wait_for(lambda: cluster.backends("replica") == 0, 10,
                 "connections to the node that left to close")


@pytest.mark.tsan
def test_reload_under_load(cluster, make_weir):
    """Fifty reloads while clients work; nobody is dropped."""
    weir = make_weir({"default_pool_size": 5, "workers": 2})
    bench = subprocess.Popen(
        ["pgbench", "-n", "-c", "16", "-T", str(int(4 * SLOW)), "-f",
         write_file(weir.dir / "one.sql",
                    "SELECT 1;\nBEGIN;\nSELECT 2;\nEND;\n", 0o644),
         weir.dsn()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    for number in range(50):
        weir.settings["default_pool_size"] = 3 + number % 5
        weir.settings["query_wait_timeout"] = 60 + number
        weir.write_ini()
        weir.signal(1)
        time.sleep(0.05 * SLOW)
    said, _ = bench.communicate(timeout=60 * SLOW)
    assert bench.returncode == 0, said[-2000:]


def test_databases_come_and_go(make_weir):
    weir = make_weir(nodes=("primary",))
    line = weir.databases["app"]
    with weir.connect() as conn:
        with pytest.raises(psycopg.OperationalError):
            weir.connect(dbname="later")
        weir.reload(databases={"app": line, "later": line})
        with weir.connect(dbname="later") as later:
            assert later.execute("SELECT 1").fetchone() == (1,)
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_equal_logins_follow_what_changes(cluster, make_weir):
    """What is kept of a startup packet goes with the configuration, what is
    kept of a greeting when the servers greet otherwise."""
    weir = make_weir({"workers": 1}, nodes=("primary",))

    def zone():
        with Wire(weir.port) as conn:
            conn.login(application_name="kept")
            assert conn.parameters["application_name"] == "kept"
            shown = conn.parameters["TimeZone"]
            assert conn.value("SHOW timezone") == shown
            return shown
    usual = [zone() for _ in range(3)]
    assert len(set(usual)) == 1
    line = weir.databases["app"]
    weir.reload(databases={"app": line + " timezone=Asia/Tokyo"})
    assert [zone() for _ in range(3)] == ["Asia/Tokyo"] * 3
    weir.reload(databases={"app": line})
    assert [zone() for _ in range(3)] == usual
    try:
        with weir.connect(user="postgres") as conn:
            conn.execute("ALTER ROLE app SET timezone = 'Asia/Tokyo'")
        assert [zone() for _ in range(3)] == ["Asia/Tokyo"] * 3
    finally:
        cluster.sql("ALTER ROLE app RESET timezone")


def test_login_that_lasts_longer_than_the_configuration(make_weir):
    """What was read in its packet was read for the old one: it is not kept
    for those who come later."""
    weir = make_weir({"workers": 1, "auth_type": "md5"}, nodes=("primary",),
                     auth_file={"app": "secret"})
    line = weir.databases["app"]
    with Wire(weir.port) as slow:
        slow.send(startup_packet("app", "app"))
        time.sleep(0.2 * SLOW)
        weir.reload(databases={"app": line + " timezone=Asia/Tokyo"})
        slow.authenticate("app", "secret")
        for _ in range(2):
            with Wire(weir.port) as conn:
                conn.login(password="secret")
                assert conn.parameters["TimeZone"] == "Asia/Tokyo"


def test_new_passwords_by_reload(make_weir):
    weir = make_weir({"auth_type": "scram-sha-256"}, nodes=("primary",),
                     auth_file={"app": "first"})
    with Wire(weir.port) as conn:
        conn.login(password="first")
        weir.write_auth_file({"app": "second"})
        weir.hup()
        with Wire(weir.port) as other:
            with pytest.raises(LoginError):
                other.login(password="first")
        with Wire(weir.port) as other:
            other.login(password="second")
            assert other.value("SELECT 1") == "1"
        assert conn.value("SELECT 1") == "1"
