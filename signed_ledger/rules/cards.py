"""A card is bound to its Scheme for ever, blocked, unblocked."""

from signed_ledger.errors import CardNotFound, StateConflict
from signed_ledger.records import Body, CardChange, CardState
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import ChangeCard, Slot


def decide(book: Book, command: ChangeCard, slot: Slot) -> list[Body]:
    """Give the change. A card may be bound before it has an account.

    Raises `CardNotFound` where a card to be blocked or unblocked is not known; `StateConflict` where it stands so
    already, or belongs to another Scheme.
    """
    known = book.cards.get(command.card_id)
    if command.op == "bind":
        return [CardChange(command.op, _bound(command, known or CardState(command.card_id)), command.why)]
    return [CardChange(command.op, _blocked(command, known), command.why)]


def _bound(command: ChangeCard, known: CardState) -> CardState:
    if known.scheme is not None:
        raise StateConflict(f"Card {known.card_id} belongs to {known.scheme}, for ever.", field="card_id")
    return CardState(known.card_id, command.scheme, known.blocked)


def _blocked(command: ChangeCard, known: CardState | None) -> CardState:
    if known is None:
        raise CardNotFound(f"No card {command.card_id} is known here.", field="card_id")
    blocked = command.op == "block"
    if known.blocked is blocked:
        stands = "blocked already" if blocked else "not blocked"
        raise StateConflict(f"Card {known.card_id} is {stands}.", field="card_id")
    return CardState(known.card_id, known.scheme, blocked)
