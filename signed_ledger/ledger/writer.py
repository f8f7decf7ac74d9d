"""The one writer: a group, one durable step, then the answers.

While one group is being committed the next one gathers: the commit is the pause, there is no timer (docs/adr/0001). A
group of webhooks is decided meanwhile, too, upon what the one before it leaves in memory, and without the lock. It is
written only where its head still is the newest entry once the lock is had; else it is decided again, under the lock.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from signed_ledger.errors import Busy, Fault, InternalError, Overloaded, Refusal
from signed_ledger.ledger.following import Head, follow, read_tree
from signed_ledger.ledger.group import Deferred, Group
from signed_ledger.ledger.known import Known
from signed_ledger.ledger.queue import Queue
from signed_ledger.ledger.submissions import Answer, ChangeRegistry, Look, Outcome, Pending, Submission, Webhook
from signed_ledger.ledger.wanting import history_of, names_of, wanted_by
from signed_ledger.records import Transaction
from signed_ledger.rules import Erase
from signed_ledger.signing import Signer
from signed_ledger.store import Store, Wanted, append_and_erase, read_erasing
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.ledger")

SHARED_SECONDS: Final = 1.0
"""So long after another process wrote, groups are decided under the lock: ahead of it, most would be for nothing."""


class Commit(NamedTuple):
    """A group on its way to disk: who waits for it, and the names of all that it read or changed."""

    task: "asyncio.Task[None]"
    pendings: list[Pending]
    names: frozenset[object]


class Writer:
    """Decides and writes, group by group. Owner of every mutable field: `run`, and the commit it has under way.

    `head` and `known` are as decided, `tree` and `_on_disk` are its like on disk.
    """

    def __init__(
        self,
        store: Store,
        known: Known,
        head: Head,
        queue: Queue,
        *,
        load_signer: Callable[[bytes], Signer],
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        metrics: Metrics,
        group_commands_max: int,
    ) -> None:
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.known = known
        self.head = head
        self.tree = known.tree
        self._on_disk = head
        self._store = store
        self._queue = queue
        self._load_signer = load_signer
        self._clock = clock
        self._random_bytes = random_bytes
        self._metrics = metrics
        self._group_commands_max = group_commands_max
        self._under_way: Commit | None = None
        self._shared_until = 0.0

    async def run(self) -> None:
        """Until the queue is closed and empty, or a fault; then `stopped` is set."""
        pendings: list[Pending] = []
        try:
            while await self._queue.wait() or await self._flush():
                pendings = self._queue.next_group(self._group_commands_max)
                if all(isinstance(pending.submission, Webhook) for pending in pendings):
                    await self._write_ahead(pendings)
                else:
                    await self._flush()
                    await self._write_locked(pendings)
                pendings = []
        except Exception as error:  # own mistakes too: the state is unknown, nothing more may be written
            self._fail(error, pendings)

    # --- ahead of the lock -----------------------------------------------------------------------------------------

    async def _write_ahead(self, pendings: list[Pending]) -> None:
        submissions = [pending.submission for pending in pendings]
        wanted = wanted_by(submissions)
        group = await self._peek(submissions, wanted)
        outcomes = [] if group is None else [(pending, self._settle(group, pending)) for pending in pendings]
        await self._flush()
        if group is None:
            await self._write_locked(pendings)
            return
        self._metrics.integrity_alarms.inc(group.violations)
        if not group.rows:
            self._resolve(outcomes)
        elif self._insert(group):
            commit = asyncio.create_task(self._commit_ahead(group, outcomes), name="commit")
            commit.add_done_callback(self._stop_if_failed)
            names = (*names_of(wanted), *group.book.accounts, *group.book.cards)
            self._under_way = Commit(commit, pendings, frozenset(names))
            await asyncio.sleep(0)  # the commit is handed to its thread now, not when this task next has to wait
            if any(isinstance(outcome, Deferred) for _, outcome in outcomes):
                await self._flush()  # these come before all that waits behind them
        else:
            self._shared_until = time.monotonic() + SHARED_SECONDS
            await self._write_locked(pendings)

    def _insert(self, group: Group) -> bool:
        """Whether the group could be inserted after what it was decided upon."""
        try:
            is_next = self._store.insert_after(self.head.seq, self.head.note, group.rows)
        except Busy:
            return False
        if is_next:
            self.head = group.head
            self.known.remember(group.book, group.tree, group.terms_seq)
        return is_next

    async def _peek(self, submissions: list[Submission], wanted: Wanted) -> Group | None:
        """A group with all that it needs to know; `None` where it must be decided under the lock.

        What the commit under way is about is read once that is on disk: in the file it may be what it was before.
        """
        if time.monotonic() < self._shared_until:
            return None
        group: Group | None = None
        more: Wanted | None = wanted
        while more is not None:
            if self._under_way is not None and not self._under_way.names.isdisjoint(names_of(more)):
                await self._flush()
            heads = (self.head[:2], self._on_disk[:2])  # the commit under way may come to its end before, or after
            try:
                peeked = self._store.peek(more)
            except Busy:
                return None
            if peeked[:2] not in heads:
                return None
            group = group or self._group({}, submissions)
            group.learn(peeked.found)
            more = group.unknown(submissions)
        return group

    async def _commit_ahead(self, group: Group, outcomes: list[tuple[Pending, Outcome | Deferred]]) -> None:
        started = time.perf_counter()
        await self._store.commit()
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self.tree, self._on_disk = group.tree, group.head
        self._resolve(outcomes)

    async def _flush(self) -> bool:
        """Wait for the commit under way; raises what stopped it. Gives whether it put something back to be decided."""
        if self._under_way is None:
            return False
        await self._under_way.task
        self._under_way = None
        return len(self._queue) > 0

    def _stop_if_failed(self, commit: "asyncio.Task[None]") -> None:
        if not commit.cancelled() and commit.exception() is not None:
            self._queue.close()  # and `run` meets it

    # --- under the lock --------------------------------------------------------------------------------------------

    async def _write_locked(self, pendings: list[Pending]) -> None:
        try:
            await self._write(pendings)
        except Busy:
            self._refuse_busy(pendings)

    def _refuse_busy(self, pendings: list[Pending]) -> None:
        busy = Overloaded("Another process is writing; nothing was decided.")
        self._resolve([(pending, busy) for pending in pendings])

    def _group(self, roots: dict[int, bytes], submissions: list[Submission]) -> Group:
        group = Group(
            head=self.head,
            known=self.known,
            now=self._clock(),
            load_signer=self._load_signer,
            random_bytes=self._random_bytes,
            roots=roots,
        )
        group.trust(submissions)
        return group

    async def _write(self, pendings: list[Pending]) -> None:
        submissions = [pending.submission for pending in pendings]
        if any(isinstance(submission, Look) for submission in submissions):
            await self._store.check_in_place()
        begun = await self._store.begin(self.head.seq, wanted_by(submissions))
        if len(begun.newer) != 1 or begun.newer[0][1] != self.head.note:
            self.known.forget()
            self.head = await follow(self._store, self.known, self.head, begun.newer)
            self.tree, self._on_disk = self.known.tree, self.head
            self._shared_until = time.monotonic() + SHARED_SECONDS
        group = self._group(await self._roots_of(submissions), submissions)
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
        return {size: (await read_tree(self._store, size)).root() for size in sizes if size <= self.head.seq + 1}

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
            self.known.forget()
        else:
            await self._store.append(group.rows)
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self.head = group.head
        self.tree, self._on_disk = group.tree, group.head
        self.known.remember(group.book, group.tree, group.terms_seq)
        if any(table == "keys" for table, _ in group.rows):
            self.known.forget()  # what is in memory may rest on a key that is no longer trusted

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
        log.debug("recorded", answers=len(answers), head_seq=self.head.seq)

    def _fail(self, error: Exception, pendings: list[Pending]) -> None:
        log.critical("fault", reason=str(error), exc_info=error)
        unknown = InternalError("The service failed and stops; whether this was recorded is not known. Retry it.")
        self._queue.close()
        committing = [] if self._under_way is None else self._under_way.pendings
        self._queue.abandon([*committing, *pendings], unknown)
        self.stopped.set_exception(error if isinstance(error, Fault) else Fault(str(error)))
        self.stopped.exception()
