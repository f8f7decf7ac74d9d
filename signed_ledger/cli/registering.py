"""Changes of the key registry: approved by the root, recorded as entries, taken up by running servers by themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from signed_ledger.cli.hardware import create_in_token, token_of_next, usable
from signed_ledger.cli.key_files import give_to_owner_of, root_signers, unregistered_files
from signed_ledger.cli.key_requests import (
    Change,
    Request,
    approved,
    is_recorded,
    is_revoked,
    write_request,
)
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.wiring import entry_signers, key_folder, opened_ledger, opened_store
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring, approve, approving_name
from signed_ledger.ledger import Ledger, read_tree
from signed_ledger.records import History, KeyChange, RegisteredKey, RootChange
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import IN_HARDWARE, KeyFolder, KeyUri, Signer, kid_of

TRIES_MAX: Final = 5
"""How often a change is put again because another one came first."""

Make: TypeAlias = Callable[[int], list[Change]]
"""From the version that is next to the changes to make, with the approvals of the service's own keys."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation, on disk at `seq` unless it waits in a request for approval. `next` will replace `new` one day.

    `reused` where the new key's file was there already; `left` are more such files.
    """

    role: str
    old: str
    new: str
    next: str
    old_file: Path
    new_file: Path
    next_file: Path
    seq: int | None
    reused: bool
    left: list[Path]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A key that is revoked from `at_size` on; `rotated` where the service's own key was replaced at once.

    Where the ledger said so before, nothing was recorded: neither has it a `seq`. `is_next` where it is in no use yet.
    """

    kid: str
    role: str
    at_size: int
    seq: int | None
    rotated: Rotated | None
    recorded_before: bool = False
    is_next: bool = False


class _Successor(NamedTuple):
    """The keys of a rotation, before it is asked for."""

    old: RegisteredKey
    new: Signer
    next: Signer
    reused: bool
    left: list[Path]


class Registrar:
    """Puts key changes to an open ledger with the approvals of the root keys in the key folder, or into a request."""

    def __init__(
        self, ledger: Ledger, settings: Settings, passphrases: Passphrases, request_file: Path | None = None
    ) -> None:
        """With a `request_file` nothing is recorded; else raises `Invalid` where too few root keys are here."""
        self.ledger = ledger
        self._settings = settings
        self._passphrases = passphrases
        self._request_file = request_file
        if request_file is None:
            root_signers(ledger.keyring, settings, passphrases)

    @property
    def keyring(self) -> Keyring:
        return self.ledger.keyring

    async def add(self, role: str, name: str, public_key: bytes) -> int | None:
        """Register a party's public key; give the seq. Raises `KeyChangeRefused`, `Invalid` for a wrong name."""
        kid = kid_of(public_key)
        return await self._put(lambda version: [KeyChange("add", role, kid, public_key, name, version)])

    async def retire(self, key: RegisteredKey) -> int | None:
        """End a party's key; give the seq of the entry that says so."""
        return await self._put(
            lambda version: [KeyChange("retire", key.role, key.kid, key.public_key, key.whose, version)]
        )

    async def rotate(self, role: str, asked: KeyUri | None = None) -> Rotated:
        """Replace the `entry` or `checkpoint` key by the one it pre-committed to, or a first time by any new one.

        New keys are made in the token `asked` for, else where the old one is.
        """
        found = self._successor(role, asked)
        seq = await self._put(lambda version: [self._replacement(found, version)])
        return self._rotated(found, seq)

    async def revoke(self, kid: str, size: int) -> Revoked:
        """Revoke a key from a size on; one of the service's own that is in use is replaced by the very next entry.

        Where an earlier try was broken off between the two, the replacement is what is left to do.
        """
        key, role = self.keyring.find(kid), self.keyring.committed.get(kid)
        whose = self.keyring.origin if key is None else key.whose
        role = role if key is None else key.role
        assert role is not None
        history = await self._history(size)
        must_replace = key is not None and key.role in SERVICE_ROLES and key.valid_to is None
        if not must_replace and is_revoked(self.keyring, kid, size):
            return Revoked(kid, role, size, None, None, recorded_before=True)
        is_done = key is not None and key.revoked_at is not None and must_replace
        found = self._successor(role) if must_replace else None

        def make(version: int) -> list[Change]:
            revocation = KeyChange("revoke", role, kid, None, whose, version, history=history)
            changes: list[Change] = [] if is_done else [revocation]
            if found is not None:
                changes.append(self._replacement(found, version + len(changes), old_approves=False))
            return changes

        seq = await self._put(make)
        at_size = key.revoked_at if is_done and key is not None and key.revoked_at is not None else size
        rotated = None if found is None else self._rotated(found, seq)
        return Revoked(kid, role, at_size, seq, rotated, is_next=key is None)

    async def change_root(self, root_keys: tuple[bytes, ...], threshold: int) -> int | None:
        """Other root keys; they vouch for all entries so far. Where they are in use already, the seq that said so."""
        newest = self.keyring.root_sets[-1]
        if self._request_file is None and newest.is_same(root_keys, threshold):
            return newest.seq
        tree = self.ledger.tree
        history = History(tree.size, tree.root())
        return await self._put(lambda version: [RootChange(root_keys, threshold, version, history)])

    async def submit(self, request: Request) -> list[int]:
        """Record an approved request, all of it or nothing; give the seqs of what was not recorded before."""
        changes = [change for change in request.changes if not is_recorded(change, self.keyring)]
        if changes and changes[0].version != self.keyring.version + 1:
            raise KeyChangeRefused("the registry has moved on since this was asked for; ask again")
        ahead = deepcopy(self.keyring)
        for seq, change in enumerate(changes, start=self.ledger.tree.size):
            ahead.check(change, seq)
            ahead.apply(change, seq)
        if changes and ahead.awaited is not None:
            raise KeyChangeRefused(f"this revokes the {ahead.awaited} key and nothing in it replaces that: ask again")
        return [answer.seq for answer in await asyncio.gather(*map(self.ledger.submit, changes))]

    async def _history(self, size: int) -> History:
        if not 0 <= size <= self.ledger.tree.size:
            raise Invalid("--at-size", f"must be from 0 to {self.ledger.tree.size}, the entries that there are")
        async with opened_store(self._settings) as store:
            return History(size, (await read_tree(store, size)).root())

    # --- rotation --------------------------------------------------------------------------------------------------

    def _successor(self, role: str, asked: KeyUri | None = None) -> _Successor:
        """Find or make the files of the new and the next key: a try that was broken off left them."""
        folder = key_folder(self._settings, self._passphrases, role)
        old = self.keyring.current(role)
        old_file = folder.find(role, old.public_key)
        if old.revoked_at is None:
            self._old_signer(role)
        token = token_of_next(old_file, asked)
        left = usable(unregistered_files(self._settings.keys / role, self.keyring), token)
        committed = self.keyring.next_kids.get(role)
        reused = bool(left) and committed is None
        if committed is not None:
            new = self._committed(role, committed)
        else:
            new = self._reuse(role, left.pop(0)) if left else self._create(role, token)
        # Once a key is in a token, so are those after it.
        token = token_of_next(folder.find(role, new.public_key), asked) or token
        left = usable(left, token)
        following = self._reuse(role, left.pop(0)) if left else self._create(role, token)
        for signer in (new, following):
            if old_file.exists():
                give_to_owner_of(old_file, folder.find(role, signer.public_key))
        return _Successor(old, new, following, reused, left)

    def _replacement(self, found: _Successor, version: int, *, old_approves: bool | None = None) -> KeyChange:
        role, origin = found.old.role, self.keyring.origin
        kid, following = kid_of(found.new.public_key), kid_of(found.next.public_key)
        change = KeyChange("add", role, kid, found.new.public_key, origin, version, next_kid=following)
        name = approving_name(origin, role, origin)
        old_approves = self.keyring.current(role).revoked_at is None if old_approves is None else old_approves
        old = [(name, self._old_signer(role))] if old_approves else []
        return replace(change, approvals=approve(change, origin, [(name, found.new), *old]))

    def _rotated(self, found: _Successor, seq: int | None) -> Rotated:
        role = found.old.role
        keys = (found.old.public_key, found.new.public_key, found.next.public_key)
        folder = key_folder(self._settings, self._passphrases, role)
        old_file, new_file, next_file = (folder.find(role, key) for key in keys)
        return Rotated(
            role=role,
            old=found.old.kid,
            new=kid_of(found.new.public_key),
            next=kid_of(found.next.public_key),
            old_file=old_file,
            new_file=new_file,
            next_file=next_file,
            seq=seq,
            reused=found.reused,
            left=found.left,
        )

    def _old_signer(self, role: str) -> Signer:
        folder = key_folder(self._settings, self._passphrases, role)
        return folder.signer(role, self.keyring.current(role).public_key)

    def _committed(self, role: str, kid: str) -> Signer:
        in_file = self._settings.keys / role / f"{kid}.pem"
        in_token = in_file.with_suffix(IN_HARDWARE)
        path = in_token if in_token.exists() else in_file
        if not path.exists():
            raise Invalid(
                str(path), f"is not here: the {role} key pre-committed to it. Bring it; if it is lost, keys revoke it"
            )
        return self._reuse(role, path)

    def _reuse(self, role: str, path: Path) -> Signer:
        signer = key_folder(self._settings, self._passphrases, role).open(path)
        if kid_of(signer.public_key) != path.stem:
            raise Invalid(str(path), "holds another key than its name says; take it away")
        return signer

    def _create(self, role: str, token: KeyUri | None) -> Signer:
        """The new file is encrypted where the old one is: a server that opened the old can open the new."""
        if token is not None:
            return create_in_token(self._settings, self._passphrases, token, role)
        encrypted = role in self._passphrases.needed
        opening = self._passphrases.opening(role)
        return KeyFolder(self._settings.keys, lambda: opening() if encrypted else None).create(role)

    # --- approval --------------------------------------------------------------------------------------------------

    async def _put(self, make: Make) -> int | None:
        """Record the changes together and give the seq of the last; `None` where they wait in the request file."""
        if self._request_file is not None:
            write_request(self._request_file, self._request(make))
            return None
        for _ in range(TRIES_MAX):
            request = self._request(make)
            roots = root_signers(self.keyring, self._settings, self._passphrases, request)
            changes = approved(request, roots).changes
            try:
                return [answer.seq for answer in await asyncio.gather(*map(self.ledger.submit, changes))][-1]
            except KeyChangeRefused as refused:
                if refused.field != "version":  # else another change came first: the registry knows it by now
                    raise
        raise KeyChangeRefused("others change the registry all the time; try again")

    def _request(self, make: Make) -> Request:
        keyring = self.keyring
        return Request(keyring.origin, keyring.root_keys, keyring.threshold, tuple(make(keyring.version + 1)))


@asynccontextmanager
async def registrar(
    settings: Settings, passphrases: Passphrases, request_file: Path | None = None
) -> AsyncIterator[Registrar]:
    """A registrar on the settings' ledger. Raises `Invalid` naming what is missing: ledger, entry key or root key."""
    async with opened_ledger(settings, entry_signers(settings, passphrases)) as ledger:
        yield Registrar(ledger, settings, passphrases, request_file)
