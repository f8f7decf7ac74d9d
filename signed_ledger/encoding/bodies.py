"""Bodies and states <-> canonical JSON. One encoder and one decoder for each class, in the order of docs/FORMAT.md."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from signed_ledger.encoding.fields import Fields
from signed_ledger.encoding.text import decode_base64, decode_json, encode_base64, encode_json
from signed_ledger.errors import Invalid
from signed_ledger.money import Money, format_minor
from signed_ledger.records import (
    AccountId,
    Authorisation,
    AuthorisationRequest,
    Body,
    EntryRef,
    Genesis,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    Presentment,
    State,
)

SALT_BYTES: Final = 16


class Salted(NamedTuple):
    """A decoded body and the salt that stood in it."""

    body: Body
    salt: bytes


def encode_body(body: Body, salt: bytes) -> bytes:
    """Write a body's canonical JSON. `salt` is 16 random bytes, so that a digest tells nothing of a guessable body."""
    return encode_json({"kind": body.KIND, "salt": encode_base64(salt), **members_of(body)})


def members_of(body: Body) -> dict[str, Any]:
    """A body's own members as JSON values, without `kind` and `salt`."""
    return _ENCODERS[type(body)](body)


def decode_body(data: bytes) -> Salted:
    """Read a body; raise `Invalid` for anything that `encode_body` would not have written."""
    fields = Fields(decode_json(data, "body"))
    kind = fields.text("kind")
    name = fields.text("type") if kind == "transaction" else kind
    decode = _DECODERS.get(name)
    if decode is None:
        raise Invalid("kind", f"{name!r} is not one that this version knows")
    salt = fields.base64("salt", SALT_BYTES)
    body = decode(fields)
    fields.done()
    if kind != body.KIND:
        raise Invalid("kind", f"{kind!r} is not one that this version knows")
    return Salted(body, salt)


def approval_digest(body: Genesis | KeyChange) -> bytes:
    """SHA-256 of the body's canonical JSON without `approvals` and `salt`: what approving keys sign."""
    members = {"kind": body.KIND, **members_of(body)}
    del members["approvals"]
    return hashlib.sha256(encode_json(members)).digest()


def encode_state(state: State, salt: bytes) -> bytes:
    currency = state.account.currency
    return encode_json(
        {
            "currency": currency,
            "held": format_minor(state.held, currency),
            "owner": state.account.owner,
            "posted": format_minor(state.posted, currency),
            "salt": encode_base64(salt),
        }
    )


def decode_state(data: bytes) -> State:
    """Read a state part; raise `Invalid` for anything that `encode_state` would not have written."""
    fields = Fields(decode_json(data, "state"))
    fields.base64("salt", SALT_BYTES)
    opening = Opening(AccountId(fields.text("owner"), fields.text("currency")))
    currency = opening.account.currency
    state = State(opening.account, fields.minor("posted", currency), fields.minor("held", currency))
    fields.done()
    return state


# --- each class ----------------------------------------------------------------------------------------------------


def _money(name: str, money: Money) -> dict[str, Any]:
    return {f"{name}_amount": money.amount, f"{name}_currency": money.currency}


def _encode_genesis(body: Genesis) -> dict[str, Any]:
    return {
        "origin": body.origin,
        "root_keys": [encode_base64(key) for key in body.root_keys],
        "threshold": body.threshold,
        "entry_key": encode_base64(body.entry_key),
        "checkpoint_key": encode_base64(body.checkpoint_key),
        "version": 0,
        "approvals": body.approvals,
    }


def _decode_genesis(fields: Fields) -> Genesis:
    fields.exactly("version", 0)
    root_keys = fields.list_of_text("root_keys")
    return Genesis(
        origin=fields.text("origin"),
        root_keys=tuple(decode_base64(key, "root_keys", 32) for key in root_keys),
        threshold=fields.integer("threshold"),
        entry_key=fields.base64("entry_key", 32),
        checkpoint_key=fields.base64("checkpoint_key", 32),
        approvals=fields.text("approvals"),
    )


def _encode_key(body: KeyChange) -> dict[str, Any]:
    return {
        "op": body.op,
        "role": body.role,
        "kid": body.kid,
        "public_key": encode_base64(body.public_key),
        "whose": body.whose,
        "version": body.version,
        "approvals": body.approvals,
    }


def _decode_key(fields: Fields) -> KeyChange:
    return KeyChange(
        op=fields.text("op"),
        role=fields.text("role"),
        kid=fields.text("kid"),
        public_key=fields.base64("public_key", 32),
        whose=fields.text("whose"),
        version=fields.integer("version"),
        approvals=fields.text("approvals"),
    )


def _encode_opening(body: Opening) -> dict[str, Any]:
    return {"owner": body.account.owner, "currency": body.account.currency}


def _decode_opening(fields: Fields) -> Opening:
    return Opening(AccountId(fields.text("owner"), fields.text("currency")))


def _decided(body: Load | Authorisation | Presentment) -> dict[str, Any]:
    return {
        "type": body.TYPE,
        "transaction_id": body.transaction_id,
        "card_id": body.card_id,
        **_money("billing", body.billing),
        "decision": body.decision,
        "reason": body.reason,
        "hold_change": body.hold_change.amount,
    }


def _decode_load(fields: Fields) -> Load:
    body = Load(
        transaction_id=fields.text("transaction_id"),
        card_id=fields.text("card_id"),
        billing=fields.money("billing_amount", "billing_currency"),
    )
    fields.exactly("decision", body.decision)
    fields.exactly("reason", body.reason)
    fields.exactly("hold_change", body.hold_change.amount)
    return body


def _encode_authorisation(body: Authorisation) -> dict[str, Any]:
    return {
        **_decided(body),
        "scheme": body.scheme,
        "webhook_id": body.webhook_id,
        "merchant_name": body.request.merchant_name,
        "merchant_country": body.request.merchant_country,
        "merchant_mcc": body.request.merchant_mcc,
        **_money("transaction", body.request.transaction),
    }


def _decode_authorisation(fields: Fields) -> Authorisation:
    request = AuthorisationRequest(
        transaction_id=fields.text("transaction_id"),
        card_id=fields.text("card_id"),
        merchant_name=fields.text("merchant_name"),
        merchant_country=fields.text("merchant_country"),
        merchant_mcc=fields.text("merchant_mcc"),
        billing=fields.money("billing_amount", "billing_currency"),
        transaction=fields.money("transaction_amount", "transaction_currency"),
    )
    body = Authorisation(
        scheme=fields.text("scheme"),
        webhook_id=fields.text("webhook_id"),
        request=request,
        decision=fields.text("decision"),
        reason=fields.text("reason"),
    )
    fields.exactly("hold_change", body.hold_change.amount)
    return body


def _encode_presentment(body: Presentment) -> dict[str, Any]:
    members = {
        **_decided(body),
        "scheme": body.scheme,
        "webhook_id": body.webhook_id,
        "final": True,
        "builds_on": {"seq": body.builds_on.seq, "leaf": encode_base64(body.builds_on.leaf)},
        **_money("settlement", body.settlement),
    }
    if body.transaction is not None:
        members |= _money("transaction", body.transaction)
    if body.presentment_id is not None:
        members["presentment_id"] = body.presentment_id
    return members


def _decode_presentment(fields: Fields) -> Presentment:
    fields.exactly("final", True)
    fields.exactly("decision", "posted")
    fields.exactly("reason", "ok")
    builds_on = fields.nested("builds_on")
    billing = fields.money("billing_amount", "billing_currency")
    body = Presentment(
        scheme=fields.text("scheme"),
        webhook_id=fields.text("webhook_id"),
        transaction_id=fields.text("transaction_id"),
        card_id=fields.text("card_id"),
        billing=billing,
        settlement=fields.money("settlement_amount", "settlement_currency"),
        hold_change=Money(fields.minor("hold_change", billing.currency), billing.currency),
        builds_on=EntryRef(builds_on.integer("seq"), builds_on.base64("leaf", 32)),
        transaction=fields.money_or_none("transaction_amount", "transaction_currency"),
        presentment_id=fields.text_or_none("presentment_id"),
    )
    builds_on.done()
    return body


def _encode_journal(body: JournalLine) -> dict[str, Any]:
    return {
        "batch": body.batch,
        "line": body.line,
        "lines": body.lines,
        "account": body.owner,
        "currency": body.amount.currency,
        "amount": body.amount.amount,
    }


def _decode_journal(fields: Fields) -> JournalLine:
    return JournalLine(
        batch=fields.integer("batch"),
        line=fields.integer("line"),
        lines=fields.integer("lines"),
        owner=fields.text("account"),
        amount=fields.money("amount", "currency"),
    )


_ENCODERS: Final[dict[type[Body], Callable[[Any], dict[str, Any]]]] = {
    Genesis: _encode_genesis,
    KeyChange: _encode_key,
    Opening: _encode_opening,
    Load: _decided,
    Authorisation: _encode_authorisation,
    Presentment: _encode_presentment,
    JournalLine: _encode_journal,
}
_DECODERS: Final[dict[str, Callable[[Fields], Body]]] = {
    "genesis": _decode_genesis,
    "key": _decode_key,
    "account": _decode_opening,
    "load": _decode_load,
    "authorisation": _decode_authorisation,
    "presentment": _decode_presentment,
    "journal": _decode_journal,
}
