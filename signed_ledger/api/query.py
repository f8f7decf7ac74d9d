"""A reader's parameters: those of the query, strictly, each at most once and none that is not known."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeGuard
from urllib.parse import unquote_to_bytes

import orjson

from signed_ledger.encoding import decode_base64, encode_base64
from signed_ledger.encoding.text import SAFE_INTEGER_MAX
from signed_ledger.errors import Invalid, Malformed
from signed_ledger.money import MINOR_DIGITS
from signed_ledger.records.names import NAME
from signed_ledger.store import AtSeq, AtTime, Moment

SEQ: Final = re.compile(r"0|[1-9][0-9]{0,15}")
TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHECK_BYTES: Final = 12


def read_query(query: str, known: Sequence[str]) -> dict[str, str]:
    """Read `?a=b&c=d`. Raises `Malformed` naming a parameter that is unknown, given twice, or not UTF-8.

    A plus sign is itself, not a space: `at=2026-11-23T10:00:00+01:00` means what it says.
    """
    values: dict[str, str] = {}
    for pair in query.removeprefix("?").split("&") if len(query) > 1 else []:
        name, _, value = pair.partition("=")
        if name not in known:
            takes = f"takes {', '.join(known)} only" if known else "takes none"
            raise Malformed(f"{_shown(name)} is not a parameter of this request, which {takes}.", field=_shown(name))
        if name in values:
            raise Malformed(f"{name} is given twice.", field=name)
        try:
            values[name] = unquote_to_bytes(value).decode()
        except UnicodeError:  # percent-encoded, or as they are: those aiohttp gives as lone surrogates
            raise Malformed(f"{name} is not UTF-8.", field=name) from None
    return values


def _shown(name: str) -> str:
    return ascii(name[:64])[1:-1]


def read_name(text: str, field: str) -> str:
    """Read a card id, a transaction id or a Scheme's name."""
    if not NAME.fullmatch(text):
        raise Malformed(f"{field} must be 1 to 64 of A-Za-z0-9._-.", field=field)
    return text


def read_currency(text: str) -> str:
    if text not in MINOR_DIGITS:
        raise Malformed("currency must be a currency of ISO 4217, such as EUR.", field="currency")
    return text


def read_seq(text: str, field: str) -> int:
    if not SEQ.fullmatch(text):
        raise Malformed(f"{field} must be the number of an entry.", field=field)
    return int(text)


def read_limit(text: str | None, rows_max: int) -> int:
    """Read how many rows a page may have; by default as many as it can."""
    if text is None:
        return rows_max
    if not SEQ.fullmatch(text) or not 1 <= int(text) <= rows_max:
        raise Malformed(f"limit must be from 1 to {rows_max}.", field="limit")
    return int(text)


def read_moment(text: str, field: str) -> Moment:
    """Read a seq, or an RFC 3339 time with at most six decimals."""
    if SEQ.fullmatch(text):
        return AtSeq(int(text))
    try:
        moment = datetime.fromisoformat(text.upper()) if TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        detail = f"{field} must be the number of an entry, or a time such as 2026-11-23T10:00:00Z."
        raise Malformed(detail, field=field)
    return AtTime((moment - _EPOCH) // timedelta(microseconds=1))


# --- cursors -------------------------------------------------------------------------------------------------------


def write_cursor(place: Sequence[int], question: Sequence[str]) -> str:
    """Give the opaque text that asks for what follows the `place` (seqs) of a page, for this `question` only."""
    token = orjson.dumps({"place": place, "check": _check(place, question)})
    return encode_base64(token).translate(_TO_URL).rstrip("=")


def read_cursor(text: str, question: Sequence[str], size: int) -> list[int]:
    """Give `place` back, `size` seqs. Raises `Malformed` unless `write_cursor` wrote this for the same question.

    The check is no secret: it tells a cursor that was cut, edited or brought to another question, no more.
    """
    try:
        padded = text.translate(_FROM_URL) + "=" * (-len(text) % 4)
        token = orjson.loads(decode_base64(padded, "cursor")) if CURSOR.fullmatch(text) else None
    except (Invalid, orjson.JSONDecodeError):
        token = None
    place = token.get("place") if isinstance(token, dict) else None
    if not _is_place(place, size) or write_cursor(place, question) != text:
        raise Malformed("cursor is not one that was given for these parameters.", field="cursor")
    return place


def _is_place(value: object, size: int) -> TypeGuard[list[int]]:
    if not isinstance(value, list) or len(value) != size:
        return False
    return all(type(seq) is int and 0 <= seq <= SAFE_INTEGER_MAX for seq in value)


def _check(place: Sequence[int], question: Sequence[str]) -> str:
    digest = hashlib.sha256(orjson.dumps([*place, *question])).digest()
    return encode_base64(digest[:_CHECK_BYTES])


_TO_URL: Final = str.maketrans("+/", "-_")
_FROM_URL: Final = str.maketrans("-_", "+/")
