"""A read that is not worth a hand-over between threads: for a process that answers HTTP, on its event loop's thread."""

import sqlite3
from pathlib import Path

from signed_ledger.records import AuthorisationKey
from signed_ledger.store.connection import open_database, telling_failures
from signed_ledger.store.wanted import FoundAuthorisation, find_authorisation


class Glance:
    """A connection that only reads, a row and what it names at a time; of one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, busy_timeout_ms: int) -> "Glance":
        return cls(open_database(path, busy_timeout_ms=busy_timeout_ms, read_only=True))

    def authorisation(self, key: AuthorisationKey) -> FoundAuthorisation | None:
        """Where an authorisation stands, not verified. Raises `Busy` or `Fault`."""
        with telling_failures():
            return find_authorisation(self._connection, key)

    def close(self) -> None:
        self._connection.close()
