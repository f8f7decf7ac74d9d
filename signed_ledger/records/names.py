"""What things are called: the patterns of names and ids, and the accounts named by them."""

import re
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.money import WIRE_MINOR_MAX, Money

ORIGIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*")
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
WEBHOOK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
KID: Final = re.compile(r"[0-9a-f]{64}")
MCC: Final = re.compile(r"[0-9]{4}")
DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
OWNER: Final = re.compile(r"issuer|(?:card|scheme|external):[A-Za-z0-9._-]{1,64}")

CARD_OPS: Final = ("bind", "block", "unblock")
TIME_MAX: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, in microseconds since 1970 UTC."""

RFC9421: Final = "rfc9421"
STANDARD_WEBHOOKS: Final = "standard-webhooks-v1a"
"""The profiles by which a Scheme may sign, as evidence names them."""

KEY_OPS: Final = ("add", "retire", "revoke")
SERVICE_ROLES: Final = ("entry", "checkpoint")
PARTY_ROLES: Final = ("scheme", "operator", "auditor")
KEY_ROLES: Final = SERVICE_ROLES + PARTY_ROLES

ZERO_DIGEST: Final = bytes(32)
ISSUER: Final = "issuer"


def card(card_id: str) -> str:
    """The owner name of a card's accounts."""
    return f"card:{card_id}"


def scheme(name: str) -> str:
    """The owner name of a Scheme's accounts."""
    return f"scheme:{name}"


def external(name: str) -> str:
    """The owner name of the accounts through which a Scheme is paid."""
    return f"external:{name}"


def card_of(owner: str) -> str | None:
    """The card whose account this is, `None` where it is no card's."""
    kind, _, card_id = owner.partition(":")
    return card_id if kind == "card" else None


def check_matches(pattern: re.Pattern[str], value: object, name: str, what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Invalid(name, f"must be {what}")


def check_size(value: object, size: int, name: str) -> None:
    if not isinstance(value, bytes) or len(value) != size:
        raise Invalid(name, f"must be {size} bytes")


def check_natural(value: object, name: str) -> None:
    if type(value) is not int or value < 0 or value > 2**53 - 1:
        raise Invalid(name, "must be a whole number from 0 to 2^53-1")


def check_asked(amount: Money | None, name: str) -> None:
    """Refuse an amount that no caller may name: negative, or of 10^15 minor units and more."""
    if amount is not None and not 0 <= amount.minor <= WIRE_MINOR_MAX:
        raise Invalid(f"{name}_amount", "must be from 0 to less than 10^15 minor units")


class AccountId(NamedTuple):
    """An account: one owner's money in one currency."""

    owner: str
    currency: str


class EntryRef(NamedTuple):
    """An entry named so that it can not be another: its seq and its leaf hash."""

    seq: int
    leaf: bytes
