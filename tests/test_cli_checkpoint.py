"""`signed-ledger checkpoint`, and publishing by processes: killed at each moment, beside servers, on copies."""

import asyncio
import json
import shutil
import sqlite3
import time
import urllib.request
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.checkpoints import is_signed_by, read_vkey
from signed_ledger.encoding import decode_checkpoint, encode_base64
from signed_ledger.killpoints import STEPS
from signed_ledger.publishing import CheckpointLock
from tests.callers import authorisation, send
from tests.processes import ORIGIN, Installation, Server, installed, wait_until
from tests.test_serve import head
from tests.walking import walk


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "ours")


def lock_of(installation: Installation) -> CheckpointLock:
    return CheckpointLock(installation.keys / "checkpoint.lock")


def kept(installation: Installation) -> list[tuple[int, bytes]]:
    return [(seq + 1, note) for seq, note in installation.rows("SELECT seq, note FROM checkpoints ORDER BY seq")]


def served(server: Server) -> str:
    return str(urllib.request.urlopen(f"{server.url}/checkpoint").read().decode())


def served_size(server: Server) -> int:
    try:
        return int(served(server).split("\n")[1])
    except urllib.error.HTTPError:
        return 0


def pay(installation: Installation, server: Server, name: str) -> None:
    assert send(server.url, installation.scheme, "/authorisation", name, authorisation(name)).status == 201


def copied(installation: Installation, folder: Path) -> Installation:
    """A copy of the ledger's file, which nobody has open, with the same keys and the same lock file."""
    folder.mkdir()
    shutil.copy(installation.database, folder / "ledger.db")
    other = Installation(folder)
    for name in ("acme", "olga"):
        shutil.copy(installation.folder / f"{name}.pem", folder / f"{name}.pem")
    other = Installation(folder)
    other.settings["KEYS"] = str(installation.keys)
    return other


# --- the command ---------------------------------------------------------------------------------------------------


def test_it_publishes_what_is_there_and_prints_the_note_and_whose_it_is(installation: Installation) -> None:
    told = installation.json("checkpoint")
    assert (told["origin"], told["size"]) == (ORIGIN, head(installation) + 1)
    signed = decode_checkpoint(told["note"].encode())
    assert is_signed_by(signed, read_vkey(told["vkey"]))
    assert told["root"] == encode_base64(signed.checkpoint.root)
    assert kept(installation) == [(told["size"], told["note"].encode())]
    assert lock_of(installation).read() == signed.checkpoint
    shown = installation.run("checkpoint").stdout
    assert shown.endswith("\n\n" + told["note"])
    for name in ("origin", "size", "root", "vkey"):
        assert f"{told[name]}\n" in shown.partition("\n\n")[0] + "\n"
    assert len(kept(installation)) == 1, "nothing new, nothing published"
    installation.assert_audits()


def test_beside_a_running_server_both_publish_one_history(installation: Installation) -> None:
    with installation.serve() as server:
        for number in range(5):
            pay(installation, server, f"t-{number}")
            told = installation.json("checkpoint")
            wait_until(partial(_serves, server, told["size"]))
    sizes = [size for size, _ in kept(installation)]
    assert len(sizes) == len(set(sizes)) >= 5
    assert sizes[-1] == head(installation) + 1
    installation.assert_audits()


def test_each_help_shows_an_example_and_warns_of_what_a_new_lock_is(installation: Installation) -> None:
    assert "signed-ledger checkpoint" in installation.help("checkpoint")
    assert "--new-lock" in installation.help("checkpoint")


def test_a_lock_that_is_lost_is_made_anew_only_by_who_names_the_ledger(installation: Installation) -> None:
    before = installation.json("checkpoint")
    lock_of(installation).path.unlink()
    for command in (("checkpoint",), ("serve",)):
        told = installation.refused(2, *command)
        assert "checkpoint.lock: is not there" in told
        assert "docs/operations.md" in told
    for answer, reason in (((), "this is none; use --confirm"), (("--confirm", "no"), "'no' is not the ledger's name")):
        ended = installation.run("checkpoint", "--new-lock", *answer, status=2).stderr
        assert "is lost for good" in ended
        assert reason in ended
        assert not lock_of(installation).path.exists()
    made = installation.run("checkpoint", "--new-lock", "--confirm", ORIGIN, "--json")
    assert json.loads(made.stdout) == before
    again = installation.run("checkpoint", "--new-lock", "--confirm", ORIGIN, status=2).stderr
    assert "is there: nothing is lost, and nothing was made" in again
    installation.assert_audits()


def test_confirm_alone_is_a_mistake(installation: Installation) -> None:
    assert "--confirm: goes with --new-lock" in installation.refused(2, "checkpoint", "--confirm", ORIGIN)


def test_without_the_checkpoint_key_nothing_is_published(installation: Installation) -> None:
    shutil.rmtree(installation.keys / "checkpoint")
    assert "checkpoint" in installation.refused(2, "checkpoint")
    assert kept(installation) == []
    installation.assert_audits()


def test_the_lock_file_lies_where_the_setting_says(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.lock"
    installation.run("checkpoint", CHECKPOINT_LOCK=path)
    assert CheckpointLock(path).read().size == head(installation) + 1
    assert not lock_of(installation).path.exists()
    told = installation.refused(2, "checkpoint", CHECKPOINT_LOCK=tmp_path / "no" / "such.lock")
    assert "is not there, though a checkpoint" in told
    installation.assert_audits()


def test_a_folder_for_the_lock_that_is_not_there_is_told(installation: Installation, tmp_path: Path) -> None:
    told = installation.refused(2, "serve", CHECKPOINT_LOCK=tmp_path / "no" / "such.lock")
    assert f"{tmp_path}/no/such.lock: can not be made: there is no folder {tmp_path}/no" in told


# --- killed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grown", [False, True], ids=["as it is", "once it has grown"])
@pytest.mark.parametrize("step", STEPS[STEPS.index("making lock") :])
def test_a_publisher_killed_at_any_step_never_contradicts_itself(
    installation: Installation, step: str, grown: bool
) -> None:
    if step != "making lock":
        installation.json("checkpoint")
        installation.json("load-money", "card-1", "1.00", "EUR")
    installation.killed_at(step, "checkpoint")
    locked = lock_of(installation).read() if lock_of(installation).path.exists() else None
    before = kept(installation)
    if grown:
        installation.json("load-money", "card-1", "1.00", "EUR")
    told = installation.json("checkpoint")
    assert told["size"] == head(installation) + 1
    assert locked is None or told["size"] >= locked.size, "what is published never shrinks"
    assert all(told["note"].encode() == note for size, note in before if size == told["size"])
    if locked is not None and told["size"] == locked.size:
        assert told["root"] == encode_base64(locked.root)
    assert kept(installation)[: len(before)] == before
    installation.assert_audits()


def test_a_server_killed_again_and_again_under_load_publishes_one_history(installation: Installation) -> None:
    sizes = [0]
    for life in range(4):
        with installation.serve(CHECKPOINT_INTERVAL_MS=50) as server:
            assert served_size(server) >= sizes[-1]
            for number in range(8):
                pay(installation, server, f"t-{life}-{number}")
                sizes.append(served_size(server))
            time.sleep(0.03 * life)
            server.kill()
    assert sizes == sorted(sizes)
    told = installation.json("checkpoint")
    assert told["size"] == head(installation) + 1 > sizes[-1] - 1
    installation.assert_audits()


# --- several servers, and copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [(2,), (1, 1)], ids=["two workers", "two servers"])
def test_processes_on_one_ledger_serve_the_same_growing_checkpoints(
    installation: Installation, workers: tuple[int, ...]
) -> None:
    with installation.serve("--workers", workers[0], CHECKPOINT_INTERVAL_MS=50) as one:
        if len(workers) > 1:
            with installation.serve(CHECKPOINT_INTERVAL_MS=50) as two:
                _pay_and_watch(installation, [one, two])
        else:
            _pay_and_watch(installation, [one])
    sizes = [size for size, _ in kept(installation)]
    assert len(sizes) == len(set(sizes)) > 1
    installation.assert_audits()


def test_who_meets_another_worker_with_each_request_still_sees_one_growing_log(installation: Installation) -> None:
    async def fetch(tile: str) -> bytes:
        return bytes(urllib.request.urlopen(f"{server.url}/tile/{tile}").read())

    sizes = [0]
    with installation.serve("--workers", 2, CHECKPOINT_INTERVAL_MS=900) as server:
        for number in range(12):
            pay(installation, server, f"t-{number}")
            installation.json("checkpoint")  # neither worker has been told of it
            note = served(server)
            signed = decode_checkpoint(note.encode()).checkpoint
            asyncio.run(walk(fetch, signed.size, signed.root))
            sizes.append(signed.size)
            assert signed.size == head(installation) + 1
    assert sizes == sorted(sizes)
    installation.assert_audits()


def _pay_and_watch(installation: Installation, servers: list[Server]) -> None:
    for life in range(2):  # twenty payments may all come before the next checkpoint; the second twenty can not
        for number in range(20):
            for place, server in enumerate(servers):
                pay(installation, server, f"t-{life}-{place}-{number}")
        newest = head(installation) + 1
        for server in servers:
            wait_until(partial(_serves, server, newest))


def _serves(server: Server, size: int) -> bool:
    """Whether the server, with each of its workers that we meet in so many requests, has published so much."""
    return min(served_size(server) for _ in range(8)) >= size


def test_a_restored_backup_is_not_served(installation: Installation, tmp_path: Path) -> None:
    installation.json("checkpoint")
    backup = copied(installation, tmp_path / "backup")
    installation.json("load-money", "card-1", "1.00", "EUR")
    newest = installation.json("checkpoint")
    told = backup.refused(2, "serve")
    assert f"a checkpoint of {newest['size']} entries was published" in told
    assert "restored from a backup" in told
    backup.json("load-money", "card-1", "2.00", "EUR")
    assert "it is another history" in backup.refused(2, "serve")
    assert "it is another history" in backup.refused(2, "checkpoint")
    for each in (installation, backup):
        each.assert_audits()


def test_of_two_servers_on_copies_with_one_key_the_second_stops_by_itself(
    installation: Installation, tmp_path: Path
) -> None:
    installation.json("checkpoint")
    other = copied(installation, tmp_path / "copy")
    with installation.serve(CHECKPOINT_INTERVAL_MS=50) as one, other.serve(CHECKPOINT_INTERVAL_MS=50) as two:
        pay(installation, one, "t-1")
        wait_until(lambda: served_size(one) == head(installation) + 1)
        pay(other, two, "t-2")
        assert two.wait() == 70
        fault = next(line for line in two.lines if line["event"] == "fault")
        assert "was published" in fault["reason"] or "it is another history" in fault["reason"]
        assert "Traceback" not in two.log
        pay(installation, one, "t-3")
        wait_until(lambda: served_size(one) == head(installation) + 1)
    for each in (installation, other):
        each.assert_audits()


def test_a_tail_that_was_cut_off_is_not_served(installation: Installation) -> None:
    newest = installation.json("checkpoint")
    with closing(sqlite3.connect(installation.database, isolation_level=None)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")]
        for name in tables:
            connection.execute(f"DROP TRIGGER {name}")
        cut = newest["size"] - 2
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f"DELETE FROM {table} WHERE seq >= {cut}")
    assert f"a checkpoint of {newest['size']} entries was published" in installation.refused(2, "serve")


# --- the key rotates -----------------------------------------------------------------------------------------------


def test_a_rotated_checkpoint_key_signs_from_then_on_without_a_restart(installation: Installation) -> None:
    def vkey_signed(vkey: str, server: Server) -> bool:
        return is_signed_by(decode_checkpoint(served(server).encode()), read_vkey(vkey))

    old = installation.json("checkpoint")["vkey"]
    with installation.serve(CHECKPOINT_INTERVAL_MS=50) as server:
        assert vkey_signed(old, server)
        rotated: Any = installation.run_json("keys", "rotate", "checkpoint")
        wait_until(lambda: served_size(server) > rotated["seq"])
        assert not vkey_signed(old, server)
        assert vkey_signed(installation.json("checkpoint")["vkey"], server)
        pay(installation, server, "t-1")
        wait_until(lambda: served_size(server) == head(installation) + 1)
    assert len(kept(installation)) >= 3
    installation.assert_audits()
