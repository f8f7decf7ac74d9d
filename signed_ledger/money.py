"""Currencies and exact amounts: an amount is an `int` of minor units, with its currency.

The table is part of the record format: what was written in a currency must be readable for ever, so it is frozen
here and only ever grows (docs/adr/0003). It is ISO 4217's list one of 2026-01-01, without funds and metals that
have no minor unit; a test compares it with the `iso4217` package.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from signed_ledger.errors import Invalid

_CODES_BY_DIGITS: Final = {
    0: ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "),
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
        "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
        "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
        "MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
        "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
        "USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
    ),
    3: ("BHD IQD JOD KWD LYD OMR TND "),
    4: ("CLF UYW "),
}
MINOR_DIGITS: Final = {code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()}

WIRE_MINOR_MAX: Final = 10**15 - 1
"""The largest amount a caller may name, in minor units (API.md)."""

BALANCE_MINOR_MAX: Final = 2**63 - 1
"""The largest amount or balance, either way, in minor units: what the database holds in an integer."""

_CANONICAL = {
    digits: re.compile(r"-?(?:0|[1-9][0-9]*)" + (rf"\.[0-9]{{{digits}}}" if digits else ""))
    for digits in _CODES_BY_DIGITS
}
_WIRE_TEXT = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount: `minor` units of `currency`, for EUR cents."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in MINOR_DIGITS:
            raise Invalid("currency", f"{self.currency!r} is not a currency of ISO 4217")
        if type(self.minor) is not int or abs(self.minor) > BALANCE_MINOR_MAX:
            raise Invalid("amount", "is not a whole number of minor units within ±(2^63-1)")

    def __str__(self) -> str:
        return f"{format_minor(self.minor, self.currency)} {self.currency}"

    @property
    def amount(self) -> str:
        """The amount in the records' form, without the currency: `12.30`."""
        return format_minor(self.minor, self.currency)


def format_minor(minor: int, currency: str) -> str:
    """Give the one decimal string of an amount, with exactly the currency's minor digits: `-0.05`, `1230`, `1.230`."""
    digits = MINOR_DIGITS[currency]
    if digits == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}"


def parse_minor(text: object, currency: object, field: str = "amount") -> int:
    """Read the records' form of an amount, the inverse of `format_minor`.

    Raises `Invalid` for anything that `format_minor` would not have written (`-0.00`, `1.5`, `01.00`), and for more
    than any account can hold.
    """
    digits = MINOR_DIGITS.get(currency) if isinstance(currency, str) else None
    if digits is None:
        raise Invalid("currency", f"{currency!r} is not a currency of ISO 4217")
    if not isinstance(text, str) or not _CANONICAL[digits].fullmatch(text) or len(text) > 24:
        raise Invalid(field, f"is not an amount with exactly {digits} decimals")
    minor = int(text.replace(".", ""))
    if minor == 0 and text[0] == "-":
        raise Invalid(field, "is a negative zero")
    if abs(minor) > BALANCE_MINOR_MAX:
        raise Invalid(field, "is not within ±(2^63-1) minor units")
    return minor


def read_amount(value: object, currency: str, field: str) -> Money:
    """Read an amount that a caller sent, exactly: a JSON number (as `Decimal` or `int`) or a decimal string.

    Gives `Money` of 0 up to 10^15 - 1 minor units. Raises `Invalid` naming `field` for a negative amount, one with more
    fraction digits than the currency has, one too large, or anything that is not a number.
    """
    digits = MINOR_DIGITS[currency]
    number = _exact(value, field)
    if number.is_signed():
        raise Invalid(field, "must not be negative")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -digits:
        raise Invalid(field, f"has more fraction digits than the {digits} of {currency}")
    if number and number.adjusted() + digits > 15:  # before scaling: 1e999999999 must cost nothing
        raise Invalid(field, "must be less than 10^15 minor units")
    minor = int(number.scaleb(digits))
    if minor > WIRE_MINOR_MAX:
        raise Invalid(field, "must be less than 10^15 minor units")
    return Money(minor, currency)


def _exact(value: object, field: str) -> Decimal:
    if isinstance(value, str):
        if len(value) > 32 or not _WIRE_TEXT.fullmatch(value):
            raise Invalid(field, "must be a decimal number such as 12.30")
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    if type(value) is int:
        return Decimal(value)
    raise Invalid(field, "must be a decimal number such as 12.30")
