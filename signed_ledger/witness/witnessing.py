"""What a witness answers to a checkpoint: the checks of C2SP tlog-witness in its order, on disk before it is told."""

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from signed_ledger.checkpoints import cosign, is_signed_by, read_vkey, vkey_of
from signed_ledger.encoding import (
    COSIGNATURE,
    COSIGNED_AT_MAX,
    AddCheckpoint,
    Note,
    NoteSignature,
    SignedCheckpoint,
    cosigned_text,
    decode_add_checkpoint,
    decode_checkpoint,
    encode_note,
    encode_signature,
)
from signed_ledger.errors import Invalid
from signed_ledger.merkle import EMPTY_ROOT, verify_consistency
from signed_ledger.signing import MESSAGE_BYTES_MAX, Signer, note_key_id
from signed_ledger.witness.state import Evidence, FollowedLog, State

log = structlog.get_logger("signed_ledger.witness")

TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"
RETRY_SECONDS_MAX: Final = 3_600


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller is told."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: dict[str, str] = field(default_factory=dict)


class Witness:
    """One witness: its name, key and state. `clock` gives seconds since 1970 UTC. For one thread at a time."""

    def __init__(self, state: State, signer: Signer, clock: Callable[[], int]) -> None:
        """Raises `Invalid` where the state is of another key."""
        identity = state.identity()
        if vkey_of(identity.name, signer.public_key, COSIGNATURE) != identity.vkey:
            raise Invalid("--key", f"is not the key of the witness {identity.name}, whose database this is")
        self.name = identity.name
        self._state = state
        self._signer = signer
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign a checkpoint that continues the one before; when 200 is given, that is on disk.

        What is raised is SQLite's: then nothing was cosigned that anyone may see.
        """
        try:
            request = decode_add_checkpoint(body)
            signed = decode_checkpoint(request.checkpoint, may_extend=True)
        except Invalid as error:
            return _refusal(400, str(error))
        with self._state.transaction():
            followed = self._state.find(signed.checkpoint.origin)
            if followed is None:
                return _refusal(404, f"{signed.checkpoint.origin} is not a log that this witness follows")
            try:
                trusted = _verified(signed, followed)
            except Invalid as error:
                return _refusal(403, str(error))
            return self._judge(request, signed._replace(signatures=trusted), followed)

    def checkpoint(self, origin_hash: str) -> bytes | None:
        """The newest checkpoint that was cosigned, of the log whose origin has this SHA-256 in hex."""
        for origin in self._state.origins():
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                followed = self._state.find(origin)
                return None if followed is None else followed.note
        return None

    def is_well(self) -> bool:
        """Whether it could sign now: its state can be read, and its clock has not gone back."""
        try:
            return self._clock() >= self._state.identity().signed_at
        except sqlite3.Error:
            return False

    def _judge(self, request: AddCheckpoint, signed: SignedCheckpoint, followed: FollowedLog) -> Answer:
        new = signed.checkpoint
        if len(cosigned_text(COSIGNED_AT_MAX, signed.text)) > MESSAGE_BYTES_MAX:  # a key in hardware could not sign it
            return _refusal(400, f"checkpoint: its text is too long to be signed in {MESSAGE_BYTES_MAX} bytes")
        if request.old > new.size:
            return _refusal(400, f"old: {request.old} is larger than the checkpoint's size, {new.size}")
        if new.size == followed.size and new.root != followed.root:  # two histories, whatever was asked along with it
            self._keep(signed, followed, f"another root for the same {new.size} entries", is_proof=True)
        if request.old != followed.size:
            return Answer(409, b"%d\n" % followed.size, SIZE)
        try:
            if new.size == 0 and new.root != EMPTY_ROOT:
                raise Invalid("root", "is not that of the empty tree")
            verify_consistency(followed.size, followed.root, new.size, new.root, request.hashes)
        except Invalid as error:
            if new.size > followed.size:
                self._keep(signed, followed, str(error), is_proof=False)
            return _refusal(422, str(error))
        return self._cosign(signed, followed)

    def _cosign(self, signed: SignedCheckpoint, followed: FollowedLog) -> Answer:
        now, signed_at = self._clock(), self._state.identity().signed_at
        if now < signed_at:
            log.error("clock_went_back", seconds=signed_at - now, origin=followed.origin)
            wait = {"Retry-After": str(min(signed_at - now, RETRY_SECONDS_MAX))}
            detail = "the witness's clock is behind the time at which it last signed"
            return Answer(503, f"{detail}\n".encode(), headers=wait)
        line = cosign(signed, self.name, self._signer, now)
        note = encode_note(Note(signed.text.decode(), (*signed.signatures, line)))
        new = signed.checkpoint
        swapped = self._state.advance(followed, new.size, new.root, note, now)
        assert swapped, "the log's row changed inside of a transaction"
        return Answer(200, encode_signature(line).encode())

    def _keep(self, signed: SignedCheckpoint, followed: FollowedLog, reason: str, *, is_proof: bool) -> None:
        note = encode_note(Note(signed.text.decode(), signed.signatures))
        seen = Evidence(followed.origin, is_proof, self._clock(), reason, note, followed.note)
        if self._state.keep(seen):
            event = "split_view" if is_proof else "not_consistent"
            log.error(event, origin=followed.origin, size=signed.checkpoint.size, cosigned=followed.size, reason=reason)


def _verified(signed: SignedCheckpoint, followed: FollowedLog) -> tuple[NoteSignature, ...]:
    """The signature lines of the log's keys; raises `Invalid` where there is none, or one does not verify."""
    keys = [key for key in map(read_vkey, followed.vkeys) if is_signed_by(signed, key)]
    ids = {(key.name, note_key_id(key.name, key.public_key, key.algorithm)) for key in keys}
    if not ids:
        raise Invalid("checkpoint", f"is not signed by a key that is trusted for {followed.origin}")
    return tuple(line for line in signed.signatures if (line.name, line.key_id) in ids)


def _refusal(status: int, detail: str) -> Answer:
    return Answer(status, f"{detail}\n".encode())
