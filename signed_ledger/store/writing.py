"""The writer's three steps in the store: begin and read, read more, append and commit. Positions and bytes only."""

import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from signed_ledger.config import WAL_ROWS_MAX
from signed_ledger.errors import Fault
from signed_ledger.failing import told
from signed_ledger.killpoints import reached
from signed_ledger.store.backfill import Backfill
from signed_ledger.store.connection import Connection, at_once, connect, insert_rows, open_database, telling_failures
from signed_ledger.store.entries import (
    StoredEntry,
    read_entry,
    read_key_entries,
    read_newest,
    read_terms_entry,
)
from signed_ledger.store.files import Files, check_in_place
from signed_ledger.store.log import read_edges
from signed_ledger.store.wanted import Found, Wanted, read_wanted
from signed_ledger.tables import Row


class Begun(NamedTuple):
    """The write lock is held. `newer` are the (seq, note) from the known head on, that one included."""

    newer: list[tuple[int, bytes]]
    found: Found


class Peeked(NamedTuple):
    """What was found when the newest entry was `note` at `seq`; another process may have written since."""

    seq: int
    note: bytes
    found: Found


class Store:
    """The one writer's connections to a ledger. Between `begin` and `append` or `rollback` it holds the write lock.

    The second connection only reads, so that it can while the first one commits; a third is `backfill`'s.
    """

    def __init__(self, connection: Connection, reading: sqlite3.Connection, files: Files, backfill: Backfill) -> None:
        self._connection = connection
        self._reading = reading
        self._files = files
        self._backfill = backfill

    @classmethod
    async def open(cls, path: Path, *, busy_timeout_ms: int, wal_rows_max: int = WAL_ROWS_MAX) -> "Store":
        async with AsyncExitStack() as opened:
            connection = await connect(path, busy_timeout_ms=busy_timeout_ms)
            opened.push_async_callback(connection.close)
            connection.sqlite.execute(f"PRAGMA wal_autocheckpoint = {Backfill.pages_max(wal_rows_max)}")
            reading = open_database(path, busy_timeout_ms=busy_timeout_ms, read_only=True)
            opened.callback(reading.close)
            backfill = Backfill(path, await connect(path, busy_timeout_ms=busy_timeout_ms), wal_rows_max)
            opened.push_async_callback(backfill.close)
            store = cls(connection, reading, Files.of(path), backfill)
            opened.pop_all()
        return store

    def peek(self, wanted: Wanted) -> Peeked:
        """Read what is wanted without the lock, while the other connection may be committing.

        This waits for the file, and not for a thread: a hand-over costs more than a group's few reads.
        """
        with telling_failures():
            return _peek(self._reading, wanted)

    async def begin(self, known_seq: int, wanted: Wanted) -> Begun:
        """Take the write lock, then read the head and what is wanted. Raises `Busy` where the lock is not to be had."""
        return await self._connection.run(_begin, known_seq, wanted)

    async def read(self, wanted: Wanted) -> Found:
        return await self._connection.run(read_wanted, wanted)

    async def append(self, rows: list[tuple[str, Row]]) -> None:
        """Insert and commit, synchronous to disk. Any failure is a `Fault`: what was written is then unknown."""
        await self._connection.run(_insert, rows)
        self._backfill.count(len(rows))
        await self.commit()

    def insert_after(self, seq: int, note: bytes, rows: list[tuple[str, Row]]) -> bool:
        """Take the lock, and insert where the head still is the entry `note` at `seq`; give whether that was so.

        What is inserted counts once `commit` is done. Raises `Busy` at once where the lock is not free. This works in
        memory, on the caller's thread: a hand-over for each statement costs more than they do.
        """
        with telling_failures():
            is_next = _insert_after(self._connection.sqlite, seq, note, rows)
        if is_next:
            self._backfill.count(len(rows))
        return is_next

    async def commit(self) -> None:
        """What `insert_after` inserted goes to disk, synchronously. Any failure is a `Fault`."""
        await self._connection.run(_commit)
        await self._backfill.end(self._connection)

    async def check_in_place(self) -> None:
        """Raise `Fault` where the files that are open are not those of their names any more; see `files`."""
        await self._connection.run(check_in_place, self._files)

    async def rollback(self) -> None:
        await self._connection.run(_rollback)

    async def key_entries(self, newest: int) -> list[StoredEntry]:
        """The genesis and every key entry up to seq `newest`, in order of seq."""
        return await self._connection.run(read_key_entries, newest)

    async def terms_entry(self, newest: int) -> StoredEntry | None:
        """The newest terms entry up to seq `newest`, where there is one."""
        return await self._connection.run(read_terms_entry, newest)

    async def newest(self) -> StoredEntry:
        """The newest entry; one without bytes where there is none at all."""
        return await self._connection.run(read_newest)

    async def edges(self, size: int) -> list[list[bytes]]:
        """The right edge of the tree of `size` entries: see `merkle.Tree`."""
        return await self._connection.run(read_edges, size)

    async def entry(self, seq: int) -> StoredEntry:
        """The entry at `seq`, for the writer's own catching up within its transaction."""
        return await self._connection.run(read_entry, seq)

    @property
    def connection(self) -> Connection:
        """For the steps of the store's other modules."""
        return self._connection

    async def close(self) -> None:
        self._reading.close()  # first: the last one to close takes the WAL back into the file, if it may write
        try:
            await self._backfill.close()
        finally:
            await self._connection.close()


def _begin(connection: sqlite3.Connection, known_seq: int, wanted: Wanted) -> Begun:
    reached("taken")
    connection.execute("BEGIN IMMEDIATE")
    reached("locked")
    return Begun(_newer(connection, known_seq), read_wanted(connection, wanted))


def _peek(connection: sqlite3.Connection, wanted: Wanted) -> Peeked:
    connection.execute("BEGIN")
    try:
        seq, note = connection.execute(_HEAD).fetchone() or (-1, b"")
        return Peeked(seq, note, read_wanted(connection, wanted))
    finally:
        connection.execute("ROLLBACK")


def _newer(connection: sqlite3.Connection, known_seq: int) -> list[tuple[int, bytes]]:
    return connection.execute("SELECT seq, note FROM entries WHERE seq >= ? ORDER BY seq", (known_seq,)).fetchall()


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, Row]]) -> None:
    reached("decided")
    try:
        insert_rows(connection, rows)
    except sqlite3.Error as error:
        raise Fault(f"the commit failed: {told(error)}") from error


def _commit(connection: sqlite3.Connection) -> None:
    reached("committing")
    try:
        connection.execute("COMMIT")
        reached("committed")
    except sqlite3.Error as error:
        raise Fault(f"the commit failed: {told(error)}") from error


def _insert_after(connection: sqlite3.Connection, seq: int, note: bytes, rows: list[tuple[str, Row]]) -> bool:
    reached("taken")
    with at_once(connection):
        connection.execute("BEGIN IMMEDIATE")
    reached("locked")
    if _newer(connection, seq) != [(seq, note)]:
        _rollback(connection)
        return False
    _insert(connection, rows)
    return True


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


_HEAD: Final = "SELECT seq, note FROM entries ORDER BY seq DESC LIMIT 1"
