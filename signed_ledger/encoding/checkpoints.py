"""Checkpoints, cosignatures and verifier keys as C2SP has them (tlog-checkpoint, tlog-cosignature, signed-note)."""

import re
from typing import Final, NamedTuple

from signed_ledger.encoding.notes import NoteSignature, decode_note
from signed_ledger.encoding.text import decode_base64, encode_base64
from signed_ledger.errors import Invalid
from signed_ledger.records import Checkpoint

CHECKPOINT_BYTES_MAX: Final = 65_536
ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
"""The algorithms of a signature line that are known here: a log's own, and a witness's with its time."""

_SHAPE: Final = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/=]{44})\n(?P<more>(?:[^\n]+\n)*)"
)
_VKEY: Final = re.compile(r"(?P<name>[^\s+\ud800-\udfff]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+={0,2})")
_TIME_BYTES: Final = 8
COSIGNED_AT_MAX: Final = 2**63 - 1
"""In seconds since 1970 UTC (C2SP tlog-cosignature)."""


class SignedCheckpoint(NamedTuple):
    """A decoded checkpoint: what it says, the bytes that were signed, and every signature line."""

    checkpoint: Checkpoint
    text: bytes
    signatures: tuple[NoteSignature, ...]


class VerifierKey(NamedTuple):
    """Whose signature lines to look for: the key's name, its algorithm, and its 32 bytes."""

    name: str
    algorithm: int
    public_key: bytes


class Cosignature(NamedTuple):
    """What a witness's signature line holds: when it signed, in seconds since 1970 UTC, and the Ed25519 signature."""

    time: int
    signature: bytes


def encode_checkpoint_text(checkpoint: Checkpoint) -> bytes:
    """Write the bytes that the log signs."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n".encode()


def decode_checkpoint(data: bytes, *, may_extend: bool = False) -> SignedCheckpoint:
    """Read a signed checkpoint; raise `Invalid` for what is malformed. Checks no signature.

    Ours has no extension lines, which no monitor could check; a log that a witness follows may have some.
    """
    if len(data) > CHECKPOINT_BYTES_MAX:
        raise Invalid("checkpoint", f"is longer than {CHECKPOINT_BYTES_MAX} bytes")
    note = decode_note(data, "checkpoint")
    shape = _SHAPE.fullmatch(note.text)
    if shape is None or (shape["more"] and not may_extend):
        raise Invalid("checkpoint", "does not have the lines of a checkpoint")
    checkpoint = Checkpoint(shape["origin"], int(shape["size"]), decode_base64(shape["root"], "root", 32))
    return SignedCheckpoint(checkpoint, note.text.encode(), note.signatures)


def cosigned_text(time: int, text: bytes) -> bytes:
    """The bytes that a witness signs at `time`, in seconds since 1970 UTC, over the text of a checkpoint."""
    return b"cosignature/v1\ntime %d\n%b" % (time, text)


def encode_cosignature(cosignature: Cosignature) -> bytes:
    """What follows the key id in a witness's signature line."""
    return cosignature.time.to_bytes(_TIME_BYTES) + cosignature.signature


def decode_cosignature(data: bytes) -> Cosignature:
    if len(data) != _TIME_BYTES + 64:
        raise Invalid("cosignature", "must be 72 bytes: a time, and an Ed25519 signature")
    time = int.from_bytes(data[:_TIME_BYTES])
    if time > COSIGNED_AT_MAX:
        raise Invalid("cosignature", "is of a time that no cosignature may have")
    return Cosignature(time, data[_TIME_BYTES:])


def encode_vkey(key: VerifierKey, key_id: bytes) -> str:
    """Write a verifier key: `<name>+<key id>+<algorithm and public key>`."""
    return f"{key.name}+{key_id.hex()}+{encode_base64(bytes([key.algorithm]) + key.public_key)}"


def decode_vkey(text: str) -> tuple[VerifierKey, bytes]:
    """Read a verifier key of Ed25519, and the key id that it claims; raise `Invalid` for any other."""
    match = _VKEY.fullmatch(text)
    if match is None:
        raise Invalid("vkey", "must be <name>+<key id>+<base64>")
    data = decode_base64(match["key"], "vkey")
    if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
        raise Invalid("vkey", "is not of Ed25519: algorithm 0x01 or 0x04 and 32 bytes")
    return VerifierKey(match["name"], data[0], data[1:]), bytes.fromhex(match["id"])
