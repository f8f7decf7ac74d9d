"""What has been published, as it is told: each process that answers HTTP has one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from signed_ledger.errors import Fault, Invalid, SignedLedgerError
from signed_ledger.ledger import Decider
from signed_ledger.policy import Policy
from signed_ledger.publishing.kept import Published, read_newest, verified_checkpoint
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.publishing")


class OtherHistory(Fault):
    """What was published under our key is not of this ledger. Nothing more may be signed, or added."""


class Board:
    """The newest checkpoint that is published, whoever published it.

    `newest` is changed by `tell` alone, which any task may reach; it never goes back.
    """

    def __init__(self, ledger: Decider, reader: Reader, metrics: Metrics, policy: Policy | None = None) -> None:
        """`policy` says which witnesses must have cosigned a checkpoint for it to be `witnessed`."""
        self.newest: Published | None = None
        self.witnessed: Published | None = None  # the newest that the policy's quorum cosigned
        self._of = ledger
        self._reader = reader
        self._metrics = metrics
        self._policy = policy
        self._changed = asyncio.Event()

    async def refresh(self) -> None:
        """Take up what another process published. Raises `Invalid` for what is kept and is no checkpoint of ours."""
        newest = self.newest
        kept = await read_newest(self._reader, 1 if newest is None else newest.size)
        if kept is None or (newest is not None and (kept.size, len(kept.cosignatures)) <= newest.reach):
            return
        try:
            published = verified_checkpoint(kept, self._of.keyring)
        except Invalid:  # its key may be new
            await self._of.look()
            published = verified_checkpoint(kept, self._of.keyring)
        self.tell(published)

    async def follow(self, interval_s: float) -> None:
        """Take up what others publish, for ever, every `interval_s` at most."""
        await self._keep(interval_s, self.refresh)

    async def _keep(self, interval_s: float, step: Callable[[], Awaitable[object]]) -> None:
        """Take a step every `interval_s`. Raises `OtherHistory`; what else fails is told, and tried again."""
        while not self._of.stopped.done():
            await asyncio.sleep(interval_s)
            try:
                await step()
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
            if published is not None and published.size > seq and self._of.keyring.trusts_checkpoint(published.size):
                return published
        return None

    async def newer_than(self, size: int) -> Published:
        """The newest checkpoint, once it has more than `size` entries."""
        while self.newest is None or self.newest.size <= size:
            await self._changed.wait()
        return self.newest

    def tell(self, published: Published) -> Published:
        """Tell it, unless more was told meanwhile; give the newest."""
        if self.newest is None or published.reach >= self.newest.reach:
            self.newest = published
            if self._policy is not None and self._policy.is_met(self._policy.cosigned(published.signed)):
                self.witnessed = published
            self._metrics.checkpoint_size.set(published.size)
            self._changed.set()
            self._changed.clear()
        return self.newest
