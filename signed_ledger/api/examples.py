"""The examples of the OpenAPI document, made by the code that makes the real answers: they can not drift from them."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from signed_ledger.api.answers import decision_document
from signed_ledger.api.statements import view_statement
from signed_ledger.api.views import view_balance, view_entry, view_record, view_registry, view_transaction
from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.encoding import InclusionProof, Receipt, decode_request, encode_proof, encode_receipt
from signed_ledger.keyring import Keyring, with_root_approvals
from signed_ledger.ledger import Answer, decision_of, found
from signed_ledger.merkle import Tile, inclusion_proof, root_of
from signed_ledger.money import Money
from signed_ledger.records import (
    MESSAGES,
    AccountId,
    AuthorisationState,
    CardState,
    CardTransaction,
    Checkpoint,
    Genesis,
    JournalLine,
    Parts,
    State,
    card,
)
from signed_ledger.rules import Asked, Authorised, Book, Slot, apply, decide
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer, SoftwareSigner
from signed_ledger.store import (
    Balance,
    FoundTransaction,
    Movement,
    Span,
    Statement,
    StatementWanted,
    StoredEntry,
)

_ORIGIN: Final = "issuer.example/ledger"
_TIME: Final = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z


class _Example(NamedTuple):
    """A made entry and what it says."""

    body: CardTransaction
    sealed: Sealed

    @property
    def stored(self) -> StoredEntry:
        return StoredEntry(self.sealed.ref.seq, self.sealed.note, self.sealed.parts)

    @property
    def decision(self) -> dict[str, Any]:
        body_bytes = self.sealed.parts.body
        assert body_bytes is not None
        return decision_document(decision_of(Answer(self.sealed.ref.seq, self.body, self.sealed.note, body_bytes)))


def reply_examples() -> dict[tuple[str, int], Any]:
    """An example for each JSON reply that has one, by operation and status."""
    genesis, signer, checkpoint = _founded()
    keyring = Keyring(genesis)
    story = _Story(signer)
    decisions = story.decisions()
    approved = decisions["authorisation", 201]
    state = State(AccountId("card:card-1", "EUR"), 10_000, 1_230)
    balance = view_balance(Balance(state, approved.sealed.ref.seq))
    transaction = FoundTransaction(story.pending, [approved.stored])
    return {
        **{name: example.decision for name, example in decisions.items()},
        ("accounts", 200): {"card_id": "card-1", "at": 18, "accounts": [balance]},
        ("account", 200): {"card_id": "card-1", "at": 18, **balance},
        ("statement", 200): _statement(approved, decisions["presentment", 200], signer),
        ("transactions", 200): {"transactions": [view_record(approved.stored)], "next_cursor": None},
        ("transaction", 200): view_transaction("tx-1", "acme", transaction),
        ("entry", 200): view_entry(approved.stored, keyring),
        ("receipt", 200): orjson.loads(encode_receipt(_receipt(approved.sealed, genesis, checkpoint))),
        ("keys", 200): view_registry(keyring, []),
        ("healthz", 200): {"status": "ok"},
        ("readyz", 200): {"status": "ok", "head": 18},
    }


class _Story:
    """One card's afternoon, decided by the rules: each message once, and each way to be declined."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.pending: AuthorisationState | None = None

    def decisions(self) -> dict[tuple[str, int], _Example]:
        book = self._book(posted=10_000)
        made = {("authorisation", 201): self._decide(book, "authorisation")}
        began = Authorised(made["authorisation", 201].sealed.ref, made["authorisation", 201].body)
        self.pending = book.authorisations[began.body.key]
        poor, blocked, empty = self._book(posted=0), self._book(posted=10_000, blocked=True), Book()
        made["authorisation", 403] = self._decide(poor, "authorisation")
        made["authorisation", 404] = self._decide(empty, "authorisation")
        blocked.authorisations[began.body.key] = self.pending
        made["increment", 403] = self._decide(blocked, "increment", began)
        made["increment", 201] = self._decide(book, "increment", began)
        for message in MESSAGES.values():
            if message.is_sent and not message.declined_for:
                made[message.type, 200] = self._decide(book, message.type, began)
        return made

    def _book(self, posted: int, *, blocked: bool = False) -> Book:
        accounts = [State(AccountId("card:card-1", "EUR"), posted, 1_230 if blocked else 0)]
        accounts += [State(AccountId(owner, "EUR"), 0, 0) for owner in ("issuer", "scheme:acme")]
        cards = {"card-1": CardState("card-1", "acme", blocked)}
        return Book({state.account: state for state in accounts}, cards=cards)

    def _decide(self, book: Book, kind: str, began: Authorised | None = None) -> _Example:
        request = decode_request(kind, orjson.dumps(MESSAGES[kind].example))
        asked = Asked("acme", f"evt-{kind}", request, began)
        bodies = decide(book, asked, Slot(17, _TIME))
        for body in bodies:
            apply(book, body, 17)
        body = next(body for body in bodies if isinstance(body, CardTransaction))
        place = Place(_ORIGIN, 17, bytes(32), _TIME)
        return _Example(
            body, seal(place, body, state=None, evidence=None, signer=self._signer, random_bytes=_no_randomness)
        )


def _founded() -> tuple[Genesis, Signer, Signer]:
    """A genesis, and the signers of its entry and its checkpoint key."""
    root, entry, checkpoint = (SoftwareSigner(bytes([number]) * 32) for number in range(3))
    genesis, _ = found(
        _ORIGIN,
        roots=[root],
        threshold=1,
        entry=entry,
        checkpoint=checkpoint,
        now=_TIME,
        random_bytes=_no_randomness,
    )
    return genesis, entry, checkpoint


def _receipt(sealed: Sealed, genesis: Genesis, checkpoint: Signer) -> Receipt:
    """The newest entry's, after others of which only hashes are known."""
    seq, size = sealed.ref.seq, sealed.ref.seq + 1
    tiles = {Tile(0, 0, size): bytes(32) * seq + sealed.ref.leaf}
    note = sign_checkpoint(Checkpoint(_ORIGIN, size, root_of(size, tiles)), checkpoint)
    proof = InclusionProof(seq, tuple(inclusion_proof(seq, size, tiles)), note)
    key = with_root_approvals(genesis, _ORIGIN, Keyring(genesis).roots_approving(0))
    return Receipt(seq, _ORIGIN, sealed.note, Parts(sealed.parts.body), encode_proof(proof), (key,))


def _statement(approved: _Example, posted: _Example, signer: Signer) -> dict[str, Any]:
    account = AccountId(card("card-1"), "EUR")
    line = JournalLine(posted.sealed.ref.seq, 1, 3, account.owner, Money(-1_230, "EUR"))
    after = Balance(State(account, 8_770, 0), line.batch + 1)
    place = Place(_ORIGIN, after.seq, bytes(32), _TIME)
    sealed = seal(place, line, state=after.state, evidence=None, signer=signer, random_bytes=_no_randomness)
    entry = StoredEntry(after.seq, sealed.note, sealed.parts)
    movement = Movement(after, line, entry, posted.stored, [approved.stored])
    opening = Balance(State(account, 10_000, 1_230), approved.sealed.ref.seq)
    wanted = StatementWanted(account, Span(opening.seq + 1, after.seq + 1))
    return view_statement("card-1", Statement(wanted, opening, [movement], after, None))


_no_randomness: Callable[[int], bytes] = bytes
