"""Entries that say what those before them are worth. Where one of them is new, what was seen is verified again."""

from collections.abc import Mapping

from signed_ledger.encoding import decode_body
from signed_ledger.errors import Invalid
from signed_ledger.merkle import Tree
from signed_ledger.records import Attestation, Body, Erasure, History, KeyChange, RootChange


class CanNotResume(Exception):
    """What was verified before is to be verified again, whole: it is not there any more, or is worth something else."""


def history_of(seq: int, body: Body | None) -> History | None:
    """The entries, from the first on, for which the entry at `seq` vouches; `None` where it does not."""
    if isinstance(body, Attestation):
        return History(seq, body.root)
    return body.history if isinstance(body, KeyChange | RootChange) else None


def reaches_back(seq: int, body: Body | None, start: int) -> bool:
    """Whether it changes what entries before `start` are worth, or what is left of them."""
    if isinstance(body, Erasure):
        return any(first < start for _, first, _ in body.runs())
    return history_of(seq, body) is not None


class NamedRoots:
    """The roots of a growing tree at the sizes that key entries name. Their `bodies`, by seq, are not yet believed."""

    def __init__(self, bodies: Mapping[int, bytes]) -> None:
        self.roots: dict[int, bytes] = {}
        self._histories = {seq: history for seq, data in bodies.items() if (history := _history_in(seq, data))}
        self._sizes = {history.size for history in self._histories.values()}

    def check_reach(self, start: int) -> None:
        """Raises `CanNotResume` where an entry from `start` on vouches for, or judges, those before."""
        if any(seq >= start for seq in self._histories):
            raise CanNotResume

    def take(self, tree: Tree) -> None:
        if tree.size in self._sizes:
            self.roots[tree.size] = tree.root()


def _history_in(seq: int, data: bytes) -> History | None:
    try:
        return history_of(seq, decode_body(data).body)
    except Invalid:
        return None
