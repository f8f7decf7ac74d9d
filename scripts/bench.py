"""Measures the service: real signed requests, real sockets, a real server process, a real file.

Beside it in the same run stand what this machine can do at best (a bare aiohttp POST echo, signatures, commits, and
the ceiling of a signed durable webhook that these make) and an unsigned double-entry ledger on PostgreSQL. The load
generator shares the machine's cores with the server.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_document import BLOCKS, fill
from scripts.bench_ledger import CARDS_MAX
from scripts.bench_postgres import Unavailable, postgres
from scripts.bench_publishing import bench_publishing
from scripts.bench_server import Row, Server, Work, disk_bytes, ledger_folder, measure, measure_each, serving
from scripts.bench_tables import Run, report
from scripts.bench_verify import verify_whole
from scripts.bench_yardsticks import CONNECTIONS, Yardsticks, measure_yardsticks
from signed_ledger.telemetry import configure_logging

MOST_PER_SECOND = {1: 3_000, 32: 12_000, 128: 12_000}
"""How many requests are made beforehand for each second, by connections: more than the service does."""


async def bench_server(server: Server, work: Work, seconds: float) -> list[Row]:
    """Authorisations, presentments of the same, both by turns, then whole lives, at each number of connections."""
    rows = []
    for connections in CONNECTIONS:
        most = int(seconds * MOST_PER_SECOND[connections])
        asks = work.authorisations(most)
        rows.append(await measure(server, "authorisation", iter(asks), connections, seconds))
        clears = work.presentments(len(rows[-1].load.latencies) - connections)
        rows.append(await measure(server, "presentment", iter(clears), connections, seconds))
        rows.append(await measure_each(server, "half and half", work.halves(most // 2), connections, seconds))
        lives = work.lives(most // 8)
        rows.append(await measure_each(server, "a message of a whole life", lives, connections, seconds))
    return rows


def bench_postgres(cards: int, seconds: float) -> Row | str:
    """The row, or why there is none."""
    try:
        with postgres(cards) as server:
            return server.measure(cards, seconds)
    except Unavailable as reason:
        return str(reason)


def bench_yardsticks(options: argparse.Namespace, entries: int) -> Yardsticks:
    folder = ledger_folder(options.cache, entries)
    asks = Work(options.cards).authorisations(1_000)
    return uvloop.run(measure_yardsticks(folder / "ledger.db", asks, options.seconds))


def bench_once(options: argparse.Namespace, entries: int) -> Run:
    """One run: the yardsticks, PostgreSQL, then the service on a fresh copy of a ledger of so many entries."""
    yardsticks = bench_yardsticks(options, entries)
    unsigned = bench_postgres(options.cards, options.seconds)
    folder = ledger_folder(options.cache, entries)
    before = disk_bytes(folder)
    server = serving(folder, options.workers)
    try:
        rows = uvloop.run(bench_server(server, Work(options.cards), options.seconds))
        peak = server.peak_mib()
    finally:
        server.stop()
    grown = (disk_bytes(folder) - before) / sum(len(row.load.latencies) for row in rows)
    return Run(yardsticks, unsigned, rows, server.start_seconds, peak, grown, verify_whole(folder))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000, help="size of the ledger (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="how often all is measured (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="server processes (default %(default)s)")
    parser.add_argument("--cards", type=int, default=100, help=f"how many cards are in use, at most {CARDS_MAX:,}")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="where made ledgers are kept")
    parser.add_argument("--publishing", action="store_true", help="measure what checkpoints cost, and nothing else")
    parser.add_argument("--write", choices=BLOCKS, metavar="BLOCK", help=f"of docs/PERFORMANCE.md: {', '.join(BLOCKS)}")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    configure_logging("warning", "auto")
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if options.publishing:
        text = bench_publishing(options, options.entries)
    else:
        text = report(options, machine, [bench_once(options, options.entries) for _ in range(options.runs)])
    print(text)
    if options.write:
        fill(options.write, text)


if __name__ == "__main__":
    main()
