"""`export`: the books of the whole ledger for other programs, or its log as files for a web server."""

import argparse
import asyncio
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
from signed_ledger.cli.outcome import DONE
from signed_ledger.cli.output import print_facts, print_json
from signed_ledger.cli.progress import entries_told
from signed_ledger.cli.reading import opened_reader, read_registry
from signed_ledger.config import Settings
from signed_ledger.disk import whole_file
from signed_ledger.errors import IntegrityViolation, Invalid
from signed_ledger.publishing import Exported, Published, export_tiles, read_newest, verified_checkpoint

ABOUT: Final = """\
Reads only, needs no key, and works on a ledger that is being served. It refuses a ledger whose chain, digests, sums or
signed balances do not agree, and then writes nothing. It checks no signature: it is signed-ledger verify that proves
a ledger. hledger and beancount count debits positive, so there amounts have the other sign than in the ledger; csv and
parquet have the ledger's own: positive is owed to the owner."""
TILES_ABOUT: Final = """\
--tiles brings DIR to the newest checkpoint: checkpoint, tile/<L>/<N> and tile/entries/<N> as they are served, for a web
server or a mirror (C2SP tlog-tiles). It goes on from the checkpoint that is in DIR. Parts of entries, which tell of
persons, are in none of the files."""
EXAMPLE: Final = """\
signed-ledger export --format hledger --out books.journal && hledger -f books.journal check --strict
signed-ledger export --format beancount --out books.beancount && bean-check books.beancount
signed-ledger export --tiles /srv/log"""
STDOUT: Final = "-"
DATABASE_FILES: Final = ("", "-wal", "-shm", "-journal")


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "export",
        export,
        "write the books of the whole ledger, or its log",
        more=f"{ABOUT} {TILES_ABOUT}",
        example=EXAMPLE,
        facts=True,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--format", choices=FORMATS, help=f"the books: {', '.join(FORMATS)}", metavar="FORMAT")
    what.add_argument("--tiles", type=Path, metavar="DIR", help="the newest checkpoint and its tiles, as files in DIR")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="a new file, mode 0600 (default: standard output; not for parquet)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE where it is there")


def export(options: argparse.Namespace, settings: Settings) -> int:
    _check_options(options)
    if options.tiles is not None:
        return _export_log(options, settings)
    with (
        _target(options, settings) as file,
        entries_told(settings.database) as progress,
        closing(read_books(settings.database, busy_timeout_ms=settings.busy_timeout_ms, progress=progress)) as books,
    ):
        FORMATS[options.format](books, file)
    return 0


def _check_options(options: argparse.Namespace) -> None:
    if options.tiles is not None and options.out is not None:
        raise Invalid("--out", "goes with --format")
    if options.tiles is not None and options.force:
        raise Invalid("--force", "goes with --format")
    if options.tiles is None and options.json:
        raise Invalid("--json", "goes with --tiles: books have formats of their own")


# --- the log -------------------------------------------------------------------------------------------------------


def _export_log(options: argparse.Namespace, settings: Settings) -> int:
    newest, done = asyncio.run(_write_log(options.tiles, settings))
    facts = [("folder", str(options.tiles)), ("origin", newest.checkpoint.origin), *done._asdict().items()]
    print_json(dict(facts)) if options.json else print_facts(facts)
    return DONE


async def _write_log(folder: Path, settings: Settings) -> tuple[Published, Exported]:
    async with opened_reader(settings) as reader:
        kept = await read_newest(reader)
        if kept is None:
            raise Invalid("--tiles", "no checkpoint has been published yet: run signed-ledger checkpoint")
        keyring = await read_registry(settings)
        with entries_told(settings.database) as progress:
            try:
                newest = verified_checkpoint(kept, keyring)
            except Invalid as error:
                raise IntegrityViolation(f"{settings.database}: {error}; see signed-ledger verify") from error
            return newest, await export_tiles(reader, newest, keyring, folder, progress)


# --- the books -----------------------------------------------------------------------------------------------------


@contextmanager
def _target(options: argparse.Namespace, settings: Settings) -> Iterator[BinaryIO]:
    """What to write to; it is seen when the whole of it is there."""
    if options.out not in (None, STDOUT):
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
