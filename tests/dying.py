"""Publishes the ledger that the settings name, and is killed at one moment of it.

python -m tests.dying MOMENT
"""

import asyncio
import os
import signal
import sys

from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import checkpoint_lock, checkpoint_signers, entry_signers, opened_ledger
from signed_ledger.config import read_settings
from signed_ledger.publishing import CheckpointLock, Published, Publisher
from signed_ledger.records import Checkpoint
from signed_ledger.telemetry import Metrics

MOMENTS = ("before the lock is made", "before the swap", "after the swap", "before it is told")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingLock(CheckpointLock):
    """Is killed about what it was asked for."""

    def __init__(self, lock: CheckpointLock, moment: str) -> None:
        super().__init__(lock.path)
        self._moment = moment

    def create(self, checkpoint: Checkpoint) -> None:
        if self._moment == "before the lock is made":
            die()
        super().create(checkpoint)

    def swap(self, old: Checkpoint, new: Checkpoint) -> bool:
        if old != new and self._moment == "before the swap":
            die()
        swapped = super().swap(old, new)
        if old != new and self._moment == "after the swap":
            die()
        return swapped


class DyingPublisher(Publisher):
    """Is killed when all is done but the telling."""

    moment = ""

    def tell(self, published: Published) -> Published:
        if self.moment == "before it is told" and published.size == self._ledger.tree.size:
            die()
        return super().tell(published)


async def publish(moment: str) -> None:
    settings, passphrases = read_settings(os.environ), Passphrases(None)
    async with (
        opened_ledger(settings, entry_signers(settings, passphrases)) as ledger,
        opened_reader(settings) as reader,
    ):
        lock = DyingLock(checkpoint_lock(settings), moment)
        publisher = DyingPublisher(ledger, reader, lock, checkpoint_signers(settings, passphrases), Metrics())
        await publisher.open()
        publisher.moment = moment
        await publisher.publish()


if __name__ == "__main__":
    asyncio.run(publish(sys.argv[1]))
