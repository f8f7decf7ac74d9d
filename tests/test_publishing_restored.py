"""Yesterday's ledger put back with its lock file, or cut off with its checkpoints: who notices, and who does not.

The Issuer's own machine can not: all that it kept says yesterday. Whoever kept something elsewhere does.
"""

import io
import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from signed_ledger.audit import run_verify
from signed_ledger.checkpoints import vkey_of
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher
from signed_ledger.policy import decode_policy
from signed_ledger.publishing import Witnesses
from signed_ledger.publishing.proofs import consistency
from signed_ledger.telemetry import Metrics
from tests.support import assert_audits, verify_options
from tests.witnessing import OurWitness
from tests.world import ORIGIN, World, publishing, reading

PUSHES = "signed_ledger_witness_pushes_total"
OUTCOMES = ("cosigned", "unreachable", "refused", "malformed", "wrong_signature", "unproven", "ahead", "inconsistent")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def grown(world: World, cards: int = 3, card_id: str = "c1") -> None:
    async with publishing(world) as (ledger, publisher):
        for _ in range(cards):
            await world.load(ledger, card_id, 1_00)
        await publisher.publish()


def with_its_lock(world: World, folder: Path) -> World:
    """A backup of both, as of now."""
    backup = world.forked(folder)
    backup.lock_path = folder / "checkpoint.lock"
    shutil.copy(world.lock_path, backup.lock_path)
    return backup


def verified(world: World, seen: Path) -> tuple[int, set[int]]:
    out = io.StringIO()
    status = run_verify(world.path, None, verify_options(json=True, last_seen=seen), out, io.StringIO())
    return status, {fault["step"] for fault in json.loads(out.getvalue())["faults"]}


async def pushed(world: World, witness: OurWitness, url: str) -> tuple[int, dict[str, float]]:
    """Publish what there is and push it to the witness: how many cosigned, and what the metrics tell."""
    policy = decode_policy(f"witness w {witness.vkey} {url}\nquorum w\n".encode())
    metrics, fetcher = Metrics(), Fetcher(5.0)
    try:
        async with publishing(world) as (_, publisher), reading(world) as reader:
            told = await publisher.publish()
            witnesses = Witnesses(policy, fetcher, metrics, 5.0)
            cosigned = await witnesses.cosign(told.note, told.size, partial(consistency, reader))
    finally:
        await fetcher.close()
    told_of = {name: metrics.registry.get_sample_value(PUSHES, {"witness": "w", "outcome": name}) for name in OUTCOMES}
    return len(cosigned), {name: count for name, count in told_of.items() if count}


async def test_a_ledger_put_back_with_its_lock_is_told_by_who_kept_a_checkpoint(world: World, tmp_path: Path) -> None:
    await grown(world)
    backup, seen = with_its_lock(world, tmp_path / "backup"), tmp_path / "seen"
    await grown(world)
    assert verified(world, seen) == (0, set())
    await grown(backup, 1, "another")  # it starts, and publishes: nothing on this machine says otherwise
    assert verified(backup, seen) == (1, {13})
    await grown(backup, 9, "another")
    assert verified(backup, seen) == (1, {13})
    for each in (world, backup):
        assert_audits(each.path)


async def test_a_ledger_put_back_with_its_lock_gets_no_cosignature(world: World, tmp_path: Path) -> None:
    witness = OurWitness(tmp_path)
    witness.follow(ORIGIN, vkey_of(ORIGIN, world.checkpoint.public_key))
    await grown(world)
    backup = with_its_lock(world, tmp_path / "backup")
    await grown(world)
    async with witness.serving() as url:
        assert await pushed(world, witness, url) == (1, {"cosigned": 1})
        assert await pushed(backup, witness, url) == (0, {"ahead": 1})
        await grown(backup, 9, "another")
        assert await pushed(backup, witness, url) == (0, {"inconsistent": 1})
        assert (await pushed(world, witness, url))[0] == 1
    with witness.opened() as state:
        assert [seen.is_proof for seen in state.evidence(ORIGIN)] == [False]
    for each in (world, backup):
        assert_audits(each.path)


async def test_a_tail_cut_off_with_its_checkpoints_is_told_by_the_lock_and_by_who_kept_one(
    world: World, tmp_path: Path
) -> None:
    await grown(world)
    seen, copy = tmp_path / "seen", with_its_lock(world, tmp_path / "copy")
    assert verified(copy, seen) == (0, set())
    with closing(sqlite3.connect(copy.path)) as connection, connection:
        (size,) = connection.execute("SELECT max(seq) + 1 FROM entries").fetchone()
        for table, event in ((table, "delete") for table in _tables(connection)):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_{event}")
            connection.execute(f"DELETE FROM {table} WHERE seq >= ?", (size - 3,))
    with pytest.raises(Invalid, match="a checkpoint of"):
        await grown(copy, 0)
    assert verified(copy, seen) == (1, {13})
    assert_audits(copy.path)  # alone it is a ledger in which all is right: what verify says that it can not know
    assert_audits(world.path)


def _tables(connection: sqlite3.Connection) -> list[str]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return [name for name in names if "seq" in [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]]
