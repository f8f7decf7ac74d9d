"""From stored bytes to what readers are shown. Each raises `Invalid` for bytes that the store should not hold."""

from typing import Any

import orjson

from signed_ledger.checkpoints import vkey_of
from signed_ledger.encoding import (
    SignedEntry,
    decode_base64,
    decode_body,
    decode_entry,
    encode_base64,
    encode_time,
    encode_totals,
    members_of,
)
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.money import format_minor
from signed_ledger.records import AuthorisationState, RegisteredKey
from signed_ledger.signing import encode_public_pem, kid_of
from signed_ledger.store import Balance, FoundTransaction, StoredEntry

POSTED = "POSTED"
"""What a transaction is called that has no state of its own: it was posted, and that is all."""


def view_balance(balance: Balance) -> dict[str, Any]:
    """An account's amounts, and the seq of the entry whose `state` part proves them."""
    state = balance.state
    currency = state.account.currency
    return {
        "currency": currency,
        "posted": format_minor(state.posted, currency),
        "held": format_minor(state.held, currency),
        "available": format_minor(state.available, currency),
        "seq": balance.seq,
    }


def view_record(stored: StoredEntry) -> dict[str, Any]:
    """What an entry says, without its proof."""
    entry = _signed(stored).entry
    body = decode_body(_part("body", stored.parts.body)).body
    return {"seq": stored.seq, "time": encode_time(entry.time), "kind": entry.kind, **members_of(body)}


def view_transaction(transaction_id: str, scheme: str, found: FoundTransaction) -> dict[str, Any]:
    """A transaction's state, and every entry about it."""
    return {
        "transaction_id": transaction_id,
        **({"scheme": scheme} if scheme else {}),
        **(_view_state(found.state) if found.state is not None else {"status": POSTED}),
        "entries": [view_record(stored) for stored in found.entries],
    }


def _view_state(state: AuthorisationState) -> dict[str, Any]:
    return {
        "status": state.status,
        "card_id": state.card_id,
        "currency": state.currency,
        "held": format_minor(state.held, state.currency),
        **_view_totals(state),
    }


def _view_totals(state: AuthorisationState) -> dict[str, Any]:
    if state.totals is None:
        return {}
    expires = {} if state.expires is None else {"expires": encode_time(state.expires)}
    return {"totals": encode_totals(state.totals, state.currency), **expires}


def view_entry(stored: StoredEntry, keyring: Keyring, erased: dict[str, int] | None = None) -> dict[str, Any]:
    """An entry whole: the bytes that prove it, and what they say. `erased` has the seq of a part's erasure."""
    signed = _signed(stored)
    parts = {name: data for name, data in stored.parts._asdict().items() if data is not None}
    return {
        "seq": stored.seq,
        "kind": signed.entry.kind,
        "time": encode_time(signed.entry.time),
        "note": _text("entry", stored.note or b""),
        "signed": signed.text.decode(),
        "kid": kid_of(keyring.entry_key_at(stored.seq)),
        "parts": {name: _text(name, data) for name, data in parts.items()},
        "decoded": _decode_parts(parts),
        **({"erased": erased} if erased else {}),
    }


def _decode_parts(parts: dict[str, bytes]) -> dict[str, Any]:
    decoded: dict[str, Any] = {name: _loads(name, data) for name, data in parts.items()}
    if "evidence" in decoded:
        decoded["request"] = _text("evidence", decode_base64(decoded["evidence"].get("body"), "evidence"))
    return decoded


def view_key(key: RegisteredKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "role": key.role,
        "whose": key.whose,
        "public_key": encode_base64(key.public_key),
        "pem": encode_public_pem(key.public_key).decode(),
        "valid_from": key.valid_from,
        "valid_to": key.valid_to,
        "revoked_at": key.revoked_at,
        **({"vkey": vkey_of(key.whose, key.public_key)} if key.role == "checkpoint" else {}),
    }


def view_registry(keyring: Keyring, entries: list[StoredEntry]) -> dict[str, Any]:
    """The registry, and the bodies of the `entries` that it is made of."""
    return {
        "origin": keyring.origin,
        "threshold": keyring.threshold,
        "root_keys": [encode_base64(key) for key in keyring.root_keys],
        "keys": [view_key(key) for key in keyring],
        "entries": [{"seq": stored.seq, "body": _text("body", _part("body", stored.parts.body))} for stored in entries],
    }


def _signed(stored: StoredEntry) -> SignedEntry:
    return decode_entry(_part("entry", stored.note))


def _part(name: str, data: bytes | None) -> bytes:
    if data is None:
        raise Invalid(name, "is missing")
    return data


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Invalid(name, "is not UTF-8") from None


def _loads(name: str, data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Invalid(name, "is not a JSON object")
    return value
