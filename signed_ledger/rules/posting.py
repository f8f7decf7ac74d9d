"""Batches: journal lines that sum to zero in each currency, and the accounts that have to be opened for them."""

from collections import defaultdict
from typing import NamedTuple

from signed_ledger.errors import Invalid, StateConflict
from signed_ledger.money import Money
from signed_ledger.records import (
    ISSUER,
    AccountId,
    AuthorisationKey,
    Body,
    JournalLine,
    Load,
    Opening,
    Presentment,
    Transaction,
    card,
    scheme,
)
from signed_ledger.rules.book import Book, apply
from signed_ledger.rules.commands import Authorise, Command


class Leg(NamedTuple):
    """One owner's share of a batch."""

    owner: str
    amount: Money


def legs_of(transaction: Transaction) -> list[Leg]:
    """The split of docs/FORMAT.md, Amounts and accounts, in its order; a decision that moves no money has none."""
    if isinstance(transaction, Load):
        amount = transaction.billing
        return [Leg(ISSUER, _negative(amount)), Leg(card(transaction.card_id), amount)]
    if isinstance(transaction, Presentment):
        return _clearing(transaction)
    return []


def _clearing(transaction: Presentment) -> list[Leg]:
    billed, settled = transaction.billing, transaction.settlement
    payer, payee = card(transaction.card_id), scheme(transaction.scheme)
    if billed.currency == settled.currency:
        kept = Money(billed.minor - settled.minor, billed.currency)
        return [Leg(payer, _negative(billed)), Leg(payee, settled), Leg(ISSUER, kept)]
    return [
        Leg(payer, _negative(billed)),
        Leg(ISSUER, billed),
        Leg(ISSUER, _negative(settled)),
        Leg(payee, settled),
    ]


def _negative(amount: Money) -> Money:
    return Money(-amount.minor, amount.currency)


def accounts_of(transaction: Transaction) -> list[AccountId]:
    """The accounts that a transaction's batch posts to."""
    return [AccountId(leg.owner, leg.amount.currency) for leg in legs_of(transaction)]


def accounts_for(book: Book, command: Command) -> list[AccountId]:
    """The accounts that deciding a command needs to know; a presentment's once its authorisation is in the book."""
    if isinstance(command, Authorise):
        return [AccountId(card(command.request.card_id), command.request.billing.currency)]
    if isinstance(command, Load):
        return accounts_of(command)
    state = book.authorisations.get(AuthorisationKey(command.scheme, command.request.transaction_id))
    if state is None:
        return []
    settled = command.request.settlement.currency
    return [
        AccountId(card(state.card_id), state.currency),
        AccountId(ISSUER, state.currency),
        AccountId(scheme(command.scheme), settled),
        AccountId(ISSUER, settled),
    ]


def lines_of(transaction: Transaction, batch: int) -> list[JournalLine]:
    """The journal lines of the transaction at seq `batch`."""
    legs = legs_of(transaction)
    return [JournalLine(batch, number, len(legs), leg.owner, leg.amount) for number, leg in enumerate(legs, 1)]


def with_batch(book: Book, transaction: Transaction, next_seq: int) -> list[Body]:
    """Give all entries of a transaction in order: accounts to open, itself at its seq, its lines.

    Raises `StateConflict` where an account could not stand at the result.
    """
    missing = [account for account in dict.fromkeys(accounts_of(transaction)) if account not in book.accounts]
    openings: list[Body] = [Opening(account) for account in missing]
    seq = next_seq + len(openings)
    bodies = [*openings, transaction, *lines_of(transaction, seq)]
    _check_applies(_excerpt(book, transaction), bodies, next_seq)
    return bodies


def _excerpt(book: Book, transaction: Transaction) -> Book:
    """A book of its own with what the transaction touches: the whole one may be large."""
    touched = {*accounts_of(transaction), AccountId(card(transaction.card_id), transaction.billing.currency)}
    accounts = {account: book.accounts[account] for account in touched if account in book.accounts}
    if not isinstance(transaction, Presentment):
        return Book(accounts)
    key = AuthorisationKey(transaction.scheme, transaction.transaction_id)
    return Book(accounts, {key: book.authorisations[key]})


def _check_applies(trial: Book, bodies: list[Body], next_seq: int) -> None:
    try:
        for seq, body in enumerate(bodies, next_seq):
            apply(trial, body, seq)
    except Invalid as error:
        raise StateConflict(f"This can not be posted: {error}.") from None


def imbalances(lines: list[JournalLine]) -> dict[str, int]:
    """The currencies in which lines do not sum to zero, and by how many minor units."""
    sums: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.amount.currency] += line.amount.minor
    return {currency: total for currency, total in sums.items() if total}
