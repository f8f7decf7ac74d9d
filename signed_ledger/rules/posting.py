"""All entries of a transaction: accounts to open, itself, its batch that sums to zero in each currency."""

from collections import defaultdict

from signed_ledger.errors import StateConflict
from signed_ledger.money import BALANCE_MINOR_MAX
from signed_ledger.records import AccountId, Body, JournalLine, Opening, Transaction
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Slot
from signed_ledger.rules.legs import legs_of, numbered


class BeyondReach(StateConflict):
    """What no account can stand at: DE 39 calls it an amount beyond the limit."""

    response_code = "61"


def with_batch(book: Book, transaction: Transaction, slot: Slot) -> list[Body]:
    """Give all entries of a transaction in order: accounts to open, itself at its seq, its lines.

    Raises `StateConflict` where an account could not stand at the result.
    """
    legs = legs_of(transaction)
    accounts = [AccountId(leg.owner, leg.amount.currency) for leg in legs]
    openings: list[Body] = [Opening(account) for account in dict.fromkeys(accounts) if account not in book.accounts]
    for account, leg in zip(accounts, legs, strict=True):
        _check_reach(book, account, leg.amount.minor)
    return [*openings, transaction, *numbered(legs, slot.seq + len(openings))]


def _check_reach(book: Book, account: AccountId, change: int) -> None:
    """No batch has two legs on one account, so each can be asked for by itself."""
    before = book.accounts.get(account)
    posted = change if before is None else before.posted + change
    if abs(posted) > BALANCE_MINOR_MAX:
        raise BeyondReach(f"{account.owner} would stand beyond 2^63-1 minor units of {account.currency}.")


def imbalances(lines: list[JournalLine]) -> dict[str, int]:
    """The currencies in which lines do not sum to zero, and by how many minor units."""
    sums: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.amount.currency] += line.amount.minor
    return {currency: total for currency, total in sums.items() if total}
