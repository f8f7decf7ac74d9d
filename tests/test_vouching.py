"""What a process before the writer verified counts for those very bytes, under that very registry, for nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import Fault, IntegrityViolation, KeyRevoked, Overloaded
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import RemoteLedger, Webhook, vouch_for
from signed_ledger.ledger.submissions import Vouched
from signed_ledger.records import Parts
from signed_ledger.store import Glance, StoredEntry
from tests.support import assert_audits, edit
from tests.world import Party, World, authorisation, euros, opened, presentment, reading


def replaced(table: str, column: str, old: str, new: str) -> str:
    text = f"CAST(replace(CAST({column} AS TEXT), '{old}', '{new}') AS BLOB)"
    return f"UPDATE {table} SET {column} = {text} WHERE seq = (SELECT max(seq) FROM webhooks)"


FORGED = replaced("parts", "evidence", '"path":', '"path": ')
"""Evidence that is not encoded as it must be: who decodes it refuses it."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextmanager
def glancing(world: World) -> Iterator[Glance]:
    glance = Glance.open(world.path, busy_timeout_ms=0)
    yield glance
    glance.close()


def vouched(world: World, webhook: Webhook, keyring: Keyring) -> Vouched | None:
    with glancing(world) as glance:
        return vouch_for(webhook, glance, keyring)


async def begun(world: World, ledger: Any) -> Party:
    visa = await world.register(ledger, "scheme", "visa")
    await world.load(ledger, "c1", 100_00)
    await ledger.submit(world.webhook(visa, "authorisation", authorisation("t", "c1", "40.00")))
    return visa


async def test_where_an_authorisation_stands_is_vouched_for_and_money_moves(world: World) -> None:
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
        increment = world.webhook(visa, "increment", {"transaction_id": "t", **euros("billing", "1.00")})
        first = vouched(world, increment, ledger.keyring)
        assert first is not None
        assert (first.registry, len(first.digests)) == (ledger.keyring.history[-1], 1)
        await ledger.submit(increment._replace(vouched=first))
        clearing = world.webhook(visa, "presentment", presentment("t", "41.00"))
        both = vouched(world, clearing, ledger.keyring)
        assert both is not None
        assert len(both.digests) == 2, "the authorisation and what came since"
        assert first.digests[0] in both.digests
        answer = await ledger.submit(clearing._replace(vouched=both))
        assert (answer.body.decision, answer.body.reason) == ("posted", "ok")  # type: ignore[union-attr]
    assert_audits(world.path)


async def test_nothing_is_vouched_for_that_is_not_there_or_does_not_verify(world: World) -> None:
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
        assert vouched(world, world.webhook(visa, "presentment", presentment("u", "1.00")), ledger.keyring) is None
        edit(world.path, FORGED)
        assert vouched(world, world.webhook(visa, "presentment", presentment("t", "1.00")), ledger.keyring) is None


@pytest.mark.parametrize(
    "change",
    [
        FORGED,
        replaced("parts", "body", "40.00", "90.00"),
        "UPDATE parts SET evidence = NULL WHERE seq = (SELECT max(seq) FROM webhooks)",
        replaced("entries", "note", "state", "stale"),
        "UPDATE authorisation_states SET held = 1 WHERE transaction_id = 't'",
    ],
    ids=["the evidence", "the body", "no evidence", "the note", "the hold"],
)
async def test_what_was_changed_since_it_was_vouched_for_moves_no_money(world: World, change: str) -> None:
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
        await world.load(ledger, "c2", 1_00)  # so that the edited entry is not the head
        clearing = world.webhook(visa, "presentment", presentment("t", "40.00"))
        clearing = clearing._replace(vouched=vouched(world, clearing, ledger.keyring))
        assert clearing.vouched is not None
        edit(world.path, change)
        with pytest.raises(IntegrityViolation):
            await ledger.submit(clearing)


@pytest.mark.parametrize(("later", "believed"), [(False, True), (True, False)], ids=["this registry", "a later one"])
async def test_who_vouches_is_believed_under_the_same_registry_only(world: World, later: bool, believed: bool) -> None:
    """That it is believed at all is seen where it vouches for what does not verify, which none of ours does."""
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
        registry = ledger.keyring.history[-1]
        edit(world.path, FORGED)
        clearing = world.webhook(visa, "presentment", presentment("t", "40.00"))
        with glancing(world) as glance:
            found = glance.authorisation(clearing.asked.key)
        assert found is not None
        clearing = clearing._replace(vouched=Vouched(registry, (found.own.digest,)))
        if later:
            await world.register(ledger, "scheme", "other")
        if believed:
            assert (await ledger.submit(clearing)).body.decision == "posted"  # type: ignore[union-attr]
        else:
            with pytest.raises(IntegrityViolation):
                await ledger.submit(clearing)


async def test_another_registry_of_the_same_length_is_not_believed(world: World, tmp_path: Path) -> None:
    """Who can edit the file can put his own keys there; a worker that reads them must not bring them to the writer."""
    (tmp_path / "his").mkdir()
    his = World(tmp_path / "his")
    async with opened(world) as ledger, opened(his) as his_ledger:
        visa = await begun(world, ledger)
        await begun(his, his_ledger)
        assert his_ledger.keyring.version == ledger.keyring.version
        edit(world.path, FORGED)
        clearing = world.webhook(visa, "presentment", presentment("t", "40.00"))
        with glancing(world) as glance:
            found = glance.authorisation(clearing.asked.key)
        assert found is not None
        with pytest.raises(IntegrityViolation):
            await ledger.submit(clearing._replace(vouched=Vouched(his_ledger.keyring.history[-1], (found.own.digest,))))


async def test_a_process_stops_at_a_registry_that_does_not_continue_the_one_it_knows(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "his").mkdir()
    his = World(tmp_path / "his")
    async with opened(world) as ledger, opened(his) as his_ledger:
        await begun(world, ledger)
        known = ledger.keyring
        for name in ("visa", "other"):
            await his.register(his_ledger, "scheme", name)
        async with reading(world) as own, reading(his) as others:
            with glancing(world) as glance:
                await (ours := RemoteLedger(own, glance, known, 1)).look()
                assert not ours.stopped.done()
                await (swapped := RemoteLedger(others, glance, known, 1)).look()
                assert isinstance(swapped.stopped.exception(), Fault)
                assert swapped.keyring is known
                with pytest.raises(Overloaded):
                    swapped.check_room()


async def test_a_key_of_another_scheme_signs_nothing_for_this_one(world: World) -> None:
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
        other = await world.register(ledger, "scheme", "other")
        asked = world.webhook(visa, "authorisation", authorisation("u", "c1", "1.00"))
        by_other = world.webhook(other, "authorisation", authorisation("u", "c1", "1.00"))
        with pytest.raises(KeyRevoked):
            await ledger.submit(asked._replace(evidence=by_other.evidence))
    assert_audits(world.path)


def test_the_digest_of_an_entry_is_of_each_part_in_its_place() -> None:
    stored = [
        StoredEntry(seq, note, Parts(*parts))
        for seq in (1, 2)
        for note in (None, b"", b"ab")
        for parts in (
            (b"c", b"d", b"e"),
            (b"cd", None, b"e"),
            (b"cd", b"", b"e"),
            (b"c", b"de", None),
            (None, b"c", b"de"),
        )
    ]
    assert len({entry.digest for entry in stored}) == len(stored)


async def test_what_can_not_be_read_is_a_fault(world: World) -> None:
    async with opened(world) as ledger:
        visa = await begun(world, ledger)
    clearing = world.webhook(visa, "presentment", presentment("t", "40.00"))
    with glancing(world) as glance, closing(sqlite3.connect(world.path)) as other:
        other.execute("ALTER TABLE entries RENAME TO gone")
        with pytest.raises(Fault, match="no such table"):
            glance.authorisation(clearing.asked.key)
