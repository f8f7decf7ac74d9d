"""A request file: key changes on their way to root keys on another machine, and back with their approvals."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from signed_ledger.disk import whole_file
from signed_ledger.encoding import SALT_BYTES, decode_base64, decode_body, encode_base64, encode_json, members_of
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import ApprovingKey, Keyring, approve, approving_name, who_signed
from signed_ledger.records import KeyChange, RootChange
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import Signer, kid_of

Change: TypeAlias = KeyChange | RootChange
REQUEST_BYTES_MAX = 262_144
_MEMBERS = {"origin", "about", "root_keys", "threshold", "changes"}


class Request(NamedTuple):
    """Changes that stand or fall together, each with the approvals so far, and who may approve them."""

    origin: str
    root_keys: tuple[bytes, ...]
    threshold: int
    changes: tuple[Change, ...]


class Count(NamedTuple):
    """How many of one set of root keys approved, and how many must."""

    whose: str
    given: int
    needed: int


def sentence_of(change: Change) -> str:
    """What a change is, in words: who approves it reads this."""
    if isinstance(change, RootChange):
        kids = ", ".join(kid_of(key)[:16] for key in change.root_keys)
        return (
            f"From now on {change.threshold} of these {len(change.root_keys)} root keys approve: {kids}. "
            f"They vouch for the first {change.history.size} entries, of the root {encode_base64(change.history.root)}."
        )
    key = f"the {change.role} key {change.kid} of {change.whose}"
    if change.history is not None:
        return (
            f"Revoke {key}: from entry {change.history.size} on its signatures are not trusted. "
            f"The entries before have the root {encode_base64(change.history.root)}."
        )
    if change.op == "retire":
        return f"Retire {key}: it is not valid any more."
    following = (
        "" if change.next_kid is None else f" After it only {change.next_kid} can follow, unless that is revoked."
    )
    return f"{'Replace the one in use by' if change.role in SERVICE_ROLES else 'Register'} {key}.{following}"


# --- the file --------------------------------------------------------------------------------------------------------


def write_request(path: Path, request: Request) -> None:
    """Write the file, whole or not at all; one that is there is replaced."""
    told = {
        "origin": request.origin,
        "about": [sentence_of(change) for change in request.changes],
        "root_keys": [encode_base64(key) for key in request.root_keys],
        "threshold": request.threshold,
        "changes": [{"kind": change.KIND, **members_of(change)} for change in request.changes],
    }
    with whole_file(path, replace=True, mode=0o644) as file:
        file.write((json.dumps(told, indent=2) + "\n").encode())


def read_request(path: Path) -> Request:
    """Read a request; raise `Invalid`, naming the file, for anything that `write_request` would not have written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(str(path), f"can not be read: {error.strerror}") from None
    if len(data) > REQUEST_BYTES_MAX:
        raise Invalid(str(path), f"is longer than {REQUEST_BYTES_MAX} bytes")
    try:
        request = _decoded(json.loads(data))
        for change in request.changes:
            counted(request, change)
    except (Invalid, KeyChangeRefused, ValueError, TypeError, RecursionError) as error:
        raise Invalid(str(path), f"is no request for a key change: {error}") from None
    return request


def _decoded(told: Any) -> Request:
    if type(told) is not dict or told.keys() != _MEMBERS:
        raise Invalid("request", f"must be an object of {', '.join(sorted(_MEMBERS))}")
    request = Request(
        str(told["origin"]),
        tuple(decode_base64(key, "root_keys", 32) for key in told["root_keys"]),
        told["threshold"],
        tuple(_change(members) for members in told["changes"]),
    )
    if told["about"] != [sentence_of(change) for change in request.changes]:
        raise Invalid("about", "does not say what the changes are")
    if (
        not request.changes
        or type(request.threshold) is not int
        or not 1 <= request.threshold <= len(request.root_keys)
    ):
        raise Invalid("threshold", "must be from 1 to the number of root keys")
    return request


def _change(members: Any) -> Change:
    if type(members) is not dict:
        raise Invalid("changes", "must be objects")
    body = decode_body(encode_json({**members, "salt": encode_base64(bytes(SALT_BYTES))})).body
    if not isinstance(body, KeyChange | RootChange):
        raise Invalid("changes", "has what root keys do not approve")
    return body


# --- approvals -------------------------------------------------------------------------------------------------------


def counted(request: Request, change: Change) -> list[Count]:
    """How far the approvals are; raises `KeyChangeRefused` for a line that does not verify or is over another text."""
    sets = {"root keys": (request.root_keys, request.threshold)}
    if isinstance(change, RootChange):
        sets["new root keys"] = (change.root_keys, change.threshold)
    name = f"{request.origin}/root"
    roots = {ApprovingKey(name, key) for keys, _ in sets.values() for key in keys}
    signed = {key for key in _signed(request, change, roots) if key in roots}
    return [
        Count(whose, sum(ApprovingKey(name, key) in signed for key in keys), needed)
        for whose, (keys, needed) in sets.items()
    ]


def _signed(request: Request, change: Change, roots: set[ApprovingKey]) -> set[ApprovingKey]:
    """Lines of the service's own keys are the registry's to judge: it knows the key that is replaced."""
    if not change.approvals:
        return set()
    own = approving_name(request.origin, change.role, change.whose) if isinstance(change, KeyChange) else None
    return who_signed(change, request.origin, roots, passing_over=own)


def may_approve(request: Request) -> set[bytes]:
    """The public keys of which an approval can count for any of the changes."""
    more = [key for change in request.changes if isinstance(change, RootChange) for key in change.root_keys]
    return {*request.root_keys, *more}


def approved(request: Request, signers: Iterable[Signer]) -> Request:
    """The request with the approvals of those of `signers` that may approve, each once."""
    name = f"{request.origin}/root"
    changes = []
    for change in request.changes:
        keys = {*request.root_keys, *(change.root_keys if isinstance(change, RootChange) else ())}
        lines = [(name, signer) for signer in signers if signer.public_key in keys]
        changes.append(replace(change, approvals=approve(change, request.origin, lines)))
    return request._replace(changes=tuple(changes))


def is_recorded(change: Change, keyring: Keyring) -> bool:
    """Whether the ledger says already what this change would make it say."""
    if isinstance(change, RootChange):
        return keyring.root_sets[-1].is_same(change.root_keys, change.threshold)
    key = keyring.find(change.kid)
    if key is None:
        is_revoked = keyring.committed.get(change.kid) == change.role and keyring.committed_role(change.kid) is None
        return change.op == "revoke" and is_revoked
    if (key.role, key.whose) != (change.role, change.whose):
        return False
    if change.op == "revoke":
        assert change.history is not None
        return key.revoked_at is not None and key.revoked_at <= change.history.size
    return change.op == "add" or key.valid_to is not None


def is_revoked(keyring: Keyring, kid: str, size: int) -> bool:
    """Whether a revocation that says the same stands in the ledger."""
    key = keyring.find(kid)
    return keyring.committed_role(kid) is None if key is None else key.revoked_at == size
