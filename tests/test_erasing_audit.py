"""The audit of what was erased: what an erasure names may be gone, and only what is a card's and is owed no more."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.records import Erasure
from signed_ledger.records.erasures import runs_of
from tests.cheating import CheatingIssuer
from tests.support import Sample, make_sample
from tests.tampering import Copy, found
from tests.test_erasing import ERASE, erased_sample, settled_sample
from tests.world import opened

EVERY = ("body", "state", "evidence")


def gone(connection: sqlite3.Connection, seq: int, *names: str) -> None:
    for name in names:
        value = "x''" if name == "body" else "NULL"
        connection.execute(f"UPDATE parts SET {name} = {value} WHERE seq = ?", (seq,))


def note_of(connection: sqlite3.Connection, seq: int) -> bytes:
    (note,) = connection.execute("SELECT note FROM entries WHERE seq = ?", (seq,)).fetchone()
    return bytes(note)


def names_in(connection: sqlite3.Connection, seq: int) -> list[str]:
    note = note_of(connection, seq)
    return [name for name in EVERY if f"\n{name} sha256:".encode() in note]


def erase(
    issuer: CheatingIssuer, seqs: list[int], names: tuple[str, ...] = EVERY, *, keep: set[int] | None = None
) -> int:
    """The Issuer erases what it likes, and signs that it did; gives the erasure's seq. The states of `keep` stay."""
    named: dict[str, Any] = {}
    for name in names:
        having = [seq for seq in sorted(seqs) if name in names_in(issuer.connection, seq)]
        named[name] = runs_of(seq for seq in having if name != "state" or seq not in (keep or set()))
        for first, last in named[name]:
            for seq in range(first, last + 1):
                gone(issuer.connection, seq, name)
    for seq in seqs:
        for table in ("authorisation_states", "card_states", "webhooks", "postings", "transactions", "keys"):
            issuer.connection.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
        if seq not in (keep or set()):
            issuer.connection.execute("DELETE FROM account_states WHERE seq = ?", (seq,))
    return issuer.write(Erasure(asked_by="nobody", why="to hide it", **named))


def of_card(connection: sqlite3.Connection, card_id: str) -> list[int]:
    statement = (
        "SELECT seq FROM account_states WHERE owner = ? UNION SELECT seq FROM transactions WHERE card_id = ? "
        "UNION SELECT seq FROM card_states WHERE card_id = ? ORDER BY seq"
    )
    return [seq for (seq,) in connection.execute(statement, (f"card:{card_id}", card_id, card_id))]


def erase_in_two(issuer: CheatingIssuer, first: tuple[str, ...], then: tuple[str, ...]) -> None:
    """Some parts of all that is c1's, and the others later."""
    seqs, keep = of_card(issuer.connection, "c1"), {newest_state(issuer.connection, "c1")}
    erase(issuer, seqs, first, keep=keep)
    erase(issuer, seqs, then, keep=keep)


def newest_state(connection: sqlite3.Connection, card_id: str) -> int:
    statement = "SELECT max(seq) FROM account_states WHERE owner = ?"
    return int(connection.execute(statement, (f"card:{card_id}",)).fetchone()[0])


def copied(sample: Sample, folder: Path) -> Copy:
    return Copy(sample.path, folder / "copy.db")


# --- an erasure, and what else is done to the file -----------------------------------------------------------------


async def test_a_part_that_no_erasure_names_is_missing_all_the_same(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    copy = copied(sample, tmp_path)
    life = sample.seqs["life"]
    for name in EVERY:
        with copy.edited() as connection:
            gone(connection, life, name)
        assert life in {seq for seq, _ in found(copy.audit(sample.trust))}, name
        copy.restore()


async def test_a_part_that_was_erased_and_is_back_is_told(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    with Copy(sample.path, tmp_path / "before.db").edited() as connection:
        seq = sample.seqs["without-funds"]
        back = connection.execute("SELECT * FROM parts WHERE seq = ?", (seq,)).fetchone()
    async with opened(sample.world) as ledger:
        sample.seqs["erasure"] = (await ledger.submit(ERASE)).seq
    copy = copied(sample, tmp_path)
    with copy.edited() as connection:
        connection.execute("INSERT INTO parts VALUES (?, ?, ?, ?)", back)
    report = copy.audit(sample.trust)
    assert f"its body was erased by entry {sample.seqs['erasure']}, but is still there" in {
        f.reason for f in report.faults
    }
    assert {seq for seq, _ in found(report)} == {seq for seq, *_ in [back]}


async def test_an_erasure_without_the_issuers_signature_excuses_nothing(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    copy = copied(sample, tmp_path)
    erasure = sample.seqs["erasure"]
    with copy.edited() as connection:
        note = note_of(connection, erasure)
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (_with_another_time(note), erasure))
    report = copy.audit(sample.trust)
    assert (erasure, 4) in found(report)
    assert (sample.seqs["load"], 3) in found(report)
    assert (report.erasures, sum(report.erased.values())) == (0, 0)


def _with_another_time(note: bytes) -> bytes:
    return note.replace(b".000000Z", b".000001Z", 1)


async def test_an_erasure_that_is_taken_away_with_the_tail_leaves_parts_missing(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    copy = copied(sample, tmp_path)
    with copy.edited() as connection:
        for table in ("entries", "parts", "keys"):
            connection.execute(f"DELETE FROM {table} WHERE seq = ?", (sample.seqs["erasure"],))
    assert (sample.seqs["load"], 3) in found(copy.audit(sample.trust))


async def test_an_erasure_whose_body_is_widened_is_not_what_was_signed(tmp_path: Path) -> None:
    sample = await erased_sample(tmp_path)
    copy = copied(sample, tmp_path)
    erasure, life = sample.seqs["erasure"], sample.seqs["life"]
    with copy.edited() as connection:
        (body,) = connection.execute("SELECT body FROM parts WHERE seq = ?", (erasure,)).fetchone()
        members = json.loads(body)
        members["erased"]["body"] = [[1, erasure - 1]]
        changed = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
        connection.execute("UPDATE parts SET body = ? WHERE seq = ?", (changed, erasure))
        gone(connection, life, *EVERY)
    assert {(erasure, 5), (life, 3)} <= found(copy.audit(sample.trust))


# --- an Issuer that erases what it may not -------------------------------------------------------------------------


Cheat = Callable[[CheatingIssuer, Sample], str]
CHEATS: dict[str, Cheat] = {}


def cheat(function: Cheat) -> Cheat:
    CHEATS[function.__name__.replace("_", " ")] = function
    return function


@cheat
def the_terms(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [sample.seqs["terms"]])
    return f"names entry {sample.seqs['terms']}: a terms entry can not be erased"


@cheat
def a_key(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [sample.seqs["retirement"]])
    return f"names entry {sample.seqs['retirement']}: a key entry can not be erased"


@cheat
def a_settlement(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [sample.seqs["settlement"]])
    return "its body was erased; of its journal lines only the card's own must be so too"


@cheat
def an_issuers_line(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [sample.seqs["load"] + 1])
    return "this journal line was erased, but its transaction was not"


@cheat
def the_evidence_alone(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [sample.seqs["life"]], ("evidence",))
    return "its evidence was erased, but not its body"


@cheat
def all_but_the_evidence(issuer: CheatingIssuer, sample: Sample) -> str:
    seqs = of_card(issuer.connection, "c1")
    erase(issuer, seqs, ("body", "state"), keep={newest_state(issuer.connection, "c1")})
    return "its body was erased, but not its evidence with it"


@cheat
def the_evidence_first(issuer: CheatingIssuer, sample: Sample) -> str:
    erase_in_two(issuer, ("evidence",), ("body", "state"))
    return "its body was erased, but not its evidence with it"


@cheat
def the_state_first(issuer: CheatingIssuer, sample: Sample) -> str:
    erase_in_two(issuer, ("state",), ("body", "evidence"))
    return "its state was erased before its body"


@cheat
def the_issuers_line_too(issuer: CheatingIssuer, sample: Sample) -> str:
    seqs = of_card(issuer.connection, "c1")
    erase(issuer, [*seqs, sample.seqs["load"] + 1], keep={newest_state(issuer.connection, "c1")})
    return "its body was erased; of its journal lines only the card's own must be so too"


@cheat
def what_is_owed(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, of_card(issuer.connection, "c1"))
    return "all balances do not sum to zero: 30.10 EUR that a card had was erased"


@cheat
def some_of_a_card(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, [seq for seq in of_card(issuer.connection, "c1") if seq != sample.seqs["approved-presented"]])
    return "no authorisation approved of visa stands before it"


@cheat
def what_is_not_settled(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, of_card(issuer.connection, "c2"), keep={newest_state(issuer.connection, "c2")})
    return "erased what was posted with visa before a settlement covered it"


@cheat
def what_is_held(issuer: CheatingIssuer, sample: Sample) -> str:
    erase(issuer, of_card(issuer.connection, "c2"), keep={newest_state(issuer.connection, "c2")})
    return "its body was erased while the card's authorisations held money"


@cheat
def a_part_that_never_was(issuer: CheatingIssuer, sample: Sample) -> str:
    load = sample.seqs["load"]
    issuer.write(Erasure(asked_by="nobody", why="to hide it", evidence=((load, load),)))
    return f"names the evidence of entry {load}, which never had one"


@cheat
def a_part_that_it_leaves(issuer: CheatingIssuer, sample: Sample) -> str:
    load = sample.seqs["load"]
    issuer.write(Erasure(asked_by="nobody", why="to hide it", body=((load, load),)))
    return f"its body was erased by entry {issuer.seq}, but is still there"


@cheat
def what_was_erased_before(issuer: CheatingIssuer, sample: Sample) -> str:
    seqs, keep = of_card(issuer.connection, "c1"), {newest_state(issuer.connection, "c1")}
    first = erase(issuer, seqs, keep=keep)
    erase(issuer, seqs[-1:], keep=keep)
    return f"names the body of entry {seqs[-1]}, which entry {first} names too"


@cheat
def what_is_to_come(issuer: CheatingIssuer, sample: Sample) -> str:
    issuer.write(Erasure(asked_by="nobody", why="to hide it", body=((issuer.next_seq, issuer.next_seq),)))
    return f"names entry {issuer.seq}, which is not before it"


@pytest.mark.parametrize("attempt", CHEATS.values(), ids=CHEATS)
async def test_an_issuer_that_erases_what_it_may_not_is_found(attempt: Cheat, tmp_path: Path) -> None:
    held = attempt in (what_is_held, what_is_not_settled)
    sample = await (make_sample(tmp_path) if held else settled_sample(tmp_path))
    copy = copied(sample, tmp_path)
    assert copy.audit(sample.trust).ok
    with copy.edited() as connection:
        told = attempt(CheatingIssuer(connection, sample), sample)
    reasons = [fault.reason for fault in copy.audit(sample.trust).faults]
    assert any(told in reason for reason in reasons), reasons
