"""What there is to tell of erasures: of a stretch of entries, or of several one after the other."""

from dataclasses import dataclass, field
from typing import Final

from signed_ledger.records import PART_NAMES

SEQS_SHOWN_MAX: Final = 20


@dataclass(slots=True)
class Erasures:
    """Which are `signed`, how many `parts` are gone by them, and what can not be judged for that.

    `settlements` cover erased postings. `unsettled` has by Scheme what erased a posting that no settlement has covered
    yet, `first_settled` the first settlement: postings before the stretch are covered by it too.
    """

    signed: list[int] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PART_NAMES, 0))
    settlements: list[int] = field(default_factory=list)
    unsettled: dict[str, set[int]] = field(default_factory=dict)
    first_settled: dict[str, int] = field(default_factory=dict)

    def take_posting(self, erasure: int, scheme: str) -> None:
        """A posting of this Scheme's was erased: its next settlement can not be judged."""
        self.unsettled.setdefault(scheme, set()).add(erasure)

    def take_settlement(self, seq: int, scheme: str) -> bool:
        """Whether it covers what was erased."""
        self.first_settled.setdefault(scheme, seq)
        covers_erased = self.unsettled.pop(scheme, None) is not None
        if covers_erased:
            self.settlements.append(seq)
        return covers_erased

    def take_erasure(self, seq: int) -> list[str]:
        """Of one that is signed: the Schemes of which it erased a posting before a settlement covered that."""
        self.signed.append(seq)
        return [scheme for scheme, erasures in self.unsettled.items() if seq in erasures]

    # --- one stretch after the other -------------------------------------------------------------------------------

    def covered_in(self, more: "Erasures") -> dict[str, int]:
        """By Scheme the settlement in what comes after this that covers what was erased in this."""
        return {scheme: more.first_settled[scheme] for scheme in self.unsettled if scheme in more.first_settled}

    def erased_too_early(self, more: "Erasures") -> bool:
        """Whether one that is signed after this has erased a posting in this before a settlement covered it."""
        covered = self.covered_in(more)
        erasing = ((seq, covered.get(scheme, seq)) for scheme, seqs in self.unsettled.items() for seq in seqs)
        signed = set(more.signed)
        return any(seq in signed and seq <= settled for seq, settled in erasing)

    def and_then(self, more: "Erasures") -> "Erasures":
        """Both, the other after this."""
        unsettled = {scheme: seqs for scheme, seqs in self.unsettled.items() if scheme not in more.first_settled}
        return Erasures(
            self.signed + more.signed,
            {name: self.parts[name] + more.parts[name] for name in PART_NAMES},
            self.settlements + sorted({*self.covered_in(more).values(), *more.settlements}),
            unsettled | {scheme: unsettled.get(scheme, set()) | seqs for scheme, seqs in more.unsettled.items()},
            more.first_settled | self.first_settled,
        )

    # --- the report ------------------------------------------------------------------------------------------------

    def not_known(self) -> list[str]:
        """What it ends with."""
        said = []
        if count := sum(self.parts.values()):
            by = f"{'entry' if len(self.signed) == 1 else 'entries'} {_listed(self.signed)}"
            said.append(
                f"{count:,} part{'s' * (count != 1)} of entries were erased on request by {by}: what they said is not "
                "checked; their digests are in the chain, and a cardholder who kept a copy can still prove it."
            )
        if self.settlements:
            which = f"settlement{'s' * (len(self.settlements) != 1)} {_listed(self.settlements)}"
            said.append(f"Of {which} the sums could not be made again: transactions in them were erased.")
        return said


def _listed(seqs: list[int]) -> str:
    return ", ".join(map(str, seqs[:SEQS_SHOWN_MAX])) + ", ..." * (len(seqs) > SEQS_SHOWN_MAX)
