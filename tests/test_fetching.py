"""The one HTTP client, against real sockets: what is whole is given, all else is Unreachable."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from signed_ledger.fetching import Fetcher, Unreachable

TIMEOUT_S = 0.5


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(TIMEOUT_S)
    yield fetcher
    await fetcher.close()


class Answering:
    """A server that answers every request with the same bytes, and keeps what it was asked."""

    def __init__(self, answer: bytes, *, hang: bool = False) -> None:
        self.answer, self.hang, self.asked = answer, hang, b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in self.asked.split(b"\r\n") if line.lower().startswith(b"content-length:")), None)
        if length:
            self.asked += await reader.readexactly(int(length.split(b":")[1]))
        writer.write(self.answer)
        await writer.drain()
        if self.hang:
            await reader.read()  # until the caller hangs up
        writer.close()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answering], Awaitable[str]]]:
    servers: list[asyncio.Server] = []

    async def start(answering: Answering) -> str:
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


Serve = Callable[[Answering], Awaitable[str]]


async def test_an_answer_is_given_with_its_status_fields_and_body(fetcher: Fetcher, serve: Serve) -> None:
    server = Answering(b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n12\n")
    reply = await fetcher.post(await serve(server), b"old 0\n", content_type="text/plain", bytes_max=100)
    assert (reply.status, reply.headers["content-type"], reply.body) == (409, "text/x.tlog.size", b"12\n")
    assert server.asked.startswith(b"POST / HTTP/1.1\r\n")
    assert server.asked.endswith(b"\r\n\r\nold 0\n")
    assert b"\r\nUser-Agent: signed-ledger/" in server.asked


async def test_a_redirect_is_given_and_not_followed(fetcher: Fetcher, serve: Serve) -> None:
    other = Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    location = await serve(other)
    server = Answering(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
    assert (await fetcher.get(await serve(server), bytes_max=100)).status == 302
    assert other.asked == b""


@pytest.mark.parametrize(
    ("answer", "hang"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, False, id="too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", False, id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True, id="stopping half-way"),
        pytest.param(b"", True, id="silent"),
        pytest.param(b"", False, id="hanging up"),
        pytest.param(b"220 mail.example ESMTP\r\n\r\n", False, id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n", False, id="an endless header"),
    ],
)
async def test_what_is_not_a_whole_answer_is_unreachable(
    fetcher: Fetcher, serve: Serve, answer: bytes, hang: bool
) -> None:
    with pytest.raises(Unreachable):
        await fetcher.get(await serve(Answering(answer, hang=hang)), bytes_max=100)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "not a url", "http://", "ftp://127.0.0.1/"])
async def test_where_nobody_is_is_unreachable(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(Unreachable):
        await fetcher.get(url, bytes_max=100)
