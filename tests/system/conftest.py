"""Fixtures: one real primary and replica for all tests, pgweir as asked."""
import os
import signal

import pytest

import oracle
import states
import walk
from harness import IS_PGBOUNCER, PGWEIR_BIN, SLOW, Cluster, Pgweir

WORKER_FILL = int(os.environ.get("PGWEIR_FILL", "0"))
LIMIT = 60  # seconds that a test may take, times PGWEIR_SLOW


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tsan: worth running under ThreadSanitizer")
    config.addinivalue_line(
        "markers", "own: pgweir's own behaviour, not shared by PgBouncer")


def pytest_collection_modifyitems(items):
    if not IS_PGBOUNCER:
        return
    skip = pytest.mark.skip(reason="not a behaviour of PgBouncer")
    for item in items:
        if "own" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def binary():
    if not os.access(PGWEIR_BIN, os.X_OK):
        pytest.exit("no program at %s: build it, or set PGWEIR_BIN"
                    % PGWEIR_BIN, 3)
    return PGWEIR_BIN


@pytest.fixture(scope="session")
def cluster():
    """Shared by all tests; who stops or promotes nodes makes their own."""
    nodes = Cluster()
    yield nodes
    nodes.down()


@pytest.fixture
def own_cluster():
    """Nodes that the test may stop, promote or break."""
    nodes = Cluster()
    yield nodes
    nodes.down()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Nothing hangs for ever: a test that takes too long fails."""
    def too_long(*_):
        raise TimeoutError("the test took longer than %d s" % (LIMIT * SLOW))
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(LIMIT * SLOW))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its pgweirs logged."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for weir in getattr(item, "weirs", []):
            report.sections.append(("log of pgweir", weir.log()[-3000:]))


@pytest.fixture
def make_weir(request, binary, cluster):
    """Starts pgweirs that end with the test; a report of theirs fails it."""
    made = request.node.weirs = []

    def make(settings=None, cluster=cluster, **more):
        # Clients on all workers: what passes between these is tested, too.
        settings = {"worker_fill": WORKER_FILL, **(settings or {})}
        weir = Pgweir(cluster, settings, binary=binary, start=False, **{
            k: v for k, v in more.items() if k not in ("start", "ready")})
        made.append(weir)
        if more.get("start", True):
            weir.start(more.get("ready", True))
        return weir

    yield make
    problems = []
    for weir in made:
        try:
            weir.stop()
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture
def weir(make_weir):
    """pgweir with default settings in front of both nodes."""
    return make_weir()


@pytest.fixture(scope="module")
def house(binary, cluster):
    """pgweir and nodes with what the walks play on; few servers, so that
    these change hands."""
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
