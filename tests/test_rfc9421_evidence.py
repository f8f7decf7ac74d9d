"""Evidence and properties of the RFC 9421 profile: whatever is changed afterwards, it no longer verifies."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signed_ledger import errors
from signed_ledger.errors import Refusal
from signed_ledger.records import Evidence, HttpRequest, RegisteredKey
from signed_ledger.schemes import READING, SIGNED_FIELDS_BYTES_MAX, reverify, webhook_id
from tests.signing_scheme import (
    BODY,
    NOW,
    SCHEME,
    STRANGER,
    URL,
    as_request,
    check,
    registered,
    send_webhook,
    signed,
    with_fields,
)

GOOD = signed(extra={"X-Note": "a, b"})
KEY = registered(SCHEME)
EVIDENCE = check(GOOD)
READ = as_request(send_webhook.sign_request(SCHEME, "GET", URL, None, created=NOW), "GET", b"")

# --- tampered evidence ---


def changed(**parts: Any) -> Evidence:
    """The evidence with something else in its request."""
    return replace(EVIDENCE, request=replace(EVIDENCE.request, **parts))


def with_field(name: str, value: str) -> Evidence:
    return changed(fields={**EVIDENCE.request.fields, name: value})


TAMPERED = [
    ("profile", replace(EVIDENCE, profile="standard-webhooks"), KEY),
    ("method", changed(method="PUT"), KEY),
    ("authority", changed(authority="elsewhere.example"), KEY),
    ("path", changed(path="/presentment"), KEY),
    ("query", changed(query=""), KEY),
    *((f"field {name}", with_field(name, f"{text} "), KEY) for name, text in EVIDENCE.request.fields.items()),
    ("a field less", changed(fields={n: v for n, v in EVIDENCE.request.fields.items() if n != "x-note"}), KEY),
    ("a field more", with_field("x-other", "a"), KEY),
    ("body", changed(body=BODY.replace(b"1", b"2")), KEY),
    ("signature base", replace(EVIDENCE, signature_base=EVIDENCE.signature_base.replace("batch=7", "batch=8")), KEY),
    ("signature", replace(EVIDENCE, signature=bytes(64)), KEY),
    ("kid", replace(EVIDENCE, kid=registered(STRANGER).kid), KEY),
    ("public key", replace(EVIDENCE, public_key=registered(STRANGER).public_key), KEY),
    ("received 300 s and a microsecond later", replace(EVIDENCE, received=EVIDENCE.received + 300_000_001), KEY),
    ("received 300 s and a microsecond earlier", replace(EVIDENCE, received=EVIDENCE.received - 300_000_001), KEY),
    ("another key", EVIDENCE, registered(STRANGER)),
    ("another key under this kid", EVIDENCE, replace(registered(STRANGER), kid=KEY.kid)),
    ("evidence of a read", check(READ, coverage=READING), KEY),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "key"), [pytest.param(*row[1:], id=row[0]) for row in TAMPERED])
def test_tampered_evidence_does_not_verify(evidence: Evidence, key: RegisteredKey) -> None:
    with pytest.raises(Refusal):
        reverify(evidence, key)


def test_evidence_verifies_by_a_key_that_was_retired_since() -> None:
    reverify(EVIDENCE, KEY)
    reverify(EVIDENCE, replace(KEY, valid_to=7))


def largest() -> HttpRequest:
    """64 components, as many bytes as allowed, all that can be of them quotes, which take two bytes in JSON."""
    body, note, excess = bytes(32 * 1024), "", -SIGNED_FIELDS_BYTES_MAX
    while excess:
        note = '"' * (len(note) - excess)
        extra = {**{f"x{n}": "" for n in range(56)}, "X-Note": note}
        asked = as_request(
            send_webhook.sign_request(SCHEME, "POST", URL, body, "evt-1", created=NOW, extra=extra), body=body
        )
        covered = [asked.method, asked.authority, asked.path, asked.query, *asked.fields.values()]
        excess = sum(map(len, covered)) - len(asked.fields["host"]) - SIGNED_FIELDS_BYTES_MAX
    return asked


def test_the_evidence_of_the_largest_request_fits_a_part() -> None:
    evidence = check(largest())
    text = json.dumps(
        {
            **{name: getattr(evidence.request, name) for name in ("method", "authority", "path", "query")},
            "fields": evidence.request.fields,
            "signature_base": evidence.signature_base,
            "signature": base64.b64encode(evidence.signature).decode(),
            "kid": evidence.kid,
            "public_key": base64.b64encode(evidence.public_key).decode(),
            "body": base64.b64encode(evidence.request.body).decode(),
        }
    )
    assert 58_000 < len(text) < 65_535 - 200, "room for profile, time received and salt"


def test_a_byte_more_than_the_largest_request_is_refused() -> None:
    with pytest.raises(errors.TooLarge):
        check(with_fields(largest(), x0="x"))


# --- the webhook id ---


@pytest.mark.parametrize("value", ["a", "evt_1-A", "x" * 128])
def test_a_webhook_id_is_given(value: str) -> None:
    assert webhook_id(with_fields(EVIDENCE.request, webhook_id=value)) == value


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "a, b", "a.b", "caf\u00e9", "a\n"])
def test_another_webhook_id_is_malformed(value: str) -> None:
    with pytest.raises(errors.Malformed) as refused:
        webhook_id(with_fields(EVIDENCE.request, webhook_id=value))
    assert refused.value.field == "webhook-id"


# --- properties ---

PLACES = ["method", "authority", "path", "query", "body", *sorted(EVIDENCE.request.fields)]


@settings(max_examples=200)
@given(st.sampled_from(PLACES), st.integers(min_value=0), st.characters(min_codepoint=0x20, max_codepoint=0x7E))
def test_any_other_character_in_what_is_signed_is_refused(place: str, position: int, character: str) -> None:
    source = GOOD.body.decode() if place == "body" else str(GOOD.fields.get(place) or getattr(GOOD, place, ""))
    position %= len(source)
    value = source[:position] + character + source[position + 1 :]
    if value == source:
        return
    change: Any = {"fields": {**GOOD.fields, place: value}} if place in GOOD.fields else {place: value}
    if place == "body":
        change = {"body": value.encode()}
    with pytest.raises(Refusal):
        check(replace(GOOD, **change))


GRAMMAR = st.sampled_from([*'"\\ ;=,:()?1-\t\x00\u00e9\ud800', ';tag="signed-ledger"', "created", '"@path"', "sig="])
FIELDS = ["signature-input", "signature", "content-digest", "content-type", "webhook-id"]


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(FIELDS), st.lists(GRAMMAR, max_size=20).map("".join) | st.text(), min_size=1),
    st.integers(0, 400),
)
@example({"signature": ""}, 0)
@example({"signature-input": "*", "signature": "*"}, 0)
def test_arbitrary_headers_are_refused_and_nothing_else(texts: dict[str, str], cut: int) -> None:
    """Each text alone, and set into the midst of the good one. A label is not signed: the same other one is as good."""
    for fields in (texts, {name: GOOD.fields[name][:cut] + texts[name] + GOOD.fields[name][cut:] for name in texts}):
        asked = replace(GOOD, fields={**GOOD.fields, **fields})
        if _without_label(asked.fields) == _without_label(GOOD.fields):
            continue
        with pytest.raises(Refusal):
            check(asked)


def _without_label(fields: Mapping[str, str]) -> dict[str, str]:
    """The header fields, with `label=` taken off both of the signature's where it is one label and the same."""
    label = fields["signature"].partition("=")[0]
    is_label = re.fullmatch(r"[a-z*][a-z0-9_.*-]*", label) and fields["signature-input"].startswith(f"{label}=")
    signed = {name: fields[name].removeprefix(f"{label}=") for name in ("signature-input", "signature")}
    return {**fields, **(signed if is_label else {})}


@given(st.binary(max_size=40), st.text(max_size=10), st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_arbitrary_requests_are_refused_and_nothing_else(
    body: bytes, method: str, authority: str, path: str, query: str
) -> None:
    with pytest.raises(Refusal):
        check(replace(GOOD, body=body, method=method, authority=authority, path=path, query=query))
