"""`--pkcs11 URI`: new keys that are made in a token, beside those that are files."""

import argparse
from pathlib import Path

from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.wiring import key_folder
from signed_ledger.config import Settings, variable_of
from signed_ledger.errors import Invalid
from signed_ledger.signing import IN_HARDWARE, HardwareSigner, KeyUri, parse_key_uri, read_key_uri

OPTION = "--pkcs11"


def add_pkcs11(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument(
        OPTION,
        metavar="URI",
        help=f"{about}: pkcs11:token=LABEL?module-path=/LIBRARY&pin-source=file:/FILE "
        f"(RFC 7512; the library by default: {variable_of('pkcs11_module')}; the PIN: as a passphrase)",
    )


def asked_token(options: argparse.Namespace) -> KeyUri | None:
    """The token that --pkcs11 names. Raises `Invalid`."""
    if options.pkcs11 is None:
        return None
    token = parse_key_uri(options.pkcs11, OPTION)
    if token.names_a_key:
        raise Invalid(OPTION, "must name a token only: the new key gets its object label and id here")
    return token


def token_of_next(old_file: Path, asked: KeyUri | None) -> KeyUri | None:
    """Where the successor of a key is made: in the token asked for, else where the old one is."""
    if asked is None and old_file.suffix == IN_HARDWARE:
        return read_key_uri(old_file).of_token()
    return asked


def usable(left: list[Path], token: KeyUri | None) -> list[Path]:
    """Of the files that broken-off rotations left, those that may be taken: no file's key where a token's is wanted."""
    return [path for path in left if token is None or path.suffix == IN_HARDWARE]


def create_in_token(settings: Settings, passphrases: Passphrases, token: KeyUri, role: str) -> HardwareSigner:
    """Make a key of `role` in `token`, and the file that says where. Raises `KeyFileRefused`."""
    return key_folder(settings, passphrases, role).create_in_token(role, token, f"the token {token.token}")
