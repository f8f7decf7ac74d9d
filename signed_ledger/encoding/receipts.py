"""Receipts <-> canonical JSON: an entry, the parts that are shown of it, and what leads from them to the root keys."""

from typing import Any, Final, NamedTuple, TypeAlias

from signed_ledger.encoding.bodies import decode_unsalted, encode_unsalted
from signed_ledger.encoding.entries import PART_BYTES_MAX
from signed_ledger.encoding.fields import Fields
from signed_ledger.encoding.text import decode_json, encode_json
from signed_ledger.errors import Invalid
from signed_ledger.records import Genesis, KeyChange, Parts, RootChange

RECEIPT_BYTES_MAX: Final = 1 << 19
"""Three parts of 65,535 bytes, each quotation mark escaped, and the rest."""
KEYS_MAX: Final = 100

KeyBody: TypeAlias = Genesis | KeyChange | RootChange


class Receipt(NamedTuple):
    """What proves entry `seq` of the ledger `origin` to an outsider. A part that is not shown is `None`.

    `proof` is a C2SP tlog-proof, `keys` the key entries that introduced the entry and the checkpoint key, by version,
    and those that changed the root keys before.
    """

    seq: int
    origin: str
    entry: bytes
    parts: Parts
    proof: bytes
    keys: tuple[KeyBody, ...]


def encode_receipt(receipt: Receipt) -> bytes:
    parts = {name: data.decode() for name, data in receipt.parts._asdict().items() if data is not None}
    members: dict[str, Any] = {
        "seq": receipt.seq,
        "origin": receipt.origin,
        "entry": receipt.entry.decode(),
        "parts": parts,
        "proof": receipt.proof.decode(),
        "keys": [encode_unsalted(body) for body in receipt.keys],
    }
    return encode_json(members)


def decode_receipt(data: bytes) -> Receipt:
    """Read a receipt; raise `Invalid` for anything that `encode_receipt` would not have written. Verifies nothing."""
    if len(data) > RECEIPT_BYTES_MAX:
        raise Invalid("receipt", f"is longer than {RECEIPT_BYTES_MAX} bytes")
    fields = Fields(decode_json(data, "receipt"))
    receipt = Receipt(
        seq=fields.integer("seq"),
        origin=fields.text("origin"),
        entry=fields.text("entry").encode(),
        parts=_decode_parts(fields.texts("parts")),
        proof=fields.text("proof").encode(),
        keys=_decode_keys(fields.list_of_nested("keys")),
    )
    fields.done()
    return receipt


def _decode_parts(texts: dict[str, str]) -> Parts:
    parts = {name: text.encode() for name, text in texts.items()}
    for name, part in parts.items():
        if name not in Parts._fields:
            raise Invalid("parts", f"{name!r} is none of {', '.join(Parts._fields)}")
        if not 1 <= len(part) <= PART_BYTES_MAX:
            raise Invalid(name, f"must be 1 to {PART_BYTES_MAX} bytes")
    return Parts(*(parts.get(name) for name in Parts._fields))


def _decode_keys(nested: list[Fields]) -> tuple[KeyBody, ...]:
    if not 1 <= len(nested) <= KEYS_MAX:
        raise Invalid("keys", f"must be 1 to {KEYS_MAX} key entries")
    bodies = [decode_unsalted(fields) for fields in nested]
    if not all(isinstance(body, KeyBody) for body in bodies):
        raise Invalid("keys", "holds a body that is no key entry's")
    return tuple(body for body in bodies if isinstance(body, KeyBody))
