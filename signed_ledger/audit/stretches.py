"""A ledger audited by several processes side by side, each one stretch of it, as long as there is no fault.

Each reads, hashes, decodes, verifies both signatures and decides again by itself, so that nothing but what its stretch
leaves goes from one process to another. `joining` then proves that the stretches are one ledger.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice, pairwise
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from signed_ledger.audit.assumed import Assumed
from signed_ledger.audit.core import Audit
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined, begun, ended
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile, Stretch
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

CHUNK_ENTRIES: Final = 256
STRETCH_ENTRIES_MIN: Final = 2_000
"""Below this, another process would take longer to start than the work takes here."""
_BATCH_ENTRIES_MAX: Final = 1_000
_WAIT_SECONDS: Final = 0.2
_GC_THRESHOLDS: Final = (20_000, 10, 10)
"""Records hold no cycles: looking for them a thirtieth as often saves a twentieth of the time."""


class Asked(NamedTuple):
    """What is the same for all stretches of a ledger; `keys` are the seqs of what the derived rows call key entries."""

    path: Path
    trust: Trust | None
    seen: LastSeen | None
    keys: tuple[int, ...]


def audit_stretch(stretch: Stretch, asked: Asked, audit: Audit, file: LedgerFile, tally: Tally, go_on: GoOn) -> Ended:
    """Audit a stretch with an `audit` that is new; raises `DoNotMeet` where it has a fault."""
    before = None
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
    if not tally.is_clean:
        raise DoNotMeet
    return ended(audit, before, tally.checked)


def stretches_of(file: LedgerFile, entries: int, most: int) -> list[Stretch]:
    """Stretches of like length, `most` at most, none of which begins within a batch."""
    count = min(most, entries // STRETCH_ENTRIES_MIN)
    wanted = [entries * number // count // TILE_WIDTH * TILE_WIDTH for number in range(1, count)]
    starts = [start for seq in dict.fromkeys(wanted) if (start := _start_of_batch(file, seq)) is not None]
    return [Stretch(first, end) for first, end in pairwise((None, *dict.fromkeys(starts), None))]


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
    """What all processes see: how many entries each has audited, and whether to stop."""

    def __init__(self, processes: int) -> None:
        self._settled: Any = RawArray("q", processes)  # each writes to its own
        self._is_over: Any = RawValue("b", 0)

    @property
    def settled(self) -> int:
        return sum(self._settled)

    def stop(self) -> None:
        self._is_over.value = 1

    def add(self, place: int, more: int) -> bool:
        """Count more entries; give whether to go on."""
        self._settled[place] += more
        return not self._is_over.value


_boards: list[Board] = []
"""Of a process that audits for another: the one that it was started with. It can be had at the start only."""


def _start_for(board: Board) -> None:
    _boards.append(board)
    gc.set_threshold(*_GC_THRESHOLDS)


def _audit_elsewhere(place: int, stretch: Stretch, asked: Asked) -> Ended | None:
    """`None` where there is a fault: an exception with its cause would not go to another process whole."""
    (board,) = _boards
    tally = Tally()
    try:
        file = LedgerFile(asked.path, tally, counts_rows=False)
        try:
            audit = Audit(tally, asked.trust, file.note_and_body, asked.seen)
            return audit_stretch(stretch, asked, audit, file, tally, lambda more: board.add(place, more))
        finally:
            file.close()
    except (DoNotMeet, Invalid):
        board.stop()
        return None


@contextmanager
def _others(count: int) -> Iterator[tuple[ProcessPoolExecutor, Board]]:
    """As many other processes, which stop when this one has no more use for them."""
    context = get_context("spawn")  # a fork would copy the caller's threads and locks half-way
    board = Board(count + 1)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_start_for, initargs=(board,)) as pool:
        try:
            yield pool, board
        finally:
            board.stop()


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def audit_side_by_side(
    audit: Audit,
    file: LedgerFile,
    asked: Asked,
    tally: Tally,
    stretches: list[Stretch],
    progress: Callable[[int], None],
) -> None:
    """Audit all stretches, the last of them here with `audit`, which then is as if it had audited all.

    Raises `DoNotMeet` where there is a fault anywhere, or might be.
    """
    *others, own = stretches

    def go_on(more: int) -> bool:
        is_wanted = board.add(len(others), more)
        progress(board.settled)
        return is_wanted

    with _collecting_rarely(), _others(len(others)) as (pool, board):
        futures = [pool.submit(_audit_elsewhere, *item, asked) for item in enumerate(others)]
        last = audit_stretch(own, asked, audit, file, tally, go_on)
        while wait(futures, _WAIT_SECONDS).not_done:
            progress(board.settled)
        results = [_result(future) for future in futures]
        progress(board.settled)
    joined = Joined()
    for one in (*results, last):
        joined.join(one)
    joined.absorb_into(audit, tally)


def _result(future: "Future[Ended | None]") -> Ended:
    result = future.result()
    if result is None:
        raise DoNotMeet
    return result


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
