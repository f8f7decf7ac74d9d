"""How an account moved: its journal lines, oldest first, with the entries that say what each was for."""

import sqlite3
from typing import Final, NamedTuple

from signed_ledger.encoding import VERSION, decode_body, members_of
from signed_ledger.errors import Invalid
from signed_ledger.records import AccountId, Body, JournalLine, Parts, State
from signed_ledger.store.balances import Balance, find_balance
from signed_ledger.store.entries import StoredEntry, read_entry
from signed_ledger.store.erased import find_erased
from signed_ledger.store.moments import Span


class StatementWanted(NamedTuple):
    """Which movements: an account's within a span; of these, those after the seq `after`."""

    account: AccountId
    span: Span
    after: int = -1

    @property
    def start(self) -> int:
        return max(self.span.first, self.after + 1)


class Movement(NamedTuple):
    """A journal line, its entry (with body and state), and the balance after it as its row says.

    `cause` is the transaction of its batch. `basis` are the entries that this one builds on, each on the next: as far
    as the one that names the merchant, where there is one.
    """

    balance: Balance
    line: JournalLine
    entry: StoredEntry
    cause: StoredEntry
    basis: list[StoredEntry]


class Statement(NamedTuple):
    """A page of an account's movements, oldest first, and the balances before the first and after the last.

    `opening` is `None` where the account was not open yet. A page before the last one closes at its last movement,
    where the next one opens; the last one closes at the end of the span. `erased` is the balance from which on there
    are movements where those before it were erased, and it is in the span: `opening` then is that, too.
    """

    wanted: StatementWanted
    opening: Balance | None
    movements: list[Movement]
    closing: Balance
    following: StatementWanted | None
    erased: Balance | None = None


def find_statement(connection: sqlite3.Connection, wanted: StatementWanted, rows_max: int) -> Statement | None:
    """At most `rows_max` movements of what is wanted; `None` where the account is not open by the end of the span."""
    account, span = wanted.account, wanted.span
    closing = find_balance(connection, account, span.end - 1)
    if closing is None:
        return None
    kept = _kept_balance(connection, account)
    erased = kept if kept is not None and span.first <= kept.seq < span.end else None
    start = wanted.start if kept is None else max(wanted.start, kept.seq + 1)
    rows = connection.execute(_LINES, (*account, start, span.end, _IS_LINE, rows_max + 1)).fetchall()
    movements = [_movement(connection, account, *row) for row in rows[:rows_max]]
    opening = find_balance(connection, account, start - 1)
    if len(rows) <= rows_max:
        return Statement(wanted, opening, movements, closing, None, erased)
    last = movements[-1].balance
    return Statement(wanted, opening, movements, last, wanted._replace(after=last.seq), erased)


def _kept_balance(connection: sqlite3.Connection, account: AccountId) -> Balance | None:
    """The oldest balance that there is, where the entry that it is of was erased."""
    row = connection.execute(_OLDEST_STATE, account).fetchone()
    if row is None or row[3] or find_erased(connection).by("body", row[0]) is None:
        return None
    return Balance(State(account, row[1], row[2]), row[0])


def _movement(
    connection: sqlite3.Connection, account: AccountId, seq: int, posted: int, held: int, *stored: object
) -> Movement:
    note, body, state = (data if type(data) is bytes else None for data in stored)
    entry = StoredEntry(seq, note, Parts(body, state))
    line = _body_of(entry)
    if not isinstance(line, JournalLine):
        raise Invalid("entry", f"{seq} is not a journal line")
    cause = read_entry(connection, line.batch)
    return Movement(Balance(State(account, posted, held), seq), line, entry, cause, _basis_of(connection, cause))


def _basis_of(connection: sqlite3.Connection, cause: StoredEntry) -> list[StoredEntry]:
    """Follow `builds_on` back to the entry that names the merchant, or that builds on nothing."""
    basis: list[StoredEntry] = []
    last, members = cause, members_of(_body_of(cause))
    while "merchant_name" not in members and "builds_on" in members:
        before = members["builds_on"]["seq"]
        if before >= last.seq:
            raise Invalid("builds_on", f"of entry {last.seq} is not an entry before it")
        last = read_entry(connection, before)
        members = members_of(_body_of(last))
        basis.append(last)
    return basis


def _body_of(stored: StoredEntry) -> Body:
    if stored.parts.body is None:
        raise Invalid("entry", f"{stored.seq} has no body")
    return decode_body(stored.parts.body).body


# What made an account's state is a journal line or only a hold; that stands in the note's second line, and nowhere else
# could this line stand. A row without its note is given, so that it is missed. The walk is by the primary key, over the
# account's own rows; of those that are only holds it reads the note.
_IS_LINE: Final = f"\n{VERSION} {JournalLine.KIND}\n".encode()
_OLDEST_STATE: Final = (
    "SELECT s.seq, s.posted, s.held, p.body FROM account_states AS s LEFT JOIN parts AS p ON p.seq = s.seq "
    "WHERE s.owner = ? AND s.currency = ? ORDER BY s.owner, s.currency, s.seq LIMIT 1"
)
_LINES: Final = (
    "SELECT s.seq, s.posted, s.held, e.note, p.body, p.state FROM account_states AS s "
    "LEFT JOIN entries AS e ON e.seq = s.seq LEFT JOIN parts AS p ON p.seq = s.seq "
    "WHERE s.owner = ? AND s.currency = ? AND s.seq >= ? AND s.seq < ? AND (e.note IS NULL OR instr(e.note, ?)) "
    "ORDER BY s.owner, s.currency, s.seq LIMIT ?"
)
