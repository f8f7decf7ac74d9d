"""The command line: which command, and the settings it runs with."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from signed_ledger import __version__
from signed_ledger.cli.arguments import STATUS, Parser
from signed_ledger.cli.outcome import exit_status
from signed_ledger.config import read_settings

MODULES: Final = {
    "founding": ("init",),
    "serving": ("serve",),
    "cards": ("load-money", "balance", "transactions"),
    "card_commands": ("card",),
    "term_commands": ("terms",),
    "statements": ("statement",),
    "settling": ("expire", "settle"),
    "reconciling": ("reconcile",),
    "publishing": ("checkpoint",),
    "auditing": ("verify", "rebuild"),
    "log_auditing": ("audit",),
    "receipts": ("receipt", "check-receipt"),
    "exporting": ("export",),
    "key_commands": ("keys",),
    "erasing": ("erase",),
    "witnessing": ("witness",),
}
"""Which module has which commands. A command loads its own module only: most need no HTTP, which half of a start is."""

EXAMPLE = """first steps:
  export SIGNED_LEDGER_DATABASE=ledger.db SIGNED_LEDGER_KEYS=keys
  signed-ledger init --origin issuer.example/ledger
  signed-ledger keys add scheme acme acme-public.pem
  signed-ledger load-money card-1 100.00 EUR
  signed-ledger serve"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit status: 0 done, 1 the answer is no, 2 it could not be asked."""
    given = sys.argv[1:] if arguments is None else arguments
    options = make_parser(given[0] if given else None).parse_args(given)
    return exit_status(lambda: int(options.run(options, read_settings(os.environ))))


def make_parser(command: str | None = None) -> Parser:
    """A parser of `command` and its module's others; of all of them where it is none, to list them."""
    parser = Parser(
        prog="signed-ledger",
        description="A card Issuer's cryptographically signed, append-only ledger.",
        epilog=f"{EXAMPLE}\n\n{STATUS}",
    )
    parser.add_argument("--version", action="version", version=f"signed-ledger {__version__}")
    parser.set_defaults(json=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    own = [module for module, names in MODULES.items() if command in names]
    for module in own or MODULES:
        import_module(f"signed_ledger.cli.{module}").add_commands(commands)
    return parser
