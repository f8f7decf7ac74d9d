"""What the documents say is what the code does: settings, codes, commands, routes, metrics, dependencies, floors."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

from signed_ledger import __version__, errors
from signed_ledger.api.operations import OPERATIONS
from signed_ledger.cli.command_line import make_parser
from signed_ledger.config import describe_settings
from signed_ledger.killpoints import STEPS
from signed_ledger.records import RESPONSE_CODES
from signed_ledger.rules.posting import BeyondReach
from signed_ledger.telemetry import Metrics
from tests.test_house import FLOORS, PACKAGE, unit_of

ROOT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def rows_of(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_operations_lists_every_setting_with_its_default() -> None:
    table = read("docs/operations.md").partition("<!-- settings:begin -->")[2].partition("<!-- settings:end -->")[0]
    expected = [["setting", "default", "what it sets"]]
    expected += [[f"`{name}`", f"`{default}`", about] for name, default, about in describe_settings()]
    assert rows_of(table) == expected


def test_api_lists_every_problem_code_with_its_status_and_whether_a_retry_helps() -> None:
    told = {
        (code, int(row[0]), row[2] == "yes")
        for row in rows_of(read("docs/API.md"))
        if len(row) == 4 and row[2] in ("yes", "no")
        for code in re.findall(r"`(\w+)`", row[1])
    }
    leaves = [leaf for leaf in errors.Refusal.__subclasses__() if leaf is not errors.KeyChangeRefused]
    assert told == {(leaf.code, leaf.status, leaf.retryable) for leaf in leaves}


def test_api_tells_the_response_code_of_every_reason_and_problem() -> None:
    rows = [row for row in rows_of(read("docs/API.md")) if len(row) == 3 and re.fullmatch(r"`\d\d`", row[0])]
    told = {(name, row[0].strip("`")) for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    leaves = [leaf for leaf in errors.Refusal.__subclasses__() if leaf is not errors.KeyChangeRefused]
    codes = {(leaf.code, leaf.response_code) for leaf in leaves} | set(RESPONSE_CODES.items())
    assert told == codes | {(BeyondReach.code, BeyondReach.response_code)}


def test_api_names_every_route() -> None:
    text = read("docs/API.md")
    named = set(re.findall(r"`(?:(?:GET|POST) )?(/[\w/{}.]*)", text))
    served = {operation.path for operation in OPERATIONS if not operation.path.endswith(".css")}
    assert served <= named


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> set[str]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not actions:
        return {before.strip()}
    parts = [(key, part) for action in actions for key, part in action.choices.items()]
    return {name for key, part in parts for name in commands_of(part, f"{before} {key}")}


def test_api_names_every_command() -> None:
    named = [row[0].strip("`") for row in rows_of(read("docs/API.md"))]
    commands = commands_of(make_parser())
    for command in commands:
        assert any(name.startswith(command) for name in named), f"docs/API.md does not tell of {command}"


def test_reliability_lists_every_step_of_writing_in_its_order() -> None:
    rows = [row for row in rows_of(read("docs/RELIABILITY.md")) if len(row) == 4 and row[0].isdigit()]
    assert [(int(row[0]), row[1].strip("`")) for row in rows] == [*enumerate(STEPS, 1)]


def test_operations_names_every_metric() -> None:
    told = set(re.findall(r"`(signed_ledger_\w+?)(?:_total)?`", read("docs/operations.md")))
    assert told == {metric.name for metric in Metrics().registry.collect()}


def test_dependencies_has_each_package_and_its_range() -> None:
    pinned = re.findall(r'^    "([A-Za-z0-9-]+)([^;"]*)', read("setup.py").partition("setup(")[0], re.MULTILINE)
    told = {row[0]: row[1].split(", not")[0] for row in rows_of(read("docs/DEPENDENCIES.md"))}
    for name, versions in pinned:
        assert told.get(name) == versions, f"docs/DEPENDENCIES.md: {name} {versions}"


def test_architecture_has_each_module_on_its_floor() -> None:
    told: dict[str, int] = {}
    for row in rows_of(read("docs/architecture.md")):
        if len(row) == 3 and row[2].isdigit():
            told |= dict.fromkeys((name.rstrip("/") for name in re.findall(r"`([\w/]+)`", row[0])), int(row[2]))
    assert told == FLOORS
    units = {unit_of(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert units == set(FLOORS)


def test_changelog_tells_of_this_version() -> None:
    assert re.search(rf"^## \[?{re.escape(__version__)}\b", read("CHANGELOG.md"), re.MULTILINE)


def test_readme_names_targets_files_and_commands_that_exist() -> None:
    text = read("README.md")
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:`|^ {4})make ([a-z]+)", text, re.MULTILINE)
    assert len(named) > 3
    assert set(named) <= targets
    for link in re.findall(r"\]\(([^):]+)\)", text):
        assert (ROOT / link).exists(), link
    commands = commands_of(make_parser())
    for command in re.findall(r"signed-ledger ([a-z-]+(?: [a-z]+)?)", text):
        assert command in commands or command.split()[0] in commands, command


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.py")), ids=lambda script: str(script.name))
def test_every_script_that_is_run_tells_what_it_is_for(script: Path) -> None:
    if "__main__" not in script.read_text():
        return
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


def test_every_attack_names_a_test_that_is_there() -> None:
    files = {f"tests/{path.name}": path.read_text() for path in (ROOT / "tests").glob("test_*.py")}
    tests = {name for text in files.values() for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
    rows = [row for row in rows_of(read("docs/THREATS.md")) if row[0] != "attack"]
    assert len(rows) > 50
    for attack, *rest in rows:
        named = re.findall(r"`((?:tests/)?test_\w+(?:\.py)?)`", " ".join(rest))
        assert named, attack
        assert set(named) <= tests | files.keys(), attack
