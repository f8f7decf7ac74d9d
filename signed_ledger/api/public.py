"""What anyone may ask: the key registry, whether the service lives and is ready, and what its interface is."""

from typing import Final

import orjson
from aiohttp import web

from signed_ledger.api.answers import COMMON_HEADERS, JSON_TYPE, json_answer, json_headers
from signed_ledger.api.openapi import openapi_document
from signed_ledger.api.page import CSS, render_page
from signed_ledger.api.signatures import Signatures
from signed_ledger.api.views import view_registry
from signed_ledger.errors import Busy, Fault, Overloaded
from signed_ledger.ledger import Ledger
from signed_ledger.store import Reader

_CSP: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_CACHED: Final = {**COMMON_HEADERS, "Cache-Control": "public, max-age=300"}
_HEALTHY: Final = b'{"status":"ok"}'
_HEALTH_HEADERS: Final = json_headers(JSON_TYPE)


class NotReady(Overloaded):
    """Said of the whole service, not of one request."""

    title = "The service does not take requests now"


class Public:
    """The requests that need no signature. The documents are made once, at the start."""

    def __init__(self, ledger: Ledger, reader: Reader, signatures: Signatures) -> None:
        self._ledger = ledger
        self._reader = reader
        self._signatures = signatures
        document = openapi_document()
        self._openapi = orjson.dumps(document)
        self._page = render_page(document).encode()
        self._css = CSS.read_bytes()

    async def keys(self, request: web.Request) -> web.Response:
        """The registry as the store has it now, whoever wrote to it."""
        await self._signatures.catch_up()
        return json_answer(view_registry(self._ledger.keyring))

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(body=_HEALTHY, headers=_HEALTH_HEADERS)

    async def readyz(self, request: web.Request) -> web.Response:
        """200 while the writer runs and the store can be read. Raises `NotReady` else."""
        if self._ledger.stopped.done():
            raise NotReady("The writer has stopped; the service is about to restart.")
        try:
            head = await self._reader.head()
        except (Busy, Fault):
            raise NotReady("The ledger's store can not be read.") from None
        return json_answer({"status": "ok", "head": head})

    async def openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, headers={**_CACHED, "Content-Type": JSON_TYPE})

    async def docs(self, request: web.Request) -> web.Response:
        headers = {**_CACHED, "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _CSP}
        return web.Response(body=self._page, headers={**headers, "Referrer-Policy": "no-referrer"})

    async def style(self, request: web.Request) -> web.Response:
        return web.Response(body=self._css, headers={**_CACHED, "Content-Type": "text/css; charset=utf-8"})
