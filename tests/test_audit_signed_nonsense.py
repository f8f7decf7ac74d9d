"""Whatever an Issuer signs, however mad, is told with a reason: the audit never stops, and never calls it sound."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signed_ledger.money import BALANCE_MINOR_MAX, Fee
from signed_ledger.records import (
    MESSAGES,
    AuthorisationKey,
    Body,
    CardChange,
    CardTransaction,
    Effect,
    SettledSum,
    Settlement,
    Terms,
    Totals,
)
from signed_ledger.rules import lines_of
from tests.cheating import CheatingIssuer, eur
from tests.strategies import bodies, card_transactions
from tests.support import Sample
from tests.tampering import Copy, found
from tests.world import euros, presentment

mad = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
sent = st.one_of([card_transactions(message) for message in MESSAGES.values()])
ALIVE = AuthorisationKey("visa", "alive")


def about_alive(issuer: CheatingIssuer, body: CardTransaction) -> CardTransaction:
    """The same of visa's transaction, in its currency."""
    asked, settled = body.request, body.request.settlement
    request = replace(
        asked,
        transaction_id="alive",
        card_id="c2",
        billing=eur(body.billing.minor),
        settlement=None if settled is None else eur(settled.minor),
        interchange=None,
        iso8583=None,
    )
    builds_on = None if body.opens else issuer.began[ALIVE].ref
    change = eur(body.hold_change.minor)
    return replace(body, scheme="visa", request=request, hold_change=change, builds_on=builds_on)


def write(issuer: CheatingIssuer, body: Body, about: bool) -> None:
    """Sign it, with a Scheme's evidence for something else, and no state; about a transaction of visa's if told so."""
    evidence = None
    if isinstance(body, CardTransaction):
        body = about_alive(issuer, body) if about else body
        if body.webhook_id is not None:
            evidence = issuer.evidence(body.type, b"{}", body.webhook_id)
    issuer.write(body, evidence, effect=Effect())


@mad
@given(mads=st.lists(st.tuples(bodies | sent, st.booleans()), min_size=1, max_size=4))
def test_whatever_is_signed_is_told(sample: Sample, copy: Copy, mads: list[tuple[Body, bool]]) -> None:
    copy.restore()
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        for body, about in mads:
            write(issuer, body, about)
    report = copy.audit(sample.trust)
    assert all(fault.reason for fault in report.faults)
    assert not report.ok or all(may_be_sound(body) for body, _ in mads)


def may_be_sound(body: Body) -> bool:
    """Any terms are; a card that was never heard of may be bound; with whom nothing was posted, nothing is settled."""
    return isinstance(body, Terms | CardChange) or (isinstance(body, Settlement) and not body.sums)


BACK = {"transaction_id": "alive", **euros("billing", "1.00"), **euros("settlement", "1.00")}
OPEN = Totals(authorised=10_00, cleared=3_00, clearings=1)
HUGE = Totals(authorised=BALANCE_MINOR_MAX, incremented=BALANCE_MINOR_MAX, clearings=1)


@pytest.mark.parametrize(
    ("kind", "asked", "before", "signed"),
    [
        ("increment", {"transaction_id": "alive", **euros("billing", "1.00")}, OPEN, HUGE),
        ("reversal", {"transaction_id": "alive"}, OPEN, HUGE),
        ("reversal", {"transaction_id": "alive", **euros("billing", "1.00")}, OPEN, HUGE),
        ("presentment", presentment("alive", "1.00", **euros("billing", "1.00")), OPEN, HUGE),
        ("presentment", presentment("alive", "1.00"), OPEN, HUGE),
        (
            "presentment",
            presentment("alive", "1.00", **euros("billing", "1.00")),
            OPEN,
            replace(HUGE, cleared=BALANCE_MINOR_MAX),
        ),
        ("refund", BACK, replace(OPEN, reversed=7_00), replace(OPEN, reversed=7_00, refunded=BALANCE_MINOR_MAX)),
        ("reversal", {"transaction_id": "alive"}, OPEN, replace(OPEN, reversed=BALANCE_MINOR_MAX)),
    ],
    ids=str,
)
def test_sums_beyond_what_an_amount_can_be_are_told(
    sample: Sample, copy: Copy, kind: str, asked: dict[str, Any], before: Totals, signed: Totals
) -> None:
    """A body states totals that no amounts add up to; what comes next is decided upon them."""
    copy.restore()
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        book = issuer.rich()
        book.authorisations[ALIVE] = replace(book.authorisations[ALIVE], totals=before)
        body, evidence = issuer.message(kind, asked, book=book)
        more = {"transaction_id": "alive", **euros("billing", "1.00")}
        first, first_evidence = issuer.message("increment", more, webhook_id="wh-first")
        seq = issuer.write(replace(first, totals=signed), first_evidence, effect=Effect())
        issuer.write(body, evidence, effect=Effect())
    report = copy.audit(sample.trust)
    assert {seq, seq + 1} <= {fault.seq for fault in report.faults}


def test_a_settlement_of_what_was_never_settled_with_amounts_beyond_all_is_told(sample: Sample, copy: Copy) -> None:
    copy.restore()
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        most = eur(BALANCE_MINOR_MAX)
        one = SettledSum(
            gross=eur(0),
            refunds=most,
            fees=eur(0),
            net=eur(-BALANCE_MINOR_MAX),
            result=most,
            interchange=Fee(-(10**24), "EUR"),
            count=0,
            first_seq=0,
            last_seq=0,
        )
        body = Settlement(scheme="visa", date="9999-12-31", day_ends=0, is_complete=True, sums=(one,))
        seq = issuer.write(body)
        for line in lines_of(body, seq):
            issuer.write(line, effect=Effect())
    report = copy.audit(sample.trust)
    assert (seq, 11) in found(report)
