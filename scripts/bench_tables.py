"""The bench's tables: the median of the runs, the least and the most beside it, each figure against the yardsticks."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import Final, NamedTuple

from scripts.bench_postgres import CLIENTS, WHAT
from scripts.bench_server import Row
from scripts.bench_verify import Verified
from scripts.bench_yardsticks import COMMIT_ROWS, CONNECTIONS, THREADS, Yardsticks

ECHO_TARGETS: Final = {1: {"authorisation": 0.25, "presentment": 0.10}, 2: {"authorisation": 0.35, "presentment": 0.14}}
"""Of the one-process echo, at 32 connections, by workers."""
UNSIGNED_TARGETS: Final = {1: 1.0, 2: 1.5}
"""Half and half, of the unsigned PostgreSQL ledger."""


class Run(NamedTuple):
    """What was measured once; `unsigned` is why, where PostgreSQL was not to be had."""

    yardsticks: Yardsticks
    unsigned: Row | str
    rows: list[Row]
    start_seconds: float
    peak_mib: float
    bytes_each: float
    verified: Verified

    def row(self, what: str, connections: int) -> Row:
        return next(row for row in self.rows if (row.what, row.load.connections) == (what, connections))

    def of_echo(self, row: Row) -> float:
        return row.load.per_second / self.yardsticks.echo[row.load.connections].load.per_second

    def of_ceiling(self, row: Row) -> float | None:
        ceiling = self.yardsticks.ceiling(row.what, row.load.connections)
        return None if ceiling is None else row.load.per_second / ceiling

    @property
    def verify_share(self) -> float:
        """Of what the signatures alone would cost on all cores."""
        alone = self.verified.signatures / self.yardsticks.verifies[max(THREADS)]
        return alone / self.verified.seconds


def report(options: argparse.Namespace, machine: str, runs: list[Run]) -> str:
    lines = [
        f"{machine}; {options.entries:,} entries, {options.workers} worker(s), {options.cards:,} cards in use, "
        f"{options.seconds:g} s each, {len(runs)} run(s): the median, and from the least to the most.",
        "",
        *_yardsticks(runs),
        "",
        *_rows(runs),
        "",
        *_targets(options.workers, runs),
        "",
        *_rest(runs),
    ]
    return "\n".join(lines)


def _yardsticks(runs: list[Run]) -> Iterator[str]:
    yield "| this machine, per second | |"
    yield "|---|--:|"
    for threads in THREADS:
        of = f"in {threads} thread(s)"
        yield f"| Ed25519 signatures made {of} | {spread(run.yardsticks.signs[threads] for run in runs)} |"
        yield f"| Ed25519 signatures verified {of} | {spread(run.yardsticks.verifies[threads] for run in runs)} |"
    for rows in COMMIT_ROWS:
        yield f"| SQLite commits of {rows} row(s) | {spread(run.yardsticks.commits[rows] for run in runs)} |"
    for what in ("authorisation", "presentment", "half and half"):
        ceilings = [[run.yardsticks.ceiling(what, connections) or 0 for run in runs] for connections in CONNECTIONS]
        told = ", ".join(f"{median(each):,.0f}" for each in ceilings)
        yield f"| ceiling of one process, {what}, at {_listed(CONNECTIONS)} connections | {told} |"


def _rows(runs: list[Run]) -> Iterator[str]:
    whats = "what | connections | per second | of the echo | of the ceiling"
    yield f"| {whats} | p50 ms | p99 ms | server CPU us | client CPU us |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for connections in CONNECTIONS:
        yield _line([(run, run.yardsticks.echo[connections]) for run in runs])
    unsigned = [(run, run.unsigned) for run in runs if isinstance(run.unsigned, Row)]
    if unsigned:
        yield _line(unsigned)
    for row in runs[0].rows:
        yield _line([(run, run.row(row.what, row.load.connections)) for run in runs])
    missing = next((run.unsigned for run in runs if isinstance(run.unsigned, str)), None)
    if missing is not None:
        yield ""
        yield f"No unsigned PostgreSQL ledger: {missing}"


def _line(pairs: list[tuple[Run, Row]]) -> str:
    rows = [row for _, row in pairs]
    first = rows[0]
    of_echo, of_ceiling = "-", "-"
    if first.what != WHAT:
        of_echo = f"{median(run.of_echo(row) for run, row in pairs):.0%}"
        shares = [share for run, row in pairs if (share := run.of_ceiling(row)) is not None]
        of_ceiling = f"{median(shares):.0%}" if shares else "-"
    return (
        f"| {first.what} | {first.load.connections} | {spread(row.load.per_second for row in rows)} "
        f"| {of_echo} | {of_ceiling} "
        f"| {_median(rows, lambda row: row.load.percentile(0.5)):.2f} "
        f"| {spread((row.load.percentile(0.99) for row in rows), 1)} "
        f"| {_median(rows, lambda row: row.cpu_us):.0f} | {_median(rows, lambda row: row.load.cpu_us):.0f} |"
    )


def _targets(workers: int, runs: list[Run]) -> Iterator[str]:
    """What was wanted of the service, and what it does."""
    yield "| wanted | is |"
    yield "|---|--:|"
    for what, wanted in ECHO_TARGETS.get(workers, {}).items():
        share = median(run.of_echo(run.row(what, 32)) for run in runs)
        yield f"| {what} at 32 connections: {wanted:.0%} of the echo | {share:.1%} |"
    shares = [
        run.row("half and half", 32).load.per_second / run.unsigned.load.per_second
        for run in runs
        if isinstance(run.unsigned, Row)
    ]
    if workers in UNSIGNED_TARGETS and shares:
        wanted = UNSIGNED_TARGETS[workers]
        yield f"| half and half: {wanted:.0%} of PostgreSQL with {CLIENTS} clients | {median(shares):.0%} |"
    for what in ("authorisation", "presentment"):
        p99 = median(run.row(what, 32).load.percentile(0.99) for run in runs)
        yield f"| {what} at 32 connections: p99 under 25 ms | {p99:.1f} ms |"
    p50 = median(run.row("authorisation", 1).load.percentile(0.5) for run in runs)
    yield f"| authorisation over one connection: p50 under 1.5 ms | {p50:.2f} ms |"
    yield f"| verify: 85% of what its signatures alone cost | {median(run.verify_share for run in runs):.0%} |"


def _rest(runs: list[Run]) -> Iterator[str]:
    last = runs[-1].verified
    yield (
        f"server: started in {median(run.start_seconds for run in runs):.2f} s, peak memory of all its processes "
        f"{median(run.peak_mib for run in runs):.0f} MiB; disk: "
        f"{median(run.bytes_each for run in runs):,.0f} bytes a transaction"
    )
    yield ""
    yield (
        f"verify: {last.entries:,} entries in {last.seconds:.1f} s, "
        f"{median(run.verified.per_second for run in runs):,.0f} entries/s, "
        f"peak memory of a process {last.peak_mib:.0f} MiB"
    )


def _listed(values: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, values[:-1]))} and {values[-1]}"


def _median(rows: list[Row], of: Callable[[Row], float]) -> float:
    return median(of(row) for row in rows)


def spread(values: Iterable[float], digits: int = 0) -> str:
    """The median, and the least and the most where there are several."""
    each = sorted(values)
    told = f"{median(each):,.{digits}f}"
    return told if len(each) == 1 else f"{told} ({each[0]:,.{digits}f} to {each[-1]:,.{digits}f})"
