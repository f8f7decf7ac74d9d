"""`verify --last-seen` where a new entry says what the old ones are worth: these are not taken as verified any more."""

from dataclasses import replace
from pathlib import Path

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.audit.running import audit_since
from signed_ledger.audit.steps import Step
from signed_ledger.keyring import approve
from signed_ledger.ledger import Ledger
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import History, KeyChange, RootChange
from tests.cheating import CheatingIssuer
from tests.support import Sample, edit, make_sample, publish, rows
from tests.tampering import Copy
from tests.test_erasing_audit import erase, gone
from tests.test_last_seen import verify
from tests.world import ORIGIN, World, opened


@pytest.fixture
async def sample(tmp_path: Path) -> Sample:
    return await make_sample(tmp_path)


@pytest.fixture
def seen(sample: Sample, tmp_path: Path) -> Path:
    path = tmp_path / "last-seen.json"
    assert verify(sample.path, path)[0] == 0
    return path


def history(path: Path, size: int) -> History:
    tree = Tree()
    for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq LIMIT ?", size):
        tree.append(leaf_hash(note))
    return History(size, tree.root())


async def revoke(world: World, ledger: Ledger, kid: str, role: str, whose: str, said: History) -> None:
    change = KeyChange("revoke", role, kid, None, whose, ledger.keyring.version + 1, history=said)
    await ledger.submit(replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", world.root)])))


async def test_what_a_schemes_key_signed_before_can_not_be_hidden_from_its_revocation(
    sample: Sample, seen: Path
) -> None:
    """The evidence names the key; who takes it out of old rows would have had them pass as another's."""
    size = sample.seqs["life"]
    async with opened(sample.world) as ledger:
        await revoke(sample.world, ledger, sample.visa.kid, "scheme", "visa", history(sample.path, size))
        await publish(sample.world, ledger)
    old = rows(sample.path, "SELECT max(seq) FROM entries")[0][0] - 1
    edit(sample.path, "UPDATE parts SET evidence = NULL WHERE seq >= ? AND seq <= ?", size, old)
    assert not audit_file(sample.path, jobs=1).ok
    before = seen.read_bytes()
    status, report = verify(sample.path, seen)
    assert (status, report["from_seq"]) == (1, 0)
    assert seen.read_bytes() == before


async def test_new_root_keys_that_vouch_for_another_past_are_told(sample: Sample, seen: Path, tmp_path: Path) -> None:
    copy, root = Copy(sample.path, tmp_path / "copy.db"), sample.world.root
    (version,) = rows(sample.path, "SELECT count(*) FROM keys WHERE kind IN ('genesis', 'key')")[0]
    change = RootChange((root.public_key,), 1, version, history=History(20, bytes(32)))
    with copy.edited() as connection:
        approved = replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", root)]))
        CheatingIssuer(connection, sample).write(approved)
    status, report = verify(copy.path, seen)
    assert status == 1
    assert {fault["step"] for fault in report["faults"]} == {Step.REVOCATIONS}


async def test_what_an_issuer_erases_of_entries_that_were_seen_is_judged(
    sample: Sample, seen: Path, tmp_path: Path
) -> None:
    """Signed as an erasure, but of no card: the Issuer's own line of long ago."""
    copy = Copy(sample.path, tmp_path / "copy.db")
    line = rows(sample.path, "SELECT seq FROM account_states WHERE owner = 'issuer' ORDER BY seq")[1][0]
    with copy.edited() as connection:
        erase(CheatingIssuer(connection, sample), [line])
    assert not audit_file(copy.path, jobs=1).ok
    status, report = verify(copy.path, seen)
    assert (status, report["from_seq"]) == (1, 0)


async def test_what_names_new_entries_alone_goes_on_from_what_was_seen(
    sample: Sample, seen: Path, tmp_path: Path
) -> None:
    async with opened(sample.world) as ledger:
        await sample.world.load(ledger, "c9", 1_00)
    copy = Copy(sample.path, tmp_path / "copy.db")
    with copy.edited() as connection:
        head = connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
        erase(CheatingIssuer(connection, sample), [head])
        gone(connection, head, "body")
    status, report = verify(copy.path, seen)
    assert report["from_seq"] > 0
    assert status == 1  # that was owed
    assert audit_since(sample.path, None, jobs=1).report.ok


async def test_a_tile_of_the_past_that_was_edited_is_told_where_a_history_is_named(tmp_path: Path) -> None:
    """New root keys vouch for 300 entries, whose root is made from a tile that no other new entry rests on."""
    world, seen = World(tmp_path), tmp_path / "seen"
    async with opened(world) as ledger:
        while ledger.tree.size < 513:
            await world.load(ledger, "c1", 1_00)
        await publish(world, ledger)
        assert verify(world.path, seen)[0] == 0
        change = RootChange((world.root.public_key,), 1, 1, history=history(world.path, 300))
        await ledger.submit(replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", world.root)])))
    assert verify(world.path, seen)[1]["from_seq"] > 0
    edit(world.path, "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 1")
    status, report = verify(world.path, seen)
    assert (status, {fault["step"] for fault in report["faults"]}) == (1, {Step.LOG})
