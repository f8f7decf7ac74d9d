"""SQLite through aiosqlite: positions and bytes, no card business. Nothing here updates or deletes a row."""

from signed_ledger.store.connection import create_database, insert_rows, open_database, schema_statements
from signed_ledger.store.rows import DERIVED_TABLES, LEDGER_TABLES, TABLES, Row, Table, derived_rows, ledger_rows
from signed_ledger.store.writing import (
    Begun,
    Found,
    FoundAccount,
    FoundAuthorisation,
    Store,
    StoredEntry,
    Wanted,
)

__all__ = [
    "DERIVED_TABLES",
    "LEDGER_TABLES",
    "TABLES",
    "Begun",
    "Found",
    "FoundAccount",
    "FoundAuthorisation",
    "Row",
    "Store",
    "StoredEntry",
    "Table",
    "Wanted",
    "create_database",
    "derived_rows",
    "insert_rows",
    "ledger_rows",
    "open_database",
    "schema_statements",
]
