"""Publishing the ledger as a log: checkpoints, guarded by a lock of their own, kept, and then told."""

from signed_ledger.publishing.exporting import Exported, export_tiles
from signed_ledger.publishing.kept import Published, read_newest, verified_checkpoint
from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.publisher import OtherHistory, Publisher
from signed_ledger.publishing.tiles import Progress, root_at

__all__ = [
    "CheckpointLock",
    "Exported",
    "OtherHistory",
    "Progress",
    "Published",
    "Publisher",
    "export_tiles",
    "read_newest",
    "root_at",
    "verified_checkpoint",
]
