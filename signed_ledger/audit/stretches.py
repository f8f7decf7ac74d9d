"""A ledger audited by several processes side by side, each one stretch of it, as long as there is no fault.

Each reads, hashes, decodes, verifies both signatures and decides again by itself, so that nothing but what its stretch
leaves goes from one process to another. `joining` then proves that the stretches are one ledger.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from signed_ledger.audit.assumed import Assumed
from signed_ledger.audit.claims import Claims
from signed_ledger.audit.collecting import collecting_rarely
from signed_ledger.audit.core import Audit
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined, begun, ended
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile, Stretch
from signed_ledger.audit.spooling import Spool, spooling
from signed_ledger.audit.steps import Tally
from signed_ledger.audit.verifying import verify_all
from signed_ledger.encoding import decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.merkle import TILE_WIDTH
from signed_ledger.records import JournalLine, Opening
from signed_ledger.trust import Trust

T = TypeVar("T")
GoOn = Callable[[int], bool]
"""Told how many more entries were audited; gives whether it is of use to go on."""
Futures: TypeAlias = "list[Future[bool]]"

CHUNK_ENTRIES: Final = 256
STRETCH_ENTRIES_MIN: Final = 2_000
"""Below this, another process would take longer to start than the work takes here."""
STRETCHES_PER_PROCESS: Final = 4
STRETCHES_MAX: Final = 16
"""Unless there are many processes, or entries."""
STRETCH_ENTRIES_MAX: Final = 500_000
"""It bounds the memory of a process."""
ENTRIES_MAX: Final = 10**10
"""More than a file can have, whatever seq its newest entry claims: it bounds the number of stretches."""
_BATCH_ENTRIES_MAX: Final = 1_000
_WAIT_SECONDS: Final = 0.2
_CONTEXT: Final = get_context("spawn")  # a fork would copy the caller's threads and locks half-way


class Asked(NamedTuple):
    """What is the same for all stretches of a ledger; `keys` are the seqs of what the derived rows call key entries."""

    path: Path
    trust: Trust | None
    seen: LastSeen | None
    keys: tuple[int, ...]


def audit_stretch(stretch: Stretch, asked: Asked, audit: Audit, file: LedgerFile, tally: Tally, go_on: GoOn) -> Ended:
    """Audit a stretch with an `audit` that is new; raises `DoNotMeet` where it has a fault."""
    assumed = before = None
    if stretch.first is not None:
        try:
            assumed = Assumed(file, stretch.first)
            audit.begin(assumed, [seq for seq in asked.keys if seq < stretch.first])
        except Invalid as error:
            raise DoNotMeet from error
        before = begun(audit, assumed)
    for chunk in chunks(map(audit.open, file.positions(stretch)), CHUNK_ENTRIES):
        verified = iter(verify_all([check.signed for opened in chunk for check in opened.checks]))
        for opened in chunk:
            audit.settle(opened, verified)
        if not tally.is_clean or not go_on(len(chunk)):
            raise DoNotMeet
    audit.replay.end()
    if not (tally.is_clean and audit.erasing.is_clean):
        raise DoNotMeet
    return ended(audit, assumed, before, tally.checked)


def stretches_of(file: LedgerFile, entries: int, processes: int) -> list[Stretch]:
    """Stretches for so many processes, none of which begins within a batch."""
    wanted = [end // TILE_WIDTH * TILE_WIDTH for end in accumulate(_lengths(min(entries, ENTRIES_MAX), processes)[1:])]
    starts = [start for seq in wanted if (start := _start_of_batch(file, seq)) is not None]
    return [Stretch(first, end) for first, end in pairwise((None, *dict.fromkeys(starts), None))]


def _lengths(entries: int, processes: int) -> list[int]:
    """How long stretches are, in the order in which they are begun: ever shorter, so that all processes end together.

    The first of them is the ledger's last. As few as memory allows: a table in another order than that of entries is
    read through for each of them. One process has nobody to end together with.
    """
    stretches = 1 if processes == 1 else max(processes * STRETCHES_PER_PROCESS, STRETCHES_MAX)
    shortest = max(STRETCH_ENTRIES_MIN, entries // stretches)
    lengths, left = [], entries
    while left >= min(shortest, STRETCH_ENTRIES_MAX) + STRETCH_ENTRIES_MIN:
        lengths.append(min(max(shortest, left // (2 * processes)), STRETCH_ENTRIES_MAX))
        left -= lengths[-1]
    return [*lengths, left]


def _start_of_batch(file: LedgerFile, seq: int) -> int | None:
    """The first seq from here on at which a batch may begin; `None` where none is near."""
    if seq == 0:
        return None
    query = "SELECT seq, note FROM main.entries WHERE seq BETWEEN ? AND ? ORDER BY seq"
    before: str = Opening.KIND
    for number, note in file.rows(query, seq - 1, seq + _BATCH_ENTRIES_MAX):
        try:
            kind = decode_entry(note).entry.kind if type(note) is bytes else Opening.KIND
        except Invalid:
            kind = Opening.KIND
        if number >= seq and before != Opening.KIND and kind != JournalLine.KIND:
            return int(number)
        before = kind
    return None


# --- the other processes --------------------------------------------------------------------------------------------


class Board:
    """What all processes see: which stretch is the next, how much of each was audited, and whether to stop."""

    def __init__(self, stretches: int) -> None:
        self._next: Any = _CONTEXT.Value("q", 0)
        self._settled: Any = _CONTEXT.RawArray("q", stretches)  # each is written to by one process
        self._is_over: Any = _CONTEXT.RawValue("b", 0)

    @property
    def settled(self) -> int:
        return sum(self._settled)

    def stop(self) -> None:
        self._is_over.value = 1

    def add(self, place: int, more: int) -> bool:
        """Count more entries; give whether to go on."""
        self._settled[place] += more
        return not self._is_over.value

    def take(self, end: int) -> Iterator[int]:
        """Give the places before `end` that no other process was given, as long as there are any."""
        while True:
            with self._next:
                place = self._next.value
                self._next.value += 1
            if place >= end:
                return
            yield place


_boards: list[Board] = []
"""Of a process that audits for another: the one that it was started with. It can be had at the start only."""


def _take_board(board: Board) -> None:
    _boards.append(board)


def _audit_elsewhere(stretches: list[Stretch], asked: Asked, spool: Spool) -> bool:
    """Whether no fault was met: an exception with its cause would not go to another process whole."""
    (board,) = _boards
    try:
        with collecting_rarely():
            _audit_shared(stretches, asked, spool, board, board.add)
    except (DoNotMeet, Invalid):
        board.stop()
        return False
    return True


def _audit_shared(
    stretches: list[Stretch], asked: Asked, spool: Spool, board: Board, go_on: Callable[[int, int], bool]
) -> None:
    """Audit those that no other process does."""
    for place in board.take(len(stretches)):
        spool.put(place, _audit_one(stretches[place], asked, partial(go_on, place)))


def _audit_one(stretch: Stretch, asked: Asked, go_on: GoOn) -> Ended:
    tally = Tally()
    file = LedgerFile(asked.path, tally, counts_rows=False)
    try:
        erasing = Erasing(tally, Claims(file.claimed_erasures(), stretch))
        audit = Audit(tally, asked.trust, file.note_and_body, asked.seen, erasing=erasing)
        return audit_stretch(stretch, asked, audit, file, tally, go_on)
    finally:
        file.close()


@contextmanager
def _others(count: int, board: Board, stretches: list[Stretch], asked: Asked, spool: Spool) -> Iterator[Futures]:
    """What as many other processes do, which stop when this one has no more use for them."""
    if not count:
        yield []
        return
    with ProcessPoolExecutor(count, mp_context=_CONTEXT, initializer=_take_board, initargs=(board,)) as pool:
        try:
            yield [pool.submit(_audit_elsewhere, stretches, asked, spool) for _ in range(count)]
        finally:
            board.stop()


def audit_side_by_side(
    audit: Audit,
    file: LedgerFile,
    asked: Asked,
    tally: Tally,
    stretches: list[Stretch],
    processes: int,
    progress: Callable[[int], None],
) -> None:
    """Audit all stretches, the last of them here with `audit`, which then is as if it had audited all.

    Raises `DoNotMeet` where there is a fault anywhere, or might be.
    """
    board = Board(len(stretches))

    def go_on(place: int, more: int) -> bool:
        is_wanted = board.add(place, more)
        progress(board.settled)
        return is_wanted

    *others, own = stretches
    with spooling() as spool:
        with _others(min(processes - 1, len(others)), board, others, asked, spool) as futures:
            spool.put(len(others), audit_stretch(own, asked, audit, file, tally, partial(go_on, len(others))))
            _audit_shared(others, asked, spool, board, go_on)
            while wait(futures, _WAIT_SECONDS).not_done:
                progress(board.settled)
            if not all(future.result() for future in futures):
                raise DoNotMeet
            progress(board.settled)
        Joined.of(map(spool.take, range(len(stretches)))).absorb_into(audit, tally)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
