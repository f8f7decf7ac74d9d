"""The card business, pure: no clock, no randomness, no I/O.

`decide(book, command, next_seq)` may refuse and changes nothing; what it gives, `apply` takes in and can not refuse.
One module for each command; docs/CARD_RULES.md has the rules.
"""

from collections.abc import Callable
from typing import Any, Final

from signed_ledger.records import Body, Load
from signed_ledger.rules.authorise import decide_authorise
from signed_ledger.rules.book import Book, Effect, apply, authorisation_cleared, authorisation_opened
from signed_ledger.rules.commands import Authorise, Authorised, Command, Present
from signed_ledger.rules.load import decide_load
from signed_ledger.rules.posting import accounts_for, accounts_of, imbalances, legs_of, lines_of
from signed_ledger.rules.present import decide_present

_DECIDERS: Final[dict[type[Command], Callable[[Book, Any, int], list[Body]]]] = {
    Authorise: decide_authorise,
    Present: decide_present,
    Load: decide_load,
}


def decide(book: Book, command: Command, next_seq: int) -> list[Body]:
    """Give the bodies of the entries to write, in order from `next_seq`; raise a `Refusal` where there are none."""
    return _DECIDERS[type(command)](book, command, next_seq)


__all__ = [
    "Authorise",
    "Authorised",
    "Book",
    "Command",
    "Effect",
    "Present",
    "accounts_for",
    "accounts_of",
    "apply",
    "authorisation_cleared",
    "authorisation_opened",
    "decide",
    "imbalances",
    "legs_of",
    "lines_of",
]
