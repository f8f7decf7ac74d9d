"""Who may call: each way a signature fails, on a webhook and on a read, and keys that other processes change."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from signed_ledger.api.problems import Problems
from signed_ledger.errors import SignatureInvalid, SignatureMissing
from signed_ledger.telemetry import Metrics
from tests.api_support import BASE, Caller, Site, Told, open_ledger, serving
from tests.world import AUTHORITY, authorisation

BODY = json.dumps(authorisation("tx-1", "card-1", "1.00")).encode()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as site:
        await site.load("card-1", 10_000)
        yield site


@pytest.fixture
async def acme(site: Site) -> Caller:
    return await site.caller("scheme", "acme")


@pytest.fixture
async def olga(site: Site) -> Caller:
    return await site.caller("operator", "olga")


async def _post(site: Site, headers: Any, body: bytes = BODY, path: str = "/authorisation") -> Told:
    return await site.send("POST", path, headers, body)


def _signed(caller: Caller, **how: Any) -> Any:
    return caller.signed("POST", "/authorisation", BODY, "evt-1", **how)


async def _refusals(site: Site) -> float:
    samples = next(iter(site.metrics.refusals.collect())).samples
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


# --- webhooks ------------------------------------------------------------------------------------------------------


async def test_a_webhook_without_signature_is_signature_missing(site: Site, acme: Caller) -> None:
    told = await _post(site, {"Content-Type": "application/json", "Webhook-Id": "evt-1"})
    assert told.facts == (401, "signature_missing", "signature-input")
    assert told.headers["WWW-Authenticate"] == 'Signature tag="signed-ledger"'


async def test_a_signature_with_another_tag_is_signature_missing(site: Site, acme: Caller) -> None:
    signed = _signed(acme)
    signed["Signature-Input"] = signed["Signature-Input"].replace("signed-ledger", "another")
    assert (await _post(site, signed)).code == "signature_missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Signature", "sig=:AAAA:", id="a short signature"),
        pytest.param("Signature", "sig=:" + "A" * 86 + "==:", id="another signature"),
        pytest.param("Signature", "sig=AAAA", id="not a byte sequence"),
        pytest.param("Signature-Input", 'sig=("@method");tag="signed-ledger"', id="covers too little"),
        pytest.param("Webhook-Id", "evt-2", id="another webhook id"),
        pytest.param("Content-Digest", "sha-256=:AAAA:", id="another digest"),
    ],
)
async def test_a_signature_that_does_not_hold_is_signature_invalid(
    site: Site, acme: Caller, name: str, value: str
) -> None:
    assert (await _post(site, {**_signed(acme), name: value})).facts[:2] == (401, "signature_invalid")


async def test_another_body_or_path_is_signature_invalid(site: Site, acme: Caller) -> None:
    assert (await _post(site, _signed(acme), BODY.replace(b"1.00", b"9.00"))).code == "signature_invalid"
    assert (await _post(site, _signed(acme), path="/presentment")).code == "signature_invalid"
    assert (await _post(site, _signed(acme), path="/authorisation/")).code == "signature_invalid"


@pytest.mark.parametrize("role", ["operator", "auditor", None])
async def test_a_key_that_is_no_schemes_is_key_unknown_to_webhooks(site: Site, role: str | None) -> None:
    caller = await site.caller(role, "olga") if role else Caller("nobody", site)
    assert (await _post(site, _signed(caller))).facts == (401, "key_unknown", "signature-input")


async def test_a_retired_key_is_key_revoked(site: Site, acme: Caller, olga: Caller) -> None:
    await site.retire(acme, "scheme")
    await site.retire(olga, "operator")
    assert (await _post(site, _signed(acme))).facts == (401, "key_revoked", "signature-input")
    assert (await site.get(olga, "/entries/0")).facts == (401, "key_revoked", "signature-input")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param({"created": -300}, 201, id="300 s old"),
        pytest.param({"created": 300}, 201, id="300 s ahead"),
        pytest.param({"created": -301}, 401, id="301 s old"),
        pytest.param({"created": 301}, 401, id="301 s ahead"),
        pytest.param({"created": 0, "expires": 1}, 201, id="not yet expired"),
        pytest.param({"created": -10, "expires": -1}, 401, id="expired"),
    ],
)
async def test_a_signature_must_be_fresh(site: Site, acme: Caller, how: dict[str, int], expected: int) -> None:
    now = site.world.clock() // 1_000_000
    told = await _post(site, _signed(acme, **{name: now + offset for name, offset in how.items()}))
    assert told.status == expected
    assert expected == 201 or told.facts == (401, "signature_expired", "signature-input")


async def test_a_signature_for_another_host_is_authority_unknown(site: Site, acme: Caller, olga: Caller) -> None:
    signed = {**_signed(acme, base="http://other.example"), "Host": "other.example"}
    assert (await _post(site, signed)).facts == (401, "authority_unknown", "@authority")
    read = {**olga.signed("GET", "/entries/0", base="http://other.example"), "Host": "other.example"}
    assert (await site.send("GET", "/entries/0", read)).code == "authority_unknown"


async def test_a_host_in_capitals_is_the_same_host(site: Site, acme: Caller) -> None:
    assert (await _post(site, {**_signed(acme), "Host": AUTHORITY.upper()})).status == 201


async def test_more_signed_bytes_than_evidence_holds_are_too_large(site: Site, acme: Caller) -> None:
    told = await _post(site, _signed(acme, extra={"X-Long": "x" * 4096}))
    assert told.facts == (413, "too_large", "signature-input")


async def test_of_two_signatures_the_one_by_a_valid_key_counts(site: Site, acme: Caller) -> None:
    old, new = _signed(Caller("old", site), label="a"), _signed(acme, label="b")
    both = {name: f"{old[name]}, {new[name]}" for name in ("Signature-Input", "Signature")}
    assert (await _post(site, {**new, **both})).status == 201


async def test_only_the_one_spelling_of_a_path_is_answered(site: Site, acme: Caller) -> None:
    for path in ("/%61uthorisation", "/authorisation/.", "//authorisation", "/x/../authorisation", "/authorisation//"):
        signed = acme.signed("POST", path, BODY, "evt-1")
        assert (await _post(site, signed, path=path)).code == "not_found", path
    absolute = (
        f"POST {BASE}/authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await site.bytes(absolute.encode())).startswith(b"HTTP/1.1 404 ")


# --- reads ---------------------------------------------------------------------------------------------------------

READS = [
    "/accounts/card-1",
    "/accounts/card-1/EUR",
    "/accounts/card-1/EUR/statement",
    "/transactions",
    "/transactions/load-1",
    "/entries/0",
]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("role", ["operator", "auditor"])
async def test_operators_and_auditors_read(site: Site, path: str, role: str) -> None:
    assert (await site.get(await site.caller(role, "olga"), path)).status == 200


@pytest.mark.parametrize("path", READS)
async def test_a_schemes_key_does_not_read(site: Site, acme: Caller, path: str) -> None:
    assert (await site.get(acme, path)).facts == (403, "role_not_allowed", "signature-input")


@pytest.mark.parametrize("path", READS)
async def test_an_unsigned_read_is_refused(site: Site, path: str) -> None:
    assert (await site.send("GET", path)).facts == (401, "signature_missing", "signature-input")


async def test_a_read_signed_for_another_query_is_refused(site: Site, olga: Caller) -> None:
    signed = olga.signed("GET", "/accounts/card-1?at=1")
    assert (await site.send("GET", "/accounts/card-1?at=2", signed)).code == "signature_invalid"
    assert (await site.send("GET", "/accounts/card-1", signed)).code == "signature_invalid"


async def test_the_services_own_keys_sign_no_requests(site: Site) -> None:
    nobody = Caller("nobody", site)
    nobody.key = Ed25519PrivateKey.from_private_bytes(site.world.entry._secret[:32])
    assert (await site.get(nobody, "/entries/0")).code == "key_unknown"
    assert (await _post(site, _signed(nobody))).code == "key_unknown"


async def test_a_read_leaves_nothing_in_the_ledger_and_may_be_repeated(site: Site, olga: Caller) -> None:
    head = await site.reader.head()
    signed = olga.signed("GET", "/accounts/card-1")
    answers = [await site.send("GET", "/accounts/card-1", signed) for _ in range(2)]
    assert [each.status for each in answers] == [200, 200]
    assert await site.reader.head() == head


# --- what other processes do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["scheme", "operator"])
async def test_a_key_that_another_process_registered_is_known_at_once(site: Site, role: str) -> None:
    other = await open_ledger(site.world, Metrics())
    caller = Caller("newcomer", site)
    await site.register(caller, role, other)
    await other.close()
    told = await _post(site, _signed(caller)) if role == "scheme" else await site.get(caller, "/entries/0")
    assert told.status == (201 if role == "scheme" else 200)


@pytest.mark.parametrize("role", ["scheme", "operator"])
async def test_a_key_that_another_process_retired_is_refused_at_once(site: Site, role: str) -> None:
    caller = await site.caller(role, "leaver")
    other = await open_ledger(site.world, Metrics())
    await site.retire(caller, role, other)
    await other.close()
    told = await _post(site, _signed(caller)) if role == "scheme" else await site.get(caller, "/entries/0")
    assert (told.status, told.code) == (401, "key_revoked")


async def test_the_registry_shows_what_another_process_registered(site: Site) -> None:
    other = await open_ledger(site.world, Metrics())
    await site.register(Caller("newcomer", site), "auditor", other)
    await other.close()
    told = await site.send("GET", "/keys")
    assert [key["whose"] for key in told.json["keys"] if key["role"] == "auditor"] == ["newcomer"]


# --- what the operator sees ----------------------------------------------------------------------------------------


async def test_refusals_are_counted_by_code(site: Site, acme: Caller) -> None:
    await _post(site, {})
    await _post(site, {"Content-Type": "application/json"})
    await _post(site, {"Content-Type": "application/json"})
    await site.send("GET", "/nowhere")
    counted = {
        code: site.counted("signed_ledger_refusals_total", code=code) for code in ("signature_missing", "not_found")
    }
    assert counted == {"signature_missing": 2, "not_found": 1}
    assert await _refusals(site) == 4


class _Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refused_signatures_are_logged_once_a_second_for_each_code_with_a_count_of_the_others() -> None:
    seconds = _Seconds()
    problems, request = Problems(Metrics(), seconds), make_mocked_request("POST", "/authorisation")
    with capture_logs() as lines:
        for _ in range(5):
            problems.answer(SignatureInvalid("No."), request)
        problems.answer(SignatureMissing("None."), request)
        seconds.now += 1.0
        problems.answer(SignatureInvalid("No."), request)
    assert [(line["code"], line["held_back"]) for line in lines] == [
        ("signature_invalid", 0),
        ("signature_missing", 0),
        ("signature_invalid", 4),
    ]
