"""Records and bytes: what is encoded is decoded again, and what is decoded has one encoding only."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from signed_ledger.money import BALANCE_MINOR_MAX, Money
from signed_ledger.records import (
    AccountId,
    Body,
    CardTransaction,
    Entry,
    EntryRef,
    Evidence,
    HttpRequest,
    PartDigest,
    Request,
    State,
    Totals,
)
from tests.spoiling import json_values, spoiled
from tests.strategies import accounts, bodies, by_class, keys, naturals, origins, salts, texts, times

few = settings(max_examples=100, deadline=None)
many = settings(max_examples=200, deadline=None)

# --- every record there can be ---

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
standard_evidences = st.builds(
    replace,
    evidences,
    profile=st.just("standard-webhooks-v1a"),
    signature_base=st.builds("{}.{}".format, texts, naturals),
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


@pytest.mark.parametrize("strategy", by_class.values(), ids=by_class)
def test_a_body_is_decoded_as_it_was_encoded(strategy: st.SearchStrategy[Body]) -> None:
    @few
    @given(body=strategy, salt=salts)
    def check(body: Body, salt: bytes) -> None:
        assert decode_body(encode_body(body, salt)) == Salted(body, salt)

    check()


@few
@given(state=states, salt=salts)
def test_a_state_is_decoded_as_it_was_encoded(state: State, salt: bytes) -> None:
    assert decode_state(encode_state(state, salt)) == state


@few
@given(evidence=evidences | standard_evidences, salt=salts)
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
        lambda data: encode_evidence(decode_evidence(data), salt_in(data)),
        st.builds(encode_evidence, evidences | standard_evidences, salts),
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


@every_codec
def test_what_is_spoiled_is_refused_or_means_something_else(codec: Codec) -> None:
    @many
    @given(data=spoiled(codec.good))
    def check(data: bytes) -> None:
        assert_strict(codec.again, data)

    check()


@pytest.mark.parametrize("strategy", by_class.values(), ids=by_class)
def test_a_body_of_any_class_that_is_spoiled_is_refused_or_means_something_else(
    strategy: st.SearchStrategy[Body],
) -> None:
    @few
    @given(data=spoiled(st.builds(encode_body, strategy, salts)))
    def check(data: bytes) -> None:
        assert_strict(CODECS["body"].again, data)

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
POSTED = CardTransaction(
    scheme="s",
    webhook_id="w",
    request=Request("presentment", "t", "c", billing=NOTHING, settlement=NOTHING, final=True),
    decision="posted",
    reason="ok",
    hold_change=NOTHING,
    builds_on=EntryRef(19, bytes(32)),
    totals=Totals(clearings=1, final=True),
    expires=0,
    flags=("late",),
)
TELLING_BYTES = frozenset(b"\x00\t\n\r \"'+,-./019:=AZ[\\]_`az{}\x7f\x80\xbf\xc3\xe2\xff")


@pytest.mark.parametrize(
    ("codec", "good"),
    [
        pytest.param(
            CODECS["body"],
            encode_body(POSTED, bytes(16)),
            id="a body",
        ),
        pytest.param(CODECS["body"], encode_body(POSTED.in_first_form, bytes(16)), id="a body of the first form"),
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
