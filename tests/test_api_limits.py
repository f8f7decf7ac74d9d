"""What a request may be before anything of it is understood: size, time, media type, HTTP itself."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scripts.send_webhook import signature_base
from signed_ledger.errors import Busy, Fault
from tests.api_support import BASE, Caller, Site, Told, serving
from tests.world import AUTHORITY, authorisation

BODY = json.dumps(authorisation("tx-1", "card-1", "1.00")).encode()
TOO_LARGE = (413, "too_large", "body")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path, body_timeout_s=1) as site:
        await site.load("card-1", 10_000)
        yield site


@pytest.fixture
async def acme(site: Site) -> Caller:
    return await site.caller("scheme", "acme")


async def _told(site: Site, head: str, body: bytes = b"") -> Told:
    """Send a request by hand; the answer is held against the OpenAPI document by its code alone."""
    raw = await site.bytes(f"{head}\r\nHost: {AUTHORITY}\r\nConnection: close\r\n\r\n".encode() + body)
    start, _, rest = raw.partition(b"\r\n")
    fields, _, content = rest.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in fields.decode().split("\r\n"))
    return Told(int(start.split()[1]), headers, content)


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1024):
        yield body[start : start + 1024]


# --- size ----------------------------------------------------------------------------------------------------------


async def test_a_body_of_exactly_the_limit_is_read(site: Site, acme: Caller) -> None:
    assert (await site.post(acme, "/authorisation", BODY + b" " * (32_768 - len(BODY)))).status == 201


async def test_a_larger_body_is_413(site: Site, acme: Caller) -> None:
    told = await site.post(acme, "/authorisation", BODY + b" " * (32_769 - len(BODY)))
    assert told.facts == TOO_LARGE


async def test_a_content_length_that_is_too_large_is_413_before_the_body_came(site: Site) -> None:
    reader, writer = await asyncio.open_connection(site.client.host, site.client.port)
    writer.write(f"POST /authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nContent-Length: 99999999\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 0.9)).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_chunked_body_is_read_up_to_the_limit(site: Site, acme: Caller) -> None:
    headers = acme.signed("POST", "/authorisation", BODY, "evt-1")
    assert (await site.send("POST", "/authorisation", headers, _chunks(BODY))).status == 201
    assert (await site.send("POST", "/authorisation", headers, _chunks(b" " * 100_000))).facts == TOO_LARGE


async def test_one_large_chunk_that_came_at_once_is_413(site: Site) -> None:
    chunk = f"{33_000:x}\r\n".encode() + b" " * 33_000 + b"\r\n0\r\n\r\n"
    assert (await _told(site, "POST /authorisation HTTP/1.1\r\nTransfer-Encoding: chunked", chunk)).facts == TOO_LARGE


async def test_chunks_that_are_no_chunks_are_malformed(site: Site) -> None:
    told = await _told(site, "POST /authorisation HTTP/1.1\r\nTransfer-Encoding: chunked", b"zz\r\n")
    assert (told.status, told.code) == (400, "malformed")


async def test_a_read_with_a_large_body_is_413_and_with_a_small_one_is_answered(site: Site) -> None:
    olga = await site.caller("operator", "olga")
    signed = olga.signed("GET", "/entries/0")
    assert (await site.send("GET", "/entries/0", signed, b"x" * 40_000)).facts == TOO_LARGE
    assert (await site.send("GET", "/entries/0", signed, b"x")).status == 200


# --- time ----------------------------------------------------------------------------------------------------------


async def test_a_body_that_does_not_arrive_in_time_is_408(site: Site) -> None:
    told = await _told(site, "POST /authorisation HTTP/1.1\r\nContent-Length: 10", b"12345")
    assert (told.status, told.code, told.json["retryable"]) == (408, "request_timeout", True)


async def test_a_body_that_trickles_is_408_all_the_same(site: Site) -> None:
    reader, writer = await asyncio.open_connection(site.client.host, site.client.port)
    writer.write(f"POST /authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nContent-Length: 1000\r\n\r\n".encode())
    started = asyncio.get_running_loop().time()
    answer = asyncio.create_task(reader.readline())
    while not answer.done():
        writer.write(b"x")
        await asyncio.sleep(0.1)
    assert answer.result().startswith(b"HTTP/1.1 408 ")
    assert asyncio.get_running_loop().time() - started < 2
    writer.close()


async def test_a_caller_that_hangs_up_in_the_middle_of_a_body_disturbs_nobody(site: Site, acme: Caller) -> None:
    _, writer = await asyncio.open_connection(site.client.host, site.client.port)
    writer.write(f"POST /authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nContent-Length: 1000\r\n\r\nx".encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    assert (await site.post(acme, "/authorisation", BODY)).status == 201
    assert site.counted("signed_ledger_refusals_total", code="internal_error") == 0


async def test_a_caller_that_hangs_up_before_the_answer_is_still_decided(site: Site, acme: Caller) -> None:
    signed = acme.signed("POST", "/authorisation", BODY, "evt-1")
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    _, writer = await asyncio.open_connection(site.client.host, site.client.port)
    sent = f"POST /authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nContent-Length: {len(BODY)}\r\n{head}\r\n"
    writer.write(sent.encode() + BODY)
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.1)
    told = await site.post(acme, "/authorisation", BODY, "evt-1")
    assert (told.status, told.headers["Idempotent-Replayed"]) == (201, "true")


# --- media type ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
async def test_json_is_taken_however_it_is_spelled(site: Site, acme: Caller, media: str) -> None:
    signed = acme.signed("POST", "/authorisation", BODY, "evt-1")
    signed["Content-Type"] = media
    signature = acme.key.sign(signature_base("POST", f"{BASE}/authorisation", signed).encode())
    signed["Signature"] = f"sig=:{base64.b64encode(signature).decode()}:"
    assert (await site.send("POST", "/authorisation", signed, BODY)).status == 201


@pytest.mark.parametrize(
    "media",
    ["", "text/plain", "application/jsonx", "application/json; charset=latin-1", "application/json, text/plain"],
)
async def test_another_media_type_is_415(site: Site, acme: Caller, media: str) -> None:
    told = await site.post(acme, "/authorisation", BODY, headers={"Content-Type": media})
    assert told.facts == (415, "unsupported_media_type", "content-type")


async def test_no_media_type_is_415(site: Site) -> None:
    assert (await site.send("POST", "/authorisation", {}, BODY)).facts[0] == 415


async def test_a_compressed_body_is_415_and_never_unpacked(site: Site, acme: Caller) -> None:
    packed = gzip.compress(BODY)
    told = await site.post(acme, "/authorisation", packed, headers={"Content-Encoding": "gzip"})
    assert told.facts == (415, "unsupported_media_type", "content-encoding")


# --- HTTP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/authorisation", "POST"),
        ("PUT", "/presentment/", "POST"),
        ("DELETE", "/entries/1", "GET"),
        ("POST", "/accounts/card-1", "GET"),
        ("HEAD", "/transactions", "GET"),
        ("POST", "/keys", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_and_told_which_are_taken(site: Site, method: str, path: str, allow: str) -> None:
    told = await site.send(method, path)
    assert (told.status, told.headers["Allow"]) == (405, allow)
    assert method == "HEAD" or told.code == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/authorisations",
        "/expiry",
        "/settlement",
        "/card",
        "/docs/",
        "/accounts",
        "/%00",
    ],
)
async def test_another_path_is_404(site: Site, path: str) -> None:
    assert (await site.send("GET", path)).facts == (404, "not_found", None)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("rubbish", id="not HTTP"),
        pytest.param("GET /healthz HTTP/9.9", id="another version"),
        pytest.param("GET /healthz HTTP/1.1\r\nContent-Length: x", id="a length that is no number"),
        pytest.param("GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", id="two lengths"),
        pytest.param("GET /healthz HTTP/1.1\r\nX-Long: " + "x" * 8_200, id="a long header field"),
        pytest.param("GET /" + "x" * 8_200 + " HTTP/1.1", id="a long path"),
        pytest.param("GET /healthz HTTP/1.1" + "\r\nX: y" * 70, id="many header fields"),
        pytest.param("GET /healthz HTTP/1.1\r\nBad Name: x", id="a header name with a space"),
    ],
)
async def test_bytes_that_are_not_http_are_400_and_a_problem_document(
    site: Site, sent: str, capfd: Any, caplog: Any
) -> None:
    told = await _told(site, sent)
    assert told.facts == (400, "malformed", None)
    assert told.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in capfd.readouterr().err
    assert not caplog.records


async def test_expect_100_continue_is_answered_before_the_body(site: Site, acme: Caller) -> None:
    signed = acme.signed("POST", "/authorisation", BODY, "evt-1")
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    reader, writer = await asyncio.open_connection(site.client.host, site.client.port)
    start = f"POST /authorisation HTTP/1.1\r\nHost: {AUTHORITY}\r\nConnection: close\r\nExpect: 100-continue\r\n"
    writer.write(f"{start}Content-Length: {len(BODY)}\r\n{head}\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_expect_100_continue_with_a_large_body_is_413_at_once(site: Site) -> None:
    head = "POST /authorisation HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999"
    assert (await _told(site, head)).facts == TOO_LARGE


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(RuntimeError("a secret of ours"), 500, "internal_error", id="our own mistake"),
        pytest.param(Fault("a secret of ours"), 500, "internal_error", id="a store that fails"),
        pytest.param(Busy("a secret of ours"), 503, "overloaded", id="a store that is busy"),
    ],
)
async def test_a_caller_is_told_nothing_of_what_failed_within(
    site: Site, monkeypatch: Any, capfd: Any, error: Exception, status: int, code: str
) -> None:
    async def fail(seq: int) -> None:
        raise error

    olga = await site.caller("operator", "olga")
    monkeypatch.setattr(site.reader, "entry", fail)
    told = await site.get(olga, "/entries/0")
    assert (told.status, told.code, told.json["retryable"]) == (status, code, True)
    assert b"secret" not in told.raw
    assert ("a secret of ours" in capfd.readouterr().out) == (status == 500)


async def test_answers_name_no_software(site: Site) -> None:
    told = await site.send("GET", "/healthz")
    assert told.headers["Server"] == "signed-ledger"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
