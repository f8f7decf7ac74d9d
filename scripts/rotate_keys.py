#!/usr/bin/env python3
"""Rotates the keys of a ledger, for those who do not run the service: entry, checkpoint, or a Scheme's.

Does what `signed-ledger keys` does, with the same code; a service that runs takes the new key up by itself. Needs the
root keys that must approve, and the current entry key, in the key folder.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from signed_ledger.cli.arguments import STATUS, Parser, add_passphrase_file
from signed_ledger.cli.keys import print_rotated, rotate
from signed_ledger.cli.outcome import exit_status
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.registering import Registrar, registrar
from signed_ledger.cli.wiring import passphrases_of
from signed_ledger.config import Settings, read_settings, variable_of
from signed_ledger.records import RegisteredKey
from signed_ledger.signing import kid_of, read_public_key


def make_parser() -> Parser:
    parser = Parser(
        prog="rotate_keys.py",
        description="Rotate a ledger's entry or checkpoint key, or replace a Scheme's. A running service goes on.",
        epilog="example:\n  scripts/rotate_keys.py entry --ledger ledger.db --keys keys\n"
        f"  scripts/rotate_keys.py scheme acme acme-new-public.pem --ledger ledger.db --keys keys\n\n{STATUS}",
    )
    places = Parser(add_help=False)
    places.add_argument("--ledger", type=Path, metavar="FILE", help=f"default: {variable_of('database')}, or ledger.db")
    places.add_argument("--keys", type=Path, metavar="FOLDER", help=f"default: {variable_of('keys')}, or keys")
    add_passphrase_file(places)
    what = parser.add_subparsers(title="what to rotate", metavar="WHAT", dest="what", required=True)
    what.add_parser("entry", parents=[places], help="the key that signs entries")
    what.add_parser("checkpoint", parents=[places], help="the key that signs checkpoints")
    scheme = what.add_parser("scheme", parents=[places], help="a Scheme's key: add the new one, retire its others")
    scheme.add_argument("name", metavar="NAME", help="the Scheme")
    scheme.add_argument("public_key_file", type=Path, metavar="NEW_PUBLIC_KEY_FILE", help="Ed25519, PEM")
    scheme.add_argument("--keep-old", action="store_true", help="retire none: the Scheme signs with old and new")
    return parser


def run(options: argparse.Namespace) -> int:
    settings = read_settings(os.environ)
    settings = replace(settings, database=options.ledger or settings.database, keys=options.keys or settings.keys)
    passphrases = passphrases_of(options, settings)
    if options.what == "scheme":
        new = read_public_key(options.public_key_file)
        asyncio.run(rotate_scheme(settings, passphrases, options.name, new, keep_old=options.keep_old))
    else:
        print_rotated(asyncio.run(rotate(settings, passphrases, options.what)))
    return 0


async def rotate_scheme(settings: Settings, passphrases: Passphrases, name: str, new: bytes, *, keep_old: bool) -> None:
    """Add the Scheme's new key, then retire its others; broken off, it can be run again."""
    async with registrar(settings, passphrases) as changes:
        if kid_of(new) not in {key.kid for key in current_keys(changes, name)}:
            seq = await changes.add("scheme", name, new)
            assert seq is not None  # no request was asked for
            print(f"Registered the new key of {name}, valid from seq {seq + 1}:")
            print(kid_of(new))
        for key in current_keys(changes, name):
            if key.public_key != new and not keep_old:
                seq = await changes.retire(key)
                assert seq is not None
                print(f"Retired, not valid any more from seq {seq + 1} on:\n{key.kid}")


def current_keys(changes: Registrar, name: str) -> list[RegisteredKey]:
    keys = [key for key in changes.keyring if key.valid_to is None]
    return [key for key in keys if (key.role, key.whose) == ("scheme", name)]


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    return exit_status(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
