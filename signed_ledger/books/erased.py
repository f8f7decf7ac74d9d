"""A card that was erased, in the books: its side of each batch stands on an account of its own, `erased`.

What it moved follows from the other lines, since a batch sums to zero. A balance that stayed leaves that account for
the card's own, so that `erased` ends at nothing. Pure.
"""

from typing import Final

from signed_ledger.books.events import Batch, Event, Opened, Posting
from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records import AccountId, Entry, State

ERASED: Final = "erased"


def erased_batch(entry: Entry) -> Batch:
    """The transaction of which no more is known than that it was."""
    return Batch(entry.seq, entry.time, ERASED, f"entry-{entry.seq}", None, None, ())


def erased_posting(seq: int, others: list[Posting], currency: str) -> Posting:
    """The card's own line, from the others of its batch."""
    moved = sum(posting.amount.minor for posting in others if posting.account.currency == currency)
    return Posting(seq, AccountId(ERASED, currency), Money(-moved, currency))


def kept_balance(entry: Entry, state: State, balances: dict[AccountId, int]) -> list[Event]:
    """A balance that stayed goes to the card's account, which is opened for it."""
    events: list[Event] = []
    own, other = state.account, AccountId(ERASED, state.account.currency)
    for account in (other, own):
        if account not in balances:
            balances[account] = 0
            events.append(Opened(entry.time, account))
    moved = state.posted - balances[own]
    balances[own] += moved
    balances[other] -= moved
    postings = [
        Posting(entry.seq, account, Money(minor, own.currency)) for account, minor in ((other, -moved), (own, moved))
    ]
    return [*events, erased_batch(entry)._replace(postings=tuple(postings))]


def check_nothing_left(balances: dict[AccountId, int]) -> None:
    """Raises `Invalid` where more or less was erased than what moved and what stayed."""
    for account, minor in balances.items():
        if account.owner == ERASED and minor:
            raise Invalid("erased", f"what was erased in {account.currency} does not come to what stayed of it")
