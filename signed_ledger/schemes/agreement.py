"""What was recorded must be what was asked: body, evidence and request of one transaction, held against each other.

The writer asks this before a recorded authorisation decides anything, the auditor of every transaction.
"""

from operator import attrgetter
from typing import Final

from signed_ledger.encoding import decode_request
from signed_ledger.errors import Invalid
from signed_ledger.records import CardTransaction, Evidence, RegisteredKey, Request
from signed_ledger.records.messages import MERCHANT
from signed_ledger.schemes.common import webhook_id
from signed_ledger.schemes.profiles import reverify


def verify_recorded(body: CardTransaction, evidence: Evidence, key: RegisteredKey) -> Request:
    """Verify the Scheme's signature again, under `key` as it was, and that `body` says what the request says.

    Gives the request. Raises a `Refusal` where the signature does not verify, else `Invalid` naming the field.
    """
    reverify(evidence, key)
    check_said_by(body, evidence, key)
    request = decode_request(body.type, evidence.request.body)
    check_says(body, request)
    return request


def check_said_by(body: CardTransaction, evidence: Evidence, key: RegisteredKey) -> None:
    """Raise `Invalid` unless the evidence is of this kind of webhook, of this id, by this Scheme."""
    if key.role != "scheme" or key.whose != body.scheme:
        raise Invalid("scheme", f"{body.scheme} did not sign this: the key is {key.role} {key.whose}'s")
    if evidence.request.method != "POST" or evidence.request.path.removesuffix("/") != f"/{body.type}":
        raise Invalid("type", f"is {body.type}, but what was signed went to {evidence.request.path}")
    if webhook_id(evidence.request) != body.webhook_id:
        raise Invalid("webhook_id", "is not the one that was signed")


def check_says(body: CardTransaction, request: Request) -> None:
    """Raise `Invalid` naming the first field of the body that is not what the request says.

    What the request does not say may be filled in; what stands in the entry that it builds on is not said again.
    """
    for name, said, asked in zip(Request.__slots__, _members(body.request), _members(request), strict=True):
        if said == asked or (asked is None and name in _FILLED_IN):
            continue
        if said is not None or body.builds_on is None or name not in MERCHANT:
            raise Invalid(name, "is not what the Scheme's request says")


_members: Final = attrgetter(*Request.__slots__)
_FILLED_IN: Final = ("card_id", "billing", "final", "interchange")
