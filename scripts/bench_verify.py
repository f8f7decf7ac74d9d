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
from typing import Final, NamedTuple

from scripts.bench_server import settings_of

_RUN: Final = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""
"""Runs a command and writes what memory the largest of its processes took.

Asked directly, Linux would tell the memory of the bench itself where that is more: a process begins as its parent.
"""


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
    with tempfile.NamedTemporaryFile() as peak:
        started = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", _RUN, peak.name, *command], env=environment, capture_output=True)
        seconds = time.perf_counter() - started
        peak_mib = int(peak.read()) / 1024
    if run.returncode != 0:
        raise SystemExit(f"verify found the bench's ledger wrong: {run.stdout[-2000:]!r} {run.stderr[-2000:]!r}")
    report = json.loads(run.stdout)
    entries = report["entries"] - report["from_seq"]
    return Verified(entries, entries + _count_webhooks(folder, report["from_seq"]), seconds, peak_mib)


def _count_webhooks(folder: Path, since: int) -> int:
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM webhooks WHERE seq >= ?", (since,)).fetchone()[0])
