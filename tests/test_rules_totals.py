"""The running totals of a transaction: what is open and how it stands are functions of them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import Invalid, Refusal
from signed_ledger.money import BALANCE_MINOR_MAX
from signed_ledger.records import CardTransaction, Totals
from signed_ledger.records.states import AMOUNTS, STATUSES
from signed_ledger.rules.book import cleared
from tests.till import Till, eur
from tests.world import DAY

amounts = st.integers(0, 100)
totals_of_any_kind = st.builds(
    Totals, **dict.fromkeys(AMOUNTS, amounts), clearings=st.integers(0, 3), final=st.booleans()
)


@pytest.mark.parametrize(
    ("totals", "held", "status"),
    [
        pytest.param(Totals(authorised=40), 40, "PENDING", id="authorised"),
        pytest.param(Totals(authorised=40, incremented=10), 50, "PENDING", id="incremented"),
        pytest.param(Totals(authorised=40, reversed=10), 30, "PENDING", id="reversed in part"),
        pytest.param(Totals(authorised=40, reversed=40), 0, "REVERSED", id="reversed"),
        pytest.param(Totals(authorised=40, incremented=10, reversed=50), 0, "REVERSED", id="increment reversed too"),
        pytest.param(Totals(authorised=40, expired=40), 0, "EXPIRED", id="expired"),
        pytest.param(Totals(authorised=40, reversed=10, expired=30), 0, "EXPIRED", id="the rest expired"),
        pytest.param(Totals(authorised=40, reversed=10, expired=40), 0, "EXPIRED", id="expired, then reversed in part"),
        pytest.param(Totals(authorised=40, reversed=40, expired=40), 0, "REVERSED", id="expired, then reversed"),
        pytest.param(Totals(authorised=40, cleared=10, clearings=1), 30, "PENDING", id="cleared in part"),
        pytest.param(Totals(authorised=40, cleared=0, clearings=1), 40, "PENDING", id="nothing billed"),
        pytest.param(Totals(authorised=40, cleared=40, clearings=2), 0, "CLEARED", id="the hold is used up"),
        pytest.param(Totals(authorised=40, cleared=90, clearings=1), 0, "CLEARED", id="more is cleared"),
        pytest.param(Totals(authorised=40, cleared=10, reversed=30, clearings=1), 0, "CLEARED", id="the rest reversed"),
        pytest.param(
            Totals(authorised=40, cleared=10, expired=30, clearings=1), 0, "CLEARED", id="the rest expired too"
        ),
        pytest.param(Totals(authorised=40, cleared=40, expired=40, clearings=1), 0, "CLEARED", id="presented late"),
        pytest.param(Totals(authorised=40, cleared=40, refunded=40, clearings=1), 0, "CLEARED", id="refunded"),
        pytest.param(Totals(cleared=40, clearings=1, final=True), 0, "CLEARED", id="forced"),
        pytest.param(Totals(), 0, "PENDING", id="of 0.00"),
        pytest.param(Totals(clearings=1, final=True), 0, "CLEARED", id="of 0.00, presented"),
        pytest.param(Totals(incremented=10, reversed=10), 0, "REVERSED", id="of 0.00, incremented and reversed"),
    ],
)
def test_hold_and_status_follow_from_the_totals(totals: Totals, held: int, status: str) -> None:
    assert (totals.open, totals.status) == (held, status)


@given(totals_of_any_kind)
def test_whatever_the_totals_only_what_is_pending_holds_anything(totals: Totals) -> None:
    assert totals.open >= 0
    assert totals.status in STATUSES
    assert totals.open <= totals.authorised + totals.incremented
    if totals.open:
        assert totals.status == "PENDING"
    if totals.status == "CLEARED":
        assert totals.clearings > 0


@given(totals_of_any_kind, amounts, st.booleans())
def test_a_clearing_takes_what_is_billed_off_the_hold_and_a_final_one_the_rest(
    totals: Totals, billed: int, final: bool
) -> None:
    after = cleared(totals, billed, final=final)
    assert (after.cleared, after.clearings) == (totals.cleared + billed, totals.clearings + 1)
    assert after.final is (final or totals.final)
    assert after.open == (0 if final else max(0, totals.open - billed))
    assert after.reversed - totals.reversed == (max(0, totals.open - billed) if final else 0)
    assert (after.authorised, after.incremented, after.expired, after.refunded) == (
        totals.authorised,
        totals.incremented,
        totals.expired,
        totals.refunded,
    )
    if final:
        assert after.status == "CLEARED"


@given(totals_of_any_kind, st.sampled_from(AMOUNTS), amounts)
def test_plus_adds_to_what_it_names_and_to_nothing_else(totals: Totals, name: str, more: int) -> None:
    after = totals.plus(**{name: more})
    assert getattr(after, name) == getattr(totals, name) + more
    without: dict[str, Any] = {name: 0}
    assert replace(after, **without) == replace(totals, **without)


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("amount", [-1, BALANCE_MINOR_MAX + 1])
def test_a_total_is_an_amount_that_the_database_holds(name: str, amount: int) -> None:
    of_it: dict[str, Any] = {name: amount}
    with pytest.raises(Invalid, match="totals"):
        Totals(**of_it)


ACTS = ("increment", "reverse", "reverse all", "present", "close", "refund", "expire")
acts = st.lists(
    st.tuples(st.sampled_from(ACTS), amounts),
    max_size=12,
)


@given(st.integers(0, 100), acts)
def test_of_every_life_the_totals_agree_with_its_entries(authorised: int, steps: list[tuple[str, int]]) -> None:
    """Reckoned from what was recorded, entry by entry, in the words of docs/CARD_RULES.md."""
    till = Till(10_000)
    bodies = [till.authorise(authorised)]
    for name, amount in steps:
        try:
            bodies.append(_act(till, name, amount))
        except Refusal:
            continue
    totals = till.totals()
    sums = {kind: sum(body.billing.minor for body in bodies if body.type == kind) for kind in _KINDS}
    released = sum(body.totals.reversed for body in bodies[-1:] if body.totals is not None) - sums["reversal"]
    assert totals.authorised == authorised
    assert totals.incremented == sums["increment"]
    assert totals.expired == sums["expiry"]
    assert totals.cleared == sums["presentment"]
    assert totals.refunded == sums["refund"]
    assert totals.clearings == sum(body.type == "presentment" for body in bodies)
    assert released >= 0
    assert not released or totals.final
    assert totals.net >= 0
    assert sum(body.hold_change.minor for body in bodies) == totals.open == till.balance()[1]


_KINDS = ("increment", "reversal", "presentment", "refund", "expiry")


def _act(till: Till, name: str, amount: int) -> CardTransaction:
    if name == "increment":
        return till.send("increment", billing=eur(amount))
    if name == "reverse":
        return till.send("reversal", billing=eur(amount))
    if name == "reverse all":
        return till.send("reversal")
    if name in ("present", "close"):
        return till.present(billing=eur(amount), final=name == "close")
    if name == "refund":
        return till.refund(amount)
    till.time += 8 * DAY
    return till.expire()
