"""May this card spend this? Checked in docs/API.md's order: state, then card, then funds."""

from typing import Any, Final

from signed_ledger.errors import TransactionExists
from signed_ledger.records import Body, Request, Totals
from signed_ledger.rules.book import Book
from signed_ledger.rules.checks import decided, refusal_of
from signed_ledger.rules.commands import Asked, Slot
from signed_ledger.rules.terms import window_days

DAY: Final = 86_400_000_000


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Approve or decline; either is an entry. Raises `TransactionExists` for an id that was decided before."""
    request = command.request
    if command.key in book.authorisations:
        raise TransactionExists(
            f"Transaction {request.transaction_id} was already authorised or declined under another webhook id.",
            field="transaction_id",
        )
    assert request.card_id is not None
    assert request.billing is not None
    reason = refusal_of(book, command.scheme, request.card_id, request.billing)
    if reason != "ok":
        return [decided(command, request, decision="declined", reason=reason)]
    days = window_days(book.terms, command.scheme, request)
    totals = Totals(authorised=request.billing.minor)
    return [approved(command, request, slot, days, totals=totals)]


def approved(command: Asked, request: Request, slot: Slot, days: int, **outcome: Any) -> Body:
    """An approval whose hold lasts `days` from this entry's time on."""
    return decided(
        command,
        request,
        decision="approved",
        reason="ok",
        window_days=days,
        expires=slot.time + days * DAY,
        **outcome,
    )
