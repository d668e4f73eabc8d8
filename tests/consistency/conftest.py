"""Fixtures: three nodes for all tests, and the rules of the system tests."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from nodes import Nodes  # noqa: E402 - found by the path above
from harness import PGWEIR_BIN  # noqa: E402 - nodes knows where it is


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: worth running under TSan")


@pytest.fixture(scope="session")
def nodes():
    if not os.access(PGWEIR_BIN, os.X_OK):
        pytest.exit("no program at %s: build it, or set PGWEIR_BIN"
                    % PGWEIR_BIN, 3)
    made = Nodes()
    yield made
    made.down()
