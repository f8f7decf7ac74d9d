"""A ledger's file from end to end: reading, opening, signatures in other processes, settling; then the report."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from signed_ledger.audit.claims import Claims
from signed_ledger.audit.collecting import collecting_rarely
from signed_ledger.audit.core import Audit, Kept
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.joining import DoNotMeet
from signed_ledger.audit.last_seen import LEDGER, LastSeen, Mark
from signed_ledger.audit.lookups import with_derived
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.past import Past
from signed_ledger.audit.reaching import CanNotResume
from signed_ledger.audit.reading import LedgerFile, Stretch
from signed_ledger.audit.report import Head, Report, StepResult, totals_of
from signed_ledger.audit.report import Kept as ReportedCheckpoint
from signed_ledger.audit.revocations import Revoked, check_revocations
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.stretches import CHUNK_ENTRIES, Asked, audit_side_by_side, chunks, stretches_of
from signed_ledger.audit.tiles import SeenTree
from signed_ledger.audit.unknown import not_known_of
from signed_ledger.audit.verifying import Submit, verifier
from signed_ledger.audit.witnessed import witnessed
from signed_ledger.errors import Invalid
from signed_ledger.policy import Policy
from signed_ledger.trust import Trust

Progress: TypeAlias = Callable[[int, int], None]
"""Told now and then: entries settled so far, and in all."""

CHUNKS_AHEAD_PER_JOB: Final = 4
"""How far reading may run ahead of settling: it bounds the memory of an audit."""
SMALL_LEDGER_ENTRIES: Final = 2_000
"""Below this, other processes would take longer to start than the work takes here."""


class Audited(NamedTuple):
    """The report; and where the ledger keeps a checkpoint, the newest and what was so as of it, for the next run."""

    report: Report
    kept: Kept | None


def audit_file(
    path: Path, *, trust: Trust | None = None, jobs: int | None = None, progress: Progress | None = None
) -> Report:
    """Prove the ledger at `path`, or list every fault of it; it may be served meanwhile.

    `jobs` is the number of processes to use, by default one for each core. Raises `Invalid` where nothing could be
    asked: no such file, not a database, none of a ledger's tables in it, no trust to be had.
    """
    return audit_since(path, None, trust=trust, jobs=jobs, progress=progress).report


def audit_since(
    path: Path,
    seen: LastSeen | None,
    *,
    trust: Trust | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    whole: bool = False,
    policy: Policy | None = None,
) -> Audited:
    """The same, and that the ledger has grown from a checkpoint seen before.

    Entries in it that were verified then are not again, unless `whole`, or where what is there is not what was seen, or
    a new entry takes parts of theirs away, or revokes a party's key.
    `policy` says which witnesses must have cosigned the newest checkpoint.
    """
    wanted = _Wanted(path, seen, trust, jobs, progress or _say_nothing, policy, time.perf_counter())
    if seen is not None and seen.mark is not None and seen.mark.verified == LEDGER and not whole:
        try:
            return _audit(wanted, seen.mark, side_by_side=False)
        except CanNotResume:
            pass  # from the first entry on it is found out what is so, and what is wrong
    try:
        return _audit(wanted, None, side_by_side=True)
    except DoNotMeet:
        return _audit(wanted, None, side_by_side=False)  # what is wrong, and where, is found out one after the other


class _Wanted(NamedTuple):
    """What was asked for, and when; the fields are as `audit_since` has them."""

    path: Path
    seen: LastSeen | None
    trust: Trust | None
    jobs: int | None
    progress: Progress
    policy: Policy | None
    started: float


def _audit(wanted: _Wanted, mark: Mark | None, *, side_by_side: bool) -> Audited:
    """Raises `DoNotMeet` where several processes, `side_by_side`, do not find a faultless ledger."""
    path, seen, trust, _, _, policy, started = wanted
    tally = Tally()
    start = seen.size if seen is not None and mark is not None else 0
    file = LedgerFile(path, tally, start)
    try:
        stretches = _stretches(wanted, file) if side_by_side and tally.is_clean else [Stretch(start or None)]
        erasing = Erasing(tally, Claims(file.claimed_erasures(), stretches[-1]))
        if seen is not None and mark is not None:
            audit, tree = _resumed(file, seen, mark, tally, trust, erasing)
        else:
            audit, tree = Audit(tally, trust, file.note_and_body, seen, erasing=erasing), None
        with collecting_rarely():
            if len(stretches) > 1:
                _run_side_by_side(audit, file, tally, wanted, stretches)
            else:
                _run(audit, file, wanted, start)
        audit.end()
        size = 0 if audit.opener.last is None else audit.opener.last.seq + 1
        try:
            revoked = check_revocations(audit.opener.registry, file, size, tally, tree)
        except Invalid as error:  # a tile of what was seen
            raise CanNotResume from error
        if not start:
            file.check_structure()
        witnesses = witnessed(policy, None if audit.kept is None else audit.kept.cosigned)
        not_known = not_known_of(file, trust, audit, seen, start, witnesses) + erasing.told.not_known()
    finally:
        file.close()
    report = _report(path, audit, tally, revoked, not_known, start, seen, time.perf_counter() - started)
    return Audited(replace(report, witnesses=None if policy is None else witnesses.names), audit.kept)


def _resumed(
    file: LedgerFile, seen: LastSeen, mark: Mark, tally: Tally, trust: Trust | None, erasing: Erasing
) -> tuple[Audit, SeenTree]:
    try:
        past = Past(file, seen.checkpoint, tally)
        audit = Audit(tally, trust, past.note_and_body, seen, partial(with_derived, file), erasing)
        audit.resume(past, mark)
    except Invalid as error:
        raise CanNotResume from error
    if tally.findings:
        raise CanNotResume
    return audit, past.seen


def _say_nothing(settled: int, total: int) -> None:
    pass


def _run(audit: Audit, file: LedgerFile, wanted: _Wanted, start: int) -> None:
    """Open and settle one entry after the other; signatures are verified by other processes meanwhile."""
    total = file.last_seq() + 1 - start
    processes = _processes(wanted.jobs, total)
    opened = chunks(map(audit.open, file.positions()), CHUNK_ENTRIES)
    settled = 0
    with verifier(processes) as submit:
        for chunk, verified in _ahead(opened, submit, CHUNKS_AHEAD_PER_JOB * (processes - 1)):
            verdicts = iter(verified.result())
            for one in chunk:
                audit.settle(one, verdicts)
            settled += len(chunk)
            wanted.progress(settled, total)


def _stretches(wanted: _Wanted, file: LedgerFile) -> list[Stretch]:
    entries = file.last_seq() + 1
    return stretches_of(file, entries, _processes(wanted.jobs, entries))


def _run_side_by_side(audit: Audit, file: LedgerFile, tally: Tally, wanted: _Wanted, stretches: list[Stretch]) -> None:
    total = file.last_seq() + 1
    asked = Asked(wanted.path, wanted.trust, wanted.seen, file.key_seqs())
    processes = _processes(wanted.jobs, total)
    audit_side_by_side(audit, file, asked, tally, stretches, processes, lambda settled: wanted.progress(settled, total))


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


def _report(
    path: Path,
    audit: Audit,
    tally: Tally,
    revoked: tuple[Revoked, ...],
    not_known: list[str],
    start: int,
    seen: LastSeen | None,
    seconds: float,
) -> Report:
    keyring, last = audit.opener.registry.keyring, audit.opener.last
    faults = tally.sorted_findings()
    return Report(
        ledger=str(path),
        origin=None if keyring is None else keyring.origin,
        entries=start + tally.checked[Step.ENTRIES],
        from_seq=start,
        seen=None if seen is None else seen.size,
        checkpoint=None if audit.kept is None else ReportedCheckpoint(audit.kept.size, len(audit.kept.cosignatures)),
        transactions=audit.replay.transactions,
        batches=audit.replay.batches.count,
        head=Head(last.seq, last.leaf) if last is not None and last.leaf is not None else None,
        first_time=audit.first_time,
        last_time=audit.last_time,
        totals=() if start else totals_of(audit.replay.balances.book.accounts),
        keys=() if keyring is None else tuple(keyring),
        steps=tuple(StepResult(step, tally.checked[step], sum(f.step is step for f in faults)) for step in Step),
        faults=tuple(faults),
        revoked=revoked,
        trusted_since=audit.opener.registry.trusted_since,
        not_known=tuple(not_known),
        seconds=seconds,
        erasures=len(audit.erasing.told.signed),
        erased=dict(audit.erasing.told.parts),
    )
