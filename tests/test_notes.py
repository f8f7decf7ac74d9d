"""Signed notes as others write them: the vectors of golang.org/x/mod, C2SP and RFC 6962."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.encoding import Note, NoteSignature, decode_note, encode_note
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.signing import SoftwareSigner, note_key_id, verify

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "c2sp-note" / "vectors.json").read_text(encoding="utf-8")
)
GOOD_NOTES = [(vector["note"], vector["vkey"]) for vector in VECTORS["good_notes"]]


def read_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    """Give name, key id and public key of a C2SP verifier key, `<name>+<hex id>+<base64 of type and key>`."""
    match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})", vkey)
    assert match is not None
    data = base64.b64decode(match[3])
    assert (data[0], len(data)) == (1, 33), "not an Ed25519 key"
    assert bytes.fromhex(match[2]) == note_key_id(match[1], data[1:]), "not this key's id"
    return match[1], bytes.fromhex(match[2]), data[1:]


def verifies(note: Note, vkey: str) -> bool:
    """Whether one of the note's signatures is this key's, and verifies."""
    name, key_id, public_key = read_vkey(vkey)
    ours = [line for line in note.signatures if (line.name, line.key_id) == (name, key_id)]
    return any(verify(public_key, note.text.encode(), line.signature) for line in ours)


@pytest.mark.parametrize(("text", "vkey"), GOOD_NOTES, ids=range(len(GOOD_NOTES)))
def test_a_good_note_opens_and_verifies(text: str, vkey: str) -> None:
    note = decode_note(text.encode())
    assert verifies(note, vkey)
    assert encode_note(note) == text.encode()


@pytest.mark.parametrize(("text", "vkey"), GOOD_NOTES, ids=range(len(GOOD_NOTES)))
def test_a_note_of_another_text_does_not_verify(text: str, vkey: str) -> None:
    note = decode_note(text.encode())
    assert not verifies(note._replace(text=f"{note.text}\n"), vkey)
    assert not verifies(note._replace(text=note.text.swapcase()), vkey)


@pytest.mark.parametrize("text", VECTORS["malformed_notes"], ids=range(len(VECTORS["malformed_notes"])))
def test_a_malformed_note_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_note(text.encode())
    assert refused.value.field == "note"


def test_a_note_that_is_not_utf_8_is_refused() -> None:
    assert "0xff" in VECTORS["malformed_also"]
    for good, _ in GOOD_NOTES:
        with pytest.raises(Invalid, match="is not UTF-8"):
            decode_note(b"\xff" + good.encode())


def test_a_note_with_a_wrong_signature_opens_and_does_not_verify() -> None:
    note = decode_note(VECTORS["invalid_signature"].encode())
    assert [line.name for line in note.signatures] == ["PeterNeumann"]
    assert not verifies(note, VECTORS["vkeys"][0])


@pytest.mark.parametrize("vkey", VECTORS["vkeys"])
def test_a_key_id_is_the_verifier_keys(vkey: str) -> None:
    name, key_id, public_key = read_vkey(vkey)
    assert note_key_id(name, public_key) == key_id


@pytest.mark.parametrize("vkey", VECTORS["bad_vkeys"])
def test_a_bad_verifier_key_has_another_id_or_type(vkey: str) -> None:
    with pytest.raises(AssertionError, match=r"not an Ed25519 key|not this key's id"):
        read_vkey(vkey)


def test_our_signature_is_the_one_others_made() -> None:
    _, _, name, _, data = VECTORS["test_signing_key_TEST_ONLY"].split("+", 4)
    signer = SoftwareSigner(base64.b64decode(data)[1:])
    good, vkey = GOOD_NOTES[0]
    assert read_vkey(vkey) == (name, note_key_id(name, signer.public_key), signer.public_key)
    text = decode_note(good.encode()).text
    line = NoteSignature(name, note_key_id(name, signer.public_key), signer.sign(text.encode()))
    assert encode_note(Note(text, (line,))) == good.encode()


# --- what the vectors do not have ---

LINE = "\u2014 example.com/foo AAAAAAA=\n"


@pytest.mark.parametrize(
    ("text", "note_text", "count"),
    [
        pytest.param(f"\n\n{LINE}", "\n", 1, id="a text of one empty line"),
        pytest.param(f"a\n\n\n{LINE}", "a\n\n", 1, id="a text that ends in an empty line"),
        pytest.param(f"a\n\nb\n\n{LINE}", "a\n\nb\n", 1, id="an empty line within the text"),
        pytest.param(f"a\n\n{LINE}\n{LINE}", f"a\n\n{LINE}", 1, id="a signature within the text"),
        pytest.param(f"a\n\n{LINE * 100}", "a\n", 100, id="100 signatures"),
        pytest.param(
            f"\u00e9\u2028\u0085\n\n{LINE}", "\u00e9\u2028\u0085\n", 1, id="line ends of other kinds in the text"
        ),
    ],
)
def test_a_note_is_split_at_its_last_empty_line(text: str, note_text: str, count: int) -> None:
    note = decode_note(text.encode())
    assert (note.text, len(note.signatures)) == (note_text, count)
    assert encode_note(note) == text.encode()


@pytest.mark.parametrize(
    "space", ["\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", " ", "+"], ids=ascii
)
def test_a_name_holds_no_space_of_any_kind_and_no_plus(space: str) -> None:
    with pytest.raises(Invalid, match="malformed signature line"):
        decode_note(f"a\n\n\u2014 a{space}b AAAAAAA=\n".encode())


@pytest.mark.parametrize("code", [*range(10), *range(11, 32), 127], ids=hex)
def test_a_control_character_is_refused_wherever_it_stands(code: int) -> None:
    for at in (0, 1, 3, 8, 20):
        text = f"a\n\n{LINE}"
        with pytest.raises(Invalid, match="control character"):
            decode_note(f"{text[:at]}{chr(code)}{text[at:]}".encode())


# --- RFC 6962 ---


def test_leaf_hashes_are_those_of_rfc_6962() -> None:
    hashes = VECTORS["rfc6962"]
    assert leaf_hash(b"").hex() == hashes["leaf_empty"]
    assert leaf_hash(b"L123456").hex() == hashes["leaf_L123456"]
    assert leaf_hash(b"").hex() != hashes["empty_root"] == hashlib.sha256(b"").hexdigest()
    for record, digest in VECTORS["record_hash"].items():
        assert leaf_hash(record.encode()) == base64.b64decode(digest)
