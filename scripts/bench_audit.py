#!/usr/bin/env python3
"""Measures `verify` beside what its signatures alone cost on the same cores, in the same run.

Each run verifies the whole ledger, then the signatures of its first entries by themselves, in as many processes; what
all the ledger's signatures would cost is reckoned from these. CPU seconds are those of all processes together.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from signed_ledger.audit.core import Audit
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.verifying import Signed, verify_all

SCRIPT = Path(__file__).with_name("verify_chain.py")
SIGNED_STEPS = (Step.ISSUER, Step.SCHEME)


class Cost(NamedTuple):
    """Seconds on the clock, and of CPU in all processes."""

    wall: float
    cpu: float


class Run(NamedTuple):
    """One run: the whole, and the signatures alone."""

    entries: int
    whole: Cost
    signatures: Cost

    @property
    def shown(self) -> str:
        rate, share = self.entries / self.whole.wall, self.signatures.wall / self.whole.wall
        per_entry = self.whole.cpu / self.entries * 1e6
        return (
            f"| {self.whole.wall:.1f} | {rate:,.0f} | {self.signatures.wall:.1f} | {share:.0%} "
            f"| {per_entry:.0f} | {self.signatures.cpu / self.whole.cpu:.0%} |"
        )


def signatures_of(path: Path, entries: int) -> list[Signed]:
    """All that is signed in the first entries: key, message, signature."""
    tally = Tally()
    file = LedgerFile(path, tally)
    audit = Audit(tally, None, file.note_and_body)
    signed = [check.signed for position in islice(file.positions(), entries) for check in audit.open(position).checks]
    file.close()
    return signed


def timed(signed: list[Signed]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    if not all(verify_all(signed)):
        raise SystemExit("a signature does not verify")
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def cost_of_signatures(signed: list[Signed], jobs: int, count: int) -> Cost:
    """What `count` signatures cost `jobs` processes, each of which verifies all of `signed` at the same time."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.5] * jobs))  # all have started
        costs = list(pool.map(timed, [signed] * jobs))
    scale = count / (len(signed) * jobs)
    return Cost(max(cost.wall for cost in costs) * scale, sum(cost.cpu for cost in costs) * scale)


def verify_whole(path: Path, jobs: int) -> tuple[dict[str, Any], Cost]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, str(SCRIPT), str(path), "--json", "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"the ledger is not sound: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), Cost(wall, cpu)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path, help="a ledger's file, such as build/bench/ledger-1000000-*/ledger.db")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core)")
    parser.add_argument("--runs", type=int, default=3, help="how often (default %(default)s)")
    parser.add_argument("--sample", type=int, default=10_000, help="entries whose signatures are timed alone")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    signed = signatures_of(options.ledger, options.sample)
    print("| verify, s | entries/s | its signatures alone, s | share | CPU us an entry | of it signatures |")
    print("|--:|--:|--:|--:|--:|--:|")
    shares, peak = [], 0
    for _ in range(options.runs):
        report, whole = verify_whole(options.ledger, options.jobs)
        peak = peak or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # before others have run
        count = sum(step["checked"] for step in report["steps"] if step["step"] in SIGNED_STEPS)
        run = Run(report["entries"], whole, cost_of_signatures(signed, options.jobs, count))
        shares.append(run.signatures.wall / run.whole.wall)
        print(run.shown, flush=True)
    print(
        f"\n{options.jobs} processes, {report['entries']:,} entries, {count:,} signatures; the signatures alone are "
        f"{statistics.median(shares):.0%} of verify (median); peak memory of a process {peak / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
