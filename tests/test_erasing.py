"""A person asks to be forgotten: what is told of a card goes, all of it or nothing, and all else stays proved."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import CardNotFound, Fault, IntegrityViolation, StateConflict
from signed_ledger.ledger import Answer, Ledger, Settling
from signed_ledger.rebuild import rebuild
from signed_ledger.records import PART_NAMES, CardTransaction, Erasure
from signed_ledger.rules import ChangeCard, Erase, Settle, erasing
from signed_ledger.store import empty_log
from signed_ledger.store import erasing as store_erasing
from signed_ledger.tables import DERIVED_TABLES, TABLES
from tests.bookkeeping import balances_of as booked
from tests.bookkeeping import bean_check, beancount_balances, check_with_hledger, exported, hledger_balances
from tests.processes import PROJECT, installed
from tests.support import Sample, assert_audits, edit, make_sample, rows
from tests.world import Party, World, authorisation, balances_of, euros, opened, presentment

ERASE = Erase("c1", "case 2026-117", "article 17")
OWNERS = ("card:c1", "card:c2", "issuer", "scheme:visa", "external:visa")


async def settle(world: World, ledger: Ledger, date: str) -> Answer:
    newest = rows(world.path, "SELECT ifnull(max(seq), -1) FROM settlements")[0][0]
    return await ledger.submit(Settling(Settle("visa", date, world.clock()), newest, newest, {}))


async def settled_sample(folder: Path) -> Sample:
    """The sample, with nothing held on c1 any more and everything settled."""
    sample = await make_sample(folder)
    async with opened(sample.world) as ledger:
        for name in ("open", "open-too"):
            await sample.send(ledger, f"{name}-undone", "reversal", transaction_id=name)
        await settle(sample.world, ledger, "2026-11-25")
    return sample


async def erased_sample(folder: Path) -> Sample:
    sample = await settled_sample(folder)
    async with opened(sample.world) as ledger:
        sample.seqs["erasure"] = (await ledger.submit(ERASE)).seq
    return sample


async def spend_all(world: World, ledger: Ledger, card_id: str) -> Party:
    """A card that had 12.34 and spent it at one shop, settled."""
    visa = await world.register(ledger, "scheme", "visa")
    await ledger.submit(ChangeCard("bind", card_id, "visa", f"ordered for {card_id}"))
    await world.load(ledger, card_id, 12_34)
    asked = authorisation(f"tx-{card_id}", card_id, "12.34", merchant_name="Heurigen Zimmermann")
    await ledger.submit(world.webhook(visa, "authorisation", asked, f"wh-{card_id}"))
    await ledger.submit(world.webhook(visa, "presentment", presentment(f"tx-{card_id}", "12.00")))
    await settle(world, ledger, "2026-11-23")
    return visa


def derived(path: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: rows(path, f"SELECT * FROM {table.name}") for table in DERIVED_TABLES}


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*") if not file.name.endswith("-shm"))


# --- what goes, what stays -----------------------------------------------------------------------------------------


async def test_all_parts_of_a_card_go_and_every_balance_every_row_and_every_proof_stays(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    before = await balances_of(sample.world, *OWNERS)
    notes = rows(sample.path, "SELECT seq, note FROM entries")
    others = rows(sample.path, "SELECT * FROM transactions WHERE card_id <> 'c1'")
    async with opened(sample.world) as ledger:
        answer = await ledger.submit(ERASE)
    erasure = answer.body
    assert isinstance(erasure, Erasure)
    assert (erasure.asked_by, erasure.why) == (ERASE.asked_by, ERASE.why)
    assert await balances_of(sample.world, *OWNERS) == before
    assert rows(sample.path, "SELECT seq, note FROM entries")[:-1] == notes
    assert rows(sample.path, "SELECT * FROM transactions") == others
    report = assert_audits(sample.path, sample.trust)
    assert report.erased == {name: erasure.count(name) for name in PART_NAMES}
    assert report.erasures == 1
    assert f"{sum(report.erased.values())} parts of entries were erased" in " ".join(report.not_known)
    assert report.to_json()["erased"] == report.erased


async def test_a_rebuild_makes_the_very_rows_that_an_erasure_left(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    left = derived(sample.path)
    rebuild(sample.path)
    assert derived(sample.path) == left
    assert_audits(sample.path, sample.trust)


async def test_no_byte_of_a_card_without_money_is_left_in_the_file_or_its_log(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = [b"ada-lovelace", b"Heurigen Zimmermann", b'"billing_amount":"12.34"', b'"authorised":"12.34"']
    async with opened(world) as ledger:
        await spend_all(world, ledger, "ada-lovelace")
        assert all(text in bytes_of(world.path) for text in told)
        await ledger.submit(Erase("ada-lovelace", "case 1", "asked"))
        assert await empty_log(ledger._store)
        assert [text for text in told if text in bytes_of(world.path)] == []
    assert_audits(world.path)
    assert rows(world.path, "SELECT * FROM account_states WHERE owner LIKE 'card:%'") == []


async def test_a_vacuum_after_it_leaves_a_ledger_that_verifies_and_is_append_only(tmp_path: Path) -> None:
    """What docs/operations.md has done once to a ledger that an earlier release wrote to."""
    sample = await erased_sample(tmp_path)
    with closing(sqlite3.connect(sample.path)) as connection:
        connection.execute("VACUUM")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM parts")
    assert assert_audits(sample.path, sample.trust).erasures == 1


def test_no_table_is_read_from_end_to_end_under_the_write_lock(tmp_path: Path) -> None:
    world = World(tmp_path)
    names = dict.fromkeys(("owner", "card_id", "gone", "kept", *PART_NAMES), "[]")
    with closing(sqlite3.connect(world.path)) as connection:
        for statement in (*store_erasing.REMOVALS, *store_erasing.PART_REMOVALS, store_erasing.SEQS):
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", names)]
            assert [step for step in plan if step.startswith("SCAN") and "json_each" not in step] == []
    assert_audits(world.path)


async def test_a_card_that_comes_back_is_a_new_one_and_can_be_erased_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        visa = await spend_all(world, ledger, "c5")
        await ledger.submit(Erase("c5", "case 1", "asked"))
        again = authorisation("tx-c5", "c5", "12.34", merchant_name="Heurigen Zimmermann")
        answer = await ledger.submit(world.webhook(visa, "authorisation", again, "wh-c5"))
        assert isinstance(answer.body, CardTransaction)
        assert (answer.body.reason, answer.replayed) == ("card_not_found", False)
        await world.load(ledger, "c5", 7_00)
        assert_audits(world.path)
        await ledger.submit(Erase("c5", "case 2", "asked again"))
        await world.load(ledger, "c5", 1_00)  # what it has had stayed, and so did its account
        await ledger.submit(Erase("c5", "case 3", "asked once more"))
    assert [*(await balances_of(world, "card:c5")).values()] == [(8_00, 0)]
    left = derived(world.path)
    rebuild(world.path)
    assert derived(world.path) == left
    assert assert_audits(world.path).erasures == 3


async def test_what_does_not_fit_into_one_entry_stands_in_several_of_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "ENTRIES_MAX", 3)
    sample = await settled_sample(tmp_path)
    async with opened(sample.world) as ledger:
        answer = await ledger.submit(ERASE)
    assert len(answer.erasures) > 3
    assert answer.erasures[-1] == answer.body
    report = assert_audits(sample.path, sample.trust)
    assert report.erasures == len(answer.erasures)


async def test_the_books_balance_without_the_card(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    journal, beans = exported(sample.path, "hledger"), exported(sample.path, "beancount")
    assert check_with_hledger(journal).returncode == 0
    assert bean_check(beans).returncode == 0
    expected = {name: amount for name, amount in booked(sample.path).items() if amount}
    for found in (hledger_balances(journal), beancount_balances(beans)):
        assert {name: amount for name, amount in found.items() if amount} == expected
    assert_audits(sample.path, sample.trust)


# --- when not ------------------------------------------------------------------------------------------------------


async def refused(world: World, command: Erase, kind: type[Exception], why: str) -> None:
    """It says why, and nothing was changed."""
    before = rows(world.path, "SELECT * FROM parts")
    async with opened(world) as ledger:
        with pytest.raises(kind, match=why):
            await ledger.submit(command)
    assert rows(world.path, "SELECT * FROM parts") == before


async def test_it_is_refused_while_an_authorisation_holds_money(tmp_path: Path) -> None:
    sample = await make_sample(tmp_path)
    await refused(sample.world, ERASE, StateConflict, r"Authorisations hold 25\.00 EUR of card c1")
    assert_audits(sample.path, sample.trust)


async def test_it_is_refused_while_a_posting_is_not_settled(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    async with opened(sample.world) as ledger:
        forced: dict[str, Any] = {"card_id": "c1", "force_post": True, **euros("billing", "1.00")}
        await sample.send(ledger, "late", "presentment", **presentment("late", "1.00", **forced))
    await refused(sample.world, ERASE, StateConflict, "run signed-ledger settle --scheme visa first")
    assert_audits(sample.path, sample.trust)


async def test_it_is_refused_for_a_card_of_which_nothing_is_told_any_more(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    await refused(sample.world, ERASE, CardNotFound, "Nothing is told of a card c1")
    await refused(sample.world, Erase("c77", "case 1", "asked"), CardNotFound, "Nothing is told of a card c77")
    assert_audits(sample.path, sample.trust)


async def test_it_is_refused_where_an_edited_row_gives_it_another_cards_entry(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    edit(sample.path, "UPDATE transactions SET card_id = 'c1' WHERE seq = ?", sample.seqs["life"])
    await refused(sample.world, ERASE, IntegrityViolation, f"{sample.seqs['life']} is not about it")
    edit(sample.path, "UPDATE transactions SET card_id = 'c2' WHERE seq = ?", sample.seqs["life"])
    assert_audits(sample.path, sample.trust)


async def test_nothing_else_can_remove_a_part_afterwards_either(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    with closing(sqlite3.connect(sample.path)) as connection:
        filled = [table for table in TABLES if connection.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchone()]
        for table in filled:
            for change in (f"DELETE FROM {table.name}", f"UPDATE {table.name} SET seq = seq + 1000"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(change)
    assert_audits(sample.path, sample.trust)


# --- others at work ------------------------------------------------------------------------------------------------


async def test_a_writer_beside_it_goes_on_and_knows_the_card_no_more(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    async with opened(sample.world) as server, opened(sample.world) as command_line:
        await sample.authorise(server, "warm", "c1", "0.00")
        await sample.authorise(server, "warm-too", "c2", "0.00")
        await command_line.submit(ERASE)
        for name, card_id, reason in (("after", "c1", "card_not_found"), ("after-too", "c2", "ok")):
            answer = await server.submit(
                sample.world.webhook(sample.visa, "authorisation", authorisation(name, card_id, "0.00"))
            )
            assert isinstance(answer.body, CardTransaction)
            assert answer.body.reason == reason
    assert_audits(sample.path, sample.trust)


async def test_the_writer_that_erased_knows_the_card_no_more(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    async with opened(sample.world) as ledger:
        await sample.authorise(ledger, "warm", "c1", "0.00")
        await ledger.submit(ERASE)
        with pytest.raises(CardNotFound):
            await ledger.submit(ChangeCard("block", "c1"))
    assert_audits(sample.path, sample.trust)


async def test_a_commit_that_fails_erases_nothing(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    before = rows(sample.path, "SELECT * FROM parts"), derived(sample.path)
    with closing(sqlite3.connect(sample.path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    async with opened(sample.world) as ledger:
        with pytest.raises(Exception, match="whether this was recorded is not known"):
            await ledger.submit(ERASE)
        assert isinstance(ledger.stopped.exception(), Fault)
    assert (rows(sample.path, "SELECT * FROM parts"), derived(sample.path)) == before
    assert_audits(sample.path, sample.trust)


def test_killed_at_any_moment_it_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    past = installed(tmp_path / "past")
    past.json("load-money", "card-9", "5.00", "EUR")
    asked = ["erase", "--card", "card-9", "--asked-by", "case 9", "--why", "asked", "--yes"]
    command = [sys.executable, "-m", "tests.killing", past.folder, tmp_path / "copies", *asked]
    done = subprocess.run([*map(str, command)], cwd=PROJECT, env=past.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = set()
    for copy in (tmp_path / "copies").iterdir():
        report = assert_audits(copy / "ledger.db")
        assert (report.erasures, sum(report.erased.values())) == (1, 4), copy
        told = (copy / "second.txt").read_text()
        whole.add(bool(told))  # the second run had it to do, or found it done
        assert not told or json.loads(told)["is_erased"]
    assert whole == {True, False}
