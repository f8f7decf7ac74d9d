"""The books of a ledger, for the accountants' tools: read from the entries, and written in one of `FORMATS`."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO, Final, TypeAlias

from signed_ledger.books.beancount import beancount_text
from signed_ledger.books.events import Batch, Closed, Event, Opened, Posting
from signed_ledger.books.hledger import hledger_text
from signed_ledger.books.parquet import write_parquet
from signed_ledger.books.reading import read_books
from signed_ledger.books.rows import csv_text

Write: TypeAlias = Callable[[Iterable[Event], BinaryIO], None]
"""Writes books to a file as they come."""


def _write_text(render: Callable[[Iterable[Event]], Iterator[str]], books: Iterable[Event], file: BinaryIO) -> None:
    for text in render(books):
        file.write(text.encode())


TEXT_FORMATS: Final[dict[str, Write]] = {
    "hledger": partial(_write_text, hledger_text),
    "beancount": partial(_write_text, beancount_text),
    "csv": partial(_write_text, csv_text),
}
FORMATS: Final[dict[str, Write]] = {**TEXT_FORMATS, "parquet": write_parquet}

__all__ = ["FORMATS", "TEXT_FORMATS", "Batch", "Closed", "Event", "Opened", "Posting", "read_books"]
