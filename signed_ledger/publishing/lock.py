"""The lock file: the newest checkpoint that was ever published, outside the ledger, changed by compare-and-swap.

Whoever signs with a checkpoint key must hold its lock file: a database that was restored from a backup, or a second
server on a copy, is behind it or beside it, and publishes nothing. It is a small SQLite file on a path of its own.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from signed_ledger.disk import sync_folder
from signed_ledger.errors import Invalid
from signed_ledger.records import Checkpoint

APPLICATION_ID: Final = 0x534C4C31  # "SLL1"
BUSY_TIMEOUT_MS: Final = 5_000


class CheckpointLock:
    """One checkpoint, in a file. Each call opens and closes it: a file that is swapped meanwhile is noticed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, checkpoint: Checkpoint) -> None:
        """Make the file, mode 0600, whole or not at all; raises `Invalid` where something of that name exists."""
        building = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        building.touch(mode=0o600)
        try:
            _build(building, checkpoint)
            os.link(building, self.path)
        except FileExistsError:
            raise Invalid(str(self.path), "is there already") from None
        finally:
            building.unlink()
        sync_folder(self.path.parent)

    def read(self) -> Checkpoint:
        """The newest checkpoint that was published. Raises `Invalid` where the file is none of these, or not there."""
        with self._opened() as connection:
            row = connection.execute("SELECT origin, size, root FROM lock").fetchone()
        if row is None or type(row[0]) is not str:
            raise Invalid(str(self.path), "is not a checkpoint lock")
        return Checkpoint(*row)

    def swap(self, old: Checkpoint, new: Checkpoint) -> bool:
        """Put `new` in the place of `old`, on disk when this returns; `False` where `old` is not what stands there."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            swapped = connection.execute(_SWAP, (new.size, new.root, old.origin, old.size, old.root)).rowcount == 1
            connection.execute("COMMIT")
        return swapped

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            uri = f"{self.path.resolve().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
                connection.execute("PRAGMA synchronous = EXTRA")
                if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                    raise Invalid(str(self.path), "is not a checkpoint lock")
                yield connection
        except sqlite3.Error as error:
            raise Invalid(str(self.path), f"can not be used: {error}") from error


def _build(path: Path, checkpoint: Checkpoint) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE lock (origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT")
        row = (checkpoint.origin, checkpoint.size, checkpoint.root)
        connection.execute("INSERT INTO lock (origin, size, root) VALUES (?, ?, ?)", row)
        connection.execute("COMMIT")


_SWAP: Final = "UPDATE lock SET size = ?, root = ? WHERE origin = ? AND size = ? AND root = ?"
