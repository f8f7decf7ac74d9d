"""All entries of a transaction: accounts to open, itself, its batch that sums to zero in each currency."""

from collections import defaultdict

from signed_ledger.errors import Invalid, StateConflict
from signed_ledger.records import AccountId, Body, CardTransaction, JournalLine, Opening, Transaction, card, card_of
from signed_ledger.rules.book import Book, apply
from signed_ledger.rules.commands import Slot
from signed_ledger.rules.legs import accounts_of, lines_of


class BeyondReach(StateConflict):
    """What no account can stand at: DE 39 calls it an amount beyond the limit."""

    response_code = "61"


def with_batch(book: Book, transaction: Transaction, slot: Slot) -> list[Body]:
    """Give all entries of a transaction in order: accounts to open, itself at its seq, its lines.

    Raises `StateConflict` where an account could not stand at the result.
    """
    missing = [account for account in dict.fromkeys(accounts_of(transaction)) if account not in book.accounts]
    openings: list[Body] = [Opening(account) for account in missing]
    seq = slot.seq + len(openings)
    bodies = [*openings, transaction, *lines_of(transaction, seq)]
    _check_applies(_excerpt(book, transaction), bodies, slot.seq)
    return bodies


def _excerpt(book: Book, transaction: Transaction) -> Book:
    """A book of its own with what the transaction touches: the whole one may be large."""
    touched = set(accounts_of(transaction))
    trial = Book()
    if isinstance(transaction, CardTransaction):
        touched.add(AccountId(card(transaction.card_id), transaction.billing.currency))
        if transaction.key in book.authorisations:
            trial.authorisations[transaction.key] = book.authorisations[transaction.key]
    trial.accounts = {account: book.accounts[account] for account in touched if account in book.accounts}
    cards = {card_of(account.owner) for account in touched}
    trial.cards = {name: book.cards[name] for name in cards if name in book.cards}
    return trial


def _check_applies(trial: Book, bodies: list[Body], seq: int) -> None:
    try:
        for number, body in enumerate(bodies, seq):
            apply(trial, body, number)
    except Invalid as error:
        raise BeyondReach(f"This can not be posted: {error}.") from None


def imbalances(lines: list[JournalLine]) -> dict[str, int]:
    """The currencies in which lines do not sum to zero, and by how many minor units."""
    sums: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.amount.currency] += line.amount.minor
    return {currency: total for currency, total in sums.items() if total}
