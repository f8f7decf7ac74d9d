"""A Scheme's JSON body, as received, to a request. Strict: two readers of one body must read the same (docs/API.md).

Refused: invalid UTF-8, duplicate keys, NaN and Infinity, unknown fields, lone surrogates, a float read inexactly.
"""

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, Money, read_amount
from signed_ledger.records import AuthorisationRequest, PresentmentRequest

SchemeRequest: TypeAlias = AuthorisationRequest | PresentmentRequest

_NUMBER_CHARS_MAX: Final = 40


def decode_request(kind: str, body: bytes) -> SchemeRequest:
    """Read the body of a webhook of `kind`, `authorisation` or `presentment`; raise `Invalid` naming the field."""
    members = _read_object(body)
    request = _DECODERS[kind](members)
    if members:
        raise Invalid(_shown(min(members)), "is not a field of this request")
    return request


def _decode_authorisation(members: dict[str, Any]) -> AuthorisationRequest:
    return AuthorisationRequest(
        transaction_id=_text(members, "transaction_id"),
        card_id=_text(members, "card_id"),
        merchant_name=_text(members, "merchant_name"),
        merchant_country=_text(members, "merchant_country"),
        merchant_mcc=_mcc(_required(members, "merchant_mcc")),
        billing=_money(members, "billing"),
        transaction=_money(members, "transaction"),
    )


def _decode_presentment(members: dict[str, Any]) -> PresentmentRequest:
    if members.pop("final", True) is not True:
        raise Invalid("final", "must be true: partial clearings are not supported")
    return PresentmentRequest(
        transaction_id=_text(members, "transaction_id"),
        settlement=_money(members, "settlement"),
        card_id=_text_or_none(members, "card_id"),
        merchant_name=_text_or_none(members, "merchant_name"),
        merchant_country=_text_or_none(members, "merchant_country"),
        merchant_mcc=_mcc(_required(members, "merchant_mcc")) if "merchant_mcc" in members else None,
        billing=_money_or_none(members, "billing"),
        transaction=_money_or_none(members, "transaction"),
        presentment_id=_text_or_none(members, "presentment_id"),
    )


_DECODERS: Final[dict[str, Callable[[dict[str, Any]], SchemeRequest]]] = {
    "authorisation": _decode_authorisation,
    "presentment": _decode_presentment,
}


def _required(members: dict[str, Any], name: str) -> Any:
    if name not in members:
        raise Invalid(name, "is required")
    value = members.pop(name)
    if value is None:
        raise Invalid(name, "must not be null")
    return value


def _text(members: dict[str, Any], name: str) -> str:
    value = _required(members, name)
    if type(value) is not str:
        raise Invalid(name, "must be text")
    return value


def _text_or_none(members: dict[str, Any], name: str) -> str | None:
    return _text(members, name) if name in members else None


def _mcc(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _money(members: dict[str, Any], name: str) -> Money:
    amount, currency = _required(members, f"{name}_amount"), _required(members, f"{name}_currency")
    if not isinstance(currency, str) or currency not in MINOR_DIGITS:
        raise Invalid(f"{name}_currency", "must be a currency of ISO 4217, such as EUR")
    return read_amount(amount, currency, f"{name}_amount")


def _money_or_none(members: dict[str, Any], name: str) -> Money | None:
    given = f"{name}_amount" in members or f"{name}_currency" in members
    return _money(members, name) if given else None


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Invalid("body", "is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        raise Invalid("body", "is not JSON") from None
    if type(value) is not dict:
        raise Invalid("body", "must be a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Invalid(_shown(name), "is given twice")
            seen.add(name)
    for name, value in pairs:
        if not _is_unicode(name) or (isinstance(value, str) and not _is_unicode(value)):
            raise Invalid(_shown(name), "holds half of a surrogate pair")
    return members


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(name: str) -> str:
    """A caller's own field name, made safe to be told back."""
    return ascii(name[:64])[1:-1]


def _read_decimal(text: str) -> Decimal:
    if len(text) > _NUMBER_CHARS_MAX:
        raise Invalid("body", f"holds a number of more than {_NUMBER_CHARS_MAX} characters")
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of 19 digits
        raise Invalid("body", "holds a number beyond all reckoning") from None


def _read_integer(text: str) -> int | Decimal:
    if text == "-0" or len(text) > _NUMBER_CHARS_MAX:
        return _read_decimal(text)
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise Invalid("body", f"holds {name}, which is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_float=_read_decimal,
    parse_int=_read_integer,
    parse_constant=_refuse_constant,
)
