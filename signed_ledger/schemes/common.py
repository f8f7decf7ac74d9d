"""What both profiles share: how fresh a request must be, the event's id, and how a malformed field is told."""

from collections.abc import Callable
from typing import Final, TypeAlias

from signed_ledger.errors import Invalid, Malformed, SignatureExpired, SignatureInvalid
from signed_ledger.records import HttpRequest
from signed_ledger.records.names import WEBHOOK_ID

FRESH_SECONDS: Final = 300

VerifySignature: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""Ed25519 as `signing.verify` has it: public key, message, signature."""


def check_age(made: int, received: int, what: str, field: str) -> None:
    """Raise `SignatureExpired` for what was made (seconds) too long before or after it was received (microseconds)."""
    age = received - made * 1_000_000
    if abs(age) > FRESH_SECONDS * 1_000_000:
        raise SignatureExpired(
            f"The {what} is {abs(age) // 1_000_000} s {'before' if age > 0 else 'after'} this ledger's "
            f"clock, more than the {FRESH_SECONDS} s allowed: sign again, at the right time.",
            field=field,
        )


def webhook_id(request: HttpRequest) -> str:
    """Give the Webhook-Id of an evidence's request. Raises `Malformed` unless it is 1 to 128 of A-Za-z0-9_-."""
    value = request.fields.get("webhook-id", "")
    if not WEBHOOK_ID.fullmatch(value):
        raise Malformed("Webhook-Id must be 1 to 128 characters of A-Za-z0-9_-, given once.", field="webhook-id")
    return value


def as_refusal(wrong: Invalid) -> SignatureInvalid:
    """What the caller is told of a malformed field."""
    return SignatureInvalid(f"{wrong.field.title()} {wrong.detail}.", field=wrong.field)
