"""The write-ahead log is taken back beside the writing, and begun anew. A failing disk: tests/test_disk_faults.py."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from signed_ledger.ledger import Ledger
from signed_ledger.store import open_database
from signed_ledger.store.backfill import PAGES_OF_A_ROW, WAL_PAGES_MIN
from signed_ledger.store.connection import cut_log
from tests.support import assert_audits
from tests.world import Party, World, authorisation, opened

ROWS_MAX = 100
NEVER = 1_000_000
ENOUGH = 400
PAGE_BYTES = 4_096
AUTOCHECKPOINT = "PRAGMA wal_autocheckpoint"


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


async def test_the_log_is_cut_once_nobody_else_takes_it_back(world: World) -> None:
    """As our own second connection may be doing just then: SQLite itself does not wait for that."""
    async with opened(world) as ledger:
        await world.load(ledger, "c1", 1_00)
        with held(world, 0.5):
            assert not await asyncio.to_thread(cut, world, 0.0)
            assert await asyncio.to_thread(cut, world, 10.0)
        assert log_pages(world) == 0
    assert_audits(world.path)


def cut(world: World, seconds: float) -> bool:
    with closing(open_database(world.path, busy_timeout_ms=0)) as connection:
        return cut_log(connection, seconds)


@contextmanager
def held(world: World, seconds: float) -> Iterator[None]:
    """Another process holds the lock under which the log is taken back: byte 121 of -shm, in SQLite's file format."""
    command = [sys.executable, "-c", HOLD, f"{world.path}-shm", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


async def test_a_log_that_others_keep_long_is_shortened_by_every_commit(world: World) -> None:
    for rows_max, pages_max in ((ROWS_MAX, WAL_PAGES_MIN), (NEVER, PAGES_OF_A_ROW * NEVER)):
        async with opened(world, wal_rows_max=rows_max) as ledger:
            pages = await ledger._store._connection.run(lambda each: each.execute(AUTOCHECKPOINT).fetchone())
            assert pages == (pages_max,)
    assert_audits(world.path)


@pytest.mark.parametrize("padding", [0, 32_000])
async def test_no_commit_writes_more_pages_than_are_reckoned_for_its_rows(world: World, padding: int) -> None:
    async with opened(world, wal_rows_max=NEVER) as ledger:
        visa = await begun(world, ledger)
        for n in range(100):
            asked = json.dumps(authorisation(f"one-{n}", "c1", "1.00")).encode() + b" " * padding
            await ledger.submit(world.webhook(visa, "authorisation", asked))
        rows = ledger._store._backfill._rows
        assert rows < log_pages(world) < PAGES_OF_A_ROW * rows
    assert_audits(world.path)
