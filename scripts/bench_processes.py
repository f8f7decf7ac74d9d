"""CPU time and memory of a process and all its descendants, read from /proc: a server may be several processes.

They start and end while they are looked at: one that has just ended has no memory, and its CPU time is its parent's.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree so far, with that of children which ended."""
    return sum(int(field) for fields in _tree(pid).values() for field in fields[11:15]) / _TICKS


def memory_mib(pid: int) -> float:
    """Resident now, summed over the tree: what forked workers share counts for each."""
    return sum(_status(one, "VmRSS:") for one in _tree(pid)) / 1024


def peak_mib(pid: int) -> float:
    """The most that each was ever resident, summed."""
    return sum(_status(one, "VmHWM:") for one in _tree(pid)) / 1024


def _tree(pid: int) -> dict[int, list[str]]:
    """`pid`, its children, and theirs; with the fields of /proc/PID/stat from the state on, which is the third."""
    stats: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            stats[int(path.name)] = (path / "stat").read_text().rpartition(")")[2].split()
    found = [pid]
    for one in found:
        found += [child for child, fields in stats.items() if int(fields[1]) == one]
    return {one: stats[one] for one in found}


def _status(pid: int, field: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        told = Path(f"/proc/{pid}/status").read_text().partition(field)[2].split()
        return int(told[0]) if told else 0
    return 0
