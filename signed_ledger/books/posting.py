"""Batches put together from their entries, and every account added up. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from signed_ledger.books.erased import ERASED, check_nothing_left, erased_batch, erased_posting, kept_balance
from signed_ledger.books.events import Batch, Event, Opened, Posting
from signed_ledger.encoding import members_of
from signed_ledger.errors import Invalid
from signed_ledger.records import AccountId, Body, Entry, JournalLine, Load, Opening, State


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
        self._gone: int | None = None  # the seq of its line that was erased

    def take(self, entry: Entry, body: Body | None, state: State | None) -> list[Event]:
        """Give the accounts that this entry opens, and the batches that it completes. `body` is `None` where erased.

        Raises `Invalid` naming the entry of a journal line that does not stand where it must, of a batch that is not
        whole or does not sum to zero, of a signed state that is not what the lines sum up to.
        """
        if entry.kind != JournalLine.KIND:
            self.end_batch()
        with naming(entry.seq):
            if body is None:
                return self._take_erased(entry, state)
            if isinstance(body, JournalLine):
                return self._post(entry, body, state)
            if isinstance(body, Opening):
                return [self._open(entry.time, body.account)]
            if body.KIND == "transaction":
                self._cause = _cause_of(entry, members_of(body))
            return []

    def _take_erased(self, entry: Entry, state: State | None) -> list[Event]:
        events: list[Event] = []
        if entry.kind == Load.KIND:
            self._cause = erased_batch(entry)
        elif entry.kind == JournalLine.KIND:
            if self._cause is None or self._cause.type != ERASED or self._gone is not None:
                raise Invalid("batch", "this journal line was erased, and does not follow a transaction that was")
            self._gone = entry.seq
            events += self._completed(self._cause)
        return events if state is None else events + kept_balance(entry, state, self.balances)

    def end_batch(self) -> None:
        """Raises `Invalid` where the last batch has begun and is not whole."""
        if self._cause is not None and (self._postings or self._gone is not None):
            missing = self._lines - len(self._postings) - (self._gone is not None)
            raise Invalid(f"entry {self._cause.seq}", f"{missing} of its {self._lines} journal lines are missing")
        self._cause = None

    def close(self) -> None:
        """After the last entry."""
        self.end_batch()
        check_nothing_left(self.balances)

    def _open(self, time: int, account: AccountId) -> Opened:
        if account in self.balances:
            raise Invalid("account", "is open already")
        self.balances[account] = 0
        return Opened(time, account)

    def _post(self, entry: Entry, line: JournalLine, state: State | None) -> list[Event]:
        place = len(self._postings) + 1 + (self._gone is not None)
        if self._cause is None or line.batch != self._cause.seq or line.line != place:
            raise Invalid("batch", "this journal line does not follow its transaction")
        if self._postings and line.lines != self._lines:
            raise Invalid("lines", "is not what the line before says")
        self._add(line, state)
        self._lines = line.lines
        self._postings.append(Posting(entry.seq, line.account, line.amount))
        account = AccountId(ERASED, line.amount.currency)
        if self._cause.type == ERASED and len(self._postings) == 1 and account not in self.balances:
            return [self._open(entry.time, account), *self._completed(self._cause)]
        return self._completed(self._cause)

    def _completed(self, cause: Batch) -> list[Event]:
        """The batch, once all of its lines are there."""
        if not self._postings or len(self._postings) + (self._gone is not None) < self._lines:
            return []
        return [self._whole(cause)]

    def _add(self, line: JournalLine, state: State | None) -> None:
        if line.account not in self.balances:
            raise Invalid("account", "is not open")
        self.balances[line.account] += line.amount.minor
        if state is None or (state.account, state.posted) != (line.account, self.balances[line.account]):
            raise Invalid("state", "is not what the journal lines sum up to")

    def _whole(self, cause: Batch) -> Batch:
        postings = self._postings
        if self._gone is not None:
            gone = erased_posting(self._gone, postings, postings[0].account.currency)
            self.balances[gone.account] += gone.amount.minor
            schemes = [owner[7:] for posting in postings if (owner := posting.account.owner).startswith("scheme:")]
            postings, cause = [*postings, gone], cause._replace(scheme=next(iter(schemes), None))
        batch = cause._replace(postings=tuple(sorted(postings)))
        _check_sum(batch)
        self._cause, self._postings, self._gone = None, [], None
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
