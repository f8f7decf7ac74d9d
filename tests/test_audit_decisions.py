"""An Issuer who holds the entry key can sign anything; the audit finds what its own rules would not have given."""

from dataclasses import replace

import pytest

from signed_ledger.money import Money
from signed_ledger.records import AccountId, Effect, JournalLine, Load, Opening
from signed_ledger.rules import lines_of
from tests.cheating import (
    Cheat,
    CheatingIssuer,
    Cheats,
    Faults,
    asking,
    assert_found,
    authorised,
    encoded,
    eur,
    post,
    presented,
)
from tests.support import Sample
from tests.tampering import Copy
from tests.world import authorisation

CHEATS = Cheats()


# --- decisions -----------------------------------------------------------------------------------------------------


@CHEATS.add
def approval_without_funds(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1000.00")), 11)}


@CHEATS.add
def decline_despite_funds(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", ("declined", "insufficient_funds"))), 11)}


@CHEATS.add
def decline_for_an_account_said_not_to_be_there(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", ("declined", "card_not_found"))), 11)}


@CHEATS.add
def approval_for_a_card_without_account(issuer: CheatingIssuer) -> Faults:
    body, _ = authorised(issuer, "1.00")
    asked = authorisation("new", "c9", "1.00")
    evidence = issuer.evidence("authorisation", encoded(asked), "wh-new")
    return {(issuer.write(asking(body, card_id="c9"), evidence, effect=Effect()), 11)}


@CHEATS.add
def false_balance_under_its_signature(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c1"))), 11)}


@CHEATS.add
def balance_of_another_account(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c2", held=100))), 11)}


@CHEATS.add
def no_balance_at_all(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00"), effect=Effect()), 11)}


@CHEATS.add
def balance_where_nothing_changed(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1000.00", ("declined", "insufficient_funds"))
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c1"))), 11)}


@CHEATS.add
def presentment_billed_for_more_than_the_hold(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 500)
    assert body.totals is not None
    body = replace(asking(body, billing=eur(600)), totals=replace(body.totals, cleared=600))
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 11)}


# --- batches -------------------------------------------------------------------------------------------------------


def batch_of(issuer: CheatingIssuer, *amounts: int) -> list[int]:
    """A load of 10.00 whose lines say something else."""
    seq = issuer.write(Load("load-new", "c1", eur(10_00)))
    owners = ("issuer", "card:c1")
    lines = [
        JournalLine(seq, n, 2, owner, eur(a)) for n, (owner, a) in enumerate(zip(owners, amounts, strict=False), 1)
    ]
    return [seq, *issuer.write_all(*lines)]


@CHEATS.add
def unbalanced_batch(issuer: CheatingIssuer) -> Faults:
    load, _, card = batch_of(issuer, -10_00, 11_00)
    return {(load, 8), (card, 8)}


@CHEATS.add
def batch_of_another_amount(issuer: CheatingIssuer) -> Faults:
    _, own, card = batch_of(issuer, -11_00, 11_00)
    return {(own, 8), (card, 8)}


@CHEATS.add
def missing_journal_line(issuer: CheatingIssuer) -> Faults:
    load, _ = batch_of(issuer, -10_00)
    return {(load, 8)}


@CHEATS.add
def missing_batch(issuer: CheatingIssuer) -> Faults:
    (load,) = batch_of(issuer)
    issuer.write(*authorised(issuer, "1.00"))
    return {(load, 8)}


@CHEATS.add
def line_too_many(issuer: CheatingIssuer) -> Faults:
    load, *_ = batch_of(issuer, -10_00, 10_00)
    return {(issuer.write(JournalLine(load, 2, 2, "card:c1", eur(1_00))), 8)}


@CHEATS.add
def line_of_a_batch_long_closed(issuer: CheatingIssuer) -> Faults:
    issuer.write(*authorised(issuer, "1.00"))
    return {(issuer.write(JournalLine(issuer.sample.seqs["load"], 2, 2, "card:c1", eur(1_00))), 8)}


@CHEATS.add
def lines_in_another_order(issuer: CheatingIssuer) -> Faults:
    load = issuer.write(Load("load-new", "c1", eur(10_00)))
    first, second = lines_of(Load("load-new", "c1", eur(10_00)), load)
    return {(seq, 8) for seq in issuer.write_all(second, first)}


@CHEATS.add
def something_between_the_lines(issuer: CheatingIssuer) -> Faults:
    load, _ = batch_of(issuer, -10_00)
    issuer.write(*authorised(issuer, "1.00"))
    return {(load, 8), (issuer.write(JournalLine(load, 2, 2, "card:c1", eur(10_00))), 8)}


@CHEATS.add
def wrong_split(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 500, amount="4.00")
    seq = issuer.write(body, evidence)
    card, scheme, own = lines_of(body, seq)
    less = [replace(scheme, amount=eur(3_00)), replace(own, amount=eur(2_00))]
    return {(seq, 8) for seq in issuer.write_all(card, *less)[1:]}


@CHEATS.add
def account_opened_for_nothing(issuer: CheatingIssuer) -> Faults:
    faults: Faults = {(issuer.write(Opening(AccountId("card:c3", "EUR"))), 8)}
    issuer.write(*authorised(issuer, "1.00"))
    return faults


@CHEATS.add
def account_opened_last_of_all(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(Opening(AccountId("card:c3", "EUR"))), 8)}


@CHEATS.add
def account_opened_twice(issuer: CheatingIssuer) -> Faults:
    state = replace(issuer.state("card:c1"), posted=0, held=0)
    seq = issuer.write(Opening(state.account), effect=Effect(state))
    load = Load("load-new", "c1", eur(10_00))
    issuer.write(load)
    post(issuer, load)
    return {(seq, 11)}


@CHEATS.add
def accounts_opened_in_another_order(issuer: CheatingIssuer) -> Faults:
    issuer.write_all(Opening(AccountId("card:c3", "JPY")), Opening(AccountId("issuer", "JPY")))
    load = Load("load-new", "c3", Money(1000, "JPY"))
    seq = issuer.write(load)
    post(issuer, load)
    return {(seq, 8)}


@CHEATS.add
def account_never_opened(issuer: CheatingIssuer) -> Faults:
    load = Load("load-new", "c3", eur(10_00))
    seq = issuer.write(load)
    own, card = lines_of(load, seq)
    issuer.write(own)
    state = replace(issuer.state("card:c1"), account=card.account, posted=10_00, held=0)
    return {(seq, 8), (issuer.write(card, effect=Effect(state)), 11)}


@pytest.mark.parametrize("attempt", CHEATS, ids=lambda attempt: attempt.__name__.replace("_", " "))
def test_a_cheating_issuer_is_found_in_the_right_step(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    assert_found(sample, copy, attempt)


def test_an_honest_issuer_who_writes_by_the_same_means_is_found_nothing(sample: Sample, copy: Copy) -> None:
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        issuer.write(*authorised(issuer, "1.00", webhook_id="wh-first"))
        body, evidence = presented(issuer, "open", 5_00)
        issuer.write(body, evidence)
        post(issuer, body)
    report = copy.audit(sample.trust)
    assert report.ok, report.faults
