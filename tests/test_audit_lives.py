"""An Issuer who holds the entry key can bend the life of a transaction, its cards, terms and settlements: found."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signed_ledger.encoding import decode_body, decode_entry, encode_body, encode_entry_note, encode_entry_text
from signed_ledger.money import Fee
from signed_ledger.records import (
    AccountId,
    AuthorisationKey,
    CardChange,
    CardState,
    CardTransaction,
    Effect,
    JournalLine,
    PartDigest,
    Request,
    SettledSum,
    Settlement,
    Totals,
)
from signed_ledger.rules import ChangeCard, Settle
from signed_ledger.rules.authorisation import DAY
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
from tests.support import SAMPLE_TERMS, Sample
from tests.tampering import Copy, found, rechain
from tests.world import authorisation, euros, presentment

CHEATS = Cheats()
ALIVE = AuthorisationKey("visa", "alive")


def with_totals(body: CardTransaction, **changes: int) -> CardTransaction:
    """The body with amounts added to its totals, and the hold's change that this makes."""
    assert body.totals is not None
    totals = body.totals.plus(**changes)
    change = body.hold_change.minor + totals.open - body.totals.open
    return replace(body, totals=totals, hold_change=eur(change))


def clearing(name: str, amount: str, **more: Any) -> dict[str, Any]:
    return presentment(name, amount, **euros("billing", amount), **more)


# --- increments, reversals, expiries -------------------------------------------------------------------------------


def more(issuer: CheatingIssuer, amount: str) -> tuple[CardTransaction, Any]:
    return issuer.message("increment", {"transaction_id": "alive", **euros("billing", amount)}, book=issuer.rich())


@CHEATS.add
def increment_approved_without_funds(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*more(issuer, "1000.00")), 11)}


@CHEATS.add
def increment_declined_despite_funds(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    body = replace(body, decision="declined", reason="insufficient_funds", hold_change=eur(0))
    return {(issuer.write(replace(body, totals=None, expires=None, window_days=None), evidence), 11)}


@CHEATS.add
def increment_that_holds_more_than_was_asked_for(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    return {(issuer.write(with_totals(asking(body, billing=eur(2_00)), incremented=1_00), evidence), 7)}


@CHEATS.add
def increment_of_a_transaction_that_is_cleared(issuer: CheatingIssuer) -> Faults:
    book = issuer.rich()
    life = book.authorisations[AuthorisationKey("visa", "life")]
    book.authorisations[life.key] = replace(life, totals=Totals(authorised=10_00))
    body, evidence = issuer.message("increment", {"transaction_id": "life", **euros("billing", "1.00")}, book=book)
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c2", held=1_00))), 9)}


@CHEATS.add
def increment_of_nothing_that_was_authorised(issuer: CheatingIssuer) -> Faults:
    body, _ = more(issuer, "1.00")
    evidence = issuer.evidence(
        "increment", encoded({"transaction_id": "never-seen", **euros("billing", "1.00")}), "wh-new"
    )
    body = asking(body, transaction_id="never-seen")
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c2", held=1_00))), 9)}


@CHEATS.add
def increment_that_begins_a_transaction(issuer: CheatingIssuer) -> Faults:
    asked = {"transaction_id": "never-seen", **euros("billing", "1.00")}
    body = replace(asking(more(issuer, "1.00")[0], transaction_id="never-seen"), builds_on=None)
    body = replace(body, totals=Totals(authorised=1_00))
    return {(issuer.write(body, issuer.evidence("increment", encoded(asked), "wh-new")), 11)}


@CHEATS.add
def reversal_not_asked_for(issuer: CheatingIssuer) -> Faults:
    body, _ = issuer.message("reversal", {"transaction_id": "alive", **euros("billing", "1.00")})
    return {(issuer.write(body), 6)}


@CHEATS.add
def reversal_of_more_than_was_asked_for(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("reversal", {"transaction_id": "alive", **euros("billing", "1.00")})
    return {(issuer.write(with_totals(asking(body, billing=eur(2_00)), reversed=1_00), evidence), 7)}


@CHEATS.add
def reversal_of_all_that_takes_back_less(issuer: CheatingIssuer) -> Faults:
    """The Scheme named no amount; the Issuer filled in one of its own."""
    body, evidence = issuer.message("reversal", {"transaction_id": "alive"})
    return {(issuer.write(with_totals(asking(body, billing=eur(5_00)), reversed=-2_00), evidence), 11)}


def expiry(issuer: CheatingIssuer, name: str, time: int) -> CardTransaction:
    (body,) = issuer.decided(issuer.about("visa", None, Request("expiry", name)), time=time)
    assert isinstance(body, CardTransaction)
    return body


@CHEATS.add
def expiry_too_early(issuer: CheatingIssuer) -> Faults:
    expires = issuer.book.authorisations[ALIVE].expires
    assert expires is not None
    body = expiry(issuer, "alive", expires)
    return {(issuer.write(body, place={"time": expires - 1}), 9)}


@CHEATS.add
def expiry_twice(issuer: CheatingIssuer) -> Faults:
    body = expiry(issuer, "alive", issuer.time + 7 * DAY)
    first = replace(body, builds_on=issuer.began[AuthorisationKey("visa", "short")].ref)
    first = replace(asking(first, transaction_id="short", billing=eur(2_00)), hold_change=eur(0))
    totals, expires = Totals(authorised=2_00, expired=2_00), issuer.book.authorisations[first.key].expires
    return {(issuer.write(replace(first, totals=totals, expires=expires)), 9)}


@CHEATS.add
def expiry_that_releases_less(issuer: CheatingIssuer) -> Faults:
    due = issuer.time + 7 * DAY
    body = with_totals(expiry(issuer, "alive", due), expired=-1_00)
    return {(issuer.write(body, place={"time": due}), 11)}


# --- what a body states --------------------------------------------------------------------------------------------


@CHEATS.add
def totals_that_say_something_else(issuer: CheatingIssuer) -> Faults:
    """The hold is right, only the story is another."""
    body, evidence = more(issuer, "1.00")
    return {(issuer.write(with_totals(body, incremented=9_00, reversed=9_00), evidence), 11)}


@CHEATS.add
def totals_that_hold_more(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    return {(issuer.write(with_totals(body, authorised=1), evidence), 11)}


@CHEATS.add
def totals_that_do_not_make_the_change_of_the_hold(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    body = replace(body, hold_change=eur(2_00))
    state = issuer.state("card:c2", held=2_00)
    authorisation_state = replace(issuer.book.authorisations[ALIVE], totals=body.totals, expires=body.expires)
    return {(issuer.write(body, evidence, effect=Effect(state, authorisation_state)), 11)}


@CHEATS.add
def totals_left_out(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    body = replace(body, totals=None)
    return {(issuer.write(body, evidence, effect=Effect(issuer.state("card:c2", held=1_00))), 11)}


@CHEATS.add
def final_clearing_that_keeps_the_hold(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "1.00"))
    assert body.totals is not None
    kept = replace(body.totals, reversed=0)
    seq = issuer.write(replace(body, totals=kept, hold_change=eur(-1_00)), evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def flag_left_out(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "8.50"))
    assert body.flags == ("over_hold", "excess_disputable")
    seq = issuer.write(replace(body, flags=("over_hold",)), evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def flag_added(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "7.50"))
    assert body.flags == ("over_hold", "within_tolerance")
    seq = issuer.write(replace(body, flags=("late", *body.flags)), evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def late_clearing_called_timely(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "7.00"))
    seq = issuer.write(body, evidence, place={"time": issuer.time + 7 * DAY})
    issuer.time += 7 * DAY
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def window_shorter_than_the_terms_say(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(replace(body, window_days=6, expires=issuer.time + 6 * DAY), evidence), 11)}


@CHEATS.add
def window_as_the_terms_say_that_ends_a_day_early(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(replace(body, expires=issuer.time + 6 * DAY), evidence), 11)}


@CHEATS.add
def interchange_other_than_the_messages(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "7.00", interchange_amount="0.0333"))
    seq = issuer.write(asking(body, interchange=Fee(3_340_000, "EUR")), evidence)
    post(issuer, body)
    return {(seq, 7)}


@CHEATS.add
def interchange_other_than_the_terms(issuer: CheatingIssuer) -> Faults:
    body, evidence = issuer.message("presentment", clearing("alive", "7.00"))
    assert body.request.interchange == Fee(7_00 * 2_000 + 5_000_000, "EUR")
    seq = issuer.write(asking(body, interchange=Fee(0, "EUR")), evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def interchange_where_the_terms_have_none(issuer: CheatingIssuer) -> Faults:
    body, evidence = presented(issuer, "open", 5_00)
    seq = issuer.write(asking(body, interchange=Fee(0, "EUR")), evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def first_form_after_the_second(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(body.in_first_form, evidence), 11)}


# --- posted twice, or on the wrong card ----------------------------------------------------------------------------


@CHEATS.add
def second_presentment_of_one_presentment_id(issuer: CheatingIssuer) -> Faults:
    book = issuer.rich()
    book.postings.clear()
    asked = clearing("alive", "3.00", presentment_id="p-1", final=False)
    body, evidence = issuer.message("presentment", asked, book=book)
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def second_refund_of_one_refund_id(issuer: CheatingIssuer) -> Faults:
    book = issuer.rich()
    book.postings.clear()
    asked = {"card_id": "c2", "refund_id": "r-2", **euros("billing", "1.00"), **euros("settlement", "1.00")}
    body, evidence = issuer.message("refund", asked, book=book)
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 9)}


@CHEATS.add
def refund_of_a_transaction_that_is_not_cleared(issuer: CheatingIssuer) -> Faults:
    book = issuer.rich()
    alive = book.authorisations[ALIVE]
    assert alive.totals is not None
    book.authorisations[ALIVE] = replace(alive, totals=replace(alive.totals, reversed=7_00))
    asked = {"transaction_id": "alive", **euros("billing", "1.00"), **euros("settlement", "1.00")}
    body, evidence = issuer.message("refund", asked, book=book)
    assert alive.totals is not None
    body = replace(body, totals=replace(alive.totals, refunded=1_00))
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 9)}


def jcbs(issuer: CheatingIssuer, kind: str, asked: dict[str, Any]) -> tuple[CardTransaction, Any]:
    """A message of jcb's on a card as if that were no Scheme's yet."""
    book = issuer.rich()
    book.cards = {card_id: CardState(card_id) for card_id in book.cards}
    return issuer.message(kind, asked, book=book, party=issuer.sample.jcb)


@CHEATS.add
def refund_on_a_card_of_another_scheme(issuer: CheatingIssuer) -> Faults:
    asked = {"card_id": "c1", "refund_id": "r-9", **euros("billing", "1.00"), **euros("settlement", "1.00")}
    body, evidence = jcbs(issuer, "refund", asked)
    issuer.write_all(*issuer.openings(body))
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def forced_presentment_on_a_card_of_another_scheme(issuer: CheatingIssuer) -> Faults:
    body, evidence = jcbs(issuer, "presentment", clearing("f-9", "1.00", card_id="c1", force_post=True))
    issuer.write_all(*issuer.openings(body))
    seq = issuer.write(body, evidence)
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def approval_on_a_card_of_another_scheme(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*jcbs(issuer, "authorisation", authorisation("j-9", "c1", "1.00"))), 11)}


@CHEATS.add
def presentment_that_nobody_forced(issuer: CheatingIssuer) -> Faults:
    asked = clearing("f-9", "1.00", card_id="c1")
    body, _ = issuer.message("presentment", {**asked, "force_post": True})
    seq = issuer.write(asking(body, force_post=None), issuer.evidence("presentment", encoded(asked), "wh-new"))
    post(issuer, body)
    return {(seq, 11)}


# --- cards ---------------------------------------------------------------------------------------------------------


@CHEATS.add
def approval_on_a_blocked_card(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    issuer.record(issuer.decided(ChangeCard("block", "c1")))
    return {(issuer.write(body, evidence), 11)}


@CHEATS.add
def increment_on_a_blocked_card(issuer: CheatingIssuer) -> Faults:
    body, evidence = more(issuer, "1.00")
    issuer.record(issuer.decided(ChangeCard("block", "c2")))
    return {(issuer.write(body, evidence), 11)}


@CHEATS.add
def decline_of_a_card_that_is_not_blocked(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", ("declined", "card_blocked"))), 11)}


@CHEATS.add
def card_given_to_another_scheme(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(CardChange("bind", CardState("c2", "jcb"))), 11)}


@CHEATS.add
def card_given_away_by_a_block(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(CardChange("block", CardState("c2", "jcb", True))), 11)}


@CHEATS.add
def block_that_leaves_the_card_unblocked(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(CardChange("block", CardState("c2", "visa", False))), 11)}


@CHEATS.add
def card_blocked_twice(issuer: CheatingIssuer) -> Faults:
    issuer.record(issuer.decided(ChangeCard("block", "c2")))
    return {(issuer.write(CardChange("block", CardState("c2", "visa", True))), 11)}


@CHEATS.add
def unblock_of_a_card_that_nobody_knows(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(CardChange("unblock", CardState("c9"))), 11)}


# --- settlements ---------------------------------------------------------------------------------------------------


def settlement(issuer: CheatingIssuer, change: Callable[[SettledSum], SettledSum]) -> Faults:
    """A settlement of the day after the last, with its one sum changed."""
    bodies = issuer.decided(Settle("visa", "2026-11-25", issuer.time))
    (body,) = [body for body in bodies if isinstance(body, Settlement)]
    changed = replace(body, sums=tuple(map(change, body.sums)))
    seq = issuer.write(changed)
    post(issuer, changed)
    return {(seq, 11)}


@CHEATS.add
def settlement_of_another_amount(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, gross=eur(2_00), net=eur(1_95)))


@CHEATS.add
def settlement_that_leaves_out_a_presentment(issuer: CheatingIssuer) -> Faults:
    first = issuer.honest("presentment", clearing("alive", "2.00", final=False), "wh-more")
    return settlement(
        issuer,
        lambda one: replace(
            one,
            gross=eur(2_00),
            net=eur(1_95),
            fees=eur(-5),
            interchange=Fee(5_400_000, "EUR"),
            count=1,
            first_seq=first,
        ),
    )


@CHEATS.add
def settlement_rounded_in_the_issuers_favour(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, fees=eur(-6), net=eur(2_94), result=eur(6)))


@CHEATS.add
def settlement_with_another_result(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, result=eur(6)))


@CHEATS.add
def settlement_with_another_interchange(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, interchange=Fee(5_600_001, "EUR")))


@CHEATS.add
def settlement_of_another_count(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, count=2))


@CHEATS.add
def settlement_that_begins_later(issuer: CheatingIssuer) -> Faults:
    return settlement(issuer, lambda one: replace(one, first_seq=one.first_seq + 1, last_seq=one.last_seq + 1))


@CHEATS.add
def settlement_of_nothing(issuer: CheatingIssuer) -> Faults:
    day_ends, date = issuer.time, "2026-11-25"
    body = Settlement(scheme="visa", date=date, day_ends=day_ends, is_complete=True, sums=())
    return {(issuer.write(body), 11)}


@CHEATS.add
def settlement_called_complete_before_the_day_is_over(issuer: CheatingIssuer) -> Faults:
    bodies = issuer.decided(Settle("visa", "2026-11-25", issuer.time + 1))
    (body,) = [body for body in bodies if isinstance(body, Settlement)]
    seq = issuer.write(replace(body, is_complete=True))
    post(issuer, body)
    return {(seq, 11)}


@CHEATS.add
def settlement_twice_a_day(issuer: CheatingIssuer) -> Faults:
    bodies = issuer.decided(Settle("visa", "2026-11-25", issuer.time))
    (body,) = [body for body in bodies if isinstance(body, Settlement)]
    again = replace(body, date="2026-11-24")
    seq = issuer.write(again)
    post(issuer, again)
    return {(seq, 9)}


@CHEATS.add
def settlement_of_a_day_before_the_last(issuer: CheatingIssuer) -> Faults:
    bodies = issuer.decided(Settle("visa", "2026-11-25", issuer.time))
    (body,) = [body for body in bodies if isinstance(body, Settlement)]
    late = replace(body, date="2026-11-22")
    seq = issuer.write(late)
    post(issuer, late)
    return {(seq, 9)}


@CHEATS.add
def settlement_paid_to_another_than_its_lines_say(issuer: CheatingIssuer) -> Faults:
    bodies = issuer.decided(Settle("visa", "2026-11-25", issuer.time))
    *head, owed, kept, paid = bodies
    issuer.write_all(*head, owed, kept)
    assert isinstance(paid, JournalLine)
    other = replace(paid, owner="external:friend")
    account = AccountId("external:friend", "EUR")
    state = replace(issuer.state("external:visa"), account=account, posted=2_95)
    faults = {(issuer.write(other, effect=Effect(state)), 8)}
    return faults | {(issuer.seq, 11)}


@pytest.mark.parametrize("attempt", CHEATS, ids=lambda attempt: attempt.__name__.replace("_", " "))
def test_a_cheating_issuer_is_found_in_the_right_step(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    assert_found(sample, copy, attempt)


def test_terms_rewritten_and_all_signed_again_are_found_where_they_were_in_force(sample: Sample, copy: Copy) -> None:
    """Holds of pre-authorisations are to have lasted two days; what was decided meanwhile says one."""
    seq = sample.seqs["terms"]
    with copy.edited() as connection:
        signer = CheatingIssuer(connection, sample).signer
        note, old = connection.execute(
            "SELECT note, body FROM entries JOIN parts USING (seq) WHERE seq = ?", (seq,)
        ).fetchone()
        (window,) = SAMPLE_TERMS.windows
        body = encode_body(replace(SAMPLE_TERMS, windows=(replace(window, days=2),)), decode_body(old).salt)
        signed = decode_entry(note)
        entry = replace(signed.entry, body=PartDigest(hashlib.sha256(body).digest(), len(body)))
        note = encode_entry_note(encode_entry_text(entry), entry.origin, signed.key_id, signed.signature)
        connection.execute("UPDATE parts SET body = ? WHERE seq = ?", (body, seq))
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (note, seq))
        rechain(connection, seq, signer)
    faults = found(copy.audit(sample.trust))
    assert (sample.seqs["short"], 11) in faults
    assert (sample.seqs["grown"], 9) in faults  # it builds on an entry that had another leaf
    assert {step for _, step in faults} == {9, 11, 12}


def test_terms_edited_where_they_stand_are_found(sample: Sample, copy: Copy) -> None:
    statement = "UPDATE parts SET body = CAST(replace(CAST(body AS TEXT), '\"days\":1', '\"days\":2') AS BLOB)"
    report = copy.report_after(f"{statement} WHERE seq = {sample.seqs['terms']}")
    assert found(report) == {(sample.seqs["terms"], 5)}


def test_an_honest_issuer_who_writes_by_the_same_means_is_found_nothing(sample: Sample, copy: Copy) -> None:
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        issuer.honest("increment", {"transaction_id": "alive", **euros("billing", "1.00")}, "wh-a")
        issuer.honest("increment", {"transaction_id": "alive", **euros("billing", "1000.00")}, "wh-b")
        issuer.honest("reversal", {"transaction_id": "alive", **euros("billing", "1.00")}, "wh-c")
        issuer.honest("presentment", clearing("alive", "8.00", interchange_amount="0.0333"), "wh-d")
        back = {**euros("billing", "1.00"), **euros("settlement", "1.00")}
        issuer.honest("refund", {"transaction_id": "alive", **back}, "wh-e")
        issuer.honest("refund", {"refund_id": "r-9", "card_id": "c1", **back}, "wh-f")
        issuer.honest("presentment", clearing("f-9", "1.00", card_id="c1", force_post=True), "wh-g")
        issuer.record(issuer.decided(ChangeCard("block", "c2", None, "stolen")))
        issuer.honest("authorisation", authorisation("b-9", "c2", "1.00"), "wh-h")
        issuer.record(issuer.decided(ChangeCard("unblock", "c2")))
        issuer.honest("authorisation", authorisation("j-9", "c2", "1.00"), "wh-i", sample.jcb)
        issuer.record(issuer.decided(replace(SAMPLE_TERMS, window_days=3)))
        issuer.honest("authorisation", authorisation("w-9", "c1", "1.00"), "wh-j")
        issuer.time += 3 * DAY
        issuer.write(expiry(issuer, "w-9", issuer.time))
        issuer.record(issuer.decided(Settle("visa", "2026-11-25", issuer.time)))
        issuer.record(issuer.decided(Settle("visa", "2026-11-26", issuer.time + 1)))
        issuer.record(issuer.decided(Settle("jcb", "2026-11-26", issuer.time)))
    report = copy.audit(sample.trust)
    assert report.ok, report.faults
