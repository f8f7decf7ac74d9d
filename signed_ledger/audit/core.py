"""The audit without its I/O: positions in, faults out. Ed25519 is left to the caller, who may do it many at a time."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from signed_ledger.audit.derived import compare_rows, refuse_rows
from signed_ledger.audit.log import Log
from signed_ledger.audit.opened import Check, Opened
from signed_ledger.audit.opening import Opener
from signed_ledger.audit.reading import Position
from signed_ledger.audit.replay import Replay
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.trust import Trust

AUTHORITIES_MAX: Final = 100


class Audit:
    """Each position is opened (steps 1 to 7, 12), its signatures verified elsewhere, then settled (8 to 11), in order.

    Opening may run ahead of settling: what is opened depends on the entries before it only through keys and chain.
    `authorities` are the host names for which the Scheme's requests were signed.
    """

    def __init__(self, tally: Tally, trust: Trust | None, read_again: Callable[[int], tuple[Any, Any]]) -> None:
        """`read_again` gives the note and body that stand at a seq, for presentments of what was settled long ago."""
        self.opener = Opener(tally, trust)
        self.log = Log(tally)
        self.replay = Replay(tally, read_again)
        self.first_time: int | None = None
        self.last_time: int | None = None
        self.authorities: set[str] = set()
        self._tally = tally

    def open(self, position: Position) -> Opened:
        opened = self.opener.open(position)
        self.log.take(opened, self.opener.registry.keyring)
        return opened

    def settle(self, opened: Opened, verified: Iterator[bool]) -> None:
        """Take an opened position in; `verified` has, in order, whether each of its checks verifies."""
        for check in opened.checks:
            if not next(verified):
                self._refuse(opened, check)
        if not opened.position.has_entry:
            refuse_rows(opened.position, self._tally)
            return
        compare_rows(opened.position, self.replay.take(opened), self._tally)
        if opened.request is not None and opened.evidence is not None and len(self.authorities) < AUTHORITIES_MAX:
            self.authorities.add(opened.evidence.request.authority)
        if opened.entry is not None:
            self.last_time = opened.entry.time
            self.first_time = self.last_time if self.first_time is None else self.first_time

    def end(self) -> None:
        """After the last position."""
        self.replay.end()
        self.opener.registry.end()
        if self.opener.last is None:
            self._tally.fault(None, Step.ENTRIES, "there is no entry")

    def _refuse(self, opened: Opened, check: Check) -> None:
        if check.step is Step.LOG:
            self._tally.fault(opened.seq, check.step, "the signature of the checkpoint kept does not verify")
        elif check.step is Step.ISSUER:
            opened.is_signed = False
            self._tally.fault(opened.seq, check.step, "the Issuer's signature does not verify under the key valid here")
        else:
            opened.request = None
            self._tally.fault(opened.seq, check.step, "the Scheme's signature does not verify")
