"""A raw client of PostgreSQL's protocol 3: sends any bytes, reads messages.

Drivers only ever say what is right. This client says what a test wants said:
half a message, the wrong message, a hundred batches at once. It understands
just enough to log in and to take replies apart (PostgreSQL docs, chapter
"Frontend/Backend Protocol").
"""
import base64
import hashlib
import hmac
import os
import socket
import struct
from collections import namedtuple

PROTOCOL_3 = 196608
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102


class Closed(Exception):
    """The other side closed the connection (messages read so far inside)."""


class Message(namedtuple("Message", "type payload")):
    """One message: its type as a one-letter string and its payload."""

    @property
    def fields(self):
        """Fields of an ErrorResponse or NoticeResponse, by letter."""
        parts = self.payload.split(b"\0")
        return {chr(p[0]): p[1:].decode("utf-8", "replace")
                for p in parts if p}

    @property
    def sqlstate(self):
        return self.fields.get("C")

    @property
    def values(self):
        """Values of a DataRow: bytes or None."""
        count, = struct.unpack_from("!h", self.payload)
        at, out = 2, []
        for _ in range(count):
            size, = struct.unpack_from("!i", self.payload, at)
            at += 4
            if size < 0:
                out.append(None)
            else:
                out.append(self.payload[at:at + size])
                at += size
        return out


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def message(kind, payload=b""):
    return kind.encode() + struct.pack("!i", len(payload) + 4) + payload


def startup_packet(user="app", database="app", protocol=PROTOCOL_3, **params):
    body = struct.pack("!i", protocol)
    pairs = {"user": user, "database": database, **params}
    for key, value in pairs.items():
        if value is not None:
            body += cstr(key) + cstr(value)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message("Q", cstr(sql))


def parse(sql, name="", types=()):
    return message("P", cstr(name) + cstr(sql)
                   + struct.pack("!h", len(types))
                   + b"".join(struct.pack("!I", t) for t in types))


def bind(values=(), name="", portal="", results=()):
    body = cstr(portal) + cstr(name) + struct.pack("!hH", 0, len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            data = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!i", len(data)) + data
    body += struct.pack("!h", len(results))
    body += b"".join(struct.pack("!h", r) for r in results)
    return message("B", body)


def describe(kind="P", name=""):
    return message("D", kind.encode() + cstr(name))


def execute(portal="", rows=0):
    return message("E", cstr(portal) + struct.pack("!i", rows))


def close(kind="S", name=""):
    return message("C", kind.encode() + cstr(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(why="no"):
    return message("f", cstr(why))


def one_query(sql, values=(), name=""):
    """A whole extended batch without its Sync."""
    return (parse(sql, name) + bind(values, name) + describe()
            + execute())


class Wire:
    """One connection. Use as a context manager; nothing is sent unasked."""

    def __init__(self, port, host="127.0.0.1", timeout=10):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.parameters = {}
        self.cancel_key = None
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Close with a reset, as a dying host does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))
        return self

    def fill(self, size):
        while len(self.buffer) < size:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError as error:
                raise Closed("reset") from error
            if not data:
                raise Closed("end of file with %d bytes left"
                             % len(self.buffer))
            self.buffer += data

    def recv_raw(self, size):
        self.fill(size)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def recv(self):
        head = self.recv_raw(5)
        size, = struct.unpack("!i", head[1:])
        msg = Message(chr(head[0]), self.recv_raw(size - 4))
        if msg.type == "S" and msg.payload:  # else a client's Sync
            key, value = msg.payload.split(b"\0")[:2]
            self.parameters[key.decode()] = value.decode()
        elif msg.type == "K":
            self.cancel_key = msg.payload
        elif msg.type == "Z":
            self.status = msg.payload.decode()
        return msg

    def until(self, kinds="Z"):
        """Messages up to and with the first of one of these types."""
        out = []
        while True:
            out.append(self.recv())
            if out[-1].type in kinds:
                return out

    def until_closed(self):
        """All messages until the other side closes."""
        out = []
        try:
            while True:
                out.append(self.recv())
        except Closed:
            return out

    def is_closed(self, timeout=5):
        """Whether the other side closes in time; eats what it says."""
        self.sock.settimeout(timeout)
        try:
            while True:
                data = self.sock.recv(1 << 16)
                if not data:
                    return True
                self.buffer += data
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def login(self, user="app", database="app", password=None, **params):
        self.send(startup_packet(user, database, **params))
        return self.authenticate(user, password)

    def authenticate(self, user, password):
        out = []
        while True:
            msg = self.recv()
            out.append(msg)
            if msg.type == "E":
                raise LoginError(msg)
            if msg.type == "Z":
                return out
            if msg.type == "R":
                self.answer(msg.payload, user, password)

    def answer(self, payload, user, password):
        kind, = struct.unpack_from("!i", payload)
        if kind == 3:
            self.send(message("p", cstr(password)))
        elif kind == 5:
            inner = hashlib.md5((password + user).encode()).hexdigest()
            outer = hashlib.md5(inner.encode() + payload[4:8]).hexdigest()
            self.send(message("p", cstr("md5" + outer)))
        elif kind == 10:
            self.scram = Scram(password)
            first = self.scram.first()
            self.send(message("p", cstr("SCRAM-SHA-256")
                              + struct.pack("!i", len(first)) + first))
        elif kind == 11:
            self.send(message("p", self.scram.final(payload[4:])))
        elif kind == 12:
            self.scram.verify(payload[4:])

    def query(self, sql):
        return self.send(query(sql)).until()

    def rows(self, sql):
        """Rows of one simple Query as tuples of text; errors raise."""
        out = []
        for msg in self.query(sql):
            if msg.type == "E":
                raise QueryError(msg)
            if msg.type == "D":
                out.append(tuple(None if v is None else v.decode()
                                 for v in msg.values))
        return out

    def value(self, sql):
        return self.rows(sql)[0][0]


class LoginError(Exception):
    def __init__(self, msg):
        super().__init__(msg.fields)
        self.message = msg
        self.sqlstate = msg.sqlstate


class QueryError(LoginError):
    pass


class Scram:
    """SCRAM-SHA-256 of the client side (RFC 5802, RFC 7677)."""

    def __init__(self, password, nonce=None):
        self.password = password.encode()
        self.nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self.first_bare = "n=,r=" + self.nonce

    def first(self):
        return ("n,," + self.first_bare).encode()

    def final(self, server_first):
        text = server_first.decode()
        fields = dict(p.split("=", 1) for p in text.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password,
                                     base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        without_proof = "c=biws,r=" + fields["r"]
        auth = ",".join((self.first_bare, text, without_proof)).encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client_key).digest()
        signature = hmac.digest(stored, auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.expected = hmac.digest(server_key, auth, "sha256")
        return (without_proof + ",p="
                + base64.b64encode(proof).decode()).encode()

    def verify(self, server_final):
        said = base64.b64decode(server_final.decode()[2:])
        if said != self.expected:
            raise AssertionError("server signature is wrong")


def cancel(port, key, host="127.0.0.1"):
    """Sends a CancelRequest and waits for the close that answers it."""
    with socket.create_connection((host, port), 10) as sock:
        sock.sendall(struct.pack("!ii", 8 + len(key), CANCEL_REQUEST) + key)
        sock.recv(1)
