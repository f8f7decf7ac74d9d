"""When: moments, and the entries that they lead to. Times are found by halving.

An entry's time never goes back, so no index of times is needed.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from functools import partial
from typing import NamedTuple, TypeAlias

from signed_ledger.encoding import decode_entry
from signed_ledger.errors import Invalid


class AtSeq(NamedTuple):
    """The ledger as entry `seq` left it."""

    seq: int


class AtTime(NamedTuple):
    """The ledger as it was at `time`, microseconds since 1970 UTC: after the last entry that is not later."""

    time: int


Moment: TypeAlias = AtSeq | AtTime


class Span(NamedTuple):
    """The entries from seq `first` up to, not including, `end`."""

    first: int
    end: int


def head_seq(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM entries").fetchone()
    return -1 if row[0] is None else int(row[0])


def newest_at(connection: sqlite3.Connection, moment: Moment | None) -> int:
    """The seq of the newest entry at that moment, by default now; -1 where there was none."""
    head = head_seq(connection)
    if moment is None:
        return head
    if isinstance(moment, AtSeq):
        return min(moment.seq, head)
    return bisect_right(range(head + 1), moment.time, key=partial(time_of, connection)) - 1


def first_from(connection: sqlite3.Connection, moment: Moment) -> int:
    """The seq of the first entry that is not before that moment; one after the newest where there is none."""
    head = head_seq(connection)
    if isinstance(moment, AtSeq):
        return min(moment.seq, head + 1)
    return bisect_left(range(head + 1), moment.time, key=partial(time_of, connection))


def time_of(connection: sqlite3.Connection, seq: int) -> int:
    row = connection.execute("SELECT note FROM entries WHERE seq = ?", (seq,)).fetchone()
    if row is None or type(row[0]) is not bytes:
        raise Invalid("entry", f"{seq} is missing")
    return decode_entry(row[0]).entry.time


def find_span(connection: sqlite3.Connection, start: Moment | None, end: Moment | None) -> Span:
    """The entries from `start` up to, not including, `end`; by default all that there are.

    `first` is beyond `end` where the moments stand the wrong way round and an entry lies between them.
    """
    first = 0 if start is None else first_from(connection, start)
    return Span(first, head_seq(connection) + 1 if end is None else first_from(connection, end))
