"""From an entry to its rows. Pure: the writer, `rebuild` and `verify` make every row here, and nowhere else."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from signed_ledger.merkle import FullTile
from signed_ledger.records import (
    DECLINED,
    AuthorisationKey,
    AuthorisationState,
    Body,
    CardState,
    CardTransaction,
    Effect,
    Erasure,
    Genesis,
    Parts,
    RegistryChange,
    Settlement,
    State,
    Terms,
    Totals,
    Transaction,
)
from signed_ledger.records.states import AMOUNTS

Row: TypeAlias = tuple[Any, ...]

TOTALS: Final = (*AMOUNTS, "clearings", "final")


@dataclass(frozen=True, slots=True)
class Table:
    """A table's columns, and how many of them from the left are its primary key; `seq` is a column of every table."""

    name: str
    columns: tuple[str, ...]
    key: int

    def insert(self, rows: int) -> str:
        """The statement that inserts so many rows."""
        row = f"({', '.join('?' * len(self.columns))})"
        places = ", ".join([row] * rows)
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES {places}"  # noqa: S608  names of ours


LEDGER_TABLES: Final = (
    Table("entries", ("seq", "note"), 1),
    Table("parts", ("seq", "body", "state", "evidence"), 1),
)
DERIVED_TABLES: Final = (
    Table("account_states", ("owner", "currency", "seq", "posted", "held"), 3),
    Table(
        "authorisation_states",
        (
            *("transaction_id", "scheme", "seq", "authorisation_seq", "status", "card_id", "currency", "held"),
            *TOTALS,
            "expires",
        ),
        3,
    ),
    Table("card_states", ("card_id", "seq", "scheme", "blocked"), 2),
    Table("webhooks", ("webhook_id", "scheme", "seq"), 2),
    Table("postings", ("transaction_id", "scheme", "name", "seq"), 3),
    Table("settlements", ("scheme", "date", "seq"), 2),
    Table("transactions", ("seq", "type", "transaction_id", "scheme", "card_id"), 1),
    Table("keys", ("seq", "kind"), 1),
)
LOG_TABLES: Final = (
    Table("tiles", ("level", "number", "seq", "root", "hashes"), 2),
    Table("checkpoints", ("seq", "note"), 1),
    Table("cosignatures", ("seq", "key", "line"), 2),
)
REBUILT_TABLES: Final = (*DERIVED_TABLES, LOG_TABLES[0])
TABLES: Final = LEDGER_TABLES + DERIVED_TABLES + LOG_TABLES


def ledger_rows(seq: int, note: bytes, parts: Parts) -> list[tuple[str, Row]]:
    return [("entries", (seq, note)), ("parts", (seq, *parts))]


def derived_rows(seq: int, body: Body, effect: Effect) -> list[tuple[str, Row]]:
    """The derived rows of the entry at `seq`: (table, row in the order of the table's columns)."""
    rows: list[tuple[str, Row]] = []
    if effect.state is not None:
        rows += state_rows(seq, effect.state)
    if effect.authorisation is not None:
        key = effect.authorisation.key
        row = (key.transaction_id, key.scheme, seq, *authorisation_row(effect.authorisation))
        rows.append(("authorisation_states", row))
    if effect.card is not None:
        rows.append(("card_states", card_row(seq, effect.card)))
    if isinstance(body, Transaction):
        rows += _transaction_rows(seq, body)
    if isinstance(body, Genesis | RegistryChange | Terms | Erasure):
        rows.append(("keys", (seq, body.KIND)))
    return rows


def tile_rows(seq: int, tiles: list[FullTile]) -> list[tuple[str, Row]]:
    """The rows of the tiles that are full with the entry at `seq`."""
    return [("tiles", (tile.level, tile.number, seq, tile.root, tile.hashes)) for tile in tiles]


def state_rows(seq: int, state: State) -> list[tuple[str, Row]]:
    """The row of a balance: all that an entry makes of which nothing else is left."""
    return [("account_states", (*state.account, seq, state.posted, state.held))]


def _transaction_rows(seq: int, body: Transaction) -> list[tuple[str, Row]]:
    rows: list[tuple[str, Row]] = []
    if isinstance(body, CardTransaction) and body.webhook_id is not None:
        rows.append(("webhooks", (body.webhook_id, body.scheme, seq)))
    if isinstance(body, CardTransaction) and (key := body.posting_key) is not None:
        rows.append(("postings", (key.transaction_id, key.scheme, key.name, seq)))
    if isinstance(body, Settlement):
        rows.append(("settlements", (body.scheme, body.date, seq)))
    rows.append(("transactions", (seq, body.type, body.transaction_id, body.scheme, body.card_id)))
    return rows


def card_row(seq: int, state: CardState) -> Row:
    return (state.card_id, seq, state.scheme or "", int(state.blocked))


def authorisation_row(state: AuthorisationState) -> Row:
    """A row of `authorisation_states` without its key: from `authorisation_seq` on."""
    totals = state.totals or Totals()
    amounts = [int(getattr(totals, name)) for name in TOTALS]
    return (state.seq, state.status, state.card_id, state.currency, state.held, *amounts, state.expires)


def authorisation_of(key: AuthorisationKey, row: Row) -> AuthorisationState:
    """The inverse; raises `Invalid` for amounts that no authorisation has."""
    seq, status, card_id, currency, _, *amounts, expires = row
    given = dict(zip(TOTALS, amounts, strict=True))
    totals = None if status == DECLINED else Totals(**{**given, "final": bool(given["final"])})
    return AuthorisationState(key, seq, card_id, currency, totals, expires)
