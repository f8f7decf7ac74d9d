"""The book: batches against zero, balances against arithmetic, and what no decision would have given."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import Invalid, Refusal, StateConflict
from signed_ledger.money import BALANCE_MINOR_MAX, WIRE_MINOR_MAX, Money
from signed_ledger.records import (
    MESSAGES,
    AccountId,
    Body,
    CardTransaction,
    EntryRef,
    JournalLine,
    Load,
    Opening,
    Request,
    Totals,
)
from signed_ledger.rules import apply, imbalances, legs_of
from tests.till import MERCHANT, Till, check_books, eur, lines_in, minors
from tests.world import DAY

CARD = AccountId("card:c1", "EUR")


# --- loads -----------------------------------------------------------------------------------------------------------


def test_a_card_loaded_50_and_50_with_40_held_has_60() -> None:
    till = Till()
    till.load(50_00)
    till.load(50_00)
    till.authorise(40_00)
    assert till.book.accounts[CARD].available == 60_00


def test_a_load_for_a_card_never_seen_opens_its_account_and_the_issuers() -> None:
    till = Till()
    bodies = till.load(50_00, card_id="new")
    opened = [body.account for body in bodies if isinstance(body, Opening)]
    assert opened == [AccountId("issuer", "EUR"), AccountId("card:new", "EUR")]
    assert lines_in(bodies) == [("issuer", eur(-50_00)), ("card:new", eur(50_00))]
    assert (till.book.cards["new"].scheme, till.book.cards["new"].blocked) == (None, False)


def test_what_an_account_could_not_stand_at_is_refused_and_nothing_changes() -> None:
    till = Till(WIRE_MINOR_MAX)
    for _ in range(BALANCE_MINOR_MAX // WIRE_MINOR_MAX - 1):
        till.load(WIRE_MINOR_MAX)
    refusal = till.refused(lambda: till.load(WIRE_MINOR_MAX))
    assert isinstance(refusal, StateConflict)
    assert "beyond" in refusal.detail
    assert refusal.response_code == "61"


# --- batches ---------------------------------------------------------------------------------------------------------


def test_90_eur_authorised_and_95_usd_settled_sums_to_zero_in_both_currencies() -> None:
    till = Till(100_00)
    till.authorise(90_00)
    bodies = till.ask("presentment", settlement=Money(95_00, "USD"))
    assert imbalances([body for body in bodies if isinstance(body, JournalLine)]) == {}
    assert lines_in(bodies) == [
        ("card:c1", eur(-90_00)),
        ("issuer", eur(90_00)),
        ("issuer", Money(-95_00, "USD")),
        ("scheme:visa", Money(95_00, "USD")),
    ]


def test_one_currency_splits_between_card_scheme_and_issuer_even_where_the_issuer_keeps_nothing() -> None:
    till = Till(10_00)
    till.authorise(10_00)
    bodies = till.ask("presentment", settlement=eur(10_00))
    assert lines_in(bodies) == [("card:c1", eur(-10_00)), ("scheme:visa", eur(10_00)), ("issuer", eur(0))]


@pytest.mark.parametrize("settled", [eur(9_50), Money(11_00, "USD")], ids=["one currency", "two currencies"])
def test_a_refunds_batch_is_a_presentments_the_other_way_round(settled: Money) -> None:
    till = Till(100_00)
    till.authorise(10_00)
    there = lines_in(till.ask("presentment", settlement=settled, billing=eur(10_00)))
    back = lines_in(till.ask("refund", settlement=settled, billing=eur(10_00)))
    assert back == [(owner, Money(-amount.minor, amount.currency)) for owner, amount in there]


@given(
    st.sampled_from(["presentment", "refund"]),
    st.integers(0, WIRE_MINOR_MAX),
    st.integers(0, WIRE_MINOR_MAX),
    st.sampled_from(["EUR", "USD", "JPY"]),
)
def test_every_batch_sums_to_zero_in_every_currency(kind: str, billed: int, settled: int, currency: str) -> None:
    last = True if kind == "presentment" else None
    request = Request(kind, "t", "c1", billing=eur(billed), settlement=Money(settled, currency), final=last)
    for transaction in (_transaction(request), Load("l", "c1", eur(max(1, billed)))):
        legs = legs_of(transaction)
        lines = [JournalLine(1, n, len(legs), leg.owner, leg.amount) for n, leg in enumerate(legs, 1)]
        assert imbalances(lines) == {}


def _transaction(request: Request, **outcome: Any) -> CardTransaction:
    outcome = {"decision": MESSAGES[request.type].approving, "reason": "ok", "hold_change": eur(0), **outcome}
    return CardTransaction(scheme="visa", webhook_id="w", request=request, **outcome)


def test_messages_that_move_no_money_have_no_legs() -> None:
    till = Till(100_00)
    bodies = [
        till.authorise(10_00),
        till.send("increment", billing=eur(1_00)),
        till.send("reversal", billing=eur(1_00)),
    ]
    till.time += 7 * DAY
    assert [legs_of(body) for body in (*bodies, till.expire())] == [[]] * 4


# --- apply -----------------------------------------------------------------------------------------------------------

ABOUT_T = Request("reversal", "t", "c1", billing=eur(1))
TEN = Totals(authorised=10)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(Opening(CARD), id="an account opened twice"),
        pytest.param(JournalLine(1, 1, 1, "card:nobody", eur(1)), id="a line of an account never opened"),
        pytest.param(
            _transaction(ABOUT_T, builds_on=EntryRef(2, bytes(32)), totals=TEN, hold_change=eur(-1)),
            id="a hold change that is not that of the totals",
        ),
        pytest.param(
            _transaction(ABOUT_T, builds_on=EntryRef(2, bytes(32)), hold_change=eur(0)),
            id="no totals at all",
        ),
        pytest.param(
            _transaction(Request("reversal", "u", "c1", billing=eur(1)), builds_on=EntryRef(2, bytes(32)), totals=TEN),
            id="about a transaction that is not there",
        ),
        pytest.param(
            _transaction(Request("reversal", "t", "c2", billing=eur(1)), builds_on=EntryRef(2, bytes(32)), totals=TEN),
            id="about another card's",
        ),
        pytest.param(
            _transaction(
                Request("authorisation", "t", "c1", billing=eur(1), transaction=eur(1), **MERCHANT),
                totals=Totals(authorised=1),
            ),
            id="an authorisation twice",
        ),
        pytest.param(
            _transaction(
                Request("presentment", "t", "c1", billing=eur(11), settlement=eur(11), final=True),
                builds_on=EntryRef(2, bytes(32)),
                hold_change=eur(-11),
                form=1,
            ),
            id="a presentment of the first form that releases more than was held",
        ),
    ],
)
def test_apply_names_what_no_decision_would_have_given(body: Body) -> None:
    till = Till(100)
    till.authorise(10)
    before = till.facts
    with pytest.raises(Invalid):
        apply(till.book, body, till.seq)
    assert till.facts == before


def test_entries_of_the_first_form_say_less_and_mean_that_all_is_cleared_at_once() -> None:
    asked, till = Till(100), Till(100)
    apply(till.book, asked.authorise(10).in_first_form, till.seq)
    assert (till.totals(), till.state().expires, till.balance()) == (Totals(authorised=10), None, (100, 10))
    request = Request("presentment", "t", "c1", billing=eur(8), settlement=eur(12), final=True)
    body = _transaction(request, builds_on=EntryRef(till.seq, bytes(32)), hold_change=eur(-10), form=1)
    apply(till.book, body, till.seq + 1)
    assert till.totals() == Totals(authorised=10, cleared=8, reversed=2, clearings=1, final=True)
    assert till.balance() == (100, 0)
    with pytest.raises(Invalid):
        apply(till.book, body, till.seq + 2)


# --- whatever happens ------------------------------------------------------------------------------------------------

IDS = st.sampled_from(["t", "u", "v"])
CURRENCIES = st.sampled_from(["EUR", "JPY"])
STEPS: dict[str, Callable[[Till, str, int, str, bool], object]] = {
    "load": lambda till, name, minor, currency, flag: till.load(minor + 1, currency),
    "authorise": lambda till, name, minor, currency, flag: till.authorise(minor, name, currency),
    "increment": lambda till, name, minor, currency, flag: till.send("increment", name, billing=Money(minor, currency)),
    "reverse": lambda till, name, minor, currency, flag: till.send(
        "reversal", name, billing=Money(minor, currency) if flag else None
    ),
    "present": lambda till, name, minor, currency, flag: till.present(
        name, eur(minor), final=flag, billing=Money(minor, currency) if minor % 2 else None
    ),
    "force": lambda till, name, minor, currency, flag: till.present(
        name, force_post=True, final=flag, card_id="c1", billing=Money(minor, currency)
    ),
    "refund": lambda till, name, minor, currency, flag: till.refund(minor, name, billing=Money(minor, currency)),
    "refund of none": lambda till, name, minor, currency, flag: till.refund(minor, None, refund_id=name, card_id="c1"),
    "expire": lambda till, name, minor, currency, flag: till.expire(name),
    "wait": lambda till, name, minor, currency, flag: setattr(till, "time", till.time + 4 * DAY),
    "block": lambda till, name, minor, currency, flag: till.block(),
    "settle": lambda till, name, minor, currency, flag: till.settle(f"2026-12-{till.seq % 30 + 1:02}"),
}
steps = st.lists(st.tuples(st.sampled_from(list(STEPS)), IDS, minors, CURRENCIES, st.booleans()), max_size=40)


@given(steps)
def test_whatever_happens_money_is_conserved_and_holds_are_what_is_open(
    actions: list[tuple[str, str, int, str, bool]],
) -> None:
    till = Till(200_00)
    for name, *how in actions:
        before = till.facts
        try:
            STEPS[name](till, *how)  # type: ignore[arg-type]
        except Refusal:
            assert till.facts == before
        check_books(till.book)


@given(steps)
def test_the_same_entries_make_the_same_book(actions: list[tuple[str, str, int, str, bool]]) -> None:
    """What the writer applies one by one, the audit and the rebuild apply again from the start."""
    till, again = Till(), Till()
    for name, *how in actions:
        with suppress(Refusal):
            STEPS[name](till, *how)  # type: ignore[arg-type]
    for seq, body in till.entries:
        apply(again.book, body, seq)
    assert again.facts == till.facts
