"""What anyone may ask: the key registry, whether the service lives and is ready, and what its interface is."""

from contextlib import suppress
from typing import Final

import orjson
from aiohttp import web

from signed_ledger.api.answers import COMMON_HEADERS, JSON_TYPE, json_answer, json_headers
from signed_ledger.api.openapi import openapi_document
from signed_ledger.api.page import CSS, render_page
from signed_ledger.api.signatures import Signatures
from signed_ledger.api.views import view_registry
from signed_ledger.encoding import encode_bundle
from signed_ledger.errors import Busy, Fault, Invalid, NotFound, Overloaded, SignedLedgerError
from signed_ledger.ledger import Decider
from signed_ledger.merkle import ENTRIES, Tile, read_tile_path, width_at
from signed_ledger.publishing import Board, Published
from signed_ledger.store import Reader

_CSP: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
"""Pages of any site may read what proves the ledger: docs/API.md, The log."""
_CHECKPOINT_HEADERS: Final = {**json_headers("text/plain; charset=utf-8"), **_OPEN}
_TILE_HEADERS: Final = {
    **COMMON_HEADERS,
    **_OPEN,
    "Content-Type": "application/octet-stream",
    "Cache-Control": "public, max-age=604800, immutable",
    "Vary": "Accept-Encoding",
}
OPEN_PATHS: Final = ("/checkpoint", "/tile/", "/keys")
COMPRESSED_HERE_BYTES_MAX: Final = 4_096
"""More is compressed by another thread."""
_CACHED: Final = {**COMMON_HEADERS, "Cache-Control": "public, max-age=300"}
_HEALTHY: Final = b'{"status":"ok"}'
_HEALTH_HEADERS: Final = json_headers(JSON_TYPE)


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110 section 12.5.3, as far as it is about gzip."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" if weight else True
    return False


class NotReady(Overloaded):
    """Said of the whole service, not of one request."""

    title = "The service does not take requests now"


def open_to_all(response: web.Response) -> web.Response:
    response.headers.update(_OPEN)
    return response


def for_all(response: web.Response, request: web.Request) -> web.Response:
    """A refusal is read by pages of any site where the answer would be."""
    return open_to_all(response) if request.path.startswith(OPEN_PATHS) else response


class Public:
    """The requests that need no signature. The documents are made once, at the start."""

    def __init__(self, ledger: Decider, reader: Reader, board: Board, signatures: Signatures) -> None:
        self._ledger = ledger
        self._reader = reader
        self._board = board
        self._signatures = signatures
        document = openapi_document()
        self._openapi = orjson.dumps(document)
        self._page = render_page(document).encode()
        self._css = CSS.read_bytes()

    async def checkpoint(self, request: web.Request) -> web.Response:
        """The newest one that is published. Raises `NotFound` before the first."""
        newest = await self._refreshed()
        if newest is None:
            raise NotFound("No checkpoint has been published yet.")
        return web.Response(body=newest.cosigned, headers=_CHECKPOINT_HEADERS)

    async def tile(self, request: web.Request) -> web.Response:
        """A tile of the tree that is published. Raises `NotFound` for any other."""
        try:
            tile = read_tile_path(request.match_info["tile"])
        except Invalid as error:
            raise NotFound(f"The path {error.detail}.") from None
        newest = self._board.newest
        if newest is None or tile.width > width_at(tile.level, tile.number, newest.size):
            newest = await self._refreshed()
        published = 0 if newest is None else newest.size
        if tile.width > width_at(tile.level, tile.number, published):
            raise NotFound(f"Of the {published} entries that are published this tile is not one.")
        data = await self._read_tile(tile)
        if data is None:
            raise NotFound("This tile is not there; the operator is told by signed-ledger verify what is missing.")
        response = web.Response(body=data, headers=_TILE_HEADERS, zlib_executor_size=COMPRESSED_HERE_BYTES_MAX)
        if tile.level == ENTRIES and _takes_gzip(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _refreshed(self) -> Published | None:
        """The newest that any process on this ledger has published; the newest known, where that can not be asked.

        Who was given a checkpoint by one worker may ask another one for its tiles.
        """
        with suppress(SignedLedgerError):
            await self._board.refresh()
        return self._board.newest

    async def _read_tile(self, tile: Tile) -> bytes | None:
        if tile.level != ENTRIES:
            return await self._reader.tile(tile)
        notes = await self._reader.bundle(tile)
        return None if notes is None else encode_bundle(notes)

    async def keys(self, request: web.Request) -> web.Response:
        """The registry as the store has it now, whoever wrote to it."""
        await self._signatures.catch_up()
        keyring = self._ledger.keyring
        return open_to_all(json_answer(view_registry(keyring, await self._reader.key_entries())))

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
