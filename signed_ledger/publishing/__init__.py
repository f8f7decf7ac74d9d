"""Publishing the ledger as a log: checkpoints, guarded by a lock of their own, kept, and then told."""

from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.publisher import Published, Publisher
from signed_ledger.publishing.tiles import root_at

__all__ = ["CheckpointLock", "Published", "Publisher", "root_at"]
