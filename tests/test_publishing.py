"""What is published never contradicts what was published: the lock file, crashes, backups, copies, several servers."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.errors import Invalid
from signed_ledger.keyring import approve
from signed_ledger.merkle import EMPTY_ROOT, leaf_hash, tree_hash
from signed_ledger.money import Money
from signed_ledger.publishing import CheckpointLock, OtherHistory, Published, Publisher, root_at
from signed_ledger.records import Checkpoint, History, KeyChange, Load
from signed_ledger.signing import kid_of
from signed_ledger.tables import TABLES
from signed_ledger.telemetry import Metrics
from tests.support import assert_audits
from tests.world import ORIGIN, World, opened, publishing, reading


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lock_of(world: World) -> CheckpointLock:
    return CheckpointLock(world.lock_path)


def kept(world: World) -> list[tuple[int, bytes]]:
    """(size, note) of each checkpoint that the ledger keeps."""
    with closing(sqlite3.connect(world.path)) as connection:
        return [(seq + 1, note) for seq, note in connection.execute("SELECT seq, note FROM checkpoints ORDER BY seq")]


def root_of_entries(world: World, size: int) -> bytes:
    """The root of the first `size` entries by the definition of RFC 6962, from the file."""
    with closing(sqlite3.connect(world.path)) as connection:
        notes = connection.execute("SELECT note FROM entries WHERE seq < ? ORDER BY seq", (size,))
        return tree_hash([leaf_hash(note) for (note,) in notes])


def harm(world: World, table: str, change: str) -> None:
    """Change the file past its triggers, as one could who has it."""
    with closing(sqlite3.connect(world.path, isolation_level=None)) as connection:
        for what in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_{what}")
        connection.execute(change)


async def loads(world: World, *ledgers: object, count: int = 1) -> None:
    for ledger in ledgers:
        for _ in range(count):
            await world.load(ledger, "card-1", 100)  # type: ignore[arg-type]


async def published(world: World, count: int = 1) -> Published:
    """Open the ledger, load a card so often, publish, close."""
    async with publishing(world) as (ledger, publisher):
        await loads(world, ledger, count=count)
        return await publisher.publish()


# --- publishing ----------------------------------------------------------------------------------------------------


async def test_a_checkpoint_has_all_that_is_there_is_locked_kept_and_told(world: World) -> None:
    async with publishing(world) as (ledger, publisher):
        assert lock_of(world).read() == Checkpoint(ORIGIN, 0, EMPTY_ROOT)
        for count in (1, 3, 300):
            await loads(world, ledger, count=count)
            told = await publisher.publish()
            assert told.size == ledger.tree.size
            assert told.checkpoint.root == root_of_entries(world, told.size)
            opened_note = open_checkpoint(told.note, origin=ORIGIN, public_key=world.checkpoint.public_key)
            assert opened_note.checkpoint == told.checkpoint == lock_of(world).read()
            assert kept(world)[-1] == (told.size, told.note)
            assert publisher.newest == told
    assert len(kept(world)) == 3
    assert_audits(world.path)


async def test_nothing_new_is_published_once(world: World) -> None:
    async with publishing(world) as (ledger, publisher):
        await loads(world, ledger)
        assert await publisher.publish() == await publisher.publish()
    assert len(kept(world)) == 1
    assert_audits(world.path)


async def test_after_a_restart_the_newest_is_told_before_anything_is_published(world: World) -> None:
    first = await published(world)
    async with publishing(world) as (_, publisher):
        assert publisher.newest == first
        assert await publisher.publish() == first
    assert kept(world) == [(first.size, first.note)]
    assert_audits(world.path)


async def test_an_entry_is_covered_within_one_interval(world: World) -> None:
    """The setting's most is 900 ms: with the publishing itself that is a second."""
    async with publishing(world) as (ledger, publisher):
        running = asyncio.create_task(publisher.run(0.05))
        for _ in range(3):
            await loads(world, ledger)
            newest = ledger.tree.size - 1
            assert await publisher.covering(newest, 0) is None
            covering = await publisher.covering(newest, 10)
            assert covering is not None
            assert covering.size > newest
        running.cancel()
    assert [size for size, _ in kept(world)] == sorted({size for size, _ in kept(world)})
    assert_audits(world.path)


async def test_who_waits_for_what_does_not_come_is_told_so(world: World) -> None:
    async with publishing(world) as (_, publisher):
        assert await publisher.covering(0, 0.01) is None
        await publisher.publish()
        assert await publisher.covering(0, 0.01) is not None
        assert await publisher.covering(1, 0.01) is None
    assert_audits(world.path)


async def test_the_key_of_a_checkpoint_goes_by_its_size_not_by_when_it_is_signed(world: World) -> None:
    async with publishing(world) as (ledger, publisher):
        before = await publisher.publish()
        new = await world.rotate_checkpoint_key(ledger)
        after = await publisher.publish()
        await loads(world, ledger)
        last = await publisher.publish()
        assert ledger.keyring.checkpoint_key_at(before.size) == world.checkpoint.public_key
        assert ledger.keyring.checkpoint_key_at(after.size) == new.public_key
    for told, signer in ((before, world.checkpoint), (after, new), (last, new)):
        assert open_checkpoint(told.note, origin=ORIGIN, public_key=signer.public_key).checkpoint == told.checkpoint
    assert_audits(world.path)


async def test_a_checkpoint_by_a_revoked_key_covers_nothing(world: World) -> None:
    async with publishing(world) as (ledger, publisher):
        await loads(world, ledger)
        told = await publisher.publish()
        said = History(told.size - 1, root_of_entries(world, told.size - 1))
        kid = kid_of(world.checkpoint.public_key)
        change = KeyChange("revoke", "checkpoint", kid, None, ORIGIN, ledger.keyring.version + 1, history=said)
        await ledger.submit(replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", world.root)])))
        assert await publisher.covering(0, 0.01) is None
    assert_audits(world.path)


async def test_a_rotation_that_is_being_written_does_not_change_whose_checkpoint_is_signed(world: World) -> None:
    """The writer knows of the new key before the change is on disk, and the tree does not have it yet."""
    async with publishing(world) as (ledger, publisher):
        running = asyncio.create_task(publisher.run(0.0))
        for _ in range(5):
            rotating = asyncio.create_task(world.rotate_checkpoint_key(ledger))
            while not rotating.done():
                await publisher.publish()
                await asyncio.sleep(0)
            await rotating
        running.cancel()
    assert len(kept(world)) >= 5
    assert_audits(world.path)


# --- several servers on one ledger ---------------------------------------------------------------------------------


async def test_two_servers_on_one_ledger_publish_one_history(world: World) -> None:
    async with publishing(world) as (one, first), publishing(world) as (two, second):
        tasks = [asyncio.create_task(publisher.run(0.005)) for publisher in (first, second)]
        for _ in range(25):
            await loads(world, one, two)
            assert not any(task.done() for task in tasks)
        newest = max(one.tree.size, two.tree.size) - 1
        covering = [await publisher.covering(newest, 10) for publisher in (first, second)]
        for task in tasks:
            task.cancel()
        assert all(told is not None and told.size > newest for told in covering)
    notes = dict(kept(world))
    assert len(notes) == len(kept(world)) > 1
    for size, note in notes.items():
        text = open_checkpoint(note, origin=ORIGIN, public_key=world.checkpoint.public_key)
        assert text.checkpoint == Checkpoint(ORIGIN, size, root_of_entries(world, size))
    assert_audits(world.path)


async def test_both_may_publish_the_same_and_it_is_the_same_bytes(world: World) -> None:
    async with publishing(world) as (one, first), publishing(world) as (two, second):
        await loads(world, one)
        await two.look()
        told = await asyncio.gather(first.publish(), second.publish())
        assert told[0].note == told[1].note
        assert first.newest == second.newest
    assert len(kept(world)) == 1
    assert_audits(world.path)


async def test_one_that_follows_tells_what_the_other_published(world: World) -> None:
    async with publishing(world) as (one, first), publishing(world) as (_, second):
        running = asyncio.create_task(second.follow(0.005))
        for _ in range(3):
            await loads(world, one)
            told = await first.publish()
            assert (await second.covering(told.size - 1, 10)) == told
        running.cancel()
    assert len(kept(world)) == 3
    assert_audits(world.path)


async def test_one_that_is_behind_the_other_catches_up_and_publishes_what_both_have(world: World) -> None:
    async with publishing(world) as (one, first), publishing(world) as (_, second):
        await loads(world, one, count=4)
        told = await first.publish()
        assert await second.publish() == told
        await loads(world, one)
        locked = Checkpoint(ORIGIN, one.tree.size, one.tree.root())
        assert lock_of(world).swap(told.checkpoint, locked), "as a server does that dies before it has signed"
        assert (await second.publish()).checkpoint == locked
    assert [size for size, _ in kept(world)] == [told.size, locked.size]
    assert_audits(world.path)


async def test_a_second_server_starts_while_the_first_goes_on(world: World) -> None:
    async with publishing(world) as (one, first), opened(world) as two, reading(world) as reader:
        await loads(world, one, count=3)
        told = await first.publish()
        second = world.publisher(two, reader)
        await second.open()
        assert second.newest == told
    assert_audits(world.path)


# --- crashes: the rest of them are in test_cli_checkpoint.py, where processes are killed -----------------------------


async def test_a_checkpoint_that_is_locked_and_not_kept_is_published_after_the_restart(world: World) -> None:
    async with publishing(world) as (ledger, _):
        await loads(world, ledger)
        locked = Checkpoint(ORIGIN, ledger.tree.size, ledger.tree.root())
        assert lock_of(world).swap(Checkpoint(ORIGIN, 0, EMPTY_ROOT), locked)
    async with publishing(world) as (_, publisher):
        assert publisher.newest is None
        assert (await publisher.publish()).checkpoint == locked
    assert_audits(world.path)


async def test_a_checkpoint_that_is_kept_and_not_told_is_told_after_the_restart(world: World) -> None:
    class Mute(Publisher):
        def tell(self, published: Published) -> Published:
            raise RuntimeError("the process ends here")

    async with publishing(world) as (ledger, publisher):
        await loads(world, ledger)
        publisher.__class__ = Mute
        with pytest.raises(RuntimeError):
            await publisher.publish()
    async with publishing(world) as (_, publisher):
        assert publisher.newest is not None
        assert kept(world) == [(publisher.newest.size, publisher.newest.note)]
        assert await publisher.publish() == publisher.newest
    assert_audits(world.path)


# --- other histories -----------------------------------------------------------------------------------------------


async def refused(world: World) -> str:
    """Why a server does not start."""
    with pytest.raises(Invalid) as told:
        async with publishing(world):
            pass
    return str(told.value)


async def test_a_restored_backup_is_refused(world: World, tmp_path: Path) -> None:
    await published(world)
    backup = world.forked(tmp_path / "backup")
    newest = await published(world)
    told = await refused(backup)
    assert str(world.lock_path) in told
    assert f"a checkpoint of {newest.size} entries was published" in told
    assert "restored from a backup" in told
    assert lock_of(world).read() == newest.checkpoint
    for each in (world, backup):
        assert_audits(each.path)


async def test_a_backup_that_was_let_grow_is_refused_still(world: World, tmp_path: Path) -> None:
    await published(world)
    backup = world.forked(tmp_path / "backup")
    newest = await published(world)
    async with opened(backup) as ledger:  # a command, which publishes nothing
        await ledger.submit(Load("another", "card-2", Money(1, "EUR")))
        await loads(backup, ledger, count=5)
    told = await refused(backup)
    assert f"of the {newest.size} entries that were published, this ledger has others" in told
    for each in (world, backup):
        assert_audits(each.path)


async def test_two_servers_on_two_copies_with_one_lock_the_second_stops_and_the_first_goes_on(
    world: World, tmp_path: Path
) -> None:
    await published(world)
    other = world.forked(tmp_path / "copy")
    async with publishing(world) as (one, first), publishing(other) as (two, second):
        assert first.newest == second.newest
        await loads(world, one)
        await two.submit(Load("another", "card-2", Money(1, "EUR")))
        told = await first.publish()
        with pytest.raises(OtherHistory, match="it is another history"):
            await second.run(0.0)
        await loads(world, one)
        assert (await first.publish()).size > told.size
    assert len(kept(other)) == 1
    for each in (world, other):
        assert_audits(each.path)


async def test_a_copy_that_fell_behind_stops(world: World, tmp_path: Path) -> None:
    await published(world)
    other = world.forked(tmp_path / "copy")
    async with publishing(world) as (one, first), publishing(other) as (two, second):
        await loads(other, two)
        await loads(world, one, count=5)
        await first.publish()
        with pytest.raises(OtherHistory, match="and the ledger has"):
            await second.publish()
    for each in (world, other):
        assert_audits(each.path)


async def test_a_tail_cut_off_while_it_was_stopped_is_refused(world: World) -> None:
    newest = await published(world, count=3)
    for table in TABLES:
        harm(world, table.name, f"DELETE FROM {table.name} WHERE seq >= {newest.size - 3}")  # the last load, whole
    assert f"a checkpoint of {newest.size} entries was published" in await refused(world)


async def test_the_ledger_of_another_origin_is_refused(world: World) -> None:
    world.lock_path.unlink(missing_ok=True)
    lock_of(world).create(Checkpoint("other.example/ledger", 0, EMPTY_ROOT))
    assert "is of the ledger other.example/ledger" in await refused(world)


async def test_a_lock_that_is_lost_is_not_made_again_by_itself(world: World) -> None:
    newest = await published(world)
    world.lock_path.unlink()
    told = await refused(world)
    assert "is not there" in told
    assert f"a checkpoint of {newest.size} entries was published" in told
    assert not world.lock_path.exists()


async def test_a_lock_that_was_restored_from_a_backup_is_refused(world: World) -> None:
    await published(world)
    older = world.lock_path.read_bytes()
    newest = await published(world)
    world.lock_path.write_bytes(older)
    assert f"one of {newest.size} was published since" in await refused(world)


async def test_a_lost_lock_is_made_anew_from_the_newest_checkpoint_that_is_kept(world: World) -> None:
    newest = await published(world)
    async with publishing(world) as (ledger, publisher):
        await loads(world, ledger)
        with pytest.raises(Invalid, match="is there"):
            await publisher.renew_lock()
        world.lock_path.unlink()
        await publisher.renew_lock()
        assert lock_of(world).read() == newest.checkpoint
        assert (await publisher.publish()).size > newest.size
    assert_audits(world.path)


# --- what else the file may have been made to say --------------------------------------------------------------------


async def test_tiles_edited_below_the_published_root_are_refused(world: World) -> None:
    await published(world, count=100)  # 300 entries and more: one full tile
    harm(world, "tiles", "UPDATE tiles SET root = zeroblob(32)")
    assert "this ledger has others" in await refused(world)


async def test_tiles_edited_before_they_were_published_are_never_signed(world: World) -> None:
    async with opened(world) as ledger:
        await loads(world, ledger, count=100)
    harm(world, "tiles", "UPDATE tiles SET root = zeroblob(32)")
    assert "tiles: are not those of the entries: run signed-ledger rebuild" in await refused(world)
    assert kept(world) == []


async def test_a_missing_tile_is_told_with_the_command_that_mends_it(world: World) -> None:
    await published(world, count=100)
    harm(world, "tiles", "DELETE FROM tiles")
    assert "some of level 0 are missing: run signed-ledger rebuild" in await refused(world)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("note = zeroblob(100)", "is not one"),
        ("seq = seq - 1", "is of"),
        ("note = replace(CAST(note AS TEXT), 'issuer.example', 'others.example')", "is not one"),
    ],
)
async def test_a_kept_checkpoint_that_is_none_of_ours_is_not_told(world: World, change: str, reason: str) -> None:
    await published(world)
    if "replace" in change:
        change = f"note = CAST({change.removeprefix('note = ')} AS BLOB)"
    harm(world, "checkpoints", f"UPDATE checkpoints SET {change}")
    told = await refused(world)
    assert "checkpoints: what is kept for" in told
    assert reason in told


# --- trouble ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["garbage\n", "\n", f"— another {'A' * 88}\n", "— w.example AAAA", "x" * 100_000])
async def test_a_kept_cosignature_that_is_none_spoils_no_checkpoint(world: World, line: str) -> None:
    told = await published(world)
    with closing(sqlite3.connect(world.path)) as connection, connection:
        connection.execute(
            "INSERT INTO cosignatures (seq, key, line) VALUES (?, 'w.example+00000000', ?)", (told.size - 1, line)
        )
    async with publishing(world) as (_, publisher):
        assert publisher.newest is not None
        assert publisher.newest.cosigned == told.note


async def test_a_lock_file_that_fails_stops_no_payment_and_is_counted(world: World) -> None:
    metrics = Metrics()

    def failures() -> float:
        return metrics.registry.get_sample_value("signed_ledger_checkpoint_failures_total") or 0.0

    aside = world.lock_path.with_name("aside")
    async with publishing(world, metrics) as (ledger, publisher):
        running = asyncio.create_task(publisher.run(0.005))
        shutil.move(world.lock_path, aside)
        await loads(world, ledger)
        while failures() < 2:
            await asyncio.sleep(0.005)
        await loads(world, ledger)
        assert publisher.newest is None or publisher.newest.size < ledger.tree.size
        shutil.move(aside, world.lock_path)
        covering = await publisher.covering(ledger.tree.size - 1, 10)
        assert covering is not None
        assert metrics.registry.get_sample_value("signed_ledger_checkpoint_size") == covering.size
        running.cancel()
    assert_audits(world.path)


async def test_the_root_at_every_size_is_that_of_the_entries(world: World) -> None:
    async with opened(world) as ledger, reading(world) as reader:
        await loads(world, ledger, count=180)
        size = ledger.tree.size
        assert size > 512
        for at in (0, 1, 2, 3, 255, 256, 257, 511, 512, 513, size):
            assert await root_at(reader, at) == root_of_entries(world, at)
    assert_audits(world.path)
