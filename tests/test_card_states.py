"""Whose a card is and whether it is blocked, through restarts, a second writer and an attacker with the file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import IntegrityViolation
from signed_ledger.ledger import Ledger
from signed_ledger.rules import ChangeCard
from tests.support import assert_audits
from tests.world import Party, World, authorisation, opened, presentment


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def five_euros(**more: Any) -> dict[str, Any]:
    return presentment("t", "5.00", billing_amount="5.00", billing_currency="EUR", card_id="c1", **more)


def refund_of_none() -> dict[str, Any]:
    return {**{name: value for name, value in five_euros().items() if name != "transaction_id"}, "refund_id": "r"}


ADVICES = {
    "presentment": lambda: five_euros(force_post=True),
    "refund": refund_of_none,
}


async def reason(world: World, ledger: Ledger, scheme: Party, name: str) -> str:
    answer = await ledger.submit(world.webhook(scheme, "authorisation", authorisation(name, "c1", "1.00")))
    return str(answer.body.reason)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ADVICES)
async def test_an_advice_on_a_blocked_card_binds_it_to_nobody(world: World, kind: str) -> None:
    async with opened(world) as ledger:
        visa, amex = [await world.register(ledger, "scheme", name) for name in ("visa", "amex")]
        await world.load(ledger, "c1", 100_00)
        await ledger.submit(ChangeCard("block", "c1", why="lost"))
        await ledger.submit(world.webhook(visa, kind, ADVICES[kind]()))
        assert await reason(world, ledger, visa, "before") == "card_blocked"
    async with opened(world) as ledger:
        assert await reason(world, ledger, amex, "another") == "card_blocked"
        assert await reason(world, ledger, visa, "after") == "card_blocked"
        await ledger.submit(ChangeCard("unblock", "c1"))
        assert await reason(world, ledger, amex, "free") == "ok"
        assert await reason(world, ledger, visa, "late") == "card_not_found"
    assert_audits(world.path)


async def test_a_block_by_another_process_counts_at_the_very_next_entry(world: World) -> None:
    async with opened(world) as served, opened(world) as operator:
        visa = await world.register(served, "scheme", "visa")
        await world.load(served, "c1", 100_00)
        assert await reason(world, served, visa, "before") == "ok"
        await operator.submit(ChangeCard("block", "c1"))
        assert await reason(world, served, visa, "blocked") == "card_blocked"
        await operator.submit(ChangeCard("unblock", "c1"))
        assert await reason(world, served, visa, "after") == "ok"
    assert_audits(world.path)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE card_states SET blocked = 0 WHERE scheme = 'visa'", id="unblocked by hand"),
        pytest.param("UPDATE card_states SET scheme = 'amex' WHERE scheme = 'visa'", id="another Scheme's by hand"),
    ],
)
@pytest.mark.parametrize("kind", ADVICES)
async def test_an_edited_card_spends_nothing(world: World, kind: str, statement: str) -> None:
    async with opened(world) as ledger:
        visa, amex = [await world.register(ledger, "scheme", name) for name in ("visa", "amex")]
        await world.load(ledger, "c1", 100_00)
        await ledger.submit(world.webhook(visa, kind, ADVICES[kind]()))
        await ledger.submit(ChangeCard("block", "c1"))
    with closing(sqlite3.connect(world.path)) as connection, connection:
        for event in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER card_states_no_{event}")
        assert connection.execute(statement).rowcount > 0
    async with opened(world) as ledger:
        for scheme in (visa, amex):
            with pytest.raises(IntegrityViolation):
                await reason(world, ledger, scheme, "t9")
        with pytest.raises(IntegrityViolation):
            await ledger.submit(ChangeCard("unblock", "c1"))
