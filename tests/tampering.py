"""An attacker who owns the disk and no key: edits a copy of a ledger's file, and asks the audit."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from signed_ledger.audit import Report, Trust, audit_file
from signed_ledger.encoding import decode_body, decode_entry, encode_entry_note, encode_entry_text, entry_key_name
from signed_ledger.merkle import leaf_hash
from signed_ledger.signing import Signer, note_key_id
from signed_ledger.tables import TABLES

SOAK = bool(os.environ.get("AUDIT_SOAK"))
"""Asks for hours of it: every entry, every byte through the file, every other value of some."""


_TELLING = ("KIND", "type", "op", "role", "decision", "reason", "line", "form")


class Copy:
    """A ledger's file without triggers and log; what was done to it is undone by `restore`."""

    def __init__(self, source: Path, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("VACUUM INTO ?", (str(path),))
        with self.edited() as connection:
            for table in TABLES:
                for what in ("update", "delete", "replace"):
                    connection.execute(f"DROP TRIGGER {table.name}_no_{what}")
        self.pristine = path.read_bytes()

    @contextmanager
    def edited(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    def seqs_of_each_shape(self) -> list[int]:
        """The first and the last entry of each shape: what it says, which line it is, which parts it has."""
        first: dict[object, int] = {}
        last: dict[object, int] = {}
        with self.edited() as connection:
            for seq, body, *parts in connection.execute("SELECT seq, body, state, evidence FROM parts ORDER BY seq"):
                said = decode_body(body).body if body else None  # an erased one is empty
                told = [getattr(said, name, None) for name in _TELLING]
                shape = (*told, *(part is None for part in parts))
                first.setdefault(shape, seq)
                last[shape] = seq
        return sorted({*first.values(), *last.values()})

    def restore(self) -> None:
        self.path.write_bytes(self.pristine)

    def audit(self, trust: Trust | None = None) -> Report:
        return audit_file(self.path, trust=trust, jobs=1)

    def report_after(self, *statements: str) -> Report:
        """Execute SQL, audit, undo."""
        with self.edited() as connection:
            for statement in statements:
                connection.execute(statement)
        report = self.audit()
        self.restore()
        return report


def found(report: Report) -> set[tuple[int | None, int]]:
    """Where the faults are: (seq, step)."""
    return {(seq, int(step)) for seq, step, _ in report.faults}


def rechain(connection: sqlite3.Connection, first: int, signer: Signer | None = None) -> None:
    """Make `prev` right again from `first` on; sign with `signer`, or leave the signatures that no longer fit."""
    (note,) = connection.execute("SELECT note FROM entries WHERE seq = ?", (first - 1,)).fetchone()
    for seq, old in connection.execute(
        "SELECT seq, note FROM entries WHERE seq >= ? ORDER BY seq", (first,)
    ).fetchall():
        signed = decode_entry(old)
        text = encode_entry_text(replace(signed.entry, seq=seq, prev=leaf_hash(note)))
        key_id, signature = signed.key_id, signed.signature
        if signer is not None:
            key_id, signature = note_key_id(entry_key_name(signed.entry.origin), signer.public_key), signer.sign(text)
        note = encode_entry_note(text, signed.entry.origin, key_id, signature)
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (note, seq))
