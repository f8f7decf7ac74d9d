"""Step 8 where a transaction was erased: of its lines the card's own went with it, and no other."""

from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.steps import Step
from signed_ledger.records import JournalLine
from signed_ledger.rules import imbalances


class ErasedBatch:
    """The lines that follow a transaction without a body. A line without one is `None`."""

    def __init__(self, seq: int, erasure: int, erasing: Erasing, *, is_bare: bool) -> None:
        """`is_bare` is whether the entry has no part but the body, which of a card's only a load has."""
        self.erasure = erasure
        self.lines: list[JournalLine | None] = []
        self._seq = seq
        self._erasing = erasing
        self._is_bare = is_bare

    def take(self, seq: int, line: JournalLine | None) -> None:
        if line is not None and (line.batch, line.line) != (self._seq, len(self.lines) + 1):
            self._fault(seq, "this journal line does not follow its transaction")
        self.lines.append(line)

    def end(self) -> None:
        count, there = len(self.lines), [line for line in self.lines if line is not None]
        own = 2 if count == 2 else 1  # the card's line: of a load the second, else the first
        if not self.lines:
            if self._is_bare:
                self._fault(self._seq, "its body was erased, but it is no card's transaction")
        elif any(line.lines != count for line in there):
            self._fault(self._seq, "of its batch journal lines are missing")
        elif [number for number, line in enumerate(self.lines, 1) if line is None] != [own]:
            self._fault(self._seq, "its body was erased; of its journal lines only the card's own must be so too")
        elif len(imbalances(there)) > 1:
            self._fault(self._seq, "whatever its erased line was, its batch can not have summed to zero")

    def _fault(self, seq: int, reason: str) -> None:
        self._erasing.fault(self.erasure, seq, Step.BATCHES, reason)
