"""What an entry says: one class for each kind of entry, and for each type of transaction."""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records.erasures import Erasure
from signed_ledger.records.keys import Attestation, Genesis, KeyChange, RootChange
from signed_ledger.records.messages import FLAGS, MESSAGES, MONEY
from signed_ledger.records.names import (
    CARD_OPS,
    CONTROL,
    NAME,
    OWNER,
    WEBHOOK_ID,
    AccountId,
    EntryRef,
    check_asked,
    check_matches,
    check_natural,
    check_size,
)
from signed_ledger.records.requests import Request
from signed_ledger.records.settlements import Settlement
from signed_ledger.records.states import AuthorisationKey, CardState, PostingKey, Totals
from signed_ledger.records.terms import Terms


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
    """Money put on a card by the Issuer: no Scheme's."""

    KIND: ClassVar[str] = "transaction"
    type: ClassVar[str] = "load"
    scheme: ClassVar[str] = ""
    decision: ClassVar[str] = "posted"
    reason: ClassVar[str] = "ok"

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
    def hold_change(self) -> Money:
        return Money(0, self.billing.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTransaction:
    """A Scheme's message and what was decided on it; or the Issuer's own expiry, which has no `webhook_id`.

    `request` is complete: what the Scheme left out is filled in (card, billing, interchange, final), and what the entry
    it builds on says already is not said again (merchant). `totals` are those of the authorisation after it, where it
    changed them. `form` is 1 for entries of release 0.1, which say less; 2 from then on.
    """

    KIND: ClassVar[str] = "transaction"

    scheme: str
    webhook_id: str | None
    request: Request
    decision: str
    reason: str
    hold_change: Money
    builds_on: EntryRef | None = None
    totals: Totals | None = None
    expires: int | None = None
    window_days: int | None = None
    flags: tuple[str, ...] = ()
    form: int = 2

    def __post_init__(self) -> None:
        message = MESSAGES.get(self.request.type)
        if message is None:
            raise Invalid("type", f"{self.request.type!r} is not one that this version knows")
        check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")
        if (self.webhook_id is not None) is not message.is_sent:
            raise Invalid("webhook_id", "must be there where a Scheme has sent this, and not where it has not")
        if self.webhook_id is not None:
            check_matches(WEBHOOK_ID, self.webhook_id, "webhook_id", "1 to 128 of A-Za-z0-9_-")
        if not message.admits(self.decision, self.reason):
            raise Invalid("decision", f"{self.decision} {self.reason} is not one of a {message.type}")
        for name in _RECORDED[message.type]:
            if getattr(self.request, name) is None:
                raise Invalid(f"{name}_amount" if name in MONEY else name, "is missing")
        if "final" in message.optional and self.request.final is None:
            raise Invalid("final", "must be filled in")
        if self.hold_change.currency != self.billing.currency:
            raise Invalid("hold_change", "must be in the billing currency")
        if self.builds_on is not None:
            check_natural(self.builds_on.seq, "builds_on")
            check_size(self.builds_on.leaf, 32, "builds_on")
        if self.flags and list(self.flags) != [flag for flag in FLAGS if flag in self.flags]:
            raise Invalid("flags", f"must be of {', '.join(FLAGS)}, in this order, each once")

    @property
    def type(self) -> str:
        return self.request.type

    @property
    def transaction_id(self) -> str:
        """The transaction it is about; its own id where it is a refund that names none."""
        name = self.request.transaction_id or self.request.refund_id
        assert name is not None
        return name

    @property
    def card_id(self) -> str:
        assert self.request.card_id is not None
        return self.request.card_id

    @property
    def billing(self) -> Money:
        assert self.request.billing is not None
        return self.request.billing

    @property
    def key(self) -> AuthorisationKey:
        return AuthorisationKey(self.scheme, self.transaction_id)

    @property
    def opens(self) -> bool:
        """Whether the transaction begins with it: an authorisation, or a posting with none behind it."""
        return self.builds_on is None

    @property
    def in_first_form(self) -> "CardTransaction":
        """The same, saying no more than release 0.1 did."""
        return replace(self, form=1, totals=None, expires=None, window_days=None, flags=())

    @property
    def posting_key(self) -> PostingKey | None:
        """Its own name among the postings of its transaction, where the Scheme gave it one."""
        return posting_key_of(self.scheme, self.request)


_RECORDED: Final = {name: (*message.required, "card_id", "billing") for name, message in MESSAGES.items()}
"""What the record of each message has, given or filled in."""


def posting_key_of(scheme: str, request: Request) -> PostingKey | None:
    own = request.presentment_id or request.refund_id
    if own is None:
        return None
    return PostingKey(scheme, request.transaction_id or own, f"{request.type}:{own}")


@dataclass(frozen=True, slots=True)
class CardChange:
    """A card is bound to its Scheme, blocked or unblocked: how it stands after that. `why` is for people."""

    KIND: ClassVar[str] = "card"

    op: str
    card: CardState
    why: str = ""

    def __post_init__(self) -> None:
        if self.op not in CARD_OPS:
            raise Invalid("op", f"must be one of {', '.join(CARD_OPS)}")
        if self.op == "bind" and self.card.scheme is None:
            raise Invalid("scheme", "is missing: to whom the card is bound")
        if len(self.why) > 200 or CONTROL.search(self.why):
            raise Invalid("why", "must be at most 200 characters, none of them control characters")


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


Transaction: TypeAlias = Load | CardTransaction | Settlement
Body: TypeAlias = (
    Genesis | KeyChange | RootChange | Attestation | Opening | CardChange | Terms | Transaction | JournalLine | Erasure
)
