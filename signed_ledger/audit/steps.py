"""The numbered steps of an audit, and the tally of what each checked and found."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

REASON_CHARACTERS_MAX: Final = 400


class Step(IntEnum):
    """Each fault carries the number of the step that found it; what can not be known is said last, and is no step."""

    TRUST = 1
    REGISTRY = 2
    ENTRIES = 3
    ISSUER = 4
    PARTS = 5
    SCHEME = 6
    AGREEMENT = 7
    BATCHES = 8
    TRANSACTIONS = 9
    EVENTS = 10
    DECISIONS = 11
    LOG = 12
    SEEN = 13
    REVOCATIONS = 14


TITLES: Final = {
    Step.TRUST: "the ledger has the trust file's origin, and had its root keys and threshold",
    Step.REGISTRY: "each key entry is approved as the registry demands, in order of version",
    Step.ENTRIES: "entries are well-formed, without gap, chained, in order of time, with their parts",
    Step.ISSUER: "each entry is signed by the Issuer, under the one entry key valid there",
    Step.PARTS: "each part has the digest that its entry names, is canonical and salted",
    Step.SCHEME: "each Scheme's transaction rests on its signed request, under a key valid there",
    Step.AGREEMENT: "each body says what the request says, and is of the Scheme that signed it",
    Step.BATCHES: "batches are whole, as the rules post them, and sum to zero in each currency",
    Step.TRANSACTIONS: "what is about a transaction builds on the entry it began with, and on how it stands",
    Step.EVENTS: "no webhook and no authorisation is there twice",
    Step.DECISIONS: "decisions and balances are what the rules give; derived tables say the same",
    Step.LOG: "tiles and every checkpoint kept are of this very history, signed by the checkpoint key",
    Step.SEEN: "the ledger has grown from the checkpoint seen last",
    Step.REVOCATIONS: "what a revoked key signed from its size on is signed again by its successor",
}


class Finding(NamedTuple):
    """One fault: the seq of the entry it is in (`None` where it is in none), the step that found it, and why."""

    seq: int | None
    step: Step
    reason: str


def nothing_checked() -> list[int]:
    """How often each step was asked, by its number: a dict would hash a step ten times for each entry."""
    return [0] * (max(Step) + 1)


class Tally:
    """What was checked, by step, and every fault found."""

    def __init__(self) -> None:
        self.checked = nothing_checked()
        self.findings: list[Finding] = []
        self._repeated: dict[tuple[Step, str], _Repeated] = {}

    def fault(self, seq: int | None, step: Step, reason: str) -> None:
        self.findings.append(Finding(seq, step, printable(reason)))

    def repeated_fault(self, seq: int, step: Step, cause: str, reason: str) -> None:
        """A fault that one damage makes of many entries: told once, at the first, with their number."""
        self._repeated.setdefault((step, cause), _Repeated(seq, reason)).add(seq)

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self._repeated

    def forget_checked(self) -> None:
        """What was checked so far is counted elsewhere."""
        self.checked = nothing_checked()

    def sorted_findings(self) -> list[Finding]:
        """In order of seq, then step; what has no seq comes last."""
        repeated = [Finding(one.first, step, printable(one.told())) for (step, _), one in self._repeated.items()]
        everything = self.findings + repeated
        return sorted(everything, key=lambda found: (found.seq is None, found.seq or 0, found.step))


@dataclass(slots=True)
class _Repeated:
    first: int
    reason: str
    count: int = 0
    last: int = 0

    def add(self, seq: int) -> None:
        self.count += 1
        self.last = seq

    def told(self) -> str:
        more = self.count - 1
        return f"{self.reason}; the same of {more} more entries up to {self.last}" if more else self.reason


def printable(text: str) -> str:
    """Make what a hostile file says safe to be shown: no control characters, no half surrogates, not endless."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: REASON_CHARACTERS_MAX + 1])
    return shown if len(text) <= REASON_CHARACTERS_MAX else f"{shown[:REASON_CHARACTERS_MAX]}..."
