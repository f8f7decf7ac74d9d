"""The tree that was seen, as the file's tiles have it: nothing of them is believed that does not lead to its root."""

from typing import Final, Protocol

from signed_ledger.errors import Invalid
from signed_ledger.merkle import TILE_WIDTH, Tile, Tree, edge_tiles, tree_hash
from signed_ledger.records import Checkpoint

TILES_KEPT_MAX: Final = 256
_HASH_BYTES: Final = 32


class Tiles(Protocol):
    """Where tiles are: a ledger's file, or a server."""

    def tile_hashes(self, tile: Tile) -> bytes | None:
        """The hashes of a tile, in one, whatever they are; `None` where it is not there."""


class SeenTree:
    """The tree of a checkpoint. A leaf is given once the tiles above it were hashed up to the root."""

    def __init__(self, tiles: Tiles, checkpoint: Checkpoint) -> None:
        """Raises `Invalid` unless the tiles at the right edge have the checkpoint's root."""
        self._tiles = tiles
        self._size = checkpoint.size
        self._edges = [self._read(tile) if tile.width else [] for tile in edge_tiles(self._size)]
        self.tree = Tree(self._size, self._edges)
        self._verified: dict[Tile, list[bytes]] = {}
        if self.tree.root() != checkpoint.root:
            raise Invalid("tiles", f"are not those of the {self._size} entries that were seen")

    def leaf(self, seq: int) -> bytes:
        """The leaf hash of an entry; raises `Invalid` where the tiles do not lead to the root."""
        assert 0 <= seq < self._size
        return self._hash_at(0, seq)

    def root_at(self, size: int) -> bytes:
        """The root that the tree had at a size before; raises as `leaf` does."""
        assert 0 <= size <= self._size
        return Tree(size, [self._first_of(tile) for tile in edge_tiles(size)]).root()

    def _first_of(self, tile: Tile) -> list[bytes]:
        first = tile.number * TILE_WIDTH
        return [self._hash_at(tile.level, first + place) for place in range(tile.width)]

    def _hash_at(self, level: int, index: int) -> bytes:
        """The hash of a full subtree: of 256**level leaves, number `index` of those."""
        number, place = divmod(index, TILE_WIDTH)
        if number == (self._size >> (8 * level)) // TILE_WIDTH:
            return self._edges[level][place]
        tile = Tile(level, number)
        hashes = self._verified.get(tile)
        if hashes is None:
            hashes = self._read(tile)
            if tree_hash(hashes) != self._hash_at(level + 1, number):
                raise Invalid("tiles", f"tile {number} of level {level} is not that of the entries that were seen")
            if len(self._verified) >= TILES_KEPT_MAX:
                self._verified.pop(next(iter(self._verified)))
            self._verified[tile] = hashes
        return hashes[place]

    def _read(self, tile: Tile) -> list[bytes]:
        data = self._tiles.tile_hashes(tile)
        if type(data) is not bytes or len(data) != _HASH_BYTES * tile.width:
            raise Invalid("tiles", f"tile {tile.number} of level {tile.level} is not there whole")
        return [data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES)]
