"""Makes a ledger of a given size for the bench, through the writer itself, and signs requests as its Scheme."""

import asyncio
import base64
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from signed_ledger.encoding import decode_request
from signed_ledger.keyring import approve
from signed_ledger.ledger import Ledger, Limits, Webhook, create_ledger, found
from signed_ledger.money import Money
from signed_ledger.records import Evidence, HttpRequest, KeyChange, Load, RegisteredKey
from signed_ledger.schemes import WEBHOOK, verify
from signed_ledger.signing import KeyFolder, SoftwareSigner, kid_of
from signed_ledger.store import Store
from signed_ledger.trust import Trust, encode_trust

ORIGIN = "bench.example/ledger"
AUTHORITY = "localhost:8080"
SCHEME_SEED = hashlib.sha256(b"the bench's Scheme").digest()
CARDS_MAX = 10_000
_GROUP = 250


def cards_of(entries: int) -> int:
    """How many cards a ledger of this size has."""
    return max(1, min(CARDS_MAX, entries // 8))


def now() -> int:
    return time.time_ns() // 1_000


class BenchScheme:
    """Signs webhooks for the first `cards` of a ledger's; ids are random, as a Scheme's are, and always new."""

    def __init__(self, cards: int) -> None:
        self.cards = cards
        self.signer = SoftwareSigner(SCHEME_SEED)
        self.kid = kid_of(self.signer.public_key)

    def authorisations(self) -> Iterator[tuple[str, bytes]]:
        """(transaction id, body), for ever, card by card."""
        for number in itertools.count():
            transaction_id = os.urandom(12).hex()
            body = {
                "transaction_id": transaction_id,
                "card_id": f"card-{number % self.cards}",
                "merchant_name": "Bench Coffee Roasters",
                "merchant_country": "GB",
                "merchant_mcc": "5812",
                "billing_amount": "0.01",
                "billing_currency": "EUR",
                "transaction_amount": "0.01",
                "transaction_currency": "EUR",
            }
            yield transaction_id, json.dumps(body).encode()

    def presentment(self, transaction_id: str) -> bytes:
        body = {"transaction_id": transaction_id, "settlement_amount": "0.01", "settlement_currency": "EUR"}
        return json.dumps(body).encode()

    def life(self, transaction_id: str, body: bytes) -> Iterator[bytes]:
        """A whole life's requests: authorisation, increment, two clearings of which the second is the last, refund."""
        billed = {"billing_amount": "0.01", "billing_currency": "EUR"}
        settled = {"settlement_amount": "0.01", "settlement_currency": "EUR", **billed}
        messages: list[tuple[str, dict[str, Any]]] = [
            ("increment", billed),
            ("presentment", {**settled, "presentment_id": "1", "final": False}),
            ("presentment", {**settled, "presentment_id": "2", "interchange_amount": "0.0002"}),
            ("refund", {**settled, "refund_id": "1"}),
        ]
        yield self.wire("authorisation", body, transaction_id)
        for number, (kind, fields) in enumerate(messages):
            more = json.dumps({"transaction_id": transaction_id, **fields}).encode()
            yield self.wire(kind, more, f"{number}-{transaction_id}")

    def request(self, kind: str, body: bytes, webhook_id: str) -> HttpRequest:
        fields = {
            "content-type": "application/json",
            "content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
            "webhook-id": webhook_id,
        }
        covered = {"@method": "POST", "@authority": AUTHORITY, "@path": f"/{kind}", "@query": "?", **fields}
        names = " ".join(f'"{name}"' for name in covered)
        params = f'({names});created={int(time.time())};keyid="{self.kid}";tag="signed-ledger"'
        base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
        signature = base64.b64encode(self.signer.sign(base.encode())).decode()
        fields |= {"signature-input": f"sig1={params}", "signature": f"sig1=:{signature}:"}
        return HttpRequest("POST", AUTHORITY, f"/{kind}", "?", fields, body)

    def wire(self, kind: str, body: bytes, webhook_id: str) -> bytes:
        """The whole signed HTTP request."""
        request = self.request(kind, body, webhook_id)
        fields = {"host": AUTHORITY, "content-length": str(len(body)), **request.fields}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST /{kind} HTTP/1.1\r\n{head}\r\n".encode() + body

    def webhook(self, kind: str, body: bytes, webhook_id: str) -> Webhook:
        """The same, verified, as the api would hand it to the writer."""
        key = RegisteredKey(self.kid, "scheme", "bench", self.signer.public_key, 0)
        find: dict[str, RegisteredKey] = {self.kid: key}
        request = self.request(kind, body, webhook_id)
        evidence: Evidence = verify(request, find.get, now(), coverage=WEBHOOK, authorities=None)
        return Webhook("bench", webhook_id, decode_request(kind, body), evidence)


async def make_ledger(folder: Path, entries: int, progress: Any) -> None:
    """Make `folder`/ledger.db and its keys, with at least `entries` entries: every authorisation presented."""
    keys = KeyFolder(folder / "keys", lambda: None)
    root, entry, checkpoint = (keys.create(role) for role in ("root", "entry", "checkpoint"))
    genesis, sealed = found(
        ORIGIN, roots=[root], threshold=1, entry=entry, checkpoint=checkpoint, now=now(), random_bytes=os.urandom
    )
    (folder / "keys" / "trust.json").write_bytes(encode_trust(Trust(ORIGIN, (root.public_key,), 1)))
    create_ledger(folder / "ledger.db", genesis, sealed)
    store = await Store.open(folder / "ledger.db", busy_timeout_ms=5_000)
    ledger = await Ledger.open(
        store, load_signer=lambda _: entry, clock=now, random_bytes=os.urandom, limits=Limits(group_commands_max=_GROUP)
    )
    await _register(ledger, root)
    loads = [Load(f"load-{card}", f"card-{card}", Money(10**10, "EUR")) for card in range(cards_of(entries))]
    for start in range(0, len(loads), _GROUP):
        await asyncio.gather(*map(ledger.submit, loads[start : start + _GROUP]))
    await _fill(ledger, entries, progress)
    await ledger.close()


async def _register(ledger: Ledger, root: SoftwareSigner) -> None:
    signer = BenchScheme(1).signer
    change = KeyChange("add", "scheme", kid_of(signer.public_key), signer.public_key, "bench", 1)
    approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", root)])
    await ledger.submit(replace(change, approvals=approvals))


async def _fill(ledger: Ledger, entries: int, progress: Any) -> None:
    scheme = BenchScheme(cards_of(entries))
    bodies = scheme.authorisations()
    seq = 0
    while seq < entries - 1:
        asked = [next(bodies) for _ in range(_GROUP)]
        asks = [scheme.webhook("authorisation", body, name) for name, body in asked]
        await asyncio.gather(*map(ledger.submit, asks))
        clears = [scheme.webhook("presentment", scheme.presentment(name), f"p-{name}") for name, _ in asked]
        seq = max(answer.seq for answer in await asyncio.gather(*map(ledger.submit, clears)))
        progress(seq)
