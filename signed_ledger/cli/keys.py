"""`keys list`, `keys add`, `keys rotate`, `keys retire`."""

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signed_ledger.cli.arguments import Commands, add_command, add_group, add_passphrase_file
from signed_ledger.cli.hardware import add_pkcs11, asked_token
from signed_ledger.cli.output import print_facts, print_json, print_table
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.registering import Rotated, find_by_prefix, registrar
from signed_ledger.cli.wiring import opened_store, passphrases_of, registry
from signed_ledger.config import Settings
from signed_ledger.records import RegisteredKey
from signed_ledger.records.names import PARTY_ROLES, SERVICE_ROLES
from signed_ledger.signing import IN_HARDWARE, KeyUri, kid_of, read_public_key

HEADINGS = ("kid", "role", "whose", "valid_from", "valid_before", "current")
APPROVED = (
    "Needs the root keys that must approve in KEYS/root, and the current entry key. "
    "A running server takes the change up by itself."
)


def add_commands(commands: Commands) -> None:
    keys = add_group(commands, "keys", "show and change the key registry", example="signed-ledger keys list")
    add_command(
        keys,
        "list",
        list_keys,
        "show every key ever registered: kid, role, whose, valid from and to seq",
        example="signed-ledger keys list --json",
        facts=True,
    )
    _add_add(keys)
    _add_rotate(keys)
    _add_retire(keys)


def _add_add(keys: Commands) -> None:
    parser = add_command(
        keys,
        "add",
        add_key,
        "register a scheme, operator or auditor key and print its kid",
        more="Compare the kid with its owner by another road first. " + APPROVED,
        example="signed-ledger keys add scheme acme acme-public.pem",
        facts=True,
    )
    parser.add_argument("role", metavar="ROLE", choices=PARTY_ROLES, help=", ".join(PARTY_ROLES))
    parser.add_argument("name", metavar="NAME", help="whose key it is, 1 to 64 of A-Za-z0-9._-")
    parser.add_argument("public_key_file", metavar="PUBLIC_KEY_FILE", type=Path, help="Ed25519, PEM")
    add_passphrase_file(parser)


def _add_rotate(keys: Commands) -> None:
    parser = add_command(
        keys,
        "rotate",
        rotate_key,
        "make a new entry or checkpoint key, in use from the next entry on",
        more=APPROVED + " The new key file is encrypted where the old one is, with the same passphrase; the new key of "
        "one in a token is made in that token.",
        example="signed-ledger keys rotate entry",
        facts=True,
    )
    parser.add_argument("role", metavar="ROLE", choices=SERVICE_ROLES, help=" or ".join(SERVICE_ROLES))
    add_pkcs11(parser, "make the new key in this token")
    add_passphrase_file(parser)


def _add_retire(keys: Commands) -> None:
    parser = add_command(
        keys,
        "retire",
        retire_key,
        "end a scheme's, operator's or auditor's key: no longer valid after now",
        more=APPROVED,
        example="signed-ledger keys retire 3f2a90c1",
        facts=True,
    )
    parser.add_argument("kid", metavar="KID", help="the kid, or its first 8 digits and more where that is one key")
    add_passphrase_file(parser)


def list_keys(options: argparse.Namespace, settings: Settings) -> int:
    async def read() -> list[RegisteredKey]:
        async with opened_store(settings) as store:
            return list(await registry(store, settings))

    keys = asyncio.run(read())
    if options.json:
        print_json([_described(key) for key in keys])
        return 0
    rows = [
        (key.kid, key.role, key.whose, key.valid_from, "" if key.valid_to is None else key.valid_to, _current(key))
        for key in keys
    ]
    print_table(HEADINGS, rows, right=HEADINGS[3:5])
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
        "current": key.valid_to is None,
    }


def add_key(options: argparse.Namespace, settings: Settings) -> int:
    public_key = read_public_key(options.public_key_file)
    kid = kid_of(public_key)
    seq = asyncio.run(_add(settings, passphrases_of(options, settings), options.role, options.name, public_key))
    if options.json:
        print_json({"kid": kid, "role": options.role, "whose": options.name, "seq": seq, "valid_from": seq + 1})
    else:
        print(f"Registered the {options.role} key of {options.name}, valid from seq {seq + 1}:\n{kid}")
    return 0


async def _add(settings: Settings, passphrases: Passphrases, role: str, name: str, public_key: bytes) -> int:
    async with registrar(settings, passphrases) as changes:
        return await changes.add(role, name, public_key)


def rotate_key(options: argparse.Namespace, settings: Settings) -> int:
    rotated = asyncio.run(rotate(settings, passphrases_of(options, settings), options.role, asked_token(options)))
    _print_json_of(rotated) if options.json else print_rotated(rotated)
    return 0


async def rotate(settings: Settings, passphrases: Passphrases, role: str, asked: KeyUri | None = None) -> Rotated:
    async with registrar(settings, passphrases) as changes:
        return await changes.rotate(role, asked)


def _print_json_of(rotated: Rotated) -> None:
    print_json({name: _plain(value) for name, value in asdict(rotated).items()})


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_rotated(rotated: Rotated) -> None:
    print(f"Rotated the {rotated.role} key at seq {rotated.seq}; the new one is in use from seq {rotated.seq + 1}.\n")
    print_facts([("new", rotated.new), ("old", rotated.old)])
    if rotated.reused:
        print(f"\nAn earlier rotation was broken off: the key file that it left, {rotated.new_file}, is in use now.")
    for path in rotated.left:
        print(f"{path} is one more such file: no entry knows it. The next rotation takes it; or take it away.")
    print("\nKeep a copy of the new key's file. The old one's is good for nothing any more: destroy it.")
    if IN_HARDWARE in (rotated.new_file.suffix, rotated.old_file.suffix):
        print(f"A file {IN_HARDWARE} only says where a key is: copy, or destroy, the key with the token's own tools.")
    print("What the old key signed stays valid.\n")
    print_facts([("new", rotated.new_file), ("old", rotated.old_file)])


def retire_key(options: argparse.Namespace, settings: Settings) -> int:
    key, seq = asyncio.run(_retire(settings, passphrases_of(options, settings), options.kid))
    if options.json:
        print_json({"kid": key.kid, "role": key.role, "whose": key.whose, "valid_to": seq})
    else:
        print(f"Retired the {key.role} key of {key.whose}, not valid any more from seq {seq} on:\n{key.kid}")
    return 0


async def _retire(settings: Settings, passphrases: Passphrases, prefix: str) -> tuple[RegisteredKey, int]:
    async with registrar(settings, passphrases) as changes:
        key = find_by_prefix(changes.keyring, prefix)
        return key, await changes.retire(key)
