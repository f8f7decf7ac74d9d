"""Bytes that are no honest HTTP, sent to a running server: garbage, floods, two requests made to look like one.

Each connection gets whole answers or none, no failure among them, and never one to a request that was hidden in
another. `make fuzz` sends more of them.
"""

import os
import re
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import Server, installed
from tests.test_fuzz_api import assert_nothing_failed

EXAMPLES = 8 * int(os.environ.get("FUZZ_EXAMPLES", "25"))
HOST = b"Host: x\r\n"
HIDDEN = b"GET /keys HTTP/1.1\r\nHost: hidden\r\n\r\n"
FLOOD_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16
SILENCE_SECONDS = 0.02
STATUS = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3}) [^\r\n]*\r\n")
LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    installation = installed(tmp_path_factory.mktemp("raw") / "installation")
    with installation.serve(BODY_TIMEOUT_S=1) as server:
        yield server
        assert statuses_of(told(server, [b"GET /readyz HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"])) == [200]
    assert_nothing_failed(server)
    installation.assert_audits()


def told(server: Server, pieces: list[bytes], silence_s: float | None = None) -> bytes:
    """All that is answered to these bytes, sent piece by piece, until the server closes.

    After a silence of so long the sending end is closed, for what waits for more. Before that is no use: a request
    whose sender hangs up may get no answer.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have had enough before all was sent
            for piece in pieces:
                connection.sendall(piece)
        with suppress(ConnectionResetError):
            while data := heard(connection, silence_s):
                received += data
    return received


def heard(connection: socket.socket, silence_s: float | None) -> bytes:
    if silence_s is not None and not select.select([connection], [], [], silence_s)[0]:
        with suppress(OSError):  # it was closed at the other end just now
            connection.shutdown(socket.SHUT_WR)
    return connection.recv(65_536)


def statuses_of(answers: bytes, *, to_head: bool = False) -> list[int]:
    """The statuses of whole answers, one after the other; anything else fails. `to_head`: some have no body."""
    statuses = []
    while answers:
        status = STATUS.match(answers)
        head, end, rest = answers.partition(b"\r\n\r\n")
        assert status, answers[:200]
        assert end, answers[:200]
        statuses.append(int(status[1]))
        length = LENGTH.search(head + b"\r\n")
        assert length or statuses[-1] == 100, head
        is_bare = to_head and (not rest or STATUS.match(rest) is not None)
        size = 0 if is_bare or not length else int(length[1])
        assert len(rest) >= size, answers[:200]
        answers = rest[size:]
    return statuses


# --- one request that can be read as two ---


POST = b"POST /authorisation HTTP/1.1\r\n" + HOST
AMBIGUOUS = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n",
    "two lengths in one line": b"Content-Length: 0, %d\r\n",
    "a length and chunks": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    "chunks that are not last": b"Transfer-Encoding: chunked, identity\r\nContent-Length: %d\r\n",
    "chunks spelled otherwise": b"Transfer-Encoding: xchunked\r\nContent-Length: %d\r\n",
    "chunks after a vertical tab": b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d\r\n",
    "a name with a space after it": b"Transfer-Encoding : chunked\r\nContent-Length: %d\r\n",
    "a length with a sign": b"Content-Length: +%d\r\n",
    "a length in hex": b"Content-Length: 0x%x\r\n",
    "a length with an underscore": b"Content-Length: 1_%d\r\n",
    "a length that is negative": b"Content-Length: -%d\r\n",
    "a length of twenty digits": b"Content-Length: 999999999999999999%d\r\n",
    "a folded line": b"X: y\r\n Content-Length: 0\r\nContent-Length: %d\r\n",
    "a NUL in a name": b"Content-Length\x00: 0\r\nContent-Length: %d\r\n",
    "a bare carriage return": b"X: y\rContent-Length: 0\r\nContent-Length: %d\r\n",
}


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_a_request_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read(server: Server, how: str) -> None:
    head = AMBIGUOUS[how] % (5 + len(HIDDEN))
    assert statuses_of(told(server, [POST + head + b"\r\n0\r\n\r\n" + HIDDEN])) == [400]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"5\r\nhello\r\nz\r\n" + HIDDEN, id="a length that is no number"),
        pytest.param(b"fffffffffffffffff\r\nhello", id="a length beyond all"),
        pytest.param(b"5\r\nhello0\r\n\r\n" + HIDDEN, id="no line's end after a chunk"),
        pytest.param(b"-1\r\n\r\n" + HIDDEN, id="a negative length"),
    ],
)
def test_chunks_that_are_none_end_the_connection_with_one_refusal(server: Server, body: bytes) -> None:
    head = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses_of(told(server, [head + body], SILENCE_SECONDS)) == [400]


def test_a_target_that_is_not_there_is_not_found(server: Server) -> None:
    """aiohttp's own parser takes it, and would leave the connection open and unanswered for ever."""
    assert statuses_of(told(server, [b"CONNECT  \r\n" + HOST + b"\r\n"], SILENCE_SECONDS)) == [404]


# --- floods ---


@pytest.mark.parametrize(
    ("start", "unit"),
    [
        pytest.param(b"", b"G", id="a method"),
        pytest.param(b"GET /", b"a", id="a path"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X", id="a name"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"y", id="a value"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X: y\r\n", id="fields"),
        pytest.param(b"", b"\r\n", id="empty lines"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a", id="an extension of a chunk"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", id="fields after chunks"),
    ],
)
def test_what_has_no_end_is_refused_or_read_away_and_does_not_fill_the_memory(
    server: Server, start: bytes, unit: bytes
) -> None:
    before = memory_bytes(server)
    answer = told(server, [start, *[unit * (BLOCK_BYTES // len(unit))] * (FLOOD_BYTES // BLOCK_BYTES)], SILENCE_SECONDS)
    statuses = statuses_of(answer)
    assert len(statuses) <= 1
    assert all(400 <= status < 500 for status in statuses), statuses
    assert memory_bytes(server) - before < FLOOD_BYTES / 2


def memory_bytes(server: Server) -> int:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in server.pids]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


# --- anything ---


def words(text: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([word.encode("latin-1") for word in text.split()])


methods = words("GET GET POST POST HEAD OPTIONS get PRI CONNECT \x16\x03\x01") | st.just(b"")
targets = words(
    "/healthz /keys /checkpoint /authorisation /entries/0 * http://x/keys //x /%00 /%ff /\xff /tile/0/000 "
    "/tile/../keys /healthz?a=%zz&&= /healthz#x x:1"
) | st.binary(max_size=12)
versions = words("HTTP/1.1 HTTP/1.1 HTTP/1.1 HTTP/1.1 HTTP/1.0 HTTP/2.0 HTTP/0.9 http/1.1 HTTP/1.1x") | st.just(b"")
names = words(
    "Host Host Host Content-Length Transfer-Encoding Content-Type Content-Encoding Connection Expect Upgrade Signature "
    "Signature-Input Webhook-Signature Webhook-Id Trailer Cookie Range If-None-Match Accept-Encoding \xff"
) | st.sampled_from([b"", b"a b"])
values = (
    words(
        "x 0 5 -1 99999999999999999999 chunked close keep-alive upgrade h2c websocket 100-continue gzip \xff\xfe \x00"
    )
    | st.sampled_from([b"", b"gzip, chunked", b"application/json", b"a" * 9_000])
    | st.binary(max_size=8)
)
fields = st.lists(st.builds(lambda name, value: name + b": " + value, names, values), max_size=6)
bodies = words("hello {}") | st.sampled_from([b"", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"0\r\nX: y\r\n\r\n"])
ends = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r"])
requests = st.builds(
    lambda method, target, version, fields, end, body: (
        end.join([b" ".join([method, target, version]), *fields, b"", b""]) + body
    ),
    *(methods, targets, versions, fields, ends, bodies),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """A few requests or mere bytes, cut into pieces anywhere."""
    data = b"".join(draw(st.lists(requests | st.binary(max_size=40), min_size=1, max_size=3)))
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=3)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def test_anything_at_all_gets_whole_answers_or_none_and_no_failure(server: Server) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(pieces=streams())
    def check(pieces: list[bytes]) -> None:
        statuses = statuses_of(told(server, pieces, SILENCE_SECONDS), to_head=b"HEAD" in b"".join(pieces))
        assert all(status < 500 for status in statuses), statuses

    check()
