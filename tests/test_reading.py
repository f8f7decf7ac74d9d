"""What readers find in the store: balances then and now, pages, a transaction's entries, times by halving."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.encoding import decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.ledger import Ledger, Settling
from signed_ledger.records import card
from signed_ledger.rules import Settle
from signed_ledger.store import AtSeq, AtTime, Reader, TransactionsWanted, open_database
from signed_ledger.store.moments import first_from, newest_at, time_of
from tests.support import assert_audits
from tests.world import START, World, authorisation, euros, opened, presentment

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
        "bolt": "DECLINED",
    }
    assert await reader.transaction("tx-2") == {}


async def test_a_transaction_has_every_message_about_it_and_a_refund_of_none_is_one_by_itself(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    acme = await world.register(ledger, "scheme", "acme")
    await world.load(ledger, "card-1", 10_000)
    back = {**euros("billing", "1.00"), **euros("settlement", "1.00")}
    messages: list[tuple[str, dict[str, Any]]] = [
        ("authorisation", authorisation("tx-1", "card-1", "9.00")),
        ("increment", {"transaction_id": "tx-1", **euros("billing", "1000.00")}),
        ("increment", {"transaction_id": "tx-1", **euros("billing", "1.00")}),
        ("reversal", {"transaction_id": "tx-1", **euros("billing", "2.00")}),
        ("presentment", presentment("tx-1", "8.00")),
        ("refund", {"transaction_id": "tx-1", **back}),
    ]
    seqs = [(await ledger.submit(world.webhook(acme, kind, body))).seq for kind, body in messages]
    alone = (await ledger.submit(world.webhook(acme, "refund", {"refund_id": "r", "card_id": "card-1", **back}))).seq
    found = (await reader.transaction("tx-1"))["acme"]
    assert found.state is not None
    assert (found.state.status, found.state.held) == ("CLEARED", 0)
    lines = 3  # of each batch
    assert [entry.seq for entry in found.entries] == [*seqs[:4], *range(alone - 8, alone)]
    assert seqs[4:] == [alone - 2 * (lines + 1), alone - (lines + 1)]
    (only,) = (await reader.transaction("r")).values()
    assert (only.state, [entry.seq for entry in only.entries]) == (None, list(range(alone, alone + 4)))


async def test_what_is_due_is_found_in_order_of_when_it_was_until_it_is_no_longer_held(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    acme = await world.register(ledger, "scheme", "acme")
    await world.load(ledger, "card-1", 10_000)
    for name in ("first", "second", "gone", "nothing"):
        amount = "0.00" if name == "nothing" else "1.00"
        await ledger.submit(world.webhook(acme, "authorisation", authorisation(name, "card-1", amount)))
        world.clock.now += SECOND
    await ledger.submit(world.webhook(acme, "reversal", {"transaction_id": "gone"}))
    more = {"transaction_id": "first", **euros("billing", "1.00")}
    await ledger.submit(world.webhook(acme, "increment", more))
    due = START + 7 * 86_400 * SECOND
    assert await reader.due(due - 1) == []
    assert await reader.due(due + SECOND) == [("acme", "second")]
    assert await reader.due(due + 4 * SECOND) == [("acme", "second"), ("acme", "first")]


async def test_settlements_and_what_was_posted_are_found_by_their_scheme(
    world: World, ledger: Ledger, reader: Reader
) -> None:
    acme, bolt = [await world.register(ledger, "scheme", name) for name in ("acme", "bolt")]
    posted: dict[str, list[int]] = {"acme": [], "bolt": []}
    for party, card_id in ((acme, "card-1"), (bolt, "card-2"), (acme, "card-1")):
        await world.load(ledger, card_id, 10_000)
        forced: dict[str, Any] = {"card_id": card_id, "force_post": True, **euros("billing", "1.00")}
        name = f"tx-{next(world.numbers)}"
        answer = await ledger.submit(world.webhook(party, "presentment", presentment(name, "1.00", **forced)))
        posted[party.name].append(answer.seq)
    assert [entry.seq for entry in await reader.posted("acme", -1, 10)] == posted["acme"]
    assert [entry.seq for entry in await reader.posted("acme", -1, 1)] == posted["acme"][:1]
    assert [entry.seq for entry in await reader.posted("acme", posted["acme"][0], 10)] == posted["acme"][1:]
    assert await reader.settlements("acme") == {}
    settled: dict[str, int] = {}
    for date in ("2026-11-23", "2026-11-24"):
        since = max(settled.values(), default=-1)
        settled[date] = (await ledger.submit(Settling(Settle("acme", date, START), since, since, {}))).seq
    assert await reader.settlements("acme") == settled
    assert await reader.settlements("bolt") == {}


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
