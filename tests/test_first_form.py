"""What release 0.1 wrote is valid for ever: its frozen vectors are read, replayed, upgraded, audited and built on."""

import base64
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.make_vectors import plain
from signed_ledger.audit import Trust, audit_file
from signed_ledger.encoding import (
    decode_body,
    decode_entry,
    decode_evidence,
    decode_note,
    decode_state,
    encode_base64,
    encode_body,
    encode_entry_note,
    encode_entry_text,
    encode_evidence,
    encode_note,
    encode_state,
)
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Ledger, Limits
from signed_ledger.merkle import leaf_hash
from signed_ledger.rebuild import rebuild
from signed_ledger.records import CardTransaction, Genesis, KeyChange
from signed_ledger.rules import Book, apply
from signed_ledger.schemes import verify_recorded
from signed_ledger.signing import SoftwareSigner
from signed_ledger.store import Store, open_database
from signed_ledger.trust import decode_trust
from tests.support import assert_audits
from tests.world import Clock, Party, World, authorisation, presentment

FOLDER = Path(__file__).parent / "vectors" / "ledger-0.1"


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


LEDGER, RECORDS, REFUSED, KEYS = map(read, ("ledger", "records", "refused", "keys"))
ENTRIES: list[dict[str, Any]] = LEDGER["entries"]
SIGNERS = {key["name"]: SoftwareSigner(bytes.fromhex(key["seed"])) for key in KEYS}
FROZEN = {
    "approvals.json": "dea16dacca0fc57790f9ea1bbfc945e858b1091e16a4c3c616bb066261bcebed",
    "database.sql": "0855ad505ab9c641752e3faf8f76f2092a0055789c905bda41c17c6dba834fca",
    "keys.json": "ec77592bbd030c79a6ba6759c303fecdb2de8a03d2e748f59111770420fc2a3e",
    "ledger.json": "3a740c958135dacb02d4ec1d7249275cc4efb0e127f739fca4d7bd51b30dc554",
    "records.json": "76cc457dce6b5d846a0f0a16cba32b9af6ec70031c0811d65c873ab27c02d57f",
    "refused.json": "9f3a8012ed4d8bd9d20bf2a4f96d2004356a01892ae3a15e5e97655c34ff1e49",
}
"""SHA-256 of each file: nothing makes them any more, so nothing else would notice an edit."""

every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['seq']} {entry['about']}")


def trust() -> Trust:
    return decode_trust(json.dumps(LEDGER["trust"]).encode())


def salt_of(part: str) -> bytes:
    return base64.b64decode(json.loads(part)["salt"])


@pytest.mark.parametrize("name", FROZEN)
def test_the_files_are_those_of_release_0_1(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == FROZEN[name]


# --- read ---


@every_entry
def test_an_entry_is_decoded_and_encoded_to_the_same_bytes(entry: dict[str, Any]) -> None:
    note = entry["note"].encode()
    signed = decode_entry(note)
    text = encode_entry_text(signed.entry)
    assert encode_entry_note(text, signed.entry.origin, signed.key_id, signed.signature) == note
    assert encode_note(decode_note(note)) == note
    assert encode_base64(leaf_hash(note)) == entry["leaf"]
    body, salt = decode_body(entry["body"].encode())
    assert encode_body(body, salt).decode() == entry["body"]
    assert not isinstance(body, CardTransaction) or body.form == 1
    if "state" in entry:
        assert encode_state(decode_state(entry["state"].encode()), salt_of(entry["state"])).decode() == entry["state"]
    if "evidence" in entry:
        evidence = decode_evidence(entry["evidence"].encode())
        assert encode_evidence(evidence, salt_of(entry["evidence"])).decode() == entry["evidence"]


@pytest.mark.parametrize("sample", RECORDS["bodies"], ids=lambda sample: sample["about"])
def test_a_body_is_decoded_and_encoded_to_the_same_bytes(sample: dict[str, Any]) -> None:
    part = sample["part"].encode()
    assert encode_body(*decode_body(part)) == part


def flat(meaning: dict[str, Any]) -> dict[str, Any]:
    """A body's meaning with its request's members among its own."""
    asked = meaning.get("request", {})
    return {**asked, **{name: value for name, value in meaning.items() if name != "request"}}


def test_every_body_means_what_it_meant() -> None:
    samples = [(sample["part"], sample["meaning"]) for sample in RECORDS["bodies"]]
    for part, meant in samples + [(entry["body"], entry["meaning"]["body"]) for entry in ENTRIES]:
        assert flat(meant).items() <= flat(plain(decode_body(part.encode()).body)).items()


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
def test_what_was_refused_is_refused(decode: Callable[[bytes], Any], case: dict[str, Any]) -> None:
    data = case["input"].encode() if "input" in case else base64.b64decode(case["input_base64"])
    with pytest.raises(Invalid):
        decode(data)


@pytest.mark.parametrize(
    ("about", "edit"),
    [
        ("approved", {"authorisation_kind": "final"}),
        ("approved", {"iso8583": {"37": "123456789012"}}),
        ("approved", {"decision": "declined", "reason": "card_blocked", "hold_change": "0.00"}),
        ("approved", {"type": "increment"}),
        ("approved", {"totals": {}}),
        ("approved", {"expires": "2026-11-30T10:00:00.000000Z"}),
        ("billed 90.00 EUR, settled 95.00 USD", {"interchange_amount": "0.01000000"}),
        ("billed 90.00 EUR, settled 95.00 USD", {"force_post": True}),
        ("billed 90.00 EUR, settled 95.00 USD", {"merchant_mcc": "5812"}),
        ("billed 90.00 EUR, settled 95.00 USD", {"type": "refund", "refund_id": "r"}),
        ("billed 90.00 EUR, settled 95.00 USD", {"flags": ["late"]}),
    ],
    ids=str,
)
def test_what_release_0_1_did_not_know_is_not_in_its_form(about: str, edit: dict[str, Any]) -> None:
    (part,) = [e["body"] for e in ENTRIES if e["about"] == about and '"kind":"transaction"' in e["body"]][:1]
    edited = json.dumps({**json.loads(part), **edit}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with pytest.raises(Invalid):
        decode_body(edited.encode())


# --- replayed ---


def test_the_entries_make_the_balances_and_the_same_authorisations() -> None:
    book = Book()
    for entry in ENTRIES:
        effect = apply(book, decode_body(entry["body"].encode()).body, entry["seq"])
        assert plain(effect.state) == entry["meaning"].get("state")
        assert (effect.authorisation is None) == ("authorisation" not in entry["meaning"])
        if effect.authorisation is not None:
            after = {**plain(effect.authorisation), "status": effect.authorisation.status}
            after["held"] = effect.authorisation.held
            assert entry["meaning"]["authorisation"].items() <= after.items()
    assert [plain(state) for state in book.accounts.values()] == LEDGER["accounts"]
    assert {card.scheme for card in book.cards.values()} == {None}


def test_each_request_is_what_its_scheme_signed() -> None:
    bodies = [decode_body(entry["body"].encode()).body for entry in ENTRIES]
    assert isinstance(bodies[0], Genesis)
    keyring = Keyring(bodies[0])
    verified = 0
    for entry, body in zip(ENTRIES, bodies, strict=True):
        if isinstance(body, KeyChange):
            keyring.check(body, entry["seq"])
            keyring.apply(body, entry["seq"])
        if isinstance(body, CardTransaction):
            evidence = decode_evidence(entry["evidence"].encode())
            key = keyring.find(evidence.kid)
            assert key is not None
            verify_recorded(body, evidence, key)
            verified += 1
    assert verified == 10
    assert [plain(key) for key in keyring] == LEDGER["keys"]


# --- a file of release 0.1, as it stands on somebody's disk ---


def old_file(path: Path, entries: list[dict[str, Any]]) -> Path:
    """The ledger up to some entry, in the tables of release 0.1."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FOLDER / "database.sql").read_text(encoding="utf-8"))
        for entry in entries:
            parts = [entry[name].encode() if name in entry else None for name in ("body", "state", "evidence")]
            connection.execute("INSERT INTO entries VALUES (?, ?)", (entry["seq"], entry["note"].encode()))
            connection.execute("INSERT INTO parts VALUES (?, ?, ?, ?)", (entry["seq"], *parts))
        connection.commit()
    return path


async def test_a_file_of_release_0_1_is_refused_until_it_is_rebuilt(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.db", ENTRIES)
    with pytest.raises(Invalid, match="run signed-ledger rebuild"):
        await Store.open(path, busy_timeout_ms=0)
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT * FROM entries JOIN parts USING (seq)").fetchall()
    assert rebuild(path).entries == len(ENTRIES)
    with closing(open_database(path, busy_timeout_ms=0)) as connection:
        assert connection.execute("SELECT * FROM entries JOIN parts USING (seq)").fetchall() == before
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE transactions SET seq = seq + 100")
    report = assert_audits(path, trust())
    assert report.entries == len(ENTRIES)


@pytest.mark.parametrize("length", range(1, len(ENTRIES) + 1))
def test_every_beginning_of_it_proves_itself(tmp_path: Path, length: int) -> None:
    """Wherever release 0.1 was stopped; but not within a batch, which it never was."""
    path = old_file(tmp_path / "ledger.db", ENTRIES[:length])
    rebuild(path)
    report = audit_file(path, trust=trust(), jobs=1)
    is_whole = length == len(ENTRIES) or not is_within_a_batch(ENTRIES[length - 1], ENTRIES[length])
    assert report.ok is is_whole, report.faults
    assert {int(fault.step) for fault in report.faults} <= {8}


def is_within_a_batch(last: dict[str, Any], following: dict[str, Any]) -> bool:
    kinds: list[str] = [json.loads(entry["body"])["kind"] for entry in (last, following)]
    return kinds[0] == "account" or kinds[1] == "journal"


# --- and release 0.2 goes on from there ---

PENDING_AT = next(n for n, entry in enumerate(ENTRIES) if entry["about"].startswith("approved, signed with all"))


class Heir(World):
    """The world in which release 0.1 left its ledger: the same keys, a later hour."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock(ENTRIES[-1]["meaning"]["time"] + 3_600_000_000)
        self.signers = {signer.public_key: signer for signer in SIGNERS.values()}
        self.acme = Party("acme", bytes.fromhex(next(key["seed"] for key in KEYS if key["name"] == "acme-2")))

    async def open(self, **limits: Any) -> Ledger:
        store = await Store.open(self.path, busy_timeout_ms=5_000)
        return await Ledger.open(
            store,
            load_signer=self.signers.__getitem__,
            clock=self.clock,
            random_bytes=os.urandom,
            limits=Limits(**limits),
        )

    async def send(self, ledger: Ledger, kind: str, body: dict[str, Any]) -> CardTransaction:
        answer = await ledger.submit(self.webhook(self.acme, kind, body, f"heir-{kind}-{self.clock()}"))
        self.clock.now += 1_000_000
        assert isinstance(answer.body, CardTransaction)
        return answer.body


async def test_what_release_0_1_approved_is_cleared_in_parts_by_its_successor(tmp_path: Path) -> None:
    heir = Heir(old_file(tmp_path / "ledger.db", ENTRIES[: PENDING_AT + 1]))
    rebuild(heir.path)
    ledger = await heir.open()
    asked = {"transaction_id": "tx-6", "billing_currency": "KWD"}
    more = await heir.send(ledger, "increment", {**asked, "billing_amount": "1.000"})
    less = await heir.send(ledger, "reversal", {**asked, "billing_amount": "0.230"})
    part = presentment("tx-6", "2", "USD", billing_amount="0.500", billing_currency="KWD", final=False)
    first = await heir.send(ledger, "presentment", part)
    last = await heir.send(ledger, "presentment", presentment("tx-6", "7", "USD"))
    assert [body.totals and body.totals.open for body in (more, less, first, last)] == [2230, 2000, 1500, 0]
    assert [body.form for body in (more, less, first, last)] == [2] * 4
    await ledger.close()
    assert_audits(heir.path, trust())
    rebuild(heir.path)
    assert_audits(heir.path, trust())


async def test_what_release_0_1_cleared_is_refunded_and_its_cards_find_their_scheme(tmp_path: Path) -> None:
    heir = Heir(old_file(tmp_path / "ledger.db", ENTRIES))
    rebuild(heir.path)
    ledger = await heir.open()
    money = {"billing_amount": "5.00", "billing_currency": "EUR", "settlement_amount": "5.00"}
    back = await heir.send(ledger, "refund", {**money, "transaction_id": "tx-1", "settlement_currency": "EUR"})
    assert back.totals is not None
    assert (back.totals.cleared, back.totals.refunded) == (9000, 500)
    await heir.send(ledger, "authorisation", authorisation("tx-7", "card-1", "1.00"))
    await ledger.close()
    with closing(open_database(heir.path, busy_timeout_ms=0)) as connection:
        states = connection.execute("SELECT scheme FROM card_states WHERE card_id = 'card-1' ORDER BY seq").fetchall()
    assert states == [("",), ("acme",)]
    assert_audits(heir.path, trust())


async def test_a_webhook_that_release_0_1_answered_is_answered_the_same(tmp_path: Path) -> None:
    heir = Heir(old_file(tmp_path / "ledger.db", ENTRIES))
    rebuild(heir.path)
    ledger = await heir.open()
    entry = ENTRIES[PENDING_AT]
    evidence = decode_evidence(entry["evidence"].encode())
    again = heir.webhook(heir.acme, "authorisation", evidence.request.body, json.loads(entry["body"])["webhook_id"])
    answer = await ledger.submit(again)
    assert (answer.replayed, answer.seq) == (True, entry["seq"])
    assert (answer.entry.decode(), answer.body_bytes.decode()) == (entry["note"], entry["body"])
    await ledger.close()
    assert_audits(heir.path, trust())


def test_the_first_form_is_the_second_without_what_came_later() -> None:
    for entry in ENTRIES:
        body, salt = decode_body(entry["body"].encode())
        if isinstance(body, CardTransaction):
            assert replace(body, form=2).in_first_form == body
            assert encode_body(replace(body, form=2), salt) != encode_body(body, salt)
