"""Proofs of inclusion (C2SP tlog-proof), and what a log sends to a witness (C2SP tlog-witness, add-checkpoint)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from signed_ledger.encoding.text import decode_base64, encode_base64
from signed_ledger.errors import Invalid

PROOF_BYTES_MAX: Final = 131_072
PROOF_HASHES_MAX: Final = 63
"""No tree is higher (C2SP tlog-witness)."""

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_HASH: Final = r"(?:[A-Za-z0-9+/]{43}=\n)"
_PROOF: Final = re.compile(
    rf"{re.escape(_HEADER)}\n(?:extra (?P<extra>[A-Za-z0-9+/]+={{0,2}})\n)?"
    rf"index (?P<index>0|[1-9][0-9]{{0,18}})\n(?P<hashes>{_HASH}*)\n(?P<checkpoint>.*)",
    re.DOTALL,
)
_ADDING: Final = re.compile(rf"old (?P<old>0|[1-9][0-9]{{0,18}})\n(?P<hashes>{_HASH}*)\n(?P<checkpoint>.*)", re.DOTALL)


class InclusionProof(NamedTuple):
    """Entry `seq` is in the tree of `checkpoint`, a signed note, by `hashes` of 32 bytes from the leaf up."""

    seq: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


class AddCheckpoint(NamedTuple):
    """The tree of `checkpoint`, a signed note, begins with that of `old` entries, by `hashes`."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def encode_proof(proof: InclusionProof) -> bytes:
    return f"{_HEADER}\nindex {proof.seq}\n{_lines(proof.hashes)}\n".encode() + proof.checkpoint


def decode_proof(data: bytes) -> InclusionProof:
    """Read a proof; raise `Invalid` for what is malformed. Extra data, which nothing vouches for, is passed over."""
    match = _PROOF.fullmatch(_text(data, "proof"))
    if match is None:
        raise Invalid("proof", f"does not have the lines of a {_HEADER}")
    return InclusionProof(int(match["index"]), _hashes(match["hashes"], "proof"), match["checkpoint"].encode())


def encode_bundle(notes: Sequence[bytes]) -> bytes:
    """Write entries one after the other, each after its length in two bytes (C2SP tlog-tiles, Log entries)."""
    return b"".join(len(note).to_bytes(2) + note for note in notes)


def decode_bundle(data: bytes) -> list[bytes]:
    """Read an entry bundle; raise `Invalid` where it ends in the middle of an entry."""
    notes, start = [], 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2])
        if end > len(data) or start + 2 > len(data):
            raise Invalid("bundle", "ends in the middle of an entry")
        notes.append(data[start + 2 : end])
        start = end
    return notes


def encode_add_checkpoint(request: AddCheckpoint) -> bytes:
    return f"old {request.old}\n{_lines(request.hashes)}\n".encode() + request.checkpoint


def decode_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Read what a log sends to a witness; raise `Invalid` for what is malformed."""
    match = _ADDING.fullmatch(_text(data, "request"))
    if match is None:
        raise Invalid("request", "does not have the lines of an add-checkpoint")
    return AddCheckpoint(int(match["old"]), _hashes(match["hashes"], "request"), match["checkpoint"].encode())


def _text(data: bytes, field: str) -> str:
    if len(data) > PROOF_BYTES_MAX:
        raise Invalid(field, f"is longer than {PROOF_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(field, "is not UTF-8") from None


def _lines(hashes: tuple[bytes, ...]) -> str:
    return "".join(f"{encode_base64(value)}\n" for value in hashes)


def _hashes(lines: str, field: str) -> tuple[bytes, ...]:
    hashes = tuple(decode_base64(line, field, 32) for line in lines.splitlines())
    if len(hashes) > PROOF_HASHES_MAX:
        raise Invalid(field, f"has more than {PROOF_HASHES_MAX} hashes")
    return hashes
