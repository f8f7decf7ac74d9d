"""Rows looked up by key where an audit begins late: it must not read what it does not ask about."""

import sqlite3
from typing import Final

from signed_ledger.audit.connecting import SQLITE_ERRORS
from signed_ledger.audit.reading import LedgerFile, Position, guarded
from signed_ledger.merkle import TILE_WIDTH, Tile, leaf_hash
from signed_ledger.tables import DERIVED_TABLES, LEDGER_TABLES, TABLES, Row, Table

BY_SEQ: Final = tuple(table for table in TABLES if table.columns[0] == "seq")
"""Tables that are read from a seq on without reading all of them; tiles are too, by their numbers."""


class FileTiles:
    """The tiles of a ledger's file; those at the right edge are made from entries and from the tiles below."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def tile_hashes(self, tile: Tile) -> bytes | None:
        try:
            return self._full(tile) if tile.is_full else self._partial(tile)
        except SQLITE_ERRORS:
            return None

    def _full(self, tile: Tile) -> bytes | None:
        rows = self._file.query("SELECT hashes FROM main.tiles WHERE level = ? AND number = ?", tile.level, tile.number)
        return rows[0][0] if rows and type(rows[0][0]) is bytes else None

    def _partial(self, tile: Tile) -> bytes | None:
        first = tile.number * TILE_WIDTH
        last = first + tile.width - 1
        if tile.level == 0:
            notes = self._file.query(
                "SELECT note FROM main.entries WHERE seq BETWEEN ? AND ? ORDER BY seq", first, last
            )
            hashes = [leaf_hash(note) for (note,) in notes if type(note) is bytes]
        else:
            roots = self._file.query(_ROOTS, tile.level - 1, first, last)
            hashes = [root for (root,) in roots if type(root) is bytes]
        return b"".join(hashes)


def with_derived(file: LedgerFile, position: Position, expected: list[tuple[str, Row]] | None) -> Position:
    """The position with those derived rows that its entry makes, as they stand in the tables that are keyed otherwise.

    Rows that no entry makes stay unseen there.
    """
    if expected is None:
        return position
    rows = list(position.rows)
    for at, table in enumerate(DERIVED_TABLES, start=len(LEDGER_TABLES)):
        wanted = [row for name, row in expected if name == table.name]
        if table not in BY_SEQ and wanted and file.can_read(table):
            rows[at] = _look_up(file, table, wanted)
    return Position(position.seq, tuple(rows))


def _look_up(file: LedgerFile, table: Table, wanted: list[Row]) -> list[Row]:
    """The rows of the same keys. One that can not be read counts as none, and so as a fault."""
    keys = table.columns[: table.key]
    where = " AND ".join(f"{name} = ?" for name in keys)
    columns = ", ".join(map(guarded, table.columns))
    found: list[Row] = []
    for row in wanted:
        try:
            found += file.query(f"SELECT {columns} FROM main.{table.name} WHERE {where}", *row[: table.key])  # noqa: S608  names of ours
        except (*SQLITE_ERRORS, sqlite3.InterfaceError):
            continue
    return found


_ROOTS: Final = "SELECT root FROM main.tiles WHERE level = ? AND number BETWEEN ? AND ? ORDER BY number"


def newest_row(file: LedgerFile, table: str, columns: tuple[str, ...], size: int, names: dict[str, str]) -> Row | None:
    """What the newest row of a thing said before the entry at `size`; raises any of `SQLITE_ERRORS`."""
    where = " AND ".join(f"{name} = ?" for name in names)
    statement = (
        f"SELECT {', '.join(columns)} FROM main.{table} "  # noqa: S608  names of ours
        f"WHERE {where} AND seq < ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1"
    )
    rows = file.query(statement, *names.values(), size)
    return rows[0] if rows else None
