#!/usr/bin/env python3
"""Measures receipts: how long one takes to be made from a ledger's file and to be checked, and how large it is."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_ledger import make_ledger
from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.encoding import decode_receipt, encode_receipt
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import read_keyring
from signed_ledger.publishing import Published, make_receipt, root_at
from signed_ledger.receipts import check_receipt
from signed_ledger.records import Checkpoint, Parts
from signed_ledger.signing import KeyFolder
from signed_ledger.store import Reader, Store
from signed_ledger.telemetry import configure_logging
from signed_ledger.trust import read_trust


async def bench(folder: Path, receipts: int) -> None:
    """Make and check receipts of random entries, all parts shown; print the table."""
    reader = await Reader.open(folder / "ledger.db", busy_timeout_ms=5_000)
    try:
        size = await reader.head() + 1
        keyring = await open_keyring(folder, size)
        signer = KeyFolder(folder / "keys", lambda: None).signer("checkpoint", keyring.checkpoint_key_at(size))
        checkpoint = Checkpoint(keyring.origin, size, await root_at(reader, size))
        published = Published(checkpoint, sign_checkpoint(checkpoint, signer), {})
        seqs = random.sample(range(1, size), receipts)
        made, making = [], []
        for seq in seqs:
            started = time.perf_counter()
            receipt = await make_receipt(reader, keyring, await reader.entry(seq), published, Parts._fields)
            made.append(encode_receipt(receipt))
            making.append(time.perf_counter() - started)
        bare = [len(encode_receipt(decode_receipt(data)._replace(parts=Parts(None)))) for data in made]
    finally:
        await reader.close()
    print(f"## Receipts of {size:,} entries, {receipts} at random, all parts shown\n")
    print("| what | p50 ms | p99 ms |")
    print("|---|--:|--:|")
    print(row("made, and checked before it is given out", making))
    print(row("checked by its holder", check_all(folder, made)))
    print(f"\nlargest: {max(map(len, made)):,} bytes; without parts {max(bare):,} bytes")


async def open_keyring(folder: Path, size: int) -> Keyring:
    store = await Store.open(folder / "ledger.db", busy_timeout_ms=5_000)
    try:
        return await read_keyring(store, size - 1)
    finally:
        await store.close()


def check_all(folder: Path, made: Sequence[bytes]) -> list[float]:
    trust, checking = read_trust(folder / "keys" / "trust.json"), []
    for data in made:
        started = time.perf_counter()
        is_right = check_receipt(decode_receipt(data), trust).ok
        checking.append(time.perf_counter() - started)
        if not is_right:
            raise SystemExit("a receipt of the bench proves nothing")
    return checking


def row(what: str, seconds: list[float]) -> str:
    in_order = sorted(seconds)
    p50, p99 = (in_order[int(len(in_order) * part)] * 1_000 for part in (0.5, 0.99))
    return f"| {what} | {p50:.2f} | {p99:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000, help="how large the ledger is (default %(default)s)")
    parser.add_argument("--receipts", type=int, default=500, help="how many are made (default %(default)s)")
    options = parser.parse_args()
    configure_logging("warning", "auto")
    with tempfile.TemporaryDirectory(prefix="signed-ledger-bench-") as name:
        folder = Path(name)
        asyncio.run(make_ledger(folder, options.entries, lambda seq: None))
        asyncio.run(bench(folder, min(options.receipts, options.entries - 1)))


if __name__ == "__main__":
    main()
