"""Checkpoints, one after the other: the lock first, then the signature, then on disk, then told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.errors import Invalid
from signed_ledger.killpoints import reached
from signed_ledger.ledger import Keep, Ledger
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.policy import Policy
from signed_ledger.publishing.board import Board, OtherHistory
from signed_ledger.publishing.kept import Published
from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.tiles import grow, root_at, tree_at
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics


class Publisher(Board):
    """Publishes what the ledger holds. Owner of `_locked`: the one task that runs `run`, or calls `publish`."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        lock: CheckpointLock,
        load_signer: Callable[[bytes], Signer],
        metrics: Metrics,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(ledger, reader, metrics, policy)
        self._ledger = ledger
        self._lock = lock
        self._load_signer = load_signer
        self._locked: Checkpoint | None = None  # what we know to be of this history

    async def open(self) -> None:
        """Hold the lock file against the ledger, before anything is served.

        The file is made where the ledger never published. Raises `Invalid` where it is missing though the ledger did,
        where the ledger is behind it, or is another one: a restored backup, or a second server on this key.
        """
        await self.refresh()  # before the lock is read: that is never behind what is kept
        if not self._lock.path.exists():
            await self._make_first_lock()
        locked = await asyncio.to_thread(self._lock.read)
        self._check_origin(locked)
        try:
            await self._check_same_history(locked)
        except OtherHistory as error:
            raise Invalid(str(self._lock.path), str(error)) from error
        if self.newest is not None and self.newest.size > locked.size:
            raise Invalid(str(self._lock.path), _LOCK_BEHIND.format(published=self.newest.size, size=locked.size))
        await self._check_since(locked)
        await asyncio.to_thread(self._lock.swap, locked, locked)  # a file that only reads is told of now

    async def renew_lock(self) -> None:
        """Make the lock file anew from the newest checkpoint kept; raises `Invalid` where one is there."""
        await self.refresh()
        locked = Checkpoint(self._origin, 0, EMPTY_ROOT) if self.newest is None else self.newest.checkpoint
        await self._check_same_history(locked)
        try:
            await asyncio.to_thread(self._lock.create, locked)
        except FileExistsError:
            raise Invalid(str(self._lock.path), "is there: nothing is lost, and nothing was made") from None

    async def publish(self) -> Published:
        """Publish all that is on disk now, where that is not done; give the newest checkpoint.

        The order is: compare-and-swap in the lock file, sign, keep on disk, tell. Raises `OtherHistory` where another
        history has been published under this key, `Invalid` where the lock file or the key can not be used.
        """
        await self._catch_up()
        while True:
            tree = self._ledger.tree
            if self.newest is not None and self.newest.size >= tree.size:
                return self.newest
            new = Checkpoint(self._origin, tree.size, tree.root())
            signer = self._load_signer(self._ledger.keyring.checkpoint_key_at(new.size))
            if await self._swap(new):
                break
        note = sign_checkpoint(new, signer)
        reached("keeping")
        await self._ledger.keep(Keep(new.size - 1, note))
        reached("kept")
        newest = self.tell(Published(new, note, {}))
        reached("published")
        return newest

    async def run(self, interval_s: float) -> None:
        """Publish for ever, every `interval_s` at most. Raises `OtherHistory` where that has been published."""
        await self._keep(interval_s, self.publish)

    async def add_cosignatures(self, size: int, cosignatures: dict[str, str]) -> None:
        """Keep what witnesses signed of the checkpoint of `size`, then tell it with the checkpoint."""
        await self._ledger.keep(Keep(size - 1, None, tuple(sorted(cosignatures.items()))))
        newest = self.newest
        if newest is not None and newest.size == size:
            self.tell(replace(newest, cosignatures={**newest.cosignatures, **cosignatures}))

    @property
    def _origin(self) -> str:
        return self._ledger.keyring.origin

    async def _catch_up(self) -> None:
        """What other processes wrote is of the ledger too."""
        if await self._reader.head() >= self._ledger.tree.size:
            await self._ledger.look()

    async def _make_first_lock(self) -> None:
        if self.newest is not None:
            raise Invalid(str(self._lock.path), _LOCK_MISSING.format(size=self.newest.size))
        reached("making lock")
        with suppress(FileExistsError):  # another process's, which began with us
            await asyncio.to_thread(self._lock.create, Checkpoint(self._origin, 0, EMPTY_ROOT))

    async def _swap(self, new: Checkpoint) -> bool:
        """Whether `new` stands in the lock; not, where one that goes further does, which our tree then has reached."""
        while True:
            locked = await asyncio.to_thread(self._lock.read)
            self._check_origin(locked)
            await self._check_same_history(locked)
            if locked == new:
                return True
            if locked.size > new.size:
                return False
            if locked.size == new.size:
                raise OtherHistory(_OTHER.format(published=locked.size))
            reached("swapping")
            if await asyncio.to_thread(self._lock.swap, locked, new):
                reached("swapped")
                self._locked = new
                return True

    async def _check_same_history(self, locked: Checkpoint) -> None:
        """Is what was published of this ledger? It may be what another process added meanwhile."""
        if locked == self._locked:
            return
        if locked.size > self._ledger.tree.size:
            await self._ledger.look()
        if locked.size > self._ledger.tree.size:
            raise OtherHistory(_BEHIND.format(published=locked.size, size=self._ledger.tree.size))
        if await root_at(self._reader, locked.size) != locked.root:
            raise OtherHistory(_OTHER.format(published=locked.size))
        self._locked = locked

    async def _check_since(self, locked: Checkpoint) -> None:
        """What came after the published entries is held against its tiles once, before a root of these is signed."""
        ours = self._ledger.tree
        tree = await tree_at(self._reader, locked.size)
        await grow(self._reader, tree, ours.size)
        if tree.root() != ours.root():
            raise Invalid("tiles", "are not those of the entries: run signed-ledger rebuild")

    def _check_origin(self, locked: Checkpoint) -> None:
        if locked.origin != self._origin:
            raise Invalid(str(self._lock.path), f"is of the ledger {locked.origin}")


_BEHIND = (
    "a checkpoint of {published} entries was published, and the ledger has {size}: it was restored from a "
    "backup, or is another copy. Nothing may be added to it: bring the newest one"
)
_OTHER = (
    "of the {published} entries that were published, this ledger has others: it is another history. "
    "Was a copy served with the same key?"
)
_LOCK_MISSING = (
    "is not there, though a checkpoint of {size} entries was published: bring it, or, where it is lost for good, see "
    "docs/operations.md"
)
_LOCK_BEHIND = (
    "has a checkpoint of {size} entries, and one of {published} was published since: it was restored from a backup. "
    "See docs/operations.md"
)
