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

_NUMBERS: Final = (
    "AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BHD048 BIF108 BMD060 BND096 "
    "BOB068 BOV984 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHE947 CHF756 CHW948 CLF990 CLP152 CNY156 "
    "COP170 COU970 CRC188 CUP192 CVE132 CZK203 DJF262 DKK208 DOP214 DZD012 EGP818 ERN232 ETB230 EUR978 FJD242 FKP238 "
    "GBP826 GEL981 GHS936 GIP292 GMD270 GNF324 GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IQD368 "
    "IRR364 ISK352 JMD388 JOD400 JPY392 KES404 KGS417 KHR116 KMF174 KPW408 KRW410 KWD414 KYD136 KZT398 LAK418 LBP422 "
    "LKR144 LRD430 LSL426 LYD434 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MRU929 MUR480 MVR462 MWK454 MXN484 "
    "MXV979 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 OMR512 PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 "
    "PYG600 QAR634 RON946 RSD941 RUB643 RWF646 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702 SHP654 SLE925 SOS706 SRD968 "
    "SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TND788 TOP776 TRY949 TTD780 TWD901 TZS834 UAH980 UGX800 "
    "USD840 USN997 UYI940 UYU858 UYW927 UZS860 VED926 VES928 VND704 VUV548 WST882 XAD396 XAF950 XCD951 XCG532 XOF952 "
    "XPF953 YER886 ZAR710 ZMW967 ZWG924 "
)
CURRENCY_NUMBERS: Final = {pair[:3]: pair[3:] for pair in _NUMBERS.split()}
"""ISO 4217's three digits of each currency, as ISO 8583 sends them (DE 49 to 51)."""

WIRE_MINOR_MAX: Final = 10**15 - 1
"""The largest amount a caller may name, in minor units (API.md)."""

BALANCE_MINOR_MAX: Final = 2**63 - 1
"""The largest amount or balance, either way, in minor units: what the database holds in an integer."""

_CANONICAL = {
    digits: re.compile(r"-?(?:0|[1-9][0-9]*)" + (rf"\.[0-9]{{{digits}}}" if digits else ""))
    for digits in _CODES_BY_DIGITS
}
_PLAIN = {digits: re.compile(pattern.pattern.removeprefix("-?")) for digits, pattern in _CANONICAL.items()}
_PLAIN_CHARS_MAX: Final = 15  # fewer than 10^15 minor units, whatever stands there
FEE_DIGITS: Final = 6
"""How many decimals a fee has beyond its currency's."""
_MICROS: Final = 10**FEE_DIGITS
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


@dataclass(frozen=True, slots=True)
class Fee:
    """An exact amount below the minor unit: `micros` millionths of a minor unit of `currency`."""

    micros: int
    currency: str

    def __post_init__(self) -> None:
        Money(self.micros // _MICROS, self.currency)
        if type(self.micros) is not int:
            raise Invalid("fee", "is not a whole number of millionths of a minor unit")

    @property
    def amount(self) -> str:
        """The one decimal string of this fee, with six decimals more than its currency has: `0.01235000` EUR."""
        scale = 10 ** (MINOR_DIGITS[self.currency] + FEE_DIGITS)
        whole, rest = divmod(abs(self.micros), scale)
        return f"{'-' if self.micros < 0 else ''}{whole}.{str(scale + rest)[1:]}"

    @classmethod
    def of(cls, minor: int, currency: str) -> "Fee":
        """A whole number of minor units as a fee."""
        return cls(minor * _MICROS, currency)

    @property
    def floored(self) -> int:
        """The whole minor units in it, rounded down."""
        return self.micros // _MICROS


def parse_fee(text: object, currency: str, field: str) -> Fee:
    """Read the records' form of a fee, the inverse of `Fee.amount`; raise `Invalid` for any other."""
    digits = MINOR_DIGITS[currency] + FEE_DIGITS
    if (
        not isinstance(text, str)
        or not re.fullmatch(rf"-?(?:0|[1-9][0-9]*)\.[0-9]{{{digits}}}", text)
        or len(text) > 32
    ):
        raise Invalid(field, f"is not a fee with exactly {digits} decimals")
    fee = Fee(int(text.replace(".", "")), currency)
    if fee.amount != text:
        raise Invalid(field, "is a negative zero")
    return fee


def format_minor(minor: int, currency: str) -> str:
    """Give the one decimal string of an amount, with exactly the currency's minor digits: `-0.05`, `1230`, `1.230`."""
    digits = MINOR_DIGITS[currency]
    if digits == 0:
        return str(minor)
    text = str(minor).zfill(digits + 1 + (minor < 0))
    return f"{text[:-digits]}.{text[-digits:]}"


def parse_minor(text: object, currency: object, field: str = "amount") -> int:
    """Read the records' form of an amount, the inverse of `format_minor`.

    Raises `Invalid` for anything that `format_minor` would not have written (`-0.00`, `1.5`, `01.00`), and for more
    than any account can hold.
    """
    digits = MINOR_DIGITS.get(currency) if type(currency) is str else None
    if digits is None:
        raise Invalid("currency", f"{currency!r} is not a currency of ISO 4217")
    if type(text) is not str or len(text) > 24 or _CANONICAL[digits].fullmatch(text) is None:
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
    if type(value) is str and len(value) <= _PLAIN_CHARS_MAX and _PLAIN[digits].fullmatch(value):
        return Money(int(value.replace(".", "")), currency)  # what nearly all send: needs no decimals to be exact
    return Money(_scaled(value, currency, field, 0), currency)


def read_fee(value: object, currency: str, field: str) -> Fee:
    """Read a fee that a caller sent, as `read_amount` does, but with up to six decimals more, and from text only."""
    if not isinstance(value, str):
        raise Invalid(field, 'must be a decimal string such as "0.0125"')
    return Fee(_scaled(value, currency, field, FEE_DIGITS), currency)


def _scaled(value: object, currency: str, field: str, more_digits: int) -> int:
    """The amount as a whole number of 10^-more_digits minor units."""
    digits = MINOR_DIGITS[currency] + more_digits
    number = _exact(value, field)
    if number.is_signed():
        raise Invalid(field, "must not be negative")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -digits:
        what = f"the {digits} of {currency}" if not more_digits else f"the {digits} of a fee in {currency}"
        raise Invalid(field, f"has more fraction digits than {what}")
    if number and number.adjusted() + digits > 15 + more_digits:  # before scaling: 1e999999999 must cost nothing
        raise Invalid(field, "must be less than 10^15 minor units")
    scaled = int(number.scaleb(digits))
    if scaled >= (WIRE_MINOR_MAX + 1) * 10**more_digits:
        raise Invalid(field, "must be less than 10^15 minor units")
    return scaled


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
