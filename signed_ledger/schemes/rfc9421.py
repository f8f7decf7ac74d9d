"""A caller's request signed by RFC 9421 with RFC 9530's Content-Digest, in the one profile of docs/API.md.

Checked in this order, the cheap before the costly:

1. it has a signature with our tag                                   SignatureMissing
2. Signature-Input and Signature are not too long                    TooLarge
3. every signature with our tag is well-formed and covers enough     SignatureInvalid
4. the key of one is registered, and still valid                     KeyUnknown, KeyRevoked
5. that one is fresh                                                 SignatureExpired
6. it is for a host name of ours                                     AuthorityUnknown
7. what it covers is there, printable, and not too long in all       SignatureInvalid, TooLarge
8. Content-Digest is the body's, and the Ed25519 signature verifies  SignatureInvalid

Left to the caller: whether this webhook id came before, and what the key's role allows.
"""

import hashlib
from binascii import b2a_base64
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from signed_ledger.errors import (
    AuthorityUnknown,
    Invalid,
    KeyRevoked,
    KeyUnknown,
    SignatureExpired,
    SignatureInvalid,
)
from signed_ledger.records import Evidence, FindKey, HttpRequest, RegisteredKey
from signed_ledger.records.names import RFC9421
from signed_ledger.schemes.common import VerifySignature, as_refusal, check_age
from signed_ledger.schemes.signature_input import WEBHOOK, Coverage, OurSignature, check_size, find_ours
from signed_ledger.schemes.structured import parse_byte_sequences, read_bytes
from signed_ledger.signing import verify as verify_ed25519

_HASHES: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


def verify(
    request: HttpRequest,
    find_key: FindKey,
    received: int,
    *,
    coverage: Coverage,
    authorities: Collection[str] | None,
    verify_signature: VerifySignature = verify_ed25519,
) -> Evidence:
    """Verify a request that came at `received` (microseconds since 1970 UTC), and give its evidence.

    `authorities` are the host names we answer for, lower-case; `None` does not check. Of several signatures with our
    tag the first whose key is valid counts. The evidence holds the covered fields and the signature's own, no others;
    verified again alone, it gives itself (`reverify`). Raises the refusals of the module's table, and nothing else.
    """
    signature, key = _choose(find_ours(request, coverage), find_key)
    _check_fresh(signature, received)
    if authorities is not None and request.authority not in authorities:
        detail = f"The signature is for the host {request.authority[:100]!r}, for which this ledger does not answer."
        raise AuthorityUnknown(detail, field="@authority")
    values = _read_covered(request, signature.components)
    _check_digest(request, signature.components)
    base = signature_base(signature.components, values, signature.params)
    if not verify_signature(key.public_key, base.encode(), signature.signature):
        detail = "The Ed25519 signature does not verify over this request's signature base (RFC 9421 section 2.5)."
        raise SignatureInvalid(detail, field="signature")
    kept = _keep(request, signature.components)
    return Evidence(RFC9421, kept, base, signature.signature, key.kid, key.public_key, received)


def reverify(evidence: Evidence, key: RegisteredKey, *, verify_signature: VerifySignature = verify_ed25519) -> None:
    """Verify a stored webhook's evidence by `key`, which may have been retired since.

    Raises `SignatureInvalid`, or another refusal of `verify`, unless `verify` would give this same evidence. An auditor
    who checks signatures many at a time gives a `verify_signature` that takes each down and says yes.
    """
    find_key = {key.kid: key if key.valid_to is None else replace(key, valid_to=None)}.get
    rebuilt = verify(
        evidence.request,
        find_key,
        evidence.received,
        coverage=WEBHOOK,
        authorities=None,
        verify_signature=verify_signature,
    )
    if rebuilt != evidence:
        raise SignatureInvalid("The evidence is not what the request in it gives.")


def signature_base(components: Sequence[str], values: Sequence[str], params: str) -> str:
    """Give the text that is signed (RFC 9421 section 2.5). `params` is the canonical text of the inner list."""
    lines = [f'"{name}": {value}\n' for name, value in zip(components, values, strict=True)]
    return f'{"".join(lines)}"@signature-params": {params}'


def _choose(ours: list[OurSignature], find_key: FindKey) -> tuple[OurSignature, RegisteredKey]:
    """Take the first with a valid key, so that who signs with an old and a new key is heard through a rotation."""
    known = [(signature, key) for signature in ours if (key := find_key(signature.keyid)) is not None]
    for signature, key in known:
        if key.valid_to is None:
            assert key.kid == signature.keyid
            return signature, key
    if known:
        detail = f"The key {known[0][1].kid} is no longer valid: sign with its successor."
        raise KeyRevoked(detail, field="signature-input")
    detail = f'No key is registered for this use as keyid "{ours[0].keyid[:100]}": it must be the registered kid.'
    raise KeyUnknown(detail, field="signature-input")


def _check_fresh(signature: OurSignature, received: int) -> None:
    check_age(signature.created, received, "signature's created", field="signature-input")
    if signature.expires is None:
        return
    if signature.expires < signature.created or signature.expires * 1_000_000 < received:
        detail = "The signature's expires is past, or earlier than its created: sign again."
        raise SignatureExpired(detail, field="signature-input")


def _read_covered(request: HttpRequest, components: Sequence[str]) -> list[str]:
    """Give each component's value (RFC 9421 sections 2.1 and 2.2); @query is a lone "?" where there is no query."""
    available = {
        **request.fields,
        "@method": request.method,
        "@authority": request.authority,
        "@path": request.path,
        "@query": request.query or "?",
    }
    try:
        values = [available[name] for name in components]
    except KeyError as missing:
        name = str(missing.args[0])
        raise SignatureInvalid(f'The signature covers "{name}", which this request lacks.', field=name) from None
    text = "".join(values)
    if not (text.isascii() and text.isprintable()):
        name = next(name for name in components if not (available[name].isascii() and available[name].isprintable()))
        raise SignatureInvalid(f'The signature covers "{name}", which is not printable ASCII.', field=name)
    check_size(len(text) + len(available["signature-input"]) + len(available["signature"]))
    return values


def _check_digest(request: HttpRequest, components: Sequence[str]) -> None:
    """Compare each digest of an algorithm we know with the body's; others are passed over (RFC 9530 section 2)."""
    if "content-digest" not in components:
        return
    field = request.fields["content-digest"]
    sha256 = b2a_base64(hashlib.sha256(request.body).digest(), newline=False).decode()
    if field == f"sha-256=:{sha256}:":  # what nearly all send, and nothing else stands in it
        return
    try:
        digests = parse_byte_sequences(field, "content-digest")
        known = [name for name in digests if name in _HASHES]
        if not known:
            raise Invalid("content-digest", "must hold a sha-256 or a sha-512")
        for name in known:
            if read_bytes(digests[name], "content-digest") != _HASHES[name](request.body).digest():
                raise Invalid("content-digest", f"must hold the {name} of the body as sent, and this body has another")
    except Invalid as wrong:
        raise as_refusal(wrong) from wrong


def _keep(request: HttpRequest, components: Sequence[str]) -> HttpRequest:
    fields = {name: request.fields[name] for name in components if name[0] != "@"}
    fields["signature-input"] = request.fields["signature-input"]
    fields["signature"] = request.fields["signature"]
    return HttpRequest(request.method, request.authority, request.path, request.query, fields, request.body)
