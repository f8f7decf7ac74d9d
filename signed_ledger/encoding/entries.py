"""Entries: the signed text of docs/FORMAT.md, as bytes and as values."""

import re
from typing import Final, NamedTuple

from signed_ledger.encoding.notes import NoteSignature, decode_note, encode_signature
from signed_ledger.encoding.text import check_time, decode_base64, decode_time, encode_base64, encode_time
from signed_ledger.errors import Invalid
from signed_ledger.records import Entry, PartDigest
from signed_ledger.records.names import ORIGIN

VERSION: Final = "signed-ledger/v1"
ENTRY_BYTES_MAX: Final = 4096
PART_BYTES_MAX: Final = 65_535

_SHAPE: Final = re.compile(
    rf"(?P<origin>{ORIGIN.pattern})/entry\n"
    r"signed-ledger/v1 (?P<kind>[a-z]+)\n"
    r"(?P<seq>0|[1-9][0-9]{0,15})\n"
    r"(?P<prev>[A-Za-z0-9+/=]{44})\n"
    r"(?P<time>[0-9TZ:.-]{27})\n"
    r"body sha256:(?P<body>[A-Za-z0-9+/=]{44} [1-9][0-9]{0,4})\n"
    r"(?:state sha256:(?P<state>[A-Za-z0-9+/=]{44} [1-9][0-9]{0,4})\n)?"
    r"(?:evidence sha256:(?P<evidence>[A-Za-z0-9+/=]{44} [1-9][0-9]{0,4})\n)?"
)
_SIGNATURE: Final = r"\n— (?P=origin)/entry (?P<signature>[A-Za-z0-9+/]{91}=)\n"
_WHOLE: Final = re.compile(f"(?P<text>{_SHAPE.pattern}){_SIGNATURE}")
"""An entry and its one signature line. What this matches `decode_note` takes apart in the same way, more slowly."""
_SIGNATURE_BYTES: Final = 64


class SignedEntry(NamedTuple):
    """A decoded note: the entry, the bytes that were signed, and by which key."""

    entry: Entry
    text: bytes
    key_id: bytes
    signature: bytes


def entry_key_name(origin: str) -> str:
    """The name under which entry keys sign."""
    return f"{origin}/entry"


def encode_entry_text(entry: Entry) -> bytes:
    """Write the bytes that the Issuer signs."""
    lines = [
        entry_key_name(entry.origin),
        f"{VERSION} {entry.kind}",
        str(entry.seq),
        encode_base64(entry.prev),
        encode_time(check_time(entry.time)),
        f"body {_encode_digest(entry.body)}",
    ]
    if entry.state is not None:
        lines.append(f"state {_encode_digest(entry.state)}")
    if entry.evidence is not None:
        lines.append(f"evidence {_encode_digest(entry.evidence)}")
    return ("\n".join(lines) + "\n").encode()


def encode_entry_note(text: bytes, origin: str, key_id: bytes, signature: bytes) -> bytes:
    """Join an entry's signed text and its one signature line: the whole entry, the leaf of the tree."""
    line = encode_signature(NoteSignature(entry_key_name(origin), key_id, signature))
    note = text + b"\n" + line.encode()
    assert len(note) <= ENTRY_BYTES_MAX
    return note


def decode_entry(data: bytes) -> SignedEntry:
    """Read an entry; raise `Invalid` for anything `encode_entry_note` would not have written. Checks no signature."""
    if len(data) > ENTRY_BYTES_MAX:
        raise Invalid("entry", f"is longer than {ENTRY_BYTES_MAX} bytes")
    shape = _match(data)
    if shape is None:
        raise _malformed(data)
    signature = decode_base64(shape["signature"], "entry")
    if shape["kind"] not in Entry.KINDS:
        raise Invalid("kind", f"{shape['kind']!r} is not one that this version knows")
    origin, kind, seq, prev, time, body, state, evidence = shape.group(*_FIELDS)
    entry = Entry(
        origin,
        kind,
        int(seq),
        decode_base64(prev, "prev", 32),
        decode_time(time),
        _decode_digest(body, "body"),
        None if state is None else _decode_digest(state, "state"),
        None if evidence is None else _decode_digest(evidence, "evidence"),
    )
    return SignedEntry(entry, shape["text"].encode(), signature[:-_SIGNATURE_BYTES], signature[-_SIGNATURE_BYTES:])


_FIELDS: Final = ("origin", "kind", "seq", "prev", "time", "body", "state", "evidence")


def _match(data: bytes) -> re.Match[str] | None:
    try:
        return _WHOLE.fullmatch(data.decode())
    except UnicodeDecodeError:
        return None


def _malformed(data: bytes) -> Invalid:
    """Why this is no entry."""
    note = decode_note(data, "entry")  # raises where it is not even a signed note
    if _SHAPE.fullmatch(note.text) is None:
        return Invalid("entry", "does not have the lines of an entry")
    if len(note.signatures) != 1:
        return Invalid("entry", "does not have exactly one signature")
    return Invalid("entry", "is not signed under the ledger's entry name")


def _encode_digest(digest: PartDigest) -> str:
    return f"sha256:{encode_base64(digest.sha256)} {digest.length}"


def _decode_digest(text: str, field: str) -> PartDigest:
    sha256, _, length = text.partition(" ")
    if int(length) > PART_BYTES_MAX:
        raise Invalid(field, f"is longer than {PART_BYTES_MAX} bytes")
    return PartDigest(decode_base64(sha256, field, 32), int(length))
