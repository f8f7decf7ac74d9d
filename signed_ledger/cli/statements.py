"""`statement`: an account's movements between two balances, as a table, JSON or CSV."""

import argparse
import asyncio
import csv
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Final

from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.output import print_facts, print_json, print_table, shortened
from signed_ledger.cli.reading import moment_of
from signed_ledger.cli.statement_reading import read_statement
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, Malformed

Document = dict[str, Any]

CSV_COLUMNS: Final = (
    "seq",
    "time",
    "batch",
    "type",
    "transaction_id",
    "merchant_name",
    "amount",
    "balance",
    "currency",
)
FREE_TEXTS: Final = ("transaction_id", "merchant_name")
FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "'")
"""What a spreadsheet takes for the beginning of a formula, and the apostrophe that says that it is none."""

LAYOUTS: Final = (
    ("seq", "time", "type", "amount", "balance"),
    ("seq", "date", "type", "amount", "balance"),
    ("seq", "date", "amount", "balance"),
)
"""The columns before the last one, from the widest on: the last layout fits 80 columns whatever the amounts are."""
ABOUT_WIDTH_MIN: Final = 10
GAP: Final = 2


def add_commands(commands: Commands) -> None:
    stated = add_command(
        commands,
        "statement",
        statement,
        "show how an account moved: opening balance, each movement with the balance after it, closing balance",
        example="signed-ledger statement card-1 EUR --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z",
        more="A movement is about its merchant or, where none is known, its transaction. Each row's seq is the entry "
        "whose signed state proves the balance. Everything that is shown is verified first.",
    )
    stated.add_argument("card_id", metavar="CARD_ID")
    stated.add_argument("currency", metavar="CURRENCY")
    stated.add_argument("--from", dest="start", metavar="TIME", help="from this time (RFC 3339) or seq on")
    stated.add_argument("--to", dest="end", metavar="TIME", help="only what is before this time or seq (default: now)")
    form = stated.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV (RFC 4180)")


def statement(options: argparse.Namespace, settings: Settings) -> int:
    document = asyncio.run(_read(options, settings))
    if options.json:
        print_json(document)
    elif options.csv:
        _print_csv(document)
    else:
        _print_table(document, shutil.get_terminal_size().columns)
    return 0


async def _read(options: argparse.Namespace, settings: Settings) -> Document:
    start, end = moment_of(options.start, "--from"), moment_of(options.end, "--to")
    try:
        return await read_statement(settings, options.card_id, options.currency, start, end)
    except Malformed as error:
        raise Invalid(f"--{error.field}", error.detail) from None


# --- CSV -----------------------------------------------------------------------------------------------------------


def _print_csv(document: Document) -> None:
    rows = csv.DictWriter(sys.stdout, CSV_COLUMNS, restval="", lineterminator="\r\n")
    rows.writeheader()
    for row in _rows(document):
        texts = {name: _harmless(text) for name, text in row.items() if name in FREE_TEXTS}
        rows.writerow({**row, **texts, "currency": document["currency"]})


def _rows(document: Document) -> list[Document]:
    """The opening balance, the movements, the closing balance; the two have a type of their own."""
    opening, closing = (
        {"seq": document[name]["seq"], "type": name, "balance": document[name]["posted"]}
        for name in ("opening", "closing")
    )
    return [opening, *document["movements"], closing]


def _harmless(text: str) -> str:
    """A text that a spreadsheet could run stands behind an apostrophe; so does one that begins with an apostrophe, so
    that taking one off gives the text back."""
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


# --- the table -----------------------------------------------------------------------------------------------------


def _print_table(document: Document, width: int) -> None:
    """Print a table that is no wider than `width`: what a movement is about stands last, and is shortened to fit."""
    rows = [_cells(row) for row in _rows(document)]
    names, left = _layout(rows, width)
    table = [[*(row[name] for name in names), shortened(row["about"], left)] for row in rows]
    print_facts((name, document[name]) for name in ("card_id", "currency", "from", "to"))
    print()
    print_table((*names, "about"), table, right=("seq", "amount", "balance"))
    print()
    print_facts((name, document["closing"][name]) for name in ("held", "available"))
    if "erased_to" in document:
        print(
            f"\nWhat moved up to entry {document['erased_to']} was erased on request; the opening balance is after it."
        )


def _cells(row: Document) -> dict[str, str]:
    time = row.get("time", "")
    return {
        "seq": "" if row["seq"] is None else str(row["seq"]),
        "time": time and f"{time[:19]}Z",
        "date": time[:10],
        "type": row["type"],
        "amount": row.get("amount", ""),
        "balance": row["balance"],
        "about": row.get("merchant_name") or row.get("transaction_id", ""),
    }


def _layout(rows: Sequence[dict[str, str]], width: int) -> tuple[Sequence[str], int]:
    """The first layout that leaves enough room for what a movement is about, else the last; and that room."""
    for names in LAYOUTS:
        widths = [max(len(text) for text in (name, *(row[name] for row in rows))) for name in names]
        left = width - sum(widths) - GAP * len(widths)
        if left >= ABOUT_WIDTH_MIN:
            break
    return names, max(left, ABOUT_WIDTH_MIN)
