"""An installation as an operator has it: a folder, commands and servers as processes, callers on real sockets."""

import asyncio
import atexit
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import structlog

from scripts.send_webhook import kid_of, load_key
from signed_ledger.cli import main
from signed_ledger.cli.founding import create
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.registering import registrar
from signed_ledger.cli.wiring import entry_signers, opened_ledger
from signed_ledger.config import Settings
from signed_ledger.killpoints import VARIABLE as KILLED_AT
from signed_ledger.money import Money
from signed_ledger.records import Load
from signed_ledger.signing import encode_public_pem, write_private_key
from tests.support import assert_audits

PROJECT = Path(__file__).resolve().parent.parent
ORIGIN = "issuer.example/ledger"
DEADLINE_SECONDS = 20.0


class Party:
    """A Scheme, operator or auditor, with its key pair in files; the pair is made where it is not there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.public_file, self.private_file = folder / f"{name}.pub.pem", folder / f"{name}.pem"
        if not self.private_file.exists():
            write_private_key(self.private_file, os.urandom(32), None)
        self.key = load_key(self.private_file, None)
        self.kid = kid_of(self.key)
        self.public_key = self.key.public_key().public_bytes_raw()
        self.public_file.write_bytes(encode_public_pem(self.public_key))


class Installation:
    """A folder with, once it is made, a ledger and its keys; the settings that name them; a Scheme and an operator."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.database = folder / "ledger.db"
        self.keys = folder / "keys"
        self.trust_file = self.keys / "trust.json"
        self.settings = {"DATABASE": str(self.database), "KEYS": str(self.keys), "ADMIN_PORT": "0"}
        self.settings["WAL_ROWS_MAX"] = "200"  # that the log is taken back is then met in every test
        self.scheme, self.operator = Party(folder, "acme"), Party(folder, "olga")

    def environment(self, **settings: object) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("SIGNED_LEDGER_")}
        ours = {f"SIGNED_LEDGER_{name}": str(value) for name, value in {**self.settings, **settings}.items()}
        return {**others, **ours, "PYTHONPATH": str(PROJECT), "PYTHONFAULTHANDLER": "1"}

    def run(self, *arguments: object, status: int = 0, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check its exit status."""
        return run(self.command(*arguments), self.environment(**settings), status)

    def ended(self, *arguments: object) -> tuple[int, str, str]:
        """Run a command to its end: (exit status, output, errors). Ctrl-C in a terminal is not for it."""
        done = subprocess.run(
            [*map(str, self.command(*arguments))],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        return done.returncode, done.stdout, done.stderr

    def command(self, *arguments: object) -> list[object]:
        return [sys.executable, "-m", "signed_ledger", *arguments]

    def refused(self, status: int, *arguments: object, **settings: object) -> str:
        """Ask for what must not be done, in this process; give the one sentence that says why."""
        ended, out, err = self._ask(arguments, settings)
        assert ended == status, (ended, err)
        assert out == ""
        assert err.count("\n") == 1, err
        return err

    def printed(self, *arguments: object, status: int = 0, **settings: object) -> str:
        """What a command prints, run in this process to its end."""
        ended, out, err = self._ask(arguments, settings)
        assert ended == status, (ended, out, err)
        return out

    def help(self, *command: object) -> str:
        ended, out, _ = self._ask((*command, "--help"), {})
        assert ended == 0
        return out

    def _ask(self, arguments: tuple[object, ...], settings: dict[str, object]) -> tuple[int, str, str]:
        """Run a command in this process, where many processes would take long: (exit status, output, errors)."""
        out, err = StringIO(), StringIO()
        environment = mock.patch.dict(os.environ, self.environment(**settings), clear=True)
        logging, configure = structlog.get_config(), structlog.configure

        def configure_for_now(**how: Any) -> None:
            """What a logger keeps would outlive the command, and write to its output for ever."""
            configure(**{**how, "cache_logger_on_first_use": False})

        streams = (mock.patch("sys.stdin", None), redirect_stdout(out), redirect_stderr(err))
        with environment, mock.patch("structlog.configure", configure_for_now), streams[0], streams[1], streams[2]:
            ended = exit_status_of([*map(str, arguments)])
        structlog.configure(**logging)
        return ended, out.getvalue(), err.getvalue()

    def json(self, *arguments: object) -> Any:
        """What a command prints with --json, run in this process."""
        ended, out, err = self._ask((*arguments, "--json"), {})
        assert ended == 0, err
        return json.loads(out)

    def run_json(self, *arguments: object) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    @property
    def in_process(self) -> Settings:
        return Settings(database=self.database, keys=self.keys)

    async def submit(self, *loads: Load) -> list[int]:
        """Load cards in this process, where many commands would take long; give the seqs."""
        async with opened_ledger(self.in_process, entry_signers(self.in_process, Passphrases(None))) as ledger:
            return [(await ledger.submit(load)).seq for load in loads]

    @contextmanager
    def serve(self, *arguments: object, port: int | None = None, **settings: object) -> Iterator["Server"]:
        """A server that takes requests; it must end with 0 on SIGTERM, unless the test ended it."""
        port = free_port() if port is None else port
        server = Server(self, port, [*map(str, arguments)], self.environment(PORT=port, **settings))
        try:
            server.wait_until_ready()
            yield server
            if server.process.poll() is None:
                assert server.stop() == 0, server.log
        finally:
            server.kill()

    def start(self, *arguments: object, killed_at: str | None = None, **settings: object) -> "Server":
        """A server that is about to start, and may kill itself at a step (`signed_ledger.killpoints`)."""
        port = free_port()
        environment = self.environment(PORT=port, **settings) | _killing(killed_at)
        return Server(self, port, [*map(str, arguments)], environment)

    def killed_at(self, step: str, *arguments: object) -> None:
        """Run a command that comes to this step, and dies there."""
        command = [*map(str, self.command(*arguments))]
        environment = self.environment() | _killing(step)
        ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, (ended.returncode, ended.stderr)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the ledger's file, as anyone can."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def assert_audits(self) -> None:
        assert_audits(self.database)


def _killing(step: str | None) -> dict[str, str]:
    return {} if step is None else {KILLED_AT: step}


@cache
def _made() -> Path:
    """A folder with the Scheme acme, the operator olga, and 1000000.00 EUR on card-1: made once, then copied."""
    folder = Path(tempfile.mkdtemp(prefix="signed-ledger-test-"))
    atexit.register(shutil.rmtree, folder)
    empty = Installation(folder)
    create(empty.in_process, ORIGIN, None)
    asyncio.run(_furnish(empty))
    return folder


async def _furnish(empty: Installation) -> None:
    async with registrar(empty.in_process, Passphrases(None)) as changes:
        await changes.add("scheme", "acme", empty.scheme.public_key)
        await changes.add("operator", "olga", empty.operator.public_key)
    await empty.submit(Load("load-1", "card-1", Money(100_000_000, "EUR")))


def installed(folder: Path) -> Installation:
    """A working installation in an empty folder."""
    shutil.copytree(_made(), folder, dirs_exist_ok=True)
    return Installation(folder)


def exit_status_of(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as end:  # argparse's way
        return int(end.code or 0)


def run(command: list[object], environment: dict[str, str], status: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [*map(str, command)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == status, (ended.returncode, ended.stdout, ended.stderr)
    assert "Traceback" not in ended.stderr
    return ended


class Server:
    """A `serve` process and, with --workers, its children."""

    def __init__(
        self, installation: Installation, port: int, arguments: list[str], environment: dict[str, str]
    ) -> None:
        self.port = port
        self._workers = int(arguments[arguments.index("--workers") + 1]) if "--workers" in arguments else 1
        self.url = f"http://127.0.0.1:{port}"
        self._log_file = installation.folder / f"serve-{port}-{time.monotonic_ns()}.log"
        with self._log_file.open("wb") as log:
            command = [sys.executable, "-m", "signed_ledger", "serve", *arguments]
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's lines so far; two processes may have put theirs into one."""
        text, lines = self.log.strip(), []
        while text.startswith("{"):
            line, end = json.JSONDecoder().raw_decode(text)
            lines.append(line)
            text = text[end:].lstrip()
        return lines

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.process.poll() is not None or self.log.count('"serving"') == self._workers)
        assert self.process.poll() is None, self.log

    def stop(self) -> int:
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, to its children too, which share its session and may have outlived it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)

    @property
    def pids(self) -> list[int]:
        """Its processes that live: they share its session, and those that wait to be buried are none."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, group, *_ = stat.read_text().rpartition(")")[2].split()
                if int(group) == self.process.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def wait(self) -> int:
        """Wait for its end and give its status. Where that does not come, the log says where each process was."""
        try:
            return self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in self.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)
            self.process.wait(DEADLINE_SECONDS)
            raise AssertionError(f"it did not end: {self.log}") from None


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """One that no outgoing connection takes meanwhile: below those that the system gives away."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
