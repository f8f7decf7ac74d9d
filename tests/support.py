"""What tests of every floor need: the ledger proving itself, a small one with every kind of entry, harm to its file."""

import argparse
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signed_ledger.audit import Report, Trust, audit_file
from signed_ledger.checkpoints import cosign, open_checkpoint, sign_checkpoint
from signed_ledger.encoding import encode_signature
from signed_ledger.errors import Fault
from signed_ledger.ledger import Answer, Keep, Ledger, Settling, Submission
from signed_ledger.money import Money
from signed_ledger.records import Checkpoint, FeeRate, Request, Scope, Terms, Tolerance, Window
from signed_ledger.rules import Asked, ChangeCard, Settle
from signed_ledger.signing import Signer
from signed_ledger.tables import TABLES
from tests.world import DAY, ORIGIN, Party, World, authorisation, euros, opened, presentment

SAMPLE_TERMS = Terms(
    7,
    (Window(Scope(kinds=("pre_authorisation",)), 1),),
    (Tolerance(Scope(mccs=((742, 742),)), 100_000),),
    (FeeRate(Scope("visa", mccs=((742, 742),)), 2_000, Money(5, "EUR")),),
)
"""Vets have interchange, and a tenth of tolerance; other merchants have neither."""


def assert_audits(path: Path, trust: Trust | None = None) -> Report:
    """Audit the ledger at `path`; fail, naming each fault, where there is one."""
    report = audit_file(path, trust=trust, jobs=1)
    assert report.ok, "\n".join(f"seq {seq}, step {step}: {reason}" for seq, step, reason in report.faults)
    return report


def verify_options(**given: Any) -> argparse.Namespace:
    """What the command line of `verify` gives when only these are asked for; one process, as a test wants it."""
    defaults = {"last_seen": None, "policy": None, "whole": False, "jobs": 1, "all": False, "json": False}
    return argparse.Namespace(**{**defaults, **given})


def trust_of(world: World) -> Trust:
    """What `init` would write into trust.json."""
    return Trust(ORIGIN, (world.root.public_key,), 1)


@dataclass
class Sample:
    """A ledger with most kinds of entry. `seqs` has the seq of each by a name for it; amex's key is retired."""

    world: World
    visa: Party
    amex: Party
    jcb: Party
    seqs: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.world.path

    @property
    def trust(self) -> Trust:
        return trust_of(self.world)

    async def record(self, ledger: Ledger, name: str, submission: Submission) -> Answer:
        answer = await ledger.submit(submission)
        self.seqs[name] = answer.seq
        return answer

    async def send(self, ledger: Ledger, name: str, kind: str, **body: Any) -> None:
        """A message of visa's."""
        await self.record(ledger, name, self.world.webhook(self.visa, kind, body, f"wh-{name}"))

    async def authorise(
        self, ledger: Ledger, name: str, card_id: str, amount: str, currency: str = "EUR", **more: Any
    ) -> None:
        await self.send(ledger, name, "authorisation", **authorisation(name, card_id, amount, currency, **more))

    async def present(self, ledger: Ledger, name: str, amount: str, currency: str, **more: Any) -> None:
        await self.send(ledger, f"{name}-presented", "presentment", **presentment(name, amount, currency, **more))


async def make_sample(folder: Path) -> Sample:
    """Make the ledger through the real writer, and close it."""
    sample = await found_sample(folder)
    await fill_sample(sample)
    return sample


async def found_sample(folder: Path) -> Sample:
    """Its parties, and cards with money."""
    world = World(folder)
    async with opened(world) as ledger:
        visa, amex, jcb = [await world.register(ledger, "scheme", name) for name in ("visa", "amex", "jcb")]
        sample = Sample(world, visa, amex, jcb)
        await world.register(ledger, "operator", "ops")
        sample.seqs["load"] = (await world.load(ledger, "c1", 100_00)).seq
        sample.seqs["second-load"] = (await world.load(ledger, "c2", 50_00)).seq
    return sample


async def fill_sample(sample: Sample) -> None:
    """What happens in it: every kind of entry but those of `tests/whole.py`."""
    world = sample.world
    async with opened(world) as ledger:
        await sample.authorise(ledger, "approved", "c1", "40.00")
        await sample.authorise(ledger, "without-funds", "c1", "70.00")
        await sample.authorise(ledger, "unknown-card", "c9", "1.00")
        world.clock.now += 60_000_000
        await world.rotate_entry_key(ledger)
        sample.seqs["rotation"] = ledger.keyring.current("entry").valid_from - 1
        await sample.present(ledger, "approved", "38.50", "EUR")
        await sample.authorise(ledger, "abroad", "c1", "30.00")
        more = {"presentment_id": "p-1", "transaction_amount": "33.00", "transaction_currency": "USD"}
        await sample.present(ledger, "abroad", "32.10", "USD", billing_amount="29.90", billing_currency="EUR", **more)
        retirement = world.key_change(ledger, "retire", "scheme", "amex", sample.amex.signer.public_key)
        sample.seqs["retirement"] = (await ledger.submit(retirement)).seq
        await sample.authorise(ledger, "open", "c1", "5.00")
        await sample.authorise(ledger, "open-too", "c1", "20.00")
        await publish(world, ledger)
        sample.seqs["published"] = ledger.tree.size - 1
        await live(sample, ledger)
        await end_lives(sample, ledger)
        await publish(world, ledger, ("witness.example/w", world.root))
        await publish(world, ledger)  # the same once more is kept once


async def make_long_sample(folder: Path) -> Sample:
    """The sample, and loads until tiles are full and two entries more are there; with checkpoints around that."""
    sample = await make_sample(folder)
    async with opened(sample.world) as ledger:
        await load_to(sample.world, ledger, 255)
        await publish(sample.world, ledger)
        await load_to(sample.world, ledger, 258)
        await publish(sample.world, ledger)
    return sample


async def load_to(world: World, ledger: Ledger, size: int) -> None:
    """Load a card until the ledger has so many entries: three each time, four the first; keys are the rest."""
    while (left := size - ledger.tree.size) > 0:
        if left >= 4:
            await world.load(ledger, "filled", 1_00)
        else:
            await world.register(ledger, "auditor", f"auditor-{left}-{size}")


async def publish(world: World, ledger: Ledger, *witnesses: tuple[str, Signer]) -> bytes:
    """Keep a checkpoint of all that is there, with the cosignatures of (name, signer); give the note."""
    checkpoint = Checkpoint(ORIGIN, ledger.tree.size, ledger.tree.root())
    note = sign_checkpoint(checkpoint, world.checkpoints[-1])
    signed = open_checkpoint(note, origin=ORIGIN, public_key=world.checkpoints[-1].public_key)
    lines = [cosign(signed, name, signer, world.clock() // 1_000_000) for name, signer in witnesses]
    cosignatures = tuple((f"{line.name}+{line.key_id.hex()}", encode_signature(line)) for line in lines)
    await ledger.keep(Keep(checkpoint.size - 1, note, cosignatures))
    return note


async def live(sample: Sample, ledger: Ledger) -> None:
    """Every message about a transaction, all of card c2."""
    await sample.record(ledger, "terms", SAMPLE_TERMS)
    await sample.record(ledger, "bind", ChangeCard("bind", "c2", "visa"))
    vet: dict[str, Any] = {"merchant_mcc": "0742", "authorisation_kind": "card_present", "iso8583": {"49": "978"}}
    await sample.authorise(ledger, "life", "c2", "10.00", **vet)
    await sample.send(ledger, "grown", "increment", transaction_id="life", **euros("billing", "5.00"))
    await sample.send(ledger, "not-grown", "increment", transaction_id="life", **euros("billing", "1000.00"))
    await sample.send(ledger, "shrunk", "reversal", transaction_id="life", **euros("billing", "1.00"))
    part: dict[str, Any] = {
        **euros("billing", "4.00"),
        "presentment_id": "p-1",
        "final": False,
        "interchange_amount": "0.0333",
    }
    await sample.send(ledger, "part", "presentment", **presentment("life", "4.00", **part))
    rest = {**euros("billing", "11.00"), "presentment_id": "p-2"}
    await sample.send(ledger, "rest", "presentment", **presentment("life", "11.00", **rest))


async def end_lives(sample: Sample, ledger: Ledger) -> None:
    """What else there is: refunds, a forced posting, a hold that ends, a block, a settlement; and one left alive."""
    back = {**euros("billing", "2.00"), **euros("settlement", "2.00")}
    await sample.send(ledger, "back", "refund", transaction_id="life", refund_id="r-1", **back)
    await sample.send(ledger, "alone", "refund", card_id="c2", refund_id="r-2", **back)
    forced: dict[str, Any] = {"card_id": "c2", "force_post": True, **euros("billing", "1.00")}
    await sample.send(ledger, "forced", "presentment", **presentment("forced", "1.00", **forced))
    await sample.authorise(ledger, "undone", "c2", "3.00")
    await sample.send(ledger, "undoing", "reversal", transaction_id="undone")
    await sample.record(ledger, "block", ChangeCard("block", "c2", None, "lost"))
    await sample.authorise(ledger, "blocked", "c2", "3.00")
    await sample.record(ledger, "unblock", ChangeCard("unblock", "c2"))
    await sample.authorise(ledger, "short", "c2", "2.00", authorisation_kind="pre_authorisation")
    sample.world.clock.now += DAY
    await sample.record(ledger, "expired", Asked("visa", None, Request("expiry", "short")))
    await sample.record(ledger, "settlement", Settling(Settle("visa", "2026-11-24", sample.world.clock()), -1, -1, {}))
    await sample.authorise(ledger, "alive", "c2", "10.00", merchant_mcc="0742")
    part: dict[str, Any] = {**euros("billing", "3.00"), "presentment_id": "p-1", "final": False}
    await sample.send(ledger, "alive-part", "presentment", **presentment("alive", "3.00", **part))


def fail_the_disk(ledger: Ledger, reached: bool) -> None:
    """From now on a commit fails: before the disk had it, or after."""
    store = ledger._store
    append, commit = store.append, store.commit

    async def append_and_fail(rows: list[tuple[str, tuple[Any, ...]]]) -> None:
        if reached:
            await append(rows)
        raise Fault("the disk failed")

    async def commit_and_fail() -> None:
        if reached:
            await commit()
        raise Fault("the disk failed")

    store.append, store.commit = append_and_fail, commit_and_fail  # type: ignore[method-assign]


def edit(path: Path, statement: str, *values: Any) -> None:
    """Change the file as its owner can, whatever the triggers say."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in TABLES:
            for event in ("update", "delete", "replace"):
                connection.execute(f"DROP TRIGGER IF EXISTS {table.name}_no_{event}")
        assert connection.execute(statement, values).rowcount > 0


def rows(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the file, as anyone can."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()
