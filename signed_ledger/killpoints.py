"""The numbered steps of writing, at each of which a test may have the process killed: docs/RELIABILITY.md.

With `KILLED_AT` set to a step, or to `step:n`, the process sends itself SIGKILL as it comes to that step, for the n-th
time. It is no setting of the service, and nobody but a test sets it: who may set it can kill the process anyway.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "KILLED_AT"

STEPS: Final = (
    "taken",
    "locked",
    "decided",
    "removed",
    "inserted entries",
    "inserted parts",
    "inserted account_states",
    "inserted authorisation_states",
    "inserted card_states",
    "inserted webhooks",
    "inserted postings",
    "inserted settlements",
    "inserted transactions",
    "inserted keys",
    "inserted tiles",
    "inserted checkpoints",
    "inserted cosignatures",
    "committing",
    "committed",
    "telling",
    "answering",
    "taking back",
    "took back",
    "making lock",
    "swapping",
    "swapped",
    "keeping",
    "kept",
    "published",
)


def _pass(_: str) -> None:
    """What a step costs where nobody is to be killed."""


def _killer(asked: str) -> Callable[[str], None]:
    step, _, times = asked.partition(":")
    assert step in STEPS, f"{VARIABLE}: there is no step {step!r}"
    left = int(times or 1)

    def kill(name: str) -> None:
        nonlocal left
        left -= name == step
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


reached: Final[Callable[[str], None]] = _killer(os.environ[VARIABLE]) if VARIABLE in os.environ else _pass
"""Told the name of each step as it is come to; chosen once, so that the hot path asks nothing."""
