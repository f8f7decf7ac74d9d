"""An Issuer who holds the entry key can present what was never authorised, or twice; the audit finds it."""

from dataclasses import replace

import pytest

from signed_ledger.records import Effect, EntryRef
from tests.cheating import (
    Cheat,
    CheatingIssuer,
    Cheats,
    Faults,
    asking,
    assert_found,
    authorised,
    encoded,
    post,
    presented,
)
from tests.support import Sample
from tests.tampering import Copy
from tests.world import presentment

CHEATS = Cheats()


# --- presentments and repetitions ----------------------------------------------------------------------------------


@CHEATS.add
def presentment_twice(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "approved", 0)
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1")))
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def presentment_of_a_declined_authorisation(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "without-funds", 0)
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1")))
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def presentment_without_authorisation(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "never-seen", 0)
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1")))
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def presentment_releasing_more(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 25_00)
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1", held=-25_00)))
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def presentment_releasing_less(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 3_00)
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1", held=-3_00)))
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def presentment_on_another_authorisation(issuer: CheatingIssuer) -> Faults:
    other, _ = presented(issuer, "open-too", 5_00)
    body, evidence = presented(issuer, "open", 5_00, builds_on=other.builds_on)
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def presentment_on_another_leaf(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 5_00)
    assert body.builds_on is not None
    body = replace(body, builds_on=EntryRef(body.builds_on.seq, bytes(32)))
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def presentment_for_another_card(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 5_00)
    body = asking(body, card_id="c2")
    seq = issuer.write(body, evidence, effect=Effect(issuer.state("card:c1", held=-5_00)))
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def presentment_by_another_merchant(issuer: CheatingIssuer) -> Faults:
    body, _ = presented(issuer, "open", 5_00)
    asked = presentment("open", "5.00", merchant_name="Somebody Else")
    seq = issuer.write(body, issuer.evidence("presentment", encoded(asked), "wh-new"))
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def webhook_twice(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", webhook_id="wh-open")), 10)}


@CHEATS.add
def authorisation_twice(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00", name="open")
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c1", held=1_00))), 10)}


@pytest.mark.parametrize("attempt", CHEATS, ids=lambda attempt: attempt.__name__.replace("_", " "))
def test_a_cheating_issuer_is_found_in_the_right_step(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    assert_found(sample, copy, attempt)
