"""An entry is sealed by signing it and opened by verifying it; the key that is valid there is an argument."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from signed_ledger.encoding import (
    PART_BYTES_MAX,
    SALT_BYTES,
    SignedEntry,
    decode_entry,
    encode_body,
    encode_entry_note,
    encode_entry_text,
    encode_evidence,
    encode_state,
    entry_key_name,
)
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import Body, Entry, EntryRef, Evidence, PartDigest, Parts, State
from signed_ledger.signing import Signer, note_key_id, verify


class Sealed(NamedTuple):
    """An entry as it goes to disk. `ref` names it for what builds on it; `time` is microseconds."""

    ref: EntryRef
    time: int
    note: bytes
    parts: Parts


class Place(NamedTuple):
    """Where in a ledger's chain an entry goes."""

    origin: str
    seq: int
    prev: bytes
    time: int


def seal(
    place: Place,
    body: Body,
    *,
    state: State | None,
    evidence: Evidence | None,
    signer: Signer,
    random_bytes: Callable[[int], bytes],
) -> Sealed:
    """Encode the parts, each with a salt of its own, and sign the entry that names their digests."""
    parts = Parts(
        encode_body(body, random_bytes(SALT_BYTES)),
        None if state is None else encode_state(state, random_bytes(SALT_BYTES)),
        None if evidence is None else encode_evidence(evidence, random_bytes(SALT_BYTES)),
    )
    entry = Entry(place.origin, body.KIND, place.seq, place.prev, place.time, *map(_digest, parts))  # type: ignore[arg-type]
    text = encode_entry_text(entry)
    key_id = note_key_id(entry_key_name(place.origin), signer.public_key)
    note = encode_entry_note(text, place.origin, key_id, signer.sign(text))
    return Sealed(EntryRef(place.seq, leaf_hash(note)), place.time, note, parts)


def _digest(part: bytes | None) -> PartDigest | None:
    if part is None:
        return None
    assert len(part) <= PART_BYTES_MAX
    return PartDigest(hashlib.sha256(part).digest(), len(part))


def open_entry(note: bytes, *, origin: str, seq: int, public_key: bytes) -> Entry:
    """Read the entry that should stand at `seq` of ledger `origin`, signed by `public_key`; else raise `Invalid`."""
    signed = decode_entry(note)
    if signed.entry.origin != origin:
        raise Invalid("entry", f"is of another ledger, {signed.entry.origin}")
    if signed.entry.seq != seq:
        raise Invalid("seq", f"says {signed.entry.seq} where {seq} should stand")
    check_key_id(signed, public_key)
    if not verify(public_key, signed.text, signed.signature):
        raise Invalid("signature", "does not verify under the entry key valid here")
    return signed.entry


def check_key_id(signed: SignedEntry, public_key: bytes) -> None:
    """Raise `Invalid` where an entry names another key than the one valid at its seq."""
    if signed.key_id != note_key_id(entry_key_name(signed.entry.origin), public_key):
        raise Invalid("signature", "is not by the one entry key valid here")


def open_part(name: str, digest: PartDigest | None, data: bytes | None) -> bytes:
    """Give a stored part back once it is what its entry names; else raise `Invalid` naming the part."""
    if digest is None:
        raise Invalid(name, "is not a part of this entry")
    if data is None:
        raise Invalid(name, "is missing")
    if len(data) != digest.length or hashlib.sha256(data).digest() != digest.sha256:
        raise Invalid(name, "does not have the digest that its entry names")
    return data
