"""A key entry as a receipt shows it: approved by the root alone, so it stays small and leads back to trust.json."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from signed_ledger.encoding import Note, decode_note, encode_note
from signed_ledger.errors import KeyChangeRefused
from signed_ledger.keyring.approvals import ApprovingKey, who_signed
from signed_ledger.keyring.registry import RootSet
from signed_ledger.records import Genesis, KeyChange, RootChange
from signed_ledger.signing import note_key_id

T = TypeVar("T", bound=Genesis | KeyChange | RootChange)


def check_root_approvals(body: Genesis | KeyChange | RootChange, origin: str, sets: Sequence[RootSet]) -> None:
    """Raise `KeyChangeRefused` unless the threshold of each set approved `body`, and nobody else did."""
    name = f"{origin}/root"
    keys = {key for one in sets for key in one.keys}
    approved = {key.public_key for key in who_signed(body, origin, [ApprovingKey(name, key) for key in keys])}
    for one in sets:
        given = len(approved.intersection(one.keys))
        if given < one.threshold:
            raise KeyChangeRefused(f"{given} of {one.threshold} root keys approved it", field="approvals")


def with_root_approvals(body: T, origin: str, sets: Sequence[RootSet]) -> T:
    """The body with as many of the root's approvals as the thresholds of the sets need, and no others."""
    note, name = decode_note(body.approvals.encode(), "approvals"), f"{origin}/root"
    wanted = set()
    for one in sets:
        ids = {note_key_id(name, key) for key in one.keys}
        wanted |= set([line for line in note.signatures if line.name == name and line.key_id in ids][: one.threshold])
    lines = tuple(line for line in note.signatures if line in wanted)
    return replace(body, approvals=encode_note(Note(note.text, lines)).decode())
