"""What readers are told of a card that was erased, over HTTP and on the command line."""

import json
from pathlib import Path

import pytest

from signed_ledger.rules import Erase
from tests.api_support import Caller, Site, serving
from tests.callers import authorisation, presentment, send
from tests.processes import Installation, installed
from tests.terminal import in_terminal
from tests.test_erasing import settle
from tests.world import authorisation as authorisation_body
from tests.world import presentment as presentment_body

ASKED = ("--asked-by", "case 2026-117", "--why", "article 17")


async def spent(site: Site) -> tuple[Caller, dict[str, int]]:
    """Card c1 had 20.00, spent 12.34 and was erased; 7.66 stay, proved by `line`."""
    visa = await site.caller("scheme", "visa")
    load = await site.load("c1", 20_00)
    await site.post(visa, "/authorisation", authorisation_body("tx-1", "c1", "12.34"))
    posted = await site.post(visa, "/presentment", presentment_body("tx-1", "12.00"))
    await settle(site.world, site.ledger, "2026-11-23")
    erasure = await site.ledger.submit(Erase("c1", "case 1", "asked"))
    return visa, {"load": load, "line": posted.json["seq"] + 1, "erasure": erasure.seq}


async def test_an_erased_entry_is_shown_with_its_note_and_what_says_that_its_parts_are_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        _, seqs = await spent(site)
        olga = await site.caller("operator", "olga")
        load = (await site.get(olga, f"/entries/{seqs['load']}")).json
        assert (load["parts"], load["decoded"]) == ({}, {})
        assert load["erased"] == {"body": seqs["erasure"]}
        line = (await site.get(olga, f"/entries/{seqs['line']}")).json
        assert list(line["parts"]) == ["state"]
        assert line["erased"] == {"body": seqs["erasure"]}
        erasure = (await site.get(olga, f"/entries/{seqs['erasure']}")).json
        assert (erasure["kind"], "erased" in erasure) == ("erasure", False)
        assert erasure["decoded"]["body"]["asked_by"] == "case 1"


async def test_the_balance_stays_its_transactions_are_not_found_and_nobody_is_alarmed(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        visa, seqs = await spent(site)
        olga = await site.caller("operator", "olga")
        (account,) = (await site.get(olga, "/accounts/c1")).json["accounts"]
        assert (account["posted"], account["seq"]) == ("7.66", seqs["line"])
        assert (await site.get(olga, "/transactions/tx-1")).json["code"] == "transaction_not_found"
        listed = (await site.get(olga, "/transactions")).json["transactions"]
        assert [each["type"] for each in listed] == ["settlement"]
        late = await site.post(visa, "/presentment", presentment_body("tx-1", "1.00"))
        assert late.json["code"] == "authorisation_not_found"
        assert site.counted("signed_ledger_integrity_alarms_total") == 0


@pytest.mark.parametrize("start", ["0", "line"])
async def test_a_statement_begins_where_the_history_was_erased(start: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        _, seqs = await spent(site)
        olga = await site.caller("operator", "olga")
        load = await site.load("c1", 1_00)
        first = seqs["line"] if start == "line" else 0
        told = (await site.get(olga, f"/accounts/c1/EUR/statement?from={first}")).json
        assert told["erased_to"] == seqs["line"]
        assert (told["opening"]["posted"], told["closing"]["posted"]) == ("7.66", "8.66")
        assert [each["batch"] for each in told["movements"]] == [load]
        later = (await site.get(olga, f"/accounts/c1/EUR/statement?from={load}")).json
        assert "erased_to" not in later
        assert later["movements"] == told["movements"]


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def spend(installation: Installation) -> None:
    """card-7 has 5.00, is acme's, and spent 3.00 of it, which is settled."""
    installation.json("load-money", "card-7", "5.00", "EUR")
    with installation.serve() as server:
        asked = authorisation("tx-7", "3.00", "card-7")
        assert send(server.url, installation.scheme, "/authorisation", "wh-7", asked).status == 201
        posted = presentment("tx-7", "3.00")
        assert send(server.url, installation.scheme, "/presentment", "wh-7-p", posted).status == 200
    installation.json("settle", "--scheme", "acme", "--out", installation.folder / "settlements")


def test_a_dry_run_says_what_would_go_and_erases_nothing(installation: Installation) -> None:
    installation.json("load-money", "card-7", "5.00", "EUR")
    before = installation.rows("SELECT * FROM parts")
    told = installation.json("erase", "--card", "card-7", *ASKED, "--dry-run")
    assert told["is_erased"] is False
    assert told["parts"] == {"body": 3, "state": 1, "evidence": 0}
    assert [(each["currency"], each["posted"]) for each in told["kept"]] == [("EUR", "5.00")]
    assert installation.rows("SELECT * FROM parts") == before
    installation.assert_audits()


def test_it_erases_and_says_where_that_stands(installation: Installation) -> None:
    installation.json("load-money", "card-7", "5.00", "EUR")
    told = installation.json("erase", "--card", "card-7", *ASKED, "--yes")
    (seq,) = told["seqs"]
    assert (told["is_erased"], told["is_log_emptied"]) == (True, True)
    (body,) = installation.rows("SELECT body FROM parts WHERE seq = ?", seq)[0]
    assert json.loads(body)["asked_by"] == "case 2026-117"
    assert installation.json("balance", "card-7")["accounts"][0]["posted"] == "5.00"
    statement = installation.run("statement", "card-7", "EUR").stdout
    assert "erased on request" in statement
    assert "erased" in installation.run("verify").stdout
    installation.assert_audits()


def test_money_that_is_loaded_to_an_erased_card_is_told_to_be_there(installation: Installation) -> None:
    """Who is told that it failed loads it twice."""
    installation.json("load-money", "card-7", "5.00", "EUR")
    installation.json("erase", "--card", "card-7", *ASKED, "--yes")
    told = installation.printed("load-money", "card-7", "1.00", "EUR")
    assert "Loaded 1.00 EUR to card-7" in told
    assert "was erased" in told
    assert installation.json("balance", "card-7")["accounts"][0]["posted"] == "6.00"
    installation.json("erase", "--card", "card-7", *ASKED, "--yes")
    installation.json("load-money", "card-7", "1.00", "EUR", "--scheme", "acme")
    assert installation.json("card", "show", "card-7")["scheme"] == "acme"
    installation.assert_audits()


def test_people_are_told_in_words_and_nobody_is_asked_where_nobody_is(installation: Installation) -> None:
    installation.json("load-money", "card-7", "5.00", "EUR")
    before = installation.rows("SELECT * FROM parts")
    done = installation.run("erase", "--card", "card-7", *ASKED, status=2)
    assert "--yes: is needed where nobody can be asked: nothing was erased" in done.stderr
    assert installation.rows("SELECT * FROM parts") == before
    told = installation.run("erase", "--card", "card-7", *ASKED, "--yes").stdout
    assert "body erased" in told
    assert "balance stays" in told
    assert "Backups" in told
    installation.assert_audits()


@pytest.mark.parametrize(("typed", "status", "erasures"), [("card-7", 0, 1), ("yes", 2, 0)], ids=["its id", "else"])
def test_in_a_terminal_the_cards_id_has_to_be_typed(
    installation: Installation, typed: str, status: int, erasures: int
) -> None:
    installation.json("load-money", "card-7", "5.00", "EUR")
    with in_terminal(installation, "erase", "--card", "card-7", *ASKED) as terminal:
        terminal.answer("type the card's id (card-7): ", typed)
        assert terminal.status() == status
    assert installation.rows("SELECT count(*) FROM keys WHERE kind = 'erasure'") == [(erasures,)]
    installation.assert_audits()


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("--card", "card-77", *ASKED, "--yes"), 1, "Nothing is told of a card card-77"),
        (("--card", "no card", *ASKED, "--yes"), 2, "card_id: must be 1 to 64"),
        (("--card", "card-1", "--asked-by", "", "--why", "x", "--yes"), 2, "asked_by: must be 1 to 200"),
        (("--card", "card-1", "--asked-by", "x", "--why", "a\nb", "--yes"), 2, "why: must be 1 to 200"),
        (("--card", "card-1", "--asked-by", "owner of card-1", "--why", "x", "--yes"), 2, "must not name the card"),
    ],
    ids=["no such card", "what is no card's id", "nobody asked", "a reason of two lines", "the card in the reason"],
)
def test_it_is_refused(installation: Installation, arguments: tuple[str, ...], status: int, why: str) -> None:
    assert why in installation.refused(status, "erase", *arguments)
    installation.assert_audits()


def test_a_server_goes_on_and_a_settlement_with_erased_postings_is_not_reconciled(installation: Installation) -> None:
    spend(installation)
    theirs = installation.folder / "theirs.csv"
    header = "type,transaction_id,posting_id,settlement_amount,settlement_currency,interchange_amount"
    theirs.write_text(f"{header}\npresentment,tx-7,,3.00,EUR,\n")
    installation.run("reconcile", "--scheme", "acme", theirs)
    with installation.serve() as server:
        installation.json("erase", "--card", "card-7", *ASKED, "--yes")
        for name, card_id, status in (("tx-8", "card-1", 201), ("tx-7", "card-7", 404)):
            asked = authorisation(name, "1.00", card_id)
            assert send(server.url, installation.scheme, "/authorisation", f"again-{name}", asked).status == status
    refused = installation.refused(1, "reconcile", "--scheme", "acme", theirs)
    assert "were erased on request" in refused
    before = installation.json("settle", "--scheme", "acme", "--out", installation.folder / "settlements")
    assert before["is_first"] is False
    installation.assert_audits()
