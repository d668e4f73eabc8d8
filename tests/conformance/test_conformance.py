"""PostgreSQL's own suites give the same verdicts through pgweir.

A test that fails and stands in differences.tsv is shown as an expected
failure, with the reason that the table has.
"""
import pytest

import suites

TESTS = suites.all_tests()
KNOWN = suites.differences()


def judge(outcome, suite, test, mode):
    found = outcome(suite, mode)
    assert found, "the run of the suite has failed, see its first test"
    assert test in found.verdicts, "it did not run:\n" + found.said[-2000:]
    if found.verdicts[test]:
        return
    if (suite, test) in KNOWN:
        pytest.xfail(KNOWN[suite, test])
    pytest.fail(found.diff(test)[:6000], pytrace=False)


@pytest.mark.parametrize("test", TESTS["pipeline"])
def test_pipeline(outcome, test):
    judge(outcome, "pipeline", test, "transaction")


@pytest.mark.parametrize("test", TESTS["regress"])
def test_regress(outcome, test):
    judge(outcome, "regress", test, "transaction")


@pytest.mark.parametrize("test", TESTS["isolation"])
def test_isolation(outcome, test):
    judge(outcome, "isolation", test, "session")


def test_differences_are_of_tests_that_exist():
    assert all(test in TESTS[suite] for suite, test in KNOWN)
