"""The money moved: post it. A presentment for an open authorisation always posts, whatever the balance."""

from signed_ledger.countries import ALPHA_2
from signed_ledger.errors import AuthorisationNotFound, Malformed, StateConflict
from signed_ledger.money import Money
from signed_ledger.records import PENDING, AuthorisationKey, AuthorisationRequest, Body, Presentment, PresentmentRequest
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Present
from signed_ledger.rules.posting import with_batch


def decide_present(book: Book, command: Present, next_seq: int) -> list[Body]:
    """Give the presentment, its batch, and the accounts it opens.

    Raises, in this order: `AuthorisationNotFound`; `Malformed` naming the field that does not match the authorisation;
    `StateConflict` naming the state that admits no presentment.
    """
    request, authorised = command.request, command.authorised
    state = book.authorisations.get(AuthorisationKey(command.scheme, request.transaction_id))
    if state is None or authorised is None:
        raise AuthorisationNotFound(
            f"No authorisation of this Scheme has transaction id {request.transaction_id}.", field="transaction_id"
        )
    check_matches_authorisation(request, authorised.body.request)
    if state.status != PENDING:
        raise StateConflict(f"The transaction is {state.status}: it admits no presentment.", field="transaction_id")
    presentment = Presentment(
        scheme=command.scheme,
        webhook_id=command.webhook_id,
        transaction_id=request.transaction_id,
        card_id=state.card_id,
        billing=request.billing or Money(state.held, state.currency),
        settlement=request.settlement,
        hold_change=Money(-state.held, state.currency),
        builds_on=authorised.ref,
        transaction=request.transaction,
        presentment_id=request.presentment_id,
    )
    return with_batch(book, presentment, next_seq)


def check_matches_authorisation(request: PresentmentRequest, authorised: AuthorisationRequest) -> None:
    """Raise `Malformed` naming the first field that was given and is not the authorisation's."""
    for name in ("card_id", "merchant_name", "merchant_mcc"):
        if getattr(request, name) not in (None, getattr(authorised, name)):
            raise Malformed(f"{name} is not the one that was authorised.", field=name)
    country = request.merchant_country
    if country is not None and ALPHA_2[country] != ALPHA_2[authorised.merchant_country]:
        raise Malformed("merchant_country is not the one that was authorised.", field="merchant_country")
    if request.billing is not None and request.billing.currency != authorised.billing.currency:
        raise Malformed("billing_currency is not the one that was authorised.", field="billing_currency")
