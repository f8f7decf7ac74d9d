"""What waits to be decided, and who waits for it: the hand-over between those who ask and the one task that writes."""

import asyncio
from collections import deque
from collections.abc import Iterable

from signed_ledger.errors import QUEUE_FULL, KeyRevoked, Overloaded, Refusal
from signed_ledger.ledger.group import reused
from signed_ledger.ledger.submissions import Answer, Outcome, Pending, Submission, Tell, Webhook
from signed_ledger.ledger.wanting import NOBODY, company_of


class Queue:
    """Submissions in the order in which they came. Owner of every field: the event loop's thread."""

    def __init__(self, commands_max: int) -> None:
        self.is_closed = False
        """Once set, nothing more is taken in."""
        self._commands_max = commands_max
        self._waiting: deque[Pending] = deque()
        self._in_flight: dict[tuple[str, str], Pending] = {}  # until they are told, so a group's too
        self._again: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(self, submission: Submission) -> Answer | None:
        """Wait for the answer; a webhook that is in flight already gets that one's, `replayed`."""
        first = self._in_flight.get(submission.id) if isinstance(submission, Webhook) else None
        if first is None:
            return await self._take_in(submission).wait()
        assert isinstance(submission, Webhook)
        assert isinstance(first.submission, Webhook)
        if not first.submission.is_same_as(submission.type, submission.evidence):
            raise reused(submission)
        try:
            answer = await first.wait()
        except KeyRevoked:  # of that one's key; ours may be its successor
            return await self.ask(submission)
        return None if answer is None else answer._replace(replayed=True)

    def enter(self, webhook: Webhook, tell: Tell) -> None:
        """Do not wait: `tell` is called once, with what `ask` would give or raise."""
        if webhook.id in self._in_flight:  # seldom
            again = asyncio.create_task(self._ask_for(webhook, tell), name="duplicate")
            self._again.add(again)
            again.add_done_callback(self._again.discard)
            return
        try:
            self._take_in(webhook).tellers.append(tell)
        except Refusal as refusal:
            tell(refusal)

    async def _ask_for(self, webhook: Webhook, tell: Tell) -> None:
        try:
            outcome: Outcome = await self.ask(webhook)
        except Refusal as refusal:
            outcome = refusal
        tell(outcome)

    def check_room(self) -> None:
        """Raise `Overloaded` where a webhook would not be taken in.

        How long one waits is how many are in flight by how many are answered in a second, so those of the group that
        is being written count too. Our own commands are few, and always find room.
        """
        self._check_open()
        if len(self._in_flight) >= self._commands_max:
            raise Overloaded(QUEUE_FULL)

    def _check_open(self) -> None:
        if self.is_closed:
            raise Overloaded("The service is stopping; nothing was decided.")

    def _take_in(self, submission: Submission) -> Pending:
        self._check_open()
        pending = Pending(submission)
        if isinstance(submission, Webhook):
            self.check_room()
            self._in_flight[submission.id] = pending
        self._waiting.append(pending)
        self._work.set()
        return pending

    # --- the writer's side -----------------------------------------------------------------------------------------

    def close(self) -> None:
        self.is_closed = True
        self._work.set()

    async def wait(self) -> bool:
        """Wait until there is something to do; give whether there is, or nothing ever more."""
        while not self._waiting and not self.is_closed:
            self._work.clear()
            await self._work.wait()
        return bool(self._waiting)

    def next_group(self, commands_max: int) -> list[Pending]:
        """The next group. A settlement is one by itself: which accounts it needs depends on all before it.

        So is an erasure, which removes all that the store has of a card; what follows key changes is read by them.
        """
        taken = [self._waiting.popleft()]
        company = company_of(taken[0].submission)
        while self._waiting and company != NOBODY and len(taken) < commands_max:
            if company_of(self._waiting[0].submission) != company:
                break
            taken.append(self._waiting.popleft())
        return taken

    def put_back(self, deferred: list[Pending]) -> None:
        """What could not be decided yet comes first the next time."""
        self._waiting.extendleft(reversed(deferred))
        self._work.set()

    def resolve(self, outcomes: Iterable[tuple[Pending, Outcome]]) -> None:
        """Tell each who waits."""
        for pending, outcome in outcomes:
            if isinstance(pending.submission, Webhook):
                self._in_flight.pop(pending.submission.id, None)
            pending.resolve(outcome)

    def abandon(self, pendings: list[Pending], outcome: Refusal) -> None:
        """Tell these and all who wait that there is nothing to wait for."""
        waiting = [*pendings, *self._waiting]
        self._waiting.clear()
        self.resolve((pending, outcome) for pending in waiting)
