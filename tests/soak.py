"""Kills servers under load for as long as one likes, and says how many kills the ledger survived.

The exit status is 1 where anything was lost, doubled or changed, or does not verify; the ledger is then kept.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import structlog

from tests.crowding import crowd
from tests.processes import installed
from tests.surviving import UNDER_LOAD, Death, Survivor

CROWD_EVERY = 25
ONCE = ("inserted card_states", "inserted tiles")
"""Steps that a server comes to seldom."""


def drawn(draw: Random) -> tuple[Death, int]:
    """A death, and the number of workers."""
    workers = draw.choice((1, 2))
    where = draw.random()
    if where < 0.3:
        step = draw.choice(UNDER_LOAD)
        death = Death(step if step in ONCE else f"{step}:{draw.randint(1, 8)}")
        return death, workers
    alone = draw.random() < 0.5
    if where < 0.4:
        return Death(seconds=draw.uniform(0.0, 0.9), starting=True, alone=alone), workers
    return Death(seconds=draw.uniform(0.0, 0.4), alone=alone), workers


async def soak(survivor: Survivor, until: float, kills_max: int) -> None:
    """Kill until one of these is reached, a fault is found, or SIGTERM or Ctrl-C comes; then prove the whole."""
    enough = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    await survivor.add_cards(3)
    async with survivor.traffic:
        lives = 0
        while not (enough.is_set() or survivor.faults or time.monotonic() > until):
            if survivor.deaths.total() >= kills_max:
                break
            lives += 1
            if lives % CROWD_EVERY == 0:
                await crowd(survivor, lives // CROWD_EVERY, kill=True)
                print(told_of(survivor), flush=True)
                continue
            death, workers = drawn(survivor.draw)
            if death.step == "inserted card_states":
                await survivor.add_cards()
            await survivor.die(death, workers)
        await survivor.end()


def told_of(survivor: Survivor) -> str:
    traffic = survivor.traffic
    return (
        f"{survivor.deaths.total():,} kills survived; {len(traffic.told):,} messages answered, {traffic.answers:,} "
        f"times, and {traffic.unanswered.total():,} times with 500 or 503; of those that had no answer at a kill "
        f"{survivor.was_recorded:,} were in the ledger whole, {survivor.was_absent:,} not at all; {survivor.busy:,} "
        f"commands found the ledger busy; {len(survivor.faults)} faults"
    )


def report(survivor: Survivor, seconds: float) -> str:
    found = Counter(fault.partition(":")[0] for fault in survivor.faults)
    counts = ", ".join(f"{kind} {found[kind]}" for kind in ("lost", "doubled", "changed", "not verified", "wrong"))
    deaths = "\n".join(f"  {count:6,}  {kind}" for kind, count in survivor.deaths.most_common())
    faults = "".join(f"\n  {fault}" for fault in survivor.faults[:20])
    return f"{told_of(survivor)}, in {seconds / 60:.0f} minutes\n{counts}\n{deaths}{faults}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="(default: %(default)g)")
    parser.add_argument("--kills", type=int, default=sys.maxsize, help="end after so many (default: no limit)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="(default: another each time)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    folder, started = Path(tempfile.mkdtemp(prefix="signed-ledger-soak-")), time.monotonic()
    print(f"seed {options.seed}, {options.minutes:g} minutes at most, in {folder}", flush=True)
    survivor = Survivor(installed(folder), options.seed)
    asyncio.run(soak(survivor, started + options.minutes * 60, options.kills))
    print(report(survivor, time.monotonic() - started))
    if not survivor.faults:
        shutil.rmtree(folder)
    return bool(survivor.faults)


if __name__ == "__main__":
    sys.exit(main())
