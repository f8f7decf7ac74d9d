"""From an entry to its rows. Pure: the writer, `rebuild` and `verify` make every row here, and nowhere else."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from signed_ledger.records import (
    Authorisation,
    AuthorisationState,
    Body,
    Genesis,
    KeyChange,
    Load,
    Parts,
    Presentment,
    State,
)

Row: TypeAlias = tuple[Any, ...]


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
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES {places}"  # noqa: S608


LEDGER_TABLES: Final = (
    Table("entries", ("seq", "note"), 1),
    Table("parts", ("seq", "body", "state", "evidence"), 1),
)
DERIVED_TABLES: Final = (
    Table("account_states", ("owner", "currency", "seq", "posted", "held"), 3),
    Table(
        "authorisation_states",
        ("transaction_id", "scheme", "seq", "authorisation_seq", "status", "card_id", "currency", "held"),
        3,
    ),
    Table("webhooks", ("webhook_id", "scheme", "seq"), 2),
    Table("transactions", ("seq", "type", "transaction_id", "card_id"), 1),
    Table("keys", ("seq", "kind"), 1),
)
TABLES: Final = LEDGER_TABLES + DERIVED_TABLES


def ledger_rows(seq: int, note: bytes, parts: Parts) -> list[tuple[str, Row]]:
    return [("entries", (seq, note)), ("parts", (seq, *parts))]


def derived_rows(
    seq: int, body: Body, state: State | None, authorisation: AuthorisationState | None
) -> list[tuple[str, Row]]:
    """The derived rows of the entry at `seq`: (table, row in the order of the table's columns)."""
    rows: list[tuple[str, Row]] = []
    if state is not None:
        rows.append(("account_states", (*state.account, seq, state.posted, state.held)))
    if authorisation is not None:
        rows.append(("authorisation_states", _authorisation_row(seq, authorisation)))
    if isinstance(body, Authorisation | Presentment):
        rows.append(("webhooks", (body.webhook_id, body.scheme, seq)))
    if isinstance(body, Load | Authorisation | Presentment):
        rows.append(("transactions", (seq, body.TYPE, body.transaction_id, body.card_id)))
    if isinstance(body, Genesis | KeyChange):
        rows.append(("keys", (seq, body.KIND)))
    return rows


def _authorisation_row(seq: int, state: AuthorisationState) -> Row:
    return (
        state.key.transaction_id,
        state.key.scheme,
        seq,
        state.seq,
        state.status,
        state.card_id,
        state.currency,
        state.held,
    )
