"""The one writer: queue, group, seal, append, answer."""

from signed_ledger.ledger.erasing import plan_erasure
from signed_ledger.ledger.following import read_keyring, read_tree
from signed_ledger.ledger.founding import create_ledger, found
from signed_ledger.ledger.limits import Limits
from signed_ledger.ledger.submissions import Answer, Attest, ChangeRegistry, Keep, Settling, Submission, Webhook
from signed_ledger.ledger.writer import Ledger

__all__ = [
    "Answer",
    "Attest",
    "ChangeRegistry",
    "Keep",
    "Ledger",
    "Limits",
    "Settling",
    "Submission",
    "Webhook",
    "create_ledger",
    "found",
    "plan_erasure",
    "read_keyring",
    "read_tree",
]
