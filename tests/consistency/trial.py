"""One run: nodes, pgweir, traffic, faults; and what came of it."""
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from faults import AllFaults  # noqa: E402 - found by the path above
from harness import SLOW, Pgweir  # noqa: E402
from history import READ, WRITE, check  # noqa: E402
from traffic import Traffic  # noqa: E402

DECISIONS = "pgweir_routing_decisions_total"


def start_weir(nodes, **settings):
    """Two workers, clients on both of them, transaction mode. On a machine
    that is busy reads wait longer for a replica, or none would go there."""
    return Pgweir(nodes, {"workers": 2, "worker_fill": 0,
                          "default_pool_size": 10,
                          "causal_wait": 0.02 * SLOW, **settings},
                  nodes=("primary", "replica", "second"))


class Outcome:
    def __init__(self, level, traffic, decisions, faults, seconds):
        self.level = level
        self.history = traffic.history
        self.errors = traffic.errors
        self.failed_reads = traffic.failed_reads
        self.faults = faults.done if faults else []
        self.disturbed = str(faults) if faults else "nothing"
        self.seconds = seconds
        self.reads = self.history.count(READ)
        self.writes = self.history.count(WRITE)
        self.on_replicas = decisions / max(self.reads, 1)
        self.median_us = statistics.median(
            self.history.latencies(READ) or [0])
        self.verdict = check(self.history)
        self.examples = ["%s; fault: %s" % (
            text, faults.before(sent) if faults else "none")
            for sent, text in self.verdict.examples]

    def __str__(self):
        lines = ["%-8s %d reads in %d s (%.1f %% on replicas, median %d us),"
                 " %d writes" % (
                     self.level, self.reads, self.seconds,
                     100 * self.on_replicas, self.median_us, self.writes),
                 "         faults: %s" % self.disturbed,
                 "         %s" % self.verdict]
        if self.errors:
            lines.append("         errors %s, of reads %d" % (
                dict(self.errors), self.failed_reads))
        return "\n".join(lines)


def sleep(seconds):
    time.sleep(seconds * SLOW)


def on_replicas(weir):
    return weir.metric(DECISIONS, target="replica") or 0


def end_of(faults, seconds, least):
    """When the faults end a run: one could not be brought about, all have
    been, or the time is over and there were enough."""
    over = time.monotonic() + (seconds or 1e9)
    return lambda: faults.error or faults.is_complete or (
        time.monotonic() > over and len(faults.done) >= least)


def run(nodes, level, kind=AllFaults, seconds=None, reads=None, pause=0.4,
        least=0, **how):
    """kind: the class of faults, None for healthy nodes; least: how many
    there are to be, however long it takes."""
    with start_weir(nodes) as weir:
        before = on_replicas(weir)
        traffic = Traffic(weir.port, level, **how)
        faults = kind(nodes, pause, how.get("seed", 1)) if kind else None
        began = time.monotonic()
        if faults:
            faults.start()
        try:
            traffic.run(None if least else seconds, reads,
                        faults and end_of(faults, seconds, least))
        finally:
            took = time.monotonic() - began
            if faults:
                faults.finish()
        outcome = Outcome(level, traffic, on_replicas(weir) - before, faults,
                          took)
        outcome.log = weir.log()
        return outcome
