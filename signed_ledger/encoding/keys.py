"""The bodies of the key registry's entries <-> their members."""

from typing import Any

from signed_ledger.encoding.fields import Fields
from signed_ledger.encoding.text import decode_base64, encode_base64
from signed_ledger.records import Attestation, Genesis, History, KeyChange, RootChange


def encode_genesis(body: Genesis) -> dict[str, Any]:
    return {
        "origin": body.origin,
        "root_keys": [encode_base64(key) for key in body.root_keys],
        "threshold": body.threshold,
        "entry_key": encode_base64(body.entry_key),
        "checkpoint_key": encode_base64(body.checkpoint_key),
        "version": 0,
        "approvals": body.approvals,
    }


def decode_genesis(fields: Fields) -> Genesis:
    fields.exactly("version", 0)
    root_keys = _root_keys(fields)
    return Genesis(
        origin=fields.text("origin"),
        root_keys=root_keys,
        threshold=fields.integer("threshold"),
        entry_key=fields.base64("entry_key", 32),
        checkpoint_key=fields.base64("checkpoint_key", 32),
        approvals=fields.text("approvals"),
    )


def encode_key_change(body: KeyChange) -> dict[str, Any]:
    """What an operation has no use for is absent."""
    members: dict[str, Any] = {
        "op": body.op,
        "role": body.role,
        "kid": body.kid,
        "whose": body.whose,
        "version": body.version,
        "approvals": body.approvals,
    }
    if body.public_key is not None:
        members["public_key"] = encode_base64(body.public_key)
    if body.next_kid is not None:
        members["next"] = body.next_kid
    if body.history is not None:
        members |= {"at_size": body.history.size, "root": encode_base64(body.history.root)}
    return members


def decode_key_change(fields: Fields) -> KeyChange:
    return KeyChange(
        op=fields.text("op"),
        role=fields.text("role"),
        kid=fields.text("kid"),
        public_key=fields.base64("public_key", 32) if fields.has("public_key") else None,
        whose=fields.text("whose"),
        version=fields.integer("version"),
        approvals=fields.text("approvals"),
        next_kid=fields.text_or_none("next"),
        history=_history(fields, "at_size") if fields.has("at_size") else None,
    )


def encode_root_change(body: RootChange) -> dict[str, Any]:
    return {
        "root_keys": [encode_base64(key) for key in body.root_keys],
        "threshold": body.threshold,
        "version": body.version,
        "size": body.history.size,
        "root": encode_base64(body.history.root),
        "approvals": body.approvals,
    }


def decode_root_change(fields: Fields) -> RootChange:
    return RootChange(
        root_keys=_root_keys(fields),
        threshold=fields.integer("threshold"),
        version=fields.integer("version"),
        history=_history(fields, "size"),
        approvals=fields.text("approvals"),
    )


def encode_attestation(body: Attestation) -> dict[str, Any]:
    return {"kid": body.kid, "first": body.first, "last": body.last, "root": encode_base64(body.root)}


def decode_attestation(fields: Fields) -> Attestation:
    return Attestation(fields.text("kid"), fields.integer("first"), fields.integer("last"), fields.base64("root", 32))


def _root_keys(fields: Fields) -> tuple[bytes, ...]:
    return tuple(decode_base64(key, "root_keys", 32) for key in fields.list_of_text("root_keys"))


def _history(fields: Fields, size: str) -> History:
    return History(fields.integer(size), fields.base64("root", 32))
