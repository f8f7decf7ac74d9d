"""Records and bytes: what is encoded is decoded again, and what is decoded has one encoding only."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.countries import ALPHA_2
from signed_ledger.encoding import (
    Note,
    NoteSignature,
    Salted,
    decode_base64,
    decode_body,
    decode_entry,
    decode_evidence,
    decode_note,
    decode_state,
    decode_time,
    encode_base64,
    encode_body,
    encode_entry_note,
    encode_entry_text,
    encode_evidence,
    encode_note,
    encode_state,
    encode_time,
)
from signed_ledger.errors import Invalid
from signed_ledger.money import BALANCE_MINOR_MAX, MINOR_DIGITS, WIRE_MINOR_MAX, Money
from signed_ledger.records import (
    AccountId,
    Authorisation,
    AuthorisationRequest,
    Body,
    Entry,
    EntryRef,
    Evidence,
    Genesis,
    HttpRequest,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    PartDigest,
    Presentment,
    State,
)
from signed_ledger.records.bodies import AUTHORISATION_DECISIONS
from signed_ledger.records.names import KEY_OPS, ORIGIN, PARTY_ROLES, SERVICE_ROLES

few = settings(max_examples=100, deadline=None)
many = settings(max_examples=200, deadline=None)

# --- every record there can be ---

SAFE_MAX = 2**53 - 1
naturals = st.integers(0, SAFE_MAX)
keys = st.binary(min_size=32, max_size=32)
salts = st.binary(min_size=16, max_size=16)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("AZaz09._-", min_size=1, max_size=64)
webhook_ids = st.text("AZaz09_-", min_size=1, max_size=128)
merchants = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100)
origins = st.from_regex(ORIGIN, fullmatch=True).filter(lambda origin: len(origin) <= 200)
owners = st.one_of(st.just("issuer"), st.builds("{}:{}".format, st.sampled_from(["card", "scheme", "external"]), names))
currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF", *MINOR_DIGITS])
times = st.integers(0, 253_402_300_799_999_999)


def moneys(low: int = 0, high: int = WIRE_MINOR_MAX) -> st.SearchStrategy[Money]:
    return st.builds(Money, st.integers(low, high), currencies)


def amounts(currency: str, low: int, high: int) -> st.SearchStrategy[Money]:
    return st.builds(Money, st.integers(low, high), st.just(currency))


@st.composite
def geneses(draw: st.DrawFn) -> Genesis:
    *roots, entry, checkpoint = draw(st.lists(keys, min_size=3, max_size=6, unique=True))
    threshold = draw(st.integers(1, len(roots)))
    return Genesis(draw(origins), tuple(roots), threshold, entry, checkpoint, draw(texts))


@st.composite
def key_changes(draw: st.DrawFn) -> KeyChange:
    role = draw(st.sampled_from(SERVICE_ROLES + PARTY_ROLES))
    whose = draw(names if role in PARTY_ROLES else origins)
    kid = draw(keys).hex()
    return KeyChange(draw(st.sampled_from(KEY_OPS)), role, kid, draw(keys), whose, draw(naturals), draw(texts))


@st.composite
def authorisations(draw: st.DrawFn) -> Authorisation:
    request = AuthorisationRequest(
        transaction_id=draw(names),
        card_id=draw(names),
        merchant_name=draw(merchants),
        merchant_country=draw(st.sampled_from(sorted(ALPHA_2))),
        merchant_mcc=draw(st.from_regex(r"[0-9]{4}", fullmatch=True)),
        billing=draw(moneys()),
        transaction=draw(moneys()),
    )
    return Authorisation(draw(names), draw(webhook_ids), request, *draw(st.sampled_from(AUTHORISATION_DECISIONS)))


@st.composite
def presentments(draw: st.DrawFn) -> Presentment:
    billing = draw(moneys())
    return Presentment(
        scheme=draw(names),
        webhook_id=draw(webhook_ids),
        transaction_id=draw(names),
        card_id=draw(names),
        billing=billing,
        settlement=draw(moneys()),
        hold_change=draw(amounts(billing.currency, -BALANCE_MINOR_MAX, 0)),
        builds_on=EntryRef(draw(naturals), draw(keys)),
        transaction=draw(st.none() | moneys()),
        presentment_id=draw(st.none() | names),
    )


@st.composite
def journal_lines(draw: st.DrawFn) -> JournalLine:
    lines = draw(st.integers(1, SAFE_MAX))
    amount = draw(moneys(-BALANCE_MINOR_MAX, BALANCE_MINOR_MAX))
    return JournalLine(draw(naturals), draw(st.integers(1, lines)), lines, draw(owners), amount)


accounts = st.builds(AccountId, owners, currencies)
loads = st.builds(Load, names, names, moneys(1))
bodies: st.SearchStrategy[Body] = st.one_of(
    geneses(), key_changes(), st.builds(Opening, accounts), loads, authorisations(), presentments(), journal_lines()
)
states = st.builds(
    State, accounts, st.integers(-BALANCE_MINOR_MAX, BALANCE_MINOR_MAX), st.integers(0, BALANCE_MINOR_MAX)
)
field_names = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+.^_`|~-", min_size=1, max_size=12)
requests = st.builds(
    HttpRequest, texts, texts, texts, texts, st.dictionaries(field_names, texts, max_size=5), st.binary(max_size=60)
)
evidences = st.builds(
    Evidence,
    profile=st.just("rfc9421"),
    request=requests,
    signature_base=texts,
    signature=st.binary(min_size=64, max_size=64),
    kid=texts,
    public_key=keys,
    received=times,
)
digests = st.builds(PartDigest, keys, st.integers(1, 65_535))
entries = st.builds(
    Entry,
    origins,
    st.sampled_from(Entry.KINDS),
    naturals,
    keys,
    times,
    digests,
    st.none() | digests,
    st.none() | digests,
)
note_lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, [*range(32), 127]))))
signatures = st.builds(
    NoteSignature,
    st.from_regex(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]{1,20}", fullmatch=True),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=70),
)
notes = st.builds(
    Note,
    st.lists(note_lines, min_size=1, max_size=5).map(lambda lines: "\n".join(lines) + "\n"),
    st.lists(signatures, min_size=1, max_size=3).map(tuple),
)


@many
@given(body=bodies, salt=salts)
def test_a_body_is_decoded_as_it_was_encoded(body: Body, salt: bytes) -> None:
    assert decode_body(encode_body(body, salt)) == Salted(body, salt)


@few
@given(state=states, salt=salts)
def test_a_state_is_decoded_as_it_was_encoded(state: State, salt: bytes) -> None:
    assert decode_state(encode_state(state, salt)) == state


@few
@given(evidence=evidences, salt=salts)
def test_evidence_is_decoded_as_it_was_encoded(evidence: Evidence, salt: bytes) -> None:
    assert decode_evidence(encode_evidence(evidence, salt)) == evidence


@few
@given(entry=entries, key_id=st.binary(min_size=4, max_size=4), signature=st.binary(min_size=64, max_size=64))
def test_an_entry_is_decoded_as_it_was_encoded(entry: Entry, key_id: bytes, signature: bytes) -> None:
    text = encode_entry_text(entry)
    signed = decode_entry(encode_entry_note(text, entry.origin, key_id, signature))
    assert signed == (entry, text, key_id, signature)


@few
@given(note=notes)
def test_a_note_is_decoded_as_it_was_encoded(note: Note) -> None:
    assert decode_note(encode_note(note)) == note


@few
@given(time=times)
def test_a_time_is_decoded_as_it_was_encoded(time: int) -> None:
    text = encode_time(time)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert decode_time(text) == time


@few
@given(data=st.binary())
def test_base64_is_decoded_as_it_was_encoded(data: bytes) -> None:
    assert decode_base64(encode_base64(data), "data", len(data)) == data


# --- every text there can be: refused, or the one encoding of what it means ---


class Codec(NamedTuple):
    """A decoder, followed by its encoder, and good encodings to spoil."""

    again: Callable[[bytes], bytes]
    good: st.SearchStrategy[bytes]


def salt_in(part: bytes) -> bytes:
    return base64.b64decode(json.loads(part)["salt"])


def entry_again(data: bytes) -> bytes:
    signed = decode_entry(data)
    text = encode_entry_text(signed.entry)
    return encode_entry_note(text, signed.entry.origin, signed.key_id, signed.signature)


CODECS = {
    "body": Codec(lambda data: encode_body(*decode_body(data)), st.builds(encode_body, bodies, salts)),
    "state": Codec(
        lambda data: encode_state(decode_state(data), salt_in(data)), st.builds(encode_state, states, salts)
    ),
    "evidence": Codec(
        lambda data: encode_evidence(decode_evidence(data), salt_in(data)), st.builds(encode_evidence, evidences, salts)
    ),
    "entry": Codec(
        entry_again,
        st.builds(
            lambda entry, key_id: encode_entry_note(encode_entry_text(entry), entry.origin, key_id, bytes(64)),
            entries,
            st.binary(min_size=4, max_size=4),
        ),
    ),
    "note": Codec(lambda data: encode_note(decode_note(data)), st.builds(encode_note, notes)),
}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def assert_strict(again: Callable[[bytes], bytes], data: bytes) -> bool:
    """Whether `data` is accepted; what is accepted is the one encoding of what it means."""
    try:
        encoded = again(data)
    except Invalid:
        return False
    assert encoded == data
    return True


def spoil_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 5)))
    inserted = draw(
        st.sampled_from([b"", data[start:end] * 2, b"\n", b"\n\n", b" ", b"=", b"\xe2\x80\x94"]) | st.binary()
    )
    return data[:start] + inserted + data[end:]


def spoil_escape(draw: st.DrawFn, data: bytes) -> bytes:
    """Write one character as an escape."""
    text = data.decode(errors="replace")
    at = draw(st.integers(0, max(0, len(text) - 1)))
    units = text[at : at + 1].encode("utf-16-be").hex()
    escape = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    return (text[:at] + draw(st.sampled_from([escape, escape.upper().replace("U", "u")])) + text[at + 1 :]).encode()


def spoil_space(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.sampled_from([match.start() for match in re.finditer(rb"[{}\[\]:,]|$", data)]))
    return data[:at] + draw(st.sampled_from([b" ", b"\t", b"\n", b"\r", b"\x00", b"\xc2\xa0"])) + data[at:]


def spoil_number(draw: st.DrawFn, data: bytes) -> bytes:
    """Write a run of digits in another form."""
    found = draw(st.sampled_from([*re.finditer(rb"[0-9]+", data), *re.finditer(rb"$", data)]))
    forms = [
        b"%b.0",
        b"%be0",
        b"%bE+0",
        b"0%b",
        b"-%b",
        b"+%b",
        b"%b.",
        b".%b",
        b"-0",
        b"0x%b",
        b"%b0",
        b" %b",
        b"1e400",
    ]
    form = draw(st.sampled_from(forms))
    return data[: found.start()] + (form % found[0] if b"%b" in form else form) + data[found.end() :]


def spoil_members(draw: st.DrawFn, data: bytes) -> bytes:
    """Change the members of an object: twice, in another order, null, one more, one less, one in another's place."""
    try:
        members = list(json.loads(data).items())
    except (ValueError, AttributeError):
        return data
    at = draw(st.integers(0, max(0, len(members) - 1)))
    change = draw(st.sampled_from(["twice", "order", "null", "more", "less", "instead", "nested"]))
    name, value = members[at] if members else ("kind", "body")
    if change == "order":
        members = draw(st.permutations(members))
    elif change == "twice":
        members.insert(at, (name, value))
    elif change == "less":
        del members[at : at + 1]
    elif change == "more":
        members.append((draw(texts), draw(json_values)))
        members.sort()
    else:
        instead = {"null": None, "instead": draw(json_values), "nested": {name: value}}[change]
        members[at : at + 1] = [(name, instead)]
    dumped = [f"{json.dumps(n)}:{json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for n, v in members]
    return ("{" + ",".join(dumped) + "}").encode(errors="surrogatepass")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SPOILERS = [spoil_bytes, spoil_bytes, spoil_escape, spoil_space, spoil_number, spoil_members]


@st.composite
def spoiled(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    data = draw(good)
    for spoil in draw(st.lists(st.sampled_from(SPOILERS), min_size=1, max_size=2)):
        data = spoil(draw, data)
    return data


@every_codec
def test_what_is_spoiled_is_refused_or_means_something_else(codec: Codec) -> None:
    @many
    @given(data=spoiled(codec.good))
    def check(data: bytes) -> None:
        assert_strict(codec.again, data)

    check()


@every_codec
def test_what_is_good_is_accepted(codec: Codec) -> None:
    @few
    @given(data=codec.good)
    def check(data: bytes) -> None:
        assert assert_strict(codec.again, data)

    check()


@every_codec
def test_anything_at_all_is_refused_or_accepted_as_it_is(codec: Codec) -> None:
    @few
    @given(data=st.binary() | texts.map(str.encode) | json_values.map(lambda value: json.dumps(value).encode()))
    def check(data: bytes) -> None:
        assert_strict(codec.again, data)

    check()


NOTHING = Money(0, "JPY")
TELLING_BYTES = frozenset(b"\x00\t\n\r \"'+,-./019:=AZ[\\]_`az{}\x7f\x80\xbf\xc3\xe2\xff")


@pytest.mark.parametrize(
    ("codec", "good"),
    [
        pytest.param(
            CODECS["body"],
            encode_body(Presentment("s", "w", "t", "c", NOTHING, NOTHING, NOTHING, EntryRef(19, bytes(32))), bytes(16)),
            id="a body",
        ),
        pytest.param(CODECS["state"], encode_state(State(AccountId("card:c", "KWD"), -1, 5), bytes(16)), id="a state"),
        pytest.param(
            CODECS["entry"],
            encode_entry_note(
                encode_entry_text(
                    Entry(
                        "a.b/c", "journal", 10, bytes(32), 10**15, PartDigest(bytes(32), 300), PartDigest(bytes(32), 9)
                    )
                ),
                "a.b/c",
                bytes(4),
                bytes(64),
            ),
            id="an entry",
        ),
    ],
)
def test_a_change_of_any_one_byte_is_refused_or_means_something_else(codec: Codec, good: bytes) -> None:
    accepted = 0
    for at in range(len(good)):
        for byte in TELLING_BYTES | {good[at], good[at] ^ 1, good[at] ^ 0x20}:
            accepted += assert_strict(codec.again, good[:at] + bytes([byte]) + good[at + 1 :])
        assert_strict(codec.again, good[:at] + good[at + 1 :])
        assert_strict(codec.again, good[:at] + good[at : at + 1] + good[at:])
    assert accepted > len(good)  # the good one itself once for each byte, and what means something else


@pytest.mark.parametrize("depth", [2, 17, 254, 255, 500, 1023, 1024, 1025, 30_000], ids="{} levels".format)
@every_codec
def test_nesting_is_refused_at_any_depth(codec: Codec, depth: int) -> None:
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}")):
        inner = opened * depth + b'""' + closed * depth
        assert not assert_strict(codec.again, b'{"a":' + inner + b"}")


@few
@given(
    text=times.map(encode_time).flatmap(lambda good: spoiled(st.just(good.encode())))
    | st.binary()
    | texts.map(str.encode)
)
def test_a_time_has_one_text(text: bytes) -> None:
    assert_strict(lambda data: encode_time(decode_time(data.decode(errors="replace"))).encode(), text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-23", "2026-W48-1T10:00:00.000000Z", "20261123T100000.000000Z", "2026-11-23T10:00:00.000000"),
        *("2026-11-23T10:00:00.000000+01:00", "0001-01-01T00:00:00.000000Z", "9999-12-31T24:00:00.000000Z"),
        *("2026-11-23T10:00:00.000000Z\n", "2026-11-23T10:00:00.000000\u005a\u0000", "\ud800", None, 0, b"", []),
    ],
    ids=repr,
)
def test_what_is_not_a_time_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        decode_time(text, "received")
    assert refused.value.field == "received"


@few
@given(text=st.binary(max_size=40).map(base64.b64encode).flatmap(lambda good: spoiled(st.just(good))) | st.binary())
def test_base64_has_one_text(text: bytes) -> None:
    assert_strict(lambda data: encode_base64(decode_base64(data.decode(errors="replace"), "data")).encode(), text)


@pytest.mark.parametrize(
    "text", ["A", "AA", "AA=", "AB==", "AA==\n", " AA==", "A-_=", "AA==AA==", "é", "\ud800", None, 5, b"AA=="]
)
def test_what_is_not_base64_is_refused(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        decode_base64(text, "prev")
    assert refused.value.field == "prev"


@pytest.mark.parametrize("time", [-1, 253_402_300_800_000_000, 2**70, 1.0, True, None], ids=repr)
def test_an_entry_of_no_time_is_not_written(time: Any) -> None:
    with pytest.raises(Invalid, match="from 1970 to 9999"):
        encode_entry_text(Entry("a", "journal", 1, bytes(32), time, PartDigest(bytes(32), 1)))
