"""The part of structured fields (RFC 8941, RFC 9651) that signatures need: two kinds of Dictionary, strictly.

A member that is another's is passed over if it is well-formed. One that is ours must be *plain*: already in the
canonical serialisation that RFC 9421 section 2.3 signs, so that its text is what was signed. Dates and display
strings (RFC 9651) are refused: RFC 9421 stands on RFC 8941, which has neither.

Fields come as `HttpRequest` has them: trimmed, several lines of one joined by ", ".
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid

# In all of these the next character decides every choice: there is nothing to try twice, and a refusal takes time
# linear in the text. Only runs of single characters are possessive (*+): on groups Python before 3.11.5 errs.
_KEY: Final = r"[a-z*][a-z0-9_.*-]*+"
_CHARS: Final = r"[ !#-\[\]-~]*+"
_CHARS_ESCAPED: Final = rf'{_CHARS}(?:\\["\\]{_CHARS})*'
_BYTES: Final = r":[A-Za-z0-9+/]*+={0,2}+:"
_NUMBER: Final = r"-?(?:[0-9]{1,12}+\.[0-9]{1,3}+|[0-9]{1,15}+)"
_WORD: Final = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*+"
_PARAMS: Final = rf'(?:; *+{_KEY}(?:=(?:"{_CHARS_ESCAPED}"|{_NUMBER}|{_WORD}|{_BYTES}|\?[01]))?)*'
_ITEM: Final = rf'"{_CHARS_ESCAPED}"{_PARAMS}'
_PLAIN_ITEM: Final = rf'"{_CHARS}"'
_PLAIN_INTEGER: Final = r"(?:0|-?[1-9][0-9]{0,14}+)"
_PLAIN_PARAMS: Final = rf'(?:;{_KEY}=(?:"{_CHARS_ESCAPED}"|{_PLAIN_INTEGER}))*'
_NEXT: Final = r"(?:[ \t]*+(,)[ \t]*+|\Z)"

_PLAIN_LIST: Final = re.compile(rf"({_KEY})=(\(((?:{_PLAIN_ITEM}(?: {_PLAIN_ITEM})*)?)\)({_PLAIN_PARAMS})){_NEXT}")
_ANY_LIST: Final = re.compile(rf"({_KEY})=(\( *+((?:{_ITEM}(?: ++{_ITEM})*)?) *+\)({_PARAMS})){_NEXT}")
_PLAIN_BYTES: Final = re.compile(rf"({_KEY})=({_BYTES}){_NEXT}")
_ANY_BYTES: Final = re.compile(rf"({_KEY})=({_BYTES}{_PARAMS}){_NEXT}")
_PLAIN_PARAM: Final = re.compile(rf';({_KEY})=(?:"({_CHARS_ESCAPED})"|({_PLAIN_INTEGER}))')
_ESCAPE: Final = re.compile(r"\\(.)")


class InnerList(NamedTuple):
    """A member that is an inner list of strings, in texts as received: all of it, its items, its parameters.

    `is_plain`: its text is its canonical serialisation, its items have neither parameters nor escapes, and its
    parameters are strings and integers. Whether a parameter comes twice is for `read_params` to find.
    """

    text: str
    items: str
    params: str
    is_plain: bool


def parse_inner_lists(text: str, field: str) -> dict[str, InnerList]:
    """Read a Dictionary whose members are inner lists of strings, such as Signature-Input: label to member.

    Raises `Invalid` naming `field` if it is malformed or has a label twice.
    """
    return {m[1]: InnerList(m[2], m[3], m[4], m.re is _PLAIN_LIST) for m in _members(_LISTS, text, field)}


def parse_byte_sequences(text: str, field: str) -> dict[str, str]:
    """Read a Dictionary whose members are byte sequences, such as Signature: label to the text for `read_bytes`.

    Raises `Invalid` naming `field` if it is malformed or has a label twice.
    """
    return {m[1]: m[2] for m in _members(_BYTE_SEQUENCES, text, field)}


def read_items(member: InnerList) -> list[str]:
    """Give the strings of a plain inner list."""
    assert member.is_plain
    return member.items[1:-1].split('" "') if member.items else []


def read_params(member: InnerList, field: str) -> dict[str, str | int]:
    """Give the parameters of a plain inner list. Raises `Invalid` naming `field` if one comes twice."""
    assert member.is_plain
    found = _PLAIN_PARAM.findall(member.params)
    params = {name: int(number) if number else _unescape(string) for name, string, number in found}
    if len(params) != len(found):
        raise Invalid(field, "gives a parameter twice")
    return params


def read_bytes(text: str, field: str) -> bytes:
    """Read a text of `parse_byte_sequences`. Raises `Invalid` for parameters, missing padding or stray bits."""
    encoded = text[1:-1].encode()
    try:
        value = a2b_base64(encoded)
    except Base64Error:
        value = b""
    if text[-1] != ":" or b2a_base64(value, newline=False) != encoded:
        raise Invalid(field, "must hold padded base64 between colons, without parameters")
    return value


def _unescape(string: str) -> str:
    return _ESCAPE.sub(r"\1", string) if "\\" in string else string


_LISTS: Final = (_PLAIN_LIST, _ANY_LIST, "inner lists of strings")
_BYTE_SEQUENCES: Final = (_PLAIN_BYTES, _ANY_BYTES, "byte sequences")


def _members(kind: tuple[re.Pattern[str], re.Pattern[str], str], text: str, field: str) -> Iterator[re.Match[str]]:
    """Match each member, as plain if it can be. Labels are unique, where RFC 8941 would let the last one stand."""
    plain, general, what = kind
    labels = set()
    position, more = 0, True
    while more:
        member = plain.match(text, position) or general.match(text, position)
        if member is None:
            raise Invalid(field, f"is not a Dictionary of {what} (RFC 8941) from character {position + 1} on")
        if member[1] in labels:
            raise Invalid(field, f'has the label "{member[1]}" twice')
        labels.add(member[1])
        yield member
        position, more = member.end(), member[member.re.groups] is not None
