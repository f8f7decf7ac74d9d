"""Terms <-> members, as they stand in a body and, the same, in the settings file."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from signed_ledger.encoding.fields import Fields
from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, Money, parse_minor
from signed_ledger.records import FeeRate, Scope, Terms, Tolerance, Window

T = TypeVar("T")

_PERCENT: Final = re.compile(r"(0|[1-9][0-9]{0,3})(?:\.([0-9]{0,3}[1-9]))?")
_MCCS: Final = re.compile(r"([0-9]{4})(?:-([0-9]{4}))?")
_MONEY: Final = re.compile(r"([0-9.]+) ([A-Z]{3})")


def encode_terms(terms: Terms) -> dict[str, Any]:
    return {
        "window_days": terms.window_days,
        "windows": [{**_encode_scope(window.scope), "days": window.days} for window in terms.windows],
        "tolerances": [
            {
                **_encode_scope(one.scope),
                "percent": _encode_percent(one.millionths),
                **_encode_money("at_least", one.at_least),
            }
            for one in terms.tolerances
        ],
        "fees": [
            {
                **_encode_scope(one.scope),
                "percent": _encode_percent(one.millionths),
                **_encode_money("fixed", one.fixed),
            }
            for one in terms.fees
        ],
    }


def decode_terms(fields: Fields) -> Terms:
    """Read terms; raise `Invalid` naming the list, the rule's number from 1 and the member: `windows[2].days`."""
    return Terms(
        fields.integer("window_days"),
        _decode_rules(fields, "windows", lambda rule: Window(_decode_scope(rule), rule.integer("days"))),
        _decode_rules(
            fields,
            "tolerances",
            lambda rule: Tolerance(_decode_scope(rule), _decode_percent(rule), _decode_money(rule, "at_least")),
        ),
        _decode_rules(
            fields,
            "fees",
            lambda rule: FeeRate(_decode_scope(rule), _decode_percent(rule), _decode_money(rule, "fixed")),
        ),
    )


def _decode_rules(fields: Fields, name: str, decode: Callable[[Fields], T]) -> tuple[T, ...]:
    rules = []
    for number, rule in enumerate(fields.list_of_nested(name), 1):
        try:
            rules.append(decode(rule))
            rule.done()
        except Invalid as error:
            raise Invalid(f"{name}[{number}].{error.field}", error.detail) from None
    return tuple(rules)


def _encode_scope(scope: Scope) -> dict[str, Any]:
    members: dict[str, Any] = {} if scope.scheme is None else {"scheme": scope.scheme}
    if scope.kinds:
        members["kinds"] = list(scope.kinds)
    if scope.mccs:
        members["mccs"] = [f"{a:04d}" if a == b else f"{a:04d}-{b:04d}" for a, b in scope.mccs]
    return members


def _decode_scope(rule: Fields) -> Scope:
    kinds, mccs = _some_text(rule, "kinds"), _some_text(rule, "mccs")
    return Scope(rule.text_or_none("scheme"), tuple(kinds), tuple(map(_decode_range, mccs)))


def _some_text(rule: Fields, name: str) -> list[str]:
    if not rule.has(name):
        return []
    given = rule.list_of_text(name)
    if not given:
        raise Invalid(name, "must not be empty: leave it out where the rule applies to all")
    return given


def _decode_range(text: str) -> tuple[int, int]:
    match = _MCCS.fullmatch(text)
    if match is None or match[1] == match[2]:
        raise Invalid("mccs", "must be categories of ISO 18245 or ranges of them, such as 5812 or 3351-3500")
    return int(match[1]), int(match[2] or match[1])


def _encode_percent(millionths: int) -> str:
    whole, rest = divmod(millionths, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")


def _decode_percent(rule: Fields) -> int:
    match = _PERCENT.fullmatch(rule.text("percent"))
    if match is None:
        raise Invalid("percent", "must be a percentage with at most 4 decimals and no trailing zero, such as 15 or 0.2")
    return int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0"))


def _encode_money(name: str, money: Money | None) -> dict[str, str]:
    return {} if money is None else {name: str(money)}


def _decode_money(rule: Fields, name: str) -> Money | None:
    text = rule.text_or_none(name)
    if text is None:
        return None
    match = _MONEY.fullmatch(text)
    if match is None or match[2] not in MINOR_DIGITS:
        raise Invalid(name, "must be an amount and its currency, such as 75.00 USD")
    return Money(parse_minor(match[1], match[2], name), match[2])
