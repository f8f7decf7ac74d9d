"""`make run` and `make demo`: what a newcomer sees first."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.callers import authorisation, send
from tests.processes import DEADLINE_SECONDS, PROJECT, Installation, Party, free_port, is_listening, run, wait_until


class DemoRun:
    """The demo in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told_file = folder.with_suffix(".log")
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIGNED_LEDGER_")},
            "DEMO_DIR": str(folder),
            "PORT": str(self.port),
            "SIGNED_LEDGER_ADMIN_PORT": "0",
        }

    @contextmanager
    def serve(self) -> Iterator[subprocess.Popen[bytes]]:
        """`make run`, killed at the end; what it says is in `told`."""
        command = [sys.executable, str(PROJECT / "scripts" / "run_demo.py")]
        with self.told_file.open("wb") as told:
            process = subprocess.Popen(command, env=self.environment, stdout=told, stderr=told)
        wait_until(lambda: process.poll() is not None or is_listening(self.port))
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            wait_until(lambda: not is_listening(self.port))  # its workers end by themselves, a moment later

    @property
    def told(self) -> str:
        return self.told_file.read_text()

    def script(self, name: str, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, PROJECT / "scripts" / name], {**self.environment, **more}, status)


@pytest.fixture
def demo(tmp_path: Path) -> DemoRun:
    return DemoRun(tmp_path / "demo")


def test_the_demo_goes_as_told_again_and_again(demo: DemoRun) -> None:
    with demo.serve() as server:
        first = demo.script("demo.py").stdout
        assert balances(first) == [
            (1000, 0),
            (1000, 40),
            (1000, 50),
            (980, 30),
            (950, 0),
            (955, 0),
        ]
        assert "CLEARED: authorised 40.00, incremented 10.00, cleared 50.00, refunded 5.00 EUR" in first
        assert re.search(r"PROVEN: entry \d+ of localhost/demo\.", first)
        assert "4 WRONG: body: does not have the digest that its entry names" in first
        assert "VERIFIED: no fault found." in first
        assert "localhost/demo/entry" in first
        assert len(re.findall("step 9: no authorisation demo-[0-9a-f]{12} of demo-scheme stands before it", first)) == 4
        assert first.endswith("All went as told.\n")
        drain(demo)
        assert "the Issuer loads" in demo.script("demo.py").stdout
        server.send_signal(signal.SIGINT)
        assert server.wait(DEADLINE_SECONDS) == 0
    assert f"make demo PORT={demo.port} DEMO_DIR={shlex.quote(str(demo.folder))}" in demo.told
    assert f"http://127.0.0.1:{demo.port}/docs" in demo.told
    with demo.serve() as server:
        assert "Making" not in demo.told
        server.terminate()
        assert server.wait(DEADLINE_SECONDS) == 0
    audit(demo)


def balances(told: str) -> list[tuple[int, int]]:
    """Posted and held, each time that they were shown."""
    shown = re.findall(r"^demo-card: posted ([0-9]+)\.00, held ([0-9]+)\.00, available", told, re.MULTILINE)
    return [(int(posted), int(held)) for posted, held in shown]


def test_the_demos_card_is_its_schemes(demo: DemoRun) -> None:
    with demo.serve():
        pass
    shown = Installation(demo.folder).json("card", "show", "demo-card")
    assert (shown["scheme"], shown["blocked"]) == ("demo-scheme", False)
    with demo.serve():
        pass
    assert Installation(demo.folder).json("card", "show", "demo-card") == shown
    audit(demo)


def drain(demo: DemoRun) -> None:
    scheme = Party(demo.folder / "keys" / "demo", "scheme")
    spent = authorisation("spent", "900.00", "demo-card")
    assert send(f"http://127.0.0.1:{demo.port}", scheme, "/authorisation", "spent", spent).status == 201


def audit(demo: DemoRun) -> None:
    Installation(demo.folder).assert_audits()


def test_a_first_run_that_was_broken_off_is_taken_up(demo: DemoRun) -> None:
    with demo.serve():
        pass
    (demo.folder / "keys" / "demo" / "scheme.pem").unlink()
    with demo.serve():
        assert "All went as told." in demo.script("demo.py").stdout
    audit(demo)


def test_without_a_server_the_demo_says_what_to_do(demo: DemoRun) -> None:
    told = demo.script("demo.py", status=2).stderr
    assert "make run" in told
    assert "DEMO_DIR" in told
    with demo.serve():
        pass
    assert "make run" in demo.script("demo.py", status=2).stderr


def test_a_taken_port_is_named_before_anything_is_made(demo: DemoRun) -> None:
    with socket.create_server(("127.0.0.1", demo.port)):
        assert f"{demo.port} is taken" in demo.script("run_demo.py", status=2).stderr
    assert not demo.folder.exists()
    assert "PORT" in demo.script("run_demo.py", status=2, PORT="eighty").stderr
