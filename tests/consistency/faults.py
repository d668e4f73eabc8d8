"""What goes wrong with the nodes while clients write and read.

Replicas are delayed, paused, killed and started again, and the primary is
promoted away: by an orderly stop, after which the old one follows the new
one, or by kill -9, after which it is made anew from a base backup.
"""
import random
import threading
import time
from collections import Counter


class Faults(threading.Thread):
    """One disturbance after the other, until it is told to end."""

    def __init__(self, nodes, pause=0.4, seed=1):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.quiet = pause
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.done = []
        self.spans = []  # (begin, end, what), on the clock of the history
        self.error = None
        self.is_complete = False  # there is nothing more to come

    def __str__(self):
        return ", ".join("%d %s" % (count, name.replace("_", " "))
                         for name, count in Counter(self.done).items())

    def before(self, moment):
        """The last fault that had begun then, and how long before."""
        begun = [span for span in self.spans if span[0] <= moment]
        if not begun:
            return "nothing"
        begin, end, what = begun[-1]
        return "%s %.3f s before, took %.3f s" % (
            what, (moment - begin) / 1e9, (end - begin) / 1e9)

    # Of replicas.

    def delayed(self, node):
        self.nodes.delay(node, 150)
        self.over.wait(3 * self.quiet)
        self.nodes.delay(node, 0)

    def paused(self, node):
        self.nodes.pause(node)
        self.over.wait(3 * self.quiet)
        self.nodes.resume(node)

    def killed(self, node):
        self.nodes.crash(node)

    def killed_behind(self, node):
        """Comes back with what it showed when it was last on disk."""
        self.nodes.delay(node, 700)
        self.nodes.crash(node)
        self.over.wait(2 * self.quiet)
        self.nodes.delay(node, 0)

    # Of the primary; the node given is the next one.

    def promoted(self, node):
        self.nodes.switch_over(node)

    def promoted_beside_one_behind(self, node):
        """The other replica comes to the new timeline late."""
        other, = (n for n in self.nodes.replicas() if n != node)
        self.nodes.delay(other, 500)
        self.nodes.switch_over(node)
        self.over.wait(2 * self.quiet)
        self.nodes.delay(other, 0)

    def promoted_after_kill(self, _):
        self.nodes.lose_primary()

    def acts(self):
        """All that one round does: what, and to which of the replicas."""
        return [(act, which) for which in (0, 1) for act in (
            self.delayed, self.paused, self.killed, self.killed_behind)]

    def run(self):
        try:
            while not self.over.is_set():
                self.round()
        except Exception as error:  # noqa: BLE001 - the owner raises it
            self.error = error

    def round(self):
        acts = self.acts()
        self.random.shuffle(acts)
        for act, which in acts:
            if self.over.wait(self.quiet):
                return
            node, begin = self.nodes.replicas()[which], time.monotonic_ns()
            act(node)
            self.done.append(act.__name__)
            self.spans.append((begin, time.monotonic_ns(), "%s (%s)" % (
                act.__name__.replace("_", " "), node)))

    def finish(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error
        self.nodes.heal()


class AllFaults(Faults):
    """Those of replicas, and three promotions in each round."""

    def acts(self):
        return super().acts() + [
            (act, self.random.randrange(2)) for act in (
                self.promoted, self.promoted_beside_one_behind,
                self.promoted_after_kill)]


class Delays(Faults):
    """One replica is behind all the time: what "eventual" must show."""

    def round(self):
        self.nodes.delay(self.nodes.replicas()[0], 300)
        self.done.append("delayed")
        self.over.wait()


class Promotions(Faults):
    """The orderly ones, once each."""

    def acts(self):
        return [(self.promoted, 0), (self.promoted_beside_one_behind, 1)]

    def round(self):
        super().round()
        self.is_complete = True
        self.over.wait()
