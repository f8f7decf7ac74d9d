"""Clients as there are: silent ones, ones that drip a byte a second, ones that hang up."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

DRIP_SECONDS: Final = 1.0
_ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: the connection ends with a reset, as when a client dies."""


@asynccontextmanager
async def silent(port: int, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections that say nothing; gives what reads from them."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield [reader for reader, _ in streams]
    finally:
        for _, writer in streams:
            writer.close()


async def drip(port: int, request: bytes, at_once: int = 0, seconds: float = DRIP_SECONDS) -> bytes:
    """Send the beginning of a request at once, then a byte in so many seconds; give what came until the server hung up.

    That may be nothing: who goes on sending to a server that has hung up loses its last words.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    try:
        writer.write(request[:at_once])
        for byte in request[at_once:]:
            writer.write(bytes([byte]))
            await writer.drain()
            if (await asyncio.wait([answer], timeout=seconds))[0]:
                break
        return await answer
    except ConnectionError:
        return b""
    finally:
        answer.cancel()
        writer.close()


@asynccontextmanager
async def dripping(port: int, requests: list[bytes]) -> AsyncIterator[None]:
    """One such client for each of these requests, again and again."""

    async def again(request: bytes) -> None:
        while True:
            await drip(port, request)

    async with _beside([again(request) for request in requests]):
        yield


async def hang_up(port: int, request: bytes, sent: int, *, abort: bool) -> None:
    """Send the first `sent` bytes of a request, then go without waiting for anything, by a reset where `abort`."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    if abort:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.write(request[:sent])
    with suppress(ConnectionError):
        await writer.drain()
    writer.close()


@asynccontextmanager
async def hanging_up(port: int, requests: Iterator[bytes], per_second: float) -> AsyncIterator[None]:
    """So many clients a second that hang up: half of them mid-request, half before the answer."""

    async def go_on() -> None:
        for number, request in enumerate(requests):
            sent = len(request) if number % 2 else number * 37 % len(request)
            await hang_up(port, request, sent, abort=number % 4 < 2)
            await asyncio.sleep(1 / per_second)

    async with _beside([go_on()]):
        yield


@asynccontextmanager
async def _beside(works: list[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
