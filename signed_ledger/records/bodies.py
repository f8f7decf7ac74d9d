"""What an entry says: one class for each kind of entry, and for each type of transaction."""

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records.names import (
    KEY_OPS,
    KEY_ROLES,
    KID,
    NAME,
    ORIGIN,
    OWNER,
    PARTY_ROLES,
    WEBHOOK_ID,
    AccountId,
    EntryRef,
    check_asked,
    check_matches,
    check_natural,
    check_size,
)
from signed_ledger.records.requests import AuthorisationRequest


@dataclass(frozen=True, slots=True)
class Genesis:
    """Entry 0: who the ledger is and whom it trusts. Keys are raw 32-byte Ed25519 public keys."""

    KIND: ClassVar[str] = "genesis"

    origin: str
    root_keys: tuple[bytes, ...]
    threshold: int
    entry_key: bytes
    checkpoint_key: bytes
    approvals: str = ""

    def __post_init__(self) -> None:
        if len(self.origin) > 200:
            raise Invalid("origin", "must be at most 200 characters")
        check_matches(ORIGIN, self.origin, "origin", "a URL without a scheme, such as issuer.example/ledger")
        for key in (*self.root_keys, self.entry_key, self.checkpoint_key):
            check_size(key, 32, "key")
        if len({*self.root_keys, self.entry_key, self.checkpoint_key}) != len(self.root_keys) + 2:
            raise Invalid("key", "each key has one role: the same key stands in genesis twice")
        if type(self.threshold) is not int or not 1 <= self.threshold <= len(self.root_keys):
            raise Invalid("threshold", "must be from 1 to the number of root keys")


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that is added, or is no longer valid, from the next entry on."""

    KIND: ClassVar[str] = "key"

    op: str
    role: str
    kid: str
    public_key: bytes
    whose: str
    version: int
    approvals: str = ""

    def __post_init__(self) -> None:
        if self.op not in KEY_OPS:
            raise Invalid("op", f"must be one of {', '.join(KEY_OPS)}")
        if self.role not in KEY_ROLES:
            raise Invalid("role", f"must be one of {', '.join(KEY_ROLES)}")
        check_matches(KID, self.kid, "kid", "64 hex digits")
        check_size(self.public_key, 32, "public_key")
        if self.role in PARTY_ROLES:
            check_matches(NAME, self.whose, "whose", "1 to 64 of A-Za-z0-9._-")
        else:
            check_matches(ORIGIN, self.whose, "whose", "the ledger's origin")
        check_natural(self.version, "version")


@dataclass(frozen=True, slots=True)
class Opening:
    """An account is opened, at nothing."""

    KIND: ClassVar[str] = "account"

    account: AccountId

    def __post_init__(self) -> None:
        check_matches(OWNER, self.account.owner, "owner", "card:<id>, issuer, scheme:<name> or external:<name>")
        Money(0, self.account.currency)


@dataclass(frozen=True, slots=True)
class Load:
    """Money put on a card by the Issuer."""

    KIND: ClassVar[str] = "transaction"
    TYPE: ClassVar[str] = "load"

    transaction_id: str
    card_id: str
    billing: Money

    def __post_init__(self) -> None:
        check_matches(NAME, self.transaction_id, "transaction_id", "1 to 64 of A-Za-z0-9._-")
        check_matches(NAME, self.card_id, "card_id", "1 to 64 of A-Za-z0-9._-")
        check_asked(self.billing, "billing")
        if self.billing.minor == 0:
            raise Invalid("billing_amount", "must be more than nothing")

    @property
    def decision(self) -> str:
        return "posted"

    @property
    def reason(self) -> str:
        return "ok"

    @property
    def hold_change(self) -> Money:
        return Money(0, self.billing.currency)


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The Issuer's decision on an authorisation request; `reason` is `ok`, or why it was declined."""

    KIND: ClassVar[str] = "transaction"
    TYPE: ClassVar[str] = "authorisation"

    scheme: str
    webhook_id: str
    request: AuthorisationRequest
    decision: str
    reason: str

    def __post_init__(self) -> None:
        check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")
        check_matches(WEBHOOK_ID, self.webhook_id, "webhook_id", "1 to 128 of A-Za-z0-9_-")
        if (self.decision, self.reason) not in AUTHORISATION_DECISIONS:
            raise Invalid("decision", "is not one of approved ok, declined insufficient_funds, declined card_not_found")

    @property
    def transaction_id(self) -> str:
        return self.request.transaction_id

    @property
    def card_id(self) -> str:
        return self.request.card_id

    @property
    def billing(self) -> Money:
        return self.request.billing

    @property
    def hold_change(self) -> Money:
        return self.billing if self.decision == "approved" else Money(0, self.billing.currency)


AUTHORISATION_DECISIONS: Final = (
    ("approved", "ok"),
    ("declined", "insufficient_funds"),
    ("declined", "card_not_found"),
)


@dataclass(frozen=True, slots=True)
class Presentment:
    """A clearing that was posted: what was billed to the card, what the Scheme is owed, the hold released.

    `billing` is never absent here. `builds_on` is the authorisation's entry.
    """

    KIND: ClassVar[str] = "transaction"
    TYPE: ClassVar[str] = "presentment"

    scheme: str
    webhook_id: str
    transaction_id: str
    card_id: str
    billing: Money
    settlement: Money
    hold_change: Money
    builds_on: EntryRef
    transaction: Money | None = None
    presentment_id: str | None = None

    def __post_init__(self) -> None:
        check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")
        check_matches(WEBHOOK_ID, self.webhook_id, "webhook_id", "1 to 128 of A-Za-z0-9_-")
        check_matches(NAME, self.transaction_id, "transaction_id", "1 to 64 of A-Za-z0-9._-")
        check_matches(NAME, self.card_id, "card_id", "1 to 64 of A-Za-z0-9._-")
        if self.presentment_id is not None:
            check_matches(NAME, self.presentment_id, "presentment_id", "1 to 64 of A-Za-z0-9._-")
        check_asked(self.billing, "billing")
        check_asked(self.settlement, "settlement")
        check_asked(self.transaction, "transaction")
        check_natural(self.builds_on.seq, "builds_on")
        check_size(self.builds_on.leaf, 32, "builds_on")
        if self.hold_change.currency != self.billing.currency or self.hold_change.minor > 0:
            raise Invalid("hold_change", "must release a hold in the billing currency")

    @property
    def decision(self) -> str:
        return "posted"

    @property
    def reason(self) -> str:
        return "ok"


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One debit (negative) or credit of one account; `batch` is the seq of the transaction that caused it."""

    KIND: ClassVar[str] = "journal"

    batch: int
    line: int
    lines: int
    owner: str
    amount: Money

    def __post_init__(self) -> None:
        check_natural(self.batch, "batch")
        check_natural(self.lines, "lines")
        if type(self.line) is not int or not 1 <= self.line <= self.lines:
            raise Invalid("line", "must be from 1 to lines")
        check_matches(OWNER, self.owner, "account", "card:<id>, issuer, scheme:<name> or external:<name>")

    @property
    def account(self) -> AccountId:
        return AccountId(self.owner, self.amount.currency)


Transaction: TypeAlias = Load | Authorisation | Presentment
Body: TypeAlias = Genesis | KeyChange | Opening | Transaction | JournalLine
