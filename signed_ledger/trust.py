"""The trust file: the ledger's name and root public keys, as an auditor gets them by another road than the ledger."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from signed_ledger.encoding import decode_base64, encode_base64
from signed_ledger.errors import Invalid
from signed_ledger.records.names import ORIGIN, check_matches
from signed_ledger.signing import check_public_key

TRUST_BYTES_MAX: Final = 65_536
_MEMBERS: Final = {"origin", "root_keys", "threshold"}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom an auditor trusts: `threshold` of `root_keys` (raw, 32 bytes each) speak for the ledger `origin`."""

    origin: str
    root_keys: tuple[bytes, ...]
    threshold: int

    def __post_init__(self) -> None:
        check_matches(ORIGIN, self.origin, "origin", "a URL without a scheme, such as issuer.example/ledger")
        for key in self.root_keys:
            check_public_key(key)
        if len(set(self.root_keys)) != len(self.root_keys):
            raise Invalid("root_keys", "must not hold a key twice")
        if type(self.threshold) is not int or not 1 <= self.threshold <= len(self.root_keys):
            raise Invalid("threshold", "must be from 1 to the number of root keys")


def encode_trust(trust: Trust) -> bytes:
    """Write a trust file: JSON, for people too."""
    root_keys = [encode_base64(key) for key in trust.root_keys]
    members = {"origin": trust.origin, "root_keys": root_keys, "threshold": trust.threshold}
    return (json.dumps(members, indent=2) + "\n").encode()


def decode_trust(data: bytes) -> Trust:
    """Read a trust file; raise `Invalid` for anything but the three members, each once and of its type."""
    try:
        members = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except Invalid:
        raise
    except (ValueError, RecursionError):
        raise Invalid("trust", "is not JSON") from None
    if type(members) is not dict or members.keys() != _MEMBERS:
        raise Invalid("trust", "must be an object of origin, root_keys and threshold")
    if type(members["root_keys"]) is not list:
        raise Invalid("root_keys", "must be a list")
    root_keys = tuple(decode_base64(key, "root_keys", 32) for key in members["root_keys"])
    return Trust(members["origin"], root_keys, members["threshold"])


def read_trust(path: Path) -> Trust:
    """Read the trust file at `path`; raise `Invalid`, naming the path where it can not be read."""
    try:
        with path.open("rb") as file:
            data = file.read(TRUST_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid(str(path), f"can not be read: {error.strerror}") from None
    if len(data) > TRUST_BYTES_MAX:
        raise Invalid(str(path), f"is longer than {TRUST_BYTES_MAX} bytes")
    try:
        return decode_trust(data)
    except Invalid as error:
        raise Invalid(str(path), f"is no trust file: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("trust", "has a member twice")
    return members
