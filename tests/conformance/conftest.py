"""Fixtures: one pair of nodes for all suites, and what each suite said."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import suites  # noqa: E402 - found by the path above
from harness import PGWEIR_BIN  # noqa: E402 - suites knows where it is


@pytest.fixture(scope="session")
def stage():
    if not os.access(PGWEIR_BIN, os.X_OK):
        pytest.exit("no program at %s: build it, or set PGWEIR_BIN"
                    % PGWEIR_BIN, 3)
    made = suites.Stage()
    yield made
    made.down()


@pytest.fixture(scope="session")
def outcome(stage):
    """Runs a suite through pgweir when its first test asks; remembers."""
    known = {}

    def of(suite, mode):
        if (suite, mode) not in known:
            if suite == "regress":
                stage.learn()
            weir = stage.weir(pool_mode=mode)
            try:
                found = getattr(stage, suite)(weir.port)
            finally:
                known[suite, mode] = None
                weir.stop()
            known[suite, mode] = found
        return known[suite, mode]
    return of
