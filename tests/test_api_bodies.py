"""A webhook's body, field by field: what is refused, and which field is named."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api_support import Caller, Site, serving
from tests.world import authorisation, euros, presentment

GOOD = authorisation("tx-1", "card-1", "1.00")
CLEARING = presentment("tx-1", "1.00")
BILLED, SETTLED = euros("billing", "1.00"), euros("settlement", "1.00")
REQUIRED = list(GOOD)
AMOUNTS = ["billing_amount", "transaction_amount"]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as site:
        await site.load("card-1", 10**9)
        yield site


@pytest.fixture
async def acme(site: Site) -> Caller:
    return await site.caller("scheme", "acme")


async def _field(site: Site, acme: Caller, body: Any, path: str = "/authorisation") -> str:
    told = await site.post(acme, path, body)
    assert (told.status, told.code) == (400, "malformed"), told.raw
    return str(told.json["field"])


def _with(**members: Any) -> dict[str, Any]:
    return {**GOOD, **members}


def _raw(**literals: str) -> bytes:
    """The good body with members written as these JSON texts."""
    parts = [f"{json.dumps(name)}: {literals.get(name, json.dumps(value))}" for name, value in GOOD.items()]
    return ("{" + ", ".join(parts) + "}").encode()


async def test_each_field_is_required_and_not_null(site: Site, acme: Caller) -> None:
    for name in REQUIRED:
        missing = {key: value for key, value in GOOD.items() if key != name}
        assert await _field(site, acme, missing) == name
        assert await _field(site, acme, _with(**{name: None})) == name
    for name in CLEARING:
        missing = {key: value for key, value in CLEARING.items() if key != name}
        assert await _field(site, acme, missing, "/presentment") == name


async def test_each_field_is_of_its_type(site: Site, acme: Caller) -> None:
    for name in REQUIRED:
        wrongs: list[Any] = [True, [], {}, [GOOD[name]]]
        for wrong in wrongs:
            assert await _field(site, acme, _with(**{name: wrong})) == name
    for name in ("transaction_id", "card_id", "merchant_name", "merchant_country", "billing_currency"):
        assert await _field(site, acme, _with(**{name: 12})) == name


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("transaction_id", ""),
        ("transaction_id", "x" * 65),
        ("transaction_id", "a b"),
        ("transaction_id", "tx/1"),
        ("transaction_id", "tx-1\n"),
        ("card_id", ""),
        ("card_id", "x" * 65),
        ("card_id", "карта"),
        ("merchant_name", ""),
        ("merchant_name", "x" * 101),
        ("merchant_name", "a\u0000b"),
        ("merchant_country", "XX"),
        ("merchant_country", "at"),
        ("merchant_country", "AUTX"),
        ("merchant_mcc", "581"),
        ("merchant_mcc", "58123"),
        ("merchant_mcc", "58x2"),
        ("merchant_mcc", 581),
        ("merchant_mcc", 58.12),
        ("merchant_mcc", "٥٨١٢"),
        ("billing_currency", "EURO"),
        ("billing_currency", "eur"),
        ("billing_currency", "XXX"),
        ("transaction_currency", ""),
    ],
)
async def test_a_value_of_another_form_is_named(site: Site, acme: Caller, name: str, wrong: Any) -> None:
    assert await _field(site, acme, _with(**{name: wrong})) == name


@pytest.mark.parametrize(
    "literal",
    [
        pytest.param("-0.01", id="a negative number"),
        pytest.param('"-0.01"', id="a negative string"),
        pytest.param("-0", id="a negative zero"),
        pytest.param("0.001", id="more decimals than EUR has"),
        pytest.param('"0.001"', id="more decimals in a string"),
        pytest.param("1.000", id="more decimals, all zero"),
        pytest.param("1e-3", id="more decimals by an exponent"),
        pytest.param("10000000000000", id="10^15 minor units"),
        pytest.param("1e400", id="beyond any float"),
        pytest.param("1e999999999", id="an exponent that must cost nothing"),
        pytest.param('"1e2"', id="an exponent in a string"),
        pytest.param('"1,00"', id="a comma"),
        pytest.param('" 1.00"', id="a space"),
        pytest.param('"+1.00"', id="a plus"),
        pytest.param('"01.00"', id="a leading zero"),
        pytest.param('".50"', id="no whole part"),
        pytest.param('"NaN"', id="NaN in a string"),
        pytest.param('"Infinity"', id="Infinity in a string"),
        pytest.param('"0x10"', id="hex"),
        pytest.param('"١٠"', id="other digits"),
        pytest.param('""', id="nothing"),
        pytest.param("true", id="a boolean"),
    ],
)
async def test_an_amount_that_is_not_one_is_named(site: Site, acme: Caller, literal: str) -> None:
    for name in AMOUNTS:
        assert await _field(site, acme, _raw(**{name: literal})) == name


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1" * 41, "0." + "1" * 40])
async def test_a_number_that_is_not_json_or_too_long_is_malformed(site: Site, acme: Caller, literal: str) -> None:
    assert await _field(site, acme, _raw(billing_amount=literal)) == "body"


@pytest.mark.parametrize(
    ("currency", "amount", "fits"),
    [
        ("JPY", "100", True),
        ("JPY", "100.0", False),
        ("JPY", "1.5", False),
        ("KWD", "1.234", True),
        ("KWD", "1.2345", False),
        ("EUR", "1.23", True),
        ("EUR", "1.234", False),
    ],
)
async def test_decimals_are_the_currencys(site: Site, acme: Caller, currency: str, amount: str, fits: bool) -> None:
    body = _with(transaction_amount=amount, transaction_currency=currency)
    if fits:
        assert (await site.post(acme, "/authorisation", body)).status == 201
    else:
        assert await _field(site, acme, body) == "transaction_amount"


@pytest.mark.parametrize(
    ("literal", "shown"), [("1.5", "1.50"), ("1.50", "1.50"), ('"1.5"', "1.50"), ("15e-1", "1.50"), ("0", "0.00")]
)
async def test_an_amount_is_read_exactly(site: Site, acme: Caller, literal: str, shown: str) -> None:
    told = await site.post(acme, "/authorisation", _raw(billing_amount=literal))
    assert (told.status, json.loads(told.json["body"])["billing_amount"]) == (201, shown)


@pytest.mark.parametrize("mcc", [5812, "5812", "0742"])
async def test_a_merchants_category_is_a_number_or_a_string(site: Site, acme: Caller, mcc: Any) -> None:
    told = await site.post(acme, "/authorisation", _with(merchant_mcc=mcc, merchant_country="AUT"))
    assert (told.status, json.loads(told.json["body"])["merchant_mcc"]) == (201, str(mcc))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"", "body", id="nothing"),
        pytest.param(b"[]", "body", id="a list"),
        pytest.param(b'"text"', "body", id="text"),
        pytest.param(b"{", "body", id="half an object"),
        pytest.param(_raw() + b"{}", "body", id="two objects"),
        pytest.param(_raw()[:-1] + b",}", "body", id="a trailing comma"),
        pytest.param(b"\xef\xbb\xbf" + _raw(), "body", id="a byte order mark"),
        pytest.param(_raw().decode().encode("utf-16"), "body", id="UTF-16"),
        pytest.param(_raw().replace(b"Caf", b"Caf\xff"), "body", id="invalid UTF-8"),
        pytest.param(_raw().replace(b"Caf", b"\xed\xa0\x80"), "body", id="a surrogate in UTF-8"),
        pytest.param(_raw(merchant_name='"\\ud800"'), "merchant_name", id="half a surrogate pair"),
        pytest.param(_raw()[:-1] + b', "card_id": "card-1"}', "card_id", id="a field given twice"),
        pytest.param(_raw()[:-1] + b', "cvv": "123"}', "cvv", id="an unknown field"),
        pytest.param(_raw()[:-1] + b', "settlement_amount": "1"}', "settlement_amount", id="the other request's field"),
        pytest.param(_raw()[:-1] + b', "": 1}', "", id="a field without a name"),
        pytest.param(b"[" * 10_000, "body", id="deep nesting"),
        pytest.param(b'{"a":' * 5_000, "body", id="deep nesting of objects"),
    ],
)
async def test_a_body_that_two_readers_could_read_differently_is_malformed(
    site: Site, acme: Caller, body: bytes, field: str
) -> None:
    assert await _field(site, acme, body) == field


@pytest.mark.parametrize(
    ("more", "field"),
    [
        pytest.param({"force_post": "true"}, "force_post", id="forced as text"),
        pytest.param({"interchange_amount": 0.01}, "interchange_amount", id="an interchange as a number"),
        pytest.param({"interchange_amount": "0.000000001"}, "interchange_amount", id="an interchange of 9 decimals"),
        pytest.param({"iso8583": {"2": "4111"}}, "iso8583.2", id="a data element that is not taken"),
        pytest.param({"iso8583": {"50": "840"}}, "iso8583.50", id="another currency's number"),
        pytest.param({"refund_id": "r-1"}, "refund_id", id="a refund's field"),
        pytest.param({"final": 1}, "final", id="final as a number"),
        pytest.param({"final": None}, "final", id="final as null"),
        pytest.param({"presentment_id": ""}, "presentment_id", id="an empty presentment_id"),
        pytest.param({"card_id": None}, "card_id", id="an optional field as null"),
        pytest.param({"billing_amount": "1.00"}, "billing_currency", id="an amount without currency"),
        pytest.param({"transaction_currency": "EUR"}, "transaction_amount", id="a currency without amount"),
        pytest.param({"settlement_amount": "-1.00"}, "settlement_amount", id="a negative settlement"),
        pytest.param({"merchant_mcc": "1"}, "merchant_mcc", id="an optional field of another form"),
    ],
)
async def test_a_presentments_own_fields_are_checked(
    site: Site, acme: Caller, more: dict[str, Any], field: str
) -> None:
    assert await _field(site, acme, {**CLEARING, **more}, "/presentment") == field


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        pytest.param("/increment", {}, "transaction_id", id="an increment of nothing"),
        pytest.param("/increment", {"transaction_id": "tx-1"}, "billing_amount", id="an increment by nothing"),
        pytest.param("/increment", {**CLEARING}, "billing_amount", id="a presentment sent as an increment"),
        pytest.param("/reversal", {}, "transaction_id", id="a reversal of nothing"),
        pytest.param("/reversal", {"transaction_id": "tx-1", "final": True}, "final", id="a last reversal"),
        pytest.param(
            "/reversal", {"transaction_id": "tx-1", "billing_amount": "1"}, "billing_currency", id="half an amount"
        ),
        pytest.param("/refund", {**CLEARING}, "billing_amount", id="a refund of nothing"),
        pytest.param("/refund", {**BILLED, **SETTLED}, "refund_id", id="a refund of none, without an id"),
        pytest.param("/refund", {**BILLED, **SETTLED, "refund_id": "r-1"}, "card_id", id="a refund without a card"),
        pytest.param("/refund", {**BILLED, **SETTLED, "force_post": True}, "force_post", id="a refund that is forced"),
        pytest.param(
            "/presentment", {**CLEARING, "force_post": True}, "card_id", id="a forced presentment without a card"
        ),
        pytest.param(
            "/presentment",
            {**CLEARING, "force_post": True, "card_id": "card-1"},
            "billing_amount",
            id="a forced presentment of nothing",
        ),
        pytest.param(
            "/authorisation", {**GOOD, "authorisation_kind": "x"}, "authorisation_kind", id="a kind that is none"
        ),
    ],
)
async def test_each_messages_own_fields_are_checked(
    site: Site, acme: Caller, path: str, body: dict[str, Any], field: str
) -> None:
    assert await _field(site, acme, body, path) == field


async def test_all_of_a_presentments_fields_are_taken(site: Site, acme: Caller) -> None:
    await site.post(acme, "/authorisation", GOOD)
    more = {"final": True, "presentment_id": "p-1", "billing_amount": "0.90", "billing_currency": "EUR"}
    told = await site.post(acme, "/presentment", {**GOOD, **CLEARING, **more})
    assert told.status == 200
    assert json.loads(told.json["body"])["presentment_id"] == "p-1"
