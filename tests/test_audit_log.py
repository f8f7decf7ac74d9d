"""Step 12: tiles, checkpoints and cosignatures that are not of this very history are told, once, where they are."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.audit.core import Audit
from signed_ledger.audit.log import Log
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.reading import LedgerFile, Position
from signed_ledger.audit.steps import Tally
from signed_ledger.checkpoints import cosign, open_checkpoint, sign_checkpoint
from signed_ledger.encoding import encode_signature
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer, SoftwareSigner, verify
from signed_ledger.tables import TABLES
from tests.support import Sample, assert_audits, edit, make_sample, publish, rows
from tests.tampering import Copy, found
from tests.world import ORIGIN, World, opened

TILES, CHECKPOINTS, COSIGNATURES = (
    next(at for at, table in enumerate(TABLES) if table.name == name)
    for name in ("tiles", "checkpoints", "cosignatures")
)


def leaves_of(path: Path) -> list[bytes]:
    return [leaf_hash(note) for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq")]


def note_of(path: Path, size: int, signer: Signer, origin: str = ORIGIN) -> bytes:
    """A checkpoint of the first `size` entries, as the log might have signed it."""
    tree = Tree()
    for leaf in leaves_of(path)[:size]:
        tree.append(leaf)
    return sign_checkpoint(Checkpoint(origin, size, tree.root()), signer)


def sql_blob(data: bytes) -> str:
    return f"x'{data.hex()}'"


# --- sound ---------------------------------------------------------------------------------------------------------


def test_a_ledger_with_full_tiles_and_checkpoints_is_sound(long_sample: Sample) -> None:
    report = assert_audits(long_sample.path, long_sample.trust)
    step = report.steps[11]
    kept = len(rows(long_sample.path, "SELECT seq FROM checkpoints"))
    assert kept == 4
    assert step.checked == kept + 2  # one tile, one cosignature
    assert rows(long_sample.path, "SELECT level, number, seq FROM tiles") == [(0, 0, 255)]


# --- tiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM tiles", id="missing"),
        pytest.param("UPDATE tiles SET root = zeroblob(32)", id="another root"),
        pytest.param("UPDATE tiles SET hashes = zeroblob(8192)", id="other hashes"),
        pytest.param("UPDATE tiles SET number = 1", id="another number"),
        pytest.param("UPDATE tiles SET level = 1", id="another level"),
        pytest.param("INSERT INTO tiles SELECT 1, 0, seq, root, hashes FROM tiles", id="one more"),
    ],
)
def test_a_tile_that_is_not_that_of_the_entries_is_told(long_copy: Copy, statement: str) -> None:
    assert found(long_copy.report_after(statement)) == {(255, 12)}


def test_a_tile_of_another_entry_is_told_there_too(long_copy: Copy) -> None:
    assert found(long_copy.report_after("UPDATE tiles SET seq = 256")) == {(255, 12)}
    report = long_copy.report_after("INSERT INTO tiles SELECT 0, 1, 5, root, hashes FROM tiles")
    assert found(report) == {(5, 12)}


def test_a_tile_of_no_entry_is_told(long_copy: Copy) -> None:
    report = long_copy.report_after("INSERT INTO tiles SELECT 0, 1, 5000, root, hashes FROM tiles")
    assert found(report) == {(5000, 12)}


# --- checkpoints ---------------------------------------------------------------------------------------------------


@pytest.fixture
def size(copy: Copy) -> int:
    with copy.edited() as connection:
        (seq,) = connection.execute("SELECT max(seq) FROM entries").fetchone()
    return int(seq) + 1


def after_note(copy: Copy, note: bytes, seq: int) -> set[tuple[int | None, int]]:
    return found(
        copy.report_after(
            f"DELETE FROM checkpoints WHERE seq = {seq}",
            f"INSERT INTO checkpoints VALUES ({seq}, {sql_blob(note)})",
        )
    )


def test_checkpoints_of_any_size_are_sound(copy: Copy, sample: Sample, size: int) -> None:
    for kept in (1, 5, size):
        assert after_note(copy, note_of(copy.path, kept, sample.world.checkpoint), kept - 1) == set()


def test_a_checkpoint_of_another_root_is_another_history(copy: Copy, sample: Sample) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 6, os.urandom(32)), sample.world.checkpoint)
    report = copy.report_after(f"INSERT INTO checkpoints VALUES (5, {sql_blob(note)})")
    assert found(report) == {(5, 12)}
    assert "another history" in report.faults[0].reason


def test_a_checkpoint_of_another_size_is_told(copy: Copy, sample: Sample) -> None:
    assert after_note(copy, note_of(copy.path, 6, sample.world.checkpoint), 6) == {(6, 12)}


def test_a_checkpoint_of_another_origin_is_told(copy: Copy, sample: Sample) -> None:
    note = note_of(copy.path, 6, sample.world.checkpoint, "issuer.example/other")
    assert after_note(copy, note, 5) == {(5, 12)}


def test_a_checkpoint_that_another_key_signed_is_told(copy: Copy, sample: Sample) -> None:
    for signer in (sample.world.entry, sample.world.root, SoftwareSigner(os.urandom(32))):
        assert after_note(copy, note_of(copy.path, 6, signer), 5) == {(5, 12)}


def test_a_checkpoint_whose_signature_does_not_verify_is_told(copy: Copy, sample: Sample) -> None:
    one, other = (note_of(copy.path, size, sample.world.checkpoint) for size in (6, 7))
    note = one[: one.index(b"\n\n")] + other[other.index(b"\n\n") :]
    report = copy.report_after(f"INSERT INTO checkpoints VALUES (5, {sql_blob(note)})")
    assert found(report) == {(5, 12)}
    assert "does not verify" in report.faults[0].reason


async def test_a_retired_checkpoint_key_signs_nothing_any_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        old = world.checkpoint
        await world.rotate_checkpoint_key(ledger)
        await world.load(ledger, "c1", 1_00)
        await publish(world, ledger)
    assert_audits(world.path)
    copy = Copy(world.path, tmp_path / "copy.db")
    assert after_note(copy, note_of(copy.path, 3, old), 2) == {(2, 12)}
    assert after_note(copy, note_of(copy.path, 1, old), 0) == set()


def test_a_tail_cut_off_behind_a_checkpoint_is_told(copy: Copy, size: int) -> None:
    tables = [table.name for table in TABLES if table.name not in ("checkpoints", "cosignatures")]
    report = copy.report_after(*(f"DELETE FROM {name} WHERE seq > {size - 4}" for name in tables))
    assert (size - 1, 12) in found(report)
    assert f"a checkpoint of {size} entries was published" in " ".join(fault.reason for fault in report.faults)


async def test_two_histories_are_told_though_each_is_well_signed(tmp_path: Path) -> None:
    """A copy of the file goes on by itself, under the same keys: both audit, until the one has the other's word."""
    world = World(tmp_path)
    async with opened(world) as ledger:
        await world.load(ledger, "c1", 1_00)
    ours, theirs = world.path, tmp_path / "theirs.db"
    rows(ours, "VACUUM INTO ?", str(theirs))
    notes = {}
    for path, amount in ((ours, 2_00), (theirs, 3_00)):
        world.path = path
        async with opened(world) as ledger:
            await world.load(ledger, "c1", amount)
            notes[path] = await publish(world, ledger)
        assert_audits(path)
    edit(ours, "UPDATE checkpoints SET note = ?", notes[theirs])
    report = audit_file(ours, jobs=1)
    assert {step for _, step in found(report)} == {12}
    assert "another history was published" in report.faults[0].reason


def test_a_fault_of_an_entry_is_one_fault_there_and_at_most_one_of_step_12(long_copy: Copy) -> None:
    """Tiles and checkpoints after it differ too: that is the same damage, told once."""
    with long_copy.edited() as connection:
        (note,) = connection.execute("SELECT note FROM entries WHERE seq = 7").fetchone()
        connection.execute("UPDATE entries SET note = ? WHERE seq = 7", (note[:-4] + b"AA==\n",))
    report = long_copy.audit()
    assert {seq for seq, step in found(report) if step != 12} <= {7, 8}
    assert len([fault for fault in report.faults if fault.step == 12]) <= 2
    report = long_copy.report_after("DELETE FROM entries WHERE seq = 9", "DELETE FROM parts WHERE seq = 9")
    assert not [fault for fault in report.faults if fault.step == 12]


# --- cosignatures --------------------------------------------------------------------------------------------------


def test_a_cosignature_of_no_checkpoint_is_told(copy: Copy) -> None:
    assert found(copy.report_after("UPDATE cosignatures SET seq = 3")) == {(3, 12)}
    assert found(copy.report_after("UPDATE cosignatures SET seq = 5000")) == {(5000, 12)}


def test_a_cosignature_of_another_key_or_of_two_lines_is_told(copy: Copy, size: int) -> None:
    for statement in (
        "UPDATE cosignatures SET key = 'witness.example/x' || substr(key, 18)",
        "UPDATE cosignatures SET line = line || line",
        "UPDATE cosignatures SET line = char(10) || line",
        "UPDATE cosignatures SET line = 'any' || char(10, 10) || line",
        "UPDATE cosignatures SET line = 'nothing'",
        "UPDATE cosignatures SET line = ''",
    ):
        assert found(copy.report_after(statement)) == {(size - 1, 12)}, statement


def test_any_number_of_witnesses_may_cosign(copy: Copy, sample: Sample, size: int) -> None:
    note = note_of(copy.path, size, sample.world.checkpoint)
    signed = open_checkpoint(note, origin=ORIGIN, public_key=sample.world.checkpoint.public_key)
    lines = [cosign(signed, f"witness.example/{n}", SoftwareSigner(os.urandom(32)), 1_800_000_000) for n in range(5)]
    statements = [
        f"INSERT INTO cosignatures VALUES ({size - 1}, '{line.name}+{line.key_id.hex()}', '{encode_signature(line)}')"
        for line in lines
    ]
    assert found(copy.report_after(*statements)) == set()


# --- every byte ----------------------------------------------------------------------------------------------------


def log_before(path: Path, seq: int) -> tuple[Audit, Opened]:
    """The audit's own log as it is before it meets `seq`, and what is opened there."""
    tally = Tally()
    with closing(LedgerFile(path, tally)) as file:
        audit = Audit(tally, None, file.note_and_body)
        for position in file.positions():
            if position.seq == seq:
                return audit, audit.opener.open(position)
            audit.open(position)
    raise AssertionError(f"nothing stands at {seq}")


def edited_bytes(data: bytes) -> Iterator[bytes]:
    for index in range(len(data)):
        yield data[:index] + bytes([data[index] ^ (1 << index % 8)]) + data[index + 1 :]
    yield from (data[1:], data[:-1], data + b"\n", data + b" ", b"")


def is_caught(audit: Audit, opened: Opened, table: int, row: tuple[object, ...]) -> bool:
    """Whether the step finds fault with the row at this very seq, or has a signature checked that does not verify."""
    tally = Tally()
    log = Log(tally)
    log.tree = audit.log.tree.copy()
    held = list(opened.position.rows)
    held[table] = [row]
    opened = Opened(Position(opened.seq, tuple(held)), opened.leaf, opened.entry)
    log.take(opened, audit.opener.registry.keyring)
    return bool(tally.sorted_findings()) or not all(verify(*check.signed) for check in opened.checks)


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [(TILES, 3, "root"), (TILES, 4, "hashes"), (CHECKPOINTS, 1, "note")],
    ids=["a tile's root", "a tile's hashes", "a checkpoint"],
)
def test_every_byte_of_it_changed_is_caught(long_sample: Sample, table: int, column: int, name: str) -> None:
    seqs = [seq for (seq,) in rows(long_sample.path, f"SELECT seq FROM {TABLES[table].name}")]
    changed = 0
    for seq in seqs:
        audit, opened = log_before(long_sample.path, seq)
        (row,) = opened.position.rows[table] or []
        assert not is_caught(audit, opened, table, row)
        for edited in edited_bytes(row[column]):
            assert is_caught(audit, opened, table, (*row[:column], edited, *row[column + 1 :])), (seq, name, edited)
            changed += 1
    assert changed > 30


async def test_a_ledger_goes_on_after_a_checkpoint_that_was_taken_away(tmp_path: Path) -> None:
    """That one is missing can not be told from the file: only who has seen it knows."""
    sample = await make_sample(tmp_path)
    edit(sample.path, "DELETE FROM checkpoints WHERE seq = (SELECT min(seq) FROM checkpoints)")
    assert_audits(sample.path, sample.trust)
