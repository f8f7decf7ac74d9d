"""When: business days and the hour of the settlement, in a named time zone. Pure; times are microseconds, UTC.

A day begins and ends by the zone's own clock, which may leave an hour or a whole date out, or have an hour twice. Of
two moments with the same local time the first counts; of one that is left out, the moment at which it is.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def day_at(time: int, zone: ZoneInfo) -> date:
    """The local date at a moment."""
    return (_EPOCH + timedelta(microseconds=time)).astimezone(zone).date()


def day_begins(day: date, zone: ZoneInfo, hour: int = 0) -> int:
    """When it is `hour` o'clock on that day."""
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return (local.astimezone(UTC) - _EPOCH) // _MICROSECOND


def day_ends(day: date, zone: ZoneInfo) -> int:
    """When the day after it begins."""
    return day_begins(day + _DAY, zone)


def day_before(day: date, zone: ZoneInfo) -> date:
    """The last date before `day` that there was in that zone."""
    return day_at(day_begins(day, zone) - 1, zone)


def newest_due(now: int, zone: ZoneInfo, hour: int) -> date:
    """The newest business day that is to be settled by now: the one before the newest day on which it was `hour`."""
    today = day_at(now, zone)
    if now < day_begins(today, zone, hour):
        today = day_before(today, zone)
    return day_before(today, zone)
