"""The write-ahead log is taken back into the ledger's file beside the writing.

SQLite would do so within the COMMIT that makes the log long, and every answer would wait for it: the larger the ledger,
the more pages of the file a group touches, and the longer (docs/PERFORMANCE.md). Here a second connection does it, in
passes, each over what was written during the one before, and syncs the file. What is left then is done within one
commit, and is little: SQLite itself syncs, and begins the log anew, only at a moment at which nothing is left.

After a sync that failed the system may show pages as if they were on disk: SQLite, which tries again, would take them
to be, and begin the log anew. So that is a fault; the next start takes the whole log back once more.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable
from functools import cache
from pathlib import Path
from typing import Final

import structlog

from signed_ledger.errors import Busy, Fault
from signed_ledger.failing import told
from signed_ledger.killpoints import reached
from signed_ledger.store.connection import Connection

log = structlog.get_logger("signed_ledger.store")

WAL_PAGES_MIN: Final = 20_000
"""More than one group writes, however few rows may be in the log."""
PAGES_OF_A_ROW: Final = 4
"""A commit of one authorisation writes two for each of its rows, 3.7 where its body is as large as may be, and larger
commits write fewer. So passes come first, but where readers, or others who take the log back, hold them up.
"""
PASSES_MAX: Final = 4
REST_PAGES: Final = 100
"""So few are left to a commit."""


class Backfill:
    """A log that can not be written into the file grows, and fails no payment: what is in it is on disk.

    Owner of every field: the event loop's thread.
    """

    def __init__(self, path: Path, connection: Connection, wal_rows_max: int) -> None:
        self._path = path.resolve()
        self._connection = connection
        self._wal_rows_max = wal_rows_max
        self._rows = 0
        self._passes: asyncio.Task[bool] | None = None

    @staticmethod
    def pages_max(wal_rows_max: int) -> int:
        """Where the log is longer than that all the same, each commit takes back what it can."""
        return max(WAL_PAGES_MIN, PAGES_OF_A_ROW * wal_rows_max)

    def count(self, rows: int) -> None:
        """So many more rows are in the log."""
        self._rows += rows
        if self._passes is None and self._rows >= self._wal_rows_max:
            self._rows = 0
            self._passes = asyncio.create_task(self._run(), name="backfill")

    async def end(self, connection: Connection) -> None:
        """Take back on the writer's connection what the passes left, where they are done.

        Raises `Fault` where the file could not be synced.
        """
        if self._passes is not None and self._passes.done():
            passes, self._passes = self._passes, None
            if passes.result():
                await _told(connection.run(_pass))

    async def close(self) -> None:
        try:
            if self._passes is not None:
                await asyncio.gather(self._passes, return_exceptions=True)  # the next start takes the whole log back
        finally:
            await self._connection.close()

    async def _run(self) -> bool:
        """Whether it could be done."""
        before = 0
        for _ in range(PASSES_MAX):
            pages = await _told(self._connection.run(_synced_pass, self._path))
            if pages is None:
                return False
            if pages - before <= REST_PAGES:
                break
            before = pages
        return True


async def _told(step: Awaitable[int]) -> int | None:
    """What a step gives; `None` where it fails, which is told. Raises `Fault` where it was the sync that failed."""
    try:
        return await step
    except (Busy, Fault) as error:
        code = getattr(error.__cause__, "sqlite_errorcode", None)
        if isinstance(error.__cause__, OSError) or code == sqlite3.SQLITE_IOERR_FSYNC:
            raise
        log.error("wal_not_taken_back", reason=str(error))
        return None


def _synced_pass(connection: sqlite3.Connection, path: Path) -> int:
    pages = _pass(connection)
    try:
        os.fsync(_opened(path))
    except OSError as error:
        raise Fault(f"the ledger can not be synced: {told(error)}") from error
    return pages


@cache
def _opened(path: Path) -> int:
    """Kept open until the process ends: closing it would release SQLite's own locks on the file (POSIX has it so)."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _pass(connection: sqlite3.Connection) -> int:
    """Take back what nobody reads or writes just now, waiting for nobody; give how many pages the log has."""
    reached("taking back")
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    reached("took back")
    return int(pages)
