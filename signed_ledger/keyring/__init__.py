"""The key registry as the ledger's own entries make it: which key was valid at which seq, and who approved it."""

from signed_ledger.keyring.approvals import ApprovingKey, approval_text, approve, approving_name, who_signed
from signed_ledger.keyring.history import continues
from signed_ledger.keyring.registry import Keyring, RootSet
from signed_ledger.keyring.root_approvals import check_root_approvals, with_root_approvals
from signed_ledger.keyring.trusting import Revocations

__all__ = [
    "ApprovingKey",
    "Keyring",
    "Revocations",
    "RootSet",
    "approval_text",
    "approve",
    "approving_name",
    "check_root_approvals",
    "continues",
    "who_signed",
    "with_root_approvals",
]
