"""Entries as they are stored, with their parts: bytes, not yet verified."""

import hashlib
import sqlite3
from typing import Final, NamedTuple

from signed_ledger.records import Parts
from signed_ledger.tables import Row


class StoredEntry(NamedTuple):
    """An entry's stored bytes, not yet verified; what is missing is `None`."""

    seq: int
    note: bytes | None
    parts: Parts

    @property
    def digest(self) -> bytes:
        """Of all that is stored of it: SHA-256."""
        stored = (self.note, *self.parts)
        lengths = [self.seq, *(None if data is None else len(data) for data in stored)]
        return hashlib.sha256(b"".join((repr(lengths).encode(), *filter(None, stored)))).digest()

    @classmethod
    def missing(cls, seq: int) -> "StoredEntry":
        return cls(seq, None, Parts(None))


def read_entry(connection: sqlite3.Connection, seq: int) -> StoredEntry:
    row = connection.execute(_ENTRY + " WHERE e.seq = ?", (seq,)).fetchone()
    return StoredEntry.missing(seq) if row is None else entry_of(row)


def entry_of(row: Row) -> StoredEntry:
    seq, *stored = row
    # A hostile file may hold other types; an empty blob is what an erased body leaves.
    note, *parts = (data if type(data) is bytes and data else None for data in stored)
    return StoredEntry(seq, note, Parts(*parts))


def read_key_entries(connection: sqlite3.Connection, newest: int) -> list[StoredEntry]:
    seqs = "SELECT seq FROM keys WHERE seq <= ? AND kind NOT IN ('terms', 'erasure')"
    return [entry_of(row) for row in connection.execute(f"{_ENTRY} WHERE e.seq IN ({seqs}) ORDER BY e.seq", (newest,))]


def read_terms_entry(connection: sqlite3.Connection, newest: int) -> StoredEntry | None:
    query = "SELECT max(seq) FROM keys WHERE seq <= ? AND kind = 'terms'"
    (seq,) = connection.execute(query, (newest,)).fetchone()
    return None if seq is None else read_entry(connection, seq)


def read_newest(connection: sqlite3.Connection) -> StoredEntry:
    row = connection.execute(_ENTRY + " ORDER BY e.seq DESC LIMIT 1").fetchone()
    return StoredEntry.missing(0) if row is None else entry_of(row)


_ENTRY: Final = (
    "SELECT e.seq, e.note, p.body, p.state, p.evidence FROM entries AS e LEFT JOIN parts AS p ON p.seq = e.seq"
)
