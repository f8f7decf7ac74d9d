"""What the writer's process does beside deciding: it looks, publishes, has that cosigned, and settles."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

import structlog

from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import clock
from signed_ledger.config import Settings
from signed_ledger.daily import ClockWatch, Desk, Schedule, keep_settling, keep_watching
from signed_ledger.errors import Fault, SignedLedgerError
from signed_ledger.fetching import Fetcher
from signed_ledger.ledger import Decider, Ledger, RemoteLedger
from signed_ledger.policy import Policy
from signed_ledger.publishing import Board, Publisher, Witnesses, keep_cosigning
from signed_ledger.store import Reader
from signed_ledger.telemetry import Counts, Metrics

log = structlog.get_logger("signed_ledger.cli")

LOOK_SECONDS: Final = 1.0
"""How long an idle server may not know of a key change that another process wrote."""

REPORT_SECONDS: Final = 0.25
"""How long the metrics may not show what a process counted that answers HTTP."""


class Served(NamedTuple):
    """What is served. That another process does the same on this ledger harms nothing."""

    settings: Settings
    ledger: Ledger
    reader: Reader
    publisher: Publisher
    policy: Policy | None
    metrics: Metrics


class Background:
    """Tasks beside the answering, from now on until `end`."""

    def __init__(self, *running: Coroutine[None, None, None]) -> None:
        self._tasks = [asyncio.create_task(one) for one in running]

    async def end(self) -> None:
        """End them; when this returns they use the readers no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    @property
    def has_failed(self) -> bool:
        """Whether one ended by itself with an error: publishing does, for one reason only."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        return any(task.exception() is not None for task in ended)


def beside_writing(served: Served, stop: asyncio.Event) -> Background:
    """What goes on where the ledger is written; another history under our key sets `stop`."""
    watch = ClockWatch(clock)
    return Background(
        keep_watching(watch),
        _keep_looking(served.ledger),
        _keep_publishing(served, stop),
        _keep_cosigning(served),
        _keep_settling(served, watch),
    )


def beside_answering(ledger: RemoteLedger, board: Board, metrics: Metrics, interval_s: float) -> Background:
    """What goes on in a process that answers, and does not write."""
    return Background(_keep_looking(ledger), board.follow(interval_s), _keep_reporting(ledger, metrics))


async def _keep_reporting(ledger: RemoteLedger, metrics: Metrics) -> None:
    """What is counted here is told to the writer, which shows all metrics."""
    told: Counts = {}
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        counts = metrics.counts()
        if more := {name: count - told.get(name, 0) for name, count in counts.items() if count != told.get(name)}:
            ledger.report(more)
            told = counts


async def _keep_looking(ledger: Decider) -> None:
    """An idle server writes nothing, so it would not meet what others wrote."""
    while not ledger.stopped.done():
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(SignedLedgerError):  # busy, it looks soon again; stopped, there is nothing to look for
            await ledger.look()


async def _keep_publishing(served: Served, stop: asyncio.Event) -> None:
    """Another history under our key ends the service."""
    try:
        await served.publisher.run(served.settings.checkpoint_interval_ms / 1_000)
    except Fault as error:
        log.critical("fault", reason=str(error))
        stop.set()
        raise


async def _keep_cosigning(served: Served) -> None:
    """What is published is cosigned, where a policy names witnesses."""
    if served.policy is None:
        return
    timeout_s = served.settings.witness_timeout_s
    fetcher = Fetcher(timeout_s)
    try:
        witnesses = Witnesses(served.policy, fetcher, served.metrics, timeout_s)
        await keep_cosigning(served.publisher, served.reader, witnesses)
    finally:
        await fetcher.close()


async def _keep_settling(served: Served, watch: ClockWatch) -> None:
    settings = served.settings
    if settings.settlement_hour is None:
        return

    @asynccontextmanager
    async def open_desk() -> AsyncIterator[Desk]:
        async with opened_reader(settings) as reader:
            yield Desk(served.ledger, reader, clock, served.metrics, serving=True)

    schedule = Schedule(settings.settlement_hour, settings.zone, settings.settlements)
    await keep_settling(open_desk, schedule, clock, watch, served.metrics)
