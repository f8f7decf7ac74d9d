"""The RFC 9421 profile beside the RFC's own example, and beside the package `http-message-signatures`.

What the package signs we accept, what a Scheme of ours signs it accepts; where the two part, the table says why.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver, algorithms

from signed_ledger.errors import Refusal, SignatureMissing
from signed_ledger.records import HttpRequest
from signed_ledger.schemes import READING, TAG, WEBHOOK, Coverage, verify
from signed_ledger.schemes.rfc9421 import signature_base
from signed_ledger.schemes.structured import (
    parse_byte_sequences,
    parse_inner_lists,
    read_bytes,
    read_items,
    read_params,
)
from signed_ledger.signing import verify as verify_ed25519
from tests.signing_scheme import BODY, SCHEME, STRANGER, SUCCESSOR, URL, registered, send_webhook

VECTOR = json.loads((Path(__file__).parent / "vectors" / "httpsig" / "rfc9421-b26-ed25519.json").read_text())
KEYS = {registered(private).kid: private for private in (SCHEME, SUCCESSOR)}


@dataclass
class Message:
    """A request as the package takes it; `seconds` is how much later than now it comes."""

    method: str = "POST"
    url: str = URL
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = BODY


def accepted_by_us(message: Message, coverage: Coverage = WEBHOOK) -> bool:
    rest, _, query = message.url.removeprefix("https://").partition("?")
    authority, _, path = rest.partition("/")
    fields = {name.lower(): value for name, value in message.headers.items()}
    request = HttpRequest(message.method, authority, f"/{path}", query and f"?{query}", fields, message.body)
    find_key = {kid: registered(private) for kid, private in KEYS.items()}.get
    try:
        verify(request, find_key, time.time_ns() // 1000, coverage=coverage, authorities={"issuer.example"})
    except Refusal:
        return False
    return True


def resolver() -> MappingKeyResolver:
    return MappingKeyResolver(
        public_keys={kid: private.public_key() for kid, private in KEYS.items()}, private_keys={**KEYS}
    )


def accepted_by_package(message: Message, coverage: Coverage = WEBHOOK) -> bool:
    verifier: Any = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=resolver())
    body = message.body if "content-digest" in coverage.components else None
    try:
        verifier.verify(message, expect_tag=TAG, require_components=coverage.components, body=body)
    except Exception:  # it raises several kinds, not all of them its own
        return False
    return True


def signed_by_package(covered: tuple[str, ...] = WEBHOOK.components, **options: Any) -> Message:
    message = Message(headers={"Content-Type": "application/json", "Webhook-Id": "evt-1"})
    signer: Any = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=resolver())
    kid = registered(SCHEME).kid
    signer.sign(message, **{"key_id": kid, "tag": TAG, "covered_component_ids": covered, "body": BODY, **options})
    return message


def signed_by_us(**options: Any) -> Message:
    return Message(headers=send_webhook.sign_request(SCHEME, "POST", URL, BODY, "evt-1", **options))


# --- RFC 9421 appendix B.2.6 ---


def vector_request() -> HttpRequest:
    fields = {name.lower(): value for name, value in VECTOR["request"]["headers"]}
    fields |= {"signature-input": VECTOR["signature_input"], "signature": VECTOR["signature"]}
    return HttpRequest(
        "POST", fields["host"], "/foo", "?param=Value&Pet=dog", fields, VECTOR["request"]["body"].encode()
    )


def test_the_example_of_the_rfc_is_read_rebuilt_and_verified() -> None:
    request = vector_request()
    member = parse_inner_lists(request.fields["signature-input"], "signature-input")["sig-b26"]
    derived = {"@method": request.method, "@path": request.path, "@authority": request.authority}
    values = [(derived | dict(request.fields))[name] for name in read_items(member)]
    base = signature_base(read_items(member), values, member.text)
    assert base == VECTOR["signature_base"]
    assert read_params(member, "signature-input") == {"created": 1618884473, "keyid": "test-key-ed25519"}
    public_key: Any = load_der_public_key(base64.b64decode(VECTOR["public_key_pem_b64_spki"]))
    signature = read_bytes(parse_byte_sequences(request.fields["signature"], "signature")["sig-b26"], "signature")
    assert verify_ed25519(public_key.public_bytes_raw(), base.encode(), signature)
    assert not verify_ed25519(public_key.public_bytes_raw(), base.encode() + b" ", signature)


def test_the_example_of_the_rfc_is_not_of_our_profile() -> None:
    with pytest.raises(SignatureMissing):
        verify(vector_request(), lambda _: None, 0, coverage=READING, authorities=None)


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_the_digests_of_rfc_9530_are_read(algorithm: str) -> None:
    digest = VECTOR["content_digest"]
    (text,) = parse_byte_sequences(f"{algorithm}=:{digest[algorithm]}:", "content-digest").values()
    assert (
        read_bytes(text, "content-digest") == hashlib.new(algorithm.replace("-", ""), digest["body"].encode()).digest()
    )


# --- both directions ---


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as it signs by itself, with alg"),
        pytest.param({"include_alg": False}, id="without alg"),
        pytest.param({"nonce": 'a"\\b'}, id="a nonce with escapes"),
        pytest.param({"expires": datetime.now(UTC) + timedelta(hours=6)}, id="with expires"),
        pytest.param({"label": "sig1", "key_id": registered(SUCCESSOR).kid}, id="another label and key"),
        pytest.param({"covered": tuple(reversed(WEBHOOK.components))}, id="components in another order"),
    ],
)
def test_what_the_package_signs_we_accept(options: Any) -> None:
    message = signed_by_package(**options)
    assert accepted_by_package(message)
    assert accepted_by_us(message)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="the least"),
        pytest.param({"nonce": "n", "expires": int(time.time()) + 21_600, "label": "a"}, id="nonce, expires, label"),
        pytest.param({"extra": {"Date": "Tue, 20 Apr 2021 02:07:55 GMT", "X-Empty": ""}}, id="more headers"),
    ],
)
def test_what_we_sign_the_package_accepts(options: Any) -> None:
    message = signed_by_us(**options)
    assert accepted_by_us(message)
    assert accepted_by_package(message)


def test_a_read_is_accepted_by_both() -> None:
    message = Message(method="GET", headers=send_webhook.sign_request(SCHEME, "GET", URL, None), body=b"")
    assert accepted_by_us(message, READING)
    assert accepted_by_package(message, READING)


# --- where both agree, and where they part ---


def header(name: str, change: Callable[[str], str]) -> Message:
    message = signed_by_us()
    assert change(message.headers[name]) != message.headers[name]
    message.headers[name] = change(message.headers[name])
    return message


def other(**parts: Any) -> Message:
    message = signed_by_us(extra={"X-Signed": "a"})
    message.headers |= parts.pop("headers", {})
    for name, value in parts.items():
        setattr(message, name, value)
    return message


def inserted(old: str, new: str) -> Message:
    return header("Signature-Input", lambda text: text.replace(old, new, 1))


def twice() -> Message:
    message = signed_by_us()
    return Message(headers=message.headers | {n: f"{message.headers[n]}, {message.headers[n]}" for n in SIGNED})


def of_another() -> Message:
    """Another party signed too, with another tag, before us."""
    ours, theirs = signed_by_us().headers, send_webhook.sign_request(STRANGER, "POST", URL, BODY, "evt-1", label="b")
    theirs["Signature-Input"] = theirs["Signature-Input"].replace(TAG, "gateway")
    return Message(headers=ours | {name: f"{theirs[name]}, {ours[name]}" for name in SIGNED})


def signature(change: Callable[[str], str]) -> Message:
    return header("Signature", change)


def earlier() -> Message:
    return header("Signature-Input", lambda text: re.sub(r"=(\d+);", lambda found: f"={int(found[1]) - 1};", text))


SIGNED = ("Signature-Input", "Signature")
NOW = int(time.time())
STRAY = {"A": "B", "Q": "R", "g": "h", "w": "x"}  # the last character before ==, with one of its four stray bits set
WITH_SF = (*WEBHOOK.components, '"content-digest";sf')
WITH_TARGET_URI = (*WEBHOOK.components, "@target-uri")
UNKNOWN_DIGEST = {"Content-Digest": f"{send_webhook.content_digest(BODY)}, x=:AA==:"}
AGREED = [
    ("untouched", True, signed_by_us),
    ("a header that is not covered", True, lambda: other(headers={"X-Other": "b"})),
    ("a second signature, of another tag", True, of_another),
    ("another method", False, lambda: other(method="PUT")),
    ("another path", False, lambda: other(url=URL.replace("authorisation", "presentment"))),
    ("another query", False, lambda: other(url=URL.replace("7", "8"))),
    ("no query", False, lambda: other(url=URL.partition("?")[0])),
    ("another host", False, lambda: other(url=URL.replace("issuer", "elsewhere"))),
    ("another body", False, lambda: other(body=BODY + b" ")),
    ("another digest", False, lambda: header("Content-Digest", lambda _: send_webhook.content_digest(b""))),
    ("another type", False, lambda: header("Content-Type", lambda text: f"{text}; charset=utf-8")),
    ("another id", False, lambda: header("Webhook-Id", lambda _: "evt-2")),
    ("another value of a further covered header", False, lambda: other(headers={"X-Signed": "b"})),
    ("another created", False, earlier),
    ("another key", False, lambda: inserted(registered(SCHEME).kid, registered(SUCCESSOR).kid)),
    ("an unknown key", False, lambda: inserted(registered(SCHEME).kid, "0" * 64)),
    ("an unknown parameter", False, lambda: inserted(";tag", ';x="y";tag')),
    ("a component less", False, lambda: inserted(' "webhook-id"', "")),
    ("a label twice", False, twice),
    ("labels that differ", False, lambda: signature(lambda text: f"x{text}")),
    ("the signature a byte later", False, lambda: signature(lambda text: text.replace(":", ":AA", 1)[:-5] + "==:")),
]
PARTED = [
    ("spaces in the list: the text that came must be the signed one", False, lambda: inserted("(", "( ")),
    ("a space before a parameter: likewise", False, lambda: inserted(";tag", "; tag")),
    ("a parameter twice: another reader takes the first", False, lambda: inserted(";created", ";created=1;created")),
    ("no padding: one signature has one text", False, lambda: signature(lambda text: text.replace("==:", ":"))),
    ("a stray bit: likewise", False, lambda: signature(lambda text: f"{text[:-4]}{STRAY[text[-4]]}==:")),
    ("a parameter of Signature: nobody signed it", False, lambda: signature(lambda text: f"{text};a=1")),
    ("signed with ;sf: plain components only", False, lambda: signed_by_package(WITH_SF)),
    ("signed with @target-uri: four derived components only", False, lambda: signed_by_package(WITH_TARGET_URI)),
    ("signed with a tab: printable ASCII only", False, lambda: signed_by_us(extra={"X-Note": "a\tb"})),
    ("ten minutes old: it allows a day, we 300 s", False, lambda: signed_by_us(created=NOW - 600)),
    ("a minute early: it allows 5 s, we 300 s", True, lambda: signed_by_us(created=int(time.time()) + 60)),
    ("an unknown digest: RFC 9530 section 2 passes it over", True, lambda: signed_by_us(extra=UNKNOWN_DIGEST)),
]


@pytest.mark.parametrize(("accepted", "make"), [pytest.param(*row[1:], id=row[0]) for row in AGREED])
def test_both_judge_alike(accepted: bool, make: Callable[[], Message]) -> None:
    assert accepted_by_us(make()) == accepted
    assert accepted_by_package(make()) == accepted


@pytest.mark.parametrize(("accepted", "make"), [pytest.param(*row[1:], id=row[0]) for row in PARTED])
def test_we_judge_otherwise_and_say_why(accepted: bool, make: Callable[[], Message]) -> None:
    assert accepted_by_us(make()) == accepted
    assert accepted_by_package(make()) != accepted


def test_a_key_is_found_by_the_name_that_the_issuer_registers() -> None:
    private = Ed25519PrivateKey.generate()
    assert send_webhook.kid_of(private) == registered(private).kid
