"""`signed-ledger export --tiles`: the log as files, the same bytes as served, whole at every moment."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.encoding import decode_checkpoint
from signed_ledger.keyring import Keyring
from signed_ledger.money import Money
from signed_ledger.publishing import export_tiles
from signed_ledger.records import Load
from tests.api_support import Site, serving
from tests.processes import Installation, installed
from tests.support import assert_audits
from tests.walking import walk
from tests.world import World, publishing, reading

LARGE = 65_536 + 256 + 3


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "ours")


def grow(installation: Installation, loads: int, name: str = "more") -> None:
    asyncio.run(_grow(installation, loads, name))


async def _grow(installation: Installation, loads: int, name: str) -> None:
    await installation.submit(*(Load(f"{name}-{number}", "card-1", Money(1, "EUR")) for number in range(loads)))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def walked(folder: Path) -> int:
    """Walk the files as a monitor would, who fetches them; give the size."""

    async def fetch(tile: str) -> bytes:
        return (folder / "tile" / tile).read_bytes()

    checkpoint = decode_checkpoint((folder / "checkpoint").read_bytes()).checkpoint
    await walk(fetch, checkpoint.size, checkpoint.root)
    return checkpoint.size


# --- what is written -----------------------------------------------------------------------------------------------


async def test_the_files_are_what_is_served_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    async with serving(tmp_path) as site:
        for size in (1, 200, 300, 600):
            while site.ledger.tree.size < size:
                await site.load("card-1", 100)
            newest = await site.publisher.publish()
            done = await export_tiles(site.reader, newest, site.ledger.keyring, folder, lambda done, total: None)
            assert done.size == newest.size == await walked(folder)
        await assert_served(site, folder)


async def assert_served(site: Site, folder: Path) -> None:
    """Every file of every export so far is served still."""
    for path, data in files(folder).items():
        told = await site.send("GET", f"/{path}", {"Accept-Encoding": "identity"})
        assert (told.status, told.raw) == (200, data), path


@pytest.mark.no_cover
async def test_a_log_of_three_levels_is_served_and_exported_alike(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    async with serving(tmp_path) as site:
        await site.load("card-1", 1)
        while site.ledger.tree.size < LARGE:
            await asyncio.gather(*(site.load("card-1", 1) for _ in range(250)))
        newest = await site.publisher.publish()
        seen: list[tuple[int, int]] = []
        await export_tiles(
            site.reader, newest, site.ledger.keyring, folder, lambda done, total: seen.append((done, total))
        )
        assert await walked(folder) == newest.size
        assert (folder / "tile" / "2" / "000.p" / "1").stat().st_size == 32
        assert seen[-1] == (newest.size, newest.size)
        for tile in ("2/000.p/1", "1/000", "1/001.p/1", "0/255", "0/256", "entries/256", "entries/000"):
            told = await site.send("GET", f"/tile/{tile}", {"Accept-Encoding": "identity"})
            assert told.raw == (folder / "tile" / tile).read_bytes(), tile
        for tile in ("2/000", "2/000.p/2", "3/000.p/1", "1/001.p/200"):
            assert (await site.send("GET", f"/tile/{tile}")).status == 404
        await site.publisher.open()  # as a start does, from the stored tiles of three levels


def test_it_goes_on_where_it_left_off_and_touches_nothing_else(installation: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    grow(installation, 200)
    first = installation.json("checkpoint")
    told = installation.json("export", "--tiles", folder)
    assert (told["since"], told["size"], told["folder"]) == (0, first["size"], str(folder))
    assert told["tiles"] == len(files(folder)) - 1
    before = files(folder)
    assert installation.json("export", "--tiles", folder)["tiles"] == 0
    grow(installation, 3, "later")
    second = installation.json("checkpoint")
    told = installation.json("export", "--tiles", folder)
    assert (told["since"], told["size"], told["tiles"]) == (first["size"], second["size"], 2)
    after = files(folder)
    assert {path: after[path] for path in before if path != "checkpoint"} == {
        path: data for path, data in before.items() if path != "checkpoint"
    }
    assert after["checkpoint"] == second["note"].encode()
    assert asyncio.run(walked(folder)) == second["size"]
    installation.assert_audits()


def test_it_writes_the_newest_published_checkpoint_not_what_came_after(
    installation: Installation, tmp_path: Path
) -> None:
    newest = installation.json("checkpoint")
    grow(installation, 3)
    shown = installation.run("export", "--tiles", tmp_path / "log").stdout
    assert f"size    {newest['size']}\n" in shown
    assert asyncio.run(walked(tmp_path / "log")) == newest["size"]
    installation.assert_audits()


async def test_new_cosignatures_are_exported_too(tmp_path: Path) -> None:
    folder, world = tmp_path / "log", World(tmp_path)
    line = "— witness.example " + "A" * 100 + "\n"
    async with publishing(world) as (ledger, publisher), reading(world) as reader:
        for cosignatures in ({}, {"witness.example+00000000": line}):
            newest = await publisher.publish()
            if cosignatures:
                await publisher.add_cosignatures(newest.size, cosignatures)
            assert publisher.newest is not None
            await export_tiles(reader, publisher.newest, ledger.keyring, folder, lambda done, total: None)
            assert (folder / "checkpoint").read_bytes() == publisher.newest.cosigned
    assert (folder / "checkpoint").read_text().endswith(line)


# --- what is refused -----------------------------------------------------------------------------------------------


def test_without_a_checkpoint_the_way_to_one_is_named(installation: Installation, tmp_path: Path) -> None:
    told = installation.refused(2, "export", "--tiles", tmp_path / "log")
    assert "run signed-ledger checkpoint" in told
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--out", "x"), "--out: goes with --format"),
        (("--force",), "--force: goes with --format"),
        (("--format", "csv"), "not allowed with"),
    ],
)
def test_it_is_one_thing_or_the_other(installation: Installation, more: tuple[str, ...], reason: str) -> None:
    assert reason in installation.refused(2, "export", "--tiles", "log", *more)


def test_books_have_no_json_facts_and_something_must_be_asked_for(installation: Installation) -> None:
    assert "--json: goes with --tiles" in installation.refused(2, "export", "--format", "csv", "--json")
    assert "--format --tiles is required" in installation.refused(2, "export")


def test_a_folder_of_another_history_is_refused_and_left_as_it_is(installation: Installation, tmp_path: Path) -> None:
    folder, other = tmp_path / "log", tmp_path / "other"
    shutil.copytree(installation.folder, other)
    fork = Installation(other)
    grow(fork, 2, "fork")
    fork.json("checkpoint")
    fork.json("export", "--tiles", folder)
    before = files(folder)
    grow(installation, 3, "ours")
    installation.json("checkpoint")
    told = installation.refused(2, "export", "--tiles", folder)
    assert str(folder) in told
    assert "holds another history" in told
    assert files(folder) == before


def test_a_folder_that_is_ahead_is_refused(installation: Installation, tmp_path: Path) -> None:
    folder, backup = tmp_path / "log", tmp_path / "backup"
    installation.json("checkpoint")
    shutil.copytree(installation.folder, backup)
    grow(installation, 1)
    installation.json("checkpoint")
    installation.json("export", "--tiles", folder)
    before = files(folder)
    told = Installation(backup).refused(2, "export", "--tiles", folder)
    assert f"{folder}/checkpoint: is not of this ledger" in told
    assert files(folder) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: b"",
        lambda note: note[:-10],
        lambda note: note.replace(b"issuer.example", b"others.example"),
        lambda note: note.replace(b"\n7\n", b"\n6\n"),
    ],
    ids=["empty", "cut", "another origin", "another size"],
)
def test_a_folder_with_a_spoilt_checkpoint_is_refused(
    installation: Installation, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    installation.json("checkpoint")
    installation.json("export", "--tiles", tmp_path)
    path = tmp_path / "checkpoint"
    path.write_bytes(spoil(path.read_bytes().replace(b"\n8\n", b"\n7\n")))
    assert f"{path}: is not of this ledger" in installation.refused(2, "export", "--tiles", tmp_path)


def test_entries_that_are_not_those_published_are_not_exported(installation: Installation, tmp_path: Path) -> None:
    installation.json("checkpoint")
    with closing(sqlite3.connect(installation.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER entries_no_update")
        connection.execute("UPDATE entries SET note = CAST(note || x'0A' AS BLOB) WHERE seq = 4")
    told = installation.refused(1, "export", "--tiles", tmp_path / "log")
    assert "are not the" in told
    assert "see signed-ledger verify" in told
    assert not (tmp_path / "log" / "checkpoint").exists()


def test_a_path_that_is_no_folder_is_told(installation: Installation, tmp_path: Path) -> None:
    installation.json("checkpoint")
    (tmp_path / "log").write_text("a file")
    for path in (tmp_path / "log", tmp_path / "log" / "within"):
        assert f"--tiles: {path} is no folder" in installation.refused(2, "export", "--tiles", path)


# --- killed, and two at once ---------------------------------------------------------------------------------------


KILLED_AT = """
import os, signal, sys
from signed_ledger.cli import main
from signed_ledger.cli.command_line import make_parser
make_parser("export")
left = int(sys.argv[1])
def hook(event, _):
    global left
    if event in ("os.rename", "os.mkdir", "open"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.exit(main(sys.argv[2:]))
"""


def test_an_export_killed_at_any_moment_is_whole_and_can_be_run_again(
    installation: Installation, tmp_path: Path
) -> None:
    grow(installation, 90)
    installation.json("checkpoint")
    first = tmp_path / "first"
    installation.json("export", "--tiles", first)
    grow(installation, 90, "later")
    newest = installation.json("checkpoint")
    step, killed = 1, 0
    while True:
        folder = tmp_path / f"log-{step}"
        shutil.copytree(first, folder)
        command = [*installation.command()[:1], "-c", KILLED_AT, str(step), "export", "--tiles", str(folder)]
        environment = installation.environment()
        ended = subprocess.run([*map(str, command)], env=environment, capture_output=True, check=False).returncode
        asyncio.run(walked(folder))  # what its checkpoint names is there, whichever of the two that is
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        killed += 1
        installation.json("export", "--tiles", folder)
        assert asyncio.run(walked(folder)) == newest["size"]
        assert not [path for path in files(folder) if path.endswith(".new")]
        shutil.rmtree(folder)
        step += max(1, killed // 4)
    assert killed > 10


async def test_two_at_once_do_no_harm(tmp_path: Path) -> None:
    folder, world = tmp_path / "log", World(tmp_path)
    async with publishing(world) as (ledger, publisher):
        for _ in range(100):
            await world.load(ledger, "card-1", 1)
        newest = await publisher.publish()
        keyring: Keyring = ledger.keyring
        async with reading(world) as one, reading(world) as two:
            exports = [export_tiles(reader, newest, keyring, folder, lambda done, total: None) for reader in (one, two)]
            ended = await asyncio.gather(*exports, return_exceptions=True)
            assert sorted(type(each).__name__ for each in ended) == ["Exported", "Invalid"]
            assert "by another export" in str(next(each for each in ended if isinstance(each, Exception)))
            assert await walked(folder) == newest.size
            again = await export_tiles(two, newest, keyring, folder, lambda done, total: None)
            assert again.tiles == 0
    assert_audits(world.path)
