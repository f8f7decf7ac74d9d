"""The nouns: frozen records whose constructors refuse nonsense with `Invalid`, naming the field.

Amounts are `Money` (int minor units and a currency), times are `int` microseconds since 1970 UTC, digests and keys are
raw `bytes`. What stands on disk for each is told in docs/FORMAT.md and made in `encoding`.
"""

from signed_ledger.records.bodies import (
    Authorisation,
    Body,
    Genesis,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    Presentment,
    Transaction,
)
from signed_ledger.records.entries import Entry, Evidence, FindKey, HttpRequest, PartDigest, Parts, RegisteredKey
from signed_ledger.records.names import ISSUER, ZERO_DIGEST, AccountId, EntryRef, card, scheme
from signed_ledger.records.requests import AuthorisationRequest, PresentmentRequest
from signed_ledger.records.states import CLEARED, DECLINED, PENDING, AuthorisationKey, AuthorisationState, State

__all__ = [
    "CLEARED",
    "DECLINED",
    "ISSUER",
    "PENDING",
    "ZERO_DIGEST",
    "AccountId",
    "Authorisation",
    "AuthorisationKey",
    "AuthorisationRequest",
    "AuthorisationState",
    "Body",
    "Entry",
    "EntryRef",
    "Evidence",
    "FindKey",
    "Genesis",
    "HttpRequest",
    "JournalLine",
    "KeyChange",
    "Load",
    "Opening",
    "PartDigest",
    "Parts",
    "Presentment",
    "PresentmentRequest",
    "RegisteredKey",
    "State",
    "Transaction",
    "card",
    "scheme",
]
