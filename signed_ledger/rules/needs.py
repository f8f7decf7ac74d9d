"""What deciding a command needs to know, so that the writer can read it first."""

from signed_ledger.money import MINOR_DIGITS
from signed_ledger.records import ISSUER, MESSAGES, AccountId, AuthorisationState, Load, Terms, card, external, scheme
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Asked, ChangeCard, Command, Settle
from signed_ledger.rules.legs import accounts_of


def accounts_for(book: Book, command: Command) -> list[AccountId]:
    """The accounts; of what names a transaction once that is in the book, of a settlement once its sums are."""
    if isinstance(command, Asked):
        return _accounts_of_asked(command, book.authorisations.get(command.key))
    if isinstance(command, Load):
        return accounts_of(command)
    if isinstance(command, Settle):
        owners = (ISSUER, external(command.scheme))
        currencies = book.unsettled.get(command.scheme, {})
        others = [AccountId(owner, currency) for currency in currencies for owner in owners]
        return scheme_accounts(command.scheme) + others
    return []


def scheme_accounts(name: str) -> list[AccountId]:
    """Every account that a Scheme may have: money in one of which nobody tells must be noticed at its settlement."""
    return [AccountId(scheme(name), currency) for currency in MINOR_DIGITS]


def _accounts_of_asked(command: Asked, state: AuthorisationState | None) -> list[AccountId]:
    request = command.request
    card_id, currency = request.card_id, request.billing.currency if request.billing else None
    if state is not None:
        card_id, currency = state.card_id, state.currency
    accounts = [] if card_id is None or currency is None else [AccountId(card(card_id), currency)]
    if request.settlement is not None and accounts:
        settled = request.settlement.currency
        accounts += [AccountId(ISSUER, accounts[0].currency), AccountId(scheme(command.scheme), settled)]
        accounts += [AccountId(ISSUER, settled)]
    return accounts


def cards_for(book: Book, command: Command) -> list[str]:
    """The cards that a command may bind, or whose block counts: not those of an advice about a known transaction."""
    if isinstance(command, Asked):
        state = book.authorisations.get(command.key)
        if state is None:
            return [] if command.request.card_id is None else [command.request.card_id]
        message = MESSAGES[command.request.type]
        return [state.card_id] if "card_blocked" in message.declined_for and not message.must_begin else []
    if isinstance(command, Load | ChangeCard):
        return [command.card_id]
    assert isinstance(command, Settle | Terms)
    return []
