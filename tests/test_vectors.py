"""The frozen vectors of signed-ledger/v1: made again, read by this project, and read by hand from docs/FORMAT.md."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scripts import make_vectors
from scripts.make_vectors import plain, told_authorisation
from signed_ledger.encoding import (
    approval_digest,
    decode_base64,
    decode_body,
    decode_entry,
    decode_evidence,
    decode_note,
    decode_state,
    decode_time,
    encode_base64,
    encode_body,
    encode_entry_note,
    encode_entry_text,
    encode_evidence,
    encode_note,
    encode_state,
    encode_time,
)
from signed_ledger.errors import Invalid, KeyChangeRefused, Refusal
from signed_ledger.keyring import Keyring, approval_text
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import format_minor, parse_minor
from signed_ledger.records import (
    MESSAGES,
    CardTransaction,
    Entry,
    Erasure,
    Evidence,
    Genesis,
    KeyChange,
    Parts,
    RegisteredKey,
)
from signed_ledger.records.erasures import runs_of
from signed_ledger.records.messages import FLAGS
from signed_ledger.records.names import CARD_OPS
from signed_ledger.records.states import STATUSES
from signed_ledger.rules import Book, apply
from signed_ledger.schemes import reverify, verify_recorded
from signed_ledger.sealing import open_entry, open_part
from signed_ledger.signing import kid_of, note_key_id, verify
from signed_ledger.store import create_database
from signed_ledger.tables import TABLES, derived_rows, ledger_rows
from signed_ledger.trust import decode_trust
from tests.support import assert_audits

SCRIPT = Path(make_vectors.__file__)
FOLDER = Path(__file__).parent / "vectors" / "ledger"


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


LEDGER, RECORDS, REFUSED, KEYS, APPROVALS = map(read, ("ledger", "records", "refused", "keys", "approvals"))
ENTRIES: list[dict[str, Any]] = LEDGER["entries"]
PUBLIC_KEYS = {key["kid"]: base64.b64decode(key["public_key"]) for key in KEYS}

every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['seq']} {entry['about']}")


def replayed() -> Keyring:
    """The registry after all key entries of the ledger."""
    keyring = Keyring(genesis())
    for seq, change in changes():
        keyring.check(change, seq)
        keyring.apply(change, seq)
    return keyring


def genesis() -> Genesis:
    body = decode_body(ENTRIES[0]["body"].encode()).body
    assert isinstance(body, Genesis)
    return body


def changes() -> list[tuple[int, KeyChange]]:
    bodies = [(entry["seq"], decode_body(entry["body"].encode()).body) for entry in ENTRIES]
    return [(seq, body) for seq, body in bodies if isinstance(body, KeyChange)]


def salt_of(part: str) -> bytes:
    return base64.b64decode(json.loads(part)["salt"])


# --- frozen ---


def test_made_again_they_are_the_same() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_what_is_not_the_same_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ledger"
    shutil.copytree(FOLDER, folder)
    text = (folder / "keys.json").read_text(encoding="utf-8").splitlines()
    (folder / "keys.json").write_text("\n".join([*text[:4], text[4].upper(), *text[5:]]) + "\n", encoding="utf-8")
    (folder / "refused.json").unlink()
    (folder / "more.json").write_text("{}")
    monkeypatch.setattr(make_vectors, "FOLDER", folder)
    monkeypatch.setattr(sys, "argv", ["make_vectors.py", "--check"])
    assert make_vectors.main() == 1
    named = [line.split(" has ")[0] for line in make_vectors.differences(make_vectors.made())]
    assert named == [
        "more.json: no longer made",
        "keys.json: differs from line 5 on;",
        "refused.json: differs from line 1 on;",
    ]


def test_every_kind_type_and_decision_is_in_the_ledger() -> None:
    bodies = [json.loads(entry["body"]) for entry in ENTRIES]
    assert {body["kind"] for body in bodies} == set(Entry.KINDS) - {"root", "attest", "erasure"}
    decisions = {("load", "ok"), ("settlement", "ok")}
    decisions |= {(name, reason) for name, row in MESSAGES.items() for reason in ("ok", *row.declined_for)}
    assert {(body["type"], body["reason"]) for body in bodies if body["kind"] == "transaction"} == decisions
    assert {flag for body in bodies for flag in body.get("flags", ())} == set(FLAGS) - {"negative_balance"}
    assert {body["status"] for body in bodies if "status" in body} == set(STATUSES) - {"DECLINED"}
    assert {body["op"] for body in bodies if body["kind"] == "card"} == set(CARD_OPS)
    assert {body["role"] for body in bodies if body["kind"] == "key"} == {
        *("entry", "checkpoint", "scheme", "operator", "auditor")
    }
    assert {"EUR", "USD", "JPY", "KWD"} == {body["currency"] for body in bodies if body["kind"] == "journal"}
    assert any(body["kind"] == "journal" and body["amount"] == "0.00" for body in bodies)
    assert any(not body.get("merchant_name", "").isascii() for body in bodies)


def test_what_others_made_is_as_they_made_it() -> None:
    """`sha256sum --check SHA256SUMS`, and no file that the list does not have."""
    vectors = FOLDER.parent
    listed = {line[66:]: line[:64] for line in (vectors / "SHA256SUMS").read_text().splitlines()}
    files = [path for path in vectors.glob("*/**/*") if path.is_file() and FOLDER not in path.parents]
    assert listed == {str(path.relative_to(vectors)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- read by this project ---


@every_entry
def test_a_note_is_decoded_and_encoded_to_the_same_bytes(entry: dict[str, Any]) -> None:
    note = entry["note"].encode()
    signed = decode_entry(note)
    text = encode_entry_text(signed.entry)
    assert text == signed.text
    assert encode_entry_note(text, signed.entry.origin, signed.key_id, signed.signature) == note
    assert encode_note(decode_note(note)) == note
    assert encode_base64(leaf_hash(note)) == entry["leaf"]
    assert (signed.entry.seq, signed.entry.time) == (entry["seq"], entry["meaning"]["time"])


@every_entry
def test_parts_are_decoded_and_encoded_to_the_same_bytes(entry: dict[str, Any]) -> None:
    body, salt = decode_body(entry["body"].encode())
    assert plain(body) == entry["meaning"]["body"]
    assert encode_body(body, salt).decode() == entry["body"]
    assert salt == salt_of(entry["body"])
    if "state" in entry:
        state = decode_state(entry["state"].encode())
        assert plain(state) == entry["meaning"]["state"]
        assert encode_state(state, salt_of(entry["state"])).decode() == entry["state"]
    if "evidence" in entry:
        evidence = decode_evidence(entry["evidence"].encode())
        assert encode_evidence(evidence, salt_of(entry["evidence"])).decode() == entry["evidence"]


@every_entry
def test_an_entry_opens_under_the_key_valid_there_and_no_other(entry: dict[str, Any]) -> None:
    keyring = replayed()
    note, seq = entry["note"].encode(), entry["seq"]
    valid = keyring.entry_key_at(seq)
    assert kid_of(valid) == entry["meaning"]["signed_by"]
    opened = open_entry(note, origin=keyring.origin, seq=seq, public_key=valid)
    for name in ("body", "state", "evidence"):
        digest = getattr(opened, name)
        assert (digest is None) == (name not in entry)
        if digest is not None:
            assert open_part(name, digest, entry[name].encode()) == entry[name].encode()
    for kid, public_key in PUBLIC_KEYS.items():
        if kid != kid_of(valid):
            with pytest.raises(Invalid, match="is not by the one entry key valid here"):
                open_entry(note, origin=keyring.origin, seq=seq, public_key=public_key)


def test_the_key_entries_make_the_registry() -> None:
    keyring = replayed()
    assert [plain(key) for key in keyring] == LEDGER["keys"]
    trust = LEDGER["trust"]
    assert trust["origin"] == keyring.origin
    assert [base64.b64decode(key) for key in trust["root_keys"]] == list(keyring.root_keys)
    assert trust["threshold"] == keyring.threshold


def test_the_entries_make_the_balances() -> None:
    book = Book()
    for entry in ENTRIES:
        effect = apply(book, decode_body(entry["body"].encode()).body, entry["seq"])
        assert plain(effect.state) == entry["meaning"].get("state")
        assert entry["meaning"].get("card") == (None if effect.card is None else plain(effect.card))
        told = None if effect.authorisation is None else told_authorisation(effect.authorisation)
        assert entry["meaning"].get("authorisation") == told
    assert [plain(state) for state in book.accounts.values()] == LEDGER["accounts"]
    assert [told_authorisation(state) for state in book.authorisations.values()] == LEDGER["authorisations"]
    assert [plain(state) for state in book.cards.values()] == LEDGER["cards"]


def rows_of(entries: list[dict[str, Any]]) -> list[tuple[str, tuple[Any, ...]]]:
    book, rows = Book(), []
    for entry in entries:
        body, seq = decode_body(entry["body"].encode()).body, entry["seq"]
        effect = apply(book, body, seq)
        parts = Parts(*(entry[name].encode() if name in entry else None for name in Parts._fields))
        rows += ledger_rows(seq, entry["note"].encode(), parts)
        rows += derived_rows(seq, body, effect)
    return rows


def test_without_what_its_erasure_names_the_ledger_proves_itself(tmp_path: Path) -> None:
    erasure = read("erasure")
    seqs = {seq for first, last in erasure["meaning"]["body"]["body"] for seq in range(first, last + 1)}
    assert decode_body(erasure["body"].encode()).body == Erasure(
        asked_by="case 2026-117", why="asked for in Zürich", body=runs_of(sorted(seqs)), evidence=runs_of(sorted(seqs))
    )
    place = {table.name: table.columns.index("seq") for table in TABLES}
    left = [
        (table, row)
        for table, row in rows_of([*ENTRIES, erasure])
        if table == "entries" or row[place[table]] not in seqs
    ]
    create_database(tmp_path / "ledger.db", left)
    report = assert_audits(tmp_path / "ledger.db", decode_trust(json.dumps(LEDGER["trust"]).encode()))
    assert report.erased == {"body": len(seqs), "state": 0, "evidence": len(seqs)}


def test_as_a_file_the_ledger_proves_itself(tmp_path: Path) -> None:
    create_database(tmp_path / "ledger.db", rows_of(ENTRIES))
    report = assert_audits(tmp_path / "ledger.db", decode_trust(json.dumps(LEDGER["trust"]).encode()))
    assert report.entries == len(ENTRIES)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if "evidence" in entry], ids=lambda entry: entry["about"])
def test_the_schemes_signature_verifies_and_the_body_says_what_it_asked(entry: dict[str, Any]) -> None:
    evidence, body = decode_evidence(entry["evidence"].encode()), decode_body(entry["body"].encode()).body
    key = replayed().find(evidence.kid)
    assert key is not None
    assert key.is_valid_at(entry["seq"])
    assert isinstance(body, CardTransaction)
    verify_recorded(body, evidence, key)


@pytest.mark.parametrize("approval", APPROVALS, ids=lambda approval: f"entry {approval['seq']}")
def test_approvals_are_over_the_body(approval: dict[str, Any]) -> None:
    body = decode_body(ENTRIES[approval["seq"]]["body"].encode()).body
    assert isinstance(body, Genesis | KeyChange)
    assert encode_base64(approval_digest(body)) == approval["sha256"]
    assert hashlib.sha256(approval["approved"].encode()).digest() == approval_digest(body)
    assert approval_text(body, LEDGER["trust"]["origin"]) == approval["text"]
    note = decode_note(approval["note"].encode())
    assert (body.approvals, note.text) == (approval["note"], approval["text"])
    signers = [(signer["name"], PUBLIC_KEYS[signer["kid"]]) for signer in approval["signers"]]
    assert [(line.name, line.key_id) for line in note.signatures] == [(n, note_key_id(n, key)) for n, key in signers]
    for line, (_, public_key) in zip(note.signatures, signers, strict=True):
        assert verify(public_key, note.text.encode(), line.signature)


def test_keys_have_these_names() -> None:
    for key in KEYS:
        public_key = base64.b64decode(key["public_key"])
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["seed"]))
        assert private.public_key().public_bytes_raw() == public_key
        assert kid_of(public_key) == key["kid"] == hashlib.sha256(bytes.fromhex(key["spki"])).hexdigest()
        assert note_key_id(key["signs_as"], public_key).hex() == key["note_key_id"]


# --- records one by one ---


def test_amounts_and_times_are_read_and_written() -> None:
    for amount in RECORDS["amounts"]:
        assert format_minor(amount["minor"], amount["currency"]) == amount["text"]
        assert parse_minor(amount["text"], amount["currency"]) == amount["minor"]
    for time in RECORDS["times"]:
        assert encode_time(time["microseconds"]) == time["text"]
        assert decode_time(time["text"]) == time["microseconds"]


def encode_again(kind: str, part: bytes) -> tuple[Any, bytes]:
    """What a part means, and its encoding again."""
    if kind == "bodies":
        body, salt = decode_body(part)
        return plain(body), encode_body(body, salt)
    salt = salt_of(part.decode())
    if kind == "states":
        state = decode_state(part)
        return plain(state), encode_state(state, salt)
    evidence = decode_evidence(part)
    return plain(evidence), encode_evidence(evidence, salt)


@pytest.mark.parametrize(
    ("kind", "sample"),
    [
        pytest.param(kind, sample, id=f"{kind}: {sample['about']}")
        for kind in ("bodies", "states", "evidence")
        for sample in RECORDS[kind]
    ],
)
def test_a_part_is_read_and_written(kind: str, sample: dict[str, Any]) -> None:
    part = sample["part"].encode()
    assert encode_again(kind, part) == (sample["meaning"], part)
    assert (encode_base64(hashlib.sha256(part).digest()), len(part)) == (sample["sha256"], sample["bytes"])


def test_by_hand_evidence_of_v1a_has_what_was_signed_and_verifies() -> None:
    sample = next(sample for sample in RECORDS["evidence"] if sample["about"] == "Standard Webhooks v1a")
    evidence = json.loads(sample["part"])
    signed = f"{evidence['webhook_id']}.{evidence['webhook_timestamp']}.".encode() + base64.b64decode(evidence["body"])
    fields = evidence["fields"]
    assert fields["webhook-id"] == evidence["webhook_id"]
    assert fields["webhook-timestamp"] == str(evidence["webhook_timestamp"])
    assert f"v1a,{evidence['signature']}" in fields["webhook-signature"].split(" ")
    public_key = PUBLIC_KEYS[evidence["kid"]]
    assert public_key == base64.b64decode(evidence["public_key"])
    Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(evidence["signature"]), signed)


@pytest.mark.parametrize("sample", RECORDS["entries"], ids=lambda sample: sample["about"])
def test_an_entry_is_read_and_written(sample: dict[str, Any]) -> None:
    note = sample["note"].encode()
    signed = decode_entry(note)
    assert plain(signed.entry) == sample["meaning"]
    assert encode_entry_text(signed.entry).decode() == signed.text.decode() == sample["text"]
    assert signed.key_id.hex() == sample["key_id"]
    assert encode_base64(leaf_hash(note)) == sample["leaf"]
    public_key = base64.b64decode(next(key["public_key"] for key in KEYS if key["name"] == "entry-1"))
    open_entry(note, origin=signed.entry.origin, seq=signed.entry.seq, public_key=public_key)


@pytest.mark.parametrize("file", RECORDS["settlement_files"], ids=lambda file: f"entry {file['seq']}")
def test_by_hand_a_settlement_file_has_the_digest_that_its_body_names(file: dict[str, Any]) -> None:
    csv, body = file["csv"].encode(), json.loads(ENTRIES[file["seq"]]["body"])
    assert body["csv"] == f"sha256:{sha256_base64(csv)} {len(csv)}"
    header, *rows = [line.split(",") for line in csv.decode().split("\r\n")[:-1]]
    told = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["currency"] for row in told] == [each["currency"] for each in body["sums"]]
    for row, each in zip(told, body["sums"], strict=True):
        assert {name: row[name] for name in each} == {name: str(value) for name, value in each.items()}
        assert (row["scheme"], row["date"]) == (body["scheme"], body["date"])


# --- refused ---

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "notes": decode_note,
    "entries": decode_entry,
    "bodies": decode_body,
    "states": decode_state,
    "evidence": decode_evidence,
}


@pytest.mark.parametrize(
    ("decode", "case"),
    [
        pytest.param(decode, case, id=f"{name}: {case['why']}")
        for name, decode in DECODERS.items()
        for case in REFUSED[name]
    ],
)
def test_what_is_nearly_right_is_not_decoded(decode: Callable[[bytes], Any], case: dict[str, Any]) -> None:
    data = case["input"].encode() if "input" in case else base64.b64decode(case["input_base64"])
    with pytest.raises(Invalid) as refused:
        decode(data)
    assert refused.value.field == case["field"]


@pytest.mark.parametrize("case", REFUSED["entries_that_do_not_open"], ids=lambda case: case["why"])
def test_an_entry_that_should_not_stand_there_does_not_open(case: dict[str, Any]) -> None:
    key = base64.b64decode(case["public_key"])
    with pytest.raises(Invalid) as refused:
        open_entry(case["note"].encode(), origin=case["origin"], seq=case["seq"], public_key=key)
    assert refused.value.field == case["field"]


@pytest.mark.parametrize("case", REFUSED["parts_of_another_entry"], ids=lambda case: case["why"])
def test_a_part_of_another_entry_does_not_open(case: dict[str, Any]) -> None:
    digest = getattr(decode_entry(case["note"].encode()).entry, case["part"])
    with pytest.raises(Invalid) as refused:
        open_part(case["part"], digest, case["data"].encode())
    assert refused.value.field == case["field"]


@pytest.mark.parametrize("case", REFUSED["evidence_that_does_not_verify"], ids=lambda case: case["why"])
def test_evidence_of_something_else_does_not_verify(case: dict[str, Any]) -> None:
    key = next(key for key in LEDGER["keys"] if key["whose"] == "acme")
    registered = RegisteredKey(**{**key, "public_key": base64.b64decode(key["public_key"])})
    evidence: Evidence = decode_evidence(case["evidence"].encode())
    with pytest.raises(Refusal) as refused:
        reverify(evidence, registered)
    assert refused.value.code == case["code"]


@pytest.mark.parametrize("case", REFUSED["key_changes"], ids=lambda case: case["why"])
def test_a_key_change_that_may_not_come_next_is_refused(case: dict[str, Any]) -> None:
    members = {name: case[name] for name in ("op", "role", "kid", "whose", "version", "approvals")}
    change = KeyChange(**members, public_key=decode_base64(case["public_key"], "public_key"))
    with pytest.raises(KeyChangeRefused) as refused:
        replayed().check(change, 10**6)
    assert refused.value.field == case["field"]


# --- read by hand: the bytes of docs/FORMAT.md, without a line of this project ---


def sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_by_hand_the_chain_holds() -> None:
    prev = base64.b64encode(bytes(32)).decode()
    times = []
    for seq, entry in enumerate(ENTRIES):
        lines = entry["note"].split("\n")
        assert lines[0] == f"{LEDGER['trust']['origin']}/entry"
        assert lines[1] == f"signed-ledger/v1 {json.loads(entry['body'])['kind']}"
        assert lines[2:4] == [str(seq), prev]
        times.append(lines[4])
        prev = sha256_base64(b"\x00" + entry["note"].encode())
        assert prev == entry["leaf"]
    assert times == sorted(times)


@every_entry
def test_by_hand_a_note_names_its_parts_and_verifies(entry: dict[str, Any]) -> None:
    text, _, block = entry["note"].rpartition("\n\n")
    parts = [(name, entry[name].encode()) for name in ("body", "state", "evidence") if name in entry]
    assert text.split("\n")[5:] == [f"{name} sha256:{sha256_base64(part)} {len(part)}" for name, part in parts]
    mark, name, blob = block.removesuffix("\n").split(" ")
    public_key = PUBLIC_KEYS[entry["meaning"]["signed_by"]]
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]
    assert (mark, name) == ("\u2014", f"{LEDGER['trust']['origin']}/entry")
    assert base64.b64decode(blob)[:4] == key_id
    Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(blob)[4:], f"{text}\n".encode())


@every_entry
def test_by_hand_every_part_is_canonical(entry: dict[str, Any]) -> None:
    for name in ("body", "state", "evidence"):
        if name in entry:
            assert rfc8785.dumps(json.loads(entry[name])) == entry[name].encode()


def test_by_hand_no_salt_is_used_twice() -> None:
    salts = [salt_of(entry[name]) for entry in ENTRIES for name in ("body", "state", "evidence") if name in entry]
    assert len(set(salts)) == len(salts)
    assert {len(salt) for salt in salts} == {16}


def test_by_hand_the_batches_sum_to_zero_and_to_the_balances() -> None:
    posted: defaultdict[tuple[str, str], int] = defaultdict(int)
    batches: defaultdict[tuple[int, str], int] = defaultdict(int)
    for entry in ENTRIES:
        body = json.loads(entry["body"])
        if body["kind"] == "journal":
            minor = int(body["amount"].replace(".", ""))
            account = (body["account"], body["currency"])
            posted[account] += minor
            batches[body["batch"], body["currency"]] += minor
            assert posted[account] == int(json.loads(entry["state"])["posted"].replace(".", ""))
    assert set(batches.values()) == {0}
    assert posted == {tuple(state["account"].values()): state["posted"] for state in LEDGER["accounts"]}
