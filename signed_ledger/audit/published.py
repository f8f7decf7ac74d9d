"""A ledger's published log, fetched: its checkpoint, the bodies of its key entries, tiles and entry bundles.

The server may be anyone and answer anything: what it gives is bounded and well-formed, and nothing more is said of it.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from signed_ledger.encoding import decode_bundle
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher, Unreachable
from signed_ledger.merkle import ENTRIES, TILE_WIDTH, Tile, edge_tiles, tile_path, width_at

TIMEOUT_SECONDS: Final = 30.0
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5
CHECKPOINT_BYTES_MAX: Final = 65_536
KEYS_BYTES_MAX: Final = 16_777_216
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (4_096 + 2)
"""An entry is at most 4,096 bytes: docs/FORMAT.md."""
_HASH_BYTES: Final = 32
_AGAIN: Final = (429, 500, 502, 503, 504)


class Published:
    """The log at a URL. What can not be had raises `Invalid` naming the path: then nothing could be asked."""

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        self._url = url.rstrip("/")
        self._fetcher = fetcher

    async def checkpoint(self) -> bytes:
        return await self._get("checkpoint", CHECKPOINT_BYTES_MAX)

    async def key_bodies(self) -> dict[int, bytes]:
        """The bodies of the key entries by seq, as `GET /keys` has them."""
        return decode_key_bodies(await self._get("keys", KEYS_BYTES_MAX))

    async def tile(self, tile: Tile) -> bytes:
        """The hashes of a tile, in one."""
        data = await self._get(f"tile/{tile_path(tile)}", _HASH_BYTES * TILE_WIDTH)
        if len(data) != _HASH_BYTES * tile.width:
            raise Invalid(f"tile/{tile_path(tile)}", f"is {len(data)} bytes long, not {_HASH_BYTES * tile.width}")
        return data

    async def bundle(self, number: int, size: int) -> list[bytes]:
        """The entries of a bundle as it is in the log of `size` entries."""
        tile = Tile(ENTRIES, number, width_at(ENTRIES, number, size))
        path = f"tile/{tile_path(tile)}"
        data = await self._get(path, BUNDLE_BYTES_MAX)
        try:
            notes = decode_bundle(data)
        except Invalid as error:
            raise Invalid(path, error.detail) from None
        if len(notes) != tile.width:
            raise Invalid(path, f"has {len(notes)} entries, not {tile.width}")
        return notes

    async def _get(self, path: str, bytes_max: int) -> bytes:
        """Fetch, again where the server or the way there may be better soon."""
        said = ""
        for number in range(TRIES):
            await asyncio.sleep(number * PAUSE_SECONDS)
            try:
                reply = await self._fetcher.get(f"{self._url}/{path}", bytes_max=bytes_max)
            except Unreachable as error:
                said = str(error)
                continue
            if reply.status == 200:
                return reply.body
            said = f"the server answered {reply.status}"
            if reply.status not in _AGAIN:
                break
        raise Invalid(path, f"could not be fetched: {said}")


def decode_key_bodies(data: bytes) -> dict[int, bytes]:
    """The bodies of the key entries by seq, in an answer of `GET /keys`; raises `Invalid` for what is none."""
    try:
        members = json.loads(data)
        return {int(entry["seq"]): entry["body"].encode() for entry in members["entries"]}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise Invalid("keys", "is not what a signed ledger answers there") from None


class FetchedTiles:
    """Tiles fetched beforehand, each as wide as it is now: what it was in a smaller tree is its beginning."""

    def __init__(self) -> None:
        self._data: dict[tuple[int, int], bytes] = {}

    def tile_hashes(self, tile: Tile) -> bytes | None:
        data = self._data.get((tile.level, tile.number))
        return None if data is None else data[: _HASH_BYTES * tile.width]

    async def fetch(self, published: Published, wanted: Mapping[tuple[int, int], None], size: int) -> None:
        for level, number in wanted:
            if (level, number) not in self._data:
                tile = Tile(level, number, width_at(level, number, size))
                self._data[level, number] = await published.tile(tile)


def paths_to(seqs: list[int], size: int) -> dict[tuple[int, int], None]:
    """The (level, number) of the tiles at the right edge of a tree of `size` leaves, and on the way from these up."""
    wanted: dict[tuple[int, int], None] = {}
    for level, last, _ in edge_tiles(size):
        for number in [(seq >> (8 * level)) // TILE_WIDTH for seq in seqs] + [last]:
            if width_at(level, number, size):
                wanted[level, number] = None
    return wanted
