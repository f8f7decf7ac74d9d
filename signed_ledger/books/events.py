"""What books are made of, in the ledger's own names and signs: positive is owed to the account's owner.

Times are microseconds since 1970 UTC.
"""

from typing import NamedTuple, TypeAlias

from signed_ledger.money import Money
from signed_ledger.records import AccountId


class Opened(NamedTuple):
    """An account was opened, at nothing."""

    time: int
    account: AccountId


class Posting(NamedTuple):
    """A journal line; `seq` is its own entry's."""

    seq: int
    account: AccountId
    amount: Money


class Batch(NamedTuple):
    """A transaction and the lines that it posted, which sum to zero in each currency; `seq` is the transaction's."""

    seq: int
    time: int
    type: str
    transaction_id: str
    scheme: str | None
    card_id: str | None
    postings: tuple[Posting, ...]


class Closed(NamedTuple):
    """The end: the newest entry, and each account's balance in minor units, in the order in which they were opened."""

    origin: str
    seq: int
    leaf: bytes
    time: int
    balances: dict[AccountId, int]


Event: TypeAlias = Opened | Batch | Closed
"""`Closed` comes last, and once."""
