"""Batches put together from their entries, and every account added up. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from signed_ledger.books.events import Batch, Event, Opened, Posting
from signed_ledger.encoding import members_of
from signed_ledger.errors import Invalid
from signed_ledger.records import AccountId, Body, Entry, JournalLine, Opening, State


@contextmanager
def naming(seq: int) -> Iterator[None]:
    """What is `Invalid` in here is so of entry `seq`."""
    try:
        yield
    except Invalid as error:
        raise Invalid(f"entry {seq}", str(error)) from error


class Postings:
    """Follows the entries in order of seq; of a transaction it needs no more than what every type of it has."""

    def __init__(self) -> None:
        self.balances: dict[AccountId, int] = {}
        self._cause: Batch | None = None
        self._postings: list[Posting] = []
        self._lines = 0  # of the batch that has begun

    def take(self, entry: Entry, body: Body, state: State | None) -> Event | None:
        """Give the account that this entry opens, or the batch that it completes.

        Raises `Invalid` naming the entry of a journal line that does not stand where it must, of a batch that is not
        whole or does not sum to zero, of a signed state that is not what the lines sum up to.
        """
        if not isinstance(body, JournalLine):
            self.end_batch()
        with naming(entry.seq):
            if isinstance(body, JournalLine):
                return self._post(entry.seq, body, state)
            if isinstance(body, Opening):
                return self._open(entry.time, body.account)
            if body.KIND == "transaction":
                self._cause = _cause_of(entry, members_of(body))
            return None

    def end_batch(self) -> None:
        """Raises `Invalid` where the last batch has begun and is not whole."""
        if self._cause is not None and self._postings:
            missing = self._lines - len(self._postings)
            raise Invalid(f"entry {self._cause.seq}", f"{missing} of its {self._lines} journal lines are missing")
        self._cause = None

    def _open(self, time: int, account: AccountId) -> Opened:
        if account in self.balances:
            raise Invalid("account", "is open already")
        self.balances[account] = 0
        return Opened(time, account)

    def _post(self, seq: int, line: JournalLine, state: State | None) -> Batch | None:
        if self._cause is None or line.batch != self._cause.seq or line.line != len(self._postings) + 1:
            raise Invalid("batch", "this journal line does not follow its transaction")
        if self._postings and line.lines != self._lines:
            raise Invalid("lines", "is not what the line before says")
        self._add(line, state)
        self._lines = line.lines
        self._postings.append(Posting(seq, line.account, line.amount))
        return self._whole(self._cause) if line.line == line.lines else None

    def _add(self, line: JournalLine, state: State | None) -> None:
        if line.account not in self.balances:
            raise Invalid("account", "is not open")
        self.balances[line.account] += line.amount.minor
        if state is None or (state.account, state.posted) != (line.account, self.balances[line.account]):
            raise Invalid("state", "is not what the journal lines sum up to")

    def _whole(self, cause: Batch) -> Batch:
        batch = cause._replace(postings=tuple(self._postings))
        _check_sum(batch)
        self._cause, self._postings = None, []
        return batch


def _cause_of(entry: Entry, members: dict[str, Any]) -> Batch:
    return Batch(
        seq=entry.seq,
        time=entry.time,
        type=members["type"],
        transaction_id=members["transaction_id"],
        scheme=members.get("scheme"),
        card_id=members.get("card_id"),
        postings=(),
    )


def _check_sum(batch: Batch) -> None:
    sums: dict[str, int] = {}
    for posting in batch.postings:
        sums[posting.account.currency] = sums.get(posting.account.currency, 0) + posting.amount.minor
    for currency, minor in sums.items():
        if minor:
            raise Invalid("batch", f"does not sum to zero in {currency}")
