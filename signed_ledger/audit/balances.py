"""The balances of the replay, and what of it is in doubt after an entry that could not be read."""

from typing import NamedTuple

from signed_ledger.audit.assumed import Assumed
from signed_ledger.audit.past import Past, Remembered
from signed_ledger.errors import Invalid
from signed_ledger.records import (
    AccountId,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    JournalLine,
    Opening,
    Settlement,
    State,
    Terms,
    card,
    card_of,
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
        self._doubtful: set[object] = set()  # by name

    def lose(self) -> None:
        self._certain = set()

    def doubt(self, name: object) -> None:
        """Of this alone it is not known any more."""
        self._doubtful.add(name)

    def settle(self, name: object) -> None:
        """From here on this is known."""
        self._doubtful.discard(name)
        if self._certain is not None:
            self._certain.add(name)

    def about(self, name: object) -> bool:
        return name in self._doubtful or (self._certain is not None and name not in self._certain)


class Balances:
    """The book, and what of it is in doubt: accounts until a signed state tells, the rest until an entry states it."""

    def __init__(self) -> None:
        self.book = Book()
        self._accounts = Doubts()
        self._cards = Doubts()  # by id
        self._sums = Doubts()  # what is to be settled, by Scheme
        self._terms = Doubts()  # one, by ""

    def resume(self, past: Past | Assumed, terms: Terms | None) -> None:
        """Go on from the past; what was to be settled then is not known until the Scheme's next settlement."""
        self.book = Book(Remembered(past.account), cards=Remembered(past.card), postings=Remembered(past.posting))
        self.book.terms = terms or self.book.terms
        self._sums.lose()

    def lose(self, kind: str | None) -> None:
        """An entry can not be believed: it may have changed anything; the terms only if it may be of that kind."""
        for doubts in (self._accounts, self._cards, self._sums):
            doubts.lose()
        if kind in (None, Terms.KIND):
            self._terms.lose()

    def lose_body(self, kind: str) -> None:
        """A signed entry of this kind has no body that can be read; what it did to an account its state may tell."""
        if kind in (CardTransaction.KIND, CardChange.KIND, Opening.KIND):
            self._cards.lose()
        if kind == CardTransaction.KIND:
            self._sums.lose()
        if kind == Terms.KIND:
            self._terms.lose()

    def lose_accounts(self) -> None:
        """An entry is known to have changed an account, but not how."""
        self._accounts.lose()

    def lose_sums(self, scheme: str) -> None:
        """Something that was posted with this Scheme was erased."""
        self._sums.doubt(scheme)

    def is_doubtful(self, account: AccountId) -> bool:
        return self._accounts.about(account)

    def is_open(self, account: AccountId) -> bool:
        return account in self.book.accounts or self.is_doubtful(account)

    def can_judge(self, body: CardTransaction) -> bool:
        """Whether all that the decision rests on is known."""
        account = AccountId(card(body.card_id), body.billing.currency)
        return not (self.is_doubtful(account) or self._cards.about(body.card_id) or self._terms.about(""))

    def can_judge_card(self, card_id: str) -> bool:
        """Whether it is known how the card stands."""
        return not self._cards.about(card_id)

    def can_tell_rows(self, body: Body) -> bool:
        """Whether it is known if the entry changes how a card stands, where it is of a kind that may."""
        if isinstance(body, Opening):
            card_id = card_of(body.account.owner)
            return card_id is None or not self._cards.about(card_id)
        return not (isinstance(body, CardTransaction) and body.opens and self._cards.about(body.card_id))

    def can_judge_settlement(self, body: Settlement) -> bool:
        owned = scheme_accounts(body.scheme)
        sums = self.book.unsettled.get(body.scheme, {})
        judged = [account for account in owned if account.currency in sums or account in self.book.accounts]
        return not (self._sums.about(body.scheme) or any(map(self.is_doubtful, judged)))

    def learn(self, body: Body) -> None:
        """Some entries state what they leave, whatever was before."""
        if isinstance(body, CardChange):
            self._cards.settle(body.card.card_id)
        elif isinstance(body, Terms):
            self._terms.settle("")
        elif isinstance(body, Settlement):
            self._sums.settle(body.scheme)
        elif isinstance(body, CardTransaction) and body.opens and body.decision == "approved":
            self._learn_approved(body)

    def _learn_approved(self, body: CardTransaction) -> None:
        """That a card may spend says whose it is, and that it is not blocked; the first form did not."""
        if body.form != 1 and self._cards.about(body.card_id):
            self.book.cards[body.card_id] = CardState(body.card_id, body.scheme)
            self._cards.settle(body.card_id)

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
