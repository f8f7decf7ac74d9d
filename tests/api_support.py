"""The API as callers meet it: a real ledger on a real file behind a real server, and callers that sign for themselves.

Every answer is held against the OpenAPI document: its status, its schema, its code.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from openapi_schema_validator import OAS31Validator
from yarl import URL

from scripts.send_webhook import sign_request, sign_standard
from signed_ledger.api.app import make_app
from signed_ledger.api.openapi import openapi_document
from signed_ledger.api.operations import OPERATIONS
from signed_ledger.api.server import runner_of
from signed_ledger.config import Settings
from signed_ledger.ledger import Ledger, Limits
from signed_ledger.money import Money
from signed_ledger.publishing import Publisher
from signed_ledger.records import Load
from signed_ledger.store import Reader, Store
from signed_ledger.telemetry import Metrics
from tests.support import assert_audits
from tests.world import AUTHORITY, World

BASE = f"http://{AUTHORITY}"
ALIASES = [alias for operation in OPERATIONS for alias in operation.aliases]


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> Any:
        return self.json.get("code")

    @property
    def facts(self) -> tuple[int, str | None, str | None]:
        """Status, code and field of a problem."""
        return self.status, self.json.get("code"), self.json.get("field")


class Caller:
    """A Scheme, operator or auditor with a private key; `signed` gives the header fields of a request."""

    def __init__(self, name: str, site: "Site") -> None:
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self._site = site

    def signed(
        self, method: str, path: str, body: bytes | None = None, webhook_id: str | None = None, **how: Any
    ) -> Any:
        how.setdefault("created", self._site.world.clock() // 1_000_000)
        url = how.pop("base", BASE) + path
        return sign_request(self.key, method, url, body, webhook_id, **how)


class StandardCaller(Caller):
    """A Scheme that signs by Standard Webhooks v1a, whatever the method and path."""

    def signed(
        self, method: str, path: str, body: bytes | None = None, webhook_id: str | None = None, **how: Any
    ) -> Any:
        assert body is not None
        assert webhook_id is not None
        how.setdefault("timestamp", self._site.world.clock() // 1_000_000)
        return sign_standard(self.key, body, webhook_id, **how)


class Site:
    """A served ledger."""

    def __init__(
        self, world: World, ledger: Ledger, reader: Reader, metrics: Metrics, client: Any, publisher: Publisher
    ) -> None:
        self.publisher = publisher
        self.world = world
        self.ledger = ledger
        self.reader = reader
        self.metrics = metrics
        self.client = client

    async def caller(self, role: str, name: str) -> Caller:
        """A party whose key is registered."""
        caller = Caller(name, self)
        await self.register(caller, role)
        return caller

    async def register(self, caller: Caller, role: str, ledger: Ledger | None = None) -> None:
        ledger = ledger or self.ledger
        public_key = caller.key.public_key().public_bytes_raw()
        await ledger.submit(self.world.key_change(ledger, "add", role, caller.name, public_key))

    async def retire(self, caller: Caller, role: str, ledger: Ledger | None = None) -> None:
        ledger = ledger or self.ledger
        public_key = caller.key.public_key().public_bytes_raw()
        await ledger.submit(self.world.key_change(ledger, "retire", role, caller.name, public_key))

    async def load(
        self, card_id: str, minor: int, currency: str = "EUR", name: str | None = None, ledger: Ledger | None = None
    ) -> int:
        load = Load(name or f"load-{next(self.world.numbers)}", card_id, Money(minor, currency))
        return (await (ledger or self.ledger).submit(load)).seq

    async def post(
        self, caller: Caller, path: str, body: Any, webhook_id: str | None = None, headers: Any = None, **how: Any
    ) -> Told:
        """Sign and send a webhook. `headers` are added, or replace what was signed."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        webhook_id = webhook_id or f"auto-{next(self.world.numbers)}"
        signed = caller.signed("POST", path, raw, webhook_id, **how)
        return await self.send("POST", path, {**signed, **(headers or {})}, raw)

    async def get(self, caller: Caller, path: str, **how: Any) -> Told:
        return await self.send("GET", path, caller.signed("GET", path, **how))

    async def send(self, method: str, path: str, headers: Any = None, data: Any = None) -> Told:
        """Send as it is, and hold the answer against the OpenAPI document."""
        given = {"Host": AUTHORITY, **(headers or {})}
        url = URL(str(self.client.make_url("/")).rstrip("/") + path, encoded=True)
        skip = None if "Content-Type" in given else ["Content-Type"]
        async with self.client.session.request(method, url, headers=given, data=data, skip_auto_headers=skip) as answer:
            told = Told(answer.status, answer.headers, await answer.read())
        if method != "HEAD":
            assert_documented(method, path.partition("?")[0], told)
        return told

    async def bytes(self, sent: bytes) -> bytes:
        """Send bytes over a socket and read until it is closed."""
        reader, writer = await asyncio.open_connection(self.client.host, self.client.port)
        writer.write(sent)
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


class _Server(TestServer):
    """As `run_server` serves: problem documents for bad HTTP too."""

    async def _make_runner(self, **options: Any) -> web.AppRunner:
        return runner_of(self.app, options.get("shutdown_timeout", 60.0))


@asynccontextmanager
async def serving(folder: Path, audited: bool = True, limits: Any = None, **settings: Any) -> AsyncIterator[Site]:
    """A served ledger, audited at the end unless the test is about tampering with it."""
    world = World(folder)
    metrics = Metrics()
    ledger = await open_ledger(world, metrics, **(limits or {}))
    reader = await Reader.open(world.path, busy_timeout_ms=1_000)
    publisher = world.publisher(ledger, reader, metrics)
    app = make_app(ledger, reader, publisher, Settings(authorities=(AUTHORITY,), **settings), metrics, world.clock)
    try:  # a test that fails must not leave the store's threads behind: the run would not end
        await publisher.open()
        async with TestClient(_Server(app), connector=aiohttp.TCPConnector(limit=0)) as client:
            yield Site(world, ledger, reader, metrics, client, publisher)
    finally:
        await ledger.close()
        await reader.close()
    if audited:
        assert_audits(world.path)


async def open_ledger(world: World, metrics: Metrics, **limits: Any) -> Ledger:
    return await Ledger.open(
        await Store.open(world.path, busy_timeout_ms=5_000),
        load_signer=world.signers.__getitem__,
        clock=world.clock,
        random_bytes=os.urandom,
        metrics=metrics,
        limits=Limits(**limits),
    )


# --- the answer, and what the OpenAPI document says of it ----------------------------------------------------------


@cache
def document() -> dict[str, Any]:
    return openapi_document()


def assert_documented(method: str, path: str, told: Told) -> None:
    """Fail unless the document has this operation, this status, and a schema that the answer is valid under."""
    media = told.headers["Content-Type"].partition(";")[0]
    response = documented_response(method, path, told)
    assert media in response["content"], (method, path, told.status, media)
    if media.endswith("json"):
        validator(response["content"][media]["schema"]).validate(told.json)
    for name in response.get("headers", {}):
        assert name in told.headers or name == "Idempotent-Replayed", name


def documented_response(method: str, path: str, told: Told) -> Any:
    components = document()["components"]["responses"]
    operation = _operation(method, path)
    if operation is None:
        return components[told.code]
    return operation["responses"].get(str(told.status)) or components[told.code]


def _operation(method: str, path: str) -> Any:
    given = path.removesuffix("/").split("/") if path in ALIASES else path.split("/")
    if path.startswith("/tile/"):
        given = [*given[:2], "/".join(given[2:])]  # a tile's name has slashes in it
    for template, methods in document()["paths"].items():
        names = template.split("/")
        if len(names) == len(given) and all(a == b or a[:1] == "{" for a, b in zip(names, given, strict=True)):
            return methods.get(method.lower())
    return None


def validator(schema: dict[str, Any]) -> OAS31Validator:
    return OAS31Validator({**schema, "components": document()["components"]})
