"""Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2), and roots, made from a tree's tiles.

Two steps, so that reading is the caller's: which tiles are needed, then the proof from what they hold.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from signed_ledger.merkle.hashing import EMPTY_ROOT, node_hash, tree_hash
from signed_ledger.merkle.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, width_at

Tiles: TypeAlias = Mapping[Tile, bytes]
"""The hashes of each tile, in one."""

_Range: TypeAlias = tuple[int, int]
"""The leaves from the first up to, not including, the second: a subtree of RFC 6962."""


def inclusion_tiles(index: int, size: int) -> list[Tile]:
    """The tiles that the proof of leaf `index` in the tree of `size` leaves is made from."""
    return _tiles(_inclusion_ranges(index, 0, size), size)


def inclusion_proof(index: int, size: int, tiles: Tiles) -> list[bytes]:
    """Prove that leaf `index` is in the tree of `size` leaves: the leaf's sibling first, the root's child last."""
    assert 0 <= index < size
    return [_hash(part, size, tiles) for part in _inclusion_ranges(index, 0, size)]


def consistency_tiles(old: int, new: int) -> list[Tile]:
    """The tiles that the proof from the tree of `old` leaves to that of `new` is made from."""
    return _tiles(_consistency_ranges(old, new), new)


def consistency_proof(old: int, new: int, tiles: Tiles) -> list[bytes]:
    """Prove that the tree of `new` leaves begins with that of `old`; empty where `old` is nothing, or the same."""
    assert 0 <= old <= new
    return [_hash(part, new, tiles) for part in _consistency_ranges(old, new)]


def root_of(size: int, tiles: Tiles) -> bytes:
    """The root hash of the tree of `size` leaves."""
    return _hash((0, size), size, tiles) if size else EMPTY_ROOT


def _inclusion_ranges(index: int, start: int, end: int) -> list[_Range]:
    ranges: list[_Range] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(old: int, new: int) -> list[_Range]:
    """RFC 6962 section 2.1.2, SUBPROOF without its recursion."""
    if not 0 < old < new:
        return []
    ranges: list[_Range] = []
    start, end, is_whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, is_whole = middle, False
    if not is_whole:
        ranges.append((start, end))
    return ranges[::-1]


def _split(leaves: int) -> int:
    """The largest power of two smaller than `leaves`."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _peaks(part: _Range) -> list[tuple[int, int]]:
    """The full subtrees that a subtree is made of, from left to right: (height, number among those of its height)."""
    start, end = part
    peaks = []
    while start < end:
        height = (end - start).bit_length() - 1
        peaks.append((height, start >> height))
        start += 1 << height
    return peaks


def _tiles(ranges: Iterable[_Range], size: int) -> list[Tile]:
    peaks = [peak for part in ranges for peak in _peaks(part)]
    return sorted({_place(height, number, size)[0] for height, number in peaks})


def _place(height: int, number: int, size: int) -> tuple[Tile, int, int]:
    """The tile that has a full subtree, and which of its hashes are that subtree's: from, and up to."""
    level, rest = divmod(height, TILE_HEIGHT)
    index, start = divmod(number << rest, TILE_WIDTH)
    return Tile(level, index, width_at(level, index, size)), start, start + (1 << rest)


def _hash(part: _Range, size: int, tiles: Tiles) -> bytes:
    root: bytes | None = None
    for height, number in reversed(_peaks(part)):
        tile, start, end = _place(height, number, size)
        hashes = tiles[tile]
        peak = tree_hash([hashes[32 * at : 32 * at + 32] for at in range(start, end)])
        root = peak if root is None else node_hash(peak, root)
    assert root is not None
    return root
