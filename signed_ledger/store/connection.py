"""SQLite through aiosqlite: how a ledger's file is made and opened. The one module that imports aiosqlite."""

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import aiosqlite

from signed_ledger.disk import sync_folder
from signed_ledger.errors import Busy, Fault, Invalid
from signed_ledger.failing import told
from signed_ledger.killpoints import reached
from signed_ledger.tables import TABLES, Table

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION_ID: Final = 0x534C4731  # "SLG1"
SCHEMA_VERSION: Final = 3
CACHE_KIB: Final = 65_536
ROWS_AT_ONCE: Final = 64
"""Of each table there is a prepared statement for each number of rows up to this."""


class Connection(aiosqlite.Connection):
    """A connection whose thread runs a whole step at a time: one hand-over for a group, not one for a statement."""

    async def run(self, step: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `step(connection, ...)` on the connection's thread.

        Raises `Busy` where another process held the write lock for too long, `Fault` for any other failure of SQLite.
        """
        call = cast(Awaitable[T], self._execute(partial(step, self._conn, *args, **kwargs)))  # type: ignore[no-untyped-call]
        with telling_failures():
            return await call

    @property
    def sqlite(self) -> sqlite3.Connection:
        """For a step that is not worth a hand-over, while no other runs."""
        return self._conn


@contextmanager
def at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Do not wait for the lock."""
    (waiting_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waiting_ms}")


def cut_log(connection: sqlite3.Connection, seconds: float) -> bool:
    """Take the whole write-ahead log back into the file and cut it to nothing; give whether that was done in time.

    SQLite waits for readers, but not for somebody who takes the log back just now.
    """
    deadline = time.monotonic() + seconds
    while True:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy or time.monotonic() > deadline:
            return not busy
        time.sleep(0.02)


@contextmanager
def telling_failures() -> Iterator[None]:
    """Raise what SQLite raises as `Busy` or `Fault`."""
    try:
        yield
    except sqlite3.Error as error:
        if is_busy(error):
            raise Busy("another process is writing to the ledger") from error
        raise Fault(f"the ledger's database failed: {told(error)}") from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process held the ledger: of SQLite's extended codes the low byte is the plain one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


async def connect(path: Path, *, busy_timeout_ms: int, read_only: bool = False) -> Connection:
    """Open an existing ledger; raise `Invalid` naming `database` where the file is missing or not a ledger."""
    opened = open_database(path, busy_timeout_ms=busy_timeout_ms, read_only=read_only)
    connection = Connection(lambda: opened, iter_chunk_size=64)
    await connection
    return connection


def open_database(
    path: Path, *, busy_timeout_ms: int, read_only: bool = False, any_schema: bool = False
) -> sqlite3.Connection:
    """Open an existing ledger for use on any one thread at a time; see `connect`.

    One whose derived tables an earlier version made is refused too, unless `any_schema`.
    """
    if path.exists() and not path.is_file():
        raise Invalid("database", f"{path} is not a file")
    if not path.exists():
        raise Invalid("database", f"{path} is not there; make a ledger with: signed-ledger init")
    mode = "ro" if read_only else "rw"
    connection: sqlite3.Connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, **_OPTIONS)
    connection.text_factory = _decode_text
    try:
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise Invalid("database", f"{path} is not a ledger of this program")
        if not any_schema:
            _check_schema(path, connection.execute("PRAGMA user_version").fetchone()[0])
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")  # a copy made by VACUUM INTO has lost it
        _configure(connection, busy_timeout_ms)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Invalid("database", f"{path} can not be opened: {told(error)}") from None
    except Invalid:
        connection.close()
        raise
    return connection


def _check_schema(path: Path, version: int) -> None:
    if version < SCHEMA_VERSION:
        raise Invalid("database", f"{path} has the derived tables of an earlier version: run signed-ledger rebuild")
    if version > SCHEMA_VERSION:
        raise Invalid("database", f"{path} has the derived tables of a later version than this program")


def _decode_text(data: bytes) -> str:
    """A hostile file may hold text that is not UTF-8: it must be found wrong, not stop the service."""
    return data.decode("utf-8", "surrogateescape")


def create_database(path: Path, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Make a new ledger's file, mode 0600, with its first rows, whole or not at all.

    It is built under another name and linked into place; raises `Invalid` where something of that name exists.
    """
    if path.exists():
        raise Invalid("database", f"{path} exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}.new")
    building.touch(mode=0o600)
    try:
        _build(building, rows)
        os.link(building, path)
    except FileExistsError:
        raise Invalid("database", f"{path} exists already") from None
    finally:
        building.unlink()
    sync_folder(path.parent)


def _build(path: Path, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
    connection = sqlite3.connect(path, **_OPTIONS)
    try:
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema_statements():
            connection.execute(statement)
        insert_rows(connection, rows)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def insert_rows(connection: sqlite3.Connection, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
    """Insert (table, row) pairs, all of a table's in one statement where they are no more than `ROWS_AT_ONCE`.

    Python gives its lock away and has to win it back at each step of a statement, so a row a step would have the event
    loop's thread and this one wait for each other all the time (docs/PERFORMANCE.md).
    """
    by_table: dict[str, list[tuple[Any, ...]]] = {}
    for table, row in rows:
        by_table.setdefault(table, []).append(row)
    for table, table_rows in by_table.items():
        for start in range(0, len(table_rows), ROWS_AT_ONCE):
            some = table_rows[start : start + ROWS_AT_ONCE]
            connection.execute(_insert(table, len(some)), [*chain.from_iterable(some)])
        reached(f"inserted {table}")


@cache
def _insert(table: str, rows: int) -> str:
    return _TABLES[table].insert(rows)


def schema_statements(tables: tuple[Table, ...] = TABLES) -> list[str]:
    """The statements that make `tables`, their indexes and their triggers."""
    script = files("signed_ledger.store").joinpath("schema.sql").read_text()
    bare = "\n".join(line.partition("--")[0] for line in script.splitlines())
    statements = [statement.strip() for statement in bare.split(";") if statement.strip()]
    names = {table.name for table in tables}
    wanted = [statement for statement in statements if _table_of(statement) in names]
    return wanted + [trigger for table in tables for trigger in triggers_of(table)]


def _table_of(statement: str) -> str:
    words = statement.split()
    return words[2] if words[1] == "TABLE" else words[words.index("ON") + 1]


def triggers_of(table: Table) -> list[str]:
    """The statements that make a table append-only."""
    same = " AND ".join(f"{column} = NEW.{column}" for column in table.columns[: table.key])
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    # The one on INSERT is for INSERT OR REPLACE, which would take a row away without a word to the one on DELETE.
    again = f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {same})"  # noqa: S608  names of ours
    return [
        f"CREATE TRIGGER {table.name}_no_update BEFORE UPDATE ON {table.name} {refuse}",
        f"CREATE TRIGGER {table.name}_no_delete BEFORE DELETE ON {table.name} {refuse}",
        f"CREATE TRIGGER {table.name}_no_replace BEFORE INSERT ON {table.name} {again} {refuse}",
    ]


def _configure(connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
    for pragma in (
        f"busy_timeout = {busy_timeout_ms}",
        "synchronous = FULL",
        f"cache_size = -{CACHE_KIB}",
        "trusted_schema = OFF",
        "temp_store = MEMORY",  # a statement of several rows keeps a journal of its own, by default in a file
        "secure_delete = ON",  # what a split page leaves behind, too: an erasure is to be one
    ):
        connection.execute(f"PRAGMA {pragma}")


_OPTIONS: Final[dict[str, Any]] = {"isolation_level": None, "check_same_thread": False, "cached_statements": 1024}
_TABLES: Final = {table.name: table for table in TABLES}
