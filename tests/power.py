"""What is on a disk when the power is cut, reckoned from the trace of what a server did to its files (tests/faults.c).

A sync that succeeded put what was written before it on the disk; one that failed lost all of it, as Linux may do it. Of
what waits for a sync any part may be there.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

SECTOR = 512


class Step(NamedTuple):
    """One line of the trace; `end` is where it ends in the file."""

    what: str
    path: str
    offset: int
    length: int
    data: bytes
    end: int


def read_trace(trace: Path) -> Iterator[Step]:
    with trace.open("rb") as file:
        while line := file.readline():
            what, path, offset, length = line.decode().split()
            data = file.read(int(length)) if what == "W" else b""
            yield Step(what, path, int(offset), int(length), data, file.tell())


class Disk:
    """The files of a folder: what is on the disk for certain, and by path what waits for a sync."""

    def __init__(self, folder: Path) -> None:
        self._certain = {str(path): bytearray(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
        self._waiting: dict[str, list[Step]] = {}
        self._begun: dict[str, int] = {}

    def take(self, step: Step) -> None:
        waiting = self._waiting.setdefault(step.path, [])
        if step.what in "WC":
            waiting.append(step)
        elif step.what == "B":
            self._begun[step.path] = len(waiting)
        elif step.what == "E":
            _apply(self._certain.setdefault(step.path, bytearray()), waiting[: self._begun[step.path]])
            del waiting[: self._begun[step.path]]
        elif step.what == "F":
            waiting.clear()
        else:
            self._certain.pop(step.path, None)
            waiting.clear()

    def cut_power(self, chance: Random) -> dict[str, bytes]:
        """The files as the next start finds them: each write that waits is there, or not, or a part of it is."""
        found = {path: bytearray(data) for path, data in self._certain.items()}
        for path, steps in self._waiting.items():
            _apply(found.setdefault(path, bytearray()), [part for step in steps for part in _survivors(step, chance)])
        return {path: bytes(data) for path, data in found.items()}


def _apply(data: bytearray, steps: list[Step]) -> None:
    for step in steps:
        if step.what == "C":
            data[step.length :] = bytes(max(0, step.length - len(data)))
        else:
            data.extend(bytes(max(0, step.offset - len(data))))
            data[step.offset : step.offset + step.length] = step.data


def _survivors(step: Step, chance: Random) -> list[Step]:
    kept = chance.choice(("all", "nothing", "a part"))
    if kept == "nothing" or step.what == "C":
        return [step] if kept == "all" else []
    length = step.length if kept == "all" else chance.randrange(0, step.length + 1, SECTOR)
    return [step._replace(length=length, data=step.data[:length])]
