#!/usr/bin/env python3
"""Measures how fast a key of the key folder signs: a file's or a token's. Each signature is verified.

One entry costs one signature, and the server waits for it: it can write no more entries than that.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from os import environ
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from signed_ledger.cli.arguments import STATUS, Parser, add_passphrase_file
from signed_ledger.cli.outcome import exit_status
from signed_ledger.cli.wiring import key_folder, passphrases_of
from signed_ledger.config import read_settings
from signed_ledger.errors import Invalid
from signed_ledger.signing import verify

ENTRY = b"x" * 500
"""About the length of an entry's text."""


def make_parser() -> Parser:
    parser = Parser(
        prog="sign_speed.py",
        description="Measure how many entries a second a key can sign.",
        epilog=f"example:\n  scripts/sign_speed.py keys/entry/*.pem keys/entry/*.pkcs11\n\n{STATUS}",
    )
    parser.add_argument("files", metavar="KEY_FILE", type=Path, nargs="+", help="KID.pem or KID.pkcs11")
    parser.add_argument("--signatures", metavar="N", type=int, default=5_000, help="default: 5000")
    add_passphrase_file(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    if options.signatures < 1:
        raise Invalid("--signatures", "must be at least 1")
    settings = read_settings(environ)
    folder = key_folder(settings, passphrases_of(options, settings), "entry")
    for path in options.files:
        signer = folder.open(path)
        started = time.perf_counter()
        signatures = [signer.sign(ENTRY) for _ in range(options.signatures)]
        seconds = time.perf_counter() - started
        assert all(verify(signer.public_key, ENTRY, signature) for signature in signatures)
        print(f"{options.signatures / seconds:9,.0f} signatures/s  {path}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    return exit_status(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
