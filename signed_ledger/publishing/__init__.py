"""Publishing the ledger as a log: checkpoints, guarded by a lock of their own, kept, and then told; and receipts."""

from signed_ledger.publishing.board import Board, OtherHistory
from signed_ledger.publishing.cosigning import keep_cosigning
from signed_ledger.publishing.exporting import Exported, export_tiles
from signed_ledger.publishing.kept import Published, read_newest, verified_checkpoint
from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.publisher import Publisher
from signed_ledger.publishing.receipts import make_receipt
from signed_ledger.publishing.tiles import Progress, root_at
from signed_ledger.publishing.witnesses import Witnesses

__all__ = [
    "Board",
    "CheckpointLock",
    "Exported",
    "OtherHistory",
    "Progress",
    "Published",
    "Publisher",
    "Witnesses",
    "export_tiles",
    "keep_cosigning",
    "make_receipt",
    "read_newest",
    "root_at",
    "verified_checkpoint",
]
