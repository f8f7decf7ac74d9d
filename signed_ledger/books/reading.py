"""A ledger read as books: every entry checked against the one before it, its digests, and the signed balances.

Neither signatures nor the rules are checked here: `signed-ledger verify` is what proves a ledger.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

from signed_ledger.books.events import Closed, Event
from signed_ledger.books.posting import Postings, naming
from signed_ledger.encoding import decode_body, decode_entry, decode_state
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import ZERO_DIGEST, Body, Entry, Erased, Parts, State
from signed_ledger.sealing import open_part
from signed_ledger.store import find_erased, open_database

Progress: TypeAlias = Callable[[int, int], None]
"""Told now and then: entries read so far, and in all."""

CHUNK_ENTRIES: Final = 1_000
_ENTRIES: Final = (
    "SELECT e.seq, note, body, state FROM entries AS e LEFT JOIN parts AS p ON p.seq = e.seq ORDER BY e.seq"
)


def read_books(path: Path, *, busy_timeout_ms: int, progress: Progress | None = None) -> Generator[Event, None, None]:
    """Give what became of money, in order of seq, from one snapshot. Memory grows with the accounts, not the entries.

    Raises `Invalid` naming `entry <seq>` for the first entry that is not what the one before, its own digests, its
    batch or its signed state say; naming `database` where there is no ledger.
    """
    with closing(open_database(path, busy_timeout_ms=busy_timeout_ms, read_only=True)) as connection:
        connection.execute("BEGIN")
        total = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
        reader = _Reader(find_erased(connection))
        for count, (seq, *stored) in enumerate(connection.execute(_ENTRIES), start=1):
            yield from reader.take(seq, *(data if type(data) is bytes and data else None for data in stored))
            if progress is not None and (count == total or count % CHUNK_ENTRIES == 0):
                progress(count, total)
        yield reader.close()


class _Reader:
    """Follows the chain from entry to entry."""

    def __init__(self, erased: Erased) -> None:
        self._erased = erased
        self._postings = Postings()
        self._last: Entry | None = None
        self._leaf = ZERO_DIGEST

    def take(self, seq: int, note: bytes | None, body: bytes | None, state: bytes | None) -> list[Event]:
        with naming(seq):
            entry = decode_entry(note or b"").entry
            self._check_follows(entry, seq)
            was_erased = body is None and self._erased.by("body", seq) is not None
            said = _opened(entry, Parts(body, state), was_erased=was_erased)
        self._last, self._leaf = entry, leaf_hash(note or b"")
        return self._postings.take(entry, *said)

    def close(self) -> Closed:
        if self._last is None:
            raise Invalid("database", "has no entry")
        self._postings.close()
        return Closed(self._last.origin, self._last.seq, self._leaf, self._last.time, self._postings.balances)

    def _check_follows(self, entry: Entry, seq: int) -> None:
        expected, time = (0, 0) if self._last is None else (self._last.seq + 1, self._last.time)
        if (seq, entry.seq, entry.prev) != (expected, expected, self._leaf):
            raise Invalid("prev", "does not follow the entry before it")
        if entry.time < time:
            raise Invalid("time", "is before that of the entry before it")


def _opened(entry: Entry, parts: Parts, *, was_erased: bool) -> tuple[Body | None, State | None]:
    """What an entry says; of one that was erased no body, and a state only where that stayed."""
    if was_erased:
        kept = entry.state is not None and parts.state is not None
        return None, decode_state(open_part("state", entry.state, parts.state)) if kept else None
    body = decode_body(open_part("body", entry.body, parts.body)).body
    if entry.kind != body.KIND:
        raise Invalid("kind", f"of the body is {body.KIND}, of its entry {entry.kind}")
    return body, None if entry.state is None else decode_state(open_part("state", entry.state, parts.state))
