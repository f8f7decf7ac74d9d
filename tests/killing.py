"""Kills a command at one moment after the other, each time on a fresh copy of an installation, and runs it once more.

    python -m tests.killing FOLDER COPIES COMMAND...

The command runs in forked children, so that nothing is imported again: first killed at the n-th thing that Python asks
the system for, until it ends by itself; then after so many milliseconds. Each copy is left in COPIES with the output of
the second run.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from signed_ledger.cli import main
from signed_ledger.cli.command_line import make_parser

EVENTS = {"open", "os.link", "os.remove", "os.rename", "os.mkdir", "os.chmod", "sqlite3.connect", "os.truncate"}
MILLISECONDS = range(2, 82, 4)


def run(copy: Path, arguments: list[str], output: str, prepare: Callable[[], None]) -> bool:
    """Run the command in a child; give whether it ended by itself."""
    child = os.fork()
    if child == 0:
        with (copy / output).open("w") as file:
            os.dup2(file.fileno(), 1)
        os.environ |= {
            "SIGNED_LEDGER_DATABASE": str(copy / "ledger.db"),
            "SIGNED_LEDGER_KEYS": str(copy / "keys"),
            "SIGNED_LEDGER_SETTLEMENTS": str(copy / "settlements"),
        }
        prepare()
        os._exit(main(arguments))
    return os.WIFEXITED(os.waitpid(child, 0)[1])


def kill_at(number: int) -> Callable[[], None]:
    def prepare() -> None:
        seen = 0

        def hook(event: str, _: object) -> None:
            nonlocal seen
            if event in EVENTS:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


def kill_after(milliseconds: int) -> Callable[[], None]:
    return lambda: signal.setitimer(signal.ITIMER_REAL, milliseconds * 0.001) and None  # SIGALRM ends it at once


def one_life(name: str, prepare: Callable[[], None]) -> bool:
    folder, copies, *arguments = sys.argv[1:]
    copy = Path(copies) / name
    shutil.copytree(folder, copy)
    ended = run(copy, arguments, "first.txt", prepare)
    files = copy / "settlements"
    shutil.copytree(files, copy / "after-kill") if files.exists() else (copy / "after-kill").mkdir()
    assert run(copy, [*arguments, "--json"], "second.txt", lambda: None), name
    return ended


if __name__ == "__main__":
    make_parser()  # imports all commands, which would be the most of what a child asks the system for
    number = 1
    while not one_life(f"event-{number}", kill_at(number)):
        number += 1
    for milliseconds in MILLISECONDS:
        one_life(f"after-{milliseconds}-ms", kill_after(milliseconds))
    print(json.dumps({"events": number}))
