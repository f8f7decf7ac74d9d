"""Measures the service: real signed requests, real sockets, a real server process, a real file.

Beside it in the same run: the same server's /healthz, and a bare aiohttp POST echo, so that the cost of signing,
deciding and storing shows as a ratio. The load generator shares the machine's cores with the server.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_ledger import AUTHORITY
from scripts.bench_publishing import bench_publishing
from scripts.bench_server import Row, Server, Work, free_port, ledger_folder, measure, measure_each, settings_of
from signed_ledger.telemetry import configure_logging

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: " + AUTHORITY.encode() + b"\r\n\r\n"
ECHO = """
import asyncio, sys, uvloop
from aiohttp import web
async def echo(request):
    return web.Response(body=await request.read())
app = web.Application()
app.router.add_post("/{path}", echo)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())
"""


async def bench_server(server: Server, work: Work, seconds: float, most_per_second: int) -> list[Row]:
    """Authorisations, presentments of the same, then whole lives, at 1, 32 and 128 connections."""
    rows = []
    for connections in (1, 32, 128):
        asks = work.authorisations(int(seconds * most_per_second))
        rows.append(await measure(server, "authorisation", iter(asks), connections, seconds))
        clears = work.presentments(len(rows[-1].load.latencies) - connections)
        rows.append(await measure(server, "presentment", iter(clears), connections, seconds))
        lives = [work.lives(int(seconds * most_per_second / 10 / connections) + 1) for _ in range(connections)]
        rows.append(await measure_each(server, "a message of a whole life", lives.__getitem__, connections, seconds))
    return rows


async def bench_yardsticks(server: Server, asks: list[bytes], seconds: float) -> list[Row]:
    port = free_port()
    echo = Server([sys.executable, "-c", ECHO, str(port)], port, {})

    def again() -> Iterator[bytes]:
        while True:
            yield from asks

    def health() -> Iterator[bytes]:
        while True:
            yield HEALTH

    rows = [await measure(echo, "bare aiohttp POST echo", again(), c, seconds) for c in (1, 32, 128)]
    rows += [await measure(server, "own /healthz", health(), c, seconds) for c in (1, 32, 128)]
    echo.stop()
    return rows


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("ledger.db*"))


def bench_verify(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "signed_ledger", "verify", "--json"]
    environment = {**os.environ, **settings_of(folder, 0)}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"verify found the bench's ledger wrong: {done.stdout[-2000:]!r} {done.stderr[-2000:]!r}")
    report = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"entries": report["entries"], "seconds": seconds, "peak_mib": peak}


def bench_size(options: argparse.Namespace, entries: int, most_per_second: int) -> float:
    """Measure on a ledger of `entries`; prints the table and gives authorisations/s at 32 connections."""
    folder = ledger_folder(options.cache, entries)
    port = free_port()
    serve = [sys.executable, "-m", "signed_ledger", "serve", "--workers", str(options.workers)]
    server = Server(serve, port, settings_of(folder, port))
    yardsticks = uvloop.run(bench_yardsticks(server, Work(options.cards).authorisations(1_000), options.seconds))
    before = disk_bytes(folder)
    rows = uvloop.run(bench_server(server, Work(options.cards), options.seconds, most_per_second))
    peak, start = server.peak_mib(), server.start_seconds
    server.stop()
    grown = (disk_bytes(folder) - before) / sum(len(row.load.latencies) for row in rows)
    echoes = {row.load.connections: row.load.per_second for row in yardsticks[:3]}
    print(f"\n## {entries:,} entries, {options.workers} worker(s), {options.seconds:g} s each\n")
    print("| what | connections | per second | of the echo | p50 ms | p99 ms | server CPU us |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for row in yardsticks + rows:
        print(row.shown(echoes[row.load.connections]))
    print(f"\nserver: started in {start:.2f} s, peak memory {peak:.0f} MiB; disk: {grown:,.0f} bytes a transaction")
    verified = bench_verify(folder)
    rate = verified["entries"] / verified["seconds"]
    print(
        f"verify: {verified['entries']:,} entries in {verified['seconds']:.1f} s, {rate:,.0f} entries/s, "
        f"peak memory of a process {verified['peak_mib']:.0f} MiB"
    )
    return next(r.load.per_second for r in rows if r.what == "authorisation" and r.load.connections == 32)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", default="1000,1000000", help="ledger sizes, by commas (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="server processes (default %(default)s)")
    parser.add_argument("--cards", type=int, default=100, help="how many cards are in use (default %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="where made ledgers are kept")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    configure_logging("warning", "auto")
    sizes = [int(size) for size in options.entries.split(",")]
    print(
        f"machine: {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    print(bench_publishing(options, sizes[0]))
    rates = [bench_size(options, size, most_per_second=8_000) for size in sizes]
    if len(rates) > 1:
        print(
            f"\nauthorisations/s at 32 connections, {sizes[-1]:,} entries over {sizes[0]:,}: {rates[-1] / rates[0]:.0%}"
        )


if __name__ == "__main__":
    main()
