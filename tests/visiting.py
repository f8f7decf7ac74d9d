"""What the auditor of docs/AUDIT.md visits: an Issuer that is witnessed, lost a key, erased a card; and his desk."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.callers import authorisation, presentment, send
from tests.processes import DEADLINE_SECONDS, PROJECT, Installation, free_port, installed, wait_until

WITNESS = "auditor.example/w1"


class Desk:
    """An auditor's folder: what the Issuer gave, nothing of the Issuer's keys. `url` is where the ledger is served."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """What he types, in his folder."""
        program, *words = shlex.split(line.replace("https://issuer.example", self.url))
        assert program == "signed-ledger"
        settings = {"SIGNED_LEDGER_DATABASE": "ledger.db", "PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "signed_ledger", *words]
        return subprocess.run(
            command, cwd=self.folder, env=settings, capture_output=True, text=True, timeout=60, check=False
        )


@contextmanager
def visited(folder: Path) -> Iterator[Desk]:
    """The Issuer, still serving, and the desk of an auditor who was there once before."""
    installation = installed(folder / "issuer")
    desk = folder / "auditor"
    desk.mkdir()
    with _witnessed(installation, desk) as policy, installation.serve(WITNESS_POLICY=policy) as server:
        shutil.copy(installation.trust_file, desk / "trust.json")
        shutil.copy(policy, desk / "policy.txt")
        first = Desk(desk, server.url)
        _live(installation, server.url, "before")
        _wait_for_quorum(installation)
        _copy(installation, desk)
        seen = first.run("signed-ledger verify --trust trust.json --last-seen seen.json --policy policy.txt")
        assert seen.returncode == 0, seen.stdout + seen.stderr
        _lose_a_key(installation)
        send(server.url, installation.scheme, "/authorisation", "wh-forgotten", authorisation("t-2", card_id="card-2"))
        installation.run("erase", "--card", "card-2", "--asked-by", "case 2026-117", "--why", "asked", "--yes")
        seq = _live(installation, server.url, "after")
        _wait_for_quorum(installation)
        _copy(installation, desk)
        installation.run("receipt", str(seq), "--out", desk / "receipt.json", WITNESS_POLICY=policy)
        yield first
    installation.assert_audits()


def _live(installation: Installation, url: str, name: str) -> int:
    """A purchase, authorised and then cleared: the number of the authorisation's entry."""
    approved = send(url, installation.scheme, "/authorisation", f"wh-1-{name}", authorisation(f"t-{name}"))
    posted = send(url, installation.scheme, "/presentment", f"wh-2-{name}", presentment(f"t-{name}"))
    assert posted.document["seq"] > approved.document["seq"]
    return int(approved.document["seq"])


def _lose_a_key(installation: Installation) -> None:
    """The newest entry was made with a key that is not trusted any more, and is signed again."""
    (head,) = installation.rows("SELECT max(seq) FROM entries")[0]
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    installation.run("keys", "revoke", key["kid"], "--at-size", str(head))
    installation.run("keys", "reattest", key["kid"], "--yes")


def _copy(installation: Installation, desk: Path) -> None:
    (desk / "ledger.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(installation.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(desk / "ledger.db"),))


def _wait_for_quorum(installation: Installation) -> None:
    """Until the newest entry stands under a checkpoint that the witness cosigned."""

    def is_cosigned() -> bool:
        (cosigned, size), *_ = installation.rows(
            "SELECT (SELECT max(seq) FROM cosignatures), (SELECT max(seq) FROM entries)"
        )
        return bool(cosigned == size)

    wait_until(is_cosigned)


@contextmanager
def _witnessed(installation: Installation, folder: Path) -> Iterator[Path]:
    """A witness of the auditor's own, and the policy file that asks for it."""
    port = free_port()
    database, key = folder / "witness.db", folder / "witness.pem"
    made = installation.run("witness", "init", "--name", WITNESS, "--database", database, "--key", key)
    log = installation.run_json("checkpoint")["vkey"]
    installation.run("witness", "add-log", "--database", database, "--vkey", log)
    policy = installation.folder / "policy.txt"
    policy.write_text(f"log {log}\nwitness auditor {made.stdout.strip()} http://127.0.0.1:{port}/\nquorum auditor\n")
    command = installation.command("witness", "serve", "--database", database, "--key", key, "--port", str(port))
    process = subprocess.Popen(
        [*map(str, command)], env=installation.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield policy
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)
