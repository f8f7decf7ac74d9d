"""The ledger's files as they were opened: whether they are still what their names name, and what is saved if not."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from signed_ledger.errors import Fault
from signed_ledger.failing import told
from signed_ledger.store.connection import cut_log

SUFFIXES: Final = ("", "-wal", "-shm")
SAVING_SECONDS: Final = 10.0


class Files(NamedTuple):
    """A database that is open, and which files (device, inode) its names named then."""

    path: Path
    opened: dict[str, tuple[int, int] | None]

    @classmethod
    def of(cls, path: Path) -> "Files":
        path = path.resolve()
        return cls(path, {suffix: _identity(_beside(path, suffix)) for suffix in SUFFIXES})

    def gone(self) -> list[str]:
        """The suffixes whose name is no more, or names another file: somebody moved, removed or replaced it."""
        return [suffix for suffix in SUFFIXES if _identity(_beside(self.path, suffix)) != self.opened[suffix]]


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def check_in_place(connection: sqlite3.Connection, files: Files) -> None:
    """Raise `Fault` where a file is not in its place any more, once all that this process holds open is saved.

    What was committed since is in files that have no name, and would end with the process. Where the database itself is
    gone a copy of it is made beside its place; where only its log is, all of that is brought into the database.
    """
    gone = files.gone()
    if not gone:
        return
    names = ", ".join(f"{files.path}{suffix}" for suffix in gone)
    is_saved = True
    try:
        where = _save(connection, files) if "" in gone else str(files.path)
        if "-wal" not in gone or "" not in gone:  # nothing of ours may stay beside another file, or in a lost log
            is_saved = cut_log(connection, SAVING_SECONDS) or "" in gone
    except (sqlite3.Error, OSError) as error:
        raise Fault(
            f"{names} was moved, removed or replaced while open, and it could not be saved: {told(error)}"
        ) from error
    if not is_saved:
        raise Fault(f"{names} was moved, removed or replaced while open, and it could not be saved: somebody reads it")
    raise Fault(
        f"{names} was moved, removed or replaced while open; all that was acknowledged is in {where}: bring that to "
        "its place, alone, and start again"
    )


def _save(connection: sqlite3.Connection, files: Files) -> str:
    """Copy the open database, log and all, to a new file of mode 0600; it is on disk when this returns."""
    saved = files.path.with_name(f"{files.path.name}.saved-{os.getpid()}")
    saved.touch(mode=0o600)
    with closing(sqlite3.connect(saved)) as copy:
        copy.execute("PRAGMA synchronous = EXTRA")
        connection.backup(copy)
    return str(saved)
