"""Each kind of session state, however it is set, follows its client alone.

Every row of states.py in each protocol and pool mode: a client sets the
state; it sees it later on whatever server it comes to; no other client ever
sees anything of it, neither while the client lives, nor when the state has
been ended, nor when the client has left it behind. All answers are compared
with those of PostgreSQL itself.
"""
import os

import pytest

import oracle
from harness import Pgweir
from oracle import STRAIGHT, THROUGH, WAYS, House
from states import SETUP, STATES
from wire import LoginError

# What remains different, and why. A row that behaves like PostgreSQL in spite
# of this table fails, so that the table tells the truth.
DIFFERENT = {
    "custom/list": "a SET that failed may leave the made-up setting it names"
    " behind, empty",
    "startup/options short": "of the server's short options only -c is"
    " understood",
    "startup/set_config NULL": "the answer of set_config(name, NULL, false)"
    " is the server's default, not the startup packet's; what is in force"
    " behind it is right",
}

# All rows in all protocols take minutes; else each of the other two plays
# every third row.
FULL = os.environ.get("STATE_FULL", "")


def cases():
    for number, state in enumerate(STATES):
        ways = [way for way in WAYS if way in state.ways]
        for at, way in enumerate(ways):
            if FULL or at == 0 or (number + at) % 3 == 0:
                yield pytest.param(state, way, id="%s-%s" % (state.name, way))


CASES = list(cases())
MODES = ("transaction", "session")


@pytest.fixture(scope="module")
def databases(cluster):
    oracle.make_databases(cluster, SETUP)
    return cluster


@pytest.fixture(scope="module", params=MODES)
def weir(request, binary, databases):
    """One pgweir with two servers on each node, for all rows."""
    weir = Pgweir(databases, {
        "pool_mode": request.param, "workers": 1, "default_pool_size": 2,
        "max_client_conn": 50}, binary=binary, start=False)
    weir.databases = {THROUGH: weir.node_line(THROUGH)}
    weir.write_ini()
    weir.start()
    weir.settle()
    weir.mode = request.param
    weir.house = House(databases, weir.port)
    yield weir
    weir.stop()


class Visit:
    """One row in one protocol: the client, and two others beside it."""

    def __init__(self, house, state, way):
        self.house, self.state, self.way = house, state, way
        self.eyes = []

    def bring_eyes(self):
        self.eyes = self.house.eyes(self.state.user, self.state.others_try)

    def twin(self):
        return self.house.twin(self.state.user, self.state.startup)

    def set(self, twin):
        twin.play(self.state.set, self.way)
        assert twin.play(self.state.see, self.way) == self.state.says

    def see(self, twin):
        """Where reads go, and on the primary; the server's pid."""
        twin.play(self.state.see, self.way)
        if self.state.block:
            return None
        twin.play(["BEGIN", *self.state.see[:1], "COMMIT"], self.way)
        twin.two.play(["BEGIN"])
        pid = twin.two.play(["SELECT pg_backend_pid()"])[0][1]
        twin.two.play(["COMMIT"])
        return int(pid[2:])

    def both_servers(self, when, begin="BEGIN"):
        """Others look at both servers at once, so none of them is taken."""
        for eye in self.eyes:
            eye.ask(begin)
        for eye in self.eyes:
            eye.see(when)
        self.release()

    def release(self):
        for eye in self.eyes:
            eye.release()


def move(visit, twin):
    """The client comes to one server after the other."""
    state = visit.state
    first, second = visit.eyes
    taken = first.ask().see("while it lives")
    one = visit.see(twin)
    second.ask()
    if state.keeps:
        # Its server may be kept for it; then the second one waits.
        first.release()
        second.see("while it lives")
    else:
        second.see("while it lives")
        first.release()
    two = visit.see(twin)
    visit.release()
    if not state.keeps:
        assert two == taken != one, "it has been on one server only"


@pytest.mark.own
@pytest.mark.parametrize("state, way", CASES)
def test_state(weir, state, way):
    known = DIFFERENT.get(state.name) \
        or DIFFERENT.get("%s, %s" % (state.name, weir.mode))
    try:
        play(weir, state, way)
    except (AssertionError, LoginError):
        if known:
            pytest.xfail(known)
        raise
    assert not known, "no longer different: " + known


def play(weir, state, way):
    visit = Visit(weir.house, state, way)
    try:
        if weir.mode == "transaction":
            visit.bring_eyes()
        with visit.twin() as twin:
            live(weir.mode, visit, twin)
        with visit.twin() as twin:
            visit.set(twin)
            twin.leave()
        watch_the_end(weir.mode, visit)
    except BaseException:
        weir.house.throw_away()
        raise
    finally:
        clean_up(weir.house, state)


def live(mode, visit, twin):
    state = visit.state
    visit.set(twin)
    if mode == "transaction" and not state.block:
        move(visit, twin)
    else:
        with visit.house.eye(state.user, state.others_try) as eye:
            eye.ask().see("while it lives")
            visit.see(twin)
            eye.release()
    if state.end:
        twin.play(state.end, visit.way)
        twin.play(state.see, visit.way)
        if mode == "transaction":
            visit.both_servers("when it is over")


def watch_the_end(mode, visit):
    """In session pooling the others come later, to have the servers."""
    if mode == "session":
        visit.bring_eyes()
    visit.both_servers("when it has left")
    visit.both_servers("when it has left", "BEGIN READ ONLY")
    if mode == "session":
        visit.house.forget_eyes()


def clean_up(house, state):
    for database in (STRAIGHT, THROUGH):
        for step in state.cleanup:
            with oracle.Speaker(house.straight, database, "app") as conn:
                conn.play([step])
