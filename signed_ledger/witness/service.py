"""The witness's HTTP: add-checkpoint for logs, the newest checkpoints for monitors."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from signed_ledger.encoding import PROOF_BYTES_MAX
from signed_ledger.listening import Runner, Site, Words, allow_files, answer_bytes
from signed_ledger.witness.witnessing import Answer, Witness

log = structlog.get_logger("signed_ledger.witness")


WAITING_MAX: Final = 256
"""Requests that may wait for the database; more are told to come again."""
BODY_SECONDS: Final = 10
KEEPALIVE_SECONDS: Final = 300
"""Logs should keep their connection, and some push only now and then."""
SHUTDOWN_SECONDS: Final = 10
_BUSY: Final = Answer(503, b"the witness is busy\n", headers={"Retry-After": "1"})
_COMMON: Final = {"Server": "signed-ledger-witness", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class _Service:
    """The handlers. The witness runs on a thread of its own, one request after the other."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="witness")
        self._waiting = 0

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return _response(Answer(408, b"the body did not arrive in time\n"))
        except (web.RequestPayloadError, ConnectionError):
            return _response(Answer(400, b"the body did not arrive whole\n"))
        return _response(await self._run(partial(self._witness.add_checkpoint, body)))

    async def checkpoint(self, request: web.Request) -> web.Response:
        def find() -> Answer:
            note = self._witness.checkpoint(request.match_info["origin"])
            return Answer(404, b"nothing of such a log was cosigned\n") if note is None else Answer(200, note)

        return _response(await self._run(find))

    async def health(self, _: web.Request) -> web.Response:
        def ask() -> Answer:
            if self._witness.is_well():
                return Answer(200, b"ok\n")
            return Answer(503, b"the database can not be read, or the clock went back\n")

        return _response(await self._run(ask))

    async def close(self, _: web.Application) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, step: Callable[[], Answer]) -> Answer:
        if self._waiting >= WAITING_MAX:
            return _BUSY
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return _BUSY
            log.error("database_failed", reason=str(error))
            return Answer(500, b"the witness's database failed; nothing was cosigned\n")
        finally:
            self._waiting -= 1


def make_witness_app(witness: Witness) -> web.Application:
    """`POST /add-checkpoint`, `GET /<SHA-256 of the origin>/checkpoint`, `GET /healthz`."""
    service = _Service(witness)
    options = {"access_log": None, "auto_decompress": False, "keepalive_timeout": KEEPALIVE_SECONDS}
    app = web.Application(middlewares=[_plain], client_max_size=PROOF_BYTES_MAX, handler_args=options)
    app.router.add_post("/add-checkpoint", service.add_checkpoint)
    app.router.add_get("/{origin:[0-9a-f]{64}}/checkpoint", service.checkpoint)
    app.router.add_get("/healthz", service.health)
    app.on_cleanup.append(service.close)
    return app


async def run_witness(witness: Witness, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; open requests end. Raises `OSError` where the address is not to be had."""
    allow_files()
    runner = Runner(make_witness_app(witness), WORDS, SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await Site(runner, host, port, reuse_port=False).start()
        log.info("witnessing", name=witness.name, host=host, port=runner.addresses[0][1])
        await stop.wait()
    finally:
        await runner.cleanup()
    log.info("stopped")


@web.middleware
async def _plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What aiohttp refuses by itself, in our words' form."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _response(Answer(error.status, f"{error.reason}\n".encode(), headers=allowed))


def _response(answer: Answer) -> web.Response:
    headers = {**_COMMON, **answer.headers, "Content-Type": answer.content_type}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


WORDS: Final = Words(
    malformed=lambda _: _response(Answer(400, b"this is not HTTP/1.1\n")),
    too_many=lambda: answer_bytes(_response(_BUSY), closing=True),
)
