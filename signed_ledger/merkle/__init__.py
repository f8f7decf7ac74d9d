"""The ledger as a Merkle tree (RFC 6962 section 2.1), in tiles of height 8 (C2SP tlog-tiles): hashes and proofs."""

from signed_ledger.merkle.hashing import EMPTY_ROOT, leaf_hash, node_hash, tree_hash
from signed_ledger.merkle.proving import (
    consistency_proof,
    consistency_tiles,
    inclusion_proof,
    inclusion_tiles,
    root_of,
)
from signed_ledger.merkle.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    edge_tiles,
    read_tile_path,
    tile_path,
    width_at,
)
from signed_ledger.merkle.tree import FullTile, Tree
from signed_ledger.merkle.verifying import verify_consistency, verify_inclusion

__all__ = [
    "EMPTY_ROOT",
    "ENTRIES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "FullTile",
    "Tile",
    "Tree",
    "consistency_proof",
    "consistency_tiles",
    "edge_tiles",
    "inclusion_proof",
    "inclusion_tiles",
    "leaf_hash",
    "node_hash",
    "read_tile_path",
    "root_of",
    "tile_path",
    "tree_hash",
    "verify_consistency",
    "verify_inclusion",
    "width_at",
]
