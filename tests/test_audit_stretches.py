"""Several processes, a stretch of the ledger each: where all of it is sound they say what one would, else nothing."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signed_ledger.audit import audit_file, running, stretches
from signed_ledger.audit.joining import DoNotMeet, Ended, Joined
from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.steps import Tally
from signed_ledger.encoding import decode_checkpoint
from signed_ledger.records import CardState, PostingKey
from signed_ledger.rules import Settle
from signed_ledger.tables import DERIVED_TABLES, LOG_TABLES
from tests import stretching
from tests.cheating import CheatingIssuer
from tests.stretching import facts, meet
from tests.support import Sample, rows
from tests.tampering import Copy
from tests.world import authorisation, euros, presentment


@pytest.fixture(scope="module")
def starts(sample: Sample) -> list[int]:
    """Where a stretch may begin: not at a journal line, nor right after an account was opened for what follows."""
    kinds = [note.split()[2].decode() for (note,) in rows(sample.path, "SELECT note FROM entries ORDER BY seq")]
    return [seq for seq in range(1, len(kinds)) if kinds[seq] != "journal" and kinds[seq - 1] != "account"]


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


@pytest.mark.parametrize("jobs", [2, 3])
def test_other_processes_say_what_one_does(
    sample: Sample, starts: list[int], monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(running, "SMALL_LEDGER_ENTRIES", 0)
    monkeypatch.setattr(stretches, "STRETCH_ENTRIES_MIN", 1)
    monkeypatch.setattr(stretches, "TILE_WIDTH", 8)
    file = LedgerFile(sample.path, Tally())
    assert len(stretches.stretches_of(file, 81, jobs)) > jobs
    file.close()
    told: list[tuple[int, int]] = []
    report = audit_file(sample.path, jobs=jobs, progress=lambda settled, total: told.append((settled, total)))
    assert replace(report, seconds=0.0) == replace(audit_file(sample.path, jobs=1), seconds=0.0)
    assert told[-1] == (81, 81)
    assert told == sorted(told)


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
    key, seq = next(iter(left[1].postings.items()))
    assert isinstance(key, PostingKey)
    assert not _meet([replace(left[0], postings={**left[0].postings, key: seq}), left[1]])


def _meet(left: list[Ended]) -> bool:
    joined = Joined()
    try:
        for one in left:
            joined.join(one)
    except DoNotMeet:
        return False
    return True


def _begun_otherwise(**other: Callable[[Any], Any]) -> Callable[[Ended], Ended]:
    def change(one: Ended) -> Ended:
        assert one.begun is not None
        changed = {name: make(getattr(one.begun, name)) for name, make in other.items()}
        return replace(one, begun=replace(one.begun, **changed))

    return change


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
    "from nothing": lambda one: replace(one, begun=None, lives={}),
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
    "with a transaction begun elsewhere": _begun_otherwise(lives=lambda asked: _with(asked, lambda seqs: (1, 2))),
    "without having asked for a transaction": _begun_otherwise(lives=lambda asked: {}),
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
