"""A Scheme's webhooks that are refused: the order of the checks, and what is refused before anything is decided."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api_support import Caller, Site, serving
from tests.world import AUTHORITY, authorisation, presentment

# --- the order of the checks ---------------------------------------------------------------------------------------

BAD_BODY = b'{"transaction_id": null}'


async def test_of_several_faults_the_first_in_the_order_is_told(site: Site, acme: Caller) -> None:
    """One fault less each time: size, type, signature, body, webhook id, state; funds at the end."""
    await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"), "evt-1")
    unsigned = {"Signature": "", "Content-Type": "text/plain"}
    large = b" " * 32_769
    steps: list[Callable[[], Any]] = [
        lambda: site.post(acme, "/authorisation", large, "!", headers=unsigned),
        lambda: site.post(acme, "/authorisation", BAD_BODY, "!", headers=unsigned),
        lambda: site.post(acme, "/authorisation", BAD_BODY, "!", headers={"Signature": ""}),
        lambda: site.post(acme, "/authorisation", BAD_BODY, "!", headers={"Webhook-Id": "other!"}),
        lambda: site.post(acme, "/authorisation", BAD_BODY, "!"),
        lambda: site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1000.00"), "!"),
        lambda: site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1000.00"), "evt-1"),
        lambda: site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1000.00"), "evt-2"),
        lambda: site.post(acme, "/authorisation", authorisation("tx-2", "card-1", "1000.00"), "evt-2"),
    ]
    told = [await step() for step in steps]
    assert [each.code or each.json["reason"] for each in told] == [
        "too_large",
        "unsupported_media_type",
        "signature_missing",
        "signature_invalid",
        "malformed",
        "malformed",
        "webhook_id_reused",
        "transaction_exists",
        "insufficient_funds",
    ]
    assert [each.json.get("field") for each in told[4:6]] == ["transaction_id", "webhook-id"]


# --- what is refused before the ledger is asked --------------------------------------------------------------------


async def test_nothing_that_is_refused_is_recorded(site: Site, acme: Caller) -> None:
    head = await site.reader.head()
    await site.post(acme, "/authorisation", BAD_BODY)
    await site.post(
        acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"), headers={"Signature": "sig=:AA==:"}
    )
    await site.post(acme, "/presentment", presentment("tx-1", "1.00"))
    assert await site.reader.head() == head


@pytest.mark.parametrize("webhook_id", ["", "a b", "a.b", "ü", "x" * 129])
async def test_a_webhook_id_of_another_form_is_malformed(site: Site, acme: Caller, webhook_id: str) -> None:
    body = json.dumps(authorisation("tx-1", "card-1", "1.00")).encode()
    signed = acme.signed("POST", "/authorisation", body, webhook_id)
    told = await site.send("POST", "/authorisation", signed, body)
    expected = (401, "signature_invalid") if not webhook_id.isascii() else (400, "malformed")
    assert (told.status, told.code) == expected
    assert told.json["field"] == "webhook-id"


async def test_currencies_that_are_not_taken_are_refused_by_field(tmp_path: Path) -> None:
    async with serving(tmp_path, currencies=("EUR",)) as site:
        await site.load("card-1", 10_000)
        acme = await site.caller("scheme", "acme")
        cases = {
            "billing_currency": authorisation("tx-1", "card-1", "1.00", billing_currency="USD"),
            "transaction_currency": authorisation("tx-1", "card-1", "1.00", transaction_currency="USD"),
        }
        for field, body in cases.items():
            assert (await site.post(acme, "/authorisation", body)).facts == (400, "malformed", field)
        told = await site.post(acme, "/presentment", presentment("tx-1", "1.00", "USD"))
        assert told.facts == (400, "malformed", "settlement_currency")
        assert (await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "1.00"))).status == 201


async def test_a_full_queue_is_503_with_retry_after(tmp_path: Path) -> None:
    async with serving(tmp_path, limits={"queue_commands_max": 2}) as site:
        await site.load("card-1", 1_000_000)
        acme = await site.caller("scheme", "acme")
        bodies = [authorisation(f"tx-{number}", "card-1", "1.00") for number in range(24)]
        told = await asyncio.gather(*(site.post(acme, "/authorisation", body) for body in bodies))
        refused = [each for each in told if each.status == 503]
        assert refused
        assert {each.status for each in told} == {201, 503}
        for each in refused:
            assert (each.code, each.json["retryable"]) == ("overloaded", True)
            assert each.headers["Retry-After"] == "1"
        assert site.counted("signed_ledger_refusals_total", code="overloaded") == len(refused)


async def test_a_query_is_covered_by_the_signature(site: Site, acme: Caller) -> None:
    body = json.dumps(authorisation("tx-1", "card-1", "1.00")).encode()
    signed = acme.signed("POST", "/authorisation?a=1", body, "evt-1")
    assert (await site.send("POST", "/authorisation?a=2", signed, body)).code == "signature_invalid"
    assert (await site.send("POST", "/authorisation", signed, body)).code == "signature_invalid"
    assert (await site.send("POST", "/authorisation?a=1", signed, body)).status == 201


async def test_several_lines_of_a_covered_field_are_joined(site: Site, acme: Caller) -> None:
    body = json.dumps(authorisation("tx-1", "card-1", "1.00")).encode()
    signed = acme.signed("POST", "/authorisation", body, "evt-1", extra={"X-Trace": "a, b"})
    lines = [(name, value) for name, value in signed.items() if name != "X-Trace"]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    sent = (
        f"POST /authorisation HTTP/1.1\r\nhOsT:  {AUTHORITY.upper()}\t\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nX-Trace:  a \r\nx-trace:\tb\r\n{head}\r\n"
    ).encode()
    assert (await site.bytes(sent + body)).startswith(b"HTTP/1.1 201 ")
