"""Two messages that cross: each order has one result, however the two were scheduled.

Every pair is decided in both orders: one after the other, handed over at once and decided in one group or in two, by
two writers on one file in turn, and by two writers at once, where either order may come about.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crossing import (
    ASK,
    REFUSED,
    REVERSAL,
    SCHEDULES,
    Counting,
    End,
    Make,
    Schedule,
    authorised,
    billed,
    block,
    cleared,
    expiry,
    refunded,
    sent,
    set_up,
    submit,
)
from tests.support import assert_audits
from tests.world import World


@pytest.fixture
def clock() -> Counting:
    return Counting()


class Pair(NamedTuple):
    """Two messages, what stood there before them, and the end of each order."""

    before: tuple[Make, ...]
    due: bool
    one: Make
    other: Make
    one_first: End
    other_first: End


OPEN: tuple[Make, ...] = (ASK,)

PAIRS = {
    "full reversal and expiry": Pair(
        OPEN,
        True,
        REVERSAL,
        expiry,
        End("ok", REFUSED, "REVERSED", 100_00, 0),
        End("ok", "ok", "REVERSED", 100_00, 0),
    ),
    "partial reversal and expiry": Pair(
        OPEN,
        True,
        sent("reversal", **billed("15.00")),
        expiry,
        End("ok", "ok", "EXPIRED", 100_00, 0),
        End("ok", "ok", "EXPIRED", 100_00, 0),
    ),
    "two clearings, neither final": Pair(
        OPEN,
        False,
        cleared("10.00", "10.00", final=False),
        cleared("20.00", "20.00", final=False),
        End("ok", "ok", "PENDING", 70_00, 10_00, 30_00),
        End("ok", "ok", "PENDING", 70_00, 10_00, 30_00),
    ),
    "a final clearing and one that is not": Pair(
        OPEN,
        False,
        cleared("10.00", "10.00"),
        cleared("20.00", "20.00", final=False),
        End("ok", REFUSED, "CLEARED", 90_00, 0, 10_00),
        End("ok", "ok", "CLEARED", 70_00, 0, 30_00),
    ),
    "two final clearings": Pair(
        OPEN,
        False,
        cleared("10.00", "10.00"),
        cleared("20.00", "20.00"),
        End("ok", REFUSED, "CLEARED", 90_00, 0, 10_00),
        End("ok", REFUSED, "CLEARED", 80_00, 0, 20_00),
    ),
    "one clearing under two webhook ids": Pair(
        OPEN,
        False,
        cleared("10.00", "10.00", final=False, presentment_id="p1"),
        cleared("10.00", "10.00", final=False, presentment_id="p1"),
        End("ok", REFUSED, "PENDING", 90_00, 30_00, 10_00),
        End("ok", REFUSED, "PENDING", 90_00, 30_00, 10_00),
    ),
    "full reversal and final clearing": Pair(
        OPEN,
        False,
        REVERSAL,
        cleared("40.00"),
        End("ok", REFUSED, "REVERSED", 100_00, 0),
        End("ok", REFUSED, "CLEARED", 60_00, 0, 40_00),
    ),
    "full reversal and a clearing that is not final": Pair(
        OPEN,
        False,
        REVERSAL,
        cleared("10.00", "10.00", final=False),
        End("ok", REFUSED, "REVERSED", 100_00, 0),
        End("ok", "ok", "CLEARED", 90_00, 0, 10_00),
    ),
    "partial reversal and a clearing that is not final": Pair(
        OPEN,
        False,
        sent("reversal", **billed("15.00")),
        cleared("10.00", "10.00", final=False),
        End("ok", "ok", "PENDING", 90_00, 15_00, 10_00),
        End("ok", "ok", "PENDING", 90_00, 15_00, 10_00),
    ),
    "partial reversal and final clearing": Pair(
        OPEN,
        False,
        sent("reversal", **billed("15.00")),
        cleared("20.00", "20.00"),
        End("ok", "ok", "CLEARED", 80_00, 0, 20_00),
        End("ok", REFUSED, "CLEARED", 80_00, 0, 20_00),
    ),
    "partial reversal and a final clearing that bills what is left": Pair(
        OPEN,
        False,
        sent("reversal", **billed("15.00")),
        cleared("25.00"),
        End("ok", "ok", "CLEARED", 75_00, 0, 25_00),
        End("ok", REFUSED, "CLEARED", 60_00, 0, 25_00),
    ),
    "increment and final clearing": Pair(
        OPEN,
        False,
        sent("increment", **billed("10.00")),
        cleared("38.00", "38.00"),
        End("ok", "ok", "CLEARED", 62_00, 0, 38_00),
        End("ok", REFUSED, "CLEARED", 62_00, 0, 38_00),
    ),
    "increment and a clearing that is not final": Pair(
        OPEN,
        False,
        sent("increment", **billed("10.00")),
        cleared("10.00", "10.00", final=False),
        End("ok", "ok", "PENDING", 90_00, 40_00, 10_00),
        End("ok", "ok", "PENDING", 90_00, 40_00, 10_00),
    ),
    "increment and a clearing that uses the hold up": Pair(
        OPEN,
        False,
        sent("increment", **billed("60.00")),
        cleared("40.00", "40.00", final=False),
        End("ok", "ok", "PENDING", 60_00, 60_00, 40_00),
        End("ok", REFUSED, "CLEARED", 60_00, 0, 40_00),
    ),
    "increment and full reversal": Pair(
        OPEN,
        False,
        sent("increment", **billed("10.00")),
        REVERSAL,
        End("ok", "ok", "REVERSED", 100_00, 0),
        End("ok", REFUSED, "REVERSED", 100_00, 0),
    ),
    "increment and expiry": Pair(
        OPEN,
        True,
        sent("increment", **billed("10.00")),
        expiry,
        End("ok", REFUSED, "PENDING", 100_00, 50_00),
        End("ok", REFUSED, "EXPIRED", 100_00, 0),
    ),
    "increment and another authorisation for the same money": Pair(
        OPEN,
        False,
        sent("increment", **billed("50.00")),
        authorised("u", "60.00"),
        End("ok", "insufficient_funds", "PENDING", 100_00, 90_00),
        End("ok", "insufficient_funds", "PENDING", 100_00, 100_00),
    ),
    "expiry and final clearing": Pair(
        OPEN,
        True,
        expiry,
        cleared("40.00"),
        End("ok", "ok late", "CLEARED", 60_00, 0, 40_00),
        End("ok late", REFUSED, "CLEARED", 60_00, 0, 40_00),
    ),
    "expiry and a clearing that is not final": Pair(
        OPEN,
        True,
        expiry,
        cleared("10.00", "10.00", final=False),
        End("ok", "ok late", "CLEARED", 90_00, 0, 10_00),
        End("ok late", "ok", "CLEARED", 90_00, 0, 10_00),
    ),
    "two expiries": Pair(
        OPEN,
        True,
        expiry,
        expiry,
        End("ok", REFUSED, "EXPIRED", 100_00, 0),
        End("ok", REFUSED, "EXPIRED", 100_00, 0),
    ),
    "refund and the clearing that it is of": Pair(
        OPEN,
        False,
        refunded("5.00"),
        cleared("40.00"),
        End(REFUSED, "ok", "CLEARED", 60_00, 0, 40_00),
        End("ok", "ok", "CLEARED", 65_00, 0, 35_00),
    ),
    "refund and a further clearing": Pair(
        (ASK, cleared("40.00", "40.00", final=False)),
        False,
        refunded("5.00", refund_id="r1"),
        cleared("3.00", "3.00"),
        End("ok", "ok over_hold within_tolerance", "CLEARED", 62_00, 0, 38_00),
        End("ok over_hold within_tolerance", "ok", "CLEARED", 62_00, 0, 38_00),
    ),
    "one refund under two webhook ids": Pair(
        (ASK, cleared("40.00")),
        False,
        refunded("5.00", refund_id="r1"),
        refunded("5.00", refund_id="r1"),
        End("ok", REFUSED, "CLEARED", 65_00, 0, 35_00),
        End("ok", REFUSED, "CLEARED", 65_00, 0, 35_00),
    ),
    "block and authorisation": Pair(
        (),
        False,
        block,
        ASK,
        End("ok", "card_blocked", "DECLINED", 100_00, 0),
        End("ok", "ok", "PENDING", 100_00, 40_00),
    ),
    "block and increment": Pair(
        OPEN,
        False,
        block,
        sent("increment", **billed("10.00")),
        End("ok", "card_blocked", "PENDING", 100_00, 40_00),
        End("ok", "ok", "PENDING", 100_00, 50_00),
    ),
    "block and clearing": Pair(
        OPEN,
        False,
        block,
        cleared("40.00"),
        End("ok", "ok", "CLEARED", 60_00, 0, 40_00),
        End("ok", "ok", "CLEARED", 60_00, 0, 40_00),
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.__name__)
@pytest.mark.parametrize("name", PAIRS)
async def test_each_order_of_a_pair_has_its_result(
    tmp_path: Path, clock: Counting, name: str, schedule: Schedule
) -> None:
    pair = PAIRS[name]
    for number, expected in enumerate((pair.one_first, pair.other_first)):
        (tmp_path / str(number)).mkdir()
        world = World(tmp_path / str(number))
        world.clock = clock
        async with AsyncExitStack() as stack:
            stage = await set_up(stack, world, pair.before, due=pair.due)
            makes = [pair.one, pair.other] if number == 0 else [pair.other, pair.one]
            submissions = [make(world, stage.visa) for make in makes]
            outcomes = await schedule(clock, stage.ledgers, submissions)
            assert await stage.end(outcomes) == expected
        assert_audits(world.path)


@pytest.mark.parametrize("name", PAIRS)
async def test_two_writers_at_once_bring_about_one_of_the_two_orders(tmp_path: Path, name: str) -> None:
    pair, world = PAIRS[name], World(tmp_path)
    async with AsyncExitStack() as stack:
        stage = await set_up(stack, world, pair.before, due=pair.due)
        submissions = [pair.one(world, stage.visa), pair.other(world, stage.visa)]
        writers = zip(stage.ledgers, submissions, strict=False)
        outcomes = await asyncio.gather(*(submit(ledger, submission) for ledger, submission in writers))
        one, other, *rest = await stage.end(outcomes)
        assert End(one, other, *rest) == pair.one_first or End(other, one, *rest) == pair.other_first  # type: ignore[arg-type]
    assert_audits(world.path)


@pytest.mark.parametrize(
    "name",
    [
        "full reversal and expiry",
        "partial reversal and expiry",
        "two clearings, neither final",
        "one clearing under two webhook ids",
        "partial reversal and a clearing that is not final",
        "partial reversal and final clearing",
        "increment and final clearing",
        "increment and a clearing that is not final",
        "increment and full reversal",
        "expiry and final clearing",
        "expiry and a clearing that is not final",
        "two expiries",
        "refund and a further clearing",
        "one refund under two webhook ids",
        "block and clearing",
    ],
)
def test_of_these_pairs_the_order_changes_neither_status_nor_balances(name: str) -> None:
    assert PAIRS[name].one_first[2:] == PAIRS[name].other_first[2:]
