"""`audit URL`: what a server publishes is proven from its tiles; a server that lies, or hangs, changes nothing here."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import published, running
from signed_ledger.audit.command import remember_note
from signed_ledger.audit.last_seen import read_last_seen
from signed_ledger.checkpoints import sign_checkpoint
from signed_ledger.cli import log_auditing
from signed_ledger.cli.command_line import main
from signed_ledger.encoding import encode_bundle
from signed_ledger.merkle import ENTRIES, Tile, Tree, leaf_hash, tile_path, tree_hash
from signed_ledger.records import Checkpoint
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import encode_trust
from tests.api_support import Site
from tests.support import Sample, load_to, make_long_sample, make_sample, publish, rows
from tests.world import ORIGIN, opened


def published_pages(path: Path, size: int | None = None, checkpoint: bytes | None = None) -> dict[str, bytes]:
    """All that a server publishes of the ledger's first `size` entries, in a few lines of its own.

    The `checkpoint` is by default one that the ledger keeps.
    """
    notes = [note for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq")]
    kept = dict(rows(path, "SELECT seq + 1, note FROM checkpoints"))
    size = size or max(kept)
    pages = {"/checkpoint": checkpoint or kept[size]}
    hashes = [leaf_hash(note) for note in notes[:size]]
    levels = [hashes]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([tree_hash(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    for first in range(0, size, 256):
        of_entries = notes[first : min(first + 256, size)]
        pages[f"/tile/{tile_path(Tile(ENTRIES, first // 256, len(of_entries)))}"] = encode_bundle(of_entries)
    for level, of_level in enumerate(levels):
        for first in range(0, len(of_level), 256):
            in_tile = of_level[first : first + 256]
            pages[f"/tile/{tile_path(Tile(level, first // 256, len(in_tile)))}"] = b"".join(in_tile)
    query = "SELECT seq, body FROM parts WHERE seq IN (SELECT seq FROM keys WHERE kind <> 'terms') ORDER BY seq"
    entries = [{"seq": seq, "body": body.decode()} for seq, body in rows(path, query)]
    pages["/keys"] = json.dumps({"entries": entries}).encode()
    return pages


class Server:
    """Answers GET with its pages, or with raw bytes; counts what it was asked."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.raw: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.fails_first: set[str] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                self.asked[path] += 1
                writer.write(self._answer(path))
                await writer.drain()
                if path in self.raw:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str) -> bytes:
        if path in self.fails_first and self.asked[path] == 1:
            return b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
        if path in self.raw:
            return self.raw[path]
        body = self.pages.get(path)
        if body is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def served(server: Server) -> AsyncIterator[str]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        for _ in range(10):  # nobody asks any more: the last connections are taken, and get their writers
            await asyncio.sleep(0)
        listening.close()
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in server.writers), return_exceptions=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(log_auditing, "TIMEOUT_SECONDS", 5.0)


async def audit(server: Server, capsys: pytest.CaptureFixture[str], *options: object) -> tuple[int, dict[str, Any]]:
    """The command, as it is typed, against the server."""
    async with served(server) as url:
        command = ["audit", url, "--json", "--jobs", "1", *map(str, options)]
        status = await asyncio.to_thread(main, command)
    out, err = capsys.readouterr()
    return status, json.loads(out) if status != 2 else {"error": err}


@pytest.fixture
def trust(long_sample: Sample, tmp_path: Path) -> Path:
    path = tmp_path / "trust.json"
    path.write_bytes(encode_trust(long_sample.trust))
    return path


@pytest.fixture
def server(long_sample: Sample) -> Server:
    return Server(published_pages(long_sample.path))


Capsys = pytest.CaptureFixture[str]


# --- honest --------------------------------------------------------------------------------------------------------


async def test_an_honest_log_is_proven(server: Server, trust: Path, long_sample: Sample, capsys: Capsys) -> None:
    status, report = await audit(server, capsys, "--trust", trust)
    assert (status, report["faults"]) == (0, [])
    whole = running.audit_file(long_sample.path, jobs=1).to_json()
    assert (report["origin"], report["entries"], report["head"]) == (ORIGIN, whole["entries"], whole["head"])
    assert report["keys"] == whole["keys"]
    assert [step["step"] for step in report["steps"]] == [1, 2, 3, 4, 5, 12, 13, 14]
    assert report["steps"][3]["checked"] == whole["entries"]
    assert "not in the published log" in report["not_known"][0]


async def test_a_person_is_told_in_words(server: Server, trust: Path, capsys: Capsys) -> None:
    async with served(server) as url:
        assert await asyncio.to_thread(main, ["audit", url, "--jobs", "1", "--trust", str(trust)]) == 0
    said = capsys.readouterr().out
    assert "VERIFIED: no fault found." in said
    assert "transactions" not in said.partition("\n\n")[0]


async def test_only_what_is_new_is_fetched(tmp_path: Path, capsys: Capsys) -> None:
    sample = await make_long_sample(tmp_path)
    seen = tmp_path / "seen"
    assert (await audit(Server(published_pages(sample.path)), capsys, "--last-seen", seen))[0] == 0
    for size in (511, 512, 513, 1_030):
        async with opened(sample.world) as ledger:
            await load_to(sample.world, ledger, size)
            await publish(sample.world, ledger)
        before = read_last_seen(seen)
        assert before is not None
        server = Server(published_pages(sample.path))
        status, report = await audit(server, capsys, "--last-seen", seen)
        assert (status, report["from_seq"], report["seen"]) == (0, before.size, before.size)
        assert report["steps"][2]["checked"] == size - before.size
        assert all(server.asked[path] <= 2 for path in server.pages), server.asked
        assert server.asked["/tile/entries/000"] == 1  # for the key entries in it
    assert (await audit(server, capsys, "--last-seen", seen))[1]["entries"] == 1_030
    assert (await audit(server, capsys, "--last-seen", seen, "--whole"))[1]["from_seq"] == 0


async def test_what_fails_once_is_asked_again(server: Server, capsys: Capsys) -> None:
    server.fails_first = {"/checkpoint", "/keys", "/tile/entries/000"}
    assert (await audit(server, capsys))[0] == 0


async def test_a_checkpoint_of_a_colleague_is_held_against_it(
    server: Server, long_sample: Sample, tmp_path: Path, capsys: Capsys
) -> None:
    for (note,) in rows(long_sample.path, "SELECT note FROM checkpoints"):
        seen = tmp_path / "colleague"
        seen.write_bytes(note)
        status, report = await audit(server, capsys, "--last-seen", seen)
        assert (status, report["from_seq"]) == (0, 0)


# --- lying ---------------------------------------------------------------------------------------------------------


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


FAULTY: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "an entry's last byte": lambda pages: {"/tile/entries/000": changed(pages["/tile/entries/000"], 300)},
    "a tile": lambda pages: {"/tile/0/000": changed(pages["/tile/0/000"], 5)},
    "a tile that is begun": lambda pages: {"/tile/0/001.p/2": pages["/tile/0/000"][:64]},
    "a tile above": lambda pages: {"/tile/1/000.p/1": changed(pages["/tile/1/000.p/1"], 5)},
    "a key's body": lambda pages: {"/keys": pages["/keys"].replace(b'"seq": 2, "body"', b'"seq": 999, "body"')},
    "a key's bytes": lambda pages: {"/keys": pages["/keys"].replace(b"visa", b"vise")},
    "a checkpoint's signature": lambda pages: {
        "/checkpoint": sign_checkpoint(Checkpoint(ORIGIN, 258, root_of(pages, 258)), SoftwareSigner(bytes(32)))
    },
}


def root_of(pages: dict[str, bytes], size: int) -> bytes:
    tree = Tree()
    hashes = pages["/tile/0/000"] + pages["/tile/0/001.p/2"]
    for at in range(size):
        tree.append(hashes[32 * at : 32 * at + 32])
    return tree.root()


@pytest.mark.parametrize("lie", FAULTY)
async def test_a_lie_is_a_fault_and_nothing_is_written(
    server: Server, trust: Path, tmp_path: Path, capsys: Capsys, lie: str
) -> None:
    seen = tmp_path / "seen"
    assert (await audit(server, capsys, "--trust", trust, "--last-seen", seen))[0] == 0
    before = seen.read_bytes()
    server.pages |= FAULTY[lie](server.pages)
    status, report = await audit(server, capsys, "--trust", trust, "--last-seen", seen, "--whole")
    assert status in (1, 2), report
    assert seen.read_bytes() == before
    assert status == 2 or report["faults"]


async def test_an_older_checkpoint_than_seen_is_a_cut_tail(tmp_path: Path, capsys: Capsys) -> None:
    sample = await make_sample(tmp_path)
    seen = tmp_path / "seen"
    sizes = sorted(size for (size,) in rows(sample.path, "SELECT seq + 1 FROM checkpoints"))
    assert (await audit(Server(published_pages(sample.path)), capsys, "--last-seen", seen))[0] == 0
    before = seen.read_bytes()
    status, report = await audit(Server(published_pages(sample.path, sizes[0])), capsys, "--last-seen", seen)
    assert status == 1
    assert "the tail was cut" in str(report["faults"])
    assert seen.read_bytes() == before


async def test_another_history_is_told(tmp_path: Path, capsys: Capsys) -> None:
    sample = await make_sample(tmp_path)
    ours, other, seen = sample.path, tmp_path / "other.db", tmp_path / "seen"
    rows(ours, "VACUUM INTO ?", str(other))
    for path, amount in ((ours, 1_00), (other, 2_00)):
        sample.world.path = path
        async with opened(sample.world) as ledger:
            await sample.world.load(ledger, "c1", amount)
            await publish(sample.world, ledger)
    assert (await audit(Server(published_pages(ours)), capsys, "--last-seen", seen))[0] == 0
    before = seen.read_bytes()
    status, report = await audit(Server(published_pages(other)), capsys, "--last-seen", seen)
    assert status == 1
    assert "another history" in str(report["faults"])
    assert seen.read_bytes() == before


ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 20_000_000


@pytest.mark.parametrize("path", ["/checkpoint", "/keys", "/tile/entries/000", "/tile/0/000"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", id="not there"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", id="elsewhere"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone", id="something else"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\nhalf", id="cut off"),
        pytest.param(ENDLESS, id="endless"),
        pytest.param(b"\x00\xff not HTTP\r\n\r\n", id="not HTTP"),
    ],
)
async def test_what_can_not_be_fetched_is_not_asked(
    server: Server, tmp_path: Path, capsys: Capsys, path: str, answer: bytes
) -> None:
    server.raw[path] = answer
    seen = tmp_path / "seen"
    status, said = await audit(server, capsys, "--last-seen", seen)
    assert status == 2
    assert said["error"].startswith("could not be verified: ")
    assert path.removeprefix("/") in said["error"] or path == "/checkpoint"
    assert not seen.exists()


def test_an_address_without_its_scheme_is_told(capsys: Capsys) -> None:
    assert main(["audit", "issuer.example"]) == 2
    assert "URL: must begin with https:// or http://" in capsys.readouterr().err


async def test_a_log_that_verify_saw_goes_on_from_there(
    long_sample: Sample, server: Server, tmp_path: Path, capsys: Capsys
) -> None:
    seen = tmp_path / "seen"
    audited = running.audit_since(long_sample.path, None, jobs=1)
    assert audited.kept is not None
    remember_note(seen, audited.kept.note, audited.kept.mark)
    status, report = await audit(server, capsys, "--last-seen", seen)
    assert (status, report["from_seq"]) == (0, 258)
    assert json.loads(seen.read_bytes())["verified"] == "log"
    assert running.audit_since(long_sample.path, read_last_seen(seen), jobs=1).report.from_seq == 0


async def test_a_real_server_is_proven(site: Site, tmp_path: Path, capsys: Capsys) -> None:
    """As `serve` serves it: checkpoint, keys, tiles and bundles are those that the audit asks for."""
    seen = tmp_path / "seen"
    for number in range(3):
        for card in range(40):
            await site.load(f"card-{number}-{card}", 1_00)
        await site.publisher.publish()
        url = str(site.client.make_url("/"))
        command = ["audit", url, "--json", "--jobs", "1", "--last-seen", str(seen)]
        status = await asyncio.to_thread(main, command)
        report = json.loads(capsys.readouterr().out)
        assert (status, report["faults"]) == (0, [])
        assert (report["entries"], report["from_seq"] > 0) == (site.ledger.tree.size, number > 0)
