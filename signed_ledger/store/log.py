"""The ledger as a log: what of its tree, its published checkpoints and their cosignatures is stored. Bytes only."""

import sqlite3
from typing import Final, NamedTuple

from signed_ledger.merkle import TILE_WIDTH, Tile, edge_tiles, leaf_hash


class KeptCheckpoint(NamedTuple):
    """A published checkpoint of `size` entries as it is kept, and the signature lines of witnesses by key."""

    size: int
    note: bytes
    cosignatures: dict[str, str]


def read_edges(connection: sqlite3.Connection, size: int) -> list[list[bytes]]:
    """The hashes of the partial tile of each level of the tree of `size` entries, level 0 first."""
    return [_hashes(connection, tile) for tile in edge_tiles(size)]


def read_tile(connection: sqlite3.Connection, tile: Tile) -> bytes | None:
    """The hashes of a tile, in one; `None` where not all of them are there."""
    if tile.is_full:
        row = connection.execute(_TILE, (tile.level, tile.number)).fetchone()
        return None if row is None or type(row[0]) is not bytes else row[0]
    hashes = _hashes(connection, tile)
    return b"".join(hashes) if len(hashes) == tile.width else None


def read_bundle(connection: sqlite3.Connection, tile: Tile) -> list[bytes] | None:
    """The entries of an entry bundle; `None` where not all of them are there."""
    notes = _notes(connection, tile)
    return notes if len(notes) == tile.width else None


def read_notes(connection: sqlite3.Connection, first: int, last: int) -> list[bytes]:
    """The entries from seq `first` to `last`, those that are there."""
    rows = connection.execute("SELECT note FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last))
    return [note for (note,) in rows if type(note) is bytes]


def read_checkpoint(connection: sqlite3.Connection, size_min: int, size_max: int) -> KeptCheckpoint | None:
    """The newest checkpoint kept, of those from `size_min` to `size_max` entries."""
    row = connection.execute(_CHECKPOINT, (size_min - 1, size_max - 1)).fetchone()
    if row is None:
        return None
    return KeptCheckpoint(row[0] + 1, row[1], dict(connection.execute(_COSIGNATURES, (row[0],))))


def find_kept(connection: sqlite3.Connection, seqs: list[int]) -> set[tuple[int, str]]:
    """Of the checkpoints up to these seqs, what is kept: (seq, empty), and (seq, key) for each cosignature."""
    kept: set[tuple[int, str]] = set()
    for seq in seqs:
        kept.update(connection.execute("SELECT seq, '' FROM checkpoints WHERE seq = ?", (seq,)))
        kept.update(connection.execute("SELECT seq, key FROM cosignatures WHERE seq = ?", (seq,)))
    return kept


def _hashes(connection: sqlite3.Connection, tile: Tile) -> list[bytes]:
    if not tile.width:
        return []
    if tile.level == 0:
        return [leaf_hash(note) for note in _notes(connection, tile)]
    first = tile.number * TILE_WIDTH
    rows = connection.execute(_ROOTS, (tile.level - 1, first, first + tile.width - 1))
    return [root for (root,) in rows if type(root) is bytes]


def _notes(connection: sqlite3.Connection, tile: Tile) -> list[bytes]:
    first = tile.number * TILE_WIDTH
    return read_notes(connection, first, first + tile.width - 1)


_TILE: Final = "SELECT hashes FROM tiles WHERE level = ? AND number = ?"
_ROOTS: Final = "SELECT root FROM tiles WHERE level = ? AND number BETWEEN ? AND ? ORDER BY number"
_CHECKPOINT: Final = "SELECT seq, note FROM checkpoints WHERE seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT 1"
_COSIGNATURES: Final = "SELECT key, line FROM cosignatures WHERE seq = ? ORDER BY key"
