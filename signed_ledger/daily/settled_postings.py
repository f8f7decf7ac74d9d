"""Our side of a reconciliation: the transactions of a settlement, each verified, and all of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Final, TypeVar

from signed_ledger.daily.reconciling import Name, Posting
from signed_ledger.errors import IntegrityViolation, Invalid, Refusal, StateConflict
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.verified import verified_of_scheme, verified_settlement
from signed_ledger.records import CardTransaction, SettledSum, Settlement, Unsettled
from signed_ledger.rules import Book, unsettled_of
from signed_ledger.store import Reader, StoredEntry

T = TypeVar("T")

PAGE_ROWS: Final = 1_000


def settlement_span(settlements: dict[str, int], scheme: str, day: date | None) -> tuple[int, int]:
    """The seqs of the settlement before that day's (-1: none) and of that day's, by default the newest.

    `settlements` has the seq of each by its date. Raises `Invalid` where that day is not settled.
    """
    if not settlements:
        raise Invalid("--date", f"nothing is settled with {scheme} yet")
    wanted = max(settlements) if day is None else day.isoformat()
    if wanted not in settlements:
        raise Invalid("--date", f"{wanted} is not settled with {scheme}; the newest day that is: {max(settlements)}")
    seq = settlements[wanted]
    return max((other for other in settlements.values() if other < seq), default=-1), seq


async def read_postings(
    reader: Reader, keyring: Keyring, scheme: str, span: tuple[int, int]
) -> tuple[Settlement, list[Posting]]:
    """A settlement and its transactions, both parties' signatures verified.

    `keyring` is as of the settlement or later. Raises `IntegrityViolation` where one does not verify, or where together
    they are not what was settled; `StateConflict` where that is since some were erased.
    """
    known, end = span
    stored = await reader.entry(end)
    settlement = _verifying(end, partial(verified_settlement, scheme, stored, keyring))
    book, postings = Book(), []
    while page := [entry for entry in await reader.posted(scheme, known, PAGE_ROWS) if entry.seq < end]:
        for entry in page:
            body = _verifying(entry.seq, partial(_transaction, scheme, entry, keyring))
            book.add_unsettled(scheme, unsettled_of(body, entry.seq))
            postings.append(_posting(body, entry.seq))
        known = page[-1].seq
    sums = {currency: replace(one, result=0) for currency, one in book.unsettled.get(scheme, {}).items()}
    settled = {one.currency: _unsettled(one) for one in settlement.sums}
    if sums != settled and await reader.has_erased(span[0] + 1, end):
        raise StateConflict(
            f"Transactions of the settlement at seq {end} were erased on request: what is left of them can not be "
            "reconciled. The settlement itself is proved by its entry.",
            field="date",
        )
    if sums != settled:
        raise IntegrityViolation(f"The transactions listed for the settlement at seq {end} are not those it settled.")
    return settlement, postings


def _transaction(scheme: str, stored: StoredEntry, keyring: Keyring) -> CardTransaction:
    body = verified_of_scheme(scheme, stored, keyring)
    if body.request.settlement is None:
        raise Invalid("transactions", f"names entry {stored.seq}, which moves no money")
    return body


def _verifying(seq: int, verify: Callable[[], T]) -> T:
    try:
        return verify()
    except (Invalid, Refusal) as error:
        raise IntegrityViolation(f"What is stored at seq {seq} does not verify: {error}.") from error


def _posting(body: CardTransaction, seq: int) -> Posting:
    request = body.request
    assert request.settlement is not None
    posting_id = request.presentment_id or request.refund_id or ""
    return Posting(Name(body.type, body.transaction_id, posting_id), request.settlement, request.interchange, seq)


def _unsettled(one: SettledSum) -> Unsettled:
    """What was summed for it, but for the result: in a settlement that has the rounded interchange in it."""
    return Unsettled(
        gross=one.gross.minor,
        refunds=one.refunds.minor,
        interchange=one.interchange.micros,
        count=one.count,
        first=one.first_seq,
        last=one.last_seq,
    )
