"""Currencies, countries, and exact amounts in both of their forms: the records' one text, and what a caller sends."""

from decimal import Decimal
from typing import Any

import iso4217
import pycountry
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signed_ledger.countries import ALPHA_2
from signed_ledger.errors import Invalid
from signed_ledger.money import (
    BALANCE_MINOR_MAX,
    CURRENCY_NUMBERS,
    FEE_DIGITS,
    MINOR_DIGITS,
    WIRE_MINOR_MAX,
    Fee,
    Money,
    format_minor,
    parse_fee,
    parse_minor,
    read_amount,
    read_fee,
)

moderate = settings(max_examples=200, deadline=None)
currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF", *MINOR_DIGITS])
balances = st.integers(-BALANCE_MINOR_MAX, BALANCE_MINOR_MAX)

# --- the tables ---


def test_every_currency_with_minor_units_is_in_the_table() -> None:
    theirs = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
    assert len(theirs) > 150
    assert {code: MINOR_DIGITS.get(code) for code in theirs} == theirs


def test_what_has_no_minor_units_is_no_currency_here() -> None:
    without = {currency.code for currency in iso4217.Currency if currency.exponent is None}
    assert {"XAU", "XDR", "XXX", "XTS"} <= without
    assert without.isdisjoint(MINOR_DIGITS)


def test_every_currency_has_its_number() -> None:
    theirs = {currency.code: f"{currency.number:03d}" for currency in iso4217.Currency}
    assert {code: theirs[code] for code in MINOR_DIGITS} == CURRENCY_NUMBERS
    others = {currency.alpha_3: currency.numeric for currency in pycountry.currencies}
    known = CURRENCY_NUMBERS.keys() & others.keys()
    assert len(known) > 150
    assert {code: CURRENCY_NUMBERS[code] for code in known} == {code: others[code] for code in known}


def test_every_country_is_in_the_table() -> None:
    theirs = {code: country.alpha_2 for country in pycountry.countries for code in (country.alpha_2, country.alpha_3)}
    assert len(theirs) > 480
    assert {code: ALPHA_2.get(code) for code in theirs} == theirs


def test_codes_have_their_form() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in MINOR_DIGITS)
    assert all(len(code) in (2, 3) and code.isascii() and code.isupper() for code in ALPHA_2)
    assert all(len(alpha_2) == 2 and ALPHA_2[alpha_2] == alpha_2 for alpha_2 in ALPHA_2.values())


# --- the records' form ---


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (1230, "EUR", "12.30"),
        (-100, "EUR", "-1.00"),
        (BALANCE_MINOR_MAX, "EUR", "92233720368547758.07"),
        (0, "JPY", "0"),
        (1230, "JPY", "1230"),
        (-1, "JPY", "-1"),
        (0, "KWD", "0.000"),
        (1, "KWD", "0.001"),
        (1230, "KWD", "1.230"),
        (-999, "KWD", "-0.999"),
        (12345, "CLF", "1.2345"),
    ],
)
def test_an_amount_has_one_text(minor: int, currency: str, text: str) -> None:
    assert format_minor(minor, currency) == text
    assert parse_minor(text, currency) == minor
    assert str(Money(minor, currency)) == f"{text} {currency}"
    assert Money(minor, currency).amount == text


@moderate
@given(minor=balances, currency=currencies)
def test_what_is_written_is_read(minor: int, currency: str) -> None:
    text = format_minor(minor, currency)
    assert parse_minor(text, currency) == minor
    assert Decimal(text).scaleb(MINOR_DIGITS[currency]) == minor
    assert len(text.partition(".")[2]) == MINOR_DIGITS[currency]


@moderate
@given(text=st.from_regex(r"-?[0-9]{0,18}(\.[0-9]{0,5})?", fullmatch=True) | st.text(max_size=12), currency=currencies)
@example(text="-0", currency="JPY")
@example(text="\u0661.\u0662\u0663", currency="EUR")
def test_what_is_read_is_what_would_be_written(text: str, currency: str) -> None:
    try:
        minor = parse_minor(text, currency)
    except Invalid:
        return
    assert format_minor(minor, currency) == text


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        *[
            (text, "EUR")
            for text in ("", "-", ".", "0", "1", "1.5", "1.500", "01.00", "00.00", "-0.00", "+1.00", ".50")
        ],
        *[(text, "EUR") for text in ("1.00\n", " 1.00", "1,00", "1e2", "1_0.00", "\uff11.00", "--1.00", "1.-5", "NaN")],
        *[
            (text, "EUR")
            for text in ("92233720368547758.08", "-92233720368547758.08", "9" * 22 + ".00", "9" * 5000 + ".00")
        ],
        *[(text, "JPY") for text in ("-0", "1.", "1.0", "01", "9223372036854775808")],
        *[(text, "KWD") for text in ("1", "1.23", "1.2300", "-0.000")],
    ],
)
def test_what_would_not_be_written_is_refused(text: str, currency: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_minor(text, currency, "posted")
    assert refused.value.field == "posted"


@pytest.mark.parametrize("text", [None, 1, 1.5, True, b"1.00", ["1.00"], Decimal("1.00")], ids=repr)
def test_what_is_not_text_is_refused(text: object) -> None:
    with pytest.raises(Invalid, match="exactly 2 decimals"):
        parse_minor(text, "EUR")


@pytest.mark.parametrize("currency", ["eur", "XXX", "XAU", "", "EURO", None, 978, [], {}], ids=repr)
def test_what_is_not_a_currency_is_refused(currency: Any) -> None:
    with pytest.raises(Invalid) as refused:
        parse_minor("1.00", currency)
    assert refused.value.field == "currency"


# --- Money ---


@pytest.mark.parametrize(
    "minor", [BALANCE_MINOR_MAX + 1, -BALANCE_MINOR_MAX - 1, 2**64, 1.0, True, "1", None], ids=repr
)
def test_money_is_a_whole_number_that_every_reader_can_hold(minor: Any) -> None:
    with pytest.raises(Invalid) as refused:
        Money(minor, "EUR")
    assert refused.value.field == "amount"


def test_money_is_of_a_currency() -> None:
    with pytest.raises(Invalid) as refused:
        Money(1, "XXX")
    assert refused.value.field == "currency"


# --- what a caller sends ---


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("12.30", "EUR", 1230),
        ("12.3", "EUR", 1230),
        ("12", "EUR", 1200),
        (12, "EUR", 1200),
        (0, "EUR", 0),
        ("0.00", "EUR", 0),
        (Decimal("12.3"), "EUR", 1230),
        (Decimal("1.23E+1"), "EUR", 1230),
        (Decimal("1E+2"), "JPY", 100),
        (Decimal("0E+999999"), "EUR", 0),
        (Decimal("0.001"), "KWD", 1),
        ("9999999999999.99", "EUR", WIRE_MINOR_MAX),
        (WIRE_MINOR_MAX, "JPY", WIRE_MINOR_MAX),
        ("999999999999.999", "KWD", WIRE_MINOR_MAX),
        ("99999999999.9999", "CLF", WIRE_MINOR_MAX),
    ],
)
def test_an_amount_sent_is_read_exactly(value: object, currency: str, minor: int) -> None:
    assert read_amount(value, currency, "billing_amount") == Money(minor, currency)


NO_NUMBER = "must be a decimal number such as 12.30"
NEGATIVE: list[object] = [-1, Decimal("-0.01"), Decimal("-0"), Decimal("-0.00")]
TOO_FINE: list[object] = ["1.234", Decimal("1.000"), Decimal("0E-3"), Decimal("1E-999999")]
TOO_MUCH: list[object] = [
    "10000000000000.00",
    10**13,
    10**400,
    Decimal("9" * 40),
    Decimal("1e15"),
    Decimal("1E+999999"),
]
NOT_A_NUMBER: list[object] = [
    *("-1", "+1", "", "1e2", " 1", "1\n", "1.", ".5", "01", "1" * 33, "\u0661"),
    *(None, True, 1.0, b"1", [1], {}),
]


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        *[(value, "must not be negative") for value in NEGATIVE],
        *[(value, "has more fraction digits than the 2 of EUR") for value in TOO_FINE],
        *[(value, "must be less than 10^15 minor units") for value in TOO_MUCH],
        *[(value, NO_NUMBER) for value in NOT_A_NUMBER],
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_amount_that_can_not_be_is_refused(value: object, detail: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_amount(value, "EUR", "billing_amount")
    assert (refused.value.field, refused.value.detail) == ("billing_amount", detail)


@moderate
@given(minor=st.integers(0, WIRE_MINOR_MAX), currency=currencies, more=st.integers(0, 3))
def test_every_way_to_send_an_amount_is_the_same_amount(minor: int, currency: str, more: int) -> None:
    text = format_minor(minor, currency)
    expected = Money(minor, currency)
    for same in (text, Decimal(text), Decimal(minor).scaleb(-MINOR_DIGITS[currency]), Decimal(text).normalize()):
        assert read_amount(same, currency, "billing_amount") == expected
    if minor % 10**more == 0 and more <= MINOR_DIGITS[currency]:
        shorter = text[: len(text) - more].removesuffix(".") if more else text
        assert read_amount(shorter, currency, "billing_amount") == expected


# --- fees: exact below the minor unit ---

MICROS = 10**FEE_DIGITS
fees = st.integers(-BALANCE_MINOR_MAX * MICROS, BALANCE_MINOR_MAX * MICROS)


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (0, "EUR", "0.00000000"),
        (1, "EUR", "0.00000001"),
        (-1, "EUR", "-0.00000001"),
        (1_235_000, "EUR", "0.01235000"),
        (123_456_789, "EUR", "1.23456789"),
        (1, "JPY", "0.000001"),
        (-7_000_000, "JPY", "-7.000000"),
        (1_000_000, "KWD", "0.001000000"),
        (1, "CLF", "0.0000000001"),
    ],
)
def test_a_fee_has_one_text(micros: int, currency: str, text: str) -> None:
    assert Fee(micros, currency).amount == text
    assert parse_fee(text, currency, "fee") == Fee(micros, currency)


@moderate
@given(micros=fees, currency=currencies)
@example(micros=BALANCE_MINOR_MAX * MICROS, currency="CLF")
@example(micros=-BALANCE_MINOR_MAX * MICROS, currency="CLF")
def test_a_fee_that_is_written_is_read(micros: int, currency: str) -> None:
    fee = Fee(micros, currency)
    assert parse_fee(fee.amount, currency, "fee") == fee
    assert Decimal(fee.amount).scaleb(MINOR_DIGITS[currency] + FEE_DIGITS) == micros


@moderate
@given(text=st.from_regex(r"-?[0-9]{0,18}(\.[0-9]{0,12})?", fullmatch=True) | st.text(max_size=12), currency=currencies)
@example(text="-0.00000000", currency="EUR")
@example(text="00.00000000", currency="EUR")
def test_a_fee_that_is_read_is_what_would_be_written(text: str, currency: str) -> None:
    try:
        fee = parse_fee(text, currency, "fee")
    except Invalid:
        return
    assert fee.amount == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0.03", "0.0333", "0.033300000", "00.03330000", "+0.03330000", "-0.00000000", ".03330000", "1e0"),
        *(" 0.03330000", "0.03330000\n", "0,03330000", "\u0660.03330000", "1" * 30 + ".00000000", None, 0, 0.5, b"0.0"),
        f"{BALANCE_MINOR_MAX}.00000000",
    ],
    ids=repr,
)
def test_what_is_no_fee_is_refused(text: object) -> None:
    with pytest.raises(Invalid):
        parse_fee(text, "EUR", "fee")


@pytest.mark.parametrize("micros", [BALANCE_MINOR_MAX * MICROS + MICROS, 1.0, "1", None], ids=repr)
def test_a_fee_is_a_whole_number_of_millionths(micros: Any) -> None:
    with pytest.raises((Invalid, TypeError)):
        Fee(micros, "EUR")


@moderate
@given(micros=fees, currency=currencies)
def test_a_fee_is_rounded_down(micros: int, currency: str) -> None:
    floored = Fee(micros, currency).floored
    assert 0 <= micros - floored * MICROS < MICROS
    assert Fee.of(floored, currency).floored == floored


@moderate
@given(micros=st.integers(0, (WIRE_MINOR_MAX + 1) * MICROS - 1), currency=currencies, cut=st.integers(0, 6))
@example(micros=(WIRE_MINOR_MAX + 1) * MICROS - 1, currency="EUR", cut=0)
def test_a_fee_is_read_exactly_as_it_is_sent(micros: int, currency: str, cut: int) -> None:
    micros = micros // 10**cut * 10**cut
    text = Fee(micros, currency).amount
    assert read_fee(text[: len(text) - cut].rstrip("."), currency, "fee") == Fee(micros, currency)


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        *((value, "must be a decimal string") for value in (0, 1.5, Decimal("0.01"), None, True, (), b"0.01")),
        *((value, "must be a decimal number") for value in ("", "x", "-1", "+1", "1.", ".5", "01", "1e2", " 1", "1_0")),
        ("0.000000001", "more fraction digits than the 8 of a fee in EUR"),
        ("10000000000000", "less than 10^15 minor units"),
        ("10000000000000.00000000", "less than 10^15 minor units"),
        ("1" * 33, "must be a decimal number"),
    ],
    ids=repr,
)
def test_a_fee_that_can_not_be_is_refused(value: object, detail: str) -> None:
    with pytest.raises(Invalid, match=detail.replace("^", r"\^")) as refused:
        read_fee(value, "EUR", "fee")
    assert refused.value.field == "fee"
