"""Rows of a card's account taken away: one card's messages are refused and alarmed, the service goes on."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import IntegrityViolation
from signed_ledger.records import Request
from signed_ledger.rules import Asked
from tests.support import assert_audits
from tests.world import World, authorisation, opened, presentment

EUROS = {"billing_amount": "1.00", "billing_currency": "EUR"}
MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("increment", {"transaction_id": "open", **EUROS}),
    ("reversal", {"transaction_id": "open"}),
    ("presentment", presentment("open", "5.00")),
]
REFUND = ("refund", {**presentment("cleared", "1.00"), **EUROS})


def take_away(path: Path, which: str) -> list[tuple[Any, ...]]:
    """Delete rows of c1's account; gives what stood there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for event in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER account_states_no_{event}")
        gone = connection.execute(f"SELECT * FROM account_states WHERE owner = 'card:c1' AND {which}").fetchall()
        connection.execute(f"DELETE FROM account_states WHERE owner = 'card:c1' AND {which}")
    assert gone
    return gone


def put_back(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO account_states VALUES (?, ?, ?, ?, ?)", rows)


@pytest.mark.parametrize(
    ("which", "messages"),
    [
        pytest.param("held > 0", MESSAGES, id="those that tell of a hold"),
        pytest.param("true", [*MESSAGES, REFUND], id="all of them"),
    ],
)
async def test_an_account_that_lost_its_rows_stops_nobody_else(
    tmp_path: Path, which: str, messages: list[tuple[str, dict[str, Any]]]
) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        visa = await world.register(ledger, "scheme", "visa")
        for card_id in ("c1", "c2"):
            await world.load(ledger, card_id, 100_00)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("cleared", "c1", "3.00")))
        await ledger.submit(world.webhook(visa, "presentment", presentment("cleared", "3.00")))
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("open", "c1", "5.00")))
    world.clock.now += 400 * 86_400_000_000
    gone = take_away(world.path, which)
    async with opened(world) as ledger:
        for kind, body in messages:
            with pytest.raises(IntegrityViolation):
                await ledger.submit(world.webhook(visa, kind, body))
        with pytest.raises(IntegrityViolation):
            await ledger.submit(Asked("visa", None, Request("expiry", "open")))
        other = await ledger.submit(world.webhook(visa, "authorisation", authorisation("other", "c2", "1.00")))
        assert other.body.reason == "ok"  # type: ignore[union-attr]
    put_back(world.path, gone)
    assert_audits(world.path)
