"""Where accounts and authorisations stand after an entry."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.money import BALANCE_MINOR_MAX
from signed_ledger.records.names import AccountId

PENDING: Final = "PENDING"
DECLINED: Final = "DECLINED"
CLEARED: Final = "CLEARED"


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


class AuthorisationKey(NamedTuple):
    """A transaction id is its Scheme's own: two Schemes may use the same."""

    scheme: str
    transaction_id: str


@dataclass(frozen=True, slots=True)
class AuthorisationState:
    """Where an authorisation stands. `seq` is its own entry's; `held` is minor units of `currency`."""

    key: AuthorisationKey
    seq: int
    status: str
    card_id: str
    currency: str
    held: int
