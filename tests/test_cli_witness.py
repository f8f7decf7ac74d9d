"""`signed-ledger witness`: an auditor's witness from its making to what it tells of a log that lied."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.checkpoints import read_vkey
from signed_ledger.encoding import COSIGNATURE
from signed_ledger.signing import SoftwareSigner, read_private_key
from signed_ledger.witness import State, Witness
from tests.processes import Installation, run
from tests.witnessing import NOW, SmallLog

LOG = SmallLog()


class Auditor:
    """A folder in which the commands are run."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder)
        self.database, self.key = folder / "witness.db", folder / "witness.pem"
        self.files = ("--database", self.database, "--key", self.key)

    def run(self, *arguments: object, status: int = 0) -> str:
        return self.installation.run("witness", *arguments, status=status).stdout

    def json(self, *arguments: object, status: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--database", self.database, "--json", status=status))

    def refused(self, *arguments: object) -> str:
        return self.installation.refused(2, "witness", *arguments)


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    return Auditor(tmp_path)


def test_a_witness_is_made_follows_a_log_and_tells_of_its_lies(auditor: Auditor) -> None:
    vkey = auditor.run("init", "--name", "auditor.example/w1", *auditor.files).strip()
    key = read_vkey(vkey)
    assert (key.name, key.algorithm) == ("auditor.example/w1", COSIGNATURE)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (auditor.database, auditor.key)] == [0o600, 0o600]
    auditor.run("add-log", "--vkey", LOG.vkey, "--database", auditor.database)
    auditor.run("add-log", "--vkey", SmallLog().vkey, "--origin", LOG.origin, "--database", auditor.database)
    (fresh,) = auditor.json("status")["logs"]
    assert (fresh["origin"], fresh["size"], fresh["cosigned_at"], len(fresh["keys"])) == (LOG.origin, 0, None, 2)
    cosign_and_lie(auditor)
    status = auditor.json("status", status=1)
    (log,) = status["logs"]
    assert (log["size"], log["split_views"], log["not_consistent"]) == (8, 1, 1)
    assert status["signed_at"] == log["cosigned_at"] == "2023-11-14T22:13:20Z"
    lie, suspicion = auditor.json("evidence", status=1)
    assert (lie["kind"], suspicion["kind"]) == ("split_view", "not_consistent")
    assert lie["note"].encode() == LOG.fork().note(8)
    assert lie["ours"].encode().startswith(LOG.note(8))
    shown = auditor.run("status", "--database", auditor.database, status=1)
    assert re.search(r"^split views +1$", shown, re.MULTILINE)
    assert LOG.fork().note(8).decode() in auditor.run("evidence", "--database", auditor.database, status=1)


def test_a_stolen_key_of_a_log_is_dropped_and_what_was_cosigned_stays(auditor: Auditor) -> None:
    """The thief's history continues the true one: only that his key is not trusted keeps it from being cosigned."""
    auditor.run("init", "--name", "auditor.example/w1", *auditor.files)
    thief, honest = LOG, SmallLog(LOG.origin)
    for log in (thief, honest):
        auditor.run("add-log", "--vkey", log.vkey, "--database", auditor.database)
    state = State(auditor.database)
    try:
        witness = Witness(state, signer_of(auditor.key), lambda: NOW)
        assert witness.add_checkpoint(LOG.request(0, 8)).status == 200
        auditor.run("drop-key", "--vkey", thief.vkey, "--database", auditor.database)
        assert witness.add_checkpoint(thief.request(8, 9)).status == 403
        assert witness.add_checkpoint(honest.request(8, 9)).status == 200
    finally:
        state.close()
    (shown,) = auditor.json("status")["logs"]
    assert (shown["keys"], shown["size"]) == ([honest.vkey], 9)
    dropped = ("drop-key", "--vkey", thief.vkey, "--database", auditor.database)
    assert "not a key that is trusted" in auditor.refused(*dropped)


def cosign_and_lie(auditor: Auditor) -> None:
    """The log shows its history, then another one."""
    state = State(auditor.database)
    try:
        witness = Witness(state, signer_of(auditor.key), lambda: NOW)
        asked = [LOG.request(0, 8), LOG.fork().request(8, 8), LOG.fork().request(8, 9)]
        assert [witness.add_checkpoint(body).status for body in asked] == [200, 422, 422]
    finally:
        state.close()


def signer_of(path: Path) -> SoftwareSigner:
    return read_private_key(path, lambda: None)


def test_a_witness_with_nothing_to_tell_says_so(auditor: Auditor) -> None:
    auditor.run("init", "--name", "w.example", *auditor.files)
    assert auditor.json("evidence") == []
    assert "continue" in auditor.run("evidence", "--database", auditor.database)
    assert re.search(r"^signed at +never$", auditor.run("status", "--database", auditor.database), re.MULTILINE)


def test_nothing_is_made_twice_or_over_what_is_there(auditor: Auditor) -> None:
    auditor.run("init", "--name", "w.example", *auditor.files)
    before = auditor.key.read_bytes(), auditor.database.read_bytes()
    assert "there already" in auditor.refused("init", "--name", "w.example", *auditor.files)
    auditor.database.rename(auditor.database.with_suffix(".old"))
    assert "already exists" in auditor.refused("init", "--name", "w.example", *auditor.files)
    assert (auditor.key.read_bytes(), auditor.database.with_suffix(".old").read_bytes()) == before
    assert not auditor.database.exists()


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (("init", "--name", "two words"), "without a space"),
        (("init", "--name", "w+1"), "plus sign"),
        (("add-log", "--vkey", "nonsense"), "vkey"),
        (("add-log", "--vkey", "\udcff" + LOG.vkey), "vkey"),  # a byte that is not UTF-8, as Python has it
        (("add-log", "--vkey", LOG.vkey, "--origin", "a b"), "without a space"),
        (("add-log", "--vkey", LOG.vkey), "witness init"),
        (("status",), "witness init"),
        (("serve", "--port", "65536"), "--port"),
        (("serve",), "can not be read"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(auditor: Auditor, arguments: tuple[str, ...], about: str) -> None:
    files = auditor.files if arguments[0] in ("init", "serve") else auditor.files[:2]
    assert about in auditor.refused(*arguments, *files)
    assert not auditor.database.exists()


def test_its_own_key_and_a_witness_s_key_are_not_taken_for_a_log_s(auditor: Auditor) -> None:
    vkey = auditor.run("init", "--name", "w.example", *auditor.files).strip()
    assert "0x01" in auditor.refused("add-log", "--vkey", vkey, "--database", auditor.database)
    own = SmallLog("w.example", signer_of(auditor.key))
    assert "own key" in auditor.refused("add-log", "--vkey", own.vkey, "--database", auditor.database)


def test_an_encrypted_key_is_opened_by_its_passphrase_and_a_taken_port_is_told(auditor: Auditor) -> None:
    passphrase = auditor.database.with_name("passphrase")
    passphrase.write_text("open sesame\n")
    passphrase.chmod(0o600)
    auditor.run("init", "--name", "w.example", *auditor.files, "--passphrase-file", passphrase)
    assert b"ENCRYPTED" in auditor.key.read_bytes()
    assert "encrypted" in auditor.refused("serve", *auditor.files)
    command = [sys.executable, "-m", "signed_ledger", "witness", "serve", "--port", "0", "--log-format", "json"]
    options = [*auditor.files, "--passphrase-file", passphrase]
    environment = {**auditor.installation.environment(), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, *map(str, options)], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        assert (line["event"], line["name"]) == ("witnessing", "w.example")
        second = [*command[:5], "--port", line["port"], *options]
        ended = run(second, environment, status=2)
        assert "can not listen" in ended.stderr
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
