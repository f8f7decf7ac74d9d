"""What goes between the writer's process and those before it: the same at both ends, however the bytes arrive."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import IntegrityViolation, Overloaded, Refusal, TransactionExists
from signed_ledger.ledger import Decision
from signed_ledger.ledger.channel import (
    MESSAGES_MAX,
    Channel,
    Message,
    pack_outcome,
    pack_webhook,
    unpack_outcome,
    unpack_webhook,
)
from signed_ledger.rules.posting import BeyondReach
from tests.world import Party, World, authorisation, euros, presentment

ISO8583 = {"37": "ABCDEF123456", "49": "978"}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("authorisation", authorisation("t", "c1", "1.00")),
    ("authorisation", {**authorisation("t", "c1", "1.00"), "iso8583": ISO8583}),
    ("increment", {"transaction_id": "t", **euros("billing", "2.00")}),
    ("reversal", {"transaction_id": "t"}),
    ("presentment", {**presentment("t", "1.00"), "final": False, "interchange_amount": "0.0125"}),
    ("refund", {"card_id": "c1", "refund_id": "r", **euros("billing", "1.00"), **euros("settlement", "1.00")}),
]
DECIDED = Decision(7, "t", "posted", "ok", ("late", "over_hold"), b"entry", b"body", True)
REFUSALS = [
    Overloaded("The queue is full; nothing was decided."),
    TransactionExists("It was decided before.", field="transaction_id"),
    IntegrityViolation("What is stored does not verify."),
    BeyondReach("The account would stand beyond all reach."),
]


@pytest.mark.parametrize(("kind", "body"), REQUESTS, ids=[kind for kind, _ in REQUESTS])
def test_a_webhook_is_the_same_at_the_other_end(tmp_path: Path, kind: str, body: dict[str, Any]) -> None:
    webhook = World(tmp_path).webhook(Party("visa"), kind, body)
    assert unpack_webhook(pack_webhook(webhook)) == webhook


def test_a_decision_is_the_same_at_the_other_end() -> None:
    assert unpack_outcome(pack_outcome(DECIDED)) == DECIDED


@pytest.mark.parametrize("refusal", REFUSALS, ids=[type(refusal).__name__ for refusal in REFUSALS])
def test_a_refusal_is_the_same_at_the_other_end(refusal: Refusal) -> None:
    there = unpack_outcome(pack_outcome(refusal))
    assert isinstance(there, Refusal)
    assert (type(there), there.detail, there.field) == (type(refusal), refusal.detail, refusal.field)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [1, 3, 7, 64, 100_000])
async def test_frames_may_arrive_in_any_pieces(size: int) -> None:
    sent: list[Message] = [(number, "text", b"\x00" * number, None, (True, 2**60)) for number in range(40)]
    wire, taken = Wire(), []
    one, other = Channel(lambda _: None, lambda: None), Channel(lambda frame: taken.extend(frame), lambda: None)
    one.connection_made(wire)
    for message in sent:
        one.send(message)
    await asyncio.sleep(0)
    assert len(wire.written) == -(-len(sent) // MESSAGES_MAX)
    whole = b"".join(wire.written)
    for start in range(0, len(whole), size):
        other.data_received(whole[start : start + size])
    assert taken == sent
