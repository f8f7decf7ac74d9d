"""Schemes that send signed webhooks to servers, one by one or as load, and remember what they were told."""

import asyncio
import json
import time
from typing import Any, NamedTuple

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.send_webhook import sign_request
from tests.processes import DEADLINE_SECONDS, Installation, Party


class Answered(NamedTuple):
    """What a caller was told."""

    status: int
    replayed: bool
    document: dict[str, Any]


def authorisation(transaction_id: str, amount: str = "0.01", card_id: str = "card-1") -> bytes:
    fields = {
        "transaction_id": transaction_id,
        "card_id": card_id,
        "merchant_name": "Shop",
        "merchant_country": "GB",
        "merchant_mcc": "5411",
        "billing_amount": amount,
        "billing_currency": "EUR",
        "transaction_amount": amount,
        "transaction_currency": "EUR",
    }
    return json.dumps(fields).encode()


def presentment(transaction_id: str, amount: str = "0.01", currency: str = "EUR") -> bytes:
    fields = {"transaction_id": transaction_id, "settlement_amount": amount, "settlement_currency": currency}
    return json.dumps(fields).encode()


async def post(
    session: aiohttp.ClientSession, url: str, key: Ed25519PrivateKey, path: str, webhook_id: str, body: bytes
) -> Answered:
    """Send a signed webhook; raises `aiohttp.ClientError` where no answer came."""
    headers = sign_request(key, "POST", url + path, body, webhook_id)
    async with session.post(url + path, data=body, headers=headers) as response:
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        return Answered(response.status, replayed, await response.json(content_type=None))


def send(url: str, party: Party, path: str, webhook_id: str, body: bytes) -> Answered:
    """Send one signed webhook over a connection of its own."""

    async def ask() -> Answered:
        async with aiohttp.ClientSession() as session:
            return await post(session, url, party.key, path, webhook_id, body)

    return asyncio.run(ask())


class Load:
    """Authorisations over several connections, again and again, until it is stopped; every answer is kept.

    `pause_seconds` between two of a connection's requests makes room for what else the test runs.
    """

    def __init__(
        self, party: Party, urls: list[str], connections: int = 8, *, pause_seconds: float = 0.01, name: str = "load"
    ) -> None:
        self.answers: dict[str, Answered] = {}
        self.unanswered: list[str] = []
        self._party = party
        self._urls = urls
        self._connections = connections
        self._pause_seconds = pause_seconds
        self._name = name
        self._stopped = False

    async def __aenter__(self) -> "Load":
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _send(self, connection: int) -> None:
        url = self._urls[connection % len(self._urls)]
        number = 0
        while not self._stopped:
            name = f"{self._name}-{connection}-{number}"
            number += 1
            try:
                body = authorisation(name)
                self.answers[name] = await post(self._session, url, self._party.key, "/authorisation", name, body)
            except aiohttp.ClientError:
                self.unanswered.append(name)
                return
            await asyncio.sleep(self._pause_seconds)

    async def until(self, count: int) -> None:
        """Wait until so many more answers came."""
        wanted = len(self.answers) + count
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(self.answers) < wanted:
            assert time.monotonic() < deadline, f"{len(self.answers)} of {wanted} answers"
            await asyncio.sleep(0.005)

    @property
    def approved(self) -> dict[str, Answered]:
        return {name: answer for name, answer in self.answers.items() if answer.status == 201}

    def assert_all_approved(self) -> None:
        assert not self.unanswered
        assert {answer.status for answer in self.answers.values()} == {201}


def assert_each_is_there_once(installation: Installation, acknowledged: dict[str, Answered]) -> None:
    """Every answer that a caller got stands in the audited ledger, once, to the byte."""
    installation.assert_audits()
    told = {name: (answer.document["seq"], answer.document["entry"]) for name, answer in acknowledged.items()}
    query = "SELECT w.webhook_id, e.seq, e.note FROM webhooks AS w JOIN entries AS e ON e.seq = w.seq"
    there = [(webhook_id, (seq, note.decode())) for webhook_id, seq, note in installation.rows(query)]
    assert told.items() <= dict(there).items()
    assert len(dict(there)) == len(there)
