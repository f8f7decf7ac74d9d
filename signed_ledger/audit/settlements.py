"""Settlements that rest on what was posted before an audit began: kept, and judged once that is known."""

from typing import NamedTuple

from signed_ledger.errors import Invalid, Refusal
from signed_ledger.records import AccountId, Opening, Settlement, State, Unsettled
from signed_ledger.rules import Book, Settle, Slot, accounts_of, decide, scheme_accounts


class Unjudged(NamedTuple):
    """A settlement at a slot, the accounts that it rests on, and what is known to have been posted before it."""

    slot: Slot
    body: Settlement
    accounts: dict[AccountId, State]
    unsettled: dict[str, Unsettled]

    @classmethod
    def of(cls, slot: Slot, body: Settlement, book: Book) -> "Unjudged":
        """What is in the book of it, where the settlement itself is not yet."""
        there = [a for a in (*scheme_accounts(body.scheme), *accounts_of(body)) if a in book.accounts]
        sums = dict(book.unsettled.get(body.scheme, {}))
        return cls(slot, body, {account: book.accounts[account] for account in there}, sums)

    def stands(self, before: Book) -> bool:
        """Whether the rules give this settlement, after `before` as to what was settled and what was to be."""
        scheme = self.body.scheme
        book = Book(dict(self.accounts), settled=dict(before.settled))
        book.add_unsettled(scheme, before.unsettled.get(scheme, {}))
        book.add_unsettled(scheme, self.unsettled)
        try:
            bodies = decide(book, Settle(scheme, self.body.date, self.body.day_ends), self.slot)
        except (Invalid, Refusal):
            return False
        return self.body == next(body for body in bodies if not isinstance(body, Opening))
