"""May this card spend this, and this much more? Every answer, in the documented order of the checks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import AuthorisationNotFound, Malformed, Refusal, StateConflict, TransactionExists
from signed_ledger.money import Money
from signed_ledger.records import AuthorisationKey, Totals
from signed_ledger.rules import ChangeCard
from tests.till import START, Till, check_books, eur
from tests.world import DAY

# --- authorisation ---------------------------------------------------------------------------------------------------


def test_a_card_with_100_asked_five_times_for_40_approves_two() -> None:
    till = Till(100_00)
    decisions = [till.authorise(40_00, f"t{number}").decision for number in range(5)]
    assert decisions == ["approved", "approved", "declined", "declined", "declined"]
    assert till.balance() == (100_00, 80_00)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_it_is_approved_where_available_is_at_least_the_amount(loaded: int, held: int, asked: int) -> None:
    till = Till(loaded + held + 1)
    till.authorise(held, "before")
    body = till.authorise(asked)
    available = loaded + 1
    assert (body.decision, body.reason) == (("approved", "ok") if asked <= available else _NO_FUNDS)
    check_books(till.book)


_NO_FUNDS = ("declined", "insufficient_funds")


def test_an_approval_says_its_totals_its_hold_and_how_long_it_lasts() -> None:
    till = Till(100_00)
    body = till.authorise(40_00)
    assert (body.totals, body.hold_change) == (Totals(authorised=40_00), eur(40_00))
    assert (body.window_days, body.expires) == (7, START + 7 * DAY)
    assert (till.state().status, till.state().expires, till.balance()) == ("PENDING", START + 7 * DAY, (100_00, 40_00))


def test_a_decline_is_recorded_holds_nothing_and_is_final() -> None:
    till = Till(10_00)
    body = till.authorise(10_01)
    assert (body.decision, body.reason, body.totals, body.hold_change) == (*_NO_FUNDS, None, eur(0))
    assert (body.window_days, body.expires) == (None, None)
    assert (till.state().status, till.state().totals) == ("DECLINED", None)
    till.load(100_00)
    assert isinstance(till.refused(lambda: till.authorise(1_00)), TransactionExists)


def test_an_authorisation_of_nothing_is_approved_even_without_money() -> None:
    till = Till(1_00)
    till.authorise(1_00, "all")
    assert (till.authorise(0).reason, till.state().status, till.balance()) == ("ok", "PENDING", (1_00, 1_00))


def test_the_checks_come_in_the_documented_order() -> None:
    """One fault less each time: the id, then the card, then its block, then the funds."""
    till = Till(10_00)
    till.block()
    till.authorise(99_00, "seen")
    assert isinstance(till.refused(lambda: till.authorise(99_00, "seen", card_id="c9")), TransactionExists)
    assert till.authorise(99_00, "unknown-card", card_id="c9").reason == "card_not_found"
    assert till.authorise(99_00, "no-account", currency="USD").reason == "card_not_found"
    assert till.authorise(99_00, "blocked").reason == "card_blocked"
    till.do(ChangeCard("unblock", "c1"))
    assert till.authorise(99_00, "no-funds").reason == "insufficient_funds"
    assert till.authorise(10_00, "fine").reason == "ok"


@pytest.mark.parametrize("amount", [10_00, 10_01], ids=["an id that was approved", "an id that was declined"])
def test_a_transaction_id_is_decided_once(amount: int) -> None:
    till = Till(10_00)
    till.authorise(amount)
    till.load(100_00)
    refusal = till.refused(lambda: till.authorise(1_00))
    assert isinstance(refusal, TransactionExists)
    assert refusal.field == "transaction_id"


def test_two_schemes_may_use_the_same_transaction_id() -> None:
    till = Till(10_00)
    till.load(10_00, card_id="c2")
    till.authorise(1_00)
    assert till.authorise(2_00, scheme="amex", card_id="c2").reason == "ok"
    assert {key.scheme for key in till.book.authorisations} == {"visa", "amex"}


# --- whose card it is ------------------------------------------------------------------------------------------------


def _by_authorisation(till: Till, minor: int = 1_00) -> object:
    return till.authorise(minor, "first")


def _by_forced_presentment(till: Till) -> object:
    return till.present("first", force_post=True, card_id="c1", billing=eur(1_00))


def _by_refund_of_none(till: Till) -> object:
    return till.refund(1_00, None, refund_id="first", card_id="c1")


def _by_an_operator(till: Till) -> object:
    return till.do(ChangeCard("bind", "c1", "visa"))


BINDINGS = [_by_authorisation, _by_forced_presentment, _by_refund_of_none, _by_an_operator]


@pytest.mark.parametrize("bind", BINDINGS, ids=lambda bind: bind.__name__)
def test_a_card_belongs_to_the_first_scheme_whose_message_counts(bind: Any) -> None:
    till = Till(10_00)
    bind(till)
    assert till.book.cards["c1"].scheme == "visa"
    body = till.authorise(1_00, scheme="amex")
    assert (body.decision, body.reason) == ("declined", "card_not_found")
    for act in (_forced_by_amex, _refunded_by_amex):
        refusal = till.refused(lambda act=act: act(till))  # type: ignore[misc]
        assert (refusal.code, refusal.status, refusal.field) == ("card_not_found", 404, "card_id")
    assert till.authorise(1_00).reason == "ok"


def _forced_by_amex(till: Till) -> object:
    return till.present("forced", scheme="amex", force_post=True, card_id="c1", billing=eur(1_00))


def _refunded_by_amex(till: Till) -> object:
    return till.refund(1_00, None, scheme="amex", refund_id="r", card_id="c1")


def test_a_decline_binds_no_card() -> None:
    till = Till(10_00)
    _by_authorisation(till, 99_00)
    assert till.book.cards["c1"].scheme is None
    assert till.authorise(1_00, scheme="amex").reason == "ok"
    assert till.book.cards["c1"].scheme == "amex"


# --- increment -------------------------------------------------------------------------------------------------------


def test_an_increment_grows_the_hold_and_starts_the_window_again() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.time += 3 * DAY
    body = till.send("increment", billing=eur(10_00))
    assert (body.decision, body.reason) == ("approved", "ok")
    assert (body.totals, body.hold_change) == (Totals(authorised=40_00, incremented=10_00), eur(10_00))
    assert (body.window_days, body.expires, till.state().expires) == (7, START + 10 * DAY, START + 10 * DAY)
    assert (body.request.card_id, body.request.merchant_name) == ("c1", None)
    assert till.balance() == (100_00, 50_00)


@pytest.mark.parametrize("reason", ["insufficient_funds", "card_blocked"])
def test_a_declined_increment_is_recorded_and_leaves_everything_as_it_was(reason: str) -> None:
    till = Till(100_00)
    till.authorise(40_00)
    if reason == "card_blocked":
        till.block()
    state, balance = till.state(), till.balance()
    till.time += 3 * DAY
    body = till.send("increment", billing=eur(99_00))
    assert (body.decision, body.reason, body.totals, body.expires) == ("declined", reason, None, None)
    assert (till.state(), till.balance()) == (state, balance)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_an_increment_is_approved_where_available_is_at_least_the_amount(held: int, more: int, available: int) -> None:
    till = Till(held + available)
    till.authorise(held)
    assert till.send("increment", billing=eur(more)).reason == ("ok" if more <= available else "insufficient_funds")
    check_books(till.book)


def test_an_increment_of_what_expired_in_time_but_not_yet_in_the_books_is_still_approved() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.time += 30 * DAY
    assert till.send("increment", billing=eur(1_00)).reason == "ok"
    assert till.state().expires == till.time + 7 * DAY


def test_an_increment_of_what_was_cleared_in_part_grows_what_is_left() -> None:
    till = Till(100_00)
    till.authorise(40_00)
    till.present(billing=eur(30_00), final=False)
    till.send("increment", billing=eur(5_00))
    assert (till.totals().open, till.state().status) == (15_00, "PENDING")


# --- about another transaction ---------------------------------------------------------------------------------------

ABOUT: dict[str, dict[str, Any]] = {
    "increment": {"billing": eur(1_00)},
    "reversal": {},
    "presentment": {"settlement": eur(1_00)},
    "refund": {"billing": eur(1_00), "settlement": eur(1_00)},
}


@pytest.mark.parametrize("kind", ABOUT)
@pytest.mark.parametrize(
    ("transaction_id", "scheme", "more", "error", "field"),
    [
        pytest.param("never", "visa", {}, AuthorisationNotFound, "transaction_id", id="no such transaction"),
        pytest.param("open", "amex", {}, AuthorisationNotFound, "transaction_id", id="another Scheme's"),
        pytest.param("open", "visa", {"card_id": "c2"}, Malformed, "card_id", id="another card"),
        pytest.param("open", "visa", {"merchant_name": "Stall"}, Malformed, "merchant_name", id="another merchant"),
        pytest.param("open", "visa", {"merchant_country": "FR"}, Malformed, "merchant_country", id="another country"),
        pytest.param("open", "visa", {"merchant_mcc": "5412"}, Malformed, "merchant_mcc", id="another category"),
        pytest.param(
            "open", "visa", {"billing": Money(1, "USD")}, Malformed, "billing_currency", id="another billing currency"
        ),
        pytest.param("declined", "visa", {}, StateConflict, "transaction_id", id="a declined one"),
        pytest.param("declined", "visa", {"card_id": "c2"}, Malformed, "card_id", id="a mismatch comes first"),
    ],
)
def test_what_is_about_a_transaction_is_refused_in_this_order(
    kind: str, transaction_id: str, scheme: str, more: dict[str, Any], error: type[Refusal], field: str
) -> None:
    till = Till(20_00)
    till.authorise(10_00, "open")
    till.authorise(99_00, "declined")
    refusal = till.refused(lambda: till.ask(kind, transaction_id, scheme, **{**ABOUT[kind], **more}))
    assert isinstance(refusal, error)
    assert refusal.field == field


@pytest.mark.parametrize("kind", ["increment", "reversal", "presentment"])
def test_a_country_given_in_its_other_form_matches(kind: str) -> None:
    till = Till(20_00)
    till.authorise(10_00)
    till.ask(kind, merchant_country="GBR", merchant_name="Shop", merchant_mcc="5411", card_id="c1", **ABOUT[kind])
    assert till.state().totals != Totals(authorised=10_00)


@pytest.mark.parametrize("kind", ABOUT)
def test_a_conflict_names_the_state(kind: str) -> None:
    till = Till(20_00)
    till.authorise(10_00)
    till.send("reversal")
    refusal = till.refused(lambda: till.ask(kind, **ABOUT[kind]))
    assert isinstance(refusal, StateConflict)
    assert "REVERSED" in refusal.detail
    assert AuthorisationKey("visa", "t") in till.book.authorisations
