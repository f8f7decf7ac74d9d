"""A transaction's whole life over HTTP: increments, reversals, presentments of every kind, refunds, refusals."""

import json
from typing import Any

import pytest

from signed_ledger.records import Request
from signed_ledger.rules import Asked, ChangeCard
from tests.api_support import Caller, Site, Told
from tests.world import DAY, authorisation, presentment


@pytest.fixture
async def acme(site: Site) -> Caller:
    """A Scheme, and a card with 100.00 EUR on which it has 40.00 authorised as tx-1."""
    await site.load("card-1", 10_000)
    acme = await site.caller("scheme", "acme")
    assert (await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))).status == 201
    return acme


def billed(amount: str, **more: Any) -> dict[str, Any]:
    return {"transaction_id": "tx-1", "billing_amount": amount, "billing_currency": "EUR", **more}


def cleared(amount: str, **more: Any) -> dict[str, Any]:
    return {**presentment("tx-1", amount), **billed(amount), **more}


def refund_of_none(**more: Any) -> dict[str, Any]:
    return {**{name: value for name, value in cleared("5.00").items() if name != "transaction_id"}, **more}


def decided(told: Told) -> tuple[Any, ...]:
    answer = told.json
    return told.status, answer["decision"], answer["reason"], answer["response_code"], answer["flags"]


def body_of(told: Told) -> Any:
    """The recorded body."""
    return json.loads(told.json["body"])


async def balance(site: Site) -> tuple[str, str]:
    auditor = await site.caller("auditor", f"auditor-{next(site.world.numbers)}")
    answer = (await site.get(auditor, "/accounts/card-1/EUR")).json
    return answer["posted"], answer["held"]


POSTED: tuple[Any, ...] = (200, "posted", "ok", "00", [])

# --- each new message ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/increment", "/increment/"])
async def test_an_increment_is_approved_with_201_and_declined_with_403(site: Site, acme: Caller, path: str) -> None:
    told = await site.post(acme, path, billed("10.00"))
    assert decided(told) == (201, "approved", "ok", "00", [])
    assert (body_of(told)["hold"], body_of(told)["status"], body_of(told)["hold_change"]) == (
        "50.00",
        "PENDING",
        "10.00",
    )
    poor = await site.post(acme, path, billed("50.01"))
    assert decided(poor) == (403, "declined", "insufficient_funds", "51", [])
    assert await balance(site) == ("100.00", "50.00")


@pytest.mark.parametrize("path", ["/reversal", "/reversal/"])
async def test_a_reversal_is_posted_in_part_and_in_full(site: Site, acme: Caller, path: str) -> None:
    part = await site.post(acme, path, billed("15.00"))
    assert decided(part) == POSTED
    assert (body_of(part)["status"], body_of(part)["hold"]) == ("PENDING", "25.00")
    rest = await site.post(acme, path, {"transaction_id": "tx-1"})
    assert decided(rest) == POSTED
    assert (body_of(rest)["status"], body_of(rest)["billing_amount"]) == ("REVERSED", "25.00")
    assert await balance(site) == ("100.00", "0.00")


@pytest.mark.parametrize("path", ["/refund", "/refund/"])
async def test_a_refund_is_posted_of_a_transaction_and_of_none(site: Site, acme: Caller, path: str) -> None:
    await site.post(acme, "/presentment", presentment("tx-1", "40.00"))
    named = await site.post(acme, path, cleared("5.00", refund_id="r-1"))
    assert decided(named) == POSTED
    assert named.json["transaction_id"] == "tx-1"
    assert body_of(named)["totals"]["refunded"] == "5.00"
    unnamed = await site.post(acme, path, refund_of_none(refund_id="r-1", card_id="card-1"))
    assert decided(unnamed) == POSTED
    assert unnamed.json["transaction_id"] == "r-1"
    assert "totals" not in body_of(unnamed)
    assert await balance(site) == ("70.00", "0.00")


@pytest.mark.parametrize("path", ["/presentment", "/presentment/"])
async def test_several_clearings_are_posted_and_the_final_one_is_the_last(site: Site, acme: Caller, path: str) -> None:
    first = await site.post(
        acme, path, cleared("10.00", final=False, presentment_id="p-1", interchange_amount="0.0125")
    )
    assert decided(first) == POSTED
    assert (body_of(first)["interchange_amount"], body_of(first)["final"]) == ("0.01250000", False)
    again = await site.post(acme, path, cleared("10.00", final=False, presentment_id="p-1"))
    assert again.facts == (409, "state_conflict", "presentment_id")
    last = await site.post(acme, path, cleared("20.00", presentment_id="p-2"))
    assert (body_of(last)["status"], body_of(last)["totals"]["reversed"]) == ("CLEARED", "10.00")
    more = await site.post(acme, path, cleared("1.00", presentment_id="p-3"))
    assert more.facts == (409, "state_conflict", "transaction_id")
    assert await balance(site) == ("70.00", "0.00")


async def test_a_presentment_may_come_without_an_authorisation_where_it_is_forced(site: Site, acme: Caller) -> None:
    forced = {**cleared("5.00"), "transaction_id": "tx-9", "card_id": "card-1"}
    plain = await site.post(acme, "/presentment", forced, "evt-1")
    assert plain.facts == (404, "authorisation_not_found", "transaction_id")
    told = await site.post(acme, "/presentment", {**forced, "force_post": True}, "evt-1")
    assert decided(told) == (200, "posted", "ok", "00", ["forced"])
    assert "builds_on" not in body_of(told)


async def test_what_is_unusual_is_flagged_and_posted(site: Site, acme: Caller) -> None:
    site.world.clock.now += 7 * DAY
    late = await site.post(acme, "/presentment", cleared("47.00", final=False))
    assert decided(late) == (200, "posted", "ok", "00", ["late", "over_hold", "within_tolerance"])
    over = await site.post(acme, "/presentment", cleared("60.00"))
    assert over.json["flags"] == ["late", "over_hold", "excess_disputable", "negative_balance"]
    assert body_of(over)["flags"] == over.json["flags"]
    assert await balance(site) == ("-7.00", "0.00")


async def test_a_blocked_card_is_declined_with_62_and_what_has_happened_is_posted(site: Site, acme: Caller) -> None:
    await site.ledger.submit(ChangeCard("block", "card-1"))
    blocked: tuple[Any, ...] = (403, "declined", "card_blocked", "62", [])
    assert decided(await site.post(acme, "/authorisation", authorisation("tx-2", "card-1", "1.00"))) == blocked
    assert decided(await site.post(acme, "/increment", billed("1.00"))) == blocked
    assert decided(await site.post(acme, "/reversal", billed("1.00"))) == POSTED
    assert decided(await site.post(acme, "/presentment", cleared("1.00"))) == POSTED
    assert decided(await site.post(acme, "/refund", cleared("1.00"))) == POSTED


async def test_the_data_elements_of_iso_8583_are_kept_as_they_were_sent(site: Site, acme: Caller) -> None:
    elements = {"37": "123456789012", "38": "A1 B2 ", "50": "978", "51": "978"}
    told = await site.post(acme, "/presentment", cleared("40.00", iso8583=elements))
    assert body_of(told)["iso8583"] == elements
    wrong = await site.post(acme, "/reversal", billed("1.00", iso8583={"51": "840"}))
    assert wrong.facts == (400, "malformed", "iso8583.51")


# --- again -----------------------------------------------------------------------------------------------------------

MESSAGES: dict[str, Any] = {
    "/increment": billed("10.00"),
    "/reversal": billed("10.00"),
    "/presentment": cleared("10.00", final=False),
    "/refund": refund_of_none(refund_id="r-1", card_id="card-1"),
}
each_message = pytest.mark.parametrize(("path", "body"), MESSAGES.items(), ids=MESSAGES)


@each_message
async def test_a_retry_has_the_first_answer_and_changes_nothing(site: Site, acme: Caller, path: str, body: Any) -> None:
    first = await site.post(acme, path, body, "evt-1")
    after = await balance(site)
    for slash in ("", "/"):
        again = await site.post(acme, path + slash, body, "evt-1")
        assert (again.status, again.raw) == (first.status, first.raw)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert await balance(site) == after
    other = await site.post(acme, path, {**body, "billing_amount": "11.00"}, "evt-1")
    assert other.facts == (409, "webhook_id_reused", "webhook-id")
    assert other.json["response_code"] == "94"


@each_message
async def test_a_webhook_id_of_another_message_is_409(site: Site, acme: Caller, path: str, body: Any) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-2", "card-1", "1.00"), "evt-1")
    told = await site.post(acme, path, body, "evt-1")
    assert told.facts == (409, "webhook_id_reused", "webhook-id")


# --- what is refused -------------------------------------------------------------------------------------------------

NAMED: dict[str, Any] = {**MESSAGES, "/refund": cleared("10.00")}
each_named = pytest.mark.parametrize(("path", "body"), NAMED.items(), ids=NAMED)


@each_named
async def test_of_nothing_it_is_404_and_may_come_again(site: Site, acme: Caller, path: str, body: Any) -> None:
    told = await site.post(acme, path, {**body, "transaction_id": "tx-9"}, "evt-1")
    assert told.facts == (404, "authorisation_not_found", "transaction_id")
    assert (told.json["retryable"], told.json["response_code"]) == (True, "84")
    await site.post(acme, "/authorisation", authorisation("tx-9", "card-1", "40.00"))
    again = await site.post(acme, path, {**body, "transaction_id": "tx-9"}, "evt-1")
    assert again.status == (409 if path == "/refund" else 201 if path == "/increment" else 200)


@pytest.mark.parametrize(
    ("state", "steps", "refused"),
    [
        pytest.param("PENDING", [], ["/refund"], id="pending"),
        pytest.param("REVERSED", ["/reversal"], ["/increment", "/reversal", "/presentment", "/refund"], id="reversed"),
        pytest.param("CLEARED", ["/presentment"], ["/increment", "/reversal", "/presentment"], id="cleared"),
        pytest.param("EXPIRED", ["expiry"], ["/increment", "/refund"], id="expired"),
    ],
)
async def test_what_a_state_does_not_admit_is_409_and_names_the_state(
    site: Site, acme: Caller, state: str, steps: list[str], refused: list[str]
) -> None:
    for step in steps:
        if step == "expiry":
            site.world.clock.now += 7 * DAY
            await site.ledger.submit(Asked("acme", None, Request("expiry", "tx-1")))
        else:
            body = {"transaction_id": "tx-1"} if step == "/reversal" else cleared("40.00")
            assert (await site.post(acme, step, body)).status == 200
    head = await site.reader.head()
    for path in refused:
        told = await site.post(acme, path, NAMED[path])
        assert told.facts == (409, "state_conflict", "transaction_id")
        assert state in told.json["detail"]
        assert (told.json["retryable"], told.json["response_code"]) == (False, "84")
    assert await site.reader.head() == head


async def test_a_declined_transaction_admits_nothing(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", authorisation("tx-2", "card-1", "1000.00"))
    for path, body in NAMED.items():
        told = await site.post(acme, path, {**body, "transaction_id": "tx-2"})
        assert told.facts == (409, "state_conflict", "transaction_id")
        assert "DECLINED" in told.json["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param("/increment", {"transaction_id": "tx-1"}, "billing_amount", id="an increment of no amount"),
        pytest.param("/increment", billed("1.00", final=True), "final", id="a final increment"),
        pytest.param("/increment", billed("-1.00"), "billing_amount", id="a negative one"),
        pytest.param(
            "/reversal", billed("1.00", settlement_amount="1.00"), "settlement_amount", id="a settled reversal"
        ),
        pytest.param("/reversal", billed("1.00", billing_currency="USD"), "billing_currency", id="another currency"),
        pytest.param("/presentment", cleared("1.00", final="yes"), "final", id="final, but not true or false"),
        pytest.param("/presentment", cleared("1.00", final=None), "final", id="null"),
        pytest.param(
            "/presentment", cleared("1.00", interchange_amount=0.01), "interchange_amount", id="a fee not in text"
        ),
        pytest.param("/presentment", cleared("1.00", presentment_id="p 1"), "presentment_id", id="an id with a space"),
        pytest.param(
            "/refund", {"transaction_id": "tx-1", **presentment("tx-1", "1.00")}, "billing_amount", id="a refund"
        ),
        pytest.param("/refund", refund_of_none(card_id="card-1"), "refund_id", id="a refund of none without an id"),
        pytest.param("/refund", refund_of_none(refund_id="r-1"), "card_id", id="a refund of none without a card"),
        pytest.param("/refund", cleared("1.00", card_id="card-2"), "card_id", id="another card"),
    ],
)
async def test_what_is_not_as_the_document_says_is_malformed(
    site: Site, acme: Caller, path: str, body: Any, field: str
) -> None:
    told = await site.post(acme, path, body)
    assert told.facts == (400, "malformed", field)
    assert told.json["response_code"] == "05"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(
            "/presentment", cleared("5.00", force_post=True, transaction_id="tx-9", card_id="card-9"), id="forced"
        ),
        pytest.param("/refund", refund_of_none(refund_id="r-1", card_id="card-9"), id="a refund of none"),
    ],
)
async def test_what_names_a_card_that_is_not_there_is_404_and_not_recorded(
    site: Site, acme: Caller, path: str, body: Any
) -> None:
    head = await site.reader.head()
    told = await site.post(acme, path, body)
    assert told.facts == (404, "card_not_found", "card_id")
    assert (told.json["retryable"], told.json["response_code"]) == (False, "14")
    assert await site.reader.head() == head


# --- another Scheme --------------------------------------------------------------------------------------------------


async def test_another_schemes_key_can_do_nothing_with_it(site: Site, acme: Caller) -> None:
    bolt = await site.caller("scheme", "bolt")
    head = await site.reader.head()
    for path, body in NAMED.items():
        told = await site.post(bolt, path, body)
        assert told.facts == (404, "authorisation_not_found", "transaction_id"), path
    for path, body in {
        "/presentment": cleared("5.00", force_post=True, card_id="card-1"),
        "/refund": refund_of_none(refund_id="r-1", card_id="card-1"),
    }.items():
        assert (await site.post(bolt, path, body)).facts == (404, "card_not_found", "card_id")
    for path in ("/transactions/tx-1", "/accounts/card-1", "/transactions?card_id=card-1"):
        assert (await site.get(bolt, path)).facts[:2] == (403, "role_not_allowed")
    assert await site.reader.head() == head
    told = await site.post(bolt, "/authorisation", authorisation("tx-2", "card-1", "1.00"))
    assert decided(told) == (404, "declined", "card_not_found", "14", [])
    assert await balance(site) == ("100.00", "40.00")


@pytest.mark.parametrize("path", ["/increment", "/reversal", "/refund", "/presentment"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_message_is_posted_and_nothing_else(site: Site, path: str, method: str) -> None:
    told = await site.send(method, path)
    assert (told.status, told.code, told.headers["Allow"]) == (405, "method_not_allowed", "POST")


async def test_an_expiry_is_not_a_schemes_to_send(site: Site, acme: Caller) -> None:
    assert (await site.post(acme, "/expiry", {"transaction_id": "tx-1"})).status == 404


async def test_a_reader_sees_every_step_and_where_it_stands(site: Site, acme: Caller) -> None:
    await site.post(acme, "/increment", billed("10.00"))
    await site.post(acme, "/presentment", cleared("20.00", final=False))
    await site.post(acme, "/reversal", {"transaction_id": "tx-1"})
    await site.post(acme, "/refund", cleared("5.00"))
    auditor = await site.caller("auditor", "watch")
    answer = (await site.get(auditor, "/transactions/tx-1")).json
    assert answer["status"] == "CLEARED"
    steps = [(entry["type"], entry.get("hold")) for entry in answer["entries"] if entry["kind"] == "transaction"]
    assert steps == [
        ("authorisation", "40.00"),
        ("increment", "50.00"),
        ("presentment", "30.00"),
        ("reversal", "0.00"),
        ("refund", "0.00"),
    ]
    assert answer["totals"] == {
        "authorised": "40.00",
        "incremented": "10.00",
        "reversed": "30.00",
        "cleared": "20.00",
        "refunded": "5.00",
        "clearings": 1,
    }
