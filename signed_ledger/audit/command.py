"""`verify` as people and programs run it: the command line and the script share this."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from signed_ledger.audit.running import Progress, audit_file
from signed_ledger.audit.summary import summary_of
from signed_ledger.errors import Invalid
from signed_ledger.trust import read_trust

VERIFIED, FAULTY, NOT_ASKED = 0, 1, 2


def run_verify(
    path: Path, trust_path: Path | None, jobs: int | None, as_json: bool, show_all: bool, out: TextIO, err: TextIO
) -> int:
    """Audit a file, write the report to `out` and give the exit status: 0 verified, 1 faults, 2 could not be asked.

    Progress goes to `err` where that is a terminal.
    """
    try:
        trust = None if trust_path is None else read_trust(trust_path)
        with _progress_on(err) as progress:
            report = audit_file(path, trust=trust, jobs=jobs, progress=progress)
            report = replace(report, trust=None if trust_path is None else str(trust_path))
    except (Invalid, OSError, sqlite3.Error, BrokenProcessPool) as error:
        err.write(f"could not be verified: {error}\n")
        return NOT_ASKED
    if as_json:
        out.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        out.write(summary_of(report, show_all=show_all))
    return VERIFIED if report.ok else FAULTY


@contextmanager
def _progress_on(err: TextIO) -> Iterator[Progress]:
    with tqdm(unit=" entries", unit_scale=True, file=err, disable=not err.isatty(), leave=False) as bar:

        def show(settled: int, total: int) -> None:
            bar.total = total
            bar.update(settled - bar.n)

        yield show
