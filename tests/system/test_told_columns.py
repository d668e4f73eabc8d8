"""What a client was told of a statement's columns holds on every server: if
they have changed, it hears 0A000, as from PostgreSQL, and nothing is run."""
import pytest

from harness import wait_for
from wire import Wire, bind, close, describe, execute, parse, sync

pytestmark = pytest.mark.own

STALE = ("0A000", "cached plan must not change result type",
         "RevalidateCachedQuery")
READ = "SELECT * FROM told"
WRITE = "INSERT INTO told VALUES (1, 2) RETURNING *"


@pytest.fixture
def told(cluster):
    cluster.sql("DROP TABLE IF EXISTS told")
    cluster.sql("CREATE TABLE told (a int, b int)")
    cluster.sql("INSERT INTO told VALUES (1, 2)")
    cluster.sql("ALTER TABLE told OWNER TO app")
    cluster.position()
    yield cluster
    cluster.sql("DROP TABLE told")


@pytest.fixture
def crowd(told, make_weir):
    """pgweir in front of the primary, and two of its clients."""
    weir = make_weir({"workers": 1, "split_reads": 0,
                      "default_pool_size": 4})
    weir.settle()
    with Wire(weir.port) as wire, Wire(weir.port) as other:
        wire.login()
        other.login()
        yield weir, wire, other


def ask(wire, data):
    """Types of the answers; of an error what makes drivers prepare anew."""
    got = [m for m in wire.send(data + sync()).until() if m.type not in "NS"]
    return [tuple(m.fields.get(f) for f in "CMR") if m.type == "E" else m.type
            for m in got]


def run(name="s"):
    return bind([], name) + execute()


def change(wire, kind):
    wire.query("ALTER TABLE told ALTER b SET DATA TYPE %s USING b::%s"
               % (kind, kind))


def elsewhere(weir, count=3):
    """Other clients, in transactions on the servers that were used last."""
    others = [Wire(weir.port) for _ in range(count)]
    for other in others:
        other.login()
        other.query("BEGIN")
        other.query("SELECT txid_current()")
    return others


def leave(others):
    for other in others:
        other.query("COMMIT")
        other.close()


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_columns_have_changed(told, make_weir, mode, split):
    weir = make_weir({"pool_mode": mode, "workers": 1, "split_reads": split,
                      "default_pool_size": 6})
    weir.settle()

    def change_everywhere(wire, kind):
        """A replica that is behind would answer as before."""
        change(wire, kind)
        told.position()

    for port in (told.ports["primary"], weir.port):
        with Wire(port) as wire, Wire(port) as other:
            wire.login()
            other.login()
            ask(wire, parse(READ, "s") + describe("S", "s"))
            ask(wire, parse(WRITE, "w") + describe("S", "w"))
            assert ask(wire, run()) == ["2", "D", "C", "Z"]
            change_everywhere(other, "text")
            for _ in range(2):
                assert ask(wire, run()) == [STALE, "Z"]
                assert ask(wire, run("w")) == [STALE, "Z"]
            assert told.value("SELECT count(*) FROM told") == 1
            wire.query("BEGIN")
            assert ask(wire, run()) == [STALE, "Z"]
            assert ask(wire, run())[0][0] == "25P02"
            wire.query("ROLLBACK")
            # As it was: it can be used as before.
            change_everywhere(other, "int")
            assert ask(wire, run() + run()) \
                == ["2", "D", "C", "2", "D", "C", "Z"]
            # What is prepared now is read by what is told now.
            change_everywhere(other, "text")
            ask(wire, parse(READ, "t") + describe("S", "t"))
            assert ask(wire, run("t")) == ["2", "D", "C", "Z"]
            assert ask(wire, run()) == [STALE, "Z"]
            change_everywhere(other, "int")


def test_on_other_servers(told, crowd):
    """Where it never was before, it is asked for in front of the Bind."""
    weir, wire, _ = crowd
    ask(wire, parse(READ, "s") + describe("S", "s"))
    ask(wire, parse(WRITE, "w") + describe("S", "w"))
    others = elsewhere(weir)
    assert ask(wire, run()) == ["2", "D", "C", "Z"]
    wire.query("BEGIN")
    assert ask(wire, run() + run("w")) == ["2", "D", "C"] * 2 + ["Z"]
    wire.query("ROLLBACK")
    leave(others)
    # Straight on the node: nobody has told pgweir.
    told.sql("ALTER TABLE told ADD c int")
    others = elsewhere(weir)
    assert ask(wire, run("w")) == [STALE, "Z"]
    leave(others)
    assert told.value("SELECT count(*) FROM told") == 1
    # What stands in front in the batch is done, and undone.
    others = elsewhere(weir)
    got = ask(wire, parse("DELETE FROM told") + bind() + execute()
              + run() + run())
    assert got == ["1", "2", "C", STALE, "Z"]
    leave(others)
    assert told.value("SELECT count(*) FROM told") == 1


def test_portals_tell_as_well(crowd):
    """JDBC asks for the columns of a portal, once; libpq each time, and
    reads by that."""
    _, wire, other = crowd
    whole = bind([], "s") + describe() + execute()
    assert ask(wire, parse(READ, "s") + whole) \
        == ["1", "2", "T", "D", "C", "Z"]
    assert ask(wire, run()) == ["2", "D", "C", "Z"]
    change(other, "text")
    assert ask(wire, run()) == [STALE, "Z"]
    assert ask(wire, whole) == ["2", "T", "D", "C", "Z"]
    wire.query("BEGIN")
    assert ask(wire, whole) == ["2", "T", "D", "C", "Z"]
    wire.query("ROLLBACK")


def test_portals_of_known_columns(told, crowd):
    """pgx names a format for each of the columns that it was told of, and
    asks for those of the portal as well."""
    weir, wire, other = crowd

    def whole(name, count):
        return (bind([], name, results=[0] * count) + describe()
                + execute())

    ask(wire, parse(READ, "s") + describe("S", "s"))
    assert ask(wire, whole("s", 2)) == ["2", "T", "D", "C", "Z"]
    others = elsewhere(weir)
    other.query("ALTER TABLE told DROP COLUMN b")
    assert ask(wire, whole("s", 2)) == [STALE, "Z"]
    leave(others)
    assert ask(wire, whole("s", 2)) == [STALE, "Z"]
    ask(wire, parse(READ, "t") + describe("S", "t"))
    assert ask(wire, whole("t", 1)) == ["2", "T", "D", "C", "Z"]


def test_prepared_anew_behind_a_rollback(told, crowd):
    """pgx: what was prepared within the transaction that is undone is closed,
    and its name is given to the same text."""
    weir, _, _ = crowd
    name = "stmtcache_1"
    get = bind([], name, results=[0, 0]) + describe() + execute()
    fresh = parse(READ, name) + describe("S", name)
    for port in (told.ports["primary"], weir.port):
        with Wire(port) as wire:
            wire.login()
            wire.query("BEGIN")
            assert ask(wire, fresh) == ["1", "t", "T", "Z"]
            assert ask(wire, get) == ["2", "T", "D", "C", "Z"]
            wire.query("ALTER TABLE told DROP COLUMN b")
            assert ask(wire, get) == [STALE, "Z"]
            assert ask(wire, close("S", name)) == ["3", "Z"]
            assert ask(wire, parse(READ, name))[0][0] == "25P02"
            wire.query("ROLLBACK")
            assert ask(wire, fresh) == ["1", "t", "T", "Z"]
            assert ask(wire, get) == ["2", "T", "D", "C", "Z"]


def prepare(wire):
    return ask(wire, parse(READ, "c") + describe("S", "c"))


def get(wire, count):
    """As pgx: a format for each column that it was told of."""
    return ask(wire, bind([], "c", results=[0] * count) + describe()
               + execute())


@pytest.mark.parametrize("split", [0, 1])
def test_prepared_again_in_a_block(told, make_weir, split):
    """Its server knows the text from before the DDL; then DDL is undone."""
    weir = make_weir({"workers": 1, "split_reads": split})
    weir.settle()
    asked, done = ["1", "t", "T", "Z"], ["2", "T", "D", "C", "Z"]
    for port in (told.ports["primary"], weir.port):
        with Wire(port) as wire:
            wire.login()
            assert (prepare(wire), get(wire, 2)) == (asked, done)
            wire.query("ALTER TABLE told DROP COLUMN b")
            assert get(wire, 2) == [STALE, "Z"]
            ask(wire, close("S", "c"))
            assert (prepare(wire), get(wire, 1)) == (asked, done)
        with Wire(port) as wire:
            wire.login()
            wire.query("ALTER TABLE told ADD b int")
            wire.query("BEGIN")
            assert (prepare(wire), get(wire, 2)) == (asked, done)
            wire.query("ALTER TABLE told DROP COLUMN b")
            assert get(wire, 2) == [STALE, "Z"]
            assert prepare(wire)[0][0] == "25P02"
            wire.query("ROLLBACK")
            ask(wire, close("S", "c"))
            assert (prepare(wire), get(wire, 2)) == (asked, done)


def test_units_in_flight(crowd):
    """Many at once, the first of which begins a transaction that fails."""
    weir, wire, other = crowd
    ask(wire, parse(READ, "s") + describe("S", "s"))
    change(other, "text")
    others = elsewhere(weir)
    wire.send(b"".join([
        parse("BEGIN") + bind() + execute() + sync(),
        run() + sync(), run() + sync(),
        parse("ROLLBACK") + bind() + execute() + sync(),
        run() + sync()]))
    got = []
    for _ in range(5):
        got.append([m.fields["C"] if m.type == "E" else m.type
                    for m in wire.until() if m.type not in "NS"])
    assert got == [["1", "2", "C", "Z"], ["0A000", "Z"], ["25P02", "Z"],
                   ["1", "2", "C", "Z"], ["0A000", "Z"]]
    leave(others)


def test_missing_table(crowd):
    """The error is that of the table, and its batch goes on behind it."""
    _, wire, other = crowd
    ask(wire, parse(READ, "s") + describe("S", "s"))
    other.query("ALTER TABLE told RENAME TO told_before")
    got = ask(wire, run() + run())
    assert got[0][0] == "42P01" and got[1:] == ["Z"]
    wait_for(lambda: ask(wire, run())[0][0] == "42P01", 5, "the error")
    other.query("ALTER TABLE told_before RENAME TO told")
    assert ask(wire, run()) == ["2", "D", "C", "Z"]
