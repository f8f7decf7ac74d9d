"""An Issuer who holds its entry key and writes what its own rules would not: signed, chained, with rows to match."""

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeAlias

from signed_ledger.encoding import decode_body, decode_entry, decode_request
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import Money
from signed_ledger.records import (
    AccountId,
    AuthorisationKey,
    Body,
    CardTransaction,
    Effect,
    EntryRef,
    Evidence,
    Opening,
    Request,
    State,
    Totals,
    Transaction,
)
from signed_ledger.rules import Asked, Authorised, Book, Command, Slot, accounts_of, apply, decide, lines_of, remember
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer
from signed_ledger.tables import derived_rows, ledger_rows
from tests.stretching import meet
from tests.support import Sample
from tests.tampering import Copy, found
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
        self.began: dict[AuthorisationKey, Authorised] = {}
        query = "SELECT e.seq, e.note, p.body FROM entries AS e JOIN parts AS p ON p.seq = e.seq ORDER BY e.seq"
        self.seq, self.note = -1, b""
        for self.seq, self.note, data in connection.execute(query):
            body = decode_body(data).body
            apply(self.book, body, self.seq)
            self._begin(body)
        self.time = decode_entry(self.note).entry.time

    def _begin(self, body: Body) -> None:
        if isinstance(body, CardTransaction):
            self.began.setdefault(body.key, Authorised(EntryRef(self.seq, leaf_hash(self.note)), body))

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
        if effect is None:
            effect = apply(self.book, body, self.next_seq)
        else:
            remember(self.book, body, self.next_seq)
        if effect.state is not None:
            self.book.accounts[effect.state.account] = effect.state
        at = {"origin": ORIGIN, "seq": self.next_seq, "prev": leaf_hash(self.note), "time": self.time, **(place or {})}
        sealed = seal(
            Place(**at), body, state=effect.state, evidence=evidence, signer=self.signer, random_bytes=os.urandom
        )
        self.store(sealed)
        self._begin(body)
        self._insert(derived_rows(self.seq, body, effect))
        return self.seq

    def write_all(self, *bodies: Body) -> list[int]:
        return [self.write(body) for body in bodies]

    # --- what the rules would give, to begin with -------------------------------------------------------------------

    def asked(self, kind: str, asked: dict[str, Any], webhook_id: str = "wh-new", party: Party | None = None) -> Asked:
        """What a Scheme, visa unless told, would have decided."""
        request = decode_request(kind, encoded(asked))
        return self.about((party or self.sample.visa).name, webhook_id, request)

    def about(self, scheme: str, webhook_id: str | None, request: Request) -> Asked:
        command = Asked(scheme, webhook_id, request)
        return command._replace(authorised=self.began.get(command.key))

    def decided(self, command: Command, book: Book | None = None, time: int | None = None) -> list[Body]:
        """What the rules give; by another book or at another time they give something else."""
        return decide(book or self.book, command, Slot(self.next_seq, self.time if time is None else time))

    def rich(self) -> Book:
        """The book as if every card had a fortune."""
        book = deepcopy(self.book)
        for account, state in book.accounts.items():
            if account.owner.startswith("card:"):
                book.accounts[account] = replace(state, posted=10**12)
        return book

    def message(
        self, kind: str, asked: dict[str, Any], *, book: Book | None = None, **more: Any
    ) -> tuple[CardTransaction, Evidence]:
        """What the rules give for a message of a Scheme's, by another book if told so, and the evidence for it."""
        command = self.asked(kind, asked, **more)
        body = next(body for body in self.decided(command, book) if isinstance(body, CardTransaction))
        assert command.webhook_id is not None
        return body, self.evidence(kind, encoded(asked), command.webhook_id, more.get("party"))

    def record(self, bodies: list[Body], evidence: Evidence | None = None) -> int:
        """Write all that the rules give for one command; gives the seq of what is no opening and no journal line."""
        seqs = [self.write(body, evidence if isinstance(body, CardTransaction) else None) for body in bodies]
        openings = sum(isinstance(body, Opening) for body in bodies)
        return seqs[openings]

    def openings(self, transaction: Transaction) -> list[Body]:
        """The accounts that its batch needs and that are not open yet."""
        needed = dict.fromkeys(accounts_of(transaction))
        return [Opening(account) for account in needed if account not in self.book.accounts]

    def honest(self, kind: str, asked: dict[str, Any], webhook_id: str = "wh-new", party: Party | None = None) -> int:
        """Decide and record a message as the service would."""
        evidence = self.evidence(kind, encoded(asked), webhook_id, party)
        return self.record(self.decided(self.asked(kind, asked, webhook_id, party)), evidence)

    # --- bytes ------------------------------------------------------------------------------------------------------

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


def encoded(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode()


def asking(body: CardTransaction, **other: Any) -> CardTransaction:
    """The body as if it had been asked for something else."""
    return replace(body, request=replace(body.request, **other))


def declined(body: CardTransaction, reason: str) -> CardTransaction:
    """The decline of what was approved."""
    nothing = Money(0, body.billing.currency)
    return replace(
        body, decision="declined", reason=reason, hold_change=nothing, totals=None, expires=None, window_days=None
    )


def authorised(
    issuer: CheatingIssuer,
    amount: str,
    decision: tuple[str, str] = ("approved", "ok"),
    *,
    name: str = "new",
    webhook_id: str = "wh-new",
    asked: dict[str, object] | None = None,
    party: Party | None = None,
) -> tuple[CardTransaction, Evidence]:
    """A decision on a request of visa's for card c1; `asked` is what visa asked instead."""
    book = issuer.rich()
    book.authorisations.clear()
    body, _ = issuer.message("authorisation", authorisation(name, "c1", amount), book=book, webhook_id=webhook_id)
    raw = encoded(authorisation(name, "c1", amount) if asked is None else asked)
    evidence = issuer.evidence("authorisation", raw, webhook_id, party)
    return body if decision[0] == "approved" else declined(body, decision[1]), evidence


def presented(
    issuer: CheatingIssuer, name: str, held: int, *, amount: str = "5.00", **other: object
) -> tuple[CardTransaction, Evidence]:
    """A presentment of visa's for the transaction called `name`, as if that held `held`."""
    key = AuthorisationKey("visa", name)
    began, state = issuer.began.get(key), issuer.book.authorisations.get(key)
    (genesis,) = issuer.connection.execute("SELECT note FROM entries WHERE seq = 0").fetchone()
    asked = presentment(name, amount)
    request = decode_request("presentment", encoded(asked))
    body = CardTransaction(
        scheme="visa",
        webhook_id="wh-new",
        request=replace(request, card_id="c1", billing=eur(held), final=True),
        decision="posted",
        reason="ok",
        hold_change=eur(-held),
        builds_on=EntryRef(0, leaf_hash(genesis)) if began is None else began.ref,
        totals=Totals(authorised=held, cleared=held, clearings=1, final=True),
        expires=None if state is None else state.expires,
    )
    return replace(body, **other), issuer.evidence("presentment", encoded(asked), "wh-new")  # type: ignore[arg-type]


def post(issuer: CheatingIssuer, transaction: Transaction) -> None:
    """The batch as it should be."""
    issuer.write_all(*lines_of(transaction, issuer.seq))


class Cheats(list[Cheat]):
    """A module's attempts, in the order in which they stand there."""

    def add(self, attempt: Cheat) -> Cheat:
        self.append(attempt)
        return attempt


def assert_found(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    """The audit finds the attempt exactly where that says: all of (seq, step), and nothing else.

    Nor is it overlooked where what was there before and what is written now are audited side by side.
    """
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        first = issuer.next_seq
        expected = attempt(issuer)
    assert meet(copy.path, [first], sample.trust) is not bool(expected)
    report = copy.audit(sample.trust)
    assert found(report) == expected, report.faults
