#!/usr/bin/env python3
"""Measures the service when it is asked for more than it can do, and beside clients that misbehave.

First what it can do, by clients that wait for their answers; then half of that, once alone and once beside silent,
dripping and hanging-up clients; then twice of that, which nobody could answer. At the end the ledger is compared with
what was told: what was refused is not in it, what was answered is, once.
"""

import argparse
import itertools
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_client import run_load
from scripts.bench_document import fill
from scripts.bench_ledger import BenchScheme
from scripts.bench_open import OpenLoad, run_open_load
from scripts.bench_rude import dripping, hanging_up, silent
from scripts.bench_server import Server, Work, ledger_folder, serving
from scripts.bench_verify import verify_whole
from signed_ledger.telemetry import configure_logging

CONNECTIONS: Final = (32, 256)
SILENT: Final = 1_000
DRIPPING: Final = 32
HANGING_UP_PER_SECOND: Final = 50.0
DECIDED: Final = (200, 201, 403)
ENTRIES: Final = 1_000


class Phase(NamedTuple):
    """An open load, and the server's memory meanwhile: at its beginning, its most and at its end, in MiB."""

    what: str
    load: OpenLoad
    memory: tuple[float, float, float]


class Memory:
    """Looks at the server's memory four times a second."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen = [server.memory_mib()]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.25):
            self._seen.append(self._server.memory_mib())

    def end(self) -> tuple[float, float, float]:
        self._end.set()
        self._thread.join()
        return self._seen[0], max(self._seen), self._server.memory_mib()


class Overload:
    """The phases on one server, one after the other."""

    def __init__(self, server: Server, cards: int) -> None:
        self.server = server
        self.scheme = BenchScheme(cards)
        self._bodies = self.scheme.authorisations()
        self.phases: list[Phase] = []
        self.hung_up: list[str] = []

    def signed(self, count: int) -> list[tuple[str, bytes]]:
        asked = itertools.islice(self._bodies, count)
        return [(name, self.scheme.wire("authorisation", body, name)) for name, body in asked]

    async def ask(self, what: str, rate: float, seconds: float, *, beside_rude: bool = False) -> None:
        requests = self.signed(int(rate * (seconds + 1)))
        async with AsyncExitStack() as stack:
            if beside_rude:
                await self._be_rude(stack, seconds)
            memory = Memory(self.server)
            load = await run_open_load(self.server.port, iter(requests), rate=rate, seconds=seconds)
        self.phases.append(Phase(what, load, memory.end()))

    async def _be_rude(self, stack: AsyncExitStack, seconds: float) -> None:
        leaving = self.signed(int(HANGING_UP_PER_SECOND * (seconds + 10)))
        self.hung_up = [name for name, _ in leaving]
        await stack.enter_async_context(silent(self.server.port, SILENT))
        await stack.enter_async_context(dripping(self.server.port, [request for _, request in self.signed(DRIPPING)]))
        requests = (request for _, request in leaving)
        await stack.enter_async_context(hanging_up(self.server.port, requests, HANGING_UP_PER_SECOND))


async def capacity(server: Server, cards: int, connections: int, seconds: float) -> tuple[float, float]:
    """Authorisations a second of clients that wait for their answers, and their p99."""
    asks = iter(Work(cards).authorisations(int(seconds * 12_000)))
    load = await run_load(server.port, lambda _: asks, connections=connections, seconds=seconds)
    return load.per_second, load.percentile(0.99)


def answers_in(folder: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return {name for (name,) in connection.execute("SELECT webhook_id FROM webhooks")}


def table(capacities: dict[int, tuple[float, float]], phases: list[Phase]) -> Iterator[str]:
    for connections, (rate, p99) in capacities.items():
        yield f"{connections} clients that wait for their answers: {rate:,.0f} authorisations/s, p99 {p99:.1f} ms."
    yield ""
    decided = "decided/s | p50 ms | p99 ms"
    yield f"| asked for | per second | {decided} | 503/s | p50 ms | p99 ms | memory MiB: first, most, last |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for what, load, memory in phases:
        decided = f"{load.per_second(*DECIDED):,.0f} | {_percentiles(load, *DECIDED)}"
        refused = f"{load.per_second(503):,.0f} | {_percentiles(load, 503)}"
        yield f"| {what} | {load.rate:,.0f} | {decided} | {refused} | {', '.join(f'{mib:.0f}' for mib in memory)} |"


def _percentiles(load: OpenLoad, *statuses: int) -> str:
    return f"{load.percentile(0.5, *statuses):.1f} | {load.percentile(0.99, *statuses):.1f}"


def judged(overload: Overload, stored: set[str]) -> Iterator[str]:
    """What the ledger holds against what was told."""
    statuses = {name: status for phase in overload.phases for name, status in phase.load.statuses.items()}
    refused = {name for name, status in statuses.items() if status == 503}
    decided = {name for name, status in statuses.items() if status in DECIDED}
    others = sorted({*statuses.values()} - {503, *DECIDED})
    unsent = sum(phase.load.unsent for phase in overload.phases)
    bare = sum(phase.load.without_retry_after for phase in overload.phases)
    yield f"Refused: {len(refused):,}, in the ledger of these: {len(refused & stored):,}; no Retry-After: {bare:,}."
    yield f"Decided: {len(decided):,}, not in the ledger of these: {len(decided - stored):,}."
    yield f"Hung up: {len(overload.hung_up):,}, decided of these: {len(stored & set(overload.hung_up)):,}, each whole."
    yield f"Other answers (0: none): {others or 'none'}. Not sent, as every connection was in use: {unsent:,}."
    if refused & stored or decided - stored or bare:
        raise SystemExit("the ledger does not hold what was told")


async def bench(options: argparse.Namespace, server: Server) -> tuple[dict[int, tuple[float, float]], Overload]:
    overload = Overload(server, options.cards)
    short = min(10.0, options.seconds)
    capacities = {
        count: await capacity(server, options.cards, count, min(5.0, options.seconds)) for count in CONNECTIONS
    }
    can = max(rate for rate, _ in capacities.values())
    await overload.ask("half of what it can", can / 2, short)
    await overload.ask("the same, beside misbehaving clients", can / 2, short, beside_rude=True)
    await overload.ask("twice what it can", can * 2, options.seconds)
    await overload.ask("half again, afterwards", can / 2, short)
    return capacities, overload


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="server processes (default %(default)s)")
    parser.add_argument("--cards", type=int, default=100, help="how many cards are in use (default %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="where made ledgers are kept")
    parser.add_argument("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    configure_logging("warning", "auto")
    folder = ledger_folder(options.cache, ENTRIES)
    server = serving(folder, options.workers)
    try:
        capacities, overload = uvloop.run(bench(options, server))
    finally:
        server.stop()
    verified = verify_whole(folder)
    lines = [
        f"{options.workers} worker(s), twice what it can for {options.seconds:g} s; misbehaving clients are {SILENT:,} "
        f"silent connections, {DRIPPING} that send a byte a second, {HANGING_UP_PER_SECOND:g} a second that hang up.",
        "",
        *table(capacities, overload.phases),
        "",
        *judged(overload, answers_in(folder)),
        f"`verify` found no fault in {verified.entries:,} entries.",
    ]
    print("\n".join(lines))
    if options.write:
        fill("overload", "\n".join(lines))


if __name__ == "__main__":
    main()
