"""The write-ahead log is taken back beside the writing, and begun anew. A failing disk: tests/test_disk_faults.py."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.ledger import Ledger
from tests.support import assert_audits
from tests.world import Party, World, authorisation, opened

ROWS_MAX = 100
NEVER = 1_000_000
ENOUGH = 400
PAGE_BYTES = 4_096


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def begun(world: World, ledger: Ledger) -> Party:
    visa = await world.register(ledger, "scheme", "visa")
    await world.load(ledger, "c1", 100_000_00)
    return visa


async def authorise(world: World, ledger: Ledger, visa: Party, name: str) -> None:
    """So many authorisations, by twos."""
    asked = [world.webhook(visa, "authorisation", authorisation(f"{name}-{n}", "c1", "1.00")) for n in range(ENOUGH)]
    for pair in zip(asked[::2], asked[1::2], strict=True):
        await asyncio.gather(*map(ledger.submit, pair))


def log_pages(world: World) -> int:
    """How long the log's file is: it is not cut when the log is begun anew."""
    return Path(f"{world.path}-wal").stat().st_size // PAGE_BYTES


async def test_the_log_stays_short(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    async with opened(world, wal_rows_max=ROWS_MAX) as ledger, opened(other, wal_rows_max=NEVER) as never:
        await authorise(world, ledger, await begun(world, ledger), "a")
        await authorise(other, never, await begun(other, never), "a")
        assert log_pages(world) < log_pages(other) / 4
    assert_audits(world.path)
    assert_audits(other.path)


async def test_a_reader_that_stays_lengthens_the_log_and_when_it_ends_the_log_is_begun_anew(world: World) -> None:
    async with opened(world, wal_rows_max=ROWS_MAX) as ledger:
        visa = await begun(world, ledger)
        with closing(sqlite3.connect(world.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM entries").fetchone()
            await authorise(world, ledger, visa, "a")
            lengthened = log_pages(world)
            assert reader.execute("SELECT count(*) FROM entries").fetchone() == before
        await authorise(world, ledger, visa, "b")
        await authorise(world, ledger, visa, "c")
        assert log_pages(world) < lengthened * 1.5
    assert not Path(f"{world.path}-wal").exists()
    assert_audits(world.path)
