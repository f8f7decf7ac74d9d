"""A Scheme's traffic that outlives servers: each message is sent until it is answered.

Some are sent twice at once, and some again long after.
"""

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp

from scripts.send_webhook import sign_request
from tests.processes import Party
from tests.saying import Message, life

TWICE_AT_ONCE: Final = 0.2
AGAIN: Final = 0.15
"""How often a message is sent in two copies at once, and how often another that was answered long ago is sent again."""
DECISIONS: Final = {200, 201, 403, 404}
SECONDS_MAX: Final = 60
UNANSWERED: Final = {500, 503}
"""What says that the message is to be sent again; after 500 it is not known whether it was decided."""


class Told(NamedTuple):
    """The first answer to a message: its place, its reason with its flags, and the digest of all its bytes."""

    message: Message
    seq: int
    outcome: str
    digest: bytes


class Recorded(NamedTuple):
    """What the ledger held of a message when all servers were dead: its seq (`None`: nothing), and the newest seq."""

    seq: int | None
    head: int


class Traffic:
    """Conversations of one Scheme about `cards`, with servers that come and go: `go`, `hold`, `go` again.

    `pause_seconds` between two of a conversation's messages makes room for what else the test runs.
    """

    def __init__(self, party: Party, cards: list[str], conversations: int, pause_seconds: float, draw: Random) -> None:
        self.cards = cards
        self.told: dict[str, Told] = {}
        self.in_doubt: set[str] = set()
        self.documents: dict[str, dict[str, Any]] = {}  # of the answers since they were last looked at
        self.recorded: dict[str, Recorded] = {}
        self.faults: list[str] = []
        self.answers = self.replays = 0
        self.by_server: Counter[str] = Counter()
        self.unanswered: Counter[int] = Counter()
        self._party = party
        self._pause_seconds = pause_seconds
        self._draw = draw
        self._conversations = conversations
        self._urls: list[str] = []
        self._asking = 0
        self._serving = asyncio.Event()
        self._ended = False
        self._answered: list[Message] = []
        self._decided: set[str] = set()

    async def __aenter__(self) -> "Traffic":
        timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)
        self._tasks = [asyncio.create_task(self._converse(number)) for number in range(self._conversations)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._session.close()

    def go(self, urls: list[str]) -> None:
        self._urls = urls
        self._serving.set()

    async def hold(self) -> None:
        """Send nothing more until `go`; wait until all that was sent is answered, or its connection closed."""
        self._serving.clear()
        while self._asking:
            await asyncio.sleep(0.001)

    async def finish(self) -> None:
        """Let every transaction come to its end, then ask everything once more."""
        self._ended = True
        await asyncio.gather(*self._tasks)
        gate = asyncio.Semaphore(16)
        await asyncio.gather(*(self._send_again(message, gate) for message in self._answered))

    async def _send_again(self, message: Message, gate: asyncio.Semaphore) -> None:
        async with gate:
            await self._deliver(message, copies=1)

    async def _converse(self, number: int) -> None:
        for count in itertools.count():
            if self._ended:
                return
            card = self._draw.choice([*self.cards[:1] * 4, *self.cards[-6:]])
            await self._live(life(f"t-{number}-{count}", card, self._draw))

    async def _live(self, messages: Iterable[Message]) -> None:
        for message in messages:
            await self._deliver(message, copies=2 if self._draw.random() < TWICE_AT_ONCE else 1)
            self._answered.append(message)
            if message.kind == "authorisation" and not self.told[message.webhook_id].outcome.startswith("ok"):
                return
            if self._draw.random() < AGAIN:
                await self._deliver(self._draw.choice(self._answered), copies=1)
            await asyncio.sleep(self._pause_seconds)

    async def _deliver(self, message: Message, copies: int) -> None:
        """Send it, in so many copies at once, until all that there are of these are answered."""
        while True:
            await self._serving.wait()
            if all(await asyncio.gather(*(self._ask(message) for _ in range(copies)))):
                return
            copies = 1
            await asyncio.sleep(0.02)

    async def _ask(self, message: Message) -> bool:
        """Send it once; whether it was answered."""
        self._asking += 1
        try:
            return await self._answer(message)
        finally:
            self._asking -= 1

    async def _answer(self, message: Message) -> bool:
        server, was_told = self._draw.choice(self._urls), message.webhook_id in self.told
        url = f"{server}/{message.kind}"
        headers = sign_request(self._party.key, "POST", url, message.body, message.webhook_id)
        if not was_told:
            self.in_doubt.add(message.webhook_id)
        try:
            async with self._session.post(url, data=message.body, headers=headers) as response:
                answer = await response.read()
        except TimeoutError:
            self.faults.append(f"not answered: {message.webhook_id}, in {SECONDS_MAX} s")
            return False
        except (aiohttp.ClientError, OSError):
            return False
        if response.status in UNANSWERED:
            self.unanswered[response.status] += 1
            return False
        if response.status not in DECISIONS or b'"decision"' not in answer:
            self.faults.append(f"refused: {message.webhook_id}, {response.status} {answer!r}")
            return True
        self.by_server[server] += 1
        self._note(message, answer, response.headers.get("Idempotent-Replayed") == "true", was_told)
        return True

    def _note(self, message: Message, answer: bytes, replayed: bool, was_told: bool) -> None:
        name, digest = message.webhook_id, hashlib.sha256(answer).digest()
        self.answers += 1
        self.replays += replayed
        if name not in self.told:
            document = self.documents[name] = json.loads(answer)
            outcome = " ".join([document["reason"], *document["flags"]])
            self.told[name] = Told(message, document["seq"], outcome, digest)
            self.in_doubt.discard(name)
            self._compare(name, document["seq"], replayed, self.recorded.pop(name, None))
        elif self.told[name].digest != digest:
            self.faults.append(f"changed: {name} has another answer than the first")
        if not replayed and (was_told or name in self._decided):
            self.faults.append(f"doubled: {name} was decided again")
        if not replayed:
            self._decided.add(name)

    def _compare(self, name: str, seq: int, replayed: bool, before: Recorded | None) -> None:
        """What was in the ledger when the servers died is answered from there; what was not is decided after it."""
        if before is None:
            return
        if before.seq is not None and (seq, replayed) != (before.seq, True):
            self.faults.append(f"doubled: {name} was recorded at {before.seq}, and is answered with {seq}")
        if before.seq is None and seq <= before.head:
            self.faults.append(f"wrong: {name} was not in the ledger of {before.head}, and is answered with {seq}")
