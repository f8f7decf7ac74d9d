"""RFC 6962 section 2.1: the hash of a leaf, of a node, and of a tree. Every hash is 32 bytes of SHA-256."""

import hashlib
from collections.abc import Sequence
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The hash of the tree that has no leaf."""


def leaf_hash(note: bytes) -> bytes:
    """SHA-256(0x00 || entry): `note` is the whole entry, its signature line included."""
    return hashlib.sha256(b"\x00" + note).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(hashes: Sequence[bytes]) -> bytes:
    """The root over `hashes`, which are those of leaves, or of full subtrees that are all of one size."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:  # an odd one at the end goes up as it is: the same as splitting at the largest power of two
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]
