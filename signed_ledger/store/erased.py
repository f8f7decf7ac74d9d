"""What was erased, as the erasures say. Nothing is verified here."""

import sqlite3
from typing import Final

from signed_ledger.encoding import VERSION, decode_body
from signed_ledger.records import Erased, Erasure
from signed_ledger.store.entries import StoredEntry, read_entry


def find_erased(connection: sqlite3.Connection) -> Erased:
    """By the derived rows of the erasures."""
    return erased_by([read_entry(connection, seq) for (seq,) in connection.execute(_FROM_ROWS)])


def scan_erased(connection: sqlite3.Connection) -> Erased:
    """By the entries alone, each of which is looked at."""
    return erased_by([read_entry(connection, seq) for (seq,) in connection.execute(_FROM_ENTRIES, (_IS_ERASURE,))])


def erased_by(entries: list[StoredEntry]) -> Erased:
    """Raises `Invalid` where an erasure's body is not to be read."""
    bodies = [(stored.seq, decode_body(stored.parts.body or b"").body) for stored in entries]
    return Erased((seq, body) for seq, body in bodies if isinstance(body, Erasure))


_IS_ERASURE: Final = f"\n{VERSION} {Erasure.KIND}\n".encode()
_FROM_ROWS: Final = "SELECT seq FROM keys WHERE kind = 'erasure' ORDER BY seq"
_FROM_ENTRIES: Final = "SELECT seq FROM entries WHERE instr(note, ?) ORDER BY seq"
