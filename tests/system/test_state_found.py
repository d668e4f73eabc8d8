"""What random walks have found, each as the few steps that show it.

A row is a session: its startup packet and its packets, each a way to send
some statements.  It is played twice, straight at PostgreSQL and through
pgweir, and all answers are compared; another client with settings of its own
has had the servers before.
"""
import pytest

import oracle
from wire import bind, execute, parse, sync

TOKYO = {"TimeZone": "Asia/Tokyo"}
START = {"application_name": "start", "DateStyle": "German",
         "options": "-c work_mem=7MB -c geqo_threshold=99"
         " -c search_path=public -c my.own=first"}
SHOW = ["SHOW work_mem", "SHOW DateStyle", "SHOW search_path",
        "SHOW my.own", "SHOW application_name"]
NOTIFY = ("SELECT pg_notify($1, $2)", "a", "b")


def batch(*texts):
    """Statements in front of one Sync."""
    return oracle.Raw(b"".join(parse(t) + bind() + execute() for t in texts)
                      + sync())


FOUND = [
    # RESET means the startup packet, and only changes are reported.
    ("reset of what was not changed", TOKYO,
     [["SET TIME ZONE DEFAULT", "SELECT 1", "RESET TimeZone"]]),
    ("reset of all that was not changed", START, [["RESET ALL"], SHOW]),
    ("reset of one", START,
     [["SET work_mem = '1MB'", "SET DateStyle = ISO"],
      ["RESET work_mem", "SHOW work_mem", "SET datestyle TO DEFAULT -- x"],
      SHOW]),
    ("reset of a list", START,
     [["SET search_path = ''"], ["RESET search_path"], SHOW]),
    ("reset of a made-up name", START,
     [["SET my.own = 'x'"], ["RESET my.own;;"], SHOW]),
    ("reset in a transaction", START,
     [["SET work_mem = '1MB'", "SET application_name = 'x'"],
      ["BEGIN", "RESET ALL", "SHOW work_mem", "ROLLBACK"], SHOW,
      ["BEGIN", "RESET application_name", "SAVEPOINT a", "RESET work_mem",
       "ROLLBACK TO a", "COMMIT"], SHOW]),
    ("reset in a failed transaction", START,
     [["SET work_mem = '1MB'"], ["BEGIN", "SELECT 1/0", "RESET work_mem"],
      ["ROLLBACK"], SHOW]),
    ("discard all of nothing", START, [["DISCARD ALL"], SHOW]),
    ("reports of discard all", START,
     [["SET TIME ZONE 'Asia/Tokyo'", "SET application_name = 'x'"],
      ["DISCARD ALL", "SHOW TimeZone"], SHOW]),
    ("discard all in front of others", TOKYO,
     [["SELECT 1", "DISCARD ALL", "SELECT now() IS NULL"],
      ["SHOW TimeZone"]]),
    # Reports stand behind notifications.
    ("reports and notifications", {},
     [["LISTEN chan_a"], ["SET TimeZone TO -3"],
      ["BEGIN", "NOTIFY chan_a", "SET TimeZone TO -4", "COMMIT"],
      ["SHOW TimeZone"]]),
    # Read-only transactions on a replica.
    ("reports of a replica", {},
     [["BEGIN READ ONLY"], ["SELECT a FROM state_rows LIMIT 1"],
      ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"], ["COMMIT"],
      ["RESET default_transaction_read_only"]]),
    ("notify behind SET on a replica", {},
     [["BEGIN READ ONLY"], ["SET random_page_cost = 50.5"], [NOTIFY],
      ["COMMIT"], ["SHOW random_page_cost"]]),
    ("reports of a transaction begun again", START,
     [["BEGIN READ ONLY"], ["SET application_name = 'client'"],
      ["SET TIME ZONE 'Europe/Berlin'"], [NOTIFY], ["COMMIT"]]),
    # Of a block that moves to the primary all is done there again.
    ("notify behind RESET on a replica", START,
     [["SET work_mem = '1MB'"], ["BEGIN READ ONLY"], ["RESET ALL"], [NOTIFY],
      ["SHOW work_mem"], ["COMMIT"], SHOW]),
    ("notify behind RESET ROLE on a replica", START,
     [["BEGIN READ ONLY", "SET ROLE state_role"], ["RESET ROLE"],
      ["LISTEN chan_a"], ["SELECT current_user"], ["COMMIT", "UNLISTEN *"]]),
    ("savepoints on a replica", {},
     [["BEGIN READ ONLY"], ["SAVEPOINT a"], ["SET work_mem = '1MB'"],
      ["SAVEPOINT b"], ["SET work_mem = '2MB'"], ["SELECT 1/0"],
      ["SAVEPOINT c"], ["ROLLBACK TO b"], ["RELEASE b"], [NOTIFY],
      ["SHOW work_mem"], ["ROLLBACK TO a"], ["SHOW work_mem"], ["COMMIT"]]),
    ("a second BEGIN on a replica", {},
     [["BEGIN READ ONLY"], ["BEGIN"], [NOTIFY], ["COMMIT"]]),
    ("SET that fails on a replica", {},
     [["BEGIN READ ONLY", "SELECT count(*) FROM state_rows"],
      ["SAVEPOINT a", "SET no_such_setting = 1"], ["ROLLBACK TO a"], [NOTIFY],
      ["COMMIT"]]),
    ("SET behind a failure on a replica", {},
     [["BEGIN READ ONLY"],
      [batch("SELECT count(*) FROM state_rows", "SELECT a FROM only_there",
             "SET TimeZone = 'Asia/Tokyo'")], ["ROLLBACK"]]),
    ("a chain on a replica", {},
     [["BEGIN READ ONLY"], ["SET work_mem = '1MB'"], ["SET LOCAL seq_page_cost"
       " = 3"], ["COMMIT AND CHAIN"], ["SHOW seq_page_cost"], [NOTIFY],
      ["SHOW work_mem"], ["ROLLBACK AND CHAIN"], ["COMMIT"],
      ["SHOW work_mem"]]),
    ("SET behind the chain of a failed block", {},
     [["BEGIN READ ONLY"], ["SELECT 1/0 FROM state_rows"],
      [batch("ROLLBACK AND CHAIN", "SET IntervalStyle = iso_8601")],
      ["INSERT INTO state_written VALUES ('chained', 1)"], ["COMMIT"],
      ["SHOW IntervalStyle"]]),
    ("SET in front of the chain of a failed block", {},
     [["BEGIN READ ONLY"], ["SET work_mem = '1MB'"], ["COMMIT AND CHAIN"],
      ["SET geqo_threshold = 3"], ["SELECT 1/0 FROM state_rows"],
      ["ROLLBACK AND CHAIN"], [NOTIFY], ["SHOW work_mem"],
      ["SHOW transaction_read_only"], ["COMMIT"], ["SHOW work_mem"],
      ["SHOW geqo_threshold"]]),
    ("modes of a chain that has failed", {},
     [["BEGIN READ ONLY"], ["COMMIT AND CHAIN"], ["SELECT 1/0"],
      ["ROLLBACK AND CHAIN"], [NOTIFY], ["SHOW transaction_read_only"],
      ["SELECT 1/0"], ["COMMIT AND CHAIN"], ["SHOW transaction_read_only"],
      ["COMMIT"]]),
    ("modes of a block that has failed in a savepoint", {},
     [["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"], ["SAVEPOINT a"],
      ["SELECT 1/0"], ["ROLLBACK AND CHAIN"], [NOTIFY],
      ["SHOW transaction_read_only"], ["SHOW transaction_isolation"],
      ["SAVEPOINT a"], ["RELEASE a"], ["SELECT 1/0"], ["COMMIT AND CHAIN"],
      ["SHOW transaction_read_only"], ["COMMIT"]]),
    ("SET behind a rollback in one batch", {},
     [["BEGIN READ ONLY"], ["SAVEPOINT a"], ["SELECT 1/0 FROM state_rows"],
      [batch("ROLLBACK TO a", "SET work_mem = '3MB'")],
      [NOTIFY], ["COMMIT"], ["SHOW work_mem"]]),
    ("notify behind a rollback in one batch", {},
     [["BEGIN READ ONLY"], ["SET work_mem = '3MB'"], ["SAVEPOINT a"],
      ["SELECT 1/0 FROM state_rows"],
      [batch("ROLLBACK TO a", "NOTIFY state_a")], ["SHOW work_mem"],
      ["COMMIT"], ["SHOW work_mem"], ["BEGIN READ ONLY"],
      ["SELECT 1/0 FROM state_rows"], [batch("ROLLBACK", "NOTIFY state_a")],
      ["BEGIN READ ONLY"], ["SELECT 1/0 FROM state_rows"], [NOTIFY],
      [batch("SELECT 1", "NOTIFY state_a")], ["COMMIT"]]),
    ("set_config() on a replica", {},
     [["BEGIN READ ONLY"],
      [("SELECT set_config('work_mem', $1, $2)", "3MB", "f"),
       ("SELECT set_config($1, $2, $3)", "my.own", "it's \\ $1", "t")],
      [NOTIFY], ["SHOW work_mem", "SHOW my.own"], ["COMMIT"],
      ["SHOW work_mem"]]),
    ("a write that fails on a replica", {},
     [["BEGIN ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION READ ONLY"],
      ["SELECT count(*) FROM state_rows"],
      ["INSERT INTO state_written VALUES ('refused', 1)", "SELECT 1"],
      ["ROLLBACK AND CHAIN"],
      ["INSERT INTO state_written VALUES ('chained', 1)"], ["ROLLBACK"]]),
    ("a block behind another in one batch", {},
     [["BEGIN READ ONLY"], ["SELECT count(*) FROM state_rows"],
      [batch("COMMIT", "BEGIN")],
      ["INSERT INTO state_written VALUES ('second', 1)"], ["ROLLBACK"],
      ["BEGIN READ ONLY"], ["SET work_mem = '3MB'"],
      [batch("COMMIT", "BEGIN READ ONLY")], [NOTIFY], ["SHOW work_mem"],
      ["ROLLBACK"], ["SHOW work_mem"]]),
]


@pytest.fixture
def other(house):
    """Leaves its settings on a server of each node."""
    conn = oracle.Speaker(house.port, oracle.THROUGH, "app", {
        "DateStyle": "Postgres, DMY", "TimeZone": "Asia/Kolkata",
        "options": "-c work_mem=999kB -c search_path=pg_catalog"})
    conn.play(["BEGIN", "COMMIT", "BEGIN READ ONLY", "SELECT 1", "COMMIT"])
    yield conn
    conn.close()


@pytest.mark.own
@pytest.mark.parametrize("way", oracle.WAYS)
@pytest.mark.parametrize("startup,packets", [f[1:] for f in FOUND],
                         ids=[f[0] for f in FOUND])
def test_found(house, other, startup, packets, way):
    with house.twin("app", startup) as twin:
        for steps in packets:
            twin.play(steps, way)
        twin.leave()


# What a client sets before it is gone, in the middle of something.
LEFT = {"a chain": ["BEGIN", "SET TimeZone = -7", "COMMIT AND CHAIN"],
        "a chain on a replica": ["BEGIN READ ONLY", "SET TimeZone = -7",
                                 "COMMIT AND CHAIN", "SELECT 1"],
        "a chain that moves": ["BEGIN READ ONLY", "SET TimeZone = -7",
                               "COMMIT AND CHAIN", "SELECT 1",
                               "NOTIFY chan_a"],
        "a setting": ["SET TimeZone = -7"],
        "a block": ["BEGIN", "SET TimeZone = -7", "COMMIT"]}


@pytest.mark.own
@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("steps", LEFT.values(), ids=LEFT.keys())
def test_what_is_left(house, steps, is_heard):
    for _ in range(3):
        conn = oracle.Speaker(house.port, oracle.THROUGH, "app")
        if is_heard:
            conn.play(steps)
        else:
            conn.say(steps)
        conn.abort()
        with house.twin("app") as twin:
            twin.play(["SHOW TimeZone", "SELECT current_setting('timezone')",
                       "BEGIN", "SHOW TimeZone", "COMMIT"])
            twin.leave()


@pytest.mark.own
def test_left_behind_a_look(house):
    """
    What follows a look at the server is looked at in its turn: who leaves
    meanwhile leaves nothing.
    """
    for _ in range(40):
        conn = oracle.Speaker(house.port, oracle.THROUGH, "app")
        conn.play(["SELECT state_hide('myapp.usr', 'x')",
                   "SELECT state_hide('work_mem', '5029kB')"])
        conn.abort()
        with oracle.Speaker(house.port, oracle.THROUGH, "app") as other:
            lines, = other.play(["SELECT current_setting('work_mem'),"
                                 " pg_backend_pid()"])
        assert lines[1].startswith("D 4MB|")
