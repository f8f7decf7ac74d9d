"""The command line: which command, and the settings it runs with."""

import os
from collections.abc import Sequence

from signed_ledger import __version__
from signed_ledger.cli import (
    auditing,
    card_commands,
    cards,
    erasing,
    exporting,
    founding,
    key_commands,
    log_auditing,
    publishing,
    receipts,
    reconciling,
    serving,
    settling,
    statements,
    term_commands,
    witnessing,
)
from signed_ledger.cli.arguments import STATUS, Parser
from signed_ledger.cli.outcome import exit_status
from signed_ledger.config import read_settings

EXAMPLE = """first steps:
  export SIGNED_LEDGER_DATABASE=ledger.db SIGNED_LEDGER_KEYS=keys
  signed-ledger init --origin issuer.example/ledger
  signed-ledger keys add scheme acme acme-public.pem
  signed-ledger load-money card-1 100.00 EUR
  signed-ledger serve"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit status: 0 done, 1 the answer is no, 2 it could not be asked."""
    options = make_parser().parse_args(arguments)
    return exit_status(lambda: int(options.run(options, read_settings(os.environ))))


def make_parser() -> Parser:
    parser = Parser(
        prog="signed-ledger",
        description="A card Issuer's cryptographically signed, append-only ledger.",
        epilog=f"{EXAMPLE}\n\n{STATUS}",
    )
    parser.add_argument("--version", action="version", version=f"signed-ledger {__version__}")
    parser.set_defaults(json=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for part in (
        *(founding, serving, cards, card_commands, term_commands, statements),
        *(settling, reconciling, publishing, auditing, log_auditing, receipts),
        *(exporting, key_commands, erasing, witnessing),
    ):
        part.add_commands(commands)
    return parser
