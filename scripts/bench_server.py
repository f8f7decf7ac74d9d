"""A server that is measured, what is sent to it, and the ledgers that it serves: what the benches share."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop
from tqdm import tqdm

from scripts.bench_client import Load, run_load
from scripts.bench_ledger import AUTHORITY, BenchScheme, make_ledger
from signed_ledger.store import SCHEMA_VERSION


@dataclass(slots=True)
class Row:
    """One line of the table; `cpu_us` is the server's CPU time for a request."""

    what: str
    load: Load
    cpu_us: float

    def shown(self, echo: float) -> str:
        load = self.load
        return (
            f"| {self.what} | {load.connections} | {load.per_second:,.0f} | {load.per_second / echo:.0%} "
            f"| {load.percentile(0.5):.2f} | {load.percentile(0.99):.2f} | {self.cpu_us:.0f} |"
        )


class Server:
    """A server process, its CPU time and its peak memory, read from /proc."""

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
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(60) != 0:
            raise SystemExit(f"the server ended with {self._process.returncode}")


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

    def lives(self, count: int) -> Iterator[bytes]:
        """The messages of so many lives, each in order: authorise, increment, two clearings, refund."""
        asked = [next(self._bodies) for _ in range(count)]
        sent = [request for name, body in asked for request in self.scheme.life(name, body)]
        return iter(sent)

    def presentments(self, answered: int) -> list[bytes]:
        """For the first `answered` of the authorisations that were asked last."""
        names, self._authorised = self._authorised[:answered], []
        return [self.scheme.wire("presentment", self.scheme.presentment(name), f"p-{name}") for name in names]


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
