"""Each level under delayed, paused and killed replicas, a few seconds each.

./run does the same for as long as one likes.
"""
import threading

import pytest

import trial
import wire
from faults import Delays, Faults, Promotions
from harness import SLOW, wait_for

SECONDS = 6


def assert_kept(outcome):
    print(outcome)
    verdict = outcome.verdict
    assert verdict.broken(outcome.level) == 0, "\n".join(
        [str(outcome), *outcome.examples])
    assert outcome.reads > 200 and outcome.writes > 50, str(outcome)


def test_eventual_shows_what_the_others_must_not(nodes):
    """Else nothing that follows would prove anything."""
    outcome = trial.run(nodes, "eventual", Delays, 3)
    print(outcome)
    assert outcome.on_replicas > 0.5, str(outcome)
    assert outcome.verdict.counts["stale"] > 0, str(outcome)
    assert outcome.verdict.counts["missed"] > 0, str(outcome)


@pytest.mark.parametrize("level", ["session", "global", "strong"])
def test_a_level_is_kept_whatever_happens_to_replicas(nodes, level):
    outcome = trial.run(nodes, level, Faults, SECONDS, least=3)
    assert_kept(outcome)
    assert outcome.on_replicas > 0.2, str(outcome)
    assert outcome.failed_reads == 0, str(outcome)


def test_a_replica_that_came_back_older_is_not_the_same_one(nodes):
    """A client that only reads, from replicas that are killed and show less
    after their start than before. There is no primary meanwhile, so nobody
    expects them to stream."""
    where = "SELECT v FROM counters WHERE k = 0"
    add = "UPDATE counters SET v = v + 1 WHERE k = 0"
    with trial.start_weir(nodes, max_replica_lag=600) as weir, \
            weir.connect() as conn:
        nodes.sql("CHECKPOINT", node=nodes.leader)
        nodes.catch_up()
        for node in nodes.replicas():
            nodes.sql("CHECKPOINT", node=node)
        conn.execute(where)
        nodes.sql(add, node=nodes.leader)
        nodes.catch_up()
        seen = conn.execute(where).fetchone()[0]
        for node in nodes.replicas():
            nodes.delay(node, 60000)
        nodes.stop(nodes.leader)
        back = threading.Timer(2 * SLOW, nodes.launch, (nodes.leader,))
        try:
            for node in nodes.replicas():
                nodes.crash(node)
                assert nodes.value(where, node=node) < seen
            trial.sleep(1)
            back.start()
            assert conn.execute(where).fetchone()[0] >= seen
        finally:
            back.join()
            nodes.heal()


def home_of(link, nodes):
    """The replica that a client reads from, None for the primary."""
    tag = nodes.fresh()
    link.rows("SELECT v AS %s FROM counters" % tag)
    calls = nodes.calls(tag)
    return max(nodes.replicas(), key=calls.get) \
        if calls[nodes.leader] == 0 else None


def test_a_read_behind_another_one_is_placed_by_itself(nodes):
    """A client's replica stands still while its read runs there. What it
    sends behind that, after a write of somebody else, another one shows."""
    with trial.start_weir(nodes, consistency="global") as weir, \
            weir.connect() as other, wire.Wire(weir.port) as link:
        where = "SELECT v FROM counters WHERE k = 1"
        link.login()
        home = wait_for(lambda: home_of(link, nodes), 20, "a replica")
        nodes.pause(home)
        try:
            link.send(wire.query("SELECT pg_sleep(%f)" % SLOW))
            newest = other.execute("UPDATE counters SET v = v + 1 WHERE k = 1"
                                   " RETURNING v").fetchone()[0]
            trial.sleep(0.3)  # and then it is known what the other one shows
            link.send(wire.query(where))
            link.until()
            seen = [m for m in link.until() if m.type == "D"][0].values[0]
            assert int(seen) >= newest
        finally:
            nodes.heal()


def test_bounded_is_no_older_than_it_says(nodes):
    """Both replicas stand still for longer than max_staleness."""
    with trial.start_weir(nodes, max_staleness=0.5, max_replica_lag=60,
                          consistency="bounded") as weir, \
            weir.connect() as conn:
        where = "SELECT v FROM counters WHERE k = 0"
        try:
            for node in nodes.replicas():
                nodes.pause(node)
            nodes.sql("UPDATE counters SET v = v + 1 WHERE k = 0",
                      node=nodes.leader)
            newest = nodes.value(where, node=nodes.leader)
            trial.sleep(1.5)
            assert conn.execute(where).fetchone()[0] == newest
        finally:
            nodes.heal()


def test_positions_of_an_old_primary_mean_nothing_on_the_new_one(nodes):
    """Two promotions, one of them beside a replica that is behind."""
    outcome = trial.run(nodes, "global", Promotions, pause=1)
    assert_kept(outcome)
    assert len(outcome.faults) == 2, outcome.faults
