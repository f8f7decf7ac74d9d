"""The ledger as a process meets it that answers HTTP and does not write: the writer is at the end of a channel."""

import asyncio
import socket
from contextlib import suppress
from itertools import count
from typing import Final

import structlog

from signed_ledger.errors import QUEUE_FULL, Busy, Fault, InternalError, KeyRevoked, Overloaded, Refusal
from signed_ledger.keyring import Keyring, continues
from signed_ledger.ledger.channel import REPORT, Channel, Message, pack_webhook, unpack_outcome
from signed_ledger.ledger.following import keyring_of
from signed_ledger.ledger.submissions import Decision, Vouched, Webhook
from signed_ledger.ledger.vouching import vouch_for
from signed_ledger.records import RegisteredKey
from signed_ledger.records.messages import MESSAGES
from signed_ledger.store import Glance, Reader
from signed_ledger.telemetry import Counts

log = structlog.get_logger("signed_ledger.ledger")

_OTHER_REGISTRY: Final = "the key registry is not the one that this process knows: the ledger was swapped or rewritten"


class WriterGone(Fault):
    """The writer ended: it has said why itself."""


class RemoteLedger:
    """What a `Ledger` is to those who ask it for decisions. Owner of every field: the event loop's thread."""

    def __init__(self, reader: Reader, glance: Glance, keyring: Keyring, waiting_max: int) -> None:
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keyring = keyring
        self._reader = reader
        self._glance = glance
        self._waiting_max = waiting_max
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Decision]] = {}
        self._closing = False
        self._channel = Channel(self._take, self._lose)
        self._opened = asyncio.Event()

    @classmethod
    async def open(cls, reader: Reader, glance: Glance, end: socket.socket, waiting_max: int) -> "RemoteLedger":
        """Wait for the writer at the other `end`.

        Raises `WriterGone` where it ends before, `Invalid` or `KeyChangeRefused` where the registry does not verify.
        """
        ledger = cls(reader, glance, keyring_of(await reader.key_entries()), waiting_max)
        await asyncio.get_running_loop().create_unix_connection(lambda: ledger._channel, sock=end)
        await ledger._opened.wait()
        if ledger.stopped.done():
            ledger.stopped.result()
        return ledger

    def find_key(self, kid: str) -> RegisteredKey | None:
        return self.keyring.find(kid)

    def check_room(self) -> None:
        """See `Ledger.check_room`."""
        if self._closing or self.stopped.done():
            raise Overloaded("The service is stopping; nothing was decided.")
        if len(self._waiting) >= self._waiting_max:
            raise Overloaded(QUEUE_FULL)

    async def decide(self, webhook: Webhook) -> Decision:
        """See `Ledger.decide`. Raises `InternalError` too where the writer is gone and what it did is not known."""
        self.check_room()
        if not MESSAGES[webhook.type].must_begin:
            webhook = webhook._replace(vouched=self._vouch_for(webhook))
        number = next(self._numbers)
        waiter: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        self._channel.send((number, pack_webhook(webhook)))
        try:
            return await waiter
        except KeyRevoked:  # of which this process has not heard yet
            await self.look()
            raise

    def _vouch_for(self, webhook: Webhook) -> Vouched | None:
        with suppress(Busy, Fault):  # the writer meets it too, and says so
            return vouch_for(webhook, self._glance, self.keyring)
        return None

    def report(self, counts: Counts) -> None:
        """Tell the writer what was counted here."""
        self._channel.send((REPORT, counts))

    async def look(self) -> None:
        """Learn of key changes, the writer's and other processes'. Stops at a registry that does not continue ours."""
        if await self._reader.key_changes() < len(self.keyring.history):
            return
        newer = keyring_of(await self._reader.key_entries())
        if continues(newer.history, self.keyring.history):
            self.keyring = newer
        else:
            log.critical("fault", reason=_OTHER_REGISTRY)
            self._stop(Fault(_OTHER_REGISTRY))

    async def close(self) -> None:
        self._closing = True
        self._glance.close()  # before the writer hears of it: who closes the file last takes the WAL back into it
        self._channel.close()

    def _take(self, messages: list[Message]) -> None:
        for number, *values in messages:
            if number == REPORT:
                self._opened.set()
                continue
            waiter, outcome = self._waiting.pop(number), unpack_outcome(*values)
            if waiter.done():
                continue  # who asked has gone
            if isinstance(outcome, Refusal):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)

    def _lose(self) -> None:
        if self._closing:
            return
        self._opened.set()
        self._stop(WriterGone("the writer is gone"))
        unknown = InternalError("The service failed and stops; whether this was recorded is not known. Retry it.")
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(unknown)
        self._waiting.clear()

    def _stop(self, fault: Fault) -> None:
        if not self.stopped.done():
            self.stopped.set_exception(fault)
            self.stopped.exception()
