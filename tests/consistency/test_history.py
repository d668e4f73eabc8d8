"""The checker itself: it finds what it is made to find, and no more."""
import pytest

from history import (COUNTED, FORBIDDEN, READ, RULES, WRITE, History,
                     check)


def counts(*rows):
    history = History()
    for row in rows:
        history.add(*row)
    verdict = check(history)
    return {rule: verdict.counts[rule] for rule in COUNTED
            if verdict.counts[rule]}


def test_a_clean_history_breaks_no_rule():
    assert counts((1, WRITE, 7, 1, 0, 10), (1, READ, 7, 1, 11, 20),
                  (2, READ, 7, 1, 12, 25), (2, READ, 8, 0, 30, 31)) == {}


def test_a_read_that_misses_the_own_write_is_stale():
    assert counts((1, WRITE, 7, 2, 0, 10), (1, READ, 7, 1, 11, 20)) == {
        "stale": 1, "missed": 1}


def test_a_read_that_shows_less_than_before_is_a_step_back():
    assert counts((1, READ, 7, 5, 0, 10), (1, READ, 7, 4, 11, 20)) == {
        "back": 1, "crossed": 1}
    # Another client may, unless reads are ordered across clients.
    assert counts((1, READ, 7, 5, 0, 10), (2, READ, 7, 4, 11, 20)) == {
        "crossed": 1}


def test_another_ones_write_counts_once_it_is_acknowledged():
    assert counts((1, WRITE, 7, 3, 0, 10), (2, READ, 7, 2, 11, 20)) == {
        "missed": 1}
    # ... but not while it is under way, nor at the same moment.
    assert counts((1, WRITE, 7, 3, 0, 10), (2, READ, 7, 2, 10, 20)) == {}
    assert counts((1, WRITE, 7, 3, 0, 30), (2, READ, 7, 2, 11, 20)) == {}


def test_a_step_back_over_what_nobody_was_told_of_is_counted_apart():
    """The write of 5 ends at 13, and at 10."""
    reads = (2, READ, 7, 5, 0, 10), (2, READ, 7, 4, 11, 20)
    assert counts((1, WRITE, 7, 5, 0, 13), *reads) == {"early": 2}
    assert counts((1, WRITE, 7, 5, 0, 10), *reads) == {
        "back": 1, "missed": 1, "crossed": 1}


def test_keys_are_held_apart():
    assert counts((1, WRITE, 7, 3, 0, 10), (1, READ, 8, 0, 11, 20)) == {}


@pytest.mark.parametrize("level, broken", [
    ("eventual", 0), ("session", 0), ("global", 1), ("strong", 1)])
def test_levels_forbid_what_they_promise_not_to_do(level, broken):
    history = History()
    history.add(1, WRITE, 7, 3, 0, 10)
    history.add(2, READ, 7, 2, 11, 20)
    assert check(history).broken(level) == broken
    assert set(FORBIDDEN[level]) <= set(RULES)
