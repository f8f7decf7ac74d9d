"""A Scheme's JSON body: what it asks, exactly; and every form of it that is refused, with the field that is named."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import decode_request
from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, WIRE_MINOR_MAX, Fee, Money
from signed_ledger.records import MESSAGES, Iso8583, Request
from signed_ledger.records.messages import AUTHORISATION_KINDS, MONEY
from tests import strategies

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
BILLED = {"billing_amount": "12.30", "billing_currency": "EUR"}
SETTLED = {"settlement_amount": "12.30", "settlement_currency": "EUR"}
PRESENTED = {"transaction_id": "tx-1", **SETTLED}
GOOD: dict[str, dict[str, Any]] = {
    "authorisation": ASKED,
    "increment": {"transaction_id": "tx-1", **BILLED},
    "reversal": {"transaction_id": "tx-1"},
    "presentment": PRESENTED,
    "refund": {**BILLED, **SETTLED},
}
"""Each with all that is required, and no more."""
ELEMENTS = {"iso8583": {"37": "623410000017", "38": "A1B2C3", "49": "392", "51": "978"}}
SETTLING: dict[str, Any] = {**SETTLED, "interchange_amount": "0.0125", "iso8583": {**ELEMENTS["iso8583"], "50": "978"}}
FULL: dict[str, dict[str, Any]] = {
    "authorisation": {**ASKED, "authorisation_kind": "card_present", **ELEMENTS},
    "increment": {**ASKED, **ELEMENTS},
    "reversal": {**ASKED, **ELEMENTS},
    "presentment": {**ASKED, **SETTLING, "presentment_id": "clr.1", "final": False, "force_post": True},
    "refund": {**ASKED, **SETTLING, "refund_id": "back.1"},
}
"""Each with all there is."""


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


EURO = Money(1230, "EUR")
MERCHANT = {"merchant_name": "Café Central", "merchant_country": "AT", "merchant_mcc": "5812"}
ALL: dict[str, Any] = {"card_id": "card-1", **MERCHANT, "billing": EURO, "transaction": Money(1234, "JPY")}
MEANT = {
    "authorisation": Request("authorisation", "tx-1", **ALL),
    "increment": Request("increment", "tx-1", billing=EURO),
    "reversal": Request("reversal", "tx-1"),
    "presentment": Request("presentment", "tx-1", settlement=EURO),
    "refund": Request("refund", billing=EURO, settlement=EURO),
}
SENT = Iso8583("623410000017", "A1B2C3", "392", None, "978")
CLEARED: dict[str, Any] = {
    "settlement": EURO,
    "interchange": Fee(1_250_000, "EUR"),
    "iso8583": SENT._replace(settlement_currency="978"),
}
MEANT_FULL = {
    "authorisation": Request("authorisation", "tx-1", **ALL, authorisation_kind="card_present", iso8583=SENT),
    "increment": Request("increment", "tx-1", **ALL, iso8583=SENT),
    "reversal": Request("reversal", "tx-1", **ALL, iso8583=SENT),
    "presentment": Request(
        "presentment", "tx-1", **ALL, **CLEARED, presentment_id="clr.1", final=False, force_post=True
    ),
    "refund": Request("refund", "tx-1", **ALL, **CLEARED, refund_id="back.1"),
}


def test_every_type_of_message_has_its_cases_here() -> None:
    assert set(GOOD) == {name for name, message in MESSAGES.items() if message.is_sent}
    for kind, message in MESSAGES.items():
        if message.is_sent:
            names = {wire_name(name) for name in (*message.required, *message.optional)}
            assert {name.replace("_currency", "_amount") for name in FULL[kind]} == names


def wire_name(name: str) -> str:
    return f"{name}_amount" if name in (*MONEY, "interchange") else name


@pytest.mark.parametrize("kind", GOOD)
def test_a_request_of_what_is_required_is_read(kind: str) -> None:
    assert decode_request(kind, text_of(GOOD[kind]).encode()) == MEANT[kind]


@pytest.mark.parametrize("kind", GOOD)
def test_a_request_of_all_there_is_is_read(kind: str) -> None:
    assert decode_request(kind, text_of(FULL[kind]).encode()) == MEANT_FULL[kind]


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
    request = replace(decode_request("authorisation", body), authorisation_kind=None, iso8583=None)
    assert request == decode_request("authorisation", text_of(ASKED).encode())


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

IDS = ("transaction_id", "card_id", "presentment_id", "refund_id")
TEXT_FIELDS = (*IDS, "merchant_name", "merchant_country", "authorisation_kind")
NOT_TEXT = ("null", "true", "5", "1.5", '["tx-1"]', '[["\\ud800"]]', "{}", '{"a": "tx-1"}')
REQUIRED = [(kind, name) for kind, members in GOOD.items() for name in members]
EVERY_FIELD = [(kind, name) for kind, members in FULL.items() for name in members]
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


@pytest.mark.parametrize(("kind", "name"), EVERY_FIELD)
def test_null_is_not_a_value(kind: str, name: str) -> None:
    assert refusal_of(kind, with_text(kind, name, "null")).field == name


@pytest.mark.parametrize("value", NOT_TEXT)
@pytest.mark.parametrize(("kind", "name"), [field for field in EVERY_FIELD if field[1] in TEXT_FIELDS])
def test_what_must_be_text_is_text(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


@pytest.mark.parametrize("value", NAMES_REFUSED)
@pytest.mark.parametrize(("kind", "name"), [field for field in EVERY_FIELD if field[1] in IDS])
def test_an_id_is_made_of_few_characters(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


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
@pytest.mark.parametrize(
    ("kind", "name"),
    [("authorisation", "billing_amount"), ("presentment", "settlement_amount"), ("reversal", "billing_amount")],
)
def test_an_amount_that_can_not_be_is_named(kind: str, name: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, name, value)).field == name


@pytest.mark.parametrize("value", ["1.0", '"1.0"', "0.5", "1e-1"])
def test_yen_have_no_decimals(value: str) -> None:
    refused = refusal_of("authorisation", with_text("authorisation", "transaction_amount", value))
    assert (refused.field, refused.detail) == ("transaction_amount", "has more fraction digits than the 0 of JPY")


@pytest.mark.parametrize("value", ["null", "1", '"true"', "0", "[]", "{}", '""', "1.0"])
@pytest.mark.parametrize("name", ["final", "force_post"])
def test_whether_it_is_the_last_or_forced_is_true_or_false(name: str, value: str) -> None:
    assert refusal_of("presentment", with_text("presentment", name, value)).field == name


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("name", ["final", "force_post"])
def test_both_ways_may_be_said(name: str, value: bool) -> None:
    request = decode_request("presentment", text_of({**PRESENTED, name: value}).encode())
    assert getattr(request, name) is value


@pytest.mark.parametrize("kind", AUTHORISATION_KINDS)
def test_each_kind_of_authorisation_is_read(kind: str) -> None:
    request = decode_request("authorisation", text_of({**ASKED, "authorisation_kind": kind}).encode())
    assert request.authorisation_kind == kind


@pytest.mark.parametrize("value", ["", "Final", "contactless", "card_present ", "card_present\n"])
def test_a_kind_of_authorisation_that_is_none_is_refused(value: str) -> None:
    refused = refusal_of("authorisation", text_of({**ASKED, "authorisation_kind": value}).encode())
    assert refused.field == "authorisation_kind"


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in GOOD for name in MONEY])
def test_of_an_amount_and_its_currency_neither_stands_alone(kind: str, name: str) -> None:
    if f"{name}_amount" not in FULL[kind]:
        return
    amount, currency = f"{name}_amount", f"{name}_currency"
    bare = {key: value for key, value in GOOD[kind].items() if key not in (amount, currency)}
    assert refusal_of(kind, text_of({**bare, amount: "1"}).encode()).field == currency
    assert refusal_of(kind, text_of({**bare, currency: "EUR"}).encode()).field == amount


# --- interchange ---

SETTLERS = pytest.mark.parametrize("kind", ["presentment", "refund"])


@SETTLERS
@pytest.mark.parametrize(
    ("value", "currency", "micros"),
    [
        ("0", "EUR", 0),
        ("0.01", "EUR", 1_000_000),
        ("0.00000001", "EUR", 1),
        ("0.0333", "EUR", 3_330_000),
        ("0.000001", "JPY", 1),
        ("12", "JPY", 12_000_000),
        ("0.000000001", "KWD", 1),
        ("9999999999999.99999999", "EUR", 10**21 - 1),
    ],
)
def test_an_interchange_is_read_exactly(kind: str, value: str, currency: str, micros: int) -> None:
    members = {**GOOD[kind], "settlement_amount": "1", "settlement_currency": currency, "interchange_amount": value}
    assert decode_request(kind, text_of(members).encode()).interchange == Fee(micros, currency)


@SETTLERS
@pytest.mark.parametrize(
    "value",
    [
        *("0", "0.01", "1e-2", "null", "true", "[]", "{}", '{"amount": "0.01"}'),
        *('""', '"-0.01"', '"-0"', '"+0.01"', '"0.000000001"', '"1e-2"', '".01"', '"1."', '"00.01"', '"0,01"', '"x"'),
        *('" 0.01"', '"0.01\\n"', '"10000000000000"', '"\u0660"', json.dumps("1" * 33)),
    ],
)
def test_an_interchange_that_can_not_be_is_refused(kind: str, value: str) -> None:
    assert refusal_of(kind, with_text(kind, "interchange_amount", value)).field == "interchange_amount"


def test_an_interchange_has_the_currency_of_what_is_settled_and_none_of_its_own() -> None:
    more = {"interchange_amount": "0.01", "interchange_currency": "EUR"}
    assert refusal_of("presentment", text_of({**PRESENTED, **more}).encode()).field == "interchange_currency"
    yen = {**PRESENTED, "settlement_amount": "1", "settlement_currency": "JPY", "interchange_amount": "0.0000001"}
    assert refusal_of("presentment", text_of(yen).encode()).field == "interchange_amount"


# --- data elements of ISO 8583 ---


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("number", ["37", "38", "49", "50", "51"])
def test_each_data_element_is_read_alone(kind: str, number: str) -> None:
    value = {"37": "AB 345678901", "38": "00 00A", "49": "392", "50": "978", "51": "978"}[number]
    request = decode_request(kind, text_of({**FULL[kind], "iso8583": {number: value}}).encode())
    assert request.iso8583 is not None
    assert [each for each in request.iso8583 if each is not None] == [value]


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(
    ("value", "field"),
    [
        *((value, "iso8583") for value in ("null", "{}", "[]", '["978"]', '"978"', "978", "true")),
        *((f'{{"{n}": {value}}}', n) for n in ("37", "49") for value in ("null", "978", "true", "[]", "{}", "9.5")),
        *((f'{{"{name}": "00"}}', f"iso8583.{name}") for name in ("39", "2", "037", "de37", "", "x" * 64)),
        *((f'{{"37": "{value}"}}', "iso8583.37") for value in ("", "12345678901", "1234567890123", "12345678901-")),
        *((f'{{"37": "{value}"}}', "iso8583.37") for value in ("12345678901\\n", "12345678901\u0661")),
        *((f'{{"38": "{value}"}}', "iso8583.38") for value in ("", "12345", "1234567", "12345_", "12345\u00e9")),
        *((f'{{"51": "{value}"}}', "iso8583.51") for value in ("", "97", "0978", "EUR", "9 8", "\u0669\u0667\u0668")),
        ('{"49": "978"}', "iso8583.49"),
        ('{"51": "840"}', "iso8583.51"),
    ],
)
def test_data_elements_that_can_not_be_are_named(kind: str, value: str, field: str) -> None:
    assert refusal_of(kind, with_text(kind, "iso8583", value)).field == field


@SETTLERS
def test_the_settlement_currency_is_the_one_of_what_is_settled(kind: str) -> None:
    assert refusal_of(kind, with_text(kind, "iso8583", '{"50": "840"}')).field == "iso8583.50"


def test_the_number_of_a_currency_that_no_amount_has_is_anybodys() -> None:
    request = decode_request("reversal", text_of({**GOOD["reversal"], "iso8583": {"51": "000"}}).encode())
    assert request.iso8583 == Iso8583(billing_currency="000")


def test_an_unknown_data_element_is_not_told_back_whole() -> None:
    refused = refusal_of("reversal", text_of({**GOOD["reversal"], "iso8583": {"\u00e9" * 9_000: "x"}}).encode())
    assert refused.field.isascii()
    assert len(refused.field) < 600


def test_a_data_element_twice_is_refused() -> None:
    assert refusal_of("reversal", with_text("reversal", "iso8583", '{"37": "a", "37": "b"}')).field == "37"


# --- fields that are not of this message ---


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[
            (kind, name)
            for kind in GOOD
            for name in ("extra", "Card_id", "", "scheme", "webhook_id", "\u017ftate", "type")
        ],
        *[
            (kind, name)
            for kind in GOOD
            for name in ("card_id ", "__class__", "response_code", "totals", "hold", "flags")
        ],
        *[
            (kind, other)
            for kind in GOOD
            for other in sorted({n for f in FULL.values() for n in f} - FULL[kind].keys())
        ],
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
    assert request.settlement is not None
    assert request.settlement == Money(minor, currency)
    assert Decimal(request.settlement.amount) == Decimal(text)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("EUR") | st.just("12.30"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
requests = st.dictionaries(
    st.sampled_from(sorted({name for full in FULL.values() for name in full} | {"x"})), json_values
)


@st.composite
def cut_and_joined(draw: st.DrawFn) -> bytes:
    """A good body with a few bytes of it replaced."""
    body = text_of(draw(st.sampled_from([*GOOD.values(), *FULL.values()]))).encode()
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
        request = decode_request(kind, body)
    except Invalid as refused:
        refused.field.encode("ascii")
        return
    assert request.type == kind


def sent_text(request: Request) -> bytes:
    """A request as a Scheme would write it."""
    members: dict[str, Any] = {}
    for name in (*MESSAGES[request.type].required, *MESSAGES[request.type].optional):
        value = getattr(request, name)
        if isinstance(value, Money):
            members |= {f"{name}_amount": value.amount, f"{name}_currency": value.currency}
        elif isinstance(value, Fee):
            members[f"{name}_amount"] = value.amount
        elif isinstance(value, Iso8583):
            numbers = ("37", "38", "49", "50", "51")
            members[name] = {number: each for number, each in zip(numbers, value, strict=True) if each is not None}
        elif value is not None:
            members[name] = value
    return json.dumps(members, ensure_ascii=False).encode()


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_sent_is_read(kind: str) -> None:
    @moderate
    @given(request=strategies.requests(MESSAGES[kind]))
    def check(request: Request) -> None:
        assert decode_request(kind, sent_text(request)) == request

    check()
