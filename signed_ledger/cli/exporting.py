"""`export`: the books of the whole ledger, for hledger, beancount, spreadsheets and data frames."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

from signed_ledger.books import FORMATS, TEXT_FORMATS, read_books
from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.progress import entries_told
from signed_ledger.config import Settings
from signed_ledger.disk import whole_file
from signed_ledger.errors import Invalid

ABOUT: Final = """\
Reads only, needs no key, and works on a ledger that is being served. It refuses a ledger whose chain, digests, sums or
signed balances do not agree, and then writes nothing. It checks no signature: it is signed-ledger verify that proves
a ledger. hledger and beancount count debits positive, so there amounts have the other sign than in the ledger; csv and
parquet have the ledger's own: positive is owed to the owner."""
EXAMPLE: Final = """\
signed-ledger export --format hledger --out books.journal && hledger -f books.journal check --strict
signed-ledger export --format beancount --out books.beancount && bean-check books.beancount"""
STDOUT: Final = "-"
DATABASE_FILES: Final = ("", "-wal", "-shm", "-journal")


def add_commands(commands: Commands) -> None:
    parser = add_command(commands, "export", export, "write the books of the whole ledger", more=ABOUT, example=EXAMPLE)
    parser.add_argument("--format", required=True, choices=FORMATS, help=", ".join(FORMATS), metavar="FORMAT")
    parser.add_argument(
        "--out",
        metavar="FILE",
        default=STDOUT,
        help="a new file, mode 0600 (default: standard output; not for parquet)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE where it is there")


def export(options: argparse.Namespace, settings: Settings) -> int:
    with (
        _target(options, settings) as file,
        entries_told(settings.database) as progress,
        closing(read_books(settings.database, busy_timeout_ms=settings.busy_timeout_ms, progress=progress)) as books,
    ):
        FORMATS[options.format](books, file)
    return 0


@contextmanager
def _target(options: argparse.Namespace, settings: Settings) -> Iterator[BinaryIO]:
    """What to write to; it is seen when the whole of it is there."""
    if options.out != STDOUT:
        path = Path(options.out)
        _check_path(path, settings.database, options.force)
        with whole_file(path, replace=options.force) as file:
            yield file
    elif options.format in TEXT_FORMATS:
        with TemporaryFile() as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            shutil.copyfileobj(TextIOWrapper(file, encoding="utf-8", newline=""), sys.stdout)
    else:
        raise Invalid("--out", f"must name a file: {options.format} is not for a terminal or a pipe")


def _check_path(path: Path, database: Path, force: bool) -> None:
    if path.exists() and not path.is_file():
        raise Invalid("--out", f"{path} is not a file")
    if path.exists() and any(_is_same(path, Path(f"{database}{suffix}")) for suffix in DATABASE_FILES):
        raise Invalid("--out", f"{path} is the ledger itself")
    if path.exists() and not force:
        raise Invalid("--out", f"{path} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise Invalid("--out", f"there is no folder {path.parent}")


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)
