"""Bodies and states <-> canonical JSON. One encoder and one decoder for each class, in the order of docs/FORMAT.md."""

import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from signed_ledger.encoding.erasures import decode_erasure, encode_erasure
from signed_ledger.encoding.fields import Fields, money_members
from signed_ledger.encoding.keys import (
    decode_attestation,
    decode_genesis,
    decode_key_change,
    decode_root_change,
    encode_attestation,
    encode_genesis,
    encode_key_change,
    encode_root_change,
)
from signed_ledger.encoding.settlements import decode_settlement, encode_settlement
from signed_ledger.encoding.terms import decode_terms, encode_terms
from signed_ledger.encoding.text import decode_json, encode_base64, encode_json
from signed_ledger.encoding.transactions import decode_card_transaction, encode_card_transaction
from signed_ledger.errors import Invalid
from signed_ledger.money import format_minor
from signed_ledger.records import (
    MESSAGES,
    AccountId,
    Attestation,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    Erasure,
    Genesis,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    RootChange,
    Settlement,
    State,
    Terms,
)

SALT_BYTES: Final = 16


class Salted(NamedTuple):
    """A decoded body and the salt that stood in it."""

    body: Body
    salt: bytes


def encode_body(body: Body, salt: bytes) -> bytes:
    """Write a body's canonical JSON. `salt` is 16 random bytes, so that a digest tells nothing of a guessable body."""
    return encode_json({**encode_unsalted(body), "salt": encode_base64(salt)})


def members_of(body: Body) -> dict[str, Any]:
    """A body's own members as JSON values, without `kind` and `salt`."""
    return _ENCODERS[type(body)](body)


def decode_body(data: bytes) -> Salted:
    """Read a body; raise `Invalid` for anything that `encode_body` would not have written."""
    fields = Fields(decode_json(data, "body"))
    salt = fields.base64("salt", SALT_BYTES)
    return Salted(decode_unsalted(fields), salt)


def encode_unsalted(body: Body) -> dict[str, Any]:
    """A body's JSON members without the salt: where it is not to match a digest, as in a receipt."""
    return {"kind": body.KIND, **members_of(body)}


def decode_unsalted(fields: Fields) -> Body:
    """Read a body from the members that `encode_unsalted` wrote; raise `Invalid` for any others."""
    kind = fields.text("kind")
    known, name = (_TRANSACTION_DECODERS, fields.text("type")) if kind == "transaction" else (_DECODERS, kind)
    decode = known.get(name)
    if decode is None:
        raise Invalid("kind", f"{name!r} is not one that this version knows")
    body = decode(fields)
    fields.done()
    return body


def approval_digest(body: Genesis | KeyChange | RootChange) -> bytes:
    """SHA-256 of the body's canonical JSON without `approvals` and `salt`: what approving keys sign."""
    members = encode_unsalted(body)
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
    account = _account(fields.text("owner"), fields.text("currency"))
    state = State(account, fields.minor("posted", account.currency), fields.minor("held", account.currency))
    fields.done()
    return state


@lru_cache(maxsize=4096)  # the same accounts stand in entry after entry
def _account(owner: str, currency: str) -> AccountId:
    return Opening(AccountId(owner, currency)).account


# --- each class ----------------------------------------------------------------------------------------------------


def _encode_opening(body: Opening) -> dict[str, Any]:
    return {"owner": body.account.owner, "currency": body.account.currency}


def _decode_opening(fields: Fields) -> Opening:
    return Opening(AccountId(fields.text("owner"), fields.text("currency")))


def _encode_load(body: Load) -> dict[str, Any]:
    return {
        "type": body.type,
        "transaction_id": body.transaction_id,
        "card_id": body.card_id,
        **money_members("billing", body.billing),
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


def _encode_card(body: CardChange) -> dict[str, Any]:
    scheme = {} if body.card.scheme is None else {"scheme": body.card.scheme}
    return {"op": body.op, "card_id": body.card.card_id, **scheme, "blocked": body.card.blocked, "why": body.why}


def _decode_card(fields: Fields) -> CardChange:
    card = CardState(fields.text("card_id"), fields.text_or_none("scheme"), fields.flag("blocked"))
    return CardChange(fields.text("op"), card, fields.text("why"))


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
    Genesis: encode_genesis,
    KeyChange: encode_key_change,
    RootChange: encode_root_change,
    Attestation: encode_attestation,
    Opening: _encode_opening,
    CardChange: _encode_card,
    Terms: encode_terms,
    Load: _encode_load,
    CardTransaction: encode_card_transaction,
    Settlement: encode_settlement,
    JournalLine: _encode_journal,
    Erasure: encode_erasure,
}
_DECODERS: Final[dict[str, Callable[[Fields], Body]]] = {
    "genesis": decode_genesis,
    "key": decode_key_change,
    "root": decode_root_change,
    "attest": decode_attestation,
    "account": _decode_opening,
    "card": _decode_card,
    "terms": decode_terms,
    "journal": _decode_journal,
    "erasure": decode_erasure,
}
_TRANSACTION_DECODERS: Final[dict[str, Callable[[Fields], Body]]] = {
    "load": _decode_load,
    "settlement": decode_settlement,
    **{name: partial(decode_card_transaction, message) for name, message in MESSAGES.items()},
}
