"""The Scheme's own file of the day: CSV (RFC 4180), read line by line and strictly. Nothing is guessed."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from signed_ledger.daily.reconciling import Name, Posting
from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, Fee, Money, read_amount, read_fee
from signed_ledger.records import MESSAGES
from signed_ledger.records.messages import POSTINGS
from signed_ledger.records.names import NAME

REQUIRED: Final = ("type", "transaction_id", "posting_id", "settlement_amount", "settlement_currency")
OPTIONAL: Final = ("interchange_amount",)
LINE_BYTES_MAX: Final = 4_096
_BOM: Final = b"\xef\xbb\xbf"


def read_scheme_file(path: Path) -> Iterator[Posting]:
    """Give each row, `at` its line; raise `Invalid` naming file, line and column for the first that is wrong.

    The columns are `REQUIRED` and `OPTIONAL`, in any order; a byte order mark and CRLF are accepted. `posting_id` is
    the presentment_id or refund_id and may be empty. A refund of no transaction has an empty `transaction_id`.
    """
    with path.open("rb") as file:
        rows = _rows(path, file)
        columns = _columns(path, next(rows, None))
        seen: dict[Name, int] = {}
        for line, cells in rows:
            posting = _posting(path, line, columns, cells)
            if posting.name.posting_id:
                first = seen.setdefault(posting.name, line)
                if first != line:
                    raise _wrong(path, line, "posting_id", f"is there twice: see line {first}")
            yield posting


def _rows(path: Path, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its line."""
    reader = csv.reader(_lines(path, file), strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _wrong(path, reader.line_num, None, f"is not CSV: {error}") from None
        if cells is None:
            return
        yield reader.line_num, cells


def _lines(path: Path, file: BinaryIO) -> Iterator[str]:
    number = 0
    while data := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(data) > LINE_BYTES_MAX:
            raise _wrong(path, number, None, f"is longer than {LINE_BYTES_MAX} bytes")
        try:
            yield (data.removeprefix(_BOM) if number == 1 else data).decode()
        except UnicodeDecodeError:
            raise _wrong(path, number, None, "is not UTF-8") from None


def _columns(path: Path, header: tuple[int, list[str]] | None) -> list[str]:
    if header is None:
        raise Invalid(path.name, "is empty: its first line must name the columns")
    columns = header[1]
    for name in columns:
        if name not in (*REQUIRED, *OPTIONAL):
            raise _wrong(path, 1, name, f"is none of {', '.join((*REQUIRED, *OPTIONAL))}")
        if columns.count(name) > 1:
            raise _wrong(path, 1, name, "is there twice")
    for name in REQUIRED:
        if name not in columns:
            raise _wrong(path, 1, name, "is missing")
    return columns


def _posting(path: Path, line: int, columns: list[str], cells: list[str]) -> Posting:
    if len(cells) != len(columns):
        raise _wrong(path, line, None, f"has {len(cells)} columns where the header has {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    try:
        name = _name(row)
        currency = row["settlement_currency"]
        if currency not in MINOR_DIGITS:
            raise Invalid("settlement_currency", f"{currency!r} is not a currency of ISO 4217")
        return Posting(name, _amount(row, currency), _interchange(row, currency), line)
    except Invalid as error:
        raise _wrong(path, line, error.field, error.detail) from None


def _name(row: dict[str, str]) -> Name:
    kind, transaction_id, posting_id = row["type"], row["transaction_id"], row["posting_id"]
    if kind not in POSTINGS:
        raise Invalid("type", f"{kind!r} must be one of {', '.join(POSTINGS)}")
    if not transaction_id and "transaction_id" not in MESSAGES[kind].required:
        transaction_id = posting_id  # a refund of no transaction is known by its own id alone
    for name, value in (("transaction_id", transaction_id), ("posting_id", posting_id or transaction_id)):
        if not NAME.fullmatch(value):
            raise Invalid(name, f"{value!r} must be 1 to 64 of A-Za-z0-9._-")
    return Name(kind, transaction_id, posting_id)


def _amount(row: dict[str, str], currency: str) -> Money:
    return read_amount(row["settlement_amount"], currency, "settlement_amount")


def _interchange(row: dict[str, str], currency: str) -> Fee | None:
    text = row.get("interchange_amount", "")
    return read_fee(text, currency, "interchange_amount") if text else None


def _wrong(path: Path, line: int, column: str | None, detail: str) -> Invalid:
    where = f"{path.name}, line {line}" + ("" if column is None else f", column {column}")
    return Invalid(where, detail)
