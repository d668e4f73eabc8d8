"""The differential test in short: is anything taken for a read that is none?

Our own list of forms, and a part of PostgreSQL's regression suite; all of that
runs by hand (tests/routing/differential).
"""
import importlib.machinery
import importlib.util
from pathlib import Path

# Quick ones that need no other file but the first.
FILES = ["test_setup", "select", "select_into", "subselect", "with",
         "copyselect", "sequence", "txid", "advisory_lock", "prepare",
         "rangefuncs", "domain", "lock", "largeobject"]


def differential():
    """It is a program, without the suffix of a module."""
    path = str(Path(__file__).with_name("differential"))
    loader = importlib.machinery.SourceFileLoader("differential", path)
    spec = importlib.util.spec_from_loader("differential", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_forms():
    check = differential().run([], forms=True)
    assert not check.wrong
    assert check.counts["asked, read"] > 80
    assert check.counts["asked, kept"] > 200


def test_regression_suite():
    check = differential().run(FILES, only=True)
    assert not check.wrong
    assert check.counts["statements"] > 1500
    assert check.counts["asked, read"] > 100
