"""The one writer: a queue, a group, one durable step, then the answers.

While one group is being committed the next one gathers: the commit is the pause, there is no timer (docs/adr/0001).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from signed_ledger.errors import Busy, Fault, InternalError, Overloaded, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.following import Head, follow, read_keyring, read_known, read_tree
from signed_ledger.ledger.group import Deferred, Group
from signed_ledger.ledger.known import Known
from signed_ledger.ledger.limits import Limits
from signed_ledger.ledger.queue import Queue
from signed_ledger.ledger.submissions import (
    Answer,
    ChangeRegistry,
    Decision,
    Keep,
    Look,
    Outcome,
    Pending,
    Submission,
    Tell,
    Webhook,
    decision_of,
)
from signed_ledger.ledger.verified import signed_entry
from signed_ledger.ledger.wanting import history_of, wanted_by
from signed_ledger.merkle import Tree
from signed_ledger.records import RegisteredKey, Terms, Transaction
from signed_ledger.rules import Erase
from signed_ledger.signing import Signer
from signed_ledger.store import Store, append_and_erase, read_erasing
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.ledger")

LOOK_SECONDS: Final = 0.1
"""The least time between two looks at what other processes wrote: a flood of unknown keys must cost nothing."""


class Ledger:
    """Decides, records and answers. Several processes may each have one on the same file.

    Owner of every mutable field: the task of `_run`.
    """

    def __init__(
        self,
        store: Store,
        known: Known,
        head: Head,
        *,
        load_signer: Callable[[bytes], Signer],
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store = store
        self._known = known
        self._head = head
        self._load_signer = load_signer
        self._clock = clock
        self._random_bytes = random_bytes
        self._metrics = metrics
        self._limits = limits
        self._queue = Queue(limits.queue_commands_max)
        self._looked = 0.0
        self._next_look: asyncio.Task[None] | None = None
        metrics.queue_depth.set_function(self._queue.__len__)
        self._task = asyncio.create_task(self._run(), name="ledger")

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
        limits = limits or Limits()
        return cls(
            store,
            await read_known(store, keyring, newest.seq, limits.cache_accounts_max),
            Head(newest.seq, newest.note, entry.time),
            load_signer=load_signer,
            clock=clock,
            random_bytes=random_bytes,
            metrics=metrics or Metrics(),
            limits=limits,
        )

    @property
    def keyring(self) -> Keyring:
        """The key registry as of the last group."""
        return self._known.keyring

    @property
    def terms(self) -> Terms:
        """The terms as of the last group."""
        return self._known.terms

    def find_key(self, kid: str) -> RegisteredKey | None:
        """The registered key of this kid as of the last group."""
        return self.keyring.find(kid)

    @property
    def tree(self) -> Tree:
        """The tree over all entries as of the last group, on disk and verified. It is replaced, never changed."""
        return self._known.tree

    async def submit(self, submission: Submission) -> Answer:
        """Record a decision and give it once it is on disk, never before.

        A webhook that is the same as one before gets that one's answer, `replayed`. A `Refusal` says that nothing was
        recorded; only `InternalError` says that this is not known. Cancelling cancels the wait only.
        """
        answer = await self._queue.ask(submission)
        assert answer is not None
        return answer

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

    # --- the writer ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while await self._queue.wait():
            pendings = self._queue.next_group(self._limits.group_commands_max)
            try:
                await self._write(pendings)
            except Busy:
                busy = Overloaded("Another process is writing; nothing was decided.")
                self._resolve([(pending, busy) for pending in pendings])
            except Exception as error:  # own mistakes too: the state is unknown, nothing more may be written
                self._fail(error, pendings)
                return

    async def _write(self, pendings: list[Pending]) -> None:
        submissions = [pending.submission for pending in pendings]
        begun = await self._store.begin(self._head.seq, wanted_by(submissions))
        if len(begun.newer) != 1 or begun.newer[0][1] != self._head.note:
            self._known.forget()
            self._head = await follow(self._store, self._known, self._head, begun.newer)
        group = Group(
            head=self._head,
            known=self._known,
            now=self._clock(),
            load_signer=self._load_signer,
            random_bytes=self._random_bytes,
            roots=await self._roots_of(submissions),
        )
        group.learn(begun.found)
        if unknown := group.unknown(submissions):
            group.learn(await self._store.read(unknown))
        if isinstance(erase := submissions[0], Erase):
            group.erasing = await read_erasing(self._store, erase.card_id)
        outcomes = [(pending, self._settle(group, pending)) for pending in pendings]
        await self._commit(group, submissions[0])
        self._resolve(outcomes)

    async def _roots_of(self, submissions: list[Submission]) -> dict[int, bytes]:
        if not isinstance(submissions[0], ChangeRegistry):
            return {}
        sizes = {history.size for one in submissions if (history := history_of(one)) is not None}
        return {size: (await read_tree(self._store, size)).root() for size in sizes if size <= self._head.seq + 1}

    def _settle(self, group: Group, pending: Pending) -> Answer | Refusal | Deferred | None:
        try:
            return group.settle(pending.submission)
        except (Refusal, Deferred) as outcome:
            return outcome

    async def _commit(self, group: Group, first: Submission) -> None:
        self._metrics.integrity_alarms.inc(group.violations)
        if not group.rows:
            await self._store.rollback()
            return
        started = time.perf_counter()
        if isinstance(first, Erase):
            await append_and_erase(self._store, group.rows, first.card_id, group.erasures)
            self._known.forget()
        else:
            await self._store.append(group.rows)
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self._head = group.head
        self._known.remember(group.book, group.tree, group.terms_seq)
        if any(table == "keys" for table, _ in group.rows):
            self._known.forget()  # what is in memory may rest on a key that is no longer trusted

    def _resolve(self, outcomes: list[tuple[Pending, Outcome | Deferred]]) -> None:
        """Tell each who waits: after the commit, so what is told is on disk."""
        decided: list[tuple[Pending, Outcome]] = []
        deferred = []
        for pending, outcome in outcomes:
            if isinstance(outcome, Deferred):
                deferred.append(pending)
            else:
                decided.append((pending, outcome))
        self._queue.put_back(deferred)
        self._queue.resolve(decided)
        self._count(decided)

    def _count(self, decided: list[tuple[Pending, Outcome]]) -> None:
        self._metrics.group_size.observe(len(decided))
        answers = [answer for _, answer in decided if isinstance(answer, Answer)]
        if replays := sum(answer.replayed for answer in answers):
            self._metrics.replays.inc(replays)
        bodies = [answer.body for answer in answers if not answer.replayed]
        kinds = Counter((body.type, body.reason) for body in bodies if isinstance(body, Transaction))
        for kind, count in kinds.items():
            self._metrics.decisions.labels(*kind).inc(count)
        log.debug("recorded", answers=len(answers), head_seq=self._head.seq)

    def _fail(self, error: Exception, pendings: list[Pending]) -> None:
        log.critical("fault", reason=str(error), exc_info=error)
        unknown = InternalError("The service failed and stops; whether this was recorded is not known. Retry it.")
        self._queue.is_closed = True
        self._queue.abandon(pendings, unknown)
        self.stopped.set_exception(error if isinstance(error, Fault) else Fault(str(error)))
        self.stopped.exception()
