"""Which profile a request is signed by, and which one a stored evidence says.

A webhook with a Webhook-Signature is one of Standard Webhooks v1a, unless Signature-Input has a member with our tag: a
Scheme that sends both, say while it changes over, has signed more by RFC 9421. All else is RFC 9421.
"""

from collections.abc import Callable, Collection, Iterable

from signed_ledger.errors import SignatureInvalid
from signed_ledger.records import Evidence, FindKey, HttpRequest, RegisteredKey
from signed_ledger.records.names import RFC9421, STANDARD_WEBHOOKS
from signed_ledger.schemes import rfc9421, standard_webhooks
from signed_ledger.schemes.common import VerifySignature
from signed_ledger.schemes.signature_input import WEBHOOK, Coverage, has_our_tag
from signed_ledger.signing import verify as verify_ed25519


def verify(
    request: HttpRequest,
    find_key: FindKey,
    received: int,
    *,
    coverage: Coverage,
    authorities: Collection[str] | None,
    standard_keys: Callable[[], Iterable[RegisteredKey]] | None = None,
) -> Evidence:
    """Verify a request by the profile it is signed by, and give its evidence.

    `find_key` finds the key that an RFC 9421 signature names. `standard_keys` gives those, valid and retired, that may
    sign by Standard Webhooks v1a, which names none; `None` takes RFC 9421 only. The rest is as in `rfc9421.verify`.
    """
    if (
        standard_keys is not None
        and coverage is WEBHOOK
        and "webhook-signature" in request.fields
        and not has_our_tag(request)
    ):
        return standard_webhooks.verify(request, standard_keys(), received, authorities=authorities)
    return rfc9421.verify(request, find_key, received, coverage=coverage, authorities=authorities)


def reverify(evidence: Evidence, key: RegisteredKey, *, verify_signature: VerifySignature = verify_ed25519) -> None:
    """Verify a stored webhook's evidence by `key`, which may have been retired since.

    Raises a refusal unless `verify` could have given this same evidence. An auditor who checks signatures many at a
    time gives a `verify_signature` that takes each down and says yes.
    """
    if evidence.profile == RFC9421:
        rfc9421.reverify(evidence, key, verify_signature=verify_signature)
    elif evidence.profile == STANDARD_WEBHOOKS:
        standard_webhooks.reverify(evidence, key, verify_signature=verify_signature)
    else:
        raise SignatureInvalid(f"No profile is called {evidence.profile!r}.")


def signs_host(evidence: Evidence) -> bool:
    """Whether the Scheme signed to which host, method and path the request went."""
    return evidence.profile == RFC9421
