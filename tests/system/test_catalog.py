"""When the catalog of a database is read, and from which node."""
import time

import psycopg
import pytest

from harness import SLOW, wait_for, write_file

pytestmark = pytest.mark.own

ASKED = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements" \
        " WHERE query LIKE '%%pg_db_role_setting%%'" \
        " AND query LIKE '%%unnest(s.setconfig)%%'"


@pytest.fixture(scope="module")
def table(cluster):
    cluster.sql("DROP TABLE IF EXISTS ct_t")
    cluster.sql("CREATE TABLE ct_t AS SELECT 1 AS id")
    cluster.sql("GRANT ALL ON ct_t TO app")
    cluster.position()


def knows(weir, name):
    wait_for(lambda: "catalog db=%s (" % name in weir.log(), 10 * SLOW,
             "the catalog of " + name)


def reads_on(cluster, weir, dbname="app"):
    """The nodes on which a client's very first statement ran."""
    tag = cluster.fresh()
    with weir.connect(dbname) as conn:
        conn.execute("SELECT id AS %s FROM ct_t" % tag)
    return [node for node, count in cluster.calls(tag).items() if count]


def asked(cluster, node):
    return cluster.value(ASKED, node=node)


def test_first_read_is_split(cluster, table, make_weir):
    weir = make_weir()
    knows(weir, "app")
    assert reads_on(cluster, weir) == ["replica"]
    assert not weir.metric("pgweir_routed_total", reason="catalog")


def test_after_reload(cluster, table, make_weir):
    weir = make_weir()
    knows(weir, "app")
    weir.reload(databases={**weir.databases, "other": weir.node_line("app")})
    knows(weir, "other")
    assert reads_on(cluster, weir, "other") == ["replica"]


def test_not_of_a_star(cluster, table, make_weir):
    weir = make_weir(databases={"*": "host=127.0.0.1:%d,127.0.0.1:%d" % (
        cluster.ports["primary"], cluster.ports["replica"])})
    assert "catalog db=" not in weir.log()
    weir.connect().close()
    knows(weir, "app")


def test_logins_do_not_wait(cluster, table, make_weir):
    """Lines whose database cannot be read, and many of them."""
    lines = {"none%d" % i: "host=127.0.0.1:%d dbname=ct_none%d" % (
        cluster.ports["primary"], i) for i in range(40)}
    weir = make_weir(databases={**lines, "app": "host=127.0.0.1:%d,127.0.0.1"
                                ":%d" % tuple(cluster.ports.values())})
    with weir.connect() as conn:
        assert conn.execute("SELECT id FROM ct_t").fetchone() == (1,)


def test_replica_is_asked(cluster, table, make_weir):
    weir = make_weir({"catalog_refresh": 0.3})
    knows(weir, "app")  # it may have been asked before the replica was known
    cluster.fresh()
    wait_for(lambda: asked(cluster, "replica") >= 3, 10 * SLOW, "loads")
    assert asked(cluster, "primary") == 0


def test_late_replica_is_not_asked(cluster, table, make_weir):
    """DDL that the replica has not replayed is found on the primary; once it
    has, the same load goes to the replica."""
    weir = make_weir({"max_replica_lag": 3600})
    knows(weir, "app")
    cluster.sql("CREATE OR REPLACE FUNCTION ct_f() RETURNS int LANGUAGE sql"
                " STABLE AS 'SELECT 1'")
    cluster.position()

    def redefine(volatility):
        with weir.connect(user="postgres") as conn:
            conn.execute("ALTER FUNCTION ct_f() " + volatility)

    cluster.value("SELECT pg_wal_replay_pause()", node="replica")
    try:
        cluster.fresh()
        redefine("VOLATILE")
        wait_for(lambda: asked(cluster, "primary") > 0, 10 * SLOW, "a load")
        assert asked(cluster, "replica") == 0
    finally:
        cluster.value("SELECT pg_wal_replay_resume()", node="replica")
    cluster.position()

    def is_asked_now():
        """A busy machine may be late by itself: more than one try."""
        redefine("STABLE")
        time.sleep(0.5 * SLOW)
        return asked(cluster, "replica") > 0

    wait_for(is_asked_now, 20 * SLOW, "a load from the replica")


def swap(cluster):
    """The replica is promoted, and what was the primary follows it."""
    cluster.stop("primary", "fast")
    cluster.promote()
    ports = ["port=%d" % cluster.ports[n] for n in ("primary", "replica")]
    way = (cluster.dir / "replica" / "postgresql.auto.conf").read_text()
    write_file(cluster.dir / "primary" / "postgresql.auto.conf",
               way.replace(*ports).replace("primary_slot_name", "# slot"))
    write_file(cluster.dir / "primary" / "standby.signal", "")


def test_after_promotion(own_cluster, make_weir):
    """The new primary's catalog decides: of what was altered behind pgweir's
    back it hears then."""
    own_cluster.sql("CREATE TABLE ct_t AS SELECT 1 AS id")
    own_cluster.sql("GRANT SELECT ON ct_t TO app")
    own_cluster.sql("CREATE FUNCTION ct_f() RETURNS int LANGUAGE sql STABLE"
                    " AS 'SELECT 1'")
    own_cluster.position()
    weir = make_weir({"verbose": 1}, cluster=own_cluster)
    knows(weir, "app")

    def ran_on(sql):
        tag = own_cluster.fresh()
        with weir.connect() as conn:
            assert conn.execute(sql % tag).fetchone() == (1,)
        return [node for node, count in own_cluster.calls(tag).items()
                if count]

    call, read = "SELECT ct_f() AS %s", "SELECT id AS %s FROM ct_t"
    wait_for(lambda: ran_on(call) == ran_on(read) == ["replica"],
             10 * SLOW, "reads on the replica")
    own_cluster.sql("ALTER FUNCTION ct_f() VOLATILE")
    own_cluster.value("SELECT pg_stat_statements_reset()", node="replica")
    swap(own_cluster)
    wait_for(lambda: asked(own_cluster, "replica") > 0, 15 * SLOW, "a load")
    own_cluster.start("primary")
    wait_for(lambda: ran_on(read) == ["primary"], 20 * SLOW,
             "reads on the new replica")
    assert ran_on(call) == ["replica"]
    with weir.connect(user="postgres") as conn, \
            pytest.raises(psycopg.errors.UndefinedTable):
        conn.execute("SELECT 1 FROM ct_none")
