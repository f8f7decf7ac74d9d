"""What the opening of an entry hands to the replay: values where the bytes were sound, `None` where they were not."""

from dataclasses import dataclass, field
from typing import NamedTuple

from signed_ledger.audit.reading import Position
from signed_ledger.audit.steps import Step
from signed_ledger.audit.verifying import Signed
from signed_ledger.records import Body, Entry, Evidence, Request, State


class Check(NamedTuple):
    """A signature that an entry rests on, and the step that asks."""

    step: Step
    signed: Signed


@dataclass(slots=True)
class Opened:
    """One position, opened. `is_signed` holds until a check fails; `request` is there once body and evidence agree."""

    position: Position
    leaf: bytes | None = None
    entry: Entry | None = None
    body: Body | None = None
    state: State | None = None
    evidence: Evidence | None = None
    request: Request | None = None
    checks: list[Check] = field(default_factory=list)
    is_signed: bool = False
    follows_gap: bool = False
    erased_by: int | None = None  # the seq of what says that the body was erased

    @property
    def seq(self) -> int:
        return self.position.seq
