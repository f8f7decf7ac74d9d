"""Receipts are checked here, with whom their reader trusts and nothing else: no ledger, no network."""

from signed_ledger.receipts.checking import Checked, Said, Step, check_receipt
from signed_ledger.receipts.command import run_check_receipt

__all__ = ["Checked", "Said", "Step", "check_receipt", "run_check_receipt"]
