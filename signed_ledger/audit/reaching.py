"""Entries that say what those before them are worth. Where one of them is new, what was seen is verified again."""

from signed_ledger.records import Body, Erasure, KeyChange
from signed_ledger.records.names import PARTY_ROLES


class CanNotResume(Exception):
    """What was verified before is to be verified again, whole: it is not there any more, or is worth something else."""


def reaches_back(body: Body | None, start: int) -> bool:
    """Whether it takes away, or calls into question, parts of entries before `start`.

    The revocation of an entry key, or a history that is named, needs no more of these than what the tree proves.
    """
    if isinstance(body, Erasure):
        return any(first < start for _, first, _ in body.runs())
    return isinstance(body, KeyChange) and body.op == "revoke" and body.role in PARTY_ROLES
