"""An entry is sealed and opened: by its ledger, at its seq, under the one key valid there, with its own parts."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import (
    decode_body,
    decode_entry,
    decode_evidence,
    decode_state,
    encode_entry_note,
    encode_entry_text,
    entry_key_name,
)
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import Money
from signed_ledger.records import AccountId, Entry, Evidence, HttpRequest, JournalLine, PartDigest, State
from signed_ledger.sealing import Place, Sealed, open_entry, open_part, seal
from signed_ledger.signing import SoftwareSigner, note_key_id

ORIGIN = "issuer.example/ledger"
KEY, OTHER = SoftwareSigner(bytes(32)), SoftwareSigner(bytes([1]) * 32)
PLACE = Place(ORIGIN, 7, bytes(range(32)), 1_795_428_000_000_000)
BODY = JournalLine(5, 2, 3, "card:c", Money(-1230, "EUR"))
STATE = State(AccountId("card:c", "EUR"), 100, 20)
EVIDENCE = Evidence(
    "rfc9421", HttpRequest("POST", "a", "/p", "", {"x": "y"}, b"{}"), "base", bytes(64), "k", bytes(32), 0
)


def counted() -> Callable[[int], bytes]:
    numbers: Iterator[int] = iter(range(256))
    return lambda size: bytes([next(numbers)]) * size


def sealed(state: State | None = STATE, evidence: Evidence | None = EVIDENCE, place: Place = PLACE) -> Sealed:
    return seal(place, BODY, state=state, evidence=evidence, signer=KEY, random_bytes=counted())


def opened(note: bytes, origin: str = ORIGIN, seq: int = 7, public_key: bytes = KEY.public_key) -> Entry:
    return open_entry(note, origin=origin, seq=seq, public_key=public_key)


def refused_field(note: bytes, **expected: object) -> str:
    with pytest.raises(Invalid) as refused:
        opened(note, **expected)  # type: ignore[arg-type]
    return refused.value.field


# --- sealed ---


@pytest.mark.parametrize("state", [None, STATE], ids=["no state", "a state"])
@pytest.mark.parametrize("evidence", [None, EVIDENCE], ids=["no evidence", "evidence"])
def test_what_is_sealed_opens(state: State | None, evidence: Evidence | None) -> None:
    made = sealed(state, evidence)
    entry = opened(made.note)
    assert (entry.origin, entry.kind, entry.seq, entry.prev, entry.time) == (ORIGIN, "journal", *PLACE[1:])
    assert made.ref == (7, leaf_hash(made.note))
    assert made.time == PLACE.time
    assert decode_body(open_part("body", entry.body, made.parts.body)).body == BODY
    assert (made.parts.state is None, entry.state is None) == (state is None, state is None)
    assert (made.parts.evidence is None, entry.evidence is None) == (evidence is None, evidence is None)
    if state is not None:
        assert decode_state(open_part("state", entry.state, made.parts.state)) == state
    if evidence is not None:
        assert decode_evidence(open_part("evidence", entry.evidence, made.parts.evidence)) == evidence


def test_each_part_has_a_salt_of_its_own() -> None:
    salts = [json.loads(part or b"{}")["salt"] for part in sealed().parts]
    assert salts == [base64.b64encode(bytes([number]) * 16).decode() for number in range(3)]


def test_a_part_that_no_entry_can_name_is_not_sealed() -> None:
    evidence = replace(EVIDENCE, signature_base="x" * 65_536)
    with pytest.raises(AssertionError):
        sealed(evidence=evidence)


# --- not opened ---


def test_an_entry_of_another_ledger_does_not_open() -> None:
    assert refused_field(sealed().note, origin="issuer.example/other") == "entry"


@pytest.mark.parametrize("seq", [0, 6, 8, 70])
def test_an_entry_at_another_seq_does_not_open(seq: int) -> None:
    assert refused_field(sealed().note, seq=seq) == "seq"


def test_an_entry_by_another_key_does_not_open() -> None:
    assert refused_field(sealed().note, public_key=OTHER.public_key) == "signature"


def test_an_entry_that_names_another_key_does_not_open() -> None:
    signed = decode_entry(sealed().note)
    other_id = note_key_id(entry_key_name(ORIGIN), OTHER.public_key)
    note = encode_entry_note(signed.text, ORIGIN, other_id, signed.signature)
    assert refused_field(note) == "signature"
    assert refused_field(note, public_key=OTHER.public_key) == "signature"


def test_a_signature_by_another_key_under_this_ones_id_does_not_open() -> None:
    signed = decode_entry(sealed().note)
    assert refused_field(encode_entry_note(signed.text, ORIGIN, signed.key_id, OTHER.sign(signed.text))) == "signature"


def test_an_entry_signed_for_another_use_does_not_open() -> None:
    """The key id is of the name: the same key signs nothing else for it."""
    text = decode_entry(sealed().note).text
    root_id = note_key_id(f"{ORIGIN}/root", KEY.public_key)
    assert refused_field(encode_entry_note(text, ORIGIN, root_id, KEY.sign(text))) == "signature"


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 8},
        {"kind": "transaction"},
        {"prev": bytes(32)},
        {"time": PLACE.time + 1},
        {"body": PartDigest(bytes(32), 100)},
        {"state": None},
        {"evidence": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_says_something_else_does_not_open(change: dict[str, object]) -> None:
    signed = decode_entry(sealed().note)
    entry = replace(signed.entry, **change)  # type: ignore[arg-type]
    note = encode_entry_note(encode_entry_text(entry), ORIGIN, signed.key_id, signed.signature)
    assert refused_field(note, seq=entry.seq) == "signature"


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(sealed().note) - 1), byte=st.integers(1, 255))
def test_no_byte_of_an_entry_can_be_changed(at: int, byte: int) -> None:
    note = bytearray(sealed().note)
    note[at] ^= byte
    with pytest.raises(Invalid):
        opened(bytes(note))


@pytest.mark.parametrize("note", [b"", b"\n", sealed().note[:-1], sealed().note + b"\n", sealed().note * 2])
def test_what_is_not_an_entry_does_not_open(note: bytes) -> None:
    with pytest.raises(Invalid):
        opened(note)


# --- parts ---

PART = b'{"a":1}'
DIGEST = PartDigest(hashlib.sha256(PART).digest(), len(PART))


@pytest.mark.parametrize("name", ["body", "state", "evidence"])
@pytest.mark.parametrize(
    ("digest", "data", "detail"),
    [
        pytest.param(None, PART, "is not a part of this entry", id="a part that the entry does not name"),
        pytest.param(None, None, "is not a part of this entry", id="no part, and none named"),
        pytest.param(DIGEST, None, "is missing", id="a part that is named and missing"),
        pytest.param(DIGEST, b"", "does not have the digest that its entry names", id="nothing"),
        pytest.param(DIGEST, PART[:-1], "does not have the digest that its entry names", id="a byte less"),
        pytest.param(DIGEST, PART + b" ", "does not have the digest that its entry names", id="a byte more"),
        pytest.param(DIGEST, b'{"a":2}', "does not have the digest that its entry names", id="another byte"),
        pytest.param(
            DIGEST._replace(length=8), PART, "does not have the digest that its entry names", id="another length"
        ),
        pytest.param(
            DIGEST._replace(sha256=bytes(32)),
            PART,
            "does not have the digest that its entry names",
            id="another digest",
        ),
    ],
)
def test_a_part_that_is_not_the_entrys_does_not_open(
    name: str, digest: PartDigest | None, data: bytes | None, detail: str
) -> None:
    with pytest.raises(Invalid) as refused:
        open_part(name, digest, data)
    assert (refused.value.field, refused.value.detail) == (name, detail)


def test_a_part_that_is_the_entrys_is_given_back() -> None:
    assert open_part("body", DIGEST, PART) is PART
