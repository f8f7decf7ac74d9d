"""A ledger's file from end to end: reading, opening, signatures in other processes, settling; then the report."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from signed_ledger.audit.core import Audit
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.report import Head, Report, StepResult, totals_of
from signed_ledger.audit.revocations import Revoked, check_revocations
from signed_ledger.audit.steps import Step, Tally, printable
from signed_ledger.audit.verifying import Submit, verifier
from signed_ledger.errors import Invalid
from signed_ledger.trust import Trust

T = TypeVar("T")
Progress: TypeAlias = Callable[[int, int], None]
"""Told now and then: entries settled so far, and in all."""

CHUNK_ENTRIES: Final = 256
CHUNKS_AHEAD_PER_JOB: Final = 4
"""How far reading may run ahead of settling: it bounds the memory of an audit."""
SMALL_LEDGER_ENTRIES: Final = 2_000
"""Below this, other processes would take longer to start than the work takes here."""


def audit_file(
    path: Path, *, trust: Trust | None = None, jobs: int | None = None, progress: Progress | None = None
) -> Report:
    """Prove the ledger at `path`, or list every fault of it; it may be served meanwhile.

    `jobs` is the number of processes to use, by default one for each core. Raises `Invalid` where nothing could be
    asked: no such file, not a database, none of a ledger's tables in it, no trust to be had.
    """
    started = time.perf_counter()
    tally = Tally()
    file = LedgerFile(path, tally)
    try:
        audit = Audit(tally, trust, file.note_and_body)
        _run(audit, file, jobs, progress or _say_nothing)
        audit.end()
        size = 0 if audit.opener.last is None else audit.opener.last.seq + 1
        revoked = check_revocations(audit.opener.registry, file, size, tally)
        file.check_structure()
        not_known = _not_known(file, trust, audit.authorities)
    finally:
        file.close()
    return _report(path, audit, tally, revoked, not_known, time.perf_counter() - started)


def _say_nothing(settled: int, total: int) -> None:
    pass


def _run(audit: Audit, file: LedgerFile, jobs: int | None, progress: Progress) -> None:
    total = file.last_seq() + 1
    processes = _processes(jobs, total)
    chunks = _chunks(map(audit.open, file.positions()), CHUNK_ENTRIES)
    settled = 0
    with verifier(processes) as submit:
        for chunk, verified in _ahead(chunks, submit, CHUNKS_AHEAD_PER_JOB * (processes - 1)):
            verdicts = iter(verified.result())
            for opened in chunk:
                audit.settle(opened, verdicts)
            settled += len(chunk)
            progress(settled, total)


def _ahead(
    chunks: Iterable[list[Opened]], submit: Submit, chunks_ahead: int
) -> Iterator[tuple[list[Opened], "Future[list[bool]]"]]:
    """Give each chunk with its signatures, being verified while up to `chunks_ahead` more are opened."""
    waiting: deque[tuple[list[Opened], Future[list[bool]]]] = deque()
    for chunk in chunks:
        signed = [check.signed for opened in chunk for check in opened.checks]
        waiting.append((chunk, submit(signed)))
        if len(waiting) > chunks_ahead:
            yield waiting.popleft()
    yield from waiting


def _processes(jobs: int | None, entries: int) -> int:
    if jobs is not None and jobs < 1:
        raise Invalid("jobs", "must be at least 1")
    return 1 if entries < SMALL_LEDGER_ENTRIES else jobs or os.cpu_count() or 1


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _not_known(file: LedgerFile, trust: Trust | None, authorities: set[str]) -> list[str]:
    """Said at the end, so that nobody takes the report for more than it is."""
    said = ["No checkpoint seen earlier and no witness was asked: a cut tail or an older copy can not be noticed."]
    if trust is None:
        said.insert(0, "No trust file was given: origin and root keys were taken on the word of the ledger's genesis.")
    if authorities:
        names = printable(", ".join(sorted(authorities)))
        said.append(f"For which host names this Issuer answers no entry tells; the requests were signed for: {names}.")
    if file.ignores_log:
        said.append("The write-ahead log beside the file could not be read: the newest entries may be missing here.")
    if others := file.other_tables():
        said.append(f"What else the file holds was not read: {', '.join(others[:10])}{', ...' * (len(others) > 10)}.")
    return said


def _report(
    path: Path, audit: Audit, tally: Tally, revoked: tuple[Revoked, ...], not_known: list[str], seconds: float
) -> Report:
    keyring, last = audit.opener.registry.keyring, audit.opener.last
    faults = tally.sorted_findings()
    return Report(
        ledger=str(path),
        origin=None if keyring is None else keyring.origin,
        entries=tally.checked[Step.ENTRIES],
        transactions=audit.replay.transactions,
        batches=audit.replay.batches.count,
        head=Head(last.seq, last.leaf) if last is not None and last.leaf is not None else None,
        first_time=audit.first_time,
        last_time=audit.last_time,
        totals=totals_of(audit.replay.balances.book.accounts),
        keys=() if keyring is None else tuple(keyring),
        steps=tuple(StepResult(step, tally.checked[step], sum(f.step is step for f in faults)) for step in Step),
        faults=tuple(faults),
        revoked=revoked,
        trusted_since=audit.opener.registry.trusted_since,
        not_known=tuple(not_known),
        seconds=seconds,
    )
