"""A Scheme's webhook signed by Standard Webhooks v1a: Ed25519 over `id.timestamp.body`, as docs/API.md has it.

It names no key, and signs neither method, host, path nor query. Checked in this order, the cheap before the costly:

1. its three headers are there, with a `v1a,` signature, and not too long  SignatureMissing, Malformed, TooLarge
2. they are well-formed, and nothing stands in the query                   SignatureInvalid
3. the timestamp is fresh                                                  SignatureExpired
4. it came for a host name of ours                                         AuthorityUnknown
5. one of the signatures verifies under a key that may sign so             SignatureInvalid
6. that key is still valid                                                 KeyRevoked

Left to the caller: which keys may sign so, and whether this webhook id came before.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from signed_ledger.encoding import decode_base64
from signed_ledger.errors import AuthorityUnknown, Invalid, KeyRevoked, SignatureInvalid, SignatureMissing, TooLarge
from signed_ledger.records import Evidence, HttpRequest, RegisteredKey
from signed_ledger.records.names import STANDARD_WEBHOOKS
from signed_ledger.schemes.common import VerifySignature, as_refusal, check_age, webhook_id
from signed_ledger.signing import verify as verify_ed25519

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
SIGNATURES_MAX: Final = 4
"""How many `v1a,` signatures a request may have: each is tried with each key."""
SIGNATURES_CHARS_MAX: Final = 1024
RETIRED_TRIED_MAX: Final = 8
"""With how many retired keys, the latest first, a signature is tried before it is called invalid."""

_ENTRIES: Final = re.compile(r"[A-Za-z0-9]+,[!-~]+(?: [A-Za-z0-9]+,[!-~]+)*")
_TIMESTAMP: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_OURS: Final = "v1a,"


class Unverified(SignatureInvalid):
    """No key that was tried fits: one that another process has just registered might."""


class _Signed(NamedTuple):
    """What the headers say: the text before the body that is signed with it, and the signatures in their order."""

    base: str
    signatures: list[bytes]


def verify(
    request: HttpRequest,
    keys: Iterable[RegisteredKey],
    received: int,
    *,
    authorities: Collection[str] | None,
    verify_signature: VerifySignature = verify_ed25519,
) -> Evidence:
    """Verify a webhook that came at `received` by one of `keys`, valid or retired, and give its evidence.

    The first signature that a valid key made counts, so that a Scheme can sign with its old and its new key for a
    while. The evidence holds the three headers, no others. Raises the refusals of the module's table, and nothing else.
    """
    signed = _read(request, received)
    if authorities is not None and request.authority not in authorities:
        detail = f"The request is for the host {request.authority[:100]!r}, for which this ledger does not answer."
        raise AuthorityUnknown(detail, field="@authority")
    message = _message(signed.base, request.body)
    keys = list(keys)
    retired = sorted((key for key in keys if key.valid_to is not None), key=lambda key: -(key.valid_to or 0))
    valid = [key for key in keys if key.valid_to is None]
    for signature in signed.signatures:
        for key in valid:
            if verify_signature(key.public_key, message, signature):
                return _keep(request, signed.base, signature, key, received)
    for signature in signed.signatures:
        for key in retired[:RETIRED_TRIED_MAX]:
            if verify_signature(key.public_key, message, signature):
                detail = f"The key {key.kid} is no longer valid: sign with its successor."
                raise KeyRevoked(detail, field="webhook-signature")
    raise Unverified(
        "No v1a signature verifies over this request's id, timestamp and body under a key of a Scheme that signs by "
        "Standard Webhooks here; every other Scheme must sign by RFC 9421.",
        field="webhook-signature",
    )


def reverify(evidence: Evidence, key: RegisteredKey, *, verify_signature: VerifySignature = verify_ed25519) -> None:
    """Verify a stored webhook's evidence by `key`, which may have been retired since.

    Raises `SignatureInvalid`, or another refusal of `verify`, unless `verify` could have given this same evidence.
    """
    request = evidence.request
    signed = _read(request, evidence.received)
    if _keep(request, signed.base, evidence.signature, key, evidence.received) != evidence:
        raise SignatureInvalid("The evidence is not what the request in it gives.")
    if evidence.signature not in signed.signatures:
        raise SignatureInvalid("The signature is none of those in the request.", field="webhook-signature")
    if not verify_signature(key.public_key, _message(signed.base, request.body), evidence.signature):
        detail = "The v1a signature does not verify over the id, the timestamp and the body."
        raise SignatureInvalid(detail, field="webhook-signature")


def _read(request: HttpRequest, received: int) -> _Signed:
    """Read the headers, and check all that needs no key."""
    for name in HEADERS:
        if not request.fields.get(name):
            raise SignatureMissing(f"The request has no {name.title()} header: Standard Webhooks v1a.", field=name)
    name = webhook_id(request)
    try:
        signatures = _read_signatures(request.fields["webhook-signature"])
        timestamp = request.fields["webhook-timestamp"]
        if not _TIMESTAMP.fullmatch(timestamp):
            raise Invalid("webhook-timestamp", "must be whole seconds since 1970, without leading zeros")
    except Invalid as wrong:
        raise as_refusal(wrong) from wrong
    if request.query != "?":
        raise SignatureInvalid("Standard Webhooks v1a does not sign the query: send none.", field="@query")
    check_age(int(timestamp), received, "timestamp", field="webhook-timestamp")
    return _Signed(f"{name}.{timestamp}", signatures)


def _read_signatures(text: str) -> list[bytes]:
    """Give the v1a signatures; those of other versions, such as the symmetric `v1`, are passed over."""
    if len(text) > SIGNATURES_CHARS_MAX:
        detail = f"Webhook-Signature has {len(text)} characters, more than the {SIGNATURES_CHARS_MAX} allowed."
        raise TooLarge(detail, field="webhook-signature")
    if not _ENTRIES.fullmatch(text):
        raise Invalid("webhook-signature", "must be signatures as version,base64 with one space between them")
    ours = [entry.removeprefix(_OURS) for entry in text.split(" ") if entry.startswith(_OURS)]
    if not ours:
        detail = 'Webhook-Signature has no "v1a," signature (Ed25519); a symmetric "v1," one proves nothing to others.'
        raise SignatureMissing(detail, field="webhook-signature")
    if len(ours) > SIGNATURES_MAX:
        detail = f"Webhook-Signature has {len(ours)} v1a signatures, more than the {SIGNATURES_MAX} allowed."
        raise TooLarge(detail, field="webhook-signature")
    return [decode_base64(signature, "webhook-signature", 64) for signature in ours]


def _message(base: str, body: bytes) -> bytes:
    return base.encode() + b"." + body


def _keep(request: HttpRequest, base: str, signature: bytes, key: RegisteredKey, received: int) -> Evidence:
    fields = {name: request.fields[name] for name in HEADERS}
    kept = HttpRequest(request.method, request.authority, request.path, "?", fields, request.body)
    return Evidence(STANDARD_WEBHOOKS, kept, base, signature, key.kid, key.public_key, received)
