"""What a witness must never forget, in a SQLite file: the newest checkpoint of each log, when it last signed, evidence.

One row for each log, written over by compare-and-swap: several processes may share the file.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from signed_ledger.disk import sync_folder
from signed_ledger.errors import Invalid
from signed_ledger.merkle import EMPTY_ROOT

APPLICATION_ID: Final = 0x534C5731  # "SLW1"
BUSY_TIMEOUT_MS: Final = 5_000
EVIDENCE_MAX: Final = 100
"""How much is kept for each log and kind. It is the oldest: a log must not be able to push its first lie out."""


class Identity(NamedTuple):
    """Whose state it is: the witness's name and key, and the newest time at which it signed anything."""

    name: str
    vkey: str
    signed_at: int


class FollowedLog(NamedTuple):
    """A log and the newest checkpoint of it that was cosigned, at `cosigned_at`; without one it is of size 0.

    `note` is that checkpoint with the log's signatures that were verified and our cosignature.
    """

    origin: str
    vkeys: tuple[str, ...]
    size: int
    root: bytes
    note: bytes | None
    cosigned_at: int | None


class Evidence(NamedTuple):
    """What a log signed and we did not. `is_proof` where `note` and `ours` can not be of one history; else a suspicion:

    no proof of consistency was given, and whoever holds a checkpoint may ask without one.
    """

    origin: str
    is_proof: bool
    seen_at: int
    reason: str
    note: bytes
    ours: bytes | None


def create_state(path: Path, name: str, vkey: str) -> None:
    """Make the file of a new witness, mode 0600, whole or not at all; raise `Invalid` where it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}.new")
    building.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(building, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO witness (name, vkey, signed_at) VALUES (?, ?, 0)", (name, vkey))
            connection.execute("COMMIT")
        os.link(building, path)
    except FileExistsError:
        raise Invalid("--database", f"{path} is there already") from None
    finally:
        building.unlink()
    sync_folder(path.parent)


class State:
    """The open file, for use on any one thread at a time. What SQLite can not do is raised as it is."""

    def __init__(self, path: Path) -> None:
        """Open what `create_state` made: a witness that lost its state must not begin anew under the same key."""
        if not path.is_file():
            raise Invalid("--database", f"{path} is not there; make a witness with: signed-ledger witness init")
        uri = f"{path.resolve().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            if self._connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                raise Invalid("--database", f"{path} is not a witness's")
            self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            self._connection.execute("PRAGMA synchronous = EXTRA")
        except sqlite3.DatabaseError as error:
            self.close()
            raise Invalid("--database", f"{path} can not be opened: {error}") from None
        except Invalid:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written inside is one step, seen by others whole or not at all, on disk at its end."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def identity(self) -> Identity:
        return Identity(*self._connection.execute("SELECT name, vkey, signed_at FROM witness").fetchone())

    def origins(self) -> list[str]:
        return [origin for (origin,) in self._connection.execute("SELECT origin FROM logs ORDER BY origin")]

    def find(self, origin: str) -> FollowedLog | None:
        row = self._connection.execute(_LOG, (origin,)).fetchone()
        if row is None:
            return None
        keys = self._connection.execute("SELECT vkey FROM log_keys WHERE origin = ? ORDER BY vkey", (origin,))
        return FollowedLog(origin, tuple(vkey for (vkey,) in keys), *row)

    def add_log(self, origin: str, vkey: str) -> None:
        """Follow a log, or trust one more key of it; what is so already stays."""
        with self.transaction():
            first = (origin, 0, EMPTY_ROOT)
            self._connection.execute("INSERT OR IGNORE INTO logs (origin, size, root) VALUES (?, ?, ?)", first)
            self._connection.execute("INSERT OR IGNORE INTO log_keys (origin, vkey) VALUES (?, ?)", (origin, vkey))

    def drop_key(self, origin: str, vkey: str) -> bool:
        """Trust a key of a log no more; `False` where it was not trusted. What was cosigned stays."""
        with self.transaction():
            dropped = self._connection.execute("DELETE FROM log_keys WHERE origin = ? AND vkey = ?", (origin, vkey))
            return dropped.rowcount == 1

    def advance(self, before: FollowedLog, size: int, root: bytes, note: bytes, now: int) -> bool:
        """Put a checkpoint in the place of `before`; `False` where that is not what stands there any more."""
        self._connection.execute("UPDATE witness SET signed_at = ? WHERE signed_at <= ?", (now, now))
        new = (size, root, note, now, before.origin, before.size, before.root)
        return self._connection.execute(_ADVANCE, new).rowcount == 1

    def keep(self, evidence: Evidence) -> bool:
        """Keep what is not kept yet, up to the limit; give whether it is new."""
        of_kind = (evidence.origin, evidence.is_proof)
        (kept,) = self._connection.execute(_COUNT, of_kind).fetchone()
        if kept >= EVIDENCE_MAX:
            return False
        return self._connection.execute(_KEEP, evidence).rowcount == 1

    def evidence(self, origin: str) -> list[Evidence]:
        """What is kept of a log, the oldest first."""
        rows = self._connection.execute(_EVIDENCE, (origin,))
        return [Evidence(origin, bool(is_proof), *rest) for is_proof, *rest in rows]


_TABLES: Final = (
    """CREATE TABLE witness (
        name TEXT NOT NULL, vkey TEXT NOT NULL, signed_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE logs (
        origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB, cosigned_at INTEGER
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE log_keys (
        origin TEXT NOT NULL, vkey TEXT NOT NULL, PRIMARY KEY (origin, vkey)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE evidence (
        id INTEGER PRIMARY KEY, origin TEXT NOT NULL, is_proof INTEGER NOT NULL, seen_at INTEGER NOT NULL,
        reason TEXT NOT NULL, note BLOB NOT NULL, ours BLOB, UNIQUE (origin, is_proof, note)
    ) STRICT""",
)
_LOG: Final = "SELECT size, root, note, cosigned_at FROM logs WHERE origin = ?"
_ADVANCE: Final = (
    "UPDATE logs SET size = ?, root = ?, note = ?, cosigned_at = ? WHERE origin = ? AND size = ? AND root = ?"
)
_COUNT: Final = "SELECT count(*) FROM evidence WHERE origin = ? AND is_proof = ?"
_KEEP: Final = (
    "INSERT OR IGNORE INTO evidence (origin, is_proof, seen_at, reason, note, ours) VALUES (?, ?, ?, ?, ?, ?)"
)
_EVIDENCE: Final = "SELECT is_proof, seen_at, reason, note, ours FROM evidence WHERE origin = ? ORDER BY id"
