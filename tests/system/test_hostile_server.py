"""Hostile input from servers: what a broken or evil node may say.

The node in front of pgweir is real but for the connections of one user,
which fakeserver.py answers by a script. Its client gets one clear error with
a SQLSTATE, and another database on the same pgweir notices nothing.
"""
import base64
import concurrent.futures
import struct
import time

import pytest

from fakeserver import FakeServer, log_in, read_message
from harness import SLOW, Pgweir, wait_for
from wire import Closed, LoginError, Message, Wire, bind, cstr, execute, \
    message, one_query, parse, query, sync

ONE = ("primary",)


def row_description(name=b"a"):
    return message("T", struct.pack("!h", 1) + cstr(name) + struct.pack(
        "!ihihih", 0, 0, 25, -1, -1, 0))


def row(value):
    return message("D", struct.pack("!hi", 1, len(value)) + value)


ANSWER = (row_description() + row(b"fine") + message("C", b"SELECT 1\0")
          + message("Z", b"I"))


@pytest.fixture
def meet(cluster, make_weir):
    """A pgweir whose user `victim` meets the script."""
    made = []

    def make(script, **settings):
        fake = FakeServer(cluster.ports["primary"], script)
        made.append(fake)
        weir = make_weir({
            "auth_type": "trust", "query_wait_timeout": 2,
            "server_connect_timeout": 1, "server_login_retry": 0.2,
            "monitor_user": "postgres", "client_login_timeout": 10,
            **settings}, nodes=ONE, start=False,
            auth_file={"victim": "its password", "app": "",
                       "postgres": ""})
        weir.databases = {
            "app": weir.node_line(),
            "fake": "host=127.0.0.1 port=%d dbname=app" % fake.port}
        weir.write_ini()
        weir.start(ready=False)
        wait_for(weir.listens, 10, "listening")
        fake.weir = weir
        return weir, fake
    yield make
    for fake in made:
        fake.weir.alive()
        with Wire(fake.weir.port) as conn:
            conn.login()
            assert conn.value("SELECT 'honest'") == "honest"
        fake.close()


def heard(weir, *parts, database="fake"):
    """All of the client's messages up to a close or ReadyForQuery."""
    with Wire(weir.port, timeout=8 * SLOW) as conn:
        try:
            conn.login("victim", database)
        except LoginError as error:
            return [error.message]
        conn.send(*(parts or (query("SELECT 1"),)))
        out = []
        try:
            while not (out and out[-1].type == "Z"):
                out.append(conn.recv())
        except (Closed, ConnectionError):
            if conn.buffer:
                # Cut inside a message: no error can follow its first half.
                out.append(Message("cut", conn.buffer))
        return out


@pytest.fixture(scope="module")
def gallery(binary, cluster):
    """Many broken nodes behind one pgweir, all met at the same time; what
    each one's client heard, by name."""
    with Pgweir(cluster, {
            "auth_type": "trust", "query_wait_timeout": 1.5,
            "server_connect_timeout": 1, "server_login_retry": 0.2,
            "monitor_user": "postgres"}, nodes=ONE, start=False,
            binary=binary, auth_file={"victim": "its password", "app": "",
                                      "postgres": ""}) as weir:
        fakes = {name: FakeServer(cluster.ports["primary"], script)
                 for name, script in all_scripts().items()}
        weir.databases = {"app": weir.node_line()}
        for number, fake in enumerate(fakes.values()):
            weir.databases["fake%d" % number] = \
                "host=127.0.0.1 port=%d dbname=app" % fake.port
        weir.write_ini()
        weir.start(ready=False)
        wait_for(weir.listens, 10, "listening")
        with concurrent.futures.ThreadPoolExecutor(24) as crowd:
            weir.heard = dict(zip(fakes, crowd.map(
                lambda number: listen(weir, "fake%d" % number),
                range(len(fakes)))))
        weir.fakes = fakes
        yield weir
        weir.alive()
        with Wire(weir.port) as conn:
            conn.login()
            assert conn.value("SELECT 'honest'") == "honest"
        for fake in fakes.values():
            fake.close()


def listen(weir, database):
    started = time.monotonic()
    try:
        replies = heard(weir, database=database)
    except (TimeoutError, OSError, Closed) as error:
        replies = error
    return replies, time.monotonic() - started


def result(gallery, name):
    """What the client of one broken node heard, in time."""
    gallery.alive()
    replies, spent = gallery.heard[name]
    assert not isinstance(replies, Exception), repr(replies)
    assert spent < 7 * SLOW
    return replies


def check_told(replies):
    errors = [m for m in replies if m.type == "E"]
    assert errors or "cut" in [m.type for m in replies], \
        "the client was told nothing: %s" % (replies,)
    for error in errors:
        assert error.sqlstate and len(error.sqlstate) == 5
        assert error.fields.get("M")
        assert error.fields.get("S") in ("ERROR", "FATAL", "PANIC")


# At the server's login.

def authentication(kind, rest=b""):
    return message("R", struct.pack("!i", kind) + rest)


LOGIN_GARBAGE = {
    "error without fields": message("E", b"\0"),
    "error with nothing": message("E", b""),
    "error with text only": message("E", b"Mbroken\0\0"),
    "error without an end": message("E", b"SFATAL\0Mbroken"),
    "error with a short code": message("E", b"SFATAL\0C28\0Mx\0\0"),
    "error with control signs": message(
        "E", b"SFATAL\0C28000\0Mx\n2030-01-01 forged\r\x1b[2J\0\0"),
    "huge error": message("E", b"SFATAL\0C28000\0M" + b"x" * 900000
                          + b"\0\0"),
    "unknown method": authentication(99),
    "negative method": authentication(-1),
    "method cut": message("R", b"\0\0"),
    "method empty": message("R", b""),
    "length 0": b"R\0\0\0\0",
    "length 3": b"R\0\0\0\3",
    "length 2^31-1": b"R\x7f\xff\xff\xff",
    "length 2^32-1": b"R\xff\xff\xff\xff",
    "short md5 salt": authentication(5, b"ab"),
    "kerberos": authentication(2), "gss": authentication(7),
    "sspi": authentication(9),
    "SASL without methods": authentication(10, b"\0"),
    "SASL with nothing": authentication(10),
    "SASL with unknown methods": authentication(
        10, b"SCRAM-SHA-1\0OAUTHBEARER\0\0"),
    "SASL list without an end": authentication(10, b"SCRAM-SHA-256"),
    "SASL list of 64 KiB": authentication(10, b"X\0" * 32768 + b"\0"),
    "SASL end at once": authentication(12, b"v=abc"),
    "SASL continued at once": authentication(11, b"r=x,s=eA==,i=4096"),
    "rows": authentication(0) + row(b"x"),
    "ready without login": message("Z", b"I"),
    "parameter without an end": authentication(0) + message("S", b"a"),
    "parameter with nothing": authentication(0) + message("S", b""),
    "huge parameter": authentication(0) + message(
        "S", b"application_name\0" + b"x" * 500000 + b"\0"),
    "short cancel key": authentication(0) + message("K", b"\0"),
    "state unknown": authentication(0) + message("K", b"\0" * 8)
    + message("Z", b"Q"),
    "state missing": authentication(0) + message("Z", b""),
    "state in a transaction": authentication(0) + message("K", b"\0" * 8)
    + message("Z", b"T"),
    "negotiation of nonsense": message("v", b"\xff"),
    "web server": b"HTTP/1.0 400 Bad Request\r\n\r\n",
    "zeroes": b"\0" * 100, "noise": b"\xff" * 100,
    "half a header": b"R\0\0", "nothing": b"",
}


def saying(data):
    """Says this in place of a login, and no more."""
    def script(sock):
        sock.sendall(data)
        time.sleep(0.05)
    return script


@pytest.mark.tsan
@pytest.mark.parametrize("name", LOGIN_GARBAGE)
def test_login(gallery, name):
    check_told(result(gallery, "login: " + name))
    fake = gallery.fakes["login: " + name]
    assert 1 <= fake.met < 40, "it must not hammer a node that refuses"


def test_log_of_all_that(gallery):
    log = gallery.log()
    for line in log.splitlines():
        assert not line.startswith("2030-01-01")
        assert "\x1b" not in line
    assert len(log) < 1000000


@pytest.mark.parametrize("how", ["silent", "drops"])
def test_login_that_never_ends(meet, how):
    def script(sock):
        data = authentication(0) + message("S", b"a\0b\0")
        if how == "drops":
            for byte in data * 100:
                sock.sendall(bytes([byte]))
                time.sleep(0.02)
        else:
            time.sleep(20)
    weir, _ = meet(script, query_wait_timeout=3)
    started = time.monotonic()
    check_told(heard(weir))
    assert time.monotonic() - started < 7 * SLOW


def scram_script(first, final=None):
    """Plays SCRAM up to a server-first made by first(client nonce)."""
    def script(sock):
        sock.sendall(authentication(10, b"SCRAM-SHA-256\0\0"))
        _, body = read_message(sock)
        nonce = body[body.index(b"r=") + 2:]
        sock.sendall(authentication(11, first(nonce)))
        read_message(sock)
        sock.sendall(final if final is not None
                     else authentication(12, b"v=" + base64.b64encode(
                         b"x" * 32)))
        log_in(sock)
        read_message(sock)
        sock.sendall(ANSWER)
        time.sleep(0.2)
    return script


SALT = base64.b64encode(b"0123456789abcdef")
SERVER_FIRST = {
    "nonce of 64 KiB": lambda n: b"r=" + n + b"N" * 65536 + b",s=" + SALT
    + b",i=4096",
    "nonce of 1 MB": lambda n: b"r=" + n + b"N" * 1000000 + b",s=" + SALT
    + b",i=4096",
    "salt of 64 KiB": lambda n: b"r=" + n + b"x,s=" + base64.b64encode(
        b"s" * 65536) + b",i=4096",
    "no iterations": lambda n: b"r=" + n + b"x,s=" + SALT + b",i=0",
    "2^31 iterations": lambda n: b"r=" + n + b"x,s=" + SALT
    + b",i=2147483648",
    "2^31-1 iterations": lambda n: b"r=" + n + b"x,s=" + SALT
    + b",i=2147483647",
    "negative iterations": lambda n: b"r=" + n + b"x,s=" + SALT + b",i=-1",
    "iterations are text": lambda n: b"r=" + n + b"x,s=" + SALT + b",i=abc",
    "another nonce": lambda n: b"r=other,s=" + SALT + b",i=4096",
    "the same nonce": lambda n: b"r=" + n + b",s=" + SALT + b",i=4096",
    "no salt": lambda n: b"r=" + n + b"x,s=,i=4096",
    "bad base64": lambda n: b"r=" + n + b"x,s=!!!!,i=4096",
    "other order": lambda n: b"s=" + SALT + b",r=" + n + b"x,i=4096",
    "extension": lambda n: b"m=x,r=" + n + b"x,s=" + SALT + b",i=4096",
    "cut": lambda n: b"r=" + n, "nothing": lambda n: b"",
    "zero bytes": lambda n: b"\0" * 50,
    "wrong signature": lambda n: b"r=" + n + b"x,s=" + SALT + b",i=4096",
}


SCRAM_FINAL = {
    "nothing": b"", "cut": message("R", struct.pack("!i", 12)),
    "error": authentication(12, b"e=other-error"),
    "empty": authentication(12, b"v="),
    "long": authentication(12, b"v=" + b"A" * 100000),
    "again": authentication(11, b"r=x"), "skipped": authentication(0),
}


@pytest.mark.parametrize("name", SERVER_FIRST)
def test_scram(gallery, name):
    """CVE-2026-6665, and: who cannot prove that it knows is not trusted."""
    replies = result(gallery, "scram: " + name)
    check_told(replies)
    assert "D" not in [m.type for m in replies]


@pytest.mark.parametrize("name", SCRAM_FINAL)
def test_scram_final(gallery, name):
    replies = result(gallery, "final: " + name)
    check_told(replies)
    assert "D" not in [m.type for m in replies]


# In the middle of an answer.

def answering(data, hold=0.3):
    """Logs in, waits for something to answer, says data."""
    def script(sock):
        log_in(sock)
        read_message(sock)
        sock.sendall(data)
        time.sleep(hold)
    return script


ANSWER_GARBAGE = {
    "nothing": b"",
    "half a header": b"T\0\0",
    "unknown type": message("x", b"abc") + message("Z", b"I"),
    "length 0": b"T\0\0\0\0" + b"x" * 20,
    "length 3": b"T\0\0\0\3" + b"x" * 20,
    "length 2^31": b"T\x80\0\0\0" + b"x" * 20,
    "length 2^32-1": b"D\xff\xff\xff\xff" + b"x" * 20,
    "row cut": row_description() + b"D\0\0\x10\0\0\1\0\0\x0f\xf0abc",
    "row of 2^31-1 cut": row_description() + b"D\x7f\xff\xff\xff"
    + b"x" * 1000,
    "state unknown": row_description() + message("Z", b"Q"),
    "state of two bytes": message("C", b"SELECT 0\0") + message("Z", b"II"),
    "state of no byte": message("C", b"SELECT 0\0") + message("Z", b""),
    "login again": authentication(0) + message("Z", b"I"),
    "password asked": authentication(3),
    "copy both": message("W", b"\0\0\0") + message("Z", b"I"),
    "negotiation": message("v", struct.pack("!ii", 196608, 0))
    + message("Z", b"I"),
    "web server": b"HTTP/1.0 400 Bad Request\r\n\r\n",
    "zeroes": b"\0" * 200, "noise": b"\xff" * 200,
}


@pytest.mark.tsan
@pytest.mark.parametrize("name", ANSWER_GARBAGE)
def test_answer(gallery, name):
    check_told(result(gallery, "answer: " + name))


ANSWER_ERRORS = {
    "no fields": message("E", b"\0"),
    "nothing": message("E", b""),
    "text only": message("E", b"Mbroken\0\0"),
    "no end": message("E", b"SERROR\0Mbroken"),
    "short code": message("E", b"SERROR\0C2\0Mx\0\0"),
    "long code": message("E", b"SERROR\0C" + b"2" * 500 + b"\0Mx\0\0"),
    "fields twice": message("E", b"SERROR\0SERROR\0C22000\0C23000\0Mx\0\0"),
    "unknown fields": message("E", b"SERROR\0C22000\0Mx\0Zzz\0\1\2\0\0"),
    "notice without fields": message("N", b"") + message("N", b"\0"),
}


@pytest.mark.tsan
@pytest.mark.parametrize("state", ["I", "E"])
@pytest.mark.parametrize("name", ANSWER_ERRORS)
def test_odd_errors(gallery, name, state):
    """CVE-2026-6666: forwarded or replaced, never fatal to the process."""
    replies = result(gallery, "error: %s %s" % (name, state))
    assert [m for m in replies if m.type in "ENZ"], replies


def all_scripts():
    out = {}
    for name, data in LOGIN_GARBAGE.items():
        out["login: " + name] = saying(data)
    for name, first in SERVER_FIRST.items():
        out["scram: " + name] = scram_script(first)
    for name, final in SCRAM_FINAL.items():
        out["final: " + name] = scram_script(
            SERVER_FIRST["wrong signature"], final)
    for name, data in ANSWER_GARBAGE.items():
        out["answer: " + name] = answering(data)
    for name, data in ANSWER_ERRORS.items():
        for state in "IE":
            out["error: %s %s" % (name, state)] = answering(
                data + message("Z", state.encode()))
    return out


def test_fatal_error_ends_the_server_only(meet):
    said = message("E", b"SFATAL\0VFATAL\0C57P01\0Mgoing down\0\0")
    weir, _ = meet(answering(said, 0))
    replies = heard(weir)
    check_told(replies)


def test_words_while_idle(meet):
    """A server that speaks unasked is not used any more."""
    def script(sock):
        log_in(sock)
        read_message(sock)
        sock.sendall(ANSWER)
        time.sleep(0.2)
        sock.sendall(row_description() + row(b"injected"))
        while read_message(sock):
            sock.sendall(ANSWER)
    weir, fake = meet(script)
    assert [m.type for m in heard(weir)] == ["T", "D", "C", "Z"]
    time.sleep(0.5 * SLOW)
    replies = heard(weir)
    assert b"injected" not in b"".join(m.payload for m in replies)
    assert [m.type for m in replies] == ["T", "D", "C", "Z"]
    assert fake.met == 2


def test_notices_and_parameters_while_idle_are_harmless(meet):
    def script(sock):
        log_in(sock)
        while read_message(sock):
            sock.sendall(ANSWER)
            time.sleep(0.1)
            sock.sendall(message("N", b"SNOTICE\0C00000\0Mhello\0\0")
                         + message("S", b"TimeZone\0UTC\0"))
    weir, fake = meet(script)
    for _ in range(3):
        assert [m.type for m in heard(weir)][-1] == "Z"
        time.sleep(0.3)


def test_ready_twice_reaches_nobody_else(meet):
    """A second ReadyForQuery must not answer the next client's query."""
    def script(sock):
        log_in(sock)
        turn = 0
        while read_message(sock):
            turn += 1
            sock.sendall(row_description() + row(b"turn %d" % turn)
                         + message("C", b"SELECT 1\0")
                         + message("Z", b"I") * 2)
    weir, fake = meet(script, default_pool_size=1)
    for _ in range(6):
        rows = [m for m in heard(weir) if m.type == "D"]
        assert len(rows) <= 1
    time.sleep(0.2)
    weir.alive()


def test_answers_to_nothing_asked(meet):
    """ParseComplete and its like, more of them than there were questions."""
    extra = message("1") * 5 + message("2") * 5 + message("3") * 5
    weir, _ = meet(answering(extra + ANSWER))
    heard(weir, one_query("SELECT 1"), sync())
    heard(weir)
    weir.alive()


def test_copy_in_unasked(meet):
    weir, _ = meet(answering(message("G", b"\0\0\1\0\0")))
    with Wire(weir.port, timeout=8 * SLOW) as conn:
        conn.login("victim", "fake")
        conn.send(query("SELECT 1"))
        try:
            conn.until("GEZ")
            conn.send(message("c"))
            conn.until("EZ")
        except (Closed, ConnectionError):
            pass


@pytest.mark.tsan
def test_server_that_closes_at_every_byte(meet):
    """However much of its answer came, the client is told or has it all."""
    state = {"size": 0}

    def script(sock):
        log_in(sock)
        read_message(sock)
        sock.sendall(ANSWER[:state["size"]])
    weir, _ = meet(script, query_wait_timeout=3)
    for size in range(0, len(ANSWER) + 1, 3):
        state["size"] = size
        kinds = [m.type for m in heard(weir)]
        if size == len(ANSWER):
            assert kinds[-1] == "Z"
        else:
            assert kinds and kinds[-1] in ("E", "cut")


def test_server_that_stops_reading(meet):
    """A client with much to send waits; the memory does not grow."""
    def script(sock):
        log_in(sock)
        read_message(sock)
        time.sleep(3)
    weir, _ = meet(script, query_wait_timeout=5)
    before = weir.memory_peak_kb()
    with Wire(weir.port, timeout=1) as conn:
        conn.login("victim", "fake")
        body = cstr("") + cstr("") + struct.pack("!hhi", 0, 1, 200000000)
        conn.send(query("SELECT 1"), parse("SELECT $1"),
                  b"B" + struct.pack("!i", len(body) + 200000006) + body)
        try:
            for _ in range(200):
                conn.send(b"x" * 1000000)
        except (TimeoutError, ConnectionError):
            pass
    assert weir.memory_peak_kb() - before < 40000


def test_pipelined_client_and_dying_server(meet):
    def script(sock):
        log_in(sock)
        for _ in range(3):
            read_message(sock)
        sock.sendall(message("1") + message("2"))
    weir, _ = meet(script)
    check_told(heard(weir, *[parse("SELECT 1") + bind() + execute() + sync()
                             for _ in range(50)]))
