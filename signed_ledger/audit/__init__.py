"""Proves a ledger from its file alone, in numbered steps, without private keys and without the service.

Imports nothing of `ledger` or `api`: what it shares with the writer are the formats and the rules.
"""

from signed_ledger.audit.command import add_options, run_verify
from signed_ledger.audit.report import Report
from signed_ledger.audit.running import audit_file
from signed_ledger.audit.steps import Finding, Step
from signed_ledger.trust import Trust

__all__ = ["Finding", "Report", "Step", "Trust", "add_options", "audit_file", "run_verify"]
