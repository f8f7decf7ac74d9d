"""The daily task: expire, settle, write the settlement file; and reconcile it with the Scheme's own."""

from signed_ledger.daily.clock_watch import ClockWatch, check_clock, keep_watching
from signed_ledger.daily.days import day_at, day_before, day_begins, day_ends, newest_due
from signed_ledger.daily.desk import Desk
from signed_ledger.daily.expiring import Expired, Progress, expire_due
from signed_ledger.daily.reconciling import Difference, Line, Posting, reconcile
from signed_ledger.daily.scheduling import Schedule, keep_settling
from signed_ledger.daily.scheme_file import read_scheme_file
from signed_ledger.daily.settled_postings import read_postings, settlement_span
from signed_ledger.daily.settlement_files import settlement_files, write_settlement_files
from signed_ledger.daily.settling import Settled, schemes_of, settle, settled_before

__all__ = [
    "ClockWatch",
    "Desk",
    "Difference",
    "Expired",
    "Line",
    "Posting",
    "Progress",
    "Schedule",
    "Settled",
    "check_clock",
    "day_at",
    "day_before",
    "day_begins",
    "day_ends",
    "expire_due",
    "keep_settling",
    "keep_watching",
    "newest_due",
    "read_postings",
    "read_scheme_file",
    "reconcile",
    "schemes_of",
    "settle",
    "settled_before",
    "settlement_files",
    "settlement_span",
    "write_settlement_files",
]
