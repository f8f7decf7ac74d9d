"""How connections are taken in: many at once, where files are short, where they have gone already, and at the end."""

import asyncio
import errno
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
import uvloop
from aiohttp import web

from signed_ledger.listening import ACCEPTED_AT_ONCE, FILES_KEPT, PAUSE_SECONDS, Runner, Site, Words

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[uvloop.run, asyncio.run])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


@asynccontextmanager
async def serving(port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[tuple[Runner, int]]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = Runner(app, Words(lambda _: web.Response(status=400), lambda: b""), 1)
    await runner.setup()
    try:
        await Site(runner, host, port, reuse_port=False).start()
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


def connected(port: int, host: str = "127.0.0.1") -> socket.socket:
    """The system takes it in, whether or not the server has."""
    connection = socket.create_connection((host, port), timeout=10)
    connection.setblocking(False)
    return connection


async def in_time(result: Awaitable[T]) -> T:
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
            assert turns < 20, "one for each would be two hundred and more"
            answers = await asyncio.gather(*map(ask, waiting))
            assert all(answer.endswith(b"hello") for answer in answers)

    run(check())


def test_those_who_are_not_counted_yet_are_few(run: Run) -> None:
    async def check() -> None:
        async with serving(host="") as (runner, _), AsyncExitStack() as stack:
            ends = ends_of(runner)
            for _ in range(2 * ACCEPTED_AT_ONCE):
                for port, host in ends:
                    stack.enter_context(closing(connected(port, host)))
            before = open_files()
            most = 0
            assert runner.server is not None
            while len(runner.server.connections) < 2 * ACCEPTED_AT_ONCE * len(ends):
                await asyncio.sleep(0)
                most = max(most, open_files() - before - len(runner.server.connections))
            assert 1 < most <= ACCEPTED_AT_ONCE < FILES_KEPT

    run(check())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def ends_of(runner: Runner) -> list[tuple[int, str]]:
    """Port and host of each address that is listened to: with IPv6, where this machine has it, they are two."""
    return [(address[1], "127.0.0.1" if len(address) == 2 else "::1") for address in runner.addresses]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_every_address_of_a_host_is_listened_to(run: Run) -> None:
    async def check() -> None:
        async with serving(host="") as (runner, _):
            ends = ends_of(runner)
            assert len(ends) == 1 + has_ipv6()
            for port, host in ends:
                with closing(connected(port, host)) as connection:
                    assert (await in_time(ask(connection))).endswith(b"hello")

    run(check())


def test_where_the_system_is_short_of_files_it_is_told_and_tried_again(run: Run) -> None:
    async def check() -> None:
        async with serving() as (_, port):
            with unconnected() as asking, structlog.testing.capture_logs() as logs:
                with short_of_files(asking):
                    await asyncio.get_running_loop().sock_connect(asking, ("127.0.0.1", port))
                    await asyncio.sleep(PAUSE_SECONDS / 2)
                assert [(log["event"], log["reason"]) for log in logs] == [("not_accepted", os.strerror(errno.EMFILE))]
                assert (await in_time(ask(asking))).endswith(b"hello")

    run(check())


def test_who_ends_while_the_system_is_short_of_files_does_not_try_again(run: Run) -> None:
    async def check() -> None:
        failed: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        with unconnected() as asking, structlog.testing.capture_logs() as logs:
            async with serving() as (_, port):
                with short_of_files(asking):
                    await asyncio.get_running_loop().sock_connect(asking, ("127.0.0.1", port))
                    while not logs:
                        await asyncio.sleep(0)
            await asyncio.sleep(PAUSE_SECONDS * 1.2)
        assert (failed, len(logs)) == ([], 1)

    run(check())


@contextmanager
def unconnected() -> Iterator[socket.socket]:
    with closing(socket.socket()) as connection:
        connection.setblocking(False)
        yield connection


@contextmanager
def short_of_files(newest: socket.socket) -> Iterator[None]:
    """No more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (newest.fileno() + 1, hard))
    fill = [os.dup(newest.fileno()) for _ in range(free_files())]
    try:
        yield
    finally:
        for each in fill:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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


def test_who_was_taken_in_as_the_server_ends_is_hung_up_on(run: Run) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            async with serving() as (_, port):
                asking = [stack.enter_context(closing(connected(port))) for _ in range(4)]
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            ends = [await in_time(loop.sock_recv(each, 1)) for each in asking]
            assert ends == [b""] * 4

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
