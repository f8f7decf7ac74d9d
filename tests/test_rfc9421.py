"""The RFC 9421 profile: what is refused and in which order, and that evidence verifies again from itself."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from signed_ledger import errors
from signed_ledger.errors import Refusal
from signed_ledger.records import HttpRequest, RegisteredKey
from signed_ledger.schemes import READING, SIGNED_FIELDS_BYTES_MAX, WEBHOOK, reverify
from tests.signing_scheme import (
    BODY,
    NOW,
    SCHEME,
    STRANGER,
    SUCCESSOR,
    URL,
    as_request,
    check,
    registered,
    send_webhook,
    signed,
    with_fields,
)


def without(request: HttpRequest, *names: str) -> HttpRequest:
    return replace(request, fields={name: request.fields[name] for name in request.fields if name not in names})


def rewritten(pattern: str, by: str, headers: Mapping[str, str] | None = None) -> HttpRequest:
    """A request whose Signature-Input was changed before it was signed, so that its form alone can be at fault."""
    made = send_webhook.sign_request(SCHEME, "POST", URL, BODY, "evt-1", created=NOW) | (headers or {})
    made["Signature-Input"], changes = re.subn(pattern, by, made["Signature-Input"], count=1)
    assert changes
    signature = SCHEME.sign(send_webhook.signature_base("POST", URL, made).encode())
    made["Signature"] = f"sig=:{base64.b64encode(signature).decode()}:"
    return as_request(made)


def merged(*requests: HttpRequest) -> HttpRequest:
    """One request with the signatures of all, in this order."""
    names = ("signature-input", "signature")
    joined = {name: ", ".join(request.fields[name] for request in requests) for name in names}
    return replace(requests[0], fields={**requests[0].fields, **joined})


def refusal_of(attempt: Callable[[], object]) -> tuple[type[Refusal], str | None]:
    with pytest.raises(Refusal) as refused:
        attempt()
    assert re.fullmatch(r"[A-Z\"@].*\.", refused.value.detail), "one sentence"
    return type(refused.value), refused.value.field


GOOD = signed()
KEY = registered(SCHEME)
DIGEST = send_webhook.content_digest(BODY)
DIGEST_512 = f"sha-512=:{base64.b64encode(hashlib.sha512(BODY).digest()).decode()}:"
WRONG = send_webhook.content_digest(b"").replace("256", "512")
INPUT, SIGNATURE = GOOD.fields["signature-input"], GOOD.fields["signature"]
SIGNATURE_OF_STRANGER = signed(STRANGER).fields["signature"]


def covering(name: str) -> HttpRequest:
    return with_fields(GOOD, signature_input=INPUT.replace(")", f' "{name}")'))


def digested(text: str) -> HttpRequest:
    return signed(extra={"Content-Digest": text})


# --- refusals, in the order of the checks ---

MISSING, INVALID, EXPIRED = errors.SignatureMissing, errors.SignatureInvalid, errors.SignatureExpired
IN = "signature-input"
LONG = "x" * SIGNED_FIELDS_BYTES_MAX
REFUSED = [
    ("not signed", MISSING, IN, without(GOOD, "signature-input", "signature")),
    ("no Signature-Input", MISSING, IN, without(GOOD, "signature-input")),
    ("no Signature", MISSING, "signature", without(GOOD, "signature")),
    ("the tag of another", MISSING, IN, rewritten("signed-ledger", "other")),
    ("no tag", MISSING, IN, rewritten(';tag=".*"', "")),
    ("a parameter that ends like tag", MISSING, IN, rewritten("tag", "xtag")),
    ("a token as tag", MISSING, IN, rewritten('"signed-ledger"', "signed-ledger")),
    ("our tag inside of a string", MISSING, IN, rewritten(";tag=.*", r';n=";tag=\\"signed-ledger\\""')),
    ("signature fields too long", errors.TooLarge, IN, with_fields(GOOD, signature_input=LONG)),
    ("malformed Signature-Input", INVALID, IN, with_fields(GOOD, signature_input=f"{INPUT}, x")),
    ("malformed Signature", INVALID, "signature", with_fields(GOOD, signature=f"{SIGNATURE}, x")),
    ("a label twice", INVALID, IN, merged(GOOD, GOOD)),
    ("labels that differ", INVALID, "signature", with_fields(GOOD, signature=f"x{SIGNATURE}")),
    ("a label too many", INVALID, "signature", with_fields(GOOD, signature=f"{SIGNATURE}, b=:AA==:")),
    ("a space in our list", INVALID, IN, rewritten(r"\(", "( ")),
    ("a space before our tag", INVALID, IN, rewritten(";tag", "; tag")),
    ("a component with a parameter", INVALID, IN, rewritten('-type"', '-type";sf')),
    ("a parameter twice", INVALID, IN, rewritten(";tag", ';tag="x";tag')),
    ("an unknown parameter", INVALID, IN, rewritten(";tag", ';x="y";tag')),
    ("a string as created", INVALID, IN, rewritten(r"=(\d+);", r'="\1";')),
    ("a decimal as created", INVALID, IN, rewritten(r"=(\d+);", r"=\1.0;")),
    ("a string as expires", INVALID, IN, rewritten(";tag", ';expires="1";tag')),
    ("an integer as keyid", INVALID, IN, rewritten('keyid="[^"]*"', "keyid=1")),
    ("an integer as nonce", INVALID, IN, rewritten(";tag", ";nonce=1;tag")),
    ("a token as alg", INVALID, IN, rewritten(";tag", ";alg=ed25519;tag")),
    ("an integer as alg", INVALID, IN, rewritten(";tag", ";alg=1;tag")),
    ("another alg", INVALID, IN, rewritten(";tag", ';alg="rsa-v1_5-sha256";tag')),
    ("no created", INVALID, IN, rewritten(r";created=\d+", "")),
    ("no keyid", INVALID, IN, rewritten(';keyid="[^"]*"', "")),
    ("a component twice", INVALID, IN, rewritten('"@path"', '"@path" "@path"')),
    ("65 components", INVALID, IN, signed(extra={f"x{n}": "" for n in range(58)})),
    ("no components", INVALID, "@method", rewritten(r"\(.*\)", "()")),
    *((f"{name} not covered", INVALID, name, rewritten(f'"{name}" ?', "")) for name in WEBHOOK.components[:-1]),
    ("webhook-id not covered", INVALID, "webhook-id", rewritten(' "webhook-id"', "")),
    ("another derived component", INVALID, IN, covering("@status")),
    ("a header by its upper-case name", INVALID, IN, covering("Host")),
    ("a signature without padding", INVALID, "signature", with_fields(GOOD, signature=SIGNATURE.replace("=:", ":"))),
    ("a signature with a parameter", INVALID, "signature", with_fields(GOOD, signature=f"{SIGNATURE};a=1")),
    ("a key of nobody", errors.KeyUnknown, IN, signed(STRANGER)),
    ("a keyid that is not a kid", errors.KeyUnknown, IN, rewritten('keyid="[^"]*"', r'keyid="\\"x"')),
    ("expires before created", EXPIRED, IN, signed(expires=NOW - 1)),
    ("created before 1970", EXPIRED, IN, rewritten(r"=\d+;", "=-999999999999999;")),
    ("for another host", errors.AuthorityUnknown, "@authority", replace(GOOD, authority="issuer.example:8080")),
    ("a covered header that is not there", INVALID, "x", covering("x")),
    ("a covered header that is not ASCII", INVALID, "x-note", signed(extra={"X-Note": "caf\u00e9"})),
    ("a covered header with a tab", INVALID, "x-note", signed(extra={"X-Note": "a\tb"})),
    ("a path with a control character", INVALID, "@path", replace(GOOD, path="/\n")),
    ("a query that is half a character", INVALID, "@query", replace(GOOD, query="?\ud800")),
    ("covered headers too long", errors.TooLarge, IN, signed(extra={"X-Note": LONG[: -len(INPUT + SIGNATURE)]})),
    ("another body", INVALID, "content-digest", replace(GOOD, body=BODY + b" ")),
    ("no body", INVALID, "content-digest", replace(GOOD, body=b"")),
    ("a malformed digest", INVALID, "content-digest", digested("sha-256=x")),
    ("a digest without padding", INVALID, "content-digest", digested("sha-256=:AA:")),
    ("a digest of no algorithm we know", INVALID, "content-digest", digested("md5=:AA==:")),
    ("a digest twice", INVALID, "content-digest", digested(f"{DIGEST}, {DIGEST}")),
    ("one right and one wrong digest", INVALID, "content-digest", digested(f"{DIGEST}, {WRONG}")),
    ("the signature of another request", INVALID, "signature", with_fields(signed(nonce="n"), signature=SIGNATURE)),
    ("the signature of another key", INVALID, "signature", with_fields(GOOD, signature=SIGNATURE_OF_STRANGER)),
    ("a signature of 63 bytes", INVALID, "signature", with_fields(GOOD, signature=f"sig=:{'A' * 84}:")),
    ("an empty signature", INVALID, "signature", with_fields(GOOD, signature="sig=::")),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "field", "asked"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_refused(refusal: type[Refusal], field: str, asked: HttpRequest) -> None:
    assert refusal_of(lambda: check(asked)) == (refusal, field)


def test_the_checks_have_one_order() -> None:
    """A request wrong in every way is refused for the first of them; mended, for the next."""
    dated = signed(expires=NOW + 1, extra={"X-Note": "a\tb", "Content-Digest": WRONG})
    asked = replace(without(dated, "signature"), authority="elsewhere.example")
    keys: list[RegisteredKey] = [registered(STRANGER)]
    received = NOW * 10**6 + 1_000_001

    def refused() -> type[Refusal]:
        return refusal_of(lambda: check(asked, *keys, received=received))[0]

    assert refused() is errors.SignatureMissing
    asked = with_fields(asked, signature=LONG)
    assert refused() is errors.TooLarge
    asked = with_fields(asked, signature="x")
    assert refused() is errors.SignatureInvalid
    asked = with_fields(asked, signature=dated.fields["signature"])
    assert refused() is errors.KeyUnknown
    keys = [registered(SCHEME, valid_to=5)]
    assert refused() is errors.KeyRevoked
    keys = [registered(SCHEME)]
    assert refused() is errors.SignatureExpired
    received -= 1
    assert refused() is errors.AuthorityUnknown
    asked = replace(asked, authority="issuer.example")
    assert refusal_of(lambda: check(asked, received=received))[1] == "x-note"
    asked = with_fields(asked, x_note="a b")
    assert refusal_of(lambda: check(asked, received=received))[1] == "content-digest"
    asked = with_fields(asked, content_digest=DIGEST)
    assert refusal_of(lambda: check(asked, received=received))[1] == "signature"


# --- what is accepted ---

DAY = 86_400


@pytest.mark.parametrize(
    ("asked", "microseconds", "fresh"),
    [
        pytest.param(GOOD, 300_000_000, True, id="created 300 s ago"),
        pytest.param(GOOD, 300_000_001, False, id="created 300 s and a microsecond ago"),
        pytest.param(GOOD, -300_000_000, True, id="created in 300 s"),
        pytest.param(GOOD, -300_000_001, False, id="created in 300 s and a microsecond"),
        pytest.param(signed(expires=NOW + 9), 9_000_000, True, id="expires now"),
        pytest.param(signed(expires=NOW + 9), 9_000_001, False, id="expired a microsecond ago"),
        pytest.param(signed(expires=NOW), -1, True, id="created and expires in a microsecond"),
        pytest.param(signed(expires=NOW + DAY), 300_000_001, False, id="expires tomorrow, but created too long ago"),
    ],
)
def test_fresh_to_the_microsecond(asked: HttpRequest, microseconds: int, fresh: bool) -> None:
    received = NOW * 10**6 + microseconds
    if fresh:
        assert check(asked, received=received).received == received
    else:
        assert refusal_of(lambda: check(asked, received=received)) == (EXPIRED, IN)


FOREIGN = {"signature_input": f'his=("@status";req);tag="x";n=?1, {INPUT}', "signature": f"his=:AAA:, {SIGNATURE}"}
ACCEPTED = [
    ("the least", GOOD),
    ("alg, expires and nonce", rewritten(";tag", f';alg="ed25519";expires={NOW};nonce="\\"\\"";tag')),
    ("parameters in another order", rewritten("(;created=.*);keyid=(.*);tag=(.*)", r";tag=\3;keyid=\2\1")),
    ("components in another order", rewritten('("@method") ("@authority")', r"\2 \1")),
    ("more headers covered, one of them empty", signed(extra={"X-Note": "a, b", "Date": ""})),
    ("64 components", signed(extra={f"x{n}": "" for n in range(57)})),
    ("sha-512", digested(DIGEST_512)),
    ("both digests, and one that nobody knows", digested(f"{DIGEST},{DIGEST_512}, x=:A:")),
    ("another's signature, in forms that are not ours", with_fields(GOOD, **FOREIGN)),
    ("another label", signed(label="*x-1")),
    ("headers that are not covered", with_fields(GOOD, x_note="caf\u00e9\n", signature_="x")),
]  # fmt: skip


@pytest.mark.parametrize("asked", [pytest.param(row[1], id=row[0]) for row in ACCEPTED])
def test_accepted_and_verified_again_from_its_evidence(asked: HttpRequest) -> None:
    evidence = check(asked)
    covered = re.findall(r'"([a-z][^"]*)"', asked.fields["signature-input"].rpartition("(")[2].partition(")")[0])
    assert set(evidence.request.fields) == {*covered, "signature-input", "signature"}
    assert evidence.request.fields.items() <= asked.fields.items()
    assert (evidence.profile, evidence.kid, evidence.public_key) == ("rfc9421", KEY.kid, KEY.public_key)
    assert check(evidence.request) == evidence
    reverify(evidence, KEY)


def test_a_read_needs_neither_body_nor_id() -> None:
    asked = as_request(send_webhook.sign_request(SCHEME, "GET", URL, None, created=NOW), method="GET", body=b"")
    assert set(check(asked, coverage=READING).request.fields) == {"signature-input", "signature"}
    assert refusal_of(lambda: check(asked)) == (INVALID, "content-type")


def test_a_read_that_covers_a_digest_is_held_to_it() -> None:
    asked = as_request(send_webhook.sign_request(SCHEME, "GET", URL, b"", created=NOW), method="GET", body=b"")
    check(asked, coverage=READING)
    assert refusal_of(lambda: check(replace(asked, body=b"x"), coverage=READING)) == (INVALID, "content-digest")


def test_no_query_and_an_empty_query_are_signed_alike() -> None:
    headers = send_webhook.sign_request(SCHEME, "POST", URL.partition("?")[0], BODY, "evt-1", created=NOW)
    for query in ("", "?"):
        evidence = check(replace(as_request(headers), query=query))
        assert '"@query": ?\n' in evidence.signature_base
        assert evidence.request.query == query


# --- several signatures of ours: a rotation ---


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        pytest.param([registered(SCHEME)], SCHEME, id="only the old key is registered"),
        pytest.param([registered(SUCCESSOR)], SUCCESSOR, id="only the new key is registered"),
        pytest.param([registered(SUCCESSOR), registered(SCHEME)], SCHEME, id="both are: the first signature counts"),
        pytest.param([registered(SCHEME, 5), registered(SUCCESSOR)], SUCCESSOR, id="the old key is retired"),
        pytest.param([registered(SCHEME, 5), registered(SUCCESSOR, 6)], None, id="both are retired"),
    ],
)
def test_who_signs_with_an_old_and_a_new_key_is_heard(keys: list[RegisteredKey], chosen: Any) -> None:
    """The second signature covers more: what the evidence of the first does not keep must not be asked of it later."""
    asked = merged(GOOD, signed(SUCCESSOR, label="new", extra={"X-Note": "n"}))
    asked = with_fields(asked, x_note="n")
    if chosen is None:
        assert refusal_of(lambda: check(asked, *keys)) == (errors.KeyRevoked, IN)
        return
    evidence = check(asked, *keys)
    assert evidence.kid == registered(chosen).kid
    assert ("x-note" in evidence.request.fields) == (chosen is SUCCESSOR)
    reverify(evidence, registered(chosen))


def test_every_signature_with_our_tag_must_cover_enough() -> None:
    short = rewritten('"@path" ', "")
    labelled = with_fields(
        short, **{name.replace("-", "_"): f"b{short.fields[name]}" for name in ("signature-input", "signature")}
    )
    assert refusal_of(lambda: check(merged(GOOD, labelled))) == (INVALID, "@path")
