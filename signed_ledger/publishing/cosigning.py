"""Each checkpoint that is published is pushed to the witnesses; what they sign of it is kept, and told with it.

It runs beside publishing, and neither waits for it nor fails with it.
"""

import asyncio

import structlog

from signed_ledger.errors import SignedLedgerError
from signed_ledger.publishing.kept import Published
from signed_ledger.publishing.proofs import consistency
from signed_ledger.publishing.publisher import Publisher
from signed_ledger.publishing.witnesses import Witnesses
from signed_ledger.store import Reader

log = structlog.get_logger("signed_ledger.publishing")


async def keep_cosigning(publisher: Publisher, reader: Reader, witnesses: Witnesses) -> None:
    """Run for ever. A witness that is slow holds up no other, and the newest checkpoint is the one that it gets."""

    async def prove(old: int, new: int) -> tuple[bytes, ...]:
        return await consistency(reader, old, new)

    async def cosign(published: Published) -> None:
        async for key, line in witnesses.cosign_each(published.note, published.size, prove):
            try:
                await publisher.add_cosignatures(published.size, {key: line})
            except SignedLedgerError as error:  # the store is busy, or stopped: the next checkpoint is cosigned, too
                log.warning("cosignature_lost", key=key, size=published.size, reason=str(error))

    size, tasks = 0, set[asyncio.Task[None]]()
    try:
        while True:
            published = await publisher.newer_than(size)
            size = published.size
            task = asyncio.create_task(cosign(published))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    finally:
        for task in tasks:
            task.cancel()
