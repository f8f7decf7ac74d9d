"""Settling a day: the sums to the cent, once whoever asks, from verified entries alone, and all of it or nothing."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from signed_ledger.daily import Settled, settle
from signed_ledger.errors import IntegrityViolation, InternalError, Invalid, StateConflict
from signed_ledger.keyring import approve
from signed_ledger.ledger import Attest, Ledger, Settling, read_tree
from signed_ledger.money import Money
from signed_ledger.records import History, KeyChange, Settlement
from signed_ledger.rules import Settle
from tests.settlements import Life, begin, desk_on, opened_desk
from tests.support import assert_audits, edit, fail_the_disk, rows
from tests.world import DAY, ORIGIN, START, World, opened

UTC = ZoneInfo("UTC")
MONDAY = date(2026, 11, 23)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def settled(world: World, ledger: Ledger, day: date = MONDAY, zone: ZoneInfo = UTC) -> Settled:
    async with desk_on(world, ledger) as desk:
        return await settle(desk, "acme", day, zone)


def amounts(body: Settlement) -> dict[str, tuple[str, ...]]:
    """By currency: gross, refunds, fees, net, the Issuer's result."""
    return {
        one.currency: tuple(str(each.amount) for each in (one.gross, one.refunds, one.fees, one.net, one.result))
        for one in body.sums
    }


def balance(world: World, owner: str, currency: str = "EUR") -> int:
    query = "SELECT posted FROM account_states WHERE owner = ? AND currency = ? ORDER BY seq DESC LIMIT 1"
    return int(rows(world.path, query, owner, currency)[0][0])


def head(world: World) -> int:
    return int(rows(world.path, "SELECT max(seq) FROM entries")[0][0])


# --- the sums -------------------------------------------------------------------------------------------------------


async def test_what_was_posted_since_the_last_is_moved_out_by_currency(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.authorise("t", "40.00")
        first = await life.present("t", "39.00", billing_amount="40.00", billing_currency="EUR")
        await life.force("usd", "20.00", "USD", billing_amount="18.00")
        await life.force("yen", "500", "JPY", billing_amount="3.00")
        last = await life.refund("back", "9.00", billing_amount="10.00")
        one = await settled(world, ledger)
        await life.force("next", "5.00", billing_amount="5.00")
        two = await settled(world, ledger, MONDAY + timedelta(days=1))
    assert amounts(one.body) == {
        "EUR": ("39.00", "9.00", "0.00", "30.00", "21.00"),
        "JPY": ("500", "0", "0", "500", "-500"),
        "USD": ("20.00", "0.00", "0.00", "20.00", "-20.00"),
    }
    euro = one.body.sums[0]
    assert (euro.count, euro.first_seq, euro.last_seq) == (2, first, last)
    assert amounts(two.body) == {"EUR": ("5.00", "0.00", "0.00", "5.00", "0.00")}
    assert (balance(world, "scheme:acme"), balance(world, "external:acme")) == (0, 35_00)
    assert (balance(world, "scheme:acme", "JPY"), balance(world, "external:acme", "JPY")) == (0, 500)
    assert_audits(world.path)


@pytest.mark.parametrize(
    ("interchange", "fees", "net", "result"),
    [
        pytest.param(["0.0034", "0.0033"], "0.00", "20.00", "0.00", id="less than a cent is left to the Scheme"),
        pytest.param(["0.0050", "0.0050"], "-0.01", "19.99", "0.01", id="a whole cent of two halves"),
        pytest.param(["0.005001", "0.009998"], "-0.01", "19.99", "0.01", id="what is left over goes to the Scheme"),
        pytest.param(["0.123456", "0.000001"], "-0.12", "19.88", "0.12", id="rounded once, not each"),
        pytest.param(["0.12999999", None], "-0.12", "19.88", "0.12", id="all but a cent"),
    ],
)
async def test_interchange_below_the_cent_is_rounded_once(
    world: World, interchange: list[str | None], fees: str, net: str, result: str
) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        for number, fee in enumerate(interchange):
            more = {} if fee is None else {"interchange_amount": fee}
            await life.force(f"t{number}", "10.00", billing_amount="10.00", **more)
        one = await settled(world, ledger)
    assert amounts(one.body) == {"EUR": ("20.00", "0.00", fees, net, result)}
    assert balance(world, "external:acme") == Money(int(net.replace(".", "")), "EUR").minor
    assert_audits(world.path)


async def test_refunded_interchange_counts_the_other_way(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "10.00", billing_amount="10.00", interchange_amount="0.10")
        await life.refund("back", "5.00", billing_amount="5.00", interchange_amount="0.105")
        one = await settled(world, ledger)
    assert amounts(one.body) == {"EUR": ("10.00", "5.00", "0.01", "5.01", "-0.01")}
    assert_audits(world.path)


async def test_more_refunds_than_presentments_are_owed_by_the_scheme(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        await life.refund("back", "9.00", billing_amount="9.00")
        one = await settled(world, ledger)
    assert amounts(one.body) == {"EUR": ("1.00", "9.00", "0.00", "-8.00", "0.00")}
    assert balance(world, "external:acme") == -8_00
    assert_audits(world.path)


async def test_a_day_on_which_nothing_was_posted_is_settled_too(world: World) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        assert (await settled(world, ledger)).body.sums == ()
        assert (await settled(world, ledger)).is_first is False
    assert_audits(world.path)


async def test_one_schemes_money_is_not_anothers(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        other = Life(world, ledger, await world.register(ledger, "scheme", "other"))
        await world.load(ledger, "c2", 100_00)
        await life.force("t", "1.00")
        await other.force("t", "7.00", card_id="c2")
        assert amounts((await settled(world, ledger)).body)["EUR"][0] == "1.00"
        async with desk_on(world, ledger) as desk:
            assert amounts((await settle(desk, "other", MONDAY, UTC)).body)["EUR"][0] == "7.00"
    assert_audits(world.path)


@pytest.mark.parametrize(
    ("zone", "ends"),
    [("UTC", 14 * 3600), ("Europe/Vienna", 13 * 3600), ("Pacific/Apia", 3600), ("America/Sao_Paulo", 17 * 3600)],
)
async def test_the_day_ends_at_midnight_of_the_zone_and_says_whether_it_had(world: World, zone: str, ends: int) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        end = START + ends * 1_000_000
        world.clock.now = end - 1
        early = await settled(world, ledger, MONDAY, ZoneInfo(zone))
        assert (early.body.day_ends, early.body.is_complete) == (end, False)
        world.clock.now = end + DAY
        late = await settled(world, ledger, MONDAY + timedelta(days=1), ZoneInfo(zone))
        assert (late.body.day_ends, late.body.is_complete) == (end + DAY, True)
    assert_audits(world.path)


# --- once -----------------------------------------------------------------------------------------------------------


async def test_again_gives_the_first_result_and_changes_nothing(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        first = await settled(world, ledger)
        await life.force("u", "2.00")
        before = head(world)
        again = await settled(world, ledger)
        assert head(world) == before
        assert (first.is_first, again.is_first) == (True, False)
        assert again._replace(is_first=True) == first
    assert_audits(world.path)


async def test_an_earlier_day_is_over_and_an_earlier_settlement_still_told(world: World) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        first = await settled(world, ledger, MONDAY)
        await settled(world, ledger, MONDAY + timedelta(days=2))
        with pytest.raises(StateConflict, match="settled up to 2026-11-25: 2026-11-24 was never settled"):
            await settled(world, ledger, MONDAY + timedelta(days=1))
        assert (await settled(world, ledger, MONDAY)).seq == first.seq
    assert_audits(world.path)


async def test_many_at_once_settle_once(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        for number in range(30):
            await life.force(f"t{number}", "1.00")
        async with AsyncExitStack() as stack:
            desks = [await stack.enter_async_context(opened_desk(world)) for _ in range(3)]
            results = await asyncio.gather(*(settle(desk, "acme", MONDAY, UTC) for desk in desks))
        assert len({each.seq for each in results}) == 1
        assert sorted(each.is_first for each in results) == [False, False, True]
    assert len(rows(world.path, "SELECT * FROM settlements")) == 1
    assert_audits(world.path)


async def test_another_day_that_came_between_is_not_settled_twice(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        stale = Settling(Settle("acme", "2026-11-25", world.clock.now), -1, head(world), {})
        await settled(world, ledger, MONDAY)
        before = head(world)
        with pytest.raises(StateConflict, match="Another settlement came between"):
            await ledger.submit(stale)
        assert head(world) == before
    assert_audits(world.path)


async def test_sums_of_before_a_revocation_are_not_settled(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        size = ledger.tree.size
        version = ledger.keyring.version
        stale = Settling(Settle("acme", "2026-11-25", world.clock.now), -1, size - 1, {}, version)
        history = History(3, (await read_tree(ledger._store, 3)).root())
        stolen = KeyChange("revoke", "scheme", life.scheme.kid, None, "acme", version + 1, history=history)
        root = [(f"{ORIGIN}/root", world.root)]
        await ledger.submit(replace(stolen, approvals=approve(stolen, ORIGIN, root)))
        with pytest.raises(StateConflict, match="A key changed meanwhile"):
            await ledger.submit(stale)
        with pytest.raises(IntegrityViolation, match="not signed again"):
            await settled(world, ledger)
        await ledger.submit(Attest(life.scheme.kid, 3, size - 1))
        await settled(world, ledger)
    assert_audits(world.path)


@pytest.mark.parametrize("serving", [False, True], ids=["a command", "inside serve"])
async def test_what_is_posted_meanwhile_is_in_this_settlement_or_the_next(world: World, serving: bool) -> None:
    async with opened(world) as ledger, opened_desk(world, serving=serving) as desk:
        life = await begin(world, ledger)
        for number in range(200):
            await life.force(f"before-{number}", "1.00")
        stop = asyncio.Event()

        async def post() -> int:
            number = 0
            while not stop.is_set():
                await life.force(f"while-{number}", "1.00")
                number += 1
            return number

        posting = asyncio.create_task(post())
        one = await settle(desk, "acme", MONDAY, UTC)
        stop.set()
        posted = await posting
        two = await settle(desk, "acme", MONDAY + timedelta(days=1), UTC)
        counts = [sum(each.count for each in result.body.sums) for result in (one, two)]
        assert sum(counts) == 200 + posted
        assert counts[0] >= 200
    assert_audits(world.path)


async def test_a_key_that_another_process_registered_or_rotated_meanwhile_counts(world: World) -> None:
    async with opened(world) as ledger, opened_desk(world) as desk:
        life = await begin(world, ledger)
        await world.rotate_entry_key(ledger)
        life.scheme = await world.register(ledger, "scheme", "acme")
        await life.force("t", "1.00")
        assert (await settle(desk, "acme", MONDAY, UTC)).body.sums[0].count == 1
        await settled(world, ledger, MONDAY + timedelta(days=1))
        await world.rotate_entry_key(ledger)
        last = await settled(world, ledger, MONDAY + timedelta(days=2))
        assert (await settle(desk, "acme", MONDAY + timedelta(days=2), UTC)).seq == last.seq
    assert_audits(world.path)


# --- what does not verify, and what fails ---------------------------------------------------------------------------

T = "(SELECT seq FROM transactions WHERE transaction_id = 't' AND type = 'presentment')"
USD = "(SELECT seq FROM transactions WHERE transaction_id = 'usd')"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"DELETE FROM transactions WHERE seq = {T}", id="one not told"),
        pytest.param(f"DELETE FROM transactions WHERE seq = {USD}", id="a whole currency not told"),
        pytest.param(f"UPDATE transactions SET type = 'load' WHERE seq = {T}", id="not a presentment"),
        pytest.param(f"UPDATE transactions SET scheme = 'other' WHERE seq = {T}", id="another Scheme's"),
        pytest.param("UPDATE transactions SET scheme = 'acme', type = 'refund' WHERE type = 'load'", id="a load"),
        pytest.param("UPDATE transactions SET scheme = 'acme' WHERE scheme = 'other'", id="another Scheme's to ours"),
        pytest.param(f"UPDATE parts SET evidence = NULL WHERE seq = {T}", id="no evidence"),
        pytest.param(
            f"UPDATE parts SET body = CAST(replace(CAST(body AS TEXT), '9.00', '8.00') AS BLOB) WHERE seq = {T}",
            id="another amount",
        ),
        pytest.param("UPDATE account_states SET posted = 1 WHERE owner = 'scheme:acme'", id="another balance"),
        pytest.param("UPDATE account_states SET posted = 1 WHERE owner = 'issuer'", id="the Issuer's balance"),
        pytest.param("DELETE FROM account_states WHERE owner = 'scheme:acme' AND currency = 'EUR'", id="no account"),
        pytest.param("UPDATE settlements SET seq = 1", id="another entry for the last settlement"),
        pytest.param("UPDATE settlements SET seq = (SELECT max(seq) FROM entries)", id="its line for it"),
        pytest.param("DELETE FROM settlements", id="the last settlement not told"),
    ],
)
async def test_what_was_tampered_with_settles_nothing(world: World, statement: str) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        other = Life(world, ledger, await world.register(ledger, "scheme", "other"))
        await world.load(ledger, "c2", 100_00)
        await life.force("first", "1.00")
        await settled(world, ledger, MONDAY)
        await life.authorise("t", "9.00")
        await life.present("t", "9.00")
        await life.force("usd", "3.00", "USD")
        await world.load(ledger, "c1", 1_00)
        await other.force("theirs", "3.00", card_id="c2")
    edit(world.path, statement)
    before = rows(world.path, "SELECT count(*), max(seq) FROM entries")
    async with opened(world) as ledger:
        with pytest.raises(IntegrityViolation):
            await settled(world, ledger, MONDAY + timedelta(days=1))
        assert rows(world.path, "SELECT count(*), max(seq) FROM entries") == before
    assert not rows(world.path, "SELECT * FROM settlements WHERE date = '2026-11-24'")


async def test_a_ledger_that_lacks_a_posting_of_the_day_is_not_even_opened(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.authorise("t", "9.00")
        await life.present("t", "9.00")
        await world.load(ledger, "c1", 1_00)
    edit(world.path, f"DELETE FROM entries WHERE seq = {T}")
    with pytest.raises(Invalid, match="some of the newest are missing"):
        await world.open()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE settlements SET date = '2026-11-24'", id="under another date"),
        pytest.param("UPDATE settlements SET seq = seq - 1, date = '2026-11-24'", id="another entry"),
    ],
)
async def test_a_first_result_that_was_tampered_with_is_not_told(world: World, statement: str) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        await settled(world, ledger, MONDAY)
    edit(world.path, statement)
    async with opened(world) as ledger, desk_on(world, ledger) as desk:
        with pytest.raises(IntegrityViolation):
            await settle(desk, "acme", MONDAY + timedelta(days=1), UTC)


async def test_a_last_settlement_under_an_earlier_date_ends_in_a_refusal(world: World) -> None:
    async with opened(world) as ledger:
        await begin(world, ledger)
        await settled(world, ledger, MONDAY)
        edit(world.path, "UPDATE settlements SET date = '2026-11-01'")
        before = head(world)
        with pytest.raises(StateConflict, match="is over"):
            await settled(world, ledger, MONDAY)
        assert head(world) == before


@pytest.mark.parametrize("reached", [False, True], ids=["before the disk had it", "after the disk had it"])
async def test_a_commit_that_fails_leaves_all_or_nothing(world: World, reached: bool) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        before = head(world)
        fail_the_disk(ledger, reached)
        with pytest.raises(InternalError):
            await settled(world, ledger)
    assert head(world) == before + (4 + 1 if reached else 0)  # an account to open, the settlement, three lines
    async with opened(world) as ledger:
        again = await settled(world, ledger)
        assert (again.is_first, amounts(again.body)["EUR"][3]) == (not reached, "1.00")
    assert_audits(world.path)


async def test_sums_beyond_any_account_are_refused_and_the_writer_goes_on(world: World) -> None:
    async with opened(world) as ledger:
        life = await begin(world, ledger)
        await life.force("t", "1.00")
        beyond = Settling(Settle("acme", "2026-11-23", -1), -1, -1, {})
        with pytest.raises(StateConflict, match="day_ends"):
            await ledger.submit(beyond)
        assert (await settled(world, ledger)).is_first
    assert_audits(world.path)
