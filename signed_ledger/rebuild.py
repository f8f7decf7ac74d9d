"""The derived tables made anew from the entries, by the same `rules.apply` and the same rows as live traffic.

Checks what it builds on: chain, digests, and that each signed state is what the rules give. Signatures are the audit's.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from signed_ledger.encoding import decode_body, decode_entry, decode_state
from signed_ledger.errors import Busy, Invalid
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import ZERO_DIGEST, Entry, Erased, Parts
from signed_ledger.rules import Book, apply
from signed_ledger.sealing import open_part
from signed_ledger.store import SCHEMA_VERSION, insert_rows, is_busy, open_database, scan_erased, schema_statements
from signed_ledger.tables import LOG_TABLES, REBUILT_TABLES, Row, derived_rows, state_rows, tile_rows

Progress: TypeAlias = Callable[[int, int], None]
"""Told now and then: entries replayed so far, and in all."""

BUSY_TIMEOUT_MS: Final = 30_000
CHUNK_ENTRIES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What was made: rows by table."""

    entries: int
    rows: dict[str, int]
    seconds: float


def rebuild(path: Path, progress: Progress | None = None) -> RebuildReport:
    """Replace the derived tables of the ledger at `path`, in one transaction; a server meanwhile waits or is `Busy`.

    Raises `Invalid` naming the seq where an entry is not what the one before, its own digests or the rules say, `Busy`
    where another process kept the write lock; then nothing was changed.
    """
    started = time.perf_counter()
    with closing(
        open_database(path, busy_timeout_ms=BUSY_TIMEOUT_MS, any_schema=True)
    ) as connection:  # closed, it rolls back
        try:
            connection.execute("BEGIN IMMEDIATE")
            _make_tables(connection)
            rows = _fill(connection, progress)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _told(path, error) from error
    return RebuildReport(rows.pop("entries"), dict(rows), time.perf_counter() - started)


def _told(path: Path, error: sqlite3.Error) -> Busy | Invalid:
    if is_busy(error):
        return Busy("another process is writing to the ledger; nothing was changed")
    return Invalid(str(path), f"could not be rebuilt, nothing was changed: {error}")


def _make_tables(connection: sqlite3.Connection) -> None:
    """Indexes and triggers go and come with their tables; those of an earlier version are replaced.

    What was published can not be made anew: its tables stay, and are made where an earlier version had none.
    """
    for table in REBUILT_TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {table.name}")
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    missing = tuple(table for table in LOG_TABLES if table.name not in there and table not in REBUILT_TABLES)
    for statement in schema_statements(REBUILT_TABLES + missing):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _fill(connection: sqlite3.Connection, progress: Progress | None) -> Counter[str]:
    total = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    replayed = _replay(connection)
    made = Counter({"entries": 0, **{table.name: 0 for table in REBUILT_TABLES}})
    while chunk := list(islice(replayed, CHUNK_ENTRIES)):
        rows = [row for of_entry in chunk for row in of_entry]
        insert_rows(connection, rows)
        made.update(table for table, _ in rows)
        made["entries"] += len(chunk)
        if progress is not None:
            progress(made["entries"], total)
    return made


def _replay(connection: sqlite3.Connection) -> Iterator[list[tuple[str, Row]]]:
    """Give the derived rows of each entry, in order."""
    book, prev, tree, erased = Book(), ZERO_DIGEST, Tree(), scan_erased(connection)
    query = "SELECT e.seq, note, body, state, evidence FROM entries AS e LEFT JOIN parts AS p ON p.seq = e.seq"
    for expected, (seq, *stored) in enumerate(connection.execute(f"{query} ORDER BY e.seq")):
        note, *parts = (data if type(data) is bytes else None for data in stored)
        try:
            entry = decode_entry(note or b"").entry
            if (seq, entry.seq, entry.prev) != (expected, expected, prev):
                raise Invalid("prev", "does not follow the entry before it")
            prev = leaf_hash(note or b"")
            yield _rows_of(entry, Parts(*parts), book, erased) + tile_rows(seq, tree.append(prev))
        except Invalid as error:
            raise Invalid(f"entry {seq}", f"{error}; nothing was changed") from error


def _rows_of(entry: Entry, parts: Parts, book: Book, erased: Erased) -> list[tuple[str, Row]]:
    if not parts.body and erased.by("body", entry.seq) is not None:
        return _rows_left(entry, parts, book)
    body = decode_body(open_part("body", entry.body, parts.body)).body
    if entry.kind != body.KIND:
        raise Invalid("kind", f"of the body is {body.KIND}, of its entry {entry.kind}")
    effect = apply(book, body, entry.seq)
    signed = None if entry.state is None else decode_state(open_part("state", entry.state, parts.state))
    if signed != effect.state:
        raise Invalid("state", "is not what the rules give")
    return derived_rows(entry.seq, body, effect)


def _rows_left(entry: Entry, parts: Parts, book: Book) -> list[tuple[str, Row]]:
    """Of an entry whose body was erased: a balance, where that stays."""
    if entry.state is None or parts.state is None:
        return []
    state = decode_state(open_part("state", entry.state, parts.state))
    book.accounts[state.account] = state
    return state_rows(entry.seq, state)
