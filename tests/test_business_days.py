"""When a business day begins, ends and is due: in zones that leave hours and dates out, or have an hour twice."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.daily import day_at, day_before, day_begins, day_ends, newest_due

HOUR = 3_600_000_000
VIENNA, SAO_PAULO, APIA, UTC_ZONE = (
    ZoneInfo(name) for name in ("Europe/Vienna", "America/Sao_Paulo", "Pacific/Apia", "UTC")
)


def at(text: str) -> int:
    """Microseconds of a moment, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("day", "zone", "begins", "hours"),
    [
        pytest.param(date(2026, 11, 23), UTC_ZONE, "2026-11-23T00:00", 24, id="UTC"),
        pytest.param(date(2026, 3, 29), VIENNA, "2026-03-28T23:00", 23, id="Vienna, an hour left out"),
        pytest.param(date(2026, 10, 25), VIENNA, "2026-10-24T22:00", 25, id="Vienna, an hour twice"),
        pytest.param(date(2018, 11, 4), SAO_PAULO, "2018-11-04T03:00", 23, id="Sao Paulo, no midnight"),
        pytest.param(date(2018, 2, 17), SAO_PAULO, "2018-02-17T02:00", 25, id="Sao Paulo, the last hour twice"),
        pytest.param(date(2011, 12, 29), APIA, "2011-12-29T10:00", 24, id="Apia, before the date that was left out"),
        pytest.param(date(2011, 12, 30), APIA, "2011-12-30T10:00", 0, id="Apia, the date that was left out"),
        pytest.param(date(2011, 12, 31), APIA, "2011-12-30T10:00", 24, id="Apia, after it"),
    ],
)
def test_a_day_begins_and_ends_by_the_zones_own_clock(day: date, zone: ZoneInfo, begins: str, hours: int) -> None:
    assert day_begins(day, zone) == at(begins)
    assert day_ends(day, zone) == at(begins) + hours * HOUR
    if hours:
        assert day_at(day_begins(day, zone), zone) == day_at(day_ends(day, zone) - 1, zone) == day


def test_the_day_before_is_one_that_there_was() -> None:
    assert day_before(date(2011, 12, 31), APIA) == date(2011, 12, 29)
    assert day_before(date(2026, 3, 1), VIENNA) == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("now", "zone", "hour", "due"),
    [
        pytest.param("2026-11-23T02:59:59", UTC_ZONE, 3, date(2026, 11, 21), id="a second before"),
        pytest.param("2026-11-23T03:00:00", UTC_ZONE, 3, date(2026, 11, 22), id="at the hour"),
        pytest.param("2026-11-23T23:59:59", UTC_ZONE, 3, date(2026, 11, 22), id="long after: caught up"),
        pytest.param("2026-11-23T00:00:00", UTC_ZONE, 0, date(2026, 11, 22), id="midnight"),
        pytest.param("2026-11-23T22:59:59", UTC_ZONE, 23, date(2026, 11, 21), id="late in the day"),
        pytest.param("2026-03-29T00:59:59", VIENNA, 2, date(2026, 3, 27), id="Vienna, before the hour left out"),
        pytest.param("2026-03-29T01:00:00", VIENNA, 2, date(2026, 3, 28), id="Vienna, at the hour left out"),
        pytest.param("2026-10-24T23:59:59", VIENNA, 2, date(2026, 10, 23), id="Vienna, before the hour there is twice"),
        pytest.param("2026-10-25T00:00:00", VIENNA, 2, date(2026, 10, 24), id="Vienna, the first of them"),
        pytest.param("2026-10-25T01:00:00", VIENNA, 2, date(2026, 10, 24), id="Vienna, the second: the same day"),
        pytest.param("2018-11-04T02:59:59", SAO_PAULO, 0, date(2018, 11, 2), id="Sao Paulo, before"),
        pytest.param("2018-11-04T03:00:00", SAO_PAULO, 0, date(2018, 11, 3), id="Sao Paulo, no midnight"),
        pytest.param("2018-02-18T01:30:00", SAO_PAULO, 23, date(2018, 2, 16), id="Sao Paulo, the first 23 o'clock"),
        pytest.param("2018-02-18T02:30:00", SAO_PAULO, 23, date(2018, 2, 16), id="Sao Paulo, the second"),
        pytest.param("2011-12-30T09:59:59", APIA, 0, date(2011, 12, 28), id="Apia, the last second of the 29th"),
        pytest.param("2011-12-30T10:00:00", APIA, 0, date(2011, 12, 29), id="Apia, the 31st: the 29th is due"),
        pytest.param("2011-12-30T12:59:59", APIA, 3, date(2011, 12, 28), id="Apia, the 31st, before the hour"),
    ],
)
def test_which_day_is_due(now: str, zone: ZoneInfo, hour: int, due: date) -> None:
    assert newest_due(at(now), zone, hour) == due


@given(
    st.integers(at("1990-01-01T00:00"), at("2037-01-01T00:00")),
    st.sampled_from([VIENNA, SAO_PAULO, APIA, ZoneInfo("America/St_Johns"), ZoneInfo("Asia/Kathmandu")]),
    st.integers(0, 23),
)
def test_each_day_is_due_once_and_never_before_it_ended(now: int, zone: ZoneInfo, hour: int) -> None:
    due = newest_due(now, zone, hour)
    assert day_ends(due, zone) <= now
    later = newest_due(now + HOUR // 2, zone, hour)
    assert later in (due, day_at(day_ends(due, zone), zone))
    assert due < day_at(now, zone)
