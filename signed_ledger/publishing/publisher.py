"""Checkpoints, one after the other: the lock first, then the signature, then on disk, then told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.errors import Fault, InternalError, Invalid, Overloaded
from signed_ledger.ledger import Keep, Ledger
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.publishing.lock import CheckpointLock
from signed_ledger.publishing.tiles import root_at
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer
from signed_ledger.store import KeptCheckpoint, Reader
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.publishing")


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is on disk and may be told: the note, and the signature lines of witnesses by key."""

    size: int
    note: bytes
    cosignatures: dict[str, str]

    @property
    def cosigned(self) -> bytes:
        """The note with all its signature lines."""
        return self.note + "".join(line for _, line in sorted(self.cosignatures.items())).encode()


class Publisher:
    """Publishes what the ledger holds. Owner of every mutable field: the task that runs `run`, or calls `publish`."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        lock: CheckpointLock,
        load_signer: Callable[[bytes], Signer],
        metrics: Metrics,
    ) -> None:
        self.newest: Published | None = None
        self._ledger = ledger
        self._reader = reader
        self._lock = lock
        self._load_signer = load_signer
        self._metrics = metrics
        self._locked: Checkpoint | None = None  # what we know to be of this history
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Hold the lock file against the ledger, before anything is served.

        The file is made where the ledger never published. Raises `Invalid` where it is missing though the ledger did,
        where the ledger is behind it, or is another one: a restored backup, or a second server on this key.
        """
        tree, origin = self._ledger.tree, self._ledger.keyring.origin
        size = tree.size
        kept = await self._reader.checkpoint(1, size)
        if not self._lock.path.exists():
            if kept is not None:
                raise Invalid(str(self._lock.path), _LOCK_MISSING.format(size=kept.size))
            await asyncio.to_thread(self._lock.create, Checkpoint(origin, 0, EMPTY_ROOT))
        locked = await asyncio.to_thread(self._lock.read)
        self._check_origin(locked)
        if locked.size > size:
            raise Invalid(str(self._lock.path), _BEHIND.format(published=locked.size, size=size))
        if await root_at(self._reader, locked.size) != locked.root:
            raise Invalid(str(self._lock.path), _OTHER.format(published=locked.size))
        self._locked = locked
        if kept is not None:
            self._tell(_published(kept))

    async def refresh(self) -> None:
        """Take up what another process published."""
        known = 0 if self.newest is None else self.newest.size
        kept = await self._reader.checkpoint(known, self._ledger.tree.size)
        if kept is not None and (kept.size > known or len(kept.cosignatures) > self._cosignatures):
            self._tell(_published(kept))

    async def publish(self) -> Published:
        """Publish all that is on disk now, where that is not done; give the newest checkpoint.

        The order is: compare-and-swap in the lock file, sign, keep on disk, tell. Raises `Fault` where another history
        has been published under this key, `Invalid` where the lock file or the key can not be used.
        """
        tree, keyring = self._ledger.tree, self._ledger.keyring
        key, new = keyring.current("checkpoint").public_key, Checkpoint(keyring.origin, tree.size, tree.root())
        if self.newest is not None and self.newest.size >= new.size:
            return self.newest
        signer = self._load_signer(key)
        if not await self._swap(new):
            await self.refresh()
            assert self.newest is not None
            return self.newest
        note = sign_checkpoint(new, signer)
        await self._ledger.keep(Keep(new.size - 1, note))
        self._metrics.checkpoint_size.set(new.size)
        return self._tell(Published(new.size, note, {}))

    async def run(self, interval_s: float, *, leads: bool = True) -> None:
        """Publish for ever, every `interval_s` at most; one that does not lead only takes up what others publish.

        Raises `Fault` where another history has been published. What else fails is told, and tried again.
        """
        while not self._ledger.stopped.done():
            await asyncio.sleep(interval_s)
            try:
                await self._catch_up()
                await (self.publish() if leads else self.refresh())
            except (Invalid, Overloaded, InternalError) as error:
                self._metrics.checkpoint_failures.inc()
                log.error("checkpoint_failed", reason=str(error))

    async def covering(self, seq: int, timeout_s: float) -> Published | None:
        """The newest checkpoint, once it covers entry `seq`; `None` where none does in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.newest is None or self.newest.size <= seq:
                    await self._changed.wait()
        return self.newest if self.newest is not None and self.newest.size > seq else None

    async def add_cosignatures(self, size: int, cosignatures: dict[str, str]) -> None:
        """Keep what witnesses signed of the checkpoint of `size`, then tell it with the checkpoint."""
        await self._ledger.keep(Keep(size - 1, None, tuple(sorted(cosignatures.items()))))
        newest = self.newest
        if newest is not None and newest.size == size:
            self._tell(replace(newest, cosignatures={**newest.cosignatures, **cosignatures}))

    @property
    def _cosignatures(self) -> int:
        return 0 if self.newest is None else len(self.newest.cosignatures)

    async def _catch_up(self) -> None:
        """What other processes wrote is of the ledger too."""
        if await self._reader.head() >= self._ledger.tree.size:
            await self._ledger.look()

    async def _swap(self, new: Checkpoint) -> bool:
        """Whether `new` stands in the lock; not, where one that goes further does."""
        while True:
            locked = await asyncio.to_thread(self._lock.read)
            self._check_origin(locked)
            if locked != self._locked:
                await self._check_same_history(locked, new)
            if locked == new:
                return True
            if locked.size > new.size:
                return False
            if await asyncio.to_thread(self._lock.swap, locked, new):
                self._locked = new
                return True

    async def _check_same_history(self, locked: Checkpoint, new: Checkpoint) -> None:
        """Another process published: was it of this ledger?"""
        if locked.size > new.size:
            await self._ledger.look()
            if locked.size > self._ledger.tree.size:
                raise Fault(_BEHIND.format(published=locked.size, size=self._ledger.tree.size))
        if await root_at(self._reader, locked.size) != locked.root:
            raise Fault(_OTHER.format(published=locked.size))
        self._locked = locked

    def _check_origin(self, locked: Checkpoint) -> None:
        if locked.origin != self._ledger.keyring.origin:
            raise Invalid(str(self._lock.path), f"is of the ledger {locked.origin}")

    def _tell(self, published: Published) -> Published:
        self.newest = published
        self._changed.set()
        self._changed.clear()
        return published


def _published(kept: KeptCheckpoint) -> Published:
    return Published(kept.size, kept.note, kept.cosignatures)


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
