"""`signed-ledger serve` as a process: how it starts, stops, dies and comes back."""

import asyncio
import os
import re
import resource
import signal
import socket
import sqlite3
import sys
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from signed_ledger import __version__
from tests.callers import Answered, Load, assert_each_is_there_once, authorisation, post, send
from tests.processes import ORIGIN, Installation, Server, free_port, installed, is_listening, run, wait_until


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def edit(installation: Installation, table: str, change: str) -> None:
    """Change the ledger's file past its triggers, as one could who has it."""
    connection = sqlite3.connect(installation.database, isolation_level=None)
    connection.execute(f"DROP TRIGGER {table}_no_update")
    connection.execute(f"UPDATE {table} SET {change}")
    connection.close()


# --- start and stop ------------------------------------------------------------------------------------------------


def test_it_logs_its_start_and_stop_and_serves_metrics(installation: Installation) -> None:
    with installation.serve() as server:
        line = next(line for line in server.lines if line["event"] == "serving")
        url = f"http://{line['admin_host']}:{line['admin_port']}/metrics"
        assert b"signed_ledger_decisions" in urllib.request.urlopen(url).read()
    assert not installation.database.with_name("ledger.db-wal").exists(), "a stopped ledger is one file"
    starting, serving, *_, stopping, stopped = server.lines
    assert starting["event"] == "starting"
    assert (starting["origin"], starting["head_seq"]) == (ORIGIN, head(installation))
    assert (starting["workers"], starting["version"]) == (1, __version__)
    assert (serving["host"], serving["port"]) == ("127.0.0.1", server.port)
    assert (stopping["event"], stopped["event"]) == ("stopping", "stopped")
    installation.assert_audits()


def head(installation: Installation) -> int:
    return int(installation.rows("SELECT max(seq) FROM entries")[0][0])


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_it_quietly(installation: Installation, workers: int) -> None:
    with installation.serve("--workers", workers) as server:
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == 0
    assert "Traceback" not in server.log


def test_port_0_takes_a_free_one_that_all_workers_share_and_answer_for(installation: Installation) -> None:
    with installation.serve("--workers", 2, port=0) as server:
        wait_until(lambda: len([line for line in server.lines if line["event"] == "serving"]) == 2)
        ports = {line["port"] for line in server.lines if line["event"] == "serving"}
        (port,) = ports
        url = f"http://localhost:{port}"
        answers = {f"a-{n}": send(url, installation.scheme, "/authorisation", f"a-{n}", body(n)) for n in range(4)}
    assert {answer.status for answer in answers.values()} == {201}
    assert_each_is_there_once(installation, answers)


def body(number: int) -> bytes:
    return authorisation(f"t-{number}")


# --- what stops the start ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"DATABASE": "nowhere.db"}, "nowhere.db", id="no ledger"),
        pytest.param({"DATABASE": __file__}, __file__, id="not a ledger"),
        pytest.param({"PORT": "eighty"}, "SIGNED_LEDGER_PORT", id="a setting that is not a number"),
        pytest.param({"QUEUE_COMMANDS_MAX": "0"}, "SIGNED_LEDGER_QUEUE_COMMANDS_MAX", id="a setting out of bounds"),
        pytest.param({"PROT": "8080"}, "SIGNED_LEDGER_PROT", id="a setting that does not exist"),
        pytest.param({"CURRENCIES": "EUR,XYZ"}, "SIGNED_LEDGER_CURRENCIES", id="a currency that does not exist"),
        pytest.param({"ORIGIN": "other.example/ledger"}, "SIGNED_LEDGER_ORIGIN", id="another ledger's origin"),
        pytest.param({"KEYS": "nowhere"}, "nowhere", id="no keys"),
        pytest.param({"HOST": "192.0.2.1"}, "SIGNED_LEDGER_PORT", id="an address that is not this machine's"),
    ],
)
def test_it_does_not_start_and_says_why(installation: Installation, settings: dict[str, str], named: str) -> None:
    sentence = installation.run("serve", status=2, **{"PORT": free_port(), **settings}).stderr.splitlines()[-1]
    assert sentence.startswith("signed-ledger: ")
    assert named in sentence


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_named(installation: Installation, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in installation.run("serve", "--workers", workers, status=2, PORT=port).stderr.splitlines()[-1]


def test_a_number_of_workers_that_makes_no_sense(installation: Installation) -> None:
    assert "--workers" in installation.refused(2, "serve", "--workers", "0")
    assert "--workers" in installation.refused(2, "serve", "--workers", "many")


def test_a_head_that_does_not_verify(installation: Installation) -> None:
    edit(installation, "entries", f"note = CAST(replace(note, 'Z', 'z') AS BLOB) WHERE seq = {head(installation)}")
    assert "does not verify" in installation.refused(2, "serve")


def test_a_trust_file_of_another_ledger(installation: Installation, tmp_path: Path) -> None:
    other = Installation(tmp_path / "acme-2")
    own = installation.trust_file.read_bytes()
    other.run("init", "--origin", ORIGIN)
    installation.trust_file.write_bytes(other.trust_file.read_bytes())
    assert "root keys" in installation.refused(2, "serve")
    installation.trust_file.write_bytes(own.replace(b"issuer", b"osseur"))
    assert "osseur.example" in installation.refused(2, "serve")
    installation.trust_file.write_text("{}")
    assert "trust" in installation.refused(2, "serve")
    installation.trust_file.unlink()
    with installation.serve():
        pass


# --- under load ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_under_load_loses_nothing_that_was_acknowledged(installation: Installation, workers: int) -> None:
    with installation.serve("--workers", workers) as server:
        async with Load(installation.scheme, [server.url], 16, pause_seconds=0) as load:
            await load.until(100)
            assert await asyncio.to_thread(server.stop) == 0
    assert {answer.status for answer in load.answers.values()} <= {201, 503}
    assert_each_is_there_once(installation, load.approved)


async def test_kill_9_under_load_loses_nothing_that_was_acknowledged(installation: Installation) -> None:
    acknowledged: dict[str, Answered] = {}
    unanswered: list[str] = []
    for number in range(3):
        with installation.serve() as server:
            async with Load(installation.scheme, [server.url], 16, pause_seconds=0, name=f"round-{number}") as load:
                await load.until(60 + 35 * number)
                server.kill()
        acknowledged |= load.approved
        unanswered += load.unanswered
    assert unanswered
    with installation.serve() as server:
        again = await send_again(server, installation, [*acknowledged, *unanswered])
        once_more = await send_again(server, installation, unanswered)
    assert {name: again[name] for name in acknowledged} == {
        name: answer._replace(replayed=True) for name, answer in acknowledged.items()
    }
    assert once_more == {name: again[name]._replace(replayed=True) for name in unanswered}
    assert_each_is_there_once(installation, again)


async def send_again(server: Server, installation: Installation, names: list[str]) -> dict[str, Answered]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:
        sent = [
            post(session, server.url, installation.scheme.key, "/authorisation", name, authorisation(name))
            for name in names
        ]
        return dict(zip(names, await asyncio.gather(*sent), strict=True))


async def test_two_workers_share_a_port_and_a_ledger(installation: Installation) -> None:
    with installation.serve("--workers", "2") as server:
        async with Load(installation.scheme, [server.url], connections=32) as load:
            await load.until(400)
    load.assert_all_approved()
    assert "locked" not in server.log
    assert_each_is_there_once(installation, load.answers)


async def test_two_servers_on_one_ledger(installation: Installation) -> None:
    with installation.serve() as one, installation.serve() as other:
        async with Load(installation.scheme, [one.url, other.url], connections=32) as load:
            await load.until(400)
            retried = await send_again(other, installation, ["load-0-0", "load-1-0"])
    load.assert_all_approved()
    assert all(answer == load.answers[name]._replace(replayed=True) for name, answer in retried.items())
    assert "locked" not in one.log + other.log
    assert_each_is_there_once(installation, load.answers)


async def test_commands_work_on_a_ledger_that_is_being_served(installation: Installation) -> None:
    commands = [["load-money", "card-1", "5.00", "EUR"], ["balance", "card-1"], ["verify"], ["rebuild"]]
    with installation.serve() as server:
        async with Load(installation.scheme, [server.url], connections=4) as load:
            for command in commands:
                await asyncio.to_thread(installation.run, *command)
            await load.until(20)
    load.assert_all_approved()
    assert_each_is_there_once(installation, load.answers)


# --- faults and deaths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_ledger_that_is_rewritten_under_it_is_a_fault(installation: Installation, workers: int) -> None:
    with installation.serve("--workers", workers) as server:
        wait_until(lambda: server.log.count('"serving"') == workers)  # else one refuses to start, which is no fault
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 201
        edit(installation, "entries", f"note = CAST(note || 'x' AS BLOB) WHERE seq = {head(installation)}")
        assert server.wait() == 70
    # Told by the worker that wrote the entry, or by one that follows it: whichever looks first.
    said = [line["reason"] for line in server.lines if line["event"] == "fault"]
    assert any("rewritten" in reason or "does not verify" in reason for reason in said)


def test_a_full_disk_is_a_fault_after_which_the_retry_is_answered(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)  # coverage could not write what it measured either, and would end a process with 1
    with installation.serve() as server:
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 201
        written = installation.database.with_name("ledger.db-wal").stat().st_size
        for pid in server.pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (written, written))
        failed = send(server.url, installation.scheme, "/authorisation", "a-2", authorisation("t-2"))
        assert (failed.status, failed.document["code"]) == (500, "internal_error")
        assert server.wait() == 70
    with installation.serve() as server:
        answers = {
            name: send(server.url, installation.scheme, "/authorisation", name, authorisation(name.replace("a", "t")))
            for name in ("a-1", "a-2")
        }
    assert {name: answer.status for name, answer in answers.items()} == {"a-1": 201, "a-2": 201}
    assert answers["a-1"].replayed
    assert_each_is_there_once(installation, answers)


def test_a_full_disk_is_told_to_who_loads_a_card(installation: Installation) -> None:
    load = installation.command("load-money", "card-1", "1.00", "EUR")
    with installation.serve():
        for _ in range(3):
            installation.run(*load[3:])
        written = installation.database.with_name("ledger.db-wal").stat().st_size
        limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({written}, {written}))"
        code = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
        # coverage could not write what it measured either, and would say so
        environment = {k: v for k, v in installation.environment().items() if not k.startswith("COVERAGE_")}
        ended = run([sys.executable, "-c", code, *load], environment, status=2)
        assert "whether this was recorded is not known" in ended.stderr
        assert ended.stderr.count("\n") == 1
        installation.run(*load[3:])
    installation.assert_audits()


@pytest.mark.parametrize(("workers", "which"), [(1, 0), (1, 1), (2, 0), (2, 2)])
def test_one_process_that_dies_ends_the_service_with_its_status(
    installation: Installation, workers: int, which: int
) -> None:
    with installation.serve("--workers", workers) as server:
        os.kill(workers_of(server)[which], signal.SIGKILL)
        assert server.wait() == 128 + signal.SIGKILL
        assert ("worker_ended", -signal.SIGKILL) in [(line["event"], line.get("exit_code")) for line in server.lines]
        assert not is_listening(server.port)
    installation.assert_audits()


def test_one_process_that_hangs_when_another_died_is_killed(installation: Installation) -> None:
    with installation.serve("--workers", 1) as server:
        writer, worker = workers_of(server)
        os.kill(worker, signal.SIGSTOP)
        os.kill(writer, signal.SIGKILL)
        assert server.wait() == 128 + signal.SIGKILL
        assert ("worker_killed", "worker-1") in [(line["event"], line.get("process")) for line in server.lines]
        assert server.pids == []
    installation.assert_audits()


def test_workers_end_when_their_parent_is_killed(installation: Installation) -> None:
    with installation.serve("--workers", "2") as server:
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not is_listening(server.port))
        wait_until(lambda: len([line for line in server.lines if line["event"] == "stopped"]) == 2)
    installation.assert_audits()


def workers_of(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in re.findall("[0-9]+", children)]


# --- encrypted keys ------------------------------------------------------------------------------------------------


async def test_an_encrypted_key_is_opened_and_its_successor_too(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse")
    installation.run("init", "--passphrase-file", passphrase)
    assert "--passphrase-file" in installation.run("serve", status=2).stderr
    installation.settings["KEY_PASSPHRASE_FILE"] = str(passphrase)
    installation.run("keys", "add", "scheme", "acme", installation.scheme.public_file)
    installation.run("load-money", "card-1", "100.00", "EUR")
    with installation.serve("--workers", "2") as server:
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(20)
            await asyncio.to_thread(installation.run, "keys", "rotate", "entry")
            await load.until(20)
    load.assert_all_approved()
    assert_each_is_there_once(installation, load.answers)
