"""The audit without its I/O: positions in, faults out. Ed25519 is left to the caller, who may do it many at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from signed_ledger.audit.assumed import Assumed, Place
from signed_ledger.audit.derived import compare_rows, refuse_rows
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.last_seen import LEDGER, LastSeen, Mark
from signed_ledger.audit.log import Log
from signed_ledger.audit.opened import Check, Opened
from signed_ledger.audit.opening import Opener
from signed_ledger.audit.past import Past
from signed_ledger.audit.reaching import CanNotResume, reaches_back
from signed_ledger.audit.reading import Position
from signed_ledger.audit.replay import Replay
from signed_ledger.audit.seen import Seen
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.errors import Invalid
from signed_ledger.records import Erasure, Evidence, Terms
from signed_ledger.schemes import signs_host
from signed_ledger.tables import TABLES, Row
from signed_ledger.trust import Trust

AUTHORITIES_MAX: Final = 100
_CHECKPOINTS: Final = [table.name for table in TABLES].index("checkpoints")


LookUp: TypeAlias = Callable[[Position, list[tuple[str, Row]] | None], Position]


class Kept(NamedTuple):
    """The newest checkpoint that the ledger keeps of itself, how many cosigned it, and what was so as of it."""

    size: int
    note: bytes
    cosignatures: tuple[Row, ...]
    mark: Mark

    @property
    def cosigned(self) -> bytes:
        """The note with the signature lines of witnesses."""
        lines = "".join(line for *_, line in self.cosignatures if isinstance(line, str))
        return self.note + lines.encode("utf-8", "surrogateescape")  # a hostile file may hold any bytes as text


class Audit:
    """Each position is opened (steps 1 to 7, 12, 13), its signatures verified elsewhere, then settled (8 to 11).

    Opening may run ahead of settling: what is opened depends on the entries before it only through keys and chain.
    `authorities` are the host names for which the Scheme's requests were signed; `hosts_not_signed` counts those that
    were signed for none.
    """

    def __init__(
        self,
        tally: Tally,
        trust: Trust | None,
        read_again: Callable[[int], tuple[Any, Any]],
        seen: LastSeen | None = None,
        look_up: LookUp | None = None,
        erasing: Erasing | None = None,
    ) -> None:
        """`read_again` gives the note and body that stand at a seq, for presentments of what was settled long ago.

        `look_up` completes a position by the derived rows that were not read with it.
        """
        self.erasing = erasing or Erasing(tally)
        self.opener = Opener(tally, trust, self.erasing)
        self.log = Log(tally)
        self.seen = Seen(tally, seen)
        self.replay = Replay(tally, read_again, self.erasing)
        self.first_time: int | None = None
        self.last_time: int | None = None
        self.authorities: dict[str, None] = {}
        self.kept: Kept | None = None
        self.keys: dict[int, bytes | None] = {}  # by seq the leaf hashes of key, terms and erasure entries
        self._start = 0
        self._look_up = look_up or _as_it_is
        self.hosts_not_signed = 0
        self._tally = tally

    def resume(self, past: Past, mark: Mark) -> None:
        """Go on after the entries of the past; raises `Invalid` where what was verified can not be read again."""
        keys, last = self._go_on(past, mark.keys)
        if not past.ends_a_batch():
            raise Invalid("checkpoint", "ends within a batch")
        self.seen.check(self.opener.registry.keyring, past.tree.root())
        self.replay.resume(past, _terms(keys), mark.form)
        self._start = past.size
        assert keys[0].entry is not None
        assert last.entry is not None
        self.first_time, self.last_time = keys[0].entry.time, last.entry.time

    def begin(self, assumed: Assumed, seqs: Sequence[int]) -> None:
        """Begin with the first entry after what is assumed, the key and terms entries in it being at `seqs`.

        Raises `Invalid` where what is assumed can not be read.
        """
        keys, _ = self._go_on(assumed, seqs)
        self.replay.begin(assumed, _terms(keys))
        self._tally.forget_checked()

    def _go_on(self, past: Past | Assumed, seqs: Sequence[int]) -> tuple[list[Opened], Opened]:
        keys = []
        for opened in map(past.opened, seqs):
            self.keys[opened.seq] = opened.leaf
            if not isinstance(opened.body, Erasure):  # they may name much, and nothing rests on them
                keys.append(opened)
        last = past.last()
        self.opener.resume([opened for opened in keys if not isinstance(opened.body, Terms)], last)
        self.log.tree = past.tree.copy()
        return keys, last

    def open(self, position: Position) -> Opened:
        """Raises `CanNotResume` where the entries that were verified before are to be verified again."""
        opened = self.opener.open(position)
        if self._start and reaches_back(opened.body, self._start):
            raise CanNotResume
        self.log.take(opened, self.opener.registry.keyring)
        self.seen.take(opened, self.opener.registry.keyring, self.log.known_tree)
        return opened

    def settle(self, opened: Opened, verified: Iterator[bool]) -> None:
        """Take an opened position in; `verified` has, in order, whether each of its checks verifies."""
        for check in opened.checks:
            if not next(verified):
                self._refuse(opened, check)
        if not opened.position.has_entry:
            refuse_rows(opened.position, self._tally)
            return
        rows = self.replay.take(opened)
        compare_rows(self._look_up(opened.position, rows), rows, self._tally)
        self._keep(opened, rows or [])
        if opened.request is not None and opened.evidence is not None:
            self._take_host(opened.evidence)
        if opened.entry is not None:
            self.last_time = opened.entry.time
            self.first_time = self.last_time if self.first_time is None else self.first_time

    def end(self) -> None:
        """After the last position."""
        self.replay.end()
        self.erasing.end(self.replay.balances.book.accounts, self.is_trusted)
        self.seen.end(0 if self.opener.last is None else self.opener.last.seq + 1)
        self.opener.registry.end()
        if self.opener.last is None:
            self._tally.fault(None, Step.ENTRIES, "there is no entry")

    def is_trusted(self, seq: int) -> bool:
        """Whether the signature of the entry there counts, by what the key registry says in the end."""
        keyring = self.opener.registry.keyring
        return keyring is None or keyring.is_trusted(seq)

    def _keep(self, opened: Opened, rows: list[tuple[str, Row]]) -> None:
        if any(name == "keys" for name, _ in rows):
            self.keys[opened.seq] = opened.leaf
        checkpoints, cosignatures = opened.position.rows[_CHECKPOINTS : _CHECKPOINTS + 2]
        if checkpoints and type(checkpoints[0][1]) is bytes:
            mark = Mark(LEDGER, tuple(self.keys), self.replay.events.form)
            self.kept = Kept(opened.seq + 1, checkpoints[0][1], tuple(cosignatures or ()), mark)

    @property
    def last(self) -> Place | None:
        """The entry that was opened last."""
        last = self.opener.last
        return None if last is None or last.entry is None else Place(last.seq, last.leaf, last.entry.time)

    def _take_host(self, evidence: Evidence) -> None:
        if not signs_host(evidence):
            self.hosts_not_signed += 1
        elif len(self.authorities) < AUTHORITIES_MAX:
            self.authorities[evidence.request.authority] = None

    def _refuse(self, opened: Opened, check: Check) -> None:
        if check.step is Step.LOG:
            self._tally.fault(opened.seq, check.step, "the signature of the checkpoint kept does not verify")
        elif check.step is Step.ISSUER:
            opened.is_signed = False
            self._tally.fault(opened.seq, check.step, "the Issuer's signature does not verify under the key valid here")
        else:
            opened.request = None
            self._tally.fault(opened.seq, check.step, "the Scheme's signature does not verify")


def _terms(keys: list[Opened]) -> Terms | None:
    terms = [opened.body for opened in keys if isinstance(opened.body, Terms)]
    return terms[-1] if terms else None


def _as_it_is(position: Position, rows: list[tuple[str, Row]] | None) -> Position:
    return position
