"""The Issuer puts money on a card."""

from signed_ledger.records import Body, Load
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Slot
from signed_ledger.rules.posting import with_batch


def decide(book: Book, command: Load, slot: Slot) -> list[Body]:
    """Give the load, its batch, and the accounts it opens; raises `StateConflict` beyond what an account can hold."""
    return with_batch(book, command, slot)
