"""The file of `--last-seen`: the checkpoint that an auditor saw last, and what was verified up to it.

Either a bare checkpoint, from whomever, or what a run wrote before: a JSON object. That file is the auditor's own; it
is trusted as the auditor's notes are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from signed_ledger.disk import whole_file
from signed_ledger.encoding import SignedCheckpoint, decode_checkpoint
from signed_ledger.errors import Invalid
from signed_ledger.records import Checkpoint

FILE_BYTES_MAX: Final = 1_048_576
LEDGER: Final = "ledger"
LOG: Final = "log"
"""What was verified: everything that `verify` asks, or what `audit` can ask of the published log."""


class Mark(NamedTuple):
    """What the next run goes on from: the seqs of the key and terms entries so far, and the newest form of entries."""

    verified: str
    keys: tuple[int, ...]
    form: int


@dataclass(frozen=True, slots=True)
class LastSeen:
    """A checkpoint seen before; `mark` where the entries in it were verified then."""

    note: bytes
    signed: SignedCheckpoint
    mark: Mark | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint

    @property
    def size(self) -> int:
        return self.checkpoint.size


def read_last_seen(path: Path) -> LastSeen | None:
    """Read the file; `None` where there is none yet. Raises `Invalid` where it is neither of the two kinds."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(str(path), f"can not be read: {error.strerror}") from None
    try:
        seen = _decode(data)
    except Invalid as error:
        raise Invalid(str(path), f"is no checkpoint, and not written by this command: {error}") from None
    if seen.size == 0:
        raise Invalid(str(path), "is a checkpoint of no entry")
    return seen


def write_last_seen(path: Path, note: bytes, mark: Mark, at: str) -> None:
    """Replace the file, whole or not at all; `at` is when the ledger was verified."""
    members = {
        "checkpoint": note.decode(),
        "verified": mark.verified,
        "at": at,
        "keys": list(mark.keys),
        "form": mark.form,
    }
    with whole_file(path, replace=True, mode=0o644) as file:
        file.write(json.dumps(members, indent=2, ensure_ascii=False).encode() + b"\n")


def _decode(data: bytes) -> LastSeen:
    if len(data) > FILE_BYTES_MAX:
        raise Invalid("file", f"is longer than {FILE_BYTES_MAX} bytes")
    if not data.startswith(b"{"):
        return LastSeen(data, decode_checkpoint(data, may_extend=True))
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        raise Invalid("file", "is not JSON") from None
    note = members.get("checkpoint")
    if not isinstance(note, str):
        raise Invalid("checkpoint", "is missing")
    try:
        encoded = note.encode()
    except UnicodeEncodeError:
        raise Invalid("checkpoint", "is not text") from None
    signed = decode_checkpoint(encoded, may_extend=True)
    return LastSeen(encoded, signed, _mark(members, signed.checkpoint.size))


def _mark(members: dict[str, Any], size: int) -> Mark | None:
    """`None` where the file does not say that anything was verified."""
    verified, keys, form = (members.get(name) for name in ("verified", "keys", "form"))
    if verified not in (LEDGER, LOG):
        return None
    if not isinstance(keys, list) or any(type(seq) is not int for seq in keys):
        raise Invalid("keys", "must be a list of seqs")
    if not keys or keys[0] != 0 or keys != sorted(set(keys)) or keys[-1] >= size:
        raise Invalid("keys", f"must be seqs from 0 on, ascending, below {size}")
    if type(form) is not int or form not in (1, 2):
        raise Invalid("form", "must be 1 or 2")
    return Mark(verified, tuple(keys), form)
