"""The lock file: the newest checkpoint that was ever published, outside the ledger, changed by compare-and-swap.

Whoever signs with a checkpoint key must hold its lock file: a database that was restored from a backup, or a second
server on a copy, is behind it or beside it, and publishes nothing. It is a small SQLite file on a path of its own.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from signed_ledger.disk import sync_folder
from signed_ledger.errors import Invalid
from signed_ledger.failing import told
from signed_ledger.records import Checkpoint

APPLICATION_ID: Final = 0x534C4C31  # "SLL1"
BUSY_TIMEOUT_MS: Final = 5_000


class CheckpointLock:
    """One checkpoint, in a file. Each call opens and closes it: a file that is swapped meanwhile is noticed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, checkpoint: Checkpoint) -> None:
        """Make the file, mode 0600, whole or not at all; raises `FileExistsError` where something of that name is."""
        if not self.path.parent.is_dir():
            raise Invalid(str(self.path), f"can not be made: there is no folder {self.path.parent}")
        descriptor, name = mkstemp(prefix=f".{self.path.name}.", suffix=".new", dir=self.path.parent)
        os.close(descriptor)
        building = Path(name)
        try:
            _build(building, checkpoint)
            os.link(building, self.path)
        except sqlite3.Error as error:
            raise Invalid(str(self.path), f"can not be made: {told(error)}") from error
        finally:
            building.unlink()
        sync_folder(self.path.parent)

    def read(self) -> Checkpoint:
        """The newest checkpoint that was published. Raises `Invalid` where the file is none of these, or not there."""
        with self._opened() as connection:
            row = connection.execute("SELECT origin, size, root FROM lock").fetchone()
        try:
            return Checkpoint(*row)
        except (Invalid, TypeError):
            raise self._not_a_lock() from None

    def swap(self, old: Checkpoint, new: Checkpoint) -> bool:
        """Put `new` in the place of `old`, on disk when this returns; `False` where `old` is not what stands there."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            swapped = connection.execute(_SWAP, (new.size, new.root, old.origin, old.size, old.root)).rowcount == 1
            connection.execute("COMMIT")
        return swapped

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._check_mode()
        try:
            uri = f"{self.path.resolve().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
                connection.execute("PRAGMA synchronous = EXTRA")
                if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                    raise self._not_a_lock()
                yield connection
        except sqlite3.Error as error:
            raise Invalid(str(self.path), f"can not be used: {told(error)}") from error

    def _check_mode(self) -> None:
        """Who else can write to it can stop the publishing."""
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except OSError as error:
            raise Invalid(str(self.path), f"can not be used: {error.strerror}") from error
        if mode & 0o022:
            raise Invalid(str(self.path), f"has mode {mode:04o}; run: chmod 600 {self.path}")

    def _not_a_lock(self) -> Invalid:
        return Invalid(str(self.path), "is not a checkpoint lock")


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
