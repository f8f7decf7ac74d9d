"""Two messages that cross, and how they can be scheduled."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from signed_ledger.errors import Refusal
from signed_ledger.ledger import Answer, Ledger, Submission
from signed_ledger.records import AccountId, CardTransaction, Request
from signed_ledger.rules import Asked, ChangeCard
from tests.world import DAY, Clock, Party, World, authorisation, balances_of, opened, presentment, state_of

Make = Callable[[World, Party], Submission]


class Counting(Clock):
    """A clock that knows how often it was asked: a group of commands asks it once."""

    asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.now


# --- messages --------------------------------------------------------------------------------------------------------


def sent(kind: str, **body: Any) -> Make:
    return lambda world, visa: world.webhook(visa, kind, {"transaction_id": "t", **body})


def billed(amount: str) -> dict[str, str]:
    return {"billing_amount": amount, "billing_currency": "EUR"}


def cleared(settled: str, amount: str | None = None, **more: Any) -> Make:
    return sent("presentment", **presentment("t", settled, **({} if amount is None else billed(amount)), **more))


def authorised(name: str, amount: str) -> Make:
    return sent("authorisation", **authorisation(name, "c1", amount))


def refunded(amount: str, **more: Any) -> Make:
    return sent("refund", **presentment("t", amount, **billed(amount), **more))


def expiry(world: World, visa: Party) -> Submission:
    return Asked("visa", None, Request("expiry", "t"))


def block(world: World, visa: Party) -> Submission:
    return ChangeCard("block", "c1", why="lost")


REVERSAL = sent("reversal")
ASK = authorised("t", "40.00")


# --- what they end in ------------------------------------------------------------------------------------------------

REFUSED = "StateConflict"


class End(NamedTuple):
    """What the first and the second came to; status; posted and held of the card; posted of the Scheme."""

    first: str
    second: str
    status: str
    posted: int
    held: int
    scheme: int = 0


# --- how they are scheduled ------------------------------------------------------------------------------------------

Schedule = Callable[[Counting, list[Ledger], list[Submission]], Awaitable[list[object]]]


async def submit(ledger: Ledger, submission: Submission) -> object:
    try:
        return await ledger.submit(submission)
    except Refusal as refusal:
        return refusal


async def one_after_the_other(clock: Counting, ledgers: list[Ledger], pair: list[Submission]) -> list[object]:
    return [await submit(ledgers[0], submission) for submission in pair]


async def in_one_group(clock: Counting, ledgers: list[Ledger], pair: list[Submission]) -> list[object]:
    before = clock.asked
    outcomes = await asyncio.gather(*(submit(ledgers[0], submission) for submission in pair))
    assert clock.asked - before == 1
    return outcomes


async def at_once_in_two_groups(clock: Counting, ledgers: list[Ledger], pair: list[Submission]) -> list[object]:
    before = clock.asked
    outcomes = await asyncio.gather(*(submit(ledgers[2], submission) for submission in pair))
    assert clock.asked - before == 2
    return outcomes


async def by_two_writers_in_turn(clock: Counting, ledgers: list[Ledger], pair: list[Submission]) -> list[object]:
    return [await submit(ledger, submission) for ledger, submission in zip(ledgers, pair, strict=False)]


SCHEDULES: list[Schedule] = [one_after_the_other, in_one_group, at_once_in_two_groups, by_two_writers_in_turn]


class Stage:
    """A ledger with what stood there before a pair; three writers on it, of which the third takes one at a time."""

    def __init__(self, world: World, visa: Party, ledgers: list[Ledger]) -> None:
        self.world = world
        self.visa = visa
        self.ledgers = ledgers

    async def end(self, outcomes: list[object]) -> End:
        state = await state_of(self.world, "t")
        balances = await balances_of(self.world, "card:c1", "scheme:visa")
        posted, held = balances[AccountId("card:c1", "EUR")]
        scheme, _ = balances.get(AccountId("scheme:visa", "EUR"), (0, 0))
        first, second = map(told, outcomes)
        return End(first, second, "-" if state is None else state.status, posted, held, scheme)


def told(outcome: object) -> str:
    """The reason of what was decided and its flags, or the name of the refusal."""
    if isinstance(outcome, Refusal):
        return type(outcome).__name__
    assert isinstance(outcome, Answer)
    body = outcome.body
    return " ".join((body.reason, *body.flags)) if isinstance(body, CardTransaction) else "ok"


async def set_up(stack: AsyncExitStack, world: World, before: tuple[Make, ...], *, due: bool = False) -> Stage:
    limits: list[dict[str, int]] = [{}, {}, {"group_commands_max": 1}]
    ledgers = [await stack.enter_async_context(opened(world, **each)) for each in limits]
    visa = await world.register(ledgers[0], "scheme", "visa")
    await world.load(ledgers[0], "c1", 100_00)
    for make in before:
        await ledgers[0].submit(make(world, visa))
    if due:
        world.clock.now += 7 * DAY
    return Stage(world, visa, ledgers)
