"""`expire`: in order, never early, twice, beside servers and presentments, tampered with, and when the disk fails."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from argparse import Namespace
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from signed_ledger.cli.settling import run_expire
from signed_ledger.daily import Expired, expire_due
from signed_ledger.errors import InternalError
from signed_ledger.ledger import Ledger
from signed_ledger.records import DEFAULT_TERMS, AuthorisationKey, Scope, Window
from tests.callers import Load
from tests.settlements import Life, Past, begin, desk_on, opened_desk
from tests.support import assert_audits, edit, fail_the_disk, rows
from tests.world import DAY, World, opened, presentment


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def expire(world: World, ledger: Ledger) -> Expired:
    async with desk_on(world, ledger) as desk:
        return await expire_due(desk)


EXPIRED_IN_ORDER = "SELECT transaction_id FROM transactions WHERE type = 'expiry' ORDER BY seq"


async def test_in_order_of_expiry_then_seq(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        short = Window(Scope(kinds=("final",)), 3)
        await ledger.submit(replace(DEFAULT_TERMS, windows=(short,)))
        await life.authorise("late")
        world.clock.now += 60_000_000
        await life.authorise("early-2", authorisation_kind="final")
        await life.authorise("early-1", authorisation_kind="final")
        world.clock.now += 60_000_000
        await life.authorise("last")
        world.clock.now += 8 * DAY
        expired = await expire(world, ledger)
    assert rows(world.path, EXPIRED_IN_ORDER) == [("early-2",), ("early-1",), ("late",), ("last",)]
    assert (expired.count, dict(expired.released), expired.failed) == (4, {"EUR": 400}, [])
    assert_audits(world.path)


async def test_never_early_by_a_microsecond_though_the_list_says_so(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        expires = (await life.authorise("t")).expires
        assert expires == world.clock.now + 7 * DAY
        world.clock.now = expires - 1
        assert (await expire(world, ledger)).count == 0
        async with desk_on(world, ledger) as desk:
            desk.clock = lambda: expires  # another machine's clock goes before the writer's
            assert await desk.reader.due(desk.clock()) == [AuthorisationKey("acme", "t")]
            assert await expire_due(desk) == Expired()
        world.clock.now = expires
        assert (await expire(world, ledger)).count == 1
    assert_audits(world.path)


async def test_what_holds_nothing_is_not_expired(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.authorise("nothing", "0.00")
        await life.authorise("cleared")
        await life.present("cleared", "1.00")
        await life.authorise("reversed")
        await life.send("reversal", {"transaction_id": "reversed"})
        world.clock.now += 8 * DAY
        assert await expire(world, ledger) == Expired()
    assert_audits(world.path)


async def test_an_increment_starts_the_time_anew(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.authorise("t")
        world.clock.now += 6 * DAY
        await life.send("increment", {"transaction_id": "t", "billing_amount": "2.00", "billing_currency": "EUR"})
        world.clock.now += 2 * DAY
        assert (await expire(world, ledger)).count == 0
        world.clock.now += 5 * DAY
        assert (await expire(world, ledger)).released == {"EUR": 300}
    assert_audits(world.path)


async def test_twice_changes_nothing_and_each_currency_has_its_sum(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await world.load(ledger, "c1", 5_000, "JPY")
        for n in range(130):
            await life.authorise(f"t{n}", "0.01")
        await life.authorise("yen", "4000", currency="JPY")
        world.clock.now += 8 * DAY
        first, second = await expire(world, ledger), await expire(world, ledger)
    assert (first.count, first.released) == (131, {"EUR": 130, "JPY": 4000})
    assert [str(amount) for amount in first.amounts()] == ["1.30 EUR", "4000 JPY"]
    assert second == Expired()
    assert_audits(world.path)


async def test_two_at_once_expire_each_once(world: World) -> None:
    async with opened_desk(world) as one, opened_desk(world) as other:
        life = await begin(world, one.ledger)
        for n in range(250):
            await life.authorise(f"t{n}", "0.01")
        world.clock.now += 8 * DAY
        both = await asyncio.gather(expire_due(one), expire_due(other))
        assert sum(expired.count for expired in both) == 250
        assert [expired.failed for expired in both] == [[], []]
        assert one.metrics.expired._value.get() == both[0].count
    assert len(rows(world.path, EXPIRED_IN_ORDER)) == 250
    assert_audits(world.path)


async def test_at_once_with_presentments_each_is_posted_before_or_after(world: World) -> None:
    async with opened(world) as ledger, opened_desk(world) as desk:
        life = await begin(world, ledger)
        for n in range(40):
            await life.authorise(f"t{n}", "0.01")
        world.clock.now += 8 * DAY
        clearings = [life.send("presentment", presentment(f"t{n}", "0.01")) for n in range(0, 40, 2)]
        expired, posted = await asyncio.gather(expire_due(desk), asyncio.gather(*clearings))
        totals = [answer.body.totals for answer in posted]  # type: ignore[union-attr]
        assert {after.status for after in totals if after} == {"CLEARED"}
        after_expiry = sum(after.expired > 0 for after in totals if after)
        assert (expired.count, expired.failed) == (20 + after_expiry, [])
    assert_audits(world.path)


# --- what does not verify, and what fails ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE authorisation_states SET held = held + 1 WHERE transaction_id = 't1'", id="a larger hold"),
        pytest.param("UPDATE authorisation_states SET expires = 1 WHERE transaction_id = 't1'", id="an earlier time"),
        pytest.param("UPDATE authorisation_states SET transaction_id = 'x' WHERE transaction_id = 't1'", id="another"),
        pytest.param("UPDATE authorisation_states SET transaction_id = ' ' WHERE transaction_id = 't1'", id="no id"),
        pytest.param("UPDATE authorisation_states SET scheme = 'x' WHERE transaction_id = 't1'", id="another Scheme"),
        pytest.param(
            "UPDATE authorisation_states SET transaction_id = CAST(x'ff' AS TEXT) WHERE transaction_id = 't1'",
            id="no text",
        ),
        pytest.param(
            "DELETE FROM parts WHERE seq = (SELECT seq FROM authorisation_states WHERE transaction_id = 't1')",
            id="the parts gone",
        ),
    ],
)
async def test_one_that_does_not_verify_is_told_and_the_others_go_on(world: World, statement: str) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        for n in range(3):
            await life.authorise(f"t{n}")
        edit(world.path, statement)
        world.clock.now += 8 * DAY
        expired = await expire(world, ledger)
        assert (expired.count, len(expired.failed)) == (2, 1)
        assert (await expire(world, ledger)).count == 0
    assert rows(world.path, EXPIRED_IN_ORDER) == [("t0",), ("t2",)]


@pytest.mark.parametrize("reached", [False, True], ids=["before the disk had it", "after the disk had it"])
async def test_a_commit_that_fails_stops_it_and_the_next_run_finds_the_truth(world: World, reached: bool) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        for n in range(5):
            await life.authorise(f"t{n}")
        world.clock.now += 8 * DAY
        fail_the_disk(ledger, reached)
        with pytest.raises(InternalError):
            await expire(world, ledger)
    async with opened(world) as ledger:
        assert (await expire(world, ledger)).count == (0 if reached else 5)
    assert len(rows(world.path, EXPIRED_IN_ORDER)) == 5
    assert_audits(world.path)


# --- the command ----------------------------------------------------------------------------------------------------


async def _authorise(past: Past, count: int) -> None:
    async with opened(past.world) as ledger:
        life: Life = await past.begin(ledger)
        asks = [life.authorise(f"t{n}", "0.01") for n in range(count)]
        await asyncio.gather(*asks)


def test_the_command_tells_how_many_and_how_much(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_authorise(past, 3))
    assert past.json("expire") == {"expired": 3, "released": {"EUR": "0.03"}, "failed": []}
    assert past.run("expire").stdout == "Expired 0.\n"
    past.assert_audits()
    assert "signed-ledger expire" in past.help("expire")


def test_the_command_names_what_did_not_verify_and_says_no(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_authorise(past, 3))
    edit(past.database, "UPDATE authorisation_states SET held = 2 WHERE transaction_id = 't1'")
    ended = past.run("expire", status=1)
    assert ended.stdout == "Expired 2, released 0.02 EUR.\n"
    assert "'t1' of 'acme' was not expired" in ended.stderr
    failed = json.loads(past.run("expire", "--json", status=1).stdout)["failed"]
    assert [(each["scheme"], each["transaction_id"]) for each in failed] == [("acme", "t1")]


def test_a_ledger_that_stays_busy_is_told(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_authorise(past, 1))
    with closing(sqlite3.connect(past.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "Another process is writing" in past.refused(2, "expire", BUSY_TIMEOUT_MS=20)
        other.execute("ROLLBACK")
    assert past.json("expire")["expired"] == 1
    past.assert_audits()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("count", "shown"), [(499, False), (500, True)], ids=["few", "many"])
def test_many_have_a_progress_bar_in_a_terminal(tmp_path: Path, count: int, shown: bool) -> None:
    past = Past(tmp_path)
    asyncio.run(_authorise(past, count))
    options = Namespace(json=False, passphrase_file=None, clock_is_right=False)
    with redirect_stderr(Terminal()) as terminal, redirect_stdout(StringIO()):
        assert run_expire(options, past.in_process) == 0
    assert (f"/{count} [" in terminal.getvalue()) is shown
    past.assert_audits()


async def test_twice_at_once_beside_a_server_under_load(tmp_path: Path) -> None:
    past = Past(tmp_path)
    await _authorise(past, 400)
    with past.serve("--workers", "2") as server:
        async with Load(past.scheme, [server.url]) as load:
            await load.until(20)
            runs = [await _start(past, "expire", "--json") for _ in range(2)]
            told = [json.loads((await run.communicate())[0]) for run in runs]
            await load.until(20)
        load.assert_all_approved()
    assert sum(each["expired"] for each in told) == 400
    assert [each["failed"] for each in told] == [[], []]
    past.assert_audits()


async def _start(past: Past, *arguments: str) -> asyncio.subprocess.Process:
    command = [*map(str, past.command(*arguments))]
    return await asyncio.create_subprocess_exec(*command, env=past.environment(), stdout=subprocess.PIPE)


def test_killed_at_any_moment_the_next_run_does_the_rest(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_authorise(past, 600))
    counts = []
    for _ in range(4):
        process = subprocess.Popen([*map(str, past.command("expire"))], env=past.environment(), start_new_session=True)
        before = len(past.rows(EXPIRED_IN_ORDER))
        deadline = time.monotonic() + 20
        while process.poll() is None and len(past.rows(EXPIRED_IN_ORDER)) == before and time.monotonic() < deadline:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(len(past.rows(EXPIRED_IN_ORDER)))
        past.assert_audits()
    assert counts[0] % 100 == 0
    past.run("expire")
    assert len(set(past.rows(EXPIRED_IN_ORDER))) == len(past.rows(EXPIRED_IN_ORDER)) == 600
    past.assert_audits()
