"""Who asks: verifies a caller's signed request, and keeps it as evidence that can be verified again from itself.

Floor 3: imports errors, records, encoding and signing only.
"""

from signed_ledger.schemes.agreement import check_said_by, check_says, verify_recorded
from signed_ledger.schemes.common import FRESH_SECONDS, webhook_id
from signed_ledger.schemes.profiles import reverify, signs_host, verify
from signed_ledger.schemes.signature_input import READING, SIGNED_FIELDS_BYTES_MAX, TAG, WEBHOOK, Coverage
from signed_ledger.schemes.standard_webhooks import SIGNATURES_CHARS_MAX, SIGNATURES_MAX, Unverified

__all__ = [
    "FRESH_SECONDS",
    "READING",
    "SIGNATURES_CHARS_MAX",
    "SIGNATURES_MAX",
    "SIGNED_FIELDS_BYTES_MAX",
    "TAG",
    "WEBHOOK",
    "Coverage",
    "Unverified",
    "check_said_by",
    "check_says",
    "reverify",
    "signs_host",
    "verify",
    "verify_recorded",
    "webhook_id",
]
