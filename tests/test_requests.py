"""A Scheme's JSON body: what it asks, exactly; and every form of it that is refused, with the field that is named."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import SchemeRequest, decode_request
from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, WIRE_MINOR_MAX, Money
from signed_ledger.records import AuthorisationRequest, PresentmentRequest

moderate = settings(max_examples=200, deadline=None)

ASKED = {
    "transaction_id": "tx-1",
    "card_id": "card-1",
    "merchant_name": "Café Central",
    "merchant_country": "AT",
    "merchant_mcc": "5812",
    "billing_amount": "12.30",
    "billing_currency": "EUR",
    "transaction_amount": "1234",
    "transaction_currency": "JPY",
}
PRESENTED = {"transaction_id": "tx-1", "settlement_amount": "12.30", "settlement_currency": "EUR"}
GOOD = {"authorisation": ASKED, "presentment": PRESENTED}
FULL = {"authorisation": ASKED, "presentment": {**ASKED, **PRESENTED, "presentment_id": "clr.1"}}


def text_of(members: dict[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False)


def with_text(kind: str, name: str, value: str) -> bytes:
    """A request of all there can be, with one member set to JSON text as it stands."""
    members = {key: json.dumps(text, ensure_ascii=False) for key, text in FULL[kind].items()} | {name: value}
    return ("{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}").encode(errors="surrogatepass")


def refusal_of(kind: str, body: bytes) -> Invalid:
    with pytest.raises(Invalid) as refused:
        decode_request(kind, body)
    return refused.value


# --- what is asked ---


def test_an_authorisation_is_read() -> None:
    assert decode_request("authorisation", text_of(ASKED).encode()) == AuthorisationRequest(
        "tx-1", "card-1", "Café Central", "AT", "5812", Money(1230, "EUR"), Money(1234, "JPY")
    )


def test_a_presentment_is_read() -> None:
    assert decode_request("presentment", text_of(PRESENTED).encode()) == PresentmentRequest("tx-1", Money(1230, "EUR"))


def test_a_presentment_with_all_there_is_is_read() -> None:
    more = {**FULL["presentment"], "final": True}
    assert decode_request("presentment", text_of(more).encode()) == PresentmentRequest(
        transaction_id="tx-1",
        settlement=Money(1230, "EUR"),
        card_id="card-1",
        merchant_name="Café Central",
        merchant_country="AT",
        merchant_mcc="5812",
        billing=Money(1230, "EUR"),
        transaction=Money(1234, "JPY"),
        presentment_id="clr.1",
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(ASKED).encode(), id="escapes"),
        pytest.param(f"\n\t {text_of(dict(reversed(ASKED.items())))} \r\n".encode(), id="another order, spaces around"),
        pytest.param(json.dumps(ASKED, indent=8).encode(), id="lines"),
        pytest.param(with_text("authorisation", "merchant_mcc", "5812"), id="the category as a number"),
        pytest.param(with_text("authorisation", "billing_amount", "12.30"), id="the amount as a number"),
        pytest.param(with_text("authorisation", "billing_amount", "12.3"), id="a decimal less"),
        pytest.param(with_text("authorisation", "billing_amount", '"12.3"'), id="a decimal less, as text"),
        pytest.param(with_text("authorisation", "billing_amount", "1.23E+1"), id="an exponent"),
        pytest.param(with_text("authorisation", "billing_amount", "1230e-2"), id="a negative exponent"),
        pytest.param(with_text("authorisation", "card_id", '"\\u0063ard-1"'), id="an escape that is not needed"),
        pytest.param(
            with_text("authorisation", "merchant_name", '"\\u0043af\\u00E9\\u0020Central"'), id="escapes in capitals"
        ),
    ],
)
def test_all_these_ask_the_same(body: bytes) -> None:
    assert decode_request("authorisation", body) == decode_request("authorisation", text_of(ASKED).encode())


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('"A"', "A"),
        (json.dumps("x" * 100), "x" * 100),
        ('"\\ud83c\\udf7b"', "\U0001f37b"),
        ('"\\u2028\\"\\\\\\/"', '\u2028"\\/'),
        ('"e\\u0301"', "e\u0301"),
    ],
)
def test_a_merchants_name_is_read_as_sent(value: str, read: str) -> None:
    request = decode_request("authorisation", with_text("authorisation", "merchant_name", value))
    assert request.merchant_name == read


# --- what is refused, in API.md's order of fields ---

TEXT_FIELDS = ("transaction_id", "card_id", "merchant_name", "merchant_country", "presentment_id")
NOT_TEXT = ("null", "true", "5", "1.5", '["tx-1"]', '[["\\ud800"]]', "{}", '{"a": "tx-1"}')
REQUIRED = [("authorisation", name) for name in ASKED] + [("presentment", name) for name in PRESENTED]
NAMES_REFUSED = ('""', '"a b"', '"a/b"', '"é"', '"tx-1\\n"', json.dumps("x" * 65))
AMOUNTS_REFUSED = (
    *("-1", "-0", "-0.0", "-0.00", '"-1"', '"-0"', '"+1"', '""', '"."', '"1."', '".5"', '"01"', '"1,5"', '"1e2"'),
    *('" 1"', '"1 "', '"1\\n"', '"1_0"', '"0x1"', '"\u0661"', '"NaN"', '"Infinity"', '"1.230"', "1.230", "1.000"),
    *("0.001", "1e-3", "1E-999999", '"1230000000000000000000000000.00"', "10000000000000", '"10000000000000.00"'),
    *("1e13", "1E15", "1e999999999999999999", "9" * 40, "null", "true", "false", "[]", "[1]", "{}", '{"amount": 1}'),
)


@pytest.mark.parametrize(("kind", "name"), REQUIRED)
def test_what_is_required_and_missing_is_named(kind: str, name: str) -> None:
    members = {key: value for key, value in GOOD[kind].items() if key != name}
    assert refusal_of(kind, text_of(members).encode()).field == name


@pytest.mark.parametrize("name", [*ASKED, *PRESENTED, "presentment_id", "final"])
@pytest.mark.parametrize("kind", GOOD)
def test_null_is_not_a_value(kind: str, name: str) -> None:
    assert refusal_of(kind, with_text(kind, name, "null")).field == name


@pytest.mark.parametrize("value", NOT_TEXT)
@pytest.mark.parametrize("name", TEXT_FIELDS)
@pytest.mark.parametrize("kind", GOOD)
def test_what_must_be_text_is_text(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


@pytest.mark.parametrize("value", NAMES_REFUSED)
@pytest.mark.parametrize("name", ["transaction_id", "card_id", "presentment_id"])
def test_an_id_is_made_of_few_characters(name: str, value: str) -> None:
    assert refusal_of("presentment", with_text("presentment", name, value)).field == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("merchant_name", '""', id="no name"),
        pytest.param("merchant_name", json.dumps("x" * 101), id="a name of 101 characters"),
        pytest.param("merchant_name", '"a\\nb"', id="a line end in a name"),
        pytest.param("merchant_name", '"a\\u0000"', id="a zero in a name"),
        pytest.param("merchant_name", '"a\\u007f"', id="a delete character in a name"),
        pytest.param("merchant_name", '"a\\u0085"', id="a control character beyond ASCII in a name"),
        pytest.param("merchant_country", '"UK"', id="a country that is none"),
        pytest.param("merchant_country", '"at"', id="a country in small letters"),
        pytest.param("merchant_country", '"040"', id="a country's number"),
        pytest.param("merchant_country", '"Austria"', id="a country's name"),
        pytest.param("merchant_mcc", '"581"', id="a category of three digits"),
        pytest.param("merchant_mcc", '"58120"', id="a category of five digits"),
        pytest.param("merchant_mcc", "742", id="a category that as a number lost its zero"),
        pytest.param("merchant_mcc", "-581", id="a category below zero"),
        pytest.param("merchant_mcc", "5812.0", id="a category with a fraction"),
        pytest.param("merchant_mcc", "5.812e3", id="a category with an exponent"),
        pytest.param("merchant_mcc", '"\u0665\u0668\u0661\u0662"', id="a category in other digits"),
        pytest.param("merchant_mcc", "true", id="a category that is true"),
        pytest.param("merchant_mcc", "[5812]", id="a category in a list"),
        pytest.param("billing_currency", '"eur"', id="a currency in small letters"),
        pytest.param("billing_currency", '"XXX"', id="a currency that is none"),
        pytest.param("billing_currency", '"XAU"', id="a metal"),
        pytest.param("billing_currency", '"978"', id="a currency's number"),
        pytest.param("billing_currency", "978", id="a currency's number, as a number"),
        pytest.param("billing_currency", '["EUR"]', id="a currency in a list"),
        pytest.param("transaction_currency", '"\\u0130NR"', id="a currency beyond ASCII"),
    ],
)
@pytest.mark.parametrize("kind", GOOD)
def test_a_value_that_can_not_be_is_named(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


@pytest.mark.parametrize("value", AMOUNTS_REFUSED)
@pytest.mark.parametrize(("kind", "name"), [("authorisation", "billing_amount"), ("presentment", "settlement_amount")])
def test_an_amount_that_can_not_be_is_named(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


@pytest.mark.parametrize("value", ["1.0", '"1.0"', "0.5", "1e-1"])
def test_yen_have_no_decimals(value: str) -> None:
    refused = refusal_of("authorisation", with_text("authorisation", "transaction_amount", value))
    assert (refused.field, refused.detail) == ("transaction_amount", "has more fraction digits than the 0 of JPY")


@pytest.mark.parametrize("value", ["false", "null", "1", '"true"', "0", "[]"])
def test_final_is_true_or_not_there(value: str) -> None:
    assert refusal_of("presentment", with_text("presentment", "final", value)).field == "final"


@pytest.mark.parametrize("name", ["billing", "transaction"])
def test_of_an_amount_and_its_currency_neither_stands_alone(name: str) -> None:
    amount, currency = f"{name}_amount", f"{name}_currency"
    assert refusal_of("presentment", text_of({**PRESENTED, amount: "1"}).encode()).field == currency
    assert refusal_of("presentment", text_of({**PRESENTED, currency: "EUR"}).encode()).field == amount


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("authorisation", name) for name in ("settlement_amount", "presentment_id", "final", "extra", "Card_id", "")],
        *[("presentment", name) for name in ("extra", "scheme", "webhook_id", "card_id ", "\u017ftate", "__class__")],
    ],
)
def test_an_unknown_field_is_named(kind: str, name: str) -> None:
    refused = refusal_of(kind, with_text(kind, name, "true"))
    assert (refused.field, refused.detail) == (ascii(name)[1:-1], "is not a field of this request")


def test_a_long_unknown_field_is_not_told_back_whole() -> None:
    assert len(refusal_of("presentment", with_text("presentment", "x" * 10_000, "1")).field) == 64


# --- what is not JSON, or is read differently by different readers (after JSONTestSuite) ---


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param('{"card_id": "a", "card_id": "a"}', "card_id", id="a field twice, the same"),
        pytest.param('{"card_id": "a", "x": 1, "card_id": "b"}', "card_id", id="a field twice, not the same"),
        pytest.param('{"card_id": "a", "\\u0063ard_id": "b"}', "card_id", id="a field twice, once escaped"),
        pytest.param('{"x": {"y": 1, "y": 2}}', "y", id="a field twice, deeper"),
        pytest.param('{"x": [{"y": 1, "y": 1}]}', "y", id="a field twice, in a list"),
        pytest.param('{"\\ud800": 1, "\\ud800": 1}', "\\ud800", id="half a pair twice"),
        pytest.param('{"merchant_name": "\\ud800"}', "merchant_name", id="half a pair"),
        pytest.param('{"merchant_name": "\\udc00\\ud800"}', "merchant_name", id="a pair the wrong way round"),
        pytest.param('{"merchant_name": "\\ud800x"}', "merchant_name", id="half a pair before a letter"),
        pytest.param('{"x": {"y": "\\udfff"}}', "y", id="half a pair, deeper"),
        pytest.param('{"\\udead": 1}', "\\udead", id="half a pair in a name"),
        pytest.param('{"x": NaN}', "body", id="NaN"),
        pytest.param('{"x": Infinity}', "body", id="Infinity"),
        pytest.param('{"x": -Infinity}', "body", id="-Infinity"),
        pytest.param('{"x": [NaN]}', "body", id="NaN in a list"),
        pytest.param('{"x": nan}', "body", id="nan"),
        pytest.param('{"x": 01}', "body", id="a leading zero"),
        pytest.param('{"x": +1}', "body", id="a plus sign"),
        pytest.param('{"x": .5}', "body", id="no digit before the point"),
        pytest.param('{"x": 1.}', "body", id="no digit after the point"),
        pytest.param('{"x": 1.5e}', "body", id="no digit after the e"),
        pytest.param('{"x": 0x10}', "body", id="hexadecimal"),
        pytest.param('{"x": 1_000}', "body", id="an underscore"),
        pytest.param('{"x": \u0661}', "body", id="digits beyond ASCII"),
        pytest.param('{"x": --1}', "body", id="two signs"),
        pytest.param('{"x": ' + "9" * 41 + "}", "body", id="41 digits"),
        pytest.param('{"x": ' + "9" * 20_000 + "}", "body", id="20,000 digits"),
        pytest.param('{"x": -' + "1" * 40 + "}", "body", id="40 digits and a sign"),
        pytest.param('{"x": 0.' + "1" * 39 + "}", "body", id="39 decimals"),
        pytest.param('{"x": 1e9999999999999999999}', "body", id="an exponent of 19 digits"),
        pytest.param('{"x": 1e-9999999999999999999}', "body", id="a negative exponent of 19 digits"),
        pytest.param('{"x": 1E+' + "9" * 1000 + "}", "body", id="an exponent of 1,000 digits"),
        pytest.param("", "body", id="nothing"),
        pytest.param(" ", "body", id="a space"),
        pytest.param("null", "body", id="null alone"),
        pytest.param("[]", "body", id="a list"),
        pytest.param('"{}"', "body", id="text"),
        pytest.param("1", "body", id="a number"),
        pytest.param("[{}]", "body", id="an object in a list"),
        pytest.param("{}{}", "body", id="two objects"),
        pytest.param("{} x", "body", id="something after it"),
        pytest.param("{}\0", "body", id="a zero byte after it"),
        pytest.param("\ufeff{}", "body", id="a byte order mark"),
        pytest.param("{", "body", id="not closed"),
        pytest.param('{"x"}', "body", id="no value"),
        pytest.param('{"x":}', "body", id="an empty value"),
        pytest.param('{"x": 1,}', "body", id="a comma at the end"),
        pytest.param('{,"x": 1}', "body", id="a comma at the beginning"),
        pytest.param('{"x": [1,]}', "body", id="a comma at the end of a list"),
        pytest.param('{"x" 1}', "body", id="no colon"),
        pytest.param("{x: 1}", "body", id="a name without quotes"),
        pytest.param("{'x': 1}", "body", id="single quotes"),
        pytest.param("{1: 1}", "body", id="a number as a name"),
        pytest.param('{"x": 1} // x', "body", id="a comment"),
        pytest.param('{"x": /* */ 1}', "body", id="a comment inside"),
        pytest.param('{"x": "a\nb"}', "body", id="a line end in text"),
        pytest.param('{"x": "a\tb"}', "body", id="a tab in text"),
        pytest.param('{"x": "\\x41"}', "body", id="an escape that JSON has not"),
        pytest.param('{"x": "\\u00g0"}', "body", id="an escape that is not hexadecimal"),
        pytest.param('{"x": "\\u+041"}', "body", id="an escape with a sign"),
        pytest.param('{"x": "\\U00000041"}', "body", id="a long escape"),
        pytest.param('{"x": "}', "body", id="text that is not closed"),
        pytest.param('{"x": True}', "body", id="True"),
        pytest.param("{}\u00a0", "body", id="a space of another kind after it"),
        pytest.param("{\u2003}", "body", id="a space of another kind inside"),
        pytest.param("{\x0c}", "body", id="a form feed"),
        pytest.param("[" * 100_000, "body", id="100,000 lists"),
        pytest.param('{"x":' * 50_000, "body", id="50,000 objects"),
        pytest.param('{"x":' + "[" * 15_000 + "]" * 15_000 + "}", "body", id="15,000 lists, closed"),
    ],
)
@pytest.mark.parametrize("kind", GOOD)
def test_what_two_readers_might_read_differently_is_refused(kind: str, body: str, field: str) -> None:
    assert refusal_of(kind, body.encode()).field == field


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(text_of(ASKED).encode("latin-1"), id="Latin-1"),
        pytest.param(text_of(ASKED).encode("utf-16"), id="UTF-16"),
        pytest.param(text_of(ASKED).encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(text_of(ASKED).encode("utf-32"), id="UTF-32"),
        pytest.param(b'{"x": "\xff"}', id="a byte that UTF-8 has not"),
        pytest.param(b'{"x": "\xed\xa0\x80"}', id="half a surrogate pair"),
        pytest.param(b'{"x": "\xc0\xaf"}', id="more bytes than needed"),
        pytest.param(b'{"x": "\xf4\x90\x80\x80"}', id="beyond Unicode"),
        pytest.param(b'{"x": "\xe2\x82"}', id="cut off within a character"),
        pytest.param(b"\x1f\x8b\x08\x00", id="compressed"),
    ],
)
def test_another_encoding_is_refused(body: bytes) -> None:
    assert refusal_of("authorisation", body).field == "body"


# --- exactness ---

number_texts = st.one_of(
    st.from_regex(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.builds(
        lambda minor, digits: f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}",
        st.integers(0, 10**17),
        st.integers(1, 5),
    ),
)
currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


def expected_minor(text: str, currency: str) -> int | None:
    """What API.md says of an amount, by another arithmetic: fractions of 10; `None` is refused."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or "0") - len(fraction)
    number, digits = int(whole + fraction), MINOR_DIGITS[currency]
    if power < -digits or (number and power > 20):
        return None
    minor = number * 10 ** (power + digits) if number else 0
    return minor if minor <= WIRE_MINOR_MAX else None


@moderate
@given(text=number_texts, currency=currencies, quoted=st.booleans())
@example(text="0e999", currency="EUR", quoted=False)
@example(text="9999999999999.99", currency="EUR", quoted=True)
@example(text="999999999999999", currency="JPY", quoted=False)
@example(text="1e15", currency="JPY", quoted=False)
@example(text="9.99999999999999e14", currency="JPY", quoted=False)
@example(text="0.1", currency="EUR", quoted=False)
@example(text="1.005", currency="KWD", quoted=False)
@example(text="4503599627370497.5", currency="EUR", quoted=False)
def test_an_amount_is_read_exactly(text: str, currency: str, quoted: bool) -> None:
    given = f'"{text}"' if quoted else text
    body = f'{{"transaction_id": "t", "settlement_amount": {given}, "settlement_currency": "{currency}"}}'
    minor = None if quoted and ("e" in text.lower() or len(text) > 32) else expected_minor(text, currency)
    if minor is None:
        assert refusal_of("presentment", body.encode()).field == "settlement_amount"
        return
    request = decode_request("presentment", body.encode())
    assert isinstance(request, PresentmentRequest)
    assert request.settlement == Money(minor, currency)
    assert Decimal(request.settlement.amount) == Decimal(text)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("EUR") | st.just("12.30"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
requests = st.dictionaries(st.sampled_from([*ASKED, *PRESENTED, "presentment_id", "final", "x"]), json_values)


@st.composite
def cut_and_joined(draw: st.DrawFn) -> bytes:
    """A good body with a few bytes of it replaced."""
    body = text_of(draw(st.sampled_from([ASKED, PRESENTED]))).encode()
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=6)) + body[start + draw(st.integers(0, 8)) :]


@moderate
@given(
    kind=st.sampled_from(sorted(GOOD)),
    body=st.binary()
    | cut_and_joined()
    | requests.map(lambda members: json.dumps(members).encode())
    | requests.map(lambda members: json.dumps(ASKED | members, ensure_ascii=False).encode(errors="surrogatepass")),
)
def test_anything_at_all_is_read_or_is_invalid(kind: str, body: bytes) -> None:
    try:
        request: SchemeRequest = decode_request(kind, body)
    except Invalid as refused:
        refused.field.encode("ascii")
        return
    assert isinstance(request, AuthorisationRequest | PresentmentRequest)
