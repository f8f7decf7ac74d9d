"""What the terms say of one transaction: windows, tolerances, interchange; the first rule that applies counts."""

import inspect
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import Invalid
from signed_ledger.money import Fee, Money
from signed_ledger.records import DEFAULT_TERMS, MESSAGES, FeeRate, Request, Scope, Terms, Tolerance, Window
from signed_ledger.records.messages import AUTHORISATION_KINDS
from signed_ledger.rules.terms import tolerated, window_days
from tests.till import START, Till, eur
from tests.world import DAY


def about(kind: str | None = None, mcc: str | None = "5411") -> Request:
    return Request("authorisation", "t", authorisation_kind=kind, merchant_mcc=mcc)


# --- scopes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "applies"),
    [
        pytest.param(Scope(), True, id="all"),
        pytest.param(Scope("visa"), True, id="its Scheme"),
        pytest.param(Scope("amex"), False, id="another Scheme"),
        pytest.param(Scope(kinds=("final", "card_present")), True, id="one of its kinds"),
        pytest.param(Scope(kinds=("final",)), False, id="another kind"),
        pytest.param(Scope(mccs=((5411, 5411),)), True, id="its category"),
        pytest.param(Scope(mccs=((1, 5410), (5412, 9999))), False, id="all categories but this"),
        pytest.param(Scope(mccs=((5000, 5411),)), True, id="the last of a range"),
        pytest.param(Scope(mccs=((5411, 6000),)), True, id="the first of a range"),
        pytest.param(Scope("visa", ("card_present",), ((5411, 5411),)), True, id="all three"),
        pytest.param(Scope("amex", ("card_present",), ((5411, 5411),)), False, id="two of three"),
    ],
)
def test_a_rule_applies_where_all_that_it_names_does(scope: Scope, applies: bool) -> None:
    assert scope.applies("visa", "card_present", "5411") is applies


def test_what_was_not_told_is_none_of_what_is_named() -> None:
    assert Scope(kinds=AUTHORISATION_KINDS).applies("visa", None, "5411") is False
    assert Scope(mccs=((0, 9999),)).applies("visa", None, None) is False
    assert Scope().applies("visa", None, None) is True


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Scope("no scheme"), id="no name of a Scheme"),
        pytest.param(lambda: Scope(kinds=("other",)), id="no kind"),
        pytest.param(lambda: Scope(mccs=((2, 1),)), id="a range that ends before it begins"),
        pytest.param(lambda: Scope(mccs=((0, 10_000),)), id="a category of five digits"),
        pytest.param(lambda: Window(Scope(), 0), id="a window of no day"),
        pytest.param(lambda: Window(Scope(), 401), id="a window of more than a year"),
        pytest.param(lambda: Tolerance(Scope(), -1), id="less than no tolerance"),
        pytest.param(lambda: FeeRate(Scope(), 10**7 + 1), id="more than ten times the amount"),
        pytest.param(lambda: FeeRate(Scope(), 1, eur(-1)), id="a negative fixed fee"),
        pytest.param(lambda: Terms(7, windows=(Window(Scope(), 1),) * 201), id="too many rules"),
    ],
)
def test_terms_that_say_nonsense_are_refused(make: object) -> None:
    with pytest.raises(Invalid):
        make()  # type: ignore[operator]


# --- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "kind", "mcc", "days"),
    [
        pytest.param("visa", None, "5411", 7, id="visa, of no kind"),
        pytest.param("visa", "card_not_present", "5411", 10, id="visa, card not present"),
        pytest.param("visa", "card_present", "5411", 5, id="visa, card present"),
        pytest.param("visa", "merchant_initiated", "5411", 5, id="visa, merchant-initiated"),
        pytest.param("visa", "card_present", "7011", 30, id="visa, lodging, whatever the kind"),
        pytest.param("visa", None, "4411", 30, id="visa, cruise"),
        pytest.param("visa", None, "3351", 30, id="visa, car rental"),
        pytest.param("visa", None, "3999", 30, id="visa, the last hotel"),
        pytest.param("visa", None, "4000", 7, id="visa, none any more"),
        pytest.param("visa", "pre_authorisation", "5411", 7, id="visa has no rule for that kind"),
        pytest.param("mastercard", "final", "5411", 7, id="mastercard, final"),
        pytest.param("mastercard", "pre_authorisation", "5411", 30, id="mastercard, pre-authorisation"),
        pytest.param("mastercard", "card_present", "7011", 7, id="mastercard has no rule for hotels"),
        pytest.param("other", "card_not_present", "7011", 7, id="another Scheme"),
    ],
)
def test_how_long_a_hold_lasts_by_default(scheme: str, kind: str | None, mcc: str, days: int) -> None:
    till = Till(100_00)
    body = till.authorise(1_00, scheme=scheme, authorisation_kind=kind, merchant_mcc=mcc)
    assert (body.window_days, body.expires) == (days, START + days * DAY)


def test_an_increment_starts_the_very_window_of_its_authorisation_again() -> None:
    till = Till(100_00)
    till.authorise(1_00, scheme="mastercard", authorisation_kind="pre_authorisation")
    till.time += 29 * DAY
    body = till.send("increment", scheme="mastercard", billing=eur(1))
    assert (body.window_days, body.expires) == (30, START + 59 * DAY)


def test_the_interval_is_stored_with_the_authorisation_so_new_terms_do_not_change_it() -> None:
    till = Till(100_00)
    till.authorise(1_00)
    till.do(Terms(window_days=1))
    assert till.state().expires == START + 7 * DAY
    assert till.authorise(1_00, "u").window_days == 1
    assert till.send("increment", billing=eur(1)).window_days == 1


@given(st.lists(st.integers(1, 400), max_size=5), st.integers(1, 400))
def test_the_first_rule_that_applies_counts(days: list[int], default: int) -> None:
    windows = (Window(Scope("amex"), 1), *(Window(Scope("visa"), each) for each in days))
    assert window_days(Terms(default, windows), "visa", about()) == (days or [default])[0]


# --- tolerance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mcc", "authorised", "expected"),
    [
        pytest.param(None, "5812", eur(9_99), 1_99, id="20 %, rounded down"),
        pytest.param(None, "4121", eur(10_00), 2_00, id="taxi"),
        pytest.param(None, "7298", eur(10_00), 2_00, id="spa"),
        pytest.param(None, "3501", eur(10_00), 1_50, id="lodging"),
        pytest.param(None, "3500", Money(10_00, "USD"), 75_00, id="car rental, 75 dollars are more"),
        pytest.param(None, "3500", Money(1_000_00, "USD"), 150_00, id="car rental, 15 % are more"),
        pytest.param(None, "3500", eur(10_00), 1_50, id="car rental in another currency"),
        pytest.param("card_not_present", "5411", eur(10_00), 1_50, id="no card present"),
        pytest.param("card_not_present", "5812", eur(10_00), 2_00, id="the category comes before the kind"),
        pytest.param("card_present", "5411", eur(10_00), 0, id="none"),
        pytest.param(None, None, eur(10_00), 0, id="nothing is known of it"),
    ],
)
def test_what_excess_is_tolerated(kind: str | None, mcc: str | None, authorised: Money, expected: int) -> None:
    assert tolerated(DEFAULT_TERMS, "any", about(kind, mcc), authorised) == expected


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**7))
def test_a_share_is_never_more_than_itself(authorised: int, millionths: int) -> None:
    terms = Terms(7, tolerances=(Tolerance(Scope(), millionths),))
    given_ = tolerated(terms, "visa", about(), eur(authorised))
    assert given_ * 10**6 <= authorised * millionths < (given_ + 1) * 10**6


# --- interchange -----------------------------------------------------------------------------------------------------

RATES = Terms(
    7,
    fees=(
        FeeRate(Scope("visa", ("card_not_present",)), 18_000, eur(10)),
        FeeRate(Scope("visa", mccs=((5411, 5411),)), 2_345),
    ),
)


@pytest.mark.parametrize(
    ("kind", "settled", "fields", "expected"),
    [
        pytest.param(None, eur(33_33), {}, "0.07815885", id="a share, exact to six more decimals"),
        pytest.param("card_not_present", eur(10_00), {}, "0.28000000", id="a share and a fixed part"),
        pytest.param("card_not_present", Money(10_00, "USD"), {}, "0.18000000", id="fixed in another currency"),
        pytest.param(None, Money(1000, "JPY"), {}, "2.345000", id="yen"),
        pytest.param(None, eur(10_00), {"interchange": Fee(1_234_500, "EUR")}, "0.01234500", id="the Scheme's word"),
        pytest.param(None, eur(10_00), {"interchange": Fee(0, "EUR")}, "0.00000000", id="its word is nothing"),
    ],
)
def test_the_interchange_of_a_presentment_and_of_its_refund(
    kind: str | None, settled: Money, fields: dict[str, Any], expected: str
) -> None:
    till = Till(100_00)
    till.do(RATES)
    till.authorise(50_00, authorisation_kind=kind)
    presented = till.present(settled=settled, billing=eur(1_00), **fields)
    refunded = till.refund(1_00, settlement=settled, **fields)
    for body in (presented, refunded):
        assert body.request.interchange is not None
        assert (body.request.interchange.amount, body.request.interchange.currency) == (expected, settled.currency)


def test_what_no_rate_is_for_has_no_interchange() -> None:
    till = Till(100_00)
    till.authorise(50_00)
    assert till.present(billing=eur(1_00), final=False).request.interchange is None
    till.do(RATES)
    assert till.present(billing=eur(1_00)).request.interchange == Fee(234_500, "EUR")
    other: dict[str, Any] = {"card_id": "c1", "refund_id": "r1", "merchant_mcc": "9999"}
    assert till.refund(1_00, None, **other).request.interchange is None


def test_what_names_no_authorisation_has_the_interchange_of_what_it_says_itself() -> None:
    till = Till(100_00)
    till.do(RATES)
    own: dict[str, Any] = {"card_id": "c1", "billing": eur(10_00), "merchant_mcc": "5411"}
    assert till.present("f", force_post=True, **own).request.interchange == Fee(2_345_000, "EUR")
    assert till.refund(10_00, None, refund_id="r", **own).request.interchange == Fee(2_345_000, "EUR")


# --- what stands behind each message ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_message_has_a_module_of_its_name_that_decides(kind: str) -> None:
    module = import_module(f"signed_ledger.rules.{kind}")
    assert list(inspect.signature(module.decide).parameters) == ["book", "command", "slot"]
