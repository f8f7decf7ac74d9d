"""An attacker who owns the disk but no key that is valid: rows dropped, swapped, repeated, inserted, chains rebuilt."""

import hashlib
import os
from dataclasses import replace
from itertools import pairwise

import pytest

from signed_ledger.encoding import decode_entry, encode_entry_note, encode_entry_text
from signed_ledger.records import PartDigest
from signed_ledger.signing import SoftwareSigner
from signed_ledger.tables import TABLES
from tests.support import Sample
from tests.tampering import SOAK, Copy, found, rechain


@pytest.fixture
def last(copy: Copy) -> int:
    with copy.edited() as connection:
        seq: int = connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
        return seq


@pytest.fixture
def seqs(copy: Copy, last: int) -> list[int]:
    """The entries to be tried, in order of seq, without genesis and the last."""
    return list(range(1, last)) if SOAK else [seq for seq in copy.seqs_of_each_shape() if 0 < seq < last]


def test_the_genuine_ledger_has_no_fault(sample: Sample, copy: Copy) -> None:
    assert copy.audit(sample.trust).faults == ()


# --- rows of the ledger --------------------------------------------------------------------------------------------


def test_each_entry_dropped_is_caught(copy: Copy, last: int) -> None:
    for seq in range(last + 1):
        report = copy.report_after(f"DELETE FROM entries WHERE seq = {seq}")
        assert (seq, 3) in found(report)
        assert len(report.faults) < 15 or seq == 0, report.faults


def test_each_entry_dropped_with_all_that_is_derived_is_caught(copy: Copy, seqs: list[int]) -> None:
    for seq in (0, *seqs):
        report = copy.report_after(*(f"DELETE FROM {table.name} WHERE seq = {seq}" for table in TABLES))
        assert (seq, 3) in found(report)


def test_entries_dropped_and_the_rest_moved_up_are_caught(copy: Copy, last: int, seqs: list[int]) -> None:
    for seq in seqs:
        report = copy.report_after(
            f"DELETE FROM entries WHERE seq = {seq}",
            f"UPDATE entries SET seq = -seq + 1 WHERE seq > {seq}",
            "UPDATE entries SET seq = -seq WHERE seq < 0",
        )
        assert {(other, 3) for other in range(seq, last)} <= found(report)


def test_entries_swapped_are_caught_at_both(copy: Copy, seqs: list[int]) -> None:
    for seq in (0, *seqs):
        swapped = (
            f"UPDATE {{}} SET seq = -1 WHERE seq = {seq}",
            f"UPDATE {{}} SET seq = {seq} WHERE seq = {seq + 1}",
            f"UPDATE {{}} SET seq = {seq + 1} WHERE seq = -1",
        )
        for tables in (("entries",), ("entries", "parts")):
            report = copy.report_after(*(statement.format(table) for table in tables for statement in swapped))
            assert {(seq, 3), (seq + 1, 3)} <= found(report)


def test_an_entry_repeated_is_caught(copy: Copy, last: int, seqs: list[int]) -> None:
    for seq in (*seqs, last):
        report = copy.report_after(
            f"INSERT INTO entries SELECT {last + 1}, note FROM entries WHERE seq = {seq}",
            f"INSERT INTO parts SELECT {last + 1}, body, state, evidence FROM parts WHERE seq = {seq}",
        )
        assert (last + 1, 3) in found(report)
        assert {fault.seq for fault in report.faults} == {last + 1}


def test_an_entry_inserted_between_is_caught(copy: Copy, seqs: list[int]) -> None:
    for seq in seqs:
        report = copy.report_after(
            f"UPDATE entries SET seq = -seq - 1 WHERE seq > {seq}",
            "UPDATE entries SET seq = -seq WHERE seq < 0",
            f"INSERT INTO entries SELECT {seq + 1}, note FROM entries WHERE seq = {seq}",
        )
        assert (seq + 1, 3) in found(report)


def test_an_entry_that_stands_twice_is_caught(copy: Copy, last: int) -> None:
    """A table without its key takes it."""
    report = copy.report_after(
        "CREATE TABLE loose AS SELECT * FROM entries",
        "DROP TABLE entries",
        "ALTER TABLE loose RENAME TO entries",
        "INSERT INTO entries SELECT * FROM entries WHERE seq = 5",
    )
    assert found(report) == {(5, 3)}


@pytest.mark.parametrize("seq", [-1, -(2**63), 10_000, 2**62], ids="at seq {}".format)
def test_an_entry_far_away_is_caught(copy: Copy, last: int, seq: int) -> None:
    report = copy.report_after(f"INSERT INTO entries SELECT {seq}, note FROM entries WHERE seq = 5")
    assert found(report) == ({(seq, 3)} if seq < 0 else {(last + 1, 3), (seq, 3)})


def test_an_entry_of_nothing_is_caught(copy: Copy, last: int) -> None:
    assert found(copy.report_after(f"INSERT INTO entries VALUES ({last + 1}, x'')")) == {(last + 1, 3)}


# --- parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["body", "state", "evidence"])
def test_parts_swapped_between_entries_are_caught_at_both(copy: Copy, seqs: list[int], part: str) -> None:
    with copy.edited() as connection:
        having = {seq for (seq,) in connection.execute(f"SELECT seq FROM parts WHERE {part} IS NOT NULL")}
    for one, other in pairwise([seq for seq in seqs if seq in having]):
        report = copy.report_after(
            "CREATE TEMP TABLE kept AS SELECT * FROM parts",
            f"UPDATE parts SET {part} = (SELECT {part} FROM kept WHERE seq = {other}) WHERE seq = {one}",
            f"UPDATE parts SET {part} = (SELECT {part} FROM kept WHERE seq = {one}) WHERE seq = {other}",
        )
        assert {(one, 5), (other, 5)} <= found(report)


@pytest.mark.parametrize("part", ["state", "evidence"])
def test_a_part_taken_away_or_added_is_caught(copy: Copy, last: int, seqs: list[int], part: str) -> None:
    for seq in (0, *seqs, last):
        was = f"CASE WHEN {part} IS NULL THEN body END"
        report = copy.report_after(f"UPDATE parts SET {part} = {was} WHERE seq = {seq}")
        assert (seq, 3) in found(report)
        assert len(report.faults) == 1, report.faults


def test_all_parts_of_an_entry_taken_away_are_caught(copy: Copy, last: int, seqs: list[int]) -> None:
    for seq in (0, *seqs, last):
        assert (seq, 3) in found(copy.report_after(f"DELETE FROM parts WHERE seq = {seq}"))


def test_parts_without_an_entry_are_caught(copy: Copy, last: int) -> None:
    report = copy.report_after(f"INSERT INTO parts SELECT {last + 1}, body, state, evidence FROM parts WHERE seq = 5")
    assert found(report) == {(last + 1, 3)}


def test_evidence_of_another_transaction_is_caught(sample: Sample, copy: Copy) -> None:
    one, other = sample.seqs["approved"], sample.seqs["open"]
    statement = f"UPDATE parts SET evidence = (SELECT evidence FROM parts WHERE seq = {other}) WHERE seq = {one}"
    assert found(copy.report_after(statement)) == {(one, 5)}


# --- chains rebuilt ------------------------------------------------------------------------------------------------


def edit_body(copy: Copy, seq: int, old: bytes, new: bytes) -> None:
    """Change a body, and its entry's digest to match; the signature is left, for it can not be made."""
    with copy.edited() as connection:
        note, body = connection.execute(
            "SELECT note, body FROM entries JOIN parts USING (seq) WHERE seq = ?", (seq,)
        ).fetchone()
        edited = body.replace(old, new)
        assert edited != body
        signed = decode_entry(note)
        entry = replace(signed.entry, body=PartDigest(hashlib.sha256(edited).digest(), len(edited)))
        note = encode_entry_note(encode_entry_text(entry), entry.origin, signed.key_id, signed.signature)
        connection.execute("UPDATE parts SET body = ? WHERE seq = ?", (edited, seq))
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (note, seq))


def test_a_body_edited_with_its_digest_is_caught(sample: Sample, copy: Copy) -> None:
    seq = sample.seqs["approved"]
    edit_body(copy, seq, b'"40.00"', b'"20.00"')
    assert found(copy.audit()) == {
        *((seq, 4), (seq, 7), (seq + 1, 3)),
        *((sample.seqs["approved-presented"], 9), (sample.seqs["published"], 12)),
    }


def test_a_chain_rebuilt_without_a_key_is_caught(sample: Sample, copy: Copy, last: int) -> None:
    seq = sample.seqs["approved"]
    edit_body(copy, seq, b'"40.00"', b'"20.00"')
    with copy.edited() as connection:
        rechain(connection, seq + 1)
    assert {(other, 4) for other in range(seq, last + 1)} <= found(copy.audit())


def test_a_chain_rebuilt_with_a_key_of_ones_own_is_caught(sample: Sample, copy: Copy, last: int) -> None:
    with copy.edited() as connection:
        rechain(connection, 5, SoftwareSigner(os.urandom(32)))
    assert {(other, 4) for other in range(5, last + 1)} <= found(copy.audit())


def test_a_chain_rebuilt_with_a_stolen_but_retired_key_is_caught(sample: Sample, copy: Copy, last: int) -> None:
    """Dropped: an authorisation before the rotation. All after the rotation is by a key not valid there."""
    dropped, rotation = sample.seqs["without-funds"], sample.seqs["rotation"] - 1
    with copy.edited() as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table.name} WHERE seq = {dropped}")
            connection.execute(f"UPDATE {table.name} SET seq = -seq + 1 WHERE seq > {dropped}")
            connection.execute(f"UPDATE {table.name} SET seq = -seq WHERE seq < 0")
        rechain(connection, dropped, sample.world.entry)
    faults = found(copy.audit())
    assert {(seq, 4) for seq in range(rotation + 1, last)} <= faults
    assert not {(seq, 4) for seq in range(rotation + 1)} & faults


def test_a_scheme_signature_edited_is_caught(sample: Sample, copy: Copy) -> None:
    seq = sample.seqs["open"]
    with copy.edited() as connection:
        (evidence,) = connection.execute("SELECT evidence FROM parts WHERE seq = ?", (seq,)).fetchone()
    at = evidence.index(b'"signature":"') + 20
    edited = evidence[:at] + (b"A" if evidence[at : at + 1] != b"A" else b"B") + evidence[at + 1 :]
    report = copy.report_after(f"UPDATE parts SET evidence = x'{edited.hex()}' WHERE seq = {seq}")
    assert found(report) == {(seq, 5)}


# --- what one damage makes of the rest -----------------------------------------------------------------------------


def test_a_damaged_key_entry_is_told_once_and_not_at_each_signature(sample: Sample, copy: Copy) -> None:
    report = copy.report_after(f"UPDATE parts SET body = x'00' WHERE seq = {sample.seqs['rotation']}")
    assert (sample.seqs["rotation"], 5) in found(report)
    assert (sample.seqs["rotation"] + 1, 4) in found(report)
    assert len(report.faults) < 10
    assert any("more entries up to" in fault.reason for fault in report.faults)


FAMILIES = [
    {"approved", "approved-presented"},
    {"abroad", "abroad-presented"},
    {"life", "grown", "not-grown", "shrunk", "part", "rest", "back"},
    {"undone", "undoing"},
    {"short", "expired"},
    {"alive", "alive-part"},
]
"""What is about one transaction: a damaged entry may cost those after it their proof."""


def test_a_damaged_body_puts_no_blame_on_what_does_not_build_on_it(sample: Sample, copy: Copy) -> None:
    names = {seq: name for name, seq in sample.seqs.items()}
    for seq, name in names.items():
        if name not in ("rotation", "retirement"):
            report = copy.report_after(f"UPDATE parts SET body = x'00' WHERE seq = {seq}")
            blamed = {names.get(fault.seq or 0) for fault in report.faults} - {name}
            assert any(blamed <= family - {name} for family in FAMILIES if name in family) or not blamed, (name, blamed)
            assert (seq, 5) in found(report)


def test_without_a_genesis_nothing_is_vouched_for_and_that_is_said_once(copy: Copy) -> None:
    for statement in ("UPDATE parts SET body = x'00' WHERE seq = 0", "DELETE FROM entries WHERE seq = 0"):
        report = copy.report_after(statement)
        assert (0, 2) in found(report)
        assert len(report.faults) < 6


def test_a_key_entry_that_the_root_approved_counts_even_where_its_salt_is_edited(sample: Sample, copy: Copy) -> None:
    for seq in (0, sample.seqs["rotation"]):
        with copy.edited() as connection:
            (body,) = connection.execute("SELECT body FROM parts WHERE seq = ?", (seq,)).fetchone()
        at = body.index(b'"salt":"') + 8
        edited = body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]
        assert found(copy.report_after(f"UPDATE parts SET body = x'{edited.hex()}' WHERE seq = {seq}")) == {(seq, 5)}


def test_a_cut_tail_or_yesterdays_copy_can_not_be_noticed_and_that_is_said(sample: Sample, copy: Copy) -> None:
    with copy.edited() as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table.name} WHERE seq >= {sample.seqs['open']}")
    report = copy.audit(sample.trust)
    assert report.ok
    assert report.head is not None
    assert report.head.seq == sample.seqs["open"] - 1
    assert any("cut tail" in sentence for sentence in report.not_known)


def test_the_chain_goes_on_from_the_bytes_that_are_there(sample: Sample, copy: Copy) -> None:
    seq = sample.seqs["load"]
    report = copy.report_after(f"UPDATE entries SET note = substr(note, 2) WHERE seq = {seq}")
    assert found(report) == {(seq, 3), (seq + 1, 3), (sample.seqs["published"], 12)}
