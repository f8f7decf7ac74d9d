"""May this card spend this? Checked in API.md's order: state, then funds."""

from signed_ledger.errors import TransactionExists
from signed_ledger.records import AccountId, Authorisation, AuthorisationKey, Body, card
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Authorise


def decide_authorise(book: Book, command: Authorise, next_seq: int) -> list[Body]:
    """Approve or decline; either is an entry. Raises `TransactionExists` for an id that was decided before."""
    request = command.request
    if AuthorisationKey(command.scheme, request.transaction_id) in book.authorisations:
        raise TransactionExists(
            f"Transaction {request.transaction_id} was already authorised or declined under another webhook id.",
            field="transaction_id",
        )
    decision, reason = _decision(book, command)
    return [Authorisation(command.scheme, command.webhook_id, request, decision, reason)]


def _decision(book: Book, command: Authorise) -> tuple[str, str]:
    billing = command.request.billing
    account = book.accounts.get(AccountId(card(command.request.card_id), billing.currency))
    if account is None:
        return "declined", "card_not_found"
    if account.available < billing.minor:
        return "declined", "insufficient_funds"
    return "approved", "ok"
