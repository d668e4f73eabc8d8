"""Every case of the tables: which node has executed it, and its answer beside
that of the primary."""
import re
import time

import pytest
from conftest import BEHIND, STRAIGHT, knows

import table
from harness import SLOW, wait_for

CASES = list(table.cases("variants.tsv"))
MORE = list(table.cases("more.tsv"))
ALLOWED = {"P": [["primary"]], "R": [["replica"]],
           "RP": [["primary"], ["primary", "replica"]]}

# Answered by pgweir: a node hears of it with the first statement.
DEFERRED = re.compile(r"(BEGIN|START TRANSACTION|SET TRANSACTION)[^;]*$")

REDEFINING = re.compile("(CREATE|ALTER) ")

# Cases that need more than a text, or a broken node: who tests them.
ELSEWHERE = {
    "A30": "routing/test_protocol.py::test_huge_texts",
    "B18": "routing/test_protocol.py::test_function_call",
    "B25": "routing/test_protocol.py::test_told_at_login",
    "C09": "routing/test_protocol.py::test_serializable_by_role",
    "C21": "routing/test_protocol.py::test_recovery_conflict",
    "D01": "routing/test_protocol.py::test_statement_decides_not_message",
    "D02": "routing/test_protocol.py::test_prepared_on_another_server",
    "D03": "routing/test_protocol.py::test_described_alone",
    "D04": "routing/test_protocol.py::test_flush_without_sync",
    "D06": "routing/test_protocol.py::test_batch_is_one_unit",
    "D07": "system/test_split.py::test_pipelined_units_keep_their_order",
    "D11": "routing/test_protocol.py::test_unnamed_statement_stays",
    "D12": "routing/test_protocol.py::test_column_that_has_not_arrived",
    "D13": "routing/test_protocol.py::test_result_type_changes",
    "D14": "routing/test_protocol.py::test_cancel_on_the_replica",
    "E06": "routing/test_protocol.py::test_options_on_both_nodes",
    "F04": "system/test_split.py::test_replica_stops_and_returns",
    "F05": "routing/test_protocol.py::test_replica_dies_after_rows",
    "F06": "routing/test_protocol.py::test_recovery_conflict",
    "F08": "system/test_split.py::test_promotion_is_followed",
    "F09": "system/test_hostile_server.py",
    "F10": "system/test_pool.py",
    "F11": "system/test_replication.py",
}


def marked(step, mark, database):
    """A comment in front tells the nodes' logs which case this is."""
    step = step.replace("{m}", mark).replace("{db}", database)
    return "/* %s */ %s" % (mark, step)


def run(nodes, talk, database, case):
    """The answers of all steps, and who has executed each."""
    answers, places = [], []
    with talk(database, case.protocol) as session:
        for step, word in zip(case.steps, case.words):
            if database == BEHIND and word == "R":
                nodes.catch_up()
                # What a SET has changed is asked for behind its answer.
                time.sleep(0.01 * SLOW if answers else 0)
            mark = nodes.begin()
            said = session.step(marked(step, mark, database))
            text = [repr(one).replace(mark, "MARK").replace(database, "DB")
                    for one in table.answer(said, case.exact,
                                            "order by" in step.lower())]
            answers.append(text)
            places.append(nodes.seen(mark))
    return answers, places


@pytest.mark.parametrize("case", CASES + MORE, ids=lambda case: case.name)
def test_case(nodes, weir, talk, case):
    answers, places = run(nodes, talk, BEHIND, case)
    if any(REDEFINING.match(step) for step in case.steps):
        # Until the catalog has been read again nothing is a read.
        wait_for(lambda: knows(nodes, weir), 60, "the catalog")
    straight, _ = run(nodes, talk, STRAIGHT, case)
    assert answers == straight
    for step, place, word in zip(case.steps, places, case.words):
        if DEFERRED.match(step) and not place:
            continue
        assert place in ALLOWED.get(word, [place]), step


def test_every_case_is_tried():
    """Each number of the table is a text, or a test that exists."""
    tried = {re.sub(r"\..*", "", case.name) for case in CASES}
    numbers = table.listed()
    assert sorted(tried | set(ELSEWHERE)) == sorted(numbers)
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        text = (table.HERE.parent / file).read_text()
        assert "def %s(" % name in text or not name, place
