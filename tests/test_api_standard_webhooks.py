"""Schemes that sign by Standard Webhooks v1a, beside one that signs by RFC 9421, at one service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scripts.send_webhook import sign_request
from signed_ledger.api.openapi import openapi_document
from signed_ledger.config import read_settings
from signed_ledger.errors import Invalid
from signed_ledger.schemes import FRESH_SECONDS, SIGNATURES_CHARS_MAX, SIGNATURES_MAX
from signed_ledger.schemes.standard_webhooks import RETIRED_TRIED_MAX
from signed_ledger.telemetry import Metrics
from tests.api_support import BASE, Caller, Site, StandardCaller, Told, open_ledger, serving
from tests.support import edit
from tests.world import authorisation, euros, presentment

ASKED = authorisation("tx-1", "card-1", "1.00")
BODY = json.dumps(ASKED).encode()
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path, standard_webhooks=("acme", "bolt")) as site:
        await site.load("card-1", 10_000)
        yield site


async def _registered(site: Site, name: str, kind: type[Caller] = StandardCaller) -> Caller:
    caller = kind(name, site)
    await site.register(caller, "scheme")
    return caller


@pytest.fixture
async def acme(site: Site) -> Caller:
    return await _registered(site, "acme")


async def _post(site: Site, headers: Any, body: bytes = BODY, path: str = "/authorisation") -> Told:
    return await site.send("POST", path, headers, body)


def _signed(caller: Caller, webhook_id: str = "evt-1", **how: Any) -> Any:
    return caller.signed("POST", "/authorisation", BODY, webhook_id, **how)


# --- a life --------------------------------------------------------------------------------------------------------


async def test_an_authorisation_and_its_presentment_are_decided_and_their_evidence_shown(
    site: Site, acme: Caller
) -> None:
    assert (await site.post(acme, "/authorisation", ASKED, "evt-1")).status == 201
    told = await site.post(acme, "/presentment/", presentment("tx-1", "1.00"), "evt-2")
    assert (told.status, told.json["decision"]) == (200, "posted")
    olga = await site.caller("operator", "olga")
    shown = (await site.get(olga, f"/entries/{told.json['seq']}")).json["decoded"]["evidence"]
    assert (shown["profile"], shown["webhook_id"], shown["path"]) == ("standard-webhooks-v1a", "evt-2", "/presentment/")
    assert shown["webhook_timestamp"] == site.world.clock() // 1_000_000


async def test_a_retry_is_answered_as_the_first_time_also_when_it_is_signed_anew(site: Site, acme: Caller) -> None:
    first = await site.post(acme, "/authorisation", BODY, "evt-1")
    site.world.clock.now += 3_600_000_000
    again = await site.post(acme, "/authorisation", BODY, "evt-1")
    assert (again.status, again.raw) == (201, first.raw)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_one_who_sends_a_body_on_to_another_path_too_is_told_that_its_id_is_used(
    site: Site, acme: Caller
) -> None:
    """What v1a does not sign: a message that reads as another one, too. The first to come counts."""
    await site.post(acme, "/authorisation", ASKED)
    grown = json.dumps({"transaction_id": "tx-1", **euros("billing", "1.00")}).encode()
    signed = acme.signed("POST", "/reversal", grown, "evt-2")
    told = await _post(site, signed, grown, "/increment")
    assert (told.status, json.loads(told.json["body"])["type"]) == (201, "increment")
    assert (await _post(site, signed, grown, "/reversal")).facts[:2] == (409, "webhook_id_reused")


async def test_the_stored_request_is_verified_again_before_money_moves(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False, standard_webhooks=("acme",)) as site:
        await site.load("card-1", 10_000)
        acme = await _registered(site, "acme")
        seq = (await site.post(acme, "/authorisation", ASKED)).json["seq"]
        edited = "CAST(replace(CAST(evidence AS TEXT), 'auto-', 'otto-') AS BLOB)"
        edit(site.world.path, f"UPDATE parts SET evidence = {edited} WHERE seq = ?", seq)
        assert (await site.post(acme, "/presentment", presentment("tx-1", "1.00"))).code == "integrity_violation"


# --- one profile for each Scheme -----------------------------------------------------------------------------------


async def test_each_scheme_signs_by_its_own_profile_and_only_by_that(site: Site, acme: Caller) -> None:
    visa = await site.caller("scheme", "visa")
    assert (await site.post(visa, "/authorisation", authorisation("tx-2", "card-1", "1.00"))).status == 201

    by_other = StandardCaller("visa", site)
    by_other.key = visa.key
    told = await _post(site, _signed(by_other))
    assert told.facts == (401, "signature_invalid", "webhook-signature")
    assert "must sign by RFC 9421" in told.json["detail"]

    now = site.world.clock() // 1_000_000
    told = await _post(site, sign_request(acme.key, "POST", f"{BASE}/authorisation", BODY, "evt-1", created=now))
    assert told.facts == (401, "key_unknown", "signature-input")
    assert "must sign by Standard Webhooks v1a" in told.json["detail"]


async def test_a_scheme_signed_by_both_is_refused_where_it_must_sign_by_v1a(site: Site, acme: Caller) -> None:
    now = site.world.clock() // 1_000_000
    both = {**_signed(acme), **sign_request(acme.key, "POST", f"{BASE}/authorisation", BODY, "evt-1", created=now)}
    assert (await _post(site, both)).facts == (401, "key_unknown", "signature-input")
    visa = await site.caller("scheme", "visa")
    both = {**_signed(acme), **sign_request(visa.key, "POST", f"{BASE}/authorisation", BODY, "evt-1", created=now)}
    assert (await _post(site, both)).status == 201


async def test_where_no_scheme_is_set_so_it_is_no_signature(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        acme = await _registered(site, "acme")
        told = await _post(site, _signed(acme))
        assert told.facts == (401, "signature_missing", "signature-input")


async def test_two_schemes_that_sign_so_are_told_apart_by_their_keys(site: Site, acme: Caller) -> None:
    bolt = await _registered(site, "bolt")
    told = await site.post(bolt, "/authorisation", ASKED)
    assert json.loads(told.json["body"])["scheme"] == "bolt"
    assert (await site.post(acme, "/presentment", presentment("tx-1", "1.00"))).code == "authorisation_not_found"


async def test_an_operators_key_signs_no_webhook_and_reads_are_by_rfc_9421(site: Site, acme: Caller) -> None:
    operator = StandardCaller("acme", site)
    await site.register(operator, "operator")
    assert (await _post(site, _signed(operator))).code == "signature_invalid"
    told = await site.send("GET", "/entries/0", operator.signed("GET", "/entries/0", b"", "evt-1"))
    assert told.facts == (401, "signature_missing", "signature-input")


# --- refusals over the wire ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        pytest.param({"Webhook-Id": "evt-2"}, (401, "signature_invalid", "webhook-signature"), id="another id"),
        pytest.param({"Webhook-Id": "a.b"}, (400, "malformed", "webhook-id"), id="a bad id"),
        pytest.param({"Webhook-Timestamp": "0"}, (401, "signature_expired", "webhook-timestamp"), id="stale"),
        pytest.param({"Webhook-Timestamp": "x"}, (401, "signature_invalid", "webhook-timestamp"), id="no timestamp"),
        pytest.param({"Webhook-Signature": "v1,AAAA"}, (401, "signature_missing", "webhook-signature"), id="symmetric"),
        pytest.param({"Webhook-Signature": "a,A " * 300}, (413, "too_large", "webhook-signature"), id="too long"),
        pytest.param({"Host": "other.example"}, (401, "authority_unknown", "@authority"), id="another host"),
    ],
)
async def test_a_request_that_does_not_hold_is_refused(
    site: Site, acme: Caller, headers: dict[str, str], facts: tuple[int, str, str]
) -> None:
    assert (await _post(site, {**_signed(acme), **headers})).facts == facts


async def test_another_body_or_a_query_is_refused(site: Site, acme: Caller) -> None:
    assert (await _post(site, _signed(acme), BODY.replace(b"1.00", b"9.00"))).code == "signature_invalid"
    told = await _post(site, _signed(acme), path="/authorisation?a=b")
    assert told.facts == (401, "signature_invalid", "@query")


async def test_two_ids_in_two_headers_are_malformed(site: Site, acme: Caller) -> None:
    headers = [*_signed(acme).items(), ("Webhook-Id", "evt-1")]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    sent = f"POST /authorisation HTTP/1.1\r\nHost: issuer.example\r\nContent-Length: {len(BODY)}\r\n{lines}\r\n"
    answer = await site.bytes(sent.encode().replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n") + BODY)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"field":"webhook-id"' in answer


async def test_a_retired_key_is_key_revoked_and_its_successor_is_heard_beside_it(site: Site, acme: Caller) -> None:
    successor = await _registered(site, "acme")
    await site.retire(acme, "scheme")
    assert (await _post(site, _signed(acme))).facts == (401, "key_revoked", "webhook-signature")
    old, new = (_signed(caller)["Webhook-Signature"] for caller in (acme, successor))
    assert (await _post(site, {**_signed(acme), "Webhook-Signature": f"{old} {new}"})).status == 201


@pytest.mark.parametrize("change", ["registered", "retired"])
async def test_a_key_that_another_process_registered_or_retired_is_known_at_once(site: Site, change: str) -> None:
    caller = StandardCaller("acme", site)
    other = await open_ledger(site.world, Metrics())
    await site.register(caller, "scheme", other)
    if change == "retired":
        assert (await site.post(caller, "/authorisation", authorisation("tx-0", "card-1", "1.00"))).status == 201
        await site.retire(caller, "scheme", other)
    await other.close()
    told = await _post(site, _signed(caller))
    assert (told.status, told.json.get("code")) == ((201, None) if change == "registered" else (401, "key_revoked"))


async def test_of_two_signatures_the_successor_s_counts_though_another_process_just_retired_the_other(
    site: Site, acme: Caller
) -> None:
    successor = await _registered(site, "acme")
    assert (await site.post(acme, "/authorisation", authorisation("tx-0", "card-1", "1.00"))).status == 201
    other = await open_ledger(site.world, Metrics())
    await site.retire(acme, "scheme", other)
    await other.close()
    old, new = (_signed(caller)["Webhook-Signature"] for caller in (acme, successor))
    told = await _post(site, {**_signed(acme), "Webhook-Signature": f"{old} {new}"})
    assert told.status == 201
    alone = await _post(site, _signed(acme, "evt-2"))
    assert alone.facts == (401, "key_revoked", "webhook-signature")


# --- the documents ---------------------------------------------------------------------------------------------------


def test_the_openapi_document_has_the_two_profiles_as_alternatives() -> None:
    document = openapi_document()
    for name in ("authorisation", "refund"):
        operation = document["paths"][f"/{name}"]["post"]
        assert operation["security"] == [{"webhooks": []}, {"standard_webhooks": []}]
        required = {each["name"]: each["required"] for each in operation["parameters"]}
        assert required == {
            "Webhook-Id": True,
            **dict.fromkeys(("Content-Digest", "Signature-Input", "Signature"), False),
            **dict.fromkeys(("Webhook-Timestamp", "Webhook-Signature"), False),
        }
    assert document["components"]["securitySchemes"]["standard_webhooks"]["name"] == "Webhook-Signature"
    assert document["paths"]["/entries/{seq}"]["get"]["security"] == [{"reading": []}]


async def test_the_page_tells_of_both_profiles(site: Site) -> None:
    page = (await site.send("GET", "/docs")).raw.decode()
    assert "RFC 9421 by an Ed25519 key of a scheme" in page
    assert "Standard Webhooks v1a. An Ed25519 key of a scheme" in page


def test_the_documents_have_the_limits() -> None:
    section = (DOCS / "API.md").read_text().partition("#### Standard Webhooks v1a")[2].partition("### The event")[0]
    assert (SIGNATURES_MAX, SIGNATURES_CHARS_MAX, RETIRED_TRIED_MAX, FRESH_SECONDS) == (4, 1024, 8, 300)
    for said in ("At most four `v1a`", "1,024 characters", "the eight that were retired last", "within 300 s"):
        assert said in section, said


# --- the setting -----------------------------------------------------------------------------------------------------


def test_the_setting_names_schemes() -> None:
    chosen = read_settings({"SIGNED_LEDGER_STANDARD_WEBHOOKS": " visa, amex ,"})
    assert chosen.standard_webhooks == ("visa", "amex")
    assert (
        read_settings({}).standard_webhooks == read_settings({"SIGNED_LEDGER_STANDARD_WEBHOOKS": ""}).standard_webhooks
    )
    for wrong in ("vi sa", "visa;amex", "x" * 65):
        with pytest.raises(Invalid, match="must be names of Schemes"):
            read_settings({"SIGNED_LEDGER_STANDARD_WEBHOOKS": wrong})
