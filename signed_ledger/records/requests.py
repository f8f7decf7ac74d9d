"""What a Scheme asks or tells, decoded."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from signed_ledger.countries import ALPHA_2
from signed_ledger.errors import Invalid
from signed_ledger.money import CURRENCY_NUMBERS, Fee, Money
from signed_ledger.records.messages import AUTHORISATION_KINDS
from signed_ledger.records.names import CONTROL, MCC, NAME, check_asked, check_matches

_RETRIEVAL: Final = re.compile(r"[A-Za-z0-9 ]{12}")
_APPROVAL: Final = re.compile(r"[A-Za-z0-9 ]{6}")
_NUMBER: Final = re.compile(r"[0-9]{3}")


class Iso8583(NamedTuple):
    """Data elements as the Scheme has them: DE 37, 38 and 49 to 51 (ISO 8583:1987); `None` was not sent."""

    retrieval_reference: str | None = None
    approval_code: str | None = None
    transaction_currency: str | None = None
    settlement_currency: str | None = None
    billing_currency: str | None = None


ISO8583_ELEMENTS: Final = dict(zip(("37", "38", "49", "50", "51"), Iso8583._fields, strict=True))


@dataclass(frozen=True, slots=True)
class Request:
    """A message of `type`, one of `MESSAGES`. What is `None` was not given. `merchant_country` as sent."""

    type: str
    transaction_id: str | None = None
    card_id: str | None = None
    merchant_name: str | None = None
    merchant_country: str | None = None
    merchant_mcc: str | None = None
    billing: Money | None = None
    transaction: Money | None = None
    settlement: Money | None = None
    authorisation_kind: str | None = None
    presentment_id: str | None = None
    refund_id: str | None = None
    final: bool | None = None
    force_post: bool | None = None
    interchange: Fee | None = None
    iso8583: Iso8583 | None = None

    def __post_init__(self) -> None:
        names = (self.transaction_id, self.card_id, self.presentment_id, self.refund_id)
        for name, value in zip(_NAMES, names, strict=True):
            if value is not None:
                check_matches(NAME, value, name, "1 to 64 of A-Za-z0-9._-")
        _check_merchant(self)
        check_asked(self.billing, "billing")
        check_asked(self.transaction, "transaction")
        check_asked(self.settlement, "settlement")
        if self.authorisation_kind is not None and self.authorisation_kind not in AUTHORISATION_KINDS:
            raise Invalid("authorisation_kind", f"must be one of {', '.join(AUTHORISATION_KINDS)}")
        if self.interchange is not None:
            _check_interchange(self.interchange, self.settlement)
        if self.iso8583 is not None:
            _check_iso8583(self.iso8583, self)


_NAMES: Final = ("transaction_id", "card_id", "presentment_id", "refund_id")


def _check_merchant(request: Request) -> None:
    """Refuse what can not be a merchant's name, ISO 3166-1 country or ISO 18245 category."""
    name, country, mcc = request.merchant_name, request.merchant_country, request.merchant_mcc
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= 100 or CONTROL.search(name)):
        raise Invalid("merchant_name", "must be 1 to 100 characters, none of them control characters")
    if country is not None and (not isinstance(country, str) or country not in ALPHA_2):
        raise Invalid("merchant_country", "must be a country of ISO 3166-1, alpha-2 or alpha-3")
    if mcc is not None:
        check_matches(MCC, mcc, "merchant_mcc", "4 digits")


def _check_interchange(interchange: Fee, settlement: Money | None) -> None:
    if settlement is None or interchange.currency != settlement.currency or interchange.micros < 0:
        raise Invalid("interchange_amount", "must be a fee in the settlement currency, not below zero")


_ELEMENT_FORMS: Final = (
    (_RETRIEVAL, "12 letters, digits and spaces"),
    (_APPROVAL, "6 letters, digits and spaces"),
    *((_NUMBER, "3 digits"),) * 3,
)


def _check_iso8583(elements: Iso8583, request: Request) -> None:
    for number, (pattern, what), value in zip(ISO8583_ELEMENTS, _ELEMENT_FORMS, elements, strict=True):
        if value is not None:
            check_matches(pattern, value, f"iso8583.{number}", what)
    currencies = (("49", request.transaction), ("50", request.settlement), ("51", request.billing))
    for (number, money), value in zip(currencies, elements[2:], strict=True):
        if value is not None and money is not None and CURRENCY_NUMBERS[money.currency] != value:
            raise Invalid(f"iso8583.{number}", f"is not the number of {money.currency}")
