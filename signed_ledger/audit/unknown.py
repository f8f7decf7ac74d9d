"""What a run could not find out, said at its end, so that nobody takes the report for more than it is."""

from signed_ledger.audit.core import Audit
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.steps import printable
from signed_ledger.audit.witnessed import Witnessed
from signed_ledger.trust import Trust


def not_known_of(
    file: LedgerFile, trust: Trust | None, audit: Audit, seen: LastSeen | None, start: int, witnesses: Witnessed
) -> list[str]:
    said = _log(seen, witnesses)
    if trust is None:
        said.insert(0, "No trust file was given: origin and root keys were taken on the word of the ledger's genesis.")
    if start:
        said += _past(start)
    if audit.authorities:
        names = printable(", ".join(sorted(audit.authorities)))
        said.append(f"For which host names this Issuer answers no entry tells; the requests were signed for: {names}.")
    if audit.hosts_not_signed:
        said.append(
            f"{audit.hosts_not_signed:,} requests are signed by Standard Webhooks v1a, over id, timestamp and body "
            "only: to which host and path they went is the Issuer's word."
        )
    if file.ignores_log:
        said.append("The write-ahead log beside the file could not be read: the newest entries may be missing here.")
    if others := file.other_tables():
        said.append(f"What else the file holds was not read: {', '.join(others[:10])}{', ...' * (len(others) > 10)}.")
    return said


def _log(seen: LastSeen | None, witnesses: Witnessed) -> list[str]:
    if seen is None and not witnesses.names:
        return ["No checkpoint seen earlier and no witness was asked: a cut tail or an older copy can not be noticed."]
    return [] if witnesses.not_known is None else [witnesses.not_known]


def _past(start: int) -> list[str]:
    return [
        f"The {start:,} entries seen before count as verified then. Of them was read only what the new ones rest on, "
        "and proven to be what was seen; that a row names the newest of its kind was not. --whole verifies them all.",
        "What was to be settled when the new entries begin was not summed: each Scheme's first settlement among them "
        "was not decided again. Balances of the whole ledger were not summed either.",
        "The database's own structure was not checked, nor rows of derived tables that no new entry makes.",
    ]
