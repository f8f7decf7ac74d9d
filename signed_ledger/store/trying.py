"""A disk is tried before anything is promised on it."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from signed_ledger.errors import Fault
from signed_ledger.failing import told
from signed_ledger.store.connection import SCHEMA_VERSION
from signed_ledger.store.writing import Store

CHUNK_BYTES: Final = 1_048_576


async def try_disk(store: Store, path: Path) -> None:
    """Have all that the log of the ledger at `path` holds on disk, in the file; then commit what changes nothing.

    After a sync that failed the system may show, as if it were on disk, what is in its memory alone: a log that is read
    at a start may be lost at the next power cut, and with it all that is written behind it. So it is written anew
    first, then into the file. Raises `Fault` where the disk does not do it: it is full, read-only or broken; `Busy`
    where another process writes.
    """
    await store.connection.run(_try, path)


def _try(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")  # nobody else changes the log meanwhile
    try:
        _write_anew(Path(f"{path.resolve()}-wal"))
    except OSError as error:
        raise Fault(f"the ledger's log can not be written: {told(error)}") from error
    finally:
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    _commit_nothing(connection)


def _write_anew(path: Path) -> None:
    """Write the bytes of a file over themselves, and sync them: the system then can not take them for written."""
    with path.open("r+b", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            file.seek(-len(data), os.SEEK_CUR)
            file.write(data)
        os.fsync(file.fileno())


def _commit_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # as it is, so that a page is written
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
