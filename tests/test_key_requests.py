"""Requests to root keys elsewhere: what happens to them on the way, and to the ledger meanwhile."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.cli.key_requests import read_request, write_request
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.wiring import entry_signers, opened_ledger
from signed_ledger.encoding import decode_note
from signed_ledger.keyring import approve
from signed_ledger.records import KeyChange, RootChange
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import read_trust
from tests.callers import authorisation, send
from tests.processes import ORIGIN, Installation, Party, installed


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    return tmp_path / "request.json"


def size(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


def entry_kid(installation: Installation) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    return str(key["kid"])


Told = dict[str, Any]
ALTERED: dict[str, Callable[[Told], Any]] = {
    "a list": lambda told: [told],
    "a number": lambda told: 7,
    "changes that are numbers": lambda told: {**told, "changes": [1]},
    "changes that are none": lambda told: {**told, "changes": None},
    "no changes": lambda told: {**told, "changes": [], "about": []},
    "keys that are numbers": lambda told: {**told, "root_keys": [1]},
    "a threshold of none": lambda told: {**told, "threshold": 0},
    "a threshold that is a list": lambda told: {**told, "threshold": [1]},
    "a threshold and a half": lambda told: {**told, "threshold": 1.5},
    "another ledger": lambda told: {**told, "origin": "other.example/ledger"},
    "a member more": lambda told: {**told, "more": 1},
    "a member less": lambda told: {name: told[name] for name in told if name != "about"},
    "a kind that is none": lambda told: {**told, "changes": [{**told["changes"][0], "kind": "terms"}]},
    "a version that is a text": lambda told: {**told, "changes": [{**told["changes"][0], "version": "4"}]},
}


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.parametrize("command", [("approve", "--yes"), ("apply",)], ids=["approve", "apply"])
def test_a_request_that_was_altered_is_refused_in_one_sentence(
    installation: Installation, request_file: Path, how: str, command: tuple[str, ...]
) -> None:
    installation.json("keys", "retire", installation.scheme.kid, "--request", request_file)
    installation.json("keys", "approve", request_file, "--yes")
    request_file.write_text(json.dumps(ALTERED[how](json.loads(request_file.read_text()))))
    before = size(installation)
    name, *more = command
    assert "request.json" in installation.refused(2, "keys", name, request_file, *more)
    assert size(installation) == before
    installation.assert_audits()


def test_a_stranger_s_approval_counts_for_nothing_and_a_line_twice_is_refused(
    installation: Installation, request_file: Path
) -> None:
    installation.json("keys", "retire", installation.scheme.kid, "--request", request_file)
    stranger = Party(installation.folder, "stranger")
    assert "no root key" in installation.refused(
        2, "keys", "approve", request_file, "--key", stranger.private_file, "--yes"
    )
    request = read_request(request_file)
    (change,) = request.changes
    signed = approve(change, ORIGIN, [(f"{ORIGIN}/root", SoftwareSigner(bytes(32)))])
    told = json.loads(request_file.read_text())
    told["changes"][0]["approvals"] = signed
    request_file.write_text(json.dumps(told))
    assert "not one that counts" in installation.refused(2, "keys", "apply", request_file)
    told["changes"][0]["approvals"] = ""
    request_file.write_text(json.dumps(told))
    for _ in range(2):  # by the same key again nothing is added
        installation.json("keys", "approve", request_file, "--yes")
    approvals = json.loads(request_file.read_text())["changes"][0]["approvals"]
    (line,) = approvals.partition("\n\n")[2].splitlines()
    assert len(decode_note(approvals.encode(), "approvals").signatures) == 1
    told["changes"][0]["approvals"] = f"{approvals}{line}\n"
    request_file.write_text(json.dumps(told))
    installation.refused(2, "keys", "apply", request_file)
    installation.assert_audits()


def test_changes_that_belong_together_are_recorded_together_or_not_at_all(
    installation: Installation, request_file: Path
) -> None:
    """A revocation without its replacement would stop the service."""
    stolen = entry_kid(installation)
    installation.json("keys", "revoke", stolen, "--at-size", "4", "--request", request_file)
    installation.json("keys", "approve", request_file, "--yes")
    told = json.loads(request_file.read_text())
    note, lines = told["changes"][1]["approvals"].split("\n\n")
    by_root = [line for line in lines.splitlines() if "/root " in line]
    told["changes"][1]["approvals"] = note + "\n\n" + "\n".join(by_root) + "\n"
    request_file.write_text(json.dumps(told))
    before = size(installation)
    assert "did not approve" in installation.refused(1, "keys", "apply", request_file)
    assert size(installation) == before
    assert entry_kid(installation) == stolen
    installation.assert_audits()


def test_a_key_that_was_meanwhile_registered_for_somebody_else_is_not_called_recorded(
    installation: Installation, request_file: Path
) -> None:
    new = Party(installation.folder, "new")
    installation.json("keys", "add", "scheme", "zeta", new.public_file, "--request", request_file)
    installation.json("keys", "approve", request_file, "--yes")
    installation.json("keys", "add", "operator", "bob", new.public_file)
    assert "ask again" in installation.refused(1, "keys", "apply", request_file)
    installation.assert_audits()


def test_a_request_of_before_new_root_keys_is_of_no_use_after_them(
    installation: Installation, request_file: Path
) -> None:
    installation.json("keys", "retire", installation.scheme.kid, "--request", request_file)
    installation.json("keys", "approve", request_file, "--yes")
    old = installation.keys / "old.json"
    old.write_bytes(installation.trust_file.read_bytes())
    installation.json("keys", "root", "--new-keys", "2", "--threshold", "1")
    new = installation.trust_file
    assert "names another ledger or other root keys" in installation.refused(
        2, "keys", "approve", request_file, "--trust", new, "--yes"
    )
    assert "ask again" in installation.refused(1, "keys", "apply", request_file)
    request = read_request(request_file)
    (change,) = request.changes
    write_request(request_file, request._replace(changes=(type(change)(**_next(change)),)))
    installation.json("keys", "approve", request_file, "--trust", old, "--yes")
    assert "not one that counts" in installation.refused(1, "keys", "apply", request_file)
    installation.assert_audits()


def _next(change: Any) -> dict[str, Any]:
    members = {name: getattr(change, name) for name in type(change).__slots__}
    return members | {"version": change.version + 1, "approvals": ""}


def test_root_keys_from_version_to_version_and_the_trust_file_of_each(installation: Installation) -> None:
    trusts = [installation.trust_file.read_bytes()]
    for threshold in (1, 2):
        installation.json("keys", "root", "--new-keys", "2", "--threshold", threshold)
        installation.json("load-money", "card-1", "1.00", "EUR")
        trusts.append(installation.trust_file.read_bytes())
    assert len(set(trusts)) == 3
    for number, trust in enumerate(trusts):
        path = installation.folder / f"trust-{number}.json"
        path.write_bytes(trust)
        report = installation.json("verify", "--trust", path)
        assert (report["faults"], report["trusted_since"] > 0) == ([], number > 0)
    assert read_trust(installation.trust_file).threshold == 2


def test_a_revocation_whose_replacement_was_taken_out_on_the_way_is_not_recorded(
    installation: Installation, request_file: Path
) -> None:
    before = size(installation)
    _revocation_alone(installation, request_file)
    assert "nothing in it replaces" in installation.refused(1, "keys", "apply", request_file)
    assert size(installation) == before
    installation.assert_audits()


def _revocation_alone(installation: Installation, request_file: Path) -> None:
    at = str(size(installation))
    installation.json("keys", "revoke", entry_kid(installation), "--at-size", at, "--request", request_file)
    told = json.loads(request_file.read_text())
    told |= {name: told[name][:1] for name in ("changes", "about")}
    request_file.write_text(json.dumps(told))
    installation.json("keys", "approve", request_file, "--yes")


def test_where_a_revocation_stands_alone_nothing_is_decided_until_the_key_is_replaced(
    installation: Installation, request_file: Path
) -> None:
    """Another tool than ours may record that; status says what to do, and that does it."""
    stolen = entry_kid(installation)
    _revocation_alone(installation, request_file)
    (change,) = read_request(request_file).changes
    with installation.serve() as server:
        asyncio.run(_record(installation, change))
        answer = send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1"))
        assert (answer.status, answer.document["code"]) == (503, "overloaded")
    with installation.serve() as server:  # and after a start no other
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 503
        assert "not yet replaced" in installation.refused(2, "load-money", "card-1", "1.00", "EUR")
        assert "revoked" in installation.refused(1, "keys", "add", "operator", "bob", installation.scheme.public_file)
        (said,) = [said for said in installation.json("keys", "status")["left"] if "not replaced yet" in said]
        installation.run(*said.rpartition(": ")[2].split())
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 201
    assert entry_kid(installation) != stolen
    installation.assert_audits()


async def _record(installation: Installation, change: KeyChange | RootChange) -> None:
    signers = entry_signers(installation.in_process, Passphrases(None))
    async with opened_ledger(installation.in_process, signers) as ledger:
        await ledger.submit(change)
