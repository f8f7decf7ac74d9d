"""`init`: keys first, then the ledger that names them; what fails half-way leaves nothing behind."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.hardware import add_pkcs11, asked_token, create_in_token
from signed_ledger.cli.output import print_facts, print_json
from signed_ledger.cli.passphrases import ask_new_passphrase, read_passphrase
from signed_ledger.cli.wiring import clock, passphrases_of, trust_file
from signed_ledger.config import Settings, variable_of
from signed_ledger.disk import write_new_file
from signed_ledger.errors import Invalid
from signed_ledger.ledger import create_ledger, found
from signed_ledger.records import Genesis
from signed_ledger.signing import IN_HARDWARE, HardwareSigner, KeyFolder, Signer
from signed_ledger.trust import Trust, encode_trust

ROLES = ("entry", "checkpoint")
ROOT_KEYS_MAX: Final = 16
InToken: TypeAlias = Callable[[str], HardwareSigner]
"""Makes the key of a role in a token, where entry and checkpoint keys shall not be files."""


@dataclass(frozen=True, slots=True)
class Founded:
    """A new ledger and its private key files: of the root keys, `threshold` of which approve, and by role."""

    origin: str
    database: Path
    trust_file: Path
    threshold: int
    root_files: list[Path]
    key_files: dict[str, Path]


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "init",
        init,
        "make a new ledger with its root, entry and checkpoint keys and trust.json",
        more="Refuses where a ledger or a trust.json is already. Root keys belong offline afterwards.",
        example="SIGNED_LEDGER_DATABASE=ledger.db signed-ledger init --origin issuer.example/ledger",
        facts=True,
    )
    add_pkcs11(parser, "make the entry and checkpoint keys in this token; root keys stay files")
    parser.add_argument("--root-keys", type=int, default=1, metavar="N", help="how many root keys (default: 1)")
    parser.add_argument(
        "--threshold", type=int, metavar="K", help="how many of them must approve a key (default: all of them)"
    )
    parser.add_argument("--origin", metavar="O", help=f"the ledger's name for ever (default: {variable_of('origin')})")
    passphrase = parser.add_mutually_exclusive_group()
    passphrase.add_argument("--passphrase", action="store_true", help="ask for a passphrase that encrypts the keys")
    passphrase.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="encrypt the keys with this file's first line; mode 0600"
    )


def init(options: argparse.Namespace, settings: Settings) -> int:
    refuse_where_something_is(settings)
    token = asked_token(options)
    in_token = None if token is None else partial(create_in_token, settings, passphrases_of(options, settings), token)
    _check_roots(options)
    made = create(
        settings,
        options.origin or settings.origin,
        _passphrase(options, settings),
        in_token,
        root_keys=options.root_keys,
        threshold=options.threshold,
    )
    _print_json(made) if options.json else _print(made)
    return 0


def _check_roots(options: argparse.Namespace) -> None:
    if not 1 <= options.root_keys <= ROOT_KEYS_MAX:
        raise Invalid("--root-keys", f"must be from 1 to {ROOT_KEYS_MAX}")
    if options.threshold is not None and not 1 <= options.threshold <= options.root_keys:
        raise Invalid("--threshold", f"must be from 1 to the number of root keys, {options.root_keys}")


def refuse_where_something_is(settings: Settings) -> None:
    for path in (settings.database, trust_file(settings)):
        if path.exists():
            raise Invalid(str(path), "is there already: a ledger is made once; nothing was touched")


def _passphrase(options: argparse.Namespace, settings: Settings) -> bytes | None:
    if options.passphrase:
        return ask_new_passphrase()
    file = options.passphrase_file or settings.key_passphrase_file
    return None if file is None else read_passphrase(file)


def create(
    settings: Settings,
    origin: str,
    passphrase: bytes | None,
    in_token: InToken | None = None,
    *,
    root_keys: int = 1,
    threshold: int | None = None,
) -> Founded:
    """Make keys, trust.json and the ledger, in this order: a ledger is never without its keys.

    Without a `threshold` all of the root keys must approve what changes the key registry.
    Raises `Invalid` or `OSError`; then what was made is taken away again, unless the ledger stands.
    """
    made: list[Path] = []
    in_tokens: list[HardwareSigner] = []
    folder = KeyFolder(settings.keys, lambda: passphrase)
    settings.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        roots: list[Signer] = []
        for _ in range(root_keys):
            roots.append(folder.create("root"))
            made.append(folder.find("root", roots[-1].public_key))
        signers: dict[str, Signer] = {}
        for role in ROLES:
            if in_token is None:
                signers[role] = folder.create(role)
            else:
                in_tokens.append(in_token(role))
                signers[role] = in_tokens[-1]
            made.append(folder.find(role, signers[role].public_key))
        genesis = _create_ledger(settings, origin, roots, threshold or root_keys, signers, made)
    except BaseException as error:
        if isinstance(error, Invalid) or not settings.database.exists():
            for path in made:
                path.unlink()
            for key in in_tokens:
                key.destroy()
        raise
    files = dict(zip(ROLES, made[root_keys:], strict=False))
    return Founded(origin, settings.database, trust_file(settings), genesis.threshold, made[:root_keys], files)


def _create_ledger(
    settings: Settings,
    origin: str,
    roots: list[Signer],
    threshold: int,
    signers: dict[str, Signer],
    made: list[Path],
) -> Genesis:
    genesis, sealed = found(
        origin,
        roots=roots,
        threshold=threshold,
        entry=signers["entry"],
        checkpoint=signers["checkpoint"],
        now=clock(),
        random_bytes=os.urandom,
    )
    _write_trust(trust_file(settings), genesis)
    made.append(trust_file(settings))
    create_ledger(settings.database, genesis, sealed)
    return genesis


def _write_trust(path: Path, genesis: Genesis) -> None:
    try:
        write_new_file(path, encode_trust(Trust(genesis.origin, genesis.root_keys, genesis.threshold)), mode=0o644)
    except FileExistsError:
        raise Invalid(str(path), "was made by somebody else just now; nothing of it was touched") from None


def _print(made: Founded) -> None:
    print(f"Made the ledger {made.origin}.\n")
    facts: list[tuple[str, object]] = [("ledger", made.database), ("trust file", made.trust_file)]
    facts += [("root key", path) for path in made.root_files]
    print_facts(facts + [(f"{role} key", path) for role, path in made.key_files.items()])
    whose = "The root key approves" if len(made.root_files) == 1 else f"{made.threshold} root keys approve"
    print(f"\n{whose} every other key, and root keys belong offline: take {made.root_files[0].parent} away and bring")
    print("it back only to add, rotate or retire a key. Give the trust file to your auditors, by another road than")
    print("the ledger. Keep a copy of the entry and checkpoint keys: without them the ledger can not go on.")
    if made.key_files["entry"].suffix == IN_HARDWARE:
        print("They are in the token: these files say where, and only the token's own tools can copy it.")


def _print_json(made: Founded) -> None:
    roots = [{"kid": path.stem, "file": str(path)} for path in made.root_files]
    keys = {"root": roots[0], **{role: {"kid": path.stem, "file": str(path)} for role, path in made.key_files.items()}}
    paths = {"ledger": str(made.database), "trust_file": str(made.trust_file)}
    print_json({"origin": made.origin, **paths, "threshold": made.threshold, "root_keys": roots, "keys": keys})
