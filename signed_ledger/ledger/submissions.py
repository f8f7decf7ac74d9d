"""What is handed to the ledger, and what it answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

from signed_ledger.errors import Refusal
from signed_ledger.records import (
    CardChange,
    CardTransaction,
    Erasure,
    Evidence,
    KeyChange,
    Load,
    RegistryChange,
    Request,
    RootChange,
    Terms,
    Transaction,
    Unsettled,
)
from signed_ledger.rules import Asked, ChangeCard, Erase, Settle
from signed_ledger.tables import Row


class Vouched(NamedTuple):
    """The digests of stored entries that were verified under the registry of this history; see `vouching`."""

    registry: bytes
    digests: tuple[bytes, ...]


class Webhook(NamedTuple):
    """A Scheme's verified webhook: who sent it, what it asks, and the evidence that it did."""

    scheme: str
    webhook_id: str
    request: Request
    evidence: Evidence
    vouched: Vouched | None = None

    @property
    def type(self) -> str:
        """The transaction type it asks for."""
        return self.request.type

    @property
    def id(self) -> tuple[str, str]:
        """The event's name: webhook ids are their Scheme's own."""
        return (self.scheme, self.webhook_id)

    @property
    def asked(self) -> Asked:
        return Asked(self.scheme, self.webhook_id, self.request)

    def is_same_as(self, other_type: str, other: Evidence) -> bool:
        """Whether the other webhook under this id asked for the same with the very same body."""
        return (other_type, other.request.body) == (self.type, self.evidence.request.body)


class Settling(NamedTuple):
    """A settlement, and what its Scheme posted between the settlement at seq `since` (-1: none) and the seq `known`.

    The writer adds what was posted after that, and refuses where another settlement came between, or, where the sums
    were verified by the registry of a `version`, a change of keys: one of them may be revoked now.
    """

    command: Settle
    since: int
    known: int
    sums: dict[str, Unsettled]
    version: int | None = None


class Attest(NamedTuple):
    """What the revoked key `kid` signed from `first` to `last` is to be signed again, over the tree as it is then."""

    kid: str
    first: int
    last: int


class Look(NamedTuple):
    """Nothing to write: catch up with what other processes wrote."""


class Keep(NamedTuple):
    """A checkpoint up to the entry at `seq` that is about to be published, or cosignatures of one, to be kept.

    `cosignatures` are (key, signature line). What is kept already is not kept again.
    """

    seq: int
    note: bytes | None = None
    cosignatures: tuple[tuple[str, str], ...] = ()

    @property
    def rows(self) -> list[tuple[str, Row]]:
        note: list[tuple[str, Row]] = [] if self.note is None else [("checkpoints", (self.seq, self.note))]
        return note + [("cosignatures", (self.seq, *cosignature)) for cosignature in self.cosignatures]


ChangeRegistry: TypeAlias = KeyChange | RootChange | Attest
Submission: TypeAlias = Webhook | Asked | Load | ChangeCard | Terms | Settling | ChangeRegistry | Erase | Keep | Look
"""`Asked` without a webhook id is our own: an expiry."""

Recorded: TypeAlias = Transaction | CardChange | Terms | RegistryChange | Erasure
"""The bodies that answer a submission; the others come along with one."""


class Answer(NamedTuple):
    """A recorded decision or change that is on disk: its entry, and its body as an object and as stored.

    An erasure that did not fit into one entry is answered with the last of them; `erasures` are all.
    """

    seq: int
    body: Recorded
    entry: bytes
    body_bytes: bytes
    replayed: bool = False
    erasures: tuple[Erasure, ...] = ()


class Decision(NamedTuple):
    """What a Scheme is told of the answer to its webhook, which is on disk; `body` are the bytes as stored."""

    seq: int
    transaction_id: str
    decision: str
    reason: str
    flags: tuple[str, ...]
    entry: bytes
    body: bytes
    replayed: bool


def decision_of(answer: Answer) -> Decision:
    """What is told of an answer to a webhook."""
    body = answer.body
    assert isinstance(body, CardTransaction)
    return Decision(
        answer.seq,
        body.transaction_id,
        body.decision,
        body.reason,
        body.flags,
        answer.entry,
        answer.body_bytes,
        answer.replayed,
    )


Outcome: TypeAlias = Answer | Refusal | None
Tell: TypeAlias = Callable[[Outcome], None]


@dataclass(slots=True, eq=False)
class Pending:
    """A submission in the queue, and all who are to be told its answer."""

    submission: Submission
    tellers: list[Tell] = field(default_factory=list)

    def wait(self) -> "asyncio.Future[Answer | None]":
        """A future of the caller's own: who went away has cancelled nothing else."""
        waiter: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.tellers.append(partial(_settle, waiter))
        return waiter

    def resolve(self, outcome: Outcome) -> None:
        """Tell everybody, once."""
        for tell in self.tellers:
            tell(outcome)
        self.tellers.clear()


def _settle(waiter: "asyncio.Future[Answer | None]", outcome: Outcome) -> None:
    if waiter.done():
        return
    if isinstance(outcome, Refusal):
        waiter.set_exception(outcome)
    else:
        waiter.set_result(outcome)
