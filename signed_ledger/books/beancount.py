"""The books as a beancount file, which `bean-check` accepts.

Each line's entry, and the time, stand in metadata. At the end the balance of every account is asserted, exactly.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from signed_ledger.books.events import Batch, Closed, Event, Opened, Posting
from signed_ledger.books.plain_text import account_name, day_of, debit, payee_of, summary_of, tags_of
from signed_ledger.money import format_minor
from signed_ledger.records import AccountId

HEADER: Final = """\
; Amounts have the other sign than in the ledger: here a debit is positive, and what is owed to a card is negative.
"""


def beancount_text(books: Iterable[Event]) -> Iterator[str]:
    yield HEADER
    for event in books:
        if isinstance(event, Opened):
            yield _open(event)
        elif isinstance(event, Batch):
            yield _transaction(event)
        else:
            yield _assertions(event)


def _open(opened: Opened) -> str:
    directive = f"open {account_name(opened.account)} {opened.account.currency}"
    return f"\n{day_of(opened.time)} {directive}\n  owner: {_quoted(opened.account.owner)}\n"


def _transaction(batch: Batch) -> str:
    narration = f"{batch.type} {batch.transaction_id}"
    lines = [f"\n{day_of(batch.time)} * {_quoted(payee_of(batch))} {_quoted(narration)}\n"]
    for name, value in tags_of(batch).items():
        lines.append(f"  {name}: {value if isinstance(value, int) else _quoted(value)}\n")
    return "".join([*lines, *map(_posting, batch.postings)])


def _posting(posting: Posting) -> str:
    amount = debit(posting.amount.minor, posting.amount.currency)
    return f"  {account_name(posting.account)}  {amount}\n    seq: {posting.seq}\n"


def _assertions(closed: Closed) -> str:
    """A balance is asserted for the start of a day: the one after the last."""
    day = day_of(closed.time, later=1)
    return f"\n; {summary_of(closed)}\n\n" + "".join(_assertion(day, *item) for item in closed.balances.items())


def _assertion(day: str, account: AccountId, minor: int) -> str:
    """`~ 0`: without it beancount lets a balance be one minor unit off."""
    amount = format_minor(-minor, account.currency)
    return f"{day} balance {account_name(account)}  {amount} ~ 0 {account.currency}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
