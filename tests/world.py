"""A real ledger on a real file, and the parties that talk to it, in one process."""

import base64
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from signed_ledger.config import WAL_ROWS_MAX
from signed_ledger.encoding import decode_request
from signed_ledger.keyring import approve, approving_name
from signed_ledger.ledger import Answer, Ledger, Limits, Webhook, create_ledger, found
from signed_ledger.money import Money
from signed_ledger.publishing import CheckpointLock, Publisher
from signed_ledger.records import AccountId, AuthorisationState, Evidence, HttpRequest, KeyChange, Load, RegisteredKey
from signed_ledger.schemes import WEBHOOK, verify
from signed_ledger.signing import SoftwareSigner, kid_of
from signed_ledger.store import Reader, Store
from signed_ledger.telemetry import Metrics

ORIGIN = "issuer.example/ledger"
AUTHORITY = "issuer.example"
START = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z
DAY = 86_400_000_000


class Clock:
    """A clock that stands until it is moved; microseconds."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Party:
    """A Scheme, operator or auditor with one key."""

    def __init__(self, name: str, seed: bytes | None = None) -> None:
        self.name = name
        self.signer = SoftwareSigner(seed or os.urandom(32))
        self.kid = kid_of(self.signer.public_key)

    def request(self, path: str, body: bytes, webhook_id: str, now: int) -> HttpRequest:
        """A webhook as this party would sign it, in a few lines of its own."""
        fields = {
            "content-type": "application/json",
            "content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
            "webhook-id": webhook_id,
        }
        derived = {"@method": "POST", "@authority": AUTHORITY, "@path": path, "@query": "?"}
        covered = {**derived, **fields}
        names = " ".join(f'"{name}"' for name in covered)
        params = f'({names});created={now // 1_000_000};keyid="{self.kid}";tag="signed-ledger"'
        base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
        signature = base64.b64encode(self.signer.sign(base.encode())).decode()
        fields |= {"signature-input": f"sig1={params}", "signature": f"sig1=:{signature}:"}
        return HttpRequest("POST", AUTHORITY, path, "?", fields, body)


class StandardParty(Party):
    """A Scheme that signs by Standard Webhooks v1a."""

    def request(self, path: str, body: bytes, webhook_id: str, now: int) -> HttpRequest:
        timestamp = str(now // 1_000_000)
        signature = self.signer.sign(b".".join([webhook_id.encode(), timestamp.encode(), body]))
        fields = {
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
        }
        return HttpRequest("POST", AUTHORITY, path, "?", fields, body)


class World:
    """One ledger's keys, file and clock, and what happened in it so far."""

    def __init__(self, folder: Path, now: int = START) -> None:
        self.path = folder / "ledger.db"
        self.lock_path = folder / "checkpoint.lock"
        self.clock = Clock(now)
        self.root, self.entry, self.checkpoint = (SoftwareSigner(os.urandom(32)) for _ in range(3))
        self.checkpoints = [self.checkpoint]
        self.signers = {self.entry.public_key: self.entry}
        self.numbers = itertools.count(1)
        genesis, sealed = found(
            ORIGIN,
            roots=[self.root],
            threshold=1,
            entry=self.entry,
            checkpoint=self.checkpoint,
            now=self.clock(),
            random_bytes=os.urandom,
        )
        create_ledger(self.path, genesis, sealed)

    async def open(self, *, wal_rows_max: int = WAL_ROWS_MAX, **limits: Any) -> Ledger:
        """A writer on the ledger; any number may be open at once, as processes would."""
        store = await Store.open(self.path, busy_timeout_ms=5_000, wal_rows_max=wal_rows_max)
        try:
            return await Ledger.open(
                store,
                load_signer=self.signers.__getitem__,
                clock=self.clock,
                random_bytes=os.urandom,
                limits=Limits(**{"queue_commands_max": 2_000, **limits}),
            )
        except BaseException:
            await store.close()
            raise

    def publisher(self, ledger: Ledger, reader: Reader, metrics: Metrics | None = None) -> Publisher:
        """What publishes the ledger; its lock file is made when it is opened."""
        lock = CheckpointLock(self.lock_path)

        def load_signer(public_key: bytes) -> SoftwareSigner:
            return next(signer for signer in self.checkpoints if signer.public_key == public_key)

        return Publisher(ledger, reader, lock, load_signer, metrics or Metrics())

    def forked(self, folder: Path) -> "World":
        """A copy of the file, which nobody has open, with the same keys and the same lock file."""
        folder.mkdir()
        other = copy(self)
        other.path = folder / "ledger.db"
        shutil.copy(self.path, other.path)
        return other

    # --- keys ------------------------------------------------------------------------------------------------------

    def key_change(self, ledger: Ledger, op: str, role: str, whose: str, public_key: bytes) -> KeyChange:
        """A key change that the root approved."""
        change = KeyChange(op, role, kid_of(public_key), public_key, whose, ledger.keyring.version + 1)
        return replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", self.root)]))

    async def register(self, ledger: Ledger, role: str, name: str, kind: type[Party] = Party) -> Party:
        party = kind(name)
        await ledger.submit(self.key_change(ledger, "add", role, name, party.signer.public_key))
        return party

    async def rotate_entry_key(self, ledger: Ledger) -> SoftwareSigner:
        """Replace the entry key, approved by root, new and old."""
        new = SoftwareSigner(os.urandom(32))
        old = self.signers[ledger.keyring.current("entry").public_key]
        self.signers[new.public_key] = new
        await self._rotate(ledger, "entry", new, old)
        return new

    async def rotate_checkpoint_key(self, ledger: Ledger) -> SoftwareSigner:
        """Replace the checkpoint key likewise."""
        new, old = SoftwareSigner(os.urandom(32)), self.checkpoints[-1]
        self.checkpoints.append(new)
        await self._rotate(ledger, "checkpoint", new, old)
        return new

    async def _rotate(self, ledger: Ledger, role: str, new: SoftwareSigner, old: SoftwareSigner) -> None:
        kid = kid_of(new.public_key)
        change = KeyChange("add", role, kid, new.public_key, ORIGIN, ledger.keyring.version + 1)
        name = approving_name(ORIGIN, role, ORIGIN)
        approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", self.root), (name, new), (name, old)])
        await ledger.submit(replace(change, approvals=approvals))

    # --- money -----------------------------------------------------------------------------------------------------

    async def load(self, ledger: Ledger, card_id: str, amount: int, currency: str = "EUR") -> Answer:
        return await ledger.submit(Load(f"load-{next(self.numbers)}", card_id, Money(amount, currency)))

    def webhook(self, scheme: Party, kind: str, body: dict[str, Any] | bytes, webhook_id: str | None = None) -> Webhook:
        """A verified webhook as the api would hand it over."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        name = webhook_id or f"wh-{next(self.numbers)}"
        evidence = self.evidence(scheme, f"/{kind}", raw, name)
        return Webhook(scheme.name, name, decode_request(kind, raw), evidence)

    def evidence(self, scheme: Party, path: str, body: bytes, webhook_id: str) -> Evidence:
        key = RegisteredKey(scheme.kid, "scheme", scheme.name, scheme.signer.public_key, 0)
        request = scheme.request(path, body, webhook_id, self.clock())
        find_key: Callable[[str], RegisteredKey | None] = {key.kid: key}.get
        return verify(request, find_key, self.clock(), coverage=WEBHOOK, authorities=None, standard_keys=lambda: [key])


def authorisation(transaction_id: str, card_id: str, amount: str, currency: str = "EUR", **more: Any) -> dict[str, Any]:
    """The body of an authorisation webhook."""
    return {
        "transaction_id": transaction_id,
        "card_id": card_id,
        "merchant_name": "Café Central",
        "merchant_country": "AT",
        "merchant_mcc": "5812",
        "billing_amount": amount,
        "billing_currency": currency,
        "transaction_amount": amount,
        "transaction_currency": currency,
        **more,
    }


def presentment(transaction_id: str, amount: str, currency: str = "EUR", **more: Any) -> dict[str, Any]:
    """The body of a presentment webhook."""
    return {"transaction_id": transaction_id, "settlement_amount": amount, "settlement_currency": currency, **more}


def euros(name: str, amount: str) -> dict[str, str]:
    """The two fields of an amount."""
    return {f"{name}_amount": amount, f"{name}_currency": "EUR"}


@asynccontextmanager
async def opened(world: World, **limits: Any) -> AsyncIterator[Ledger]:
    """A writer that is closed at the end, whatever happens."""
    ledger = await world.open(**limits)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def publishing(world: World, metrics: Metrics | None = None) -> AsyncIterator[tuple[Ledger, Publisher]]:
    """A writer and what publishes it, as a server starts them."""
    async with opened(world) as ledger, reading(world) as reader:
        publisher = world.publisher(ledger, reader, metrics)
        await publisher.open()
        yield ledger, publisher


@asynccontextmanager
async def reading(world: World) -> AsyncIterator[Reader]:
    """A reader that is closed at the end."""
    reader = await Reader.open(world.path, busy_timeout_ms=5_000)
    try:
        yield reader
    finally:
        await reader.close()


async def state_of(world: World, transaction_id: str, scheme: str = "visa") -> AuthorisationState | None:
    """Where a transaction stands, as the file has it; `None` where there is none."""
    async with reading(world) as reader:
        found = (await reader.transaction(transaction_id)).get(scheme)
    return None if found is None else found.state


async def balances_of(world: World, *owners: str) -> dict[AccountId, tuple[int, int]]:
    """Posted and held of each of these owners' accounts, as the file has them."""
    async with reading(world) as reader:
        found = [await reader.balances(owner, None) for owner in owners]
    states = [balance.state for each in found for balance in each.balances]
    return {state.account: (state.posted, state.held) for state in states}
