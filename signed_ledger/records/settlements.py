"""The daily settlement with a Scheme: what was posted since the last one, summed by currency."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from signed_ledger.errors import Invalid
from signed_ledger.money import Fee, Money
from signed_ledger.records.names import DATE, NAME, TIME_MAX, check_matches, check_natural


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Running sums of one Scheme in one currency, since its last settlement; minor units, `interchange` in millionths.

    `gross` is what presentments settled, `refunds` what refunds gave back; `result` what the Issuer's own account
    gained. `first` and `last` are the seqs of the first and last transaction that is in any of them.
    """

    gross: int = 0
    refunds: int = 0
    interchange: int = 0
    result: int = 0
    count: int = 0
    first: int | None = None
    last: int | None = None

    def plus(self, other: "Unsettled") -> "Unsettled":
        """Both together, whichever came first."""
        seqs = [seq for seq in (self.first, self.last, other.first, other.last) if seq is not None]
        return Unsettled(
            self.gross + other.gross,
            self.refunds + other.refunds,
            self.interchange + other.interchange,
            self.result + other.result,
            self.count + other.count,
            min(seqs, default=None),
            max(seqs, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSum:
    """One currency's part of a settlement: gross - refunds + fees = net.

    `fees` are what we owe beyond the transactions; interchange that the Issuer earns is negative there. `interchange`
    is its exact sum; it was rounded once, as docs/CARD_RULES.md, Settlement, says. `result` is the Issuer's own.
    """

    gross: Money
    refunds: Money
    fees: Money
    net: Money
    result: Money
    interchange: Fee
    count: int
    first_seq: int
    last_seq: int

    def __post_init__(self) -> None:
        amounts = (self.gross, self.refunds, self.fees, self.net, self.result, self.interchange)
        if len({amount.currency for amount in amounts}) != 1:
            raise Invalid("currency", "must be one for all amounts of a sum")
        if self.gross.minor < 0 or self.refunds.minor < 0:
            raise Invalid("gross", "and refunds must not be negative")
        if self.gross.minor - self.refunds.minor + self.fees.minor != self.net.minor:
            raise Invalid("net", "is not gross - refunds + fees")
        check_natural(self.count, "count")
        check_natural(self.first_seq, "first_seq")
        check_natural(self.last_seq, "last_seq")

    @property
    def currency(self) -> str:
        return self.net.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """All that a Scheme is owed, moved out on a business day; `sums` by currency, in order of its code.

    `day_ends` is when the business day ended or ends, in microseconds since 1970 UTC; `is_complete` is whether it had.
    It is no card's.
    """

    KIND: ClassVar[str] = "transaction"
    type: ClassVar[str] = "settlement"
    card_id: ClassVar[str] = ""
    decision: ClassVar[str] = "posted"
    reason: ClassVar[str] = "ok"

    scheme: str
    date: str
    day_ends: int
    is_complete: bool
    sums: tuple[SettledSum, ...]

    def __post_init__(self) -> None:
        check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")
        check_date(self.date, "date")
        if type(self.day_ends) is not int or not 0 <= self.day_ends <= TIME_MAX:
            raise Invalid("day_ends", "must be microseconds from 1970 to 9999")
        currencies = [each.currency for each in self.sums]
        if currencies != sorted(set(currencies)):
            raise Invalid("sums", "must be one for each currency, in order of its code")

    @property
    def transaction_id(self) -> str:
        return f"settlement-{self.date}"


def check_date(text: object, name: str) -> None:
    """Refuse what is not a date such as 2026-11-23."""
    check_matches(DATE, text, name, "a date such as 2026-11-23")
    try:
        date.fromisoformat(str(text))
    except ValueError:
        raise Invalid(name, "must be a date such as 2026-11-23") from None
