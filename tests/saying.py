"""What a Scheme says of its transactions, message by message, and what a model has to answer to it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.life_model import Clearing, Life, Model

EUR: Final = "EUR"


@dataclass(frozen=True)
class Message:
    """A webhook: its id, its kind, which is its path, its members; amounts are cents until they are sent."""

    webhook_id: str
    kind: str
    members: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        sent: dict[str, Any] = {}
        for name, value in self.members.items():
            if name in ("billing", "settlement", "transaction"):
                sent |= {f"{name}_amount": f"{value // 100}.{value % 100:02}", f"{name}_currency": EUR}
            else:
                sent[name] = value
        return json.dumps(sent).encode()

    def told_to(self, model: Model, scheme: str) -> str:
        """The model's answer: the reason, then the flags, by spaces; or the name of a refusal."""
        said = self.members
        key, card = (scheme, said.get("transaction_id", "")), said.get("card_id", "")
        match self.kind:
            case "authorisation":
                return model.authorise(key, Life(card, EUR, asked=said["billing"]))
            case "increment":
                return model.increment(key, said["billing"])
            case "reversal":
                return model.reverse(key, said.get("billing"))
            case "refund":
                clearing = Clearing(said["billing"], said["settlement"], EUR, own_id=said["refund_id"])
                return model.refund_of_none(scheme, card, EUR, clearing) if card else model.refund(key, clearing)
        last, own_id = said.get("final", True), said.get("presentment_id")
        clearing = Clearing(said.get("billing"), said["settlement"], EUR, own_id=own_id, last=last)
        return model.force(key, card, EUR, clearing) if card else model.present(key, clearing)


Say = Callable[..., Message]
"""Makes the next message of a transaction, of a kind and with these members."""


def life(name: str, card: str, draw: Random) -> Iterator[Message]:
    """A transaction from its first message to its last. The second comes only where the first was not declined."""
    number = 0

    def say(kind: str, **members: Any) -> Message:
        nonlocal number
        number += 1
        return Message(f"{name}-{number}", kind, {"transaction_id": name, **members})

    yield from draw.choice(LIVES)(say, card, draw)


def _authorised(say: Say, card: str, amount: int) -> Message:
    shop = {"merchant_name": "Shop", "merchant_country": "GB", "merchant_mcc": "5411"}
    return say("authorisation", card_id=card, **shop, billing=amount, transaction=amount)


def _presented(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(1, 500)
    yield _authorised(say, card, amount)
    yield say("presentment", settlement=draw.choice([amount, amount - 1, amount + 7]))


def _more_than_held(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(1, 500)
    yield _authorised(say, card, amount)
    yield say("presentment", billing=amount + 1, settlement=amount)


def _incremented(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount, more = draw.randint(1, 500), draw.choice([5, 70, 40_000])
    yield _authorised(say, card, amount)
    yield say("increment", billing=more)
    yield say("presentment", settlement=amount)


def _reversed(say: Say, card: str, draw: Random) -> Iterator[Message]:
    yield _authorised(say, card, draw.randint(1, 5_000))
    yield say("reversal")


def _reversed_in_part(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(10, 500)
    yield _authorised(say, card, amount)
    yield say("reversal", billing=draw.randint(1, amount - 1))
    yield say("presentment", settlement=amount)


def _in_two_parts(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(10, 500)
    part = draw.randint(1, amount - 1)
    yield _authorised(say, card, amount)
    yield say("presentment", billing=part, settlement=part, presentment_id="p-1", final=False)
    yield say("presentment", billing=amount - part, settlement=amount - part, presentment_id="p-2")


def _refunded(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(10, 500)
    yield _authorised(say, card, amount)
    yield say("presentment", billing=amount, settlement=amount)
    yield say("refund", billing=amount // 2, settlement=amount // 2, refund_id="r-1")


def _forced(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(1, 300)
    yield say("presentment", card_id=card, force_post=True, billing=amount, settlement=amount)


def _refunded_by_itself(say: Say, card: str, draw: Random) -> Iterator[Message]:
    amount = draw.randint(1, 300)
    message = say("refund", card_id=card, billing=amount, settlement=amount)
    own_id = message.members.pop("transaction_id")
    yield Message(message.webhook_id, "refund", {**message.members, "refund_id": own_id})


def _too_much(say: Say, card: str, draw: Random) -> Iterator[Message]:
    yield _authorised(say, card, 10_000_000)


LIVES: Final = (
    *(_presented, _presented, _more_than_held, _incremented, _reversed, _reversed_in_part, _in_two_parts),
    *(_refunded, _forced, _refunded_by_itself, _too_much),
)
