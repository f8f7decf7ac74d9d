"""Structured fields: what is read, what is passed over, what is refused. `http_sf` is the other opinion."""

import time
from typing import Any, cast

import http_sf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.errors import Invalid
from signed_ledger.schemes.structured import (
    InnerList,
    parse_byte_sequences,
    parse_inner_lists,
    read_bytes,
    read_items,
    read_params,
)


def parse_by_http_sf(text: str) -> dict[str, Any]:
    return cast(dict[str, Any], http_sf.parse(text.encode(), tltype="dictionary"))


def parse_one(text: str) -> InnerList:
    (member,) = parse_inner_lists(f"sig={text}", "signature-input").values()
    return member


# --- dictionaries of inner lists ---


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        pytest.param("sig=()", ["sig"], id="an empty list"),
        pytest.param('sig=("@method");created=1', ["sig"], id="one member"),
        pytest.param('b=("x"),a=("y")', ["b", "a"], id="two members without a space"),
        pytest.param('a=("x") \t,\t b=("y")', ["a", "b"], id="spaces and tabs around the comma"),
        pytest.param('*a-_.*1=("x")', ["*a-_.*1"], id="every character of a label"),
        pytest.param('sig=(  "x"   "y"  )', ["sig"], id="spaces in the list"),
        pytest.param('sig=("@query-param";name="a b";req "x";sf);  created=1', ["sig"], id="parameters of components"),
        pytest.param('sig=("(\\")\\\\,;");n=")\\"("', ["sig"], id="delimiters and escapes in strings"),
        pytest.param("sig=();a=-1.125;b=?0;c=:AA==:;d=*to/k:en!;e;f=007", ["sig"], id="every type of RFC 8941"),
        pytest.param('sig=();a=1;a="2"', ["sig"], id="a parameter twice, of another's member"),
    ],
)
def test_well_formed_members_are_told_apart(text: str, labels: list[str]) -> None:
    assert list(parse_inner_lists(text, "signature-input")) == labels
    assert list(parse_by_http_sf(text)) == labels


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("sig", id="a label alone"),
        pytest.param("sig=", id="no value"),
        pytest.param('sig="x"', id="a string, not a list"),
        pytest.param("sig=(x)", id="a list of tokens"),
        pytest.param("sig=(1)", id="a list of integers"),
        pytest.param('sig=("x"', id="a list that is not closed"),
        pytest.param('sig=("x)', id="a string that is not closed"),
        pytest.param('sig=("x""y")', id="items without a space between them"),
        pytest.param('sig=("x"\t"y")', id="a tab between items"),
        pytest.param('sig=("\\x")', id="an escape of another character"),
        pytest.param('sig=("\u00e9")', id="not ASCII"),
        pytest.param('sig=("\x7f")', id="a control character"),
        pytest.param('sig=("x"),', id="a comma at the end"),
        pytest.param(',sig=("x")', id="a comma at the beginning"),
        pytest.param('a=("x"),,b=("y")', id="an empty member"),
        pytest.param('a=("x") b=("y")', id="members without a comma"),
        pytest.param('a=("x");b=("y")', id="a list as a parameter"),
        pytest.param(' sig=("x")', id="a space before"),
        pytest.param('sig=("x") ', id="a space after"),
        pytest.param('sig=("x")\n', id="a line end after"),
        pytest.param('SIG=("x")', id="a label in upper case"),
        pytest.param('1=("x")', id="a label that begins with a digit"),
        pytest.param('sig =("x")', id="a space after the label"),
        pytest.param('sig= ("x")', id="a space before the list"),
        pytest.param("sig=() ;a", id="a space before a parameter"),
        pytest.param("sig=();", id="a semicolon without a parameter"),
        pytest.param("sig=();a=", id="a parameter without its value"),
        pytest.param("sig=();A=1", id="a parameter in upper case"),
        pytest.param("sig=();a=1234567890123456", id="an integer of 16 digits"),
        pytest.param("sig=();a=1.1234", id="a decimal of 4 places"),
        pytest.param("sig=();a=1234567890123.1", id="a decimal of 13 digits"),
        pytest.param("sig=();a=1.", id="a decimal without places"),
        pytest.param("sig=();a=-", id="a sign alone"),
        pytest.param("sig=();a=--1", id="two signs"),
        pytest.param("sig=();a=+1", id="a plus sign"),
        pytest.param("sig=();a=?2", id="a boolean of neither kind"),
        pytest.param("sig=();a=:AA", id="bytes that are not closed"),
        pytest.param("sig=();a=:A-_:", id="bytes in the URL alphabet"),
        pytest.param('sig=("x"), sig=("x")', id="a label twice"),
        pytest.param("sig=();a=@1", id="a date, which RFC 8941 has not"),
        pytest.param('sig=();a=%"x"', id="a display string, which RFC 8941 has not"),
    ],
)
def test_what_is_not_a_dictionary_of_inner_lists_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_inner_lists(text, "signature-input")
    assert refused.value.field == "signature-input"


@pytest.mark.parametrize(
    ("text", "items", "params"),
    [
        pytest.param("()", [], {}, id="empty"),
        pytest.param('("@path" "x")', ["@path", "x"], {}, id="two items"),
        pytest.param('("" "" " ")', ["", "", " "], {}, id="empty strings and a space"),
        pytest.param('("x");a=0;b=-7', ["x"], {"a": 0, "b": -7}, id="integers"),
        pytest.param("();a=999999999999999", [], {"a": 10**15 - 1}, id="the largest integer"),
        pytest.param('();a="";b="0"', [], {"a": "", "b": "0"}, id="strings"),
        pytest.param('();a="\\\\\\"x;b=1"', [], {"a": '\\"x;b=1'}, id="escapes, and a parameter inside of a string"),
    ],
)
def test_a_plain_list_is_read(text: str, items: list[str], params: dict[str, str | int]) -> None:
    member = parse_one(text)
    assert member.is_plain
    assert member.text == text
    assert read_items(member) == items
    assert read_params(member, "signature-input") == params


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('( "x")', id="a space before the items"),
        pytest.param('("x" )', id="a space after the items"),
        pytest.param('("x"  "y")', id="two spaces between items"),
        pytest.param("(); a=1", id="a space before a parameter"),
        pytest.param("();a=01", id="a leading zero"),
        pytest.param("();a=-0", id="a negative zero"),
        pytest.param("();a=?1", id="a boolean"),
        pytest.param("();a", id="a parameter without a value"),
        pytest.param("();a=1.0", id="a decimal"),
        pytest.param("();a=x", id="a token"),
        pytest.param("();a=:AA==:", id="bytes"),
        pytest.param('("x";sf)', id="a component's parameter"),
        pytest.param('("\\"")', id="an escape in an item"),
    ],
)
def test_a_list_in_another_form_is_passed_over_but_not_plain(text: str) -> None:
    assert not parse_one(text).is_plain


def test_a_parameter_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="twice"):
        read_params(parse_one('("x");a=1;a=1'), "signature-input")


# --- dictionaries of byte sequences ---


@pytest.mark.parametrize("size", [0, 1, 2, 3, 32, 63, 64])
def test_byte_sequences_are_read(size: int) -> None:
    value = bytes(range(255, 255 - size, -1))
    text = http_sf.ser({"sha-256": value, "other": b"x"})
    members = parse_byte_sequences(text, "signature")
    assert list(members) == ["sha-256", "other"]
    assert read_bytes(members["sha-256"], "signature") == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("sig", id="a label alone"),
        pytest.param("sig=AA==", id="a token"),
        pytest.param("sig=:AA==", id="not closed"),
        pytest.param("sig=:A A=:", id="a space"),
        pytest.param("sig=:A===:", id="three signs of padding"),
        pytest.param("sig=:=AA=:", id="padding first"),
        pytest.param("sig=:AA==:,", id="a comma at the end"),
        pytest.param("sig=:AA==:, sig=:AA==:", id="a label twice"),
        pytest.param("sig=:AA==:\n", id="a line end after"),
        pytest.param('sig=("x")', id="a list"),
    ],
)
def test_what_is_not_a_dictionary_of_byte_sequences_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_byte_sequences(text, "signature")
    assert refused.value.field == "signature"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(":AA:", id="no padding"),
        pytest.param(":AA=:", id="too little padding"),
        pytest.param(":AB==:", id="stray bits in the last but one place"),
        pytest.param(":AAB=:", id="stray bits in the last place"),
        pytest.param(":AAAAA:", id="a character too many"),
        pytest.param(":AAAA=:", id="padding that is not needed"),
        pytest.param(":==:", id="padding alone"),
        pytest.param(":AA==:;a=1", id="a parameter"),
        pytest.param(":AA==:;a=:AA==:", id="a parameter that ends like it"),
    ],
)
def test_bytes_that_are_not_ours_pass_but_are_not_read(text: str) -> None:
    members = parse_byte_sequences(f"sig={text}", "signature")
    with pytest.raises(Invalid):
        read_bytes(members["sig"], "signature")


# --- properties ---

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True)
INTEGERS = st.integers(-(10**15) + 1, 10**15 - 1)
TOKENS = st.from_regex(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,8}", fullmatch=True).map(http_sf.Token)
ITEMS = st.lists(PRINTABLE.filter(lambda text: not {'"', "\\"} & {*text}), max_size=4)
PLAIN = st.tuples(ITEMS, st.dictionaries(KEYS, PRINTABLE | INTEGERS, max_size=4))
ANY_PARAMS = st.dictionaries(KEYS, PRINTABLE | INTEGERS | TOKENS | st.binary(max_size=9) | st.booleans(), max_size=3)
ANY = st.tuples(st.lists(st.tuples(PRINTABLE, ANY_PARAMS), max_size=3), ANY_PARAMS)


@given(st.dictionaries(KEYS, PLAIN, min_size=1, max_size=3))
def test_what_is_serialised_is_read_back(members: dict[str, tuple[list[str], dict[str, Any]]]) -> None:
    same: Any = {label: ([(item, {}) for item in items], params) for label, (items, params) in members.items()}
    text = http_sf.ser(same)
    read = parse_inner_lists(text, "signature-input")
    assert {label: (read_items(m), read_params(m, "signature-input")) for label, m in read.items()} == members
    assert all(member.is_plain for member in read.values())


@given(st.dictionaries(KEYS, ANY, min_size=1, max_size=3))
def test_others_members_of_any_content_are_passed_over(members: dict[str, Any]) -> None:
    text = http_sf.ser(members)
    for label, member in parse_inner_lists(text, "signature-input").items():
        assert f"{label}={member.text}" == http_sf.ser({label: members[label]})


SCRAPS = st.sampled_from([*'"\\ ;=,:)a1-0.@\t', "sig=(", '("', '"x"', "?1", "AA==", ";a=1"])


@settings(max_examples=200)
@given(st.lists(SCRAPS, max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_is_refused_or_read_as_the_other_parser_reads_it(text: str) -> None:
    for parse in (parse_inner_lists, parse_byte_sequences):
        try:
            members = parse(text, "signature")
        except Invalid:
            continue
        assert list(members) == list(parse_by_http_sf(text))


@settings(max_examples=200)
@given(st.lists(SCRAPS, max_size=8).map("".join))
def test_what_is_plain_is_its_canonical_serialisation(scraps: str) -> None:
    for text in (f'sig=("x"{scraps}', f'sig=("x"){scraps}', f'sig=("x");created=1{scraps}'):
        try:
            for member in parse_inner_lists(text, "signature-input").values():
                if member.is_plain:
                    read_params(member, "signature-input")
                    assert http_sf.ser(parse_by_http_sf(f"x={member.text}")) == f"x={member.text}"
        except Invalid:
            continue


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("sig=" + "(" * 65536, id="parentheses"),
        pytest.param("sig=(" + " " * 65536, id="spaces in a list"),
        pytest.param("sig=()" + " " * 65536 + "x", id="spaces after a member"),
        pytest.param("sig=(" + '"x" ' * 16384, id="items"),
        pytest.param("sig=(" + '"x"  ' * 12800 + "!", id="items with more spaces than one"),
        pytest.param('sig=("' + '\\"' * 32768, id="escapes"),
        pytest.param('sig=("' + "\\" * 65535, id="backslashes"),
        pytest.param('sig=("' + "x" * 65536, id="a long string"),
        pytest.param("sig=()" + ";a=1" * 16384 + "!", id="parameters"),
        pytest.param("sig=()" + ";   a" * 12800 + "!", id="parameters with spaces"),
        pytest.param("sig=();" + "a" * 65536 + "!", id="a long name"),
        pytest.param("sig=();a=" + "1" * 65536, id="digits"),
        pytest.param("sig=();a=" + "a" * 65536 + "(", id="a long token"),
        pytest.param("sig=(" + ('"x"' + ";a=1.5" * 8 + " ") * 160, id="items with parameters"),
        pytest.param(",".join(f"a{n}=()" for n in range(8000)) + "!", id="members"),
        pytest.param("sig=:" + "A" * 65536, id="bytes"),
        pytest.param("sig=:" + "=" * 65536, id="padding"),
        pytest.param("sig=::" + ";a=::" * 12800 + "!", id="bytes with parameters"),
    ],
)
def test_a_hostile_header_of_64_kib_is_refused_in_no_time(text: str) -> None:
    begin = time.process_time()
    for parse in (parse_inner_lists, parse_byte_sequences):
        with pytest.raises(Invalid):
            parse(text, "signature")
    assert time.process_time() - begin < 1.0
