"""Canonical JSON: RFC 8785's own vectors, and another implementation, on the part of JSON that records are made of."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import encode_json
from signed_ledger.encoding.text import DEPTH_MAX, decode_json
from signed_ledger.errors import Invalid

VECTORS = Path(__file__).parent / "vectors" / "jcs" / "testdata"
SAME = ("structures.json", "unicode.json")
"""Of the kinds that records are made of; the one has an integer written 56.0 in its input."""
REFUSED = {
    "arrays.json": "is not a JSON object",
    "french.json": "holds a name that is not ASCII",
    "values.json": "holds null or a number that is not an integer",
    "weird.json": "holds a name that is not ASCII",
}


def output(name: str) -> bytes:
    data = (VECTORS / "output" / name).read_bytes()
    assert data == bytes.fromhex((VECTORS / "outhex" / name.replace(".json", ".txt")).read_text())
    return data


def test_every_vector_is_spoken_of() -> None:
    assert {path.name for path in (VECTORS / "input").iterdir()} == {*SAME, *REFUSED}


@pytest.mark.parametrize("name", SAME)
def test_within_our_kinds_we_write_the_same_bytes(name: str) -> None:
    value = json.loads((VECTORS / "input" / name).read_bytes(), parse_float=lambda text: int(float(text)))
    assert encode_json(value) == output(name)
    assert decode_json(output(name), "body") == value


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_beyond_our_kinds_even_the_canonical_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_json(output(name), "body")
    assert refused.value.detail == REFUSED[name]


@pytest.mark.parametrize("name", [*SAME, *REFUSED])
def test_what_is_not_canonical_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        decode_json((VECTORS / "input" / name).read_bytes(), "body")


def test_of_the_numbers_of_ecmascript_safe_integers_are_read_and_no_others() -> None:
    """The first thousand of the test file for section 3.2.2.3: a double in hexadecimal, and its one form in JSON."""
    read = 0
    for line in (VECTORS / "es6testfile1000.txt").read_text().splitlines():
        bits, text = line.split(",")
        (number,) = struct.unpack(">d", bytes.fromhex(bits.zfill(16)))
        data = f'{{"a":{text}}}'.encode()
        if number.is_integer() and abs(number) < 2**53:
            assert decode_json(data, "body") == {"a": int(number)}
            assert encode_json({"a": int(number)}) == data
            read += 1
        else:
            with pytest.raises(Invalid):
                decode_json(data, "body")
    assert read == 8


# --- against another implementation ---

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(max_codepoint=127), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
CONTROLS = "".join(map(chr, range(0xA0)))


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(names, values, max_size=6))
@example(value={"": CONTROLS, CONTROLS[:128]: "\u2028\u2029\ufeff\uffff\U0010ffff</script>\\/"})
@example(value={"a": "", "A": 0, "aa": -1, "a\u0000": True, "~": False, '"': [], "\\": {}})
def test_two_implementations_write_the_same(value: dict[str, Any]) -> None:
    data = encode_json(value)
    assert data == rfc8785.dumps(value)
    assert decode_json(data, "body") == value


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(texts, values | st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=4))
@example(value={"\ue000": 1, "\U00010000": 2})
@example(value={"a": 1e21})
@example(value={"a": -0.0})
def test_what_another_writes_we_read_alike_or_refuse(value: dict[str, Any]) -> None:
    data = rfc8785.dumps(value)
    try:
        read = decode_json(data, "body")
    except Invalid:
        return
    assert rfc8785.dumps(read) == data == encode_json(read)


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**63, 2**64, 10**30])
def test_an_integer_that_not_every_reader_can_hold_is_refused(number: int) -> None:
    for value in (number, [number], {"b": number}):
        with pytest.raises(Invalid):
            decode_json(f'{{"a":{json.dumps(value, separators=(",", ":"))}}}'.encode(), "body")


@pytest.mark.parametrize("number", [0, 1, -1, 2**53 - 1, 1 - 2**53])
def test_an_integer_that_every_reader_can_hold_is_read(number: int) -> None:
    assert decode_json(f'{{"a":{number}}}'.encode(), "body") == {"a": number}


def test_nesting_has_a_bound() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * levels + b"1" + b"}" * levels

    decode_json(nested(DEPTH_MAX), "body")
    with pytest.raises(Invalid, match="nests deeper"):
        decode_json(nested(DEPTH_MAX + 1), "body")
