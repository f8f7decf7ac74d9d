"""Runs `signed-ledger verify` on a ledger that was made for the bench, and tells how long it took."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from scripts.bench_server import settings_of


class Verified(NamedTuple):
    """How many entries were verified in `seconds`, the signatures in them, and the peak memory of a process."""

    entries: int
    signatures: int
    seconds: float
    peak_mib: float

    @property
    def per_second(self) -> float:
        return self.entries / self.seconds


def verify_whole(folder: Path, last_seen: Path | None = None) -> Verified:
    """All of it; `last_seen`, where one is named, is written for `verify_new`."""
    return _verify(folder, [] if last_seen is None else ["--whole", "--last-seen", str(last_seen)])


def verify_new(folder: Path, last_seen: Path) -> Verified:
    """What came after what was seen last."""
    return _verify(folder, ["--last-seen", str(last_seen)])


def _verify(folder: Path, arguments: list[str]) -> Verified:
    command = [sys.executable, "-m", "signed_ledger", "verify", "--json", *arguments]
    environment = {**os.environ, **settings_of(folder, 0)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)  # it tells the memory of this one and of those that it started
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        told = out.read()
        if process.returncode != 0:
            raise SystemExit(f"verify found the bench's ledger wrong: {told[-2000:]!r} {err.read()[-2000:]!r}")
    report = json.loads(told)
    entries = report["entries"] - report["from_seq"]
    return Verified(entries, entries + _count_webhooks(folder, report["from_seq"]), seconds, used.ru_maxrss / 1024)


def _count_webhooks(folder: Path, since: int) -> int:
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM webhooks WHERE seq >= ?", (since,)).fetchone()[0])
