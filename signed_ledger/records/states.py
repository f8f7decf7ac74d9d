"""Where accounts, authorisations and cards stand after an entry."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.money import BALANCE_MINOR_MAX
from signed_ledger.records.names import NAME, AccountId, check_matches, check_natural

PENDING: Final = "PENDING"
DECLINED: Final = "DECLINED"
REVERSED: Final = "REVERSED"
EXPIRED: Final = "EXPIRED"
CLEARED: Final = "CLEARED"
STATUSES: Final = (PENDING, DECLINED, REVERSED, EXPIRED, CLEARED)


@dataclass(frozen=True, slots=True)
class State:
    """What an entry left an account at, in minor units of the account's currency."""

    account: AccountId
    posted: int
    held: int

    def __post_init__(self) -> None:
        if self.held < 0:
            raise Invalid("held", f"{self.account.owner} would hold less than nothing in {self.account.currency}")
        if abs(self.posted) > BALANCE_MINOR_MAX or self.held > BALANCE_MINOR_MAX:
            beyond = f"{self.account.owner} would stand beyond 2^63-1 minor units of {self.account.currency}"
            raise Invalid("amount", beyond)

    @property
    def available(self) -> int:
        return self.posted - self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The running totals of an authorisation, in minor units: hold and status are functions of them.

    `clearings` counts the presentments; `final` is whether one of them was the last. What a final presentment leaves of
    the hold is released, and counts as reversed.
    """

    authorised: int = 0
    incremented: int = 0
    reversed: int = 0
    expired: int = 0
    cleared: int = 0
    refunded: int = 0
    clearings: int = 0
    final: bool = False

    def __post_init__(self) -> None:
        amounts = (self.authorised, self.incremented, self.reversed, self.expired, self.cleared, self.refunded)
        if min(amounts) < 0 or max(amounts) > BALANCE_MINOR_MAX:
            raise Invalid("totals", "must be from 0 to 2^63-1 minor units")
        check_natural(self.clearings, "clearings")

    @property
    def net(self) -> int:
        """What is authorised after all: reversals taken off, expiries not."""
        return self.authorised + self.incremented - self.reversed

    @property
    def uncleared(self) -> int:
        """What of that was not cleared yet, expired or not."""
        return max(0, self.net - self.cleared)

    @property
    def open(self) -> int:
        """What is still held."""
        return max(0, self.net - self.expired - self.cleared)

    @property
    def status(self) -> str:
        """What holds nothing from the beginning can neither be reversed nor expire: it stays pending."""
        if self.open:
            return PENDING
        if self.clearings:
            return CLEARED
        if self.reversed and not self.net:
            return REVERSED
        return EXPIRED if self.expired else PENDING

    def plus(self, **changes: int) -> "Totals":
        """These totals with amounts added."""
        return replace(self, **{name: getattr(self, name) + change for name, change in changes.items()})


AMOUNTS: Final = ("authorised", "incremented", "reversed", "expired", "cleared", "refunded")


class AuthorisationKey(NamedTuple):
    """A transaction id is its Scheme's own: two Schemes may use the same."""

    scheme: str
    transaction_id: str


class PostingKey(NamedTuple):
    """A clearing or refund that has an id of its own: `name` is `presentment:<id>` or `refund:<id>`."""

    scheme: str
    transaction_id: str
    name: str


@dataclass(frozen=True, slots=True)
class AuthorisationState:
    """Where an authorisation stands. `seq` is its own entry's; `totals` are `None` where it was declined.

    `expires` is microseconds since 1970 UTC; `None` where no time was set.
    """

    key: AuthorisationKey
    seq: int
    card_id: str
    currency: str
    totals: Totals | None
    expires: int | None = None

    @property
    def status(self) -> str:
        return DECLINED if self.totals is None else self.totals.status

    @property
    def held(self) -> int:
        return 0 if self.totals is None else self.totals.open


@dataclass(frozen=True, slots=True)
class CardState:
    """Whose a card is (`None`: no Scheme's yet), and whether it is blocked."""

    card_id: str
    scheme: str | None = None
    blocked: bool = False

    def __post_init__(self) -> None:
        check_matches(NAME, self.card_id, "card_id", "1 to 64 of A-Za-z0-9._-")
        if self.scheme is not None:
            check_matches(NAME, self.scheme, "scheme", "1 to 64 of A-Za-z0-9._-")


class Effect(NamedTuple):
    """What an entry left changed: at most one account, one authorisation, one card."""

    state: State | None = None
    authorisation: AuthorisationState | None = None
    card: CardState | None = None
