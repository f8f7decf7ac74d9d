"""The card business, pure: no clock, no randomness, no I/O.

`decide(book, command, slot)` may refuse and changes nothing; what it gives, `apply` takes in and can not refuse. A
type of message is a row of `records.messages` and a module of its name here with its `decide`: docs/adr/0008.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from signed_ledger.errors import Invalid
from signed_ledger.records import MESSAGES, Body, Load
from signed_ledger.rules import cards, load, settling
from signed_ledger.rules.book import Book, apply, authorisation_after, changes_account, remember
from signed_ledger.rules.commands import Asked, Authorised, ChangeCard, Command, Erase, Settle, Slot
from signed_ledger.rules.erasing import AboutCard, Erasing, decide_erasure, is_about
from signed_ledger.rules.legs import accounts_of, legs_of, lines_of, unsettled_of
from signed_ledger.rules.needs import accounts_for, cards_for, scheme_accounts
from signed_ledger.rules.posting import BeyondReach, imbalances

Decide = Callable[[Book, Any, Slot], list[Body]]

_DECIDERS: Final[dict[str, Decide]] = {name: import_module(f"{__name__}.{name}").decide for name in MESSAGES}


def decide(book: Book, command: Command, slot: Slot) -> list[Body]:
    """Give the bodies of the entries to write, in order from `slot`; raise a `Refusal` where there are none.

    Sums that no amount can be are refused wherever they show, not only in accounts: as `StateConflict`.
    """
    try:
        return _decide(book, command, slot)
    except Invalid as error:
        raise BeyondReach(f"This can not be recorded: {error}.") from None


def _decide(book: Book, command: Command, slot: Slot) -> list[Body]:
    if isinstance(command, Asked):
        return _DECIDERS[command.request.type](book, command, slot)
    if isinstance(command, Load):
        return load.decide(book, command, slot)
    if isinstance(command, ChangeCard):
        return cards.decide(book, command, slot)
    if isinstance(command, Settle):
        return settling.decide(book, command, slot)
    return [command]


__all__ = [
    "AboutCard",
    "Asked",
    "Authorised",
    "Book",
    "ChangeCard",
    "Command",
    "Erase",
    "Erasing",
    "Settle",
    "Slot",
    "accounts_for",
    "accounts_of",
    "apply",
    "authorisation_after",
    "cards_for",
    "changes_account",
    "decide",
    "decide_erasure",
    "imbalances",
    "is_about",
    "legs_of",
    "lines_of",
    "remember",
    "scheme_accounts",
    "unsettled_of",
]
