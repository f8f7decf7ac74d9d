"""Proofs are verified by hashing up to the root (RFC 9162 sections 2.1.3.2 and 2.1.4.2, the algorithms of RFC 6962)."""

from collections.abc import Sequence

from signed_ledger.errors import Invalid
from signed_ledger.merkle.hashing import node_hash


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `Invalid` unless `proof` shows that `leaf` (a leaf hash) is number `index` of the `size` under `root`."""
    if not 0 <= index < size:
        raise Invalid("index", f"{index} is not in a tree of {size} entries")
    at, last, found = index, size - 1, leaf
    for value in proof:
        if not last:
            raise Invalid("proof", "has more hashes than the tree has levels")
        if at & 1 or at == last:
            found = node_hash(value, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, value)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise Invalid("proof", "does not lead from the entry to the root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `Invalid` unless `proof` shows that the tree of `new` leaves begins with that of `old`.

    Every tree begins with the empty one, and with itself: then the proof must be empty.
    """
    if not 0 <= old <= new:
        raise Invalid("size", f"a tree of {new} entries can not have grown from one of {old}")
    if old in (0, new):
        if proof:
            raise Invalid("proof", "must be empty here")
        if old == new and old_root != new_root:
            raise Invalid("root", f"is another one for the same {new} entries")
        return
    _verify_grown(old, old_root, new, new_root, list(proof))


def _verify_grown(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> None:
    if not old & (old - 1):  # a full subtree of the new tree: the proof does not say its root again
        proof = [old_root, *proof]
    if not proof:
        raise Invalid("proof", "is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = proof[0]
    for value in proof[1:]:
        if not last:
            raise Invalid("proof", "has more hashes than the tree has levels")
        if at & 1 or at == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, value)
        at, last = at >> 1, last >> 1
    if first != old_root:
        raise Invalid("proof", f"does not lead to the root of the {old} entries before")
    if last or second != new_root:
        raise Invalid("proof", f"does not lead to the root of the {new} entries now")
