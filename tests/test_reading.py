"""What readers find in the store: balances then and now, pages, a transaction's entries, times by halving."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from signed_ledger.encoding import decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.ledger import Ledger
from signed_ledger.records import card
from signed_ledger.store import AtSeq, AtTime, Reader, TransactionsWanted, open_database
from signed_ledger.store.moments import first_from, newest_at, time_of
from tests.support import assert_audits
from tests.world import START, World, authorisation, opened, presentment

SECOND = 1_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    assert_audits(world.path)


@pytest.fixture
async def ledger(world: World) -> AsyncIterator[Ledger]:
    async with opened(world) as ledger:
        yield ledger


@pytest.fixture
async def reader(world: World) -> AsyncIterator[Reader]:
    reader = await Reader.open(world.path, busy_timeout_ms=1_000)
    yield reader
    await reader.close()


async def test_a_balance_is_that_of_the_newest_entry_not_after_the_moment(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    loads = []
    for _ in range(3):
        world.clock.now += SECOND
        loads.append((await world.load(ledger, "card-1", 5_000)).seq)
    for number, seq in enumerate(loads):
        line = seq + 2  # issuer's line, then the card's
        for moment in (AtSeq(line), AtTime(START + (number + 1) * SECOND), AtTime(START + (number + 2) * SECOND - 1)):
            found = await reader.balances(card("card-1"), moment)
            assert [(each.state.posted, each.seq) for each in found.balances] == [(5_000 * (number + 1), line)]
    before = await reader.balances(card("card-1"), AtSeq(loads[0] - 2))
    assert before.balances == []
    assert (await reader.balances(card("card-1"), AtTime(START - 1))).at == -1
    assert (await reader.balances(card("card-1"), None)).at == await reader.head()


async def test_an_owner_has_one_balance_for_each_currency(world: World, ledger: Ledger, reader: Reader) -> None:
    for currency in ("USD", "EUR", "KWD"):
        await world.load(ledger, "card-1", 100, currency)
        await world.load(ledger, "card-1", 100, currency)
    await world.load(ledger, "card-10", 7)
    found = await reader.balances(card("card-1"), None)
    assert [(each.state.account.currency, each.state.posted) for each in found.balances] == [
        ("EUR", 200),
        ("KWD", 200),
        ("USD", 200),
    ]


async def test_times_are_found_by_halving_and_entries_of_one_time_stay_together(world: World, ledger: Ledger) -> None:
    for step in (0, 0, 5, 5, 5, 20, 1, 300):
        world.clock.now += step * SECOND
        await world.load(ledger, "card-1", 100)
    connection = open_database(world.path, busy_timeout_ms=1_000, read_only=True)
    notes = [row[0] for row in connection.execute("SELECT note FROM entries ORDER BY seq")]
    times = [decode_entry(note).entry.time for note in notes]
    for time in range(START - SECOND, times[-1] + 2 * SECOND, SECOND // 2):
        assert newest_at(connection, AtTime(time)) == max((s for s, t in enumerate(times) if t <= time), default=-1)
        assert first_from(connection, AtTime(time)) == min(
            (s for s, t in enumerate(times) if t >= time), default=len(times)
        )
    connection.close()


async def test_pages_hold_each_transaction_once_newest_first(world: World, ledger: Ledger, reader: Reader) -> None:
    seqs = [(await world.load(ledger, f"card-{number % 2}", 100)).seq for number in range(9)]
    wanted = TransactionsWanted()
    walked: list[int] = []
    while page := await reader.transactions(wanted._replace(before=walked[-1] if walked else None), 2):
        walked += [each.seq for each in page]
    assert walked == seqs[::-1]
    one = await reader.transactions(TransactionsWanted("card-1"), 100)
    assert [each.seq for each in one] == seqs[1::2][::-1]
    between = TransactionsWanted(start=AtSeq(seqs[2]), end=AtSeq(seqs[5]))
    assert [each.seq for each in await reader.transactions(between, 100)] == seqs[2:5][::-1]


async def test_a_transaction_has_all_its_entries_and_those_of_nobody_else(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    acme, bolt = [await world.register(ledger, "scheme", name) for name in ("acme", "bolt")]
    await world.load(ledger, "card-1", 10_000)
    first = await ledger.submit(world.webhook(acme, "authorisation", authorisation("tx-1", "card-1", "9.00")))
    other = await ledger.submit(world.webhook(bolt, "authorisation", authorisation("tx-1", "card-1", "8.00")))
    cleared = await ledger.submit(world.webhook(acme, "presentment", presentment("tx-1", "9.00", "USD")))
    found = await reader.transaction("tx-1")
    assert {scheme: [entry.seq for entry in each.entries] for scheme, each in found.items()} == {
        "acme": [first.seq, *range(cleared.seq, cleared.seq + 5)],
        "bolt": [other.seq],
    }
    assert {scheme: each.state.status for scheme, each in found.items() if each.state} == {
        "acme": "CLEARED",
        "bolt": "PENDING",
    }
    assert await reader.transaction("tx-2") == {}


async def test_a_reader_sees_what_was_written_after_it_was_opened_and_can_not_write(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    head = await reader.head()
    await world.load(ledger, "card-1", 100)
    assert await reader.head() > head
    assert await reader.key_changes() == 0
    await world.register(ledger, "operator", "olga")
    assert await reader.key_changes() == 1
    with pytest.raises(Exception, match="readonly"):
        await reader._connection.execute("INSERT INTO keys (seq, kind) VALUES (99, 'key')")


async def test_an_entry_that_is_missing_or_rubbish_is_invalid_not_a_wrong_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        await world.load(ledger, "card-1", 100)
    connection = open_database(world.path, busy_timeout_ms=1_000)
    connection.execute("DROP TRIGGER entries_no_update")
    connection.execute("DROP TRIGGER entries_no_delete")
    connection.execute("UPDATE entries SET note = x'00' WHERE seq = 2")
    with pytest.raises(Invalid, match="entry"):
        time_of(connection, 2)
    connection.execute("DELETE FROM entries WHERE seq = 2")
    with pytest.raises(Invalid, match="2 is missing"):
        time_of(connection, 2)
    connection.close()
