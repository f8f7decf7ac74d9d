"""The day by itself, inside `serve`: at an hour of a time zone, and caught up at the start. It holds up no payment."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import structlog

from signed_ledger.daily.clock_watch import ClockWatch, check_clock
from signed_ledger.daily.days import newest_due
from signed_ledger.daily.desk import Desk
from signed_ledger.daily.expiring import expire_due
from signed_ledger.daily.settlement_files import write_settlement_files
from signed_ledger.daily.settling import newest_settled, schemes_of, settle
from signed_ledger.errors import SignedLedgerError
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.daily")

OpenDesk: TypeAlias = Callable[[], AbstractAsyncContextManager[Desk]]

LOOK_SECONDS: Final = 1.0
"""How late the hour may be noticed. The clock is asked rather than slept for: it may be set, and machines suspend."""
RETRY_SECONDS: Final = 60.0


class Schedule(NamedTuple):
    """At which hour of which time zone, and where the files go."""

    hour: int
    zone: ZoneInfo
    folder: Path


async def keep_settling(
    open_desk: OpenDesk,
    schedule: Schedule,
    clock: Callable[[], int],
    watch: ClockWatch,
    metrics: Metrics,
    *,
    retry_seconds: float = RETRY_SECONDS,
) -> None:
    """Settle each business day once its hour has come, until cancelled. What fails is logged and tried again.

    A clock that can not be believed is such a failure.
    """
    done: date | None = None
    while True:
        day = newest_due(clock(), schedule.zone, schedule.hour)
        if done is not None and day <= done:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        failures = await _run_day(open_desk, schedule, watch, day)
        for scheme, error in failures.items():
            metrics.settlements.labels("failed").inc()
            unexpected = None if isinstance(error, SignedLedgerError | OSError) else error
            log.error("settlement_failed", scheme=scheme, date=str(day), reason=str(error), exc_info=unexpected)
        if failures:
            await asyncio.sleep(retry_seconds)
        else:
            done = day


async def _run_day(open_desk: OpenDesk, schedule: Schedule, watch: ClockWatch, day: date) -> dict[str, Exception]:
    """Expire and settle; give what failed, by Scheme. One's failure is not another's."""
    failures: dict[str, Exception] = {}
    try:
        async with open_desk() as desk:
            schemes = schemes_of(desk.ledger.keyring)
            if any([await newest_settled(desk, scheme) < day.isoformat() for scheme in schemes]):
                await check_clock(desk, watch)
                await expire_due(desk)
            for scheme in schemes:
                try:
                    await _settle_with(desk, schedule, scheme, day)
                except Exception as error:  # own mistakes too: payments go on whatever becomes of this
                    failures[scheme] = error
    except Exception as error:
        failures["every Scheme"] = error
    return failures


async def _settle_with(desk: Desk, schedule: Schedule, scheme: str, day: date) -> None:
    """A day that was overtaken by a later one is done with."""
    if await newest_settled(desk, scheme) <= day.isoformat():
        settled = await settle(desk, scheme, day, schedule.zone)
        await asyncio.to_thread(write_settlement_files, settled, schedule.folder)
