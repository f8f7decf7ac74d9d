"""`verify` as people and programs run it: the command line and the script share this."""

import argparse
import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from signed_ledger.audit.core import Kept
from signed_ledger.audit.last_seen import LastSeen, Mark, read_last_seen, write_last_seen
from signed_ledger.audit.report import Report
from signed_ledger.audit.running import Progress, audit_since
from signed_ledger.audit.summary import summary_of
from signed_ledger.encoding import decode_checkpoint, encode_time
from signed_ledger.errors import Invalid
from signed_ledger.policy import read_policy
from signed_ledger.trust import read_trust

VERIFIED, FAULTY, NOT_ASKED = 0, 1, 2


def add_options(parser: argparse.ArgumentParser, *, trust: str, last_seen: str) -> None:
    """The options that every audit takes; what the first two say depends on what is audited."""
    parser.add_argument("--trust", type=Path, metavar="FILE", help=trust)
    parser.add_argument("--last-seen", type=Path, metavar="FILE", help=last_seen)
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="which witnesses must have cosigned the newest checkpoint (C2SP)"
    )
    parser.add_argument("--whole", action="store_true", help="verify every entry, also those verified before")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes to verify with (default: one for each core)")
    parser.add_argument("--all", action="store_true", help="list every fault, however many there are")


def run_verify(path: Path, trust_path: Path | None, options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Audit a file, write the report to `out` and give the exit status: 0 verified, 1 faults, 2 could not be asked.

    `options` are those of `add_options`, and `json`. The file that has the checkpoint seen last is replaced once all is
    verified, and only then. Progress goes to `err` where that is a terminal.
    """
    seen_path: Path | None = options.last_seen
    try:
        trust = None if trust_path is None else read_trust(trust_path)
        policy = None if options.policy is None else read_policy(options.policy)
        seen = None if seen_path is None else read_last_seen(seen_path)
        with progress_on(err) as progress:
            audited = audit_since(
                path, seen, trust=trust, jobs=options.jobs, progress=progress, whole=options.whole, policy=policy
            )
        report = replace(audited.report, trust=None if trust_path is None else str(trust_path))
        if seen_path is not None and report.ok:
            report = replace(report, last_seen=remember(seen_path, seen, audited.kept))
    except (Invalid, OSError, sqlite3.Error, BrokenProcessPool) as error:
        err.write(f"could not be verified: {error}\n")
        return NOT_ASKED
    return tell(report, out, as_json=options.json, show_all=options.all)


def tell(report: Report, out: TextIO, *, as_json: bool, show_all: bool) -> int:
    """Write a report and give the exit status."""
    if as_json:
        out.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        out.write(summary_of(report, show_all=show_all))
    return VERIFIED if report.ok else FAULTY


def remember(path: Path, seen: LastSeen | None, kept: Kept | None) -> str:
    """Write down the newest checkpoint of a ledger that was verified; say what was done, in a sentence."""
    if kept is not None and (seen is None or kept.size >= seen.size):
        return remember_note(path, kept.note, kept.mark)
    if seen is None:
        return f"The ledger keeps no checkpoint: {path} was not written."
    return f"The ledger keeps no checkpoint newer than the one seen: {path} stays as it was, of {seen.size:,} entries."


def remember_note(path: Path, note: bytes, mark: Mark) -> str:
    write_last_seen(path, note, mark, encode_time(time.time_ns() // 1_000))
    return f"{path} has the checkpoint of {decode_checkpoint(note, may_extend=True).checkpoint.size:,} entries now."


@contextmanager
def progress_on(err: TextIO) -> Iterator[Progress]:
    with tqdm(unit=" entries", unit_scale=True, file=err, disable=not err.isatty(), leave=False) as bar:

        def show(settled: int, total: int) -> None:
            bar.total = total
            bar.update(settled - bar.n)

        yield show
