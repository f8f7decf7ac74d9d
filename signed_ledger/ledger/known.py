"""What a writer knows of the ledger as of its head: key registry, terms, tree, and balances and cards in use."""

from collections.abc import Iterable
from typing import TypeVar

from signed_ledger.keyring import Keyring
from signed_ledger.merkle import Tree
from signed_ledger.records import AccountId, CardState, State, Terms
from signed_ledger.rules import Book

K = TypeVar("K")
V = TypeVar("V")


class Known:
    """Owner of every field: the writer's task. Accounts and cards are true while the head is the writer's own."""

    def __init__(self, keyring: Keyring, terms: Terms, tree: Tree, cache_accounts_max: int) -> None:
        self.keyring = keyring
        self.terms = terms
        self.terms_seq = 0  # the entry that they stand in; genesis's for the default ones
        self.tree = tree
        self.accounts: dict[AccountId, State] = {}  # oldest use first, and so are cards
        self.cards: dict[str, CardState] = {}
        self._cache_accounts_max = cache_accounts_max

    def forget(self) -> None:
        """Another process wrote: any balance and any card may be another."""
        self.accounts.clear()
        self.cards.clear()

    def remember(self, book: Book, tree: Tree, terms_seq: int) -> None:
        """Take over what a group that is on disk left."""
        self.terms, self.terms_seq = book.terms, terms_seq
        self.tree = tree
        self._keep(self.accounts, book.accounts.items())
        self._keep(self.cards, book.cards.items())

    def _keep(self, cache: dict[K, V], items: Iterable[tuple[K, V]]) -> None:
        for name, value in items:
            cache.pop(name, None)
            cache[name] = value
        while len(cache) > self._cache_accounts_max:
            del cache[next(iter(cache))]
