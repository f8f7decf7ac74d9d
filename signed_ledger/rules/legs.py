"""Who pays whom: the split of docs/FORMAT.md, Amounts and accounts, and what it adds to the sums to be settled."""

from typing import NamedTuple

from signed_ledger.money import Money
from signed_ledger.records import (
    ISSUER,
    MESSAGES,
    AccountId,
    CardTransaction,
    JournalLine,
    Load,
    Settlement,
    Transaction,
    Unsettled,
    card,
    external,
    scheme,
)


class Leg(NamedTuple):
    """One owner's share of a batch."""

    owner: str
    amount: Money


def legs_of(transaction: Transaction) -> list[Leg]:
    """The legs in order of their lines; a decision that moves no money has none."""
    if isinstance(transaction, Load):
        amount = transaction.billing
        return [Leg(ISSUER, _times(-1, amount)), Leg(card(transaction.card_id), amount)]
    if isinstance(transaction, Settlement):
        return _settling(transaction)
    direction = MESSAGES[transaction.type].direction
    return [Leg(leg.owner, _times(direction, leg.amount)) for leg in _clearing(transaction)] if direction else []


def _clearing(transaction: CardTransaction) -> list[Leg]:
    """A presentment's legs; a refund's are the same the other way round."""
    billed, settled = transaction.billing, transaction.request.settlement
    assert settled is not None
    payer, payee = card(transaction.card_id), scheme(transaction.scheme)
    if billed.currency == settled.currency:
        kept = Money(billed.minor - settled.minor, billed.currency)
        return [Leg(payer, _times(-1, billed)), Leg(payee, settled), Leg(ISSUER, kept)]
    return [
        Leg(payer, _times(-1, billed)),
        Leg(ISSUER, billed),
        Leg(ISSUER, _times(-1, settled)),
        Leg(payee, settled),
    ]


def _settling(settlement: Settlement) -> list[Leg]:
    """In each currency what the Scheme is owed leaves its account: net paid out, interchange kept by the Issuer."""
    legs = []
    for one in settlement.sums:
        owed = Money(one.refunds.minor - one.gross.minor, one.currency)
        legs += [
            Leg(scheme(settlement.scheme), owed),
            Leg(ISSUER, _times(-1, one.fees)),
            Leg(external(settlement.scheme), one.net),
        ]
    return legs


def _times(sign: int, amount: Money) -> Money:
    return amount if sign == 1 else Money(-amount.minor, amount.currency)


def accounts_of(transaction: Transaction) -> list[AccountId]:
    """The accounts that a transaction's batch posts to."""
    return [AccountId(leg.owner, leg.amount.currency) for leg in legs_of(transaction)]


def lines_of(transaction: Transaction, batch: int) -> list[JournalLine]:
    """The journal lines of the transaction at seq `batch`."""
    return numbered(legs_of(transaction), batch)


def numbered(legs: list[Leg], batch: int) -> list[JournalLine]:
    """The journal lines of these legs."""
    return [JournalLine(batch, number, len(legs), leg.owner, leg.amount) for number, leg in enumerate(legs, 1)]


def unsettled_of(transaction: CardTransaction, seq: int) -> dict[str, Unsettled]:
    """What a transaction adds to its Scheme's next settlement, by currency; nothing where no money moves."""
    direction, settled = MESSAGES[transaction.type].direction, transaction.request.settlement
    if not direction or settled is None:
        return {}
    interchange = transaction.request.interchange
    sums = {
        settled.currency: Unsettled(
            gross=settled.minor if direction == 1 else 0,
            refunds=settled.minor if direction == -1 else 0,
            interchange=0 if interchange is None else direction * interchange.micros,
            count=1,
            first=seq,
            last=seq,
        )
    }
    for owner, amount in legs_of(transaction):
        if owner == ISSUER:
            kept = Unsettled(result=amount.minor, first=seq, last=seq)
            sums[amount.currency] = sums.get(amount.currency, Unsettled()).plus(kept)
    return sums
