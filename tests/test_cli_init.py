"""`signed-ledger init`: keys first, then the ledger; never over something that is there."""

import json
from pathlib import Path

import pytest

from signed_ledger.signing import kid_of, read_private_key
from signed_ledger.trust import read_trust
from tests.processes import ORIGIN, Installation, installed
from tests.support import assert_audits
from tests.terminal import in_terminal


@pytest.fixture
def empty(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def key_files(installation: Installation) -> list[Path]:
    return sorted(installation.keys.rglob("*.pem"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_init_makes_the_ledger_its_keys_and_a_trust_file_that_it_verifies_against(empty: Installation) -> None:
    told = empty.run("init", "--origin", ORIGIN).stdout
    trust = read_trust(empty.trust_file)
    assert trust.origin == ORIGIN
    for role in ("root", "entry", "checkpoint"):
        (path,) = (empty.keys / role).iterdir()
        assert path.stem in told
    root = read_private_key(next((empty.keys / "root").iterdir()), lambda: None)
    assert trust.root_keys == (root.public_key,)
    assert f"{kid_of(root.public_key)}.pem" in told
    assert "offline" in told
    assert_audits(empty.database, trust)


def test_init_makes_as_many_root_keys_as_asked_for_of_which_the_threshold_must_approve(empty: Installation) -> None:
    made = empty.json("init", "--root-keys", 3, "--threshold", 2)
    assert (made["threshold"], len({key["kid"] for key in made["root_keys"]})) == (2, 3)
    trust = read_trust(empty.trust_file)
    assert (len(trust.root_keys), trust.threshold) == (3, 2)
    Path(made["root_keys"][0]["file"]).unlink()
    empty.run("keys", "rotate", "entry")
    Path(made["root_keys"][1]["file"]).unlink()
    assert "holds 1 of the 2 root keys" in empty.refused(2, "keys", "rotate", "entry")
    assert_audits(empty.database, trust)


@pytest.mark.parametrize(
    "arguments",
    [("--root-keys", 0), ("--root-keys", 17), ("--threshold", 0), ("--root-keys", 2, "--threshold", 3)],
    ids=["none", "too many", "nobody approves", "more than there are"],
)
def test_root_keys_that_can_not_be_are_refused(empty: Installation, arguments: tuple[object, ...]) -> None:
    assert str(arguments[-2]) in empty.refused(2, "init", *arguments)
    assert not empty.keys.exists()


def test_private_things_are_closed_to_others(empty: Installation) -> None:
    empty.run("init")
    assert {mode(path) for path in key_files(empty)} == {0o600}
    assert {mode(path) for path in [empty.keys, *empty.keys.glob("*/")] if path.is_dir()} == {0o700}
    assert mode(empty.database) == 0o600
    assert mode(empty.trust_file) & 0o700 == 0o600


def test_init_in_json_names_each_kid_and_file(empty: Installation) -> None:
    made = empty.json("init")
    assert made["origin"] == "localhost/ledger"
    assert made["trust_file"] == str(empty.trust_file)
    assert [key["file"] for key in made["keys"].values()] == [
        str(empty.keys / role / f"{key['kid']}.pem") for role, key in made["keys"].items()
    ]
    empty.assert_audits()


def test_init_refuses_where_a_ledger_is_and_touches_nothing(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    before = {path: path.read_bytes() for path in [installation.database, *key_files(installation)]}
    assert f"{installation.database}: is there already" in installation.refused(2, "init")
    assert {path: path.read_bytes() for path in [installation.database, *key_files(installation)]} == before
    installation.assert_audits()


def test_init_refuses_where_the_keys_of_another_ledger_are(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    installation.settings["DATABASE"] = str(tmp_path / "other.db")
    files = key_files(installation)
    assert str(installation.trust_file) in installation.refused(2, "init")
    assert key_files(installation) == files
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        pytest.param(["--origin", "Not An Origin"], {}, "origin", id="an impossible origin"),
        pytest.param([], {"DATABASE": "{keys}/../acme.pem/ledger.db"}, "acme.pem", id="a ledger where none can be"),
    ],
)
def test_a_failed_init_leaves_nothing_and_can_be_run_again(
    empty: Installation, arguments: list[str], settings: dict[str, str], named: str
) -> None:
    wrong = {name: value.format(keys=empty.keys) for name, value in settings.items()}
    assert named in empty.refused(2, "init", *arguments, **wrong)
    assert key_files(empty) == []
    assert not empty.trust_file.exists()
    empty.run("init")
    empty.assert_audits()


def test_an_init_that_was_killed_after_making_keys_can_be_run_again(empty: Installation) -> None:
    empty.run("init")
    empty.database.unlink()
    empty.trust_file.unlink()
    empty.run("init")
    empty.assert_audits()
    assert len(key_files(empty)) == 6


# --- passphrases ---------------------------------------------------------------------------------------------------


def passphrase_file(installation: Installation, text: str = "correct horse\n", file_mode: int = 0o600) -> Path:
    path = installation.folder / f"passphrase-{len(list(installation.folder.iterdir()))}"
    path.write_text(text)
    path.chmod(file_mode)
    return path


def test_keys_are_encrypted_with_a_passphrase_from_a_file(empty: Installation) -> None:
    file = passphrase_file(empty)
    empty.run("init", "--passphrase-file", file)
    assert all(b"ENCRYPTED" in path.read_bytes() for path in key_files(empty))
    load = ("load-money", "card-1", "10", "EUR")
    assert "--passphrase-file" in empty.refused(2, *load)
    assert "does not open" in empty.refused(2, *load, "--passphrase-file", passphrase_file(empty, "wrong"))
    assert "0640" in empty.refused(2, *load, "--passphrase-file", passphrase_file(empty, file_mode=0o640))
    assert "first line" in empty.refused(2, *load, "--passphrase-file", passphrase_file(empty, "\n"))
    assert "can not be read" in empty.refused(2, *load, "--passphrase-file", empty.folder / "nowhere")
    empty.run(*load, "--passphrase-file", file)
    empty.run(*load, KEY_PASSPHRASE_FILE=file)
    empty.assert_audits()


def test_a_passphrase_is_asked_for_in_a_terminal_only(empty: Installation) -> None:
    assert "--passphrase-file" in empty.refused(2, "init", "--passphrase")
    assert key_files(empty) == []


def test_a_new_passphrase_is_asked_for_twice_and_then_opens_the_keys(empty: Installation) -> None:
    with in_terminal(empty, "init", "--passphrase") as terminal:
        terminal.answer("New passphrase:", "correct horse")
        terminal.answer("again:", "battery staple")
        assert "not the same" in terminal.rest()
        assert terminal.status() == 2
    assert key_files(empty) == []
    with in_terminal(empty, "init", "--passphrase") as terminal:
        terminal.answer("New passphrase:", "correct horse")
        terminal.answer("again:", "correct horse")
        assert terminal.status() == 0
    with in_terminal(empty, "load-money", "card-1", "10.00", "EUR", "--json") as terminal:
        terminal.answer("entry key:", "correct horse")
        assert json.loads(terminal.rest())["posted"] == "10.00"
        assert terminal.status() == 0
    empty.assert_audits()
