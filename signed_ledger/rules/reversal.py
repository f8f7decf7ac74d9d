"""It will not spend this after all: what was authorised is taken back, in full or by an amount."""

from signed_ledger.money import Money
from signed_ledger.records import EXPIRED, PENDING, Body
from signed_ledger.rules.book import Book
from signed_ledger.rules.checks import complete, conflict, decided, named, totals_in
from signed_ledger.rules.commands import Asked, Slot


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Reverse what is named or, where no amount is, all that is neither cleared nor reversed, expired or not.

    Raises, in this order: `AuthorisationNotFound`, `Malformed`, `StateConflict` unless it is pending or expired, or
    where it is more than is authorised.
    """
    about = named(book, command)
    totals = totals_in(about, "reversal", PENDING, EXPIRED)
    amount = command.request.billing or Money(totals.uncleared, about.state.currency)
    if amount.minor > totals.net:
        authorised = Money(totals.net, amount.currency)
        raise conflict(f"The transaction is {about.state.status} with {authorised} authorised: {amount} is more.")
    request = complete(command.request, about, billing=amount)
    after = totals.plus(reversed=amount.minor)
    return [decided(command, request, about, decision="posted", reason="ok", totals=after)]
