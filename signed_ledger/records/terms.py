"""The Issuer's terms: how long a hold lasts, what excess is tolerated, what interchange is due. Themselves an entry."""

from dataclasses import dataclass
from typing import ClassVar, Final

from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records.messages import AUTHORISATION_KINDS, CARD_ABSENT_KINDS
from signed_ledger.records.names import NAME, check_matches

DAYS_MAX: Final = 400
MILLIONTHS_MAX: Final = 10**7
"""A share is a whole number of millionths: 15 % is 150,000. Ten times the amount is the most."""
RULES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Scope:
    """To what a rule applies; what is empty or `None` applies to all. `mccs` are (first, last), both included."""

    scheme: str | None = None
    kinds: tuple[str, ...] = ()
    mccs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.scheme is not None:
            check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")
        if not set(self.kinds) <= set(AUTHORISATION_KINDS):
            raise Invalid("kinds", f"must be of {', '.join(AUTHORISATION_KINDS)}")
        if not all(0 <= first <= last <= 9999 for first, last in self.mccs):
            raise Invalid("mccs", "must be categories of ISO 18245 or ranges of them, such as 5812 or 3351-3500")

    def applies(self, scheme: str, kind: str | None, mcc: str | None) -> bool:
        if (self.scheme is not None and self.scheme != scheme) or (self.kinds and kind not in self.kinds):
            return False
        return not self.mccs or (mcc is not None and any(first <= int(mcc) <= last for first, last in self.mccs))


@dataclass(frozen=True, slots=True)
class Window:
    """How many days a hold lasts."""

    scope: Scope
    days: int

    def __post_init__(self) -> None:
        check_days(self.days, "days")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may be cleared above the authorised amount: a share of it, or `at_least` where that is more."""

    scope: Scope
    millionths: int
    at_least: Money | None = None

    def __post_init__(self) -> None:
        check_millionths(self.millionths)
        _check_positive(self.at_least, "at_least")


@dataclass(frozen=True, slots=True)
class FeeRate:
    """The interchange of a clearing: a share of what is settled, and `fixed` where that is in the same currency."""

    scope: Scope
    millionths: int
    fixed: Money | None = None

    def __post_init__(self) -> None:
        check_millionths(self.millionths)
        _check_positive(self.fixed, "fixed")


@dataclass(frozen=True, slots=True)
class Terms:
    """Of each list the first rule that applies counts; where none does: `window_days`, no tolerance, no interchange."""

    KIND: ClassVar[str] = "terms"

    window_days: int
    windows: tuple[Window, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    fees: tuple[FeeRate, ...] = ()

    def __post_init__(self) -> None:
        check_days(self.window_days, "window_days")
        for name in ("windows", "tolerances", "fees"):
            if len(getattr(self, name)) > RULES_MAX:
                raise Invalid(name, f"must be at most {RULES_MAX} rules")


def check_days(days: object, name: str) -> None:
    if type(days) is not int or not 1 <= days <= DAYS_MAX:
        raise Invalid(name, f"must be a whole number of days from 1 to {DAYS_MAX}")


def check_millionths(millionths: object) -> None:
    if type(millionths) is not int or not 0 <= millionths <= MILLIONTHS_MAX:
        raise Invalid("percent", "must be from 0 to 1000 percent")


def _check_positive(amount: Money | None, name: str) -> None:
    if amount is not None and amount.minor < 0:
        raise Invalid(name, "must not be negative")


_CARS: Final = ((3351, 3500), (7512, 7512))
_BEDS: Final = ((3501, 3999), (4411, 4411), (7011, 7011))
_TABLES: Final = tuple((mcc, mcc) for mcc in (4121, 5812, 5813, 5814, 7230, 7298))

DEFAULT_TERMS: Final = Terms(
    window_days=7,
    windows=(
        Window(Scope("visa", mccs=_CARS + _BEDS), 30),
        Window(Scope("visa", ("card_not_present",)), 10),
        Window(Scope("visa", ("card_present", "merchant_initiated")), 5),
        Window(Scope("mastercard", ("final",)), 7),
        Window(Scope("mastercard", ("pre_authorisation",)), 30),
    ),
    tolerances=(
        Tolerance(Scope(mccs=_TABLES), 200_000),
        Tolerance(Scope(mccs=_BEDS), 150_000),
        Tolerance(Scope(mccs=_CARS), 150_000, Money(75_00, "USD")),
        Tolerance(Scope(kinds=CARD_ABSENT_KINDS), 150_000),
    ),
)
"""In force until the ledger's first terms entry, and so part of the format: docs/CARD_RULES.md, Terms."""
