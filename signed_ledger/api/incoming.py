"""A request as it came in: its body within its limits, its media type, and all that a signature may cover.

Nothing is decoded, normalised or left out here: what is verified is what was sent.
"""

import asyncio
from typing import Final

from aiohttp import HttpVersion11, web

from signed_ledger.errors import Malformed, RequestTimeout, TooLarge, UnsupportedMediaType
from signed_ledger.records import HttpRequest

_OWS: Final = " \t"
_JSON: Final = "application/json"


async def read_body(request: web.Request, bytes_max: int, timeout_s: float) -> bytes:
    """Read at most `bytes_max`. Raises `TooLarge`, `RequestTimeout`, or `Malformed` for one that is not whole."""
    check_length(request, bytes_max)
    try:
        if request.content.is_eof():  # the usual case: it came with the header, and needs neither a timer nor a wait
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(timeout_s):
                body = await _read_slowly(request, bytes_max)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {timeout_s} s.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Malformed("The body did not arrive whole.", field="body") from None
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


async def _read_slowly(request: web.Request, bytes_max: int) -> bytes:
    """Read to the end, or just past `bytes_max`."""
    body = bytearray()
    while len(body) <= bytes_max and (chunk := await request.content.readany()):
        body += chunk
    return bytes(body)


def check_length(request: web.BaseRequest, bytes_max: int) -> None:
    """Raise `TooLarge` where the header already says so."""
    length = request.content_length
    if length is not None and length > bytes_max:
        raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"The body has more than the {bytes_max} bytes allowed.", field="body")


async def expect(request: web.Request, bytes_max: int) -> None:
    """Answer `Expect: 100-continue`, unless the body to come is too large anyway; its handler then says so."""
    length = request.content_length
    if (length is None or length <= bytes_max) and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer proper has not begun: aiohttp's own handler does the same


def check_media_type(request: web.Request) -> None:
    """Raise `UnsupportedMediaType` for anything but JSON, in UTF-8, not compressed."""
    headers = request.headers
    given = headers.getall("Content-Type", [])
    if given != [_JSON] and not _is_json(given):
        raise UnsupportedMediaType("Content-Type must be application/json.", field="content-type")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.", field="content-encoding")


def _is_json(given: list[str]) -> bool:
    if len(given) != 1:
        return False
    media_type, _, parameter = given[0].lower().partition(";")
    parameter = parameter.strip(_OWS).replace('"', "")
    return media_type.strip(_OWS) == _JSON and parameter in ("", "charset=utf-8")


def as_signed(request: web.Request, body: bytes) -> HttpRequest:
    """Give the request as its signature covers it (RFC 9421 section 2): fields trimmed, several lines joined."""
    fields: dict[str, str] = {}
    for name, line in request.headers.items():
        name, line = name.lower(), line.strip(_OWS)
        fields[name] = f"{fields[name]}, {line}" if name in fields else line
    path, _, query = request.raw_path.partition("?")
    return HttpRequest(request.method, fields.get("host", "").lower(), path, f"?{query}", fields, body)
