"""Approvals: a signed note over what a body says, with a line of each key that stands for it."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from signed_ledger.encoding import (
    VERSION,
    Note,
    NoteSignature,
    approval_digest,
    decode_note,
    encode_base64,
    encode_note,
)
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.records import Genesis, KeyChange, RootChange
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import Signer, note_key_id, verify

Approved: TypeAlias = Genesis | KeyChange | RootChange


class ApprovingKey(NamedTuple):
    """A key under the name by which it approves: `<origin>/root`, `<origin>/entry`, `<origin>/scheme/<name>`."""

    name: str
    public_key: bytes


def approving_name(origin: str, role: str, whose: str) -> str:
    """The name under which a key of this role approves."""
    return f"{origin}/{role}" if role in SERVICE_ROLES else f"{origin}/{role}/{whose}"


def approval_text(body: Approved, origin: str) -> str:
    """What the approving keys sign: docs/FORMAT.md, Approvals."""
    version = 0 if isinstance(body, Genesis) else body.version
    return f"{origin}/key\n{VERSION} approval\n{version}\n{encode_base64(approval_digest(body))}\n"


def approve(body: Approved, origin: str, signers: Iterable[tuple[str, Signer]]) -> str:
    """Give the approvals note over `body`, signed by each (name, signer), after the lines that it has already."""
    text = approval_text(body, origin)
    lines = decode_note(body.approvals.encode(), "approvals").signatures if body.approvals else ()
    there = {(line.name, line.key_id) for line in lines}
    more = [
        NoteSignature(name, note_key_id(name, signer.public_key), signer.sign(text.encode()))
        for name, signer in signers
        if not lines or (name, note_key_id(name, signer.public_key)) not in there
    ]
    return encode_note(Note(text, (*lines, *more))).decode()


def who_signed(
    body: Approved, origin: str, expected: Iterable[ApprovingKey], *, passing_over: str | None = None
) -> set[ApprovingKey]:
    """Those of `expected` that signed; any other line, twice the same, or one that does not verify is refused.

    Lines under the name `passing_over` are left to somebody else to judge.
    """
    try:
        note = decode_note(body.approvals.encode(), "approvals")
    except Invalid as error:
        raise KeyChangeRefused(f"the approvals are not a signed note: {error.detail}", field="approvals") from None
    if note.text != approval_text(body, origin):
        raise KeyChangeRefused("the approvals are over something else", field="approvals")
    by_line = {(key.name, note_key_id(key.name, key.public_key)): key for key in expected}
    approved: set[ApprovingKey] = set()
    for line in note.signatures:
        if line.name == passing_over:
            continue
        key = by_line.get((line.name, line.key_id))
        if key is None or key in approved or not verify(key.public_key, note.text.encode(), line.signature):
            raise KeyChangeRefused(f"the approval by {line.name} is not one that counts here", field="approvals")
        approved.add(key)
    return approved
