"""The key registry as the ledger's own key entries make it: which key was valid at which seq, and who approved it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

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
from signed_ledger.records import Genesis, KeyChange, RegisteredKey
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import Signer, check_public_key, kid_of, note_key_id, verify


class ApprovingKey(NamedTuple):
    """A key under the name by which it approves: `<origin>/root`, `<origin>/entry`, `<origin>/scheme/<name>`."""

    name: str
    public_key: bytes


class Keyring:
    """The registry at the ledger's head. Changed by `apply` alone, in order of seq."""

    def __init__(self, genesis: Genesis) -> None:
        """Start from entry 0; raise `KeyChangeRefused` unless root, entry and checkpoint keys approved it."""
        self.origin = genesis.origin
        self.root_keys = genesis.root_keys
        self.threshold = genesis.threshold
        self.version = 0
        self._keys: dict[str, RegisteredKey] = {}
        self._entry_keys: list[tuple[int, bytes]] = []  # (valid from seq, public key), ascending
        for key in genesis.root_keys:
            _fit_to_register(key)
        first = {"entry": genesis.entry_key, "checkpoint": genesis.checkpoint_key}
        must = [ApprovingKey(f"{self.origin}/{role}", key) for role, key in first.items()]
        self._check_approvals(genesis, must, may=[])
        for role, key in first.items():
            self._register(role, self.origin, _fit_to_register(key), valid_from=0)

    def __iter__(self) -> Iterator[RegisteredKey]:
        return iter(self._keys.values())

    def find(self, kid: str) -> RegisteredKey | None:
        """The key of this kid, valid or not, or `None` where nobody registered it."""
        return self._keys.get(kid)

    def entry_key_at(self, seq: int) -> bytes:
        """The one public key under which the entry at `seq` must be signed."""
        return self._entry_keys[bisect_right(self._entry_keys, seq, key=lambda item: item[0]) - 1][1]

    def checkpoint_key_at(self, size: int) -> bytes:
        """The one public key under which a checkpoint of the first `size` entries is signed, whenever that is done."""
        keys = (key for key in self._keys.values() if key.role == "checkpoint" and key.is_valid_at(size))
        return next(keys).public_key

    def current(self, role: str) -> RegisteredKey:
        """The `entry` or `checkpoint` key in use now."""
        return next(key for key in self._keys.values() if key.role == role and key.valid_to is None)

    def check(self, change: KeyChange) -> None:
        """Raise `KeyChangeRefused`, saying why, unless `change` may stand as the next key entry."""
        if change.version != self.version + 1:
            raise KeyChangeRefused(f"version {change.version} where {self.version + 1} is next", field="version")
        if change.kid != kid_of(change.public_key):
            raise KeyChangeRefused("the kid is not the public key's", field="kid")
        if change.op == "add":
            self._check_add(change)
        else:
            self._check_retire(change)

    def _check_add(self, change: KeyChange) -> None:
        _fit_to_register(change.public_key)
        if change.kid in self._keys or change.public_key in self.root_keys:
            raise KeyChangeRefused(
                "this key is registered already; a key has one role and is never used again", field="kid"
            )
        new = ApprovingKey(approving_name(self.origin, change.role, change.whose), change.public_key)
        if change.role not in SERVICE_ROLES:
            # Of a party the Issuer has the public key only: possession counts where it was shown (docs/FORMAT.md).
            self._check_approvals(change, must=[], may=[new])
            return
        if change.whose != self.origin:
            detail = f"the {change.role} key is the ledger's own: whose must be its origin"
            raise KeyChangeRefused(detail, field="whose")
        old = ApprovingKey(new.name, self.current(change.role).public_key)
        self._check_approvals(change, must=[new, old], may=[])

    def _check_retire(self, change: KeyChange) -> None:
        key = self._keys.get(change.kid)
        if key is None or (key.role, key.whose) != (change.role, change.whose):
            raise KeyChangeRefused("no such key of this role and name is registered", field="kid")
        if key.role in SERVICE_ROLES:
            raise KeyChangeRefused(f"the {key.role} key ends when another replaces it: rotate it", field="role")
        if key.valid_to is not None:
            raise KeyChangeRefused(f"this key is not valid any more since seq {key.valid_to}", field="kid")
        self._check_approvals(change, must=[], may=[])

    def apply(self, change: KeyChange, seq: int) -> None:
        """Take a checked change in; it stands at `seq` and takes effect at the next entry."""
        effect = seq + 1
        if change.op == "retire":
            self._end(change.kid, effect)
        else:
            if change.role in SERVICE_ROLES:
                self._end(self.current(change.role).kid, effect)
            self._register(change.role, change.whose, change.public_key, effect)
        self.version = change.version

    def _register(self, role: str, whose: str, public_key: bytes, valid_from: int) -> None:
        kid = kid_of(public_key)
        self._keys[kid] = RegisteredKey(kid, role, whose, public_key, valid_from)
        if role == "entry":
            self._entry_keys.append((valid_from, public_key))

    def _end(self, kid: str, effect: int) -> None:
        self._keys[kid] = replace(self._keys[kid], valid_to=effect)

    def _check_approvals(self, body: Genesis | KeyChange, must: list[ApprovingKey], may: list[ApprovingKey]) -> None:
        roots = [ApprovingKey(f"{self.origin}/root", key) for key in self.root_keys]
        approved = _approvers(body, self.origin, roots + must + may)
        given = sum(key in approved for key in roots)
        if given < self.threshold:
            raise KeyChangeRefused(f"{given} of {self.threshold} root keys approved it", field="approvals")
        for key in must:
            if key not in approved:
                raise KeyChangeRefused(f"{key.name} did not approve it", field="approvals")


def approving_name(origin: str, role: str, whose: str) -> str:
    """The name under which a key of this role approves."""
    return f"{origin}/{role}" if role in SERVICE_ROLES else f"{origin}/{role}/{whose}"


def approval_text(body: Genesis | KeyChange, origin: str) -> str:
    """What the approving keys sign: docs/FORMAT.md, Approvals."""
    version = body.version if isinstance(body, KeyChange) else 0
    return f"{origin}/key\n{VERSION} approval\n{version}\n{encode_base64(approval_digest(body))}\n"


def approve(body: Genesis | KeyChange, origin: str, signers: Iterable[tuple[str, Signer]]) -> str:
    """Give the approvals note over `body`, signed by each (name, signer)."""
    text = approval_text(body, origin)
    lines = tuple(
        NoteSignature(name, note_key_id(name, signer.public_key), signer.sign(text.encode()))
        for name, signer in signers
    )
    return encode_note(Note(text, lines)).decode()


def _approvers(body: Genesis | KeyChange, origin: str, expected: list[ApprovingKey]) -> set[ApprovingKey]:
    """Those of `expected` that signed; any other line, twice the same, or one that does not verify is refused."""
    try:
        note = decode_note(body.approvals.encode(), "approvals")
    except Invalid as error:
        raise KeyChangeRefused(f"the approvals are not a signed note: {error.detail}", field="approvals") from None
    if note.text != approval_text(body, origin):
        raise KeyChangeRefused("the approvals are over something else", field="approvals")
    by_line = {(key.name, note_key_id(key.name, key.public_key)): key for key in expected}
    approved: set[ApprovingKey] = set()
    for line in note.signatures:
        key = by_line.get((line.name, line.key_id))
        if key is None or key in approved or not verify(key.public_key, note.text.encode(), line.signature):
            raise KeyChangeRefused(f"the approval by {line.name} is not one that counts here", field="approvals")
        approved.add(key)
    return approved


def _fit_to_register(public_key: bytes) -> bytes:
    try:
        return check_public_key(public_key)
    except Invalid as error:
        raise KeyChangeRefused(f"the public key {error.detail}", field="public_key") from None
