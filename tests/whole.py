"""A ledger with every kind of entry and part that there is.

The sample, and what most tests would be slowed down by: entries of the first form, evidence by Standard Webhooks,
erased parts, keys revoked and their entries signed again, other root keys.
"""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from signed_ledger.keyring import approve, approving_name
from signed_ledger.ledger import Attest, Ledger, Settling
from signed_ledger.records import CardTransaction, History, KeyChange, RootChange
from signed_ledger.rules import Erase, Settle
from signed_ledger.signing import SoftwareSigner, kid_of
from tests.cheating import CheatingIssuer
from tests.support import Sample, fill_sample, found_sample, publish
from tests.world import ORIGIN, StandardParty, World, authorisation, opened, presentment


async def make_whole(folder: Path) -> Sample:
    """Make the ledger, and close it. It is too short for a full tile: `make_long_sample` has one."""
    sample = await found_sample(folder)
    write_first_form(sample)
    await fill_sample(sample)
    async with opened(sample.world) as ledger:
        await hear_by_standard_webhooks(sample.world, ledger)
        await erase_a_card(sample, ledger)
        await lose_keys(sample, ledger)
        await publish(sample.world, ledger, ("witness.example/w", sample.world.root))
    return sample


def write_first_form(sample: Sample) -> None:
    """An authorisation and its presentment as release 0.1 wrote them, by the ledger's own key."""
    with closing(sqlite3.connect(sample.path)) as connection, connection:
        issuer = CheatingIssuer(connection, sample)
        for kind, asked in (
            ("authorisation", authorisation("first", "c2", "4.00")),
            ("presentment", presentment("first", "4.00")),
        ):
            decided = issuer.decided(issuer.asked(kind, asked, f"wh-first-{kind}"))
            body, evidence = issuer.message(kind, asked, webhook_id=f"wh-first-{kind}")
            issuer.record(
                [body.in_first_form if isinstance(one, CardTransaction) else one for one in decided], evidence
            )


async def hear_by_standard_webhooks(world: World, ledger: Ledger) -> None:
    bolt = await world.register(ledger, "scheme", "bolt", StandardParty)
    await world.load(ledger, "c3", 20_00)
    await ledger.submit(world.webhook(bolt, "authorisation", authorisation("bolt-1", "c3", "7.00")))
    await ledger.submit(world.webhook(bolt, "presentment", presentment("bolt-1", "7.00")))


async def erase_a_card(sample: Sample, ledger: Ledger) -> None:
    """Once nothing is held on it, and all is settled."""
    for name in ("open", "open-too"):
        await sample.send(ledger, f"{name}-undone", "reversal", transaction_id=name)
    newest = sample.seqs["settlement"]
    await ledger.submit(Settling(Settle("visa", "2026-11-25", sample.world.clock()), newest, newest, {}))
    await sample.record(ledger, "erasure", Erase("c1", "case 2026-117", "article 17"))


async def lose_keys(sample: Sample, ledger: Ledger) -> None:
    """A Scheme's key and the entry key are stolen, what the latter signed since is signed again; then other roots."""
    world = sample.world
    stolen, before = ledger.keyring.current("entry").kid, history(ledger)
    await world.load(ledger, "c2", 1_00)
    revocation, _ = await asyncio.gather(
        ledger.submit(revoking(world, ledger, "entry", stolen, ORIGIN, before)), ledger.submit(replacing(world, ledger))
    )
    sample.seqs["attestation"] = (await ledger.submit(Attest(stolen, before.size, revocation.seq - 1))).seq
    await ledger.submit(revoking(world, ledger, "scheme", sample.jcb.kid, "jcb", history(ledger)))
    await world.rotate_checkpoint_key(ledger)
    root = SoftwareSigner(os.urandom(32))
    change = RootChange((root.public_key,), 1, ledger.keyring.version + 1, history(ledger))
    name = f"{ORIGIN}/root"
    approvals = approve(change, ORIGIN, [(name, world.root), (name, root)])
    await ledger.submit(replace(change, approvals=approvals))
    world.root = root


def history(ledger: Ledger) -> History:
    return History(ledger.tree.size, ledger.tree.root())


def revoking(world: World, ledger: Ledger, role: str, kid: str, whose: str, said: History) -> KeyChange:
    change = KeyChange("revoke", role, kid, None, whose, ledger.keyring.version + 1, history=said)
    return replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", world.root)]))


def replacing(world: World, ledger: Ledger) -> KeyChange:
    """The entry key that follows a revoked one, right after its revocation: that does not approve."""
    new = SoftwareSigner(os.urandom(32))
    world.signers[new.public_key] = new
    change = KeyChange("add", "entry", kid_of(new.public_key), new.public_key, ORIGIN, ledger.keyring.version + 2)
    lines = [(f"{ORIGIN}/root", world.root), (approving_name(ORIGIN, "entry", ORIGIN), new)]
    return replace(change, approvals=approve(change, ORIGIN, lines))
