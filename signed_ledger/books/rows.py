"""The books as rows, one for each journal line, in the ledger's own names and signs: positive is owed to the owner."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Final, NamedTuple

from signed_ledger.books.events import Batch, Event
from signed_ledger.encoding import encode_time


class Row(NamedTuple):
    """A journal line of entry `seq`; `batch` to `scheme` tell of the transaction that posted it, at `time`.

    The amount is a decimal string with exactly the currency's minor digits.
    """

    seq: int
    time: int
    batch: int
    type: str
    transaction_id: str
    scheme: str | None
    account: str
    currency: str
    amount: str


COLUMNS: Final = Row._fields


def rows_of(books: Iterable[Event]) -> Iterator[Row]:
    for event in books:
        if isinstance(event, Batch):
            cause = (event.seq, event.type, event.transaction_id, event.scheme)
            for posting in event.postings:
                yield Row(posting.seq, event.time, *cause, *posting.account, posting.amount.amount)


def csv_text(books: Iterable[Event]) -> Iterator[str]:
    """RFC 4180 with `\\n`; times as in the entries, no Scheme is an empty field."""
    yield _line(COLUMNS)
    for row in rows_of(books):
        yield _line(row._replace(time=encode_time(row.time)))  # type: ignore[arg-type]


def _line(fields: Iterable[object]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()
