"""The money moved: post it. For an approved authorisation it always posts; what is unusual is flagged."""

from signed_ledger.errors import Malformed
from signed_ledger.money import Money
from signed_ledger.records import (
    CLEARED,
    EXPIRED,
    PENDING,
    AccountId,
    Body,
    CardTransaction,
    Request,
    Totals,
    card,
)
from signed_ledger.records.messages import FLAGS
from signed_ledger.rules.book import Book, cleared
from signed_ledger.rules.checks import (
    Named,
    check_card,
    check_new_posting,
    complete,
    conflict,
    decided,
    named,
    totals_in,
)
from signed_ledger.rules.commands import Asked, Slot
from signed_ledger.rules.posting import with_batch
from signed_ledger.rules.terms import interchange_of, tolerated


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Give the presentment, its batch, and the accounts it opens.

    Raises, in this order: `AuthorisationNotFound` (unless it is forced); `Malformed` naming the field that does not
    match the authorisation, or that a forced one lacks; `CardNotFound` for a forced one; `StateConflict` naming the
    state that admits no presentment, or the entry that posted this very one before; `Malformed` where the hold does not
    say what to bill.
    """
    if command.request.force_post and command.key not in book.authorisations:
        return with_batch(book, _forced(book, command), slot)
    return with_batch(book, _of_authorisation(book, command, slot), slot)


def _forced(book: Book, command: Asked) -> CardTransaction:
    """Nothing was authorised: the transaction begins, and is cleared, with this."""
    check_card(book, command, "the presentment is forced")
    request = complete(
        command.request,
        None,
        final=command.request.final is not False,
        interchange=interchange_of(book.terms, command, command.request),
    )
    assert request.billing is not None
    totals = cleared(Totals(), request.billing.minor, final=request.final is True)
    flags = _flags(book, request, {"forced"})
    return decided(command, request, decision="posted", reason="ok", totals=totals, flags=flags)


def _of_authorisation(book: Book, command: Asked, slot: Slot) -> CardTransaction:
    about = named(book, command)
    totals = totals_in(about, "presentment", PENDING, EXPIRED, CLEARED)
    if totals.final:
        raise conflict("The transaction is CLEARED, its final presentment was posted: it admits no presentment.")
    check_new_posting(book, command)
    began = about.began.body
    request = complete(
        command.request,
        about,
        billing=command.request.billing or _default_billing(totals, about.state.currency),
        final=command.request.final is not False,
        interchange=interchange_of(book.terms, command, began.request),
    )
    billed = request.billing
    assert billed is not None
    flags = {"forced"} if began.type == "presentment" else _excess(book, about, totals, billed)
    if about.state.expires is not None and slot.time >= about.state.expires:
        flags.add("late")
    after = cleared(totals, billed.minor, final=request.final is True)
    return decided(
        command,
        request,
        about,
        decision="posted",
        reason="ok",
        totals=after,
        flags=_flags(book, request, flags),
    )


def _default_billing(totals: Totals, currency: str) -> Money:
    """What is authorised and neither cleared nor reversed: the open hold, or what it was before it expired."""
    if totals.clearings and not totals.uncleared:
        raise Malformed("billing_amount is required: nothing is left of the hold.", field="billing_amount")
    return Money(totals.uncleared, currency)


def _excess(book: Book, about: Named, totals: Totals, billed: Money) -> set[str]:
    """Whether more is cleared than authorised, and of what class that is: docs/CARD_RULES.md, Excess."""
    excess = totals.cleared + billed.minor - totals.net
    if excess <= 0:
        return set()
    began = about.began.body
    transaction = began.request.transaction
    if transaction is not None and transaction.currency != billed.currency:
        return {"over_hold"}
    limit = tolerated(book.terms, began.scheme, began.request, Money(totals.net, billed.currency))
    return {"over_hold", "within_tolerance" if excess <= limit else "excess_disputable"}


def _flags(book: Book, request: Request, flags: set[str]) -> tuple[str, ...]:
    assert request.billing is not None
    account = book.accounts.get(AccountId(card(request.card_id or ""), request.billing.currency))
    if account is not None and account.posted < request.billing.minor:
        flags = flags | {"negative_balance"}
    return tuple(flag for flag in FLAGS if flag in flags)
