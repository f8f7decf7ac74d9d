"""Key changes killed at each step, then run once more; and commands that are simply run twice."""

import json
import sys
from pathlib import Path

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.signing import kid_of
from signed_ledger.trust import read_trust
from tests.processes import Installation, installed, run


def of_role(installation: Installation, role: str) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == role and key["current"]]
    return str(key["kid"])


COMMANDS = {
    "rotate": ("rotate", "entry"),
    "revoke": ("revoke", "ENTRY", "--at-size", "5"),
    "root": ("root", "--new-keys", "2", "--threshold", "2"),
    "apply": ("apply", "REQUEST"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_key_change_that_is_killed_at_any_moment_is_run_again_and_everything_holds(tmp_path: Path, name: str) -> None:
    past = installed(tmp_path / "past")
    request = tmp_path / "request.json"
    if name == "apply":
        past.json("keys", "root", "--new-keys", "2", "--threshold", "2", "--request", request)
        past.json("keys", "approve", request, "--yes")
    names = {"ENTRY": of_role(past, "entry"), "REQUEST": str(request)}
    asked = [names.get(word, word) for word in COMMANDS[name]]
    command = [sys.executable, "-m", "tests.killing", past.folder, tmp_path / "copies", "keys", *asked]
    ended = run([*map(str, command)], past.environment())
    assert json.loads(ended.stdout)["events"] > 10
    copies = sorted((tmp_path / "copies").iterdir())
    for copy in copies:
        _assert_holds(Installation(copy), copy, name)


def _assert_holds(installation: Installation, copy: Path, name: str) -> None:
    told = json.loads((copy / "second.txt").read_text())
    trust = read_trust(installation.trust_file)
    report = audit_file(installation.database, jobs=1, trust=trust)
    by_revoked = name == "revoke"
    assert {int(fault.step) for fault in report.faults} == ({14} if by_revoked else set()), (copy.name, report.faults)
    left = installation.json("keys", "status")["left"]
    assert not [said for said in left if "broken off" in said], (copy.name, told, left)
    changes = installation.rows("SELECT count(*) FROM keys WHERE kind IN ('key', 'root') AND seq > 4")[0][0]
    # One that was killed after it had ended is another one the second time, where the command names no key.
    assert changes in {"rotate": (1, 2), "root": (1, 2), "apply": (1,)}.get(name, (2,)), (copy.name, told)
    if name in ("root", "apply"):
        assert {kid_of(key) for key in trust.root_keys} == {path.stem for path in _new_roots(installation)}
    if by_revoked:
        (kid,) = {key["kid"] for key in installation.json("keys", "list") if key["revoked_at"] is not None}
        installation.json("keys", "reattest", kid, "--yes")
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.assert_audits()


def _new_roots(installation: Installation) -> list[Path]:
    genesis = installation.json("keys", "list")
    assert genesis
    return sorted((installation.keys / "root").glob("*.pem"), key=lambda path: path.stat().st_mtime_ns)[-2:]


# --- run twice -----------------------------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def size(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


@pytest.mark.parametrize("whose", ["entry", "checkpoint", "scheme", "next"])
def test_a_revocation_that_is_there_is_not_recorded_twice(installation: Installation, whose: str) -> None:
    following = installation.json("keys", "rotate", "entry")["next"]
    kid = following if whose == "next" else of_role(installation, whose)
    at = size(installation)
    first = installation.json("keys", "revoke", kid[:12], "--at-size", at)
    assert first["seq"] is not None
    before = size(installation)
    again = installation.json("keys", "revoke", kid[:12], "--at-size", at)
    assert (again["recorded_before"], again["seq"], size(installation)) == (True, None, before)
    assert "revoked already" in installation.printed("keys", "revoke", kid[:12], "--at-size", at)
    installation.assert_audits()


def test_what_can_not_be_signed_again_is_not_told_to_be(installation: Installation) -> None:
    following = installation.json("keys", "rotate", "entry")["next"]
    for kid in (of_role(installation, "checkpoint"), following):
        assert "reattest" not in installation.printed("keys", "revoke", kid, "--at-size", size(installation))
    assert "reattest" in installation.printed("keys", "revoke", installation.scheme.kid, "--at-size", "5")
    installation.assert_audits()


def test_new_root_keys_are_not_replaced_again_while_the_trust_file_is_still_the_old_one(
    installation: Installation,
) -> None:
    old = installation.trust_file.read_bytes()
    first = installation.json("keys", "root", "--new-keys", "2", "--threshold", "2")
    installation.trust_file.write_bytes(old)  # killed before it was written
    (said,) = installation.json("keys", "status")["left"]
    assert str(installation.trust_file) in said
    again = installation.json("keys", "root", "--new-keys", "2", "--threshold", "2")
    assert (again["recorded_before"], again["seq"], again["root_keys"]) == (True, first["seq"], first["root_keys"])
    assert installation.json("keys", "status")["left"] == []
    third = installation.json("keys", "root", "--new-keys", "2", "--threshold", "2")
    assert not third["recorded_before"]
    assert not set(third["root_keys"]) & set(first["root_keys"])
    installation.assert_audits()


def test_a_trust_file_that_is_only_written_otherwise_is_not_behind(installation: Installation) -> None:
    trust = json.loads(installation.trust_file.read_text())
    installation.trust_file.write_text(json.dumps(trust))
    assert installation.json("keys", "status")["left"] == []
    installation.assert_audits()


def test_a_threshold_that_can_not_be_leaves_no_key_file(installation: Installation) -> None:
    before = [*(installation.keys / "root").iterdir()]
    assert "--threshold" in installation.refused(2, "keys", "root", "--new-keys", "2", "--threshold", "3")
    assert [*(installation.keys / "root").iterdir()] == before
