"""The books' rows as Parquet. The one module that imports pyarrow, which is the extra `parquet`, and only when used."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, Final

from signed_ledger.books.events import Event
from signed_ledger.books.rows import COLUMNS, Row, rows_of
from signed_ledger.errors import Invalid

ROWS_PER_GROUP: Final = 65_536


def write_parquet(books: Iterable[Event], file: BinaryIO) -> None:
    """Write the rows of `rows`, their times as timestamps, their amounts as decimals: exact, and fit to be summed.

    Raises `Invalid` where pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema(list(zip(COLUMNS, _types(arrow), strict=True)))
    rows = rows_of(books)
    with parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, ROWS_PER_GROUP)):
            columns = zip(*map(_valued, group), strict=True)
            arrays = [arrow.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # here, since only this format needs it
        from pyarrow import parquet
    except ImportError:
        raise Invalid("--format", "parquet needs pyarrow: pip install 'signed-ledger[parquet]'") from None
    return pyarrow, parquet


def _types(arrow: Any) -> list[Any]:
    """In the order of `COLUMNS`. No currency has more than 4 minor digits, no amount more than 63 bits of units."""
    number, text, time = arrow.int64(), arrow.string(), arrow.timestamp("us", tz="UTC")
    return [number, time, number, text, text, text, text, text, arrow.decimal128(38, 4)]


def _valued(row: Row) -> tuple[object, ...]:
    return (*row[:-1], Decimal(row.amount))
