"""SQLite through aiosqlite: positions and bytes, no card business. Nothing but `erasing` updates or deletes a row."""

from signed_ledger.store.balances import Balance, Balances
from signed_ledger.store.connection import (
    SCHEMA_VERSION,
    create_database,
    insert_rows,
    is_busy,
    open_database,
    schema_statements,
)
from signed_ledger.store.entries import StoredEntry
from signed_ledger.store.erased import find_erased, scan_erased
from signed_ledger.store.erasing import FoundErasing, append_and_erase, empty_log, read_erasing
from signed_ledger.store.glancing import Glance
from signed_ledger.store.log import KeptCheckpoint
from signed_ledger.store.moments import AtSeq, AtTime, Moment, Span
from signed_ledger.store.reading import FoundTransaction, Reader, TransactionsWanted
from signed_ledger.store.statements import Movement, Statement, StatementWanted
from signed_ledger.store.trying import try_disk
from signed_ledger.store.wanted import (
    Found,
    FoundAccount,
    FoundAuthorisation,
    FoundCard,
    FoundSettlements,
    Wanted,
)
from signed_ledger.store.writing import Begun, Store
from signed_ledger.tables import DERIVED_TABLES, LEDGER_TABLES, TABLES, Row, Table, derived_rows, ledger_rows

__all__ = [
    "DERIVED_TABLES",
    "LEDGER_TABLES",
    "SCHEMA_VERSION",
    "TABLES",
    "AtSeq",
    "AtTime",
    "Balance",
    "Balances",
    "Begun",
    "Found",
    "FoundAccount",
    "FoundAuthorisation",
    "FoundCard",
    "FoundErasing",
    "FoundSettlements",
    "FoundTransaction",
    "Glance",
    "KeptCheckpoint",
    "Moment",
    "Movement",
    "Reader",
    "Row",
    "Span",
    "Statement",
    "StatementWanted",
    "Store",
    "StoredEntry",
    "Table",
    "TransactionsWanted",
    "Wanted",
    "append_and_erase",
    "create_database",
    "derived_rows",
    "empty_log",
    "find_erased",
    "insert_rows",
    "is_busy",
    "ledger_rows",
    "open_database",
    "read_erasing",
    "scan_erased",
    "schema_statements",
    "try_disk",
]
