"""CPU time and memory of a process and all its descendants, read from /proc: a server may be several processes."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree so far; that of children which ended is their parent's."""
    return sum(sum(int(field) for field in _stat(one)[11:15]) for one in tree(pid)) / _TICKS


def memory_mib(pid: int) -> float:
    """Resident now, summed over the tree: what forked workers share counts for each."""
    return sum(_status(one, "VmRSS:") for one in tree(pid)) / 1024


def peak_mib(pid: int) -> float:
    """The most that each was ever resident, summed."""
    return sum(_status(one, "VmHWM:") for one in tree(pid)) / 1024


def tree(pid: int) -> list[int]:
    """`pid`, its children, and theirs."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(_stat(int(path.name))[1])
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(path.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, which is the third of them."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _status(pid: int, field: str) -> int:
    """0 for a process that has ended and is not yet waited for: it has no memory."""
    told = Path(f"/proc/{pid}/status").read_text().partition(field)[2].split()
    return int(told[0]) if told else 0
