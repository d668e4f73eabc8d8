"""A server that misbehaves on purpose, in front of a real one.

Connections of the users in `victims` meet a script instead of PostgreSQL; all
others (pgweir's monitor among them) are passed on to the real node, so that
pgweir sees a healthy primary whose pooled connections go wrong.
"""
import socket
import struct
import threading

from wire import message


def recv_exact(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def shut(*socks):
    """Both ways; who reads or writes there finds out."""
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_startup(sock):
    """The startup packet and its parameters; refuses TLS on the way."""
    while True:
        size, code = struct.unpack("!ii", recv_exact(sock, 8))
        body = recv_exact(sock, size - 8)
        if code >> 16 != 1234:
            break
        sock.sendall(b"N")
    words = body.split(b"\0")
    params = dict(zip(words[0::2], words[1::2]))
    return struct.pack("!ii", size, code) + body, params


def read_message(sock):
    kind, size = struct.unpack("!ci", recv_exact(sock, 5))
    return kind.decode(), recv_exact(sock, size - 4)


def log_in(sock):
    """What a trusting server says at login."""
    sock.sendall(message("R", struct.pack("!i", 0)))
    for key, value in (
            ("server_version", "15.0"), ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"), ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("IntervalStyle", "postgres"), ("application_name", ""),
            ("in_hot_standby", "off"), ("is_superuser", "off"),
            ("default_transaction_read_only", "off"),
            ("session_authorization", "victim")):
        sock.sendall(message("S", key.encode() + b"\0" + value.encode()
                             + b"\0"))
    sock.sendall(message("K", struct.pack("!ii", 4242, 17)))
    sock.sendall(message("Z", b"I"))


class FakeServer:
    """Listens on a port; script(sock) plays the server for a victim."""

    def __init__(self, target_port, script, victims=("victim",)):
        self.target_port, self.script = target_port, script
        self.victims = [v.encode() for v in victims]
        self.met = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock):
        try:
            with sock:
                packet, params = read_startup(sock)
                if params.get(b"user") in self.victims:
                    self.met += 1
                    self.script(sock)
                else:
                    self.relay(sock, packet)
        except (OSError, struct.error):
            pass

    def relay(self, sock, packet):
        with socket.create_connection(("127.0.0.1", self.target_port)) as up:
            up.sendall(packet)
            back = threading.Thread(target=self.pump, args=(up, sock),
                                    daemon=True)
            back.start()
            self.pump(sock, up)
            back.join()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        shut(source, target)

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
