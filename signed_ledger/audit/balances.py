"""The balances of the replay, and which of them are in doubt after an entry that could not be read."""

from typing import NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.records import AccountId, Authorisation, Body, JournalLine, Opening, Presentment, State, card
from signed_ledger.rules import Book


class Touch(NamedTuple):
    """The account that an entry is about, and by how many minor units it changes it."""

    account: AccountId
    posted: int = 0
    held: int = 0


def touch_of(body: Body) -> Touch | None:
    if isinstance(body, JournalLine):
        return Touch(body.account, posted=body.amount.minor)
    if isinstance(body, Authorisation | Presentment):
        account = AccountId(card(body.card_id), body.billing.currency)
        return Touch(account, held=body.hold_change.minor)
    if isinstance(body, Opening):
        return Touch(body.account)
    return None


class Balances:
    """The book's accounts. An account is in doubt from an unreadable entry on until a signed state tells of it."""

    def __init__(self) -> None:
        self.book = Book()
        self._certain: set[AccountId] | None = None  # None: all of them

    def lose(self) -> None:
        """An entry could not be read: it may have changed any account."""
        self._certain = set()

    def is_doubtful(self, account: AccountId) -> bool:
        return self._certain is not None and account not in self._certain

    def is_open(self, account: AccountId) -> bool:
        return account in self.book.accounts or self.is_doubtful(account)

    def settle(self, touch: Touch, signed: State | None, *, opens: bool) -> None:
        """Reckon a doubtful account's balance before an entry from the state that was signed after it."""
        if signed is None or signed.account != touch.account or not self.is_doubtful(touch.account):
            return
        try:
            self.adopt(State(touch.account, signed.posted - touch.posted, signed.held - touch.held))
        except Invalid:  # no balance that an account can have comes to this one: it stays in doubt
            return
        if opens:
            del self.book.accounts[touch.account]

    def adopt(self, state: State) -> None:
        """Believe a signed state."""
        self.book.accounts[state.account] = state
        if self._certain is not None:
            self._certain.add(state.account)
