"""`load-money`, `balance` and `transactions`, as an operator types them."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.callers import authorisation, presentment, send
from tests.processes import Installation, installed


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def test_a_load_opens_the_account_and_says_what_the_card_has_now(installation: Installation) -> None:
    assert "JPY" in installation.run("load-money", "card-2", "1230", "JPY").stdout
    loaded = installation.json("load-money", "card-2", "20", "JPY")
    assert loaded == {
        "transaction_id": loaded["transaction_id"],
        "seq": loaded["seq"],
        "card_id": "card-2",
        "amount": "20",
        "currency": "JPY",
        "posted": "1250",
        "held": "0",
        "available": "1250",
    }
    assert loaded["transaction_id"].startswith("load-")
    assert len(loaded["transaction_id"]) == len("load-") + 16
    assert installation.rows("SELECT type FROM transactions WHERE seq = ?", loaded["seq"]) == [("load",)]
    installation.assert_audits()


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(2, ("card-1", "1.234", "EUR"), "AMOUNT", id="more digits than the currency has"),
        pytest.param(2, ("card-1", "0.00", "EUR"), "AMOUNT", id="nothing"),
        pytest.param(2, ("card-1", "-5", "EUR"), "AMOUNT", id="less than nothing"),
        pytest.param(2, ("card-1", "1e3", "EUR"), "AMOUNT", id="not a plain decimal"),
        pytest.param(2, ("card-1", "5.00", "XXX"), "CURRENCY", id="no such currency"),
        pytest.param(2, ("card-1", "5.00", "SEK"), "SIGNED_LEDGER_CURRENCIES", id="a currency that is not taken"),
        pytest.param(2, ("card 1", "5.00", "EUR"), "card_id", id="not a card id"),
        pytest.param(2, ("card-1", "5.00"), "CURRENCY", id="an argument missing"),
    ],
)
def test_a_wrong_load_is_refused_in_a_sentence(
    installation: Installation, status: int, arguments: tuple[str, ...], named: str
) -> None:
    assert named in installation.refused(status, "load-money", *arguments, CURRENCIES="EUR,JPY")
    installation.assert_audits()


def test_balance_now_and_then_for_people_and_programs(installation: Installation) -> None:
    seq = installation.json("load-money", "card-2", "50.00", "EUR")["seq"]
    before = installation.json("balance", "card-2", "EUR")
    installation.run("load-money", "card-2", "5", "JPY")
    now = installation.json("balance", "card-2")
    assert [account["currency"] for account in now["accounts"]] == ["EUR", "JPY"]
    assert now["accounts"][0] == before["accounts"][0]
    assert installation.json("balance", "card-2", "--at", before["at"])["accounts"] == before["accounts"]
    assert "no account" in installation.refused(1, "balance", "card-2", "--at", seq - 2)
    assert "no account" in installation.refused(1, "balance", "card-2", "--at", "1999-12-31T23:59:59Z")
    table = installation.run("balance", "card-2").stdout.splitlines()
    assert table[0].split() == ["CURRENCY", "POSTED", "HELD", "AVAILABLE"]
    assert table[1].split() == ["EUR", "50.00", "0.00", "50.00"]
    installation.assert_audits()


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(1, ("nobody",), "nobody", id="a card never seen"),
        pytest.param(1, ("card-1", "USD"), "USD", id="no account in that currency"),
        pytest.param(1, ("card-1", "--at", "999999"), "999999", id="an entry to come"),
        pytest.param(2, ("card-1", "--at", "yesterday"), "--at", id="not a time"),
        pytest.param(2, ("card-1", "--at", "2026-11-23T10:00:00"), "--at", id="a time without an offset"),
    ],
)
def test_a_balance_that_is_not_there(
    installation: Installation, status: int, arguments: tuple[str, ...], named: str
) -> None:
    assert named in installation.refused(status, "balance", *arguments)


def test_transactions_newest_first(installation: Installation) -> None:
    with installation.serve() as server:
        assert send(server.url, installation.scheme, "/authorisation", "a", authorisation("t-1", "40.00")).status == 201
        assert send(server.url, installation.scheme, "/presentment", "p", presentment("t-1", "39.00")).status == 200
        listed = installation.json("transactions", "card-1")["transactions"]
        assert installation.json("balance", "card-1")["accounts"][0]["posted"] == "999960.00"
    assert [(each["type"], each["transaction_id"]) for each in listed] == [
        ("presentment", "t-1"),
        ("authorisation", "t-1"),
        ("load", "load-1"),
    ]
    assert installation.run("transactions", "card-1").stdout.splitlines()[1].split()[2:4] == ["presentment", "t-1"]
    assert "nobody" in installation.refused(1, "transactions", "nobody")
    installation.assert_audits()


def test_a_balance_that_was_edited_is_not_told(installation: Installation) -> None:
    connection = sqlite3.connect(installation.database)
    connection.execute("DROP TRIGGER account_states_no_update")
    connection.execute("UPDATE account_states SET posted = posted + 1 WHERE owner = 'card:card-1'")
    connection.commit()
    connection.close()
    assert "does not verify" in installation.refused(1, "balance", "card-1")
    assert "does not verify" in installation.refused(1, "load-money", "card-1", "1.00", "EUR")
    assert json.loads(installation.run("verify", "--json", status=1).stdout)["faults"]
    installation.run("rebuild")
    installation.assert_audits()
