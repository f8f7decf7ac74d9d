"""The merchant gave money back: the card is credited, and the Scheme owes it."""

from signed_ledger.errors import Malformed
from signed_ledger.records import CLEARED, Body
from signed_ledger.rules.book import Book
from signed_ledger.rules.checks import check_card, check_new_posting, complete, decided, named, totals_in
from signed_ledger.rules.commands import Asked, Slot
from signed_ledger.rules.posting import with_batch
from signed_ledger.rules.terms import interchange_of


def decide(book: Book, command: Asked, slot: Slot) -> list[Body]:
    """Give the refund, its batch, and the accounts it opens.

    One that names a transaction raises, in this order: `AuthorisationNotFound`, `Malformed`, `StateConflict` unless
    that is cleared. One that names none: `Malformed` without a card or an id of its own, `CardNotFound`. Either raises
    `StateConflict` where its own id was posted before.
    """
    if command.request.transaction_id is None:
        return _of_none(book, command, slot)
    about = named(book, command)
    totals = totals_in(about, "refund", CLEARED)
    check_new_posting(book, command)
    billing = command.request.billing
    assert billing is not None
    request = complete(
        command.request, about, interchange=interchange_of(book.terms, command, about.began.body.request)
    )
    after = totals.plus(refunded=billing.minor)
    return with_batch(book, decided(command, request, about, decision="posted", reason="ok", totals=after), slot)


def _of_none(book: Book, command: Asked, slot: Slot) -> list[Body]:
    if command.request.refund_id is None:
        raise Malformed("refund_id is required: the refund names no transaction.", field="refund_id")
    check_card(book, command, "the refund names no transaction")
    check_new_posting(book, command)
    request = complete(command.request, None, interchange=interchange_of(book.terms, command, command.request))
    return with_batch(book, decided(command, request, decision="posted", reason="ok"), slot)
