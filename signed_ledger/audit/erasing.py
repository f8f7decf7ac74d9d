"""Parts that are not there: erased, where an erasure that the Issuer signed names them, else missing.

What an erasure claims counts only once it was itself found to be signed, when its turn comes, and trusted in the end.
Steps 3, 5, 8 and 11.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from signed_ledger.audit.claims import Claims
from signed_ledger.audit.erasures import Erasures
from signed_ledger.audit.report import totals_of
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.money import format_minor
from signed_ledger.records import (
    PART_NAMES,
    AccountId,
    CardChange,
    CardTransaction,
    Entry,
    Erasure,
    JournalLine,
    Opening,
    State,
    card_of,
)

ERASABLE: Final = (Opening.KIND, CardTransaction.KIND, JournalLine.KIND, CardChange.KIND)
"""The kinds of entries that may be a card's."""


class Erasing:
    """What erasures claim, what is really gone, and which of them are signed."""

    def __init__(self, tally: Tally, claims: Claims | None = None) -> None:
        self.told = Erasures()
        self.claims = claims or Claims()
        self._tally = tally
        self._missing: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)  # by erasure
        self._faults: defaultdict[int, list[tuple[int, Step, str]]] = defaultdict(list)

    # --- while entries are opened ----------------------------------------------------------------------------------

    def look(self, entry: Entry, stored: dict[str, object]) -> dict[str, int]:
        """Of an entry's parts those that are not there because they were erased, with the seq of what says so."""
        if not self.claims.leaves:
            return {}
        named = {name: by for name in PART_NAMES if (by := self._named(entry, name)) is not None}
        gone: dict[str, int] = {}
        for name, by in named.items():
            if getattr(entry, name) is None:
                self.fault(by, by, Step.PARTS, f"names the {name} of entry {entry.seq}, which never had one")
            elif stored[name] is None or stored[name] == b"":
                gone[name] = by
                self._missing[by].append((entry.seq, name))
            else:
                self.fault(by, entry.seq, Step.PARTS, f"its {name} was erased by entry {by}, but is still there")
        self._check_whole(entry, named)
        return gone

    def _named(self, entry: Entry, name: str) -> int | None:
        """The seq of the erasure that names this part; `None` where none does, or none may."""
        by = self.claims.erased.by(name, entry.seq)
        if by is None or by <= entry.seq:
            return None
        if entry.kind not in ERASABLE:
            self.fault(by, by, Step.PARTS, f"names entry {entry.seq}: a {entry.kind} entry can not be erased")
            return None
        return by

    def _check_whole(self, entry: Entry, named: dict[str, int]) -> None:
        """A state may stay without its body, nothing else: where evidence could go alone, a body might say anything."""
        by = named.get("body")
        if by is None:
            for name, other in named.items():
                self.fault(other, entry.seq, Step.PARTS, f"its {name} was erased, but not its body")
        elif entry.evidence is not None and named.get("evidence") != by:
            self.fault(by, entry.seq, Step.PARTS, "its body was erased, but not its evidence with it")
        elif named.get("state", by) < by:
            self.fault(by, entry.seq, Step.PARTS, "its state was erased before its body")

    def fault(self, erasure: int, seq: int, step: Step, reason: str) -> None:
        """What is wrong with what an erasure left, if it is one."""
        self._faults[erasure].append((seq, step, reason))

    # --- while they are settled ------------------------------------------------------------------------------------

    def check_left(self, erasure: int, seq: int, state: State | None) -> None:
        """What stays of an erased entry is a card's balance without a hold."""
        if state is None:
            return
        if card_of(state.account.owner) is None:
            self.fault(erasure, seq, Step.PARTS, f"its body was erased, but {state.account.owner} is no card's account")
        elif state.held:
            self.fault(erasure, seq, Step.DECISIONS, "its body was erased while the card's authorisations held money")

    def take(self, seq: int, erasure: Erasure) -> None:
        """An erasure that is signed, at its own place."""
        if erasure.newest >= seq:
            self._tally.fault(seq, Step.PARTS, f"names entry {erasure.newest}, which is not before it")
        if twice := self.claims.erased.twice.get(seq):
            self._tally.fault(seq, Step.PARTS, f"names {twice}")
        if seq in self.claims.leaves:
            for scheme in self.told.take_erasure(seq):
                reason = f"erased what was posted with {scheme} before a settlement covered it"
                self._tally.fault(seq, Step.DECISIONS, reason)

    # --- in the end ------------------------------------------------------------------------------------------------

    def end(self, accounts: dict[AccountId, State], is_trusted: Callable[[int], bool]) -> None:
        """Tell what is missing though no erasure that counts names it, and what those should not have erased.

        `accounts` is how the replay leaves them; `is_trusted` says of which seqs the signature counts in the end: who
        stole the entry key has not erased on anybody's request.
        """
        self.told.signed = [seq for seq in self.told.signed if is_trusted(seq)]
        signed = set(self.told.signed)
        for erasure, missing in self._missing.items():
            for seq, name in missing:
                if erasure in signed:
                    self.told.parts[name] += 1
                else:
                    self._tally.fault(seq, Step.ENTRIES, f"its {name} is missing")
        for erasure, faults in self._faults.items():
            for seq, step, reason in dict.fromkeys(faults) if erasure in signed else ():
                self._tally.fault(seq, step, reason)
        if signed and not self._tally.findings:
            self._check_owed(accounts)

    def _check_owed(self, accounts: dict[AccountId, State]) -> None:
        """Every batch sums to zero, so all balances do: unless one that was not zero is no more."""
        for total in totals_of(accounts):
            if total.posted:
                told = f"{format_minor(-total.posted, total.currency)} {total.currency}"
                reason = f"all balances do not sum to zero: {told} that a card had was erased, by this or one before"
                self._tally.fault(self.told.signed[-1], Step.DECISIONS, reason)

    # --- in stretches ----------------------------------------------------------------------------------------------

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong with what was erased, by whatever claims to be an erasure."""
        return not (self._faults or self.claims.erased.twice)

    def left(self) -> Erasures:
        """What a stretch leaves, once all that is claimed turns out to be signed and trusted."""
        parts = dict(self.told.parts)
        for missing in self._missing.values():
            for _, name in missing:
                parts[name] += 1
        return replace(self.told, parts=parts)

    def absorb(self, told: Erasures) -> None:
        """What all stretches leave is told in place of this one's; all that is claimed is signed and trusted."""
        self.told = told
        self._missing.clear()
