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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.vector_refusals import made_refusals
from scripts.vector_samples import made_samples, told_part
from signed_ledger.encoding import (
    approval_digest,
    decode_body,
    decode_evidence,
    decode_request,
    decode_time,
    encode_base64,
    encode_evidence,
    encode_json,
    members_of,
    settlement_csv,
)
from signed_ledger.keyring import Keyring, approval_text, approve, approving_name
from signed_ledger.ledger import found
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import Money
from signed_ledger.records import (
    AuthorisationKey,
    AuthorisationState,
    Body,
    CardTransaction,
    Effect,
    Erasure,
    Evidence,
    FeeRate,
    Genesis,
    HttpRequest,
    KeyChange,
    Load,
    RegisteredKey,
    Request,
    Scope,
    Settlement,
    Terms,
    Tolerance,
    Transaction,
    Window,
)
from signed_ledger.records.erasures import runs_of
from signed_ledger.rules import Asked, Authorised, Book, ChangeCard, Command, Settle, Slot, apply, decide
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
    *("acme-1", "acme-2", "bolt-1", "operator-1", "auditor-1"),
)
KEYS: Final = {
    name: SoftwareSigner(hashlib.sha256(f"signed-ledger vectors: {name}".encode()).digest()) for name in NAMES
}
"""From a key's name in these vectors to its signer; the seed is public."""


STANDARD_SALT: Final = hashlib.sha256(b"signed-ledger vectors: salt of v1a").digest()[:16]


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
        self.authorised: dict[AuthorisationKey, Authorised] = {}
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
        self._decide(f"the Issuer loads {card_id} with {amount}", Load(transaction_id, card_id, amount), None)

    def webhook(self, about: str, key: str, kind: str, text: str, *, query: str = "", full: bool = False) -> None:
        """A Scheme's webhook, really signed, verified and decided."""
        body = text.encode()
        webhook_id = f"evt_{len(self.entries)}"
        path = f"/{kind}/" if full else f"/{kind}"
        sent = sign_request(KEYS[key], path, body, webhook_id, self.clock, query=query, full=full)
        evidence = verify(sent, self.keyring.find, self.clock, coverage=WEBHOOK, authorities={AUTHORITY})
        asked = Asked(key.partition("-")[0], webhook_id, decode_request(kind, body))
        self._decide(about, asked._replace(authorised=self.authorised.get(asked.key)), evidence)

    def expire(self, about: str, transaction_id: str) -> None:
        asked = Asked("acme", None, Request("expiry", transaction_id))
        self._decide(about, asked._replace(authorised=self.authorised[asked.key]), None)

    def decide(self, about: str, command: Command) -> None:
        """What the Issuer does of its own accord."""
        self._decide(about, command, None)

    def erase(self, about: str, erasure: Erasure) -> None:
        self._record(about, [erasure], None)

    def _decide(self, about: str, command: Command, evidence: Evidence | None) -> None:
        self._record(about, decide(self.book, command, Slot(len(self.entries), self._time)), evidence)

    @property
    def _time(self) -> int:
        newest: int = self.entries[-1]["meaning"]["time"]
        return max(self.clock, newest)

    def _change_key(self, about: str, op: str, role: str, whose: str, key: str, approvers: Iterable[str]) -> None:
        public_key = KEYS[key].public_key
        change = KeyChange(op, role, kid_of(public_key), public_key, whose, self.keyring.version + 1)
        names = tuple(approvers)
        change = replace(change, approvals=approve(change, ORIGIN, [(line_name(name), KEYS[name]) for name in names]))
        self.keyring.check(change, len(self.entries))
        self._tell_approvals(change, names)
        self._record(about, [change], None)
        self.keyring.apply(change, len(self.entries) - 1)

    def _record(self, about: str, bodies: list[Body], evidence: Evidence | None) -> None:
        for body in bodies:
            seq, head = len(self.entries), self.entries[-1]
            effect = apply(self.book, body, seq)
            place = Place(ORIGIN, seq, leaf_hash(head["note"].encode()), self._time)
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
            assert isinstance(body, CardTransaction)
            self.authorised[effect.authorisation.key] = Authorised(sealed.ref, body)
        meaning = {"time": sealed.time, "signed_by": kid_of(self.keyring.entry_key_at(seq)), "body": plain(body)}
        if effect.state is not None:
            meaning["state"] = plain(effect.state)
        if effect.authorisation is not None:
            meaning["authorisation"] = told_authorisation(effect.authorisation)
        if effect.card is not None:
            meaning["card"] = plain(effect.card)
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
    role, whose = ("scheme", owner) if owner in ("acme", "bolt") else (owner, key)
    return approving_name(ORIGIN, role, whose)


def plain(value: Any) -> Any:
    """A record as JSON values: amounts in minor units, digests and keys in base64, times in microseconds since 1970."""
    if is_dataclass(value):
        told = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        absent = ("next_kid", "history", "revoked_at") if isinstance(value, KeyChange | RegisteredKey) else ()
        return {name: member for name, member in told.items() if member is not None or name not in absent}
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        return {name: plain(member) for name, member in named().items()} if named else [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return encode_base64(value) if isinstance(value, bytes) else value


def told_authorisation(state: AuthorisationState) -> dict[str, Any]:
    """Where an authorisation stands, and what follows from its totals."""
    told: dict[str, Any] = plain(state)
    return told | {"status": state.status, "held": state.held}


SHOP: Final = '"merchant_name": "Café Zürich 東京 ☕", "merchant_country": "CH", "merchant_mcc": 5812'
DINER: Final = (
    r'"merchant_name": "Joe\u0027s \"Diner\" \\ Bar\/Grill", "merchant_country": "USA", "merchant_mcc": "0742"'
)


def asked(transaction_id: str, *members: str) -> str:
    """A request's body as a Scheme writes it: its members are JSON text."""
    return "{" + ", ".join((f'"transaction_id": "{transaction_id}"', *members)) + "}"


def card(card_id: str) -> str:
    return f'"card_id": "{card_id}"'


def amount(name: str, number: str, currency: str) -> str:
    return f'"{name}_amount": {number}, "{name}_currency": "{currency}"'


def build_ledger() -> Chain:
    """Every kind of entry, every message and decision, currencies of none, two and three digits, a clock set back."""
    chain = Chain()
    roots = ("root-1", "root-3")
    chain.add_key("acme, a Scheme, is registered", "scheme", "acme", "acme-1", roots)
    chain.add_key("an operator, who shows possession", "operator", "operator-1", "operator-1", (*roots, "operator-1"))
    chain.load("load-1", "card-1", Money(20000, "EUR"))
    chain.add_key("the entry key is rotated", "entry", ORIGIN, "entry-2", ("root-2", "root-3", "entry-2", "entry-1"))
    chain.load("load-2", "card-2", Money(10000, "JPY"))
    chain.load("load-3", "card-2", Money(50000, "KWD"))
    spend_euros(chain)
    spend_yen(chain)
    chain.add_key("acme's second key", "scheme", "acme", "acme-2", roots)
    chain.retire_key("acme's first key ends", "scheme", "acme", "acme-1", roots)
    spend_dinars(chain)
    rotation = ("root-1", "root-2", "checkpoint-2", "checkpoint-1")
    chain.add_key("the checkpoint key is rotated", "checkpoint", ORIGIN, "checkpoint-2", rotation)
    chain.add_key("an auditor", "auditor", "auditor-1", "auditor-1", ("root-1", "root-2", "root-3"))
    chain.add_key("bolt, another Scheme", "scheme", "bolt", "bolt-1", roots)
    chain.load("load-4", "card-3", Money(50000, "EUR"))
    clear_in_parts(chain)
    chain.decide("the terms are changed", TERMS)
    clear_by_new_terms(chain)
    take_back(chain)
    block_and_bind(chain)
    settle(chain)
    return chain


def spend_euros(chain: Chain) -> None:
    """One approval, both declines, a presentment in two currencies and one in one."""
    members = (card("card-1"), SHOP, amount("billing", '"90.00"', "EUR"), amount("transaction", "98.1", "USD"))
    chain.webhook("approved", "acme-1", "authorisation", asked("tx-1", *members))
    more = (DINER, amount("billing", '"110.01"', "EUR"), amount("transaction", '"120.00"', "USD"))
    chain.webhook("declined: a cent too much", "acme-1", "authorisation", asked("tx-2", card("card-1"), *more))
    chain.webhook("declined: no such card", "acme-1", "authorisation", asked("tx-3", card("card-9"), *more))
    settled = amount("settlement", '"95.00"', "USD")
    chain.webhook("billed 90.00 EUR, settled 95.00 USD", "acme-1", "presentment", asked("tx-1", settled))
    members = (card("card-1"), SHOP, amount("billing", "10", "EUR"), amount("transaction", "1.1E1", "USD"))
    chain.webhook("approved", "acme-1", "authorisation", asked("tx-4", *members))
    chain.clock -= 3_600_000_000  # set back by an hour: the entries' time stands still
    settled = amount("settlement", "10.00", "EUR")
    chain.webhook("settled what is billed: a line of zero", "acme-1", "presentment", asked("tx-4", settled))


def spend_yen(chain: Chain) -> None:
    members = (card("card-2"), SHOP, amount("billing", "1230", "JPY"), amount("transaction", '"1230"', "JPY"))
    chain.webhook("approved", "acme-1", "authorisation", asked("tx-5", *members))
    merchant = SHOP.replace('"CH"', '"CHE"')  # the same country
    members = (card("card-2"), merchant, amount("billing", '"1200"', "JPY"), amount("transaction", "1300", "JPY"))
    more = (amount("settlement", '"1300"', "JPY"), '"presentment_id": "clr.1"', '"final": true')
    chain.webhook("settled more than billed: a loss", "acme-1", "presentment", asked("tx-5", *members, *more))


def spend_dinars(chain: Chain) -> None:
    members = (card("card-2"), SHOP, amount("billing", "1.230", "KWD"), amount("transaction", '"1.23"', "KWD"))
    about = "approved, signed with all that the profile allows"
    chain.webhook(about, "acme-2", "authorisation", asked("tx-6", *members), query="?attempt=1", full=True)
    settled = amount("settlement", "4", "USD")
    chain.webhook("two currencies", "acme-2", "presentment", asked("tx-6", settled))


TERMS: Final = Terms(
    5,
    (Window(Scope("acme", ("pre_authorisation",), ((3501, 3999), (5812, 5812))), 30),),
    (Tolerance(Scope(mccs=((5812, 5812),)), 200_000, Money(1000, "EUR")),),
    (FeeRate(Scope("acme"), 2_000, Money(5, "EUR")), FeeRate(Scope(), 3_333)),
)


def euros(number: str) -> str:
    return amount("billing", f'"{number}"', "EUR")


def clear_in_parts(chain: Chain) -> None:
    """An authorisation that grows, is reversed in part, cleared in two parts, one above the rest, and refunded."""
    more = ('"authorisation_kind": "card_present"', '"iso8583": {"37": "623410000017", "49": "978", "51": "978"}')
    members = (card("card-3"), SHOP, euros("40.00"), amount("transaction", '"40.00"', "EUR"), *more)
    chain.webhook("approved, as ISO 8583 has it", "acme-2", "authorisation", asked("tx-7", *members))
    chain.webhook("approved: ten more", "acme-2", "increment", asked("tx-7", euros("10.00")))
    chain.webhook("declined: far more", "acme-2", "increment", asked("tx-7", euros("1000.00")))
    chain.webhook("five less", "acme-2", "reversal", asked("tx-7", euros("5.00"), '"iso8583": {"38": "A1B2C3"}'))
    part = (euros("20.00"), amount("settlement", '"20.00"', "EUR"), '"presentment_id": "clr.1"', '"final": false')
    fee = '"interchange_amount": "0.0333"'
    chain.webhook("the first part, with its interchange", "acme-2", "presentment", asked("tx-7", *part, fee))
    last = (euros("26.00"), amount("settlement", '"26.00"', "EUR"), '"presentment_id": "clr.2"')
    chain.webhook("the last part, a euro above the hold", "acme-2", "presentment", asked("tx-7", *last))
    back = (euros("3.00"), amount("settlement", "3", "EUR"), '"refund_id": "back.1"', '"interchange_amount": "0.005"')
    chain.webhook("three euros back", "acme-2", "refund", asked("tx-7", *back))


def clear_by_new_terms(chain: Chain) -> None:
    """Another window, interchange by its rate, and an excess beyond what the terms tolerate."""
    members = (card("card-3"), SHOP, euros("50.00"), amount("transaction", '"50.00"', "EUR"))
    kind = '"authorisation_kind": "pre_authorisation"'
    chain.webhook("approved for 30 days", "acme-2", "authorisation", asked("tx-8", *members, kind))
    settled = (euros("61.00"), amount("settlement", '"61.00"', "EUR"))
    chain.webhook("cleared far above the hold", "acme-2", "presentment", asked("tx-8", *settled))
    alone = (card("card-3"), DINER, euros("7.00"), amount("settlement", '"8.00"', "USD"))
    about = "forced: nothing was authorised"
    chain.webhook(about, "acme-2", "presentment", asked("tx-9", *alone, '"force_post": true', '"final": false'))
    about = "a refund that names no transaction"
    refund = ", ".join((*alone, '"refund_id": "back.2"'))
    chain.webhook(about, "acme-2", "refund", "{" + refund + "}")


def take_back(chain: Chain) -> None:
    """Reversed in full; and one whose time is over, cleared late."""
    members = (card("card-3"), SHOP, euros("6.00"), amount("transaction", '"6.00"', "EUR"))
    chain.webhook("approved", "acme-2", "authorisation", asked("tx-10", *members))
    chain.webhook("all of it taken back", "acme-2", "reversal", asked("tx-10"))
    chain.webhook("approved for five days", "acme-2", "authorisation", asked("tx-11", *members))
    chain.clock += 5 * 86_400_000_000 + 3_600_000_000  # five days, and the hour that it was set back
    chain.expire("its time is over", "tx-11")
    chain.webhook("cleared late", "acme-2", "presentment", asked("tx-11", amount("settlement", '"6.00"', "EUR")))


def block_and_bind(chain: Chain) -> None:
    members = (SHOP, euros("1.00"), amount("transaction", '"1.00"', "EUR"))
    chain.webhook("approved", "acme-2", "authorisation", asked("tx-12", card("card-3"), *members))
    chain.decide("card-3 is blocked", ChangeCard("block", "card-3", None, "lost in the Zürich tram"))
    chain.webhook("declined: blocked", "acme-2", "authorisation", asked("tx-13", card("card-3"), *members))
    chain.webhook("declined: blocked", "acme-2", "increment", asked("tx-12", euros("1.00")))
    chain.decide("card-3 is unblocked", ChangeCard("unblock", "card-3"))
    chain.webhook("declined: acme's card", "bolt-1", "authorisation", asked("tx-12", card("card-3"), *members))
    chain.decide("card-4, which has no account yet, is bolt's", ChangeCard("bind", "card-4", "bolt"))


def settle(chain: Chain) -> None:
    """Before the day is over; a day without anything to settle, after it was."""
    midnight = decode_time("2026-11-29T00:00:00.000000Z")
    chain.decide("acme is settled with, before its day ends", Settle("acme", "2026-11-28", midnight))
    chain.clock = midnight + 86_400_000_000
    chain.decide("nothing to settle", Settle("acme", "2026-11-29", chain.clock))


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


def told_evidence(chain: Chain) -> list[dict[str, Any]]:
    """The ledger's first evidence, the one with all that the profile allows, and the first one's body signed by v1a."""
    parts = [entry["evidence"].encode() for entry in chain.entries if "evidence" in entry]
    fullest = max(parts, key=len)
    samples = [("the usual", parts[0]), ("with all that the profile allows", fullest)]
    samples.append(
        ("Standard Webhooks v1a", encode_evidence(standard_evidence(decode_evidence(parts[0])), STANDARD_SALT))
    )
    return [told_part(about, plain(decode_evidence(part)), part) for about, part in samples]


def standard_evidence(evidence: Evidence) -> Evidence:
    """The same webhook, signed by Standard Webhooks v1a; beside ours a signature of another version."""
    request, key = evidence.request, KEYS["acme-1"]
    base = f"{request.fields['webhook-id']}.{evidence.received // 1_000_000}"
    signature = key.sign(f"{base}.".encode() + request.body)
    header = {
        "webhook-id": request.fields["webhook-id"],
        "webhook-timestamp": base.rpartition(".")[2],
        "webhook-signature": f"v1,{encode_base64(bytes(32))} v1a,{encode_base64(signature)}",
    }
    sent = replace(request, query="?", fields=header)
    registered = RegisteredKey(kid_of(key.public_key), "scheme", "acme", key.public_key, 0)
    return verify(
        sent,
        lambda _: None,
        evidence.received,
        coverage=WEBHOOK,
        authorities={AUTHORITY},
        standard_keys=lambda: [registered],
    )


def told_settlements(chain: Chain) -> list[dict[str, Any]]:
    """The ledger's settlements as CSV, whose digests stand in their bodies."""
    bodies = [(entry["seq"], decode_body(entry["body"].encode()).body) for entry in chain.entries]
    return [{"seq": seq, "csv": settlement_csv(body).decode()} for seq, body in bodies if isinstance(body, Settlement)]


def erased_card() -> dict[str, Any]:
    """The entry that would come next if card-9, which was never there, were forgotten: two declines of it."""
    chain = build_ledger()
    bodies = [(entry["seq"], decode_body(entry["body"].encode()).body) for entry in chain.entries]
    seqs = [seq for seq, body in bodies if isinstance(body, CardTransaction) and body.card_id == "card-9"]
    runs = runs_of(seqs)
    erasure = Erasure(asked_by="case 2026-117", why="asked for in Zürich", body=runs, evidence=runs)
    chain.erase("card-9 is forgotten", erasure)
    return chain.entries[-1]


def made() -> dict[str, bytes]:
    """Every file of the vectors, by name."""
    chain = build_ledger()
    genesis = chain.entries[0]["meaning"]["body"]
    ledger = {
        "trust": {name: genesis[name] for name in ("origin", "root_keys", "threshold")},
        "entries": chain.entries,
        "keys": [plain(key) for key in chain.keyring],
        "accounts": [plain(state) for state in chain.book.accounts.values()],
        "authorisations": [told_authorisation(state) for state in chain.book.authorisations.values()],
        "cards": [plain(state) for state in chain.book.cards.values()],
    }
    evidence = told_evidence(chain)
    standard = evidence[-1]["part"].encode()
    files = {
        "keys.json": told_keys(),
        "ledger.json": ledger,
        "approvals.json": chain.approvals,
        "records.json": made_samples(KEYS["entry-1"], ORIGIN, Salts(), plain)
        | {"evidence": evidence, "settlement_files": told_settlements(chain)},
        "erasure.json": erased_card(),
        "refused.json": made_refusals(ledger, KEYS, standard),
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
    check = parser.parse_args().check
    files = made()
    if check:
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
