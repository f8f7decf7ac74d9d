"""The days after a theft: what is not signed again stands still, is named, and can be made good."""

import json
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import audit_file
from tests.callers import Answered, authorisation, presentment
from tests.callers import send as send_raw
from tests.processes import Installation, Party, Server, installed


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = installed(tmp_path)
    made.json("load-money", "card-1", "1.00", "EUR")
    return made


def size(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


def entry_kid(installation: Installation) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    return str(key["kid"])


def left(installation: Installation) -> list[str]:
    """What is left to do, but for the next key that lies where it was made."""
    return [said for said in installation.json("keys", "status")["left"] if "take it offline" not in said]


def send(server: Server, party: Party, kind: str, webhook_id: str, body: dict[str, Any] | bytes) -> Answered:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send_raw(server.url, party, f"/{kind}", webhook_id, raw)


# --- the entry key -------------------------------------------------------------------------------------------------


def test_a_thief_s_load_is_not_signed_again_and_the_issuer_s_line_alone_lets_all_others_go_on(
    installation: Installation,
) -> None:
    stolen, before = entry_kid(installation), size(installation)
    installation.json("load-money", "thief", "5000.00", "EUR")
    line = installation.rows("SELECT max(seq) FROM account_states WHERE owner = 'issuer'")[0][0]
    installation.json("keys", "revoke", stolen, "--at-size", before)
    assert "does not verify" in installation.refused(1, "load-money", "card-1", "2.00", "EUR")
    entries, account = left(installation)
    assert f"from {before} to {line + 1} are not signed again" in entries
    assert account.startswith(f"nothing that moves issuer EUR is decided: its newest line, entry {line},")
    installation.json(*account.rpartition(": ")[2].split(), "--yes")
    assert len(left(installation)) == 1
    installation.json("load-money", "card-1", "2.00", "EUR")
    assert "does not verify" in installation.refused(1, "load-money", "thief", "2.00", "EUR")
    report = audit_file(installation.database, jobs=1)
    assert {int(fault.step) for fault in report.faults} == {14}
    assert report.revoked[0].ranges == [(before, line - 1), (line + 1, line + 1)]


def test_the_honest_are_signed_again_by_one_entry_and_a_range_leaves_the_rest(installation: Installation) -> None:
    stolen, before = entry_kid(installation), size(installation)
    for _ in range(3):
        installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("keys", "revoke", stolen, "--at-size", before)
    assert "--to" in installation.refused(2, "keys", "reattest", stolen, "--from", before, "--to", before - 1)
    (told,) = installation.json("keys", "reattest", stolen, "--to", before + 2, "--yes")["attested"]
    assert (told["first"], told["last"], told["entries"]) == (before, before + 2, 3)
    (rest,) = installation.json("keys", "reattest", stolen, "--yes")["attested"]
    assert rest["first"] == before + 3
    assert left(installation) == []
    installation.assert_audits()


# --- a Scheme's key ------------------------------------------------------------------------------------------------


def test_a_scheme_s_fraud_is_signed_again_to_be_refunded(installation: Installation) -> None:
    """As docs/KEYS.md has it: until then its transactions and its settlement stand still, and others are served."""
    scheme, new = installation.scheme, Party(installation.folder, "new")
    with installation.serve() as server:
        before = size(installation)
        assert send(server, scheme, "authorisation", "a-1", authorisation("fraud", "5.00", "card-1")).status == 201
        assert send(server, scheme, "presentment", "p-1", presentment("fraud", "5.00")).status == 200
        assert send(server, scheme, "authorisation", "a-2", authorisation("held", "7.00", "card-1")).status == 201
        installation.run("keys", "revoke", scheme.kid, "--at-size", before)
        installation.run("keys", "add", "scheme", "acme", new.public_file)
        money = {"billing_amount": "5.00", "billing_currency": "EUR"}
        back = {"transaction_id": "fraud", "refund_id": "r-1", **money}
        back |= {"settlement_amount": "5.00", "settlement_currency": "EUR"}
        asked: list[tuple[str, str, dict[str, Any] | bytes]] = [
            ("presentment", "p-1", presentment("fraud", "5.00")),
            ("refund", "r-1", back),
        ]
        asked.append(("reversal", "r-2", {"transaction_id": "held"}))
        assert {send(server, new, *each).document["code"] for each in asked} == {"integrity_violation"}
        assert "not signed again" in installation.refused(1, "settle", "--scheme", "acme")
        assert send(server, new, "authorisation", "a-3", authorisation("other", "1.00", "card-1")).status == 201
        assert "3 entries" in left(installation)[0]
        (told,) = installation.json("keys", "reattest", scheme.kid, "--yes")["attested"]
        assert told["entries"] == 3
        assert [send(server, new, *each).status for each in asked] == [200, 200, 200]
    installation.json("settle", "--scheme", "acme", "--out", installation.folder / "settlements")
    installation.assert_audits()


# --- auditors who keep state ---------------------------------------------------------------------------------------


def test_histories_of_before_and_after_what_was_seen_are_compared(installation: Installation, tmp_path: Path) -> None:
    seen, stolen, before = tmp_path / "seen", entry_kid(installation), size(installation)
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    assert installation.json("verify", "--last-seen", seen)["from_seq"] == 0
    installation.json("keys", "revoke", stolen, "--at-size", before)  # names a size that was seen
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("keys", "root", "--new-keys", "1", "--threshold", "1")  # names one that was not
    installation.json("checkpoint")
    report = installation.json("verify", "--last-seen", seen)
    assert report["from_seq"] > before
    assert report["steps"][13]["checked"] >= 3
    assert [one["not_trusted"] for one in report["revoked"]] == [0]
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    assert installation.json("verify", "--last-seen", seen)["faults"] == []
    installation.assert_audits()
