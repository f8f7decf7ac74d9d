"""Statements over HTTP: what they tell, edges, pages that chain, refusals."""

import base64
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from signed_ledger.api.query import write_cursor
from signed_ledger.records import card
from signed_ledger.store import open_database
from signed_ledger.store.statements import _IS_LINE, _LINES
from tests.api_support import Caller, Site, serving
from tests.world import authorisation, presentment

SECOND = 1_000_000
NOON = "2026-11-23T10:00:"
EUR = "/accounts/card-1/EUR/statement"


class Desk:
    """A served ledger with an operator and a Scheme, and a card's history in EUR: one second, one step.

    :01 a load of 100.00, :02 an approval of 40.00, :03 its presentment, :04 one of 7.50, approved and presented,
    :05 an approval of 5.00 that stays open.
    """

    def __init__(self, site: Site, olga: Caller, acme: Caller) -> None:
        self.site, self.olga, self.acme = site, olga, acme
        self.seqs: dict[str, int] = {}

    async def live(self) -> None:
        self._tick()
        self.seqs["load"] = await self.site.load("card-1", 10_000, name="load-1")
        for name, amount in (("tx-1", "40.00"), ("tx-2", "7.50"), ("tx-3", "5.00")):
            self._tick()
            asked = authorisation(name, "card-1", amount, merchant_name=f"Shop {name}")
            self.seqs[name] = (await self.site.post(self.acme, "/authorisation", asked)).json["seq"]
            if name == "tx-1":
                self._tick()
            if name != "tx-3":
                told = await self.site.post(self.acme, "/presentment", presentment(name, amount))
                self.seqs[f"{name}-posted"] = told.json["seq"]

    def _tick(self) -> None:
        self.site.world.clock.now += SECOND

    async def get(self, path: str) -> Any:
        told = await self.site.get(self.olga, path)
        assert told.status == 200, told.raw
        return told.json

    async def refused(self, path: str) -> tuple[int, str | None, str | None]:
        return (await self.site.get(self.olga, path)).facts

    async def pages(self, path: str, limit: int) -> list[Any]:
        pages = [await self.get(f"{path}?limit={limit}")]
        while pages[-1]["next_cursor"] is not None:
            pages.append(await self.get(f"{path}?limit={limit}&cursor={pages[-1]['next_cursor']}"))
        return pages


async def opened_desk(site: Site) -> Desk:
    return Desk(site, await site.caller("operator", "olga"), await site.caller("scheme", "acme"))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(tmp_path, page_rows_max=10) as site:
        desk = await opened_desk(site)
        await desk.live()
        yield desk


def _amounts(told: Any) -> list[str]:
    return [movement["amount"] for movement in told["movements"]]


# --- what it tells -------------------------------------------------------------------------------------------------


async def test_a_statement_tells_what_moved_and_what_for(desk: Desk) -> None:
    told = await desk.get(EUR)
    head = await desk.site.reader.head()
    assert (told["card_id"], told["currency"], told["from"], told["to"]) == ("card-1", "EUR", 0, head + 1)
    assert told["opening"] == {"posted": "0.00", "held": "0.00", "available": "0.00", "seq": None}
    assert told["movements"] == [
        {
            "seq": desk.seqs["load"] + 2,
            "time": NOON + "01.000000Z",
            "batch": desk.seqs["load"],
            "type": "load",
            "transaction_id": "load-1",
            "amount": "100.00",
            "balance": "100.00",
        },
        *[
            {
                "seq": desk.seqs[f"{name}-posted"] + 1,
                "time": NOON + f"{second}.000000Z",
                "batch": desk.seqs[f"{name}-posted"],
                "type": "presentment",
                "transaction_id": name,
                "merchant_name": f"Shop {name}",
                "amount": amount,
                "balance": balance,
            }
            for name, second, amount, balance in (
                ("tx-1", "03", "-40.00", "60.00"),
                ("tx-2", "04", "-7.50", "52.50"),
            )
        ],
    ]
    assert told["closing"] == {"posted": "52.50", "held": "5.00", "available": "47.50", "seq": desk.seqs["tx-3"]}
    assert told["next_cursor"] is None


async def test_each_row_names_the_entry_whose_signed_state_proves_it(desk: Desk) -> None:
    told = await desk.get(EUR)
    rows = [(row["seq"], row["balance"]) for row in told["movements"]]
    for seq, posted in [*rows, (told["closing"]["seq"], told["closing"]["posted"])]:
        state = (await desk.get(f"/entries/{seq}"))["decoded"]["state"]
        assert (state["owner"], state["currency"], state["posted"]) == ("card:card-1", "EUR", posted)


async def test_a_movement_of_nothing_is_a_row_and_a_hold_is_none(desk: Desk) -> None:
    await desk.site.post(desk.acme, "/authorisation", authorisation("tx-0", "card-1", "0.00"))
    before = await desk.get(EUR)
    assert (await desk.site.post(desk.acme, "/presentment", presentment("tx-0", "3.00"))).status == 200
    assert _amounts(await desk.get(EUR)) == [*_amounts(before), "0.00"]


# --- from and to ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "opening", "amounts", "closing"),
    [
        pytest.param(f"from={NOON}03Z", "100.00", ["-40.00", "-7.50"], "52.50", id="from a time, that included"),
        pytest.param(f"from={NOON}03.000001Z", "60.00", ["-7.50"], "52.50", id="from a microsecond later"),
        pytest.param(f"to={NOON}04Z", "0.00", ["100.00", "-40.00"], "60.00", id="to a time, that excluded"),
        pytest.param(f"to={NOON}04.000001Z", "0.00", ["100.00", "-40.00", "-7.50"], "52.50", id="to just after it"),
        pytest.param("from={line}", "100.00", ["-40.00", "-7.50"], "52.50", id="from an entry, that included"),
        pytest.param("from={after}", "60.00", ["-7.50"], "52.50", id="from the entry after it"),
        pytest.param("to={line}", "0.00", ["100.00"], "100.00", id="to an entry, that excluded"),
        pytest.param("to={after}", "0.00", ["100.00", "-40.00"], "60.00", id="to the entry after it"),
        pytest.param("from={line}&to={after}", "100.00", ["-40.00"], "60.00", id="one entry"),
        pytest.param("from={line}&to={line}", "100.00", [], "100.00", id="no entry"),
        pytest.param(f"from={{line}}&to={NOON}04Z", "100.00", ["-40.00"], "60.00", id="from an entry to a time"),
        pytest.param(f"from={NOON}04Z&to=999999", "60.00", ["-7.50"], "52.50", id="to an entry that has not come"),
        pytest.param("from=999999", "52.50", [], "52.50", id="from an entry that has not come"),
        pytest.param(f"from={NOON}59Z", "52.50", [], "52.50", id="from a time that has not come"),
        pytest.param("from=2026-11-23T11:00:04%2B01:00", "60.00", ["-7.50"], "52.50", id="the same time elsewhere"),
    ],
)
async def test_from_is_included_and_to_is_not(
    desk: Desk, query: str, opening: str, amounts: list[str], closing: str
) -> None:
    line = desk.seqs["tx-1-posted"] + 1
    told = await desk.get(f"{EUR}?{query.format(line=line, after=line + 1)}")
    assert (told["opening"]["posted"], _amounts(told), told["closing"]["posted"]) == (opening, amounts, closing)


async def test_an_account_opened_later_opens_at_nothing_that_no_entry_need_prove(desk: Desk) -> None:
    start = await desk.site.reader.head() + 1
    loaded = await desk.site.load("card-1", 500, "JPY")
    nothing = {"posted": "0", "held": "0", "available": "0"}
    told = await desk.get(f"/accounts/card-1/JPY/statement?from={start}")
    assert told["opening"] == {**nothing, "seq": None}
    assert (_amounts(told), told["closing"]["posted"]) == (["500"], "500")
    opened = loaded - 1
    told = await desk.get(f"/accounts/card-1/JPY/statement?from={opened}&to={loaded}")
    assert (told["opening"], told["movements"]) == ({**nothing, "seq": None}, [])
    assert told["closing"] == {**nothing, "seq": opened}
    told = await desk.get(f"/accounts/card-1/JPY/statement?from={loaded}")
    assert told["opening"] == {**nothing, "seq": opened}
    path = f"/accounts/card-1/JPY/statement?to={start}"
    assert await desk.refused(path) == (404, "card_not_found", "currency")


# --- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_chain(desk: Desk, limit: int) -> None:
    whole = await desk.get(EUR)
    pages = await desk.pages(EUR, limit)
    assert [row for page in pages for row in page["movements"]] == whole["movements"]
    assert (pages[0]["opening"], pages[-1]["closing"]) == (whole["opening"], whole["closing"])
    for page, following in itertools.pairwise(pages):
        assert page["closing"] == following["opening"]
        assert page["closing"]["seq"] == page["movements"][-1]["seq"]
    assert {(page["from"], page["to"]) for page in pages} == {(whole["from"], whole["to"])}


async def test_what_is_recorded_between_two_pages_disturbs_neither(desk: Desk) -> None:
    whole = await desk.get(EUR)
    first = await desk.get(f"{EUR}?limit=2")
    await desk.site.load("card-1", 100)
    second = await desk.get(f"{EUR}?limit=2&cursor={first['next_cursor']}")
    assert first["movements"] + second["movements"] == whole["movements"]
    assert (second["closing"], second["next_cursor"]) == (whole["closing"], None)


async def test_a_cursor_that_was_changed_or_brought_elsewhere_is_malformed(desk: Desk) -> None:
    await desk.site.load("card-1", 500, "JPY")
    cursor = (await desk.get(f"{EUR}?limit=1"))["next_cursor"]
    malformed = (400, "malformed", "cursor")
    assert await desk.refused(f"/accounts/card-2/EUR/statement?cursor={cursor}") == malformed
    assert await desk.refused(f"/accounts/card-1/JPY/statement?cursor={cursor}") == malformed
    assert await desk.refused(f"{EUR}?from=1&cursor={cursor}") == malformed
    assert await desk.refused(f"{EUR}?to=9&cursor={cursor}") == malformed
    assert await desk.refused(f"/transactions?cursor={cursor}") == malformed
    assert await desk.refused(f"{EUR}?cursor={cursor[:-1]}") == malformed
    question = ("card-1", "EUR", "", "")
    for place in ([], [0], [0, 20], [0, 20, -1], [0, 20, 2**53], [0, 20, 7, 7]):
        assert await desk.refused(f"{EUR}?cursor={write_cursor(place, question)}") == malformed, place
    for made in ({"place": ["0", "20", "7"]}, {"place": 7}, {"place": None}, {}):
        text = base64.urlsafe_b64encode(orjson.dumps(made)).decode().rstrip("=")
        assert await desk.refused(f"{EUR}?cursor={text}") == malformed, made


async def test_the_rows_of_a_page_are_found_by_the_primary_key_alone(desk: Desk) -> None:
    connection = open_database(desk.site.world.path, busy_timeout_ms=1_000, read_only=True)
    values = (card("card-1"), "EUR", 0, 99, _IS_LINE, 2)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {_LINES}", values)]
    connection.close()
    assert plan[0] == "SEARCH s USING PRIMARY KEY (owner=? AND currency=? AND seq>? AND seq<?)"
    assert all(step.startswith("SEARCH") for step in plan)


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        pytest.param("card@1/EUR/statement", (400, "malformed", "card_id"), id="not a card id"),
        pytest.param("card-1/eur/statement", (400, "malformed", "currency"), id="not a currency"),
        pytest.param("card-1/EUR/statement?at=1", (400, "malformed", "at"), id="not a parameter"),
        pytest.param("card-1/EUR/statement?from=x", (400, "malformed", "from"), id="from: not a moment"),
        pytest.param("card-1/EUR/statement?to=2026-11-23", (400, "malformed", "to"), id="to: not a moment"),
        pytest.param("card-1/EUR/statement?limit=0", (400, "malformed", "limit"), id="no rows"),
        pytest.param("card-1/EUR/statement?limit=11", (400, "malformed", "limit"), id="too many rows"),
        pytest.param("card-1/EUR/statement?cursor=", (400, "malformed", "cursor"), id="no cursor"),
        pytest.param("card-1/EUR/statement?from=9&to=8", (400, "malformed", "from"), id="from after to, entries"),
        pytest.param(
            "card-1/EUR/statement?from=999999&to=999998", (400, "malformed", "from"), id="from after to, both to come"
        ),
        pytest.param(
            f"card-1/EUR/statement?from={NOON}04.5Z&to={NOON}04.4Z",
            (400, "malformed", "from"),
            id="from after to, times with no entry between them",
        ),
        pytest.param(
            f"card-1/EUR/statement?from={NOON}04Z&to=9", (400, "malformed", "from"), id="from a time after the entry to"
        ),
        pytest.param("card-9/EUR/statement", (404, "card_not_found", "currency"), id="a card without account"),
        pytest.param("card-1/USD/statement", (404, "card_not_found", "currency"), id="an account never opened"),
        pytest.param(
            "card-1/EUR/statement?to=1", (404, "card_not_found", "currency"), id="an account not open by then"
        ),
    ],
)
async def test_a_statement_that_can_not_be_told(
    desk: Desk, path: str, facts: tuple[int, str | None, str | None]
) -> None:
    assert await desk.refused(f"/accounts/{path}") == facts
