"""What a group learned from the store: each row counts only once the signed entry that it names says the same."""

from collections.abc import Iterable
from typing import Any

import structlog

from signed_ledger.errors import Invalid, Refusal
from signed_ledger.ledger.known import Known
from signed_ledger.ledger.verified import (
    verified_account,
    verified_authorisation,
    verified_card,
    verified_posted,
    verified_posting,
    verified_settlement,
)
from signed_ledger.records import AccountId, AuthorisationKey, Unsettled
from signed_ledger.rules import Authorised, Book
from signed_ledger.store import Found, FoundSettlements, StoredEntry, Wanted

log = structlog.get_logger("signed_ledger.ledger")


class Learned:
    """The book of a group and where it comes from.

    `untrusted` has why, by the name of what does not verify: an account, card, authorisation, posting or Scheme.
    `settled_at` is the seq of a Scheme's newest settlement; `kept` is what of the checkpoints in hand is kept.
    `vouched` has the digests of stored entries that were verified under this registry.
    """

    def __init__(self, known: Known) -> None:
        self.book = Book(terms=known.terms)
        self.webhooks: dict[tuple[str, str], StoredEntry] = {}
        self.authorised: dict[AuthorisationKey, Authorised] = {}
        self.settled_at: dict[str, int] = {}
        self.kept: set[tuple[int, str]] = set()
        self.untrusted: dict[object, Exception] = {}
        self.violations = 0
        self.vouched: set[bytes] = set()
        self._known = known
        self._asked: set[object] = set()

    def take(self, found: Found) -> None:
        """Take in what the store has."""
        keyring = self._known.keyring
        self.webhooks.update(found.webhooks)
        self.kept |= found.kept
        for key, row in found.authorisations.items():
            try:
                self.book.authorisations[key], self.authorised[key] = verified_authorisation(row, keyring, self.vouched)
            except (Invalid, Refusal) as error:
                self._distrust(key, row.own.seq, error)
        self._take_all(self.book.accounts, found.accounts, verified_account, lambda row: row.entry.seq)
        self._take_all(self.book.cards, found.cards, verified_card, lambda row: row.entry.seq)
        self._take_all(self.book.postings, found.postings, verified_posting, lambda row: row.seq)
        for scheme, settlements in found.settlements.items():
            try:
                self._take_settlements(scheme, settlements)
            except (Invalid, Refusal) as error:
                self._distrust(settlement_of(scheme), self.settled_at.get(scheme, 0), error)

    def _take_all(self, into: dict[Any, Any], found: dict[Any, Any], verified: Any, seq_of: Any) -> None:
        for name, row in found.items():
            try:
                into[name] = verified(name, row, self._known.keyring)
            except (Invalid, Refusal) as error:
                self._distrust(name, seq_of(row), error)

    def _take_settlements(self, scheme: str, found: FoundSettlements) -> None:
        keyring = self._known.keyring
        if found.newest is not None:
            self.settled_at[scheme] = found.newest.seq
            self.book.settled[scheme] = verified_settlement(scheme, found.newest, keyring).date
        # An account of which nothing is said to have been posted is held against that too.
        self.book.add_unsettled(scheme, dict.fromkeys(found.currencies, Unsettled()))
        for stored in found.posted:
            self.book.add_unsettled(scheme, verified_posted(scheme, stored, keyring))

    def unknown(self, accounts: Iterable[AccountId], cards: Iterable[str]) -> Wanted | None:
        """What of these neither an earlier group nor the store told of; from now on it counts as asked for."""
        unknown = Wanted(
            accounts=self._unknown(accounts, self.book.accounts, self._known.accounts),
            cards=self._unknown(cards, self.book.cards, self._known.cards),
        )
        return unknown if unknown.accounts or unknown.cards else None

    def _unknown(self, names: Iterable[Any], told: dict[Any, Any], known: dict[Any, Any]) -> list[Any]:
        unknown = []
        for name in dict.fromkeys(names):
            if name in known:
                told.setdefault(name, known[name])
            elif name not in told and name not in self._asked:
                self._asked.add(name)
                unknown.append(name)
        return unknown

    def _distrust(self, name: object, seq: int, error: Exception) -> None:
        self.untrusted[name] = error
        self.alarm(seq, error)

    def alarm(self, seq: int, error: Exception) -> None:
        self.violations += 1
        log.error("integrity_violation", seq=seq, reason=str(error))


def settlement_of(scheme: str) -> str:
    """The name under which a Scheme's settlement is not trusted: no card can have it."""
    return f"settlement:{scheme}"
