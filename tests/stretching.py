"""A ledger audited in stretches, one after the other in this process, as several do side by side."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from signed_ledger.audit import Trust
from signed_ledger.audit.claims import Claims
from signed_ledger.audit.core import Audit
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile, Stretch
from signed_ledger.audit.steps import Tally
from signed_ledger.audit.stretches import Asked, audit_stretch
from tests.support import rows


def starts_of(path: Path) -> list[int]:
    """Where a stretch may begin: not at a journal line, nor right after an account was opened for what follows."""
    kinds = [note.split()[2].decode() for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq")]
    return [seq for seq in range(1, len(kinds)) if kinds[seq] != "journal" and kinds[seq - 1] != "account"]


def stretches(path: Path, starts: Sequence[int], trust: Trust | None = None, seen: LastSeen | None = None) -> Any:
    """Audit the stretches that begin at 0 and at `starts`: what each left, and the last one's audit and tally."""
    left: list[Ended] = []
    for pair in pairwise((None, *starts, None)):
        tally = Tally()
        file = LedgerFile(path, tally)
        try:
            erasing = Erasing(tally, Claims(file.claimed_erasures(), Stretch(*pair)))
            audit = Audit(tally, trust, file.note_and_body, seen, erasing=erasing)
            asked = Asked(path, trust, seen, file.key_seqs())
            left.append(audit_stretch(Stretch(*pair), asked, audit, file, tally, lambda _: True))
        finally:
            file.close()
    return left, audit, tally


def facts(path: Path, starts: Sequence[int], trust: Trust | None = None, seen: LastSeen | None = None) -> list[Any]:
    """What the report tells of a ledger that was audited in these stretches; raises `DoNotMeet`, for a fault too."""
    left, audit, tally = stretches(path, starts, trust, seen)
    Joined.of(left).absorb_into(audit, tally)
    audit.end()
    if not tally.is_clean:
        raise DoNotMeet
    replay, registry = audit.replay, audit.opener.registry
    return [
        *(tally.checked, replay.transactions, replay.batches.count, replay.balances.book.accounts),
        *(audit.last, audit.first_time, audit.last_time, audit.kept, audit.authorities, audit.hosts_not_signed),
        *(audit.erasing.told.signed, audit.erasing.told.parts, audit.erasing.told.not_known()),
        *(list(registry.keyring or ()), registry.named, registry.trusted_since, audit.keys),
    ]


def meet(path: Path, starts: Sequence[int], trust: Trust | None = None) -> bool:
    """Whether the stretches are found to be one faultless ledger."""
    try:
        facts(path, starts, trust)
    except DoNotMeet:
        return False
    return True
