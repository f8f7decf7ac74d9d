"""`card bind`, `card block`, `card unblock`, `card show` and `load-money --scheme`, as an operator types them."""

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from signed_ledger.records.names import NAME
from tests.callers import Answered, authorisation, presentment, send
from tests.processes import Installation, Party, Server, installed


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


@pytest.fixture
def visa(installation: Installation) -> Party:
    """A second Scheme beside acme."""
    party = Party(installation.folder, "visa")
    installation.json("keys", "add", "scheme", "visa", party.public_file)
    return party


def force_post(transaction_id: str, amount: str = "3.00", card_id: str = "card-1") -> bytes:
    """A presentment with no authorisation behind it."""
    billed = {"card_id": card_id, "billing_amount": amount, "billing_currency": "EUR", "force_post": True}
    return json.dumps({**json.loads(presentment(transaction_id, amount)), **billed}).encode()


def entries(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


# --- binding -------------------------------------------------------------------------------------------------------


def test_a_card_is_bound_for_ever_before_it_has_an_account(installation: Installation) -> None:
    told = installation.run("card", "bind", "card-2", "acme", "--why", "Ordered by Ms Müller").stdout
    bound = installation.json("card", "show", "card-2")
    assert told == f"Bound card-2 to acme, for ever, at seq {bound['seq']}.\n"
    assert bound == {"card_id": "card-2", "scheme": "acme", "blocked": False, "seq": bound["seq"]}
    (body,) = installation.rows("SELECT body FROM parts WHERE seq = ?", bound["seq"])[0]
    assert json.loads(body)["why"] == "Ordered by Ms Müller"
    installation.json("load-money", "card-2", "5.00", "EUR")
    assert installation.json("card", "show", "card-2") == bound
    installation.assert_audits()


def test_a_bound_card_is_not_there_for_another_scheme(installation: Installation, visa: Party) -> None:
    changed = installation.json("card", "bind", "card-1", "acme")
    assert changed == {
        "card_id": "card-1",
        "scheme": "acme",
        "blocked": False,
        "seq": changed["seq"],
        "op": "bind",
        "why": "",
    }
    with installation.serve() as server:
        foreign = send(server.url, visa, "/authorisation", "v-1", authorisation("t-1"))
        own = send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1"))
    assert (foreign.status, foreign.document["reason"]) == (404, "card_not_found")
    assert own.status == 201
    installation.assert_audits()


def test_the_first_scheme_whose_message_counts_owns_the_card(installation: Installation, visa: Party) -> None:
    assert "none yet" in installation.run("card", "show", "card-1").stdout
    with installation.serve() as server:
        declined = send(server.url, visa, "/authorisation", "v-1", authorisation("t-1", "99999999.00"))
        assert declined.document["reason"] == "insufficient_funds"
        assert installation.json("card", "show", "card-1")["scheme"] is None
        approved = send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1"))
    shown = installation.json("card", "show", "card-1")
    assert (shown["scheme"], shown["seq"]) == ("acme", approved.document["seq"])
    assert "belongs to acme" in installation.refused(1, "card", "bind", "card-1", "visa")
    installation.assert_audits()


# --- blocking ------------------------------------------------------------------------------------------------------


def test_a_block_declines_authorisations_and_lets_advices_post(installation: Installation) -> None:
    with installation.serve() as server:
        assert ask(server, installation, "/authorisation", "a-1", authorisation("t-1", "5.00")).status == 201
        assert installation.run("card", "block", "card-1", "--why", "lost").stdout.startswith("Blocked card-1 at seq")
        assert "blocked    yes" in installation.run("card", "show", "card-1").stdout
        refused = ask(server, installation, "/authorisation", "a-2", authorisation("t-2"))
        assert (refused.status, refused.document["reason"]) == (403, "card_blocked")
        assert ask(server, installation, "/presentment", "p-1", presentment("t-1", "5.00")).status == 200
        assert installation.run("card", "unblock", "card-1").stdout.startswith("Unblocked card-1 at seq")
        assert ask(server, installation, "/authorisation", "a-3", authorisation("t-3")).status == 201
    installation.assert_audits()


def ask(server: Server, installation: Installation, path: str, webhook_id: str, body: bytes) -> Answered:
    return send(server.url, installation.scheme, path, webhook_id, body)


def test_a_forced_posting_on_a_blocked_card_of_no_scheme_binds_it_to_none(
    installation: Installation, visa: Party
) -> None:
    installation.json("card", "block", "card-1")
    with installation.serve() as server:
        assert ask(server, installation, "/presentment", "p-1", force_post("f-1")).status == 200
        assert installation.json("card", "show", "card-1")["scheme"] is None
        installation.json("card", "unblock", "card-1")
        assert send(server.url, visa, "/presentment", "v-1", force_post("f-1")).status == 200
    shown = installation.json("card", "show", "card-1")
    assert (shown["scheme"], shown["blocked"]) == ("visa", False)
    installation.assert_audits()


def test_a_bound_card_stays_bound_when_it_is_blocked(installation: Installation) -> None:
    installation.json("card", "bind", "card-1", "acme")
    blocked = installation.json("card", "block", "card-1")
    shown = {"card_id": "card-1", "scheme": "acme", "blocked": True, "seq": blocked["seq"]}
    assert installation.json("card", "show", "card-1") == shown
    assert installation.json("card", "unblock", "card-1")["scheme"] == "acme"
    installation.assert_audits()


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(1, ("bind", "card-1", "amex"), "those that have: acme.", id="a Scheme nobody knows"),
        pytest.param(1, ("bind", "card-1", "olga"), "those that have: acme.", id="an operator's name"),
        pytest.param(2, ("bind", "card 1", "acme"), "card_id", id="not a card id"),
        pytest.param(2, ("bind", "card-1", "a/b"), "scheme", id="not a Scheme's name"),
        pytest.param(2, ("bind", "card-1"), "SCHEME", id="no Scheme"),
        pytest.param(1, ("block", "nobody"), "No card nobody", id="a block of a card never seen"),
        pytest.param(1, ("unblock", "nobody"), "No card nobody", id="an unblock of a card never seen"),
        pytest.param(1, ("unblock", "card-1"), "is not blocked.", id="an unblock of a card that is not blocked"),
        pytest.param(2, ("block", "card-1", "--why", "x" * 201), "why", id="more reason than is recorded"),
        pytest.param(2, ("block", "card-1", "--why", "lost\nfound"), "why", id="a reason of two lines"),
        pytest.param(2, ("block", "card-1", "--why", "\udcff"), "why", id="a reason that is not UTF-8"),
        pytest.param(1, ("show", "nobody"), "No card nobody", id="a card never seen"),
        pytest.param(2, ("show", "card 1"), "card_id", id="nothing that a card is called"),
    ],
)
def test_a_wrong_card_command_is_refused_in_a_sentence_and_changes_nothing(
    installation: Installation, status: int, arguments: tuple[str, ...], named: str
) -> None:
    before = entries(installation)
    assert named in installation.refused(status, "card", *arguments)
    assert entries(installation) == before
    installation.assert_audits()


def test_what_stands_so_already_is_refused(installation: Installation) -> None:
    installation.json("card", "block", "card-1")
    assert "Card card-1 is blocked already" in installation.refused(1, "card", "block", "card-1")
    installation.json("card", "bind", "card-1", "acme")
    assert "belongs to acme, for ever" in installation.refused(1, "card", "bind", "card-1", "acme")
    installation.assert_audits()


def test_a_scheme_without_a_valid_key_is_given_no_card(installation: Installation) -> None:
    installation.json("keys", "retire", installation.scheme.kid)
    assert "those that have: none." in installation.refused(1, "card", "bind", "card-1", "acme")
    installation.assert_audits()


HOSTILE = st.text(st.characters(exclude_categories=())).filter(lambda name: not NAME.fullmatch(name))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE)
@example(name="acme\n")
@example(name="'; DROP TABLE card_states; --")
def test_a_hostile_name_is_refused_in_a_sentence_and_changes_nothing(installation: Installation, name: str) -> None:
    before = entries(installation)
    for command in (("bind", "--", name, "acme"), ("bind", "--", "card-1", name), ("block", "--", name)):
        installation.refused(2, "card", *command)
    installation.refused(1, "load-money", f"--scheme={name}", "card-1", "1.00", "EUR")
    assert entries(installation) == before
    installation.assert_audits()


# --- what is shown is verified -------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["blocked = 0", "scheme = 'visa'"])
def test_a_card_that_was_edited_is_not_told(installation: Installation, change: str) -> None:
    installation.json("card", "bind", "card-1", "acme")
    installation.json("card", "block", "card-1")
    connection = sqlite3.connect(installation.database)
    connection.execute("DROP TRIGGER card_states_no_update")
    connection.execute(f"UPDATE card_states SET {change} WHERE seq = (SELECT max(seq) FROM card_states)")
    connection.commit()
    connection.close()
    assert "does not verify" in installation.refused(1, "card", "show", "card-1")
    assert "does not verify" in installation.refused(1, "card", "unblock", "card-1")
    assert json.loads(installation.run("verify", "--json", status=1).stdout)["faults"]
    installation.run("rebuild")
    assert installation.json("card", "show", "card-1")["blocked"] is True
    installation.assert_audits()


# --- loading and binding at once -----------------------------------------------------------------------------------


def test_a_load_binds_the_card_first(installation: Installation, visa: Party) -> None:
    told = installation.run("load-money", "card-2", "5.00", "EUR", "--scheme", "acme").stdout
    assert "card-2 belongs to acme." in told
    shown = installation.json("card", "show", "card-2")
    loaded = installation.json("load-money", "card-2", "5.00", "EUR", "--scheme", "acme")
    assert (loaded["scheme"], loaded["available"]) == ("acme", "10.00")
    assert installation.json("card", "show", "card-2") == shown, "a card is bound once"
    assert "belongs to acme" in installation.refused(1, "load-money", "card-2", "5.00", "EUR", "--scheme", "visa")
    assert "acme, visa" in installation.refused(1, "load-money", "card-2", "5.00", "EUR", "--scheme", "amex")
    assert installation.json("balance", "card-2")["accounts"][0]["posted"] == "10.00"
    installation.assert_audits()


def test_a_load_without_a_scheme_says_who_will_own_the_card(installation: Installation) -> None:
    told = installation.run("load-money", "card-2", "5.00", "EUR").stdout
    assert "card-2 belongs to no Scheme yet: the first whose message on it counts will own it" in told
    assert "signed-ledger card bind card-2 SCHEME" in told
    assert "scheme" not in installation.json("load-money", "card-2", "5.00", "EUR")
    assert installation.json("card", "show", "card-2")["scheme"] is None
    installation.json("card", "bind", "card-2", "acme")
    assert "no Scheme yet" not in installation.run("load-money", "card-2", "5.00", "EUR").stdout
    installation.assert_audits()


@pytest.mark.parametrize("command", ["bind", "block", "unblock", "show"])
def test_each_commands_help_has_an_example_and_the_exit_statuses(installation: Installation, command: str) -> None:
    told = installation.help("card", command)
    assert f"signed-ledger card {command} card-1" in told.partition("example:")[2]
    assert "Exit status: 0 done, 1 the answer is no, 2 it could not be asked." in told
