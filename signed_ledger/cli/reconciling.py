"""`reconcile`: the Scheme's own file of the day against the transactions of its settlement."""

import argparse
import asyncio
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.outcome import DONE, REFUSED
from signed_ledger.cli.output import print_json, print_table
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.settling import check_registered, read_day
from signed_ledger.cli.wiring import opened_store, registry
from signed_ledger.config import Settings
from signed_ledger.daily import Difference, Line, Posting, read_postings, read_scheme_file, reconcile, settlement_span
from signed_ledger.daily.reconciling import MATCHED, RESULTS
from signed_ledger.records import Settlement

COLUMNS: Final = ("result", "type", "transaction_id", "posting_id", "seq", "line", "field", "ours", "theirs")
FORMATS: Final = ("table", "csv", "json")


class Reconciled(NamedTuple):
    """How many transactions had which result, and the lines to be told."""

    settlement: Settlement
    seq: int
    counts: Counter[str]
    lines: list[Line]


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "reconcile",
        run_reconcile,
        "compare a Scheme's own file of the day with its settlement: matched, missing, different",
        more="The file is CSV with the columns type (presentment or refund), transaction_id, posting_id (it may be "
        "empty), settlement_amount, settlement_currency and, if you like, interchange_amount. Exit status 0 says that "
        "all matched, 1 that something did not, 2 that the file or the day can not be read.",
        example="signed-ledger reconcile acme-2026-11-23.csv --scheme acme --date 2026-11-23",
        facts=True,
    )
    parser.add_argument("file", type=Path, metavar="SCHEME_FILE", help="the Scheme's file")
    parser.add_argument("--scheme", required=True, metavar="NAME", help="as its key was registered")
    parser.add_argument("--date", metavar="D", help="the business day, which must be settled (default: the newest)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: table; --json is --format json")
    parser.add_argument("--all", action="store_true", help="list what matched, too")


def run_reconcile(options: argparse.Namespace, settings: Settings) -> int:
    """Reconcile; give 0 where all matched, else 1. Raises `Invalid` for what can not be compared."""
    day = read_day(options.date)
    reconciled = asyncio.run(_reconcile(options, settings, day))
    {"table": _print_table, "csv": _print_csv, "json": _print_json}["json" if options.json else options.format](
        reconciled
    )
    return DONE if set(reconciled.counts) <= {MATCHED} else REFUSED


async def _reconcile(options: argparse.Namespace, settings: Settings, day: date | None) -> Reconciled:
    async with opened_reader(settings) as reader:
        settlements = await reader.settlements(options.scheme)
        async with opened_store(settings) as store:  # after them: it then knows every key that signed what they settle
            keyring = await registry(store, settings)
        check_registered(keyring, options.scheme)
        span = settlement_span(settlements, options.scheme, day)
        settlement, ours = await read_postings(reader, keyring, options.scheme, span)
    counts: Counter[str] = Counter()
    lines = list(_counted(reconcile(ours, read_scheme_file(options.file)), counts, options.all))
    return Reconciled(settlement, span[1], counts, lines)


def _counted(lines: Iterable[Line], counts: Counter[str], tell_all: bool) -> Iterator[Line]:
    for line in lines:
        counts[line.result] += 1
        if tell_all or line.result != MATCHED:
            yield line


# --- telling -------------------------------------------------------------------------------------------------------


def _print_table(reconciled: Reconciled) -> None:
    settlement = reconciled.settlement
    print(f"{settlement.date} with {settlement.scheme}, settled at seq {reconciled.seq}:\n")
    print_table(("result", "count"), [(name, reconciled.counts[name]) for name in RESULTS], right=("count",))
    if reconciled.lines:
        print()
        print_table(COLUMNS, list(_rows(reconciled.lines)), right=("seq", "line", "ours", "theirs"))


def _print_csv(reconciled: Reconciled) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    writer.writerows(_rows(reconciled.lines))


def _rows(lines: Iterable[Line]) -> Iterator[list[object]]:
    """A row for each line, one for each field where some differ."""
    for line in lines:
        where = [line.result, *line.name, _at(line.ours), _at(line.theirs)]
        for difference in line.differences or [_missing(line)]:
            yield [*where, *difference]


def _missing(line: Line) -> Difference:
    """What the one side has, where there is no other to compare it with."""
    ours, theirs = ("" if side is None else str(side.settlement) for side in (line.ours, line.theirs))
    return Difference("", ours, theirs)


def _at(side: Posting | None) -> object:
    return "" if side is None else side.at


def _print_json(reconciled: Reconciled) -> None:
    settlement = reconciled.settlement
    print_json(
        {
            "scheme": settlement.scheme,
            "date": settlement.date,
            "seq": reconciled.seq,
            "counts": {name: reconciled.counts[name] for name in RESULTS},
            "lines": [_members(line) for line in reconciled.lines],
        }
    )


def _members(line: Line) -> dict[str, Any]:
    return {
        "result": line.result,
        **line.name._asdict(),
        "ours": None if line.ours is None else _side(line.ours, "seq"),
        "theirs": None if line.theirs is None else _side(line.theirs, "line"),
        "differences": [difference._asdict() for difference in line.differences],
    }


def _side(posting: Posting, at: str) -> dict[str, Any]:
    return {
        at: posting.at,
        "settlement_amount": posting.settlement.amount,
        "settlement_currency": posting.settlement.currency,
        "interchange_amount": None if posting.interchange is None else posting.interchange.amount,
    }
