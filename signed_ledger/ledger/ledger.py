"""The ledger as it is asked: decisions, and what goes with them. One task behind it writes (`writer`)."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from signed_ledger.keyring import Keyring
from signed_ledger.ledger.following import Head, read_keyring, read_known
from signed_ledger.ledger.limits import Limits
from signed_ledger.ledger.queue import Queue
from signed_ledger.ledger.submissions import (
    Answer,
    Decision,
    Keep,
    Look,
    Submission,
    Tell,
    Webhook,
    decision_of,
)
from signed_ledger.ledger.verified import signed_entry
from signed_ledger.ledger.writer import Writer
from signed_ledger.merkle import Tree
from signed_ledger.records import RegisteredKey, Terms
from signed_ledger.signing import Signer
from signed_ledger.store import Store
from signed_ledger.telemetry import Metrics

LOOK_SECONDS: Final = 0.1
"""The least time between two looks at what other processes wrote: a flood of unknown keys must cost nothing."""


class Ledger:
    """Decides, records and answers. Several processes may each have one on the same file."""

    def __init__(self, store: Store, writer: Writer, queue: Queue) -> None:
        self._store = store
        self._writer = writer
        self._queue = queue
        self._looked = 0.0
        self._next_look: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(writer.run(), name="ledger")

    @classmethod
    async def open(
        cls,
        store: Store,
        *,
        load_signer: Callable[[bytes], Signer],
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        metrics: Metrics | None = None,
        limits: Limits | None = None,
    ) -> "Ledger":
        """Start on an existing ledger: the key registry and the head are verified first.

        Raises `Invalid` where they do not verify, or where the entry key in use is not to be had.
        """
        newest = await store.newest()
        keyring = await read_keyring(store, newest.seq)
        entry = signed_entry(newest, keyring)
        assert newest.note is not None
        load_signer(keyring.entry_key_at(newest.seq + 1))
        limits, metrics = limits or Limits(), metrics or Metrics()
        queue = Queue(limits.queue_commands_max)
        metrics.queue_depth.set_function(queue.__len__)
        writer = Writer(
            store,
            await read_known(store, keyring, newest.seq, limits.cache_accounts_max),
            Head(newest.seq, newest.note, entry.time),
            queue,
            load_signer=load_signer,
            clock=clock,
            random_bytes=random_bytes,
            metrics=metrics,
            group_commands_max=limits.group_commands_max,
        )
        return cls(store, writer, queue)

    @property
    def stopped(self) -> "asyncio.Future[None]":
        """Done, with a `Fault`, once nothing more is written."""
        return self._writer.stopped

    @property
    def keyring(self) -> Keyring:
        """The key registry as of the last group."""
        return self._writer.known.keyring

    @property
    def terms(self) -> Terms:
        """The terms as of the last group."""
        return self._writer.known.terms

    def find_key(self, kid: str) -> RegisteredKey | None:
        """The registered key of this kid as of the last group."""
        return self.keyring.find(kid)

    @property
    def tree(self) -> Tree:
        """The tree over all entries as of the last group, on disk and verified. It is replaced, never changed."""
        return self._writer.tree

    async def submit(self, submission: Submission) -> Answer:
        """Record a decision and give it once it is on disk, never before.

        A webhook that is the same as one before gets that one's answer, `replayed`. A `Refusal` says that nothing was
        recorded; only `InternalError` says that this is not known. Cancelling cancels the wait only.
        """
        answer = await self._queue.ask(submission)
        assert answer is not None
        return answer

    def check_room(self) -> None:
        """Raise `Overloaded` where a webhook would not be taken in now."""
        self._queue.check_room()

    async def decide(self, webhook: Webhook) -> Decision:
        """Submit a webhook; give what its Scheme is told."""
        return decision_of(await self.submit(webhook))

    def enter(self, webhook: Webhook, tell: Tell) -> None:
        """Submit a webhook without waiting: `tell` is called once, with what `submit` would give or raise."""
        self._queue.enter(webhook, tell)

    async def keep(self, keep: Keep) -> None:
        """Keep a checkpoint or cosignatures; they are on disk when this returns."""
        await self._queue.ask(keep)

    async def look(self) -> None:
        """Catch up with all that other processes wrote before this call, key changes above all.

        However many ask, there is one look in `LOOK_SECONDS`, and they share it.
        """
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_soon(), name="look")
        await asyncio.shield(self._next_look)

    async def _look_soon(self) -> None:
        await asyncio.sleep(self._looked + LOOK_SECONDS - time.monotonic())
        self._looked = time.monotonic()
        self._next_look = None  # who asks from here on may know of a later change
        await self._queue.ask(Look())

    async def close(self) -> None:
        """Take nothing more, finish what waits, close the store."""
        self._queue.close()
        await self._task
        await self._store.close()
