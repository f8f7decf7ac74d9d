"""Who asks: verifies a caller's signed request, and keeps it as evidence that can be verified again from itself.

Floor 3: imports errors, records, encoding and signing only.
"""

from signed_ledger.schemes.agreement import check_said_by, check_says, verify_recorded
from signed_ledger.schemes.rfc9421 import FRESH_SECONDS, PROFILE, reverify, verify, webhook_id
from signed_ledger.schemes.signature_input import READING, SIGNED_FIELDS_BYTES_MAX, TAG, WEBHOOK, Coverage

__all__ = [
    "FRESH_SECONDS",
    "PROFILE",
    "READING",
    "SIGNED_FIELDS_BYTES_MAX",
    "TAG",
    "WEBHOOK",
    "Coverage",
    "check_said_by",
    "check_says",
    "reverify",
    "verify",
    "verify_recorded",
    "webhook_id",
]
