"""The balances of the replay, and what of it is in doubt after an entry that could not be read."""

from typing import NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.records import (
    AccountId,
    Body,
    CardChange,
    CardTransaction,
    JournalLine,
    Opening,
    Settlement,
    State,
    Terms,
    card,
)
from signed_ledger.rules import Book, scheme_accounts


class Touch(NamedTuple):
    """The account that an entry is about, and by how many minor units it changes it."""

    account: AccountId
    posted: int = 0
    held: int = 0


def touch_of(body: Body) -> Touch | None:
    if isinstance(body, JournalLine):
        return Touch(body.account, posted=body.amount.minor)
    if isinstance(body, CardTransaction):
        account = AccountId(card(body.card_id), body.billing.currency)
        return Touch(account, held=body.hold_change.minor)
    if isinstance(body, Opening):
        return Touch(body.account)
    return None


class Doubts:
    """What an unreadable entry may have changed, until a later one tells: all of it but what is named here."""

    def __init__(self) -> None:
        self._certain: set[object] | None = None  # None: everything

    def lose(self) -> None:
        self._certain = set()

    def settle(self, name: object) -> None:
        """From here on this is known."""
        if self._certain is not None:
            self._certain.add(name)

    def about(self, name: object) -> bool:
        return self._certain is not None and name not in self._certain


class Balances:
    """The book, and what of it is in doubt: accounts until a signed state tells, the rest until an entry states it."""

    def __init__(self) -> None:
        self.book = Book()
        self._accounts = Doubts()
        self._others = Doubts()  # cards by id, the sums of a Scheme by "settlement:<name>", the terms by "terms"

    def lose(self) -> None:
        """An entry could not be read: it may have changed anything."""
        self._accounts.lose()
        self._others.lose()

    def lose_accounts(self) -> None:
        """An entry is known to have changed an account, but not how."""
        self._accounts.lose()

    def is_doubtful(self, account: AccountId) -> bool:
        return self._accounts.about(account)

    def is_open(self, account: AccountId) -> bool:
        return account in self.book.accounts or self.is_doubtful(account)

    def can_judge(self, body: CardTransaction) -> bool:
        """Whether all that the decision rests on is known."""
        account = AccountId(card(body.card_id), body.billing.currency)
        return not (self.is_doubtful(account) or self._others.about(body.card_id) or self._others.about("terms"))

    def can_judge_settlement(self, body: Settlement) -> bool:
        owned = scheme_accounts(body.scheme)
        sums = self.book.unsettled.get(body.scheme, {})
        judged = [account for account in owned if account.currency in sums or account in self.book.accounts]
        return not (self._others.about(_sums_of(body.scheme)) or any(map(self.is_doubtful, judged)))

    def learn(self, body: Body) -> None:
        """Some entries state what they leave, whatever was before."""
        if isinstance(body, CardChange):
            self._others.settle(body.card.card_id)
        elif isinstance(body, Terms):
            self._others.settle("terms")
        elif isinstance(body, Settlement):
            self._others.settle(_sums_of(body.scheme))

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
        self._accounts.settle(state.account)


def _sums_of(scheme: str) -> str:
    return f"settlement:{scheme}"
