"""The key entries that a receipt brings: they lead from the trust file's root keys to the entry and checkpoint key."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from signed_ledger.encoding import KeyBody, decode_note
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import RootSet, check_root_approvals
from signed_ledger.records import Genesis, KeyChange, RootChange
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.signing import check_public_key, kid_of, note_key_id
from signed_ledger.trust import Trust


class Introduced(NamedTuple):
    """The service's keys by role, and the root keys at the end of the way."""

    keys: dict[str, bytes]
    roots: RootSet


def check_key_entries(bodies: Sequence[KeyBody], trust: Trust) -> Introduced:
    """Follow them in order of version; raise `Invalid` or `KeyChangeRefused` where they do not lead to both keys."""
    versions = [_version(body) for body in bodies]
    if versions != sorted(set(versions)):
        raise Invalid("keys", "are not in order of version")
    roots = RootSet(0, trust.root_keys, trust.threshold)
    ever_root, keys, needed = set(roots.keys), dict[str, bytes](), dict[str, KeyBody]()
    followed = bodies[_known(bodies, roots) :]
    for number, body in enumerate(followed):
        sets = (roots, RootSet(0, body.root_keys, body.threshold)) if isinstance(body, RootChange) else (roots,)
        _check_approved(body, trust, sets, is_first=number == 0)
        if isinstance(body, RootChange):
            roots, ever_root = sets[-1], ever_root | set(sets[-1].keys)
            continue
        for role, public_key in _introduces(body, trust).items():
            keys[role], needed[role] = check_public_key(public_key), body
    _check_needed(followed, needed)
    if len({*keys.values(), *ever_root}) != len(ever_root) + len(SERVICE_ROLES):
        raise Invalid("keys", "each key has one role: the same key stands here in two")
    return Introduced(keys, roots)


def _known(bodies: Sequence[KeyBody], roots: RootSet) -> int:
    """How many changes of root keys, at the beginning, lead to those that the trust file has: it vouches for them."""
    known = 0
    for number, body in enumerate(bodies, start=1):
        if not isinstance(body, RootChange):
            break
        if roots.is_same(body.root_keys, body.threshold):
            known = number
    return known


def _check_approved(body: KeyBody, trust: Trust, sets: tuple[RootSet, ...], *, is_first: bool) -> None:
    try:
        check_root_approvals(body, trust.origin, sets)
    except KeyChangeRefused as error:
        if not is_first or _has_line_of(sets[0], body, trust.origin):
            raise
        raise Invalid("keys", f"are approved by none of the trust file's root keys. {_REPLACED}") from error


def _has_line_of(roots: RootSet, body: KeyBody, origin: str) -> bool:
    name = f"{origin}/root"
    ids = {note_key_id(name, key) for key in roots.keys}
    return any(line.key_id in ids for line in decode_note(body.approvals.encode(), "approvals").signatures)


def _check_needed(bodies: Sequence[KeyBody], needed: dict[str, KeyBody]) -> None:
    if missing := set(SERVICE_ROLES) - needed.keys():
        raise Invalid("keys", f"have no {min(missing)} key")
    used = list(needed.values())
    if bodies[-1] not in used or any(body not in used for body in bodies if not isinstance(body, RootChange)):
        raise Invalid("keys", "hold an entry of which nothing here needs the key")


def _version(body: KeyBody) -> int:
    return 0 if isinstance(body, Genesis) else body.version


def _introduces(body: Genesis | KeyChange, trust: Trust) -> dict[str, bytes]:
    """The keys that come with it, by role."""
    if isinstance(body, Genesis):
        if (body.origin, set(body.root_keys), body.threshold) != (trust.origin, set(trust.root_keys), trust.threshold):
            raise Invalid("keys", "the genesis has another origin, threshold or root keys than the trust file")
        return {"entry": body.entry_key, "checkpoint": body.checkpoint_key}
    if body.op != "add" or body.role not in SERVICE_ROLES or body.whose != trust.origin:
        raise Invalid("keys", f"the {body.op} of a {body.role} key is not what a receipt needs")
    if body.kid != kid_of(body.key):
        raise Invalid("kid", "is not the public key's")
    return {body.role: body.key}


_REPLACED: Final = (
    "Where these were replaced, a receipt takes the trust file of when its keys were new, or an earlier one"
)
