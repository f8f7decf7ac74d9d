"""Evidence <-> canonical JSON."""

from typing import Any

from signed_ledger.encoding.bodies import SALT_BYTES
from signed_ledger.encoding.fields import Fields
from signed_ledger.encoding.text import decode_json, decode_time, encode_base64, encode_json, encode_time
from signed_ledger.errors import Invalid
from signed_ledger.records import Evidence, HttpRequest
from signed_ledger.records.names import RFC9421, STANDARD_WEBHOOKS


def encode_evidence(evidence: Evidence, salt: bytes) -> bytes:
    request = evidence.request
    members: dict[str, Any] = {
        "profile": evidence.profile,
        "method": request.method,
        "authority": request.authority,
        "path": request.path,
        "query": request.query,
        "fields": dict(request.fields),
        "body": encode_base64(request.body),
        **_signed_members(evidence),
        "signature": encode_base64(evidence.signature),
        "kid": evidence.kid,
        "public_key": encode_base64(evidence.public_key),
        "received": encode_time(evidence.received),
        "salt": encode_base64(salt),
    }
    return encode_json(members)


def decode_evidence(data: bytes) -> Evidence:
    """Read an evidence part; raise `Invalid` for anything that `encode_evidence` would not have written.

    Says nothing of the signature: `schemes` verifies it again.
    """
    fields = Fields(decode_json(data, "evidence"))
    fields.base64("salt", SALT_BYTES)
    profile = fields.text("profile")
    if profile not in (RFC9421, STANDARD_WEBHOOKS):
        raise Invalid("profile", f"{profile!r} is not one that this version knows")
    request = HttpRequest(
        method=fields.text("method"),
        authority=fields.text("authority"),
        path=fields.text("path"),
        query=fields.text("query"),
        fields=fields.texts("fields"),
        body=fields.base64("body"),
    )
    evidence = Evidence(
        profile=profile,
        request=request,
        signature_base=_signed(profile, fields),
        signature=fields.base64("signature", 64),
        kid=fields.text("kid"),
        public_key=fields.base64("public_key", 32),
        received=decode_time(fields.text("received"), "received"),
    )
    fields.done()
    return evidence


def _signed_members(evidence: Evidence) -> dict[str, Any]:
    if evidence.profile == RFC9421:
        return {"signature_base": evidence.signature_base}
    webhook_id, _, timestamp = evidence.signature_base.rpartition(".")
    return {"webhook_id": webhook_id, "webhook_timestamp": int(timestamp)}


def _signed(profile: str, fields: Fields) -> str:
    if profile == RFC9421:
        return fields.text("signature_base")
    return f"{fields.text('webhook_id')}.{fields.integer('webhook_timestamp')}"
