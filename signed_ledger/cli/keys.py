"""`keys`: the registry shown and changed, with the root keys here or by a request to them."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from signed_ledger.cli.hardware import asked_token
from signed_ledger.cli.key_files import find_by_prefix, kid_by_prefix, unregistered_files
from signed_ledger.cli.output import print_facts, print_json, print_table
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.registering import Registrar, Revoked, Rotated, registrar
from signed_ledger.cli.trusting import is_behind, renew_trust, tell_trust
from signed_ledger.cli.wiring import opened_store, passphrases_of, registry
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.records import RegisteredKey
from signed_ledger.signing import IN_HARDWARE, KeyFolder, kid_of, read_private_key, read_public_key

T = TypeVar("T")

HEADINGS = ("kid", "role", "whose", "valid_from", "valid_before", "revoked_at", "current")


def list_keys(options: argparse.Namespace, settings: Settings) -> int:
    async def read() -> list[RegisteredKey]:
        async with opened_store(settings) as store:
            return list(await registry(store, settings))

    keys = asyncio.run(read())
    if options.json:
        print_json([_described(key) for key in keys])
        return 0
    rows = [
        (
            key.kid,
            key.role,
            key.whose,
            key.valid_from,
            _or_empty(key.valid_to),
            _or_empty(key.revoked_at),
            _current(key),
        )
        for key in keys
    ]
    print_table(HEADINGS, rows, right=HEADINGS[3:6])
    return 0


def _current(key: RegisteredKey) -> str:
    return "yes" if key.valid_to is None else "no"


def _described(key: RegisteredKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "role": key.role,
        "whose": key.whose,
        "valid_from": key.valid_from,
        "valid_to": key.valid_to,
        "revoked_at": key.revoked_at,
        "current": key.valid_to is None,
    }


def _or_empty(number: int | None) -> object:
    return "" if number is None else number


def _change(options: argparse.Namespace, settings: Settings, change: Callable[[Registrar], Awaitable[T]]) -> T:
    """Ask for a change, of the root keys that are here or by the request file that was named."""

    async def put() -> T:
        async with registrar(settings, passphrases_of(options, settings), options.request) as changes:
            return await change(changes)

    return asyncio.run(put())


def _tell_request(options: argparse.Namespace, facts: dict[str, Any]) -> int:
    if options.json:
        print_json({**facts, "request": str(options.request)})
    else:
        print(f"Nothing is recorded yet: {options.request} waits for the root keys. Take it to them:\n")
        print(f"  signed-ledger keys approve {options.request} --keys FOLDER\n")
        print(f"Then, here again: signed-ledger keys apply {options.request}")
    return 0


def add_key(options: argparse.Namespace, settings: Settings) -> int:
    public_key = read_public_key(options.public_key_file)
    kid = kid_of(public_key)
    facts = {"kid": kid, "role": options.role, "whose": options.name}
    seq = _change(options, settings, lambda changes: changes.add(options.role, options.name, public_key))
    if seq is None:
        return _tell_request(options, facts)
    if options.json:
        print_json({**facts, "seq": seq, "valid_from": seq + 1})
    else:
        print(f"Registered the {options.role} key of {options.name}, valid from seq {seq + 1}:\n{kid}")
    return 0


def rotate_key(options: argparse.Namespace, settings: Settings) -> int:
    asked = asked_token(options)
    rotated = _change(options, settings, lambda changes: changes.rotate(options.role, asked))
    if rotated.seq is None:
        return _tell_request(options, _plain_of(rotated))
    print_json(_plain_of(rotated)) if options.json else print_rotated(rotated)
    return 0


async def rotate(settings: Settings, passphrases: Passphrases, role: str) -> Rotated:
    async with registrar(settings, passphrases) as changes:
        return await changes.rotate(role)


def _plain_of(record: Rotated | Revoked) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(record).items()}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def print_rotated(rotated: Rotated, *, revoked: bool = False) -> None:
    assert rotated.seq is not None
    print(f"Rotated the {rotated.role} key at seq {rotated.seq}; the new one is in use from seq {rotated.seq + 1}.\n")
    print_facts([("new", rotated.new), ("old", rotated.old), ("next", rotated.next)])
    if rotated.reused:
        print(f"\nAn earlier rotation was broken off: the key file that it left, {rotated.new_file}, is in use now.")
    for path in rotated.left:
        print(f"{path} is one more such file: no entry knows it. The next rotation takes it; or take it away.")
    print("\nKeep a copy of the new key's file. The old one's is good for nothing any more: destroy it.")
    if IN_HARDWARE in (rotated.new_file.suffix, rotated.old_file.suffix):
        print(f"A file {IN_HARDWARE} only says where a key is: copy, or destroy, the key with the token's own tools.")
    print("The next one's is the only key that can replace the new one: take it offline until then.")
    print("\n" if revoked else "What the old key signed stays valid.\n")
    print_facts([("new", rotated.new_file), ("old", rotated.old_file), ("next", rotated.next_file)])


def retire_key(options: argparse.Namespace, settings: Settings) -> int:
    async def retire(changes: Registrar) -> tuple[RegisteredKey, int | None]:
        key = find_by_prefix(changes.keyring, options.kid)
        return key, await changes.retire(key)

    key, seq = _change(options, settings, retire)
    facts = {"kid": key.kid, "role": key.role, "whose": key.whose}
    if seq is None:
        return _tell_request(options, facts)
    if options.json:
        print_json({**facts, "valid_to": seq + 1})
    else:
        print(f"Retired the {key.role} key of {key.whose}, not valid any more from seq {seq + 1} on:\n{key.kid}")
    return 0


def revoke_key(options: argparse.Namespace, settings: Settings) -> int:
    async def revoke(changes: Registrar) -> Revoked:
        return await changes.revoke(kid_by_prefix(changes.keyring, options.kid), options.at_size)

    revoked = _change(options, settings, revoke)
    if revoked.seq is None and not revoked.recorded_before:
        return _tell_request(options, _plain_of(revoked))
    if options.json:
        print_json(_plain_of(revoked))
        return 0
    if revoked.recorded_before:
        print(f"The {revoked.role} key is revoked already; nothing was recorded. keys status says what is left to do.")
        return 0
    print(f"Revoked the {revoked.role} key: what it signed from entry {revoked.at_size} on is not trusted any more.")
    print(revoked.kid)
    if revoked.rotated is not None:
        print()
        print_rotated(revoked.rotated, revoked=True)
    if revoked.role != "checkpoint" and not revoked.is_next:
        print("\nLook through what it signed since, then sign the honest entries again:")
        print(f"  signed-ledger keys reattest {revoked.kid[:16]}")
    return 0


def change_root(options: argparse.Namespace, settings: Settings) -> int:
    if bool(options.new_keys) is bool(options.root_public_key):
        raise Invalid("keys root", "needs --new-keys N, or --root-public-key FILE once for each key")
    count = options.new_keys or len(options.root_public_key)
    if not 1 <= options.threshold <= count:
        raise Invalid("--threshold", f"must be from 1 to {count}, the number of root keys")

    async def known() -> Keyring:
        async with opened_store(settings) as store:
            return await registry(store, settings)

    keyring = asyncio.run(known())
    root_keys = _root_keys(options, settings, keyring)
    is_in_use = keyring.root_sets[-1].is_same(root_keys, options.threshold)
    seq = _change(options, settings, lambda changes: changes.change_root(root_keys, options.threshold))
    facts = {"root_keys": [kid_of(key) for key in root_keys], "threshold": options.threshold}
    if seq is None:
        return _tell_request(options, facts)
    path, kept = asyncio.run(renew_trust(settings))
    if options.json:
        told = {"trust_file": str(path), "kept": None if kept is None else str(kept), "recorded_before": is_in_use}
        print_json({**facts, "seq": seq, **told})
        return 0
    print(f"From seq {seq + 1} on {options.threshold} of {len(root_keys)} root keys must approve.\n")
    if is_in_use:
        print("That was recorded before: no root key is new now. To replace these too, run it once more.\n")
    tell_trust(path, kept)
    return 0


def _root_keys(options: argparse.Namespace, settings: Settings, keyring: Keyring) -> tuple[bytes, ...]:
    """The new set. What a try that was broken off left is taken up: files of no root set, or a trust file behind."""
    if options.root_public_key:
        return tuple(read_public_key(path) for path in options.root_public_key)
    passphrases = passphrases_of(options, settings)
    folder = settings.keys / "root"
    is_asked = (len(keyring.root_keys), keyring.threshold) == (options.new_keys, options.threshold)
    are_here = all((folder / f"{kid_of(key)}.pem").exists() for key in keyring.root_keys)
    if is_asked and are_here and is_behind(settings, keyring):
        return keyring.root_keys
    left = unregistered_files(folder, keyring)[: options.new_keys]
    opening = passphrases.opening("root")
    keys = [read_private_key(path, opening).public_key for path in left]
    made = KeyFolder(settings.keys, lambda: opening() if passphrases.needed else None)
    return tuple(keys + [made.create("root").public_key for _ in range(options.new_keys - len(keys))])
