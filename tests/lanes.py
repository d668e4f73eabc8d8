"""A pytest plugin: several runs of one folder share its files out.

Each run, a lane, claims a file when it comes to the file's first test, by a
name in the folder PGWEIR_CLAIMS; the tests of files that another lane has
claimed are passed over. Without PGWEIR_CLAIMS a run has all files.
"""
import os

CLAIMS = os.environ.get("PGWEIR_CLAIMS")
claims = {}  # by file: is it ours?


def claim(path):
    try:
        with open(os.path.join(CLAIMS, path.name), "x", encoding="ascii"):
            return True
    except FileExistsError:
        return False


def pytest_runtest_protocol(item):
    if not CLAIMS:
        return None
    if item.path not in claims:
        claims[item.path] = claim(item.path)
    return None if claims[item.path] else True
