"""What an audit says: facts about the ledger, each step's count, every fault, and what can not be known."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from signed_ledger.audit.revocations import Revoked
from signed_ledger.audit.steps import TITLES, Finding, Step
from signed_ledger.encoding import encode_time
from signed_ledger.money import format_minor
from signed_ledger.records import AccountId, RegisteredKey, State


class StepResult(NamedTuple):
    """How many things a step looked at, and in how many faults that ended."""

    step: Step
    checked: int
    faults: int


class Total(NamedTuple):
    """One currency's balances by kind of owner, in minor units. `posted` sums them all: nothing, if money is kept."""

    currency: str
    posted: int
    issuer: int
    schemes: int
    cards: int
    external: int
    held: int


class Head(NamedTuple):
    """The newest entry: to be noted, and compared another day. `leaf` is 32 bytes."""

    seq: int
    leaf: bytes


class Kept(NamedTuple):
    """The newest checkpoint that the ledger keeps of itself, and by how many witnesses' signatures it is kept."""

    size: int
    cosignatures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one audit. Times are microseconds since 1970 UTC.

    `seen` is how many entries the checkpoint has that was seen before; entries before `from_seq` were verified then.
    """

    ledger: str
    origin: str | None
    entries: int
    transactions: int
    batches: int
    head: Head | None
    first_time: int | None
    last_time: int | None
    totals: tuple[Total, ...]
    keys: tuple[RegisteredKey, ...]
    steps: tuple[StepResult, ...]
    faults: tuple[Finding, ...]
    not_known: tuple[str, ...]
    seconds: float
    trust: str | None = None  # the trust file's path
    is_log: bool = False  # of the published log alone: of its entries, not of what they say
    from_seq: int = 0
    seen: int | None = None
    checkpoint: Kept | None = None
    witnesses: tuple[str, ...] | None = (
        None  # those of a policy that cosigned the newest checkpoint, where one was given
    )
    last_seen: str | None = None  # what became of the file of that name, in a sentence
    erasures: int = 0  # how many entries say that parts were erased
    erased: dict[str, int] = field(default_factory=dict)  # how many parts are gone by them, by name
    trusted_since: int | None = None  # the entry from which on its root keys are the ledger's
    revoked: tuple[Revoked, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def entries_per_second(self) -> float:
        return (self.entries - self.from_seq) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """The machine's form; amounts as in the records, times as in entries."""
        return {
            "ledger": self.ledger,
            "trust": self.trust,
            "trusted_since": self.trusted_since,
            "ok": self.ok,
            "origin": self.origin,
            "entries": self.entries,
            "from_seq": self.from_seq,
            "seen": self.seen,
            "checkpoint": None if self.checkpoint is None else self.checkpoint._asdict(),
            "transactions": self.transactions,
            "batches": self.batches,
            "erasures": self.erasures,
            "erased": self.erased,
            "head": None if self.head is None else {"seq": self.head.seq, "leaf": self.head.leaf.hex()},
            "first_time": _time_or_none(self.first_time),
            "last_time": _time_or_none(self.last_time),
            "totals": [_total_json(total) for total in self.totals],
            "keys": [_key_json(key) for key in self.keys],
            "witnesses": None if self.witnesses is None else list(self.witnesses),
            "last_seen": self.last_seen,
            "steps": [
                {"step": int(step), "title": TITLES[step], "checked": checked, "faults": faults}
                for step, checked, faults in self.steps
            ],
            "faults": [{"seq": seq, "step": int(step), "reason": reason} for seq, step, reason in self.faults],
            "revoked": [one.to_json() for one in self.revoked],
            "not_known": list(self.not_known),
            "seconds": round(self.seconds, 3),
            "entries_per_second": round(self.entries_per_second),
        }


def totals_of(accounts: dict[AccountId, State]) -> tuple[Total, ...]:
    sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for account, state in accounts.items():
        owners = sums[account.currency]
        owners["posted"] += state.posted
        owners[account.owner.partition(":")[0]] += state.posted
        owners["held"] += state.held
    names = ("posted", "issuer", "scheme", "card", "external", "held")
    return tuple(Total(currency, *(sums[currency][name] for name in names)) for currency in sorted(sums))


def _time_or_none(time: int | None) -> str | None:
    return None if time is None else encode_time(time)


def _total_json(total: Total) -> dict[str, str]:
    amounts = {name: format_minor(getattr(total, name), total.currency) for name in Total._fields[1:]}
    return {"currency": total.currency, **amounts}


def _key_json(key: RegisteredKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "role": key.role,
        "whose": key.whose,
        "valid_from": key.valid_from,
        "valid_to": key.valid_to,
        "revoked_at": key.revoked_at,
    }
