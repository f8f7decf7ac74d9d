"""What was recorded must be what was asked: body, evidence and request of one transaction, held against each other.

The writer asks this before a recorded authorisation decides anything, the auditor of every transaction.
"""

from signed_ledger.encoding import SchemeRequest, decode_request
from signed_ledger.errors import Invalid
from signed_ledger.records import (
    Authorisation,
    AuthorisationRequest,
    Evidence,
    Presentment,
    PresentmentRequest,
    RegisteredKey,
)
from signed_ledger.schemes.rfc9421 import reverify, webhook_id


def verify_recorded(body: Authorisation | Presentment, evidence: Evidence, key: RegisteredKey) -> SchemeRequest:
    """Verify the Scheme's signature again, under `key` as it was, and that `body` says what the request says.

    Gives the request. Raises a `Refusal` where the signature does not verify, else `Invalid` naming the field.
    """
    reverify(evidence, key)
    check_said_by(body, evidence, key)
    request = decode_request(body.TYPE, evidence.request.body)
    check_says(body, request)
    return request


def check_said_by(body: Authorisation | Presentment, evidence: Evidence, key: RegisteredKey) -> None:
    """Raise `Invalid` unless the evidence is of this kind of webhook, of this id, by this Scheme."""
    if key.role != "scheme" or key.whose != body.scheme:
        raise Invalid("scheme", f"{body.scheme} did not sign this: the key is {key.role} {key.whose}'s")
    if evidence.request.method != "POST" or evidence.request.path.removesuffix("/") != f"/{body.TYPE}":
        raise Invalid("type", f"is {body.TYPE}, but what was signed went to {evidence.request.path}")
    if webhook_id(evidence.request) != body.webhook_id:
        raise Invalid("webhook_id", "is not the one that was signed")


def check_says(body: Authorisation | Presentment, request: SchemeRequest) -> None:
    """Raise `Invalid` naming the first field of the body that is not what the request says."""
    if isinstance(body, Authorisation):
        _check_equal(body.request, request, AuthorisationRequest.__slots__)
    else:
        given = [name for name in _PRESENTED if getattr(request, name, None) is not None or name in _ALWAYS_SAID]
        _check_equal(body, request, tuple(given))


_ALWAYS_SAID = ("transaction", "presentment_id")
"""Members of a presentment's body that are absent exactly when they were not given."""
_PRESENTED = ("transaction_id", "settlement", "card_id", "billing", *_ALWAYS_SAID)


def _check_equal(
    said: AuthorisationRequest | Presentment,
    asked: AuthorisationRequest | PresentmentRequest,
    names: tuple[str, ...],
) -> None:
    for name in names:
        if getattr(said, name) != getattr(asked, name, None):
            raise Invalid(name, "is not what the Scheme's request says")
