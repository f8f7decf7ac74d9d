"""Step 8: account openings, then their transaction, then its journal lines, and nothing between.

After an entry that can not be read what follows of its batch is let pass: the fault is told already.
"""

from collections.abc import Callable

from signed_ledger.audit.erased_batch import ErasedBatch
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.money import format_minor
from signed_ledger.records import AccountId, JournalLine, Transaction, card_of
from signed_ledger.rules import imbalances, lines_of


class Batches:
    """Follows the batches in order of seq."""

    def __init__(self, tally: Tally, erasing: Erasing) -> None:
        self.count = 0
        self._tally = tally
        self._erasing = erasing
        self._erased: ErasedBatch | None = None
        self._erased_opening: tuple[int, int] | None = None  # its seq and that of its erasure
        self._openings: list[tuple[int, AccountId]] = []
        self._openings_are_known = True
        self._batch: int | None = None  # the seq of the transaction whose lines follow; None where there is none
        self._expected: list[JournalLine] = []
        self._lines: list[JournalLine | None] = []
        self._lines_are_known = True

    def take_opening(self, seq: int, account: AccountId) -> None:
        self._end_batch()
        self._openings.append((seq, account))

    def take_transaction(self, seq: int, transaction: Transaction, is_open: Callable[[AccountId], bool]) -> None:
        """The openings before it must be the accounts it posts to that were not open; its lines must follow."""
        self._end_batch()
        lines = lines_of(transaction, seq)
        self._check_openings(seq, lines, is_open)
        self._batch, self._expected, self._lines = seq, lines, []
        self._lines_are_known = True
        if self._expected:
            self.count += 1
            self._tally.checked[Step.BATCHES] += 1

    def take_line(self, seq: int, line: JournalLine | None) -> None:
        """`None` is a line that can not be read."""
        if not self._lines_are_known:
            return
        if self._erased is not None:
            self._take_line_of_erased(self._erased, seq, line)
            return
        if self._batch is None or len(self._lines) == len(self._expected):
            self._fault(seq, "this journal line follows no transaction that posts it")
            return
        expected = self._expected[len(self._lines)]
        self._lines.append(line)
        if line is not None and line != expected:
            self._fault(seq, f"journal line is {_shown(line)}, the transaction posts {_shown(expected)}")

    # --- of a card that was erased ---------------------------------------------------------------------------------

    @property
    def erased_by(self) -> int | None:
        """The erasure that the batch's transaction is gone by."""
        return None if self._erased is None else self._erased.erasure

    def take_erased_opening(self, seq: int, erasure: int) -> None:
        self._end_batch()
        self._erased_opening = (seq, erasure)

    def take_erased_transaction(self, seq: int, erasure: int, *, is_bare: bool) -> None:
        """Which accounts it posted to is not known, but whose they were not."""
        self._end_batch()
        for number, account in self._openings:
            if card_of(account.owner) is not None:
                reason = "this account is a card's, and was not erased with the transaction for which it was opened"
                self._erasing.fault(erasure, number, Step.BATCHES, reason)
        self._openings, self._openings_are_known, self._erased_opening = [], True, None
        self._erased = ErasedBatch(seq, erasure, self._erasing, is_bare=is_bare)

    def take_erased_line(self, seq: int, erasure: int) -> None:
        if self._erased is None:
            reason = "this journal line was erased, but its transaction was not"
            self._erasing.fault(erasure, seq, Step.BATCHES, reason)
        self.take_line(seq, None)

    def _take_line_of_erased(self, batch: ErasedBatch, seq: int, line: JournalLine | None) -> None:
        if not batch.lines:
            self.count += 1
            self._tally.checked[Step.BATCHES] += 1
        batch.take(seq, line)

    def _refuse_erased_opening(self) -> None:
        if self._erased_opening is not None:
            seq, erasure = self._erased_opening
            reason = "this opening was erased, but the transaction that it was for was not"
            self._erasing.fault(erasure, seq, Step.BATCHES, reason)
        self._erased_opening = None

    # --- the rest --------------------------------------------------------------------------------------------------

    def take_other(self) -> None:
        """An entry that is in no batch."""
        self._end_batch()
        self._refuse_openings()

    def lose(self) -> None:
        """An entry that may be anything: what of its batch follows can not be told."""
        if self._lines_are_known:
            self._check_balance()
        self._batch, self._lines_are_known, self._erased = None, False, None
        self._openings, self._openings_are_known = [], False

    def end(self) -> None:
        self.take_other()

    def _end_batch(self) -> None:
        if self._batch is not None:
            missing = len(self._expected) - len(self._lines)
            if missing:
                self._fault(self._batch, f"{missing} of its {len(self._expected)} journal lines are missing")
            self._check_balance()
        if self._erased is not None:
            self._erased.end()
        self._batch, self._lines_are_known, self._erased = None, True, None

    def _check_balance(self) -> None:
        lines = [line for line in self._lines if line is not None]
        if self._batch is None or len(lines) != len(self._lines) or len(lines) != len(self._expected):
            return
        for currency, minor in imbalances(lines).items():
            self._fault(self._batch, f"its batch does not sum to zero: {format_minor(minor, currency)} {currency}")

    def _check_openings(self, seq: int, lines: list[JournalLine], is_open: Callable[[AccountId], bool]) -> None:
        self._refuse_erased_opening()
        given = [account for _, account in self._openings]
        needed = [a for a in dict.fromkeys(line.account for line in lines) if a in given or not is_open(a)]
        openings, self._openings = self._openings, []
        if self._openings_are_known and given != needed:
            for number, account in openings:
                if account not in needed:
                    self._fault(number, f"{_named(account)} is opened, but entry {seq} does not post to it")
            self._check_needed(seq, [account for account in given if account in needed], needed)
        self._openings_are_known = True

    def _check_needed(self, seq: int, given: list[AccountId], needed: list[AccountId]) -> None:
        missing = [_named(account) for account in needed if account not in given]
        if missing:
            self._fault(seq, f"posts to {', '.join(missing)}, which no entry before it opened")
        elif given != needed:
            self._fault(seq, "its accounts are opened in another order than it posts to them, or twice")

    def _refuse_openings(self) -> None:
        self._refuse_erased_opening()
        for seq, account in self._openings:
            self._fault(seq, f"{_named(account)} is opened for no transaction")
        self._openings, self._openings_are_known = [], True

    def _fault(self, seq: int, reason: str) -> None:
        self._tally.fault(seq, Step.BATCHES, reason)


def _shown(line: JournalLine) -> str:
    return f"{line.line} of {line.lines} of batch {line.batch}, {line.owner} {line.amount}"


def _named(account: AccountId) -> str:
    return f"{account.owner} in {account.currency}"
