"""How the command line reads: one parser, a sentence for a wrong argument, an example with every --help."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from signed_ledger.config import Settings, variable_of

Run: TypeAlias = Callable[[argparse.Namespace, Settings], int]
"""What a command does with its arguments and the settings; gives the exit status."""

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

STATUS: Final = "Exit status: 0 done, 1 the answer is no, 2 it could not be asked."


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence on standard error that says where help is."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_command(
    commands: Commands, name: str, run: Run, about: str, *, example: str, more: str = "", facts: bool = False
) -> Parser:
    """Add the command `name`. One that prints `facts` takes --json."""
    parser = commands.add_parser(name, help=about, description=_description(about, more), epilog=_epilog(example))
    parser.set_defaults(run=run)
    if facts:
        _add_json(parser)
    return parser


def add_group(commands: Commands, name: str, about: str, *, example: str, run: Run | None = None) -> Commands:
    """Add the command `name` that has commands of its own. By itself it does `run`, where that is given."""
    parser = commands.add_parser(name, help=about, description=_description(about), epilog=_epilog(example))
    if run is not None:
        parser.set_defaults(run=run)
        _add_json(parser)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=run is None)


def _add_json(parser: argparse.ArgumentParser) -> None:
    """The default is the whole program's: one of its own would undo the --json of the group that a command is in."""
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def add_passphrase_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"mode 0600; its first line opens the keys (default: {variable_of('key_passphrase_file')}, or asked)",
    )


def _description(about: str, more: str = "") -> str:
    text = about[0].upper() + about[1:] + "."
    return "\n\n".join(textwrap.fill(part, 100) for part in (text, more) if part)


def _epilog(example: str) -> str:
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"example:\n{lines}\n\n{STATUS}\nSettings come from the environment: signed-ledger serve --help lists them."
