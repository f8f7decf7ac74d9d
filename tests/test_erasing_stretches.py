"""What was erased, audited in stretches: wherever they meet they say what one process does, and miss no cheat."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.audit import Report, audit_file, running, stretches
from signed_ledger.audit.claims import Claims
from signed_ledger.audit.erasures import Erasures
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined
from signed_ledger.audit.reading import LedgerFile, Stretch
from signed_ledger.audit.steps import Tally
from signed_ledger.records import PART_NAMES, Settlement
from signed_ledger.rules import ChangeCard, Erase, Settle
from signed_ledger.tables import TABLES
from tests import stretching
from tests.cheating import CheatingIssuer
from tests.processes import installed
from tests.stretching import facts, meet, starts_of
from tests.support import Sample, make_sample, rows
from tests.tampering import Copy
from tests.test_erasing import erased_sample, settle, settled_sample
from tests.test_erasing_audit import (
    CHEATS,
    Cheat,
    copied,
    erase,
    gone,
    newest_state,
    note_of,
    of_card,
    what_is_held,
    what_is_not_settled,
)
from tests.test_erasing_revoked import ASKED, entry_kid, size
from tests.whole import make_whole
from tests.world import euros, opened, presentment


@pytest.fixture
def for_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of few entries, though the ledger is small."""
    monkeypatch.setattr(running, "SMALL_LEDGER_ENTRIES", 0)
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MIN", 1)
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MAX", 12)
    monkeypatch.setattr(stretches, "TILE_WIDTH", 4)


def forced(card_id: str) -> dict[str, Any]:
    return {"card_id": card_id, "force_post": True, **euros("billing", "1.00")}


async def make_erased(folder: Path) -> Sample:
    """Cards are erased, come back and are erased again; settlements before, between and after cover that, or do not."""
    sample = await erased_sample(folder)
    world = sample.world
    async with opened(world) as ledger:
        await ledger.submit(ChangeCard("bind", "c1", "visa"))
        for day, card_id in (("2026-11-26", "c2"), ("2026-11-27", "c1"), ("2026-11-28", "c2")):
            await world.load(ledger, card_id, 9_00)
            await sample.authorise(ledger, f"day-{day}", card_id, "0.00")
            for name in ("forced", "more"):
                said = presentment(f"{name}-{day}", "1.00", **forced(card_id))
                await sample.send(ledger, f"{name}-{day}", "presentment", **said)
            await settle(world, ledger, day)
            if card_id == "c1":
                await ledger.submit(Erase("c1", "case 2", "asked again"))
        for number, card_id in enumerate(("c1", "c5", "c6")):
            await world.load(ledger, card_id, 1_00)
            await ledger.submit(Erase(card_id, f"another {number}", "asked"))
    return sample


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return asyncio.run(make_erased(tmp_path_factory.mktemp("erased")))


def by_one_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    with monkeypatch.context() as patch:
        patch.setattr(running, "_stretches", lambda *_: [Stretch()])
        return replace(audit_file(path, jobs=1), seconds=0.0)


# --- a sound ledger ------------------------------------------------------------------------------------------------


async def test_wherever_stretches_meet_they_say_what_one_does(erased: Sample, tmp_path: Path) -> None:
    for sample in (erased, await make_whole(tmp_path)):
        starts = starts_of(sample.path)
        one = facts(sample.path, [], sample.trust)
        assert len(starts) > 50
        for seq in starts:
            assert facts(sample.path, [seq], sample.trust) == one, seq
        for number in range(40):
            some = sorted(random.Random(number).sample(starts, 2 + number % 7))
            assert facts(sample.path, some, sample.trust) == one, some
        assert facts(sample.path, starts, sample.trust) == one


@pytest.mark.usefixtures("for_few_entries")
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_report_is_the_same_word_by_word(erased: Sample, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    one = by_one_process(erased.path, monkeypatch)
    assert (one.ok, one.erasures) == (True, 5)
    assert "Of settlements 69, " in one.not_known[-1]
    monkeypatch.delattr(running, "_run")  # which goes through it all by one process
    assert replace(audit_file(erased.path, jobs=jobs), seconds=0.0) == one


def test_of_what_is_erased_elsewhere_a_stretch_keeps_nothing(erased: Sample) -> None:
    """It may be more than memory holds."""
    file = LedgerFile(erased.path, Tally())
    whole = Claims(file.claimed_erasures())
    for first in range(0, 120, 7):
        claims = Claims(file.claimed_erasures(), Stretch(first, first + 7))
        assert claims.leaves == whole.leaves
        for name in PART_NAMES:
            for seq in range(first, first + 7):
                assert claims.erased.by(name, seq) == whole.erased.by(name, seq)
            assert claims.erased.by_any(name, 0, first - 7) is None
            assert claims.erased.by_any(name, first + 14, 200) is None
    file.close()


# --- one that is not sound -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", CHEATS.values(), ids=CHEATS)
async def test_what_an_issuer_may_not_erase_is_found_wherever_stretches_meet(
    attempt: Cheat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_few_entries: None
) -> None:
    held = attempt in (what_is_held, what_is_not_settled)
    sample = await (make_sample(tmp_path) if held else settled_sample(tmp_path))
    copy = copied(sample, tmp_path)
    with copy.edited() as connection:
        attempt(CheatingIssuer(connection, sample), sample)
    assert_found_everywhere(copy.path)
    one = by_one_process(copy.path, monkeypatch)
    assert one.faults
    assert replace(audit_file(copy.path, jobs=2), seconds=0.0) == one


def assert_found_everywhere(path: Path) -> None:
    starts = starts_of(path)
    assert not meet(path, [])
    assert not meet(path, starts)
    assert [seq for seq in starts if meet(path, [seq])] == []
    for number in range(10):
        assert not meet(path, sorted(random.Random(number).sample(starts, 3)))


Edit = Callable[[sqlite3.Connection, Sample], object]


def _part_gone(name: str) -> Edit:
    return lambda connection, sample: gone(connection, sample.seqs["life"], name)


def _another_time(connection: sqlite3.Connection, sample: Sample) -> None:
    seq = sample.seqs["erasure"]
    note = note_of(connection, seq).replace(b".000000Z", b".000001Z", 1)
    connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (note, seq))


def _widened(connection: sqlite3.Connection, sample: Sample) -> None:
    seq = sample.seqs["erasure"]
    (body,) = connection.execute("SELECT body FROM parts WHERE seq = ?", (seq,)).fetchone()
    members = json.loads(body)
    members["erased"]["body"] = [[1, seq - 1]]
    changed = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    connection.execute("UPDATE parts SET body = ? WHERE seq = ?", (changed, seq))
    gone(connection, sample.seqs["life"], *PART_NAMES)


def _again(table: str, **values: str) -> Edit:
    """A row of something that was erased, as another has it but for these values; seqs are told by their names."""

    def add(connection: sqlite3.Connection, sample: Sample) -> None:
        columns = {name: f":{name}" if name in values else name for name in _columns_of(table)}
        told = {name: sample.seqs[value] if name.endswith("seq") else value for name, value in values.items()}
        connection.execute(f"INSERT INTO {table} SELECT {', '.join(columns.values())} FROM {table} LIMIT 1", told)

    return add


def _columns_of(name: str) -> tuple[str, ...]:
    return next(table.columns for table in TABLES if table.name == name)


EDITS: dict[str, Edit] = {
    **{f"a {name} is missing": _part_gone(name) for name in PART_NAMES},
    "the erasure's signature does not verify": _another_time,
    "the erasure names more than was signed": _widened,
    "the erasure is cut off": lambda connection, sample: [
        connection.execute(f"DELETE FROM {table} WHERE seq = ?", (sample.seqs["erasure"],))
        for table in ("entries", "parts", "keys")
    ],
    "no row says that it is an erasure": lambda connection, sample: connection.execute(
        "DELETE FROM keys WHERE kind = 'erasure'"
    ),
    "a row says of another entry that it is": lambda connection, sample: connection.execute(
        "UPDATE keys SET kind = 'erasure' WHERE seq = ?", (sample.seqs["retirement"],)
    ),
    "a part is back": lambda connection, sample: connection.execute(
        "INSERT OR REPLACE INTO parts SELECT ?, body, state, evidence FROM parts WHERE seq = ?",
        (sample.seqs["without-funds"], sample.seqs["life"]),
    ),
    "a balance is back": _again("account_states", owner="card:c1", seq="load"),
    "a card is back": _again("card_states", card_id="c1", seq="load"),
    "a transaction is back": _again(
        "authorisation_states", transaction_id="approved", seq="approved", authorisation_seq="approved"
    ),
    "a webhook is back": _again("webhooks", webhook_id="wh-approved", seq="approved"),
    "a posting is back": _again("postings", transaction_id="abroad", name="presentment p-1", seq="abroad-presented"),
}


@pytest.fixture(scope="module")
def erased_once(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return asyncio.run(erased_sample(tmp_path_factory.mktemp("erased-once")))


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_what_is_done_to_the_file_is_found_wherever_stretches_meet(
    erased_once: Sample, tmp_path: Path, change: Edit
) -> None:
    copy = copied(erased_once, tmp_path)
    with copy.edited() as connection:
        before = connection.total_changes
        change(connection, erased_once)
        assert connection.total_changes > before
    assert_found_everywhere(copy.path)


def test_an_erasure_that_is_not_trusted_in_the_end_excuses_nothing_in_any_stretch(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    installation.json("load-money", "card-1", "1.00", "EUR")
    stolen, before = entry_kid(installation), size(installation)
    installation.json("erase", "--card", "card-1", *ASKED)
    installation.json("keys", "revoke", stolen, "--at-size", before)
    assert_found_everywhere(installation.database)
    installation.json("keys", "reattest", stolen, "--yes")
    one = facts(installation.database, [])
    assert all(facts(installation.database, [seq]) == one for seq in starts_of(installation.database))
    installation.assert_audits()


# --- what a settlement covers, stretches later ---------------------------------------------------------------------


def post(issuer: CheatingIssuer, card_id: str) -> None:
    name = f"late-{card_id}"
    issuer.honest("presentment", presentment(name, "1.00", **forced(card_id)), f"wh-{name}")


def erase_all(issuer: CheatingIssuer, card_id: str) -> int:
    return erase(issuer, of_card(issuer.connection, card_id), keep={newest_state(issuer.connection, card_id)})


def settle_all(issuer: CheatingIssuer, day: str = "2026-11-26") -> int:
    return issuer.record(issuer.decided(Settle("visa", day, issuer.time)))


async def copy_with_cards(tmp_path: Path) -> tuple[Sample, Copy]:
    """Nothing is held on c1 and c4, and all is settled."""
    sample = await settled_sample(tmp_path)
    async with opened(sample.world) as ledger:
        await sample.world.load(ledger, "c4", 5_00)
    return sample, copied(sample, tmp_path)


async def test_what_is_erased_before_a_settlement_covers_it_is_found_wherever_stretches_meet(tmp_path: Path) -> None:
    sample, copy = await copy_with_cards(tmp_path)
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        post(issuer, "c1")
        erase_all(issuer, "c1")
        settle_all(issuer)
    (fault,) = copy.audit().faults
    assert fault.reason == "erased what was posted with visa before a settlement covered it"
    assert_found_everywhere(copy.path)


async def test_nor_does_another_erasure_hide_it_that_came_after_the_settlement(tmp_path: Path) -> None:
    sample, copy = await copy_with_cards(tmp_path)
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        post(issuer, "c1")
        post(issuer, "c4")
        early = erase_all(issuer, "c1")
        settle_all(issuer)
        erase_all(issuer, "c4")
    reason = "erased what was posted with visa before a settlement covered it"
    assert [(fault.seq, fault.reason) for fault in copy.audit().faults] == [(early, reason)]
    assert_found_everywhere(copy.path)


async def test_nor_is_it_hidden_by_naming_it_again_after_the_settlement(tmp_path: Path) -> None:
    sample, copy = await copy_with_cards(tmp_path)
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        post(issuer, "c1")
        seqs, keep = of_card(connection, "c1"), {newest_state(connection, "c1")}
        early = erase(issuer, seqs, keep=keep)
        settle_all(issuer)
        again = erase(issuer, seqs, keep=keep)
    faults = {(fault.seq, fault.reason) for fault in copy.audit().faults}
    assert (again, f"names the body of entry {seqs[0]}, which entry {early} names too") in faults
    assert_found_everywhere(copy.path)


async def test_one_settlement_is_not_judged_and_the_next_is_wherever_stretches_meet(tmp_path: Path) -> None:
    """A wrong sum in the next one is found: that nothing was erased of it is known in each stretch, or at the seam."""
    sample, copy = await copy_with_cards(tmp_path)
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        post(issuer, "c1")
        covering = settle_all(issuer)
        erase_all(issuer, "c1")
        post(issuer, "c4")
        settle_all(issuer, "2026-11-27")
    one = facts(copy.path, [])
    assert f"Of settlements {sample.seqs['settlement']}, " in str(one)
    assert f"{covering} the sums could not be made again" in str(one)
    assert all(facts(copy.path, [seq]) == one for seq in starts_of(copy.path))
    copy.restore()
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        post(issuer, "c1")
        settle_all(issuer)
        erase_all(issuer, "c1")
        post(issuer, "c4")
        wrong = _without_sums(issuer, "2026-11-27")
    assert {fault.seq for fault in copy.audit().faults} >= {wrong}
    assert_found_everywhere(copy.path)


def _without_sums(issuer: CheatingIssuer, day: str) -> int:
    (settlement, *_) = issuer.decided(Settle("visa", day, issuer.time))
    assert isinstance(settlement, Settlement)
    return issuer.write(replace(settlement, sums=()))


SEQ_COUNT = 12
EVENTS = st.lists(
    st.tuples(st.just("posting"), st.sampled_from("ab"), st.integers(0, SEQ_COUNT))
    | st.tuples(st.just("settlement"), st.sampled_from("ab"), st.just(0))
    | st.tuples(st.just("erasure"), st.just(""), st.just(0)),
    max_size=SEQ_COUNT,
)


@given(events=EVENTS, cuts=st.sets(st.integers(0, SEQ_COUNT)))
def test_erasures_in_stretches_are_what_they_are_in_one(events: list[Any], cuts: set[int]) -> None:
    """And one that came too early is found in its stretch, or where stretches meet: exactly where it is in one."""
    whole, is_found = _told(events, 0)
    joined, is_found_in_stretches = Erasures(), False
    for first, end in zip([0, *sorted(cuts)], [*sorted(cuts), SEQ_COUNT], strict=True):
        one, is_found_here = _told(events[first:end], first)
        is_found_in_stretches |= is_found_here or joined.erased_too_early(one)
        joined = joined.and_then(one)
    assert is_found_in_stretches is is_found
    assert joined == whole


def _told(events: list[Any], first: int) -> tuple[Erasures, bool]:
    told, is_found = Erasures(), False
    for seq, (kind, scheme, erasure) in enumerate(events, first):
        if kind == "posting":
            told.take_posting(erasure, scheme)
        elif kind == "settlement":
            told.take_settlement(seq, scheme)
        else:
            is_found |= bool(told.take_erasure(seq))
    return told, is_found


# --- claims --------------------------------------------------------------------------------------------------------


def _claiming(change: Callable[[dict[int, bytes]], dict[int, bytes]]) -> Callable[[Ended], Ended]:
    return lambda one: replace(one, claims=change(one.claims))


@pytest.mark.parametrize("places", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize(
    "change",
    [
        _claiming(lambda claims: {}),
        _claiming(lambda claims: {**claims, 1: bytes(32)}),
        _claiming(lambda claims: {**claims, max(claims): bytes(32)}),
    ],
    ids=["none", "one more", "another"],
)
def test_stretches_that_took_other_entries_for_erasures_are_not_of_one_ledger(
    erased: Sample, change: Callable[[Ended], Ended], places: tuple[int, ...]
) -> None:
    """Though each is sound by itself: an erasure that one did not know of might name what it has."""
    starts = starts_of(erased.path)
    left, audit, tally = stretching.stretches(erased.path, [starts[20], starts[-4]])
    Joined.of(left)
    with pytest.raises(DoNotMeet):
        Joined.of([change(one) if place in places else one for place, one in enumerate(left)]).absorb_into(audit, tally)


def test_an_erasure_while_the_ledger_is_audited_has_one_process_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_few_entries: None
) -> None:
    """Its own stretch was read before, another after."""
    sample = asyncio.run(settled_sample(tmp_path))
    audit_one = stretches._audit_one

    async def erase_c1() -> None:
        async with opened(sample.world) as ledger:
            await ledger.submit(Erase("c1", "case 1", "asked"))

    def after_an_erasure(*arguments: Any) -> Any:
        if not rows(sample.path, "SELECT 1 FROM keys WHERE kind = 'erasure'"):
            asyncio.run(erase_c1())
        return audit_one(*arguments)

    monkeypatch.setattr(stretches, "_audit_one", after_an_erasure)
    report = audit_file(sample.path, jobs=1)
    assert (report.ok, report.erasures) == (True, 1)
