"""JSON by a suite that is not ours (nst/JSONTestSuite): what a Scheme sends, and what a ledger holds.

No document of the suite is a request, so every one is refused; the reason tells whether it was read as JSON.
"""

from pathlib import Path

import pytest

from signed_ledger.config import Settings
from signed_ledger.encoding import decode_request
from signed_ledger.encoding.text import decode_json, encode_json
from signed_ledger.errors import Invalid
from tests.api_support import Caller, Site

SUITE = Path(__file__).parent / "vectors" / "json"
PARSING = {path.stem: path.read_bytes() for path in sorted((SUITE / "test_parsing").iterdir())}
TRANSFORM = {path.stem: path.read_bytes() for path in sorted((SUITE / "test_transform").iterdir())}
BODY_BYTES_MAX = Settings().body_bytes_max

NO_OBJECT = ("body", "must be a JSON object")
NO_REQUEST = ("transaction_id", "is required")
NOT_UTF8 = ("body", "is not UTF-8")
NOT_JSON = ("body", "is not JSON")
TOO_LONG = ("body", "holds a number of more than 40 characters")
TWICE = ("a", "is given twice")

STRICTER = {
    "y_number_double_close_to_zero": TOO_LONG,
    "y_object_duplicated_key": TWICE,
    "y_object_duplicated_key_and_value": TWICE,
}
"""Valid JSON that we refuse: two readers may read it differently, or take long."""

LEFT_OPEN = {
    "i_number_double_huge_neg_exp": NO_OBJECT,
    "i_number_huge_exp": TOO_LONG,
    "i_number_neg_int_huge_exp": NO_OBJECT,
    "i_number_pos_double_huge_exp": NO_OBJECT,
    "i_number_real_neg_overflow": NO_OBJECT,
    "i_number_real_pos_overflow": NO_OBJECT,
    "i_number_real_underflow": NO_OBJECT,
    "i_number_too_big_neg_int": NO_OBJECT,
    "i_number_too_big_pos_int": NO_OBJECT,
    "i_number_very_big_negative_int": TOO_LONG,
    "i_object_key_lone_2nd_surrogate": ("\\udfaa", "holds half of a surrogate pair"),
    "i_string_1st_surrogate_but_2nd_missing": NO_OBJECT,
    "i_string_1st_valid_surrogate_2nd_invalid": NO_OBJECT,
    "i_string_UTF-16LE_with_BOM": NOT_UTF8,
    "i_string_UTF-8_invalid_sequence": NOT_UTF8,
    "i_string_UTF8_surrogate_U+D800": NOT_UTF8,
    "i_string_incomplete_surrogate_and_escape_valid": NO_OBJECT,
    "i_string_incomplete_surrogate_pair": NO_OBJECT,
    "i_string_incomplete_surrogates_escape_valid": NO_OBJECT,
    "i_string_invalid_lonely_surrogate": NO_OBJECT,
    "i_string_invalid_surrogate": NO_OBJECT,
    "i_string_invalid_utf-8": NOT_UTF8,
    "i_string_inverted_surrogates_U+1D11E": NO_OBJECT,
    "i_string_iso_latin_1": NOT_UTF8,
    "i_string_lone_second_surrogate": NO_OBJECT,
    "i_string_lone_utf8_continuation_byte": NOT_UTF8,
    "i_string_not_in_unicode_range": NOT_UTF8,
    "i_string_overlong_sequence_2_bytes": NOT_UTF8,
    "i_string_overlong_sequence_6_bytes": NOT_UTF8,
    "i_string_overlong_sequence_6_bytes_null": NOT_UTF8,
    "i_string_truncated-utf-8": NOT_UTF8,
    "i_string_utf16BE_no_BOM": NOT_UTF8,
    "i_string_utf16LE_no_BOM": NOT_UTF8,
    "i_structure_500_nested_arrays": NO_OBJECT,
    "i_structure_UTF-8_BOM_empty_object": NOT_JSON,
}
"""What the suite leaves to the reader. Numbers are exact decimals here, so none is too large to be read as one."""

CANONICAL = {"y_object_basic", "y_object_empty", "y_object_empty_key", "y_object_simple"}
"""All that a ledger could hold: objects, without a space, of text, safe integers, booleans, lists and objects."""


def named(beginning: str) -> dict[str, bytes]:
    return {name: data for name, data in PARSING.items() if name.startswith(beginning)}


def refusal_of(body: bytes) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        decode_request("authorisation", body)
    return refused.value.field, refused.value.detail


def as_a_member(document: bytes) -> bytes:
    return b'{"x":' + document + b"}"


def is_held(document: bytes) -> bool:
    """Whether a ledger's part may be this, which then is its only form."""
    try:
        value = decode_json(document, "body")
    except Invalid:
        return False
    assert encode_json(value) == document
    return True


def test_the_suite_is_whole() -> None:
    assert [len(named(beginning)) for beginning in "yni"] == [95, 188, 35]
    assert len(PARSING) == 318
    assert len(TRANSFORM) == 22


@pytest.mark.parametrize("name", sorted(named("y_")))
def test_what_must_be_read_is_read_or_refused_by_a_stricter_rule(name: str) -> None:
    read = STRICTER.get(name)
    assert refusal_of(PARSING[name]) == (read or (NO_REQUEST if name.startswith("y_object") else NO_OBJECT))
    assert refusal_of(as_a_member(PARSING[name])) == (read or NO_REQUEST)
    assert is_held(PARSING[name]) == (name in CANONICAL)


@pytest.mark.parametrize("name", sorted(named("n_")))
def test_what_must_not_be_read_is_refused_as_no_json(name: str) -> None:
    for body in (PARSING[name], as_a_member(PARSING[name])):
        field, detail = refusal_of(body)
        assert field == "body"
        assert detail in ("is not JSON", "is not UTF-8") or detail.endswith("which is not JSON")
        with pytest.raises(Invalid, match="is not JSON"):
            decode_json(body, "body")


def test_what_is_left_open_is_stated_here() -> None:
    assert {name: refusal_of(data) for name, data in named("i_").items()} == LEFT_OPEN
    assert not any(map(is_held, named("i_").values()))


@pytest.mark.parametrize("name", sorted(TRANSFORM))
def test_what_two_readers_read_differently_is_never_held(name: str) -> None:
    """Numbers that a double rounds, a name twice, a name in two normal forms, text that is no Unicode; NUL is text."""
    assert not is_held(TRANSFORM[name])
    assert is_held(as_a_member(TRANSFORM[name])) == (name == "string_with_escaped_NULL")
    said = refusal_of(TRANSFORM[name])
    if name.startswith("object_same_key"):
        assert said == TWICE
    elif "invalid_codepoint" in name and "escaped" not in name:
        assert said == NOT_UTF8
    else:
        assert said == (NO_REQUEST if name.startswith("object") else NO_OBJECT)


async def test_sent_by_a_scheme_each_is_refused_and_nothing_is_written(site: Site, acme: Caller) -> None:
    first, second = [await site.load("card-1", 1) for _ in range(2)]
    for document in [*PARSING.values(), *TRANSFORM.values()]:
        for body in (document, as_a_member(document)):
            told = await site.post(acme, "/authorisation", body)
            refused = (413, "too_large") if len(body) > BODY_BYTES_MAX else (400, "malformed")
            assert (told.status, told.code) == refused, (body[:100], told.raw)
    assert await site.load("card-1", 1) - second == second - first, "a load's entries, and none between"
