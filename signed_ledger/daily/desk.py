"""What the daily task works with, and how it leaves everybody else their turn."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from signed_ledger.errors import IntegrityViolation, Invalid, Overloaded, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Answer, Ledger, Submission
from signed_ledger.store import Reader, StoredEntry
from signed_ledger.telemetry import Metrics

T = TypeVar("T")

log = structlog.get_logger("signed_ledger.daily")

TRIES_MAX: Final = 5
"""How often a ledger that is busy is asked again."""
BUSY_SECONDS: Final = 0.2
SLICE_SECONDS: Final = 0.003
"""How long the event loop is kept from others at a time."""
AT_ONCE: Final = 100
AT_ONCE_WHILE_SERVING: Final = 8
"""How many commands go into one group: while they are decided, nobody else is answered."""


@dataclass(slots=True)
class Desk:
    """A ledger to write to, and a reader of its own, so that a long list holds up nobody's reading.

    While `serving` it works half of the time at most: the other half is for payments. Owner: the one daily task.
    """

    ledger: Ledger
    reader: Reader
    clock: Callable[[], int]
    metrics: Metrics
    serving: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def at_once(self) -> int:
        return AT_ONCE_WHILE_SERVING if self.serving else AT_ONCE

    async def breathe(self) -> None:
        """Let others run, once this has worked for a while."""
        worked = time.monotonic() - self._began
        if worked > SLICE_SECONDS:
            await asyncio.sleep(worked if self.serving else 0)
            self._began = time.monotonic()

    async def submit(self, submission: Submission) -> Answer:
        """As `Ledger.submit`, but with patience where the ledger is busy: nothing was decided then."""
        for _ in range(TRIES_MAX - 1):
            try:
                return await self.ledger.submit(submission)
            except Overloaded:
                await asyncio.sleep(BUSY_SECONDS)
        return await self.ledger.submit(submission)

    async def verified(self, verify: Callable[[StoredEntry, Keyring], T], stored: StoredEntry) -> T:
        """What `verify` gives for a stored entry; raises `IntegrityViolation`, and alarms, where it does not verify."""
        try:
            return verify(stored, self.ledger.keyring)
        except (Invalid, Refusal):
            await self.ledger.look()  # another process may have registered or rotated the key meanwhile
        try:
            return verify(stored, self.ledger.keyring)
        except (Invalid, Refusal) as error:
            self.metrics.integrity_alarms.inc()
            log.error("integrity_violation", seq=stored.seq, reason=str(error))
            raise IntegrityViolation(f"What is stored at seq {stored.seq} does not verify: {error}.") from error
