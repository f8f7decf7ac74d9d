"""An entry, its parts, the evidence it rests on, and the keys that sign."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, TypeAlias


class PartDigest(NamedTuple):
    """SHA-256 and length in bytes of a part."""

    sha256: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's signed text, as values. `time` is microseconds since 1970 UTC."""

    KINDS: ClassVar[tuple[str, ...]] = (
        *("genesis", "key", "root", "attest"),
        *("account", "transaction", "journal", "card", "terms", "erasure"),
    )

    origin: str
    kind: str
    seq: int
    prev: bytes
    time: int
    body: PartDigest
    state: PartDigest | None = None
    evidence: PartDigest | None = None


class Parts(NamedTuple):
    """The stored bytes of an entry's parts; a part that the entry does not have is `None`."""

    body: bytes | None
    state: bytes | None = None
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came in. `fields` has lower-case names; several lines of one field are joined by ", "."""

    method: str
    authority: str
    path: str
    query: str
    fields: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """A Scheme's signed request, kept so that its signature can be verified again from this alone.

    `request.fields` holds the covered header fields and the signature's own, nothing else. `signature_base` is the text
    that was signed; of Standard Webhooks v1a the id and the timestamp, `id.timestamp`, as the body is not told twice.
    `received` is microseconds.
    """

    profile: str
    request: HttpRequest
    signature_base: str
    signature: bytes = field(repr=False)
    kid: str
    public_key: bytes
    received: int


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A key of the registry. Valid for entries and requests from `valid_from` up to, not including, `valid_to`.

    Where it was revoked, what it signed from the size `revoked_at` on is not trusted by itself.
    """

    kid: str
    role: str
    whose: str
    public_key: bytes
    valid_from: int
    valid_to: int | None = None
    revoked_at: int | None = None

    def is_valid_at(self, seq: int) -> bool:
        return self.valid_from <= seq and (self.valid_to is None or seq < self.valid_to)


FindKey: TypeAlias = Callable[[str], RegisteredKey | None]
"""From a kid to the registered key, or `None` for a kid that nobody registered."""
