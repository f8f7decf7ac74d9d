"""`audit URL` over a log whose keys were lost, stolen or replaced: it says what `verify` says of what both can see."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import audit_file
from signed_ledger.audit.last_seen import read_last_seen
from signed_ledger.audit.steps import Step
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import Trust, encode_trust, read_trust
from tests.processes import ORIGIN, Installation, installed
from tests.test_audit_url import Capsys, Server, audit, published_pages

BOTH_SEE = (Step.TRUST, Step.REGISTRY, Step.ENTRIES, Step.ISSUER, Step.REVOCATIONS)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = installed(tmp_path)
    for _ in range(3):
        made.json("load-money", "card-1", "1.00", "EUR")
    made.json("checkpoint")
    return made


def ask(server: Server, capsys: Capsys, *options: object) -> tuple[int, dict[str, Any]]:
    return asyncio.run(audit(server, capsys, *options))


def entry_kid(installation: Installation) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    return str(key["kid"])


def other_trust(installation: Installation) -> Path:
    """The ledger's name, and root keys that are somebody else's."""
    path = installation.folder / "other-trust.json"
    stranger = SoftwareSigner(bytes([7]) * 32)
    path.write_bytes(encode_trust(Trust(ORIGIN, (stranger.public_key,), 1)))
    return path


def agreed(installation: Installation, trust: Path, capsys: Capsys, *options: object) -> dict[str, Any]:
    """What both say, which must be the same."""
    status, report = ask(Server(published_pages(installation.database)), capsys, "--trust", trust, "--whole", *options)
    whole = audit_file(installation.database, trust=read_trust(trust), jobs=1)
    faults = {(fault["seq"], fault["step"]) for fault in report["faults"]}
    assert faults == {(seq, int(step)) for seq, step, _ in whole.faults if step in BOTH_SEE}
    assert status == (1 if faults else 0)
    assert report["keys"] == whole.to_json()["keys"]
    assert report["trusted_since"] == whole.trusted_since
    return report


def test_the_root_keys_of_the_trust_file_must_be_the_ledgers(installation: Installation, capsys: Capsys) -> None:
    report = agreed(installation, other_trust(installation), capsys)
    assert {fault["step"] for fault in report["faults"]} == {Step.TRUST}
    installation.assert_audits()


def test_also_of_a_log_that_was_seen_before(installation: Installation, tmp_path: Path, capsys: Capsys) -> None:
    server, seen = Server(published_pages(installation.database)), tmp_path / "seen"
    assert (ask(server, capsys, "--last-seen", seen))[0] == 0
    status, report = ask(server, capsys, "--last-seen", seen, "--trust", other_trust(installation))
    assert (status, {fault["step"] for fault in report["faults"]}) == (1, {Step.TRUST})
    installation.assert_audits()


def test_root_keys_that_were_replaced_are_the_ledgers_too(installation: Installation, capsys: Capsys) -> None:
    before = installation.folder / "before.json"
    before.write_bytes(installation.trust_file.read_bytes())
    installation.json("keys", "root", "--new-keys", "3", "--threshold", "2")
    installation.json("keys", "rotate", "entry")
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    assert (agreed(installation, before, capsys))["trusted_since"] == 0
    assert (agreed(installation, installation.trust_file, capsys))["trusted_since"] > 0
    installation.assert_audits()


def test_what_a_revoked_entry_key_signed_is_not_trusted_until_it_is_signed_again(
    installation: Installation, capsys: Capsys
) -> None:
    stolen = entry_kid(installation)
    installation.json("keys", "revoke", stolen, "--at-size", 7)
    installation.json("checkpoint")
    report = agreed(installation, installation.trust_file, capsys)
    assert {fault["step"] for fault in report["faults"]} == {Step.REVOCATIONS}
    assert report["revoked"][0]["ranges"][0][0] == 7
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("checkpoint")
    report = agreed(installation, installation.trust_file, capsys)
    assert (report["faults"], report["revoked"][0]["not_trusted"]) == ([], 0)
    installation.assert_audits()


def test_a_revocation_since_it_was_seen_is_judged_until_all_is_signed_again(
    installation: Installation, tmp_path: Path, capsys: Capsys
) -> None:
    seen = tmp_path / "seen"
    assert (ask(Server(published_pages(installation.database)), capsys, "--last-seen", seen))[0] == 0
    stolen = entry_kid(installation)
    installation.json("keys", "revoke", stolen, "--at-size", 7)
    installation.json("checkpoint")
    status, report = ask(Server(published_pages(installation.database)), capsys, "--last-seen", seen)
    assert (status, {fault["step"] for fault in report["faults"]}) == (1, {Step.REVOCATIONS})
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("checkpoint")
    assert (ask(Server(published_pages(installation.database)), capsys, "--last-seen", seen))[0] == 0
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    status, report = ask(Server(published_pages(installation.database)), capsys, "--last-seen", seen)
    assert (status, report["from_seq"] > 0, report["revoked"][0]["not_trusted"]) == (0, True, 0)
    installation.assert_audits()


def test_what_the_revoked_key_of_a_scheme_signed_is_not_published(installation: Installation, capsys: Capsys) -> None:
    installation.json("keys", "revoke", installation.scheme.kid, "--at-size", 3)
    installation.json("checkpoint")
    report = agreed(installation, installation.trust_file, capsys)
    assert any("revoked" in sentence for sentence in report["not_known"])
    installation.assert_audits()


def test_a_server_can_not_hide_a_key_entry_that_was_seen(
    installation: Installation, tmp_path: Path, capsys: Capsys
) -> None:
    """Without the body of the retirement the key would still be shown as one that is valid."""
    installation.json("keys", "retire", installation.operator.kid)
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    server, seen = Server(published_pages(installation.database)), tmp_path / "seen"
    assert (ask(server, capsys, "--last-seen", seen))[0] == 0
    before = read_last_seen(seen)
    entries = json.loads(server.pages["/keys"])["entries"]
    server.pages["/keys"] = json.dumps({"entries": entries[:-1]}).encode()
    status, report = ask(server, capsys, "--last-seen", seen)
    assert (status, {fault["step"] for fault in report["faults"]} & {Step.ENTRIES}) == (1, {Step.ENTRIES})
    assert read_last_seen(seen) == before
    installation.assert_audits()


@pytest.mark.parametrize("seq", ["Infinity", "NaN", "1e400", '"' + "9" * 5_000 + '"', "-1", "[]", "null"])
def test_numbers_that_are_none_are_no_key_registry(installation: Installation, capsys: Capsys, seq: str) -> None:
    server = Server(published_pages(installation.database))
    server.pages["/keys"] = b'{"entries":[{"seq":%b,"body":"x"}]}' % seq.encode()
    assert (ask(server, capsys))[0] in (1, 2)
    installation.assert_audits()
