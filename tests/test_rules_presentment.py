"""The money moved: what is posted, what is taken off the hold, what is flagged, and the little that is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import AuthorisationNotFound, CardNotFound, Malformed, Refusal, StateConflict
from signed_ledger.money import Money
from signed_ledger.records import CardTransaction, Totals
from tests.till import Till, check_books, eur
from tests.world import DAY

# --- what is posted --------------------------------------------------------------------------------------------------


def test_a_final_presentment_posts_and_releases_the_rest_of_the_hold_as_reversed() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    body = till.present(billing=eur(30_00))
    assert body.totals == Totals(authorised=40_00, reversed=10_00, cleared=30_00, clearings=1, final=True)
    assert (body.hold_change, body.flags, body.request.final) == (eur(-40_00), (), True)
    assert (till.state().status, till.balance(), till.balance("scheme:visa")) == ("CLEARED", (70_00, 0), (30_00, 0))


def test_several_clearings_each_take_what_they_bill_off_the_hold() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    facts = []
    for billed in (10_00, 25_00, 5_00):
        body = till.present(billing=eur(billed), final=False)
        facts.append((till.state().status, till.balance(), body.hold_change.minor))
    assert facts == [
        ("PENDING", (90_00, 30_00), -10_00),
        ("PENDING", (65_00, 5_00), -25_00),
        ("CLEARED", (60_00, 0), -5_00),
    ]
    assert till.totals().final is False
    till.present(billing=eur(1_00))
    assert (till.totals().clearings, till.totals().final, till.balance()) == (4, True, (59_00, 0))


def test_a_settlement_of_900_on_an_authorisation_of_10_is_posted_and_the_issuer_bears_it() -> None:
    till = Till(100_00)
    till.authorise(10_00)
    till.present(settled=eur(900_00))
    assert till.balance() == (90_00, 0)
    assert till.balance("scheme:visa") == (900_00, 0)
    assert till.balance("issuer") == (-100_00 - 890_00, 0)


def test_a_late_presentment_is_posted_though_the_hold_is_gone() -> None:
    till = Till(10_00)
    till.authorise(10_00)
    till.time += 7 * DAY
    till.expire()
    till.authorise(10_00, "again")
    body = till.present()
    assert (body.billing, body.flags, body.hold_change) == (eur(10_00), ("late",), eur(0))
    assert till.state().status == "CLEARED"
    assert till.balance() == (0, 10_00)


def test_a_presentment_is_posted_on_a_blocked_card() -> None:
    till = Till(10_00)
    till.authorise(10_00)
    till.block()
    assert till.present().reason == "ok"


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param((), 40_00, id="the hold"),
        pytest.param((("increment", 5_00),), 45_00, id="with its increment"),
        pytest.param((("reversal", 15_00),), 25_00, id="without what was reversed"),
        pytest.param((("part", 30_00),), 10_00, id="what is not cleared yet"),
        pytest.param((("expiry", 0),), 40_00, id="expired or not"),
        pytest.param((("part", 30_00), ("expiry", 0)), 10_00, id="what was not cleared before it expired"),
        pytest.param((("expiry", 0), ("reversal", 15_00)), 25_00, id="expired, then reversed in part"),
    ],
)
def test_what_is_billed_where_nothing_is_named(history: tuple[tuple[str, int], ...], expected: int) -> None:
    till = Till(100_00)
    till.authorise(40_00)
    for name, minor in history:
        if name == "part":
            till.present(billing=eur(minor), final=False)
        elif name == "expiry":
            till.time += 7 * DAY
            till.expire()
        else:
            till.send(name, billing=eur(minor))
    posted = till.balance()[0]
    assert till.present().billing == eur(expected)
    assert till.balance() == (posted - expected, 0)


def test_what_is_billed_must_be_named_once_nothing_is_left() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(40_00), final=False)
    refusal = till.refused(till.present)
    assert isinstance(refusal, Malformed)
    assert (refusal.field, till.present(billing=eur(1_00)).billing) == ("billing_amount", eur(1_00))


def test_an_authorisation_of_nothing_is_presented_for_nothing_or_for_what_is_named() -> None:
    till = Till(100_00)
    for name, billing, expected in (("t", None, 0), ("u", eur(5_00), 5_00)):
        till.authorise(0, name)
        body = till.present(name, billing=billing)
        assert (body.billing.minor, till.state(name).status) == (expected, "CLEARED")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_second_presentment_after_the_final_one_is_refused() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present()
    refusal = till.refused(lambda: till.present(billing=eur(1_00)))
    assert isinstance(refusal, StateConflict)
    assert refusal.field == "transaction_id"
    assert "CLEARED" in refusal.detail


def test_a_presentment_id_posts_once_in_its_transaction() -> None:
    till = Till(100_00)
    for name in "tu":
        till.authorise(40_00, name)
        till.present(name, presentment_id="p1", billing=eur(1_00), final=False)
    refusal = till.refused(lambda: till.present(presentment_id="p1", billing=eur(2_00)))
    assert isinstance(refusal, StateConflict)
    assert refusal.field == "presentment_id"
    till.present(presentment_id="p2", billing=eur(2_00))


def test_one_presentment_id_may_name_clearings_of_two_schemes() -> None:
    till = Till(100_00)
    till.load(100_00, card_id="c2")
    till.authorise(40_00)
    till.authorise(40_00, scheme="amex", card_id="c2")
    for scheme in ("visa", "amex"):
        assert till.present(scheme=scheme, presentment_id="p1").reason == "ok"


# --- forced ----------------------------------------------------------------------------------------------------------

FORCED: dict[str, Any] = {"force_post": True, "card_id": "c1", "billing": eur(5_00)}


def test_a_forced_presentment_posts_with_no_authorisation_behind_it() -> None:
    till = Till(100_00)
    body = till.present(**FORCED)
    assert (body.flags, body.builds_on, body.hold_change) == (("forced",), None, eur(0))
    assert body.totals == Totals(cleared=5_00, clearings=1, final=True)
    assert (till.state().status, till.state().expires, till.balance()) == ("CLEARED", None, (95_00, 0))
    assert isinstance(till.refused(lambda: till.present(**FORCED)), StateConflict)


def test_later_clearings_of_a_forced_one_are_flagged_forced_too() -> None:
    till = Till(100_00)
    till.present(**FORCED, final=False)
    till.time += 100 * DAY
    body = till.present(billing=eur(7_00))
    assert (body.flags, body.totals) == (("forced",), Totals(cleared=12_00, clearings=2, final=True))
    assert isinstance(till.refused(lambda: till.authorise(1_00)), Refusal)


def test_to_force_what_was_authorised_is_to_present_it() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    assert till.present(force_post=True).flags == ()
    till.authorise(40_00, "reversed")
    till.send("reversal", "reversed")
    refusal = till.refused(lambda: till.present("reversed", **FORCED))
    assert isinstance(refusal, StateConflict)
    assert "REVERSED" in refusal.detail


@pytest.mark.parametrize(
    ("more", "error", "field"),
    [
        pytest.param({"force_post": False}, AuthorisationNotFound, "transaction_id", id="not forced"),
        pytest.param({"card_id": None}, Malformed, "card_id", id="without a card"),
        pytest.param({"billing": None}, Malformed, "billing_amount", id="without an amount to bill"),
        pytest.param({"card_id": "c9"}, CardNotFound, "card_id", id="a card that is not there"),
        pytest.param({"billing": Money(5, "USD")}, CardNotFound, "card_id", id="no account in the billing currency"),
        pytest.param({"scheme": "amex"}, CardNotFound, "card_id", id="another Scheme's card"),
        pytest.param({"card_id": "c9", "billing": None}, Malformed, "billing_amount", id="what is missing comes first"),
    ],
)
def test_a_forced_presentment_is_refused_and_not_recorded(
    more: dict[str, Any], error: type[Refusal], field: str
) -> None:
    till = Till(100_00)
    till.authorise(1_00, "binding")
    refusal = till.refused(lambda: till.present(settled=eur(5_00), **{**FORCED, **more}))
    assert isinstance(refusal, error)
    assert refusal.field == field


def test_a_card_that_is_not_there_is_no_reason_to_retry() -> None:
    till = Till()
    assert till.refused(lambda: till.present(**FORCED)).retryable is False
    assert till.refused(lambda: till.present(settled=eur(1))).retryable is True


# --- flags -----------------------------------------------------------------------------------------------------------


def _over(till: Till, billed: int, authorised: int = 100_00, **more: Any) -> CardTransaction:
    till.authorise(authorised, **more)
    return till.present(billing=eur(billed))


@pytest.mark.parametrize(
    ("mcc", "kind", "billed", "expected"),
    [
        pytest.param("5812", None, 100_00, (), id="all that was authorised"),
        pytest.param("5812", None, 100_01, ("over_hold", "within_tolerance"), id="a restaurant, a cent over"),
        pytest.param("5812", None, 120_00, ("over_hold", "within_tolerance"), id="a restaurant, 20 % over"),
        pytest.param("5812", None, 120_01, ("over_hold", "excess_disputable"), id="a restaurant, more than that"),
        pytest.param("5411", None, 100_01, ("over_hold", "excess_disputable"), id="a shop"),
        pytest.param("5411", "card_present", 100_01, ("over_hold", "excess_disputable"), id="a shop, card present"),
        pytest.param("5411", "card_not_present", 115_00, ("over_hold", "within_tolerance"), id="no card present"),
        pytest.param("5411", "merchant_initiated", 115_01, ("over_hold", "excess_disputable"), id="more than 15 %"),
        pytest.param("7011", None, 115_00, ("over_hold", "within_tolerance"), id="lodging"),
        pytest.param("3351", None, 115_01, ("over_hold", "excess_disputable"), id="a car, not billed in USD"),
    ],
)
def test_what_exceeds_the_authorised_amount_is_classed(
    mcc: str, kind: str | None, billed: int, expected: tuple[str, ...]
) -> None:
    body = _over(Till(200_00), billed, merchant_mcc=mcc, authorisation_kind=kind)
    assert body.flags == expected


def test_car_rental_may_exceed_by_75_dollars_where_that_is_more() -> None:
    till = Till()
    till.load(1_000_00, "USD")
    for name, excess, expected in (("t", 75_00, "within_tolerance"), ("u", 75_01, "excess_disputable")):
        till.authorise(100_00, name, "USD", merchant_mcc="7512")
        assert till.present(name, billing=Money(100_00 + excess, "USD")).flags == ("over_hold", expected)


def test_an_excess_is_not_classed_where_rates_are_between_the_amounts() -> None:
    till = Till(500_00)
    body = _over(till, 100_01, transaction=Money(108_00, "USD"))
    assert body.flags == ("over_hold",)


def test_an_excess_is_reckoned_over_all_clearings_increments_and_reversals() -> None:
    till = Till(500_00)
    till.authorise(50_00, merchant_mcc="5812")
    till.send("increment", billing=eur(60_00))
    till.send("reversal", billing=eur(10_00))
    assert till.present(billing=eur(90_00), final=False).flags == ()
    assert till.present(billing=eur(30_00), final=False).flags == ("over_hold", "within_tolerance")
    assert till.present(billing=eur(1)).flags == ("over_hold", "excess_disputable")


@given(st.integers(0, 500_00), st.integers(1, 500_00))
def test_20_percent_of_what_was_authorised_are_tolerated_rounded_down(authorised: int, excess: int) -> None:
    body = _over(Till(authorised + 1), authorised + excess, authorised, merchant_mcc="5812")
    assert ("within_tolerance" in body.flags) is (excess * 100 <= authorised * 20)
    assert ("excess_disputable" in body.flags) is (excess * 100 > authorised * 20)


@pytest.mark.parametrize("days", [6, 7])
def test_late_is_from_the_moment_at_which_it_expires_whether_that_was_written_or_not(days: int) -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.time += days * DAY
    assert till.present(final=False).flags == (("late",) if days == 7 else ())
    till.time += DAY
    assert till.present(billing=eur(1_00)).flags == ("late", "over_hold", "excess_disputable")


def test_an_increment_puts_off_when_a_presentment_is_late() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.time += 6 * DAY
    till.send("increment", billing=eur(1_00))
    till.time += 6 * DAY
    assert till.present().flags == ()


@given(st.integers(1, 100), st.integers(0, 100), st.integers(0, 200))
def test_a_balance_below_nothing_is_flagged(loaded: int, authorised: int, billed: int) -> None:
    till = Till(loaded)
    till.authorise(min(authorised, loaded))
    body = till.present(billing=eur(billed))
    assert ("negative_balance" in body.flags) is (loaded - billed < 0)
    assert till.balance() == (loaded - billed, 0)
    check_books(till.book)


def test_flags_stand_in_their_order() -> None:
    till = Till(10_00)
    till.authorise(10_00)
    till.time += 9 * DAY
    body = till.present(billing=eur(15_00))
    assert body.flags == ("late", "over_hold", "excess_disputable", "negative_balance")
    assert till.present("f", **{**FORCED, "billing": eur(1_00)}).flags == ("forced", "negative_balance")
