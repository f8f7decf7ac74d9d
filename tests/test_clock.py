"""A clock that is set: entries never go back, freshness goes by it, and nothing is released or settled early by it."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog

from scripts.send_webhook import sign_request
from signed_ledger.daily import ClockWatch, check_clock, expire_due, newest_due, settle
from signed_ledger.errors import Invalid
from tests.callers import authorisation
from tests.faults import Faulty, needs_faults
from tests.processes import Server, wait_until
from tests.settlements import Past, begin, desk_on
from tests.support import assert_audits
from tests.world import DAY, World, opened

SECOND = 1_000_000
HOUR, YEAR = 3_600 * SECOND, 365 * DAY
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Steady:
    """Time that passes, and can not be set."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Machine:
    """A machine with both clocks: one that is set, one that is not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.steady = Steady()
        self.watch = ClockWatch(world.clock, self.steady)

    def pass_time(self, microseconds: int) -> None:
        self.world.clock.now += microseconds
        self.steady.now += microseconds


# --- the daily task, in this process ---------------------------------------------------------------------------------


async def test_a_clock_that_is_set_forward_expires_nothing_until_a_scheme_vouches_for_it(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        life = await begin(world, ledger)
        await life.authorise("held")
        machine = Machine(world)
        machine.pass_time(HOUR)
        await check_clock(desk, machine.watch)
        world.clock.now += 8 * DAY
        with pytest.raises(Invalid, match=r"was set forward by 8 days, 0:00:00 .* Set it right"):
            await check_clock(desk, machine.watch)
        machine.pass_time(HOUR)
        with pytest.raises(Invalid, match="was set forward"):
            await check_clock(desk, machine.watch)
        await life.authorise("new")  # by a signature that is fresh by this clock
        await check_clock(desk, machine.watch)
        assert (await expire_due(desk)).count == 1
    assert_audits(world.path)


async def test_a_clock_that_is_set_back_to_what_it_was_is_believed_again(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        await (await begin(world, ledger)).authorise("held")
        machine = Machine(world)
        world.clock.now += YEAR
        with pytest.raises(Invalid, match="was set forward"):
            await check_clock(desk, machine.watch)
        world.clock.now -= YEAR
        await check_clock(desk, machine.watch)
        assert (await expire_due(desk)).count == 0
        machine.pass_time(7 * DAY)
        await check_clock(desk, machine.watch)
        assert (await expire_due(desk)).count == 1
    assert_audits(world.path)


async def test_a_clock_that_was_behind_the_ledger_and_is_put_right_is_believed(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        await (await begin(world, ledger)).authorise("held")
        right, world.clock.now = world.clock.now, 0  # a machine whose battery is flat begins in 1970
        machine = Machine(world)
        machine.pass_time(HOUR)
        world.clock.now = right + HOUR
        await check_clock(desk, machine.watch)
    assert_audits(world.path)


async def test_a_leap_second_or_a_slow_correction_is_no_step(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        await (await begin(world, ledger)).authorise("held")
        machine = Machine(world)
        with structlog.testing.capture_logs() as logs:
            for correction in (-SECOND, SECOND, 299 * SECOND, -299 * SECOND):
                machine.pass_time(HOUR)
                world.clock.now += correction
                await check_clock(desk, machine.watch)
        assert logs == []


async def test_a_step_is_told_once_either_way(world: World) -> None:
    machine = Machine(world)
    with structlog.testing.capture_logs() as logs:
        for step in (HOUR, 0, -2 * HOUR, 0):
            machine.pass_time(SECOND)
            world.clock.now += step
            machine.watch.look()
    assert [(log["event"], log["by_seconds"]) for log in logs] == [("clock_was_set", 3_600), ("clock_was_set", -7_200)]


async def test_after_a_restart_too_a_clock_far_ahead_of_all_schemes_is_not_believed(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        await check_clock(desk)  # there is no Scheme yet, and nothing to lose
        await (await begin(world, ledger)).authorise("held")
        world.clock.now += 14 * DAY
        await check_clock(desk)
        world.clock.now += 1
        with pytest.raises(Invalid, match=r"14 days, 0:00:00 after the newest entry with a Scheme.*--clock-is-right"):
            await check_clock(desk)
        await world.load(ledger, "c1", 1_00)  # the Issuer's own entries vouch for nothing
        with pytest.raises(Invalid, match="after the newest entry with a Scheme"):
            await check_clock(desk)
        await settle(desk, "acme", date(2026, 12, 6), UTC_ZONE)  # as an operator who says that it is right
        await check_clock(desk)
    assert_audits(world.path)


async def test_a_hold_made_while_entries_stand_in_the_future_ends_no_earlier_than_it_should(world: World) -> None:
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        life = await begin(world, ledger)
        right = world.clock.now
        world.clock.now += HOUR
        await life.authorise("fast")
        world.clock.now = right
        standing = (await life.authorise("held")).expires
        assert standing == right + HOUR + 7 * DAY
        world.clock.now = standing - 1  # later than the seven days that it was to last, not earlier
        assert (await expire_due(desk)).count == 0
        world.clock.now = standing
        assert (await expire_due(desk)).count == 2
    assert_audits(world.path)


def test_a_leap_day_is_a_business_day_of_its_own() -> None:
    noon = 1_835_438_400 * SECOND  # 2028-02-29T12:00:00Z
    due = [newest_due(noon + days * DAY, UTC_ZONE, 3) for days in (-1, 0, 1, 2)]
    assert due == [date(2028, 2, 27), date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]


async def test_a_hold_lasts_its_days_over_a_leap_day(world: World) -> None:
    world.clock.now = 1_835_438_400 * SECOND - DAY
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        expires = (await (await begin(world, ledger)).authorise("held")).expires
        assert expires == world.clock.now + 7 * DAY
        world.clock.now = expires - 1
        assert (await expire_due(desk)).count == 0
        world.clock.now = expires
        assert (await expire_due(desk)).count == 1
    assert_audits(world.path)


# --- a server and commands whose clock is set ------------------------------------------------------------------------


class Shifted(Faulty, Past):
    """An installation whose ledger began days ago, and whose clock can be set."""


async def _make(past: Past) -> None:
    """A hold that is not due yet, and something to be settled."""
    async with opened(past.world) as ledger:
        life = await past.begin(ledger)
        past.world.clock.now += 7 * DAY
        await life.authorise("held")
        await life.force("posted", "1.00")


@pytest.fixture
def past(tmp_path: Path) -> Shifted:
    past = Shifted(tmp_path / "installation")
    asyncio.run(_make(past))
    return past


def pay(server: Server, past: Past, name: str, shift: int = 0) -> tuple[int, str, str]:
    """An authorisation signed at a time so far from the true one: (status, code, time of the entry)."""
    body = authorisation(name)
    created = (time.time_ns() // 1_000 + shift) // SECOND
    headers = sign_request(past.scheme.key, "POST", f"{server.url}/authorisation", body, name, created=created)
    request = urllib.request.Request(f"{server.url}/authorisation", body, headers)
    try:
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
            return response.status, "", answer["entry"].splitlines()[4]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["code"], ""


def told(server: Server, event: str) -> list[dict[str, object]]:
    return [line for line in server.lines if line["event"] == event]


@needs_faults
def test_a_served_clock_back_an_hour_and_forward_a_year_entries_never_go_back(past: Shifted) -> None:
    times = []
    with past.serve() as server:
        for number, shift in enumerate((0, -HOUR, YEAR, 0)):
            past.set_clock(shift)
            if shift:  # what is signed at the true time is not fresh by a wrong clock
                assert pay(server, past, f"true-{number}")[:2] == (401, "signature_expired")
            status, _, entry_time = pay(server, past, f"shifted-{number}", shift)
            assert status == 201
            times.append(entry_time)
            if shift == YEAR:
                wait_until(lambda: told(server, "clock_was_set"))
        assert times == sorted(times)
        assert times[0] == times[1]  # the ledger's time stands until the clock comes to it
        assert times[2] == times[3]
    past.assert_audits()


@needs_faults
def test_a_served_clock_forward_a_year_and_back_expires_and_settles_nothing_early(past: Shifted) -> None:
    on: dict[str, Any] = {"SETTLEMENT_HOUR": 0, "SETTLEMENTS": past.folder / "out"}
    yesterday = newest_due(time.time_ns() // 1_000, UTC_ZONE, 0)
    with past.serve(**on) as server:
        wait_until(lambda: told(server, "settled"))
        past.set_clock(YEAR)
        wait_until(lambda: told(server, "settlement_failed"))
        assert "the clock: was set forward by 365 days" in str(told(server, "settlement_failed")[0]["reason"])
        past.mend()
        assert pay(server, past, "after")[0] == 201
    past.set_clock(YEAR)
    with past.serve(**on) as server:  # it begins under the wrong clock
        wait_until(lambda: told(server, "settlement_failed"))
        assert "after the newest entry with a Scheme" in str(told(server, "settlement_failed")[0]["reason"])
    for command in (("expire",), ("settle", "--scheme", "acme")):
        refused = past.run(*command, status=2).stderr
        assert "--clock-is-right" in refused
        assert refused.count("\n") == 1
    assert past.rows("SELECT scheme, date FROM settlements") == [("acme", str(yesterday))]
    assert past.rows("SELECT count(*) FROM transactions WHERE type = 'expiry'") == [(0,)]
    past.assert_audits()
    past.set_clock(9 * DAY)  # for the true passing of time, with an operator who says so
    assert "Expired 2" in past.run("expire", "--clock-is-right").stdout
    past.assert_audits()
