"""A node's door that falls shut at a message that the test has named.

What the user `app` and its node say to each other is passed on message by
message, each in a packet of its own, so that a test can say exactly how much
of an answer has arrived when the connection is lost. All others - pgweir's
monitor among them - pass unseen: the node stays in good health.
"""
import socket
import struct
import threading

from fakeserver import FakeServer, read_startup, recv_exact, shut
from wire import message


class Gate(FakeServer):
    """cut(side, kind): side "client" or "server", kind a message type."""

    def __init__(self, target_port):
        super().__init__(target_port, None, victims=("app",))
        self.lock = threading.Lock()
        self.rule = None
        self.fired = 0
        self.sent = []  # kinds that pgweir has sent, all connections
        self.frozen = threading.Event()

    def cut(self, side, kind, skip=0, times=1):
        """Cuts in front of the next such message (behind `skip` of them)."""
        with self.lock:
            self.rule = [side, kind, skip, times]
            self.fired = 0
            self.sent = []

    def freeze(self):
        """From now on nothing passes, for nobody."""
        self.frozen.set()

    def judge(self, side, kind):
        with self.lock:
            if side == "client":
                self.sent.append(kind)
            if not self.rule or self.rule[:2] != [side, kind]:
                return None
            if self.rule[2] > 0:
                self.rule[2] -= 1
                return None
            self.fired += 1
            self.rule[3] -= 1
            if self.rule[3] == 0:
                self.rule = None
            return "cut"

    def pump(self, source, target):
        try:
            while data := source.recv(65536):
                if not self.frozen.is_set():
                    target.sendall(data)
        except OSError:
            pass
        shut(source, target)

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with sock:
                packet, params = read_startup(sock)
                if params.get(b"user") not in self.victims:
                    self.relay(sock, packet)
                    return
                self.met += 1
                self.watch(sock, packet)
        except (OSError, struct.error):
            pass

    def watch(self, sock, packet):
        with socket.create_connection(("127.0.0.1", self.target_port)) as up:
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up.sendall(packet)
            dead = threading.Event()
            back = threading.Thread(target=self.pass_on, daemon=True,
                                    args=(up, sock, "server", dead))
            back.start()
            self.pass_on(sock, up, "client", dead)
            back.join()

    def pass_on(self, source, target, side, dead):
        try:
            while not dead.is_set():
                kind, size = struct.unpack("!ci", recv_exact(source, 5))
                body = recv_exact(source, size - 4)
                verdict = self.judge(side, kind.decode())
                if verdict == "cut":
                    dead.set()
                    break
                while self.frozen.is_set():
                    recv_exact(source, 1)
                target.sendall(message(kind.decode(), body))
        except (OSError, struct.error):
            pass
        shut(source, target)
