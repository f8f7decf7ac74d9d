"""Receipts made from a real ledger, and the same with one thing changed, signed anew where a forger could."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from signed_ledger.checkpoints import cosign, sign_checkpoint, vkey_of
from signed_ledger.encoding import (
    COSIGNATURE,
    InclusionProof,
    Receipt,
    decode_checkpoint,
    decode_proof,
    encode_proof,
    encode_signature,
)
from signed_ledger.keyring import approve
from signed_ledger.ledger import Ledger
from signed_ledger.merkle import leaf_hash, node_hash
from signed_ledger.policy import Policy, decode_policy
from signed_ledger.publishing import Published, make_receipt, read_newest, verified_checkpoint
from signed_ledger.receipts import Checked, check_receipt
from signed_ledger.records import Checkpoint, History, KeyChange, Parts, RootChange
from signed_ledger.signing import Signer, SoftwareSigner
from signed_ledger.store import Reader
from signed_ledger.trust import Trust
from tests.support import assert_audits, publish, trust_of
from tests.world import ORIGIN, START, Party, World, authorisation, opened, reading

WITNESSES = {name: SoftwareSigner(bytes([number]) * 32) for number, name in enumerate(("w1.example", "w2.example"), 1)}


@dataclass
class Log:
    """A ledger whose entry and checkpoint keys were both rotated, with an authorisation of visa's at `seq`."""

    world: World
    visa: Party
    seq: int
    published: Published

    @property
    def trust(self) -> Trust:
        return trust_of(self.world)

    async def receipt(self, seq: int | None = None, shown: Collection[str] = Parts._fields) -> Receipt:
        async with opened(self.world) as ledger, reading(self.world) as reader:
            stored = await reader.entry(self.seq if seq is None else seq)
            return await make_receipt(reader, ledger.keyring, stored, self.published, shown)


async def make_log(folder: Path) -> Log:
    """Keys are rotated first, so that the receipt has two key entries and neither is the genesis."""
    folder.mkdir(exist_ok=True)
    world = World(folder)
    async with opened(world) as ledger:
        visa = await world.register(ledger, "scheme", "visa")
        await world.rotate_entry_key(ledger)
        await world.rotate_checkpoint_key(ledger)
        await world.load(ledger, "c1", 100_00)
        answer = await ledger.submit(world.webhook(visa, "authorisation", authorisation("t-1", "c1", "40.00")))
        await world.load(ledger, "c2", 1_00)
        await publish(world, ledger)
        async with reading(world) as reader:
            published = await newest(reader, ledger)
    assert_audits(world.path, trust_of(world))
    return Log(world, visa, answer.seq, published)


async def newest(reader: Reader, ledger: Ledger) -> Published:
    """The newest checkpoint that is kept."""
    kept = await read_newest(reader)
    assert kept is not None
    return verified_checkpoint(kept, ledger.keyring)


def cosigned(receipt: Receipt, witnesses: Sequence[str] = tuple(WITNESSES), time: int = START // 1_000_000) -> Receipt:
    """The same, its checkpoint cosigned by these witnesses."""
    proof = decode_proof(receipt.proof)
    signed = decode_checkpoint(proof.checkpoint)
    lines = [encode_signature(cosign(signed, name, WITNESSES[name], time)) for name in witnesses]
    return with_checkpoint(receipt, proof.checkpoint + "".join(lines).encode())


def with_checkpoint(receipt: Receipt, note: bytes) -> Receipt:
    return receipt._replace(proof=encode_proof(decode_proof(receipt.proof)._replace(checkpoint=note)))


def policy(quorum: str = "both", *lines: str) -> Policy:
    """Both witnesses, groups `both` and `one` of them, and further lines."""
    text = [f"witness {name} {vkey_of(name, key.public_key, COSIGNATURE)}" for name, key in WITNESSES.items()]
    groups = {"both": "all", "one": "any"}
    if quorum in groups:
        text.append(f"group {quorum} {groups[quorum]} {' '.join(WITNESSES)}")
    return decode_policy("\n".join([*text, *lines, f"quorum {quorum}", ""]).encode())


def in_a_log_of(receipt: Receipt, size: int, hashes: Sequence[bytes], signer: Signer) -> Receipt:
    """The same entry in a log that has grown to `size`: the other `hashes` are made up, the root follows from them."""
    root = leaf_hash(receipt.entry)
    at, last = receipt.seq, size - 1
    for value in hashes:
        if at & 1 or at == last:
            root = node_hash(value, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, value)
        at, last = at >> 1, last >> 1
    assert last == 0
    note = sign_checkpoint(Checkpoint(ORIGIN, size, root), signer)
    return receipt._replace(proof=encode_proof(InclusionProof(receipt.seq, tuple(hashes), note)))


def after_a_root_change(log: Log, receipt: Receipt, *approving: SoftwareSigner) -> Receipt:
    """As if the root keys had been replaced between the entry and the checkpoint key, by these approvers."""
    new, (entry, checkpoint) = SoftwareSigner(bytes(31) + b"7"), receipt.keys
    assert isinstance(entry, KeyChange)
    assert isinstance(checkpoint, KeyChange)
    change = RootChange((new.public_key,), 1, entry.version + 1, History(1, bytes(32)))
    change = replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", signer) for signer in approving]))
    later = replace(checkpoint, version=entry.version + 2, approvals="")
    later = replace(later, approvals=approve(later, ORIGIN, [(f"{ORIGIN}/root", new)]))
    return receipt._replace(keys=(entry, change, later))


def refused(receipt: Receipt, trust: Trust, policy: Policy | None = None) -> tuple[int, str]:
    """At which step it is refused, and why."""
    checked: Checked = check_receipt(receipt, trust, policy)
    assert checked.fault is not None, checked.proven
    return int(checked.fault.step), checked.fault.sentence
