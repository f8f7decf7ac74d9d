"""The card business without a ledger: a book, the time, and the decisions taken so far."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from signed_ledger.errors import Refusal
from signed_ledger.money import Money
from signed_ledger.records import (
    AccountId,
    AuthorisationKey,
    AuthorisationState,
    Body,
    CardTransaction,
    EntryRef,
    JournalLine,
    Load,
    Request,
    Totals,
)
from signed_ledger.rules import Asked, Authorised, Book, ChangeCard, Command, Settle, Slot, apply, decide

START = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


class Till:
    """A book, the seq and the time that come next; `c1` is the card where none is named."""

    def __init__(self, loaded: int = 0) -> None:
        self.book = Book()
        self.seq = 1
        self.time = START
        self.entries: list[tuple[int, Body]] = []
        self.began: dict[AuthorisationKey, Authorised] = {}
        if loaded:
            self.load(loaded)

    # --- commands --------------------------------------------------------------------------------------------------

    def do(self, command: Command) -> list[Body]:
        """Decide and apply, as the writer does; gives what was recorded."""
        bodies = decide(self.book, command, Slot(self.seq, self.time))
        for body in bodies:
            apply(self.book, body, self.seq)
            self.entries.append((self.seq, body))
            if isinstance(body, CardTransaction) and body.opens and body.request.transaction_id is not None:
                self.began[body.key] = Authorised(EntryRef(self.seq, bytes(32)), body)
            self.seq += 1
        return bodies

    def load(self, minor: int, currency: str = "EUR", card_id: str = "c1") -> list[Body]:
        return self.do(Load(f"load-{self.seq}", card_id, Money(minor, currency)))

    def ask(self, kind: str, transaction_id: str | None = "t", scheme: str = "visa", **fields: Any) -> list[Body]:
        request = Request(kind, transaction_id, **fields)
        asked = Asked(scheme, None if kind == "expiry" else f"wh-{self.seq}", request)
        return self.do(asked._replace(authorised=self.began.get(asked.key)))

    def send(self, kind: str, transaction_id: str | None = "t", scheme: str = "visa", **fields: Any) -> CardTransaction:
        """As `ask`; gives the message's own body."""
        bodies = self.ask(kind, transaction_id, scheme, **fields)
        (own,) = [body for body in bodies if isinstance(body, CardTransaction)]
        return own

    def authorise(
        self, minor: int, transaction_id: str = "t", currency: str = "EUR", scheme: str = "visa", **fields: Any
    ) -> CardTransaction:
        money = Money(minor, currency)
        fields = {**MERCHANT, "card_id": "c1", "billing": money, "transaction": money, **fields}
        return self.send("authorisation", transaction_id, scheme, **fields)

    def present(
        self, transaction_id: str = "t", settled: Money | None = None, scheme: str = "visa", **fields: Any
    ) -> CardTransaction:
        """Settled is what is billed or else, like it or not, one euro."""
        settled = settled or fields.get("billing") or eur(1_00)
        return self.send("presentment", transaction_id, scheme, settlement=settled, **fields)

    def refund(
        self, minor: int, transaction_id: str | None = "t", scheme: str = "visa", **fields: Any
    ) -> CardTransaction:
        fields = {"settlement": eur(minor), "billing": eur(minor), **fields}
        return self.send("refund", transaction_id, scheme, **fields)

    def expire(self, transaction_id: str = "t", scheme: str = "visa") -> CardTransaction:
        return self.send("expiry", transaction_id, scheme)

    def block(self, card_id: str = "c1") -> list[Body]:
        return self.do(ChangeCard("block", card_id))

    def settle(self, date: str = "2026-11-23", scheme: str = "visa") -> list[Body]:
        return self.do(Settle(scheme, date, self.time))

    # --- what stands there -----------------------------------------------------------------------------------------

    def state(self, transaction_id: str = "t", scheme: str = "visa") -> AuthorisationState:
        return self.book.authorisations[AuthorisationKey(scheme, transaction_id)]

    def totals(self, transaction_id: str = "t") -> Totals:
        totals = self.state(transaction_id).totals
        assert totals is not None
        return totals

    def balance(self, owner: str = "card:c1", currency: str = "EUR") -> tuple[int, int]:
        """Posted and held."""
        state = self.book.accounts[AccountId(owner, currency)]
        return state.posted, state.held

    @property
    def facts(self) -> tuple[object, ...]:
        """All that a decision could change."""
        book = self.book
        settled = {scheme: dict(sums) for scheme, sums in book.unsettled.items()}
        return (
            *(dict(each) for each in (book.accounts, book.authorisations, book.cards, book.postings)),
            settled,
            dict(book.settled),
            book.terms,
        )

    def refused(self, act: Callable[[], object]) -> Refusal:
        """The refusal of what can not be done; it has changed nothing."""
        before = self.facts
        try:
            act()
        except Refusal as refusal:
            assert self.facts == before
            return refusal
        raise AssertionError("was not refused")


MERCHANT: dict[str, Any] = {"merchant_name": "Shop", "merchant_country": "GB", "merchant_mcc": "5411"}


def lines_in(bodies: list[Body]) -> list[tuple[str, Money]]:
    """The journal lines: owner and amount."""
    return [(body.owner, body.amount) for body in bodies if isinstance(body, JournalLine)]


def check_books(book: Book) -> None:
    """Money is conserved in every currency, and every hold is the sum of what is open."""
    for currency in {account.currency for account in book.accounts}:
        states = [state for account, state in book.accounts.items() if account.currency == currency]
        assert sum(state.posted for state in states) == 0
    for account, state in book.accounts.items():
        open_now = [
            one.held
            for one in book.authorisations.values()
            if (f"card:{one.card_id}", one.currency) == (account.owner, account.currency)
        ]
        assert state.held == sum(open_now)


minors = st.integers(0, 300_00)
