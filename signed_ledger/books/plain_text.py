"""What hledger and beancount share: the names of accounts, the signs of amounts, the days.

**Names.** An account of the ledger is one owner's money in one currency, and it stays one account here:

    card:<id>        Liabilities:Cards:Id-<id>:<currency>      the cardholder's money
    scheme:<name>    Liabilities:Schemes:Id-<name>:<currency>  what is cleared and not yet settled
    external:<name>  Assets:External:Id-<name>:<currency>      the Issuer's money elsewhere, from which it settles
    issuer           Equity:Issuer:<currency>                  the Issuer's own: what it puts in, gains and loses
    erased           Liabilities:Erased:<currency>             the cards that were erased; it ends at nothing

A beancount name is of letters, digits and `-`, and each of its parts begins with a capital or a digit: hence `Id-`, and
in an id `--u` for `_`, `--p` for `.`, and `--h` for a `-` before one of `-_.`. Two ids never give one name.

**Signs.** In the ledger positive is owed to the owner, a credit. In these programs positive is a debit. So each amount
and balance is the ledger's with the other sign: a card with 12.30 EUR to spend stands at -12.30 EUR.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from signed_ledger.books.erased import ERASED
from signed_ledger.books.events import Batch, Closed
from signed_ledger.encoding import encode_base64, encode_time
from signed_ledger.money import format_minor
from signed_ledger.records import ISSUER, AccountId

_GROUPS: Final = {"card": "Liabilities:Cards", "scheme": "Liabilities:Schemes", "external": "Assets:External"}
_ALONE: Final = {ISSUER: "Equity:Issuer", ERASED: "Liabilities:Erased"}
_CODES: Final = {"_": "--u", ".": "--p", "-": "--h"}
_ESCAPED: Final = re.compile(r"[_.]|-(?=[-_.])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def account_name(account: AccountId) -> str:
    """Give an account's name; no two accounts have the same one."""
    kind, _, name = account.owner.partition(":")
    owner = _ALONE.get(kind) or f"{_GROUPS[kind]}:Id-{escaped(name)}"
    return f"{owner}:{account.currency}"


def escaped(name: str) -> str:
    """Write a name of A-Za-z0-9._- with letters, digits and `-` alone."""
    return _ESCAPED.sub(lambda found: _CODES[found[0]], name)


def debit(minor: int, currency: str) -> str:
    """Write an amount of the ledger's as these programs count: `-12.30 EUR` for a credit of 12.30."""
    return f"{format_minor(-minor, currency)} {currency}"


def day_of(time: int, later: int = 0) -> str:
    """Give the day, in UTC, or one so many days later."""
    return (_EPOCH + timedelta(microseconds=time, days=later)).date().isoformat()


def payee_of(batch: Batch) -> str:
    """Who asked for it: the Scheme, or the Issuer itself."""
    return batch.scheme or ISSUER


def tags_of(batch: Batch) -> dict[str, str | int]:
    """What is told of a transaction besides its day, its payee and its type."""
    told = {"transaction_id": batch.transaction_id, "card_id": batch.card_id, "time": encode_time(batch.time)}
    return {"batch": batch.seq, **{name: value for name, value in told.items() if value}}


def summary_of(closed: Closed) -> str:
    """What these books are of: the head that `signed-ledger verify` prints, too."""
    return f"{closed.origin} after entry {closed.seq}, leaf {encode_base64(closed.leaf)}"
