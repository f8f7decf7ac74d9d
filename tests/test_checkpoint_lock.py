"""The lock file of checkpoints: one checkpoint, changed by compare-and-swap, never half."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.errors import Invalid
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.publishing import CheckpointLock
from signed_ledger.records import Checkpoint
from tests.processes import PROJECT
from tests.world import ORIGIN

FIRST = Checkpoint(ORIGIN, 0, EMPTY_ROOT)


def at(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, size.to_bytes(32))


@pytest.fixture
def lock(tmp_path: Path) -> CheckpointLock:
    lock = CheckpointLock(tmp_path / "checkpoint.lock")
    lock.create(FIRST)
    return lock


def test_it_is_one_file_for_its_owner_alone_and_holds_what_it_was_made_with(lock: CheckpointLock) -> None:
    assert lock.read() == FIRST
    assert lock.path.stat().st_mode & 0o777 == 0o600
    assert [*lock.path.parent.iterdir()] == [lock.path]


def test_it_is_never_made_over_another(lock: CheckpointLock) -> None:
    with pytest.raises(FileExistsError):
        lock.create(at(7))
    assert lock.read() == FIRST
    assert [*lock.path.parent.iterdir()] == [lock.path]


def test_it_is_not_made_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no folder"):
        CheckpointLock(tmp_path / "unmounted" / "checkpoint.lock").create(FIRST)


def test_a_swap_counts_where_the_old_one_stands(lock: CheckpointLock) -> None:
    assert lock.swap(FIRST, at(5))
    assert lock.read() == at(5)
    assert lock.swap(at(5), at(9))
    assert lock.read() == at(9)
    assert [*lock.path.parent.iterdir()] == [lock.path]


@pytest.mark.parametrize(
    "old",
    [FIRST, at(6), Checkpoint(ORIGIN, 5, bytes(32)), Checkpoint("other.example", 5, (5).to_bytes(32))],
    ids=["another", "another size", "another root", "another origin"],
)
def test_a_swap_does_not_count_where_another_stands(lock: CheckpointLock, old: Checkpoint) -> None:
    lock.swap(FIRST, at(5))
    assert not lock.swap(old, at(9))
    assert lock.read() == at(5)


COUNTING = """
import sys
from pathlib import Path
from signed_ledger.publishing import CheckpointLock
from signed_ledger.records import Checkpoint
lock, swapped = CheckpointLock(Path(sys.argv[1])), 0
while swapped < 40:
    old = lock.read()
    swapped += lock.swap(old, Checkpoint(old.origin, old.size + 1, old.root))
"""


def test_of_two_processes_that_swap_the_same_one_is_told_no(lock: CheckpointLock) -> None:
    command = [sys.executable, "-c", COUNTING, str(lock.path)]
    processes = [subprocess.Popen(command, cwd=PROJECT) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert lock.read().size == 80, "each swap that counted, counted once"


FULL = """
import resource, sys
from pathlib import Path
from signed_ledger.publishing import CheckpointLock
from signed_ledger.records import Checkpoint
lock = CheckpointLock(Path(sys.argv[1]))
old = lock.read()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    lock.swap(old, Checkpoint(old.origin, 5, old.root))
except ValueError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_leaves_the_old_one(lock: CheckpointLock) -> None:
    command = [sys.executable, "-c", FULL, str(lock.path)]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"{lock.path}: can not be used: ")
    assert lock.read() == FIRST
    assert lock.swap(FIRST, at(5))


KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_spill = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE lock SET size = 99, root = zeroblob(100000)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_in_the_middle_of_a_swap_has_changed_nothing(lock: CheckpointLock) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(lock.path)], check=False)
    assert lock.read() == FIRST
    assert lock.swap(FIRST, at(5))


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE lock (origin, size, root)")


def _without_its_row(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM lock")


def _with_nonsense(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE lock SET root = x'00'")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "has mode|unable to open"),
        (lambda path: path.write_bytes(b""), "is not a checkpoint lock"),
        (lambda path: path.write_bytes(b"no database\n" * 100), "file is not a database"),
        (_foreign, "is not a checkpoint lock"),
    ],
    ids=["missing", "a folder", "empty", "text", "another database"],
)
def test_what_is_no_lock_is_refused_by_its_name(tmp_path: Path, make: object, reason: str) -> None:
    lock = CheckpointLock(tmp_path / "checkpoint.lock")
    make(lock.path)  # type: ignore[operator]
    if lock.path.exists():
        lock.path.chmod(0o600)
    for use in (lock.read, lambda: lock.swap(FIRST, at(5))):
        with pytest.raises(Invalid, match=reason) as refused:
            use()
        assert refused.value.field == str(lock.path)


@pytest.mark.parametrize("harm", [_without_its_row, _with_nonsense])
def test_a_lock_without_a_checkpoint_is_none(lock: CheckpointLock, harm: object) -> None:
    harm(lock.path)  # type: ignore[operator]
    with pytest.raises(Invalid, match="is not a checkpoint lock"):
        lock.read()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_lock_that_others_may_write_is_refused(lock: CheckpointLock, mode: int) -> None:
    lock.path.chmod(mode)
    with pytest.raises(Invalid, match=f"run: chmod 600 {lock.path}"):
        lock.read()
