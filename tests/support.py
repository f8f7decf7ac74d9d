"""What tests of every floor end with, the ledger proving itself; and a small ledger with every kind of entry."""

from dataclasses import dataclass, field
from pathlib import Path

from signed_ledger.audit import Report, Trust, audit_file
from signed_ledger.ledger import Ledger
from tests.world import ORIGIN, Party, World, authorisation, opened, presentment


def assert_audits(path: Path, trust: Trust | None = None) -> Report:
    """Audit the ledger at `path`; fail, naming each fault, where there is one."""
    report = audit_file(path, trust=trust, jobs=1)
    assert report.ok, "\n".join(f"seq {seq}, step {step}: {reason}" for seq, step, reason in report.faults)
    return report


def trust_of(world: World) -> Trust:
    """What `init` would write into trust.json."""
    return Trust(ORIGIN, (world.root.public_key,), 1)


@dataclass
class Sample:
    """A ledger with every kind of entry. `seqs` has the seq of each by a name for it; amex's key is retired."""

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

    async def authorise(self, ledger: Ledger, name: str, card_id: str, amount: str, currency: str = "EUR") -> None:
        body = authorisation(name, card_id, amount, currency)
        answer = await ledger.submit(self.world.webhook(self.visa, "authorisation", body, f"wh-{name}"))
        self.seqs[name] = answer.seq

    async def present(self, ledger: Ledger, name: str, amount: str, currency: str, **more: str) -> None:
        body = presentment(name, amount, currency, **more)
        answer = await ledger.submit(self.world.webhook(self.visa, "presentment", body, f"wh-{name}-presented"))
        self.seqs[f"{name}-presented"] = answer.seq


async def make_sample(folder: Path) -> Sample:
    """Make the ledger through the real writer, and close it."""
    world = World(folder)
    async with opened(world) as ledger:
        visa, amex, jcb = [await world.register(ledger, "scheme", name) for name in ("visa", "amex", "jcb")]
        sample = Sample(world, visa, amex, jcb)
        await world.register(ledger, "operator", "ops")
        sample.seqs["load"] = (await world.load(ledger, "c1", 100_00)).seq
        sample.seqs["second-load"] = (await world.load(ledger, "c2", 50_00)).seq
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
    return sample
