"""Checkpoints, cosignatures and proofs: as others write them, to the byte, and no other way."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.checkpoints import (
    cosign,
    cosigned_at,
    is_signed_by,
    open_checkpoint,
    read_vkey,
    sign_checkpoint,
    vkey_of,
)
from signed_ledger.encoding import (
    COSIGNATURE,
    AddCheckpoint,
    InclusionProof,
    VerifierKey,
    decode_add_checkpoint,
    decode_bundle,
    decode_checkpoint,
    decode_proof,
    encode_add_checkpoint,
    encode_bundle,
    encode_proof,
    encode_signature,
)
from signed_ledger.errors import Invalid
from signed_ledger.records import Checkpoint
from signed_ledger.signing import SoftwareSigner
from tests.world import ORIGIN

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "c2sp-note" / "cosignature-v1.json").read_text(encoding="utf-8")
)
LOG, WITNESS = SoftwareSigner(bytes(range(32))), SoftwareSigner(bytes(range(1, 33)))
CHECKPOINT = Checkpoint(ORIGIN, 300, bytes(range(100, 132)))
NOTE = sign_checkpoint(CHECKPOINT, LOG)
NAME = "witness.example/w"
KEY = VerifierKey(NAME, COSIGNATURE, WITNESS.public_key)


def opened(note: bytes) -> None:
    open_checkpoint(note, origin=ORIGIN, public_key=LOG.public_key)


# --- as others write them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["cosignatures"], ids=["mirror", "witness"])
def test_the_cosignatures_of_others_verify(vector: dict[str, Any]) -> None:
    signed = decode_checkpoint(vector["checkpoint"].encode())
    witness = read_vkey(vector["vkey"])
    assert cosigned_at(signed, witness) == vector["timestamp"]
    assert vkey_of(witness.name, witness.public_key, witness.algorithm) == vector["vkey"]
    data = vector["checkpoint"].encode()
    for at in range(len(data.partition(b"\n\n")[0])):
        edited = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            assert cosigned_at(decode_checkpoint(edited, may_extend=True), witness) is None, at
        except Invalid:
            continue


# --- our own -------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    text, _, signatures = NOTE.partition(b"\n\n")
    assert text == b"issuer.example/ledger\n300\nZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="
    assert signatures.startswith("— issuer.example/ledger ".encode())
    assert open_checkpoint(NOTE, origin=ORIGIN, public_key=LOG.public_key).checkpoint == CHECKPOINT


def test_every_byte_of_a_checkpoint_changed_is_refused() -> None:
    for at in range(len(NOTE)):
        for bit in range(8):
            with pytest.raises(Invalid):
                opened(NOTE[:at] + bytes([NOTE[at] ^ (1 << bit)]) + NOTE[at + 1 :])
    for edited in (NOTE[1:], NOTE[:-1], NOTE + b"\n", b"\n" + NOTE, NOTE + b"x", b""):
        with pytest.raises(Invalid):
            opened(edited)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{ORIGIN}\n0300\n{{root}}\n", id="a size with a zero before it"),
        pytest.param(f"{ORIGIN}\n-1\n{{root}}\n", id="a size below zero"),
        pytest.param(f"{ORIGIN}\n+3\n{{root}}\n", id="a size with a sign"),
        pytest.param(f"{ORIGIN}\n300\n{{root}}\nmore\n", id="an extension line"),
        pytest.param(f"{ORIGIN}\n300\n{{root}}\n\n", id="an empty line"),
        pytest.param("\n300\n{root}\n", id="no origin"),
        pytest.param(f"{ORIGIN}\n300\n", id="no root"),
        pytest.param(f"{ORIGIN}\n300\nAAAA\n", id="a short root"),
        pytest.param(f"{ORIGIN}\n{'9' * 30}\n{{root}}\n", id="an endless size"),
    ],
)
def test_other_lines_are_no_checkpoint_though_they_are_signed(text: str) -> None:
    root = NOTE.split(b"\n")[2].decode()
    said = text.replace("{root}", root)
    with pytest.raises(Invalid):
        decode_checkpoint(said.encode() + NOTE[NOTE.index(b"\n\n") + 1 :])


def test_another_ledgers_and_another_keys_checkpoint_is_refused() -> None:
    with pytest.raises(Invalid, match="another ledger"):
        open_checkpoint(NOTE, origin="issuer.example/other", public_key=LOG.public_key)
    with pytest.raises(Invalid, match="not signed"):
        open_checkpoint(NOTE, origin=ORIGIN, public_key=WITNESS.public_key)


def test_lines_of_others_are_passed_over_and_a_false_line_of_ours_is_not() -> None:
    signed = decode_checkpoint(NOTE)
    line = encode_signature(cosign(signed, NAME, WITNESS, 1_800_000_000)).encode()
    opened(NOTE + line)
    with pytest.raises(Invalid):
        opened(NOTE + NOTE[NOTE.index(b"\n\n") + 2 :])  # twice the same
    assert is_signed_by(signed, VerifierKey(ORIGIN, 1, LOG.public_key))
    assert not is_signed_by(signed, VerifierKey(ORIGIN, 1, WITNESS.public_key))
    other = sign_checkpoint(Checkpoint(ORIGIN, 301, CHECKPOINT.root), LOG)
    mixed = NOTE[: NOTE.index(b"\n\n")] + other[other.index(b"\n\n") :]
    with pytest.raises(Invalid, match="does not verify"):
        is_signed_by(decode_checkpoint(mixed), VerifierKey(ORIGIN, 1, LOG.public_key))


# --- cosignatures --------------------------------------------------------------------------------------------------


def test_a_cosignature_says_when_and_the_latest_of_several_counts() -> None:
    signed = decode_checkpoint(NOTE)
    lines = [encode_signature(cosign(signed, NAME, WITNESS, time)) for time in (1_800_000_000, 1_800_000_009)]
    assert cosigned_at(signed, KEY) is None
    assert cosigned_at(decode_checkpoint(NOTE + "".join(lines).encode()), KEY) == 1_800_000_009


def test_every_byte_of_a_cosignature_changed_counts_as_none() -> None:
    line = encode_signature(cosign(decode_checkpoint(NOTE), NAME, WITNESS, 1_800_000_000)).encode()
    assert cosigned_at(decode_checkpoint(NOTE + line), KEY) == 1_800_000_000
    for at in range(len(line)):
        edited = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        try:
            signed = decode_checkpoint(NOTE + edited)
        except Invalid:
            continue
        assert cosigned_at(signed, KEY) is None, at


def test_a_verifier_key_is_read_as_it_is_written() -> None:
    for algorithm in (1, COSIGNATURE):
        text = vkey_of(NAME, WITNESS.public_key, algorithm)
        assert read_vkey(text) == VerifierKey(NAME, algorithm, WITNESS.public_key)
        for at in range(len(text)):
            edited = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
            with pytest.raises(Invalid):
                read_vkey(edited)


# --- proofs and bundles --------------------------------------------------------------------------------------------

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


@given(st.integers(0, 2**62), HASHES)
def test_a_proof_is_read_as_it_is_written(seq: int, hashes: tuple[bytes, ...]) -> None:
    proof = InclusionProof(seq, hashes, NOTE)
    assert decode_proof(encode_proof(proof)) == proof
    adding = AddCheckpoint(seq, hashes, NOTE)
    assert decode_add_checkpoint(encode_add_checkpoint(adding)) == adding


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read_or_invalid(data: bytes, more: bytes) -> None:
    for decode in (decode_proof, decode_add_checkpoint, decode_checkpoint, decode_bundle):
        for given_ in (data, encode_proof(InclusionProof(1, (bytes(32),), NOTE)) + more, more + NOTE):
            try:
                decode(given_)
            except Invalid:
                continue


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode_proof(InclusionProof(1, (bytes(32),) * 64, NOTE)), id="more hashes than a tree has levels"),
        pytest.param(encode_proof(InclusionProof(1, (), b"x" * 140_000)), id="too long"),
        pytest.param(encode_proof(InclusionProof(1, (), NOTE)).replace(b"index 1", b"index 01"), id="a zero before"),
        pytest.param(encode_proof(InclusionProof(1, (), NOTE)).replace(b"@v1", b"@v2"), id="another version"),
        pytest.param(encode_proof(InclusionProof(1, (bytes(31),), NOTE)), id="a short hash"),
        pytest.param(encode_proof(InclusionProof(1, (), b"\xff")), id="not UTF-8"),
    ],
)
def test_a_proof_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_proof(data)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_is_read_as_it_is_written_and_not_when_it_is_cut(notes: list[bytes]) -> None:
    data = encode_bundle(notes)
    assert decode_bundle(data) == notes
    boundaries = {len(encode_bundle(notes[:count])) for count in range(len(notes) + 1)}
    for cut in {1, len(data) // 2, len(data) - 1} - boundaries:
        if 0 < cut < len(data):
            with pytest.raises(Invalid, match="middle of an entry"):
                decode_bundle(data[:cut])
