"""Statements of an edited ledger: HTTP does not tell what does not add up, the command nothing that was not signed."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.cli.statement_reading import read_statement
from signed_ledger.config import Settings
from signed_ledger.encoding.text import decode_json, encode_json
from signed_ledger.errors import IntegrityViolation
from signed_ledger.records import EntryRef
from signed_ledger.store import AtSeq, AtTime, Moment
from tests.api_support import serving
from tests.cheating import CheatingIssuer, post, presented
from tests.support import Sample, assert_audits
from tests.tampering import Copy
from tests.world import START, authorisation, presentment

SECOND = 1_000_000

Edit: TypeAlias = Callable[[sqlite3.Connection, dict[str, int]], None]
"""What is done to the file; the seqs are the history's, by name."""


def sql(statement: str) -> Edit:
    def edit(connection: sqlite3.Connection, seqs: dict[str, int]) -> None:
        assert connection.execute(statement, seqs).rowcount == 1

    return edit


def body_of(name: str, **members: object) -> Edit:
    def edit(connection: sqlite3.Connection, seqs: dict[str, int]) -> None:
        (body,) = connection.execute("SELECT body FROM parts WHERE seq = ?", (seqs[name],)).fetchone()
        edited = encode_json({**decode_json(body, "body"), **members})
        connection.execute("UPDATE parts SET body = ? WHERE seq = ?", (edited, seqs[name]))

    return edit


def note_of(name: str, change: Callable[[bytes], bytes]) -> Edit:
    def edit(connection: sqlite3.Connection, seqs: dict[str, int]) -> None:
        (note,) = connection.execute("SELECT note FROM entries WHERE seq = ?", (seqs[name],)).fetchone()
        assert change(note) != note
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (change(note), seqs[name]))

    return edit


def do(path: Path, edit: Edit, seqs: dict[str, int]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        edit(connection, seqs)


# --- HTTP: sums and shapes -----------------------------------------------------------------------------------------

UNTELLABLE = [
    pytest.param(sql("UPDATE account_states SET posted = posted + 1 WHERE seq = :line"), id="another balance"),
    pytest.param(sql("DELETE FROM account_states WHERE seq = :line"), id="a row left out"),
    pytest.param(sql("UPDATE account_states SET posted = 1 WHERE seq = :hold"), id="another closing balance"),
    pytest.param(sql("UPDATE account_states SET held = -1 WHERE seq = :hold"), id="a balance that can not be"),
    pytest.param(sql("DELETE FROM entries WHERE seq = :line"), id="no entry"),
    pytest.param(sql("DELETE FROM parts WHERE seq = :line"), id="no body"),
    pytest.param(sql("UPDATE parts SET body = x'00' WHERE seq = :line"), id="no JSON"),
    pytest.param(sql("DELETE FROM entries WHERE seq = :posted"), id="no transaction"),
    pytest.param(sql("DELETE FROM parts WHERE seq = :posted"), id="no body of the transaction"),
    pytest.param(sql("DELETE FROM parts WHERE seq = :approved"), id="no body of the authorisation"),
    pytest.param(body_of("line", amount="-39.99"), id="another amount"),
    pytest.param(body_of("line", account="card:card-2"), id="another account"),
    pytest.param(body_of("line", batch=0), id="caused by no transaction"),
    pytest.param(body_of("posted", builds_on={"seq": 99, "leaf": "A" * 43 + "="}), id="building on what comes later"),
    pytest.param(
        sql("UPDATE parts SET body = (SELECT body FROM parts WHERE seq = :posted) WHERE seq = :line"),
        id="what is no journal line",
    ),
]


@pytest.mark.parametrize("edit", UNTELLABLE)
async def test_what_does_not_add_up_is_an_alarm_and_not_told(tmp_path: Path, edit: Edit) -> None:
    async with serving(tmp_path, audited=False) as site:
        olga, acme = await site.caller("operator", "olga"), await site.caller("scheme", "acme")
        await site.load("card-1", 10_000)
        approved = (await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))).json["seq"]
        posted = (await site.post(acme, "/presentment", presentment("tx-1", "40.00"))).json["seq"]
        hold = (await site.post(acme, "/authorisation", authorisation("tx-2", "card-1", "1.00"))).json["seq"]
        await site.load("card-2", 100)
        assert (await site.get(olga, "/accounts/card-1/EUR/statement")).status == 200
        assert_audits(site.world.path)
        do(site.world.path, edit, {"approved": approved, "posted": posted, "line": posted + 1, "hold": hold})
        told = await site.get(olga, "/accounts/card-1/EUR/statement")
        assert told.facts == (500, "integrity_violation", None)
        assert site.counted("signed_ledger_integrity_alarms_total") == 1
        assert (await site.get(olga, "/accounts/card-2/EUR/statement")).status == 200
    assert audit_file(tmp_path / "ledger.db", jobs=1).faults


# --- the command: signatures ---------------------------------------------------------------------------------------


def stated(path: Path, start: Moment | None = None, end: Moment | None = None) -> Any:
    return asyncio.run(read_statement(Settings(database=path), "c1", "EUR", start, end))


@pytest.fixture
def seqs(sample: Sample) -> dict[str, int]:
    """Seqs of card c1's history: an approval, its presentment and line, the open holds after them."""
    names = {name.replace("-", "_"): seq for name, seq in sample.seqs.items()}
    line = names["approved_presented"] + 1
    return {**names, "line": line, "next": line + 1, "last_before": names["rotation"] - 1}


@pytest.fixture
def intact(copy: Copy) -> Copy:
    """A copy of which everything can be told, before it is edited."""
    assert_audits(copy.path)
    assert [row["amount"] for row in stated(copy.path)["movements"]] == ["100.00", "-40.00", "-29.90"]
    return copy


def other_signature(note: bytes) -> bytes:
    return note[:-10] + (b"A" if note[-10:-9] != b"A" else b"B") + note[-9:]


UNSIGNED = [
    *[edit for edit in UNTELLABLE if edit.id in ("no entry", "no body", "no JSON", "a row left out")],
    pytest.param(sql("UPDATE account_states SET posted = posted + 1 WHERE seq = :line"), id="a balance"),
    pytest.param(sql("UPDATE account_states SET held = held + 1 WHERE seq = :line"), id="what was held"),
    pytest.param(sql("UPDATE account_states SET held = 1 WHERE seq = :open_too"), id="what is held at the closing"),
    pytest.param(body_of("line", amount="-39.99"), id="an amount"),
    pytest.param(body_of("line", batch=5), id="what caused it"),
    pytest.param(body_of("approved_presented", transaction_id="tx-9"), id="a transaction's id"),
    pytest.param(body_of("approved", merchant_name="Another Shop"), id="a merchant's name"),
    pytest.param(sql("UPDATE parts SET state = x'7b7d' WHERE seq = :line"), id="a signed state"),
    pytest.param(note_of("line", other_signature), id="the line's signature"),
    pytest.param(note_of("approved_presented", other_signature), id="the transaction's signature"),
    pytest.param(note_of("approved", other_signature), id="the authorisation's signature"),
    pytest.param(note_of("open_too", other_signature), id="the closing entry's signature"),
    pytest.param(note_of("line", lambda note: note.replace(b" journal\n", b" account\n")), id="the line's kind"),
]


@pytest.mark.parametrize("edit", UNSIGNED)
def test_what_was_not_signed_is_not_told(intact: Copy, seqs: dict[str, int], edit: Edit) -> None:
    do(intact.path, edit, seqs)
    with pytest.raises(IntegrityViolation, match="does not verify"):
        stated(intact.path)
    assert intact.audit().faults


def test_an_opening_balance_that_was_not_signed_is_not_told(intact: Copy, seqs: dict[str, int]) -> None:
    do(intact.path, sql("UPDATE account_states SET held = held + 1 WHERE seq = :line"), seqs)
    with pytest.raises(IntegrityViolation, match=f"at seq {seqs['line']} does not verify"):
        stated(intact.path, AtSeq(seqs["next"]))
    with pytest.raises(IntegrityViolation, match="does not verify"):
        stated(intact.path, end=AtSeq(seqs["next"]))
    assert stated(intact.path, end=AtSeq(seqs["line"]))["closing"]["posted"] == "100.00"
    assert stated(intact.path, AtSeq(seqs["abroad"] + 1))["opening"]["posted"] == "60.00"


def test_a_time_that_was_moved_does_not_move_an_edge(intact: Copy, seqs: dict[str, int]) -> None:
    """The second half of the sample is a minute later; halving always comes to the entry before the edge."""
    edge = AtTime(START + 60 * SECOND)
    assert stated(intact.path, edge)["opening"]["posted"] == "100.00"
    moved = note_of("last_before", lambda note: note.replace(b"T10:00:00.000000Z", b"T10:01:00.000000Z"))
    do(intact.path, moved, seqs)
    for start, end in ((edge, None), (None, edge)):
        with pytest.raises(IntegrityViolation, match="does not verify"):
            stated(intact.path, start, end)
    assert intact.audit().faults


def test_a_time_that_can_not_be_read_is_a_violation_too(intact: Copy, seqs: dict[str, int]) -> None:
    do(intact.path, sql("UPDATE entries SET note = x'00' WHERE seq = :rotation"), seqs)
    with pytest.raises(IntegrityViolation, match="about these times does not verify"):
        stated(intact.path, AtTime(START + 60 * SECOND))


def test_a_merchant_of_another_entry_than_the_one_named_is_not_told(intact: Copy, sample: Sample) -> None:
    with intact.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        body, evidence = presented(issuer, "open", 5_00, builds_on=EntryRef(sample.seqs["open"], bytes(32)))
        seq = issuer.write(body, evidence)
        post(issuer, body)
    with pytest.raises(IntegrityViolation, match=f"at seq {seq} does not verify: builds_on: names another entry"):
        stated(intact.path)
    assert intact.audit().faults
