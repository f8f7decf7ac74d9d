"""Step one of the day: every authorisation whose time is over is expired, in order of (expiry, seq)."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from signed_ledger.daily.desk import Desk
from signed_ledger.errors import IntegrityViolation, InternalError, Invalid, Overloaded, Refusal, StateConflict
from signed_ledger.ledger import Answer
from signed_ledger.money import Money
from signed_ledger.records import AuthorisationKey, CardTransaction, Request
from signed_ledger.rules import Asked

log = structlog.get_logger("signed_ledger.daily")

Progress: TypeAlias = Callable[[int, int], None]
"""Told now and then: how many are done, and of how many."""


@dataclass(slots=True)
class Expired:
    """What a run did. `released` is minor units by currency; `failed` has what did not verify, and why.

    What changed meanwhile, or somebody else expired first, is in neither.
    """

    count: int = 0
    released: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: list[tuple[AuthorisationKey, str]] = field(default_factory=list)

    def amounts(self) -> list[Money]:
        return [Money(minor, currency) for currency, minor in sorted(self.released.items())]


async def expire_due(desk: Desk, progress: Progress = lambda done, total: None) -> Expired:
    """Expire what is due now; give what was done, all of it on disk.

    It lists what is due, and the writer decides on each by its own clock: never early, whoever else expires meanwhile.
    What does not verify is passed over, and told. Raises `Overloaded` where the ledger stays busy.
    """
    due = await desk.reader.due(desk.clock())
    expired = Expired()
    for done in range(0, len(due), desk.at_once):
        progress(done, len(due))
        keys = due[done : done + desk.at_once]
        outcomes = await asyncio.gather(*(_expire(desk, key) for key in keys), return_exceptions=True)
        for key, outcome in zip(keys, outcomes, strict=True):
            _count(expired, key, outcome)
        await desk.breathe()
    progress(len(due), len(due))
    desk.metrics.expired.inc(expired.count)
    if due:
        log.info("expired", count=expired.count, due=len(due), failed=len(expired.failed))
    return expired


async def _expire(desk: Desk, key: AuthorisationKey) -> Answer:
    try:
        asked = Asked(key.scheme, None, Request("expiry", key.transaction_id))
    except Invalid as error:  # a row that no entry made
        raise IntegrityViolation(f"authorisation_states holds what can not be one: {error}.") from error
    return await desk.submit(asked)


def _count(expired: Expired, key: AuthorisationKey, outcome: Answer | BaseException) -> None:
    if isinstance(outcome, Answer):
        assert isinstance(outcome.body, CardTransaction)
        expired.count += 1
        expired.released[outcome.body.billing.currency] += outcome.body.billing.minor
    elif isinstance(outcome, InternalError | Overloaded) or not isinstance(outcome, Refusal):
        raise outcome
    elif not isinstance(outcome, StateConflict):
        log.error("expiry_failed", scheme=key.scheme, transaction_id=key.transaction_id, reason=outcome.detail)
        expired.failed.append((key, outcome.detail))
