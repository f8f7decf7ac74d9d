"""An open load: requests go out at a rate, whether or not the answers come; a payment does not wait for another's.

All connections are opened before. A request takes an idle one; where there is none it is not sent, and counted. Times
count from when a request was due, so that a generator that falls behind makes the service look worse, not better.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, cast

from scripts.bench_client import AnswerProtocol, percentile

CONNECTIONS: Final = 1_000
TICK_SECONDS: Final = 0.001
WAIT_SECONDS: Final = 30.0
"""How long the last answers are waited for."""


@dataclass(slots=True)
class OpenLoad:
    """What a run saw; of each webhook id that was sent, how it was answered: 0 where it was not."""

    rate: float
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    unsent: int = 0
    without_retry_after: int = 0

    def of(self, *statuses: int) -> list[float]:
        return [latency for status in statuses for latency in self.latencies.get(status, [])]

    def per_second(self, *statuses: int) -> float:
        return len(self.of(*statuses)) / self.seconds

    def percentile(self, share: float, *statuses: int) -> float:
        return percentile(self.of(*statuses), share)

    def counted(self) -> Counter[int]:
        return Counter(self.statuses.values())


class _Connection(AnswerProtocol):
    def __init__(self, load: OpenLoad, idle: "list[_Connection]") -> None:
        self._load, self._idle = load, idle
        self._due = 0.0
        self._asked: str | None = None
        self._free = asyncio.Event()
        self._free.set()
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def send(self, webhook_id: str, request: bytes, due: float) -> None:
        assert self.transport is not None
        self._asked, self._due = webhook_id, due
        self._free.clear()
        self._load.statuses[webhook_id] = 0
        self.transport.write(request)

    async def answered(self) -> None:
        """Wait until nothing is asked any more, or nothing can be."""
        await self._free.wait()

    def take(self, answer: bytes) -> None:
        assert self._asked is not None
        status = int(answer[9:12])
        self._load.statuses[self._asked] = status
        self._load.latencies.setdefault(status, []).append(time.perf_counter() - self._due)
        if status == 503 and b"Retry-After: " not in answer:
            self._load.without_retry_after += 1
        self._asked = None
        self._free.set()
        self._idle.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._free.set()
        if self in self._idle:
            self._idle.remove(self)


async def run_open_load(
    port: int, requests: Iterator[tuple[str, bytes]], *, rate: float, seconds: float, connections: int = CONNECTIONS
) -> OpenLoad:
    """Send `rate` (webhook id, request) a second over so many connections, then wait for what is unanswered."""
    loop, load = asyncio.get_running_loop(), OpenLoad(rate)
    idle: list[_Connection] = []
    for _ in range(connections):
        _, connection = await loop.create_connection(lambda: _Connection(load, idle), "127.0.0.1", port)
        idle.append(connection)
    opened = tuple(idle)
    await _send(load, idle, requests, seconds)
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(*(connection.answered() for connection in opened))
    for connection in opened:
        if connection.transport is not None:
            connection.transport.close()
    return load


async def _send(load: OpenLoad, idle: list[_Connection], requests: Iterator[tuple[str, bytes]], seconds: float) -> None:
    started, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - started) < seconds:
        due = int(now * load.rate)
        for number in range(sent, due):
            if idle:
                idle.pop().send(*next(requests), started + number / load.rate)
            else:
                load.unsent += 1
        sent = due
        await asyncio.sleep(TICK_SECONDS)
    load.seconds = time.perf_counter() - started
