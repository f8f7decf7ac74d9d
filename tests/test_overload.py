"""A server that is asked for more than it can do, and clients that misbehave: real processes, real sockets.

`make bench-overload` is the long form, with figures.
"""

import asyncio
import json
import re
import resource
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from scripts.bench_client import run_load
from scripts.bench_processes import memory_mib
from scripts.bench_rude import drip, hang_up, silent
from scripts.send_webhook import sign_request
from signed_ledger.listening import FILES_KEPT
from tests.callers import Answered, authorisation, post
from tests.processes import Installation, Server, installed, wait_until

UNSIGNED = (
    b"POST /authorisation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


@contextmanager
def written_to(installation: Installation) -> Iterator[None]:
    """While another process writes, nothing can be decided: what the server took is in hand, and stays so."""
    connection = sqlite3.connect(installation.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def answered(installation: Installation) -> set[str]:
    return {name for (name,) in installation.rows("SELECT webhook_id FROM webhooks")}


def wire(installation: Installation, server: Server, name: str) -> tuple[bytes, int]:
    """A signed request as its bytes, and how many of them are its head."""
    body = authorisation(name)
    headers = sign_request(installation.scheme.key, "POST", f"{server.url}/authorisation", body, name)
    fields = {"host": f"127.0.0.1:{server.port}", "content-length": len(body), **headers}
    head = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
    start = f"POST /authorisation HTTP/1.1\r\n{head}\r\n".encode()
    return start + body, len(start)


async def ask(installation: Installation, server: Server, session: aiohttp.ClientSession, name: str) -> tuple[int, str]:
    """Give the status, and the Retry-After."""
    url, body = f"{server.url}/authorisation", authorisation(name)
    headers = sign_request(installation.scheme.key, "POST", url, body, name)
    async with session.post(url, data=body, headers=headers) as response:
        await response.read()
        return response.status, response.headers.get("Retry-After", "")


async def again(installation: Installation, server: Server, session: aiohttp.ClientSession, name: str) -> Answered:
    return await post(session, server.url, installation.scheme.key, "/authorisation", name, authorisation(name))


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_is_too_much_is_refused_at_once_and_none_of_it_is_decided(
    installation: Installation, workers: int
) -> None:
    settings = {"QUEUE_COMMANDS_MAX": 8, "BUSY_TIMEOUT_MS": 60_000}
    connector = aiohttp.TCPConnector(limit=0)
    with installation.serve("--workers", workers, **settings) as server:
        async with aiohttp.ClientSession(connector=connector) as session:
            names = [f"tx-{number}" for number in range(40)]
            with written_to(installation):
                asks = {name: asyncio.create_task(ask(installation, server, session, name)) for name in names}
                assert set(await first_done([*asks.values()], 32)) == {(503, "1")}, "nothing else can be told yet"
                assert not all(task.done() for task in asks.values())
            told = {name: (await task)[0] for name, task in asks.items()}
            assert set(told.values()) == {201, 503}
            assert answered(installation) == {name for name, status in told.items() if status == 201}
            assert workers > 1 or list(told.values()).count(201) == 8, "those that are being written count too"
            refused = [name for name, status in told.items() if status == 503]
            retried = [await again(installation, server, session, name) for name in refused]
            assert {(answer.status, answer.replayed) for answer in retried} == {(201, False)}
    installation.assert_audits()


async def test_what_is_refused_costs_no_verification_and_no_memory(installation: Installation) -> None:
    with installation.serve(QUEUE_COMMANDS_MAX=1, BUSY_TIMEOUT_MS=60_000) as server:
        async with aiohttp.ClientSession() as session:
            with written_to(installation):
                first = asyncio.create_task(ask_until_decided(installation, server, session, "tx-1"))
                await until_full(server)
                load = await run_load(server.port, lambda _: repeat(UNSIGNED, 50), connections=16, seconds=60)
                before = memory_mib(server.process.pid)
                load = await run_load(server.port, lambda _: repeat(UNSIGNED, 500), connections=16, seconds=60)
                assert load.statuses == {503: 8_000}, "the signature is not looked at"
                assert memory_mib(server.process.pid) - before < 8, "1 KiB for each would be this much"
            assert await first == 201
        load = await run_load(server.port, lambda _: repeat(UNSIGNED, 1), connections=1, seconds=60)
        assert load.statuses == {401: 1}
    installation.assert_audits()


async def test_what_is_refused_unparsed_is_told_as_ever_and_its_connection_goes_on(installation: Installation) -> None:
    with installation.serve(QUEUE_COMMANDS_MAX=1, BUSY_TIMEOUT_MS=60_000, KEEPALIVE_TIMEOUT_S=1) as server:
        request, head = wire(installation, server, "tx-2")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def told(*pieces: bytes) -> tuple[int, dict[str, str], Any]:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)  # so that each piece comes by itself
            start, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            headers = dict(field.split(": ", 1) for field in fields)
            return int(start.split()[1]), headers, await reader.readexactly(int(headers["Content-Length"]))

        async with aiohttp.ClientSession() as session:
            with written_to(installation):
                first = asyncio.create_task(ask_until_decided(installation, server, session, "tx-1"))
                await until_full(server)
                shed = await told(request)
                assert shed[0] == 503
                for _ in range(8):
                    await asyncio.sleep(0.2)
                    assert await told(request) == shed, "a connection that is used is not closed as silent"
                assert (await told(b"GET /docs HTTP/1.1\r\nhost: x\r\n\r\n"))[0] == 200, "reading goes on"
                assert (await told(request.replace(b"/authorisation", b"/nothing")))[0] == 404
                status, headers, body = await told(request[:head], request[head:])
                assert (status, headers | {"Date": ""}, body) == (503, shed[1] | {"Date": ""}, shed[2])
            assert await first == 201
            assert (await told(request))[0] == 201
            writer.close()
        wait_until(lambda: refused_as_overloaded(server) >= 10)  # of ours; others asked until the queue was full
    installation.assert_audits()


def refused_as_overloaded(server: Server) -> float:
    line = next(line for line in server.lines if line["event"] == "serving")
    metrics = urllib.request.urlopen(f"http://{line['admin_host']}:{line['admin_port']}/metrics").read().decode()
    counted = re.search(r'^signed_ledger_refusals_total{code="overloaded"} (\S+)$', metrics, re.M)
    return 0 if counted is None else float(counted[1])


async def ask_until_decided(
    installation: Installation, server: Server, session: aiohttp.ClientSession, name: str
) -> int:
    """Give the status. What `until_full` asks may have the only place just then."""
    while (status := (await ask(installation, server, session, name))[0]) == 503:
        await asyncio.sleep(0.005)
    return status


async def until_full(server: Server) -> None:
    async with asyncio.timeout(20):
        while (await run_load(server.port, lambda _: repeat(UNSIGNED, 1), connections=1, seconds=60)).statuses[401]:
            await asyncio.sleep(0.01)


async def test_clients_that_misbehave_cost_others_nothing(installation: Installation) -> None:
    with installation.serve(KEEPALIVE_TIMEOUT_S=1, BODY_TIMEOUT_S=1, WAL_ROWS_MAX=100_000) as server:
        before = open_files(server)
        request, head = wire(installation, server, "dripped")
        leaving = {name: wire(installation, server, name)[0] for name in (f"left-{number}" for number in range(40))}
        async with silent(server.port, 200) as readers, aiohttp.ClientSession() as session:
            dripping = [asyncio.create_task(drip(server.port, request, sent, 0.1)) for sent in (0, 40, head, head + 20)]
            for number, (name, left) in enumerate(leaving.items()):
                sent = len(left) if number % 2 else number * 37
                await hang_up(server.port, left, sent, abort=number % 4 < 2)
                assert (await ask(installation, server, session, f"beside-{name}"))[0] == 201
            heads, bodies = [await task for task in dripping[:2]], [await task for task in dripping[2:]]
            assert heads == [b"", b""], "a head that does not come is not waited for"
            assert {answer[:12] for answer in bodies} <= {b"HTTP/1.1 408", b""}, "nor is a body"
            async with asyncio.timeout(20):
                assert {await reader.read() for reader in readers} == {b""}, "nor is one that never begins"
        wait_until(lambda: open_files(server) <= before)
        there = answered(installation)
        assert there & leaving.keys(), "of those who hung up when all was sent"
        async with aiohttp.ClientSession() as session:
            for name in leaving:
                answer = await again(installation, server, session, name)
                assert (answer.status, answer.replayed) == (201, name in there)
    assert "dripped" not in there
    installation.assert_audits()


async def test_connections_never_take_the_files_that_the_ledger_needs(installation: Installation) -> None:
    with installation.serve() as server:
        soft, hard = FILES_KEPT + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for pid in server.pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        async with aiohttp.ClientSession() as session:
            assert (await ask(installation, server, session, "before"))[0] == 201
            async with silent(server.port, soft) as readers:
                reads = [asyncio.create_task(reader.read()) for reader in readers]
                refused = await first_done(reads, soft - 19)
                assert {answer.partition(b"\r\n")[0] for answer in refused} == {b"HTTP/1.1 503 Service Unavailable"}
                assert all(b"\r\nRetry-After: 1\r\n" in answer for answer in refused)
                assert json.loads(refused[0].partition(b"\r\n\r\n")[2])["code"] == "overloaded"
                assert (await ask(installation, server, session, "meanwhile"))[0] == 201, "who is there is served"
                assert sum(task.done() for task in reads) == len(refused)
                for task in reads:
                    task.cancel()
        assert "failed" not in server.log, "checkpoints need files"
    installation.assert_audits()


async def first_done(tasks: list[asyncio.Task[Any]], count: int) -> list[Any]:
    """Wait for so many of them; what they gave."""
    async with asyncio.timeout(20):
        while sum(task.done() for task in tasks) < count:
            await asyncio.sleep(0.01)
    return [task.result() for task in tasks if task.done()]


def open_files(server: Server) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in server.pids)
