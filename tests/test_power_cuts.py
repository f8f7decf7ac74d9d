"""The power is cut at any moment, also after a disk that failed: what was acknowledged is there, and all is proven."""

import json
import os
import shutil
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from signed_ledger.publishing import CheckpointLock
from tests.callers import Answered, assert_each_is_there_once, authorisation, send
from tests.faults import IO_ERROR, Faulty, faulty, needs_faults
from tests.power import Disk, read_trace
from tests.processes import Installation, Server

CUTS = int(os.environ.get("POWER_CUTS", "16"))
PAYMENTS = max(10, CUTS // 4)

REFUND = json.dumps(
    {
        "refund_id": "r-1",
        "card_id": "card-1",
        "billing_amount": "1.00",
        "billing_currency": "EUR",
        "settlement_amount": "1.00",
        "settlement_currency": "EUR",
    }
).encode()
"""It is written to pages that nothing in the log before it has: of these the file alone could tell."""


class Acknowledged(NamedTuple):
    """An answer, and how long the trace was when it had come."""

    name: str
    answer: Answered
    at: int


class Life:
    """An installation whose every write is traced, and what its Scheme was told."""

    def __init__(self, folder: Path) -> None:
        self.installation: Faulty = faulty(folder)
        self.installation.run("checkpoint")  # the lock file is there, as after a first day
        self._before = Disk(folder)
        self.told: list[Acknowledged] = []
        self.installation.trace.touch()

    def pay(self, server: Server, times: int) -> None:
        for _ in range(times):
            name = f"t-{len(self.told)}"
            answer = send(server.url, self.installation.scheme, "/authorisation", name, authorisation(name))
            assert answer.status == 201
            self.told.append(Acknowledged(name, answer, self.installation.trace.stat().st_size))

    @property
    def now(self) -> int:
        """How many steps there were so far."""
        return sum(1 for _ in read_trace(self.installation.trace))

    def assert_no_cut_loses_anything(self, first: int, last: int) -> None:
        """Cut the power at `CUTS` moments, spread over these steps."""
        steps = [*read_trace(self.installation.trace)]
        moments = {first + (last - first) * number // CUTS for number in range(1, CUTS + 1)}
        disk, chance = deepcopy(self._before), Random(7)
        for number, step in enumerate(steps, 1):
            disk.take(step)
            if number in moments:
                self._assert_survives(disk.cut_power(chance), step.end, number)

    def _assert_survives(self, files: dict[str, bytes], end: int, number: int) -> None:
        folder = self.installation.folder
        found = folder.parent / f"cut-{number}"
        shutil.copytree(folder, found, ignore=shutil.ignore_patterns("ledger.db*", "checkpoint.lock*"))
        for path, data in files.items():
            if Path(path).name.startswith(("ledger.db", "checkpoint.lock")) and not path.endswith("-shm"):
                (found / Path(path).relative_to(folder)).write_bytes(data)
        cut = Installation(found)
        assert_each_is_there_once(cut, {name: answer for name, answer, at in self.told if at <= end})
        assert cut.rows("PRAGMA integrity_check") == [("ok",)]
        size = cut.rows("SELECT max(seq) + 1 FROM entries")[0][0]
        assert CheckpointLock(cut.keys / "checkpoint.lock").read().size <= size, "it would not start"
        shutil.rmtree(found)


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "installation")


@needs_faults
def test_whenever_the_power_is_cut_what_was_acknowledged_is_there(life: Life) -> None:
    with life.installation.serve() as server:
        life.pay(server, PAYMENTS)
    life.assert_no_cut_loses_anything(0, life.now)


@needs_faults
def test_after_a_sync_that_failed_nothing_is_built_on_what_it_lost(life: Life) -> None:
    """The end of the log that the next start finds is in the system's memory, and was never on the disk."""
    with life.installation.serve() as server:
        life.pay(server, 3)
        life.installation.fail("sync", "-wal", IO_ERROR)
        assert send(server.url, life.installation.scheme, "/refund", "lost", REFUND).status == 500
        assert server.wait() == 70
    life.installation.mend()
    failed = life.now
    with life.installation.serve() as server:
        started = life.now
        life.pay(server, PAYMENTS)
    life.assert_no_cut_loses_anything(failed, started)
    life.assert_no_cut_loses_anything(started, life.now)
