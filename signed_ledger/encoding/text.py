"""Base64, times and canonical JSON: the small forms that all records share. Each reader accepts one form only."""

import binascii
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson

from signed_ledger.errors import Invalid
from signed_ledger.records.names import TIME_MAX

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  naive, and meaning UTC: isoformat then writes no offset
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_CHARACTERS: Final = 27
_MICROSECOND: Final = timedelta(microseconds=1)
SAFE_INTEGER_MAX: Final = 2**53 - 1
DEPTH_MAX: Final = 16
"""More than any part nests; without a bound a hostile part would exhaust the stack of who reads it."""


def encode_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def decode_base64(text: object, field: str, size: int | None = None) -> bytes:
    """Read canonical, padded base64 (RFC 4648 section 3.5); raise `Invalid` for any other form, or another `size`."""
    try:
        data = binascii.a2b_base64(text) if isinstance(text, str) else None
    except ValueError:  # binascii.Error is one
        data = None
    # What the lenient reader passes over is missed here, where it is written again.
    written = None if data is None else binascii.b2a_base64(data, newline=False).decode()
    if data is None or written != text or (size is not None and len(data) != size):
        raise Invalid(field, "is not canonical base64" + (f" of {size} bytes" if size else ""))
    return data


@lru_cache(maxsize=256)
def encode_time(time: int) -> str:
    """Write microseconds since 1970 UTC as RFC 3339 with exactly six decimals: `2026-11-23T10:00:00.000000Z`."""
    return (_EPOCH + timedelta(microseconds=time)).isoformat(timespec="microseconds") + "Z"


def decode_time(text: object, field: str = "time") -> int:
    """Read what `encode_time` wrote, and nothing else."""
    time = _read_time(text) if isinstance(text, str) and len(text) == _TIME_CHARACTERS else None
    if time is None:
        raise Invalid(field, "is not a time such as 2026-11-23T10:00:00.000000Z")
    return time


@lru_cache(maxsize=256)  # the entries of a group have one time
def _read_time(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not UTC or moment.isoformat(timespec="microseconds") != f"{text[:-1]}+00:00":
        return None
    time = (moment - _EPOCH_UTC) // _MICROSECOND
    return time if time >= 0 and text[-1] == "Z" else None


def check_time(time: int) -> int:
    if type(time) is not int or not 0 <= time <= TIME_MAX:
        raise Invalid("time", "must be microseconds from 1970 to 9999")
    return time


def encode_json(value: dict[str, Any]) -> bytes:
    """Write RFC 8785 (JCS). The values must be of the records' kinds: text, safe integers, booleans, lists, objects.

    Names must be ASCII, as every name of this format is: sorting them by bytes then is sorting by UTF-16 units.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def decode_json(data: bytes, field: str) -> dict[str, Any]:
    """Read a JCS object; raise `Invalid` for anything whose encoding is not `data` again, to the byte."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Invalid(field, "is not JSON") from None
    if type(value) is not dict:
        raise Invalid(field, "is not a JSON object")
    _check_plain(value, field)
    if encode_json(value) != data:
        raise Invalid(field, "is not in canonical form (RFC 8785)")
    return value


def _check_plain(value: dict[str, Any] | list[Any], field: str, depth: int = 1) -> None:
    """Calls itself for what is nested only: this is asked of every part, and most hold nothing but text."""
    members: Iterable[Any] = value
    if type(value) is dict:
        if not "".join(value).isascii():
            raise Invalid(field, "holds a name that is not ASCII")
        members = value.values()
    for member in members:
        kind = type(member)
        if kind is str or kind is bool:
            continue
        if kind is int:
            if not -SAFE_INTEGER_MAX <= member <= SAFE_INTEGER_MAX:
                raise Invalid(field, "holds an integer beyond 2^53-1")
        elif depth == DEPTH_MAX:
            raise Invalid(field, f"nests deeper than {DEPTH_MAX} levels")
        elif kind is dict or kind is list:
            _check_plain(member, field, depth + 1)
        else:
            raise Invalid(field, "holds null or a number that is not an integer")
