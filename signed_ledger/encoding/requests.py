"""A Scheme's JSON body, as received, to a request. Strict: two readers of one body must read the same (docs/API.md).

Refused: invalid UTF-8, duplicate keys, NaN and Infinity, unknown fields, lone surrogates, a float read inexactly.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, Money, read_amount, read_fee
from signed_ledger.records import MESSAGES, Iso8583, Request
from signed_ledger.records.messages import MONEY
from signed_ledger.records.requests import ISO8583_ELEMENTS

_NUMBER_CHARS_MAX: Final = 40


def decode_request(kind: str, body: bytes) -> Request:
    """Read the body of a webhook of `kind`, one of `MESSAGES`; raise `Invalid` naming the field."""
    members = _read_object(body)
    message = MESSAGES[kind]
    given: dict[str, Any] = {}
    for name in message.required:
        given[name] = _READERS[name](members, name)
    for name in message.optional:
        if name in members or f"{name}_amount" in members or f"{name}_currency" in members:
            given[name] = _READERS[name](members, name)
    interchange = given.pop("interchange", None)
    request = Request(kind, **given)
    if members:
        raise Invalid(_shown(min(members)), "is not a field of this request")
    return request if interchange is None else _with_interchange(request, interchange)


def _with_interchange(request: Request, text: Any) -> Request:
    """A fee has the currency of what is settled, and none of its own on the wire."""
    assert request.settlement is not None
    return replace(request, interchange=read_fee(text, request.settlement.currency, "interchange_amount"))


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


def _flag(members: dict[str, Any], name: str) -> bool:
    value = _required(members, name)
    if type(value) is not bool:
        raise Invalid(name, "must be true or false")
    return value


def _mcc(members: dict[str, Any], name: str) -> Any:
    value = _required(members, name)
    return str(value) if type(value) is int else value


def _money(members: dict[str, Any], name: str) -> Money:
    amount, currency = _required(members, f"{name}_amount"), _required(members, f"{name}_currency")
    if not isinstance(currency, str) or currency not in MINOR_DIGITS:
        raise Invalid(f"{name}_currency", "must be a currency of ISO 4217, such as EUR")
    return read_amount(amount, currency, f"{name}_amount")


def _fee(members: dict[str, Any], name: str) -> Any:
    return _required(members, f"{name}_amount")


def _iso8583(members: dict[str, Any], name: str) -> Iso8583:
    elements = _required(members, name)
    if type(elements) is not dict or not elements:
        raise Invalid(name, "must be an object of data elements")
    for number in elements:
        if number not in ISO8583_ELEMENTS:
            raise Invalid(f"{name}.{_shown(number)}", f"is not one of {', '.join(ISO8583_ELEMENTS)}")
    given = {number: _text(elements, number) for number in list(elements)}
    return Iso8583(*map(given.get, ISO8583_ELEMENTS))


_READERS: Final[dict[str, Callable[[dict[str, Any], str], Any]]] = {
    **dict.fromkeys(("transaction_id", "card_id", "merchant_name", "merchant_country"), _text),
    **dict.fromkeys(("authorisation_kind", "presentment_id", "refund_id"), _text),
    "merchant_mcc": _mcc,
    **dict.fromkeys(MONEY, _money),
    **dict.fromkeys(("final", "force_post"), _flag),
    "interchange": _fee,
    "iso8583": _iso8583,
}


def _read_object(body: bytes) -> dict[str, Any]:
    plain = _read_plain(body)
    if plain is not None:
        return plain
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Invalid("body", "is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        raise Invalid("body", "is not JSON") from None
    if type(value) is not dict:
        raise Invalid("body", "must be a JSON object")
    return value


def _read_plain(body: bytes) -> dict[str, Any] | None:
    """What most bodies are, read four times as fast: an object of texts and flags, without escapes.

    Without escapes each text has two quotes, so their number tells whether a name was given twice; `None` where this
    can not judge, and the strict reader below says what is wrong.
    """
    if b"\\" in body:
        return None
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(members) is not dict:
        return None
    texts = len(members)
    for value in members.values():
        kind = type(value)
        if kind is str:
            texts += 1
        elif kind is not bool:
            return None
    return members if body.count(b'"') == 2 * texts else None


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
