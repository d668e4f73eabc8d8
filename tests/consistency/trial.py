"""One run: nodes, pgweir, traffic, faults; and what came of it."""
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from harness import SLOW, Pgweir  # noqa: E402 - found by the path above
from history import READ, WRITE, check  # noqa: E402
from nodes import Faults  # noqa: E402
from traffic import Traffic  # noqa: E402

DECISIONS = "pgweir_routing_decisions_total"


def start_weir(nodes, **settings):
    """Two workers, clients on both of them, transaction mode."""
    return Pgweir(nodes, {"workers": 2, "worker_fill": 0,
                          "default_pool_size": 10, **settings},
                  nodes=("primary", "replica", "second"))


class Outcome:
    def __init__(self, level, traffic, decisions, faults):
        self.level = level
        self.history = traffic.history
        self.errors = traffic.errors
        self.failed_reads = traffic.failed_reads
        self.faults = faults
        self.reads = self.history.count(READ)
        self.writes = self.history.count(WRITE)
        self.on_replicas = decisions / max(self.reads, 1)
        self.median_us = statistics.median(
            self.history.latencies(READ) or [0])
        self.verdict = check(self.history)

    def __str__(self):
        lines = ["%-8s %d reads (%.1f %% on replicas, median %d us), %d"
                 " writes, %d faults" % (
                     self.level, self.reads, 100 * self.on_replicas,
                     self.median_us, self.writes, len(self.faults)),
                 "         %s" % self.verdict]
        if self.errors:
            lines.append("         errors %s, of reads %d" % (
                dict(self.errors), self.failed_reads))
        return "\n".join(lines)


def sleep(seconds):
    time.sleep(seconds * SLOW)


def on_replicas(weir):
    return weir.metric(DECISIONS, target="replica") or 0


def run(nodes, level, kind=Faults, seconds=None, reads=None, **how):
    """kind: the class of faults, None for healthy replicas."""
    with start_weir(nodes) as weir:
        before = on_replicas(weir)
        traffic = Traffic(weir.port, level, **how)
        faults = kind(nodes) if kind else None
        if faults:
            faults.start()
        try:
            traffic.run(seconds, reads)
        finally:
            if faults:
                faults.finish()
        return Outcome(level, traffic, on_replicas(weir) - before,
                       faults.done if faults else [])


def run_switch_over(nodes, level, seconds=6, **how):
    """In the middle of it the primary goes, and a replica takes over."""
    with start_weir(nodes) as weir:
        before = on_replicas(weir)
        traffic = Traffic(weir.port, level, **how)
        faults = SwitchOver(nodes, quiet=seconds / 3)
        faults.start()
        traffic.run(seconds)
        faults.join()
        if faults.error:
            raise faults.error
        nodes.catch_up("replica")
        return Outcome(level, traffic, on_replicas(weir) - before,
                       faults.done)


class SwitchOver(Faults):
    def __init__(self, nodes, quiet):
        super().__init__(nodes, quiet)

    def run(self):
        self.over.wait(self.quiet)
        try:
            self.nodes.switch_over()
            self.done.append("switched over")
        except Exception as error:  # noqa: BLE001 - the owner raises it
            self.error = error
