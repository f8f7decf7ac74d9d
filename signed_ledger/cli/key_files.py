"""Key files and kids: which are left over, whose they must be, which one a prefix means."""

import os
from pathlib import Path

from signed_ledger.cli.key_requests import Request, may_approve
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.wiring import key_folder
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.records import RegisteredKey
from signed_ledger.signing import IN_HARDWARE, Signer, kid_of


def unregistered_files(folder: Path, keyring: Keyring) -> list[Path]:
    """Key files that no entry knows, oldest first: a rotation was broken off between the file and its entry."""
    everything = [path for kind in (".pem", IN_HARDWARE) for path in folder.glob(f"*{kind}")]
    files = [path for path in everything if not keyring.is_known(path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))


def give_to_owner_of(old_file: Path, new_file: Path) -> None:
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


def kid_by_prefix(keyring: Keyring, prefix: str) -> str:
    """The same for keys that are, or were, only pre-committed, too."""
    committed = [kid for kid in keyring.committed if kid.startswith(prefix) and keyring.find(kid) is None]
    return committed[0] if len(prefix) >= 8 and len(committed) == 1 else find_by_prefix(keyring, prefix).kid


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


def root_signers(
    keyring: Keyring, settings: Settings, passphrases: Passphrases, request: Request | None = None
) -> list[Signer]:
    """As many root keys as must approve; of a new set all that are here."""
    folder = key_folder(settings, passphrases, "root")
    held: list[Signer] = [*folder.held("root", keyring.root_keys)]
    if len(held) < keyring.threshold:
        raise Invalid(
            str(settings.keys / "root"),
            f"holds {len(held)} of the {keyring.threshold} root keys that must approve a key change; bring "
            + " or ".join(f"{kid_of(key)}.pem" for key in keyring.root_keys)
            + "; or write a --request FILE for them",
        )
    new = () if request is None else tuple(may_approve(request) - set(keyring.root_keys))
    return [*held[: keyring.threshold if not new else None], *folder.held("root", new)]
