"""What a writer is bounded by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many webhooks may be in hand, how much goes into one commit, how many balances are kept in memory."""

    queue_commands_max: int = 256
    group_commands_max: int = 256
    cache_accounts_max: int = 65_536
