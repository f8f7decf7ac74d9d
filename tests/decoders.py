"""Every decoder of what comes from outside: good inputs to spoil, and what must hold of each input that is accepted.

This is what the ledger and its log are made of. `tests/decoders_outside.py` has what callers and people write, and the
table of both.
"""

import asyncio
import base64
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from signed_ledger.audit.published import decode_key_bodies
from signed_ledger.checkpoints import read_vkey, vkey_of
from signed_ledger.encoding import (
    COSIGNATURE,
    Cosignature,
    Note,
    VerifierKey,
    decode_add_checkpoint,
    decode_base64,
    decode_body,
    decode_bundle,
    decode_checkpoint,
    decode_cosignature,
    decode_entry,
    decode_evidence,
    decode_note,
    decode_proof,
    decode_receipt,
    decode_signature_lines,
    decode_state,
    decode_time,
    decode_vkey,
    encode_add_checkpoint,
    encode_base64,
    encode_body,
    encode_bundle,
    encode_checkpoint_text,
    encode_cosignature,
    encode_entry_note,
    encode_entry_text,
    encode_evidence,
    encode_note,
    encode_proof,
    encode_receipt,
    encode_signature,
    encode_state,
    encode_time,
    encode_vkey,
)
from signed_ledger.errors import Invalid, Refusal
from signed_ledger.merkle import read_tile_path, tile_path
from signed_ledger.policy import Policy
from signed_ledger.receipts import check_receipt
from signed_ledger.records import RegisteredKey
from signed_ledger.schemes import reverify
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import Trust
from tests.receipting import cosigned, make_log, policy
from tests.witnessing import WITNESS, SmallLog

VECTORS = Path(__file__).parent / "vectors"
SIGNER = SoftwareSigner(bytes(32))

T = TypeVar("T")
Check = Callable[[bytes], None]


class Decoder(NamedTuple):
    """`check` returns where the input is accepted, and raises one of `refuses` where it is not; `seeds` are good."""

    check: Check
    seeds: Callable[[], list[bytes]]
    refuses: tuple[type[Exception], ...] = (Invalid,)


def accepts(decoder: Decoder, data: bytes) -> bool:
    """Whether it is accepted. Anything but acceptance and the decoder's own refusal is raised."""
    try:
        decoder.check(data)
    except decoder.refuses:
        return False
    return True


def one_form(decode: Callable[[bytes], T], encode: Callable[[T], bytes]) -> Check:
    """What is accepted is the one encoding of what it means."""

    def check(data: bytes) -> None:
        assert encode(decode(data)) == data

    return check


def one_meaning(decode: Callable[[bytes], T], encode: Callable[[T], bytes]) -> Check:
    """What is accepted may be written in several ways; written in ours it means the same."""

    def check(data: bytes) -> None:
        value = decode(data)
        assert decode(encode(value)) == value

    return check


def text_of(data: bytes) -> str:
    """Bytes as the command line and HTTP header fields give them: what is not UTF-8 as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# --- good inputs ---


@cache
def vectors(folder: str, name: str) -> Any:
    return json.loads((VECTORS / folder / f"{name}.json").read_text())


def records(name: str, member: str) -> list[bytes]:
    """Of this release's vectors and of those of release 0.1."""
    told = [*vectors("ledger", "records")[name], *vectors("ledger-0.1", "records")[name]]
    return [record[member].encode() for record in told]


def entry_parts(member: str) -> list[bytes]:
    found = [entry[member].encode() for entry in vectors("ledger", "ledger")["entries"] if entry.get(member)]
    return [found[at] for at in range(0, len(found), 4)]


class Proven(NamedTuple):
    """Receipts of a small real ledger, whom to trust for it, and a policy that two of its checkpoints meet."""

    receipts: list[bytes]
    trust: Trust
    policy: Policy


@cache
def proven() -> Proven:
    async def make(folder: Path) -> Proven:
        log = await make_log(folder)
        made = [await log.receipt(), await log.receipt(0), cosigned(await log.receipt(shown=("body",)))]
        return Proven([encode_receipt(receipt) for receipt in made], log.trust, policy())

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(make(Path(folder)))


def proofs() -> list[bytes]:
    return [decode_receipt(receipt).proof for receipt in proven().receipts]


def notes() -> list[bytes]:
    return [
        *records("entries", "note"),
        *(bytes_of(good["note"]) for good in vectors("c2sp-note", "vectors")["good_notes"]),
    ]


def checkpoints() -> list[bytes]:
    return [decode_proof(proof).checkpoint for proof in proofs()]


def signature_lines() -> list[bytes]:
    lines = [encode_signature(line) for note in checkpoints() for line in decode_note(note).signatures]
    return ["".join(lines[-3:]).encode(), lines[0].encode()]


def cosignatures() -> list[bytes]:
    return [encode_cosignature(Cosignature(time, bytes(64))) for time in (0, 1_795_428_000, 2**63 - 1)]


def verifier_keys() -> list[bytes]:
    return [vkey_of(name, SIGNER.public_key, kind).encode() for name, kind in (("a.b/c", 1), (WITNESS, COSIGNATURE))]


def adding() -> list[bytes]:
    log = SmallLog(signer=SIGNER)
    return [log.request(old, new) for old, new in ((0, 1), (3, 70), (64, 65))]


def key_answers() -> list[bytes]:
    told = [entry for entry in vectors("ledger", "ledger")["entries"] if '"kind":"key"' in entry["body"]]
    return [json.dumps({"entries": [{"seq": e["seq"], "body": e["body"]} for e in told]}).encode()]


# --- what must hold of what is accepted ---


def check_body(data: bytes) -> None:
    assert encode_body(*decode_body(data)) == data


def salt_in(part: bytes) -> bytes:
    return base64.b64decode(json.loads(part)["salt"])


def check_state(data: bytes) -> None:
    assert encode_state(decode_state(data), salt_in(data)) == data


def check_evidence(data: bytes) -> None:
    """It may not verify, but that is said by a refusal."""
    evidence = decode_evidence(data)
    assert encode_evidence(evidence, salt_in(data)) == data
    key = RegisteredKey(evidence.kid, "scheme", "visa", evidence.public_key, 0)
    with suppress(Refusal):
        reverify(evidence, key, verify_signature=lambda *_: True)


def check_entry(data: bytes) -> None:
    signed = decode_entry(data)
    text = encode_entry_text(signed.entry)
    assert text == signed.text
    assert encode_entry_note(text, signed.entry.origin, signed.key_id, signed.signature) == data


def check_checkpoint(data: bytes) -> None:
    signed = decode_checkpoint(data, may_extend=True)
    assert encode_note(Note(signed.text.decode(), signed.signatures)) == data
    assert signed.text.startswith(encode_checkpoint_text(signed.checkpoint))


def check_lines(data: bytes) -> None:
    assert "".join(map(encode_signature, decode_signature_lines(data))).encode() == data


def check_receipt_bytes(data: bytes) -> None:
    """It may prove nothing, but that is said by the step that failed."""
    receipt = decode_receipt(data)
    assert encode_receipt(receipt) == data
    for asked in (None, proven().policy):
        check_receipt(receipt, proven().trust, asked)


def check_proof(data: bytes) -> None:
    """Extra data, which nothing vouches for, is passed over (C2SP tlog-proof)."""
    proof = decode_proof(data)
    written = encode_proof(proof)
    assert decode_proof(written) == proof
    assert written == data or data.startswith(b"c2sp.org/tlog-proof@v1\nextra ")


def read_verifier_key(data: bytes) -> tuple[VerifierKey, bytes]:
    read_vkey(text_of(data))
    return decode_vkey(text_of(data))


def write_key_bodies(bodies: dict[int, bytes]) -> bytes:
    return json.dumps({"entries": [{"seq": seq, "body": body.decode()} for seq, body in bodies.items()]}).encode()


OF_THE_LEDGER = {
    "note": Decoder(one_form(decode_note, encode_note), notes),
    "entry": Decoder(check_entry, lambda: records("entries", "note")),
    "body": Decoder(check_body, lambda: [*records("bodies", "part"), *entry_parts("body")]),
    "state": Decoder(check_state, lambda: records("states", "part")),
    "evidence": Decoder(check_evidence, lambda: [*records("evidence", "part"), *entry_parts("evidence")]),
    "time": Decoder(
        one_form(lambda data: decode_time(text_of(data)), lambda time: encode_time(time).encode()),
        lambda: [encode_time(time).encode() for time in (0, 1_795_428_007_407_402, 253_402_300_799_999_999)],
    ),
    "base64": Decoder(
        one_form(lambda data: decode_base64(text_of(data), "x"), lambda value: encode_base64(value).encode()),
        lambda: [encode_base64(bytes(range(size))).encode() for size in (64, 32, 3, 2, 1, 0)],
    ),
}
OF_THE_LOG = {
    "checkpoint": Decoder(check_checkpoint, checkpoints),
    "signature lines": Decoder(check_lines, signature_lines),
    "cosignature": Decoder(one_form(decode_cosignature, encode_cosignature), cosignatures),
    "verifier key": Decoder(one_form(read_verifier_key, lambda read: encode_vkey(*read).encode()), verifier_keys),
    "proof": Decoder(check_proof, proofs),
    "receipt": Decoder(check_receipt_bytes, lambda: proven().receipts),
    "entry bundle": Decoder(
        one_form(decode_bundle, encode_bundle), lambda: [encode_bundle(records("entries", "note")[:3]), b""]
    ),
    "tile path": Decoder(
        one_form(lambda data: read_tile_path(text_of(data)), lambda tile: tile_path(tile).encode()),
        lambda: [b"0/x001/x234/067", b"entries/000.p/7", b"63/255", b"1/000.p/255"],
    ),
    "add-checkpoint": Decoder(one_form(decode_add_checkpoint, encode_add_checkpoint), adding),
    "key answer": Decoder(one_meaning(decode_key_bodies, write_key_bodies), key_answers),
}
