"""What was removed on a person's request: which parts of which entries, who asked for it, and why."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import ClassVar, Final, TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.records.names import CONTROL, check_natural

Seqs: TypeAlias = tuple[tuple[int, int], ...]
"""Seqs as runs (first, last), both counted in, ascending, with a gap between each two."""

PART_NAMES: Final = ("body", "state", "evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The parts of earlier entries that are no more, by the name of the part. Whose they were is not said.

    `asked_by` is a reference to who asked, such as a case number; it need not be a name.
    """

    KIND: ClassVar[str] = "erasure"

    asked_by: str
    why: str
    body: Seqs = ()
    state: Seqs = ()
    evidence: Seqs = ()

    def __post_init__(self) -> None:
        for name in ("asked_by", "why"):
            text = getattr(self, name)
            if not 1 <= len(text) <= 200 or CONTROL.search(text):
                raise Invalid(name, "must be 1 to 200 characters, none of them control characters")
        for name in PART_NAMES:
            _check_runs(getattr(self, name), name)
        if not self.body and not self.state and not self.evidence:
            raise Invalid("erased", "must name a part")

    def runs(self) -> Iterator[tuple[str, int, int]]:
        """Each run with the name of its part."""
        for name in PART_NAMES:
            for first, last in getattr(self, name):
                yield name, first, last

    @property
    def newest(self) -> int:
        """The seq of the newest entry that it names; it must be before the erasure's own."""
        return max(last for _, _, last in self.runs())

    def count(self, name: str) -> int:
        """How many parts of this name."""
        return sum(last - first + 1 for part, first, last in self.runs() if part == name)


def _check_runs(seqs: Seqs, name: str) -> None:
    least = 0
    for first, last in seqs:
        check_natural(first, name)
        check_natural(last, name)
        if not least <= first <= last:
            raise Invalid(name, "must be runs of seqs in order, with a gap between each two")
        least = last + 2


def runs_of(seqs: Iterable[int]) -> Seqs:
    """Ascending seqs as runs."""
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return tuple(runs)


class Erased:
    """All that erasures name, to be asked by part and seq."""

    def __init__(self, erasures: Iterable[tuple[int, Erasure]] = (), first: int = 0, end: int | None = None) -> None:
        """Takes each erasure with the seq of its entry. Of entries before `first`, or from `end` on, is not asked."""
        runs: dict[str, list[tuple[int, int, int]]] = {name: [] for name in PART_NAMES}
        for seq, erasure in erasures:
            for name, begin, last in erasure.runs():
                if last >= first and (end is None or begin < end):
                    runs[name].append((begin, last, seq))
        self._firsts: dict[str, list[int]] = {}
        self._reach: dict[
            str, list[tuple[int, int]]
        ] = {}  # how far a run that begins here or before reaches, and whose
        self.twice: dict[int, str] = {}
        """By the seq of a later erasure the first that an earlier one names too."""
        for name, found in runs.items():
            found.sort()
            self._firsts[name] = [begin for begin, _, _ in found]
            self._reach[name] = list(accumulate(((last, seq) for _, last, seq in found), max))
            for (reach, whose), (begin, _, seq) in zip(self._reach[name], islice(found, 1, None), strict=False):
                if begin <= reach:
                    what = f"the {name} of entry {begin}, which entry {min(seq, whose)} names too"
                    self.twice.setdefault(max(seq, whose), what)

    def by(self, name: str, seq: int) -> int | None:
        """The seq of an erasure that names this part; `None` where there is none."""
        return self.by_any(name, seq, seq)

    def by_any(self, name: str, first: int, last: int) -> int | None:
        """The seq of an erasure that names this part of any of these entries."""
        place = bisect_right(self._firsts[name], last) - 1
        if place < 0:
            return None
        reach, erasure = self._reach[name][place]
        return erasure if first <= reach else None
