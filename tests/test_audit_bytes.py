"""Every byte of every entry and part, and every value of every derived row, changed one at a time: caught each time."""

import asyncio
import pickle
from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from signed_ledger.audit.claims import Claims
from signed_ledger.audit.core import Audit
from signed_ledger.audit.derived import compare_rows
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.opening import Opener
from signed_ledger.audit.reading import LedgerFile, Position
from signed_ledger.audit.steps import Tally
from signed_ledger.encoding import decode_body, decode_evidence
from signed_ledger.records import MESSAGES, PART_NAMES, Body, CardChange, CardTransaction, KeyChange, Transaction
from signed_ledger.records.names import CARD_OPS, KEY_OPS, RFC9421, SERVICE_ROLES, STANDARD_WEBHOOKS
from signed_ledger.signing import verify
from signed_ledger.tables import DERIVED_TABLES, TABLES, Row, Table
from tests.support import Sample, assert_audits, rows
from tests.tampering import SOAK, Copy, found
from tests.whole import make_whole


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Not the usual one: one of every kind of entry and part."""
    return asyncio.run(make_whole(tmp_path_factory.mktemp("whole")))


def test_the_ledger_that_is_changed_has_every_kind_of_entry_part_and_row(sample: Sample, copy: Copy) -> None:
    parts = rows(sample.path, "SELECT * FROM parts")
    bodies = [decode_body(body).body for _, body, *_ in parts if body]
    assert {type(body) for body in bodies} == set(get_args(Body))
    assert {body.type for body in bodies if isinstance(body, Transaction)} == {*MESSAGES, "load", "settlement"}
    assert {(body.type, body.form) for body in bodies if isinstance(body, CardTransaction)} >= {
        *product(("authorisation", "presentment"), (1, 2))
    }
    assert {body.decision for body in bodies if isinstance(body, CardTransaction)} == {"approved", "declined", "posted"}
    assert {body.op for body in bodies if isinstance(body, KeyChange)} == set(KEY_OPS)
    assert {body.role for body in bodies if isinstance(body, KeyChange)} >= set(SERVICE_ROLES) | {"scheme"}
    assert {body.op for body in bodies if isinstance(body, CardChange)} == set(CARD_OPS)
    assert {decode_evidence(part).profile for *_, part in parts if part} == {RFC9421, STANDARD_WEBHOOKS}
    erased = assert_audits(sample.path).erased
    assert all(erased[name] for name in PART_NAMES), erased
    assert all(rows_of(copy, table) for table in TABLES if table.name != "tiles")


def positions_of(path: Path) -> tuple[list[Position], Erasing]:
    """Every position, and what erasures claim to have taken from them."""
    file = LedgerFile(path, Tally())
    try:
        return list(file.positions()), Erasing(Tally(), Claims(file.claimed_erasures()))
    finally:
        file.close()


def opened_before(sample: Sample, shapes: Collection[int]) -> Iterator[tuple[bytes, Position]]:
    """Each position of these seqs, in a soak of all, with the audit's opener before it, frozen to be thawed often."""
    positions, erasing = positions_of(sample.path)
    opener = Opener(erasing._tally, None, erasing)
    for position in positions:
        if SOAK or position.seq in shapes:
            opener.last = None
            yield pickle.dumps(opener), position
        opener.open(position)


def is_caught(frozen: bytes, position: Position) -> bool:
    """Whether opening it and verifying its signatures finds a fault at this very seq."""
    opener: Opener = pickle.loads(frozen)
    opened = opener.open(position)
    faults = [fault for fault in opener._tally.findings if fault.seq == position.seq]
    return bool(faults) or not all(verify(*check.signed) for check in opened.checks)


def with_value(position: Position, table: int, column: int, value: bytes) -> Position:
    rows = list(position.rows)
    (row,) = rows[table] or [()]
    rows[table] = [(*row[:column], value, *row[column + 1 :])]
    return Position(position.seq, tuple(rows))


def blob_of(position: Position, table: int, column: int) -> bytes | None:
    """`None` where there is none, and empty where it was erased."""
    rows = position.rows[table]
    data: bytes | None = rows[0][column] if rows else None
    return data


BLOBS = [(0, 1, "note"), (1, 1, "body"), (1, 2, "state"), (1, 3, "evidence")]
"""Table, column, and name of what is signed or bound by a digest."""


@pytest.mark.no_cover
@pytest.mark.parametrize(("table", "column"), [blob[:2] for blob in BLOBS], ids=[blob[2] for blob in BLOBS])
def test_every_byte_changed_is_caught_at_its_entry(sample: Sample, copy: Copy, table: int, column: int) -> None:
    changed = 0
    for frozen, position in opened_before(sample, copy.seqs_of_each_shape()):
        data = blob_of(position, table, column)
        if not data:
            continue
        assert not is_caught(frozen, position)
        for index in range(len(data)):
            flips = range(1, 256) if SOAK else (1, 0x20, 0x80) if index % 16 == 0 else (1 << index % 8,)
            for flip in flips:
                edited = data[:index] + bytes([data[index] ^ flip]) + data[index + 1 :]
                assert is_caught(frozen, with_value(position, table, column, edited)), (position.seq, index, flip)
                changed += 1
    assert changed > 2_500
    print(f"{changed:,} changes, each of one byte, all caught")


@pytest.mark.parametrize(("table", "column"), [blob[:2] for blob in BLOBS], ids=[blob[2] for blob in BLOBS])
def test_bytes_cut_off_or_added_are_caught_at_their_entry(sample: Sample, copy: Copy, table: int, column: int) -> None:
    for frozen, position in opened_before(sample, copy.seqs_of_each_shape()):
        data = blob_of(position, table, column)
        if data:
            for edited in (data[1:], data[:-1], data + b"\n", data + b" ", b" " + data, b""):
                assert is_caught(frozen, with_value(position, table, column, edited)), position.seq


@pytest.mark.parametrize("name", [blob[2] for blob in BLOBS])
def test_bytes_changed_in_the_file_are_caught_by_the_whole_audit(copy: Copy, name: str) -> None:
    table = "entries" if name == "note" else "parts"
    with copy.edited() as connection:
        query = f"SELECT seq, {name} FROM {table} WHERE length({name}) > 0"
        stored = dict(connection.execute(query).fetchall())
    registry = {seq for seq, *_ in rows(copy.path, "SELECT seq FROM keys")}  # on these others rest
    for seq in stored if SOAK else stored.keys() & copy.seqs_of_each_shape():
        data = stored[seq]
        for index in range(len(data)) if SOAK else ((0, len(data) // 2, len(data) - 1)[seq % 3],):
            edited = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
            report = copy.report_after(f"UPDATE {table} SET {name} = x'{edited.hex()}' WHERE seq = {seq}")
            assert seq in {fault.seq for fault in report.faults}, (seq, index)
            assert len(report.faults) <= 16 or seq in registry, report.faults


@pytest.mark.parametrize(
    ("table", "column", "fixture"), [("checkpoints", "note", "copy"), ("tiles", "hashes", "long_copy")]
)
def test_bytes_changed_of_what_the_log_keeps_are_caught_by_the_whole_audit(
    request: pytest.FixtureRequest, table: str, column: str, fixture: str
) -> None:
    copy: Copy = request.getfixturevalue(fixture)
    for seq, data in rows(copy.path, f"SELECT seq, {column} FROM {table}"):
        for index in range(0, len(data), 1 if SOAK else 1 + len(data) // 16):
            edited = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
            report = copy.report_after(f"UPDATE {table} SET {column} = x'{edited.hex()}' WHERE seq = {seq}")
            assert (seq, 12) in found(report), (seq, index)


# --- derived rows --------------------------------------------------------------------------------------------------


def rows_of(copy: Copy, table: Table) -> list[Row]:
    with copy.edited() as connection:
        return connection.execute(f"SELECT * FROM {table.name}").fetchall()


def sql(value: object) -> str:
    return "NULL" if value is None else repr(value)


def is_row(table: Table, row: Row) -> str:
    keys = zip(table.columns[: table.key], row, strict=False)
    return " AND ".join(f"{name} = {sql(value)}" for name, value in keys)


def seq_of(table: Table, row: Row) -> int:
    seq: int = row[table.columns.index("seq")]
    return seq


def other_values(value: object) -> list[object]:
    """Two that it is not; where it says nothing, two that say something."""
    if value is None:
        return [0, 1_795_428_000_000_000]
    if isinstance(value, int):
        return [value + 1000, -value - 1]
    assert isinstance(value, str)
    return [other for other in (value + "x", value.swapcase()) if other != value]


def expected_rows(path: Path) -> list[tuple[Position, list[tuple[str, Row]]]]:
    """Each position of a sound ledger, and the derived rows that its entry makes."""
    tally = Tally()
    file = LedgerFile(path, tally)
    erasing = Erasing(tally, Claims(file.claimed_erasures()))
    audit = Audit(tally, None, file.note_and_body, erasing=erasing)
    try:
        taken = [(position, audit.replay.take(audit.open(position))) for position in file.positions()]
    finally:
        file.close()
    assert tally.findings == []
    return [(position, rows) for position, rows in taken if rows is not None]


def faults_of(position: Position, table: Table, rows: list[Row], expected: list[tuple[str, Row]]) -> set[int | None]:
    """Where the audit finds fault once the table has these rows at this position."""
    tally = Tally()
    at = TABLES.index(table)
    compare_rows(Position(position.seq, (*position.rows[:at], rows, *position.rows[at + 1 :])), expected, tally)
    return {found.seq for found in tally.findings}


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_every_value_of_a_derived_row_changed_is_caught(sample: Sample, table: Table) -> None:
    changed = 0
    for position, expected in expected_rows(sample.path):
        rows = position.rows[TABLES.index(table)] or []
        assert faults_of(position, table, rows, expected) == set()
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                for other in other_values(value):
                    edited = [*rows[:number], (*row[:column], other, *row[column + 1 :]), *rows[number + 1 :]]
                    assert faults_of(position, table, edited, expected) == {position.seq}, (row, column, other)
                    changed += 1
    assert changed > 0


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_every_derived_row_dropped_or_there_twice_is_caught(sample: Sample, table: Table) -> None:
    for position, expected in expected_rows(sample.path):
        rows = position.rows[TABLES.index(table)] or []
        for number, row in enumerate(rows):
            for edited in ([*rows[:number], *rows[number + 1 :]], [*rows, row]):
                assert faults_of(position, table, edited, expected) == {position.seq}, row


def of_each_shape(table: Table, rows: list[Row]) -> list[Row]:
    """The first and last rows, and one of each kind of what has a kind; the others differ in nothing that is asked."""
    if SOAK:
        return rows
    shapes = {name: table.columns.index(name) for name in ("type", "status", "kind") if name in table.columns}
    by_shape = {tuple(row[at] for at in shapes.values()): row for row in rows}
    return list(dict.fromkeys((rows[0], rows[-1], *by_shape.values())))


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_values_of_a_derived_row_changed_in_the_file_are_caught_by_the_whole_audit(copy: Copy, table: Table) -> None:
    for number, row in enumerate(of_each_shape(table, rows_of(copy, table))):
        for name, value in zip(table.columns, row, strict=True):
            others = other_values(value)
            for other in others if SOAK else others[number % 2 :][:1]:
                where = is_row(table, row)
                report = copy.report_after(f"UPDATE {table.name} SET {name} = {sql(other)} WHERE {where}")
                assert (seq_of(table, row), 11) in found(report), (row, name, other)


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_a_derived_row_dropped_from_the_file_is_caught_by_the_whole_audit(copy: Copy, table: Table) -> None:
    for row in of_each_shape(table, rows_of(copy, table)):
        report = copy.report_after(f"DELETE FROM {table.name} WHERE {is_row(table, row)}")
        assert (seq_of(table, row), 11) in found(report)
        assert len(report.faults) == 1 or row[-1] == "erasure"  # what it took is missing, without it


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_a_derived_row_there_twice_in_the_file_is_caught_by_the_whole_audit(copy: Copy, table: Table) -> None:
    """A table without its key takes a row twice."""
    for row in of_each_shape(table, rows_of(copy, table)):
        values = ", ".join(map(sql, row))
        report = copy.report_after(
            f"CREATE TABLE loose AS SELECT * FROM {table.name}",
            f"DROP TABLE {table.name}",
            f"ALTER TABLE loose RENAME TO {table.name}",
            f"INSERT INTO {table.name} VALUES ({values})",
        )
        assert (seq_of(table, row), 11) in found(report)


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("seq", [-1, 1, 5, 10_000], ids="at seq {}".format)
def test_a_derived_row_made_up_is_caught(copy: Copy, table: Table, seq: int) -> None:
    values = [str(seq) if name == "seq" else "7" for name in table.columns]
    report = copy.report_after(
        f"DELETE FROM {table.name} WHERE seq = {seq}", f"INSERT INTO {table.name} VALUES ({', '.join(values)})"
    )
    assert {fault.seq for fault in report.faults} == {seq}


@pytest.mark.parametrize("table", DERIVED_TABLES, ids=lambda table: table.name)
def test_a_value_of_another_type_is_caught(copy: Copy, table: Table) -> None:
    """A table that is not strict takes 1.0 for 1, which compares equal."""
    (row, *_) = rows_of(copy, table)
    where = is_row(table, row)
    for name, value in zip(table.columns, row, strict=True):
        other = f"{value}.0" if isinstance(value, int) else f"CAST({sql(value)} AS BLOB)"
        if value is None:
            continue
        report = copy.report_after(
            f"CREATE TABLE loose ({', '.join(table.columns)})",
            f"INSERT INTO loose SELECT * FROM {table.name} WHERE NOT ({where})",
            f"INSERT INTO loose SELECT {', '.join(other if name == c else c for c in table.columns)} "
            f"FROM {table.name} WHERE {where}",
            f"DROP TABLE {table.name}",
            f"ALTER TABLE loose RENAME TO {table.name}",
        )
        seq = None if name == "seq" else seq_of(table, row)
        assert (seq, 11) in found(report), name
