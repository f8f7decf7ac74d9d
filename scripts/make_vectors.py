#!/usr/bin/env python3
"""Makes the frozen test vectors in tests/vectors/ledger: a small ledger of every kind of entry, and all it stands on.

Keys, salts and times are fixed, so the same code makes the same bytes for ever. The ledger is built by the functions
that build a real one. With --check nothing is written: the vectors are made again and compared with what is there.

Exit status: 0 written, or the same; 1 not the same.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from vector_refusals import made_refusals
from vector_samples import made_samples

from signed_ledger.encoding import (
    approval_digest,
    decode_request,
    decode_time,
    encode_base64,
    encode_json,
    members_of,
)
from signed_ledger.keyring import Keyring, approval_text, approve, approving_name
from signed_ledger.ledger import found
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import Money
from signed_ledger.records import AuthorisationRequest, Body, Evidence, Genesis, HttpRequest, KeyChange, Transaction
from signed_ledger.rules import Authorise, Authorised, Book, Command, Effect, LoadCard, Present, apply, decide
from signed_ledger.schemes import WEBHOOK, verify
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import SoftwareSigner, kid_of, note_key_id

FOLDER: Final = Path(__file__).parents[1] / "tests" / "vectors" / "ledger"
ORIGIN: Final = "vectors.example/ledger"
AUTHORITY: Final = "vectors.example"
START: Final = decode_time("2026-11-23T10:00:00.000000Z")
TICK: Final = 1_234_567
"""Microseconds from one step to the next."""

NAMES: Final = (
    *("root-1", "root-2", "root-3", "entry-1", "entry-2", "checkpoint-1", "checkpoint-2"),
    *("acme-1", "acme-2", "operator-1", "auditor-1"),
)
KEYS: Final = {name: SoftwareSigner(hashlib.sha256(f"signed-ledger vectors: {name}".encode()).digest()) for name in NAMES}
"""From a key's name in these vectors to its signer; the seed is public."""


class Salts:
    """Random bytes that are the same each time: SHA-256 of a counter."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.sha256(f"signed-ledger vectors: salt {self.count}".encode()).digest()[:size]


def sign_request(
    key: SoftwareSigner, path: str, body: bytes, webhook_id: str, now: int, *, query: str = "", full: bool = False
) -> HttpRequest:
    """Sign a webhook as a Scheme does (RFC 9421, docs/API.md); `full` with all that the profile allows."""
    digest = "sha-512" if full else "sha-256"
    hashed = base64.b64encode(hashlib.new(digest.replace("-", ""), body).digest()).decode()
    header = {"content-type": "application/json", "content-digest": f"{digest}=:{hashed}:", "webhook-id": webhook_id}
    covered = {"@method": "POST", "@authority": AUTHORITY, "@path": path, "@query": query or "?", **header}
    created = now // 1_000_000
    optional = f';expires={created + 60};nonce="n-1";alg="ed25519"' if full else ""
    names = " ".join(f'"{name}"' for name in covered)
    params = f'({names});created={created}{optional};keyid="{kid_of(key.public_key)}";tag="signed-ledger"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
    signature = base64.b64encode(key.sign(base.encode())).decode()
    header |= {"signature-input": f"sig1={params}", "signature": f"sig1=:{signature}:"}
    return HttpRequest("POST", AUTHORITY, path, query, header, body)


class Chain:
    """A ledger in memory, and what is to be told of it."""

    def __init__(self) -> None:
        self.clock = START
        self.salts = Salts()
        self.book = Book()
        self.entries: list[dict[str, Any]] = []
        self.approvals: list[dict[str, Any]] = []
        self.authorised: dict[str, Authorised] = {}
        genesis, sealed = found(
            ORIGIN,
            roots=[KEYS["root-1"], KEYS["root-2"], KEYS["root-3"]],
            threshold=2,
            entry=KEYS["entry-1"],
            checkpoint=KEYS["checkpoint-1"],
            now=self.clock,
            random_bytes=self.salts,
        )
        self.keyring = Keyring(genesis)
        self._tell_approvals(genesis, ("root-1", "root-2", "root-3", "entry-1", "checkpoint-1"))
        self._keep("the ledger is founded: three root keys, two must approve", genesis, sealed, Effect())

    def add_key(self, about: str, role: str, whose: str, key: str, approvers: Iterable[str]) -> None:
        self._change_key(about, "add", role, whose, key, approvers)

    def retire_key(self, about: str, role: str, whose: str, key: str, approvers: Iterable[str]) -> None:
        self._change_key(about, "retire", role, whose, key, approvers)

    def load(self, transaction_id: str, card_id: str, amount: Money) -> None:
        self._decide(f"the Issuer loads {card_id} with {amount}", LoadCard(transaction_id, card_id, amount), None)

    def webhook(self, about: str, key: str, kind: str, query: str = "", full: bool = False, **said: Any) -> None:
        """A Scheme's webhook, really signed, verified and decided."""
        body = json.dumps(said, ensure_ascii=False).encode()
        webhook_id = f"evt_{len(self.entries)}"
        path = f"/{kind}/" if full else f"/{kind}"
        sent = sign_request(KEYS[key], path, body, webhook_id, self.clock, query=query, full=full)
        evidence = verify(sent, self.keyring.find, self.clock, coverage=WEBHOOK, authorities={AUTHORITY})
        request = decode_request(kind, body)
        if isinstance(request, AuthorisationRequest):
            self._decide(about, Authorise("acme", webhook_id, request), evidence)
        else:
            authorised = self.authorised[request.transaction_id]
            self._decide(about, Present("acme", webhook_id, request, authorised), evidence)

    def _decide(self, about: str, command: Command, evidence: Evidence | None) -> None:
        self._record(about, decide(self.book, command, len(self.entries)), evidence)

    def _change_key(self, about: str, op: str, role: str, whose: str, key: str, approvers: Iterable[str]) -> None:
        public_key = KEYS[key].public_key
        change = KeyChange(op, role, kid_of(public_key), public_key, whose, self.keyring.version + 1)
        names = tuple(approvers)
        change = replace(change, approvals=approve(change, ORIGIN, [(line_name(name), KEYS[name]) for name in names]))
        self.keyring.check(change)
        self._tell_approvals(change, names)
        self._record(about, [change], None)
        self.keyring.apply(change, len(self.entries) - 1)

    def _record(self, about: str, bodies: list[Body], evidence: Evidence | None) -> None:
        for body in bodies:
            seq, head = len(self.entries), self.entries[-1]
            effect = apply(self.book, body, seq)
            place = Place(ORIGIN, seq, leaf_hash(head["note"].encode()), max(self.clock, head["meaning"]["time"]))
            key = self.keyring.entry_key_at(seq)
            sealed = seal(
                place,
                body,
                state=effect.state,
                evidence=evidence if isinstance(body, Transaction) else None,
                signer=next(signer for signer in KEYS.values() if signer.public_key == key),
                random_bytes=self.salts,
            )
            self._keep(about, body, sealed, effect)
        self.clock += TICK

    def _keep(self, about: str, body: Body, sealed: Sealed, effect: Effect) -> None:
        seq = sealed.ref.seq
        if effect.authorisation is not None and seq == effect.authorisation.seq:
            self.authorised[effect.authorisation.key.transaction_id] = Authorised(sealed.ref, body)  # type: ignore[arg-type]
        meaning = {"time": sealed.time, "signed_by": kid_of(self.keyring.entry_key_at(seq)), "body": plain(body)}
        if effect.state is not None:
            meaning["state"] = plain(effect.state)
        if effect.authorisation is not None:
            meaning["authorisation"] = plain(effect.authorisation)
        parts = {name: part.decode() for name, part in sealed.parts._asdict().items() if part is not None}
        leaf = encode_base64(sealed.ref.leaf)
        self.entries.append(
            {"seq": seq, "about": about, "note": sealed.note.decode(), **parts, "leaf": leaf, "meaning": meaning}
        )

    def _tell_approvals(self, body: Genesis | KeyChange, names: tuple[str, ...]) -> None:
        members = {"kind": body.KIND, **members_of(body)}
        del members["approvals"]
        self.approvals.append(
            {
                "seq": len(self.entries),
                "approved": encode_json(members).decode(),
                "sha256": encode_base64(approval_digest(body)),
                "text": approval_text(body, ORIGIN),
                "note": body.approvals,
                "signers": [{"name": line_name(name), "kid": kid_of(KEYS[name].public_key)} for name in names],
            }
        )


def line_name(key: str) -> str:
    """The name under which a key of these vectors signs approvals."""
    owner = key.partition("-")[0]
    if owner in ("root", "entry", "checkpoint"):
        return f"{ORIGIN}/{owner}"
    role, whose = ("scheme", owner) if owner == "acme" else (owner, key)
    return approving_name(ORIGIN, role, whose)


def plain(value: Any) -> Any:
    """A record as JSON values: amounts in minor units, digests and keys in base64, times in microseconds since 1970."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        return {name: plain(member) for name, member in named().items()} if named else [plain(each) for each in value]
    return encode_base64(value) if isinstance(value, bytes) else value


def build_ledger() -> Chain:
    """Every kind of entry, every decision, currencies of none, two and three digits, a clock that is set back."""
    chain = Chain()
    roots = ("root-1", "root-3")
    chain.add_key("acme, a Scheme, is registered", "scheme", "acme", "acme-1", roots)
    chain.add_key("an operator, who shows possession", "operator", "operator-1", "operator-1", (*roots, "operator-1"))
    chain.load("load-1", "card-1", Money(20000, "EUR"))
    chain.add_key("the entry key is rotated", "entry", ORIGIN, "entry-2", ("root-2", "root-3", "entry-2", "entry-1"))
    chain.load("load-2", "card-2", Money(10000, "JPY"))
    chain.load("load-3", "card-2", Money(50000, "KWD"))
    shop = {"merchant_name": "Café Zürich 東京 ☕", "merchant_country": "CH", "merchant_mcc": 5812}
    eur = {"card_id": "card-1", **shop, "billing_currency": "EUR", "transaction_currency": "USD"}
    ask, present = "authorisation", "presentment"
    chain.webhook("approved", "acme-1", ask, transaction_id="tx-1", billing_amount="90.00", transaction_amount=98.1, **eur)
    quoted = {**eur, "merchant_name": 'Joe\'s "Diner" \\ Bar/Grill', "merchant_country": "USA", "merchant_mcc": "0742"}
    amounts = {"billing_amount": "110.01", "transaction_amount": "120.00"}
    chain.webhook("declined: one cent too much", "acme-1", ask, transaction_id="tx-2", **amounts, **quoted)
    unknown = {**eur, **amounts, "card_id": "card-9"}
    chain.webhook("declined: no such card", "acme-1", ask, transaction_id="tx-3", **unknown)
    usd = {"settlement_amount": "95.00", "settlement_currency": "USD"}
    chain.webhook("90.00 EUR billed, 95.00 USD settled", "acme-1", present, transaction_id="tx-1", **usd)
    ten = {"transaction_id": "tx-4", "billing_amount": 10, "transaction_amount": 1.1e1}
    chain.webhook("approved", "acme-1", ask, **ten, **eur)
    chain.clock -= 3_600_000_000  # set back by an hour: the entries' time stands still
    same = {"settlement_amount": "10.00", "settlement_currency": "EUR"}
    chain.webhook("billed what is settled: a line of zero", "acme-1", present, transaction_id="tx-4", **same)
    yen = {"transaction_id": "tx-5", "card_id": "card-2", **shop, "billing_amount": 1230, "billing_currency": "JPY"}
    chain.webhook("approved", "acme-1", ask, **yen, transaction_amount="1230", transaction_currency="JPY")
    more = {"settlement_amount": "1300", "settlement_currency": "JPY", "presentment_id": "clr.1", "final": True}
    said = {"card_id": "card-2", **shop, "merchant_country": "CHE", "billing_amount": "1200", "billing_currency": "JPY"}
    said |= {"transaction_id": "tx-5", "transaction_amount": 1300, "transaction_currency": "JPY"}
    chain.webhook("settled above what is billed: the Issuer's loss", "acme-1", present, **said, **more)
    chain.add_key("acme's second key", "scheme", "acme", "acme-2", roots)
    chain.retire_key("acme's first key ends", "scheme", "acme", "acme-1", roots)
    dinar = {"transaction_id": "tx-6", "card_id": "card-2", **shop, "billing_amount": "1.230", "billing_currency": "KWD"}
    dinar |= {"transaction_amount": "1.23", "transaction_currency": "KWD"}
    chain.webhook("approved, signed with all that the profile allows", "acme-2", ask, "?attempt=1", full=True, **dinar)
    chain.webhook("two currencies", "acme-2", present, transaction_id="tx-6", **usd | {"settlement_amount": 4})
    rotation = ("root-1", "root-2", "checkpoint-2", "checkpoint-1")
    chain.add_key("the checkpoint key is rotated", "checkpoint", ORIGIN, "checkpoint-2", rotation)
    chain.add_key("an auditor", "auditor", "auditor-1", "auditor-1", ("root-1", "root-2", "root-3"))
    return chain


def told_keys() -> list[dict[str, Any]]:
    prefix = bytes.fromhex("302a300506032b6570032100")
    return [
        {
            "name": name,
            "seed": hashlib.sha256(f"signed-ledger vectors: {name}".encode()).hexdigest(),
            "public_key": encode_base64(key.public_key),
            "spki": (prefix + key.public_key).hex(),
            "kid": kid_of(key.public_key),
            "signs_as": line_name(name),
            "note_key_id": note_key_id(line_name(name), key.public_key).hex(),
        }
        for name, key in KEYS.items()
    ]


def made() -> dict[str, bytes]:
    """Every file of the vectors, by name."""
    chain = build_ledger()
    genesis = chain.entries[0]["meaning"]["body"]
    ledger = {
        "trust": {name: genesis[name] for name in ("origin", "root_keys", "threshold")},
        "entries": chain.entries,
        "keys": [plain(key) for key in chain.keyring],
        "accounts": [plain(state) for state in chain.book.accounts.values()],
        "authorisations": [plain(state) for state in chain.book.authorisations.values()],
    }
    files = {
        "keys.json": told_keys(),
        "ledger.json": ledger,
        "approvals.json": chain.approvals,
        "records.json": made_samples(KEYS["entry-1"], ORIGIN, Salts(), plain),
        "refused.json": made_refusals(ledger, KEYS),
    }
    return {name: (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode() for name, value in files.items()}


def differences(files: dict[str, bytes]) -> list[str]:
    """What is not as it would be made, a line for each."""
    found_names = {path.name for path in FOLDER.glob("*.json")}
    lines = [f"{name}: no longer made" for name in sorted(found_names - files.keys())]
    for name, data in files.items():
        old = (FOLDER / name).read_bytes().splitlines() if name in found_names else []
        new = data.splitlines()
        changed = [number for number, (was, now) in enumerate(zip(old, new, strict=False), 1) if was != now]
        if changed or len(old) != len(new) or not old:
            first = changed[0] if changed else min(len(old), len(new)) + 1
            lines.append(f"{name}: differs from line {first} on; has {len(old)} lines, would have {len(new)}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the frozen test vectors in tests/vectors/ledger.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 unless they are the same")
    files = made() if not (asked := parser.parse_args()).check else made()
    if asked.check:
        wrong = differences(files)
        print("\n".join(wrong) or f"vectors: {len(files)} files are the same")
        return 1 if wrong else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
    print(f"vectors: {len(files)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
