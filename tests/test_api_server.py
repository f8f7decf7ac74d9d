"""The running server: from its start to its stop, a fault, and what the operator's own site shows."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from signed_ledger.api.app import make_admin_app, make_app
from signed_ledger.api.server import FAULT, STOPPED, run_admin, run_server
from signed_ledger.config import Settings
from signed_ledger.errors import Fault, Invalid
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics
from tests.api_support import Caller, Site, open_ledger, serving
from tests.support import assert_audits
from tests.world import World, authorisation


class Running(NamedTuple):
    """A server that runs as a task of this process, and a client."""

    task: "asyncio.Task[int]"
    stop: asyncio.Event
    port: int
    admin_port: int
    site: Site
    acme: Caller

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def authorise(self, transaction_id: str, **how: Any) -> tuple[int, Any]:
        body = json.dumps(authorisation(transaction_id, "card-1", "1.00")).encode()
        headers = self.acme.signed("POST", "/authorisation", body, f"evt-{transaction_id}", base=self.base)
        async with self.site.client.post(f"{self.base}/authorisation", data=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Running]:
    """A server on free ports, answering for the default authorities."""
    world, metrics = World(folder), Metrics()
    ledger = await open_ledger(world, metrics)
    reader = await Reader.open(world.path, busy_timeout_ms=1_000)
    chosen = Settings(port=0, admin_port=0, database=world.path, **settings)
    app = make_app(ledger, reader, world.publisher(ledger, reader), chosen, metrics, world.clock)
    stop = asyncio.Event()
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run_server(app, ledger, chosen, ready=ready.set_result, stop=stop))
    port = await ready
    async with run_admin(make_admin_app(metrics), chosen) as admin_port, aiohttp.ClientSession() as client:
        site = Site(world, ledger, reader, metrics, client, world.publisher(ledger, reader))
        acme = await site.caller("scheme", "acme")
        await site.load("card-1", 1_000_000)
        yield Running(task, stop, port, admin_port, site, acme)
    stop.set()
    await task
    await reader.close()
    assert_audits(world.path)


async def test_a_server_answers_for_the_port_that_it_was_given(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert (await server.authorise("tx-1"))[0] == 201


async def test_it_stops_when_told_to_and_what_was_acknowledged_is_in_the_ledger(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        asking = [asyncio.create_task(server.authorise(f"tx-{each}")) for each in range(40)]
        while await server.site.reader.head() < 10:
            await asyncio.sleep(0.005)
        server.stop.set()
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert await server.task == STOPPED
        acknowledged = {each[1]["seq"]: each[1] for each in told if isinstance(each, tuple) and each[0] == 201}
        assert acknowledged
        for seq, answer in acknowledged.items():
            entry = await server.site.reader.entry(seq)
            assert (entry.note, entry.parts.body) == (answer["entry"].encode(), answer["body"].encode())
        with pytest.raises(aiohttp.ClientConnectionError):
            await server.authorise("tx-99")


async def test_a_request_that_is_open_when_it_stops_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        locker = sqlite3.connect(server.site.world.path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        asking = asyncio.create_task(server.authorise("tx-1"))
        await asyncio.sleep(0.2)
        server.stop.set()
        await asyncio.sleep(0.2)
        assert not asking.done()
        locker.execute("ROLLBACK")
        locker.close()
        assert (await asking)[0] == 201
        assert await server.task == STOPPED


async def test_a_fault_is_500_to_who_waits_and_ends_the_server(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.authorise("tx-0")
        await server.site.ledger._store.rollback()
        writer = server.site.ledger._writer
        writer.head = writer.head._replace(note=b"another history")
        status, told = await server.authorise("tx-1")
        assert (status, told["code"], told["retryable"]) == (500, "internal_error", True)
        assert await asyncio.wait_for(server.task, 10) == FAULT
        assert isinstance(server.site.ledger.stopped.exception(), Fault)  # its line of log: tests/test_serve.py


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        world, metrics = World(tmp_path), Metrics()
        ledger = await open_ledger(world, metrics)
        reader = await Reader.open(world.path, busy_timeout_ms=1_000)
        settings = Settings(port=other.getsockname()[1], admin_port=other.getsockname()[1])
        app = make_app(ledger, reader, world.publisher(ledger, reader), settings, metrics, world.clock)
        with pytest.raises(Invalid, match="address already in use"):
            await run_server(app, ledger, settings, stop=asyncio.Event())
        with pytest.raises(Invalid, match="address already in use"):
            async with run_admin(make_admin_app(metrics), settings):
                pass
        await reader.close()


async def test_two_servers_share_a_port(tmp_path: Path) -> None:
    stop = asyncio.Event()
    world, metrics, ports = World(tmp_path), Metrics(), [0]
    tasks, readers = [], []
    for _ in range(2):
        ledger = await open_ledger(world, metrics)
        readers.append(await Reader.open(world.path, busy_timeout_ms=1_000))
        settings = Settings(port=ports[-1], admin_port=0)
        publisher = world.publisher(ledger, readers[-1])
        app = make_app(ledger, readers[-1], publisher, settings, metrics, world.clock)
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        running = run_server(app, ledger, settings, stop=stop, ready=ready.set_result)
        tasks.append(asyncio.create_task(running))
        ports.append(await ready)
    assert ports[1] == ports[2]
    stop.set()
    assert await asyncio.gather(*tasks) == [STOPPED, STOPPED]
    for reader in readers:
        await reader.close()
    assert_audits(world.path)


async def test_a_writer_that_stopped_is_not_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        acme = await site.caller("scheme", "acme")
        site.ledger._writer.head = site.ledger._writer.head._replace(note=b"another history")
        body = authorisation("tx-1", "card-1", "1.00")
        assert (await site.post(acme, "/authorisation", body)).facts == (500, "internal_error", None)
        assert (await site.send("GET", "/readyz")).facts == (503, "overloaded", None)
        assert (await site.post(acme, "/authorisation", body)).facts == (503, "overloaded", None)
        assert (await site.send("GET", "/healthz")).status == 200


# --- the operator's own site ---------------------------------------------------------------------------------------


async def test_metrics_are_on_the_admin_address_only(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.authorise("tx-1")
        await server.authorise("tx-1")
        async with server.site.client.get(f"{server.base}/metrics") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "not_found")
        async with server.site.client.get(f"http://127.0.0.1:{server.admin_port}/metrics") as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"].startswith("text/plain")
        for line in (
            'signed_ledger_decisions_total{kind="authorisation",reason="ok"} 1.0',
            'signed_ledger_refusals_total{code="not_found"} 1.0',
            "signed_ledger_replays_total 1.0",
            "signed_ledger_integrity_alarms_total 0.0",
            "signed_ledger_queue_commands 0.0",
        ):
            assert line in text
        assert "signed_ledger_commit_seconds_count" in text
        assert "signed_ledger_group_commands_count" in text


async def test_the_admin_site_has_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        for path in ("/", "/healthz", "/keys"):
            async with server.site.client.get(f"http://127.0.0.1:{server.admin_port}{path}") as answer:
                assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "not_found")


async def test_readiness_is_that_of_the_store(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        async with server.site.client.get(f"{server.base}/readyz") as answer:
            assert answer.status == 200
        file = sqlite3.connect(server.site.world.path, isolation_level=None)
        file.execute("ALTER TABLE entries RENAME TO hidden")
        async with server.site.client.get(f"{server.base}/readyz") as answer:
            told = await answer.json(content_type=None)
            assert (answer.status, told["code"], answer.headers["Retry-After"]) == (503, "overloaded", "1")
        async with server.site.client.get(f"{server.base}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        file.execute("ALTER TABLE hidden RENAME TO entries")
        file.close()
