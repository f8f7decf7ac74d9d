"""What a run could not find out, said at its end, so that nobody takes the report for more than it is."""

from signed_ledger.audit.core import Audit
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.steps import printable
from signed_ledger.audit.witnessed import Witnessed
from signed_ledger.keyring import Keyring
from signed_ledger.records.names import PARTY_ROLES
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


def not_known_of_log(
    keyring: Keyring | None, size: int, seen: LastSeen | None, start: int, *, has_trust: bool
) -> list[str]:
    """The same of a published log of `size` entries."""
    said = [
        "Amounts, decisions, balances, and what Schemes signed are not in the published log: verify proves them, from "
        "the database.",
    ]
    if not has_trust:
        said.append("No trust file was given: origin and root keys were taken on the word of the server.")
    if seen is None:
        said.append("No checkpoint seen earlier was given: a cut tail or an older copy can not be noticed.")
    if start:
        said.append(f"The {start:,} entries seen before count as verified then. --whole verifies all.")
    return said if keyring is None else said + _revoked(keyring, size)


def _revoked(keyring: Keyring, size: int) -> list[str]:
    said = []
    if any(key.role in PARTY_ROLES for key in keyring if key.revoked_at is not None):
        said.append("What the revoked keys of Schemes, operators and auditors signed is not in the published log.")
    key = keyring.current("checkpoint")
    if not keyring.is_trusted_checkpoint(key.kid, size):
        said.append(f"The newest checkpoint is signed by a key that is revoked from size {key.revoked_at} on.")
    return said


def _log(seen: LastSeen | None, witnesses: Witnessed) -> list[str]:
    if seen is None and not witnesses.was_asked:
        return ["No checkpoint seen earlier and no witness was asked: a cut tail or an older copy can not be noticed."]
    said = [] if witnesses.not_known is None else [witnesses.not_known]
    if seen is None and not witnesses.names:
        said.insert(0, "No checkpoint seen earlier was given: a cut tail or an older copy can not be noticed.")
    return said


def _past(start: int) -> list[str]:
    return [
        f"The {start:,} entries seen before count as verified then. Of them was read only what the new ones rest on, "
        "and proven to be what was seen; that a row is the newest of its kind, and that none was taken away, was not. "
        "--whole verifies them all.",
        "What was to be settled when the new entries begin was not summed: each Scheme's first settlement among them "
        "was not decided again. Balances of the whole ledger were not summed either.",
        "The database's own structure was not checked, nor rows of derived tables that no new entry makes.",
    ]
