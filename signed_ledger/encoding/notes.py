"""C2SP signed notes: a text and, after an empty line, one signature line for each key.

Strict: what `decode_note` accepts, `encode_note` gives back to the byte. https://c2sp.org/signed-note
"""

import re
from typing import Final, NamedTuple

from signed_ledger.encoding.text import decode_base64, encode_base64
from signed_ledger.errors import Invalid

_SIGNATURE_LINE: Final = re.compile(r"— ([^\s+\x00-\x1f]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL_BUT_NEWLINE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
SIGNATURES_MAX: Final = 100


class NoteSignature(NamedTuple):
    """One signature line: the key's name, its 4-byte id, and what follows (64 bytes for Ed25519)."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """`text` ends in a newline and is what the signatures are over."""

    text: str
    signatures: tuple[NoteSignature, ...]


def encode_signature(signature: NoteSignature) -> str:
    return f"— {signature.name} {encode_base64(signature.key_id + signature.signature)}\n"


def encode_note(note: Note) -> bytes:
    return f"{note.text}\n{''.join(map(encode_signature, note.signatures))}".encode()


def decode_note(data: bytes, field: str = "note") -> Note:
    """Split a signed note; raise `Invalid` naming `field` for anything malformed. No signature is checked here."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid(field, "is not UTF-8") from None
    if _CONTROL_BUT_NEWLINE.search(whole):
        raise Invalid(field, "holds a control character")
    text, separator, block = whole.rpartition("\n\n")
    if not separator or not block.endswith("\n"):
        raise Invalid(field, "has no signature block")
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise Invalid(field, f"has more than {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(_decode_signature(line, field) for line in lines))


def decode_signature_lines(data: bytes, field: str = "signatures") -> tuple[NoteSignature, ...]:
    """Read signature lines that stand alone, as a witness answers them."""
    note = decode_note(b"any\n\n" + data, field)
    if note.text != "any\n":
        raise Invalid(field, "has an empty line")
    return note.signatures


def cosigner_name(line: NoteSignature) -> str:
    """The name under which a witness's signature line is kept: <name>+<key id>."""
    return f"{line.name}+{line.key_id.hex()}"


def _decode_signature(line: str, field: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise Invalid(field, "has a malformed signature line")
    blob = decode_base64(match[2], field)
    if len(blob) < 5:
        raise Invalid(field, "has a signature that is too short")
    return NoteSignature(match[1], blob[:4], blob[4:])
