"""Checkpoints as the ledger keeps them, verified before they are told again."""

from dataclasses import dataclass
from typing import Final

from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.encoding import SignedCheckpoint, cosigner_name, decode_checkpoint, decode_signature_lines
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.records import Checkpoint
from signed_ledger.store import KeptCheckpoint, Reader

SIZE_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is on disk and may be told: the note, and the signature lines of witnesses by key."""

    checkpoint: Checkpoint
    note: bytes
    cosignatures: dict[str, str]

    @property
    def size(self) -> int:
        return self.checkpoint.size

    @property
    def reach(self) -> tuple[int, int]:
        """What is told later has more of it: entries, then cosignatures."""
        return self.size, len(self.cosignatures)

    @property
    def cosigned(self) -> bytes:
        """The note with all its signature lines."""
        return self.note + "".join(line for _, line in sorted(self.cosignatures.items())).encode()

    @property
    def signed(self) -> SignedCheckpoint:
        """The same, decoded."""
        return decode_checkpoint(self.cosigned)


async def read_newest(reader: Reader, size_min: int = 1) -> KeptCheckpoint | None:
    """The newest checkpoint kept, not yet verified."""
    return await reader.checkpoint(size_min, SIZE_MAX)


def verified_checkpoint(kept: KeptCheckpoint, keyring: Keyring) -> Published:
    """Raises `Invalid` unless it is the ledger's, under the checkpoint key of its size, and stands in its place.

    Whether cosignatures verify is for their reader to find out.
    """
    try:
        key = keyring.checkpoint_key_at(kept.size)
        checkpoint = open_checkpoint(kept.note, origin=keyring.origin, public_key=key).checkpoint
    except Invalid as error:
        raise Invalid("checkpoints", f"what is kept for {kept.size} entries is not one: {error}") from error
    if checkpoint.size != kept.size:
        raise Invalid("checkpoints", f"what is kept for {kept.size} entries is of {checkpoint.size}")
    lines = {key: line for key, line in kept.cosignatures.items() if _is_line_of(key, line)}
    return Published(checkpoint, kept.note, lines)


def _is_line_of(key: str, line: object) -> bool:
    """Whether it is one signature line, by the key under which it is kept: another would spoil the whole note."""
    try:
        lines = decode_signature_lines(line.encode()) if isinstance(line, str) else ()
    except (Invalid, UnicodeEncodeError):
        return False
    return len(lines) == 1 and cosigner_name(lines[0]) == key
