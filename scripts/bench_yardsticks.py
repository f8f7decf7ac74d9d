"""What this machine can do at best, measured in the same run: an echo, signatures, commits; and the ceiling they make.

The ceiling of a signed durable webhook on one process, with nothing else to do and one thing after the other:

    1 / (1 / echo + verifications / verify + signatures / sign + 1 / (commits * webhooks in a commit))
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from scripts.bench_server import Row, Server, free_port, measure
from signed_ledger.signing import SoftwareSigner, verify
from signed_ledger.store import open_database

CONNECTIONS: Final = (1, 32, 128)
THREADS: Final = tuple(sorted({1, 2, os.cpu_count() or 1}))
COMMIT_ROWS: Final = (1, 32, 256)
ROW: Final = os.urandom(3_300)
"""As many bytes as all the rows of an authorisation hold."""
MESSAGE: Final = b"x" * 500
"""About as long as an entry's text, and as a webhook's signature base."""

ECHO: Final = """
import sys, uvloop
from aiohttp import web
async def echo(request):
    return web.Response(body=await request.read())
app = web.Application()
app.router.add_post("/{path}", echo)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())
"""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one webhook of a kind costs in signatures verified and made."""

    verified: float
    signed: float


WEIGHTS: Final = {
    "authorisation": Weight(1, 1),
    "presentment": Weight(3, 4),  # its own, and both of the authorisation's; four entries
    "half and half": Weight(2, 2.5),
}


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Rates per second: the echo's rows by connections, signatures by threads, commits by rows."""

    echo: dict[int, Row]
    signs: dict[int, float]
    verifies: dict[int, float]
    commits: dict[int, float]

    def ceiling(self, what: str, connections: int) -> float | None:
        """How many webhooks of a kind one process could do in a second; None where that is not known of this kind."""
        weight = WEIGHTS.get(what)
        if weight is None:
            return None
        webhooks = min(size for size in COMMIT_ROWS if size >= connections)
        return 1 / (
            1 / self.echo[connections].load.per_second
            + weight.verified / self.verifies[1]
            + weight.signed / self.signs[1]
            + 1 / (self.commits[webhooks] * webhooks)
        )


async def measure_yardsticks(database: Path, asks: list[bytes], seconds: float) -> Yardsticks:
    """All of them, each for a part of `seconds` but the echo; the commits go to a table of their own in `database`."""
    echo = await _measure_echo(asks, seconds)
    part = max(0.2, seconds / 5)
    signer = SoftwareSigner(os.urandom(32))
    signature = signer.sign(MESSAGE)
    return Yardsticks(
        echo,
        {threads: rate(lambda: signer.sign(MESSAGE), threads, part) for threads in THREADS},
        {threads: rate(lambda: verify(signer.public_key, MESSAGE, signature), threads, part) for threads in THREADS},
        {rows: commits_per_second(database, rows, part) for rows in COMMIT_ROWS},
    )


async def _measure_echo(asks: list[bytes], seconds: float) -> dict[int, Row]:
    def again() -> Iterator[bytes]:
        while True:
            yield from asks

    port = free_port()
    echo = Server([sys.executable, "-c", ECHO, str(port)], port, {})
    try:
        return {c: await measure(echo, "bare aiohttp POST echo", again(), c, seconds) for c in CONNECTIONS}
    finally:
        echo.stop()


def rate(step: Callable[[], object], threads: int, seconds: float) -> float:
    """How often a second `step` is done by so many threads of this process together."""
    until = time.perf_counter() + seconds

    def work() -> int:
        for done in count(1):
            step()
            if done % 32 == 0 and time.perf_counter() > until:
                return done
        raise AssertionError

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(lambda _: work(), range(threads)))
    return done / (time.perf_counter() - started)


def commits_per_second(database: Path, rows: int, seconds: float) -> float:
    """Commits of so many rows, by a connection that the product opens itself: its pragmas, whatever they are."""
    with closing(open_database(database, busy_timeout_ms=5_000)) as connection:
        connection.execute("DROP TABLE IF EXISTS bench")
        connection.execute("CREATE TABLE bench (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        started, done = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bench VALUES (?, ?)", [(done * rows + n, ROW) for n in range(rows)])
            connection.execute("COMMIT")
            done += 1
        took = time.perf_counter() - started
        connection.execute("DROP TABLE bench")
    return done / took
