"""What has made a registry: two that have the same history say the same of every key."""

import hashlib
from typing import TypeAlias

from signed_ledger.encoding import encode_json, encode_unsalted
from signed_ledger.records import Genesis, RegistryChange

History: TypeAlias = tuple[bytes, ...]
"""For each entry that changed the registry, a digest of it and of all before it."""


def extended(history: History, body: Genesis | RegistryChange, seq: int) -> History:
    """The history with one more entry, which stands at `seq`."""
    before = history[-1] if history else b""
    digest = hashlib.sha256(before + seq.to_bytes(8, "big") + encode_json(encode_unsalted(body))).digest()
    return (*history, digest)


def continues(newer: History, older: History) -> bool:
    """Whether the one is the other, and what may have come since."""
    return newer[: len(older)] == older
