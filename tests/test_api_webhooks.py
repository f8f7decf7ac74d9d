"""A Scheme's webhooks: decisions, retries, and what the state of a transaction admits."""

import asyncio
import json
from typing import Any

import pytest

from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.sealing import open_entry, open_part
from tests.api_support import Caller, Site
from tests.world import DAY, ORIGIN, authorisation, euros, presentment

# --- decisions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/authorisation", "/authorisation/"])
async def test_an_approval_is_201_with_the_signed_entry_and_its_body(site: Site, acme: Caller, path: str) -> None:
    told = await site.post(acme, path, authorisation("tx-1", "card-1", "40.00"))
    assert told.status == 201
    answer = told.json
    assert (answer["transaction_id"], answer["decision"], answer["reason"]) == ("tx-1", "approved", "ok")
    key = site.ledger.keyring.entry_key_at(answer["seq"])
    entry = open_entry(answer["entry"].encode(), origin=ORIGIN, seq=answer["seq"], public_key=key)
    body = decode_body(open_part("body", entry.body, answer["body"].encode())).body
    assert body.request.merchant_name == "Café Central"  # type: ignore[union-attr]
    assert "Idempotent-Replayed" not in told.headers
    assert told.headers["Cache-Control"] == "no-store"


async def test_declines_are_recorded_and_signed(site: Site, acme: Caller) -> None:
    poor = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "100.01"))
    unknown = await site.post(acme, "/authorisation", authorisation("tx-2", "card-2", "1.00"))
    other_currency = await site.post(acme, "/authorisation", authorisation("tx-3", "card-1", "1.00", "USD"))
    told = [(each.status, each.json["decision"], each.json["reason"]) for each in (poor, unknown, other_currency)]
    assert told == [
        (403, "declined", "insufficient_funds"),
        (404, "declined", "card_not_found"),
        (404, "declined", "card_not_found"),
    ]
    assert [decode_entry(each.json["entry"].encode()).entry.seq for each in (poor, unknown)] == [
        poor.json["seq"],
        unknown.json["seq"],
    ]


@pytest.mark.parametrize("path", ["/presentment", "/presentment/"])
async def test_a_presentment_is_posted_with_200(site: Site, acme: Caller, path: str) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))
    told = await site.post(acme, path, presentment("tx-1", "41.00", "USD"))
    assert (told.status, told.json["decision"], told.json["reason"]) == (200, "posted", "ok")
    assert json.loads(told.json["body"])["settlement_amount"] == "41.00"


async def test_five_authorisations_at_once_approve_what_there_is_and_no_more(site: Site, acme: Caller) -> None:
    bodies = [authorisation(f"tx-{number}", "card-1", "40.00") for number in range(5)]
    told = await asyncio.gather(*(site.post(acme, "/authorisation", body) for body in bodies))
    assert sorted(each.status for each in told) == [201, 201, 403, 403, 403]


async def test_thirty_two_at_once_are_each_decided_once(site: Site, acme: Caller) -> None:
    await site.load("card-2", 1_000_000)
    bodies = [authorisation(f"tx-{number}", "card-2", "1.00") for number in range(32)]
    told = await asyncio.gather(*(site.post(acme, "/authorisation", body) for body in bodies))
    assert {each.status for each in told} == {201}
    assert len({each.json["seq"] for each in told}) == 32


# --- the event's id ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card_id", "amount", "status"),
    [
        pytest.param("card-1", "40.00", 201, id="an approval"),
        pytest.param("card-1", "400.00", 403, id="a decline for funds"),
        pytest.param("card-9", "40.00", 404, id="a decline for an unknown card"),
    ],
)
async def test_a_retry_is_given_the_first_answer_byte_for_byte(
    site: Site, acme: Caller, card_id: str, amount: str, status: int
) -> None:
    body = authorisation("tx-1", card_id, amount)
    first = await site.post(acme, "/authorisation", body, "evt-1")
    await site.load("card-1", 1_000_000)
    await site.load("card-9", 1_000_000)
    site.world.clock.now += DAY
    again = await site.post(acme, "/authorisation", body, "evt-1")
    assert (first.status, again.status) == (status, status)
    assert again.raw == first.raw
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_presentments_retry_is_given_the_first_answer(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))
    first = await site.post(acme, "/presentment", presentment("tx-1", "40.00"), "evt-2")
    again = await site.post(acme, "/presentment", presentment("tx-1", "40.00"), "evt-2")
    assert (again.status, again.raw) == (200, first.raw)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_retries_in_flight_share_one_decision(site: Site, acme: Caller) -> None:
    body = authorisation("tx-1", "card-1", "60.00")
    told = await asyncio.gather(*(site.post(acme, "/authorisation", body, "evt-1") for _ in range(8)))
    assert {each.status for each in told} == {201}
    assert len({each.raw for each in told}) == 1
    assert sum("Idempotent-Replayed" in each.headers for each in told) == 7


async def test_a_webhook_id_with_another_body_is_409(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"), "evt-1")
    told = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.01"), "evt-1")
    assert told.facts == (409, "webhook_id_reused", "webhook-id")


async def test_two_bodies_under_one_webhook_id_at_once_decide_one(site: Site, acme: Caller) -> None:
    bodies = [authorisation(f"tx-{number}", "card-1", "1.00") for number in range(2)]
    told = await asyncio.gather(*(site.post(acme, "/authorisation", body, "evt-1") for body in bodies))
    assert sorted(each.status for each in told) == [201, 409]


async def test_a_webhook_id_on_the_other_path_is_409(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"), "evt-1")
    told = await site.post(acme, "/presentment", presentment("tx-1", "1.00"), "evt-1")
    assert told.facts == (409, "webhook_id_reused", "webhook-id")


async def test_webhook_ids_and_transaction_ids_are_their_schemes_own(site: Site, acme: Caller) -> None:
    bolt = await site.caller("scheme", "bolt")
    first = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"), "evt-1")
    await site.load("card-2", 10_000)
    other = await site.post(bolt, "/authorisation", authorisation("tx-1", "card-2", "2.00"), "evt-1")
    assert (first.status, other.status) == (201, 201)
    assert first.json["seq"] != other.json["seq"]


async def test_a_card_is_its_schemes_own_and_another_is_told_that_it_is_not_there(site: Site, acme: Caller) -> None:
    bolt = await site.caller("scheme", "bolt")
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    told = await site.post(bolt, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    assert (told.status, told.json["reason"], told.json["response_code"]) == (404, "card_not_found", "14")
    back = {**euros("billing", "1.00"), **euros("settlement", "1.00"), "card_id": "card-1", "refund_id": "r-1"}
    assert (await site.post(bolt, "/refund", back)).facts == (404, "card_not_found", "card_id")
    assert (await site.post(acme, "/refund", back)).status == 200


# --- state ---------------------------------------------------------------------------------------------------------


async def test_a_transaction_id_under_another_webhook_id_is_409(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    told = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    assert told.facts == (409, "transaction_exists", "transaction_id")


async def test_a_declined_transaction_id_is_not_asked_again(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1000.00"))
    told = await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    assert told.facts == (409, "transaction_exists", "transaction_id")


async def test_a_presentment_of_nothing_is_404_and_may_be_retried(site: Site, acme: Caller) -> None:
    told = await site.post(acme, "/presentment", presentment("tx-9", "1.00"), "evt-1")
    assert told.facts == (404, "authorisation_not_found", "transaction_id")
    assert told.json["retryable"] is True
    await site.post(acme, "/authorisation", authorisation("tx-9", "card-1", "1.00"))
    assert (await site.post(acme, "/presentment", presentment("tx-9", "1.00"), "evt-1")).status == 200


async def test_a_scheme_can_not_present_anothers_authorisation(site: Site, acme: Caller) -> None:
    bolt = await site.caller("scheme", "bolt")
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    told = await site.post(bolt, "/presentment", presentment("tx-1", "1.00"))
    assert told.facts == (404, "authorisation_not_found", "transaction_id")


@pytest.mark.parametrize(
    ("amount", "first"),
    [
        pytest.param("1.00", presentment("tx-1", "1.00"), id="cleared before"),
        pytest.param("1000.00", None, id="declined"),
    ],
)
async def test_a_presentment_that_the_state_does_not_admit_is_409(
    site: Site, acme: Caller, amount: str, first: Any
) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", amount))
    if first:
        assert (await site.post(acme, "/presentment", first)).status == 200
    told = await site.post(acme, "/presentment", presentment("tx-1", "1.00"))
    assert told.facts == (409, "state_conflict", "transaction_id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card_id", "card-2"),
        ("merchant_name", "Another"),
        ("merchant_country", "DE"),
        ("merchant_mcc", "5411"),
    ],
)
async def test_what_a_presentment_repeats_must_match(site: Site, acme: Caller, field: str, value: str) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    told = await site.post(acme, "/presentment", presentment("tx-1", "1.00", **{field: value}))
    assert told.facts == (400, "malformed", field)
    fitting: dict[str, Any] = {
        "card_id": "card-1",
        "merchant_name": "Café Central",
        "merchant_country": "AUT",
        "merchant_mcc": 5812,
    }
    assert (await site.post(acme, "/presentment", presentment("tx-1", "1.00", **fitting))).status == 200


async def test_a_presentments_billing_currency_must_be_the_authorised_one(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))
    body = presentment("tx-1", "1.00", billing_amount="1.00", billing_currency="USD")
    told = await site.post(acme, "/presentment", body)
    assert told.facts == (400, "malformed", "billing_currency")
