"""A transaction's whole life over HTTP: each message, each answer, and how all of it is shown. All as documented."""

import json
from typing import Any

from signed_ledger.ledger import Settling
from signed_ledger.records import Request
from signed_ledger.rules import Asked, ChangeCard, Settle
from tests.api_support import Caller, Site, Told, document, validator
from tests.support import SAMPLE_TERMS
from tests.world import DAY, authorisation, euros, presentment


def clearing(amount: str, **more: Any) -> dict[str, Any]:
    return presentment("tx-1", amount, **euros("billing", amount), **more)


def about(told: Told) -> tuple[int, str, str, str]:
    answer = told.json
    return told.status, answer["decision"], answer["reason"], answer["response_code"]


async def live(site: Site, acme: Caller) -> list[Told]:
    """Every message once, and each way to be declined."""
    more = {"transaction_id": "tx-1", **euros("billing", "5.00")}
    back = {**euros("billing", "2.00"), **euros("settlement", "2.00")}
    told = [
        await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00", iso8583={"49": "978"})),
        await site.post(acme, "/increment", more),
        await site.post(acme, "/increment", {**more, "billing_amount": "500.00"}),
        await site.post(acme, "/reversal", {**more, "billing_amount": "1.00"}),
        await site.post(acme, "/presentment", clearing("20.00", final=False, interchange_amount="0.0333")),
        await site.post(acme, "/presentment", clearing("30.00", presentment_id="p-2")),
        await site.post(acme, "/refund", {"transaction_id": "tx-1", "refund_id": "r-1", **back}),
        await site.post(acme, "/refund", {"refund_id": "r-2", "card_id": "card-1", **back}),
    ]
    forced = {**clearing("1.00", card_id="card-1", force_post=True), "transaction_id": "tx-2"}
    told.append(await site.post(acme, "/presentment", forced))
    await site.ledger.submit(SAMPLE_TERMS)
    kind = {"authorisation_kind": "pre_authorisation"}
    told.append(await site.post(acme, "/authorisation", authorisation("tx-3", "card-1", "3.00", **kind)))
    await site.ledger.submit(ChangeCard("block", "card-1", None, "lost"))
    told.append(await site.post(acme, "/authorisation", authorisation("tx-4", "card-1", "3.00")))
    told.append(await site.post(acme, "/increment", {**more, "transaction_id": "tx-3"}))
    site.world.clock.now += DAY
    await site.ledger.submit(Asked("acme", None, Request("expiry", "tx-3")))
    await site.ledger.submit(Settling(Settle("acme", "2026-11-24", site.world.clock()), -1, -1, {}))
    return told


async def test_each_message_is_answered_as_it_is_decided(site: Site, acme: Caller) -> None:
    assert [about(told) for told in await live(site, acme)] == [
        (201, "approved", "ok", "00"),
        (201, "approved", "ok", "00"),
        (403, "declined", "insufficient_funds", "51"),
        *[(200, "posted", "ok", "00")] * 6,
        (201, "approved", "ok", "00"),
        (403, "declined", "card_blocked", "62"),
        (403, "declined", "card_blocked", "62"),
    ]


async def test_every_entry_and_transaction_is_shown_as_documented(site: Site, acme: Caller) -> None:
    await live(site, acme)
    auditor = await site.caller("auditor", "audrey")
    shown: dict[str, int] = {}
    for seq in range(await site.reader.head() + 1):
        told = await site.get(auditor, f"/entries/{seq}")
        assert told.status == 200
        body = json.loads(told.json["parts"]["body"])
        shown[body.get("type", body["kind"])] = seq
    listed = (await site.get(auditor, "/transactions")).json["transactions"]
    recorded = {"load", "authorisation", "increment", "reversal", "presentment", "refund", "expiry", "settlement"}
    assert {each["type"] for each in listed} == recorded
    assert shown.keys() == recorded | {"genesis", "key", "account", "card", "terms", "journal"}
    for each in listed:
        schema = document()["components"]["schemas"][each["type"].capitalize()]
        validator(schema).validate(each)
    for name in ("tx-1", "tx-2", "tx-3", "tx-4", "r-2", "settlement-2026-11-24"):
        assert (await site.get(auditor, f"/transactions/{name}")).status == 200


async def test_a_transaction_shows_its_totals_and_every_message_about_it(site: Site, acme: Caller) -> None:
    await live(site, acme)
    auditor = await site.caller("auditor", "audrey")
    told = (await site.get(auditor, "/transactions/tx-1")).json
    assert (told["status"], told["held"]) == ("CLEARED", "0.00")
    assert told["totals"] == {
        "authorised": "40.00",
        "incremented": "5.00",
        "reversed": "1.00",
        "cleared": "50.00",
        "refunded": "2.00",
        "clearings": 2,
        "final": True,
    }
    assert [each["type"] for each in told["entries"] if each["kind"] == "transaction"] == [
        *("authorisation", "increment", "increment", "reversal", "presentment", "presentment", "refund"),
    ]
    expired = (await site.get(auditor, "/transactions/tx-3")).json
    assert (expired["status"], expired["held"], expired["totals"]["expired"]) == ("EXPIRED", "0.00", "3.00")
    assert expired["expires"] == "2026-11-24T10:00:00.000000Z"


async def test_a_clearing_posted_before_is_409_and_names_its_entry(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))
    first = await site.post(acme, "/presentment", clearing("1.00", presentment_id="p-1", final=False))
    again = await site.post(acme, "/presentment", clearing("1.00", presentment_id="p-1", final=False))
    assert again.facts == (409, "state_conflict", "presentment_id")
    assert str(first.json["seq"]) in again.json["detail"]


async def test_what_repeats_something_else_than_was_authorised_is_malformed(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))
    more = {"transaction_id": "tx-1", **euros("billing", "1.00")}
    for path, body in (("/increment", more), ("/reversal", more)):
        assert (await site.post(acme, path, {**body, "card_id": "card-2"})).facts == (400, "malformed", "card_id")
        other = {**body, "billing_currency": "USD"}
        assert (await site.post(acme, path, other)).facts == (400, "malformed", "billing_currency")
