"""The writer's three steps in the store: begin and read, read more, append and commit. Positions and bytes only."""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from signed_ledger.errors import Fault
from signed_ledger.records import AccountId, AuthorisationKey, PostingKey
from signed_ledger.records import scheme as scheme_account
from signed_ledger.records.messages import POSTINGS
from signed_ledger.store.connection import Connection, at_once, connect, insert_rows, open_database, telling_failures
from signed_ledger.store.entries import (
    StoredEntry,
    entry_of,
    read_entry,
    read_key_entries,
    read_newest,
    read_terms_entry,
)
from signed_ledger.store.failing import told
from signed_ledger.store.files import Files, check_in_place
from signed_ledger.store.log import find_kept, read_edges
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


class Begun(NamedTuple):
    """The write lock is held. `newer` are the (seq, note) from the known head on, that one included."""

    newer: list[tuple[int, bytes]]
    found: Found


class Peeked(NamedTuple):
    """What was found when the newest entry was `note` at `seq`; another process may have written since."""

    seq: int
    note: bytes
    found: Found


class Store:
    """The one writer's connections to a ledger. Between `begin` and `append` or `rollback` it holds the write lock.

    The second connection only reads, so that it can while the first one commits.
    """

    def __init__(self, connection: Connection, reading: sqlite3.Connection, files: Files) -> None:
        self._connection = connection
        self._reading = reading
        self._files = files

    @classmethod
    async def open(cls, path: Path, *, busy_timeout_ms: int) -> "Store":
        connection = await connect(path, busy_timeout_ms=busy_timeout_ms)
        try:
            reading = open_database(path, busy_timeout_ms=busy_timeout_ms, read_only=True)
            return cls(connection, reading, Files.of(path))
        except BaseException:
            await connection.close()
            raise

    def peek(self, wanted: Wanted) -> Peeked:
        """Read what is wanted without the lock, while the other connection may be committing.

        This waits for the file, and not for a thread: a hand-over costs more than a group's few reads.
        """
        with telling_failures():
            return _peek(self._reading, wanted)

    async def begin(self, known_seq: int, wanted: Wanted) -> Begun:
        """Take the write lock, then read the head and what is wanted. Raises `Busy` where the lock is not to be had."""
        return await self._connection.run(_begin, known_seq, wanted)

    async def read(self, wanted: Wanted) -> Found:
        return await self._connection.run(_read, wanted)

    async def append(self, rows: list[tuple[str, Row]]) -> None:
        """Insert and commit, synchronous to disk. Any failure is a `Fault`: what was written is then unknown."""
        await self._connection.run(_append, rows)

    def insert_after(self, seq: int, note: bytes, rows: list[tuple[str, Row]]) -> bool:
        """Take the lock, and insert where the head still is the entry `note` at `seq`; give whether that was so.

        What is inserted counts once `commit` is done. Raises `Busy` at once where the lock is not free. This works in
        memory, on the caller's thread: a hand-over for each statement costs more than they do.
        """
        with telling_failures():
            return _insert_after(self._connection.sqlite, seq, note, rows)

    async def commit(self) -> None:
        """What `insert_after` inserted goes to disk, synchronously. Any failure is a `Fault`."""
        await self._connection.run(_commit)

    async def check_in_place(self) -> None:
        """Raise `Fault` where the files that are open are not those of their names any more; see `files`."""
        await self._connection.run(check_in_place, self._files)

    async def rollback(self) -> None:
        await self._connection.run(_rollback)

    async def key_entries(self, newest: int) -> list[StoredEntry]:
        """The genesis and every key entry up to seq `newest`, in order of seq."""
        return await self._connection.run(read_key_entries, newest)

    async def terms_entry(self, newest: int) -> StoredEntry | None:
        """The newest terms entry up to seq `newest`, where there is one."""
        return await self._connection.run(read_terms_entry, newest)

    async def newest(self) -> StoredEntry:
        """The newest entry; one without bytes where there is none at all."""
        return await self._connection.run(read_newest)

    async def edges(self, size: int) -> list[list[bytes]]:
        """The right edge of the tree of `size` entries: see `merkle.Tree`."""
        return await self._connection.run(read_edges, size)

    async def entry(self, seq: int) -> StoredEntry:
        """The entry at `seq`, for the writer's own catching up within its transaction."""
        return await self._connection.run(read_entry, seq)

    @property
    def connection(self) -> Connection:
        """For the steps of the store's other modules."""
        return self._connection

    async def close(self) -> None:
        self._reading.close()  # first: the last one to close takes the WAL back into the file, if it may write
        await self._connection.close()


def _begin(connection: sqlite3.Connection, known_seq: int, wanted: Wanted) -> Begun:
    connection.execute("BEGIN IMMEDIATE")
    return Begun(_newer(connection, known_seq), _read(connection, wanted))


def _peek(connection: sqlite3.Connection, wanted: Wanted) -> Peeked:
    connection.execute("BEGIN")
    try:
        seq, note = connection.execute(_HEAD).fetchone() or (-1, b"")
        return Peeked(seq, note, _read(connection, wanted))
    finally:
        connection.execute("ROLLBACK")


def _newer(connection: sqlite3.Connection, known_seq: int) -> list[tuple[int, bytes]]:
    return connection.execute("SELECT seq, note FROM entries WHERE seq >= ? ORDER BY seq", (known_seq,)).fetchall()


def _read(connection: sqlite3.Connection, wanted: Wanted) -> Found:
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


def _append(connection: sqlite3.Connection, rows: list[tuple[str, Row]]) -> None:
    _insert(connection, rows)
    _commit(connection)


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, Row]]) -> None:
    try:
        insert_rows(connection, rows)
    except sqlite3.Error as error:
        raise Fault(f"the commit failed: {told(error)}") from error


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Fault(f"the commit failed: {told(error)}") from error


def _insert_after(connection: sqlite3.Connection, seq: int, note: bytes, rows: list[tuple[str, Row]]) -> bool:
    with at_once(connection):
        connection.execute("BEGIN IMMEDIATE")
    if _newer(connection, seq) != [(seq, note)]:
        _rollback(connection)
        return False
    _insert(connection, rows)
    return True


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


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
_HEAD: Final = "SELECT seq, note FROM entries ORDER BY seq DESC LIMIT 1"
_CURRENCIES: Final = """
WITH RECURSIVE each(currency) AS (
    SELECT min(currency) FROM account_states WHERE owner = ?1
    UNION ALL
    SELECT (SELECT min(currency) FROM account_states WHERE owner = ?1 AND currency > each.currency)
    FROM each WHERE each.currency IS NOT NULL)
SELECT currency FROM each WHERE currency IS NOT NULL
"""
_POSTED: Final = (
    "SELECT t.seq, e.note, p.body, p.state, p.evidence FROM transactions AS t "  # noqa: S608
    "LEFT JOIN entries AS e ON e.seq = t.seq LEFT JOIN parts AS p ON p.seq = t.seq "
    f"WHERE t.seq > ? AND t.scheme = ? AND t.type IN ({', '.join(map(repr, POSTINGS))}) ORDER BY t.seq LIMIT ?"
)
