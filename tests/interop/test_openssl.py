"""docs/receipt-by-hand.md, done word by word: OpenSSL, a shell and Python's standard library, and nothing of ours."""

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from signed_ledger.encoding import encode_receipt
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import encode_trust
from tests.interop.conftest import Log
from tests.processes import PROJECT
from tests.receipting import after_a_root_change, make_log

PAGE = PROJECT / "docs" / "receipt-by-hand.md"


def blocks() -> list[str]:
    """The indented blocks of the page: the two files, and the end of what they print."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", PAGE.read_text(), re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found if block.strip()]


def by_hand(folder: Path, receipt: bytes, trust: bytes) -> tuple[int, str]:
    """Exit status and output of doing what the page says."""
    split, check, _ = blocks()
    files = {"receipt.json": receipt, "trust.json": trust, "split.py": split.encode(), "check.sh": check.encode()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # no package is in reach
    (folder / "bin" / "python3").chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = ["sh", "check.sh"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_page_proves_a_receipt(log: Log, tmp_path: Path) -> None:
    status, said = by_hand(tmp_path, log.receipt_file.read_bytes(), log.trust.read_bytes())
    assert status == 0, said
    assert said.endswith(blocks()[2])
    assert f"ok: it is entry {log.receipt.seq} of {log.receipt.origin}" in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"0.01", b"9.01", id="a part"),
        pytest.param(b"signed-ledger/v1 transaction", b"signed-ledger/v1 transactiom", id="the entry"),
        pytest.param(b'"threshold":1', b'"threshold":0', id="a key entry"),
        pytest.param(b"index ", b"index 1", id="the place"),
    ],
)
def test_the_page_refuses_a_receipt_that_was_changed(log: Log, tmp_path: Path, old: bytes, new: bytes) -> None:
    receipt = log.receipt_file.read_bytes()
    assert old in receipt
    status, said = by_hand(tmp_path, receipt.replace(old, new, 1), log.trust.read_bytes())
    assert status != 0
    assert "WRONG" in said


def _other_signature(note: str) -> str:
    """The note with one character of its last line changed, well inside of the signature."""
    return f"{note[:-20]}{'A' if note[-20] != 'A' else 'B'}{note[-19:]}"


def test_the_page_refuses_signatures_that_do_not_verify(log: Log, tmp_path: Path) -> None:
    receipt, genesis = log.receipt, log.receipt.keys[0]
    for changed in (
        receipt._replace(proof=_other_signature(receipt.proof.decode()).encode()),
        receipt._replace(keys=(replace(genesis, approvals=_other_signature(genesis.approvals)),)),
    ):
        status, said = by_hand(tmp_path, encode_receipt(changed), log.trust.read_bytes())
        assert status != 0
        assert "WRONG" not in said
        assert "Signature Verification Failure" in said


def test_the_page_follows_a_change_of_the_root_keys(tmp_path: Path) -> None:
    log = asyncio.run(make_log(tmp_path / "ledger"))
    receipt, trust = asyncio.run(log.receipt()), encode_trust(log.trust)
    old, new = log.world.root, SoftwareSigner(bytes(31) + b"7")
    assert by_hand(tmp_path, encode_receipt(after_a_root_change(log, receipt, old, new)), trust)[0] == 0
    for approving in (old, new):
        status, said = by_hand(tmp_path, encode_receipt(after_a_root_change(log, receipt, approving)), trust)
        assert (status, "WRONG: 0 root keys have a line there" in said) == (1, True)
