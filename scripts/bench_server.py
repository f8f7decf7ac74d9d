"""A server that is measured, what is sent to it, and the ledgers that it serves: what the benches share."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import uvloop
from tqdm import tqdm

from scripts.bench_client import Load, run_load
from scripts.bench_ledger import AUTHORITY, BenchScheme, make_ledger
from scripts.bench_processes import cpu_seconds, memory_mib, peak_mib
from signed_ledger.store import SCHEMA_VERSION


@dataclass(slots=True)
class Row:
    """One line of the table; `cpu_us` is the CPU time, for a request, of all the server's processes."""

    what: str
    load: Load
    cpu_us: float


class Server:
    """A server process and its children: their CPU time and their memory."""

    def __init__(self, command: list[str], port: int, environment: dict[str, str]) -> None:
        self.port = port
        started = time.perf_counter()
        self._process = subprocess.Popen(command, env={**os.environ, **environment})
        self._wait()
        self.start_seconds = time.perf_counter() - started

    def _wait(self) -> None:
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None:
                    raise SystemExit(f"the server ended with {self._process.returncode}") from None
                time.sleep(0.005)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def memory_mib(self) -> float:
        return memory_mib(self._process.pid)

    def peak_mib(self) -> float:
        return peak_mib(self._process.pid)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(60) != 0:
            raise SystemExit(f"the server ended with {self._process.returncode}")


def serving(folder: Path, workers: int = 1) -> Server:
    """The service on the ledger in `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "signed_ledger", "serve", "--workers", str(workers)]
    return Server(command, port, settings_of(folder, port))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def measure(server: Server, what: str, requests: Iterator[bytes], connections: int, seconds: float) -> Row:
    """Requests in any order over any connection."""
    return await measure_each(server, what, lambda _: requests, connections, seconds)


async def measure_each(
    server: Server, what: str, requests: Callable[[int], Iterator[bytes]], connections: int, seconds: float
) -> Row:
    """What `requests` gives for the number of a connection, one after the other."""
    before = server.cpu_seconds()
    load = await run_load(server.port, requests, connections=connections, seconds=seconds)
    if not set(load.statuses) <= {200, 201}:
        raise SystemExit(f"{what}: unexpected answers {dict(load.statuses)}")
    return Row(what, load, (server.cpu_seconds() - before) / len(load.latencies) * 1e6)


class Work:
    """Signed requests made before the clock starts, so that the generator's signing does not count."""

    def __init__(self, cards: int) -> None:
        self.scheme = BenchScheme(cards)
        self._bodies = self.scheme.authorisations()
        self._authorised: list[str] = []

    def authorisations(self, count: int) -> list[bytes]:
        asked = [next(self._bodies) for _ in range(count)]
        self._authorised += [name for name, _ in asked]
        return [self.scheme.wire("authorisation", body, name) for name, body in asked]

    def presentments(self, answered: int) -> list[bytes]:
        """For the first `answered` of the authorisations that were asked last."""
        names, self._authorised = self._authorised[:answered], []
        return [self._presentment(name) for name in names]

    def halves(self, count: int) -> Callable[[int], Iterator[bytes]]:
        """For each connection authorisations, each with its presentment after it; so many pairs in all."""
        asked = [next(self._bodies) for _ in range(count)]
        return _shared(
            [(self.scheme.wire("authorisation", body, name), self._presentment(name)) for name, body in asked]
        )

    def lives(self, count: int) -> Callable[[int], Iterator[bytes]]:
        """For each connection whole lives: authorise, increment, two clearings, refund; so many lives in all."""
        asked = [next(self._bodies) for _ in range(count)]
        return _shared([tuple(self.scheme.life(name, body)) for name, body in asked])

    def _presentment(self, name: str) -> bytes:
        return self.scheme.wire("presentment", self.scheme.presentment(name), f"p-{name}")


def _shared(orders: list[tuple[bytes, ...]]) -> Callable[[int], Iterator[bytes]]:
    """Each connection takes the next order and sends it in its order: none is out of work before the others."""
    waiting = iter(orders)
    return lambda _: chain.from_iterable(waiting)


def ledger_folder(cache: Path, entries: int) -> Path:
    """A fresh copy of a ledger of this size; the original is made once and kept."""
    kept = cache / f"ledger-{entries}-schema-{SCHEMA_VERSION}"
    if not (kept / "ready").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        with tqdm(total=entries, unit=" entries", desc="making a ledger", disable=None) as bar:
            uvloop.run(make_ledger(kept, entries, lambda seq: bar.update(seq - bar.n)))
        (kept / "ready").touch()
    used = cache / "in-use"
    shutil.rmtree(used, ignore_errors=True)
    shutil.copytree(kept, used)
    return used


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("ledger.db*"))


def settings_of(folder: Path, port: int) -> dict[str, str]:
    return {
        "SIGNED_LEDGER_DATABASE": str(folder / "ledger.db"),
        "SIGNED_LEDGER_KEYS": str(folder / "keys"),
        "SIGNED_LEDGER_ORIGIN": "bench.example/ledger",
        "SIGNED_LEDGER_PORT": str(port),
        "SIGNED_LEDGER_ADMIN_PORT": "0",
        "SIGNED_LEDGER_AUTHORITIES": AUTHORITY,
        "SIGNED_LEDGER_LOG_LEVEL": "warning",
    }
