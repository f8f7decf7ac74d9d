"""Changes of the key registry: approved by the root, recorded as entries, taken up by running servers by themselves."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from signed_ledger.cli.hardware import create_in_token, token_of_next, usable
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.wiring import entry_signers, key_folder, opened_ledger
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring, approve, approving_name
from signed_ledger.ledger import Ledger
from signed_ledger.records import KeyChange, RegisteredKey
from signed_ledger.signing import IN_HARDWARE, KeyFolder, KeyUri, Signer, kid_of

TRIES_MAX: Final = 5
"""How often a change is put again because another one came first."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation on disk. `reused` where the new key's file was there already; `left` are more such files."""

    role: str
    old: str
    new: str
    old_file: Path
    new_file: Path
    seq: int
    reused: bool
    left: list[Path]


class Registrar:
    """Puts key changes to an open ledger, with the approvals of the root keys in the key folder."""

    def __init__(self, ledger: Ledger, settings: Settings, passphrases: Passphrases) -> None:
        """Raises `Invalid` where fewer root keys are in the folder than must approve."""
        self.ledger = ledger
        self._settings = settings
        self._passphrases = passphrases
        self._roots = _root_signers(ledger.keyring, settings, passphrases)

    @property
    def keyring(self) -> Keyring:
        return self.ledger.keyring

    async def add(self, role: str, name: str, public_key: bytes) -> int:
        """Register a party's public key; give the seq. Raises `KeyChangeRefused`, `Invalid` for a wrong name."""
        return await self._submit(
            lambda version: KeyChange("add", role, kid_of(public_key), public_key, name, version), list
        )

    async def retire(self, key: RegisteredKey) -> int:
        """End a party's key; give the seq from which on it counts no more."""
        return 1 + await self._submit(
            lambda version: KeyChange("retire", key.role, key.kid, key.public_key, key.whose, version), list
        )

    async def rotate(self, role: str, asked: KeyUri | None = None) -> Rotated:
        """Replace the `entry` or `checkpoint` key by a new one, or by one that a broken-off rotation left.

        The new one is made in the token `asked` for, else where the old one is.
        """
        folder, origin = key_folder(self._settings, self._passphrases, role), self.keyring.origin
        old = self.keyring.current(role)
        old_file = folder.find(role, old.public_key)
        self._old_signer(role)
        token = token_of_next(old_file, asked)
        left = usable(unregistered_files(self._settings.keys / role, self.keyring), token)
        new = self._reuse(role, left[0]) if left else self._create(role, token)
        new_file = folder.find(role, new.public_key)
        _give_to_owner_of(old_file, new_file)
        name = approving_name(origin, role, origin)
        seq = await self._submit(
            lambda version: KeyChange("add", role, kid_of(new.public_key), new.public_key, origin, version),
            lambda: [(name, new), (name, self._old_signer(role))],
        )
        return Rotated(role, old.kid, kid_of(new.public_key), old_file, new_file, seq, bool(left), left[1:])

    def _old_signer(self, role: str) -> Signer:
        folder = key_folder(self._settings, self._passphrases, role)
        return folder.signer(role, self.keyring.current(role).public_key)

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

    async def _submit(
        self, make: Callable[[int], KeyChange], more_approvers: Callable[[], list[tuple[str, Signer]]]
    ) -> int:
        origin = self.keyring.origin
        for _ in range(TRIES_MAX):
            change = make(self.keyring.version + 1)
            approvers = [(f"{origin}/root", root) for root in self._roots] + more_approvers()
            try:
                return (await self.ledger.submit(replace(change, approvals=approve(change, origin, approvers)))).seq
            except KeyChangeRefused as refused:
                if refused.field != "version":  # else another change came first: the registry knows it by now
                    raise
        raise KeyChangeRefused("others change the registry all the time; try again")


@asynccontextmanager
async def registrar(settings: Settings, passphrases: Passphrases) -> AsyncIterator[Registrar]:
    """A registrar on the settings' ledger. Raises `Invalid` naming what is missing: ledger, entry key or root key."""
    async with opened_ledger(settings, entry_signers(settings, passphrases)) as ledger:
        yield Registrar(ledger, settings, passphrases)


def _root_signers(keyring: Keyring, settings: Settings, passphrases: Passphrases) -> list[Signer]:
    held = key_folder(settings, passphrases, "root").held("root", keyring.root_keys)
    if len(held) < keyring.threshold:
        raise Invalid(
            str(settings.keys / "root"),
            f"holds {len(held)} of the {keyring.threshold} root keys that must approve a key change; bring "
            + " or ".join(f"{kid_of(key)}.pem" for key in keyring.root_keys),
        )
    return [*held[: keyring.threshold]]


def unregistered_files(folder: Path, keyring: Keyring) -> list[Path]:
    """Key files that no entry knows, oldest first: a rotation was broken off between the file and its entry."""
    files = [path for kind in (".pem", IN_HARDWARE) for path in folder.glob(f"*{kind}") if not keyring.find(path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _give_to_owner_of(old_file: Path, new_file: Path) -> None:
    """A server that runs as another user than who rotates must be able to read the new key before it is in use."""
    old, new = old_file.stat(), new_file.stat()
    if (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid):
        return
    try:
        os.chown(new_file, old.st_uid, old.st_gid)
    except PermissionError:
        if old.st_uid == new.st_uid:
            return
        raise Invalid(
            str(new_file), f"would not be readable for the owner of {old_file.name}; run this as that user"
        ) from None


def find_by_prefix(keyring: Keyring, prefix: str) -> RegisteredKey:
    """The one key whose kid starts with `prefix` (at least 8 hex digits); else `Invalid` or `KeyChangeRefused`."""
    if len(prefix) < 8 or not set(prefix) <= set("0123456789abcdef"):
        raise Invalid("KID", f"{prefix!r} must be at least the first 8 hex digits of a kid; keys list shows them")
    found = [key for key in keyring if key.kid.startswith(prefix)]
    if not found:
        raise KeyChangeRefused(f"no key {prefix} is registered; keys list shows those that are")
    if len(found) > 1:
        raise Invalid("KID", f"{prefix} starts {len(found)} kids; give more digits")
    return found[0]
