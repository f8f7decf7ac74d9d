"""A load generator: keep-alive connections that send requests made beforehand and time each answer.

It shares the machine's cores with what it measures, so it does as little as it can: an answer is whole when as many
bytes as it says have come, and of its content nothing but the status is read.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass(slots=True)
class Load:
    """What one run saw. Latencies are seconds, `cpu_seconds` the generator's own."""

    connections: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cpu_us(self) -> float:
        """Of the generator, for each answer."""
        return self.cpu_seconds / len(self.latencies) * 1e6

    def percentile(self, share: float) -> float:
        return percentile(self.latencies, share)


def percentile(latencies: list[float], share: float) -> float:
    """The latency, in milliseconds, that `share` of the answers did not exceed; 0 where there are none."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0


def answer_length(data: bytes) -> int:
    """How long the answer that `data` begins with is; 0 while that can not be told."""
    end = data.find(_END)
    if end < 0:
        return 0
    at = data.find(b"Content-Length: ", 0, end)
    if at < 0:
        at = data[:end].lower().index(_LENGTH)
    return end + len(_END) + int(data[at + len(_LENGTH) : data.find(b"\r", at)])


class AnswerProtocol(asyncio.Protocol):
    """Gives each answer to `take` once it is whole."""

    _held = b""

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        if not 0 < answer_length(data) <= len(data):
            self._held = data
            return
        self._held = b""
        self.take(data)

    def take(self, answer: bytes) -> None:
        raise NotImplementedError


class _Connection(AnswerProtocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], load: Load, until: float, done: asyncio.Future[None]) -> None:
        self._requests, self._load, self._until, self._done = requests, load, until, done
        self._sent = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are not asyncio's by class
        self._send(time.perf_counter())

    def _send(self, now: float) -> None:
        assert self._transport is not None
        request = next(self._requests, None) if now < self._until else None
        if request is None:
            self._transport.close()
            return
        self._sent = now
        self._transport.write(request)

    def take(self, answer: bytes) -> None:
        now = time.perf_counter()
        self._load.latencies.append(now - self._sent)
        self._load.statuses[int(answer[9:12])] += 1
        self._send(now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def run_load(port: int, requests: Callable[[int], Iterator[bytes]], *, connections: int, seconds: float) -> Load:
    """Send over `connections` sockets, each what `requests` gives for its number, for `seconds` or until no more."""
    loop = asyncio.get_running_loop()
    load = Load(connections)
    started, cpu = time.perf_counter(), time.process_time()
    waits: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    for number, done in enumerate(waits):
        own = requests(number)
        await loop.create_connection(
            lambda own=own, done=done: _Connection(own, load, started + seconds, done),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.gather(*waits)
    load.seconds, load.cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return load
