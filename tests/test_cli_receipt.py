"""`receipt` and `check-receipt`, as an operator and an outsider type them, and the script that needs no settings."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from scripts.send_webhook import sign_request
from signed_ledger.checkpoints import cosign, vkey_of
from signed_ledger.encoding import (
    COSIGNATURE,
    SignedCheckpoint,
    cosigner_name,
    decode_checkpoint,
    decode_proof,
    decode_receipt,
    encode_receipt,
    encode_signature,
)
from signed_ledger.trust import decode_trust, encode_trust
from tests.callers import authorisation, send
from tests.processes import PROJECT, Installation, installed
from tests.receipting import WITNESSES, cosigned
from tests.support import assert_audits
from tests.tampering import Copy


class Shop(NamedTuple):
    """An installation that was served and stopped, acme's decision there, and its receipt as HTTP gave it."""

    installation: Installation
    seq: int
    told: bytes

    def run(self, *arguments: object, status: int = 0) -> str:
        return self.installation.printed(*arguments, status=status)

    def written(self, name: str, data: bytes) -> Path:
        path = self.installation.folder / name
        path.write_bytes(data)
        return path


async def _get(url: str, installation: Installation) -> bytes:
    headers = sign_request(installation.scheme.key, "GET", url, None, None)
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    installation = installed(tmp_path_factory.mktemp("shop"))
    with installation.serve() as server:
        told = send(server.url, installation.scheme, "/authorisation", "wh-1", authorisation("t-1"))
        assert told.status == 201
        receipt = asyncio.run(_get(server.url + told.document["receipt"], installation))
    assert_audits(installation.database)
    return Shop(installation, told.document["seq"], receipt)


def check(shop: Shop, path: Path, *more: object, status: int = 0) -> str:
    return shop.run("check-receipt", path, "--trust", shop.installation.trust_file, *more, status=status)


def test_what_http_gave_a_scheme_is_checked_in_sentences(shop: Shop) -> None:
    said = check(shop, shop.written("http.json", shop.told))
    assert f"3 Entry {shop.seq}, a transaction of" in said
    assert f"PROVEN: entry {shop.seq} of issuer.example/ledger. What this receipt does not prove:" in said
    assert "- What the parts that are not shown say: state." in said


def test_the_file_alone_gives_the_same_receipt_as_the_server(shop: Shop) -> None:
    path = shop.installation.folder / "own.json"
    assert shop.run("receipt", shop.seq, "--parts", "body,evidence", "--out", path) == ""
    own, told = decode_receipt(path.read_bytes()), decode_receipt(shop.told)
    assert own._replace(proof=b"") == told._replace(proof=b"")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "PROVEN" in check(shop, path)


@pytest.mark.parametrize(
    ("parts", "shown"), [("all", ["body", "evidence", "state"]), ("none", []), ("state,body", ["body", "state"])]
)
def test_only_the_parts_that_were_asked_for_are_shown(shop: Shop, parts: str, shown: list[str]) -> None:
    printed = shop.run("receipt", shop.seq, "--parts", parts)
    assert list(json.loads(printed)["parts"]) == shown
    assert "PROVEN" in check(shop, shop.written("printed.json", printed.encode()))


def test_all_parts_are_shown_unless_told_otherwise(shop: Shop) -> None:
    assert list(json.loads(shop.run("receipt", shop.seq))["parts"]) == ["body", "evidence", "state"]


def test_programs_read_what_was_found(shop: Shop) -> None:
    found = json.loads(check(shop, shop.written("http.json", shop.told), "--json"))
    assert (found["ok"], found["seq"], found["origin"], found["fault"]) == (
        True,
        shop.seq,
        "issuer.example/ledger",
        None,
    )
    assert {fact["step"] for fact in found["proven"]} == {1, 2, 3, 4, 5, 6, 8}
    assert all(isinstance(sentence, str) for sentence in found["not_proven"])


def test_a_receipt_that_was_changed_is_refused(shop: Shop) -> None:
    changed = shop.told.replace(b"0.01", b"9.01", 1)
    assert changed != shop.told
    path = shop.written("changed.json", changed)
    said = check(shop, path, status=1)
    assert "4 WRONG: body: does not have the digest that its entry names" in said
    assert said.endswith("NOT PROVEN: with that fault the receipt proves nothing.\n")
    found = json.loads(check(shop, path, "--json", status=1))
    assert (found["ok"], found["fault"]["step"]) == (False, 4)


def test_what_is_no_receipt_is_refused_too(shop: Shop) -> None:
    for data in (b"", b"{}", shop.told[:-1], shop.told + b"\n\n", b"x" * 2**20):
        path = shop.written("broken.json", data)
        assert check(shop, path, status=1).startswith("NOT PROVEN: this is no receipt: ")
        assert json.loads(check(shop, path, "--json", status=1))["fault"]["step"] == 0


def test_a_policy_says_which_witnesses_count(shop: Shop) -> None:
    witness, *_ = WITNESSES
    policy = f"witness w {vkey_of(witness, WITNESSES[witness].public_key, COSIGNATURE)}\nquorum w\n".encode()
    policy_file = shop.written("policy.txt", policy)
    bare = shop.written("http.json", shop.told)
    assert "7 WRONG: policy: is not met: 0 of 1 witnesses cosigned" in check(
        shop, bare, "--policy", policy_file, status=1
    )
    seen = shop.written("cosigned.json", encode_receipt(cosigned(decode_receipt(shop.told), [witness])))
    said = check(shop, seen, "--policy", policy_file)
    assert "7 The policy's quorum is met: 1 of 1 witnesses cosigned, w (" in said
    assert "others saw" not in said


def test_what_can_not_be_read_could_not_be_asked(shop: Shop) -> None:
    receipt, nothing = shop.written("http.json", shop.told), shop.installation.folder / "nothing"
    wrong = shop.written("wrong.txt", b"quorum\n")
    for arguments, name in (
        ((nothing, "--trust", shop.installation.trust_file), "nothing"),
        ((receipt, "--trust", nothing), "nothing"),
        ((receipt, "--trust", wrong), "wrong.txt"),
        ((receipt, "--trust", shop.installation.trust_file, "--policy", wrong), "wrong.txt"),
    ):
        told = shop.installation.refused(2, "check-receipt", *arguments)
        assert told.startswith("could not be checked: ")
        assert name in told


def test_another_ledger_s_trust_file_proves_nothing(shop: Shop) -> None:
    trust = decode_trust(shop.installation.trust_file.read_bytes())
    other = trust.__class__("other.example/ledger", trust.root_keys, trust.threshold)
    path = shop.written("other.json", encode_trust(other))
    receipt = shop.written("http.json", shop.told)
    assert "1 WRONG: origin" in shop.run("check-receipt", receipt, "--trust", path, status=1)


def test_what_can_not_be_made_is_told_in_a_sentence(shop: Shop) -> None:
    ours = shop.installation
    taken = shop.written("taken.json", b"")
    assert "the ledger has no entry 999" in ours.refused(1, "receipt", 999)
    assert "'head' is none of all, none, body, state, evidence" in ours.refused(
        2, "receipt", shop.seq, "--parts", "head"
    )
    assert "is there already" in ours.refused(2, "receipt", shop.seq, "--out", taken)


def test_before_a_checkpoint_there_is_no_receipt(tmp_path: Path) -> None:
    assert "none that was published covers entry 0 yet" in installed(tmp_path).refused(2, "receipt", 0)


def test_a_checkpoint_that_the_quorum_cosigned_goes_before_a_newer_one(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    witness, *_ = WITNESSES
    policy = tmp_path / "policy.txt"
    policy.write_text(f"witness w {vkey_of(witness, WITNESSES[witness].public_key, COSIGNATURE)}\nquorum w\n")
    first = published_with_cosignature(installation)
    installation.printed("load-money", "card-1", "1.00", "EUR")
    newer = decode_checkpoint(installation.json("checkpoint")["note"].encode()).checkpoint.size
    assert size_of(installation.printed("receipt", 1)) == newer
    assert size_of(installation.printed("receipt", 1, WITNESS_POLICY=policy)) == first.checkpoint.size
    last = installation.printed("receipt", newer - 1, WITNESS_POLICY=policy)
    assert size_of(last) == newer
    installation.assert_audits()


def published_with_cosignature(installation: Installation) -> SignedCheckpoint:
    """The newest checkpoint, cosigned by the first of the witnesses."""
    witness, *_ = WITNESSES
    told = decode_checkpoint(installation.json("checkpoint")["note"].encode())
    line = cosign(told, witness, WITNESSES[witness], 1_795_428_000)
    with closing(sqlite3.connect(installation.database)) as connection, connection:
        row = (told.checkpoint.size - 1, cosigner_name(line), encode_signature(line))
        connection.execute("INSERT INTO cosignatures (seq, key, line) VALUES (?, ?, ?)", row)
    return told


def test_a_checkpoint_by_a_revoked_key_is_in_no_receipt(tmp_path: Path) -> None:
    """Though a witness that does not know the new key yet has cosigned no other."""
    installation = installed(tmp_path)
    witness, *_ = WITNESSES
    policy = tmp_path / "policy.txt"
    policy.write_text(f"witness w {vkey_of(witness, WITNESSES[witness].public_key, COSIGNATURE)}\nquorum w\n")
    size = published_with_cosignature(installation).checkpoint.size
    (stolen,) = [key for key in installation.json("keys", "list") if key["role"] == "checkpoint" and key["current"]]
    installation.json("keys", "revoke", stolen["kid"], "--at-size", size - 1)
    newer = decode_checkpoint(installation.json("checkpoint")["note"].encode()).checkpoint.size
    assert newer > size
    assert size_of(installation.printed("receipt", 1, WITNESS_POLICY=policy)) == newer
    installation.assert_audits()


def test_after_a_change_of_root_keys_each_trust_file_proves_what_its_root_keys_lead_to(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    old = tmp_path / "old-trust.json"
    old.write_bytes(installation.trust_file.read_bytes())
    new = installation.trust_file
    installation.json("keys", "root", "--new-keys", "3", "--threshold", "2")
    installation.json("checkpoint")
    before = tmp_path / "before.json"
    installation.printed("receipt", 2, "--out", before)
    told = installation.printed("check-receipt", before, "--trust", new, status=1)
    assert "of when its keys were new, or an earlier one" in told
    installation.json("keys", "rotate", "entry")
    seq = installation.json("keys", "rotate", "checkpoint")["seq"]
    installation.json("load-money", "card-1", "1.00", "EUR")
    installation.json("checkpoint")
    after = tmp_path / "after.json"
    installation.printed("receipt", seq + 1, "--out", after)
    assert "2 of 3 root keys approved the entry key" in installation.printed("check-receipt", after, "--trust", new)
    for receipt in (before, after):
        assert "PROVEN" in installation.printed("check-receipt", receipt, "--trust", old)
    installation.assert_audits()


def size_of(receipt: str) -> int:
    """Of how many entries the checkpoint in it is."""
    return decode_checkpoint(decode_proof(decode_receipt(receipt.rstrip().encode()).proof).checkpoint).checkpoint.size


def test_a_ledger_that_was_edited_gives_none(shop: Shop, tmp_path: Path) -> None:
    copy = Copy(shop.installation.database, tmp_path / "ledger.db")
    with copy.edited() as connection:
        connection.execute("UPDATE entries SET note = CAST(replace(note, '2026', '2027') AS BLOB) WHERE seq = 4")
    told = shop.installation.refused(1, "receipt", shop.seq, DATABASE=copy.path)
    assert "does not verify" in told


def test_the_script_does_the_same_without_settings(shop: Shop) -> None:
    receipt, trust = shop.written("http.json", shop.told), shop.installation.trust_file
    assert run_script(receipt, "--trust", trust) == (0, check(shop, receipt))
    assert run_script(receipt, "--trust", receipt) == (2, "")
    assert run_script(shop.written("changed.json", shop.told.replace(b"0.01", b"9.01")), "--trust", trust)[0] == 1


def run_script(*arguments: object) -> tuple[int, str]:
    """Exit status and output."""
    command = [sys.executable, PROJECT / "scripts" / "check_receipt.py", *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env={})
    return done.returncode, done.stdout
