"""The log as monitors meet it: `/checkpoint`, `/tile/...`, cached and compressed, while the ledger grows."""

import asyncio
import base64
import gzip
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_support import Site, Told, serving
from tests.walking import entries_in, name, walk
from tests.world import ORIGIN

OPEN = ("Access-Control-Allow-Origin", "*")
IMMUTABLE = "public, max-age=604800, immutable"


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Site]:
    """A log of a full tile and a bit: 261 entries, published."""
    async with serving(tmp_path) as site:
        await grow(site, 261)
        yield site


async def grow(site: Site, size: int) -> None:
    """Let it grow to so many entries, and publish them."""
    await site.load("card-1", 100)
    while site.ledger.tree.size < size:
        await site.load("card-1", 100)
    await site.publisher.publish()


async def get(site: Site, path: str, **headers: str) -> Told:
    return await site.send("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


async def checkpoint(site: Site) -> tuple[int, bytes]:
    told = await get(site, "/checkpoint")
    origin, size, root, *_ = told.raw.decode().split("\n")
    assert origin == ORIGIN
    return int(size), base64.b64decode(root)


async def fetched(site: Site, tile: str) -> bytes:
    told = await get(site, f"/tile/{tile}")
    assert told.status == 200, (tile, told.raw)
    return told.raw


def assert_not_there(told: Told) -> None:
    """A problem document that no cache keeps, and that pages of any site may read."""
    assert told.facts == (404, "not_found", None)
    assert told.headers["Cache-Control"] == "no-store"
    assert OPEN in told.headers.items()
    assert told.headers["Content-Type"].startswith("application/problem+json")


# --- the checkpoint ------------------------------------------------------------------------------------------------


async def test_before_the_first_checkpoint_there_is_none_and_no_tile(site: Site) -> None:
    for path in ("/checkpoint", "/tile/0/000.p/1", "/tile/entries/000.p/1"):
        assert_not_there(await get(site, path))


async def test_the_checkpoint_is_the_newest_one_and_never_cached(site: Site) -> None:
    for size in (1, 4):
        await grow(site, size)
        told = await get(site, "/checkpoint")
        assert site.publisher.newest is not None
        assert told.raw == site.publisher.newest.note
        assert told.headers["Cache-Control"] == "no-store"
        assert told.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert OPEN in told.headers.items()


async def test_what_is_not_published_yet_is_not_served(site: Site) -> None:
    await grow(site, 1)
    size, _ = await checkpoint(site)
    await site.load("card-1", 100)
    assert (await checkpoint(site))[0] == size
    assert_not_there(await get(site, f"/tile/0/000.p/{size + 1}"))
    assert_not_there(await get(site, f"/tile/entries/000.p/{size + 1}"))
    await site.publisher.publish()
    assert len(await fetched(site, f"0/000.p/{size + 1}")) == 32 * (size + 1)


async def test_cosignatures_are_told_with_the_checkpoint_once_they_are_kept(site: Site) -> None:
    await grow(site, 1)
    size, _ = await checkpoint(site)
    line = f"— witness.example {base64.b64encode(bytes(76)).decode()}\n"
    await site.publisher.add_cosignatures(size, {"witness.example+00000000": line})
    told = await get(site, "/checkpoint")
    assert told.raw.decode().endswith(line)
    await grow(site, size + 1)
    assert line not in (await get(site, "/checkpoint")).raw.decode()


# --- tiles ---------------------------------------------------------------------------------------------------------


async def test_every_tile_fits_the_one_below_and_the_checkpoint(full: Site) -> None:
    size, root = await checkpoint(full)
    assert size > 256
    entries = await walk(lambda tile: fetched(full, tile), size, root)
    assert entries[0].startswith(ORIGIN.encode())


@pytest.mark.parametrize("tile", ["0/000", "0/001.p/3", "1/000.p/1", "entries/000", "entries/001.p/3"])
async def test_a_tile_may_be_cached_for_ever_by_anyone(full: Site, tile: str) -> None:
    told = await get(full, f"/tile/{tile}")
    assert told.status == 200
    assert told.headers["Cache-Control"] == IMMUTABLE
    assert told.headers["Content-Type"] == "application/octet-stream"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    assert OPEN in told.headers.items()


async def test_a_partial_tile_of_any_smaller_width_is_its_beginning(full: Site) -> None:
    hashes, bundle = await fetched(full, "0/000"), entries_in(await fetched(full, "entries/000"))
    for width in (1, 2, 100, 255):
        assert await fetched(full, f"0/000.p/{width}") == hashes[: 32 * width]
        assert entries_in(await fetched(full, f"entries/000.p/{width}")) == bundle[:width]


async def test_a_tile_is_full_only_once_all_of_it_is_published(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        await grow(site, 254)
        size, _ = await checkpoint(site)
        assert size < 256
        for tile in ("0/000", "entries/000", "1/000.p/1"):
            assert_not_there(await get(site, f"/tile/{tile}"))
        await site.load("card-1", 100)
        assert site.ledger.tree.size > 256
        assert_not_there(await get(site, "/tile/0/000"))
        await site.publisher.publish()
        for tile in ("0/000", "entries/000", "1/000.p/1"):
            await fetched(site, tile)


OTHER_NAMES = (
    *("", "0", "0/", "0/0", "0/00", "0/0000", "0/000/", "/0/000", "0//000", "00/000", "01/000", "+1/000", "-1/000"),
    *("0/000.p", "0/000.p/", "0/000.p/0", "0/000.p/01", "0/000.p/256", "0/000.p/257", "0/000.p/1000", "0/000.P/1"),
    *("0/000p/1", "0/000.p/x", "0/x000/000", "0/x000/x000/000", "0/001/000", "0/X001/000", "0/x01/000", "0/x001"),
    *("64/000", "63/000", "100/000", "a/000", "entries", "entries/", "Entries/000", "entry/000", "data/000"),
    *("0/000.p/1%20", "0/%30%30%30", "0/%D9%A0%D9%A0%D9%A0", "../checkpoint", "0/../0/000", "0/000%00", "0/000%0A"),
    *("0/x999/x999/x999/x999/x999/x999/999", "0/002", "0/999", "0/x001/000", "2/000", "2/000.p/1", "1/000"),
    *("0/001.p/200", "1/000.p/2", "entries/001", "entries/001.p/255", "entries/002.p/1"),
)
"""Malformed, spelled otherwise, or wider than what is published."""


async def test_every_other_name_is_not_there(full: Site) -> None:
    for tile in OTHER_NAMES:
        told = await get(full, f"/tile/{tile}")
        assert (told.status, told.code) == (404, "not_found"), tile
        assert told.headers["Cache-Control"] == "no-store", tile


async def test_head_tells_what_get_would(full: Site) -> None:
    for path in ("/checkpoint", "/tile/0/000", "/tile/entries/000", "/tile/0/001.p/1"):
        told, head = [await full.send(method, path, {"Accept-Encoding": "identity"}) for method in ("GET", "HEAD")]
        assert (head.status, head.raw) == (200, b"")
        for field in ("Content-Type", "Cache-Control", "Content-Length", "Access-Control-Allow-Origin"):
            assert head.headers[field] == told.headers[field]
    assert (await full.send("HEAD", "/tile/0/999")).status == 404


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("GZIP", True),
        ("*", True),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
    ],
)
async def test_entries_are_compressed_for_who_asks(full: Site, accepted: str, compressed: bool) -> None:
    host = full.client.make_url("/")
    asked = f"GET /tile/entries/000 HTTP/1.0\r\nHost: {host.authority}\r\nAccept-Encoding: {accepted}\r\n\r\n"
    head, _, body = (await full.bytes(asked.encode())).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) == compressed
    assert b"Vary: Accept-Encoding" in head
    plain = await get(full, "/tile/entries/000", Accept_Encoding="identity")
    assert (gzip.decompress(body) if compressed else body) == plain.raw
    assert len(body) < len(plain.raw) or not compressed


async def test_hashes_are_never_compressed(full: Site) -> None:
    told = await get(full, "/tile/0/000", Accept_Encoding="gzip")
    assert "Content-Encoding" not in told.headers
    assert told.headers["Content-Length"] == str(256 * 32)


async def test_the_parts_of_entries_are_in_no_tile(full: Site) -> None:
    assert b"card-1" not in await fetched(full, "entries/000")
    assert b"card-1" not in await fetched(full, "entries/001.p/3")


# --- while it grows ------------------------------------------------------------------------------------------------


async def test_what_a_monitor_fetches_while_it_grows_always_fits(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        await grow(site, 1)
        publishing = asyncio.create_task(site.publisher.run(0.01))
        writing = asyncio.create_task(_write(site, 200))
        sizes: list[int] = []
        before: list[bytes] = []
        while not writing.done() or sizes[-1] < site.ledger.tree.size:
            size, root = await checkpoint(site)
            entries = await walk(lambda tile: fetched(site, tile), size, root)
            assert entries[: len(before)] == before
            before = entries
            sizes.append(size)
        publishing.cancel()
        await writing
    assert sizes == sorted(sizes)
    assert sizes[-1] > 600
    assert len(set(sizes)) > 1  # it did grow meanwhile; how often a look fits in is the machine's affair


async def _write(site: Site, loads: int) -> None:
    for _ in range(loads // 10):
        await asyncio.gather(*(site.load("card-1", 100) for _ in range(10)))
        await asyncio.sleep(0)


# --- what the file may have been made to say -------------------------------------------------------------------------


async def test_a_tile_edited_in_the_file_no_longer_fits_what_is_published(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False) as site:
        await grow(site, 261)
        size, root = await checkpoint(site)
        _edit(site, "UPDATE tiles SET hashes = zeroblob(8192)")
        with pytest.raises(AssertionError):
            await walk(lambda tile: fetched(site, tile), size, root)


async def test_a_missing_tile_is_not_there_and_the_operator_is_named_a_way(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False) as site:
        await grow(site, 261)
        _edit(site, "DELETE FROM tiles")
        for tile in ("0/000", "1/000.p/1"):
            told = await get(site, f"/tile/{tile}")
            assert_not_there(told)
            assert "signed-ledger verify" in told.json["detail"]
        assert (await get(site, "/tile/0/001.p/3")).status == 200


def _edit(site: Site, change: str) -> None:
    connection = sqlite3.connect(site.world.path, isolation_level=None)
    for what in ("update", "delete"):
        connection.execute(f"DROP TRIGGER tiles_no_{what}")
    connection.execute(change)
    connection.close()


def test_names_are_those_of_the_specification() -> None:
    """C2SP tlog-tiles: index 1234067 is x001/x234/067."""
    assert name(0, 1234067) == "0/x001/x234/067"
    assert name("entries", 5, 7) == "entries/005.p/7"
