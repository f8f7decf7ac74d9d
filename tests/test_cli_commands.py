"""The command line as a whole: help, exit statuses, sentences instead of tracebacks; `verify` and `rebuild`."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from signed_ledger import __version__
from signed_ledger.cli.arguments import Parser
from signed_ledger.cli.command_line import MODULES, make_parser
from signed_ledger.config import describe_settings
from tests.processes import Installation, installed

COMMANDS = [
    ["init"],
    ["serve"],
    ["load-money"],
    ["balance"],
    ["transactions"],
    ["verify"],
    ["rebuild"],
    ["export"],
    ["keys"],
    ["keys", "list"],
    ["keys", "add"],
    ["keys", "rotate"],
    ["keys", "retire"],
    ["statement"],
]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def test_help_and_version_of_the_program(installation: Installation) -> None:
    told = installation.run("--help").stdout
    assert all(command[0] in told for command in COMMANDS)
    assert "signed-ledger init --origin" in told
    assert installation.run("--version").stdout == f"signed-ledger {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_commands_help_has_an_example_and_the_exit_statuses(
    installation: Installation, command: list[str]
) -> None:
    told = installation.help(*command)
    assert f"signed-ledger {command[0]}" in told.partition("example:")[2]
    assert "Exit status: 0 done, 1 the answer is no, 2 it could not be asked." in told


def test_each_command_is_of_the_module_that_is_named_for_it() -> None:
    """So that alone it is read as among all others."""
    assert list(commands_of(make_parser())) == [command for names in MODULES.values() for command in names]
    for command, among_all in commands_of(make_parser()).items():
        alone = commands_of(make_parser(command))
        assert alone[command].format_help() == among_all.format_help()
        assert set(alone) in map(set, MODULES.values())


def commands_of(parser: Parser) -> dict[str, Parser]:
    (commands,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return commands


def test_a_command_that_speaks_no_http_loads_none() -> None:
    silent = [names[0] for module, names in MODULES.items() if module not in ("serving", "witnessing")]
    script = "import sys; from signed_ledger.cli.command_line import make_parser\n" + "".join(
        f"make_parser({command!r}); assert 'aiohttp' not in sys.modules, {command!r}\n" for command in silent
    )
    subprocess.run([sys.executable, "-c", script + "make_parser(); assert 'aiohttp' in sys.modules"], check=True)


def test_serves_help_shows_each_setting_with_its_default_and_meaning(installation: Installation) -> None:
    told = " ".join(installation.help("serve").split())
    for variable, default, about in describe_settings():
        assert f"{variable} (default: {default}) {about}" in told


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param([], "COMMAND", id="no command"),
        pytest.param(["settle"], "settle", id="no such command"),
        pytest.param(["keys"], "COMMAND", id="no key command"),
        pytest.param(["keys", "revoke", "0" * 64], "--at-size", id="an option missing"),
        pytest.param(["verify", "--last", "file"], "--last", id="an option cut short"),
        pytest.param(["balance"], "CARD_ID", id="an argument missing"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_sentence(
    installation: Installation, arguments: list[str], named: str
) -> None:
    sentence = installation.refused(2, *arguments)
    assert named in sentence
    assert "--help" in sentence


@pytest.mark.parametrize("command", [*COMMANDS[2:4], *COMMANDS[5:8], COMMANDS[9]], ids=" ".join)
def test_a_ledger_that_is_not_there_is_named(tmp_path: Path, command: list[str]) -> None:
    needed = {"load-money": ["card-1", "1.00", "EUR"], "balance": ["card-1"], "export": ["--format", "csv"]}
    arguments = needed.get(command[0], [])
    ended = Installation(tmp_path).run(*command, *arguments, status=2)
    assert str(tmp_path / "ledger.db") in ended.stderr
    assert ended.stdout == ""


def test_a_wrong_setting_stops_any_command(installation: Installation) -> None:
    assert "SIGNED_LEDGER_PORT" in installation.refused(2, "balance", "card-1", PORT="eighty")
    assert "SIGNED_LEDGER_PROT" in installation.refused(2, "keys", "list", PROT="80")


def test_a_reader_that_goes_away_is_no_error(installation: Installation) -> None:
    command = [*map(str, installation.command("keys", "list"))]
    with subprocess.Popen(
        command, env=installation.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


# --- verify and rebuild --------------------------------------------------------------------------------------------


def test_verify_proves_a_ledger_against_the_trust_file_beside_its_keys(installation: Installation) -> None:
    told = installation.run("verify").stdout
    assert "VERIFIED" in told
    report = installation.json("verify", "--jobs", 2)
    assert (report["ok"], report["faults"]) == (True, [])
    with_trust = [step for step in report["steps"] if step["step"] == 1]
    installation.trust_file.rename(installation.folder / "trust.json")
    assert with_trust == installation.json("verify", "--trust", installation.folder / "trust.json")["steps"][:1]
    assert with_trust != installation.json("verify")["steps"][:1]


def test_verify_names_the_seq_and_the_reason_of_a_fault(installation: Installation) -> None:
    connection = sqlite3.connect(installation.database)
    connection.execute("DROP TRIGGER parts_no_update")
    connection.execute("UPDATE parts SET body = CAST(replace(body, 'card-1', 'card-2') AS BLOB) WHERE seq = 5")
    connection.commit()
    connection.close()
    report = json.loads(installation.run("verify", "--json", status=1).stdout)
    assert {fault["seq"] for fault in report["faults"] if fault["step"] == 5} == {5}
    assert "NOT VERIFIED" in installation.run("verify", "--all", status=1).stdout
    assert "entry 5" in installation.refused(1, "rebuild")


def test_verify_that_can_not_be_asked(installation: Installation) -> None:
    assert "--jobs" in installation.refused(2, "verify", "--jobs", "0")
    assert "nowhere.json" in installation.refused(2, "verify", "--trust", "nowhere.json")
    assert "nowhere.db" in installation.refused(2, "verify", DATABASE="nowhere.db")


def test_rebuild_makes_the_derived_tables_anew(installation: Installation) -> None:
    before = installation.rows("SELECT * FROM account_states")
    connection = sqlite3.connect(installation.database)
    connection.execute("DROP TRIGGER account_states_no_delete")
    connection.execute("DELETE FROM account_states")
    connection.commit()
    connection.close()
    assert "account_states" in installation.run("rebuild").stdout
    assert installation.json("rebuild")["rows"]["account_states"] == len(before)
    assert installation.rows("SELECT * FROM account_states") == before
    installation.assert_audits()
