"""What readers ask of the store, each question answered from one snapshot. Nothing here is verified, or changed."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.merkle import Tile
from signed_ledger.records import AuthorisationKey, AuthorisationState, JournalLine, Parts
from signed_ledger.store.balances import Balances, find_balances
from signed_ledger.store.connection import Connection, connect
from signed_ledger.store.entries import StoredEntry, read_entry, read_key_entries
from signed_ledger.store.erased import find_erased
from signed_ledger.store.log import KeptCheckpoint, read_bundle, read_checkpoint, read_edges, read_tile
from signed_ledger.store.moments import Moment, Span, find_span, head_seq, time_of
from signed_ledger.store.statements import Statement, StatementWanted, find_statement
from signed_ledger.store.wanted import read_posted
from signed_ledger.tables import TOTALS, authorisation_of

P = ParamSpec("P")
T = TypeVar("T")


SEQ_MAX: Final = 2**53 - 1


class FoundTransaction(NamedTuple):
    """A transaction's state (what is no authorisation's has none); the entries about it, each with its lines."""

    state: AuthorisationState | None
    entries: list[StoredEntry]


class TransactionsWanted(NamedTuple):
    """Which transactions: a card's or all, from `start` up to, not including, `end`; older than the seq `before`."""

    card_id: str | None = None
    start: Moment | None = None
    end: Moment | None = None
    before: int | None = None


class Reader:
    """A connection that only reads. Entries that do not decode raise `Invalid`; what SQLite can not do, `Fault`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, path: Path, *, busy_timeout_ms: int) -> "Reader":
        return cls(await connect(path, busy_timeout_ms=busy_timeout_ms, read_only=True))

    async def head(self) -> int:
        """The newest entry's seq."""
        return await self._run(head_seq)

    async def key_changes(self) -> int:
        """How many key entries came after genesis."""
        return await self._run(count_key_changes)

    async def key_entries(self) -> list[StoredEntry]:
        """The genesis and every key entry, in order of seq."""
        return await self._run(read_key_entries, SEQ_MAX)

    async def entry(self, seq: int) -> StoredEntry:
        return await self._run(read_entry, seq)

    async def erased(self, stored: StoredEntry) -> dict[str, int]:
        """By its name each part of an entry that was erased: the seq of the entry that says so."""
        entry = decode_entry(stored.note or b"").entry
        gone = [
            name for name, data in stored.parts._asdict().items() if data is None and getattr(entry, name) is not None
        ]
        if not gone:
            return {}
        erased = await self._run(find_erased)
        return {name: by for name in gone if (by := erased.by(name, stored.seq)) is not None}

    async def has_erased(self, first: int, last: int) -> bool:
        """Whether the body of any of these entries was erased."""
        return (await self._run(find_erased)).by_any("body", first, last) is not None

    async def balances(self, owner: str, moment: Moment | None) -> Balances:
        return await self._run(find_balances, owner, moment)

    async def span(self, start: Moment | None, end: Moment | None) -> Span:
        return await self._run(find_span, start, end)

    async def statement(self, wanted: StatementWanted, rows_max: int) -> Statement | None:
        return await self._run(find_statement, wanted, rows_max)

    async def transactions(self, wanted: TransactionsWanted, rows_max: int) -> list[StoredEntry]:
        return await self._run(list_transactions, wanted, rows_max)

    async def transaction(self, transaction_id: str) -> dict[str, FoundTransaction]:
        return await self._run(find_transaction, transaction_id)

    async def due(self, now: int) -> list[AuthorisationKey]:
        """The authorisations whose time is over at `now`, microseconds since 1970 UTC, in order of (expiry, seq)."""
        return await self._run(find_due, now)

    async def vouched(self) -> int | None:
        """When the newest entry was recorded that a Scheme sent, or was settled with; microseconds since 1970 UTC."""
        return await self._run(find_vouched)

    async def posted(self, scheme: str, known: int, rows_max: int) -> list[StoredEntry]:
        """A Scheme's `POSTINGS` after the seq `known`, oldest first, at most `rows_max`."""
        return await self._run(read_posted, scheme, known, rows_max)

    async def settlements(self, scheme: str) -> dict[str, int]:
        """The seq of each of a Scheme's settlements by its date, oldest first."""
        return await self._run(list_settlements, scheme)

    async def tile(self, tile: Tile) -> bytes | None:
        """The hashes of a tile, in one; `None` where not all of them are there."""
        return await self._run(read_tile, tile)

    async def edges(self, size: int) -> list[list[bytes]]:
        """The right edge of the tree of `size` entries: see `merkle.Tree`."""
        return await self._run(read_edges, size)

    async def bundle(self, tile: Tile) -> list[bytes] | None:
        """The entries of an entry bundle; `None` where not all of them are there."""
        return await self._run(read_bundle, tile)

    async def checkpoint(self, size_min: int, size_max: int) -> KeptCheckpoint | None:
        """The newest checkpoint kept, of those from `size_min` to `size_max` entries, with its cosignatures."""
        return await self._run(read_checkpoint, size_min, size_max)

    async def close(self) -> None:
        await self._connection.close()

    async def _run(self, step: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def in_one_snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return step(connection, *args, **kwargs)
            finally:
                connection.execute("ROLLBACK")

        return await self._connection.run(in_one_snapshot)


def count_key_changes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM keys WHERE kind IN ('key', 'root', 'attest')").fetchone()[0])


def list_transactions(connection: sqlite3.Connection, wanted: TransactionsWanted, rows_max: int) -> list[StoredEntry]:
    """The newest `rows_max` of the transactions wanted, newest first, with their bodies and no other part."""
    lowest, below = find_span(connection, wanted.start, wanted.end)
    if wanted.before is not None:
        below = min(below, wanted.before)
    if wanted.card_id is None:
        rows = connection.execute(_TRANSACTIONS, (lowest, below, rows_max))
    else:
        rows = connection.execute(_TRANSACTIONS_OF_CARD, (lowest, below, wanted.card_id, rows_max))
    return [
        StoredEntry(seq, note if type(note) is bytes else None, Parts(body if type(body) is bytes and body else None))
        for seq, note, body in rows
    ]


def find_transaction(connection: sqlite3.Connection, transaction_id: str) -> dict[str, FoundTransaction]:
    """What has this transaction id, by Scheme; the Issuer's own loads are under the empty name."""
    states: dict[str, AuthorisationState] = {}
    seqs: dict[str, set[int]] = {}
    for scheme, seq, *row in connection.execute(_AUTHORISATION_STATES, (transaction_id,)).fetchall():
        states[scheme] = authorisation_of(AuthorisationKey(scheme, transaction_id), tuple(row))
        seqs.setdefault(scheme, set()).add(seq)
    for scheme, seq in connection.execute(_OTHER_TRANSACTIONS, (transaction_id,)).fetchall():
        seqs.setdefault(scheme, set()).add(seq)
    return {
        scheme: FoundTransaction(
            states.get(scheme), [entry for seq in sorted(found) for entry in _with_lines(connection, seq)]
        )
        for scheme, found in seqs.items()
    }


def find_due(connection: sqlite3.Connection, now: int) -> list[AuthorisationKey]:
    return [AuthorisationKey(*row) for row in connection.execute(_DUE, (now,))]


def find_vouched(connection: sqlite3.Connection) -> int | None:
    newest = "SELECT seq FROM transactions WHERE scheme <> '' ORDER BY seq DESC LIMIT 1"
    row = connection.execute(newest).fetchone()
    return None if row is None else time_of(connection, row[0])


def list_settlements(connection: sqlite3.Connection, scheme: str) -> dict[str, int]:
    """The seq of each of a Scheme's settlements by its date, oldest first."""
    return dict(connection.execute("SELECT date, seq FROM settlements WHERE scheme = ? ORDER BY seq", (scheme,)))


def _with_lines(connection: sqlite3.Connection, seq: int) -> list[StoredEntry]:
    """A transaction's entry and its batch: the lines follow it directly (docs/FORMAT.md, Parts)."""
    entries = [read_entry(connection, seq)]
    while _is_line_of(seq, following := read_entry(connection, entries[-1].seq + 1)):
        entries.append(following)
    return entries


def _is_line_of(batch: int, stored: StoredEntry) -> bool:
    if stored.parts.body is None:
        return False
    body = decode_body(stored.parts.body).body
    return isinstance(body, JournalLine) and body.batch == batch


_AUTHORISATION_STATES: Final = (
    f"SELECT scheme, seq, authorisation_seq, status, card_id, currency, held, {', '.join(TOTALS)}, expires "  # noqa: S608  names of ours
    "FROM authorisation_states WHERE transaction_id = ? ORDER BY transaction_id, scheme, seq"
)
_OTHER_TRANSACTIONS: Final = (
    "SELECT scheme, seq FROM transactions "
    "WHERE transaction_id = ? AND type NOT IN ('authorisation', 'presentment') ORDER BY seq"
)
_TRANSACTIONS_FROM: Final = (
    "SELECT t.seq, e.note, p.body FROM transactions AS t "
    "LEFT JOIN entries AS e ON e.seq = t.seq LEFT JOIN parts AS p ON p.seq = t.seq "
    "WHERE t.seq >= ? AND t.seq < ?"
)
_TRANSACTIONS: Final = _TRANSACTIONS_FROM + " ORDER BY t.seq DESC LIMIT ?"
_TRANSACTIONS_OF_CARD: Final = _TRANSACTIONS_FROM + " AND t.card_id = ? ORDER BY t.seq DESC LIMIT ?"
_DUE: Final = """
SELECT a.scheme, a.transaction_id FROM authorisation_states AS a
WHERE a.status = 'PENDING' AND a.held > 0 AND a.expires <= ? AND NOT EXISTS (
    SELECT 1 FROM authorisation_states AS newer
    WHERE newer.transaction_id = a.transaction_id AND newer.scheme = a.scheme AND newer.seq > a.seq)
ORDER BY a.expires, a.authorisation_seq
"""
