"""Publishing the ledger as a log: checkpoints, guarded by a lock of their own, kept, and then told; and receipts."""

from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.publisher import Published, Publisher
from signed_ledger.publishing.receipts import make_receipt
from signed_ledger.publishing.tiles import root_at
from signed_ledger.publishing.witnesses import Witnesses

__all__ = ["CheckpointLock", "Published", "Publisher", "Witnesses", "make_receipt", "root_at"]
