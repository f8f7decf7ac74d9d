"""The registry itself: what it admits, and what follows from it."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring.approvals import Approved, ApprovingKey, approving_name, who_signed
from signed_ledger.keyring.history import extended
from signed_ledger.keyring.trusting import Revocations, check_attestation
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.records import Attestation, Genesis, History, KeyChange, RegisteredKey, RegistryChange, RootChange
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import check_public_key, kid_of


class RootSet(NamedTuple):
    """`threshold` of `keys` approve from the entry after `seq` on."""

    seq: int
    keys: tuple[bytes, ...]
    threshold: int

    def is_same(self, keys: Iterable[bytes], threshold: int) -> bool:
        return (set(self.keys), self.threshold) == (set(keys), threshold)


class Keyring:
    """The registry at the ledger's head. Changed by `apply` alone, in order of seq."""

    def __init__(self, genesis: Genesis) -> None:
        """Start from entry 0; raise `KeyChangeRefused` unless root, entry and checkpoint keys approved it."""
        self.origin = genesis.origin
        self.version = 0
        self.history = extended((), genesis, 0)
        self.root_sets = [RootSet(0, genesis.root_keys, genesis.threshold)]
        self.next_kids: dict[str, str] = {}  # by role, the key that its key pre-committed to
        self.revocations = Revocations()
        self._keys: dict[str, RegisteredKey] = {}
        self._entry_keys: list[tuple[int, bytes]] = []  # (valid from seq, public key), ascending
        self.committed: dict[str, str] = {}  # every kid ever pre-committed, and its role
        self._root_kids = {kid_of(key) for key in genesis.root_keys}  # of all sets ever
        self._approved = {0}  # the entries that the root vouches for
        for key in genesis.root_keys:
            _fit_to_register(key)
        first = {"entry": genesis.entry_key, "checkpoint": genesis.checkpoint_key}
        must = [ApprovingKey(f"{self.origin}/{role}", key) for role, key in first.items()]
        self._check_approvals(genesis, must, may=[])
        for role, key in first.items():
            self._register(role, self.origin, _fit_to_register(key), valid_from=0)

    def __iter__(self) -> Iterator[RegisteredKey]:
        return iter(self._keys.values())

    @property
    def root_keys(self) -> tuple[bytes, ...]:
        return self.root_sets[-1].keys

    @property
    def threshold(self) -> int:
        return self.root_sets[-1].threshold

    @property
    def awaited(self) -> str | None:
        """The role whose key is revoked, so that the next key entry must replace it."""
        return next((role for role in SERVICE_ROLES if self.current(role).revoked_at is not None), None)

    def find(self, kid: str) -> RegisteredKey | None:
        """The key of this kid, valid or not, or `None` where nobody registered it."""
        return self._keys.get(kid)

    def is_known(self, kid: str) -> bool:
        """Whether a key has, had or shall have a role here: it can not be given another."""
        return kid in self._keys or kid in self.committed or kid in self._root_kids

    def committed_role(self, kid: str) -> str | None:
        """The role for which a key is pre-committed that is not registered yet, and not revoked."""
        return next((role for role, committed in self.next_kids.items() if committed == kid), None)

    def entry_key_at(self, seq: int) -> bytes:
        """The one public key under which the entry at `seq` must be signed."""
        return self._entry_keys[bisect_right(self._entry_keys, seq, key=lambda item: item[0]) - 1][1]

    def checkpoint_key_at(self, size: int) -> bytes:
        """The one public key under which a checkpoint of the first `size` entries is signed, whenever that is done."""
        keys = (key for key in self._keys.values() if key.role == "checkpoint" and key.is_valid_at(size))
        return next(keys).public_key

    def roots_approving(self, seq: int) -> tuple[RootSet, ...]:
        """The sets of root keys that had to approve the key entry at `seq`: both, where it changed them."""
        before = [one for one in self.root_sets if one.seq < seq] or self.root_sets[:1]
        return (before[-1], *(one for one in self.root_sets if one.seq == seq > 0))

    def current(self, role: str) -> RegisteredKey:
        """The `entry` or `checkpoint` key in use now."""
        return next(key for key in self._keys.values() if key.role == role and key.valid_to is None)

    def is_trusted(self, seq: int) -> bool:
        """Whether the signature on the entry at `seq` counts: its key is not revoked there, or others vouch for it."""
        return not self.revocations or seq in self._approved or self.is_trusted_of(self._signer_of(seq), seq)

    def is_trusted_of(self, kid: str, seq: int) -> bool:
        """The same for what the key `kid` signed, be it an entry or the evidence in it."""
        return self.revocations.is_trusted(kid, seq, self._signer_of)

    def _signer_of(self, seq: int) -> str:
        return kid_of(self.entry_key_at(seq))

    def is_trusted_checkpoint(self, kid: str, size: int) -> bool:
        """Whether a checkpoint of this size that the key `kid` signed counts."""
        return not self.revocations.is_revoked_at(kid, size - 1)

    def trusts_checkpoint(self, size: int) -> bool:
        """Whether the ledger's checkpoint of this size counts."""
        return self.is_trusted_checkpoint(kid_of(self.checkpoint_key_at(size)), size)

    # --- what is admitted ------------------------------------------------------------------------------------------

    def check(self, change: RegistryChange, seq: int) -> None:
        """Raise `KeyChangeRefused`, saying why, unless `change` may stand at `seq`.

        That a history which it names is the ledger's own is for who knows the tree to compare.
        """
        if isinstance(change, Attestation):
            check_attestation(change, seq, self._keys.get(change.kid), self.current("entry"))
            return
        if change.version != self.version + 1:
            raise KeyChangeRefused(f"version {change.version} where {self.version + 1} is next", field="version")
        self._check_awaited(change)
        if isinstance(change, RootChange):
            self._check_root_change(change, seq)
        elif change.op == "revoke":
            self._check_revoke(change, seq)
        elif change.kid != kid_of(change.key):
            raise KeyChangeRefused("the kid is not the public key's", field="kid")
        elif change.op == "add":
            self._check_add(change)
        else:
            self._check_retire(change)

    def _check_awaited(self, change: KeyChange | RootChange) -> None:
        """A revoked key is replaced at once; if the next one is lost too, that is revoked first."""
        role = self.awaited
        if role is None or (
            isinstance(change, KeyChange)
            and change.role == role
            and (change.op == "add" or change.kid == self.next_kids.get(role))
        ):
            return
        raise KeyChangeRefused(f"the {role} key is revoked: the next key entry must replace it", field="op")

    def _check_add(self, change: KeyChange) -> None:
        _fit_to_register(change.key)
        if change.kid in self._keys or change.kid in self._root_kids:
            raise KeyChangeRefused(
                "this key is registered already; a key has one role and is never used again", field="kid"
            )
        if change.kid in self.committed and self.next_kids.get(change.role) != change.kid:
            raise KeyChangeRefused(
                f"this key was pre-committed as {self.committed[change.kid]} key, or revoked as such", field="kid"
            )
        new = ApprovingKey(approving_name(self.origin, change.role, change.whose), change.key)
        if change.role not in SERVICE_ROLES:
            # Of a party the Issuer has the public key only: possession counts where it was shown (docs/FORMAT.md).
            self._check_approvals(change, must=[], may=[new])
            return
        if change.whose != self.origin:
            detail = f"the {change.role} key is the ledger's own: whose must be its origin"
            raise KeyChangeRefused(detail, field="whose")
        self._check_next(change)
        old = self.current(change.role)
        replaced = [ApprovingKey(new.name, old.public_key)] if old.revoked_at is None else []
        self._check_approvals(change, must=[new, *replaced], may=[])

    def _check_next(self, change: KeyChange) -> None:
        awaited = self.next_kids.get(change.role)
        if awaited is not None and change.kid != awaited:
            raise KeyChangeRefused(
                f"the {change.role} key in use pre-committed to {awaited}: add that one, or revoke it first",
                field="kid",
            )
        kid = change.next_kid
        if kid is not None and self.is_known(kid):
            raise KeyChangeRefused("the next key is known already; a key has one role and one time", field="next")

    def _check_retire(self, change: KeyChange) -> None:
        key = self._keys.get(change.kid)
        if key is None or (key.role, key.whose) != (change.role, change.whose):
            raise KeyChangeRefused("no such key of this role and name is registered", field="kid")
        if key.role in SERVICE_ROLES:
            raise KeyChangeRefused(f"the {key.role} key ends when another replaces it: rotate it", field="role")
        if key.valid_to is not None:
            raise KeyChangeRefused(f"this key is not valid any more since seq {key.valid_to}", field="kid")
        self._check_approvals(change, must=[], may=[])

    def _check_revoke(self, change: KeyChange, seq: int) -> None:
        assert change.history is not None
        key, committed = self._keys.get(change.kid), self.committed_role(change.kid)
        known = (committed, self.origin) if key is None else (key.role, key.whose)
        if known != (change.role, change.whose):
            raise KeyChangeRefused("no such key of this role and name is registered or pre-committed", field="kid")
        _check_history(change.history, seq, "at_size")
        if key is not None and key.revoked_at is not None and change.history.size >= key.revoked_at:
            raise KeyChangeRefused(
                f"this key is revoked from size {key.revoked_at} on; only an earlier size can be named", field="kid"
            )
        self._check_approvals(change, must=[], may=[])

    def _check_root_change(self, change: RootChange, seq: int) -> None:
        for key in change.root_keys:
            _fit_to_register(key)
            kid = kid_of(key)
            if kid in self._keys or kid in self.committed:
                raise KeyChangeRefused("a root key has another role already", field="root_keys")
            if kid in self._root_kids and key not in self.root_keys:
                raise KeyChangeRefused("a root key was one before; a key is never used again", field="root_keys")
        _check_history(change.history, seq, "size")
        self._check_approvals(change, must=[], may=[], new=RootSet(seq, change.root_keys, change.threshold))

    def _check_approvals(
        self, body: Approved, must: list[ApprovingKey], may: list[ApprovingKey], new: RootSet | None = None
    ) -> None:
        sets = {"root keys": self.root_sets[-1]} | ({} if new is None else {"new root keys": new})
        roots = {ApprovingKey(f"{self.origin}/root", key) for one in sets.values() for key in one.keys}
        approved = who_signed(body, self.origin, [*roots, *must, *may])
        signed = {key.public_key for key in approved & roots}
        for name, one in sets.items():
            given = len(signed.intersection(one.keys))
            if given < one.threshold:
                raise KeyChangeRefused(f"{given} of {one.threshold} {name} approved it", field="approvals")
        for key in must:
            if key not in approved:
                raise KeyChangeRefused(f"{key.name} did not approve it", field="approvals")

    # --- what follows ----------------------------------------------------------------------------------------------

    def apply(self, change: RegistryChange, seq: int) -> None:
        """Take a checked change in; it stands at `seq` and takes effect at the next entry."""
        self.history = extended(self.history, change, seq)
        if isinstance(change, Attestation):
            self.revocations.attest(change, seq)
            return
        self.version = change.version
        self._approved.add(seq)
        if isinstance(change, RootChange):
            self.root_sets.append(RootSet(seq, change.root_keys, change.threshold))
            self._root_kids |= {kid_of(key) for key in change.root_keys}
        elif change.op == "add":
            self._add(change, seq + 1)
        elif change.op == "retire":
            self._end(change.kid, seq + 1)
        else:
            self._revoke(change, seq + 1)

    def _add(self, change: KeyChange, effect: int) -> None:
        if change.role in SERVICE_ROLES:
            self._end(self.current(change.role).kid, effect)
            self.next_kids.pop(change.role, None)
        if change.next_kid is not None:
            self.next_kids[change.role] = change.next_kid
            self.committed[change.next_kid] = change.role
        self._register(change.role, change.whose, change.key, effect)

    def _revoke(self, change: KeyChange, effect: int) -> None:
        assert change.history is not None
        key = self._keys.get(change.kid)
        if key is None:
            del self.next_kids[change.role]
            return
        self.revocations.revoke(change.kid, change.history.size)
        self._keys[change.kid] = replace(key, revoked_at=change.history.size)
        if key.role not in SERVICE_ROLES and key.valid_to is None:
            self._end(change.kid, effect)

    def _register(self, role: str, whose: str, public_key: bytes, valid_from: int) -> None:
        kid = kid_of(public_key)
        self._keys[kid] = RegisteredKey(kid, role, whose, public_key, valid_from)
        if role == "entry":
            self._entry_keys.append((valid_from, public_key))

    def _end(self, kid: str, effect: int) -> None:
        self._keys[kid] = replace(self._keys[kid], valid_to=effect)


def _check_history(history: History, seq: int, name: str) -> None:
    if history.size > seq:
        raise KeyChangeRefused(f"{history.size} is more than the {seq} entries before it", field=name)
    if history.size == 0 and history.root != EMPTY_ROOT:
        raise KeyChangeRefused("of no entries is another", field="root")


def _fit_to_register(public_key: bytes) -> bytes:
    try:
        return check_public_key(public_key)
    except Invalid as error:
        raise KeyChangeRefused(f"the public key {error.detail}", field="public_key") from None
