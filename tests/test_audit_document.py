"""docs/AUDIT.md is held to the commands: each is run as it stands there, and prints what the page shows."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from signed_ledger.audit.steps import TITLES
from signed_ledger.signing import kid_of
from signed_ledger.trust import read_trust
from tests.processes import PROJECT
from tests.test_documents import rows_of
from tests.visiting import Desk, visited

TEXT = (PROJECT / "docs" / "AUDIT.md").read_text()
COMMANDS = re.findall(r"^    (signed-ledger .*)$", TEXT, re.MULTILINE)
SAMPLES = re.findall(r"^```text\n\$ (signed-ledger [^\n]*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with visited(tmp_path_factory.mktemp("visit")) as visitor:
        yield visitor


def shape_of(told: str) -> str:
    """What is printed, without what differs from ledger to ledger: hashes, times, numbers, the width of columns."""
    text = re.sub(r"https?://[\w.:]+|127\.0\.0\.1:\d+|issuer\.example(?!/)", "HOST", told)
    text = re.sub(r"\b[0-9a-f]{16,64}\b", "HASH", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"-?[\d,]*\d(?:\.\d+)?", "N", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def test_what_the_page_shows_is_what_is_printed(desk: Desk) -> None:
    assert len(SAMPLES) == 3
    for command, shown in SAMPLES:
        told = desk.run(command)
        assert told.returncode == 0, told.stdout + told.stderr
        assert shape_of(told.stdout) == shape_of(shown)


def test_what_the_page_tells_to_type_works(desk: Desk) -> None:
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        told = desk.run(command)
        assert told.returncode == 0, (command, told.stdout, told.stderr)


def test_a_visit_with_nothing_new_says_that_no_witness_was_asked(desk: Desk) -> None:
    command = "signed-ledger verify --trust trust.json --last-seen again.json --policy policy.txt"
    first, again = desk.run(command), desk.run(command)
    assert first.returncode == again.returncode == 0
    assert "\nwitness  auditor\n" in first.stdout
    assert "\nwitness  not asked: there is no newer checkpoint\n" in again.stdout


def test_the_kids_to_compare_by_telephone_are_those_of_the_root_keys(desk: Desk) -> None:
    (script,) = re.findall(r"^python3 -c '\n(.*?)'$", TEXT, re.MULTILINE | re.DOTALL)
    told = subprocess.run([sys.executable, "-c", script], cwd=desk.folder, capture_output=True, text=True, check=True)
    trust = read_trust(desk.folder / "trust.json")
    assert told.stdout.split() == [kid_of(key) for key in trust.root_keys]


def test_the_page_explains_every_step() -> None:
    told = {int(row[0]): row[1] for row in rows_of(TEXT) if row[0].isdigit() and len(row) == 4}
    assert told == {int(step): title for step, title in TITLES.items()}
