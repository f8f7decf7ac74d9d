"""Reading a ledger's file that may be hostile, seq by seq: nothing is decoded here, nothing believed.

The audit's only I/O. One read transaction, so that a ledger can be audited while it is served. A view in a table's
place, columns of another type, rows without a seq, an endless blob, a torn page: each is a fault, none an exception.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from signed_ledger.audit.connecting import SQLITE_ERRORS, connect
from signed_ledger.audit.steps import Step, Tally, printable
from signed_ledger.errors import Invalid
from signed_ledger.tables import LEDGER_TABLES, LOG_TABLES, TABLES, Row, Table

STRUCTURE_FAULTS_MAX: Final = 100

ROWS_KEPT_MAX: Final = 100
"""Of one seq and table, where a genuine ledger has one row at most."""
_OF_THE_MACHINE: Final = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
)
"""Errors that say nothing of the ledger: no room for a sort, no memory."""
_BYTES_MAX: Final = {"note": 4_096, "body": 65_535, "state": 65_535, "evidence": 65_535, "root": 32, "hashes": 8_192}


class Position(NamedTuple):
    """All that stands at one seq: for each of `TABLES` its rows, or `None` where the table can not be read."""

    seq: int
    rows: tuple[list[Row] | None, ...]

    @property
    def has_entry(self) -> bool:
        """Whether there is what may be an entry, readable or not."""
        return self.seq >= 0 and bool(self.rows[0])


class Stretch(NamedTuple):
    """The positions from seq `first` on and before `end`; `None` is no bound, on that side."""

    first: int | None = None
    end: int | None = None

    @property
    def condition(self) -> str:
        after = "" if self.first is None else f" AND seq >= {self.first}"
        return after if self.end is None else f"{after} AND seq < {self.end}"


class LedgerFile:
    """A ledger's file, open for reading. What is wrong with its structure goes to `tally`."""

    def __init__(self, path: Path, tally: Tally, start: int = 0, *, counts_rows: bool = True) -> None:
        """`start` is the first seq that is asked about: what is read then does not grow with what is before.

        `counts_rows` is whether rows that stand nowhere are looked for, where nothing is passed over.
        Raises `Invalid` where there is no such file, or nothing in it that could be a ledger.
        """
        self._tally = tally
        self._start = start
        self._counts_rows = counts_rows and not start
        self._connection, self.ignores_log = connect(path)
        try:
            self._kinds = _kinds_of_tables(self._connection)
            if not any(table.name in self._kinds for table in TABLES):
                raise Invalid(str(path), "is a database, but none of a ledger's tables is in it")
            self._readable = {table.name: self._is_readable(table) for table in TABLES}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def other_tables(self) -> list[str]:
        """What else is in the file, and is not read."""
        ours = {table.name for table in TABLES}
        return sorted(printable(name) for name in self._kinds if name not in ours and not name.startswith("sqlite_"))

    def last_seq(self) -> int:
        """The seq that the newest entry claims; -1 where there is none. For progress, nothing else."""
        if not self._readable["entries"]:
            return -1
        try:
            (row,) = self.query("SELECT max(seq) FROM main.entries WHERE typeof(seq) = 'integer'")
        except SQLITE_ERRORS:
            return -1
        return -1 if row[0] is None else int(row[0])

    def positions(self, stretch: Stretch | None = None) -> Iterator[Position]:
        """Give what stands at each seq, ascending; of a `stretch` only, where one is given.

        Ends early where `entries` or `parts` can be read no further.
        """
        selects = [self._select(table) if stretch is None else self._select_in(table, stretch) for table in TABLES]
        pairs = zip(TABLES, selects, strict=True)
        streams = [_Stream(self._connection, table, self._tally, select) for table, select in pairs]
        needed = streams[: len(LEDGER_TABLES)]
        while all(stream.is_readable for stream in needed):
            ahead = [stream.seq for stream in streams if stream.seq is not None]
            if not ahead:
                return
            seq = min(ahead)
            yield Position(seq, tuple([s.take(seq) if s.seq == seq else s.nothing for s in streams]))

    def can_read(self, table: Table) -> bool:
        return self._readable[table.name]

    def note_and_body(self, seq: int) -> tuple[Any, Any]:
        """Read an entry again, of which the body may be gone. What it gives is not believed either."""
        statement = (
            "SELECT e.note, p.body FROM main.entries AS e LEFT JOIN main.parts AS p ON p.seq = e.seq WHERE e.seq = ?"
        )
        try:
            rows = self.query(statement, seq)
        except SQLITE_ERRORS:
            return None, None
        return (rows[0][0], rows[0][1]) if rows else (None, None)

    def key_seqs(self) -> tuple[int, ...]:
        """Where key, terms and erasure entries stand, by the derived rows: not believed, and not all if unreadable."""
        statement = "SELECT seq FROM main.keys WHERE typeof(seq) = 'integer' ORDER BY seq"
        return tuple(seq for (seq,) in self.rows(statement)) if self._readable["keys"] else ()

    def claimed_erasures(self) -> Iterator[Row]:
        """Seq, note and body of what the derived rows call erasures: before the entries are read, and not believed."""
        statement = (
            "SELECT e.seq, e.note, p.body FROM main.keys AS k CROSS JOIN main.entries AS e ON e.seq = k.seq "
            "JOIN main.parts AS p ON p.seq = e.seq WHERE k.kind = 'erasure'"
        )
        if not all(self._readable[name] for name in ("keys", "entries", "parts")):
            return
        try:
            yield from self._connection.execute(statement)
        except SQLITE_ERRORS:  # told where the tables are read
            return

    def rows(self, statement: str, *values: object) -> Iterator[Row]:
        """Read again, row by row; ends early where the file can be read no further, which was told before."""
        with suppress(*SQLITE_ERRORS):
            yield from self._connection.execute(statement, values)

    def check_structure(self) -> None:
        """Have SQLite compare tables with their indexes and types, and follow every page."""
        try:
            said = [row[0] for row in self.query(f"PRAGMA main.integrity_check({STRUCTURE_FAULTS_MAX})")]
        except SQLITE_ERRORS as error:
            said = [str(error)]
        for line in said:
            if line != "ok":
                self._tally.fault(None, Step.DECISIONS, f"the database's own structure is damaged: {line}")

    def query(self, statement: str, *values: object) -> list[Row]:
        """Raises any of `SQLITE_ERRORS`."""
        return self._connection.execute(statement, values).fetchall()

    def _select(self, table: Table) -> str | None:
        """What reads a table from the start on; `None` for one that is not read, or not by seq."""
        if not self._readable[table.name]:
            return None
        if not self._start:
            return _select(table, "")
        if table.name == "tiles":
            levels = [f"(level = {level} AND number >= {self._start >> 8 * (level + 1)})" for level in range(8)]
            return _select(table, f"AND ({' OR '.join(levels)}) AND seq >= {self._start}")
        return _select(table, f"AND seq >= {self._start}") if table.columns[0] == "seq" else None

    def _select_in(self, table: Table, stretch: Stretch) -> str | None:
        return _select(table, stretch.condition) if self._readable[table.name] else None

    def _is_readable(self, table: Table) -> bool:
        reason = self._unreadable(table)
        if reason:
            self._tally.fault(None, _step_of(table), f"{table.name} {reason}")
        return not reason

    def _unreadable(self, table: Table) -> str:
        kind = self._kinds.get(table.name)
        if kind != "table":
            return f"is a {printable(kind)}, not a table" if kind else "is missing"
        try:
            return self._unknown_columns(table) or (self._rows_without_seq(table) if self._counts_rows else "")
        except SQLITE_ERRORS as error:
            return f"can not be read: {error}"

    def _unknown_columns(self, table: Table) -> str:
        columns: dict[str, int] = dict(self.query("SELECT name, hidden FROM pragma_table_xinfo(?)", table.name))
        missing = [column for column in table.columns if columns.get(column) != 0]
        unknown = [column for column in columns if column not in table.columns]
        return f"lacks the columns {missing} and has {unknown} that no ledger has" if missing or unknown else ""

    def _rows_without_seq(self, table: Table) -> str:
        """Count rows that stand nowhere; they are a fault, but the others are read all the same."""
        statement = f"SELECT count(*) FROM main.{table.name} NOT INDEXED WHERE typeof(seq) <> 'integer'"  # noqa: S608  names of ours
        count = self.query(statement)[0][0]
        if count:
            self._tally.fault(None, _step_of(table), f"{table.name} has {count} rows whose seq is not an integer")
        return ""


class _Stream:
    """One table's rows in order of seq, one row ahead."""

    __slots__ = ("_cursor", "_next", "_table", "_tally", "is_readable", "nothing", "seq")

    def __init__(self, connection: sqlite3.Connection, table: Table, tally: Tally, select: str | None) -> None:
        self._table = table
        self._tally = tally
        self._cursor = connection.cursor()
        self._next: Row = ()
        self.seq: int | None = -(2**63)
        self.is_readable = select is not None
        self.nothing: list[Row] | None = None if select is None else []  # what stands at any seq but the next
        self._start(select)

    def take(self, seq: int) -> list[Row] | None:
        """Give the rows at `seq`, the first `ROWS_KEPT_MAX` of them; ahead is then the next seq."""
        rows: list[Row] = []
        while self.seq == seq:
            if len(rows) < ROWS_KEPT_MAX:
                rows.append(self._next)
            self._advance()
        return rows if self.is_readable else None

    def _start(self, select: str | None) -> None:
        if select is None:
            self.seq = None
            return
        try:
            self._cursor.execute(select)
        except SQLITE_ERRORS as error:
            self._break_off(error)
        else:
            self._advance()

    def _advance(self) -> None:
        try:
            row = next(self._cursor, None)
        except SQLITE_ERRORS as error:
            self._break_off(error)
            return
        if row is None:
            self.seq = None
        elif self.seq is not None and row[0] < self.seq:
            self._break_off(Invalid("seq", "is not in order"))
        else:
            self.seq, self._next = row[0], row[1:]

    def _break_off(self, error: Exception) -> None:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_MACHINE:
            raise Invalid(self._table.name, f"could not be read: {error}") from error
        self._tally.fault(None, _step_of(self._table), f"{self._table.name} can not be read to its end: {error}")
        self.seq, self.is_readable, self.nothing = None, False, None


def _step_of(table: Table) -> Step:
    if table in LEDGER_TABLES:
        return Step.ENTRIES
    return Step.LOG if table in LOG_TABLES else Step.DECISIONS


def _select(table: Table, more: str) -> str:
    """NOT INDEXED: an index may be made to say something else than the table that the service reads."""
    columns = ", ".join(guarded(column) for column in table.columns)
    where = f"typeof(seq) = 'integer' {more}"
    return f"SELECT seq, {columns} FROM main.{table.name} NOT INDEXED WHERE {where} ORDER BY seq"  # noqa: S608  names of ours


def guarded(column: str) -> str:
    """A blob that can be what it should be is read; any other is 0, unread."""
    size = _BYTES_MAX.get(column)
    if size is None:
        return column
    fits = f"typeof({column}) = 'blob' AND length({column}) <= {size}"
    return f"CASE WHEN {column} IS NULL THEN NULL WHEN {fits} THEN {column} ELSE 0 END"


def _kinds_of_tables(connection: sqlite3.Connection) -> dict[str, str]:
    # Not pragma_table_list: it prepares every view, and views upon views can be made to take hours.
    statement = (
        "SELECT lower(name), type, sql LIKE 'create virtual%' FROM sqlite_schema WHERE type IN ('table', 'view')"
    )
    return {str(name): "virtual" if virtual else str(kind) for name, kind, virtual in connection.execute(statement)}
