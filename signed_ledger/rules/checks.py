"""What several messages ask before they decide, each in its place of docs/API.md's order of checks."""

from dataclasses import replace
from typing import Any, NamedTuple

from signed_ledger.countries import ALPHA_2
from signed_ledger.errors import AuthorisationNotFound, CardNotFound, Invalid, Malformed, StateConflict
from signed_ledger.money import Money
from signed_ledger.records import (
    AccountId,
    AuthorisationState,
    CardTransaction,
    Request,
    Totals,
    card,
)
from signed_ledger.records.messages import LIKE_BEFORE, MERCHANT
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Asked, Authorised


class Named(NamedTuple):
    """The transaction that a message is about: where it stands, and the entry it began with."""

    state: AuthorisationState
    began: Authorised


def named(book: Book, command: Asked) -> Named:
    """Raises `AuthorisationNotFound`; then `Malformed` naming what was given and is not the authorisation's."""
    state = book.authorisations.get(command.key)
    if state is None or command.authorised is None:
        raise AuthorisationNotFound(
            f"No authorisation of this Scheme has transaction id {command.key.transaction_id}.", field="transaction_id"
        )
    check_matches(command.request, command.authorised.body.request)
    return Named(state, command.authorised)


def check_matches(request: Request, authorised: Request) -> None:
    """Raise `Malformed` naming the first field that was given and is not the authorisation's, where that has it."""
    for name in LIKE_BEFORE:
        given, before = _comparable(request, name), _comparable(authorised, name)
        if given is not None and before is not None and given != before:
            raise Malformed(f"{name} is not the one that was authorised.", field=name)
    assert authorised.billing is not None
    if request.billing is not None and request.billing.currency != authorised.billing.currency:
        raise Malformed("billing_currency is not the one that was authorised.", field="billing_currency")


def _comparable(request: Request, name: str) -> str | None:
    """A country may be told in two letters or in three."""
    value: str | None = getattr(request, name)
    return ALPHA_2[value] if value is not None and name == "merchant_country" else value


def totals_in(about: Named, message: str, *statuses: str) -> Totals:
    """The totals; raises `StateConflict` unless the transaction is in one of `statuses`."""
    state = about.state
    if state.totals is None or state.status not in statuses:
        raise conflict(f"The transaction is {state.status}: it admits no {message}.")
    return state.totals


def conflict(sentence: str, field: str = "transaction_id") -> StateConflict:
    return StateConflict(sentence, field=field)


def check_new_posting(book: Book, command: Asked) -> None:
    """Raise `StateConflict` where a clearing or refund of this very id was posted before."""
    key = command.posting_key
    if key is not None and key in book.postings:
        kind, _, own = key.name.partition(":")
        field = f"{kind}_id"
        raise conflict(f"{field} {own} of this transaction was posted before, by entry {book.postings[key]}.", field)


def refusal_of(book: Book, scheme: str, card_id: str, billing: Money) -> str:
    """Why a card may not spend: not there for this Scheme, blocked, without funds; `ok` where it may."""
    account = book.accounts.get(AccountId(card(card_id), billing.currency))
    known = book.cards.get(card_id)
    if account is None or known is None or known.scheme not in (None, scheme):
        return "card_not_found"
    if known.blocked:
        return "card_blocked"
    return "ok" if account.available >= billing.minor else "insufficient_funds"


def check_card(book: Book, command: Asked, why: str) -> None:
    """For what names no authorisation: raise `Malformed` without card and billing amount, `CardNotFound` for a card
    that is not there, or another Scheme's."""
    request = command.request
    for name, value in (("card_id", request.card_id), ("billing_amount", request.billing)):
        if value is None:
            raise Malformed(f"{name} is required: {why}.", field=name)
    assert request.card_id is not None
    assert request.billing is not None
    if refusal_of(book, command.scheme, request.card_id, Money(0, request.billing.currency)) == "card_not_found":
        raise CardNotFound(
            f"Card {request.card_id} has no account here in {request.billing.currency}.", field="card_id"
        )


def complete(request: Request, about: Named | None, **filled: Any) -> Request:
    """The request as it is recorded: filled in, and without what the entry that it builds on says already.

    Raises `Malformed` where what is filled in contradicts what was sent.
    """
    if about is not None:
        filled = {"card_id": about.state.card_id, **dict.fromkeys(MERCHANT), **filled}
    try:
        return replace(request, **filled)
    except Invalid as error:
        raise Malformed(f"{error.field} {error.detail}.", field=error.field) from None


def decided(command: Asked, request: Request, about: Named | None = None, **outcome: Any) -> CardTransaction:
    """The body of a message that was decided; approved or posted unless `reason` says why not.

    `outcome` are further fields of `CardTransaction`; the hold's change follows from the totals.
    """
    totals: Totals | None = outcome.get("totals")
    before = 0 if about is None else about.state.held
    assert request.billing is not None
    change = 0 if totals is None else totals.open - before
    return CardTransaction(
        scheme=command.scheme,
        webhook_id=command.webhook_id,
        request=request,
        hold_change=Money(change, request.billing.currency),
        builds_on=None if about is None else about.began.ref,
        **{"expires": about.state.expires if about is not None and totals is not None else None, **outcome},
    )
