"""The write-ahead log is taken back into the ledger's file beside the writing.

SQLite would do so within the COMMIT that makes the log long, and every answer would wait for it: the larger the ledger,
the more pages of the file a group touches, and the longer (docs/PERFORMANCE.md). Here a second connection does it, in
passes, each over what was written during the one before. What is left then is done within one commit, and is little:
SQLite begins the log anew only at a moment at which nothing is left.
"""

import asyncio
import sqlite3
from typing import Final

import structlog

from signed_ledger.errors import Busy, Fault
from signed_ledger.killpoints import reached
from signed_ledger.store.connection import Connection

log = structlog.get_logger("signed_ledger.store")

WAL_ROWS_MAX: Final = 20_000
"""Some five thousand pages: a page that many groups touch is then written once."""
WAL_PAGES_MAX: Final = 20_000
"""Where readers or short-lived commands keep the log this long, each commit takes back what it can."""
PASSES_MAX: Final = 4
REST_PAGES: Final = 100
"""So few are left to a commit."""


class Backfill:
    """A log that can not be taken back grows, and fails no payment: what is in it is on disk.

    Owner of every field: the event loop's thread.
    """

    def __init__(self, connection: Connection, wal_rows_max: int) -> None:
        self._connection = connection
        self._wal_rows_max = wal_rows_max
        self._rows = 0
        self._passes: asyncio.Task[bool] | None = None

    def count(self, rows: int) -> None:
        """So many more rows are in the log."""
        self._rows += rows
        if self._passes is None and self._rows >= self._wal_rows_max:
            self._rows = 0
            self._passes = asyncio.create_task(_take_back(self._connection, PASSES_MAX), name="backfill")

    async def end(self, connection: Connection) -> None:
        """Take back on the writer's connection what the passes left, where they are done."""
        if self._passes is not None and self._passes.done():
            passes, self._passes = self._passes, None
            if passes.result():
                await _take_back(connection, 1)

    async def close(self) -> None:
        try:
            if self._passes is not None:
                await asyncio.wait([self._passes])
        finally:
            await self._connection.close()


async def _take_back(connection: Connection, passes: int) -> bool:
    """Whether it could be done."""
    before = 0
    try:
        for _ in range(passes):
            pages = await connection.run(_pass)
            if pages - before <= REST_PAGES:
                break
            before = pages
    except (Busy, Fault) as error:
        log.error("wal_not_taken_back", reason=str(error))
        return False
    return True


def _pass(connection: sqlite3.Connection) -> int:
    """Take back what nobody reads or writes just now, waiting for nobody; give how many pages the log has."""
    reached("taking back")
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    reached("took back")
    return int(pages)
