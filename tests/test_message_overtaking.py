"""What overtakes its authorisation may come again, and nothing of it is applied; what comes with it waits for it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from signed_ledger.errors import Refusal
from signed_ledger.ledger import Answer
from signed_ledger.records import AccountId
from tests.crossing import (
    ASK,
    REFUSED,
    REVERSAL,
    SCHEDULES,
    Counting,
    End,
    Make,
    Schedule,
    billed,
    cleared,
    expiry,
    refunded,
    sent,
    set_up,
    submit,
    told,
)
from tests.support import assert_audits
from tests.world import World, balances_of, opened


@pytest.fixture
def clock() -> Counting:
    return Counting()


@pytest.fixture
def world(tmp_path: Path, clock: Counting) -> World:
    world = World(tmp_path)
    world.clock = clock
    return world


EARLY: dict[str, tuple[Make, str, End]] = {
    "increment": (sent("increment", **billed("10.00")), "ok", End("", "", "PENDING", 100_00, 50_00)),
    "reversal": (REVERSAL, "ok", End("", "", "REVERSED", 100_00, 0)),
    "partial reversal": (sent("reversal", **billed("15.00")), "ok", End("", "", "PENDING", 100_00, 25_00)),
    "presentment": (cleared("40.00"), "ok", End("", "", "CLEARED", 60_00, 0, 40_00)),
    "clearing that is not final": (
        cleared("10.00", "10.00", final=False, presentment_id="p1"),
        "ok",
        End("", "", "PENDING", 90_00, 30_00, 10_00),
    ),
    "refund": (refunded("5.00", refund_id="r1"), REFUSED, End("", "", "PENDING", 100_00, 40_00)),
    "expiry": (expiry, REFUSED, End("", "", "PENDING", 100_00, 40_00)),
}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.__name__)
@pytest.mark.parametrize("name", EARLY)
async def test_what_comes_before_its_authorisation_is_404_and_the_same_webhook_works_later(
    world: World, clock: Counting, name: str, schedule: Schedule
) -> None:
    make, later, end = EARLY[name]
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, world, ())
        early = make(world, stage.visa)
        refusal, approval = await schedule(clock, stage.ledgers, [early, ASK(world, stage.visa)])
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.status, refusal.retryable) == ("authorisation_not_found", 404, True)
        nothing_applied = End("AuthorisationNotFound", "ok", "PENDING", 100_00, 40_00)
        assert await stage.end([refusal, approval]) == nothing_applied
        again = await submit(stage.ledgers[0], early)
        assert told(again) == later
        assert (await stage.end([again, again]))[2:] == end[2:]
        if isinstance(again, Answer) and name != "expiry":
            repeated = await submit(stage.ledgers[1], early)
            assert repeated == again._replace(replayed=True)
    assert_audits(world.path)


@pytest.mark.parametrize("schedule", SCHEDULES[:1] + SCHEDULES[2:], ids=lambda schedule: schedule.__name__)
@pytest.mark.parametrize("name", EARLY)
async def test_what_comes_right_after_its_authorisation_finds_it(
    world: World, clock: Counting, name: str, schedule: Schedule
) -> None:
    make, later, end = EARLY[name]
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, world, ())
        outcomes = await schedule(clock, stage.ledgers, [ASK(world, stage.visa), make(world, stage.visa)])
        assert await stage.end(outcomes) == End("ok", later, *end[2:])
    assert_audits(world.path)


@pytest.mark.parametrize("name", EARLY)
async def test_what_comes_in_one_group_with_its_authorisation_waits_until_that_is_on_disk(
    world: World, clock: Counting, name: str
) -> None:
    make, later, end = EARLY[name]
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, world, ())
        pair = [ASK(world, stage.visa), make(world, stage.visa)]
        before = clock.asked
        outcomes = await asyncio.gather(*(submit(stage.ledgers[0], submission) for submission in pair))
        assert clock.asked - before == 2
        assert await stage.end(list(outcomes)) == End("ok", later, *end[2:])
    assert_audits(world.path)


# --- many at once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{}, {"group_commands_max": 1}, {"group_commands_max": 3}], ids=str)
async def test_a_whole_life_handed_over_at_once_is_lived_in_order(world: World, limits: dict[str, int]) -> None:
    life: list[Make] = [
        ASK,
        sent("increment", **billed("10.00")),
        cleared("20.00", "20.00", final=False),
        sent("reversal", **billed("5.00")),
        cleared("30.00", "30.00"),
        refunded("7.00"),
        cleared("1.00", "1.00"),
    ]
    async with opened(world, **limits) as ledger:
        visa = await world.register(ledger, "scheme", "visa")
        await world.load(ledger, "c1", 100_00)
        submissions = [make(world, visa) for make in life]
        outcomes = await asyncio.gather(*(submit(ledger, submission) for submission in submissions))
    assert [told(outcome) for outcome in outcomes] == [
        *("ok", "ok", "ok", "ok", "ok over_hold within_tolerance", "ok"),
        REFUSED,
    ]
    assert (await balances_of(world, "card:c1")) == {AccountId("card:c1", "EUR"): (57_00, 0)}
    assert_audits(world.path)
