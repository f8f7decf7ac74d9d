"""Go's golang.org/x/mod, which the checksum database of Go runs on, opens our notes and checks our records."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from signed_ledger.encoding import decode_checkpoint, decode_entry, decode_proof
from tests.interop.conftest import Log

PROGRAM = Path(__file__).parent / "go"
DEBIAN = Path("/usr/share/gocode")
GO = shutil.which("go")

if GO is None:
    LOUD = "NO GO: what Go's own log code says of our log was NOT CHECKED; install Go (Debian: apt install golang-go)"
    pytest.skip(LOUD, allow_module_level=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the toolchain that is here: another one is not fetched.

    The module comes from Debian's package where that is installed, else from the module proxy.
    """
    built = tmp_path_factory.mktemp("go") / "interop"
    how = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    if (DEBIAN / "src" / "golang.org" / "x" / "mod").is_dir():
        how = {"GO111MODULE": "off", "GOPATH": str(DEBIAN), "GOFLAGS": ""}
    command = [str(GO), "build", "-o", str(built), "."]
    done = subprocess.run(command, cwd=PROGRAM, env={**os.environ, **how}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


def judged(program: Path, vkey: str, *arguments: object, accepted: bool = True) -> str:
    """What the program prints, or where it is to refuse, why it does."""
    done = subprocess.run([str(program), vkey, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if accepted else 1), (done.stdout, done.stderr)
    return done.stdout if accepted else done.stderr


def test_it_opens_the_checkpoint(log: Log, program: Path) -> None:
    path = log.tiles / "checkpoint"
    told = decode_checkpoint(path.read_bytes()).checkpoint
    size, root = judged(program, log.vkey, "checkpoint", path).split()
    assert (int(size), root) == (told.size, path.read_text().splitlines()[2])
    changed = log.written("changed", path.read_bytes().replace(size.encode(), str(told.size + 1).encode(), 1))
    assert "invalid signature" in judged(program, log.vkey, "checkpoint", changed, accepted=False)


def test_it_opens_an_entry(log: Log, program: Path) -> None:
    entry = log.written("entry", log.receipt.entry)
    assert judged(program, log.entry_vkey, "note", entry).encode() == decode_entry(log.receipt.entry).text
    assert "no verifiable signatures" in judged(program, log.vkey, "note", entry, accepted=False)


def test_it_checks_the_proof_of_a_receipt(log: Log, program: Path) -> None:
    proof, entry = log.written("proof", log.receipt.proof), log.written("entry", log.receipt.entry)
    size = decode_checkpoint(decode_proof(log.receipt.proof).checkpoint).checkpoint.size
    assert judged(program, log.vkey, "proof", proof, entry) == f"{log.receipt.seq} {size}\n"
    other = log.written("other", log.receipt.entry.replace(b"transaction", b"transactiom"))
    assert "invalid transparency proof" in judged(program, log.vkey, "proof", proof, other, accepted=False)


def test_it_proves_every_record_and_every_older_tree_from_the_tiles(log: Log, program: Path) -> None:
    assert judged(program, log.vkey, "tiles", log.tiles) == f"{log.size}\n"
    assert log.size > 256


def test_it_finds_a_changed_record(log: Log, program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiles"
    shutil.copytree(log.tiles, copy)
    bundle = copy / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b"signed-ledger/v1", b"signed-ledger/v2", 1))
    assert "record" in judged(program, log.vkey, "tiles", copy, accepted=False)
