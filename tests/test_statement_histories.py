"""Statements of random histories: walked in pages, they give every balance that the account ever had."""

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.money import format_minor, parse_minor
from signed_ledger.records import card
from signed_ledger.store import AtSeq
from tests.api_support import serving
from tests.test_statement import SECOND, Desk, opened_desk
from tests.world import authorisation, presentment

steps = st.lists(
    st.tuples(
        st.sampled_from(["load", "hold", "clear"]),
        st.sampled_from(["EUR", "JPY"]),
        st.integers(1, 5_000),
        st.integers(0, 2),
    ),
    max_size=14,
)


async def _happen(desk: Desk, history: list[tuple[str, str, int, int]]) -> None:
    """Loads, approvals (or declines) and presentments, each some seconds after the one before."""
    names = itertools.count(1)
    held: list[tuple[str, str, str]] = []
    for step, currency, minor, seconds in history:
        desk.site.world.clock.now += seconds * SECOND
        amount = format_minor(minor, currency)
        if step == "load":
            await desk.site.load("card-1", minor, currency)
        elif step == "hold":
            name = f"tx-{next(names)}"
            told = await desk.site.post(desk.acme, "/authorisation", authorisation(name, "card-1", amount, currency))
            held += [(name, amount, currency)] if told.status == 201 else []
        elif held:
            told = await desk.site.post(desk.acme, "/presentment", presentment(*held.pop(0)))
            assert told.status == 200


async def _assert_reproduced(desk: Desk, currency: str, limit: int, split: int) -> None:
    """Walked in pages, the rows give every balance that the account ever had."""
    path = f"/accounts/card-1/{currency}/statement"
    now = await desk.site.get(desk.olga, f"/accounts/card-1/{currency}")
    if now.status == 404:
        assert await desk.refused(path) == now.facts
        return
    pages = await desk.pages(path, limit)
    rows = [row for page in pages for row in page["movements"]]
    posted = 0
    for row in rows:
        posted += parse_minor(row["amount"], currency)
        assert parse_minor(row["balance"], currency) == posted
    for page, following in itertools.pairwise(pages):
        assert page["closing"] == following["opening"]
    assert pages[-1]["closing"] == {name: now.json[name] for name in ("posted", "held", "available", "seq")}
    for seq in range(now.json["at"] + 1):
        found = await desk.site.reader.balances(card("card-1"), AtSeq(seq))
        stood = {balance.state.account.currency: balance.state.posted for balance in found.balances}
        told = [row["balance"] for row in rows if row["seq"] <= seq]
        assert format_minor(stood.get(currency, 0), currency) == (told or [format_minor(0, currency)])[-1]
    await _assert_halves_meet(desk, path, rows, min(split, now.json["at"]))


async def _assert_halves_meet(desk: Desk, path: str, rows: list[Any], split: int) -> None:
    later = await desk.get(f"{path}?from={split}")
    earlier = await desk.site.get(desk.olga, f"{path}?to={split}")
    if earlier.status == 404:
        assert later["opening"]["seq"] is None
        assert later["movements"] == rows
    else:
        assert earlier.json["closing"] == later["opening"]
        assert earlier.json["movements"] + later["movements"] == rows


@settings(max_examples=30, deadline=None)
@given(history=steps, limit=st.integers(1, 4), split=st.integers(0, 60))
def test_the_rows_reproduce_every_balance(history: list[tuple[str, str, int, int]], limit: int, split: int) -> None:
    async def live(folder: str) -> None:
        async with serving(Path(folder)) as site:
            desk = await opened_desk(site)
            await _happen(desk, history)
            for currency in ("EUR", "JPY"):
                await _assert_reproduced(desk, currency, limit, split)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(folder))
