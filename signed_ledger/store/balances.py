"""What an owner's accounts stood at, now or then."""

import sqlite3
from typing import Final, NamedTuple

from signed_ledger.records import AccountId, State
from signed_ledger.store.moments import Moment, newest_at


class Balance(NamedTuple):
    """An account's balance, and the seq of the entry whose `state` says so."""

    state: State
    seq: int


class Balances(NamedTuple):
    """An owner's balances as entry `at` left them; `at` is -1 before the first entry."""

    at: int
    balances: list[Balance]


def find_balances(connection: sqlite3.Connection, owner: str, moment: Moment | None = None) -> Balances:
    """Every account of `owner` as it stood at that moment, by currency."""
    at = newest_at(connection, moment)
    found = []
    currency = ""
    # From one currency to the next, not over all rows: an account has one for every entry that moved it.
    while row := connection.execute(_NEXT_CURRENCY, (owner, currency)).fetchone():
        currency = row[0]
        if newest := find_balance(connection, AccountId(owner, currency), at):
            found.append(newest)
    return Balances(at, found)


def find_balance(connection: sqlite3.Connection, account: AccountId, at: int) -> Balance | None:
    """What entry `at` left the account at; `None` where it was not open."""
    row = connection.execute(_NEWEST_STATE, (*account, at)).fetchone()
    return None if row is None else Balance(State(account, row[1], row[2]), row[0])


_NEXT_CURRENCY: Final = (
    "SELECT currency FROM account_states WHERE owner = ? AND currency > ? ORDER BY owner, currency LIMIT 1"
)
_NEWEST_STATE: Final = (
    "SELECT seq, posted, held FROM account_states WHERE owner = ? AND currency = ? AND seq <= ? "
    "ORDER BY owner, currency, seq DESC LIMIT 1"
)
