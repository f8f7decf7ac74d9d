"""The examples of the OpenAPI document, made by the code that makes the real answers: they can not drift from them."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from signed_ledger.api.answers import decision_document
from signed_ledger.api.statements import view_statement
from signed_ledger.api.views import view_balance, view_entry, view_record, view_registry, view_transaction
from signed_ledger.encoding import decode_request
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Answer, found
from signed_ledger.money import Money
from signed_ledger.records import (
    PENDING,
    AccountId,
    Authorisation,
    AuthorisationKey,
    AuthorisationRequest,
    AuthorisationState,
    EntryRef,
    JournalLine,
    Presentment,
    State,
    card,
)
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

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "AuthorisationRequest": {
        "transaction_id": "tx-1",
        "card_id": "card-1",
        "merchant_name": "Café Central",
        "merchant_country": "AT",
        "merchant_mcc": "5812",
        "billing_amount": "12.30",
        "billing_currency": "EUR",
        "transaction_amount": "12.30",
        "transaction_currency": "EUR",
    },
    "PresentmentRequest": {"transaction_id": "tx-1", "settlement_amount": "12.30", "settlement_currency": "EUR"},
}


class _Example(NamedTuple):
    """A made entry and what it says."""

    body: Authorisation | Presentment
    sealed: Sealed

    @property
    def stored(self) -> StoredEntry:
        return StoredEntry(self.sealed.ref.seq, self.sealed.note, self.sealed.parts)

    @property
    def decision(self) -> dict[str, Any]:
        body_bytes = self.sealed.parts.body
        assert body_bytes is not None
        return decision_document(Answer(self.sealed.ref.seq, self.body, self.sealed.note, body_bytes))


def reply_examples() -> dict[tuple[str, int], Any]:
    """An example for each JSON reply that has one, by operation and status."""
    keyring, signer = _keyring()
    approved = _authorised("approved", "ok", signer)
    posted = _presented(approved.sealed.ref, signer)
    state = State(AccountId(card("card-1"), "EUR"), 10_000, 1_230)
    balance = view_balance(Balance(state, approved.sealed.ref.seq))
    pending = AuthorisationState(AuthorisationKey("acme", "tx-1"), 17, PENDING, "card-1", "EUR", 1_230)
    transaction = FoundTransaction(pending, [approved.stored])
    return {
        ("authorisation", 201): approved.decision,
        ("authorisation", 403): _authorised("declined", "insufficient_funds", signer).decision,
        ("authorisation", 404): _authorised("declined", "card_not_found", signer).decision,
        ("presentment", 200): posted.decision,
        ("accounts", 200): {"card_id": "card-1", "at": 18, "accounts": [balance]},
        ("account", 200): {"card_id": "card-1", "at": 18, **balance},
        ("statement", 200): _statement(approved, posted, signer),
        ("transactions", 200): {"transactions": [view_record(approved.stored)], "next_cursor": None},
        ("transaction", 200): view_transaction("tx-1", "acme", transaction),
        ("entry", 200): view_entry(approved.stored, keyring),
        ("keys", 200): view_registry(keyring),
        ("healthz", 200): {"status": "ok"},
        ("readyz", 200): {"status": "ok", "head": 18},
    }


def _keyring() -> tuple[Keyring, Signer]:
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
    return Keyring(genesis), entry


def _authorised(answer: str, reason: str, signer: Signer) -> _Example:
    request = decode_request("authorisation", orjson.dumps(REQUESTS["AuthorisationRequest"]))
    assert isinstance(request, AuthorisationRequest)
    return _sealed(Authorisation("acme", "evt-1", request, answer, reason), 17, signer)


def _presented(builds_on: EntryRef, signer: Signer) -> _Example:
    amount = Money(1_230, "EUR")
    released = Money(-1_230, "EUR")
    return _sealed(Presentment("acme", "evt-2", "tx-1", "card-1", amount, amount, released, builds_on), 18, signer)


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


def _sealed(body: Authorisation | Presentment, seq: int, signer: Signer) -> _Example:
    place = Place(_ORIGIN, seq, bytes(32), _TIME)
    return _Example(body, seal(place, body, state=None, evidence=None, signer=signer, random_bytes=_no_randomness))


_no_randomness: Callable[[int], bytes] = bytes
