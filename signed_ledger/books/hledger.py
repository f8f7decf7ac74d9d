"""The books as an hledger journal, which `hledger check --strict ordereddates payees` accepts.

Each line's entry, and the time, stand in tags. The last transaction asserts the balance of every account.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from signed_ledger.books.events import Batch, Closed, Event, Opened, Posting
from signed_ledger.books.plain_text import account_name, day_of, debit, payee_of, summary_of, tags_of
from signed_ledger.money import MINOR_DIGITS
from signed_ledger.records import ISSUER

HEADER: Final = """\
; Amounts have the other sign than in the ledger: here a debit is positive, and what is owed to a card is negative.
decimal-mark .
"""

_OTHER: Final = re.compile(r"[^A-Za-z0-9._:/=+-]")
"""What could end a description or a tag, and more; nothing of it can be in a ledger."""


def hledger_text(books: Iterable[Event]) -> Iterator[str]:
    declared: set[str] = set()
    yield HEADER
    for event in books:
        needed = dict.fromkeys(_directives(event))
        yield "".join(f"\n{directive}\n" for directive in needed if directive not in declared)
        declared.update(needed)
        yield _text_of(event)


def _directives(event: Event) -> list[str]:
    """What has to be declared once, before or after it is used."""
    if isinstance(event, Opened):
        currency = event.account.currency
        return [f"commodity 1000.{'0' * MINOR_DIGITS[currency]} {currency}"]
    return [f"payee {_plain(payee_of(event) if isinstance(event, Batch) else ISSUER)}"]


def _text_of(event: Event) -> str:
    if isinstance(event, Opened):
        return f"\naccount {account_name(event.account)}  ; owner: {event.account.owner}\n"
    return _transaction(event) if isinstance(event, Batch) else _assertions(event)


def _transaction(batch: Batch) -> str:
    told = f"* ({batch.seq}) {_plain(payee_of(batch))} | {_plain(batch.type)} {_plain(batch.transaction_id)}"
    tags = ", ".join(f"{name}: {_plain(str(value))}" for name, value in tags_of(batch).items())
    return f"\n{day_of(batch.time)} {told}  ; {tags}\n" + "".join(map(_posting, batch.postings))


def _posting(posting: Posting) -> str:
    amount = debit(posting.amount.minor, posting.amount.currency)
    return f"    {account_name(posting.account)}  {amount}  ; seq: {posting.seq}\n"


def _assertions(closed: Closed) -> str:
    lines = [
        f"    {account_name(account)}  {debit(0, account.currency)} == {debit(minor, account.currency)}\n"
        for account, minor in closed.balances.items()
    ]
    told = f"\n; {summary_of(closed)}\n"
    return told + "".join([f"\n{day_of(closed.time)} * {ISSUER} | balances\n", *lines] if lines else [])


def _plain(text: str) -> str:
    return _OTHER.sub("?", text)
