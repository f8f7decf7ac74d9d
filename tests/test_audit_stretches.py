"""Several processes, a stretch of the ledger each: where all of it is sound they say what one would, else nothing."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.audit import audit_file, running, stretches
from signed_ledger.audit.assumed import Seqs
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.names import Name, follow_each_other, names_of
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.spooling import Spool
from signed_ledger.audit.steps import Tally
from signed_ledger.encoding import decode_checkpoint
from signed_ledger.records import CardState, PostingKey
from signed_ledger.rules import Settle
from signed_ledger.tables import DERIVED_TABLES, LOG_TABLES
from tests import stretching
from tests.cheating import CheatingIssuer
from tests.stretching import facts, meet, starts_of
from tests.support import Sample, rows
from tests.tampering import Copy
from tests.world import authorisation, euros, presentment


@pytest.fixture(scope="module")
def starts(sample: Sample) -> list[int]:
    return starts_of(sample.path)


# --- a sound ledger ------------------------------------------------------------------------------------------------


def test_a_stretch_may_begin_before_any_batch_and_nowhere_else(sample: Sample, starts: list[int]) -> None:
    whole = facts(sample.path, [], sample.trust)
    assert len(starts) > 30
    for seq in range(1, 81):
        if seq in starts:
            assert facts(sample.path, [seq], sample.trust) == whole, seq
        else:
            assert not meet(sample.path, [seq], sample.trust), seq


def test_many_stretches_say_what_one_does(sample: Sample, long_sample: Sample, starts: list[int]) -> None:
    whole = facts(sample.path, [])
    assert facts(sample.path, starts) == whole
    for number in range(20):
        assert facts(sample.path, sorted(random.Random(number).sample(starts, 4))) == whole
    assert facts(long_sample.path, [*starts, 255, 256]) == facts(long_sample.path, [])


def test_a_checkpoint_seen_before_is_met_in_its_own_stretch(sample: Sample, starts: list[int]) -> None:
    for (note,) in rows(sample.path, "SELECT note FROM checkpoints"):
        seen = LastSeen(note, decode_checkpoint(note))
        for seq in (starts[3], starts[20], starts[-1]):
            assert facts(sample.path, [seq], seen=seen) == facts(sample.path, [], seen=seen)


def test_two_settlements_in_a_stretch_and_one_before_are_decided_again(
    sample: Sample, copy: Copy, starts: list[int]
) -> None:
    """What the second rests on is known there; what the first rests on was posted in part before."""
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        middle = issuer.next_seq
        part: dict[str, Any] = {"final": False, **euros("billing", "1.00")}
        for day in ("2026-11-25", "2026-11-26"):
            issuer.honest("presentment", presentment("alive", "1.00", presentment_id=day, **part), day)
            issuer.record(issuer.decided(Settle("visa", day, issuer.time)))
    whole = facts(copy.path, [])
    assert facts(copy.path, [middle]) == whole
    assert facts(copy.path, [starts[20], middle]) == whole


@pytest.fixture
def for_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches, though the ledger is small."""
    monkeypatch.setattr(running, "SMALL_LEDGER_ENTRIES", 0)
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MIN", 1)
    monkeypatch.setattr(stretches, "TILE_WIDTH", 8)


@pytest.mark.usefixtures("for_few_entries")
@pytest.mark.parametrize(("jobs", "entries_max"), [(2, 1_000), (3, 1_000), (1, 20), (2, 16)])
def test_stretches_in_any_number_of_processes_say_what_one_does_at_once(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jobs: int, entries_max: int
) -> None:
    whole = audit_file(sample.path, jobs=1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MAX", entries_max)
    file = LedgerFile(sample.path, Tally())
    assert len(stretches.stretches_of(file, 81, jobs)) > max(jobs, 80 // entries_max - 1)
    file.close()
    told: list[tuple[int, int]] = []
    report = audit_file(sample.path, jobs=jobs, progress=lambda settled, total: told.append((settled, total)))
    assert replace(report, seconds=0.0) == replace(whole, seconds=0.0)
    assert told[-1] == (81, 81)
    assert told == sorted(told)
    assert not [*tmp_path.iterdir()], "nothing of what was spooled is left"


@pytest.mark.usefixtures("for_few_entries")
def test_where_nothing_can_be_spooled_one_process_does_all(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = audit_file(sample.path, jobs=1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    report = audit_file(sample.path, jobs=2)
    assert replace(report, seconds=0.0) == replace(whole, seconds=0.0)


def test_what_can_not_be_spooled_or_read_back_is_no_fault_of_the_ledger(
    sample: Sample, starts: list[int], tmp_path: Path
) -> None:
    left, _, _ = stretching.stretches(sample.path, [starts[20]])
    spool, file = Spool(tmp_path), tmp_path / "0"
    with pytest.raises(DoNotMeet):
        Spool(tmp_path / "no room").put(0, left[0])
    with pytest.raises(DoNotMeet):
        spool.take(0)
    spool.put(0, left[0])
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(DoNotMeet):
            list(spool.take(0).names)
    file.write_bytes(whole)
    taken = spool.take(0)
    file.unlink()
    with pytest.raises(DoNotMeet):
        list(taken.names)


def test_what_was_spooled_is_what_was_left(sample: Sample, starts: list[int], tmp_path: Path) -> None:
    left, _, _ = stretching.stretches(sample.path, [starts[20]])
    spool, hostile = Spool(tmp_path), Name("\udcff\0\n", None, (1, 2))
    left[1] = replace(left[1], names=[*left[1].names, *(hostile for _ in range(2_500))])
    for place, one in enumerate(left):
        spool.put(place, one)
    files = len([*Path("/proc/self/fd").iterdir()])
    assert [replace(one, names=[*one.names]) for one in map(spool.take, range(2))] == left
    assert next(iter(spool.take(1).names)) == left[1].names[0]
    assert len([*Path("/proc/self/fd").iterdir()]) == files, "of many stretches not all files can be open at once"


IDS = st.sampled_from(["", "a", "b", "1:a"])
SEQS = st.integers(0, 3) | st.tuples(st.integers(0, 3), st.integers(0, 3))
LIVES = st.dictionaries(IDS, st.dictionaries(IDS, SEQS))


@given(
    stretches=st.lists(
        st.tuples(
            st.dictionaries(IDS, st.dictionaries(IDS, st.integers(0, 3))),
            st.dictionaries(st.builds(PostingKey, IDS, IDS, IDS), st.integers(0, 3)),
            LIVES,
            st.dictionaries(st.tuples(IDS, IDS), st.none() | SEQS),
        ),
        max_size=3,
    )
)
def test_names_follow_each_other_where_nothing_is_there_twice_and_all_that_was_assumed_was_so(stretches: Any) -> None:
    """As they did while all names were in memory."""
    known: dict[Any, Any] = {}
    is_sound = True
    for webhooks, postings, lives, assumed in stretches:
        new = {("webhook", scheme, one): seq for scheme, ids in webhooks.items() for one, seq in ids.items()}
        new |= {("posting", *key): seq for key, seq in postings.items()}
        went_on = {("life", scheme, one): seqs for scheme, ids in lives.items() for one, seqs in ids.items()}
        asked = {("life", *key): answer for key, answer in assumed.items()}
        is_sound &= all(known.get(name) == answer for name, answer in asked.items())
        is_sound &= known.keys().isdisjoint(new) and known.keys().isdisjoint(went_on.keys() - asked.keys())
        known |= new | went_on
    assert follow_each_other([names_of(*stretch) for stretch in stretches]) is is_sound


def test_stretches_are_of_like_length_and_cut_no_batch(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MIN", 10)
    monkeypatch.setattr(stretches, "TILE_WIDTH", 1)
    file = LedgerFile(sample.path, Tally())
    for processes in range(1, 12):
        found = stretches.stretches_of(file, 81, processes)
        bounds = [stretch.first for stretch in found[1:]]
        assert [stretch.end for stretch in found] == [*bounds, None]
        assert 1 <= len(found) <= 8
        assert meet(sample.path, [first for first in bounds if first is not None])
    file.close()


# --- one that is not sound -----------------------------------------------------------------------------------------

TABLES = (*DERIVED_TABLES, LOG_TABLES[0])


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_no_row_can_be_taken_away_or_added_in_any_stretch(copy_with: Copy, starts: list[int], table: Any) -> None:
    """A row is what the stretches after it assume: an audit that believed it would be told what to find."""
    begin = [starts[5], starts[20]]
    assert meet(copy_with.path, begin)
    listed = rows(copy_with.path, f"SELECT * FROM {table.name}")
    seqs = [row[table.columns.index("seq")] for row in listed]
    for row, seq in list(zip(listed, seqs, strict=True))[:: max(1, len(seqs) // 8)]:
        where = " AND ".join(f"{column} IS ?" for column in table.columns)
        with copy_with.edited() as connection:
            connection.execute(f"DELETE FROM {table.name} WHERE {where}", row)
        assert not meet(copy_with.path, begin), (table.name, seq)
        copy_with.restore()
        with copy_with.edited() as connection:
            columns = ", ".join("seq + 1" if name == "seq" else _other(table, name) for name in table.columns)
            statement = f"INSERT OR IGNORE INTO {table.name} SELECT {columns} FROM {table.name} WHERE {where}"
            added = connection.execute(statement, row).rowcount
        assert not added or not meet(copy_with.path, begin), (table.name, seq)
        copy_with.restore()


def _other(table: Any, name: str) -> str:
    """Another key, where the seq is not in the key."""
    first_of_key = name == table.columns[0] and "seq" not in table.columns[: table.key]
    return f"{name} + 1000" if first_of_key and name == "level" else f"{name} || 'x'" if first_of_key else name


@pytest.mark.parametrize(
    "statement", ["UPDATE entries SET note = x'00' WHERE seq = {}", "DELETE FROM parts WHERE seq = {}"]
)
def test_no_entry_can_be_damaged_in_any_stretch(copy: Copy, starts: list[int], statement: str) -> None:
    for seq in range(0, 81, 4):
        with copy.edited() as connection:
            connection.execute(statement.format(seq))
        for start in (starts[2], starts[-2]):
            assert not meet(copy.path, [start]), seq
        copy.restore()


def test_a_webhook_recorded_again_in_a_later_stretch_is_found_where_they_meet(sample: Sample, copy: Copy) -> None:
    """Each stretch is sound by itself: but for the row, of which there can be one only."""
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        issuer.honest("authorisation", authorisation("again-1", "c2", "0.10"), "wh-again")
        second = issuer.next_seq
        issuer.honest("authorisation", authorisation("again-2", "c2", "0.10"), "wh-again")
        connection.execute("ALTER TABLE webhooks RENAME TO old")
        connection.execute("CREATE TABLE webhooks (webhook_id TEXT, scheme TEXT, seq INTEGER) STRICT")
        connection.execute("INSERT INTO webhooks SELECT * FROM old")
        connection.execute("DROP TABLE old")
        connection.execute("INSERT INTO webhooks VALUES ('wh-again', 'visa', ?)", (second,))
    left, _, _ = stretching.stretches(copy.path, [second])
    assert not _meet(left)


def test_a_posting_of_the_same_id_in_a_later_stretch_is_found_where_they_meet(
    sample: Sample, starts: list[int]
) -> None:
    left, _, _ = stretching.stretches(sample.path, [starts[-3]])
    posting = next(name for name in left[1].names if name.name.startswith("7:posting"))
    assert not _meet([replace(left[0], names=sorted([*left[0].names, posting])), left[1]])


def _meet(left: list[Ended]) -> bool:
    try:
        Joined.of(left)
    except DoNotMeet:
        return False
    return True


def _begun_otherwise(**other: Callable[[Any], Any]) -> Callable[[Ended], Ended]:
    def change(one: Ended) -> Ended:
        assert one.begun is not None
        changed = {name: make(getattr(one.begun, name)) for name, make in other.items()}
        return replace(one, begun=replace(one.begun, **changed))

    return change


def _names_otherwise(change: Callable[[Seqs], Seqs | None]) -> Callable[[Ended], Ended]:
    """With something else taken to be known of one name before."""

    def changed(one: Ended) -> Ended:
        names = [*one.names]
        number, name = next((n, name) for n, name in enumerate(names) if name.before is not None)
        assert name.before is not None
        names[number] = name._replace(before=change(name.before))
        return replace(one, names=names)

    return changed


def _with(mapping: dict[Any, Any], change: Callable[[Any], Any]) -> dict[Any, Any]:
    """The mapping with another value in one place."""
    name = next(name for name, value in mapping.items() if value is not None)
    return {**mapping, name: change(mapping[name])}


def _more_unsettled(one: Ended) -> Ended:
    first, *others = one.unjudged
    account, state = next((a, s) for a, s in first.accounts.items() if a.owner.startswith("scheme:") and s.posted)
    wrong = first._replace(accounts={**first.accounts, account: replace(state, posted=state.posted + 1)})
    return replace(one, unjudged=[wrong, *others])


OTHER_BEGINNINGS: dict[str, Callable[[Ended], Ended]] = {
    "from nothing": lambda one: replace(one, begun=None),
    "after another entry": _begun_otherwise(last=lambda last: last._replace(leaf=bytes(32))),
    "after another time": _begun_otherwise(last=lambda last: last._replace(time=last.time - 1)),
    "after another seq": _begun_otherwise(last=lambda last: last._replace(seq=last.seq + 1)),
    "in another tree": _begun_otherwise(tree=lambda tree: [(tree[0][0], bytes(32)), *tree[1:]]),
    "with another key entry": _begun_otherwise(keys=lambda keys: _with(keys, lambda leaf: bytes(32))),
    "with a key entry less": _begun_otherwise(keys=lambda keys: dict(list(keys.items())[:-1])),
    "with another balance": _begun_otherwise(
        accounts=lambda asked: _with(asked, lambda state: replace(state, posted=state.posted + 1))
    ),
    "with an account not there": _begun_otherwise(accounts=lambda asked: _with(asked, lambda state: None)),
    "with a card of another Scheme": _begun_otherwise(
        cards=lambda asked: _with(asked, lambda state: CardState(state.card_id, "other"))
    ),
    "with a transaction begun elsewhere": _names_otherwise(lambda before: (1, 2)),
    "without having asked for a transaction": _names_otherwise(lambda before: None),
    "with other sums to settle": _more_unsettled,
    "with a form of an earlier release": lambda one: replace(one, forms=(1, 2)),
}


@pytest.mark.parametrize("change", OTHER_BEGINNINGS.values(), ids=OTHER_BEGINNINGS)
def test_a_stretch_that_began_otherwise_than_the_one_before_ended_is_not_of_one_ledger(
    sample: Sample, starts: list[int], change: Callable[[Ended], Ended]
) -> None:
    middle = next(seq for seq in starts if seq > sample.seqs["rest"])
    left, _, _ = stretching.stretches(sample.path, [middle])
    assert _meet(left)
    assert not _meet([left[0], change(left[1])])
