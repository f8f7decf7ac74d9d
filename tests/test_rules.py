"""The card business, pure: balances against arithmetic, batches against zero, and every refusal by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import AuthorisationNotFound, Invalid, Malformed, Refusal, StateConflict, TransactionExists
from signed_ledger.money import BALANCE_MINOR_MAX, WIRE_MINOR_MAX, Money
from signed_ledger.records import (
    AccountId,
    Authorisation,
    AuthorisationKey,
    AuthorisationRequest,
    Body,
    EntryRef,
    JournalLine,
    Load,
    Opening,
    Presentment,
    PresentmentRequest,
)
from signed_ledger.rules import (
    Authorise,
    Authorised,
    Book,
    Command,
    Present,
    apply,
    decide,
    imbalances,
    legs_of,
)

CARD = AccountId("card:c1", "EUR")


class Till:
    """A book, and the seq that comes next."""

    def __init__(self) -> None:
        self.book = Book()
        self.next_seq = 1
        self.authorised: dict[str, Authorised] = {}

    def do(self, command: Command) -> list[Body]:
        bodies = decide(self.book, command, self.next_seq)
        for body in bodies:
            apply(self.book, body, self.next_seq)
            if isinstance(body, Authorisation):
                ref = EntryRef(self.next_seq, bytes(32))
                self.authorised[body.transaction_id] = Authorised(ref, body)
            self.next_seq += 1
        return bodies

    def load(self, amount: int, currency: str = "EUR") -> list[Body]:
        return self.do(Load("load-1", "c1", Money(amount, currency)))

    def authorise(self, transaction_id: str, amount: int, currency: str = "EUR") -> Authorisation:
        money = Money(amount, currency)
        request = AuthorisationRequest(transaction_id, "c1", "Shop", "GB", "5411", money, money)
        (body,) = self.do(Authorise("visa", f"wh-{transaction_id}", request))
        assert isinstance(body, Authorisation)
        return body

    def present(self, transaction_id: str, settled: Money, scheme: str = "visa", **more: object) -> list[Body]:
        request = PresentmentRequest(transaction_id, settled, **more)  # type: ignore[arg-type]
        return self.do(Present(scheme, f"p-{transaction_id}", request, self.authorised.get(transaction_id)))

    def balance(self, owner: str = "card:c1", currency: str = "EUR") -> tuple[int, int]:
        state = self.book.accounts[AccountId(owner, currency)]
        return state.posted, state.held


def test_a_card_with_100_asked_five_times_for_40_approves_two() -> None:
    till = Till()
    till.load(100_00)
    decisions = [till.authorise(f"t{number}", 40_00).decision for number in range(5)]
    assert decisions == ["approved", "approved", "declined", "declined", "declined"]
    assert till.balance() == (100_00, 80_00)


def test_a_card_loaded_50_and_50_with_40_held_has_60() -> None:
    till = Till()
    till.load(50_00)
    till.load(50_00)
    till.authorise("t", 40_00)
    assert till.book.accounts[CARD].available == 60_00


def test_90_eur_authorised_and_95_usd_settled_sums_to_zero_in_both_currencies() -> None:
    till = Till()
    till.load(100_00)
    till.authorise("t", 90_00)
    bodies = till.present("t", Money(95_00, "USD"))
    lines = [body for body in bodies if isinstance(body, JournalLine)]
    assert imbalances(lines) == {}
    assert [(line.owner, line.amount) for line in lines] == [
        ("card:c1", Money(-90_00, "EUR")),
        ("issuer", Money(90_00, "EUR")),
        ("issuer", Money(-95_00, "USD")),
        ("scheme:visa", Money(95_00, "USD")),
    ]


def test_a_settlement_of_900_on_an_authorisation_of_10_is_posted_and_the_issuer_bears_it() -> None:
    till = Till()
    till.load(100_00)
    till.authorise("t", 10_00)
    till.present("t", Money(900_00, "EUR"))
    assert till.balance() == (90_00, 0)
    assert till.balance("scheme:visa") == (900_00, 0)
    assert till.balance("issuer") == (-100_00 - 890_00, 0)


def test_one_currency_splits_between_card_scheme_and_issuer_even_where_the_issuer_keeps_nothing() -> None:
    till = Till()
    till.load(10_00)
    till.authorise("t", 10_00)
    bodies = till.present("t", Money(10_00, "EUR"))
    amounts = [(body.owner, body.amount.minor) for body in bodies if isinstance(body, JournalLine)]
    assert amounts == [("card:c1", -10_00), ("scheme:visa", 10_00), ("issuer", 0)]


def test_a_presentment_may_bill_more_than_was_held_into_a_negative_balance() -> None:
    till = Till()
    till.load(10_00)
    till.authorise("t", 10_00)
    till.present("t", Money(15_00, "EUR"), billing=Money(15_00, "EUR"))
    assert till.balance() == (-5_00, 0)


def test_an_authorisation_for_a_card_without_an_account_in_that_currency_is_declined_and_recorded() -> None:
    till = Till()
    till.load(10_00, "EUR")
    body = till.authorise("t", 1_00, "USD")
    assert (body.decision, body.reason) == ("declined", "card_not_found")
    assert AuthorisationKey("visa", "t") in till.book.authorisations


@pytest.mark.parametrize(
    ("first", "error", "field"),
    [
        pytest.param("approved", TransactionExists, "transaction_id", id="an id that was approved"),
        pytest.param("declined", TransactionExists, "transaction_id", id="an id that was declined: it stays declined"),
    ],
)
def test_a_transaction_id_is_decided_once(first: str, error: type[Refusal], field: str) -> None:
    till = Till()
    till.load(10_00)
    till.authorise("t", 10_00 if first == "approved" else 10_01)
    till.load(100_00)
    with pytest.raises(error) as refused:
        till.authorise("t", 1_00)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("transaction_id", "more", "error", "field"),
    [
        pytest.param("never", {}, AuthorisationNotFound, "transaction_id", id="no such authorisation"),
        pytest.param("open", {"scheme": "other"}, AuthorisationNotFound, "transaction_id", id="another Scheme's"),
        pytest.param("open", {"card_id": "c2"}, Malformed, "card_id", id="another card"),
        pytest.param("open", {"merchant_name": "Stall"}, Malformed, "merchant_name", id="another merchant"),
        pytest.param("open", {"merchant_country": "FR"}, Malformed, "merchant_country", id="another country"),
        pytest.param("open", {"merchant_mcc": "5412"}, Malformed, "merchant_mcc", id="another category"),
        pytest.param(
            "open", {"billing": Money(1, "USD")}, Malformed, "billing_currency", id="billed in another currency"
        ),
        pytest.param("declined", {}, StateConflict, "transaction_id", id="a declined authorisation"),
        pytest.param("cleared", {}, StateConflict, "transaction_id", id="a second presentment"),
        pytest.param(
            "cleared", {"card_id": "c2"}, Malformed, "card_id", id="a mismatch comes before the state, as in the body"
        ),
    ],
)
def test_a_presentment_is_refused(
    transaction_id: str, more: dict[str, object], error: type[Refusal], field: str
) -> None:
    till = Till()
    till.load(20_00)
    till.authorise("open", 10_00)
    till.authorise("cleared", 10_00)
    till.authorise("declined", 10_00)
    till.present("cleared", Money(10_00, "EUR"))
    before = (dict(till.book.accounts), dict(till.book.authorisations))
    with pytest.raises(error) as refused:
        till.present(transaction_id, Money(10_00, "EUR"), **more)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert (till.book.accounts, till.book.authorisations) == before


def test_a_country_given_in_its_other_form_matches() -> None:
    till = Till()
    till.load(20_00)
    till.authorise("t", 10_00)
    till.present("t", Money(10_00, "EUR"), merchant_country="GBR")
    assert till.balance() == (10_00, 0)


def test_what_an_account_could_not_stand_at_is_refused_and_nothing_changes() -> None:
    till = Till()
    till.load(WIRE_MINOR_MAX)
    for _ in range(BALANCE_MINOR_MAX // WIRE_MINOR_MAX - 1):
        till.load(WIRE_MINOR_MAX)
    before = dict(till.book.accounts)
    with pytest.raises(StateConflict, match="beyond"):
        till.load(WIRE_MINOR_MAX)
    assert till.book.accounts == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(Opening(CARD), id="an account opened twice"),
        pytest.param(JournalLine(1, 1, 1, "card:nobody", Money(1, "EUR")), id="a line of an account never opened"),
        pytest.param(
            Presentment(
                "visa",
                "w",
                "t",
                "c1",
                Money(5, "EUR"),
                Money(5, "EUR"),
                Money(-11, "EUR"),
                EntryRef(2, bytes(32)),
            ),
            id="a presentment that releases more than was held",
        ),
        pytest.param(
            Authorisation(
                "visa",
                "w",
                AuthorisationRequest("t", "c1", "S", "GB", "5411", Money(1, "EUR"), Money(1, "EUR")),
                "approved",
                "ok",
            ),
            id="an authorisation twice",
        ),
    ],
)
def test_apply_names_what_no_decision_would_have_given(body: Body) -> None:
    till = Till()
    till.load(100)
    till.authorise("t", 10)
    with pytest.raises(Invalid):
        apply(till.book, body, till.next_seq)


amounts = st.integers(0, 300_00)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(1, 300_00), st.sampled_from(["EUR", "USD"])),
        st.tuples(st.just("authorise"), amounts, st.sampled_from(["EUR", "USD", "JPY"])),
        st.tuples(st.just("present"), amounts, st.sampled_from(["EUR", "USD", "JPY"])),
    ),
    max_size=40,
)


@given(steps, st.randoms(use_true_random=False))
def test_whatever_happens_money_is_conserved_and_holds_equal_open_authorisations(
    actions: list[tuple[str, int, str]], random: object
) -> None:
    till = Till()
    for number, (action, amount, currency) in enumerate(actions):
        try:
            if action == "load":
                till.load(amount, currency)
            elif action == "authorise":
                available = till.book.accounts.get(AccountId("card:c1", currency))
                body = till.authorise(f"t{number}", amount, currency)
                assert (body.decision == "approved") == (available is not None and available.available >= amount)
            else:
                ids = sorted(till.authorised) or ["none"]
                till.present(random.choice(ids), Money(amount, currency))  # type: ignore[attr-defined]
        except Refusal:
            pass
        _check_books(till.book)


def _check_books(book: Book) -> None:
    for currency in ("EUR", "USD", "JPY"):
        states = [state for account, state in book.accounts.items() if account.currency == currency]
        assert sum(state.posted for state in states) == 0
        held = [auth.held for auth in book.authorisations.values() if auth.currency == currency]
        assert sum(state.held for state in states) == sum(held)
    assert all(state.held >= 0 for state in book.accounts.values())


@given(st.integers(0, WIRE_MINOR_MAX), st.integers(0, WIRE_MINOR_MAX), st.sampled_from(["EUR", "USD"]))
def test_every_split_sums_to_zero_in_every_currency(billed: int, settled: int, settlement_currency: str) -> None:
    clearing = Presentment(
        "visa",
        "w",
        "t",
        "c1",
        Money(billed, "EUR"),
        Money(settled, settlement_currency),
        Money(0, "EUR"),
        EntryRef(1, bytes(32)),
    )
    for transaction in (clearing, Load("l", "c1", Money(billed + 1 if billed < WIRE_MINOR_MAX else billed, "EUR"))):
        legs = legs_of(transaction)
        lines = [JournalLine(1, n, len(legs), leg.owner, leg.amount) for n, leg in enumerate(legs, 1)]
        assert imbalances(lines) == {}
