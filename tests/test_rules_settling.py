"""The daily settlement: what the Scheme is owed leaves its account, interchange is rounded once, and all balances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import IntegrityViolation, StateConflict
from signed_ledger.money import BALANCE_MINOR_MAX, WIRE_MINOR_MAX, Fee, Money
from signed_ledger.records import AccountId, Body, JournalLine, SettledSum, Settlement, State, Unsettled
from signed_ledger.rules import Settle, imbalances
from signed_ledger.rules.settling import split
from tests.till import Till, check_books, eur, lines_in

# --- the rounding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owed", "micros", "theirs", "ours"),
    [
        pytest.param(100_00, 1_235_000, 99_99, 1, id="1.235 cents: one is ours, the rest theirs"),
        pytest.param(100_00, 123_500_000, 98_77, 1_23, id="1.235 of 100.00, as in the document"),
        pytest.param(100_00, 0, 100_00, 0, id="no interchange"),
        pytest.param(100_00, 100_000_000, 99_00, 1_00, id="nothing to round"),
        pytest.param(100_00, 999_999, 100_00, 0, id="just not a cent"),
        pytest.param(-3_00, -33_300, -2_99, -1, id="more was refunded: the floor is below"),
        pytest.param(0, 500_000, 0, 0, id="nothing owed, half a cent earned"),
        pytest.param(0, -500_000, 1, -1, id="nothing owed, half a cent given back"),
    ],
)
def test_what_is_owed_is_split_in_whole_minor_units(owed: int, micros: int, theirs: int, ours: int) -> None:
    assert split(owed, Fee(micros, "EUR")) == (theirs, ours)


@given(st.integers(-(10**15), 10**15), st.integers(-(10**21), 10**21))
def test_each_part_is_floored_and_the_unit_left_over_goes_to_the_scheme(owed: int, micros: int) -> None:
    theirs, ours = split(owed, Fee(micros, "EUR"))
    floors = [(owed * 10**6 - micros) // 10**6, micros // 10**6]
    left = owed - sum(floors)
    assert left in (0, 1)
    assert [theirs, ours] == [floors[0] + left, floors[1]]
    assert theirs + ours == owed


# --- what is settled -------------------------------------------------------------------------------------------------


def settlement_of(bodies: list[Body]) -> Settlement:
    (body,) = [body for body in bodies if isinstance(body, Settlement)]
    return body


def till_of_a_day() -> Till:
    """80.00 EUR presented, 3.00 refunded; 3.00 USD presented; 0.0333 EUR interchange; another Scheme's 1.00."""
    till = Till(1_000_00)
    till.load(100_00, card_id="c2")
    till.authorise(100_00)
    till.present(billing=eur(60_00), final=False, interchange=Fee(3_330_000, "EUR"))
    till.present(settled=eur(20_00), billing=eur(25_00))
    till.refund(3_00)
    till.present("usd", Money(3_00, "USD"), force_post=True, card_id="c1", billing=eur(2_80))
    till.authorise(1_00, scheme="amex", card_id="c2")
    till.present(scheme="amex", billing=eur(1_00))
    return till


def test_all_that_was_posted_since_the_last_settlement_leaves_the_schemes_account() -> None:
    till = till_of_a_day()
    bodies = till.settle()
    body = settlement_of(bodies)
    assert (body.scheme, body.date, body.is_complete) == ("visa", "2026-11-23", True)
    euros, dollars = body.sums
    assert (euros.gross, euros.refunds, euros.fees, euros.net) == (eur(80_00), eur(3_00), eur(-3), eur(76_97))
    assert (euros.result, euros.interchange, euros.count) == (eur(5_00 + 2_80 + 3), Fee(3_330_000, "EUR"), 3)
    assert (dollars.gross, dollars.net, dollars.result) == (Money(3_00, "USD"), Money(3_00, "USD"), Money(-3_00, "USD"))
    assert lines_in(bodies) == [
        ("scheme:visa", eur(-77_00)),
        ("issuer", eur(3)),
        ("external:visa", eur(76_97)),
        ("scheme:visa", Money(-3_00, "USD")),
        ("issuer", Money(0, "USD")),
        ("external:visa", Money(3_00, "USD")),
    ]
    assert [till.balance("scheme:visa", currency) for currency in ("EUR", "USD")] == [(0, 0), (0, 0)]
    assert till.balance("scheme:amex") == (1_00, 0)
    check_books(till.book)


def test_first_and_last_name_the_transactions_between_which_all_stand() -> None:
    till = till_of_a_day()
    own = [seq for seq, body in till.entries if getattr(body, "type", "") in ("presentment", "refund")]
    euros, dollars = settlement_of(till.settle()).sums
    assert (euros.first_seq, euros.last_seq) == (own[0], own[3])
    assert (dollars.first_seq, dollars.last_seq) == (own[3], own[3])


def test_a_day_is_settled_once_and_the_next_takes_what_came_after() -> None:
    till = till_of_a_day()
    till.settle()
    for date in ("2026-11-23", "2026-11-22"):
        refusal = till.refused(lambda date=date: till.settle(date))  # type: ignore[misc]
        assert isinstance(refusal, StateConflict)
        assert refusal.field == "date"
    till.refund(1_00)
    (euros,) = settlement_of(till.settle("2026-11-25")).sums
    assert (euros.gross, euros.refunds, euros.net, euros.count) == (eur(0), eur(1_00), eur(-1_00), 1)
    assert till.balance("external:visa") == (75_97, 0)


def test_a_day_without_a_posting_is_settled_with_nothing() -> None:
    till = Till(1_00)
    bodies = till.settle()
    assert settlement_of(bodies).sums == ()
    assert lines_in(bodies) == []


@pytest.mark.parametrize(("sooner", "is_complete"), [(0, True), (1, False)])
def test_a_day_that_has_not_ended_is_not_complete(sooner: int, is_complete: bool) -> None:
    till = Till(1_00)
    assert settlement_of(till.do(Settle("visa", "2026-11-23", till.time + sooner))).is_complete is is_complete


def test_the_schemes_settle_each_for_itself() -> None:
    till = till_of_a_day()
    till.settle("2026-11-24")
    (euros,) = settlement_of(till.settle("2026-11-23", "amex")).sums
    assert euros.gross == eur(1_00)


@pytest.mark.parametrize("posted", [79_99, 80_01, 0])
def test_where_the_account_is_not_what_was_posted_nothing_is_settled(posted: int) -> None:
    till = till_of_a_day()
    account = AccountId("scheme:visa", "EUR")
    till.book.accounts[account] = State(account, posted, 0)
    assert isinstance(till.refused(till.settle), IntegrityViolation)


def test_what_a_day_adds_up_to_beyond_what_a_record_can_say_is_refused() -> None:
    till = Till(1_00)
    sums = Unsettled(gross=BALANCE_MINOR_MAX + 1, refunds=BALANCE_MINOR_MAX + 1, count=2, first=1, last=2)
    till.book.add_unsettled("visa", {"EUR": sums})
    assert isinstance(till.refused(till.settle), StateConflict)


sums_of = st.builds(
    Unsettled,
    st.integers(0, WIRE_MINOR_MAX),
    st.integers(0, WIRE_MINOR_MAX),
    st.integers(-(10**18), 10**18),
    st.integers(-WIRE_MINOR_MAX, WIRE_MINOR_MAX),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(9, 99),
)


@given(st.dictionaries(st.sampled_from(["EUR", "JPY", "KWD", "USD"]), sums_of))
def test_every_settlement_balances_and_accounts_for_all(sums: dict[str, Unsettled]) -> None:
    till = Till(1_00)
    for currency, one in sums.items():
        account = AccountId("scheme:visa", currency)
        till.book.accounts[account] = State(account, one.gross - one.refunds, 0)
    till.book.add_unsettled("visa", sums)
    bodies = till.settle()
    body = settlement_of(bodies)
    assert imbalances([line for line in bodies if isinstance(line, JournalLine)]) == {}
    assert [each.currency for each in body.sums] == sorted(sums)
    for each in body.sums:
        one = sums[each.currency]
        assert each.gross.minor - each.refunds.minor + each.fees.minor == each.net.minor
        assert each.result.minor + each.fees.minor == one.result
        assert till.balance("scheme:visa", each.currency) == (0, 0)
    assert till.book.unsettled.get("visa") is None


def test_running_sums_are_the_same_in_whatever_order_they_are_added() -> None:
    parts = [Unsettled(5, 0, 1, -1, 1, 7, 7), Unsettled(0, 3, -2, 2, 1, 4, 4), Unsettled(result=9, first=9, last=9)]
    for first, *others in (parts, parts[::-1]):
        total = first
        for part in others:
            total = total.plus(part)
        assert total == Unsettled(5, 3, -1, 10, 2, 4, 9)
    assert Unsettled().plus(Unsettled()) == Unsettled()


def test_a_sum_that_does_not_add_up_can_not_be_recorded() -> None:
    with pytest.raises(ValueError, match="net"):
        SettledSum(
            gross=eur(1),
            refunds=eur(0),
            fees=eur(0),
            net=eur(2),
            result=eur(0),
            interchange=Fee(0, "EUR"),
            count=1,
            first_seq=1,
            last_seq=1,
        )
