"""`terms show`, `terms check`, `terms set`."""

import argparse
import asyncio
from pathlib import Path
from typing import Final

from signed_ledger.cli.arguments import Commands, Parser, add_command, add_group, add_passphrase_file
from signed_ledger.cli.output import print_facts, print_json
from signed_ledger.cli.reading import read_terms_in_force
from signed_ledger.cli.terms import RULES, encode_toml, read_terms
from signed_ledger.cli.wiring import entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings, variable_of
from signed_ledger.encoding import encode_terms
from signed_ledger.ledger import Ledger
from signed_ledger.records import Terms

OWN: Final = "the ledger's own: no entry says otherwise"


def add_commands(commands: Commands) -> None:
    terms = add_group(
        commands,
        "terms",
        "show and change the terms: how long holds last, what excess is tolerated, what interchange is due",
        example="signed-ledger terms > terms.toml\nsigned-ledger terms set terms.toml",
        run=show,
    )
    add_command(
        terms,
        "show",
        show,
        "print the terms in force as TOML, and the entry that they stand in",
        example="signed-ledger terms show > terms.toml",
        facts=True,
    )
    check = add_command(
        terms,
        "check",
        check_file,
        "check a terms file; needs no ledger",
        example="signed-ledger terms check terms.toml",
        facts=True,
    )
    _add_file(check)
    changed = add_command(
        terms,
        "set",
        set_terms,
        "put a terms file in force from the next entry on",
        more="Holds that stand keep their time. A running server takes the change up by itself; at its next start it "
        f"goes by {variable_of('terms')} again, where that is set.",
        example="signed-ledger terms set terms.toml",
        facts=True,
    )
    _add_file(changed)
    add_passphrase_file(changed)


def _add_file(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="TOML, such as docs/terms-example.toml")


def show(options: argparse.Namespace, settings: Settings) -> int:
    found = asyncio.run(read_terms_in_force(settings))
    if options.json:
        print_json({"seq": found.seq, "terms": encode_terms(found.terms)})
    else:
        print(f"# In force: {OWN if found.seq is None else f'entry {found.seq}'}.\n")
        print(encode_toml(found.terms), end="")
    return 0


def check_file(options: argparse.Namespace, _: Settings) -> int:
    terms = read_terms(options.file)
    if options.json:
        print_json({"file": str(options.file), "terms": encode_terms(terms)})
    else:
        print(f"{options.file} is good:\n")
        print_facts([("window_days", terms.window_days), *((name, len(getattr(terms, name))) for name in RULES)])
    return 0


def set_terms(options: argparse.Namespace, settings: Settings) -> int:
    seq = asyncio.run(_set(options, settings, read_terms(options.file)))
    if options.json:
        print_json({"changed": seq is not None, "seq": seq})
    elif seq is None:
        print("These terms are in force already; nothing was written.")
    else:
        print(f"The terms of {options.file} are in force after entry {seq}.")
    return 0


async def _set(options: argparse.Namespace, settings: Settings, terms: Terms) -> int | None:
    async with opened_ledger(settings, entry_signers(settings, passphrases_of(options, settings))) as ledger:
        return await record_terms(ledger, terms)


async def record_terms(ledger: Ledger, terms: Terms) -> int | None:
    """Put terms in force; give their entry's seq once it is on disk, `None` where they are in force already."""
    return None if ledger.terms == terms else (await ledger.submit(terms)).seq
