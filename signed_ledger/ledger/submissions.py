"""What is handed to the ledger, and what it answers."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from signed_ledger.encoding import SchemeRequest
from signed_ledger.errors import Refusal
from signed_ledger.records import AuthorisationKey, AuthorisationRequest, Evidence, KeyChange, Load, Transaction


class Webhook(NamedTuple):
    """A Scheme's verified webhook: who sent it, what it asks, and the evidence that it did."""

    scheme: str
    webhook_id: str
    request: SchemeRequest
    evidence: Evidence

    @property
    def type(self) -> str:
        """The transaction type it asks for."""
        return "authorisation" if isinstance(self.request, AuthorisationRequest) else "presentment"

    @property
    def id(self) -> tuple[str, str]:
        """The event's name: webhook ids are their Scheme's own."""
        return (self.scheme, self.webhook_id)

    @property
    def authorisation_key(self) -> AuthorisationKey:
        return AuthorisationKey(self.scheme, self.request.transaction_id)

    def is_same_as(self, other_type: str, other: Evidence) -> bool:
        """Whether the other webhook under this id asked for the same with the very same body."""
        return (other_type, other.request.body) == (self.type, self.evidence.request.body)


class Look(NamedTuple):
    """Nothing to write: catch up with what other processes wrote."""


Submission: TypeAlias = Webhook | Load | KeyChange | Look


class Answer(NamedTuple):
    """A recorded decision, or key change, that is on disk: its entry, and its body as an object and as stored."""

    seq: int
    body: Transaction | KeyChange
    entry: bytes
    body_bytes: bytes
    replayed: bool = False


@dataclass(slots=True, eq=False)
class Pending:
    """A submission in the queue, and all who wait for its answer; one who went away has cancelled his future only."""

    submission: Submission
    waiters: "list[asyncio.Future[Answer | None]]" = field(default_factory=list)

    def wait(self) -> "asyncio.Future[Answer | None]":
        """A future of the caller's own."""
        waiter: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return waiter

    def resolve(self, outcome: Answer | Refusal | None) -> None:
        """Tell everybody who still waits, once."""
        for waiter in self.waiters:
            if waiter.done():
                continue
            if isinstance(outcome, Refusal):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)
        self.waiters.clear()
