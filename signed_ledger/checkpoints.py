"""Checkpoints are signed by the log and cosigned by witnesses: made and verified here, the key an argument.

C2SP tlog-checkpoint and tlog-cosignature; https://c2sp.org
"""

from collections.abc import Iterable

from signed_ledger.encoding import (
    COSIGNATURE,
    ED25519,
    Cosignature,
    Note,
    NoteSignature,
    SignedCheckpoint,
    VerifierKey,
    cosigned_text,
    decode_checkpoint,
    decode_cosignature,
    decode_vkey,
    encode_checkpoint_text,
    encode_cosignature,
    encode_note,
    encode_vkey,
)
from signed_ledger.errors import Invalid
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer, check_public_key, note_key_id, verify


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Give the signed note. The same checkpoint and key always give the same bytes."""
    text = encode_checkpoint_text(checkpoint)
    key_id = note_key_id(checkpoint.origin, signer.public_key)
    line = NoteSignature(checkpoint.origin, key_id, signer.sign(text))
    return encode_note(Note(text.decode(), (line,)))


def open_checkpoint(note: bytes, *, origin: str, public_key: bytes) -> SignedCheckpoint:
    """Read a checkpoint of the ledger `origin`, signed by `public_key`; else raise `Invalid`.

    Lines of other keys are passed over, as C2SP signed-note has it; one that claims this key must verify.
    """
    signed, signature = open_checkpoint_as(note, origin=origin, public_key=public_key)
    if not verify(public_key, signed.text, signature):
        raise Invalid("checkpoint", "has a signature of the ledger's checkpoint key that does not verify")
    return signed


def open_checkpoint_as(note: bytes, *, origin: str, public_key: bytes) -> tuple[SignedCheckpoint, bytes]:
    """The same, but for the Ed25519 signature, which is given to be verified elsewhere."""
    signed = decode_checkpoint(note)
    if signed.checkpoint.origin != origin:
        raise Invalid("checkpoint", f"is of another ledger, {signed.checkpoint.origin}")
    lines = list(_lines_of(signed, VerifierKey(origin, ED25519, public_key)))
    if len(lines) != 1:
        raise Invalid("checkpoint", "is not signed, once, by the checkpoint key valid here")
    return signed, lines[0].signature


def is_signed_by(signed: SignedCheckpoint, key: VerifierKey) -> bool:
    """Whether the log's `key` signed it. Raises `Invalid` where a line claims this key and does not verify."""
    lines = list(_lines_of(signed, key))
    for line in lines:
        if not verify(key.public_key, signed.text, line.signature):
            raise Invalid("checkpoint", f"has a signature of {key.name} that does not verify")
    return bool(lines)


def cosign(signed: SignedCheckpoint, name: str, signer: Signer, now: int) -> NoteSignature:
    """A witness's signature line at `now`, in seconds since 1970 UTC, over a checkpoint that it found consistent."""
    cosignature = Cosignature(now, signer.sign(cosigned_text(now, signed.text)))
    key_id = note_key_id(name, signer.public_key, COSIGNATURE)
    return NoteSignature(name, key_id, encode_cosignature(cosignature))


def cosigned_at(signed: SignedCheckpoint, witness: VerifierKey) -> int | None:
    """When `witness` cosigned it, in seconds since 1970 UTC; the latest time of several, `None` where it did not.

    A line that claims this key and does not verify counts as none: anyone may have added it.
    """
    times = [time for line in _lines_of(signed, witness) if (time := _time_of(signed, line, witness)) is not None]
    return max(times, default=None)


def _time_of(signed: SignedCheckpoint, line: NoteSignature, witness: VerifierKey) -> int | None:
    try:
        cosignature = decode_cosignature(line.signature)
    except Invalid:
        return None
    message = cosigned_text(cosignature.time, signed.text)
    return cosignature.time if verify(witness.public_key, message, cosignature.signature) else None


def _lines_of(signed: SignedCheckpoint, key: VerifierKey) -> Iterable[NoteSignature]:
    key_id = note_key_id(key.name, key.public_key, key.algorithm)
    return (line for line in signed.signatures if (line.name, line.key_id) == (key.name, key_id))


def vkey_of(name: str, public_key: bytes, algorithm: int = ED25519) -> str:
    """The verifier key, as other tools take it."""
    return encode_vkey(VerifierKey(name, algorithm, public_key), note_key_id(name, public_key, algorithm))


def read_vkey(text: str) -> VerifierKey:
    """Read a verifier key; raise `Invalid` for one that is malformed, of another algorithm or not fit to be trusted."""
    key, key_id = decode_vkey(text)
    check_public_key(key.public_key)
    if note_key_id(key.name, key.public_key, key.algorithm) != key_id:
        raise Invalid("vkey", "has a key id that is not its own")
    return key
