"""Whether the clock can be believed, before something is done for good because time has passed.

What time alone decides (a hold ends, a day is over) can not be taken back: a hold that is released under a clock that
was a year fast is spent again, and a day that was settled under it closes the year before it. A Scheme's message needs
no such doubt: its signature is fresh by this very clock, so it vouches for it.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from signed_ledger.daily.desk import Desk
from signed_ledger.encoding import encode_time
from signed_ledger.errors import Invalid

log = structlog.get_logger("signed_ledger.daily")

STEP_MICROSECONDS: Final = 300_000_000
"""How far a clock may be set at once: as much as a signature's time may differ from it."""
IDLE_DAYS_MAX: Final = 14
"""How long no Scheme may have sent anything, and nothing have been settled, for the clock to be believed by itself."""
LOOK_SECONDS: Final = 1.0

_DAY: Final = 86_400_000_000


def steady_clock() -> int:
    """Microseconds that nobody can set; they pass while the machine sleeps, where the system can tell."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000


class ClockWatch:
    """Notices where the clock is set while this process runs. Owner of every mutable field: the event loop's thread."""

    def __init__(self, clock: Callable[[], int], steady: Callable[[], int] = steady_clock) -> None:
        self._clock = clock
        self._steady = steady
        self._last = (clock(), steady())
        self._step: tuple[int, int] | None = None  # set forward: from, to

    def look(self) -> None:
        """Compare the time that passed by the clock with the time that passed; tell where they differ."""
        (before, steady_before), self._last = self._last, (self._clock(), self._steady())
        now, steady = self._last
        expected = before + steady - steady_before
        if self._step is not None and now < self._step[1]:
            self._step = None  # it was set back
        if abs(now - expected) > STEP_MICROSECONDS:
            log.error("clock_was_set", by_seconds=(now - expected) // 1_000_000, to=encode_time(now))
            if now > expected:
                self._step = (expected, now)

    def check(self, vouched: int) -> None:
        """Raise `Invalid` where the clock was set forward, and nothing vouches for it since.

        `vouched` is when the newest entry was recorded that a Scheme sent or was settled with. Where it is later than
        the time from which the clock was set, that was behind the ledger, and was put right.
        """
        self.look()
        if self._step is None:
            return
        was, became = self._step
        if vouched <= was:
            raise Invalid(
                "the clock",
                f"was set forward by {_span(became - was)} to {encode_time(became)}, and no Scheme's message came "
                "since: nothing expires or is settled by it. Set it right, or restart the service if it is right now",
            )


async def check_clock(desk: Desk, watch: ClockWatch | None = None) -> None:
    """Raise `Invalid` where the clock can not be believed; a ledger in which no Scheme is yet has nothing to lose."""
    vouched = await desk.reader.vouched()
    if vouched is not None:
        if watch is not None:
            watch.check(vouched)
        _check_not_idle(desk.clock(), vouched)


def _check_not_idle(now: int, vouched: int) -> None:
    """Raise `Invalid` where the clock is further ahead of the newest such entry than Schemes are ever silent."""
    if now - vouched > IDLE_DAYS_MAX * _DAY:
        raise Invalid(
            "the clock",
            f"says {encode_time(now)}, {_span(now - vouched)} after the newest entry with a Scheme, of "
            f"{encode_time(vouched)}: nothing expires or is settled by it. If it is right, say so: signed-ledger "
            "settle, or expire, with --clock-is-right",
        )


def _span(microseconds: int) -> str:
    return str(timedelta(seconds=(microseconds + 500_000) // 1_000_000))


async def keep_watching(watch: ClockWatch) -> None:
    """Look for ever, so that a step is told when it is made."""
    while True:
        watch.look()
        await asyncio.sleep(LOOK_SECONDS)
