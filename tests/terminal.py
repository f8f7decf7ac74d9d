"""A command that believes to be in a terminal, and somebody who types."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import DEADLINE_SECONDS, Installation


@contextmanager
def in_terminal(installation: Installation, *arguments: object) -> Iterator["Terminal"]:
    terminal = Terminal([*map(str, installation.command(*arguments))], installation.environment())
    try:
        yield terminal
    finally:
        terminal.close()


class Terminal:
    """A command in a pseudo-terminal, typed to."""

    _SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._SPAWN, *command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def answer(self, prompt: str, text: str) -> None:
        """Type a line once `prompt` is there, not before: what is typed ahead of a password prompt is thrown away."""
        assert self._process.stdin is not None
        assert prompt in self._read_until(prompt.encode())
        self._process.stdin.write(f"{text}\n".encode())

    def rest(self) -> str:
        """What it prints until it ends."""
        return self._read_until(None)

    def status(self) -> int:
        self.rest()
        return self._process.wait(DEADLINE_SECONDS)

    def _read_until(self, what: bytes | None) -> str:
        assert self._process.stdout is not None
        read = b""
        while (what is None or what not in read) and (more := self._process.stdout.read(1)):
            read += more
        return read.decode()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
