"""What a group's decisions need to know of the store: one query for each table. Positions and bytes only."""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from signed_ledger.records import AccountId, AuthorisationKey, PostingKey
from signed_ledger.records import scheme as scheme_account
from signed_ledger.records.messages import POSTINGS
from signed_ledger.store.entries import StoredEntry, entry_of, read_entry
from signed_ledger.store.log import find_kept
from signed_ledger.tables import Row


@dataclass(slots=True)
class Wanted:
    """What a group's decisions need to know."""

    webhooks: list[tuple[str, str]] = field(default_factory=list)  # (scheme, webhook id)
    authorisations: list[AuthorisationKey] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    postings: list[PostingKey] = field(default_factory=list)
    settlements: list[tuple[str, int]] = field(default_factory=list)  # (scheme, up to which seq the asker knows it)
    kept: list[int] = field(default_factory=list)  # the newest entry of each checkpoint


class FoundAccount(NamedTuple):
    """An account's newest row as it stands, and the entry that it names (with its state part only)."""

    posted: object
    held: object
    entry: StoredEntry


class FoundAuthorisation(NamedTuple):
    """An authorisation's newest row, from `authorisation_seq` on; the entry that it names; the one it began with."""

    key: AuthorisationKey
    row: Row
    newest: StoredEntry
    own: StoredEntry


class FoundCard(NamedTuple):
    """A card's newest row, and the entry that it names."""

    scheme: object
    blocked: object
    entry: StoredEntry


class FoundSettlements(NamedTuple):
    """A Scheme's newest settlement, what it posted since the asker knew, and the currencies of its accounts."""

    newest: StoredEntry | None
    posted: list[StoredEntry]
    currencies: list[str]


class Found(NamedTuple):
    """The rows of what was wanted; what is not there has none."""

    webhooks: dict[tuple[str, str], StoredEntry]
    authorisations: dict[AuthorisationKey, FoundAuthorisation]
    accounts: dict[AccountId, FoundAccount]
    cards: dict[str, FoundCard]
    postings: dict[PostingKey, StoredEntry]
    settlements: dict[str, FoundSettlements]
    kept: set[tuple[int, str]]  # (seq, empty) for a checkpoint, (seq, key) for a cosignature


def read_wanted(connection: sqlite3.Connection, wanted: Wanted) -> Found:
    return Found(
        {(row[0], row[1]): entry_of(row[2:]) for row in _rows(connection, _WEBHOOKS, wanted.webhooks)},
        {
            AuthorisationKey(row[0], row[1]): _authorisation(row)
            for row in _rows(connection, _AUTHORISATIONS, wanted.authorisations)
        },
        {AccountId(row[0], row[1]): _account(row) for row in _rows(connection, _ACCOUNTS, wanted.accounts)},
        {row[0]: FoundCard(row[1], row[2], entry_of(row[3:])) for row in _rows(connection, _CARDS, wanted.cards)},
        {PostingKey(*row[:3]): entry_of(row[3:]) for row in _rows(connection, _POSTINGS, wanted.postings)},
        {scheme: _settlements(connection, scheme, known) for scheme, known in wanted.settlements},
        find_kept(connection, wanted.kept),
    )


def find_authorisation(connection: sqlite3.Connection, key: AuthorisationKey) -> FoundAuthorisation | None:
    return next(map(_authorisation, _rows(connection, _AUTHORISATIONS, [key])), None)


def _settlements(connection: sqlite3.Connection, scheme: str, known: int) -> FoundSettlements:
    (newest,) = connection.execute("SELECT max(seq) FROM settlements WHERE scheme = ?", (scheme,)).fetchone()
    posted = read_posted(connection, scheme, known, None)
    currencies = [currency for (currency,) in connection.execute(_CURRENCIES, (scheme_account(scheme),))]
    return FoundSettlements(None if newest is None else read_entry(connection, newest), posted, currencies)


def read_posted(connection: sqlite3.Connection, scheme: str, known: int, rows_max: int | None) -> list[StoredEntry]:
    """A Scheme's `POSTINGS` after the seq `known`, oldest first, at most `rows_max`."""
    limit = -1 if rows_max is None else rows_max
    return [entry_of(row) for row in connection.execute(_POSTED, (known, scheme, limit))]


def _rows(connection: sqlite3.Connection, query: str, keys: list[Any]) -> list[Row]:
    return connection.execute(query, (json.dumps(keys),)).fetchall() if keys else []


def _account(row: Row) -> FoundAccount:
    seq, posted, held, note, state = row[2:]
    return FoundAccount(posted, held, entry_of((seq, note, None, state, None)))


def _authorisation(row: Row) -> FoundAuthorisation:
    key = AuthorisationKey(row[0], row[1])
    return FoundAuthorisation(key, row[2:16], entry_of(row[16:21]), entry_of((row[2], *row[21:])))


# Each takes its keys as one JSON list of pairs, so that the statement is the same whatever their number, and CROSS JOIN
# makes SQLite look every key up in the table's primary key rather than the other way round.
_WEBHOOKS: Final = """
SELECT w.scheme, w.webhook_id, w.seq, e.note, p.body, p.state, p.evidence
FROM json_each(?) AS k
CROSS JOIN webhooks AS w ON w.scheme = json_extract(k.value, '$[0]') AND w.webhook_id = json_extract(k.value, '$[1]')
LEFT JOIN entries AS e ON e.seq = w.seq
LEFT JOIN parts AS p ON p.seq = w.seq
"""
_AUTHORISATIONS: Final = """
SELECT a.scheme, a.transaction_id, a.authorisation_seq, a.status, a.card_id, a.currency, a.held,
       a.authorised, a.incremented, a.reversed, a.expired, a.cleared, a.refunded, a.clearings, a.final, a.expires,
       a.seq, newest.note, newest_parts.body, newest_parts.state, newest_parts.evidence,
       own.note, own_parts.body, own_parts.state, own_parts.evidence
FROM json_each(?) AS k
CROSS JOIN authorisation_states AS a
    ON a.scheme = json_extract(k.value, '$[0]') AND a.transaction_id = json_extract(k.value, '$[1]')
    AND a.seq = (SELECT max(m.seq) FROM authorisation_states AS m
                 WHERE m.transaction_id = json_extract(k.value, '$[1]') AND m.scheme = json_extract(k.value, '$[0]'))
LEFT JOIN entries AS newest ON newest.seq = a.seq
LEFT JOIN parts AS newest_parts ON newest_parts.seq = a.seq
LEFT JOIN entries AS own ON own.seq = a.authorisation_seq
LEFT JOIN parts AS own_parts ON own_parts.seq = a.authorisation_seq
"""
_ACCOUNTS: Final = """
SELECT s.owner, s.currency, s.seq, s.posted, s.held, e.note, p.state
FROM json_each(?) AS k
CROSS JOIN account_states AS s
    ON s.owner = json_extract(k.value, '$[0]') AND s.currency = json_extract(k.value, '$[1]')
    AND s.seq = (SELECT max(m.seq) FROM account_states AS m
                 WHERE m.owner = json_extract(k.value, '$[0]') AND m.currency = json_extract(k.value, '$[1]'))
LEFT JOIN entries AS e ON e.seq = s.seq
LEFT JOIN parts AS p ON p.seq = s.seq
"""
_CARDS: Final = """
SELECT c.card_id, c.scheme, c.blocked, c.seq, e.note, p.body, p.state, p.evidence
FROM json_each(?) AS k
CROSS JOIN card_states AS c
    ON c.card_id = k.value AND c.seq = (SELECT max(m.seq) FROM card_states AS m WHERE m.card_id = k.value)
LEFT JOIN entries AS e ON e.seq = c.seq
LEFT JOIN parts AS p ON p.seq = c.seq
"""
_POSTINGS: Final = """
SELECT n.scheme, n.transaction_id, n.name, n.seq, e.note, p.body, p.state, p.evidence
FROM json_each(?) AS k
CROSS JOIN postings AS n
    ON n.scheme = json_extract(k.value, '$[0]') AND n.transaction_id = json_extract(k.value, '$[1]')
    AND n.name = json_extract(k.value, '$[2]')
LEFT JOIN entries AS e ON e.seq = n.seq
LEFT JOIN parts AS p ON p.seq = n.seq
"""
_CURRENCIES: Final = """
WITH RECURSIVE each(currency) AS (
    SELECT min(currency) FROM account_states WHERE owner = ?1
    UNION ALL
    SELECT (SELECT min(currency) FROM account_states WHERE owner = ?1 AND currency > each.currency)
    FROM each WHERE each.currency IS NOT NULL)
SELECT currency FROM each WHERE currency IS NOT NULL
"""
_POSTED: Final = (
    "SELECT t.seq, e.note, p.body, p.state, p.evidence FROM transactions AS t "  # noqa: S608  names of ours
    "LEFT JOIN entries AS e ON e.seq = t.seq LEFT JOIN parts AS p ON p.seq = t.seq "
    f"WHERE t.seq > ? AND t.scheme = ? AND t.type IN ({', '.join(map(repr, POSTINGS))}) ORDER BY t.seq LIMIT ?"
)
