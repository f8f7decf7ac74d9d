"""The writer on a real file: at once, again, tampered with, beside another writer, and when the disk fails."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import (
    AuthorisationNotFound,
    Fault,
    IntegrityViolation,
    InternalError,
    KeyChangeRefused,
    KeyRevoked,
    Overloaded,
    TransactionExists,
    WebhookIdReused,
)
from signed_ledger.ledger import Ledger, Settling, Submission, Webhook
from signed_ledger.money import Money
from signed_ledger.records import CardTransaction, Load
from signed_ledger.rules import ChangeCard, Settle
from tests.support import assert_audits, edit, fail_the_disk
from tests.world import Party, World, authorisation, opened, presentment


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def funded(world: World, ledger: Ledger, amount: int = 100_00) -> Party:
    visa = await world.register(ledger, "scheme", "visa")
    await world.load(ledger, "c1", amount)
    return visa


def reason_of(outcome: object) -> str:
    if isinstance(outcome, BaseException):
        return type(outcome).__name__
    body = outcome.body  # type: ignore[attr-defined]
    return str(body.reason)


async def submit_all(ledger: Ledger, webhooks: list[Webhook]) -> list[str]:
    outcomes = await asyncio.gather(*map(ledger.submit, webhooks), return_exceptions=True)
    return [reason_of(outcome) for outcome in outcomes]


async def test_however_many_arrive_at_once_the_money_is_spent_once(world: World) -> None:
    async with opened(world, group_commands_max=7) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "40.00")) for n in range(32)]
        reasons = await submit_all(ledger, asks)
        assert sorted(reasons) == ["insufficient_funds"] * 30 + ["ok"] * 2
    assert_audits(world.path)


async def test_a_balance_that_is_not_kept_is_read_after_the_commit_that_changes_it(world: World) -> None:
    """A group decided ahead finds neither in memory nor yet on disk what the one before leaves: it has to wait."""
    cards = ("c1", "c2", "c3")
    async with opened(world, cache_accounts_max=1, group_commands_max=3) as ledger:
        visa = await funded(world, ledger, 10_00)
        for card in cards[1:]:
            await world.load(ledger, card, 10_00)
        asks = [
            world.webhook(visa, "authorisation", authorisation(f"{card}-{number}", card, "1.00"))
            for number in range(15)
            for card in cards
        ]
        reasons = await submit_all(ledger, asks)
    assert sorted(reasons) == ["insufficient_funds"] * 15 + ["ok"] * 30
    assert_audits(world.path)


async def test_one_transaction_id_asked_many_times_at_once_is_decided_once(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00")) for _ in range(16)]
        reasons = await submit_all(ledger, asks)
        assert sorted(reasons) == ["TransactionExists"] * 15 + ["ok"]
        clearings = [world.webhook(visa, "presentment", presentment("t", "1.00")) for _ in range(16)]
        assert sorted(await submit_all(ledger, clearings)) == ["StateConflict"] * 15 + ["ok"]
    assert_audits(world.path)


async def test_a_retry_gives_the_first_answer_in_flight_later_and_after_a_restart(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00"))
        first, second = await asyncio.gather(ledger.submit(ask), ledger.submit(ask))
        third = await ledger.submit(ask)
    async with opened(world) as ledger:
        fourth = await ledger.submit(ask)
    assert [answer.replayed for answer in (first, second, third, fourth)] == [False, True, True, True]
    assert len({(answer.seq, answer.entry, answer.body_bytes) for answer in (first, second, third, fourth)}) == 1
    assert_audits(world.path)


async def test_a_decline_stays_a_decline(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger, 10_00)
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00"))
        assert (await ledger.submit(ask)).body.reason == "insufficient_funds"  # type: ignore[union-attr]
        await world.load(ledger, "c1", 1_000_00)
        assert (await ledger.submit(ask)).body.reason == "insufficient_funds"  # type: ignore[union-attr]
        with pytest.raises(TransactionExists):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))
    assert_audits(world.path)


@pytest.mark.parametrize("at_once", [True, False], ids=["while the first is in flight", "when it is recorded"])
@pytest.mark.parametrize("kind", ["authorisation", "presentment"])
async def test_a_webhook_id_with_another_body_is_refused(world: World, at_once: bool, kind: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        first = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"), "one-id")
        body = authorisation("t", "c1", "1.01") if kind == "authorisation" else presentment("t", "1.00")
        other = world.webhook(visa, kind, body, "one-id")
        if at_once:
            assert await submit_all(ledger, [first, other]) == ["ok", "WebhookIdReused"]
        else:
            await ledger.submit(first)
            with pytest.raises(WebhookIdReused):
                await ledger.submit(other)
    assert_audits(world.path)


async def test_a_presentment_at_once_with_its_authorisation_is_posted_after_it_or_refused(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00"))
        clear = world.webhook(visa, "presentment", presentment("t", "40.00"))
        assert await submit_all(ledger, [ask, clear]) == ["ok", "ok"]
        early = world.webhook(visa, "presentment", presentment("u", "40.00"))
        late = world.webhook(visa, "authorisation", authorisation("u", "c1", "40.00"))
        assert await submit_all(ledger, [early, late]) == ["AuthorisationNotFound", "ok"]
        assert (await ledger.submit(early)).body.reason == "ok"  # type: ignore[union-attr]
    assert_audits(world.path)


async def test_what_one_scheme_did_is_not_there_for_another(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        other = await world.register(ledger, "scheme", "other")
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"), "same-id")
        await ledger.submit(ask)
        with pytest.raises(AuthorisationNotFound):
            await ledger.submit(world.webhook(other, "presentment", presentment("t", "1.00")))
        theirs = await ledger.submit(world.webhook(other, "authorisation", authorisation("t", "c1", "2.00"), "same-id"))
        assert isinstance(theirs.body, CardTransaction)
        assert (theirs.replayed, theirs.body.scheme) == (False, "other")
        assert (theirs.body.decision, theirs.body.reason) == ("declined", "card_not_found")
        await world.load(ledger, "c2", 10_00)
        ask = world.webhook(other, "authorisation", authorisation("u", "c2", "2.00"))
        assert reason_of(await ledger.submit(ask)) == "ok"
    assert_audits(world.path)


async def test_two_schemes_at_once_on_a_new_card_are_told_apart_by_who_came_first(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        other = await world.register(ledger, "scheme", "other")
        asks = [
            world.webhook(party, "authorisation", authorisation(f"t{number}", "c1", "1.00"))
            for number, party in enumerate((visa, other) * 4)
        ]
        assert await submit_all(ledger, asks) == ["ok", "card_not_found"] * 4
    assert_audits(world.path)


async def test_a_message_at_once_with_what_it_is_about_waits_for_it(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        amount = {"billing_amount": "1.00", "billing_currency": "EUR"}
        settled = {"settlement_amount": "1.00", "settlement_currency": "EUR"}
        messages: list[tuple[str, dict[str, Any]]] = [
            ("authorisation", authorisation("t", "c1", "4.00")),
            ("increment", {"transaction_id": "t", **amount}),
            ("reversal", {"transaction_id": "t", **amount}),
            ("presentment", presentment("t", "1.00", **amount, presentment_id="p-1", final="")),
            ("presentment", presentment("t", "3.00", presentment_id="p-2")),
            ("refund", {"transaction_id": "t", "refund_id": "r-1", **amount, **settled}),
            ("refund", {"transaction_id": "t", "refund_id": "r-1", **amount, **settled}),
        ]
        messages[3][1]["final"] = False
        webhooks = [world.webhook(visa, kind, body) for kind, body in messages]
        assert await submit_all(ledger, webhooks) == ["ok"] * 6 + ["StateConflict"]
    assert_audits(world.path)


async def test_a_full_queue_says_so_and_decides_nothing(world: World) -> None:
    async with opened(world, queue_commands_max=3) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "1.00")) for n in range(8)]
        reasons = await submit_all(ledger, asks)
        assert sorted(reasons) == ["Overloaded"] * 5 + ["ok"] * 3
        refused = [ask for ask, reason in zip(asks, reasons, strict=True) if reason == "Overloaded"]
        assert [(await ledger.submit(ask)).replayed for ask in refused] == [False] * 5
    assert_audits(world.path)


async def test_a_full_queue_takes_our_own_commands(world: World) -> None:
    async with opened(world, queue_commands_max=3) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "1.00")) for n in range(3)]
        waits = [asyncio.create_task(ledger.submit(ask)) for ask in asks]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            ledger.check_room()
        assert (await ledger.submit(Load("load-2", "c1", Money(100, "EUR")))).body.type == "load"  # type: ignore[union-attr]
        assert {(await wait).body.reason for wait in waits} == {"ok"}  # type: ignore[union-attr]
        ledger.check_room()
    assert_audits(world.path)


async def test_a_caller_that_hangs_up_cancels_its_own_wait_only(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"))
        waits = [asyncio.create_task(ledger.submit(ask)) for _ in range(2)]
        await asyncio.sleep(0)
        waits[0].cancel()
        assert (await waits[1]).body.reason == "ok"  # type: ignore[union-attr]
        assert (await ledger.submit(ask)).replayed
    assert_audits(world.path)


async def test_closing_finishes_what_waits_and_takes_nothing_more(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "1.00")) for n in range(20)]
        waits = [asyncio.create_task(ledger.submit(ask)) for ask in asks]
        await asyncio.sleep(0)
        await ledger.close()
        assert {(await wait).body.reason for wait in waits} == {"ok"}  # type: ignore[union-attr]
        with pytest.raises(Overloaded):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("late", "c1", "1.00")))
    assert_audits(world.path)


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_retired_key_is_refused_at_the_very_next_entry(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"))
        await ledger.submit(world.key_change(ledger, "retire", "scheme", "visa", visa.signer.public_key))
        with pytest.raises(KeyRevoked):
            await ledger.submit(ask)
    assert_audits(world.path)


async def test_a_retry_by_the_successor_of_a_retired_key_is_not_refused_with_it(world: World) -> None:
    async with opened(world) as ledger:
        old = await funded(world, ledger)
        new = await world.register(ledger, "scheme", "visa")
        body = authorisation("t", "c1", "1.00")
        asks = [world.webhook(party, "authorisation", body, "one-id") for party in (old, new)]
        retire = world.key_change(ledger, "retire", "scheme", "visa", old.signer.public_key)
        submissions: list[Submission] = [retire, *asks]
        waits = [asyncio.create_task(ledger.submit(submission)) for submission in submissions]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert isinstance(outcomes[1], KeyRevoked)
        assert reason_of(outcomes[2]) == "ok"
    assert_audits(world.path)


async def test_the_entry_key_is_replaced_between_two_entries(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "1.00")) for n in range(20)]
        waits = [asyncio.create_task(ledger.submit(ask)) for ask in asks[:10]]
        new = await world.rotate_entry_key(ledger)
        waits += [asyncio.create_task(ledger.submit(ask)) for ask in asks[10:]]
        assert {(await wait).body.reason for wait in waits} == {"ok"}  # type: ignore[union-attr]
        assert ledger.keyring.current("entry").public_key == new.public_key
    assert_audits(world.path)


async def test_another_process_rotation_is_taken_up_and_its_writing_followed(world: World) -> None:
    async with opened(world) as served, opened(world) as operator:
        visa = await funded(world, served)
        await operator.look()
        new = await world.rotate_entry_key(operator)
        answer = await served.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00")))
        assert served.keyring.entry_key_at(answer.seq) == new.public_key
        await world.load(operator, "c1", 5_00)
        ask = world.webhook(visa, "authorisation", authorisation("u", "c1", "104.00"))
        assert (await served.submit(ask)).body.reason == "ok"  # type: ignore[union-attr]
    assert_audits(world.path)


async def test_a_key_change_that_another_process_forestalled_is_refused(world: World) -> None:
    async with opened(world) as first, opened(world) as second:
        party = Party("visa")
        stale = world.key_change(second, "add", "scheme", "visa", party.signer.public_key)
        await world.register(first, "operator", "ops")
        with pytest.raises(KeyChangeRefused) as refused:
            await second.submit(stale)
        assert refused.value.field == "version"
    assert_audits(world.path)


async def test_two_writers_on_one_ledger_spend_the_money_once(world: World) -> None:
    async with opened(world) as first, opened(world) as second:
        visa = await funded(world, first)
        await second.look()
        writers = [first, second]

        async def ask(number: int) -> str:
            body = authorisation(f"t{number}", "c1", "10.00")
            answer = await writers[number % 2].submit(world.webhook(visa, "authorisation", body))
            return reason_of(answer)

        reasons = [await wait for wait in [asyncio.create_task(ask(number)) for number in range(64)]]
        assert sorted(reasons) == ["insufficient_funds"] * 54 + ["ok"] * 10
    assert_audits(world.path)


# --- the clock -------------------------------------------------------------------------------------------------------


async def test_a_clock_set_back_does_not_set_entries_back(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        world.clock.now -= 3_600_000_000
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00")))
        world.clock.now += 7_200_000_000
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("u", "c1", "1.00")))
    assert_audits(world.path)


# --- an attacker with the file ---------------------------------------------------------------------------------------


def rewrite_part(path: Path, seq: int, part: str, change: Callable[[dict[str, Any]], None]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (data,) = connection.execute(f"SELECT {part} FROM parts WHERE seq = ?", (seq,)).fetchone()
    members = json.loads(data)
    change(members)
    written = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    edit(path, f"UPDATE parts SET {part} = ? WHERE seq = ?", written, seq)


@pytest.mark.parametrize("column", ["posted", "held", "seq"])
async def test_an_edited_balance_approves_nothing_and_other_cards_are_served(world: World, column: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await world.load(ledger, "c2", 50_00)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("held", "c1", "60.00")))
    change = {"posted": "posted + 100000", "held": "0", "seq": "seq + 1"}[column]
    edit(world.path, f"UPDATE account_states SET {column} = {change} WHERE owner = 'card:c1' AND held > 0")
    async with opened(world) as ledger:
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "90.00")))
        answer = await ledger.submit(world.webhook(visa, "authorisation", authorisation("u", "c2", "50.00")))
        assert reason_of(answer) == "ok"
        assert ledger._writer._metrics.integrity_alarms._value.get() == 1


@pytest.mark.parametrize(
    ("part", "change"),
    [
        pytest.param("body", lambda m: m.update(billing_amount="4.00"), id="the body's amount"),
        pytest.param("body", lambda m: m.update(card_id="c2"), id="the body's card"),
        pytest.param("body", lambda m: m.update(decision="declined", reason="insufficient_funds"), id="the decision"),
        pytest.param("body", lambda m: m.update(salt="AAAAAAAAAAAAAAAAAAAAAA=="), id="the salt alone"),
        pytest.param("evidence", lambda m: m.update(body=m["body"][:-4] + "AAA="), id="the request in the evidence"),
        pytest.param("evidence", lambda m: m.update(signature="A" * 86 + "=="), id="the Scheme's signature"),
        pytest.param("evidence", lambda m: m.update(kid="0" * 64), id="the Scheme's kid"),
        pytest.param("evidence", lambda m: m.update(public_key="A" * 43 + "="), id="the Scheme's public key"),
        pytest.param("evidence", lambda m: m.update(authority="elsewhere"), id="the authority"),
        pytest.param("evidence", lambda m: m.update(received="2026-11-24T10:00:00.000000Z"), id="the time received"),
    ],
)
async def test_an_edited_authorisation_moves_no_money(
    world: World, part: str, change: Callable[[dict[str, Any]], None]
) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await world.load(ledger, "c2", 50_00)
        seq = (await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))).seq
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("u", "c2", "40.00")))
        entries = await ledger._store.newest()
        rewrite_part(world.path, seq, part, change)
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", presentment("t", "40.00")))
        assert await ledger._store.newest() == entries
        assert reason_of(await ledger.submit(world.webhook(visa, "presentment", presentment("u", "40.00")))) == "ok"


@pytest.mark.parametrize("offset", [0, 40, 130, 300, 400, -2])
async def test_an_authorisation_whose_entry_was_edited_moves_no_money(world: World, offset: int) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        answer = await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))
        await world.load(ledger, "c2", 1_00)  # so that the edited entry is not the head
        note = bytearray(answer.entry)
        note[offset] ^= 1
        edit(world.path, "UPDATE entries SET note = ? WHERE seq = ?", bytes(note), answer.seq)
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", presentment("t", "40.00")))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE authorisation_states SET held = 1 WHERE transaction_id = 't'", id="a smaller hold"),
        pytest.param("UPDATE authorisation_states SET card_id = 'c2' WHERE transaction_id = 't'", id="another card"),
        pytest.param("UPDATE authorisation_states SET status = 'CLEARED' WHERE transaction_id = 't'", id="cleared"),
        pytest.param(
            "UPDATE authorisation_states SET authorisation_seq = 1 WHERE transaction_id = 't'", id="its entry"
        ),
        pytest.param("UPDATE authorisation_states SET seq = 3 WHERE transaction_id = 't'", id="its newest entry"),
        pytest.param("UPDATE authorisation_states SET authorised = 50000", id="a larger authorisation"),
        pytest.param("UPDATE authorisation_states SET reversed = 100, held = 3900", id="a reversal"),
        pytest.param("UPDATE authorisation_states SET final = 1, clearings = 1", id="that it was cleared before"),
        pytest.param("UPDATE authorisation_states SET expires = NULL", id="no end of its time"),
        pytest.param("UPDATE authorisation_states SET expired = -1", id="totals that can not be"),
        pytest.param("DELETE FROM parts WHERE seq = (SELECT max(seq) FROM webhooks)", id="the parts gone"),
        pytest.param("UPDATE parts SET evidence = NULL WHERE seq = (SELECT max(seq) FROM webhooks)", id="no evidence"),
    ],
)
async def test_an_edited_row_about_an_authorisation_moves_no_money(world: World, statement: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))
        edit(world.path, statement)
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", presentment("t", "40.00")))


@pytest.mark.parametrize(
    "change",
    ["scheme = ''", "scheme = 'other'", "blocked = 0", "blocked = 2", "seq = seq + 1"],
    ids=["no Scheme's", "another's", "not blocked", "a block of another sort", "its entry"],
)
async def test_an_edited_row_about_a_card_approves_nothing(world: World, change: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await ledger.submit(ChangeCard("bind", "c1", "visa"))
        await ledger.submit(ChangeCard("block", "c1"))
    edit(world.path, f"UPDATE card_states SET {change} WHERE seq = (SELECT max(seq) FROM card_states)")
    async with opened(world) as ledger:
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00")))
        assert ledger._writer._metrics.integrity_alarms._value.get() == 1


@pytest.mark.parametrize("change", ["seq = 1", "seq = seq + 1"])
async def test_an_edited_row_about_a_clearing_posts_nothing(world: World, change: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "4.00")))
        part: dict[str, Any] = {"final": False, "billing_amount": "1.00", "billing_currency": "EUR"}
        body = presentment("t", "1.00", presentment_id="p-1", **part)
        await ledger.submit(world.webhook(visa, "presentment", body))
        edit(world.path, f"UPDATE postings SET {change}")
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", body))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlements SET seq = 1",
        "UPDATE settlements SET seq = seq + 1",
        "UPDATE parts SET body = x'00' WHERE seq = (SELECT max(seq) FROM settlements)",
        "UPDATE parts SET evidence = NULL WHERE seq = (SELECT max(seq) FROM transactions WHERE type = 'presentment')",
        "UPDATE transactions SET scheme = 'other' WHERE type = 'presentment' AND seq > 12",
        "UPDATE transactions SET scheme = 'visa', type = 'refund' WHERE type = 'load'",
    ],
)
async def test_edited_rows_about_what_is_to_be_settled_settle_nothing(world: World, statement: str) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        for name in "tu":
            await ledger.submit(world.webhook(visa, "authorisation", authorisation(name, "c1", "4.00")))
        await ledger.submit(world.webhook(visa, "presentment", presentment("t", "4.00")))
        first = await ledger.submit(Settling(Settle("visa", "2026-11-23", world.clock()), -1, -1, {}))
        await ledger.submit(world.webhook(visa, "presentment", presentment("u", "4.00")))
        await world.load(ledger, "c1", 1_00)
        edit(world.path, statement)
        entries = await ledger._store.newest()
        with pytest.raises(IntegrityViolation):
            await ledger.submit(Settling(Settle("visa", "2026-11-24", world.clock()), first.seq, first.seq, {}))
        assert await ledger._store.newest() == entries


async def test_text_that_is_no_text_stops_one_transaction_and_not_the_service(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        for name in "tu":
            await ledger.submit(world.webhook(visa, "authorisation", authorisation(name, "c1", "4.00")))
        edit(world.path, "UPDATE authorisation_states SET card_id = CAST(x'ff' AS TEXT) WHERE transaction_id = 't'")
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", presentment("t", "4.00")))
        assert reason_of(await ledger.submit(world.webhook(visa, "presentment", presentment("u", "4.00")))) == "ok"


async def test_a_declined_authorisation_made_open_by_hand_moves_no_money(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger, 1_00)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))
        edit(world.path, "UPDATE authorisation_states SET status = 'PENDING', held = 4000")
        with pytest.raises(IntegrityViolation):
            await ledger.submit(world.webhook(visa, "presentment", presentment("t", "40.00")))


async def test_a_webhook_row_that_names_another_entry_answers_nothing(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        first = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"))
        await ledger.submit(first)
        await ledger.submit(world.webhook(visa, "authorisation", authorisation("u", "c1", "2.00")))
        edit(
            world.path,
            "UPDATE webhooks SET seq = (SELECT max(seq) FROM webhooks) WHERE webhook_id = ?",
            first.webhook_id,
        )
        with pytest.raises(IntegrityViolation):
            await ledger.submit(first)


async def test_a_ledger_rewritten_under_the_writer_stops_it(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        edit(world.path, "UPDATE entries SET note = zeroblob(300) WHERE seq = (SELECT max(seq) FROM entries)")
        with pytest.raises(InternalError):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00")))
        with pytest.raises(Fault):
            await ledger.stopped


# --- the disk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reached", [False, True], ids=["before the disk had it", "after the disk had it"])
async def test_a_commit_that_fails_stops_the_writer_and_a_restart_tells_the_truth(world: World, reached: bool) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        fail_the_disk(ledger, reached)
        asks = [world.webhook(visa, "authorisation", authorisation(f"t{n}", "c1", "1.00")) for n in range(3)]
        assert await submit_all(ledger, asks) == ["InternalError"] * 3
        with pytest.raises(Fault):
            await ledger.stopped
        with pytest.raises(Overloaded):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation("late", "c1", "1.00")))
    async with opened(world) as ledger:
        assert [(await ledger.submit(ask)).replayed for ask in asks] == [reached] * 3
        assert reason_of(await ledger.submit(world.webhook(visa, "presentment", presentment("t0", "1.00")))) == "ok"
    assert_audits(world.path)


async def test_a_busy_ledger_is_told_as_overloaded_and_the_next_try_succeeds(world: World) -> None:
    async with opened(world) as ledger:
        visa = await funded(world, ledger)
        await ledger._store._connection.execute("PRAGMA busy_timeout = 20")
        ask = world.webhook(visa, "authorisation", authorisation("t", "c1", "1.00"))
        with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Overloaded):
                await ledger.submit(ask)
            other.execute("ROLLBACK")
        assert reason_of(await ledger.submit(ask)) == "ok"
    assert_audits(world.path)
