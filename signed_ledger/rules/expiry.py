"""The hold's time is over: what is still held is released. The Issuer's own, and never early."""

from signed_ledger.encoding import encode_time
from signed_ledger.money import Money
from signed_ledger.records import PENDING, Body
from signed_ledger.rules.book import Book
from signed_ledger.rules.checks import complete, conflict, decided, named, totals_in
from signed_ledger.rules.commands import Asked, Slot


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Expire it. Raises `AuthorisationNotFound`; `StateConflict` unless it is pending, holds something and is due."""
    about = named(book, command)
    totals = totals_in(about, "expiry", PENDING)
    expires = about.state.expires
    if not totals.open or expires is None:
        raise conflict("The transaction is PENDING, but holds nothing that could expire.")
    if slot.time < expires:
        raise conflict(f"The transaction is PENDING until {encode_time(expires)}.")
    request = complete(command.request, about, billing=Money(totals.open, about.state.currency))
    return [decided(command, request, about, decision="posted", reason="ok", totals=totals.plus(expired=totals.open))]
