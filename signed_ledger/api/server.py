"""The running server: the site for all, until it is told to stop or the ledger can not go on; the operator's own."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, cast

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from yarl import URL

from signed_ledger.api.app import PROBLEMS, SIGNATURES
from signed_ledger.api.problems import Problems
from signed_ledger.config import Settings
from signed_ledger.errors import Malformed, Overloaded
from signed_ledger.ledger import Decider

log = structlog.get_logger("signed_ledger.api")

STOPPED: Final = 0
FAULT: Final = 1
CONNECTIONS_MAX: Final = 8_192
FILES_KEPT: Final = 128
"""Of the files that the process may have open, those that no connection may take: the ledger's own, above all."""
_BACKLOG: Final = 1024


async def run_server(
    app: web.Application,
    ledger: Decider,
    settings: Settings,
    *,
    stop: asyncio.Event,
    reuse_port: bool = False,
    ready: Callable[[int], None] = lambda port: None,
) -> int:
    """Serve until `stop` is set, or the ledger stops by itself; give the exit status, `STOPPED` or `FAULT`.

    `ready` is told the port once requests are taken. At the end no connection is taken any more,
    open requests end, and the ledger writes what waits and is closed: nothing that was acknowledged is lost. What sets
    `stop`, a signal above all, is the caller's. Raises `OSError` where an address is not to be had.
    """
    allow_files()
    runner = ProblemRunner(app, shutdown_timeout=settings.shutdown_timeout_s)
    try:
        port = await _listen(runner, settings.host, settings.port, reuse_port=reuse_port)
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


@asynccontextmanager
async def run_admin(admin_app: web.Application, settings: Settings) -> AsyncIterator[int]:
    """Serve the operator's own site and give its port. Raises `OSError` where the address is not to be had."""
    runner = ProblemRunner(admin_app, shutdown_timeout=settings.shutdown_timeout_s)
    try:
        yield await _listen(runner, settings.admin_host, settings.admin_port, reuse_port=False)
    finally:
        await runner.cleanup()


def allow_files() -> None:
    """Where it is allowed, have as many files open as connections may need: the usual 1,024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_KEPT
    if 0 <= soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


def connections_max() -> int:
    """How many connections there may be: so many that the process can still open its own files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if soft < 0 else min(CONNECTIONS_MAX, max(1, soft - FILES_KEPT))


async def _listen(runner: web.AppRunner, host: str, port: int, *, reuse_port: bool) -> int:
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=_BACKLOG, reuse_port=reuse_port)
    await site.start()
    return int(runner.addresses[0][1])


class ProblemRunner(web.AppRunner):
    """Answers what the HTTP parser refuses with a problem document too, and logs it as a refusal, not as an error."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _ProblemServer(self.app[PROBLEMS], server)


class _ProblemServer(web.Server):
    def __init__(self, problems: Problems, made: web.Server) -> None:
        make = partial(_with_target, made.request_factory)
        super().__init__(made.request_handler, request_factory=make, **made._kwargs)
        self._problems = problems

    def __call__(self) -> web.RequestHandler:
        return _ProblemProtocol(self._problems, self)


def _with_target(make: Callable[..., web.BaseRequest], message: RawRequestMessage, *more: object) -> web.BaseRequest:
    """A CONNECT may come without a target: aiohttp parses it, then dies of it. Here it asks for what is not there."""
    if message.url is None:
        message = message._replace(path="", url=URL())
    return make(message, *more)


class _ProblemProtocol(web.RequestHandler):
    __slots__ = ("_problems",)

    def __init__(self, problems: Problems, server: _ProblemServer) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server._kwargs)
        self._problems = problems

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One too many is told so at once, and hung up on; what it sends is not read."""
        assert self._manager is not None
        if len(self._manager.connections) < connections_max():
            super().connection_made(transport)
            return
        self.force_close()
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(self._problems.unasked(Overloaded("There are too many connections; nothing was decided.")))
        stream.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that are not HTTP as it is taken here: a handler's own errors end before this."""
        if status != Malformed.status:
            return super().handle_error(request, status, exc, message)
        refusal = Malformed("This is not HTTP/1.1 as it is taken here: bad syntax, or a header too long.")
        response = self._problems.answer(refusal, request)
        response.force_close()
        return response
