"""Step two of the day: what a Scheme is owed is summed from verified entries, and settled in one commit."""

from datetime import date
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog

from signed_ledger.daily.days import day_ends
from signed_ledger.daily.desk import Desk
from signed_ledger.errors import IntegrityViolation, StateConflict
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Settling
from signed_ledger.ledger.verified import verified_posted, verified_settlement
from signed_ledger.records import Settlement, Unsettled
from signed_ledger.rules import Book, Settle
from signed_ledger.store import StoredEntry

log = structlog.get_logger("signed_ledger.daily")

PAGE_ROWS: Final = 64
"""What is read at once; the last page, and what is posted while it is verified, is all that the writer has to read."""


class Settled(NamedTuple):
    """A settlement that is on disk: its entry, and its body as an object and as stored.

    `is_first` is false where the day had been settled before, and this is the first result again.
    """

    seq: int
    body: Settlement
    entry: bytes
    body_bytes: bytes
    is_first: bool


def schemes_of(keyring: Keyring) -> list[str]:
    """The names of all Schemes that were ever registered."""
    return sorted({key.whose for key in keyring if key.role == "scheme"})


async def newest_settled(desk: Desk, scheme: str) -> str:
    """The date of the newest business day that is settled; empty where there is none."""
    return max(await desk.reader.settlements(scheme), default="")


async def settled_before(desk: Desk, scheme: str, day: date) -> Settled | None:
    """The first result, where that day is settled; `None` where it can be.

    Raises `StateConflict` where a later day is settled and this one never was, `IntegrityViolation` where what is
    stored about it does not verify.
    """
    seq = (await desk.reader.settlements(scheme)).get(day.isoformat())
    if seq is not None:
        return await _read_again(desk, scheme, day, seq)
    newest = await newest_settled(desk, scheme)
    if day.isoformat() < newest:
        raise StateConflict(f"{scheme} is settled up to {newest}: {day} was never settled and is over.", field="date")
    return None


async def settle(desk: Desk, scheme: str, day: date, zone: ZoneInfo) -> Settled:
    """Settle that business day with a Scheme, or give the first result again; what it gives is on disk.

    Raises what `settled_before` does; `IntegrityViolation` where what was posted does not verify, or is not what the
    Scheme's account holds: then nothing was written.
    """
    command = Settle(scheme, day.isoformat(), day_ends(day, zone))
    while True:
        before = await settled_before(desk, scheme, day)
        if before is not None:
            desk.metrics.settlements.labels("settled_before").inc()
            return before
        submission = await _gathered(desk, command)
        try:
            answer = await desk.submit(submission)
        except StateConflict as refusal:
            if refusal.field == "keys":
                continue
            if refusal.field != "date" or await _newest(desk, scheme) == submission.since:
                raise
            continue  # another settlement came first: every turn of this loop is one
        assert isinstance(answer.body, Settlement)
        desk.metrics.settlements.labels("settled").inc()
        log.info("settled", scheme=scheme, date=command.date, seq=answer.seq, is_complete=answer.body.is_complete)
        return Settled(answer.seq, answer.body, answer.entry, answer.body_bytes, is_first=True)


async def _read_again(desk: Desk, scheme: str, day: date, seq: int) -> Settled:
    stored = await desk.reader.entry(seq)
    body = await desk.verified(lambda entry, keyring: verified_settlement(scheme, entry, keyring), stored)
    if body.date != day.isoformat():
        raise IntegrityViolation(f"settlements names entry {seq} for {day}, which settles {body.date}.")
    assert stored.note is not None
    assert stored.parts.body is not None
    return Settled(seq, body, stored.note, stored.parts.body, is_first=False)


async def _newest(desk: Desk, scheme: str) -> int:
    """The seq of a Scheme's newest settlement; -1 where there is none."""
    return max((await desk.reader.settlements(scheme)).values(), default=-1)


async def _gathered(desk: Desk, command: Settle) -> Settling:
    """Sum what was posted since the newest settlement, page by page and outside the write lock.

    It ends with a page that is not full: what came up to the head as it was before that page is in the sums.
    """
    scheme, version = command.scheme, desk.ledger.keyring.version
    since = known = await _newest(desk, scheme)
    book = Book()

    def verify(stored: StoredEntry, keyring: Keyring) -> dict[str, Unsettled]:
        return verified_posted(scheme, stored, keyring)

    while True:
        head = await desk.reader.head()
        page = await desk.reader.posted(scheme, known, PAGE_ROWS)
        for stored in page:
            book.add_unsettled(scheme, await desk.verified(verify, stored))
            known = stored.seq
            await desk.breathe()
        if len(page) < PAGE_ROWS:
            return Settling(command, since, max(known, head), book.unsettled.get(scheme, {}), version)
