"""Roots of the tree as it was, made from the stored tiles."""

from signed_ledger.errors import Invalid
from signed_ledger.merkle import Tile, root_of, root_tiles
from signed_ledger.store import Reader


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
    return root_of(size, await read_tiles(reader, root_tiles(size)))
