"""Standard Webhooks v1a, each check alone: who signs here shares no code with who verifies."""

import base64
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger import errors
from signed_ledger.encoding import decode_evidence, encode_evidence
from signed_ledger.errors import Invalid, Refusal
from signed_ledger.records import Evidence, HttpRequest, RegisteredKey
from signed_ledger.schemes import READING, SIGNATURES_MAX, WEBHOOK, reverify, verify
from tests.signing_scheme import BODY, NOW, OURS, SCHEME, STRANGER, SUCCESSOR, URL, registered, send_webhook

ID, STAMP = "evt-1", str(NOW)
RECEIVED = NOW * 10**6
KEY = registered(SCHEME)
SIGNER = Path(__file__).parent / "interop" / "sign_v1a.sh"


def entry(private: Ed25519PrivateKey = SCHEME, name: str = ID, stamp: str = STAMP, body: bytes = BODY) -> str:
    """A signature as the specification of Standard Webhooks has it, by `cryptography` alone."""
    signature = private.sign(name.encode() + b"." + stamp.encode() + b"." + body)
    return "v1a," + base64.b64encode(signature).decode()


def sent(signatures: str | None = None, *, name: str = ID, stamp: str = STAMP, body: bytes = BODY) -> HttpRequest:
    fields = {
        "host": "issuer.example",
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": entry(SCHEME, name, stamp, body) if signatures is None else signatures,
    }
    return HttpRequest("POST", "issuer.example", "/authorisation", "?", fields, body)


def without(name: str) -> HttpRequest:
    request = sent()
    return replace(request, fields={n: value for n, value in request.fields.items() if n != name})


def with_field(request: HttpRequest, name: str, value: str) -> HttpRequest:
    return replace(request, fields={**request.fields, name: value})


def check(request: HttpRequest, keys: Iterable[RegisteredKey] = (KEY,), received: int = RECEIVED) -> Evidence:
    keys = list(keys)
    by_kid = {key.kid: key for key in keys}
    return verify(request, by_kid.get, received, coverage=WEBHOOK, authorities=OURS, standard_keys=lambda: keys)


EVIDENCE = check(sent())

# --- who signs, and what is kept -------------------------------------------------------------------------------------


def test_an_independent_signer_is_accepted_and_its_three_headers_are_kept() -> None:
    assert (EVIDENCE.profile, EVIDENCE.kid, EVIDENCE.public_key) == ("standard-webhooks-v1a", KEY.kid, KEY.public_key)
    assert set(EVIDENCE.request.fields) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert (EVIDENCE.signature_base, EVIDENCE.request.body) == (f"{ID}.{STAMP}", BODY)
    reverify(EVIDENCE, KEY)


def test_openssl_is_accepted(tmp_path: Path) -> None:
    assert shutil.which("openssl"), "this test signs with the command openssl: apt install openssl"
    key, body = tmp_path / "key.pem", tmp_path / "body"
    key.write_bytes(SCHEME.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    body.write_bytes(BODY)
    command = [str(SIGNER), str(key), ID, STAMP, str(body)]
    signed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert signed == entry()
    assert check(sent(signed)) == EVIDENCE


def test_the_script_for_schemes_is_accepted() -> None:
    headers = send_webhook.sign_standard(SCHEME, BODY, ID, timestamp=NOW)
    request = replace(sent(), fields={name.lower(): value for name, value in headers.items()})
    assert check(request) == EVIDENCE


def test_evidence_is_stored_with_id_and_timestamp_for_the_signature_base() -> None:
    stored = encode_evidence(EVIDENCE, bytes(16))
    assert f'"webhook_id":"{ID}","webhook_timestamp":{STAMP}'.encode() in stored
    assert b"signature_base" not in stored
    assert decode_evidence(stored) == EVIDENCE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(f'"webhook_timestamp":{STAMP}', f'"webhook_timestamp":"{STAMP}"', id="a timestamp as text"),
        pytest.param(f',"webhook_timestamp":{STAMP}', "", id="no timestamp"),
        pytest.param(f',"webhook_id":"{ID}"', "", id="no id"),
        pytest.param(
            f'"signature":"{entry()[4:]}"', f'"signature":"{entry()[4:]}","signature_base":"a"', id="a signature base"
        ),
        pytest.param("standard-webhooks-v1a", "standard-webhooks-v1", id="another version"),
        pytest.param("standard-webhooks-v1a", "rfc9421", id="another profile"),
    ],
)
def test_evidence_of_another_form_is_not_read(old: str, new: str) -> None:
    stored = encode_evidence(EVIDENCE, bytes(16)).decode()
    assert stored.count(old) == 1
    with pytest.raises(Invalid):
        decode_evidence(stored.replace(old, new).encode())


# --- several signatures, several keys --------------------------------------------------------------------------------

OLD = registered(STRANGER, valid_to=7)
NEXT = registered(SUCCESSOR)


@pytest.mark.parametrize(
    ("signatures", "kid"),
    [
        pytest.param(f"v1,{base64.b64encode(bytes(32)).decode()} {entry()}", KEY.kid, id="a symmetric one before"),
        pytest.param(f"v2x,%%% {entry()} v1a0,!", KEY.kid, id="of versions that nobody knows"),
        pytest.param(f"{entry(SUCCESSOR)} {entry()}", NEXT.kid, id="two that verify: the first one counts"),
        pytest.param(f"{entry(STRANGER)} {entry()}", KEY.kid, id="the first by a retired key"),
        pytest.param(" ".join([entry(STRANGER)] * (SIGNATURES_MAX - 1) + [entry()]), KEY.kid, id="as many as allowed"),
    ],
)
def test_the_first_signature_by_a_valid_key_counts(signatures: str, kid: str) -> None:
    evidence = check(sent(signatures), [OLD, KEY, NEXT])
    assert evidence.kid == kid
    assert evidence.request.fields["webhook-signature"] == signatures
    reverify(evidence, next(key for key in (KEY, NEXT) if key.kid == kid))


def test_an_auditor_who_verifies_elsewhere_takes_down_the_signature_that_counted() -> None:
    evidence = check(sent(f"{entry(STRANGER)} {entry()}"))
    taken: list[tuple[bytes, bytes, bytes]] = []

    def take_down(*signed: bytes) -> bool:
        taken.append((signed[0], signed[1], signed[2]))
        return True

    reverify(evidence, KEY, verify_signature=take_down)
    assert taken == [(KEY.public_key, f"{ID}.{STAMP}.".encode() + BODY, base64.b64decode(entry()[4:]))]


def test_a_retired_key_is_told_as_such() -> None:
    with pytest.raises(errors.KeyRevoked, match=OLD.kid):
        check(sent(entry(STRANGER)), [KEY, OLD])


def test_a_signature_is_tried_with_the_keys_retired_last() -> None:
    others = [
        replace(registered(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)), valid_to=n) for n in range(10, 18)
    ]
    assert isinstance(refusal(sent(entry(STRANGER)), [OLD, *others]), errors.SignatureInvalid)
    assert isinstance(refusal(sent(entry(STRANGER)), [*others, replace(OLD, valid_to=99)]), errors.KeyRevoked)


# --- which profile it is ---------------------------------------------------------------------------------------------


def signed_by_both(tag: str = "signed-ledger") -> HttpRequest:
    headers = send_webhook.sign_request(SCHEME, "POST", URL.partition("?")[0], BODY, ID, created=NOW)
    headers["Signature-Input"] = headers["Signature-Input"].replace("signed-ledger", tag)
    request = sent()
    return replace(request, fields={**request.fields, **{name.lower(): value for name, value in headers.items()}})


def test_of_a_request_signed_by_both_rfc_9421_counts() -> None:
    evidence = check(signed_by_both())
    assert evidence.profile == "rfc9421"
    assert isinstance(refusal(with_field(signed_by_both(), "signature", "sig=:AAAA:")), errors.SignatureInvalid)


def test_a_signature_of_rfc_9421_for_somebody_else_does_not_count() -> None:
    assert check(signed_by_both("a-proxys")) == EVIDENCE


def test_where_no_scheme_signs_so_and_for_a_read_it_is_no_signature() -> None:
    for asked in ({"coverage": WEBHOOK, "standard_keys": None}, {"coverage": READING, "standard_keys": lambda: [KEY]}):
        options: dict[str, Any] = asked
        with pytest.raises(errors.SignatureMissing, match="sign it by RFC 9421"):
            verify(sent(), {KEY.kid: KEY}.get, RECEIVED, authorities=OURS, **options)


# --- what is refused -------------------------------------------------------------------------------------------------


def refusal(request: HttpRequest, keys: Iterable[RegisteredKey] = (KEY,), received: int = RECEIVED) -> Refusal:
    with pytest.raises(Refusal) as refused:
        check(request, keys, received)
    return refused.value


def signature_of(*, change: Any) -> str:
    return f"v1a,{change(entry().removeprefix('v1a,'))}"


MISSING, INVALID, EXPIRED = errors.SignatureMissing, errors.SignatureInvalid, errors.SignatureExpired
REFUSED = [
    ("no id", without("webhook-id"), MISSING, "webhook-id"),
    ("an empty id", sent(name=""), MISSING, "webhook-id"),
    ("an id with a dot", sent(name="evt.1"), errors.Malformed, "webhook-id"),
    ("an id of 129", sent(name="x" * 129), errors.Malformed, "webhook-id"),
    ("two ids", sent(name="evt-1, evt-2"), errors.Malformed, "webhook-id"),
    ("no timestamp", without("webhook-timestamp"), MISSING, "webhook-timestamp"),
    ("a timestamp that is no integer", sent(stamp=f"{STAMP}.0"), INVALID, "webhook-timestamp"),
    ("a timestamp with a leading zero", sent(stamp=f"0{STAMP}"), INVALID, "webhook-timestamp"),
    ("a timestamp with a sign", sent(stamp=f"+{STAMP}"), INVALID, "webhook-timestamp"),
    ("a timestamp with a space", sent(stamp=f"{STAMP} "), INVALID, "webhook-timestamp"),
    ("a timestamp in other digits", sent(stamp="١٧٩٥٠٠٠٠٠٠"), INVALID, "webhook-timestamp"),
    ("a timestamp in milliseconds", sent(stamp=f"{STAMP}000"), EXPIRED, "webhook-timestamp"),
    ("a timestamp beyond all", sent(stamp="9" * 400), INVALID, "webhook-timestamp"),
    ("two timestamps", sent(stamp=f"{STAMP}, {STAMP}"), INVALID, "webhook-timestamp"),
    ("301 s old", sent(stamp=str(NOW - 301)), EXPIRED, "webhook-timestamp"),
    ("301 s ahead", sent(stamp=str(NOW + 301)), EXPIRED, "webhook-timestamp"),
    ("an empty signature", sent(""), MISSING, "webhook-signature"),
    ("no v1a signature", sent("v1," + "A" * 43 + "="), MISSING, "webhook-signature"),
    ("v1a in capitals", sent(entry().replace("v1a", "V1A")), MISSING, "webhook-signature"),
    ("no version", sent(entry().removeprefix("v1a,")), INVALID, "webhook-signature"),
    ("two spaces", sent(f"{entry()}  {entry()}"), INVALID, "webhook-signature"),
    ("a space at the end", sent(f"{entry()} "), INVALID, "webhook-signature"),
    ("two header lines, joined", sent(f"{entry()}, {entry()}"), INVALID, "webhook-signature"),
    ("not ASCII", sent(f"{entry()} v1,\u00e9"), INVALID, "webhook-signature"),
    ("half a surrogate pair", sent(f"{entry()} v1,\udc80"), INVALID, "webhook-signature"),
    ("bad base64", sent("v1a,%%%"), INVALID, "webhook-signature"),
    ("no base64", sent("v1a,="), INVALID, "webhook-signature"),
    ("no padding", sent(entry().rstrip("=")), INVALID, "webhook-signature"),
    ("base64 with stray bits", sent("v1a," + "A" * 85 + "B=="), INVALID, "webhook-signature"),
    ("base64 for URLs", sent(signature_of(change=lambda text: f"-_{text[2:]}")), INVALID, "webhook-signature"),
    ("63 bytes", sent("v1a," + base64.b64encode(bytes(63)).decode()), INVALID, "webhook-signature"),
    ("65 bytes", sent("v1a," + base64.b64encode(bytes(65)).decode()), INVALID, "webhook-signature"),
    ("a good one and a bad one", sent(f"{entry()} v1a,AAAA"), INVALID, "webhook-signature"),
    ("too many", sent(" ".join([entry()] * (SIGNATURES_MAX + 1))), errors.TooLarge, "webhook-signature"),
    ("too long", sent(f"{entry()} v1,{'A' * 1024}"), errors.TooLarge, "webhook-signature"),
    ("another key", sent(entry(STRANGER)), INVALID, "webhook-signature"),
    ("another body", replace(sent(), body=BODY.replace(b"1", b"2")), INVALID, "webhook-signature"),
    ("another id", with_field(sent(), "webhook-id", "evt-2"), INVALID, "webhook-signature"),
    ("another timestamp", with_field(sent(), "webhook-timestamp", str(NOW + 1)), INVALID, "webhook-signature"),
    ("a query", replace(sent(), query="?batch=7"), INVALID, "@query"),
    ("another host", replace(sent(), authority="elsewhere.example"), errors.AuthorityUnknown, "@authority"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "kind", "field"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_each_fault_has_its_refusal(request_: HttpRequest, kind: type[Refusal], field: str) -> None:
    refused = refusal(request_)
    assert (refused.code, refused.field) == (kind.code, field)


@pytest.mark.parametrize("offset", [-300, 300])
def test_300_seconds_are_fresh(offset: int) -> None:
    check(sent(stamp=str(NOW + offset)))


def test_who_is_of_no_scheme_that_signs_so_is_told_which_profile_to_use() -> None:
    with pytest.raises(errors.SignatureInvalid, match="must sign by RFC 9421"):
        check(sent(), [NEXT])


# --- tampered evidence -----------------------------------------------------------------------------------------------


def changed(**parts: Any) -> Evidence:
    return replace(EVIDENCE, request=replace(EVIDENCE.request, **parts))


TAMPERED = [
    ("profile", replace(EVIDENCE, profile="rfc9421"), KEY),
    ("a profile that nobody knows", replace(EVIDENCE, profile="standard-webhooks"), KEY),
    ("query", changed(query="?a"), KEY),
    ("no query", changed(query=""), KEY),
    *(
        (f"field {name}", replace(EVIDENCE, request=with_field(EVIDENCE.request, name, f"{value}0")), KEY)
        for name, value in EVIDENCE.request.fields.items()
    ),
    ("a signature more", changed(fields={**EVIDENCE.request.fields, "webhook-signature": entry(STRANGER)}), KEY),
    ("a field more", replace(EVIDENCE, request=with_field(EVIDENCE.request, "host", "issuer.example")), KEY),
    ("body", changed(body=BODY.replace(b"1", b"2")), KEY),
    ("id of what was signed", replace(EVIDENCE, signature_base=f"evt-2.{STAMP}"), KEY),
    ("timestamp of what was signed", replace(EVIDENCE, signature_base=f"{ID}.{NOW + 1}"), KEY),
    ("signature", replace(EVIDENCE, signature=bytes(64)), KEY),
    ("kid", replace(EVIDENCE, kid=NEXT.kid), KEY),
    ("public key", replace(EVIDENCE, public_key=NEXT.public_key), KEY),
    ("received 300 s and a microsecond later", replace(EVIDENCE, received=RECEIVED + 300_000_001), KEY),
    ("received 300 s and a microsecond earlier", replace(EVIDENCE, received=RECEIVED - 300_000_001), KEY),
    ("another key", EVIDENCE, NEXT),
    ("another key under this kid", EVIDENCE, replace(NEXT, kid=KEY.kid)),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "key"), [pytest.param(*row[1:], id=row[0]) for row in TAMPERED])
def test_tampered_evidence_does_not_verify(evidence: Evidence, key: RegisteredKey) -> None:
    with pytest.raises(Refusal):
        reverify(evidence, key)


def test_evidence_verifies_by_a_key_that_was_retired_since() -> None:
    reverify(EVIDENCE, replace(KEY, valid_to=7))


@settings(max_examples=200)
@given(
    st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
    st.text(max_size=20) | st.text("v1a,= .A+/", max_size=20),
    st.integers(0, 100),
)
def test_arbitrary_headers_are_refused_and_nothing_else(name: str, text: str, cut: int) -> None:
    """Each text alone, and set into the midst of the good one; a signature of another version may be added."""
    good = sent()
    for value in (text, good.fields[name][:cut] + text + good.fields[name][cut:]):
        if value == good.fields[name]:
            continue
        try:
            evidence = check(with_field(good, name, value))
        except Refusal:
            continue
        assert name == "webhook-signature"
        assert entry() in value.split(" ")
        assert evidence.signature == EVIDENCE.signature
