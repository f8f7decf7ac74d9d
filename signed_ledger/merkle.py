"""The hash of a leaf (RFC 6962 section 2.1): what the chain's `prev` names, and what the tree will be built of."""

import hashlib


def leaf_hash(note: bytes) -> bytes:
    """SHA-256(0x00 || entry): `note` is the whole entry, its signature line included. Gives 32 bytes."""
    return hashlib.sha256(b"\x00" + note).digest()
