"""The writer's end of the channels: it takes what other processes were sent, and tells them what was decided."""

import asyncio
from functools import partial

from signed_ledger.errors import Refusal
from signed_ledger.killpoints import reached
from signed_ledger.ledger.channel import Channel, Message, pack_outcome, unpack_webhook
from signed_ledger.ledger.ledger import Ledger
from signed_ledger.ledger.submissions import Answer, decision_of


class Host:
    """Serves the ledger to the processes at the other ends, until all of them are gone."""

    def __init__(self, ledger: Ledger, ends: int, left: asyncio.Event) -> None:
        """There will be so many `ends`; `left` is set once none is there any more."""
        self._ledger = ledger
        self._ends = ends
        self._left = left
        self._open: set[Channel] = set()

    def channel(self) -> Channel:
        """Our end of one more channel."""
        channel = Channel(lambda messages: self._take(channel, messages), lambda: self._lose(channel))
        self._open.add(channel)
        return channel

    def close(self) -> None:
        """Send what was decided, and hang up."""
        for channel in tuple(self._open):
            channel.close()

    def _take(self, channel: Channel, messages: list[Message]) -> None:
        for number, values in messages:
            self._ledger.enter(unpack_webhook(values), partial(_tell, channel, number))

    def _lose(self, channel: Channel) -> None:
        self._open.discard(channel)
        self._ends -= 1
        if self._ends == 0:
            self._left.set()


def _tell(channel: Channel, number: int, outcome: Answer | Refusal | None) -> None:
    assert outcome is not None
    reached("telling")
    channel.send((number, pack_outcome(outcome if isinstance(outcome, Refusal) else decision_of(outcome))))
