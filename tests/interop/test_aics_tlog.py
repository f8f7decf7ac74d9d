"""aics-tlog, which this project did not write, accepts the served log and the exported files, unmodified."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aics_tlog import HttpTileReader, audit_tiles

from signed_ledger.encoding import decode_checkpoint, decode_proof, encode_base64
from tests.interop.conftest import Log


def judged(*arguments: object, accepted: bool = True) -> Any:
    """What the tool says of the log; it must accept it, or not."""
    command = [sys.executable, "-m", "aics_tlog", *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == (0 if accepted else 1), (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["ok"] is accepted
    return told


@pytest.fixture(params=["served", "exported"])
def tiles(request: pytest.FixtureRequest, log: Log) -> object:
    return log.url if request.param == "served" else log.tiles


def test_it_accepts_the_newest_checkpoint(log: Log, tiles: object) -> None:
    told = judged("verify-checkpoint", "--tiles", tiles, "--log-key", log.vkey, "--origin", log.receipt.origin)
    assert told["size"] >= log.receipt.seq + 1


def test_it_finds_the_entry_of_a_receipt_in_the_tiles(log: Log, tiles: object) -> None:
    entry, index = log.written("entry", log.receipt.entry), log.receipt.seq
    judged("verify-inclusion", "--tiles", tiles, "--log-key", log.vkey, "--leaf", entry, "--index", index)
    refused = ["verify-inclusion", "--tiles", tiles, "--log-key", log.vkey, "--leaf", entry, "--index", index - 1]
    judged(*refused, accepted=False)


def test_it_accepts_the_proof_that_a_receipt_holds(log: Log) -> None:
    proof = decode_proof(log.receipt.proof)
    own = decode_checkpoint(proof.checkpoint).checkpoint
    hashes = log.written("hashes", "".join(f"{encode_base64(value)}\n" for value in proof.hashes).encode())
    entry = log.written("entry", log.receipt.entry)
    place = ["--index", proof.seq, "--size", own.size, "--root", encode_base64(own.root)]
    judged("verify-inclusion", "--leaf", entry, "--proof", hashes, *place)
    other = log.written("other", log.receipt.entry.replace(b"transaction", b"transactiom"))
    judged("verify-inclusion", "--leaf", other, "--proof", hashes, *place, accepted=False)


def test_it_accepts_that_the_log_only_grew(log: Log, tiles: object) -> None:
    arguments = ["verify-consistency", "--tiles", tiles, "--log-key", log.vkey, "--old-checkpoint", log.old_checkpoint]
    told = judged(*arguments)
    assert told["old_size"] < told["new_size"]


def test_it_audits_every_tile(log: Log, tiles: object) -> None:
    source = str(tiles) if isinstance(tiles, str) else f"file://{tiles}/"
    told = decode_checkpoint((log.tiles / "checkpoint").read_bytes()).checkpoint
    report = audit_tiles(HttpTileReader([source]), told.size, told.root)
    assert (report.size, report.bundles) == (told.size, -(-told.size // 256))
    assert told.size > 256


def test_it_finds_a_changed_tile(log: Log, tmp_path: Path) -> None:
    told = decode_checkpoint((log.tiles / "checkpoint").read_bytes()).checkpoint
    for path in [path for path in log.tiles.rglob("*") if path.is_file()]:
        copy = tmp_path / path.relative_to(log.tiles)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    changed = tmp_path / "tile" / "0" / "000"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    with pytest.raises(Exception, match="tile"):
        audit_tiles(HttpTileReader([f"file://{tmp_path}/"]), told.size, told.root)
