#!/usr/bin/env python3
"""Measures the service as its ledger grows: throughput, p99, start-up, memory, bytes on disk, and verification.

One ledger is grown from size to size by a fast loader and measured at each, so it is made once and never copied; 10^6
entries take 2.2 GB. What does not depend on the ledger's size stays level.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Final

import uvloop
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_document import DOCUMENT, fill
from scripts.bench_ledger import cards_of, found_ledger, grow_ledger
from scripts.bench_plot import write_plot
from scripts.bench_server import Row, Server, Work, disk_bytes, measure, serving, settings_of
from scripts.bench_tables import spread
from scripts.bench_verify import verify_new, verify_whole
from signed_ledger.telemetry import configure_logging

CONNECTIONS: Final = 32
NEW: Final = 1_000
"""How many entries an auditor has not seen."""
PLOTS: Final = DOCUMENT.parent / "growth"


@dataclass(slots=True)
class Size:
    """What was measured at a size of the ledger; of several runs, each."""

    entries: int
    made_per_second: float
    authorisations: list[Row] = field(default_factory=list)
    presentments: list[Row] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    bytes_each: list[float] = field(default_factory=list)
    whole_seconds: float = 0.0
    whole_per_second: float = 0.0
    whole_mib: float = 0.0
    new_seconds: float = 0.0


Measured = Callable[[Size], Sequence[float]]
COLUMNS: Final[dict[str, tuple[int, Measured]]] = {
    "authorisations/s": (0, lambda size: [row.load.per_second for row in size.authorisations]),
    "presentments/s": (0, lambda size: [row.load.per_second for row in size.presentments]),
    "authorisation, p99 ms": (1, lambda size: [row.load.percentile(0.99) for row in size.authorisations]),
    "presentment, p99 ms": (1, lambda size: [row.load.percentile(0.99) for row in size.presentments]),
    "authorisation, CPU us": (0, lambda size: [row.cpu_us for row in size.authorisations]),
    "presentment, CPU us": (0, lambda size: [row.cpu_us for row in size.presentments]),
    "start-up, s": (2, lambda size: size.starts),
    "server's peak memory, MiB": (0, lambda size: size.peaks),
    "disk, bytes a transaction": (0, lambda size: size.bytes_each),
    "verify, whole, s": (1, lambda size: [size.whole_seconds]),
    "verify, whole, entries/s": (0, lambda size: [size.whole_per_second]),
    "verify, a process's peak memory, MiB": (0, lambda size: [size.whole_mib]),
    f"verify of {NEW:,} new entries, s": (2, lambda size: [size.new_seconds]),
    "made by the loader, entries/s": (0, lambda size: [size.made_per_second]),
}
FIGURES: Final = {
    "throughput": ("Requests a second at 32 connections", ("authorisations/s", "presentments/s")),
    "p99": ("p99 in milliseconds at 32 connections", ("authorisation, p99 ms", "presentment, p99 ms")),
    "cpu": ("CPU of a request in microseconds", ("authorisation, CPU us", "presentment, CPU us")),
    "start-up": ("Seconds from start to the first request taken", ("start-up, s",)),
    "memory": ("Peak memory in MiB", ("server's peak memory, MiB", "verify, a process's peak memory, MiB")),
    "disk": ("Bytes on disk for a transaction", ("disk, bytes a transaction",)),
    "verify": ("verify of the whole ledger, entries a second", ("verify, whole, entries/s",)),
    "verify-new": ("verify of what is new, in seconds", (f"verify of {NEW:,} new entries, s",)),
}


def bench_size(options: argparse.Namespace, folder: Path, entries: int, cards: range) -> Size:
    """Grow to this size and measure: the service, then `verify`, whole and of what is new."""
    made = grow(folder, entries, cards)
    size = Size(entries, made)
    for _ in range(options.runs):
        bench_service(options, folder, size)
    seen = folder / "seen"
    publish(folder)
    whole = verify_whole(folder, seen)
    size.whole_seconds, size.whole_per_second, size.whole_mib = whole.seconds, whole.per_second, whole.peak_mib
    grow(folder, whole.entries + NEW, range(cards.stop, cards.stop))
    publish(folder)
    size.new_seconds = verify_new(folder, seen).seconds
    return size


def grow(folder: Path, entries: int, cards: range) -> float:
    """Gives how many entries a second were made."""
    before, started = size_of(folder), time.perf_counter()
    with tqdm(total=entries, initial=before, unit=" entries", desc="growing", disable=None) as bar:
        uvloop.run(grow_ledger(folder, entries, cards, lambda seq: bar.update(seq - bar.n)))
    return (size_of(folder) - before) / (time.perf_counter() - started)


def size_of(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT max(seq) + 1 FROM entries").fetchone()[0])


def publish(folder: Path) -> None:
    """A checkpoint of all that is there, which `verify` remembers."""
    command = [sys.executable, "-m", "signed_ledger", "checkpoint"]
    subprocess.run(command, env={**environ, **settings_of(folder, 0)}, check=True, stdout=subprocess.DEVNULL)


def bench_service(options: argparse.Namespace, folder: Path, size: Size) -> None:
    work, before = Work(options.cards), disk_bytes(folder)
    server = serving(folder)
    try:
        size.starts.append(server.start_seconds)
        asked = uvloop.run(_ask(server, "authorisation", work.authorisations(int(options.seconds * 12_000)), options))
        clears = work.presentments(len(asked.load.latencies) - CONNECTIONS)
        cleared = uvloop.run(_ask(server, "presentment", clears, options))
        size.peaks.append(server.peak_mib())
    finally:
        server.stop()
    size.authorisations.append(asked)
    size.presentments.append(cleared)
    transactions = len(asked.load.latencies) + len(cleared.load.latencies)
    size.bytes_each.append((disk_bytes(folder) - before) / transactions)


async def _ask(server: Server, what: str, requests: list[bytes], options: argparse.Namespace) -> Row:
    return await measure(server, what, iter(requests), CONNECTIONS, options.seconds)


def table(options: argparse.Namespace, sizes: list[Size]) -> str:
    lines = [
        f"{CONNECTIONS} connections, one worker, {options.seconds:g} s each, {options.runs} run(s): the median, "
        "and from the least to the most.",
        "",
        f"| entries | {' | '.join(f'{size.entries:,}' for size in sizes)} |",
        f"|---|{'--:|' * len(sizes)}",
    ]
    for name, (digits, of) in COLUMNS.items():
        lines.append(f"| {name} | {' | '.join(spread(of(size), digits) for size in sizes)} |")
    return "\n".join(lines)


def plot(sizes: list[Size]) -> None:
    for name, (title, columns) in FIGURES.items():
        series = {column: [(size.entries, COLUMNS[column][1](size)) for size in sizes] for column in columns}
        write_plot(PLOTS / f"{name}.svg", title, series)


def tell(options: argparse.Namespace, sizes: list[Size]) -> None:
    """After each size: the next one takes ten times as long, and who breaks off has what was measured."""
    lines = table(options, sizes)
    print(lines, flush=True)
    if options.write:
        fill("growth", lines)
        plot(sizes)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", default="1000,100000,1000000", help="sizes, by commas (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="at each size (default %(default)s)")
    parser.add_argument("--cards", type=int, default=100, help="how many cards are in use (default %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="where the ledger is made")
    parser.add_argument("--keep", action="store_true", help="do not remove the ledger at the end")
    parser.add_argument("--write", action="store_true", help="put table and plots into docs/")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    configure_logging("warning", "auto")
    folder = options.cache / "growth"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found_ledger(folder)
    sizes: list[Size] = []
    for entries in sorted(int(size) for size in options.entries.split(",")):
        known = cards_of(sizes[-1].entries) if sizes else 0
        sizes.append(bench_size(options, folder, entries, range(known, max(known, cards_of(entries)))))
        tell(options, sizes)
    if not options.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
