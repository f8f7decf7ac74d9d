"""A receipt proves one entry to whoever has the trust file, and nothing that was changed passes."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from signed_ledger.checkpoints import sign_checkpoint, vkey_of
from signed_ledger.encoding import (
    KeyBody,
    Receipt,
    decode_body,
    decode_checkpoint,
    decode_evidence,
    decode_proof,
    decode_receipt,
    encode_proof,
    encode_receipt,
)
from signed_ledger.errors import Invalid
from signed_ledger.keyring import approve
from signed_ledger.publishing import make_receipt
from signed_ledger.receipts import check_receipt
from signed_ledger.records import Body, Checkpoint, Evidence, Genesis, History, KeyChange, Parts, RootChange
from signed_ledger.sealing import Place, seal
from signed_ledger.signing import SoftwareSigner, kid_of
from signed_ledger.trust import Trust
from tests.receipting import (
    Log,
    after_a_root_change,
    cosigned,
    in_a_log_of,
    make_log,
    newest,
    policy,
    refused,
    with_checkpoint,
)
from tests.support import Sample, assert_audits
from tests.world import ORIGIN, authorisation, opened, reading


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return asyncio.run(make_log(tmp_path_factory.mktemp("log")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Another ledger of the same name, with other keys."""
    return asyncio.run(make_log(tmp_path_factory.mktemp("other")))


@pytest.fixture(scope="module")
def receipt(log: Log) -> Receipt:
    return asyncio.run(log.receipt())


def changed(receipt: Receipt, position: int, **values: object) -> Receipt:
    """The receipt with one of its key bodies changed."""
    keys = [replace(body, **values) if at == position else body for at, body in enumerate(receipt.keys)]  # type: ignore[arg-type]
    return receipt._replace(keys=tuple(keys))


# --- what it proves -------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_it_proves_and_what_not(log: Log, receipt: Receipt) -> None:
    checked = check_receipt(receipt, log.trust)
    assert checked.ok
    said = " ".join(sentence for _, sentence in checked.proven)
    size = decode_checkpoint(log.published.note).checkpoint.size
    assert f"1 of 1 root keys approved the checkpoint key {kid_of(log.world.checkpoints[-1].public_key)[:16]}" in said
    assert f"Entry {log.seq}, a transaction of 2026-11-23T10:00:00.000000Z, is signed by that entry key" in said
    assert f"stands at place {log.seq} of that log of {size} entries" in said
    assert "asks for what the body says" in said
    unknown = " ".join(checked.not_proven)
    for words in ("revoked afterwards", "the other entries are right", "others saw the same log", "was registered"):
        assert words in unknown
    assert "not shown" not in unknown


def test_what_is_hidden_is_said_to_be_unknown(log: Log) -> None:
    receipt = asyncio.run(log.receipt(shown=("body",)))
    checked = check_receipt(receipt, log.trust)
    assert checked.ok
    assert "What the parts that are not shown say: state, evidence." in checked.not_proven
    assert (receipt.parts.state, receipt.parts.evidence) == (None, None)


def test_what_is_written_is_read_again_to_the_byte(receipt: Receipt) -> None:
    assert decode_receipt(encode_receipt(receipt)) == receipt


async def test_every_entry_of_a_ledger_has_a_receipt(sample: Sample) -> None:
    async with opened(sample.world) as ledger, reading(sample.world) as reader:
        published = await newest(reader, ledger)
        for seq in range(published.size):
            made = await make_receipt(reader, ledger.keyring, await reader.entry(seq), published, Parts._fields)
            assert check_receipt(decode_receipt(encode_receipt(made)), sample.trust).ok
    assert_audits(sample.path, sample.trust)


async def test_only_key_entries_that_are_needed_are_in_it(sample: Sample) -> None:
    async with opened(sample.world) as ledger, reading(sample.world) as reader:
        published = await newest(reader, ledger)
        first = await make_receipt(reader, ledger.keyring, await reader.entry(1), published, ())
        last = await make_receipt(reader, ledger.keyring, await reader.entry(published.size - 1), published, ())
    assert [type(body) for body in first.keys] == [Genesis]
    assert [type(body) for body in last.keys] == [Genesis, KeyChange]
    assert_audits(sample.path, sample.trust)


def test_at_a_million_entries_with_two_witnesses_and_rotated_keys_it_is_below_4_kib(log: Log, receipt: Receipt) -> None:
    bare = receipt._replace(parts=Parts(None))
    far = in_a_log_of(bare, 1_000_000, [os.urandom(32) for _ in range(20)], log.world.checkpoints[-1])
    far = cosigned(far)
    assert check_receipt(far, log.trust, policy()).ok
    assert all(isinstance(body, KeyChange) for body in far.keys)
    assert len(encode_receipt(far)) < 4_096, len(encode_receipt(far))


# --- witnesses ------------------------------------------------------------------------------------------------------


def test_with_a_policy_it_says_who_cosigned_and_when(log: Log, receipt: Receipt) -> None:
    checked = check_receipt(cosigned(receipt), log.trust, policy())
    assert checked.ok
    said = [sentence for step, sentence in checked.proven if step == 7]
    when = "2026-11-23T10:00:00.000000Z"
    assert said == [f"The policy's quorum is met: 2 of 2 witnesses cosigned, w1.example ({when}), w2.example ({when})."]
    assert not any("others saw" in sentence for sentence in checked.not_proven)


def test_a_quorum_that_is_not_met_is_refused(log: Log, receipt: Receipt) -> None:
    one = cosigned(receipt, ["w1.example"])
    assert check_receipt(one, log.trust, policy("one")).ok
    step, reason = refused(one, log.trust, policy("both"))
    assert (step, "1 of 2 witnesses" in reason) == (7, True)
    assert refused(receipt, log.trust, policy("one"))[0] == 7


def test_a_policy_that_asks_for_nobody_proves_that_nobody_was_asked(log: Log, receipt: Receipt) -> None:
    checked = check_receipt(receipt, log.trust, policy("none"))
    assert checked.ok
    assert any("others saw" in sentence for sentence in checked.not_proven)


def test_a_policy_that_names_logs_must_name_this_one(log: Log, receipt: Receipt) -> None:
    ours, others = log.world.checkpoints[-1].public_key, log.world.checkpoints[0].public_key
    assert check_receipt(receipt, log.trust, policy("none", f"log {vkey_of(ORIGIN, ours)}")).ok
    assert refused(receipt, log.trust, policy("none", f"log {vkey_of(ORIGIN, others)}"))[0] == 7


def test_a_witness_may_have_signed_any_time_that_the_specification_has(log: Log, receipt: Receipt) -> None:
    assert check_receipt(cosigned(receipt, time=2**63 - 1), log.trust, policy()).ok
    assert refused(cosigned(receipt, time=2**63), log.trust, policy())[0] == 7


# --- every byte -----------------------------------------------------------------------------------------------------


def passes(data: bytes, log: Log) -> bool:
    try:
        return check_receipt(decode_receipt(data), log.trust, policy()).ok
    except Invalid:
        return False


@pytest.mark.no_cover
def test_no_byte_can_be_changed(log: Log, receipt: Receipt) -> None:
    data = encode_receipt(cosigned(receipt))
    assert passes(data, log)
    for at, byte in enumerate(data):
        for other in {byte ^ 1, 0x20} - {byte}:
            assert not passes(data[:at] + bytes([other]) + data[at + 1 :], log), (at, data[max(at - 20, 0) : at + 20])


@pytest.mark.no_cover
def test_no_byte_can_be_left_out_and_nothing_added(log: Log, receipt: Receipt) -> None:
    data = encode_receipt(cosigned(receipt))
    for at in range(len(data)):
        if data[at : at + 1] != data[at - 1 : at]:  # of two that are the same it is told once
            assert not passes(data[:at] + data[at + 1 :], log), data[max(at - 20, 0) : at + 20]
    for more in (b" ", b"\n", b"{}"):
        assert not passes(data + more, log)
        assert not passes(more + data, log)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", "7"),
        ("seq", True),
        ("origin", 1),
        ("entry", None),
        ("parts", []),
        ("parts", {"head": "x"}),
        ("parts", {"body": ""}),
        ("parts", {"body": 1}),
        ("proof", {}),
        ("keys", []),
        ("keys", {}),
        ("keys", ["x"]),
        ("keys", [{"kind": "account", "owner": "card:c1", "currency": "EUR"}]),
        ("more", "x"),
    ],
)
def test_what_is_not_of_its_form_is_no_receipt(receipt: Receipt, name: str, value: object) -> None:
    members = orjson.loads(encode_receipt(receipt))
    members[name] = value
    with pytest.raises(Invalid):
        decode_receipt(orjson.dumps(members, option=orjson.OPT_SORT_KEYS))


# --- attacks --------------------------------------------------------------------------------------------------------


def test_the_trust_file_of_another_ledger_is_told(log: Log, other: Log, receipt: Receipt) -> None:
    assert refused(receipt, other.trust)[0] == 2
    assert refused(receipt, replace(log.trust, origin="other.example/ledger"))[0] == 1
    assert refused(receipt._replace(origin="other.example/ledger"), log.trust)[0] == 1


def test_keys_that_too_few_roots_approved_are_refused(log: Log, receipt: Receipt) -> None:
    second = SoftwareSigner(os.urandom(32))
    trust = Trust(ORIGIN, (log.world.root.public_key, second.public_key), 2)
    assert refused(receipt, trust) == (2, "1 of 2 root keys approved it")


def test_an_approval_that_is_no_root_s_or_stands_twice_is_refused(log: Log, receipt: Receipt) -> None:
    body = receipt.keys[0]
    root = (f"{ORIGIN}/root", log.world.root)
    stranger = (f"{ORIGIN}/root", SoftwareSigner(os.urandom(32)))
    for approvers in ([stranger], [root, stranger], [root, root], [root, (f"{ORIGIN}/entry", log.world.entry)]):
        approvals = approve(replace(body, approvals=""), ORIGIN, approvers)
        assert refused(changed(receipt, 0, approvals=approvals), log.trust)[0] == 2


def forged_key(log: Log, receipt: Receipt, position: int, **values: object) -> Receipt:
    """A key body that the root did approve, with other values."""
    forged = changed(receipt, position, **values)
    approvals = approve(replace(forged.keys[position], approvals=""), ORIGIN, [(f"{ORIGIN}/root", log.world.root)])
    return changed(forged, position, approvals=approvals)


def roles(receipt: Receipt) -> list[str]:
    return [body.role for body in receipt.keys if isinstance(body, KeyChange)]


KEY_FORGERIES: dict[str, Callable[[Log, Receipt], Receipt]] = {
    "only one of the keys": lambda log, receipt: receipt._replace(keys=receipt.keys[:1]),
    "the keys in another order": lambda log, receipt: receipt._replace(keys=receipt.keys[::-1]),
    "a key twice": lambda log, receipt: receipt._replace(keys=(receipt.keys[0], *receipt.keys)),
    "the entry key in the role of the checkpoint key": lambda log, receipt: forged_key(
        log, receipt, 0, role="checkpoint"
    ),
    "the checkpoint key in the role of the entry key": lambda log, receipt: forged_key(log, receipt, 1, role="entry"),
    "a key that is another's by its kid": lambda log, receipt: forged_key(log, receipt, 0, kid="0" * 64),
    "a key of another ledger": lambda log, receipt: forged_key(log, receipt, 0, whose="other.example/ledger"),
    "a Scheme's key": lambda log, receipt: forged_key(log, receipt, 0, role="scheme", whose="visa"),
    "a key that was retired": lambda log, receipt: forged_key(log, receipt, 0, op="retire"),
    "a key of low order": lambda log, receipt: forged_key(log, receipt, 0, public_key=bytes(32), kid=kid_of(bytes(32))),
    "a root key as the entry key": lambda log, receipt: forged_key(
        log, receipt, 0, public_key=log.world.root.public_key, kid=kid_of(log.world.root.public_key)
    ),
}


@pytest.mark.parametrize("forge", [pytest.param(forge, id=name) for name, forge in KEY_FORGERIES.items()])
def test_keys_that_are_not_what_the_root_approved_for_this_are_refused(
    log: Log, receipt: Receipt, forge: Callable[[Log, Receipt], Receipt]
) -> None:
    assert roles(receipt) == ["entry", "checkpoint"]
    assert refused(forge(log, receipt), log.trust)[0] == 2


def test_one_key_can_not_be_both(log: Log, receipt: Receipt) -> None:
    entry = receipt.keys[0]
    assert isinstance(entry, KeyChange)
    both = forged_key(log, receipt, 1, public_key=entry.public_key, kid=entry.kid)
    assert refused(both, log.trust) == (2, "keys: each key has one role: the same key stands here in two")


def test_the_entry_and_the_checkpoint_key_can_not_change_places(log: Log, receipt: Receipt) -> None:
    entry, checkpoint = receipt.keys
    assert isinstance(entry, KeyChange)
    assert isinstance(checkpoint, KeyChange)
    swapped = forged_key(log, receipt, 0, public_key=checkpoint.public_key, kid=checkpoint.kid)
    swapped = forged_key(log, swapped, 1, public_key=entry.public_key, kid=entry.kid)
    assert refused(swapped, log.trust)[0] == 3


def test_a_root_change_between_is_followed_where_both_sets_approved_it(log: Log, receipt: Receipt) -> None:
    old, new = log.world.root, SoftwareSigner(bytes(31) + b"7")
    assert check_receipt(after_a_root_change(log, receipt, old, new), log.trust).ok
    for approving in ([old], [new], [old, SoftwareSigner(os.urandom(32))]):
        assert refused(after_a_root_change(log, receipt, *approving), log.trust)[0] == 2
    followed = after_a_root_change(log, receipt, old, new)
    entry, _, checkpoint = followed.keys
    assert refused(followed._replace(keys=(entry, checkpoint)), log.trust)[0] == 2


def test_what_the_trust_file_s_own_root_keys_did_not_approve_leads_to_no_key(log: Log, receipt: Receipt) -> None:
    """Who has root keys of before brings a key of his own, and the change after it; or the change alone."""
    old, new = log.world.root, SoftwareSigner(bytes(31) + b"7")
    followed = after_a_root_change(log, receipt, old, new)
    trust = Trust(ORIGIN, (new.public_key,), 1)
    assert refused(followed, trust)[0] == 2
    _, change, checkpoint = followed.keys
    assert refused(followed._replace(keys=(change, checkpoint)), trust) == (2, "keys: have no entry key")
    assert refused(followed._replace(keys=(change,)), trust)[0] == 2
    assert refused(receipt._replace(keys=(change, receipt.keys[-1])), trust)[0] == 2


def test_a_root_change_that_leads_to_no_key_is_not_needed(log: Log, receipt: Receipt) -> None:
    new = SoftwareSigner(os.urandom(32))
    change = RootChange((new.public_key,), 1, 9, History(1, bytes(32)))
    approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", signer) for signer in (log.world.root, new)])
    longer = receipt._replace(keys=(*receipt.keys, replace(change, approvals=approvals)))
    assert refused(longer, log.trust) == (2, "keys: hold an entry of which nothing here needs the key")


def genesis_of(log: Log) -> KeyBody:
    return asyncio.run(log.receipt(seq=0)).keys[0]


def test_a_retired_entry_key_signs_nothing_that_is_in_the_log(log: Log, receipt: Receipt) -> None:
    """Its holder can bring the genesis, which the root approved, and an entry of his own; but not a proof of it."""
    place = Place(ORIGIN, log.seq, bytes(32), log.world.clock())
    body = genesis_of(log)
    sealed = seal(place, body, state=None, evidence=None, signer=log.world.entry, random_bytes=os.urandom)
    forged = receipt._replace(entry=sealed.note, parts=Parts(None))
    assert refused(forged, log.trust)[0] == 3
    keys = (body, next(key for key in receipt.keys if isinstance(key, KeyChange) and key.role == "checkpoint"))
    assert refused(forged._replace(keys=keys), log.trust)[0] == 6


def test_the_genesis_must_be_the_one_that_the_trust_file_has(log: Log) -> None:
    receipt = asyncio.run(log.receipt(seq=0))
    assert check_receipt(receipt, log.trust).ok
    two = (log.world.root.public_key, SoftwareSigner(os.urandom(32)).public_key)
    assert refused(receipt, Trust(ORIGIN, two, 1))[1].startswith("keys: the genesis has another")


@pytest.mark.parametrize("shift", [-1, 1])
def test_the_proof_of_another_entry_is_refused(log: Log, receipt: Receipt, shift: int) -> None:
    neighbour = asyncio.run(log.receipt(seq=log.seq + shift))
    assert refused(receipt._replace(proof=neighbour.proof), log.trust)[0] == 6
    assert refused(receipt._replace(entry=neighbour.entry, parts=Parts(None)), log.trust)[0] == 3
    proof = decode_proof(receipt.proof)
    moved = receipt._replace(proof=encode_proof(proof._replace(seq=proof.seq + shift)))
    assert refused(moved, log.trust)[0] == 6


def test_the_proof_must_be_of_the_size_and_root_that_were_signed(log: Log, receipt: Receipt) -> None:
    own = decode_checkpoint(decode_proof(receipt.proof).checkpoint).checkpoint
    signer = log.world.checkpoints[-1]
    for other in (
        Checkpoint(ORIGIN, own.size * 2, own.root),
        Checkpoint(ORIGIN, log.seq, own.root),
        Checkpoint(ORIGIN, own.size, bytes(32)),
    ):
        assert refused(with_checkpoint(receipt, sign_checkpoint(other, signer)), log.trust)[0] == 6


def test_a_checkpoint_that_is_not_this_ledger_s_is_refused(log: Log, other: Log, receipt: Receipt) -> None:
    own = decode_checkpoint(decode_proof(receipt.proof).checkpoint).checkpoint
    signer = log.world.checkpoints[-1]
    elsewhere = sign_checkpoint(Checkpoint("other.example/ledger", own.size, own.root), signer)
    retired = sign_checkpoint(own, log.world.checkpoints[0])
    by_entry_key = sign_checkpoint(own, [*log.world.signers.values()][-1])
    for note in (elsewhere, retired, by_entry_key, other.published.note):
        assert refused(with_checkpoint(receipt, note), log.trust)[0] == 5


def test_extra_data_in_the_proof_is_refused(log: Log, receipt: Receipt) -> None:
    extra = receipt.proof.replace(b"\nindex ", b"\nextra aGVsbG8=\nindex ", 1)
    assert refused(receipt._replace(proof=extra), log.trust) == (6, "proof: has extra data, which nothing vouches for")


def test_parts_that_were_changed_or_swapped_or_are_not_named_are_refused(log: Log, receipt: Receipt) -> None:
    parts = receipt.parts
    assert parts.body is not None
    load = asyncio.run(log.receipt(seq=log.seq - 1))
    for other in (
        parts._replace(body=parts.body.replace(b"40.00", b"04.00")),
        parts._replace(body=parts.evidence, evidence=parts.body),
        parts._replace(state=load.parts.state or load.parts.body),
        Parts(parts.state),
    ):
        assert refused(receipt._replace(parts=other), log.trust)[0] == 4
    no_state = asyncio.run(log.receipt(seq=1))
    named = no_state._replace(parts=no_state.parts._replace(state=parts.state))
    assert refused(named, log.trust) == (4, "state: is not a part of this entry")


def test_an_issuer_who_signs_another_s_request_shows_it_himself(log: Log, receipt: Receipt) -> None:
    """Body and evidence of which each is what was signed, and which do not belong together."""
    assert receipt.parts.body is not None
    assert receipt.parts.evidence is not None
    body = decode_body(receipt.parts.body).body
    honest = decode_evidence(receipt.parts.evidence)
    asked = orjson.dumps(authorisation("t-1", "c1", "4.00"))
    other = log.world.evidence(log.visa, "/authorisation", asked, "wh-1")
    nobody = replace(honest, kid="0" * 64)
    unsigned = replace(honest, signature=bytes(64))
    for evidence, reason in (
        (other, "is not"),
        (nobody, "kid: is not that of the public key in the evidence"),
        (unsigned, "is not what the request in it gives"),
    ):
        step, found = refused(_first_entry(log, receipt, body, evidence), log.trust)
        assert (step, reason in found) == (8, True), found


def _first_entry(log: Log, receipt: Receipt, body: Body, evidence: Evidence) -> Receipt:
    """An Issuer's log of one entry, signed with the keys that he has."""
    signer = [*log.world.signers.values()][-1]
    place = Place(ORIGIN, 0, bytes(32), log.world.clock())
    sealed = seal(place, body, state=None, evidence=evidence, signer=signer, random_bytes=os.urandom)
    alone = receipt._replace(seq=0, entry=sealed.note, parts=sealed.parts)
    return in_a_log_of(alone, 1, [], log.world.checkpoints[-1])
