"""An Issuer who holds its entry key and writes what its own rules would not: signed, chained, with rows to match."""

import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import Money
from signed_ledger.records import AccountId, Authorisation, Body, EntryRef, Evidence, Load, Presentment, State
from signed_ledger.rules import Book, Effect, apply, lines_of
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer
from signed_ledger.tables import derived_rows, ledger_rows
from tests.support import Sample
from tests.world import ORIGIN, Party, authorisation, presentment

Faults: TypeAlias = set[tuple[int | None, int]]
"""Where the audit finds what: (seq, step)."""


class CheatingIssuer:
    """Writes to a ledger's file, entry by entry; the book and the head are the ledger's own."""

    def __init__(self, connection: sqlite3.Connection, sample: Sample) -> None:
        self.connection = connection
        self.sample = sample
        self.book = Book()
        self.signer: Signer = [*sample.world.signers.values()][-1]
        query = "SELECT e.seq, e.note, p.body FROM entries AS e JOIN parts AS p ON p.seq = e.seq ORDER BY e.seq"
        self.seq, self.note = -1, b""
        for self.seq, self.note, body in connection.execute(query):
            apply(self.book, decode_body(body).body, self.seq)
        self.time = decode_entry(self.note).entry.time

    @property
    def next_seq(self) -> int:
        return self.seq + 1

    def state(self, owner: str, currency: str = "EUR", *, held: int = 0) -> State:
        """An account as it stands, its hold changed by `held` minor units."""
        before = self.book.accounts[AccountId(owner, currency)]
        return State(before.account, before.posted, before.held + held)

    def evidence(self, kind: str, body: bytes, webhook_id: str, party: Party | None = None) -> Evidence:
        """What a Scheme, visa unless told, signs when asked to."""
        return self.sample.world.evidence(party or self.sample.visa, f"/{kind}", body, webhook_id)

    def write(
        self,
        body: Body,
        evidence: Evidence | None = None,
        *,
        effect: Effect | None = None,
        place: dict[str, Any] | None = None,
    ) -> int:
        """Sign and store an entry as the next one; gives its seq. `effect` is told where the rules have none."""
        effect = effect or apply(self.book, body, self.next_seq)
        if effect.state is not None:
            self.book.accounts[effect.state.account] = effect.state
        at = {"origin": ORIGIN, "seq": self.next_seq, "prev": leaf_hash(self.note), "time": self.time, **(place or {})}
        sealed = seal(
            Place(**at), body, state=effect.state, evidence=evidence, signer=self.signer, random_bytes=os.urandom
        )
        self.store(sealed)
        self._insert(derived_rows(self.seq, body, effect.state, effect.authorisation))
        return self.seq

    def write_all(self, *bodies: Body) -> list[int]:
        return [self.write(body) for body in bodies]

    def store(self, sealed: Sealed) -> None:
        """Store any entry, whatever it says, as the next one."""
        self.seq, self.note = self.next_seq, sealed.note
        self._insert(ledger_rows(self.seq, sealed.note, sealed.parts))

    def _insert(self, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
        for table, row in rows:
            places = ", ".join("?" * len(row))
            self.connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)


Cheat: TypeAlias = Callable[[CheatingIssuer], Faults]


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body).encode()


def authorised(
    issuer: CheatingIssuer,
    amount: str,
    decision: tuple[str, str] = ("approved", "ok"),
    *,
    name: str = "new",
    webhook_id: str = "wh-new",
    asked: dict[str, object] | None = None,
    party: Party | None = None,
) -> tuple[Authorisation, Evidence]:
    """A decision on a request of visa's for card c1; `asked` is what visa asked instead."""
    webhook = issuer.sample.world.webhook(issuer.sample.visa, "authorisation", authorisation(name, "c1", amount))
    raw = encoded(authorisation(name, "c1", amount) if asked is None else asked)
    body = Authorisation("visa", webhook_id, webhook.request, *decision)  # type: ignore[arg-type]
    return body, issuer.evidence("authorisation", raw, webhook_id, party)


def presented(
    issuer: CheatingIssuer, name: str, held: int, *, amount: str = "5.00", **other: object
) -> tuple[Presentment, Evidence]:
    """A presentment of visa's for the authorisation called `name`, which holds `held`."""
    seq = issuer.sample.seqs.get(name, 1)
    (note,) = issuer.connection.execute("SELECT note FROM entries WHERE seq = ?", (seq,)).fetchone()
    minor = int(amount.replace(".", ""))
    body = Presentment("visa", "wh-new", name, "c1", eur(held), eur(minor), eur(-held), EntryRef(seq, leaf_hash(note)))
    evidence = issuer.evidence("presentment", encoded(presentment(name, amount)), "wh-new")
    return replace(body, **other), evidence  # type: ignore[arg-type]


def post(issuer: CheatingIssuer, transaction: Load | Presentment) -> None:
    """The batch as it should be."""
    issuer.write_all(*lines_of(transaction, issuer.seq))
