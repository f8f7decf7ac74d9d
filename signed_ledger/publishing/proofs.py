"""Proofs about the ledger's tree, made from the stored tiles that they name."""

from signed_ledger.merkle import consistency_proof, consistency_tiles, inclusion_proof, inclusion_tiles
from signed_ledger.publishing.tiles import read_tiles
from signed_ledger.store import Reader


async def consistency(reader: Reader, old: int, new: int) -> tuple[bytes, ...]:
    """Prove that the tree of `new` entries begins with that of `old`. Raises `Invalid` where a tile is not whole."""
    return tuple(consistency_proof(old, new, await read_tiles(reader, consistency_tiles(old, new))))


async def inclusion(reader: Reader, seq: int, size: int) -> tuple[bytes, ...]:
    """Prove that entry `seq` is in the tree of `size` entries. Raises `Invalid` where a tile is not whole."""
    return tuple(inclusion_proof(seq, size, await read_tiles(reader, inclusion_tiles(seq, size))))
