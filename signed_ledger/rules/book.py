"""The book: balances, authorisations, cards and terms, and the one `apply` that changes them."""

from dataclasses import dataclass, field, replace

from signed_ledger.errors import Invalid
from signed_ledger.records import (
    DEFAULT_TERMS,
    AccountId,
    AuthorisationKey,
    AuthorisationState,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    Effect,
    JournalLine,
    Opening,
    PostingKey,
    Settlement,
    State,
    Terms,
    Totals,
    Unsettled,
    card,
    card_of,
)
from signed_ledger.rules.legs import unsettled_of


@dataclass(slots=True)
class Book:
    """What decisions are made upon. It need hold only what a decision names; `unsettled` is by Scheme, then currency.

    `postings` has the seq of each clearing and refund that has an id of its own, `settled` each Scheme's newest settled
    business day.
    """

    accounts: dict[AccountId, State] = field(default_factory=dict)
    authorisations: dict[AuthorisationKey, AuthorisationState] = field(default_factory=dict)
    cards: dict[str, CardState] = field(default_factory=dict)
    postings: dict[PostingKey, int] = field(default_factory=dict)
    unsettled: dict[str, dict[str, Unsettled]] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    terms: Terms = DEFAULT_TERMS

    def add_unsettled(self, scheme: str, sums: dict[str, Unsettled]) -> None:
        """Count more as posted since the Scheme's last settlement."""
        ours = self.unsettled.setdefault(scheme, {})
        for currency, more in sums.items():
            ours[currency] = ours.get(currency, Unsettled()).plus(more)


def apply(book: Book, body: Body, seq: int) -> Effect:
    """Take the entry at `seq` in and give what it changed: the one way of the writer, the rebuild and the audit.

    What `decide` gave never raises. What no `decide` would have given raises `Invalid`: to an auditor, a finding.
    """
    effect = _effect(book, body, seq)
    if effect.state is not None:
        book.accounts[effect.state.account] = effect.state
    if effect.authorisation is not None:
        book.authorisations[effect.authorisation.key] = effect.authorisation
    if effect.card is not None:
        book.cards[effect.card.card_id] = effect.card
    remember(book, body, seq)
    return effect


def remember(book: Book, body: Body, seq: int) -> None:
    """Take in what an entry tells whatever was before it: postings by name, sums to be settled, terms."""
    if isinstance(body, CardTransaction):
        if body.posting_key is not None:
            book.postings.setdefault(body.posting_key, seq)
        if sums := unsettled_of(body, seq):
            book.add_unsettled(body.scheme, sums)
    elif isinstance(body, Settlement):
        book.unsettled.pop(body.scheme, None)
        book.settled[body.scheme] = body.date
    elif isinstance(body, Terms):
        book.terms = body


def _effect(book: Book, body: Body, seq: int) -> Effect:
    if isinstance(body, JournalLine):
        return Effect(_moved(book, body.account, posted=body.amount.minor))
    if isinstance(body, CardTransaction):
        return _transacted(book, body, seq)
    if isinstance(body, Opening):
        return _opened(book, body)
    if isinstance(body, CardChange):
        return Effect(card=body.card)
    return Effect()


def _opened(book: Book, body: Opening) -> Effect:
    if body.account in book.accounts:
        raise Invalid("account", f"{body.account.owner} in {body.account.currency} is open already")
    card_id = card_of(body.account.owner)
    card = None if card_id is None or card_id in book.cards else CardState(card_id)
    return Effect(State(body.account, 0, 0), card=card)


def _transacted(book: Book, body: CardTransaction, seq: int) -> Effect:
    """What a message does is what its body says: the hold it changes, the totals after it, the card it binds."""
    before = book.authorisations.get(body.key)
    after = authorisation_after(body, seq, before)
    if after is not None:
        change = after.held - (0 if before is None else before.held)
        if change != body.hold_change.minor:
            raise Invalid("hold_change", f"is {body.hold_change.minor} minor units, the totals change it by {change}")
    state = None
    if changes_account(body):
        state = _moved(book, AccountId(card(body.card_id), body.billing.currency), held=body.hold_change.minor)
    return Effect(state, after, _bound(book, body))


def changes_account(body: CardTransaction) -> bool:
    """Whether the entry leaves a `state` of the card's account: where it changed an authorisation's totals."""
    return body.decision != "declined" and (body.form == 1 or body.totals is not None)


def authorisation_after(
    body: CardTransaction, seq: int, before: AuthorisationState | None
) -> AuthorisationState | None:
    """Where the transaction stands after an entry about it; `None` where the entry changes nothing of that.

    Raises `Invalid` where it can not be about one that stands like `before`.
    """
    if body.request.transaction_id is None:
        return None
    currency = body.billing.currency
    if body.opens == (before is not None):
        raise Invalid("transaction_id", f"{body.transaction_id} of {body.scheme} is not one that this can be about")
    if before is not None and (before.card_id, before.currency) != (body.card_id, currency):
        raise Invalid("card_id", f"is not the card and currency of {body.transaction_id}")
    if body.decision == "declined":
        return AuthorisationState(body.key, seq, body.card_id, currency, None) if body.opens else None
    own = seq if before is None else before.seq
    return AuthorisationState(body.key, own, body.card_id, currency, _totals_after(body, before), body.expires)


def _totals_after(body: CardTransaction, before: AuthorisationState | None) -> Totals:
    """What the body states; entries of the first form state nothing, there it followed from the type alone."""
    if body.form != 1:
        if body.totals is None:
            raise Invalid("totals", "are not stated")
        return body.totals
    if before is None:
        return Totals(authorised=body.billing.minor)
    if before.totals is None or before.totals.final:
        raise Invalid("hold_change", "releases a hold that is not there")
    return cleared(before.totals, body.billing.minor, final=True)


def cleared(totals: Totals, billed: int, *, final: bool) -> Totals:
    """Totals after a presentment; what a final one leaves of the hold is released."""
    after = totals.plus(cleared=billed, clearings=1)
    return replace(after.plus(reversed=after.open), final=True) if final else after


def _bound(book: Book, body: CardTransaction) -> CardState | None:
    """A card that is no Scheme's yet becomes that of the first whose message on it counts.

    Not while it is blocked: the message does not say so, and a card's entry must say all that its row does.
    """
    known = book.cards.get(body.card_id)
    if body.form == 1 or not body.opens or body.decision == "declined" or known is None:
        return None
    return None if known.scheme is not None or known.blocked else CardState(body.card_id, body.scheme)


def _moved(book: Book, account: AccountId, *, posted: int = 0, held: int = 0) -> State:
    """What an account would stand at after the change; raises `Invalid` where it can not be that."""
    before = book.accounts.get(account)
    if before is None:
        raise Invalid("account", f"{account.owner} has no account in {account.currency}")
    return State(account, before.posted + posted, before.held + held)
