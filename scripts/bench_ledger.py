"""Makes a ledger of a given size for the bench, through the writer itself, and signs requests as its Scheme."""

import asyncio
import base64
import hashlib
import itertools
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeAlias

from signed_ledger.encoding import decode_request
from signed_ledger.keyring import approve
from signed_ledger.ledger import Ledger, Limits, Webhook, create_ledger, found
from signed_ledger.money import Money
from signed_ledger.records import Evidence, HttpRequest, KeyChange, Load, RegisteredKey
from signed_ledger.schemes import WEBHOOK, verify
from signed_ledger.signing import KeyFolder, Signer, SoftwareSigner, kid_of
from signed_ledger.store import Store
from signed_ledger.trust import Trust, encode_trust

ORIGIN = "bench.example/ledger"
AUTHORITY = "localhost:8080"
SCHEME_SEED = hashlib.sha256(b"the bench's Scheme").digest()
CARDS_MAX: Final = 10_000
Progress: TypeAlias = Callable[[int], object]
_GROUP: Final = 500
_AHEAD: Final = 4
"""How many groups are signed, or being signed, before they are wanted."""
_ENTRIES_OF_A_PAIR: Final = 5
"""An authorisation's one, a presentment's four."""
_WORTH_PROCESSES: Final = 10_000


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

    def authorisations(self, start: int = 0) -> Iterator[tuple[str, bytes]]:
        """(transaction id, body), for ever, card by card from the one numbered `start` on."""
        for number in itertools.count(start):
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


def found_ledger(folder: Path) -> None:
    """Make `folder`/ledger.db and its keys; the Scheme's key is registered, and nothing else is in it."""
    keys = KeyFolder(folder / "keys", lambda: None)
    root, entry, checkpoint = (keys.create(role) for role in ("root", "entry", "checkpoint"))
    genesis, sealed = found(
        ORIGIN, roots=[root], threshold=1, entry=entry, checkpoint=checkpoint, now=now(), random_bytes=os.urandom
    )
    (folder / "keys" / "trust.json").write_bytes(encode_trust(Trust(ORIGIN, (root.public_key,), 1)))
    create_ledger(folder / "ledger.db", genesis, sealed)
    signer = BenchScheme(1).signer
    change = KeyChange("add", "scheme", kid_of(signer.public_key), signer.public_key, "bench", 1)
    approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", root)])
    asyncio.run(_register(folder, replace(change, approvals=approvals)))


async def make_ledger(folder: Path, entries: int, progress: Progress) -> None:
    """Found a ledger and grow it to at least `entries` entries; `progress` is told the newest seq now and then."""
    await asyncio.to_thread(found_ledger, folder)
    await grow_ledger(folder, entries, range(cards_of(entries)), progress)


async def grow_ledger(folder: Path, entries: int, cards: range, progress: Progress) -> None:
    """Load the cards of these numbers, then authorise and present, over all cards up to them, up to `entries` entries.

    Through the writer itself, with real signatures, so the bytes are those of the service. It is faster because nobody
    waits for an answer: groups are larger, nothing is synchronous to the disk, and other processes sign as the Scheme.
    """
    async with _opened(folder) as ledger:
        loads = [Load(f"load-{card}", f"card-{card}", Money(10**10, "EUR")) for card in cards]
        for start in range(0, len(loads), _GROUP):
            await asyncio.gather(*map(ledger.submit, loads[start : start + _GROUP]))
        await _fill(ledger, entries, cards.stop, progress)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Ledger]:
    keys = KeyFolder(folder / "keys", lambda: None)
    store = await Store.open(folder / "ledger.db", busy_timeout_ms=5_000)
    for pragma in ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -524288"):
        await store.connection.run(sqlite3.Connection.execute, pragma)
    limits = Limits(queue_commands_max=4 * _GROUP, group_commands_max=2 * _GROUP)
    load_signer: Callable[[bytes], Signer] = cache(partial(keys.signer, "entry"))
    ledger = await Ledger.open(store, load_signer=load_signer, clock=now, random_bytes=os.urandom, limits=limits)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _register(folder: Path, change: KeyChange) -> None:
    async with _opened(folder) as ledger:
        await ledger.submit(change)


async def _fill(ledger: Ledger, entries: int, cards: int, progress: Progress) -> None:
    """Authorisations go into one group with the presentments of those before them."""
    loop, clears = asyncio.get_running_loop(), list[Webhook]()
    pairs = -((ledger.tree.size - entries) // _ENTRIES_OF_A_PAIR)
    with _signers(pairs) as pool:
        signing = (
            loop.run_in_executor(pool, _sign, cards, start, min(_GROUP, pairs - start))
            for start in range(0, pairs, _GROUP)
        )
        ahead = deque(itertools.islice(signing, _AHEAD))
        while ahead or clears:
            asks, following = await ahead.popleft() if ahead else ([], [])
            ahead.extend(itertools.islice(signing, 1))
            await asyncio.gather(*map(ledger.submit, [*asks, *clears]))
            clears = following
            progress(ledger.tree.size - 1)


def _signers(pairs: int) -> Executor:
    """Processes, where there is so much to sign that they are worth their start."""
    if pairs < _WORTH_PROCESSES:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(max(1, (os.cpu_count() or 1) - 1), get_context("spawn"))


def _sign(cards: int, start: int, count: int) -> tuple[list[Webhook], list[Webhook]]:
    """The authorisations from the one numbered `start` on, and their presentments."""
    scheme = BenchScheme(cards)
    asked = list(itertools.islice(scheme.authorisations(start), count))
    asks = [scheme.webhook("authorisation", body, name) for name, body in asked]
    return asks, [scheme.webhook("presentment", scheme.presentment(name), f"p-{name}") for name, _ in asked]
