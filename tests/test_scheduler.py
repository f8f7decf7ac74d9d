"""The day by itself: caught up, once, tried again when it fails, and inside a server that goes on."""

import asyncio
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog

from signed_ledger.config import read_settings
from signed_ledger.daily import (
    ClockWatch,
    Desk,
    Schedule,
    day_at,
    day_before,
    keep_settling,
    settle,
)
from signed_ledger.errors import Fault, Invalid
from signed_ledger.ledger import Ledger
from signed_ledger.telemetry import Metrics
from tests.callers import Load, authorisation, send
from tests.processes import DEADLINE_SECONDS, Installation, Server, installed, wait_until
from tests.settlements import Past, begin, desk_on
from tests.support import assert_audits, edit, rows
from tests.world import DAY, World, opened

VIENNA, UTC_ZONE = ZoneInfo("Europe/Vienna"), ZoneInfo("UTC")


# --- in this process ------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Running:
    """The scheduler on an open ledger, with what it logged."""

    def __init__(self, world: World, ledger: Ledger, folder: Path, hour: int = 3) -> None:
        self.metrics = Metrics()
        self.opened = 0
        self._world = world
        self._ledger = ledger
        self._schedule = Schedule(hour, UTC_ZONE, folder)
        self.fails = False

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        self.opened += 1
        if self.fails:
            raise Fault("the disk failed")
        async with desk_on(self._world, self._ledger, serving=True) as desk:
            desk.metrics = self.metrics
            yield desk

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator["Running"]:
        clock = self._world.clock
        watch = ClockWatch(clock, steady=clock)
        keeping = keep_settling(self.desk, self._schedule, clock, watch, self.metrics, retry_seconds=0.01)
        task = asyncio.create_task(keeping)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    @property
    def done(self) -> int:
        return self.outcomes("settled") + self.outcomes("settled_before")

    def outcomes(self, outcome: str) -> int:
        return int(self.metrics.settlements.labels(outcome)._value.get())

    async def until(self, outcome: str, count: int) -> None:
        await until(lambda: self.outcomes(outcome) >= count)

    async def until_files(self, count: int) -> None:
        await until(lambda: len(files_in(self._schedule.folder)) >= count)


def files_in(folder: Path) -> dict[str, bytes]:
    """Those that have their name: what is being written has not yet."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def settled_days(path: Path) -> list[tuple[str, str]]:
    return [(scheme, day) for scheme, day in rows(path, "SELECT scheme, date FROM settlements ORDER BY seq")]


async def test_it_expires_settles_with_each_scheme_and_writes_the_files(world: World, tmp_path: Path) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await world.register(ledger, "scheme", "other")
        await life.authorise("due")
        await life.force("t", "1.00")
        world.clock.now += 8 * DAY  # to 2026-12-01, 10 o'clock
        async with Running(world, ledger, tmp_path / "out")() as running:
            await running.until_files(6)
            await life.force("u", "2.00")
            world.clock.now += DAY
            await running.until_files(12)
        assert running.metrics.expired._value.get() == 1
    assert settled_days(world.path) == [
        ("acme", "2026-11-30"),
        ("other", "2026-11-30"),
        ("acme", "2026-12-01"),
        ("other", "2026-12-01"),
    ]
    assert len(files_in(tmp_path / "out")) == 12
    assert_audits(world.path)


async def test_what_was_done_is_not_done_again_but_files_that_are_missing_are(world: World, tmp_path: Path) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        async with Running(world, ledger, tmp_path / "out")() as running:
            await running.until_files(3)
        written = files_in(tmp_path / "out")
        for name in written:
            (tmp_path / "out" / name).unlink()
        async with Running(world, ledger, tmp_path / "out")() as running:
            await running.until_files(3)
            assert running.outcomes("settled_before") == 1
    assert files_in(tmp_path / "out") == written
    assert len(settled_days(world.path)) == 1
    assert_audits(world.path)


async def test_a_day_that_was_overtaken_by_hand_is_done_with(world: World, tmp_path: Path) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        async with desk_on(world, ledger) as desk:
            await settle(desk, "acme", date(2026, 11, 23), UTC_ZONE)
        async with Running(world, ledger, tmp_path / "out")() as running:
            await until(lambda: running.opened)
            world.clock.now += 2 * DAY
            await running.until("settled", 1)
        assert running.outcomes("failed") == 0
    assert settled_days(world.path) == [("acme", "2026-11-23"), ("acme", "2026-11-24")]
    assert_audits(world.path)


async def test_two_at_once_settle_once(world: World, tmp_path: Path) -> None:
    async with opened(world) as ledger, opened(world) as other:
        await begin(world, ledger)
        await other.look()
        one, two = Running(world, ledger, tmp_path / "out"), Running(world, other, tmp_path / "out")
        async with one(), two():
            await until(lambda: one.done and two.done)
        assert one.outcomes("failed") == two.outcomes("failed") == 0
    assert len(settled_days(world.path)) == 1
    assert_audits(world.path)


async def test_what_fails_is_logged_and_counted_and_tried_again(world: World, tmp_path: Path) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        await world.register(ledger, "scheme", "other")
        foreign = tmp_path / "out" / "acme-2026-11-22.csv"
        foreign.parent.mkdir()
        foreign.write_text("somebody's")
        with structlog.testing.capture_logs() as logs:
            running = Running(world, ledger, foreign.parent)
            running.fails = True
            async with running():
                await running.until("failed", 2)
                running.fails = False
                await running.until("settled", 2)
                failed = running.outcomes("failed")
                await running.until("failed", failed + 1)
                foreign.unlink()
                await running.until_files(6)
        told = [(log["scheme"], log["reason"]) for log in logs if log["event"] == "settlement_failed"]
        assert told[0] == ("every Scheme", "the disk failed")
        assert told[-1][0] == "acme"
        assert str(foreign) in told[-1][1]
    assert sorted(settled_days(world.path)) == [("acme", "2026-11-22"), ("other", "2026-11-22")]
    assert_audits(world.path)


# --- the settings ---------------------------------------------------------------------------------------------------


def test_the_settings_of_the_day() -> None:
    settings = read_settings({})
    assert (settings.settlement_hour, settings.zone, settings.settlements) == (None, UTC_ZONE, Path("settlements"))
    chosen = read_settings(
        {
            "SIGNED_LEDGER_SETTLEMENT_HOUR": "23",
            "SIGNED_LEDGER_TIME_ZONE": "Europe/Vienna",
            "SIGNED_LEDGER_SETTLEMENTS": "/srv/out",
        }
    )
    assert (chosen.settlement_hour, chosen.zone, chosen.settlements) == (23, VIENNA, Path("/srv/out"))
    for off in ("", "none"):
        assert read_settings({"SIGNED_LEDGER_SETTLEMENT_HOUR": off}).settlement_hour is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("SETTLEMENT_HOUR", text) for text in ("24", "-1", "3.5", "three")),
        *(
            ("TIME_ZONE", text)
            for text in ("", "Vienna", "Europe", "/etc/passwd", "../UTC", "Europe/Vienna ", "\0", "ü")
        ),
        ("SETTLEMENTS", ""),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(Invalid, match=f"SIGNED_LEDGER_{name}"):
        read_settings({f"SIGNED_LEDGER_{name}": text})


# --- inside a server ------------------------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "installation")


ON: dict[str, Any] = {"SETTLEMENT_HOUR": 0, "TIME_ZONE": "Europe/Vienna"}


def lines_of(server: Server, event: str) -> list[dict[str, object]]:
    return [line for line in server.lines if line["event"] == event]


def metric(server: Server, name: str) -> float:
    port = next(line["admin_port"] for line in server.lines if line["event"] == "serving")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        found = re.search(rf"^{re.escape(name)} (\S+)$", response.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_wrong_time_zone_stops_the_start_with_a_sentence(installation: Installation) -> None:
    assert "SIGNED_LEDGER_TIME_ZONE" in installation.refused(2, "serve", TIME_ZONE="Europe/Wien")


def test_off_unless_asked_for(installation: Installation) -> None:
    with installation.serve(SETTLEMENTS=installation.folder / "out") as server:
        assert send(server.url, installation.scheme, "/authorisation", "a", authorisation("t")).status == 201
    assert not (installation.folder / "out").exists()
    assert settled_days(installation.database) == []


def test_a_missed_hour_is_caught_up_at_the_start_and_by_one_worker(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_make(past))
    out = tmp_path / "out"
    yesterday = day_before(day_at(int(datetime.now(UTC).timestamp() * 1_000_000), VIENNA), VIENNA)
    with past.serve("--workers", "2", SETTLEMENTS=out, **ON) as server:
        wait_until(lambda: len(list(out.glob("acme-*"))) == 3)
        wait_until(lambda: lines_of(server, "settled"))
        assert [line["worker"] for line in lines_of(server, "settled")] == [0]
        assert lines_of(server, "expired")[0]["count"] == 1
    assert settled_days(past.database) == [("acme", str(yesterday))]
    with past.serve(SETTLEMENTS=out, **ON) as server:
        wait_until(lambda: metric(server, 'signed_ledger_settlements_total{outcome="settled_before"}') == 1.0)
    assert len(settled_days(past.database)) == 1
    past.assert_audits()


async def _make(past: Past, more: int = 0) -> None:
    async with opened(past.world) as ledger:
        life = await past.begin(ledger)
        await life.authorise("due")
        await life.force("t", "1.00")
        await asyncio.gather(*(life.force(f"more-{number}", "1.00") for number in range(more)))


async def test_a_failure_neither_stops_the_server_nor_holds_payments_up(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with installation.serve(SETTLEMENTS=tmp_path / "file" / "out", **ON) as server:
        async with Load(installation.scheme, [server.url]) as load:
            await asyncio.to_thread(wait_until, lambda: lines_of(server, "settlement_failed"))
            await load.until(20)
            assert await asyncio.to_thread(metric, server, 'signed_ledger_settlements_total{outcome="failed"}') == 1.0
        load.assert_all_approved()
    assert len(settled_days(installation.database)) == 1
    installation.assert_audits()


def test_what_does_not_verify_settles_nothing_and_the_server_goes_on(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_make(past))
    edit(past.database, "DELETE FROM transactions WHERE transaction_id = 't'")
    with past.serve(SETTLEMENTS=tmp_path / "out", **ON) as server:
        wait_until(lambda: lines_of(server, "settlement_failed"))
        assert "were posted since the last settlement" in str(lines_of(server, "settlement_failed")[0]["reason"])
        assert send(server.url, past.scheme, "/authorisation", "a", authorisation("u")).status == 201
    assert settled_days(past.database) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pause_seconds", [0.0, 0.1, 0.3])
def test_a_server_that_is_stopped_in_the_middle_ends_well(tmp_path: Path, pause_seconds: float) -> None:
    past = Past(tmp_path)
    asyncio.run(_make(past, 300))
    with past.serve(SETTLEMENTS=tmp_path / "out", **ON):
        time.sleep(pause_seconds)
    past.assert_audits()
    with past.serve(SETTLEMENTS=tmp_path / "out", **ON):
        wait_until(lambda: len(files_in(tmp_path / "out")) == 3)
    assert len(settled_days(past.database)) == 1
    past.assert_audits()
