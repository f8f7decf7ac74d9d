"""Processes killed while they write, at each numbered step and at random: nothing acknowledged is lost or doubled.

`make soak` kills servers for an hour: tests/soak.py. tests/test_cli_checkpoint.py kills the command that publishes.
"""

from pathlib import Path

import pytest

from signed_ledger.killpoints import STEPS
from signed_ledger.tables import TABLES
from tests.callers import authorisation, send
from tests.processes import Installation, installed, wait_until
from tests.surviving import BY_OTHERS, UNDER_LOAD, Death, Survivor
from tests.test_serve_witnesses import policy_file
from tests.witnessing import OurWitness

KEY = ("keys", "rotate", "entry")
SETTLEMENT = ("settle", "--scheme", "acme", "--date", "1970-01-02", "--out", "OUT")
ERASURE = ("erase", "--card", "card-2", "--asked-by", "case 9", "--why", "asked", "--yes")

BY_COMMANDS = {"inserted keys": KEY, "inserted settlements": SETTLEMENT, "removed": ERASURE}
BY_WITNESSES, BY_THE_FIRST_PUBLISHER = "inserted cosignatures", "making lock"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "ours")


def entries(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


# --- servers, under load -------------------------------------------------------------------------------------------


async def test_servers_killed_at_each_step_lose_and_double_nothing(installation: Installation) -> None:
    survivor = Survivor(installation, seed=7)
    await survivor.add_cards(3)
    async with survivor.traffic:
        for number, step in enumerate(UNDER_LOAD):
            if step == "inserted card_states":
                await survivor.add_cards()
            await survivor.die(Death(step), workers=1 + number % 2)
        await survivor.end()
    survivor.assert_survived()
    assert set(survivor.deaths) == set(UNDER_LOAD)


async def test_servers_killed_at_random_lose_and_double_nothing(installation: Installation) -> None:
    survivor = Survivor(installation, seed=10)
    await survivor.add_cards(3)
    async with survivor.traffic:
        for number in range(10):
            workers, alone = 1 + number % 2, number % 4 == 1
            death = Death(seconds=survivor.draw.uniform(0.0, 0.5), starting=number in (4, 7), alone=alone)
            await survivor.die(death, workers)
        await survivor.end()
    survivor.assert_survived()
    assert survivor.deaths.total() == 10
    assert len(survivor.traffic.told) > 100
    assert survivor.traffic.replays > len(survivor.traffic.told)


def test_a_server_killed_as_it_keeps_a_cosignature_keeps_it_the_next_time(
    installation: Installation, tmp_path: Path
) -> None:
    witness = OurWitness(tmp_path)
    witness.follow("issuer.example/ledger", installation.json("checkpoint")["vkey"])
    with witness.process() as process:
        policy = policy_file(installation, [(witness.vkey, process.url)], 1)
        server = installation.start(killed_at=BY_WITNESSES, WITNESS_POLICY=policy)
        try:
            wait_until(lambda: server.process.poll() is not None)
        finally:
            server.kill()
        assert installation.rows("SELECT * FROM cosignatures") == []
        with installation.serve(WITNESS_POLICY=policy) as server:
            sent = send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1"))
            wait_until(lambda: installation.rows("SELECT * FROM cosignatures WHERE seq >= ?", sent.document["seq"]))
    installation.assert_audits()


# --- commands ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", BY_COMMANDS)
def test_a_command_killed_before_its_commit_has_done_nothing_and_after_it_all(
    installation: Installation, step: str
) -> None:
    if step == "removed":
        installation.json("load-money", "card-2", "5.00", "EUR")
    command = [str(installation.folder / word) if word == "OUT" else word for word in BY_COMMANDS[step]]
    before = entries(installation)
    installation.killed_at(step, *command)
    assert entries(installation) == before
    installation.assert_audits()
    installation.killed_at("committed", *command)
    assert entries(installation) > before
    if step == "inserted settlements":
        told = installation.json(*command)
        assert (told["seq"], told["is_first"]) == (before, False)
    installation.assert_audits()


# --- the steps -----------------------------------------------------------------------------------------------------


def test_each_step_is_one_at_which_something_is_killed_here() -> None:
    assert {f"inserted {table.name}" for table in TABLES} <= set(STEPS)
    assert {*BY_COMMANDS, BY_WITNESSES, BY_THE_FIRST_PUBLISHER} == set(BY_OTHERS)
    assert len(set(STEPS)) == len(STEPS)


def test_a_step_that_does_not_exist_is_told(installation: Installation) -> None:
    server = installation.start(killed_at="comitted")
    try:
        assert server.wait() == 1
    finally:
        server.kill()
    assert "there is no step 'comitted'" in server.log
