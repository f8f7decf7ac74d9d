"""`audit URL` of a ledger whose entry key was stolen, or whose root keys were replaced: the log alone must tell."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import Checkpoint
from signed_ledger.signing import read_private_key
from tests.processes import ORIGIN, Installation, installed
from tests.support import rows
from tests.test_audit_url import Capsys, Server, audit, published_pages
from tests.test_key_attacks import entry_kid, forgery, signer_of

SIZE = 8


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = installed(tmp_path)
    for _ in range(3):
        made.json("load-money", "card-1", "1.00", "EUR")
    return made


def server_of(installation: Installation, path: Path | None = None) -> Server:
    """What is served of the whole ledger in the file at `path`, under a checkpoint by the installation's key."""
    path = path or installation.database
    tree = Tree()
    for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq"):
        tree.append(leaf_hash(note))
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "checkpoint" and key["current"]]
    signer = read_private_key(installation.keys / "checkpoint" / f"{key['kid']}.pem", lambda: None)
    note = sign_checkpoint(Checkpoint(ORIGIN, tree.size, tree.root()), signer)
    return Server(published_pages(path, tree.size, note))


def audited(server: Server, capsys: Capsys, *options: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    return asyncio.run(audit(server, capsys, *options))


def faults(report: dict[str, Any]) -> set[tuple[int, int]]:
    return {(fault["seq"], fault["step"]) for fault in report["faults"]}


@pytest.mark.parametrize("first", [6, 9], ids=["before the size of the revocation", "after it"])
def test_a_forged_log_with_the_root_s_revocation_in_it_is_told(
    installation: Installation, tmp_path: Path, capsys: Capsys, first: int
) -> None:
    thief = signer_of(installation, stolen := entry_kid(installation))
    revoked = installation.json("keys", "revoke", stolen, "--at-size", SIZE)
    own = forgery(installation, first, thief, end=revoked["seq"] + 1)
    status, report = audited(server_of(installation, own.path), capsys, "--trust", installation.trust_file)
    revocation = {(revoked["seq"] - 1, 14)} if first < SIZE else set()
    assert (status, faults(report)) == (1, {(SIZE, 14)} | revocation)
    assert report["revoked"][0]["not_trusted"] == revoked["seq"] - 1 - SIZE


@pytest.mark.parametrize("way", [(), ("--last-seen",)], ids=["the whole", "on from what was seen"])
def test_what_is_signed_again_is_in_order(
    installation: Installation, tmp_path: Path, capsys: Capsys, way: tuple[str, ...]
) -> None:
    options = [*way, *([tmp_path / "seen"] if way else [])]
    assert audited(server_of(installation), capsys, *options)[0] == 0
    stolen = entry_kid(installation)
    installation.json("keys", "revoke", stolen, "--at-size", SIZE)
    assert audited(server_of(installation), capsys, *options)[0] == 1
    installation.json("keys", "reattest", stolen, "--yes")
    status, report = audited(server_of(installation), capsys, *options)
    assert (status, report["faults"], report["revoked"][0]["not_trusted"]) == (0, [], 0)
    assert (report["from_seq"] > 0) is bool(way)  # the root that the entries since name is the one that was seen
    installation.assert_audits()
