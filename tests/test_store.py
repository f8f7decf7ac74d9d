"""The store keeps every row it was given, refuses to change any, and finds each by its key."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from signed_ledger.errors import Busy, Invalid
from signed_ledger.ledger import Settling
from signed_ledger.records import AccountId, AuthorisationKey, PostingKey
from signed_ledger.rules import ChangeCard, Settle
from signed_ledger.store import TABLES, Store, Table, Wanted, create_database, is_busy, open_database, wanted
from tests.support import assert_audits, load_to, publish
from tests.world import World, authorisation, opened, presentment


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A ledger with a row in every table."""
    world = World(tmp_path)
    async with opened(world) as ledger:
        visa = await world.register(ledger, "scheme", "visa")
        await world.load(ledger, "c1", 100_00)
        for number in range(20):
            await ledger.submit(world.webhook(visa, "authorisation", authorisation(f"t{number}", "c1", "1.00")))
        await ledger.submit(world.webhook(visa, "presentment", presentment("t1", "1.00", presentment_id="p-1")))
        await ledger.submit(Settling(Settle("visa", "2026-11-23", world.clock()), -1, -1, {}))
        await ledger.submit(ChangeCard("block", "c1"))
        await load_to(world, ledger, 256)
        await publish(world, ledger, ("witness.example/w", world.root))
    return world.path


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {name} SET seq = seq + 100",
        "DELETE FROM {name}",
        "INSERT OR REPLACE INTO {name} SELECT * FROM {name} LIMIT 1",
    ],
    ids=["an update", "a delete", "a replacement"],
)
async def test_every_table_refuses(path: Path, table: Table, statement: str) -> None:
    with closing(open_database(path, busy_timeout_ms=0)) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] > 0
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement.format(name=table.name))
    assert_audits(path)


async def test_every_table_is_strict_and_the_file_is_durable_and_its_owners_alone(path: Path) -> None:
    with closing(open_database(path, busy_timeout_ms=0)) as connection:
        strict = {row[0] for row in connection.execute("SELECT name FROM pragma_table_list WHERE strict")}
        assert strict >= {table.name for table in TABLES}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert_audits(path)


@pytest.mark.parametrize("query", ["_WEBHOOKS", "_AUTHORISATIONS", "_ACCOUNTS", "_CARDS", "_POSTINGS"])
async def test_a_groups_reads_look_keys_up_and_scan_nothing(path: Path, query: str) -> None:
    with closing(open_database(path, busy_timeout_ms=0)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {getattr(wanted, query)}", ('[["a", "b"]]',)).fetchall()
    steps = [row[3] for row in plan]
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN k VIRTUAL TABLE INDEX 1:"]
    searched = [step for step in steps if "USING PRIMARY KEY" in step]
    history = {
        "_WEBHOOKS": "scheme=?",
        "_AUTHORISATIONS": "scheme=? AND seq=?",
        "_ACCOUNTS": "currency=? AND seq=?",
        "_CARDS": "card_id=? AND seq=?",
        "_POSTINGS": "transaction_id=? AND scheme=? AND name=?",
    }
    assert history[query] in searched[0]
    assert_audits(path)


async def test_only_the_newest_row_is_found(path: Path) -> None:
    store = await Store.open(path, busy_timeout_ms=0)
    found = await store.read(
        Wanted(
            [("visa", "never")],
            [AuthorisationKey("visa", "t1"), AuthorisationKey("other", "t1")],
            [AccountId("card:c1", "EUR"), AccountId("card:c1", "USD")],
            ["c1", "c9"],
            [PostingKey("visa", "t1", "presentment:p-1"), PostingKey("visa", "t1", "refund:p-1")],
            [("visa", -1), ("other", -1)],
        )
    )
    await store.close()
    assert found.webhooks == {}
    assert {key: row.row[1] for key, row in found.authorisations.items()} == {("visa", "t1"): "CLEARED"}
    assert {card_id: (row.scheme, row.blocked) for card_id, row in found.cards.items()} == {"c1": ("visa", 1)}
    assert [key.name for key in found.postings] == ["presentment:p-1"]
    settled, nothing = found.settlements["visa"], found.settlements["other"]
    assert settled.newest is not None
    assert [stored.seq < settled.newest.seq for stored in settled.posted] == [True]
    assert settled.currencies == ["EUR"]
    assert nothing == (None, [], [])
    assert {account: (row.posted, row.held) for account, row in found.accounts.items()} == {
        ("card:c1", "EUR"): (99_00, 19_00)
    }
    assert_audits(path)


async def test_a_second_writer_waits_and_is_then_told_that_the_ledger_is_busy(path: Path) -> None:
    first, second = [await Store.open(path, busy_timeout_ms=20) for _ in range(2)]
    await first.begin(0, Wanted([], [], []))
    with pytest.raises(Busy):
        await second.begin(0, Wanted([], [], []))
    await first.rollback()
    await second.begin(0, Wanted([], [], []))
    await second.rollback()
    await first.close()
    await second.close()
    assert_audits(path)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_LOCKED])
def test_every_kind_of_busy_is_told_as_busy(code: int) -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    assert is_busy(error)
    assert not is_busy(sqlite3.OperationalError())


def test_a_new_ledger_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"something of value")
    with pytest.raises(Invalid, match="exists already"):
        create_database(path, [])
    assert path.read_bytes() == b"something of value"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "is not there", id="a missing file"),
        pytest.param(b"not a database" * 100, "can not be opened", id="a file of something else"),
        pytest.param(b"", "not a ledger", id="an empty file"),
    ],
)
async def test_what_is_no_ledger_is_not_opened(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "ledger.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Invalid, match=reason):
        await Store.open(path, busy_timeout_ms=0)
