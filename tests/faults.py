"""An installation whose disk and clock can be made to go wrong while it is served, by tests/faults.c."""

import atexit
import errno
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.processes import PROJECT, Installation, installed, wait_until

HANG = "hang"

needs_faults = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="faults are preloaded on Linux, made by a C compiler"
)


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="signed-ledger-faults-"))
    atexit.register(shutil.rmtree, folder)
    made = folder / "faults.so"
    source = PROJECT / "tests" / "faults.c"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(source), "-pthread"]
    subprocess.run(command, check=True)
    return made


class Faulty(Installation):
    """Its processes obey the rules: what fails, of which files, and how far the clock is off."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._own = folder.parent / f"{folder.name}-faults"
        self._own.mkdir(exist_ok=True)
        self.trace = self._own / "trace"
        self._rules: dict[str, str] = {}

    def environment(self, **settings: object) -> dict[str, str]:
        preloaded = {"LD_PRELOAD": str(_library()), "FAULTS": str(self._own), "FAULTY_FOLDER": f"{self.folder}/"}
        return {**super().environment(**settings), **preloaded}

    def fail(self, operation: str, suffix: str, how: int | str) -> None:
        """From now on `operation` (write, sync, cut, open) on files whose name ends so fails, or hangs."""
        self._rules[f"{operation} {suffix}"] = str(how)
        self._write()

    def mend(self) -> None:
        """The disk is well again, and the clock right."""
        self._rules.clear()
        self._write()

    def set_clock(self, microseconds: int) -> None:
        """Set the clock of every process so far before the true one."""
        self.fail("clock", "-", microseconds)

    def met(self, operation: str, suffix: str) -> int:
        """How often a rule was met."""
        path = self._own / "met"
        lines = path.read_text().splitlines() if path.exists() else []
        return sum(line.startswith(f"{operation} ") and line.endswith(suffix) for line in lines)

    def wait_until_met(self, operation: str, suffix: str, times: int = 1) -> None:
        wait_until(lambda: self.met(operation, suffix) >= times)

    def _write(self) -> None:
        building = self._own / "rules.new"
        building.write_text("".join(f"{rule} {how}\n" for rule, how in self._rules.items()))
        building.replace(self._own / "rules")

    @contextmanager
    def failing(self, operation: str, suffix: str, how: int | str) -> Iterator[None]:
        self.fail(operation, suffix, how)
        try:
            yield
        finally:
            self.mend()


def faulty(folder: Path) -> Faulty:
    """A working installation in an empty folder, as `installed` gives it."""
    installed(folder)
    return Faulty(folder)


DISK_FULL, READ_ONLY, IO_ERROR = errno.ENOSPC, errno.EROFS, errno.EIO
