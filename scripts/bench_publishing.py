"""What tiles and checkpoints cost: the same server with its publisher and without, by turns; and the tree by itself."""

import argparse
import hashlib
import sys
import time
from statistics import median

import uvloop

from scripts.bench_server import Row, Server, Work, free_port, ledger_folder, measure, settings_of
from signed_ledger.merkle import Tree
from signed_ledger.tables import tile_rows

TURNS = 3
LEAVES = 200_000
MUTE = """
import asyncio, sys
from signed_ledger.cli import background, main
async def publish_nothing(*_):
    await asyncio.Event().wait()
assert background._keep_publishing
background._keep_publishing = publish_nothing
sys.exit(main(["serve", *sys.argv[1:]]))
"""
PUBLISHING = [sys.executable, "-m", "signed_ledger", "serve"]
WITHOUT = [sys.executable, "-c", MUTE]


def bench_publishing(options: argparse.Namespace, entries: int) -> str:
    """Give the table of authorisations and presentments a second at 32 connections, and what a leaf costs."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for _ in range(TURNS):
        for how, command in (("with", PUBLISHING), ("without", WITHOUT)):
            for row in _measured(options, entries, command):
                rows.setdefault((row.what, how), []).append(row)
    lines = [
        f"Checkpoints every 500 ms, and none: {entries:,} entries, 32 connections, median of {TURNS} by turns.\n",
        "| what | with, per second | without | share | with, server CPU us | without | share |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for what in ("authorisation", "presentment"):
        with_, without = rows[what, "with"], rows[what, "without"]
        rates = [median(row.load.per_second for row in each) for each in (with_, without)]
        costs = [median(row.cpu_us for row in each) for each in (with_, without)]
        lines.append(
            f"| {what} | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[0] / rates[1]:.1%} "
            f"| {costs[0]:.0f} | {costs[1]:.0f} | {costs[0] / costs[1]:.1%} |"
        )
    lines.append(f"\nthe tree: {leaf_us():.1f} us for each entry, the rows of full tiles included")
    return "\n".join(lines)


def _measured(options: argparse.Namespace, entries: int, command: list[str]) -> list[Row]:
    folder, port, work = ledger_folder(options.cache, entries), free_port(), Work(options.cards)
    asks = work.authorisations(int(options.seconds * 8_000))
    server = Server(command, port, settings_of(folder, port))
    try:
        return uvloop.run(_both(server, work, asks, options.seconds))
    finally:
        server.stop()


async def _both(server: Server, work: Work, asks: list[bytes], seconds: float) -> list[Row]:
    asked = await measure(server, "authorisation", iter(asks), 32, seconds)
    clears = work.presentments(len(asked.load.latencies) - 32)
    return [asked, await measure(server, "presentment", iter(clears), 32, seconds)]


def leaf_us() -> float:
    """Microseconds that the tree takes for an entry: its edge, and the full tiles as the store is given them."""
    leaves = [hashlib.sha256(number.to_bytes(8)).digest() for number in range(LEAVES)]
    tree = Tree()
    started = time.perf_counter()
    for seq, leaf in enumerate(leaves):
        tile_rows(seq, tree.append(leaf))
    return (time.perf_counter() - started) / LEAVES * 1e6
