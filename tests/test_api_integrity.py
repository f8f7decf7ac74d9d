"""An attacker who owns the database file edits it beneath the running service: no money moves, others are served.

The file is edited by a connection of its own, triggers dropped, as the attacker would.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.encoding.text import decode_json, encode_json
from tests.api_support import Caller, Site, open_ledger, serving
from tests.support import assert_audits
from tests.world import authorisation, presentment

VIOLATION = (500, "integrity_violation", None)


async def _prepared(site: Site) -> Caller:
    """Two cards with 100.00 EUR each, and 40.00 of the first held by tx-1 of acme."""
    for card_id in ("card-1", "card-2"):
        await site.load(card_id, 10_000)
    acme = await site.caller("scheme", "acme")
    assert (await site.post(acme, "/authorisation", authorisation("tx-1", "card-1", "40.00"))).status == 201
    return acme


def _edit(path: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement, values in statements:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


async def _forget(site: Site) -> None:
    """Let another process write: this one then reads again what it kept in memory, as it would after a restart."""
    other = await open_ledger(site.world, site.metrics)
    await site.load("card-3", 100, ledger=other)
    await other.close()


async def _assert_others_are_served(site: Site, acme: Caller) -> None:
    assert (await site.post(acme, "/authorisation", authorisation("tx-2", "card-2", "1.00"))).status == 201
    assert (await site.post(acme, "/presentment", presentment("tx-2", "1.00"))).status == 200


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param("posted = 99999999", id="more money"),
        pytest.param("held = 0", id="no hold"),
        pytest.param("posted = posted - 1", id="less money"),
    ],
)
async def test_an_edited_balance_approves_nothing(tmp_path: Path, edit: str) -> None:
    async with serving(tmp_path, audited=False) as site:
        acme = await _prepared(site)
        newest = "(SELECT max(seq) FROM account_states WHERE owner = 'card:card-1')"
        _edit(site.world.path, (f"UPDATE account_states SET {edit} WHERE owner = 'card:card-1' AND seq = {newest}", ()))
        await _forget(site)
        told = await site.post(acme, "/authorisation", authorisation("tx-3", "card-1", "1.00"), "evt-3")
        assert told.facts == VIOLATION
        assert told.json["retryable"] is False
        assert site.counted("signed_ledger_integrity_alarms_total") == 1
        assert site.counted("signed_ledger_refusals_total", code="integrity_violation") == 1
        assert site.counted("signed_ledger_decisions_total", kind="authorisation", reason="ok") == 1
        await _assert_others_are_served(site, acme)
    assert audit_file(tmp_path / "ledger.db", jobs=1).faults


# --- the authorisation, before its presentment ---------------------------------------------------------------------


def _json_edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def edit(part: bytes) -> bytes:
        members = decode_json(part, "part")
        change(members)
        return encode_json(members)

    return edit


def _signature_byte(note: bytes) -> bytes:
    return note[:-10] + (b"A" if note[-10:-9] != b"A" else b"B") + note[-9:]


EDITS = [
    pytest.param("parts", "body", _json_edit(lambda body: body.update(billing_amount="1.00")), id="the amount"),
    pytest.param("parts", "body", _json_edit(lambda body: body.update(card_id="card-2")), id="the card"),
    pytest.param("parts", "body", _json_edit(lambda body: body.update(scheme="bolt")), id="the Scheme"),
    pytest.param("parts", "body", lambda body: b"{}", id="the whole body"),
    pytest.param("parts", "body", lambda body: b"", id="no body"),
    pytest.param(
        "parts", "evidence", _json_edit(lambda evidence: evidence.update(signature="A" * 86 + "==")), id="the signature"
    ),
    pytest.param("parts", "evidence", _json_edit(lambda evidence: evidence.update(kid="0" * 64)), id="the key's name"),
    pytest.param(
        "parts", "evidence", _json_edit(lambda evidence: evidence.update(public_key="A" * 43 + "=")), id="the key"
    ),
    pytest.param("parts", "evidence", _json_edit(lambda evidence: evidence.update(body="e30=")), id="the request"),
    pytest.param("parts", "evidence", lambda evidence: None, id="no evidence"),
    pytest.param("entries", "note", _signature_byte, id="the Issuer's signature"),
    pytest.param("entries", "note", lambda note: note.replace(b" transaction\n", b" journal\n"), id="the entry's kind"),
    pytest.param("entries", "note", lambda note: b"\xff" + note, id="bytes that are not text"),
]


@pytest.mark.parametrize(("table", "column", "edit"), EDITS)
async def test_an_edited_authorisation_moves_no_money(
    tmp_path: Path, table: str, column: str, edit: Callable[[Any], bytes | None]
) -> None:
    async with serving(tmp_path, audited=False) as site:
        acme = await _prepared(site)
        seq = await site.reader.head()
        await site.load("card-3", 100)  # an edited newest entry would be a swapped history, which stops the service
        stored = await site.reader.entry(seq)
        before = stored.note if column == "note" else getattr(stored.parts, column)
        _edit(site.world.path, (f"UPDATE {table} SET {column} = ? WHERE seq = ?", (edit(before), seq)))
        told = await site.post(acme, "/presentment", presentment("tx-1", "40.00"))
        assert told.facts == VIOLATION
        assert site.counted("signed_ledger_integrity_alarms_total") >= 1
        assert site.counted("signed_ledger_decisions_total", kind="presentment", reason="ok") == 0
        await _assert_others_are_served(site, acme)
    assert audit_file(tmp_path / "ledger.db", jobs=1).faults


@pytest.mark.parametrize(
    ("column", "value"),
    [("held", 1), ("status", "CLEARED"), ("card_id", "card-2"), ("currency", "USD"), ("authorisation_seq", 1)],
)
async def test_an_edited_state_of_an_authorisation_moves_no_money(tmp_path: Path, column: str, value: Any) -> None:
    async with serving(tmp_path, audited=False) as site:
        acme = await _prepared(site)
        _edit(site.world.path, (f"UPDATE authorisation_states SET {column} = ?", (value,)))
        told = await site.post(acme, "/presentment", presentment("tx-1", "40.00"))
        assert told.facts == VIOLATION
        await _assert_others_are_served(site, acme)
    assert audit_file(tmp_path / "ledger.db", jobs=1).faults


async def test_an_edited_answer_is_not_given_again(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False) as site:
        acme = await _prepared(site)
        body = authorisation("tx-5", "card-1", "1.00")
        first = await site.post(acme, "/authorisation", body, "evt-5")
        told = json.loads(first.json["body"])
        edited = encode_json({**told, "decision": "declined", "reason": "insufficient_funds", "hold_change": "0.00"})
        _edit(site.world.path, ("UPDATE parts SET body = ? WHERE seq = ?", (edited, first.json["seq"])))
        assert (await site.post(acme, "/authorisation", body, "evt-5")).facts == VIOLATION
        await _assert_others_are_served(site, acme)


async def test_what_readers_can_not_be_shown_is_an_alarm_too(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False) as site:
        await _prepared(site)
        olga = await site.caller("auditor", "olga")
        seq = (await site.get(olga, "/transactions/tx-1")).json["entries"][0]["seq"]
        edits = [f"UPDATE parts SET body = x'{wrong}' WHERE seq = ?" for wrong in ("ff", "5b5d", "7b7d")]
        edits += ["UPDATE entries SET note = x'00' WHERE seq = ?", "DELETE FROM entries WHERE seq = ?"]
        for edit in edits:
            _edit(site.world.path, (edit, (seq,)))
            for path in ("/transactions/tx-1", "/transactions"):
                assert (await site.get(olga, path)).facts == VIOLATION
        assert (await site.get(olga, f"/entries/{seq}")).facts == VIOLATION
        for wrong in ("ff", "5b5d"):
            _edit(site.world.path, (f"UPDATE parts SET body = x'{wrong}' WHERE seq = 1", ()))
            assert (await site.get(olga, "/entries/1")).facts == VIOLATION
        assert site.counted("signed_ledger_integrity_alarms_total") == 13
        assert (await site.get(olga, "/accounts/card-1")).status == 200


async def test_the_untouched_ledger_of_these_tests_audits(tmp_path: Path) -> None:
    async with serving(tmp_path, audited=False) as site:
        acme = await _prepared(site)
        await _forget(site)
        await _assert_others_are_served(site, acme)
        assert (await site.post(acme, "/presentment", presentment("tx-1", "40.00"))).status == 200
    assert_audits(tmp_path / "ledger.db")
