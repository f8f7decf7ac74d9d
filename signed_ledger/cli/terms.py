"""Terms as people write them: a TOML file, read strictly, and written so that it reads back the same."""

import tomllib
from pathlib import Path
from typing import Any, Final

from signed_ledger.encoding import PART_BYTES_MAX, SALT_BYTES, decode_terms, encode_body, encode_terms
from signed_ledger.encoding.fields import Fields
from signed_ledger.errors import Invalid
from signed_ledger.records import Terms

FILE_BYTES_MAX: Final = 1 << 20
RULES: Final = ("windows", "tolerances", "fees")
_BEYOND_PERCENT: Final = 10**9


class _Float(str):
    """A TOML float as it is written. No plain `str`: where a name is asked for, a number is none."""

    __slots__ = ()


def read_terms(path: Path) -> Terms:
    """Read a terms file; raise `Invalid` naming file, list, the rule's number from 1 and member: `windows[2].days`."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    try:
        return decode_toml(data)
    except Invalid as error:
        raise Invalid(str(path), _printable(str(error))) from None


def decode_toml(data: bytes) -> Terms:
    """Read terms; a list that is left out has no rules, and a percentage may be a number."""
    members = _parse(data)
    for name in RULES:
        rules = members.setdefault(name, [])
        for rule in rules if type(rules) is list else []:
            if type(rule) is dict and "percent" in rule:
                rule["percent"] = _percent_text(rule["percent"])
    fields = Fields(members)
    terms = decode_terms(fields)
    fields.done()
    if len(encode_body(terms, bytes(SALT_BYTES))) > PART_BYTES_MAX:
        raise Invalid("terms", f"must fit into one entry of the ledger: {PART_BYTES_MAX} bytes")
    return terms


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > FILE_BYTES_MAX:
        raise Invalid("TOML", f"is more than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(data.decode(), parse_float=_Float)
    except RecursionError:
        raise Invalid("TOML", "nests too deep") from None
    except ValueError as error:  # not UTF-8, not TOML, an integer of more digits than Python reads
        raise Invalid("TOML", str(error)) from None


def _percent_text(value: object) -> object:
    if type(value) is int:
        return str(max(-1, min(value, _BEYOND_PERCENT)))  # to write out a number of any length could fail
    return str(value) if type(value) is _Float else value


def encode_toml(terms: Terms) -> str:
    """Write terms as `decode_toml` reads them: `window_days`, then a table for each rule."""
    members = encode_terms(terms)
    tables = [f"window_days = {terms.window_days}\n"]
    for name in RULES:
        tables += [f"[[{name}]]\n{_pairs(rule)}" for rule in members[name]]
    return "\n".join(tables)


def _pairs(rule: dict[str, Any]) -> str:
    return "".join(f"{name} = {value if name == 'percent' else _value(value)}\n" for name, value in rule.items())


def _value(value: int | str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0.0, String)."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character >= " " and character != "\x7f" else f"\\u{ord(character):04x}"


def _printable(sentence: str) -> str:
    """A file's own words are told back on one line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in sentence)
