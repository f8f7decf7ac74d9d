"""The writer's end of the channels: it takes what other processes were sent, and tells them what was decided."""

import asyncio
import socket
from functools import partial

from signed_ledger.errors import Refusal
from signed_ledger.killpoints import reached
from signed_ledger.ledger.channel import REPORT, Channel, Message, pack_outcome, unpack_webhook
from signed_ledger.ledger.ledger import Ledger
from signed_ledger.ledger.submissions import Answer, decision_of
from signed_ledger.telemetry import Metrics


class Host:
    """Serves the ledger to the processes at the other ends, until all of them are gone."""

    def __init__(self, ledger: Ledger, metrics: Metrics, ends: int, left: asyncio.Event) -> None:
        """There will be so many `ends`; `left` is set once none is there any more.

        What they counted is added to `metrics`.
        """
        self._ledger = ledger
        self._metrics = metrics
        self._ends = ends
        self._left = left
        self._open: set[Channel] = set()

    async def connect(self, end: socket.socket) -> None:
        """Serve one more process, which is told that from now on there is a writer."""
        channel = Channel(lambda messages: self._take(channel, messages), lambda: self._lose(channel))
        self._open.add(channel)
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=end)
        channel.send((REPORT,))

    def close(self) -> None:
        """Send what was decided, and hang up."""
        for channel in tuple(self._open):
            channel.close()

    def _take(self, channel: Channel, messages: list[Message]) -> None:
        for number, values in messages:
            if number == REPORT:
                self._metrics.add(values)
            else:
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
