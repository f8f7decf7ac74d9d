"""The nouns: frozen records whose constructors refuse nonsense with `Invalid`, naming the field.

Amounts are `Money` (int minor units and a currency), times are `int` microseconds since 1970 UTC, digests and keys are
raw `bytes`. What stands on disk for each is told in docs/FORMAT.md and made in `encoding`.
"""

from signed_ledger.records.bodies import (
    Body,
    CardChange,
    CardTransaction,
    JournalLine,
    Load,
    Opening,
    Transaction,
    posting_key_of,
)
from signed_ledger.records.checkpoints import Checkpoint
from signed_ledger.records.entries import Entry, Evidence, FindKey, HttpRequest, PartDigest, Parts, RegisteredKey
from signed_ledger.records.erasures import PART_NAMES, Erased, Erasure
from signed_ledger.records.keys import Attestation, Genesis, History, KeyChange, RegistryChange, RootChange
from signed_ledger.records.messages import MESSAGES, RESPONSE_CODES, Message
from signed_ledger.records.names import ISSUER, ZERO_DIGEST, AccountId, EntryRef, card, card_of, external, scheme
from signed_ledger.records.requests import Iso8583, Request
from signed_ledger.records.settlements import SettledSum, Settlement, Unsettled
from signed_ledger.records.states import (
    CLEARED,
    DECLINED,
    EXPIRED,
    PENDING,
    REVERSED,
    AuthorisationKey,
    AuthorisationState,
    CardState,
    Effect,
    PostingKey,
    State,
    Totals,
)
from signed_ledger.records.terms import DEFAULT_TERMS, FeeRate, Scope, Terms, Tolerance, Window

__all__ = [
    "CLEARED",
    "DECLINED",
    "DEFAULT_TERMS",
    "EXPIRED",
    "ISSUER",
    "MESSAGES",
    "PART_NAMES",
    "PENDING",
    "RESPONSE_CODES",
    "REVERSED",
    "ZERO_DIGEST",
    "AccountId",
    "Attestation",
    "AuthorisationKey",
    "AuthorisationState",
    "Body",
    "CardChange",
    "CardState",
    "CardTransaction",
    "Checkpoint",
    "Effect",
    "Entry",
    "EntryRef",
    "Erased",
    "Erasure",
    "Evidence",
    "FeeRate",
    "FindKey",
    "Genesis",
    "History",
    "HttpRequest",
    "Iso8583",
    "JournalLine",
    "KeyChange",
    "Load",
    "Message",
    "Opening",
    "PartDigest",
    "Parts",
    "PostingKey",
    "RegisteredKey",
    "RegistryChange",
    "Request",
    "RootChange",
    "Scope",
    "SettledSum",
    "Settlement",
    "State",
    "Terms",
    "Tolerance",
    "Totals",
    "Transaction",
    "Unsettled",
    "Window",
    "card",
    "card_of",
    "external",
    "posting_key_of",
    "scheme",
]
