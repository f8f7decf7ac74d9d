"""`signed-ledger keys` and scripts/rotate_keys.py on a ledger that nobody serves."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.signing import encode_public_pem
from tests.processes import ORIGIN, PROJECT, Installation, Party, installed, run


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def current(installation: Installation, role: str) -> dict[str, Any]:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == role and key["current"]]
    return dict(key)


def entry_file(installation: Installation) -> Path:
    return installation.keys / "entry" / f"{current(installation, 'entry')['kid']}.pem"


def test_keys_are_listed_with_role_owner_and_the_seqs_they_are_valid_from_and_to(installation: Installation) -> None:
    listed = installation.json("keys", "list")
    assert [(key["role"], key["whose"], key["valid_from"], key["valid_to"], key["current"]) for key in listed] == [
        ("entry", ORIGIN, 0, None, True),
        ("checkpoint", ORIGIN, 0, None, True),
        ("scheme", "acme", 2, None, True),
        ("operator", "olga", 3, None, True),
    ]
    table = installation.run("keys", "list").stdout
    assert all(key["kid"] in table for key in listed)
    assert "VALID FROM" in table


@pytest.mark.parametrize("role", ["scheme", "operator", "auditor"])
def test_a_party_key_is_added_and_its_kid_told(installation: Installation, role: str) -> None:
    party = Party(installation.folder, "new")
    assert party.kid in installation.run("keys", "add", role, "newcomer", party.public_file).stdout
    added = installation.json("keys", "list")[-1]
    assert (added["kid"], added["role"], added["whose"]) == (party.kid, role, "newcomer")
    installation.assert_audits()


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(1, ("scheme", "acme", "acme.pub.pem"), "registered already", id="a key that is registered"),
        pytest.param(1, ("auditor", "acme", "acme.pub.pem"), "registered already", id="in another role"),
        pytest.param(2, ("root", "x", "acme.pub.pem"), "ROLE", id="a role that is not a party's"),
        pytest.param(2, ("scheme", "no name", "new.pub.pem"), "whose", id="not a name"),
        pytest.param(2, ("scheme", "x", "acme.pem"), "acme.pem", id="a private key"),
        pytest.param(2, ("scheme", "x", "nowhere.pem"), "nowhere.pem", id="no such file"),
        pytest.param(2, ("scheme", "x", "low.pub.pem"), "low order", id="a key that anyone could sign with"),
    ],
)
def test_a_key_that_must_not_be_added(
    installation: Installation, status: int, arguments: tuple[str, str, str], named: str
) -> None:
    Party(installation.folder, "new")
    (installation.folder / "low.pub.pem").write_bytes(encode_public_pem(b"\1" + bytes(31)))
    role, name, file = arguments
    before = installation.json("keys", "list")
    assert named in installation.refused(status, "keys", "add", role, name, installation.folder / file)
    assert installation.json("keys", "list") == before
    installation.assert_audits()


def test_without_the_root_key_no_key_changes_and_no_file_is_made(installation: Installation) -> None:
    shutil.move(installation.keys / "root", installation.folder / "offline")
    party = Party(installation.folder, "new")
    for change in (("add", "scheme", "new", party.public_file), ("rotate", "entry"), ("retire", party.kid)):
        assert f"{installation.keys / 'root'}: holds 0 of the 1" in installation.refused(2, "keys", *change)
    assert len([*(installation.keys / "entry").iterdir()]) == 1
    installation.assert_audits()


@pytest.mark.parametrize("role", ["entry", "checkpoint"])
def test_a_rotation_makes_a_key_that_is_in_use_from_the_next_entry(installation: Installation, role: str) -> None:
    rotated = installation.json("keys", "rotate", role)
    assert (current(installation, role)["kid"], rotated["old"]) == (rotated["new"], Path(rotated["old_file"]).stem)
    assert Path(rotated["new_file"]).stat().st_mode & 0o777 == 0o600
    Path(rotated["old_file"]).unlink()
    told = installation.run("keys", "rotate", role).stdout
    assert rotated["new_file"] in told
    installation.run("load-money", "card-1", "1.00", "EUR")
    installation.assert_audits()


def test_only_entry_and_checkpoint_keys_are_rotated_here(installation: Installation) -> None:
    assert "ROLE" in installation.refused(2, "keys", "rotate", "root")


def test_a_rotation_that_was_killed_before_its_entry_is_taken_up_by_the_next(installation: Installation) -> None:
    left = Party(installation.keys / "entry", "left")
    left.public_file.unlink()
    path = left.private_file.rename(left.private_file.with_name(f"{left.kid}.pem"))
    told = installation.run("keys", "rotate", "entry").stdout
    assert "broken off" in told
    assert str(path) in told
    assert entry_file(installation) == path
    installation.run("load-money", "card-1", "1.00", "EUR")
    installation.assert_audits()


def test_a_key_file_under_another_name_is_not_used(installation: Installation) -> None:
    stranger = Party(installation.keys / "entry", "stranger")
    stranger.public_file.unlink()
    assert "stranger.pem" in installation.refused(2, "keys", "rotate", "entry")
    installation.assert_audits()


@pytest.mark.parametrize("file_mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_may_read_is_refused(installation: Installation, file_mode: int) -> None:
    path = entry_file(installation)
    path.chmod(file_mode)
    assert f"chmod 600 {path}" in installation.refused(2, "load-money", "card-1", "1.00", "EUR")
    assert f"chmod 600 {path}" in installation.refused(2, "serve")


def test_without_the_entry_key_nothing_is_written(installation: Installation) -> None:
    path = entry_file(installation)
    path.rename(installation.folder / "away.pem")
    assert str(path) in installation.refused(2, "load-money", "card-1", "1.00", "EUR")
    assert str(path) in installation.refused(2, "serve")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_new_key_file_belongs_to_whom_the_old_one_belongs_to(installation: Installation) -> None:
    os.chown(entry_file(installation), 12345, 54321)
    installation.run("keys", "rotate", "entry")
    owner = entry_file(installation).stat()
    assert (owner.st_uid, owner.st_gid) == (12345, 54321)


def test_the_new_key_is_encrypted_where_the_old_one_is(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse")
    installation.run("init", "--passphrase-file", passphrase)
    installation.run("keys", "rotate", "entry", KEY_PASSPHRASE_FILE=passphrase)
    assert b"ENCRYPTED" in entry_file(installation).read_bytes()
    installation.run("load-money", "card-1", "1.00", "EUR", "--passphrase-file", passphrase)
    installation.assert_audits()


def test_a_passphrase_that_opens_the_root_does_not_encrypt_a_plain_entry_key(installation: Installation) -> None:
    passphrase = installation.folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse")
    installation.run("keys", "rotate", "entry", "--passphrase-file", passphrase)
    assert b"ENCRYPTED" not in entry_file(installation).read_bytes()


def test_a_retired_key_is_found_by_the_start_of_its_kid(installation: Installation) -> None:
    kid = installation.scheme.kid
    assert kid in installation.run("keys", "retire", kid[:8]).stdout
    (key,) = [key for key in installation.json("keys", "list") if key["kid"] == kid]
    assert key["valid_to"] is not None
    assert not key["current"]
    assert "not valid any more" in installation.refused(1, "keys", "retire", kid)
    assert "rotate it" in installation.refused(1, "keys", "retire", current(installation, "entry")["kid"])
    assert "no key" in installation.refused(1, "keys", "retire", "0" * 64)
    assert "8 hex digits" in installation.refused(2, "keys", "retire", kid[:7])
    installation.assert_audits()


# --- scripts/rotate_keys.py ----------------------------------------------------------------------------------------


def rotate_keys(installation: Installation, *arguments: object, status: int = 0) -> str:
    places = ("--ledger", installation.database, "--keys", installation.keys)
    command: list[object] = [sys.executable, PROJECT / "scripts" / "rotate_keys.py", *arguments, *places]
    ended = run(command, {**os.environ, "PYTHONPATH": ""}, status)
    return ended.stdout or ended.stderr


@pytest.mark.parametrize("role", ["entry", "checkpoint"])
def test_the_script_rotates_the_services_own_keys(installation: Installation, role: str) -> None:
    old = current(installation, role)["kid"]
    assert old in rotate_keys(installation, role)
    assert current(installation, role)["kid"] != old
    installation.assert_audits()


def test_the_script_replaces_a_schemes_key_and_retires_its_others(installation: Installation) -> None:
    second, third = Party(installation.folder, "second"), Party(installation.folder, "third")
    rotate_keys(installation, "scheme", "acme", second.public_file, "--keep-old")
    assert valid_of_acme(installation) == {installation.scheme.kid, second.kid}
    rotate_keys(installation, "scheme", "acme", third.public_file)
    assert valid_of_acme(installation) == {third.kid}
    installation.assert_audits()


def valid_of_acme(installation: Installation) -> set[str]:
    return {key["kid"] for key in installation.json("keys", "list") if key["whose"] == "acme" and key["current"]}


def test_the_script_says_what_is_wrong(installation: Installation) -> None:
    assert "nowhere.pem" in rotate_keys(installation, "scheme", "acme", "nowhere.pem", status=2)
    assert "WHAT" in rotate_keys(installation, status=2)
    olgas = installation.operator.public_file
    assert "registered already" in rotate_keys(installation, "scheme", "acme", olgas, status=1)
