"""What the ledger is asked to decide. A load is asked for by the very body that records it, and so are terms."""

from typing import NamedTuple, TypeAlias

from signed_ledger.records import (
    AuthorisationKey,
    CardTransaction,
    EntryRef,
    Load,
    PostingKey,
    Request,
    Settlement,
    Terms,
    posting_key_of,
)


class Slot(NamedTuple):
    """Where the next entry goes: its seq, and its time in microseconds since 1970 UTC."""

    seq: int
    time: int


class Authorised(NamedTuple):
    """The entry with which a transaction began, read back from the store and verified."""

    ref: EntryRef
    body: CardTransaction


class Asked(NamedTuple):
    """A message, a Scheme's or (an expiry, without `webhook_id`) our own.

    `authorised` is what the transaction that it names began with; `None` where there is none.
    """

    scheme: str
    webhook_id: str | None
    request: Request
    authorised: Authorised | None = None

    @property
    def key(self) -> AuthorisationKey:
        return AuthorisationKey(self.scheme, self.request.transaction_id or "")

    @property
    def posting_key(self) -> PostingKey | None:
        return posting_key_of(self.scheme, self.request)


class ChangeCard(NamedTuple):
    """An operator binds a card to `scheme`, blocks or unblocks it."""

    op: str
    card_id: str
    scheme: str | None = None
    why: str = ""


class Settle(NamedTuple):
    """Settle a business day with a Scheme. `date` as 2026-11-23; it ends at `day_ends`, microseconds since 1970 UTC."""

    scheme: str
    date: str
    day_ends: int

    @property
    def transaction_id(self) -> str:
        return Settlement(scheme=self.scheme, date=self.date, day_ends=0, is_complete=True, sums=()).transaction_id


class Erase(NamedTuple):
    """Erase what is told of a card: `asked_by` a reference to who asked, `why` for people."""

    card_id: str
    asked_by: str
    why: str


Command: TypeAlias = Asked | Load | ChangeCard | Terms | Settle
