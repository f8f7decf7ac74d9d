"""The processes of a service: a writer, and those that answer HTTP before it."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Final

import structlog

from signed_ledger import __version__
from signed_ledger.api.app import make_admin_app, make_app
from signed_ledger.api.server import run_admin, run_server
from signed_ledger.cli.background import Background, Served, beside_answering, beside_writing
from signed_ledger.cli.outcome import DONE, FAULT, told_status
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import checkpoint_lock, clock, opened_ledger, witness_policy
from signed_ledger.cli.workers import STOPS, Sockets
from signed_ledger.config import Settings
from signed_ledger.ledger import Host, RemoteLedger, WriterGone
from signed_ledger.publishing import Board, Publisher
from signed_ledger.signing import Signer
from signed_ledger.store import Glance, Reader
from signed_ledger.telemetry import Metrics

try:
    import uvloop
except ImportError:  # it is not made for every platform
    LOOP_FACTORY: Callable[[], asyncio.AbstractEventLoop] | None = None
else:
    LOOP_FACTORY = uvloop.new_event_loop

log = structlog.get_logger("signed_ledger.cli")

GC_THRESHOLD: Final = 20_000
"""A request makes no cycles worth collecting often; the default of 700 costs about a tenth of the throughput."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is served, and with what."""

    settings: Settings
    load_signer: Callable[[bytes], Signer]
    load_checkpoint_signer: Callable[[bytes], Signer]
    workers: int = 1


def run(main: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=LOOP_FACTORY) as runner:
        return runner.run(main)


def work(service: Service, number: int, lifeline: Connection, ends: Sockets) -> int:
    """The writer is number 0."""
    structlog.contextvars.bind_contextvars(worker=number)
    main = _answer(service, lifeline, *ends) if number else _write(service, ends)
    return told_status(lambda: run(main))


async def _write(service: Service, ends: Sockets) -> int:
    """Write for the processes at the other `ends` until the last of them is gone; signals are for them."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in STOPS:
        loop.add_signal_handler(number, log.debug, "stopping with the last worker")
    _spare_the_collector()
    async with _writing(service, stop) as (served, background):
        host = Host(served.ledger, served.metrics, len(ends), stop)
        async with run_admin(make_admin_app(served.metrics), served.settings):
            for end in ends:
                await host.connect(end)
            served.ledger.stopped.add_done_callback(lambda _: stop.set())
            await stop.wait()
        if served.ledger.stopped.done():
            host.close()  # first: what follows may hang on the disk, and is killed once all else has ended
    host.close()
    return FAULT if served.ledger.stopped.done() or background.has_failed else DONE


async def _answer(service: Service, lifeline: Connection, end: socket.socket) -> int:
    """Answer HTTP; the writer at the other `end` decides."""
    stop, metrics = _stop_on_signals(lifeline), Metrics()
    share = -(-service.settings.queue_commands_max // service.workers)  # refused here, before it has cost anything
    settings = replace(service.settings, queue_commands_max=share)
    _spare_the_collector()
    async with opened_reader(settings) as reader:
        glance = Glance.open(settings.database, busy_timeout_ms=settings.busy_timeout_ms)
        try:
            ledger = await RemoteLedger.open(reader, glance, end, share)
        except WriterGone:
            return FAULT
        board = Board(ledger, reader, metrics, witness_policy(settings))
        await board.refresh()
        app = make_app(ledger, reader, board, settings, metrics, clock)
        background = beside_answering(ledger, board, metrics, settings.checkpoint_interval_ms / 1_000)
        app.on_cleanup.append(lambda _: _end(background, reader))
        try:
            ended = await run_server(app, ledger, settings, stop=stop)
        finally:
            await background.end()
        return FAULT if ended or background.has_failed else DONE


async def _end(background: Background, reader: Reader) -> None:
    """Before the ledger: the last connection to close takes the WAL back into the file, if it may write."""
    await background.end()
    await reader.close()


@asynccontextmanager
async def _writing(service: Service, stop: asyncio.Event) -> AsyncIterator[tuple[Served, Background]]:
    """The ledger opened, published, and what goes on beside."""
    settings, policy, metrics = service.settings, witness_policy(service.settings), Metrics()
    async with opened_ledger(settings, service.load_signer, metrics) as ledger, opened_reader(settings) as reader:
        log.info(
            "starting",
            version=__version__,
            origin=ledger.keyring.origin,
            database=str(settings.database),
            head_seq=await reader.head(),
            workers=service.workers,
        )
        lock, load_signer = checkpoint_lock(settings), service.load_checkpoint_signer
        publisher = Publisher(ledger, reader, lock, load_signer, metrics, policy)
        await publisher.open()
        served = Served(settings, ledger, reader, publisher, policy, metrics)
        background = beside_writing(served, stop)
        try:
            yield served, background
        finally:
            await background.end()


def _spare_the_collector() -> None:
    """What is made before the first request lives as long as the process: the collector need not look."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _stop_on_signals(lifeline: Connection) -> asyncio.Event:
    """The event that is set when this process shall stop: told to, or because its parent is no more."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOPS:
        loop.add_signal_handler(number, stop.set)

    def orphaned() -> None:
        loop.remove_reader(lifeline.fileno())
        stop.set()

    loop.add_reader(lifeline.fileno(), orphaned)
    return stop
