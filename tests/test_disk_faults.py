"""A disk that is full, read-only, slow or failing, and files that are taken away: a clear stop, and nothing is lost."""

import asyncio
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.callers import Answered, Load, assert_each_is_there_once, authorisation, send
from tests.faults import DISK_FULL, HANG, IO_ERROR, READ_ONLY, Faulty, faulty, needs_faults
from tests.processes import Installation, Server, installed, wait_until

FAULT, UNASKABLE = 70, 2
ALL = "FAULTS_ALL" in os.environ
"""Cases that differ little from one that is always run: `make faults` has them all."""
ROOM, DISK, WRITABLE = "make room on its disk", "its disk fails, and the system's log says how", "can not be written to"


@pytest.fixture
def installation(tmp_path: Path) -> Faulty:
    return faulty(tmp_path / "installation")


def pay(server: Server, installation: Installation, name: str) -> Answered:
    return send(server.url, installation.scheme, "/authorisation", name, authorisation(name))


def told(server: Server, event: str) -> list[str]:
    """The reasons in the log's lines of one event."""
    return [str(line["reason"]) for line in server.lines if line["event"] == event]


def load_until(installation: Installation, server: Server, harm: Callable[[], object]) -> Load:
    """Payments, then harm, then payments until the server stops by itself; give what they were told."""

    async def pay_until() -> Load:
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(40)
            await asyncio.to_thread(harm)
            assert await asyncio.to_thread(server.wait) == FAULT
        return load

    return asyncio.run(pay_until())


def assert_nothing_is_lost(installation: Installation, load: Load) -> None:
    """Each acknowledged answer is given again, what was not answered is recorded now; all is there once."""
    unknown = [*load.unanswered, *load.answers.keys() - load.approved.keys()]
    assert load.approved
    assert unknown
    with installation.serve() as server:
        retried = {name: pay(server, installation, name) for name in unknown}
        for name, answer in [*load.approved.items()][-3:]:
            again = pay(server, installation, name)
            assert again.replayed
            assert again.document["entry"] == answer.document["entry"]
    assert {answer.status for answer in retried.values()} == {201}
    assert_each_is_there_once(installation, load.approved | retried)


# --- while it is served ----------------------------------------------------------------------------------------------


FAILED_COMMITS = [
    pytest.param("write", DISK_FULL, ROOM, id="full"),
    pytest.param("sync", IO_ERROR, DISK, id="an error when it is synced"),
]
MORE_FAILED_COMMITS = [
    pytest.param("write", READ_ONLY, DISK, id="made read-only"),
    pytest.param("write", IO_ERROR, DISK, id="an error when it is written"),
]


@needs_faults
@pytest.mark.parametrize(("operation", "how", "mend"), FAILED_COMMITS + MORE_FAILED_COMMITS * ALL)
def test_a_commit_that_fails_stops_the_server_and_loses_nothing(
    installation: Faulty, operation: str, how: int, mend: str
) -> None:
    with installation.serve() as server:
        load = load_until(installation, server, lambda: installation.fail(operation, "-wal", how))
        assert mend in told(server, "fault")[0]
        assert {answer.status for answer in load.answers.values()} <= {201, 500, 503}
        assert all(answer.document["retryable"] for answer in load.answers.values() if answer.status != 201)
    refused = installation.run("serve", status=UNASKABLE, PORT=0)
    assert mend in refused.stderr
    assert refused.stderr.count("\n") == 1
    installation.mend()
    assert_nothing_is_lost(installation, load)


@needs_faults
def test_a_file_that_can_not_be_synced_when_the_log_is_taken_back_stops_the_server(installation: Faulty) -> None:
    """What SQLite would try again, and believe: the system may have dropped the pages."""
    with installation.serve() as server:
        load = load_until(installation, server, lambda: installation.fail("sync", "ledger.db", IO_ERROR))
        assert DISK in told(server, "fault")[0]
    installation.mend()
    assert_nothing_is_lost(installation, load)


@needs_faults
def test_of_several_workers_one_that_can_not_commit_ends_all(installation: Faulty) -> None:
    with installation.serve("--workers", "2") as server:
        load = load_until(installation, server, lambda: installation.fail("sync", "-wal", IO_ERROR))
    installation.mend()
    assert_nothing_is_lost(installation, load)


@needs_faults
def test_a_disk_that_hangs_keeps_no_server_from_stopping(installation: Faulty) -> None:
    with installation.serve(WAL_ROWS_MAX=100) as server:
        installation.fail("sync", "ledger.db", HANG)

        def harm() -> None:
            installation.wait_until_met("sync", "ledger.db")
            installation.fail("sync", "-wal", IO_ERROR)

        load = load_until(installation, server, harm)
        assert ("worker_killed", "writer") in [(line["event"], line.get("process")) for line in server.lines]
    installation.mend()
    assert_nothing_is_lost(installation, load)


@needs_faults
def test_a_log_on_the_full_disk_keeps_no_server_from_stopping(installation: Faulty) -> None:
    with installation.serve() as server:
        installation.fail("write", "-", DISK_FULL)
        assert pay(server, installation, "a").status == 500
        assert server.wait() == FAULT
        assert told(server, "fault") == []  # it could not be told
    assert installation.run("serve", status=UNASKABLE, PORT=0).stderr
    installation.mend()
    with installation.serve() as server:
        assert pay(server, installation, "a").status == 201
    installation.assert_audits()


@needs_faults
def test_a_command_on_a_full_disk_says_so_and_writes_nothing(installation: Faulty) -> None:
    before = installation.rows("SELECT max(seq) FROM entries")
    with installation.failing("write", "-wal", DISK_FULL):
        refused = installation.run("load-money", "card-2", "1.00", "EUR", status=UNASKABLE)
    assert ROOM in refused.stderr
    assert installation.rows("SELECT max(seq) FROM entries") == before
    installation.assert_audits()


@needs_faults
@pytest.mark.parametrize("suffix", ["ledger.db", "-"], ids=["the file", "the file system"])
def test_on_what_can_only_be_read_it_does_not_start(installation: Faulty, suffix: str) -> None:
    with installation.failing("open", suffix, READ_ONLY):
        refused = installation.run("serve", status=UNASKABLE, PORT=0).stderr
    assert WRITABLE in refused or "can not be opened: mend that" in refused
    with installation.serve() as server:
        assert pay(server, installation, "a").status == 201
    installation.assert_audits()


@needs_faults
def test_while_the_disk_hangs_readers_are_answered_and_writers_wait(installation: Faulty) -> None:
    answers: list[Answered] = []
    with installation.serve(BUSY_TIMEOUT_MS=50) as server:
        wait_until(lambda: published_size(server))
        installation.fail("sync", "-wal", HANG)
        paying = threading.Thread(target=lambda: answers.append(pay(server, installation, "slow")))
        paying.start()
        installation.wait_until_met("sync", "-wal")
        for path in ("/healthz", "/tile/0/000.p/4"):
            assert urllib.request.urlopen(server.url + path, timeout=20).status == 200
        busy = installation.refused(UNASKABLE, "load-money", "card-2", "1.00", "EUR", BUSY_TIMEOUT_MS=50)
        assert "Another process is writing; nothing was decided." in busy
        assert not answers
        installation.mend()
        paying.join(20)
        assert [answer.status for answer in answers] == [201]
    installation.assert_audits()


@needs_faults
async def test_a_log_that_can_not_be_emptied_into_the_file_fails_no_payment(installation: Faulty) -> None:
    with installation.serve() as server:
        async with Load(installation.scheme, [server.url], pause_seconds=0) as load:
            installation.fail("write", "ledger.db", IO_ERROR)
            await asyncio.to_thread(installation.wait_until_met, "write", "ledger.db")
            await load.until(50)
            assert server.process.poll() is None
            assert any(DISK in reason for reason in told(server, "wal_not_taken_back"))
            installation.mend()
            await load.until(50)
        load.assert_all_approved()
    assert_each_is_there_once(installation, load.approved)


@needs_faults
@pytest.mark.parametrize(
    ("operation", "suffix", "how", "mend"),
    [
        pytest.param("sync", "checkpoint.lock", IO_ERROR, DISK, id="an error when it is synced"),
        pytest.param("write", "checkpoint.lock-journal", DISK_FULL, ROOM, id="full"),
    ],
)
def test_a_lock_file_whose_disk_fails_holds_up_checkpoints_and_no_payment(
    installation: Faulty, operation: str, suffix: str, how: int, mend: str
) -> None:
    with installation.serve(CHECKPOINT_INTERVAL_MS=50) as server:
        with installation.failing(operation, suffix, how):
            seq = pay(server, installation, "a").document["seq"]
            wait_until(lambda: told(server, "checkpoint_failed"))
            assert pay(server, installation, "b").status == 201
        assert mend in told(server, "checkpoint_failed")[0]
        wait_until(lambda: published_size(server) > seq + 1)
    installation.assert_audits()


def published_size(server: Server) -> int:
    """How many entries the newest checkpoint has; 0 where there is none yet."""
    with suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{server.url}/checkpoint") as response:
        return int(response.read().decode().splitlines()[1])
    return 0


# --- files that are taken away while they are open -------------------------------------------------------------------


def remove(installation: Installation, suffix: str = "") -> None:
    Path(f"{installation.database}{suffix}").unlink()


def replace(installation: Installation) -> None:
    other = installed(installation.folder.parent / "other")
    other.database.replace(installation.database)


def harm_once_published(installation: Installation, server: Server, harm: Callable[[Installation], None]) -> None:
    """An older ledger is told from this one by what was published of it since."""
    wait_until(lambda: published_size(server) > 10)
    harm(installation)


def replace_with_all_beside_it(installation: Installation) -> None:
    remove(installation, "-wal")
    remove(installation, "-shm")
    replace(installation)


def move(installation: Installation) -> None:
    installation.database.rename(f"{installation.database}.away")


TAKEN_AWAY = [
    pytest.param(remove, id="removed"),
    pytest.param(replace, id="replaced by another ledger"),
]
MORE_TAKEN_AWAY = [
    pytest.param(move, id="moved"),
    pytest.param(replace_with_all_beside_it, id="replaced, its log removed"),
]


@pytest.mark.parametrize("harm", TAKEN_AWAY + MORE_TAKEN_AWAY * ALL)
def test_a_ledger_that_is_taken_away_is_saved_and_the_server_stops(
    tmp_path: Path, harm: Callable[[Installation], None]
) -> None:
    installation = installed(tmp_path / "installation")
    with installation.serve() as server:
        load = load_until(installation, server, lambda: harm_once_published(installation, server, harm))
        assert "was moved, removed or replaced while open" in told(server, "fault")[0]
    (saved,) = installation.folder.glob("ledger.db.saved-*")
    assert f"is in {saved}" in told(server, "fault")[0]
    assert saved.stat().st_mode & 0o777 == 0o600
    installation.run("serve", status=UNASKABLE, PORT=0)
    if installation.database.exists():
        installation.assert_audits()  # another ledger came to no harm
    for left in installation.folder.glob("ledger.db-*"):
        left.unlink()
    saved.replace(installation.database)
    assert_nothing_is_lost(installation, load)


@pytest.mark.parametrize("suffix", ["-wal"] + ["-shm"] * ALL)
def test_a_log_that_is_taken_away_is_brought_into_the_ledger_and_the_server_stops(tmp_path: Path, suffix: str) -> None:
    installation = installed(tmp_path / "installation")
    with installation.serve() as server:
        load = load_until(installation, server, lambda: remove(installation, suffix))
        assert f"is in {installation.database}:" in told(server, "fault")[0]
    assert_nothing_is_lost(installation, load)


# --- files that are damaged while it is stopped ----------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_the_beginning(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


@pytest.fixture
def killed(tmp_path: Path) -> Installation:
    """An installation with entries in its log alone, all of them published."""
    installation = installed(tmp_path / "installation")
    with installation.serve() as server:
        seq = [pay(server, installation, f"t-{number}").document["seq"] for number in range(4)][-1]
        wait_until(lambda: published_size(server) > seq)
        server.kill()
    assert Path(f"{installation.database}-wal").stat().st_size
    return installation


@pytest.mark.parametrize("harm", [cut, Path.unlink, overwrite_the_beginning], ids=["torn", "missing", "overwritten"])
def test_a_log_that_was_damaged_is_told_by_what_was_published(
    killed: Installation, harm: Callable[[Path], None]
) -> None:
    whole = shutil.copytree(killed.folder, killed.folder.parent / "whole")
    harm(Path(f"{killed.database}-wal"))
    assert "bring the newest" in killed.run("serve", status=UNASKABLE, PORT=0).stderr
    Path(f"{killed.database}-wal").unlink(missing_ok=True)
    shutil.copytree(whole, killed.folder, dirs_exist_ok=True)
    with killed.serve() as server:
        assert pay(server, killed, "t-3").replayed
    killed.assert_audits()


@pytest.mark.parametrize("harm", [cut, overwrite_the_beginning], ids=["cut", "overwritten"])
def test_a_ledger_that_was_damaged_is_neither_served_nor_proven(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    installation = installed(tmp_path / "installation")
    harm(installation.database)
    for command in ("serve", "verify"):
        ended = installation.run(command, status=UNASKABLE, PORT=0)
        assert ended.stderr.count("\n") == 1
        assert "backup" in ended.stderr, ended.stderr
