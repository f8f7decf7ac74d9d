"""Signed reads: balances now and then, pages and their cursors, a transaction's entries, an entry's own bytes."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from signed_ledger.encoding import decode_entry, encode_time
from signed_ledger.sealing import open_entry
from tests.api_support import Caller, Site, serving
from tests.world import ORIGIN, START, authorisation, presentment

SECOND = 1_000_000
NOON = "2026-11-23T10:00:"


class Desk(NamedTuple):
    """A served ledger with an operator, two Schemes, and a history: a load, an approval of 40.00, its presentment."""

    site: Site
    olga: Caller
    acme: Caller
    bolt: Caller
    seqs: dict[str, int]

    async def get(self, path: str) -> Any:
        told = await self.site.get(self.olga, path)
        assert told.status == 200, told.raw
        return told.json

    async def refused(self, path: str) -> tuple[int, str | None, str | None]:
        return (await self.site.get(self.olga, path)).facts


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with serving(tmp_path, page_rows_max=10) as site:
        olga, acme, bolt = [
            await site.caller(role, name)
            for role, name in (("operator", "olga"), ("scheme", "acme"), ("scheme", "bolt"))
        ]
        seqs = {}
        site.world.clock.now += SECOND
        seqs["load"] = await site.load("card-1", 10_000, name="load-1")
        site.world.clock.now += SECOND
        approved = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"), "evt-1")
        seqs["approved"] = approved.json["seq"]
        site.world.clock.now += SECOND
        posted = await site.post(acme, "/presentment", presentment("tx-1", "41.00", "USD"), "evt-2")
        seqs["posted"] = posted.json["seq"]
        yield Desk(site, olga, acme, bolt, seqs)


# --- balances ------------------------------------------------------------------------------------------------------


async def test_a_balance_is_told_in_the_currencys_decimals_with_the_entry_that_proves_it(desk: Desk) -> None:
    await desk.site.load("card-1", 500, "JPY")
    told = await desk.get("/accounts/card-1")
    assert told["card_id"] == "card-1"
    amounts = [(each["currency"], each["posted"], each["held"], each["available"]) for each in told["accounts"]]
    assert amounts == [("EUR", "60.00", "0.00", "60.00"), ("JPY", "500", "0", "500")]
    entry = await desk.get(f"/entries/{told['accounts'][0]['seq']}")
    assert entry["decoded"]["state"] == {**entry["decoded"]["state"], "posted": "60.00", "held": "0.00"}
    assert entry["decoded"]["state"]["owner"] == "card:card-1"


@pytest.mark.parametrize(
    ("at", "posted", "held"),
    [
        pytest.param("{load}", "0.00", "0.00", id="opened, and its own line not yet posted"),
        pytest.param(NOON + "01Z", "100.00", "0.00", id="when it was loaded"),
        pytest.param(NOON + "01.999999Z", "100.00", "0.00", id="a microsecond before the approval"),
        pytest.param("{approved}", "100.00", "40.00", id="at the approval's entry"),
        pytest.param(NOON + "02.000000Z", "100.00", "40.00", id="at the approval's time"),
        pytest.param("2026-11-23T11:00:02+01:00", "100.00", "40.00", id="the same time elsewhere"),
        pytest.param("{posted}", "100.00", "0.00", id="the hold is released, the money not yet moved"),
        pytest.param(NOON + "03z", "60.00", "0.00", id="after the presentment"),
        pytest.param("9999-12-31T23:59:59Z", "60.00", "0.00", id="a time that has not come"),
        pytest.param("2000-01-01T00:00:00Z", None, None, id="before the ledger began"),
    ],
)
async def test_a_past_balance(desk: Desk, at: str, posted: str | None, held: str | None) -> None:
    path = f"/accounts/card-1/EUR?at={at.format(**desk.seqs)}"
    told = await desk.site.get(desk.olga, path)
    if posted is None:
        assert told.facts == (404, "card_not_found", "currency")
    else:
        assert (told.json["posted"], told.json["held"]) == (posted, held)


async def test_a_moment_is_refused_by_field(desk: Desk) -> None:
    for at in ("", "now", "-1", "01", "1.5", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00:00.1234567Z"):
        assert await desk.refused(f"/accounts/card-1?at={at}") == (400, "malformed", "at"), at
    assert await desk.refused("/accounts/card-1?at=2026-13-01T00:00:00Z") == (400, "malformed", "at")
    assert await desk.refused("/accounts/card-1?at=9999999") == (404, "entry_not_found", "at")


async def test_an_account_that_is_not_there_is_card_not_found(desk: Desk) -> None:
    assert await desk.refused("/accounts/card-2") == (404, "card_not_found", "card_id")
    assert await desk.refused("/accounts/card-1/USD") == (404, "card_not_found", "currency")
    assert await desk.refused("/accounts/issuer") == (404, "card_not_found", "card_id")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/accounts/card@1", "card_id"),
        ("/accounts/" + "x" * 65, "card_id"),
        ("/accounts/card-1/eur", "currency"),
        ("/accounts/card-1/XXX", "currency"),
        ("/transactions/tx~1", "transaction_id"),
        ("/entries/01", "seq"),
        ("/entries/-1", "seq"),
        ("/entries/x", "seq"),
        ("/entries/99999999999999999", "seq"),
        ("/accounts/card-1?when=1", "when"),
        ("/accounts/card-1?at=1&at=1", "at"),
        ("/accounts/card-1?at=%ff", "at"),
        ("/accounts/card-1?", None),
        ("/accounts/card-1?&", ""),
        ("/entries/1?x", "x"),
        ("/transactions?limit=0", "limit"),
        ("/transactions?limit=11", "limit"),
        ("/transactions?limit=ten", "limit"),
        ("/transactions?card_id=a%20b", "card_id"),
        ("/transactions?from=x", "from"),
        ("/transactions?to=x", "to"),
        ("/transactions?cursor=", "cursor"),
        ("/transactions?offset=1", "offset"),
    ],
)
async def test_a_parameter_that_is_not_understood_is_named(desk: Desk, path: str, field: str | None) -> None:
    told = await desk.site.get(desk.olga, path)
    assert told.facts == (400, "malformed", field) if field is not None else told.status == 200


# --- entries -------------------------------------------------------------------------------------------------------


async def test_an_entry_is_told_with_the_exact_bytes_that_prove_it(desk: Desk) -> None:
    told = await desk.get(f"/entries/{desk.seqs['approved']}")
    note = told["note"].encode()
    key = desk.site.ledger.keyring.entry_key_at(told["seq"])
    entry = open_entry(note, origin=ORIGIN, seq=told["seq"], public_key=key)
    assert decode_entry(note).text == told["signed"].encode()
    registry = (await desk.site.send("GET", "/keys")).json["keys"]
    assert [each["role"] for each in registry if each["kid"] == told["kid"]] == ["entry"]
    for name in ("body", "state", "evidence"):
        digest = getattr(entry, name)
        assert hashlib.sha256(told["parts"][name].encode()).digest() == digest.sha256
    assert told["decoded"]["body"]["merchant_name"] == "Café Central"
    assert json.loads(told["decoded"]["request"]) == authorisation("tx-1", "card-1", "40.00")
    assert (told["kind"], told["time"]) == ("transaction", encode_time(START + 2 * SECOND))


async def test_every_entry_can_be_read(desk: Desk) -> None:
    head = await desk.site.reader.head()
    kinds = [(await desk.get(f"/entries/{seq}"))["kind"] for seq in range(head + 1)]
    assert set(kinds) == {"genesis", "key", "account", "transaction", "journal"}
    assert await desk.refused(f"/entries/{head + 1}") == (404, "entry_not_found", "seq")


# --- one transaction -----------------------------------------------------------------------------------------------


async def test_a_transaction_is_told_with_its_state_and_every_entry_about_it(desk: Desk) -> None:
    told = await desk.get("/transactions/tx-1")
    assert (told["scheme"], told["status"], told["card_id"], told["held"]) == ("acme", "CLEARED", "card-1", "0.00")
    assert [each.get("type") or each["account"] for each in told["entries"]] == [
        "authorisation",
        "presentment",
        "card:card-1",
        "issuer",
        "issuer",
        "scheme:acme",
    ]
    assert [each["seq"] for each in told["entries"][:2]] == [desk.seqs["approved"], desk.seqs["posted"]]


async def test_a_load_is_found_with_its_lines(desk: Desk) -> None:
    told = await desk.get("/transactions/load-1")
    assert (told["status"], "scheme" in told) == ("POSTED", False)
    assert [(each["kind"], each.get("amount")) for each in told["entries"]] == [
        ("transaction", None),
        ("journal", "-100.00"),
        ("journal", "100.00"),
    ]


async def test_an_id_that_two_schemes_use_needs_the_schemes_name(desk: Desk) -> None:
    await desk.site.post(desk.bolt, "/authorisation", authorisation("tx-1", "card-1", "1000.00"))
    assert await desk.refused("/transactions/tx-1") == (400, "malformed", "scheme")
    assert (await desk.get("/transactions/tx-1?scheme=acme"))["status"] == "CLEARED"
    assert (await desk.get("/transactions/tx-1?scheme=bolt"))["status"] == "DECLINED"
    assert await desk.refused("/transactions/tx-1?scheme=other") == (404, "transaction_not_found", "transaction_id")


async def test_a_load_and_a_schemes_transaction_of_one_id_are_told_apart(desk: Desk) -> None:
    await desk.site.post(desk.bolt, "/authorisation", authorisation("load-1", "card-1", "1.00"))
    assert await desk.refused("/transactions/load-1") == (400, "malformed", "scheme")
    assert (await desk.get("/transactions/load-1?scheme=bolt"))["status"] == "DECLINED"
    assert (await desk.get("/transactions/load-1?scheme="))["status"] == "POSTED"


async def test_a_transaction_that_is_not_there_is_transaction_not_found(desk: Desk) -> None:
    assert await desk.refused("/transactions/tx-9") == (404, "transaction_not_found", "transaction_id")


# --- pages ---------------------------------------------------------------------------------------------------------


async def _walk(desk: Desk, query: str, limit: int) -> list[int]:
    walked: list[int] = []
    following = ""
    while True:
        told = await desk.get(f"/transactions?{query}&limit={limit}{following}".replace("?&", "?"))
        walked += [each["seq"] for each in told["transactions"]]
        assert len(told["transactions"]) <= limit
        if told["next_cursor"] is None:
            return walked
        following = f"&cursor={told['next_cursor']}"


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_walk_all_transactions_once_newest_first(desk: Desk, limit: int) -> None:
    seqs = [*desk.seqs.values(), *[await desk.site.load("card-2", 100) for _ in range(6)]]
    assert await _walk(desk, "", limit) == seqs[::-1]
    assert await _walk(desk, "card_id=card-2", limit) == seqs[3:][::-1]


async def test_what_is_recorded_between_two_pages_disturbs_neither(desk: Desk) -> None:
    first = await desk.get("/transactions?limit=2")
    await desk.site.load("card-2", 100)
    second = await desk.get(f"/transactions?limit=2&cursor={first['next_cursor']}")
    told = [each["seq"] for page in (first, second) for each in page["transactions"]]
    assert told == sorted(desk.seqs.values(), reverse=True)
    assert second["next_cursor"] is None


async def test_transactions_are_listed_from_one_moment_to_another(desk: Desk) -> None:
    async def listed(query: str) -> list[int]:
        return [each["seq"] for each in (await desk.get(f"/transactions?{query}"))["transactions"]]

    load, approved, posted = desk.seqs.values()
    assert await listed(f"from={NOON}02Z") == [posted, approved]
    assert await listed(f"from={NOON}02.000001Z") == [posted]
    assert await listed(f"to={NOON}03Z") == [approved, load]
    assert await listed(f"from={NOON}02Z&to={NOON}03Z") == [approved]
    assert await listed(f"from={approved}&to={posted}") == [approved]
    assert await listed(f"from={NOON}59Z") == []
    assert await listed("card_id=card-9") == []


async def test_a_cursor_that_was_changed_or_brought_elsewhere_is_malformed(desk: Desk) -> None:
    cursor = (await desk.get("/transactions?limit=1"))["next_cursor"]
    assert await desk.refused(f"/transactions?card_id=card-1&cursor={cursor}") == (400, "malformed", "cursor")
    assert await desk.refused(f"/transactions?from=1&cursor={cursor}") == (400, "malformed", "cursor")
    for index in range(len(cursor)):
        changed = cursor[:index] + ("A" if cursor[index] != "A" else "B") + cursor[index + 1 :]
        assert await desk.refused(f"/transactions?cursor={changed}") == (400, "malformed", "cursor"), index
    for made in (b'{"before":3}', b'{"before":3,"check":null}', b"[]", b"3", b"\xff"):
        text = base64.urlsafe_b64encode(made).decode().rstrip("=")
        assert await desk.refused(f"/transactions?cursor={text}") == (400, "malformed", "cursor")
    for text in (cursor[:-1], cursor + "A", cursor + "=", cursor * 9, "!"):
        assert await desk.refused(f"/transactions?cursor={text}") == (400, "malformed", "cursor")
