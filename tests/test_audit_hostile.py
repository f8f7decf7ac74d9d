"""Files made to break the auditor's program: each is a fault with a reason, or said to be no ledger; none a crash."""

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.errors import Invalid
from signed_ledger.tables import LOG_TABLES, TABLES, Table
from tests.tampering import Copy, found


def step_of(table: Table) -> int:
    if table.name in ("entries", "parts"):
        return 3
    return 12 if table in LOG_TABLES else 11


# --- no ledger at all ----------------------------------------------------------------------------------------------


def test_no_file_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not there"):
        audit_file(tmp_path / "none.db")


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not a file"):
        audit_file(tmp_path)


@pytest.mark.parametrize("data", [b"", b"text", os.urandom(5000), b"SQLite format 3\0" + os.urandom(5000)])
def test_any_bytes_are_no_ledger(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.db"
    path.write_bytes(data)
    with pytest.raises(Invalid):
        audit_file(path)


def test_another_programs_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    with pytest.raises(Invalid, match="none of a ledger's tables"):
        audit_file(path)


# --- tables that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_missing_table_is_told(copy: Copy, table: Table) -> None:
    report = copy.report_after(f"DROP TABLE {table.name}")
    assert (None, step_of(table)) in found(report)
    assert f"{table.name} is missing" in {fault.reason for fault in report.faults}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_view_in_a_tables_place_is_told_and_not_run(copy: Copy, table: Table) -> None:
    """It could give the auditor other rows than the service, or rows without end."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i"
    columns = ", ".join(f"i AS {name}" if name == "seq" else f"0 AS {name}" for name in table.columns)
    report = copy.report_after(
        f"DROP TABLE {table.name}",
        f"CREATE VIEW {table.name} AS {endless.removesuffix(' SELECT i')} SELECT {columns} FROM n",
    )
    assert f"{table.name} is a view, not a table" in {fault.reason for fault in report.faults}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_missing_renamed_generated_or_added_are_told(copy: Copy, table: Table) -> None:
    last = table.columns[-1]
    for statement in (
        f"ALTER TABLE {table.name} RENAME COLUMN {last} TO other",
        f"ALTER TABLE {table.name} ADD COLUMN more TEXT",
        f"ALTER TABLE {table.name} ADD COLUMN more TEXT GENERATED ALWAYS AS (zeroblob(9)) VIRTUAL",
    ):
        report = copy.report_after(statement)
        assert (None, step_of(table)) in found(report), statement


def test_a_virtual_table_in_a_tables_place_is_told(copy: Copy) -> None:
    report = copy.report_after(
        "DROP TABLE webhooks", "CREATE VIRTUAL TABLE webhooks USING fts5(webhook_id, scheme, seq)"
    )
    assert "webhooks is a virtual, not a table" in {fault.reason for fault in report.faults}


# --- rows that are none --------------------------------------------------------------------------------------------

ODD = [
    "NULL",
    "'text'",
    "1.5",
    "9",
    "x''",
    "zeroblob(70000)",
    "zeroblob(3000000)",
    "char(0)",
    "CAST(x'ff00fe' AS TEXT)",
]


def loosened(table: Table) -> list[str]:
    return [
        f"CREATE TABLE loose ({', '.join(table.columns)})",
        f"INSERT INTO loose SELECT * FROM {table.name}",
        f"DROP TABLE {table.name}",
        f"ALTER TABLE loose RENAME TO {table.name}",
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("odd", ODD)
def test_any_value_anywhere_in_a_loose_table_is_told(copy_with: Copy, table: Table, odd: str) -> None:
    for name in table.columns:
        if name in ("state", "evidence") and odd == "NULL":
            continue
        row = f"(SELECT rowid FROM {table.name} WHERE seq > 4 LIMIT 1)"
        report = copy_with.report_after(*loosened(table), f"UPDATE {table.name} SET {name} = {odd} WHERE rowid = {row}")
        assert not report.ok, (table.name, name)
        assert all(fault.reason.isprintable() for fault in report.faults)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_loose_table_with_the_right_rows_is_no_fault(copy_with: Copy, table: Table) -> None:
    """STRICT, keys and triggers keep honest people from mistakes; the audit relies on none of them."""
    assert copy_with.report_after(*loosened(table)).ok


def test_many_rows_without_a_seq_are_one_fault(copy: Copy) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
    table = next(table for table in TABLES if table.name == "keys")
    report = copy.report_after(
        *loosened(table),
        f"{numbers} INSERT INTO keys SELECT 'x' || i, 'key' FROM n".replace(
            f"{numbers} INSERT INTO keys", "INSERT INTO keys " + numbers, 1
        ),
    )
    assert [fault.reason for fault in report.faults] == ["keys has 5000 rows whose seq is not an integer"]


def test_very_many_rows_at_one_seq_are_one_fault(copy: Copy) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
    table = next(table for table in TABLES if table.name == "keys")
    report = copy.report_after(*loosened(table), f"INSERT INTO keys {numbers} SELECT 5, 'key' FROM n")
    assert found(report) == {(5, 11)}


def test_an_index_that_says_something_else_than_its_table_is_told(copy: Copy) -> None:
    """The service finds a card's transactions by an index: one that leaves a row out hides it."""
    with copy.edited() as connection:
        connection.execute("PRAGMA writable_schema = ON")
        old = "CREATE INDEX transactions_by_card ON transactions (card_id, seq)"
        connection.execute("DROP INDEX transactions_by_card")
        connection.execute(f"{old} WHERE seq > 10")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'transactions_by_card'", (old,))
    report = copy.audit()
    assert found(report) == {(None, 11)}
    assert "transactions_by_card" in report.faults[0].reason


def test_a_covering_index_can_not_stand_in_for_its_table(copy: Copy) -> None:
    """An auditor who read the index would see the rows as they were before the table was edited."""
    columns = "seq, owner, currency, posted, held"
    with copy.edited() as connection:
        connection.execute("UPDATE account_states SET posted = posted + 1")
        connection.execute(f"CREATE INDEX honest ON account_states ({columns})")
    assert len([fault for fault in copy.audit().faults if fault.seq is not None]) > 10


def test_what_else_is_in_the_file_is_named_and_not_read(copy: Copy) -> None:
    report = copy.report_after("CREATE TABLE notes_of_mine (x)", "CREATE VIEW seen AS SELECT 1")
    assert report.ok
    assert report.not_known[-1] == "What else the file holds was not read: notes_of_mine, seen."


# --- damaged files -------------------------------------------------------------------------------------------------


def test_torn_pages_are_told(copy: Copy) -> None:
    """Any byte of the file, many at once: never a crash, and never a ledger with other content that verifies."""
    chance = random.Random(7)
    outcomes = set()
    for _ in range(150):
        data = bytearray(copy.pristine)
        for _ in range(chance.choice((1, 3, 200))):
            data[chance.randrange(100, len(data))] = chance.randrange(256)
        copy.path.write_bytes(data)
        try:
            report = copy.audit()
        except Invalid:
            outcomes.add("not asked")
        else:
            outcomes.add("ok" if report.ok else "faults")
    assert "faults" in outcomes


def test_a_file_cut_off_is_told(copy: Copy) -> None:
    for size in range(4096, len(copy.pristine), 8 * 4096):
        copy.path.write_bytes(copy.pristine[:size])
        try:
            report = copy.audit()
        except Invalid:
            continue
        assert not report.ok


def test_reasons_can_not_write_to_a_terminal(copy: Copy) -> None:
    escape = "'c1' || char(27) || '[2J' || char(155) || char(8238)"
    report = copy.report_after(f"UPDATE account_states SET owner = {escape} WHERE seq = 6")
    assert all(fault.reason.isprintable() for fault in report.faults)
    assert not report.ok
