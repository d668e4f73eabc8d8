"""What has just become something else of the same name is no read.

In front of the cases: their functions make words of these bodies suspect, and
what is suspect is no read at all. What is written here goes to a table of its
own: a dead row in one of the cases' would change the order of their rows.
"""
import pytest
from conftest import BEHIND
from harness import SLOW, wait_for
from test_protocol import errors, marked, values
from wire import Wire

REDEFINED = {
    "function": (
        "CREATE OR REPLACE FUNCTION turns() RETURNS text LANGUAGE plpgsql %s",
        "STABLE AS $$BEGIN RETURN 'reads'; END$$",
        "VOLATILE AS $$BEGIN INSERT INTO written VALUES (80);"
        " RETURN 'wrote'; END$$",
        "SELECT turns()"),
    "view": ("CREATE OR REPLACE VIEW turned AS SELECT %s",
             "'reads'::text AS x", "writes() AS x",
             "SELECT x FROM turned"),
    "declared": (
        "CREATE OR REPLACE FUNCTION declared() RETURNS text LANGUAGE plpgsql"
        " STABLE AS $$BEGIN RETURN 'reads'; END$$; ALTER FUNCTION declared()"
        " %s", "STABLE", "VOLATILE", "SELECT declared()")}
WRITES = """
CREATE TABLE written (id int);
CREATE FUNCTION writes() RETURNS text LANGUAGE plpgsql AS
$$BEGIN INSERT INTO written VALUES (81); RETURN 'wrote'; END$$;
"""


@pytest.fixture(scope="module", autouse=True)
def writes(nodes):
    nodes.sql(WRITES, user="app", dbname=BEHIND)


@pytest.mark.parametrize("what", REDEFINED)
def test_redefined_a_moment_ago(nodes, weir, wire, what):
    """What another session has just made something else of is no read."""
    ddl, reading, writing, read = REDEFINED[what]

    def is_known():
        mark, text = marked(nodes, read)
        assert values(wire.query(text)) == [[b"reads"]]
        return nodes.seen(mark) == ["replica"]

    with Wire(weir.port, timeout=20 * SLOW) as other:
        other.login(database=BEHIND)
        assert not errors(other.query(ddl % reading))
        # A busy machine is not asked for its catalog all the time.
        wait_for(is_known, 60, "the catalog")
        assert not errors(other.query(ddl % writing))
        mark, text = marked(nodes, read)
        said = wire.query(text)
    assert nodes.seen(mark) == ["primary"]
    assert not errors(said)
    assert what == "declared" or values(said) != [[b"reads"]]

    def is_read():
        mark, text = marked(nodes, "SELECT v FROM t WHERE id = 1")
        wire.query(text)
        return nodes.seen(mark) == ["replica"]

    # What comes next finds a catalog that is up to date.
    wait_for(is_read, 60, "the next catalog")
