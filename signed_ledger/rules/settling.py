"""The daily settlement: what a Scheme is owed leaves its account, and the interchange is rounded, once."""

from signed_ledger.errors import IntegrityViolation, StateConflict
from signed_ledger.money import Fee, Money
from signed_ledger.records import AccountId, Body, SettledSum, Settlement, Unsettled
from signed_ledger.rules.book import Book
from signed_ledger.rules.commands import Settle, Slot
from signed_ledger.rules.needs import scheme_accounts
from signed_ledger.rules.posting import with_batch


def decide(book: Book, command: Settle, slot: Slot) -> list[Body]:
    """Give the settlement of all that was posted since the last, its batch, and the accounts it opens.

    Raises `StateConflict` unless the business day is later than the last one settled, and for sums that no account can
    hold; `IntegrityViolation` where what was posted is not what the Scheme's accounts hold, in whatever currency. Then
    nothing is written.
    """
    newest = book.settled.get(command.scheme, "")
    if command.date <= newest:
        raise StateConflict(f"{command.scheme} is settled up to {newest}; {command.date} is over.", field="date")
    unsettled = book.unsettled.get(command.scheme, {})
    for account in scheme_accounts(command.scheme):
        _check_owed(book, account, unsettled.get(account.currency, Unsettled()))
    settlement = Settlement(
        scheme=command.scheme,
        date=command.date,
        day_ends=command.day_ends,
        is_complete=slot.time >= command.day_ends,
        sums=tuple(_settled(currency, one) for currency, one in sorted(unsettled.items()) if one != Unsettled()),
    )
    return with_batch(book, settlement, slot)


def _check_owed(book: Book, account: AccountId, one: Unsettled) -> None:
    """Each settlement leaves a Scheme's account at nothing, so that what it holds was all posted since."""
    state = book.accounts.get(account)
    held = 0 if state is None else state.posted
    if held != one.gross - one.refunds:
        owed, there = Money(one.gross - one.refunds, account.currency), Money(held, account.currency)
        raise IntegrityViolation(
            f"{account.owner} holds {there}, but {owed} were posted since the last settlement. Nothing was settled."
        )


def _settled(currency: str, one: Unsettled) -> SettledSum:
    assert one.first is not None
    assert one.last is not None
    owed, interchange = one.gross - one.refunds, Fee(one.interchange, currency)
    _, ours = split(owed, interchange)
    return SettledSum(
        gross=Money(one.gross, currency),
        refunds=Money(one.refunds, currency),
        fees=Money(-ours, currency),
        net=Money(owed - ours, currency),
        result=Money(one.result + ours, currency),
        interchange=interchange,
        count=one.count,
        first_seq=one.first,
        last_seq=one.last,
    )


def split(owed: int, interchange: Fee) -> tuple[int, int]:
    """Split what is owed into the Scheme's part and the Issuer's interchange, in whole minor units.

    Each is floored, and the unit that may be left over goes to the Scheme: docs/CARD_RULES.md, Currencies.
    """
    ours = interchange.floored
    theirs = Fee(Fee.of(owed, interchange.currency).micros - interchange.micros, interchange.currency).floored
    return theirs + (owed - theirs - ours), ours
