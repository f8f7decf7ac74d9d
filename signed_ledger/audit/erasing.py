"""Parts that are not there: erased, where an erasure that the Issuer signed names them, else missing.

An erasure comes after what it names, so what it claims is read before the entries are, and counts only once it was
itself found to be signed, when its turn comes. Steps 3, 5, 8 and 11.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from signed_ledger.audit.report import totals_of
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.money import format_minor
from signed_ledger.records import (
    PART_NAMES,
    AccountId,
    CardChange,
    CardTransaction,
    Entry,
    Erased,
    Erasure,
    JournalLine,
    Opening,
    State,
    card_of,
)
from signed_ledger.sealing import open_part

ERASABLE: Final = (Opening.KIND, CardTransaction.KIND, JournalLine.KIND, CardChange.KIND)
"""The kinds of entries that may be a card's."""
SEQS_SHOWN_MAX: Final = 20


class Erasing:
    """What erasures claim, what is really gone, and which of them are signed."""

    def __init__(self, tally: Tally, claims: Iterable[tuple[int, Erasure]] = ()) -> None:
        """`claims` are what seem to be erasures, with the seqs of their entries."""
        self.parts = dict.fromkeys(PART_NAMES, 0)
        self.signed: list[int] = []
        self.settlements: list[int] = []  # those that cover erased postings, and so can not be judged again
        self._claims = dict(claims)
        self._erased = Erased(self._claims.items())
        self._tally = tally
        self._missing: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)  # by erasure
        self._faults: defaultdict[int, list[tuple[int, Step, str]]] = defaultdict(list)
        self._unsettled: dict[str, int] = {}  # by Scheme: the erasure that erased a posting of it

    @property
    def has_claims(self) -> bool:
        return bool(self._claims)

    # --- while entries are opened ----------------------------------------------------------------------------------

    def look(self, entry: Entry, stored: dict[str, object]) -> dict[str, int]:
        """Of an entry's parts those that are not there because they were erased, with the seq of what says so."""
        if not self._claims:
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
        by = self._erased.by(name, entry.seq)
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
        elif entry.evidence is not None and "evidence" not in named:
            self.fault(by, entry.seq, Step.PARTS, "its body was erased, but not its evidence")

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

    def take_posting(self, erasure: int, scheme: str) -> None:
        """A posting of this Scheme's was erased: its next settlement can not be judged."""
        self._unsettled[scheme] = max(erasure, self._unsettled.get(scheme, 0))

    def take_settlement(self, seq: int, scheme: str) -> None:
        if self._unsettled.pop(scheme, None) is not None:
            self.settlements.append(seq)

    def take(self, seq: int, erasure: Erasure) -> None:
        """An erasure that is signed, at its own place."""
        if erasure.newest >= seq:
            self._tally.fault(seq, Step.PARTS, f"names entry {erasure.newest}, which is not before it")
        if seq in self._claims:
            self.signed.append(seq)
        for scheme, by in self._unsettled.items():
            if by == seq:
                reason = f"erased what was posted with {scheme} before a settlement covered it"
                self._tally.fault(seq, Step.DECISIONS, reason)

    def end(self, accounts: dict[AccountId, State], is_trusted: Callable[[int], bool]) -> None:
        """Tell what is missing though no erasure that counts names it, and what those should not have erased.

        `accounts` is how the replay leaves them; `is_trusted` says of which seqs the signature counts in the end: who
        stole the entry key has not erased on anybody's request.
        """
        self.signed = [seq for seq in self.signed if is_trusted(seq)]
        signed = set(self.signed)
        for erasure, missing in self._missing.items():
            for seq, name in missing:
                if erasure in signed:
                    self.parts[name] += 1
                else:
                    self._tally.fault(seq, Step.ENTRIES, f"its {name} is missing")
        for erasure, faults in self._faults.items():
            for seq, step, reason in dict.fromkeys(faults) if erasure in signed else ():
                self._tally.fault(seq, step, reason)
        if self.signed and not self._tally.findings:
            self._check_owed(accounts)

    def _check_owed(self, accounts: dict[AccountId, State]) -> None:
        """Every batch sums to zero, so all balances do: unless one that was not zero is no more."""
        for total in totals_of(accounts):
            if total.posted:
                told = f"{format_minor(-total.posted, total.currency)} {total.currency}"
                reason = f"all balances do not sum to zero: {told} that a card had was erased, by this or one before"
                self._tally.fault(self.signed[-1], Step.DECISIONS, reason)

    def not_known(self) -> list[str]:
        """What the report ends with."""
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


def claims_of(entries: Iterable[tuple[Any, ...]]) -> dict[int, Erasure]:
    """What seems to be an erasure: of (seq, note, body) as they stand in a file, those that are whole by themselves."""
    claims = {}
    for seq, note, data in entries:
        if type(note) is not bytes or type(data) is not bytes:
            continue
        try:
            entry = decode_entry(note).entry
            body = decode_body(open_part("body", entry.body, data)).body
        except Invalid:
            continue
        if isinstance(body, Erasure) and (entry.kind, entry.seq) == (body.KIND, seq):
            claims[seq] = body
    return claims
