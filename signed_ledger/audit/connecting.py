"""Opening a database that may be hostile, for reading only, with bounds on what it can make us hold and do."""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Final

from signed_ledger.errors import Invalid
from signed_ledger.failing import told

VALUE_BYTES_MAX: Final = 1_048_576
"""SQLite refuses to hand out a longer value: what a hostile file makes us hold in memory is bounded."""
BUSY_TIMEOUT_MS: Final = 5_000
CACHE_KIB: Final = 16_384
SQLITE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file makes `sqlite3` raise; the second where the damage gets into the very error message."""
_CAN_NOT_LOCK: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open read-only. Gives whether a write-ahead log beside the file is left unread.

    That is where SQLite can not make its lock file: a folder that is not writable. The file then is read as one that
    nobody changes.
    """
    if not path.is_file():
        raise Invalid(str(path), "is not there, or not a file")
    try:
        return _begin(path, "mode=ro"), False
    except SQLITE_ERRORS as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _CAN_NOT_LOCK:
            raise Invalid(str(path), f"can not be read as a database: {told(error)}") from None
    try:
        log = path.with_name(f"{path.name}-wal")
        return _begin(path, "mode=ro&immutable=1"), log.exists() and log.stat().st_size > 0
    except SQLITE_ERRORS as error:
        raise Invalid(str(path), f"can not be read as a database: {told(error)}") from None


def _begin(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            f"cache_size = -{CACHE_KIB}",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "query_only = ON",
            "mmap_size = 0",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
