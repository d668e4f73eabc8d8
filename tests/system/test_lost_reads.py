"""Reads whose replica is lost at a certain message of their answer."""
import pytest

from gate import Gate
from harness import SLOW, Pgweir, wait_for
from wire import (Closed, Wire, bind, close, describe, execute, flush,
                  one_query, parse, query, sync)

pytestmark = pytest.mark.own

READ = "SELECT v FROM lost_t WHERE id = 1"
MANY = "SELECT v FROM lost_t"  # some kilobytes, in many messages
LONG = "SELECT repeat(v, 100) FROM lost_t"


@pytest.fixture(scope="module")
def table(cluster):
    with cluster.connect(user="app") as conn:
        conn.execute("DROP TABLE IF EXISTS lost_t")
        conn.execute("CREATE TABLE lost_t (id int PRIMARY KEY, v text)")
        conn.execute("INSERT INTO lost_t SELECT g, 'v' || g"
                     " FROM generate_series(1, 200) g")
    cluster.position()


@pytest.fixture(scope="module")
def gate(cluster):
    with Gate(cluster.ports["replica"]) as gate:
        yield gate


@pytest.fixture(scope="module")
def gated(binary, cluster, gate, table):
    """A pgweir whose replica stands behind the gate."""
    line = "host=127.0.0.1:%d,127.0.0.1:%d dbname=app" % (
        cluster.ports["primary"], gate.port)
    with Pgweir(cluster, binary=binary, databases={"app": line}) as weir:
        yield weir


@pytest.fixture
def wire(gated, gate):
    """A client of it that reads from the replica."""
    gate.rule = None

    def reads():
        return gated.metric("pgweir_queries_total", role="replica",
                            **{"class": "read"}) or 0
    with Wire(gated.port, timeout=20 * SLOW) as wire:
        wire.login()

        def is_on_replica():
            before = reads()
            wire.query(READ)
            return reads() > before
        wait_for(is_on_replica, 15, "reads on the replica")
        yield wire


@pytest.fixture
def named(cluster):
    """A read that no server has prepared yet, in a batch that names it."""
    return (one_query("%s /* %s */" % (READ, cluster.fresh()), name="n")
            + sync())


def kinds(messages):
    return "".join(m.type for m in messages)


def values(messages):
    return [m.values[0] for m in messages if m.type == "D"]


@pytest.mark.parametrize("side,kind", [
    ("client", "P"), ("client", "B"), ("client", "S"), ("server", "1"),
    ("server", "2"), ("server", "T"), ("server", "D"), ("server", "C")])
def test_batch_that_prepares_a_name(wire, gate, named, side, kind):
    """Its replica is lost in front of any message: the client hears nothing,
    and the name is there."""
    gate.cut(side, kind)
    told = wire.send(named).until("ZE")
    assert gate.fired == 1
    assert kinds(told) == "12TDCZ" and values(told) == [b"v1"]
    told = wire.send(bind(name="n"), execute(), sync()).until("ZE")
    assert kinds(told) == "2DCZ"
    told = wire.send(parse(READ, "n"), sync()).until("Z")
    assert kinds(told) == "EZ" and told[0].sqlstate == "42P05"


def test_name_that_is_known_already(wire, gate, named):
    """ParseComplete is pgweir's own, and is not said twice."""
    assert kinds(wire.send(named).until()) == "12TDCZ"
    assert kinds(wire.send(close("S", "n"), sync()).until()) == "3Z"
    gate.cut("server", "T")
    assert kinds(wire.send(named).until("ZE")) == "12TDCZ"
    assert gate.fired == 1 and "P" not in gate.sent


@pytest.mark.parametrize("kind", "12D")
def test_prepared_by_itself(wire, gate, cluster, kind):
    """As libpq does: Parse and Sync, then Bind."""
    gate.cut("server", kind)
    text = "%s /* %s */" % (READ, cluster.fresh())
    assert kinds(wire.send(parse(text, "n"), describe("S", "n"), sync())
                 .until("ZE")) == "1tTZ"
    assert kinds(wire.send(bind(name="n"), execute(), sync())
                 .until("ZE")) == "2DCZ"
    assert gate.fired == 1


@pytest.mark.parametrize("kind", "1tT2DC")
def test_prepared_in_front_of_a_flush(wire, gate, cluster, kind):
    """As asyncpg does: Parse, Describe, Flush; then Bind, Execute, Sync."""
    gate.cut("server", kind)
    text = "%s /* %s */" % (READ, cluster.fresh())
    assert kinds(wire.send(parse(text, "n"), describe("S", "n"), flush())
                 .until("TnE")) == "1tT"
    assert kinds(wire.send(bind(name="n"), execute(), sync())
                 .until("ZE")) == "2DCZ"
    assert gate.fired == 1


def test_flush_that_fails(wire, gate):
    """What stands behind it is skipped, up to the Sync."""
    told = wire.send(parse("SELECT nothing FROM lost_t", "n"),
                     describe("S", "n"), flush()).until("E")
    assert kinds(told) == "E" and told[0].sqlstate == "42703"
    told = wire.send(bind(name="n"), execute(), sync()).until("Z")
    assert kinds(told) == "Z"
    told = wire.send(parse("SELECT nothing FROM lost_t"), flush(), bind(),
                     execute(), sync(), one_query(READ), sync())
    assert kinds(told.until("Z") + told.until("Z")) == "EZ12TDCZ"


def test_flush_with_more_behind_it(wire, gate):
    gate.cut("server", "2")
    told = wire.send(parse(READ, "n"), flush(), bind(name="n"), execute(),
                     sync()).until("Z")
    assert kinds(told) == "12DCZ"
    told = wire.send(parse(READ), flush(), sync()).until("Z")
    assert kinds(told) == "1Z"


def test_lost_between_flush_and_bind(wire, gate):
    """Nothing is under way then."""
    assert kinds(wire.send(parse(READ), describe("S"), flush())
                 .until("TE")) == "1tT"
    gate.cut("client", "B")
    assert kinds(wire.send(bind(), execute(), sync()).until("ZE")) == "2DCZ"
    assert gate.fired == 1


@pytest.mark.parametrize("side,kind,skip", [("client", "S", 0),
                                            ("server", "Z", 0)])
def test_lost_behind_a_flush(wire, gate, cluster, side, kind, skip):
    """The Sync behind the part is pgweir's own."""
    text = "%s /* %s */" % (READ, cluster.fresh())
    gate.cut(side, kind, skip)
    assert kinds(wire.send(parse(text, "n"), describe("S", "n"), flush())
                 .until("TE")) == "1tT"
    wait_for(lambda: gate.fired, 10, "the loss")
    assert kinds(wire.send(bind(name="n"), execute(), sync())
                 .until("ZE")) == "2DCZ"


@pytest.mark.parametrize("skip", range(3))
def test_pipeline(wire, gate, skip):
    """Units that are answered are not done again, the others are."""
    gate.cut("server", "D", skip)
    wire.send(one_query(READ, name="a"), sync(), one_query(READ), sync(),
              one_query(READ, name="c"), sync(), bind(name="a"), execute(),
              sync())
    told = [m for _ in range(4) for m in wire.until("Z")]
    assert kinds(told) == 3 * "12TDCZ" + "2DCZ"
    assert gate.fired == 1


@pytest.mark.parametrize("side,kind,skip", [
    ("server", "D", 0), ("server", "D", 1), ("server", "C", 2),
    ("server", "Z", 0), ("client", "E", 2)])
def test_several_reads_in_a_batch(wire, gate, side, kind, skip):
    gate.cut(side, kind, skip)
    told = wire.send(one_query(READ, name="a"), one_query(READ),
                     one_query(READ, name="c"), sync()).until("Z")
    assert kinds(told) == 3 * "12TDC" + "Z"
    assert gate.fired == 1


def test_names_are_as_they_were(wire, gate):
    """The batch begins anew with the names that it began with."""
    other = "SELECT v FROM lost_t WHERE id = 2"
    assert kinds(wire.send(parse(READ, "n"), parse(READ), sync())
                 .until()) == "11Z"
    gate.cut("server", "D", 2)
    told = wire.send(bind(name="n"), execute(), bind(), execute(),
                     close("S", "n"), parse(other, "n"), parse(other),
                     bind(name="n"), execute(), bind(), execute(), sync()
                     ).until("ZE")
    assert gate.fired == 1
    assert kinds(told) == "2DC2DC3112DC2DCZ"
    assert values(told) == [b"v1", b"v1", b"v2", b"v2"]
    told = wire.send(bind(name="n"), execute(), sync()).until()
    assert values(told) == [b"v2"]


@pytest.mark.parametrize("side,kind", [
    ("client", "P"), ("server", "1"), ("server", "2"), ("server", "D")])
def test_prepared_on_demand(wire, gate, named, side, kind):
    """The replica has not the statement yet, and is lost under it."""
    wire.query("BEGIN")
    assert kinds(wire.send(named).until()) == "12TDCZ"
    wire.query("COMMIT")
    gate.cut(side, kind)
    told = wire.send(bind(name="n"), execute(), sync()).until("ZE")
    assert gate.fired == 1 and kinds(told) == "2DCZ"


@pytest.mark.parametrize("sent", [query(MANY), one_query(MANY, name="n")
                                  + sync()])
def test_answer_that_has_begun(wire, gate, sent):
    """What is short is held until it is whole."""
    gate.cut("server", "D", 150)
    told = wire.send(sent).until("ZE")
    assert gate.fired == 1
    assert len(values(told)) == 200 and kinds(told).endswith("DCZ")


def test_answer_too_long_to_hold(wire, gate):
    """Its rows are passed on as they come; none of them comes twice."""
    gate.cut("server", "D", 199)
    wire.send(query(LONG))
    told = []
    with pytest.raises(Closed):
        while True:
            told.append(wire.recv())
    assert gate.fired == 1
    assert told[-1].type == "E" and told[-1].sqlstate == "08006"
    assert len(values(told)) == 199


def test_error_is_told_once(wire, gate):
    """An error that is the client's own, then the loss."""
    gate.cut("server", "Z", 0)
    wire.send(query("SELECT 1 / (id - 1) FROM lost_t"))
    told = wire.recv()
    while told.type != "E":
        told = wire.recv()
    assert told.sqlstate == "22012"


@pytest.mark.parametrize("begin", ["BEGIN READ ONLY", "START TRANSACTION READ"
                                   " ONLY, ISOLATION LEVEL READ COMMITTED"])
@pytest.mark.parametrize("skip", range(3))
def test_read_only_transaction(wire, gate, begin, skip):
    """At READ COMMITTED it goes on on the primary."""
    assert kinds(wire.query(begin)) == "CZ"
    gate.cut("server", "D", skip)
    for _ in range(3):
        assert kinds(wire.query(READ)) == "TDCZ" and wire.status == "T"
    assert gate.fired == 1
    told = wire.query("INSERT INTO lost_t VALUES (1000, 'x')")
    assert told[0].sqlstate == "25006"
    assert kinds(wire.query("COMMIT")) == "CZ"


def test_snapshot_that_is_lost(wire, gate):
    """What one snapshot has shown another one must not go on with."""
    wire.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    gate.cut("server", "D", 1)
    assert kinds(wire.query(READ)) == "TDCZ"
    wire.send(query(READ))
    told = wire.until_closed()
    assert gate.fired == 1
    assert told[-1].type == "E" and told[-1].sqlstate == "08006"


def test_node_that_hangs(cluster, table, make_weir):
    """Nothing comes from it any more, and nothing tells why: what waits is
    done elsewhere when the monitor gives it up."""
    with Gate(cluster.ports["replica"]) as gate:
        weir = make_weir({"monitor_timeout": 1 * SLOW, "workers": 1},
                         start=False)
        weir.databases = {"app": "host=127.0.0.1:%d,127.0.0.1:%d dbname=app"
                          % (cluster.ports["primary"], gate.port)}
        weir.write_ini()
        weir.start()
        conns = [Wire(weir.port, timeout=30 * SLOW) for _ in range(4)]
        for conn in conns:
            conn.login()

        def is_on_replica():
            conns[0].query(READ)
            return weir.metric("pgweir_queries_total", role="replica",
                               **{"class": "read"})
        wait_for(is_on_replica, 15, "reads on the replica")
        plain, named, between, within = conns
        for conn in (between, within):
            conn.query("BEGIN READ ONLY")
            assert kinds(conn.query(READ)) == "TDCZ"
        gate.freeze()
        plain.send(query(READ))
        named.send(one_query(READ, name="n"), sync())
        within.send(query(READ))
        assert kinds(plain.until("ZE")) == "TDCZ"
        assert kinds(named.until("ZE")) == "12TDCZ"
        assert kinds(within.until("ZE")) == "TDCZ"
        assert kinds(between.query(READ)) == "TDCZ"
        for conn in conns:
            conn.close()
