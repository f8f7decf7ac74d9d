"""The running server: the site for all, until it is told to stop or the ledger can not go on; the operator's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog
from aiohttp import web

from signed_ledger.api.app import PROBLEMS, SHEDDING, SIGNATURES
from signed_ledger.config import Settings, variable_of
from signed_ledger.errors import Invalid
from signed_ledger.ledger import Decider
from signed_ledger.listening import Runner, Site, allow_files

log = structlog.get_logger("signed_ledger.api")

STOPPED: Final = 0
FAULT: Final = 1


async def run_server(
    app: web.Application,
    ledger: Decider,
    settings: Settings,
    *,
    stop: asyncio.Event,
    ready: Callable[[int], None] = lambda port: None,
) -> int:
    """Serve until `stop` is set, or the ledger stops by itself; give the exit status, `STOPPED` or `FAULT`.

    `ready` is told the port once requests are taken. At the end no connection is taken any more,
    open requests end, and the ledger writes what waits and is closed: nothing that was acknowledged is lost. What sets
    `stop`, a signal above all, is the caller's. The port may be shared with other processes of this service. Raises
    `Invalid` where the address is not to be had.
    """
    allow_files()
    runner = runner_of(app, settings.shutdown_timeout_s)
    try:
        port = await _listen(runner, settings.host, settings.port, reuse_port=True)
        app[SIGNATURES].authorities = replace(settings, port=port).answered_authorities
        admin = {"admin_host": settings.admin_host, "admin_port": settings.admin_port}
        log.info("serving", host=settings.host, port=port, **admin)
        ready(port)
        ledger.stopped.add_done_callback(lambda _: stop.set())
        await stop.wait()
        log.info("stopping")
        await runner.cleanup()
        await ledger.close()
    finally:  # again, for where it did not come to that
        await runner.cleanup()
        await ledger.close()
    log.info("stopped")
    return FAULT if ledger.stopped.done() else STOPPED


def runner_of(app: web.Application, shutdown_timeout_s: float) -> Runner:
    """Problem documents for what aiohttp refuses by itself, and for what it is not asked, too."""
    return Runner(app, app[PROBLEMS].words, shutdown_timeout_s, app.get(SHEDDING))


@asynccontextmanager
async def run_admin(admin_app: web.Application, settings: Settings) -> AsyncIterator[int]:
    """Serve the operator's own site and give its port. Raises `Invalid` where the address is not to be had."""
    runner = runner_of(admin_app, settings.shutdown_timeout_s)
    try:
        yield await _listen(runner, settings.admin_host, settings.admin_port, reuse_port=False)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, *, reuse_port: bool) -> int:
    await runner.setup()
    try:
        await Site(runner, host, port, reuse_port=reuse_port).start()
    except OSError as error:
        raise not_listening(error) from error
    return int(runner.addresses[0][1])


def not_listening(error: OSError) -> Invalid:
    variables = ", ".join(variable_of(name) for name in ("host", "port", "admin_host", "admin_port"))
    return Invalid("can not listen", f"{error.strerror or error}; see {variables}")
