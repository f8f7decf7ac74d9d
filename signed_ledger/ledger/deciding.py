"""Whoever is asked for decisions: the writer itself, or a process's way to it."""

import asyncio
from typing import Protocol

from signed_ledger.keyring import Keyring
from signed_ledger.ledger.submissions import Decision, Webhook
from signed_ledger.records import RegisteredKey


class Decider(Protocol):
    """What the HTTP side needs of a ledger."""

    @property
    def stopped(self) -> "asyncio.Future[None]":
        """Done, with a `Fault`, once nothing more will be decided."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The key registry as far as it is known here."""
        ...

    def find_key(self, kid: str) -> RegisteredKey | None:
        """The registered key of this kid as far as it is known here."""
        ...

    def check_room(self) -> None:
        """Raise `Overloaded` where `decide` would, for any webhook: before it has cost anything."""
        ...

    async def decide(self, webhook: Webhook) -> Decision:
        """Record a decision and give it once it is on disk; `Ledger.submit` says what is raised."""
        ...

    async def look(self) -> None:
        """Learn of key changes that other processes wrote."""
        ...

    async def close(self) -> None:
        """Take nothing more, finish what waits."""
        ...
