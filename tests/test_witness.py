"""Our witness: every status of C2SP tlog-witness, in its order; what it never forgets; what it keeps of liars."""

import asyncio
import hashlib
import os
import resource
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from signed_ledger.checkpoints import cosigned_at, is_signed_by, read_vkey, sign_checkpoint, vkey_of
from signed_ledger.encoding import (
    AddCheckpoint,
    Note,
    NoteSignature,
    decode_checkpoint,
    encode_add_checkpoint,
    encode_note,
)
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher, Reply
from signed_ledger.listening import FILES_KEPT
from signed_ledger.records import Checkpoint
from signed_ledger.signing import SoftwareSigner, note_key_id
from signed_ledger.witness import State, Witness, create_state, make_witness_app, service
from tests.witnessing import NOW, WITNESS, OurWitness, SmallLog, serving_app, some_hash, with_line

LOG: Final = SmallLog()
OTHER: Final = SmallLog()
"""Of the same origin, and another key."""
STRANGER: Final = SmallLog("stranger.example/log")


@pytest.fixture
def ours(tmp_path: Path) -> OurWitness:
    return OurWitness(tmp_path, LOG)


@pytest.fixture
async def url(ours: OurWitness) -> AsyncIterator[str]:
    async with ours.serving() as url:
        yield url


async def ask(url: str, body: bytes) -> Reply:
    fetcher = Fetcher(10)
    try:
        return await fetcher.post(f"{url}/add-checkpoint", body, content_type="text/plain", bytes_max=65_536)
    finally:
        await fetcher.close()


async def get(url: str, path: str) -> Reply:
    fetcher = Fetcher(10)
    try:
        return await fetcher.get(url + path, bytes_max=65_536)
    finally:
        await fetcher.close()


def monitored(origin: str) -> str:
    return f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"


def cosigned(ours: OurWitness, note: bytes, answer: Reply) -> int | None:
    """When the answer's signature line cosigns `note`."""
    return cosigned_at(decode_checkpoint(note + answer.body, may_extend=True), read_vkey(ours.vkey))


async def test_a_log_is_cosigned_as_it_grows(ours: OurWitness, url: str) -> None:
    sizes = [0, 1, 2, 5, 8, 8, 13, 64, 65, 70]
    for old, new in zip([0, *sizes], sizes, strict=False):
        answer = await ask(url, LOG.request(old, new))
        assert (answer.status, cosigned(ours, LOG.note(new), answer)) == (200, NOW), (old, new, answer)


async def test_the_first_checkpoint_needs_no_proof(ours: OurWitness, url: str) -> None:
    assert cosigned(ours, LOG.note(42), await ask(url, LOG.request(0, 42))) == NOW


WRONG_ROOT = sign_checkpoint(Checkpoint(LOG.origin, 8, bytes(32)), LOG.signer)
EMPTY_WRONG = sign_checkpoint(Checkpoint(LOG.origin, 0, bytes(32)), LOG.signer)
BAD_SIGNATURE = LOG.note(8).replace(b"\n8\n", b"\n9\n")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"old -1\n\n" + LOG.note(8), 400, id="a negative old size"),
        pytest.param(b"old 05\n\n" + LOG.note(8), 400, id="a leading zero"),
        pytest.param(LOG.request(5, 8).replace(b"\n", b"\r\n"), 400, id="other newlines"),
        pytest.param(with_line(LOG.request(5, 8), "AAAA"), 400, id="a hash that is too short"),
        pytest.param(LOG.request(5, 8)[:-1], 400, id="cut off"),
        pytest.param(b"old 5\n" + f"{some_hash()}\n".encode() * 64 + b"\n" + LOG.note(8), 400, id="64 lines of proof"),
        pytest.param(STRANGER.request(0, 8), 404, id="a log that is not followed"),
        pytest.param(OTHER.request(5, 8), 403, id="the origin, and another key"),
        pytest.param(b"old 5\n\n" + BAD_SIGNATURE, 403, id="a signature that does not verify"),
        pytest.param(
            b"old 5\n\n" + LOG.note(8) + BAD_SIGNATURE.rpartition(b"\n\n")[2] + LOG.note(9).rpartition(b"\n\n")[2],
            403,
            id="one signature that verifies, and one that does not",
        ),
        pytest.param(LOG.request(9, 8), 400, id="an old size above the new one"),
        pytest.param(b"old 9\n\n" + OTHER.note(8), 403, id="that, and another key: the key is looked at first"),
        pytest.param(LOG.request(4, 8), 409, id="an old size below what was cosigned"),
        pytest.param(LOG.request(6, 8), 409, id="an old size above what was cosigned"),
        pytest.param(LOG.request(0, 8), 409, id="the old size of who does not know"),
        pytest.param(b"old 4\n\n" + WRONG_ROOT, 409, id="that, and a wrong proof: the old size is looked at first"),
        pytest.param(LOG.fork().request(5, 8), 422, id="another history"),
        pytest.param(LOG.fork().request(5, 5), 422, id="another root of the same size"),
        pytest.param(b"old 5\n\n" + LOG.note(8), 422, id="no proof"),
        pytest.param(with_line(LOG.request(5, 8), some_hash()), 422, id="a proof with one hash more"),
        pytest.param(with_line(LOG.request(5, 5), some_hash()), 422, id="a proof where none is needed"),
        pytest.param(b"old 5\n\n" + WRONG_ROOT, 422, id="a root of nothing"),
    ],
)
async def test_what_is_wrong_has_its_status_and_changes_nothing(
    ours: OurWitness, url: str, body: bytes, status: int
) -> None:
    await ask(url, LOG.request(0, 5))
    answer = await ask(url, body)
    assert answer.status == status, answer
    if status == 409:
        assert (answer.headers["content-type"], answer.body) == ("text/x.tlog.size", b"5\n")
    assert (await ask(url, LOG.request(5, 8))).status == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"old 0\n\n" + EMPTY_WRONG, id="an empty tree with a root"),
        pytest.param(with_line(LOG.request(0, 8), some_hash()), id="a proof from nothing"),
    ],
)
async def test_of_a_log_that_is_new_what_is_inconsistent_is_refused(url: str, body: bytes) -> None:
    assert (await ask(url, body)).status == 422
    assert (await ask(url, LOG.request(0, 8))).status == 200


async def test_signatures_of_others_and_extension_lines_of_foreign_logs_are_taken(ours: OurWitness, url: str) -> None:
    foreign = LOG.note(5) + OTHER.note(5).rpartition(b"\n\n")[2]
    assert (await ask(url, b"old 0\n\n" + foreign)).status == 200
    kept = (await get(url, monitored(LOG.origin))).body
    assert [line.name for line in decode_checkpoint(kept).signatures] == [LOG.origin, WITNESS]
    extended = with_extension(LOG.note(8))
    answer = await ask(url, LOG.request(5, 8).replace(LOG.note(8), extended))
    assert cosigned(ours, extended, answer) == NOW


async def test_what_a_key_in_hardware_could_not_sign_is_refused(ours: OurWitness, url: str) -> None:
    """Nothing longer than 4,096 bytes is signed, the witness's own two lines counted in."""
    longest = 4_096 - len(b"cosignature/v1\ntime 9223372036854775807\n") - len(decode_checkpoint(LOG.note(5)).text)
    note = with_extension(LOG.note(5), "x" * longest)
    answer = await ask(url, b"old 0\n\n" + note)
    assert (answer.status, b"4096 bytes" in answer.body) == (400, True)
    note = with_extension(LOG.note(5), "x" * (longest - 1))
    assert cosigned(ours, note, await ask(url, b"old 0\n\n" + note)) == NOW


def with_extension(note: bytes, line: str = "an extension") -> bytes:
    """The log's checkpoint with one line more, signed by the log."""
    text = decode_checkpoint(note).text.decode() + line + "\n"
    key_id = note_key_id(LOG.origin, LOG.signer.public_key)
    return encode_note(Note(text, (NoteSignature(LOG.origin, key_id, LOG.signer.sign(text.encode())),)))


async def test_a_log_whose_key_was_rotated_is_followed_on(ours: OurWitness, url: str) -> None:
    assert (await ask(url, LOG.request(0, 5))).status == 200
    rotated = SmallLog(LOG.origin, OTHER.signer)
    assert (await ask(url, rotated.request(5, 8))).status == 403
    ours.follow(LOG.origin, rotated.vkey)
    assert (await ask(url, rotated.request(5, 8))).status == 200


async def test_monitors_get_the_newest_checkpoint_with_both_signatures(ours: OurWitness, url: str) -> None:
    assert (await get(url, monitored(LOG.origin))).status == 404
    assert (await get(url, monitored("nobody.example/log"))).status == 404
    await ask(url, LOG.request(0, 5))
    await ask(url, LOG.request(5, 8))
    answer = await get(url, monitored(LOG.origin))
    signed = decode_checkpoint(answer.body)
    assert answer.status == 200
    assert signed.checkpoint.size == 8
    assert is_signed_by(signed, read_vkey(LOG.vkey))
    assert cosigned_at(signed, read_vkey(ours.vkey)) == NOW


@pytest.mark.parametrize(
    ("path", "status"),
    [("/healthz", 200), ("/add-checkpoint", 405), ("/", 404), (f"/{'A' * 64}/checkpoint", 404), ("/checkpoint", 404)],
)
async def test_every_other_path_has_its_status(url: str, path: str, status: int) -> None:
    assert (await get(url, path)).status == status


async def test_a_body_over_the_limit_is_refused(url: str) -> None:
    assert (await ask(url, b"old 0\n" + b"x" * 200_000)).status == 413


async def test_a_body_that_does_not_come_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BODY_SECONDS", 0.1)
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_who_hangs_up_in_the_middle_of_a_body_is_no_error_of_ours(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nold")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert not caplog.records


async def test_no_more_wait_than_can_be_served(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "WAITING_MAX", 0)
    answer = await ask(url, LOG.request(0, 5))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_without_its_state_it_is_not_well(ours: OurWitness, url: str) -> None:
    with closing(sqlite3.connect(ours.database)) as disk:
        disk.execute("DROP TABLE witness")
    assert (await get(url, "/healthz")).status == 503


# --- the clock ---


async def test_while_its_clock_is_back_it_signs_nothing_also_after_a_restart(ours: OurWitness) -> None:
    async with ours.serving() as url:
        assert (await ask(url, LOG.request(0, 5))).status == 200
        ours.clock.now = NOW - 10
        answer = await ask(url, LOG.request(5, 8))
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        assert (await get(url, "/healthz")).status == 503
    async with ours.serving() as url:
        assert (await ask(url, LOG.request(5, 8))).status == 503
        assert decode_checkpoint((await get(url, monitored(LOG.origin))).body).checkpoint.size == 5
        ours.clock.now = NOW
        assert (await ask(url, LOG.request(5, 8))).status == 200


async def test_the_clock_is_one_for_all_logs(ours: OurWitness, url: str) -> None:
    ours.follow(STRANGER.origin, STRANGER.vkey)
    assert (await ask(url, LOG.request(0, 5))).status == 200
    ours.clock.now = NOW - 1
    assert (await ask(url, STRANGER.request(0, 5))).status == 503


# --- what is kept of liars ---


async def test_two_histories_are_kept_as_proof_whatever_was_asked_along(ours: OurWitness, url: str) -> None:
    fork = LOG.fork()
    await ask(url, LOG.request(0, 5))
    assert (await ask(url, fork.request(5, 5))).status == 422
    assert (await ask(url, fork.request(0, 5))).status == 409
    with ours.opened() as state:
        (seen,) = state.evidence(LOG.origin)
    assert seen.is_proof
    assert seen.ours is not None
    lie, truth = decode_checkpoint(seen.note), decode_checkpoint(seen.ours)
    assert lie.checkpoint.size == truth.checkpoint.size == 5
    assert lie.checkpoint.root != truth.checkpoint.root
    assert all(is_signed_by(signed, read_vkey(LOG.vkey)) for signed in (lie, truth))


async def test_who_replays_an_honest_checkpoint_proves_nothing(ours: OurWitness, url: str) -> None:
    """Anyone may send a published checkpoint without a proof: that is no lie of the log's."""
    await ask(url, LOG.request(0, 5))
    await ask(url, b"old 5\n\n" + LOG.note(8))
    await ask(url, STRANGER.request(0, 8))
    await ask(url, OTHER.request(5, 5))
    with ours.opened() as state:
        assert [(seen.is_proof, seen.note) for seen in state.evidence(LOG.origin)] == [(False, LOG.note(8))]


def test_the_first_lies_are_kept_and_their_number_is_bounded(ours: OurWitness) -> None:
    with ours.witness() as witness:
        assert witness.add_checkpoint(LOG.request(0, 5)).status == 200
        for number in range(120):
            lie = sign_checkpoint(Checkpoint(LOG.origin, 5, bytes([number]) * 32), LOG.signer)
            assert witness.add_checkpoint(b"old 5\n\n" + lie).status == 422
    with ours.opened() as state:
        kept = state.evidence(LOG.origin)
    assert [decode_checkpoint(seen.note).checkpoint.root[0] for seen in kept] == list(range(100))


# --- on disk before it is told ---


async def test_what_was_answered_survives_sigkill(ours: OurWitness) -> None:
    old = 0
    for new in (3, 7, 20, 21):
        with ours.process() as process:
            answer = await ask(process.url, LOG.request(old, new))
            os.kill(process.process.pid, signal.SIGKILL)
        assert answer.status == 200
        with ours.opened() as state:
            followed = state.find(LOG.origin)
        assert followed is not None
        assert followed.size == new
        assert followed.note == LOG.note(new) + answer.body
        old = new


async def test_what_can_not_be_written_is_not_cosigned(ours: OurWitness, url: str) -> None:
    with closing(sqlite3.connect(ours.database)) as disk:
        disk.execute("CREATE TRIGGER full BEFORE UPDATE ON logs BEGIN SELECT RAISE(ABORT, 'no space'); END")
        answer = await ask(url, LOG.request(0, 5))
        assert (answer.status, "—" in answer.body.decode()) == (500, False)
        disk.execute("DROP TRIGGER full")
    assert (await ask(url, LOG.request(0, 7))).status == 200


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(["BEGIN IMMEDIATE"], id="writing: the transaction can not begin"),
        pytest.param(["BEGIN", "SELECT size FROM logs"], id="reading: the transaction can not be committed"),
    ],
)
async def test_while_another_process_holds_the_file_the_log_is_asked_to_come_again(
    ours: OurWitness, statements: list[str]
) -> None:
    with ours.opened() as state, closing(sqlite3.connect(ours.database, isolation_level=None)) as other:
        state._connection.execute("PRAGMA busy_timeout = 10")
        async with serving_app(make_witness_app(Witness(state, ours.signer, ours.clock))) as url:
            for statement in statements:
                other.execute(statement).fetchall()
            answer = await ask(url, LOG.request(0, 5))
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            other.execute("ROLLBACK")
            assert (await ask(url, LOG.request(0, 5))).status == 200


def test_a_commit_is_on_disk_when_it_returns(ours: OurWitness) -> None:
    with ours.opened() as state:
        assert state._connection.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA


async def test_of_two_that_race_in_two_processes_one_wins_and_nothing_goes_back(ours: OurWitness) -> None:
    """The race that the specification warns of: both start from the same size."""
    with ours.process() as one, ours.process() as two:
        old = 0
        for new in range(2, 42, 2):
            answers = await asyncio.gather(ask(one.url, LOG.request(old, new)), ask(two.url, LOG.request(old, new - 1)))
            statuses = sorted(answer.status for answer in answers)
            assert statuses == [200, 409]
            old = new if answers[0].status == 200 else new - 1
            loser = answers[1] if answers[0].status == 200 else answers[0]
            assert loser.body == b"%d\n" % old


async def test_a_process_ends_with_0_on_sigterm(ours: OurWitness) -> None:
    with ours.process() as process:
        assert (await get(process.url, "/healthz")).status == 200
        process.process.terminate()
        assert process.process.wait(10) == 0


# --- its files ---


def test_a_lost_database_is_not_made_anew_by_serving(ours: OurWitness) -> None:
    ours.database.unlink()
    with pytest.raises(Invalid, match="witness init"):
        State(ours.database)
    assert not ours.database.exists()


def test_a_database_of_another_key_or_of_another_kind_is_refused(ours: OurWitness, tmp_path: Path) -> None:
    with ours.opened() as state, pytest.raises(Invalid, match="not the key of the witness"):
        Witness(state, SoftwareSigner(os.urandom(32)), ours.clock)
    with pytest.raises(Invalid, match="there already"):
        create_state(ours.database, WITNESS, ours.vkey)
    (tmp_path / "text").write_text("no database, but long enough to be one" * 100)
    with pytest.raises(Invalid, match="can not be opened"):
        State(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(Invalid, match="is not a witness's"):
        State(tmp_path / "empty")


def test_a_swapped_row_is_not_written_over(ours: OurWitness) -> None:
    """Compare-and-swap by itself, without the transaction that it is in."""
    with ours.opened() as state:
        before = state.find(LOG.origin)
        assert before is not None
        assert state.advance(before, 5, bytes(32), b"note", NOW)
        assert not state.advance(before, 7, bytes(32), b"note", NOW)


def test_a_request_is_read_as_it_is_written() -> None:
    request = AddCheckpoint(5, LOG.proof(5, 8), LOG.note(8))
    assert encode_add_checkpoint(request) == LOG.request(5, 8)
    assert vkey_of(LOG.origin, LOG.signer.public_key) == LOG.vkey


@pytest.mark.parametrize("sent", [b"CONNECT  HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_http_is_told_so_and_leaves_no_traceback(ours: OurWitness, sent: bytes) -> None:
    with ours.process() as process:
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
            connection.sendall(sent)
            answer = connection.recv(65_536)
        assert answer.split()[1] in (b"400", b"404"), answer
        assert b"witness" in answer
        assert "Traceback" not in process.end()


def test_connections_never_take_the_files_that_its_database_needs(ours: OurWitness) -> None:
    with ours.process() as process, ExitStack() as opened:
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (FILES_KEPT + 3, FILES_KEPT + 3))
        address = ("127.0.0.1", process.port)
        first, second, third, fourth = (
            opened.enter_context(socket.create_connection(address, timeout=10)) for _ in range(4)
        )
        head, _, body = fourth.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert {b"Retry-After: 1", b"Connection: close"} <= {*head.split(b"\r\n")}
        assert body == b"the witness is busy\n"
        for one in (first, second, third):
            one.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert one.recv(65_536).startswith(b"HTTP/1.1 200 "), "who is there is served"
