"""The one writer: queue, group, seal, append, answer."""

from signed_ledger.ledger.deciding import Decider
from signed_ledger.ledger.erasing import plan_erasure
from signed_ledger.ledger.following import read_keyring, read_tree
from signed_ledger.ledger.founding import create_ledger, found
from signed_ledger.ledger.hosting import Host
from signed_ledger.ledger.ledger import Ledger
from signed_ledger.ledger.limits import Limits
from signed_ledger.ledger.remote import RemoteLedger, WriterGone
from signed_ledger.ledger.submissions import (
    Answer,
    Attest,
    ChangeRegistry,
    Decision,
    Keep,
    Settling,
    Submission,
    Webhook,
    decision_of,
)
from signed_ledger.ledger.vouching import vouch_for

__all__ = [
    "Answer",
    "Attest",
    "ChangeRegistry",
    "Decider",
    "Decision",
    "Host",
    "Keep",
    "Ledger",
    "Limits",
    "RemoteLedger",
    "Settling",
    "Submission",
    "Webhook",
    "WriterGone",
    "create_ledger",
    "decision_of",
    "found",
    "plan_erasure",
    "read_keyring",
    "read_tree",
    "vouch_for",
]
