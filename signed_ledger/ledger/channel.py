"""Between the writer's process and those that answer HTTP: what goes over a socket, and how it is framed.

A frame is a list of plain values (marshal: data only, nothing in it is run) after its length. What is sent while one
event is handled goes in one frame, so a group's answers cost one write.
"""

import asyncio
import marshal
import struct
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeAlias, cast

from signed_ledger.errors import Refusal
from signed_ledger.ledger.submissions import Decision, Vouched, Webhook
from signed_ledger.money import Fee, Money
from signed_ledger.records import Evidence, HttpRequest, Iso8583, Request

Message: TypeAlias = tuple[Any, ...]
"""A number by which the answer finds its question, then what is said."""

REPORT: Final = -1
"""The number of what is no question: what was counted; the writer's first message, which has nothing more."""

MESSAGES_MAX: Final = 8
"""So many at most in a frame: the other end begins while we go on."""

_LENGTH: Final = struct.Struct("!I")


class Channel(asyncio.Protocol):
    """One end of the socket between two processes of the service. Owner of every field: the event loop's thread."""

    def __init__(self, take: Callable[[list[Message]], None], lost: Callable[[], None]) -> None:
        """`take` is given the messages of a frame; `lost` is told once that the other end is gone."""
        self._take = take
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._unread = b""
        self._unsent: list[Message] = []

    def send(self, message: Message) -> None:
        """Send a message with all others of this turn of the loop; it is dropped where the other end is gone."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(message)
        if len(self._unsent) >= MESSAGES_MAX:
            self._flush()

    def close(self) -> None:
        """Send what is unsent, then close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are not asyncio's by class

    def data_received(self, data: bytes) -> None:
        data = self._unread + data if self._unread else data
        start, end = 0, len(data)
        while end - start >= _LENGTH.size:
            frame = start + _LENGTH.size
            following = frame + _LENGTH.unpack_from(data, start)[0]
            if following > end:
                break
            self._take(marshal.loads(data[frame:following]))  # noqa: S302  our own process's, over our own socket
            start = following
        self._unread = data[start:]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost()

    def _flush(self) -> None:
        messages, self._unsent = self._unsent, []
        if messages and self._transport is not None:
            frame = marshal.dumps(messages)
            self._transport.write(_LENGTH.pack(len(frame)) + frame)


# --- what is said, as plain values ---------------------------------------------------------------------------------


def pack_webhook(webhook: Webhook) -> Message:
    """A verified webhook as plain values; `unpack_webhook` is the inverse."""
    evidence = webhook.evidence
    return (
        webhook.scheme,
        webhook.webhook_id,
        *_TEXTS_AND_FLAGS(webhook.request),
        *map(_pack_amount, _AMOUNTS(webhook.request)),
        None if webhook.request.iso8583 is None else tuple(webhook.request.iso8583),
        *_REQUEST(evidence.request),
        *_EVIDENCE(evidence),
        None if webhook.vouched is None else tuple(webhook.vouched),
    )


def unpack_webhook(values: Message) -> Webhook:
    scheme, webhook_id, *rest = values
    texts, amounts, (iso8583, *http), signed = rest[:11], rest[11:15], rest[15:22], rest[22:]
    given = dict(zip(_TEXT_AND_FLAG_NAMES, texts, strict=True))
    billing, transaction, settlement, interchange = amounts
    request = Request(
        **given,
        billing=None if billing is None else Money(*billing),
        transaction=None if transaction is None else Money(*transaction),
        settlement=None if settlement is None else Money(*settlement),
        interchange=None if interchange is None else Fee(*interchange),
        iso8583=None if iso8583 is None else Iso8583(*iso8583),
    )
    profile, *of_signature, vouched = signed
    evidence = Evidence(profile, HttpRequest(*http), *of_signature)
    return Webhook(scheme, webhook_id, request, evidence, None if vouched is None else Vouched(*vouched))


def pack_outcome(outcome: Decision | Refusal) -> Message:
    if isinstance(outcome, Refusal):
        return (type(outcome).__name__, outcome.detail, outcome.field)
    return tuple(outcome)


def unpack_outcome(values: Message) -> Decision | Refusal:
    if type(values[0]) is str:
        name, detail, field = values
        return _REFUSALS[name](detail, field=field)
    return Decision(*values)


def _pack_amount(amount: Money | Fee | None) -> tuple[int, str] | None:
    if amount is None:
        return None
    return (amount.minor if type(amount) is Money else amount.micros, amount.currency)  # type: ignore[union-attr]


def _kinds_of(refusal: type[Refusal]) -> dict[str, type[Refusal]]:
    kinds = {refusal.__name__: refusal}
    for kind in refusal.__subclasses__():
        kinds |= _kinds_of(kind)
    return kinds


_REFUSALS: Final = _kinds_of(Refusal)
_TEXT_AND_FLAG_NAMES: Final = (
    *("type", "transaction_id", "card_id", "merchant_name", "merchant_country", "merchant_mcc"),
    *("authorisation_kind", "presentment_id", "refund_id", "final", "force_post"),
)
_TEXTS_AND_FLAGS: Final = attrgetter(*_TEXT_AND_FLAG_NAMES)
_AMOUNTS: Final = attrgetter("billing", "transaction", "settlement", "interchange")
_REQUEST: Final = attrgetter(*HttpRequest.__slots__)
_EVIDENCE: Final = attrgetter(*(name for name in Evidence.__slots__ if name != "request"))
