"""Where a key in a token lives, as a PKCS#11 URI (RFC 7512) says it. What is not understood is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from signed_ledger.signing.closed_files import KeyFileRefused

SCHEME: Final = "pkcs11:"
PATH_ATTRIBUTES: Final = ("token", "serial", "object", "id", "type")
QUERY_ATTRIBUTES: Final = ("module-path", "pin-source")
_ENCODED = r"%[0-9A-Fa-f]{2}"
_PATH_VALUE: Final = re.compile(rf"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&-]|{_ENCODED})+")
_QUERY_VALUE: Final = re.compile(rf"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=/?|-]|{_ENCODED})+")
_ABSOLUTE: Final = re.compile(r"(?:file:(?://)?)?(/[^\x00-\x1f]*)")


@dataclass(frozen=True, slots=True)
class KeyUri:
    """A token and, where it has an `object` label or an `id`, one private key in it; the library and the PIN's file."""

    token: str
    serial: str | None = None
    object: str | None = None
    id: bytes | None = None
    module: Path | None = None
    pin_file: Path | None = None

    @property
    def names_a_key(self) -> bool:
        return self.object is not None or self.id is not None

    def of_token(self) -> "KeyUri":
        """The same without the key."""
        return replace(self, object=None, id=None)

    def __str__(self) -> str:
        names = {"token": self.token, "serial": self.serial, "object": self.object}
        path = [f"{name}={quote(value, safe='')}" for name, value in names.items() if value is not None]
        if self.id is not None:
            path.append("id=" + "".join(f"%{byte:02x}" for byte in self.id))
        path.append("type=private")
        query = [] if self.module is None else [f"module-path={quote(str(self.module))}"]
        query += [] if self.pin_file is None else [f"pin-source=file:{quote(str(self.pin_file))}"]
        return SCHEME + ";".join(path) + ("?" + "&".join(query) if query else "")


def parse_key_uri(text: str, where: str) -> KeyUri:
    """Read a URI that stands in the file, or the argument, `where`. Raises `KeyFileRefused`, which quotes no value."""
    if not text.startswith(SCHEME):
        raise KeyFileRefused(where, f"is no PKCS#11 URI, which starts with {SCHEME}")
    path, mark, query = text.removeprefix(SCHEME).partition("?")
    given = dict(_attributes(path.split(";"), PATH_ATTRIBUTES, _PATH_VALUE, where))
    given |= dict(_attributes(query.split("&") if mark else [], QUERY_ATTRIBUTES, _QUERY_VALUE, where))
    if "token" not in given:
        raise KeyFileRefused(where, "names no token")
    if given.get("type", b"private") != b"private":
        raise KeyFileRefused(where, "names another type than private")
    return KeyUri(
        token=_text(given["token"], "token", where),
        serial=_text(given["serial"], "serial", where) if "serial" in given else None,
        object=_text(given["object"], "object", where) if "object" in given else None,
        id=given.get("id"),
        module=_absolute(given, "module-path", "/", where),
        pin_file=_absolute(given, "pin-source", "file:/", where),
    )


def _attributes(
    parts: list[str], known: tuple[str, ...], form: re.Pattern[str], where: str
) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for part in parts:
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise KeyFileRefused(where, "has the PIN in it, which goes wherever the URI goes; use pin-source=file:")
        if name not in known:
            raise KeyFileRefused(where, f"has an attribute that is not one of {', '.join(known)}: {name[:40]!r}")
        if name in seen:
            raise KeyFileRefused(where, f"has {name} twice")
        if not form.fullmatch(value):
            raise KeyFileRefused(where, f"has a {name} that is empty, or not percent-encoded")
        seen.add(name)
        yield name, unquote_to_bytes(value)


def _text(value: bytes, name: str, where: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise KeyFileRefused(where, f"has a {name} that is not UTF-8") from None


def _absolute(given: dict[str, bytes], name: str, start: str, where: str) -> Path | None:
    """A library of a relative path would be looked for, and found, elsewhere."""
    if name not in given:
        return None
    text = _text(given[name], name, where)
    match = _ABSOLUTE.fullmatch(text)
    if match is None or not text.startswith(start):
        raise KeyFileRefused(where, f"has a {name} that does not start with {start}")
    return Path(match[1])
