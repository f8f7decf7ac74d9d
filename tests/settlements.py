"""Days of a ledger for the tests of the daily task: in this process, and as an installation whose days are past."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from signed_ledger.daily import Desk
from signed_ledger.ledger import Answer, Ledger
from signed_ledger.records import CardTransaction
from signed_ledger.signing import kid_of, write_private_key
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics
from tests.processes import Installation
from tests.world import DAY, Party, World, authorisation, opened, presentment


@asynccontextmanager
async def desk_on(world: World, ledger: Ledger, *, serving: bool = False) -> AsyncIterator[Desk]:
    """What the daily task works with, on a ledger that is open."""
    reader = await Reader.open(world.path, busy_timeout_ms=5_000)
    try:
        yield Desk(ledger, reader, world.clock, Metrics(), serving=serving)
    finally:
        await reader.close()


@asynccontextmanager
async def opened_desk(world: World, *, serving: bool = False) -> AsyncIterator[Desk]:
    """A desk with a writer of its own, as another process has one."""
    async with opened(world) as ledger, desk_on(world, ledger, serving=serving) as desk:
        yield desk


class Life:
    """A Scheme that sends messages to a ledger of this process."""

    def __init__(self, world: World, ledger: Ledger, scheme: Party) -> None:
        self.world = world
        self.ledger = ledger
        self.scheme = scheme

    async def send(self, kind: str, body: dict[str, Any]) -> Answer:
        return await self.ledger.submit(self.world.webhook(self.scheme, kind, body))

    async def authorise(self, name: str, amount: str = "1.00", card_id: str = "c1", **more: Any) -> CardTransaction:
        """Approved, and of EUR unless told otherwise."""
        answer = await self.send("authorisation", authorisation(name, card_id, amount, **more))
        assert isinstance(answer.body, CardTransaction)
        assert answer.body.decision == "approved"
        return answer.body

    async def present(self, name: str, amount: str, currency: str = "EUR", **more: Any) -> int:
        """Post it; give the seq."""
        return (await self.send("presentment", presentment(name, amount, currency, **more))).seq

    async def force(self, name: str, amount: str, currency: str = "EUR", **more: Any) -> int:
        """Post it with no authorisation behind it: the shortest way to something that is to be settled."""
        billed = {"card_id": "c1", "billing_amount": "1.00", "billing_currency": "EUR", "force_post": True}
        return await self.present(name, amount, currency, **{**billed, **more})

    async def refund(self, name: str, amount: str, currency: str = "EUR", **more: Any) -> int:
        """Give it back, of no transaction; `name` is its own id."""
        body = {
            "refund_id": name,
            "card_id": "c1",
            "billing_amount": "1.00",
            "billing_currency": "EUR",
            "settlement_amount": amount,
            "settlement_currency": currency,
            **more,
        }
        return (await self.send("refund", body)).seq


async def begin(world: World, ledger: Ledger, name: str = "acme") -> Life:
    """A Scheme, and a card c1 with 100000.00 EUR."""
    life = Life(world, ledger, await world.register(ledger, "scheme", name))
    await world.load(ledger, "c1", 10_000_000)
    return life


class Past(Installation):
    """An installation whose ledger began `days` ago, with its Scheme acme and money on c1 and card-1; nothing else."""

    def __init__(self, folder: Path, days: int = 8) -> None:
        super().__init__(folder)
        self.world = World(folder, time.time_ns() // 1000 - days * DAY)
        for role, signer in (("entry", self.world.entry), ("checkpoint", self.world.checkpoint)):
            folder_of_role = self.keys / role
            folder_of_role.mkdir(parents=True, mode=0o700)
            write_private_key(folder_of_role / f"{kid_of(signer.public_key)}.pem", signer._secret[:32], None)

    async def begin(self, ledger: Ledger) -> Life:
        """The Scheme signs with the key that the installation has in a file."""
        party = Party("acme", self.scheme.key.private_bytes_raw())
        await ledger.submit(self.world.key_change(ledger, "add", "scheme", "acme", party.signer.public_key))
        await self.world.load(ledger, "c1", 10_000_000)
        await self.world.load(ledger, "card-1", 100_000_000)
        return Life(self.world, ledger, party)
