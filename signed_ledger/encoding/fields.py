"""Reading the members of a decoded part: each is taken once, of its type, and none may be left over."""

from collections.abc import Iterable
from typing import Any

from signed_ledger.encoding.text import decode_base64
from signed_ledger.errors import Invalid
from signed_ledger.money import Money, parse_minor


def money_members(name: str, money: Money) -> dict[str, Any]:
    """The two members in which an amount stands."""
    return {f"{name}_amount": money.amount, f"{name}_currency": money.currency}


class Fields:
    """The members of one JSON object, taken by name; `done` refuses what nobody took."""

    __slots__ = ("_left",)

    def __init__(self, members: dict[str, Any]) -> None:
        self._left = members

    def text(self, name: str) -> str:
        value = self._left.pop(name, None)
        if type(value) is not str:
            raise Invalid(name, "is missing or not text")
        return value

    def text_or_none(self, name: str) -> str | None:
        return self.text(name) if name in self._left else None

    def some_texts(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these that are there."""
        return {name: self.text(name) for name in names if name in self._left}

    def integer(self, name: str) -> int:
        value = self._left.pop(name, None)
        if type(value) is not int:
            raise Invalid(name, "is missing or not an integer")
        return value

    def integer_or_none(self, name: str) -> int | None:
        return self.integer(name) if name in self._left else None

    def flag(self, name: str) -> bool:
        value = self._left.pop(name, None)
        if type(value) is not bool:
            raise Invalid(name, "is missing or not true or false")
        return value

    def list_of_text(self, name: str) -> list[str]:
        value = self._left.pop(name, None)
        if type(value) is not list or not all(type(member) is str for member in value):
            raise Invalid(name, "is missing or not a list of text")
        return value

    def texts(self, name: str) -> dict[str, str]:
        value = self._left.pop(name, None)
        if type(value) is not dict or not all(type(member) is str for member in value.values()):
            raise Invalid(name, "is missing or not an object of text")
        return value

    def nested(self, name: str) -> "Fields":
        value = self._left.pop(name, None)
        if type(value) is not dict:
            raise Invalid(name, "is missing or not an object")
        return Fields(value)

    def list_of_nested(self, name: str) -> "list[Fields]":
        value = self._left.pop(name, None)
        if type(value) is not list or not all(type(member) is dict for member in value):
            raise Invalid(name, "is missing or not a list of objects")
        return [Fields(member) for member in value]

    def lists_of_integers(self, name: str) -> list[list[int]]:
        value = self._left.pop(name, None)
        if type(value) is not list or not all(type(member) is list for member in value):
            raise Invalid(name, "is missing or not a list of lists")
        if not all(type(number) is int for member in value for number in member):
            raise Invalid(name, "is not of integers")
        return value

    def has(self, name: str) -> bool:
        return name in self._left

    def base64(self, name: str, size: int | None = None) -> bytes:
        return decode_base64(self.text(name), name, size)

    def money(self, amount: str, currency: str) -> Money:
        code = self.text(currency)
        return Money(parse_minor(self.text(amount), code, amount), code)

    def minor(self, amount: str, currency: str) -> int:
        return parse_minor(self.text(amount), currency, amount)

    def exactly(self, name: str, value: object) -> None:
        """Take a member that can only be `value`."""
        found = self._left.pop(name, None)
        if type(found) is not type(value) or found != value:
            raise Invalid(name, f"must be {value!r}")

    def done(self) -> None:
        if self._left:
            raise Invalid(min(self._left), "is not a member of this part")
