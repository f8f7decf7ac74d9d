"""The root's approvals of a key entry, and no others: as a receipt has them, so that it stays small."""

from dataclasses import replace
from typing import TypeVar

from signed_ledger.encoding import KeyBody, Note, decode_note, encode_note
from signed_ledger.errors import Invalid
from signed_ledger.keyring import approval_text
from signed_ledger.signing import note_key_id, verify
from signed_ledger.trust import Trust

T = TypeVar("T", bound=KeyBody)


def check_root_approvals(body: KeyBody, trust: Trust) -> None:
    """Raise `Invalid` unless the threshold of root keys approved `body`; nobody else, and none of them twice."""
    name, text = _root(trust), approval_text(body, trust.origin)
    note = decode_note(body.approvals.encode(), "approvals")
    if note.text != text:
        raise Invalid("approvals", "are over something else")
    waiting = {note_key_id(name, key): key for key in trust.root_keys}
    for line in note.signatures:
        key = waiting.pop(line.key_id, None) if line.name == name else None
        if key is None or not verify(key, text.encode(), line.signature):
            raise Invalid("approvals", f"the one by {line.name} is not one that counts here")
    if len(note.signatures) < trust.threshold:
        raise Invalid("approvals", f"{len(note.signatures)} of {trust.threshold} root keys approved it")


def with_root_approvals(body: T, trust: Trust) -> T:
    """The body with as many of the root's approvals as the threshold needs, and no others."""
    note = decode_note(body.approvals.encode(), "approvals")
    lines = [line for line in note.signatures if line.name == _root(trust)]
    return replace(body, approvals=encode_note(Note(note.text, tuple(lines[: trust.threshold]))).decode())


def _root(trust: Trust) -> str:
    return f"{trust.origin}/root"
