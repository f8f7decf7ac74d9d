"""The derived tables made anew: the same rows as before, from entries that are what they say, while others write."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.errors import Busy, Invalid
from signed_ledger.rebuild import rebuild
from signed_ledger.store import TABLES, Table, open_database
from signed_ledger.tables import REBUILT_TABLES
from tests.support import Sample, assert_audits, make_long_sample
from tests.tampering import Copy
from tests.world import authorisation, opened


@pytest.fixture
async def sample(tmp_path: Path) -> Sample:
    return await make_long_sample(tmp_path)


@pytest.fixture
def copy(sample: Sample, tmp_path: Path) -> Copy:
    copy = Copy(sample.path, tmp_path / "copy.db")
    rebuild(copy.path)  # with the triggers again, which `edited` takes away as needed
    return copy


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows, and all that was ever created."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {table.name: connection.execute(f"SELECT * FROM {table.name}").fetchall() for table in TABLES}
        tables["schema"] = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return tables


def test_it_makes_the_very_same_tables(sample: Sample) -> None:
    before = content(sample.path)
    report = rebuild(sample.path)
    assert content(sample.path) == before
    assert report.entries == len(before["entries"])
    assert report.rows == {table.name: len(before[table.name]) for table in REBUILT_TABLES}
    assert_audits(sample.path, sample.trust)


@pytest.mark.parametrize("table", REBUILT_TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("statement", ["DROP TABLE {0}", "DELETE FROM {0}", "UPDATE {0} SET seq = seq + 1000"])
def test_it_mends_a_derived_table(sample: Sample, table: Table, statement: str) -> None:
    before = content(sample.path)
    with closing(sqlite3.connect(sample.path, isolation_level=None)) as connection:
        for what in ("update", "delete"):
            connection.execute(f"DROP TRIGGER {table.name}_no_{what}")
        connection.execute(statement.format(table.name))
    rebuild(sample.path)
    assert content(sample.path) == before
    assert_audits(sample.path, sample.trust)


def test_the_tables_are_append_only_again(sample: Sample) -> None:
    rebuild(sample.path)
    with closing(open_database(sample.path, busy_timeout_ms=0)) as connection:
        for table in REBUILT_TABLES:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(f"DELETE FROM {table.name}")
    assert_audits(sample.path, sample.trust)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("UPDATE parts SET body = x'00' WHERE seq = 9", "entry 9: body: does not have", id="a body edited"),
        pytest.param("UPDATE parts SET state = body WHERE seq = 9", "entry 9: state: does not", id="a state edited"),
        pytest.param("UPDATE parts SET state = NULL WHERE seq = 9", "entry 9: state: is missing", id="a state gone"),
        pytest.param("DELETE FROM parts WHERE seq = 9", "entry 9: body: is missing", id="parts gone"),
        pytest.param("DELETE FROM entries WHERE seq = 9", "entry 10: prev: does not follow", id="an entry gone"),
        pytest.param("UPDATE entries SET note = x'00' WHERE seq = 9", "entry 9: entry: ", id="an entry no note"),
        pytest.param(
            "UPDATE entries SET note = (SELECT note FROM entries WHERE seq = 8) WHERE seq = 9",
            "entry 9: prev: does not follow",
            id="an entry repeated",
        ),
        pytest.param("DROP TABLE keys; CREATE VIEW keys AS SELECT 1", "use DROP VIEW", id="a view in a table's place"),
        pytest.param("DROP TABLE entries", "no such table: entries", id="no entries at all"),
    ],
)
def test_it_refuses_entries_that_are_not_what_they_say_and_changes_nothing(
    copy: Copy, statement: str, reason: str
) -> None:
    with closing(sqlite3.connect(copy.path, isolation_level=None)) as connection:
        connection.executescript(statement)
    before = copy.path.read_bytes()
    with pytest.raises(Invalid, match="nothing was changed") as refused:
        rebuild(copy.path)
    assert reason in str(refused.value)
    assert copy.path.read_bytes() == before


def test_it_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is not there"):
        rebuild(tmp_path / "none.db")


def test_it_tells_how_far_it_is(sample: Sample) -> None:
    told: list[tuple[int, int]] = []
    report = rebuild(sample.path, progress=lambda done, total: told.append((done, total)))
    assert told == [(report.entries, report.entries)]
    assert_audits(sample.path)


def test_it_is_busy_where_another_writes_for_too_long(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signed_ledger.rebuild.BUSY_TIMEOUT_MS", 10)
    with closing(open_database(sample.path, busy_timeout_ms=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            rebuild(sample.path)
        other.execute("ROLLBACK")
    assert_audits(sample.path)


async def test_a_service_goes_on_through_rebuilds(sample: Sample) -> None:
    async with opened(sample.world) as ledger:
        for number in range(10):
            rebuilding = asyncio.create_task(asyncio.to_thread(rebuild, sample.path))
            for again in range(4):
                body = authorisation(f"more-{number}-{again}", "c2", "0.10")
                await ledger.submit(sample.world.webhook(sample.visa, "authorisation", body))
            await rebuilding
    assert_audits(sample.path, sample.trust)
