"""What a worker does beside answering: it looks, publishes, has that cosigned, and settles; of several, the first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

import structlog

from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import clock
from signed_ledger.config import Settings
from signed_ledger.daily import Desk, Schedule, keep_settling
from signed_ledger.errors import Fault, InternalError, Overloaded
from signed_ledger.fetching import Fetcher
from signed_ledger.ledger import Ledger
from signed_ledger.policy import Policy
from signed_ledger.publishing import Publisher, Witnesses, keep_cosigning
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.cli")

LOOK_SECONDS: Final = 1.0
"""How long an idle server may not know of a key change that another process wrote."""


class Served(NamedTuple):
    """What is served. One worker of several is `first`: that another process does the same harms nothing."""

    settings: Settings
    ledger: Ledger
    reader: Reader
    publisher: Publisher
    policy: Policy | None
    metrics: Metrics
    first: bool


class Background:
    """The tasks of one worker."""

    def __init__(self, served: Served, stop: asyncio.Event) -> None:
        """Start them; another history under our key sets `stop`."""
        self._looking = asyncio.create_task(_keep_looking(served.ledger), name="look")
        self._publishing = asyncio.create_task(_keep_publishing(served, stop), name="publish")
        self._cosigning = asyncio.create_task(_keep_cosigning(served), name="cosign")
        self._settling = asyncio.create_task(_keep_settling(served), name="settle")

    async def end(self) -> None:
        """End them; when this returns they use the readers no more."""
        tasks = (self._looking, self._publishing, self._cosigning, self._settling)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    @property
    def has_failed(self) -> bool:
        """Whether publishing ended by itself, which it does for one reason only."""
        task = self._publishing
        return task.done() and not task.cancelled() and task.exception() is not None


async def _keep_looking(ledger: Ledger) -> None:
    """An idle server writes nothing, so it would not meet what others wrote."""
    while not ledger.stopped.done():
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(Overloaded, InternalError):  # busy, it looks anyway; stopped, there is nothing to look for
            await ledger.look()


async def _keep_publishing(served: Served, stop: asyncio.Event) -> None:
    """The first worker publishes; the others tell what it did. Another history under our key ends the service."""
    try:
        await served.publisher.run(served.settings.checkpoint_interval_ms / 1_000, leads=served.first)
    except Fault as error:
        log.critical("fault", reason=str(error))
        stop.set()
        raise


async def _keep_cosigning(served: Served) -> None:
    """What is published is cosigned, where a policy names witnesses."""
    if served.policy is None or not served.first:
        return
    timeout_s = served.settings.witness_timeout_s
    fetcher = Fetcher(timeout_s)
    try:
        witnesses = Witnesses(served.policy, fetcher, served.metrics, timeout_s)
        await keep_cosigning(served.publisher, served.reader, witnesses)
    finally:
        await fetcher.close()


async def _keep_settling(served: Served) -> None:
    settings = served.settings
    if settings.settlement_hour is None or not served.first:
        return

    @asynccontextmanager
    async def open_desk() -> AsyncIterator[Desk]:
        async with opened_reader(settings) as reader:
            yield Desk(served.ledger, reader, clock, served.metrics, serving=True)

    schedule = Schedule(settings.settlement_hour, settings.zone, settings.settlements)
    await keep_settling(open_desk, schedule, clock, served.metrics)
