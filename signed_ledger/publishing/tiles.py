"""The tree as it was, from the stored tiles; and from there on as the entries themselves make it."""

from collections.abc import Callable
from typing import TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.merkle import ENTRIES, TILE_WIDTH, FullTile, Tile, Tree, leaf_hash, width_at
from signed_ledger.store import Reader

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many entries are read, and how many are to be."""
Take: TypeAlias = Callable[[Tile, list[bytes], list[FullTile]], None]
"""Given an entry bundle and its entries, and the tiles that are full with them, lowest first."""


async def tree_at(reader: Reader, size: int) -> Tree:
    """The tree over the ledger's first `size` entries, as its tiles have it; raises `Invalid` where one is missing."""
    return Tree.from_stored(size, await reader.edges(size))


async def read_tiles(reader: Reader, tiles: list[Tile]) -> dict[Tile, bytes]:
    """What the store has for these tiles; raises `Invalid` where one is not there whole."""
    found = {}
    for tile in tiles:
        hashes = await reader.tile(tile)
        if hashes is None or len(hashes) != 32 * tile.width:
            raise Invalid("tiles", f"the tile {tile.number} of level {tile.level} is not there whole")
        found[tile] = hashes
    return found


async def root_at(reader: Reader, size: int) -> bytes:
    """The root hash of the ledger's first `size` entries, as its tiles have it."""
    return (await tree_at(reader, size)).root()


async def grow(reader: Reader, tree: Tree, size: int, take: Take | None = None) -> None:
    """Let `tree` grow to `size` by the entries, bundle after bundle; raises `Invalid` where one is missing."""
    while tree.size < size:
        number = tree.size // TILE_WIDTH
        bundle = Tile(ENTRIES, number, width_at(ENTRIES, number, size))
        notes = await reader.bundle(bundle)
        if notes is None:
            first = number * TILE_WIDTH
            raise Invalid(f"entry {first}", f"or one of the {bundle.width - 1} after it is not there")
        full: list[FullTile] = []
        for note in notes[tree.size % TILE_WIDTH :]:
            full += tree.append(leaf_hash(note))
        if take is not None:
            take(bundle, notes, full)
