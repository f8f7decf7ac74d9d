"""docs/KEYS.md, word by word: every command of each section is run, on a ledger of its own."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from signed_ledger.signing import kid_of
from signed_ledger.trust import read_trust
from tests.processes import PROJECT, Party, installed

TEXT = (PROJECT / "docs" / "KEYS.md").read_text()
SECTIONS = {
    title: re.findall(r"^    signed-ledger (.*)$", text, re.MULTILINE)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
ROLES = {"The checkpoint key is stolen": "checkpoint", "A Scheme's key is stolen": "scheme"}


@pytest.mark.parametrize("title", [title for title, commands in SECTIONS.items() if commands])
def test_what_the_page_tells_to_type_works(tmp_path: Path, title: str) -> None:
    installation = installed(tmp_path)
    Party(tmp_path, "new").public_file.rename(tmp_path / "acme-new.pem")
    rotated = installation.json("keys", "rotate", "entry")
    installation.json("load-money", "card-1", "1.00", "EUR")
    role = ROLES.get(title, "entry")
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == role and key["current"]]
    (head,) = installation.rows("SELECT max(seq) - 1 FROM entries")[0]
    for command in SECTIONS[title]:
        words = [
            {"KID": key["kid"], "NEXT_KID": rotated["next"], "N": str(head), "acme-new.pem": str(tmp_path / word)}.get(
                word, str(tmp_path / word) if word.endswith(".json") or word.startswith("keys/") else word
            )
            for word in shlex.split(command)
        ]
        installation.run(*words)
    installation.json("load-money", "card-1", "1.00", "EUR")
    left = installation.json("keys", "status")["left"]
    assert all("take it offline" in said for said in left), left
    installation.assert_audits()


def test_new_root_keys_are_made_elsewhere_as_the_page_says(tmp_path: Path) -> None:
    text = " ".join(TEXT.split())
    (made,) = re.findall(r"`(openssl genpkey [^`]*)`", text)
    installation = installed(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        subprocess.run(shlex.split(made), cwd=tmp_path / name, check=True, capture_output=True)
        (tmp_path / name / "root.pem").chmod(0o600)
        public = ["openssl", "pkey", "-in", "root.pem", "-pubout", "-out", "public.pem"]
        subprocess.run(public, cwd=tmp_path / name, check=True, capture_output=True)
    new = [option for name in ("one", "two") for option in ("--root-public-key", tmp_path / name / "public.pem")]
    request = tmp_path / "root.json"
    installation.json("keys", "root", *new, "--threshold", "2", "--request", request)
    installation.json("keys", "approve", request, "--yes")
    for name in ("one", "two"):
        assert "missing" in installation.printed(
            "keys", "approve", request, "--key", tmp_path / name / "root.pem", "--yes"
        )
    installation.json("keys", "apply", request)
    assert len(read_trust(installation.trust_file).root_keys) == 2
    assert len([*(installation.keys / "root").iterdir()]) == 1
    installation.assert_audits()


def test_each_section_is_there() -> None:
    assert len(SECTIONS) == 9
    assert sum(map(len, SECTIONS.values())) >= 15


@pytest.mark.parametrize("command", ["revoke", "root", "retire", "add"])
def test_a_request_is_approved_elsewhere_by_one_root_key_after_the_other(tmp_path: Path, command: str) -> None:
    installation = installed(tmp_path)
    new = Party(tmp_path, "new")
    installation.json("keys", "root", "--new-keys", "3", "--threshold", "2")
    offline = tmp_path / "offline"
    (installation.keys / "root").rename(offline)
    trust = installation.trust_file
    kids = {
        "revoke": (installation.scheme.kid, "--at-size", "4"),
        "root": ("--root-public-key", str(new.public_file), "--threshold", "1"),
        "retire": (installation.scheme.kid,),
        "add": ("scheme", "zeta", str(new.public_file)),
    }
    file = tmp_path / "request.json"
    assert "--request" in installation.refused(2, "keys", command, *kids[command])
    installation.json("keys", command, *kids[command], "--request", file)
    known = {f"{kid}" for kid in _root_kids(trust)}
    first, second, _ = sorted(path for path in offline.glob("*.pem") if path.stem in known)
    assert "terminal" in installation.run("keys", "approve", file, "--key", first, status=1).stderr
    installation.json("keys", "approve", file, "--key", first, "--trust", trust, "--yes")
    assert "1 of 2" in installation.refused(1, "keys", "apply", file)
    told = installation.json("keys", "approve", file, "--key", second, "--yes")
    if command == "root":
        told = installation.json("keys", "approve", file, "--key", new.private_file, "--yes")
    assert told["complete"]
    assert len(installation.json("keys", "apply", file)["seqs"]) == 1
    assert installation.json("keys", "apply", file)["seqs"] == []
    installation.assert_audits()


def _root_kids(trust: Path) -> list[str]:
    return [kid_of(key) for key in read_trust(trust).root_keys]


def test_a_request_that_came_too_late_is_refused(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    file = tmp_path / "request.json"
    installation.json("keys", "rotate", "entry", "--request", file)
    installation.json("keys", "approve", file, "--yes")
    installation.json("keys", "retire", installation.scheme.kid)
    assert "ask again" in installation.refused(1, "keys", "apply", file)
    installation.assert_audits()


@pytest.mark.parametrize(
    ("old", "new"),
    [('"threshold": 1', '"threshold": 2'), ('"role": "entry"', '"role": "checkpoint"'), ("Replace", "Retire")],
)
def test_a_request_that_was_changed_on_the_way_is_refused(tmp_path: Path, old: str, new: str) -> None:
    installation = installed(tmp_path)
    file = tmp_path / "request.json"
    installation.json("keys", "rotate", "entry", "--request", file)
    file.write_text(file.read_text().replace(old, new))
    assert "request.json" in installation.refused(2, "keys", "approve", file, "--yes")
    installation.assert_audits()
