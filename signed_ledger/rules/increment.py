"""May it spend this much more? The hold grows if funds allow, and its time starts anew."""

from signed_ledger.records import PENDING, Body
from signed_ledger.rules.authorisation import approved
from signed_ledger.rules.book import Book
from signed_ledger.rules.checks import complete, decided, named, refusal_of, totals_in
from signed_ledger.rules.commands import Asked, Slot
from signed_ledger.rules.terms import window_days


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Approve or decline; a decline leaves the authorisation as it was.

    Raises, in this order: `AuthorisationNotFound`, `Malformed`, `StateConflict` unless it is pending.
    """
    about = named(book, command)
    totals = totals_in(about, "increment", PENDING)
    request = complete(command.request, about)
    assert request.billing is not None
    reason = refusal_of(book, command.scheme, about.state.card_id, request.billing)
    if reason != "ok":
        return [decided(command, request, about, decision="declined", reason=reason)]
    days = window_days(book.terms, command.scheme, about.began.body.request)
    return [approved(command, request, slot, days, about=about, totals=totals.plus(incremented=request.billing.minor))]
