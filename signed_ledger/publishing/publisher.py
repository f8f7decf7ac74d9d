"""Checkpoints, one after the other: the lock first, then the signature, then on disk, then told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.errors import Fault, Invalid, SignedLedgerError
from signed_ledger.ledger import Keep, Ledger
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.policy import Policy
from signed_ledger.publishing.kept import Published, read_newest, verified_checkpoint
from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.tiles import grow, root_at, tree_at
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.publishing")


class OtherHistory(Fault):
    """What was published under our key is not of this ledger. Nothing more may be signed, or added."""


class Publisher:
    """Publishes what the ledger holds. Owner of `_locked`: the one task that runs `run`, or calls `publish`.

    `newest` is changed by `_tell` alone, which any task may reach; it never goes back.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        lock: CheckpointLock,
        load_signer: Callable[[bytes], Signer],
        metrics: Metrics,
        policy: Policy | None = None,
    ) -> None:
        """`policy` says which witnesses must have cosigned a checkpoint for it to be `witnessed`."""
        self.newest: Published | None = None
        self.witnessed: Published | None = None  # the newest that the policy's quorum cosigned
        self._ledger = ledger
        self._reader = reader
        self._lock = lock
        self._load_signer = load_signer
        self._metrics = metrics
        self._policy = policy
        self._locked: Checkpoint | None = None  # what we know to be of this history
        self._changed = asyncio.Event()

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

    async def refresh(self) -> None:
        """Take up what another process published. Raises `Invalid` for what is kept and is no checkpoint of ours."""
        newest = self.newest
        kept = await read_newest(self._reader, 1 if newest is None else newest.size)
        if kept is None:
            return
        if kept.size > self._ledger.tree.size:
            await self._ledger.look()  # its key may be new, too
        if newest is None or (kept.size, len(kept.cosignatures)) > newest.reach:
            self._tell(verified_checkpoint(kept, self._ledger.keyring))

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
        await self._ledger.keep(Keep(new.size - 1, note))
        return self._tell(Published(new, note, {}))

    async def run(self, interval_s: float, *, leads: bool = True) -> None:
        """Publish for ever, every `interval_s` at most; one that does not lead only takes up what others publish.

        Raises `OtherHistory` where another history has been published. What else fails is told, and tried again.
        """
        while not self._ledger.stopped.done():
            await asyncio.sleep(interval_s)
            try:
                await (self.publish() if leads else self.refresh())
            except OtherHistory:
                raise
            except Exception as error:  # own mistakes too: no payment waits for a checkpoint
                self._metrics.checkpoint_failures.inc()
                own = None if isinstance(error, SignedLedgerError | OSError) else error
                log.error("checkpoint_failed", reason=str(error), exc_info=own)

    async def covering(self, seq: int, timeout_s: float) -> Published | None:
        """A checkpoint that covers entry `seq`; `None` where none does in time.

        It is the newest that is witnessed, where that covers the entry; else the newest. One by a key that is revoked
        from fewer entries on vouches for nothing.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.newer_than(seq)
        for published in (self.witnessed, self.newest):
            if (
                published is not None
                and published.size > seq
                and self._ledger.keyring.trusts_checkpoint(published.size)
            ):
                return published
        return None

    async def newer_than(self, size: int) -> Published:
        """The newest checkpoint, once it has more than `size` entries."""
        while self.newest is None or self.newest.size <= size:
            await self._changed.wait()
        return self.newest

    async def add_cosignatures(self, size: int, cosignatures: dict[str, str]) -> None:
        """Keep what witnesses signed of the checkpoint of `size`, then tell it with the checkpoint."""
        await self._ledger.keep(Keep(size - 1, None, tuple(sorted(cosignatures.items()))))
        newest = self.newest
        if newest is not None and newest.size == size:
            self._tell(replace(newest, cosignatures={**newest.cosignatures, **cosignatures}))

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
            if await asyncio.to_thread(self._lock.swap, locked, new):
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

    def _tell(self, published: Published) -> Published:
        """Tell it, unless more was told meanwhile; give the newest."""
        if self.newest is None or published.reach >= self.newest.reach:
            self.newest = published
            if self._policy is not None and self._policy.is_met(self._policy.cosigned(published.signed)):
                self.witnessed = published
            self._metrics.checkpoint_size.set(published.size)
            self._changed.set()
            self._changed.clear()
        return self.newest


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
