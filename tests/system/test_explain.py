"""Why a statement goes where it goes: EXPLAIN ROUTE, SHOW ROUTES, NODES."""
import time

import psycopg
import pytest

from harness import SLOW, wait_for

pytestmark = pytest.mark.own


class Console:
    def __init__(self, weir, user="postgres"):
        self.conn = weir.connect("pgweir", user)

    def rows(self, command):
        cursor = self.conn.execute(command)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def explain(self, statement, on=""):
        (row,) = self.rows("EXPLAIN ROUTE %s%s" % (on, statement))
        return row


@pytest.fixture(scope="module")
def tables(cluster):
    for statement in (
            "CREATE TABLE explained (id int PRIMARY KEY, v text)",
            "INSERT INTO explained SELECT g, 'v' FROM generate_series(1, 9) g",
            "CREATE UNLOGGED TABLE explained_un (id int)",
            "CREATE FUNCTION explained_fn() RETURNS int LANGUAGE sql AS"
            " 'SELECT 1'"):
        cluster.sql(statement, user="app")
    cluster.position()
    yield
    for statement in ("DROP TABLE explained, explained_un",
                      "DROP FUNCTION explained_fn()"):
        cluster.sql(statement, user="app")


@pytest.fixture
def console(weir, tables):
    """Once a client was there, so that the catalog is read."""
    with weir.connect() as conn:
        conn.execute("SELECT 1")
    found = Console(weir)
    wait_for(lambda: found.explain("SELECT v FROM explained")["target"]
             == "replica", 10, "the catalog")
    yield found
    found.conn.close()


@pytest.mark.parametrize("sql,target,kind,reason,words", [
    ("SELECT v FROM explained WHERE id = 1", "replica", "read",
     "autocommit_read", "nothing"),
    ("WITH a AS (SELECT 1) TABLE a;", "replica", "read", "autocommit_read",
     "nothing"),
    ("BEGIN READ ONLY", "replica", "none", "read_only_txn", "nothing"),
    ("UPDATE explained SET v = 'x'", "primary", "write", "write", "writes"),
    ("SELECT * FROM explained FOR UPDATE", "primary", "write", "write",
     "FOR UPDATE"),
    ("SELECT explained_fn()", "primary", "write", "unsafe_fn",
     "explained_fn() may be declared STABLE"),
    ("SELECT * FROM explained_un", "primary", "write", "catalog",
     "explained_un unlogged"),
    ("SELECT * FROM nowhere", "primary", "unknown", "catalog",
     "nowhere RELOAD"),
    ("SELECT * FROM pg_stat_activity", "primary", "unknown", "catalog",
     "pg_stat_activity about itself"),
    ("/* pgweir: primary */ SELECT 1", "primary", "read", "hint",
     "pgweir: primary"),
    ("BEGIN", "primary", "none", "unknown", "transaction"),
    ("not a statement (", "primary", "unknown", "unknown", ""),
])
def test_explain_route(console, cluster, sql, target, kind, reason, words):
    row = console.explain(sql)
    assert (row["target"], row["class"], row["reason"]) == (target, kind,
                                                            reason), row
    assert row["node"] == "127.0.0.1:%d" % cluster.ports[target]
    for word in words.split():
        assert word in row["detail"] + " " + row["change"], row


def test_explain_is_what_happens(weir, console, cluster):
    """The answer, and where the same text runs."""
    with weir.connect() as conn:
        for n, sql in enumerate((
                "SELECT v AS %s FROM explained", "SELECT explained_fn() AS %s",
                "SELECT count(*) AS %s FROM explained WHERE id > 3",
                "SELECT id AS %s FROM explained FOR SHARE",
                "DELETE FROM explained WHERE v = 'w' RETURNING id AS %s")):
            tag = cluster.fresh()
            told = console.explain(sql % tag)["target"]
            conn.execute(sql % tag)
            ran = [node for node, calls in cluster.calls(tag).items() if calls]
            assert ran == [told], (n, sql)


def test_explain_behind_ddl(weir, console, cluster):
    """Until the catalog is read again, reads stay on the primary; two loads
    are 0.3 s apart, so DDL behind one is early enough, mostly at the first
    try."""
    read = "SELECT id AS %s FROM explained"

    def is_known():
        return console.explain(read % "x")["target"] == "replica"

    def finds_old():
        wait_for(is_known, 15 * SLOW, "the catalog")
        conn.execute("CREATE OR REPLACE VIEW explained_v AS SELECT 1 AS a")
        tag = cluster.fresh()
        before = console.explain(read % "x")
        conn.execute(read % tag)
        after = console.explain(read % "x")
        if {before["reason"], after["reason"]} != {"catalog"}:
            return False
        assert (before["target"], before["class"]) == ("primary", "read")
        assert "DDL" in before["change"], before
        assert cluster.calls(tag) == {"primary": 1, "replica": 0}
        return True

    with weir.connect() as conn:
        wait_for(finds_old, 40 * SLOW, "the moment behind DDL")
        conn.execute("DROP VIEW explained_v")
        # What writes is not told to wait.
        assert "DDL" not in console.explain("DELETE FROM explained")["change"]
        wait_for(is_known, 15 * SLOW, "the catalog")


def test_explain_route_needs_to_know_where(weir, make_weir, tables):
    two = make_weir(databases={"app": weir.node_line(),
                               "other": weir.node_line()})
    console = Console(two)
    assert console.explain("SELECT 1", "ON other ")["class"] == "read"
    assert console.explain("SELECT 1", 'on "app" ')["class"] == "read"
    for command, state in (("EXPLAIN ROUTE SELECT 1", "42601"),
                           ("EXPLAIN ROUTE ON nowhere SELECT 1", "3D000"),
                           ("EXPLAIN ROUTE ON app", "42601"),
                           ("EXPLAIN ROUTE ON", "42601")):
        with pytest.raises(psycopg.Error) as error:
            console.conn.execute(command)
        assert error.value.sqlstate == state, command
    console.conn.close()


def test_explain_names_what_replicas_lack(make_weir, tables, cluster):
    weir = make_weir(nodes=("primary",))
    console = Console(weir)
    row = console.explain("SELECT 1")
    assert (row["target"], row["reason"]) == ("primary", "split_off")
    assert "more than one host" in row["change"]
    weir.reload(databases={
        "app": "host=127.0.0.1:%d,127.0.0.1:1 dbname=app"
        % cluster.ports["primary"]})
    row = wait_for(lambda: [r for r in [console.explain("SELECT 1")]
                            if r["reason"] != "split_off"], 10, "a node")[0]
    assert (row["target"], row["reason"]) == ("primary", "no_replica")
    assert "127.0.0.1:1 is not reached yet" in row["change"]
    weir.reload(databases={"app": weir.databases["app"] +
                           " consistency=primary"})
    assert "consistency = primary" in console.explain("SELECT 1")["change"]
    console.conn.close()


def test_show_routes(weir, console):
    with weir.connect(prepare_threshold=None) as conn:
        for key in range(30):
            conn.execute("SELECT v FROM explained WHERE id = %d" % key)
        with conn.transaction():
            for key in range(10):
                conn.execute("SELECT v FROM explained WHERE id = %s", (key,))
        for key in range(5):
            conn.execute("UPDATE explained SET v = 'secret' WHERE id = 1")
    rows = {row["statement"]: row for row in console.rows("SHOW ROUTES")}
    read = rows["select v from explained where id = ?"]
    assert (read["class"], read["count"], read["repeats"]) == ("read", 40, 0)
    assert float(read["replica_percent"]) == 75.0
    assert read["kept_by"] == "in_txn"
    assert 0 < read["mean_us"] and 0 < read["p99_us"]
    write = rows["update explained set v = ? where id = ?"]
    assert (write["class"], write["count"]) == ("write", 5)
    assert float(write["replica_percent"]) == 0.0
    assert not any("secret" in text for text in rows)
    first = console.rows("SHOW ROUTES 1")
    assert [row["count"] for row in first] == [max(
        row["count"] for row in rows.values())]
    with pytest.raises(psycopg.Error):
        console.conn.execute("SHOW ROUTES many")


def test_prepared_statements_are_counted(weir, console):
    with weir.connect(prepare_threshold=0) as conn:
        for key in range(25):
            conn.execute("SELECT id FROM explained WHERE v = %s", (str(key),))
    rows = {row["statement"]: row for row in console.rows("SHOW ROUTES")}
    assert rows["select id from explained where v = ?"]["count"] == 25


def test_show_nodes(weir, console, cluster):
    with weir.connect() as conn:
        for _ in range(10):
            conn.execute("SELECT v FROM explained")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO explained VALUES (1000, 'x')")
        rows = {row["node"]: row for row in console.rows("SHOW NODES")}
        conn.execute("ROLLBACK")
    primary, replica = (rows["127.0.0.1:%d" % cluster.ports[node]]
                        for node in ("primary", "replica"))
    assert (primary["role"], primary["state"]) == ("primary", "primary")
    assert (replica["role"], replica["state"]) == ("replica", "ok")
    assert primary["outstanding"] == 1
    assert replica["reads"] >= 10 and replica["response_us"] > 0
    assert (replica["weight"], replica["backup"]) == ("1", "no")
    assert float(replica["lag_ms"]) == replica["lag_us"] / 1000
    ports = cluster.ports
    weir.reload(databases={
        "app": weir.node_line() + " weight=1,5 backup=127.0.0.1:%d"
        % ports["replica"],
        "other": weir.node_line() + " weight=1,2"})
    time.sleep(0.2 * SLOW)
    rows = {row["port"]: row for row in console.rows("SHOW NODES")}
    assert rows[ports["primary"]]["weight"] == "1"
    assert rows[ports["replica"]]["weight"] == "by database"


def test_help_lists_them(console):
    notices = []
    console.conn.add_notice_handler(
        lambda notice: notices.append(notice.message_detail))
    console.conn.execute("SHOW HELP")
    for command in ("EXPLAIN ROUTE [ON <db>] <statement>",
                    "SHOW ROUTES [<count>]", "SHOW NODES"):
        assert command in notices[0]
