"""What random walks have found, each as the few steps that show it.

A row is a session: its startup packet and its packets, each a way to send
some statements.  It is played twice, straight at PostgreSQL and through
pgweir, and all answers are compared; another client with settings of its own
has had the servers before.
"""
import pytest

import oracle
import states
import walk
from harness import Pgweir

TOKYO = {"TimeZone": "Asia/Tokyo"}
START = {"application_name": "start", "DateStyle": "German",
         "options": "-c work_mem=7MB -c geqo_threshold=99"
         " -c search_path=public -c my.own=first"}
SHOW = ["SHOW work_mem", "SHOW DateStyle", "SHOW search_path",
        "SHOW my.own", "SHOW application_name"]
NOTIFY = ("SELECT pg_notify($1, $2)", "a", "b")


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
]


@pytest.fixture(scope="module")
def house(binary, cluster):
    oracle.make_databases(cluster, states.SETUP + walk.SETUP)
    weir = Pgweir(cluster, {"default_pool_size": 2, "workers": 1,
                            "read_after_write_window": 0.01},
                  binary=binary, start=False)
    weir.databases = {oracle.THROUGH: weir.node_line(oracle.THROUGH)}
    weir.write_ini()
    with weir:
        weir.start()
        weir.settle()
        yield oracle.House(cluster, weir.port)


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
