"""Stored entries that a process before the writer verifies, so that the writer need not.

A presentment builds on what is stored: two signatures are verified again before money is moved. That is so for the very
bytes that the writer then reads, by their digest, and under the very registry that it has then; if either differs, the
writer verifies them itself. It trusts the same process for the signature of the webhook in hand.
"""

from signed_ledger.errors import Invalid, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.submissions import Vouched, Webhook
from signed_ledger.ledger.verified import verified_authorisation
from signed_ledger.store import Glance


def vouch_for(webhook: Webhook, glance: Glance, keyring: Keyring) -> Vouched | None:
    """Verify what a webhook builds on, both signatures; `None` where it builds on nothing that verifies.

    What does not verify is left to the writer, who says so. Raises `Busy` or `Fault` of SQLite.
    """
    found = glance.authorisation(webhook.asked.key)
    if found is None:
        return None
    try:
        verified_authorisation(found, keyring)
    except (Invalid, Refusal):
        return None
    stored = (found.own,) if found.newest.seq == found.own.seq else (found.own, found.newest)
    return Vouched(keyring.history[-1], tuple(entry.digest for entry in stored))
