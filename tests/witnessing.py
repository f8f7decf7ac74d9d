"""Logs that witnesses follow, made without the project's own tree; our witnesses on real sockets and as processes."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

from signed_ledger.checkpoints import sign_checkpoint, vkey_of
from signed_ledger.encoding import COSIGNATURE, AddCheckpoint, encode_add_checkpoint
from signed_ledger.records import Checkpoint
from signed_ledger.signing import Signer, SoftwareSigner, write_private_key
from signed_ledger.witness import State, Witness, create_state, make_witness_app
from tests.processes import PROJECT

NOW = 1_700_000_000
WITNESS = "auditor.example/w1"


def tree_of(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split_of(len(leaves))
    return hashlib.sha256(b"\x01" + tree_of(leaves[:k]) + tree_of(leaves[k:])).digest()


def proof_of(old: int, leaves: list[bytes], is_whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word by word."""
    if old == len(leaves):
        return [] if is_whole else [tree_of(leaves)]
    k = split_of(len(leaves))
    if old <= k:
        return [*proof_of(old, leaves[:k], is_whole), tree_of(leaves[k:])]
    return [*proof_of(old - k, leaves[k:], False), tree_of(leaves[:k])]


def split_of(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


class SmallLog:
    """A log of `size` entries in memory; two of the same key and different `history` are two histories of one log."""

    def __init__(self, origin: str = "issuer.example/ledger", signer: Signer | None = None, history: str = "") -> None:
        self.origin = origin
        self.signer = signer or SoftwareSigner(os.urandom(32))
        self.leaves = [f"{history}{number}".encode() for number in range(70)]

    @property
    def vkey(self) -> str:
        return vkey_of(self.origin, self.signer.public_key)

    def note(self, size: int) -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, size, tree_of(self.leaves[:size])), self.signer)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(proof_of(old, self.leaves[:new])) if old else ()

    async def prove(self, old: int, new: int) -> tuple[bytes, ...]:
        return self.proof(old, new)

    def request(self, old: int, new: int) -> bytes:
        """What is sent to a witness that has cosigned `old` entries."""
        proof = self.proof(old, new) if old <= new else ()
        return encode_add_checkpoint(AddCheckpoint(old, proof, self.note(new)))

    def fork(self) -> "SmallLog":
        """Another history under the same key."""
        return SmallLog(self.origin, self.signer, "another ")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class OurWitness:
    """A witness of ours that follows `logs`, its files in `folder`; it is opened again by each `serving`."""

    def __init__(self, folder: Path, *logs: SmallLog, name: str = WITNESS) -> None:
        self.database, self.key_file = folder / f"{name.replace('/', '-')}.db", folder / f"{name.replace('/', '-')}.pem"
        seed = os.urandom(32)
        self.name, self.signer, self.clock = name, SoftwareSigner(seed), Clock()
        self.vkey = vkey_of(name, self.signer.public_key, COSIGNATURE)
        write_private_key(self.key_file, seed, None)
        create_state(self.database, name, self.vkey)
        for log in logs:
            self.follow(log.origin, log.vkey)

    def follow(self, origin: str, vkey: str) -> None:
        with self.opened() as state:
            state.add_log(origin, vkey)

    @contextmanager
    def opened(self) -> Iterator[State]:
        state = State(self.database)
        try:
            yield state
        finally:
            state.close()

    @contextmanager
    def witness(self) -> Iterator[Witness]:
        with self.opened() as state:
            yield Witness(state, self.signer, self.clock)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve it on a socket; give its URL."""
        with self.witness() as witness:
            async with serving_app(make_witness_app(witness), port) as url:
                yield url

    @contextmanager
    def process(self) -> Iterator["WitnessProcess"]:
        """Serve it by the command, with the clock on the wall."""
        process = WitnessProcess(self)
        try:
            yield process
        finally:
            process.end()


class WitnessProcess:
    def __init__(self, witness: OurWitness) -> None:
        command = [*(sys.executable, "-m", "signed_ledger", "witness", "serve", "--port", "0", "--log-format", "json")]
        command += ["--database", str(witness.database), "--key", str(witness.key_file)]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert '"witnessing"' in line, line + self.process.stderr.read()
        self.port = int(json.loads(line)["port"])
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = ""

    def end(self) -> str:
        """Kill it; give what it logged since it began to serve."""
        self.process.kill()
        if self.process.stderr is not None and not self.process.stderr.closed:
            self._log = self.process.communicate()[1]
        return self._log


@asynccontextmanager
async def serving_app(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def with_line(body: bytes, line: str) -> bytes:
    """The request with one more line of proof."""
    first, _, rest = body.partition(b"\n")
    return first + b"\n" + line.encode() + b"\n" + rest


def some_hash(number: int = 0) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()
