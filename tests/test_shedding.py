"""Load shedding: what is answered without being parsed is one whole request, and its answer is nobody else's."""

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.shedding import Shed, Shedding

PATHS = ("/authorisation", "/presentment")
HEAD = b"POST /authorisation HTTP/1.1\r\nhost: x\r\n"
REFUSED = b"refused"
BODY_BYTES_MAX = 500


def shedding(requests_max: int = 0) -> Shedding:
    return Shedding(PATHS, requests_max=requests_max, body_bytes_max=BODY_BYTES_MAX, refuse=lambda: REFUSED)


def tell(shed: Shed) -> None:
    shed.telling()
    shed.told()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"content-length: 2\r\n\r\n{}", id="plain"),
        pytest.param(HEAD + b"Content-Length:2\r\nx-y:\r\n\r\n{}", id="other letters, no spaces, an empty field"),
        pytest.param(HEAD + b"content-length: 0\r\n\r\n", id="without a body"),
        pytest.param(b"POST /presentment HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", id="another path, alone"),
        pytest.param(HEAD + b"content-length: 4\r\n\r\n\r\n\r\n", id="a body that looks like the end of a head"),
    ],
)
def test_a_plain_request_is_whole(request_bytes: bytes) -> None:
    assert shedding().is_whole(request_bytes)
    for end in range(len(request_bytes)):
        assert not shedding().is_whole(request_bytes[:end])


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"content-length: 2\r\n\r\n{}P", id="more than one request"),
        pytest.param(HEAD + b"\r\n", id="no length"),
        pytest.param(HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}", id="two lengths"),
        pytest.param(HEAD + b"content-length: 2\r\nCONTENT-LENGTH: 3\r\n\r\n{}", id="two lengths, in other letters"),
        pytest.param(HEAD + b"content-length : 9\r\ncontent-length: 2\r\n\r\n{}", id="a space before the colon"),
        pytest.param(HEAD + b"content-length: +2\r\n\r\n{}", id="a sign"),
        pytest.param(HEAD + b"content-length: 2, 2\r\n\r\n{}", id="a list of lengths"),
        pytest.param(HEAD + b"content-length: 0000002\r\n\r\n{}", id="a long length"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{}", id="chunks"),
        pytest.param(HEAD + b"content-length: 2\r\nTransfer-Encoding: x\r\n\r\n{}", id="an encoding"),
        pytest.param(HEAD + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n{}", id="somebody who waits"),
        pytest.param(HEAD + b"content-length: 2\r\nconnection: close\r\n\r\n{}", id="somebody who wants a hang-up"),
        pytest.param(HEAD + b"content-length: 2\r\nProxy-Connection: close\r\n\r\n{}", id="the same, to a proxy"),
        pytest.param(HEAD + b"content-length: 501\r\n\r\n" + bytes(501), id="a body longer than may be"),
        pytest.param(HEAD + b"a: b\r\n" * 4_000 + b"content-length: 2\r\n\r\n{}", id="a head longer than is looked at"),
        pytest.param(HEAD + b"content-length: 2\r\nupgrade: websocket\r\n\r\n{}", id="an upgrade"),
        pytest.param(HEAD + b"a: b\n content-length: 9\r\ncontent-length: 2\r\n\r\n{}", id="a bare newline"),
        pytest.param(HEAD + b"a: b\r\n content-length: 9\r\ncontent-length: 2\r\n\r\n{}", id="a folded field"),
        pytest.param(HEAD + b"a: \0\r\ncontent-length: 2\r\n\r\n{}", id="a NUL"),
        pytest.param(HEAD + b": b\r\ncontent-length: 2\r\n\r\n{}", id="a field without a name"),
        pytest.param(b"\r\n" + HEAD + b"content-length: 2\r\n\r\n{}", id="an empty line before it"),
        pytest.param(HEAD.replace(b"1.1", b"1.0") + b"content-length: 2\r\n\r\n{}", id="HTTP/1.0"),
        pytest.param(HEAD.replace(b"POST", b"PUT") + b"content-length: 2\r\n\r\n{}", id="another method"),
        pytest.param(HEAD.replace(b"/auth", b"/other") + b"content-length: 2\r\n\r\n{}", id="another path"),
        pytest.param(HEAD.replace(b" HTTP", b"?a HTTP") + b"content-length: 2\r\n\r\n{}", id="a query"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_not_quite_plain_is_for_the_parser(request_bytes: bytes) -> None:
    assert not shedding().is_whole(request_bytes)
    assert Shed(shedding()).answer(request_bytes, reads=True) is None


def test_so_many_are_in_hand_and_one_more_is_refused_until_one_is_answered_or_gone() -> None:
    one = HEAD + b"content-length: 0\r\n\r\n"
    several = shedding(2)
    first, second, third = (Shed(several) for _ in range(3))
    assert [shed.answer(one, reads=True) for shed in (first, second, third, third)] == [None, None, REFUSED, REFUSED]
    tell(first)
    tell(first)
    assert [shed.answer(one, reads=True) for shed in (third, first)] == [None, REFUSED]
    second.lost()
    third.lost()
    third.lost()
    fourth = Shed(several)
    assert [shed.answer(one, reads=True) for shed in (first, fourth, Shed(several))] == [None, None, REFUSED]


def test_what_comes_behind_a_request_in_hand_is_for_the_parser_and_all_that_follows() -> None:
    one = HEAD + b"content-length: 0\r\n\r\n"
    shed = Shed(shedding(1))
    assert [shed.answer(one, reads=True), shed.answer(one, reads=True)] == [None, None]
    tell(shed)
    tell(shed)
    assert shed.answer(one, reads=True) is None, "the parser may have a part of another"


def test_a_place_is_free_once_there_is_an_answer_and_the_connection_once_it_is_written() -> None:
    """Who does not read must not keep others out."""
    one = HEAD + b"content-length: 0\r\n\r\n"
    several = shedding(1)
    slow, other = Shed(several), Shed(several)
    assert slow.answer(one, reads=True) is None
    slow.telling()
    assert other.answer(one, reads=True) is None
    assert slow.answer(one, reads=True) is None, "for the parser: its answer may not come before the one being written"
    slow.told()
    assert slow.answer(one, reads=True) is None
    slow.lost()
    assert Shed(several).answer(one, reads=True) == REFUSED


def test_who_does_not_read_is_told_nothing_more_here() -> None:
    one = HEAD + b"content-length: 0\r\n\r\n"
    shed = Shed(shedding())
    assert shed.answer(one, reads=True) == REFUSED
    assert shed.answer(one, reads=False) is None
    assert shed.answer(one, reads=True) is None, "the parser has one"


# --- whatever is sent, cut however ------------------------------------------------------------------------------------


def numbered(number: int, form: str, inner: bytes) -> bytes:
    name = b"x-number: %d\r\n" % number
    match form:
        case "read":
            return b"GET /ledger HTTP/1.1\r\nhost: x\r\n%s\r\n" % name
        case "chunked":
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner) if inner else b"0\r\n\r\n"
            return HEAD + name + b"transfer-encoding: chunked\r\n\r\n" + body
        case _:
            return HEAD + name + b"content-length: %d\r\n\r\n%s" % (len(inner), inner)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[int, list[bytes], list[int]]:
    """How many requests, their bytes cut somewhere, often where one ends; and how many are answered after each piece.

    A request's body may be the bytes of another.
    """
    count = draw(st.integers(1, 6))
    smuggled = numbered(99, "plain", b"{}")
    inner = st.sampled_from([b"", b"{}", smuggled, b"\r\n\r\n" + smuggled, smuggled + smuggled])
    forms = st.sampled_from(["plain", "plain", "plain", "read", "chunked"])
    requests = [numbered(number, draw(forms), draw(inner)) for number in range(count)]
    stream = b"".join(requests)
    ends = [match.start() for match in re.finditer(b"POST|GET", stream)]
    cuts = draw(st.sets(st.sampled_from(ends) | st.integers(0, len(stream)), max_size=8))
    edges = sorted({0, len(stream), *cuts, *draw(st.sampled_from([ends, []]))})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    return count, pieces, draw(st.lists(st.integers(0, 3), min_size=len(pieces), max_size=len(pieces)))


def answers_to(pieces: list[bytes], answered: list[int], requests_max: int) -> Iterator[int]:
    """The number of the request that each answer is to, in order."""
    loop = asyncio.new_event_loop()
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    several = shedding(requests_max)
    shed, waiting = Shed(several), deque[int]()

    def answer_oldest() -> int:
        tell(shed)
        return waiting.popleft()

    try:
        for piece, count in zip(pieces, answered, strict=True):
            if shed.answer(piece, reads=True) is not None:
                assert not waiting, "an answer came before its turn"
                yield int(re.findall(rb"x-number: (\d+)", piece)[0])
                continue
            messages, _, _ = parser.feed_data(piece)
            waiting += [int(message.headers["x-number"]) for message, _ in messages]
            yield from (answer_oldest() for _ in range(min(count, len(waiting))))
        yield from (answer_oldest() for _ in range(len(waiting)))
        shed.lost()
        assert several._in_hand == 0
    finally:
        loop.close()


@given(conversation=conversations(), requests_max=st.integers(0, 1))
def test_each_request_gets_one_answer_in_its_turn(
    conversation: tuple[int, list[bytes], list[int]], requests_max: int
) -> None:
    count, pieces, answered = conversation
    assert [*answers_to(pieces, answered, requests_max)] == [*range(count)]
