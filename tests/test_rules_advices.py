"""Reversals, refunds and expiries: what they take back, and the states that do not admit them. And cards."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import AuthorisationNotFound, CardNotFound, Malformed, Refusal, StateConflict
from signed_ledger.money import BALANCE_MINOR_MAX, Money
from signed_ledger.records import AuthorisationKey, AuthorisationState, CardState, Totals
from signed_ledger.rules import ChangeCard
from tests.till import START, Till, eur, lines_in
from tests.world import DAY

# --- reversal --------------------------------------------------------------------------------------------------------


def test_a_reversal_in_part_shrinks_the_hold_and_one_in_full_ends_it() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    part = till.send("reversal", billing=eur(15_00))
    assert (part.totals, part.hold_change) == (Totals(authorised=40_00, reversed=15_00), eur(-15_00))
    assert (part.decision, part.expires, till.state().status) == ("posted", START + 7 * DAY, "PENDING")
    rest = till.send("reversal")
    assert (rest.billing, rest.totals, rest.hold_change) == (
        eur(25_00),
        Totals(authorised=40_00, reversed=40_00),
        eur(-25_00),
    )
    assert (till.state().status, till.balance()) == ("REVERSED", (100_00, 0))


def test_a_reversal_is_posted_on_a_blocked_card() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.block()
    assert till.send("reversal").decision == "posted"
    assert till.balance() == (100_00, 0)


def test_all_of_what_was_cleared_in_part_is_what_is_not_cleared() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(30_00), final=False)
    body = till.send("reversal")
    assert (body.billing, till.state().status, till.totals().final) == (eur(10_00), "CLEARED", False)
    assert isinstance(till.refused(lambda: till.send("reversal")), StateConflict)
    assert till.present(billing=eur(1_00)).flags == ("over_hold", "excess_disputable")


@pytest.mark.parametrize("status", ["PENDING", "EXPIRED"])
def test_more_than_is_authorised_can_not_be_reversed(status: str) -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.send("increment", billing=eur(10_00))
    till.send("reversal", billing=eur(20_00))
    if status == "EXPIRED":
        till.time += 7 * DAY
        till.expire()
    refusal = till.refused(lambda: till.send("reversal", billing=eur(30_01)))
    assert isinstance(refusal, StateConflict)
    assert status in refusal.detail
    till.send("reversal", billing=eur(30_00))
    assert till.state().status == "REVERSED"


def test_more_than_is_left_but_not_more_than_is_authorised_can_be_reversed() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(30_00), final=False)
    till.send("reversal", billing=eur(35_00))
    assert (till.totals().net, till.totals().open, till.state().status) == (5_00, 0, "CLEARED")


def test_an_expired_one_is_reversed_without_a_hold_to_release() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.time += 7 * DAY
    till.expire()
    part = till.send("reversal", billing=eur(10_00))
    assert (part.hold_change, till.state().status) == (eur(0), "EXPIRED")
    rest = till.send("reversal")
    assert (rest.billing, till.state().status) == (eur(30_00), "REVERSED")


def test_what_holds_nothing_can_neither_be_reversed_nor_expire() -> None:
    till = Till(100_00)
    till.authorise(0)
    till.send("reversal")
    assert (till.totals(), till.state().status) == (Totals(), "PENDING")
    till.time += 30 * DAY
    assert isinstance(till.refused(till.expire), StateConflict)
    assert till.present().flags == ("late",)


@given(st.integers(0, 100), st.integers(0, 120), st.integers(0, 120))
def test_what_two_reversals_leave(authorised: int, first: int, second: int) -> None:
    till = Till(100)
    till.authorise(authorised)
    left = authorised
    for amount in (first, second):
        possible = amount <= left and till.state().status == "PENDING"
        if possible:
            till.send("reversal", billing=eur(amount))
            left -= amount
        else:
            till.refused(lambda amount=amount: till.send("reversal", billing=eur(amount)))  # type: ignore[misc]
        assert till.balance() == (100, left)


# --- refund ----------------------------------------------------------------------------------------------------------


def test_a_refund_of_a_cleared_transaction_credits_the_card_and_is_counted() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present()
    body = till.refund(15_00)
    assert (body.decision, body.hold_change, body.flags) == ("posted", eur(0), ())
    assert body.totals is not None
    assert (body.totals.refunded, till.state().status) == (15_00, "CLEARED")
    assert (till.balance(), till.balance("scheme:visa")) == ((75_00, 0), (1_00 - 15_00, 0))
    till.refund(99_00)
    assert (till.totals().refunded, till.balance()) == (114_00, (174_00, 0))


def test_a_refund_of_what_was_cleared_and_not_by_a_final_presentment() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(40_00), final=False)
    till.refund(1_00)
    till.present(billing=eur(2_00))
    assert (till.totals().refunded, till.totals().cleared) == (1_00, 42_00)


def test_a_refund_that_names_no_transaction_is_a_credit_of_its_own() -> None:
    till = Till(100_00)
    bodies = till.ask("refund", None, refund_id="r1", card_id="c1", billing=eur(5_00), settlement=Money(6_00, "USD"))
    assert lines_in(bodies) == [
        ("card:c1", eur(5_00)),
        ("issuer", eur(-5_00)),
        ("issuer", Money(6_00, "USD")),
        ("scheme:visa", Money(-6_00, "USD")),
    ]
    assert till.book.authorisations == {}
    assert isinstance(till.refused(lambda: till.ask("presentment", "r1", settlement=eur(1))), AuthorisationNotFound)


def test_refunds_are_posted_on_a_blocked_card() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present()
    till.block()
    till.refund(1_00)
    till.refund(1_00, None, refund_id="r1", card_id="c1")
    assert till.balance() == (62_00, 0)


def test_a_refund_id_posts_once() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(presentment_id="r1")
    till.refund(1_00, refund_id="r1")
    till.refund(1_00, None, refund_id="r1", card_id="c1")
    for transaction_id in ("t", None):
        refusal = till.refused(lambda name=transaction_id: till.refund(1_00, name, refund_id="r1", card_id="c1"))  # type: ignore[misc]
        assert isinstance(refusal, StateConflict)
        assert refusal.field == "refund_id"
    till.refund(1_00)
    till.refund(1_00)
    assert till.totals().refunded == 3_00


OF_NONE: dict[str, Any] = {"transaction_id": None, "card_id": "c1", "refund_id": "r1"}


@pytest.mark.parametrize(
    ("more", "error", "field"),
    [
        pytest.param({"refund_id": None}, Malformed, "refund_id", id="without an id of its own"),
        pytest.param({"card_id": None}, Malformed, "card_id", id="without a card"),
        pytest.param({"card_id": "c9"}, CardNotFound, "card_id", id="a card that is not there"),
        pytest.param({"billing": Money(5, "USD")}, CardNotFound, "card_id", id="no account in the billing currency"),
        pytest.param({"scheme": "amex"}, CardNotFound, "card_id", id="another Scheme's card"),
    ],
)
def test_a_refund_of_none_is_refused_and_not_recorded(more: dict[str, Any], error: type[Refusal], field: str) -> None:
    till = Till(100_00)
    till.authorise(1_00)
    refusal = till.refused(lambda: till.refund(5_00, **{**OF_NONE, **more}))
    assert isinstance(refusal, error)
    assert refusal.field == field


# --- expiry ----------------------------------------------------------------------------------------------------------


def test_an_expiry_releases_what_is_held_and_is_never_early() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.send("reversal", billing=eur(5_00))
    till.time = START + 7 * DAY - 1
    refusal = till.refused(till.expire)
    assert isinstance(refusal, StateConflict)
    assert "PENDING until 2026-11-30T10:00:00.000000Z" in refusal.detail
    till.time += 1
    body = till.expire()
    assert (body.webhook_id, body.billing, body.hold_change) == (None, eur(35_00), eur(-35_00))
    assert (till.state().status, till.balance()) == ("EXPIRED", (100_00, 0))
    assert isinstance(till.refused(till.expire), StateConflict)


def test_an_expiry_of_what_was_cleared_in_part_leaves_it_cleared() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(30_00), final=False)
    till.time += 7 * DAY
    assert till.expire().billing == eur(10_00)
    assert (till.state().status, till.totals().final, till.totals().uncleared) == ("CLEARED", False, 10_00)
    assert till.present().billing == eur(10_00)


def test_an_expiry_of_nothing_is_not_found() -> None:
    assert isinstance(Till(1_00).refused(lambda: Till(1_00).expire()), AuthorisationNotFound)


# --- cards -----------------------------------------------------------------------------------------------------------


def test_a_card_is_blocked_and_unblocked_and_keeps_its_scheme() -> None:
    till = Till(100_00)
    till.authorise(1_00)
    till.block()
    assert till.book.cards["c1"] == CardState("c1", "visa", blocked=True)
    assert till.authorise(1_00, "u").reason == "card_blocked"
    till.do(ChangeCard("unblock", "c1", why="found again"))
    assert till.book.cards["c1"] == CardState("c1", "visa")
    assert till.authorise(1_00, "v").reason == "ok"


def test_a_blocked_card_that_is_no_schemes_is_bound_by_no_advice() -> None:
    till = Till(100_00)
    till.block()
    till.refund(1_00, None, refund_id="r1", card_id="c1")
    assert till.book.cards["c1"] == CardState("c1", blocked=True)


def test_a_card_may_be_bound_before_it_has_an_account() -> None:
    till = Till()
    till.do(ChangeCard("bind", "c1", "amex"))
    assert till.authorise(1_00).reason == "card_not_found"
    till.load(100_00)
    assert till.authorise(1_00, "u").reason == "card_not_found"
    assert till.authorise(1_00, "v", scheme="amex").reason == "ok"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        pytest.param(ChangeCard("block", "c9"), CardNotFound, "c9", id="a card that is not known"),
        pytest.param(ChangeCard("unblock", "c9"), CardNotFound, "c9", id="nor is it unblocked"),
        pytest.param(ChangeCard("unblock", "c1"), StateConflict, "is not blocked.", id="one that is not blocked"),
        pytest.param(ChangeCard("block", "c2"), StateConflict, "is blocked already", id="one that is blocked"),
        pytest.param(ChangeCard("bind", "c3", "amex"), StateConflict, "belongs to visa", id="another Scheme's"),
        pytest.param(ChangeCard("bind", "c3", "visa"), StateConflict, "belongs to visa", id="its own Scheme's"),
    ],
)
def test_a_change_of_a_card_is_refused(change: ChangeCard, error: type[Refusal], said: str) -> None:
    till = Till(1_00)
    till.load(1_00, card_id="c2")
    till.block("c2")
    till.do(ChangeCard("bind", "c3", "visa"))
    refusal = till.refused(lambda: till.do(change))
    assert isinstance(refusal, error)
    assert refusal.field == "card_id"
    assert said in refusal.detail


# --- beyond what can be written --------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", ["cleared", "refunded"])
def test_a_total_beyond_what_the_database_holds_is_refused_like_a_balance(total: str) -> None:
    """No single message can bring it there, ten thousand could; and the writer must not stop for it."""
    till = Till(100_00)
    till.authorise(0)
    key = AuthorisationKey("visa", "t")
    near: dict[str, Any] = {total: BALANCE_MINOR_MAX - 5}
    totals = Totals(clearings=1, **near)
    till.book.authorisations[key] = AuthorisationState(key, till.state().seq, "c1", "EUR", totals)
    act = (lambda: till.present(billing=eur(6))) if total == "cleared" else (lambda: till.refund(6))
    refusal = till.refused(act)
    assert isinstance(refusal, StateConflict)
    assert refusal.response_code == "61"


def test_a_card_is_bound_to_somebody() -> None:
    with pytest.raises(StateConflict, match="scheme"):
        Till(100_00).do(ChangeCard("bind", "c1"))
