"""An HTTP server as we want aiohttp's to be: what is no HTTP, and who is one too many, is told so in our own words."""

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, cast

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from yarl import URL

from signed_ledger.shedding import Shed, Shedding

log = structlog.get_logger("signed_ledger.listening")

CONNECTIONS_MAX: Final = 8_192
FILES_KEPT: Final = 128
"""Of the files that the process may have open, those that no connection may keep: the ledger's own, above all."""

ACCEPTED_AT_ONCE: Final = 64
"""Out of `FILES_KEPT`, as they are not counted as connections until, a few turns later, they are. The more at once, the
longer others wait where many come and go; the fewer, the longer the last of many who come at once.
"""
PAUSE_SECONDS: Final = 1.0
"""After a connection could not be accepted: the system is short of files or memory."""
_BACKLOG: Final = 1_024

_MALFORMED: Final = 400


class Words(NamedTuple):
    """What is said by `malformed` to a request that is no HTTP; by `too_many`, in bytes, to a connection too many."""

    malformed: Callable[[web.BaseRequest], web.StreamResponse]
    too_many: Callable[[], bytes]


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


def answer_bytes(response: web.Response, *, closing: bool = False) -> bytes:
    """An answer as it is sent where nothing was parsed; to who is hung up on after it if `closing`."""
    assert isinstance(response.body, bytes)
    fields = {**response.headers, "Content-Length": len(response.body), **({"Connection": "close"} if closing else {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{head}\r\n".encode() + response.body


class Runner(web.AppRunner):
    """Says `words`, sheds load, and logs no error where a client alone is at fault."""

    def __init__(
        self, app: web.Application, words: Words, shutdown_timeout_s: float, shedding: Shedding | None = None
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout_s)
        self._words = words
        self._shedding = shedding

    async def _make_server(self) -> web.Server:
        return _Server(self._words, self._shedding, await super()._make_server())


class Site(web.BaseSite):
    """Takes in several who wait in each turn of the event loop: uvloop's own servers take in one.

    The busier the others keep it, the longer a turn is; who comes last of a hundred would wait for a hundred of them.
    Owner of every field: the event loop's thread.
    """

    __slots__ = ("_accepting", "_address", "_listening", "_reuse_port")

    def __init__(self, runner: web.AppRunner, host: str, port: int, *, reuse_port: bool) -> None:
        super().__init__(runner)
        self._address = host, port
        self._reuse_port = reuse_port
        self._listening: list[socket.socket] = []
        self._accepting: set[asyncio.Task[Any]] = set()

    @property
    def name(self) -> str:
        host, port = self._address
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Raises `OSError` where the address is not to be had."""
        await super().start()
        bound = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, *self._address, reuse_port=self._reuse_port, start_serving=False
        )
        self._server = bound
        for each in bound.sockets:
            ours = socket.socket(fileno=os.dup(each.fileno()))  # uvloop lets nobody else watch its own
            self._listening.append(ours)
            ours.setblocking(False)
            ours.listen(_BACKLOG)
            self._watch(ours)

    async def stop(self) -> None:
        for ours in self._listening:
            asyncio.get_running_loop().remove_reader(ours)
            ours.close()
        self._listening.clear()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().stop()

    def _watch(self, listening: socket.socket) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None
        while len(self._accepting) < ACCEPTED_AT_ONCE:
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("not_accepted", reason=error.strerror, seconds=PAUSE_SECONDS)
                loop.remove_reader(listening)
                loop.call_later(PAUSE_SECONDS, self._watch, listening)
                return
            accepted.setblocking(False)
            accepting = loop.create_task(loop.connect_accepted_socket(server, accepted), name="accept")
            self._accepting.add(accepting)
            accepting.add_done_callback(self._accepting.discard)


class _Server(web.Server):
    def __init__(self, words: Words, shedding: Shedding | None, made: web.Server) -> None:
        make = partial(_with_target, made.request_factory)
        super().__init__(made.request_handler, request_factory=make, **made._kwargs)
        self._words = words
        self._shedding = shedding

    def __call__(self) -> web.RequestHandler:
        if self._shedding is None:
            return _Protocol(self._words, self)
        return _SheddingProtocol(self._words, self, self._shedding)


def _with_target(make: Callable[..., web.BaseRequest], message: RawRequestMessage, *more: object) -> web.BaseRequest:
    """A CONNECT may come without a target: aiohttp parses it, then dies of it. Here it asks for what is not there."""
    if message.url is None:
        message = message._replace(path="", url=URL())
    return make(message, *more)


class _Protocol(web.RequestHandler):
    __slots__ = ("_words",)

    def __init__(self, words: Words, server: _Server) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server._kwargs)
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One too many is told so at once, and hung up on; what it sends is not read."""
        assert self._manager is not None
        if len(self._manager.connections) < connections_max():
            super().connection_made(transport)
            return
        self.force_close()
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(self._words.too_many())
        stream.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that are not HTTP as it is taken here: a handler's own errors end before this."""
        if status != _MALFORMED:
            return super().handle_error(request, status, exc, message)
        response = self._words.malformed(request)
        response.force_close()
        return response


class _SheddingProtocol(_Protocol):
    """Answers a request too many before it is parsed."""

    __slots__ = ("_shed",)

    def __init__(self, words: Words, server: _Server, shedding: Shedding) -> None:
        super().__init__(words, server)
        self._shed = Shed(shedding)

    def data_received(self, data: bytes) -> None:
        refused = self._shed.answer(data, reads=not self._paused)
        if refused is None:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.write(refused)
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    async def finish_response(self, *args: Any) -> tuple[web.StreamResponse, bool]:
        """Called by aiohttp with each answer."""
        self._shed.telling()
        finished = await super().finish_response(*args)
        self._shed.told()
        return finished

    def connection_lost(self, error: BaseException | None) -> None:
        self._shed.lost()
        super().connection_lost(error)
