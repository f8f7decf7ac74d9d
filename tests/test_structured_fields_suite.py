"""Structured fields by the working group's suite (httpwg/structured-field-tests), where it speaks of what we read.

We read Dictionaries of inner lists of strings, and of byte sequences. So a case of an item is read as a parameter of
such a list, or as the member of a Dictionary of byte sequences; a case of a key as a label and as a parameter's name.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import Invalid
from signed_ledger.schemes.structured import (
    InnerList,
    parse_byte_sequences,
    parse_inner_lists,
    read_bytes,
    read_params,
)

SUITE = Path(__file__).parent / "vectors" / "structured-fields"
CASES: dict[str, list[dict[str, Any]]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SUITE.glob("*.json"))
}


def cases(file: str, of: str) -> list[dict[str, Any]]:
    found = [case for case in CASES[file] if case["header_type"] == of]
    assert found
    return found


def is_read(parse: Callable[[str, str], object], text: str) -> bool:
    try:
        parse(text, "x")
    except Invalid:
        return False
    return True


def text_of(case: dict[str, Any]) -> str:
    """As a request has it: the lines of one field joined, the spaces around it gone."""
    return ", ".join(case["raw"]).strip(" ")


def test_the_suite_is_whole() -> None:
    assert sum(map(len, CASES.values())) == 1508


@pytest.mark.parametrize(
    "file", ["boolean", "number", "number-generated", "string", "string-generated", "token", "token-generated"]
)
def test_a_value_of_a_parameter_is_read_where_it_is_one(file: str) -> None:
    for case in cases(file, "item"):
        text = f"sig=();p={text_of(case)}"
        assert is_read(parse_inner_lists, text) == (not case.get("must_fail")), case
        if not case.get("must_fail"):
            check_read_as_meant(parse_inner_lists(text, "x")["sig"], case)


def check_read_as_meant(member: InnerList, case: dict[str, Any]) -> None:
    """Plain where it is canonical, and text or an integer; and then what the suite says it is."""
    value, params = case["expected"]
    is_canonical = case.get("canonical", [text_of(case)]) == [text_of(case)]
    assert member.is_plain == (is_canonical and type(value) in (str, int) and not params), case
    if member.is_plain:
        assert read_params(member, "x") == {"p": value}


@pytest.mark.parametrize("file", ["string", "string-generated"])
def test_an_item_of_a_list_is_read_where_it_is_a_string(file: str) -> None:
    for case in cases(file, "item"):
        assert is_read(parse_inner_lists, f"sig=({text_of(case)})") == (not case.get("must_fail")), case


def one_byte_sequence(text: str, field: str) -> bytes:
    (member,) = parse_byte_sequences(f"sig={text}", field).values()
    return read_bytes(member, field)


def test_bytes_are_read_where_they_are_padded_and_have_no_stray_bits() -> None:
    """Both may be read by RFC 8941 (`can_fail`), and are refused: one signature has one text."""
    for case in cases("binary", "item"):
        good = not case.get("must_fail") and not case.get("can_fail")
        assert is_read(one_byte_sequence, text_of(case)) == good, case
        if good:
            assert one_byte_sequence(text_of(case), "x") == base64.b32decode(case["expected"][0]["value"])


@pytest.mark.parametrize("file", ["date", "display-string"])
def test_the_types_of_rfc_9651_are_refused_since_rfc_9421_stands_on_rfc_8941(file: str) -> None:
    for case in cases(file, "item"):
        assert not is_read(parse_inner_lists, f"sig=();p={text_of(case)}"), case


def test_a_key_is_a_label_and_the_name_of_a_parameter_where_it_is_one() -> None:
    """Each case is KEY=1; in two of them a comma or a semicolon ends the key."""
    for case in cases("key-generated", "dictionary"):
        key, good = text_of(case).removesuffix("=1"), not case.get("must_fail")
        if not {",", ";"} & set(key):
            assert is_read(parse_inner_lists, f'{key}=("x")') == good, case
            assert is_read(parse_byte_sequences, f"{key}=:AA==:") == good, case
            assert is_read(parse_inner_lists, f"sig=();{key}=1") == good, case


def test_of_all_dictionaries_only_a_list_of_strings_is_ours() -> None:
    texts = [text_of(case) for file in ("dictionary", "param-dict") for case in cases(file, "dictionary")]
    assert [text for text in texts if is_read(parse_inner_lists, text)] == ["a=()"]
    assert [text for text in texts if is_read(parse_byte_sequences, text)] == []
