"""A receipt proves one entry to an outsider, with no ledger and no network: checked in numbered steps. No I/O.

1. it is of the ledger that the trust file names
2. the root keys approved the entry key and the checkpoint key that it brings along
3. the entry is well-formed, is the one asked for, and is signed by that entry key
4. each part shown has the digest that the entry names, and is well-formed
5. the checkpoint is the ledger's, signed by that checkpoint key
6. the inclusion proof leads from the entry to the root that the checkpoint names
7. the witnesses that the policy asks for have cosigned the checkpoint, and it accepts the log
8. the Scheme's signature in the evidence verifies, and asks for what the body says

What is not proven is said too: docs/FORMAT.md, A receipt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.encoding import (
    Receipt,
    SignedCheckpoint,
    decode_body,
    decode_evidence,
    decode_proof,
    decode_state,
    encode_proof,
    encode_time,
)
from signed_ledger.errors import Invalid, Refusal
from signed_ledger.merkle import leaf_hash, verify_inclusion
from signed_ledger.policy import NONE, Policy, shown
from signed_ledger.receipts.key_entries import check_key_entries
from signed_ledger.records import (
    Body,
    CardTransaction,
    Entry,
    Evidence,
    RegisteredKey,
    State,
)
from signed_ledger.records.names import TIME_MAX
from signed_ledger.schemes import reverify, signs_host, verify_recorded
from signed_ledger.sealing import open_entry, open_part
from signed_ledger.signing import check_public_key, kid_of
from signed_ledger.trust import Trust


class Step(IntEnum):
    TRUST = 1
    KEYS = 2
    ENTRY = 3
    PARTS = 4
    CHECKPOINT = 5
    INCLUSION = 6
    WITNESSES = 7
    SCHEME = 8


class Said(NamedTuple):
    """What a step found, in a sentence."""

    step: Step
    sentence: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a receipt proves; with a `fault` it proves nothing, and `proven` tells how far it could be followed."""

    seq: int
    origin: str
    proven: tuple[Said, ...]
    fault: Said | None
    not_proven: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.fault is None


def check_receipt(receipt: Receipt, trust: Trust, policy: Policy | None = None) -> Checked:
    """Check a decoded receipt against whom its reader trusts; without a `policy` no witness is asked for."""
    check = _Check(receipt, trust, policy)
    proven: list[Said] = []
    for step, take in _STEPS.items():
        try:
            proven += [Said(step, sentence) for sentence in take(check)]
        except (Invalid, Refusal) as error:
            fault = Said(step, str(error))
            return Checked(receipt.seq, receipt.origin, tuple(proven), fault, ())
    return Checked(receipt.seq, receipt.origin, tuple(proven), None, tuple(_not_proven(check)))


class _Check:
    """A receipt, and what the steps before found in it."""

    def __init__(self, receipt: Receipt, trust: Trust, policy: Policy | None) -> None:
        self.receipt = receipt
        self.trust = trust
        self.policy = policy
        self.keys: dict[str, bytes] = {}  # by role
        self.entry: Entry
        self.body: Body | None = None
        self.state: State | None = None
        self.evidence: Evidence | None = None
        self.signed: SignedCheckpoint


# --- the steps: each gives its sentences, or raises ----------------------------------------------------------------


def _check_trust(check: _Check) -> list[str]:
    if check.receipt.origin != check.trust.origin:
        raise Invalid("origin", f"is {check.receipt.origin}, and the trust file is of {check.trust.origin}")
    return [f"It is of the ledger {check.trust.origin}, whose root keys the trust file has."]


def _check_keys(check: _Check) -> list[str]:
    check.keys, roots = check_key_entries(check.receipt.keys, check.trust)
    approved = f"{roots.threshold} of {len(roots.keys)} root keys"
    return [f"{approved} approved the {role} key {kid_of(key)[:16]}." for role, key in sorted(check.keys.items())]


def _check_entry(check: _Check) -> list[str]:
    receipt, key = check.receipt, check.keys["entry"]
    check.entry = entry = open_entry(receipt.entry, origin=receipt.origin, seq=receipt.seq, public_key=key)
    return [f"Entry {entry.seq}, a {entry.kind} of {encode_time(entry.time)}, is signed by that entry key."]


def _check_parts(check: _Check) -> list[str]:
    entry, parts = check.entry, check.receipt.parts
    if parts.body is not None:
        check.body = decode_body(open_part("body", entry.body, parts.body)).body
        if entry.kind != check.body.KIND:
            raise Invalid("body", f"is a {check.body.KIND}, and the entry is a {entry.kind}")
    if parts.state is not None:
        check.state = decode_state(open_part("state", entry.state, parts.state))
    if parts.evidence is not None:
        check.evidence = decode_evidence(open_part("evidence", entry.evidence, parts.evidence))
    return [
        f"The {name} shown is the one that the entry was signed over."
        for name, data in parts._asdict().items()
        if data is not None
    ]


def _check_checkpoint(check: _Check) -> list[str]:
    proof = decode_proof(check.receipt.proof)
    check.signed = open_checkpoint(proof.checkpoint, origin=check.trust.origin, public_key=check.keys["checkpoint"])
    return [f"The checkpoint of {check.signed.checkpoint.size} entries is signed by that checkpoint key."]


def _check_inclusion(check: _Check) -> list[str]:
    proof, checkpoint = decode_proof(check.receipt.proof), check.signed.checkpoint
    if encode_proof(proof) != check.receipt.proof:
        raise Invalid("proof", "has extra data, which nothing vouches for")
    if proof.seq != check.entry.seq:
        raise Invalid("proof", f"is of entry {proof.seq}")
    verify_inclusion(leaf_hash(check.receipt.entry), proof.seq, checkpoint.size, checkpoint.root, proof.hashes)
    return [f"The entry stands at place {proof.seq} of that log of {checkpoint.size} entries, counted from 0."]


def _check_witnesses(check: _Check) -> list[str]:
    policy = check.policy
    if policy is None:
        return []
    if policy.logs and not policy.accepts(check.signed):
        raise Invalid("policy", "names logs, and none of them signed this checkpoint")
    times = policy.cosigned(check.signed)
    if not policy.is_met(times):
        raise Invalid("policy", f"is not met: {_cosigners(times, policy)}")
    if policy.quorum == NONE:
        return ["The policy asks for no witness."]
    return [f"The policy's quorum is met: {_cosigners(times, policy)}."]


def _cosigners(times: Mapping[str, int], policy: Policy) -> str:
    names = ", ".join(f"{shown(name)} ({_moment(time)})" for name, time in sorted(times.items()))
    return f"{len(times)} of {len(policy.witnesses)} witnesses cosigned{f', {names}' if names else ''}"


def _moment(time: int) -> str:
    """A witness may have signed any number of seconds."""
    micros = time * 1_000_000
    return encode_time(micros) if micros <= TIME_MAX else f"{time} s after 1970"


def _check_scheme(check: _Check) -> list[str]:
    evidence = check.evidence
    if evidence is None:
        return []
    if kid_of(check_public_key(evidence.public_key)) != evidence.kid:
        raise Invalid("kid", "is not that of the public key in the evidence")
    whose = check.body.scheme if isinstance(check.body, CardTransaction) else ""
    key = RegisteredKey(evidence.kid, "scheme", whose, evidence.public_key, 0)
    if not isinstance(check.body, CardTransaction):
        reverify(evidence, key)
        return [f"The request in the evidence is signed by the key {evidence.kid[:16]}."]
    verify_recorded(check.body, evidence, key)
    return [f"The request in the evidence is signed by the key {evidence.kid[:16]}, and asks for what the body says."]


_STEPS: Final[dict[Step, Callable[[_Check], list[str]]]] = {
    Step.TRUST: _check_trust,
    Step.KEYS: _check_keys,
    Step.ENTRY: _check_entry,
    Step.PARTS: _check_parts,
    Step.CHECKPOINT: _check_checkpoint,
    Step.INCLUSION: _check_inclusion,
    Step.WITNESSES: _check_witnesses,
    Step.SCHEME: _check_scheme,
}


# --- what it does not prove ----------------------------------------------------------------------------------------


def _not_proven(check: _Check) -> list[str]:
    entry, parts = check.entry, check.receipt.parts
    said = [
        "That those two keys were the ones in use then, and were not revoked afterwards: a receipt has no later key "
        "entries; signed-ledger verify and GET /keys have them.",
        "That the other entries are right, and that nothing was decided against the rules: signed-ledger verify does.",
    ]
    if check.policy is None or check.policy.quorum == NONE:
        said.append("That others saw the same log: no policy asked for a witness.")
    hidden = [name for name in parts._fields if getattr(entry, name) is not None and getattr(parts, name) is None]
    if hidden:
        said.append(f"What the parts that are not shown say: {', '.join(hidden)}.")
    if check.evidence is not None:
        said.append(f"That the key {check.evidence.kid[:16]} was registered as that Scheme's: GET /keys has the proof.")
        if not signs_host(check.evidence):
            said.append(
                "To which host and path the request went: the Scheme's signature is over its id, time and body."
            )
    return said
