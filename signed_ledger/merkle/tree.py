"""A tree that grows: kept in memory is its right edge, at most 255 hashes for each level of tiles."""

from collections.abc import Iterable
from typing import NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.merkle.hashing import EMPTY_ROOT, node_hash, tree_hash
from signed_ledger.merkle.tiles import TILE_WIDTH, Tile, edge_tiles, width_at


class FullTile(NamedTuple):
    """A tile that has become full, and will never change: its 256 hashes in one, and the root over them."""

    level: int
    number: int
    hashes: bytes
    root: bytes


class Tree:
    """The tree over all leaves so far. The work for each leaf does not grow with their number."""

    __slots__ = ("_edges", "size")

    def __init__(self, size: int = 0, edges: Iterable[Iterable[bytes]] = ()) -> None:
        """A tree of `size` leaves from its `edges`: the hashes of the partial tile of each level, level 0 first."""
        self.size = size
        self._edges = [list(edge) for edge in edges]
        assert all(
            len(edge) == width_at(level, (size >> (8 * level)) // TILE_WIDTH, size)
            for level, edge in enumerate(self._edges)
        )

    @classmethod
    def from_stored(cls, size: int, edges: list[list[bytes]]) -> "Tree":
        """The same, of edges as a store has them; raises `Invalid` where some of that is missing."""
        for tile, edge in zip(edge_tiles(size), edges, strict=True):
            if len(edge) == tile.width:
                continue
            if tile.level == 0:
                raise Invalid("entries", "some of the newest are missing")
            raise Invalid("tiles", f"some of level {tile.level - 1} are missing: run signed-ledger rebuild")
        return cls(size, edges)

    def copy(self) -> "Tree":
        return Tree(self.size, self._edges)

    def append(self, leaf: bytes) -> list[FullTile]:
        """Take the next leaf's hash in; give the tiles that are full with it, lowest first: nearly always none."""
        self.size += 1
        return self._push(0, leaf)

    def _push(self, level: int, value: bytes) -> list[FullTile]:
        if level == len(self._edges):
            self._edges.append([])
        edge = self._edges[level]
        edge.append(value)
        if len(edge) < TILE_WIDTH:
            return []
        index = (self.size >> (8 * (level + 1))) - 1
        full = FullTile(level, index, b"".join(edge), tree_hash(edge))
        edge.clear()
        return [full, *self._push(level + 1, full.root)]

    def partial_tiles(self) -> list[tuple[Tile, bytes]]:
        """The tiles that are begun and not full, lowest first, each with its hashes in one."""
        begun = [(level, edge) for level, edge in enumerate(self._edges) if edge]
        return [
            (Tile(level, (self.size >> (8 * level)) // TILE_WIDTH, len(edge)), b"".join(edge)) for level, edge in begun
        ]

    def root(self) -> bytes:
        """The root hash over all leaves so far."""
        root: bytes | None = None
        for edge in self._edges:  # the lower an edge, the further to the right
            if edge:
                part = edge if root is None else [*edge, root]
                root = tree_hash(part) if root is None else _hash_with_smaller(edge, root)
        return EMPTY_ROOT if root is None else root


def _hash_with_smaller(edge: list[bytes], smaller: bytes) -> bytes:
    """The root over full subtrees of one size and a smaller tree to their right."""
    size, hashes = len(edge), edge
    peaks = []  # the largest full subtrees, from left to right
    while size:
        largest = 1 << (size.bit_length() - 1)
        peaks.append(tree_hash(hashes[:largest]))
        hashes, size = hashes[largest:], size - largest
    root = smaller
    for peak in reversed(peaks):
        root = node_hash(peak, root)
    return root
