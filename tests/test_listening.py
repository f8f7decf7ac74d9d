"""How connections are taken in: many at once, when the system is short of files, when they have gone already."""

import asyncio
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import pytest
import structlog
import uvloop
from aiohttp import web

from signed_ledger.listening import ACCEPTED_AT_ONCE, PAUSE_SECONDS, Runner, Site, Words

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[uvloop.run, asyncio.run])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[tuple[Runner, int]]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = Runner(app, Words(lambda _: web.Response(status=400), lambda: b""), 1)
    await runner.setup()
    try:
        await Site(runner, "127.0.0.1", port, reuse_port=False).start()
        yield runner, int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def ask(connection: socket.socket) -> bytes:
    """The answer to one more request."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, REQUEST)
    answer = b""
    while more := await loop.sock_recv(connection, 4_096):
        answer += more
    return answer


def connected(port: int) -> socket.socket:
    """The system takes it in, whether or not the server has."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setblocking(False)
    return connection


async def in_time(result: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(10):
        return await result


def test_all_who_wait_are_taken_in_within_a_few_turns(run: Run) -> None:
    async def check() -> None:
        async with serving() as (runner, port), AsyncExitStack() as stack:
            waiting = [stack.enter_context(closing(connected(port))) for _ in range(4 * ACCEPTED_AT_ONCE)]
            assert runner.server is not None
            turns = 0
            while len(runner.server.connections) < len(waiting):
                turns += 1
                await asyncio.sleep(0)
            assert turns < 20, "one for each would be a hundred"
            answers = await asyncio.gather(*map(ask, waiting))
            assert all(answer.endswith(b"hello") for answer in answers)

    run(check())


def test_where_the_system_is_short_of_files_it_is_told_and_tried_again(run: Run) -> None:
    async def check() -> None:
        async with serving() as (_, port):
            asking = socket.socket()
            asking.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with closing(asking), structlog.testing.capture_logs() as logs:
                resource.setrlimit(resource.RLIMIT_NOFILE, (asking.fileno() + 1, hard))
                fill = [os.dup(asking.fileno()) for _ in range(free_files())]
                try:
                    await asyncio.get_running_loop().sock_connect(asking, ("127.0.0.1", port))
                    await asyncio.sleep(PAUSE_SECONDS / 2)
                finally:
                    for each in fill:
                        os.close(each)
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                assert [(log["event"], log["reason"]) for log in logs] == [("not_accepted", os.strerror(24))]
                assert (await in_time(ask(asking))).endswith(b"hello")

    run(check())


def free_files() -> int:
    """How many more may be opened."""
    opened: list[int] = []
    try:
        while True:
            opened.append(os.dup(0))
    except OSError:
        return len(opened)
    finally:
        for each in opened:
            os.close(each)


def test_one_that_has_gone_before_it_was_taken_in_costs_others_nothing(run: Run) -> None:
    async def check() -> None:
        async with serving() as (_, port):
            gone = connected(port)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()  # a reset
            with closing(connected(port)) as other, structlog.testing.capture_logs() as logs:
                assert (await in_time(ask(other))).endswith(b"hello")
            assert logs == []

    run(check())


def test_at_the_end_nobody_is_taken_in_and_the_address_is_free(run: Run) -> None:
    async def check() -> None:
        async with serving() as (_, port):
            pass
        with pytest.raises(ConnectionRefusedError):
            connected(port)
        async with serving(port) as (_, again), serving() as (_, other):
            assert again == port != other
            with pytest.raises(OSError, match="in use"):
                async with serving(port):
                    raise AssertionError("two have one address")

    run(check())
