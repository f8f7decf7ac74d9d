"""`serve` with witnesses: what is published is cosigned by the honest ones, and no payment waits for any of them."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from signed_ledger.checkpoints import cosign, vkey_of
from signed_ledger.encoding import COSIGNATURE, SignedCheckpoint, decode_checkpoint, encode_signature
from signed_ledger.policy import decode_policy
from signed_ledger.records import Checkpoint
from signed_ledger.signing import SoftwareSigner
from tests.processes import Installation, Server, installed, wait_until
from tests.test_cli_checkpoint import pay, served, served_size
from tests.witnessing import OurWitness

LIAR = "liar.example/w3"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "installation")


class Liar:
    """A witness that signs whatever it likes, or never answers."""

    def __init__(self) -> None:
        self.signer = SoftwareSigner(bytes(range(32)))
        self.vkey = vkey_of(LIAR, self.signer.public_key, COSIGNATURE)
        self.asked = 0
        self.hangs = False
        self._ended = Event()

    @contextmanager
    def serving(self) -> Iterator[str]:
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                liar.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if liar.hangs:
                    liar._ended.wait()
                    return
                answer = liar.lie(body)
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self._ended.set()
            server.shutdown()
            server.server_close()

    def lie(self, body: bytes) -> bytes:
        """A cosignature by the right key, over another history."""
        signed = decode_checkpoint(body.partition(b"\n\n")[2])
        other = Checkpoint(signed.checkpoint.origin, signed.checkpoint.size, bytes(32))
        text = f"{other.origin}\n{other.size}\n{'A' * 43}=\n".encode()
        line = cosign(SignedCheckpoint(other, text, ()), LIAR, self.signer, 1_700_000_000)
        return encode_signature(line).encode()


def policy_file(installation: Installation, witnesses: list[tuple[str, str]], quorum: int) -> Path:
    lines = [f"witness w{number} {vkey} {url}" for number, (vkey, url) in enumerate(witnesses, 1)]
    members = " ".join(f"w{number}" for number in range(1, len(witnesses) + 1))
    path = installation.folder / "policy.txt"
    path.write_text("\n".join([*lines, f"group all-of-us {quorum} {members}", "quorum all-of-us"]) + "\n")
    return path


def metric(server: Server, start: str) -> float:
    port = next(line["admin_port"] for line in server.lines if line["event"] == "serving")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


def test_two_honest_witnesses_make_the_quorum_and_what_the_liar_signs_is_not_served(
    installation: Installation, tmp_path: Path
) -> None:
    vkey = installation.json("checkpoint")["vkey"]
    honest = [OurWitness(tmp_path, name=f"auditor.example/w{number}") for number in (1, 2)]
    for witness in honest:
        witness.follow("issuer.example/ledger", vkey)
    liar = Liar()
    with honest[0].process() as first, honest[1].process() as second, liar.serving() as lying:
        told = [(honest[0].vkey, first.url), (honest[1].vkey, second.url), (liar.vkey, lying)]
        path = policy_file(installation, told, 2)
        policy = decode_policy(path.read_bytes())
        with installation.serve(WITNESS_POLICY=path) as server:
            pay(installation, server, "t-1")
            size = installation.rows("SELECT max(seq) + 1 FROM entries")[0][0]
            wait_until(
                lambda: served_size(server) >= size and policy.is_met(policy.cosigned(decode_checkpoint(note(server))))
            )
            assert liar.asked
            assert sorted(policy.cosigned(decode_checkpoint(note(server)))) == ["w1", "w2"]
            assert LIAR not in served(server)
            assert metric(server, "signed_ledger_quorum_size") >= size
    receipt = installation.folder / "receipt.json"
    installation.run("receipt", size - 1, "--out", receipt, WITNESS_POLICY=path)
    shown = installation.run("check-receipt", receipt, "--trust", installation.trust_file, "--policy", path).stdout
    assert "w1" in shown
    assert "w2" in shown
    installation.assert_audits()


def note(server: Server) -> bytes:
    return served(server).encode()


def test_witnesses_that_hang_or_are_not_there_hold_up_neither_payments_nor_checkpoints(
    installation: Installation,
) -> None:
    liar = Liar()
    liar.hangs = True
    with liar.serving() as hanging:
        path = policy_file(installation, [(liar.vkey, hanging), (other_vkey(), "http://127.0.0.1:9")], 2)
        with installation.serve(WITNESS_POLICY=path, WITNESS_TIMEOUT_S=1) as server:
            for number in range(5):
                pay(installation, server, f"t-{number}")
                size = installation.rows("SELECT max(seq) + 1 FROM entries")[0][0]
                wait_until(lambda size=size: served_size(server) >= size)  # type: ignore[misc]
            wait_until(lambda: metric(server, 'signed_ledger_witness_pushes_total{outcome="unreachable"') >= 2)
            assert metric(server, "signed_ledger_quorum_size") == 0
    installation.assert_audits()


def other_vkey() -> str:
    return vkey_of("gone.example/w2", SoftwareSigner(bytes(reversed(range(32)))).public_key, COSIGNATURE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("quorum w1\n", ":1: w1", id="a quorum of nobody"),
        pytest.param("witness w1 nonsense http://127.0.0.1:9\nquorum w1\n", ":1: vkey", id="a key that is none"),
    ],
)
def test_a_policy_that_can_not_be_used_stops_the_start(installation: Installation, text: str, told: str) -> None:
    path = installation.folder / "policy.txt"
    path.write_text(text)
    said = installation.refused(2, "serve", WITNESS_POLICY=path)
    assert str(path) in said
    assert told in said
