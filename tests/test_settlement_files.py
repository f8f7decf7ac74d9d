"""`settle` and its files, as an operator runs it: byte for byte from the ledger, whenever it was killed."""

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signed_ledger.daily import Settled, write_settlement_files
from signed_ledger.encoding import decode_body
from signed_ledger.records import Settlement
from signed_ledger.signing import encode_public_pem, kid_of, write_private_key
from tests.callers import Load, presentment, send
from tests.callers import authorisation as authorisation_body
from tests.processes import PROJECT, Installation, installed
from tests.settlements import Past
from tests.support import assert_audits, rows
from tests.world import opened

SUFFIXES = (".csv", ".json", ".note")
NOTE_AND_BODY = "SELECT note, body FROM entries JOIN parts USING (seq) WHERE entries.seq = ?"


def today() -> date:
    return datetime.now(UTC).date()


async def _make(past: Past) -> None:
    async with opened(past.world) as ledger:
        life = await past.begin(ledger)
        await life.authorise("due", "7.00")
        await life.authorise("t", "40.00")
        await life.present("t", "39.00", interchange_amount="0.1239")
        await life.force("usd", "20.00", "USD")


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """A Scheme's day: something that is due, something cleared in two currencies."""
    past = Past(tmp_path / "installation")
    asyncio.run(_make(past))
    return past


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def settle(past: Installation, out: Path, *arguments: object) -> dict[str, Any]:
    told: dict[str, Any] = past.json("settle", "--scheme", "acme", "--out", out, *arguments)
    return told


def test_it_expires_settles_and_writes_three_files(past: Past, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    told = settle(past, out)
    name = f"acme-{today()}"
    assert told["expiry"] == {"expired": 1, "released": {"EUR": "7.00"}, "failed": []}
    assert told["files"] == [str(out / f"{name}{suffix}") for suffix in (".json", ".csv", ".note")]
    assert (told["is_first"], told["is_complete"]) == (True, False)
    assert [(each["currency"], each["net"]) for each in told["sums"]] == [("EUR", "38.88"), ("USD", "20.00")]
    files = files_in(out)
    assert sorted(files) == [f"{name}{suffix}" for suffix in SUFFIXES]
    note, body = past.rows(NOTE_AND_BODY, told["seq"])[0]
    assert (files[f"{name}.note"], files[f"{name}.json"]) == (note, body)
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o640}
    past.assert_audits()


def test_the_note_proves_the_json_and_the_json_the_csv(past: Past, tmp_path: Path) -> None:
    """As docs/operations.md says, without any of our code."""
    settle(past, tmp_path)
    found = {path.suffix: path.read_bytes() for path in tmp_path.glob("acme-*")}
    text, _, signatures = found[".note"].decode().rpartition("\n\n")
    key = Ed25519PublicKey.from_public_bytes(past.world.entry.public_key)
    blob = base64.b64decode(signatures.split()[-1])
    key.verify(blob[4:], f"{text}\n".encode())
    digest = base64.b64encode(hashlib.sha256(found[".json"]).digest()).decode()
    assert f"\nbody sha256:{digest} {len(found['.json'])}\n" in f"{text}\n"
    digest = base64.b64encode(hashlib.sha256(found[".csv"]).digest()).decode()
    assert json.loads(found[".json"])["csv"] == f"sha256:{digest} {len(found['.csv'])}"
    past.assert_audits()


def check_as_documented(folder: Path) -> subprocess.CompletedProcess[str]:
    text = (PROJECT / "docs" / "operations.md").read_text()
    script = text.partition("<!-- check:begin -->")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace("2026-11-23", str(today()))
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("suffix", [None, *SUFFIXES])
def test_they_are_checked_as_the_document_says(past: Past, tmp_path: Path, suffix: str | None) -> None:
    settle(past, tmp_path)
    (tmp_path / "entry.pem").write_bytes(encode_public_pem(past.world.entry.public_key))
    if suffix is not None:
        file = next(tmp_path.glob(f"acme-*{suffix}"))
        file.write_bytes(file.read_bytes().replace(b"20", b"21", 1))
    done = check_as_documented(tmp_path)
    assert (done.returncode == 0) is (suffix is None), done.stderr
    assert ("Signature Verified Successfully" in done.stdout) is (suffix is None)
    past.assert_audits()


def test_the_csv_has_a_row_for_each_currency(past: Past, tmp_path: Path) -> None:
    told = settle(past, tmp_path)
    header, euro, dollar, end = next(tmp_path.glob("*.csv")).read_bytes().decode().split("\r\n")
    assert header.startswith("scheme,date,currency,gross,refunds,fees,net,count,first_seq,last_seq,is_complete")
    seqs = [f"{each['first_seq']},{each['last_seq']}" for each in told["sums"]]
    assert euro == f"acme,{today()},EUR,39.00,0.00,-0.12,38.88,1,{seqs[0]},false,2.12,0.12390000"
    assert dollar.startswith(f"acme,{today()},USD,20.00,0.00,0.00,20.00,1,{seqs[1]},false,-20.00,0.0")
    assert end == ""
    past.assert_audits()


def test_again_it_says_so_and_what_is_missing_is_written_again(past: Past, tmp_path: Path) -> None:
    first = settle(past, tmp_path / "out")
    files = files_in(tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert settle(past, tmp_path / "out") == {**first, "is_first": False, "expiry": _NOTHING}
    assert {path: path.stat().st_mtime_ns for path in times} == times
    next((tmp_path / "out").glob("*.csv")).unlink()
    shown = past.run("settle", "--scheme", "acme", "--out", tmp_path / "out", "--date", today()).stdout
    assert "was settled with acme at seq" in shown
    assert files_in(tmp_path / "out") == files
    asyncio.run(_rotate(past))
    settle(past, tmp_path / "elsewhere")
    assert files_in(tmp_path / "elsewhere") == files
    past.assert_audits()


_NOTHING = {"expired": 0, "released": {}, "failed": []}


async def _rotate(past: Past) -> None:
    async with opened(past.world) as ledger:
        new = await past.world.rotate_entry_key(ledger)
    write_private_key(past.keys / "entry" / f"{kid_of(new.public_key)}.pem", new._secret[:32], None)


def test_many_who_write_them_at_once_write_the_same(past: Past, tmp_path: Path) -> None:
    told = settle(past, tmp_path / "first")
    note, body = past.rows(NOTE_AND_BODY, told["seq"])[0]
    settlement = decode_body(body).body
    assert isinstance(settlement, Settlement)
    settled = Settled(told["seq"], settlement, note, body, is_first=False)
    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            out = tmp_path / f"out-{number}"
            assert len({*map(tuple, pool.map(lambda out: write_settlement_files(settled, out), [out] * 8))}) == 1
            assert files_in(out) == files_in(tmp_path / "first")
    past.assert_audits()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_with_other_bytes_is_left_and_no_other_written(past: Past, tmp_path: Path, suffix: str) -> None:
    foreign = tmp_path / "out" / f"acme-{today()}{suffix}"
    foreign.parent.mkdir()
    foreign.write_bytes(b"somebody's")
    told = past.refused(1, "settle", "--scheme", "acme", "--out", foreign.parent)
    assert str(foreign) in told
    assert "stands at seq" in told
    assert files_in(foreign.parent) == {foreign.name: b"somebody's"}
    settle(past, foreign.parent, "--force")
    settle(past, tmp_path / "other")
    assert files_in(foreign.parent) == files_in(tmp_path / "other")
    past.assert_audits()


def test_a_folder_that_can_not_be_written_is_told_and_the_settlement_stands(past: Past, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = past.refused(2, "settle", "--scheme", "acme", "--out", tmp_path / "file" / "out")
    assert "the settlement itself stands at seq" in told
    assert settle(past, tmp_path / "out")["is_first"] is False
    past.assert_audits()


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(2, ("--scheme", "nosuch"), "no Scheme 'nosuch'", id="a Scheme never registered"),
        pytest.param(2, ("--scheme", "acme", "--date", "2999-01-01"), "is to come", id="a day to come"),
        pytest.param(2, ("--scheme", "acme", "--date", "2026-13-01"), "--date", id="no date"),
        pytest.param(2, ("--scheme", "acme", "--date", "20261101"), "--date", id="not such a date"),
        pytest.param(2, ("--scheme", "acme", "--date", "1969-12-30"), "before 1970", id="before there were clocks"),
        pytest.param(2, ("--date", "2026-11-01"), "--scheme", id="no Scheme"),
    ],
)
def test_what_can_not_be_settled_is_told_in_a_sentence(
    past: Past, tmp_path: Path, status: int, arguments: tuple[object, ...], named: str
) -> None:
    assert named in past.refused(status, "settle", *arguments, SETTLEMENTS=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert rows(past.database, "SELECT * FROM settlements") == []
    past.assert_audits()


def test_an_earlier_day_is_refused_naming_the_newest(past: Past, tmp_path: Path) -> None:
    settle(past, tmp_path / "out")
    told = past.refused(1, "settle", "--scheme", "acme", "--date", today() - timedelta(days=1))
    assert f"settled up to {today()}" in told
    past.assert_audits()


def test_today_is_that_of_the_time_zone(past: Past, tmp_path: Path) -> None:
    first, last = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 25 hours apart: never the same day
    past.run("settle", "--scheme", "acme", TIME_ZONE=first, SETTLEMENTS=tmp_path)
    told = past.refused(1, "settle", "--scheme", "acme", TIME_ZONE=last, SETTLEMENTS=tmp_path)
    assert "was never settled and is over" in told
    assert len(rows(past.database, "SELECT * FROM settlements")) == 1
    past.assert_audits()


def test_nothing_posted_and_a_day_that_is_over(past: Past, tmp_path: Path) -> None:
    settle(past, tmp_path, "--date", today() - timedelta(days=1))
    shown = past.run("settle", "--scheme", "acme", "--out", tmp_path).stdout
    assert "nothing was posted between the settlement before it and this one" in shown
    assert f"{today() + timedelta(days=1)}T00:00:00.000000Z: what is posted after it is in the next" in shown
    assert next(tmp_path.glob(f"*{today()}.csv")).read_bytes().count(b"\r\n") == 1
    past.assert_audits()


# --- killed, and at once --------------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_did_all_or_nothing(past: Past, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.killing", past.folder, tmp_path / "copies", "settle", "--scheme", "acme"]
    done = subprocess.run([*map(str, command)], cwd=PROJECT, env=past.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] > 20
    seen = set()
    for copy in (tmp_path / "copies").iterdir():
        told = json.loads((copy / "second.txt").read_text())
        after_kill = {path.name: path.read_bytes() for path in (copy / "after-kill").glob("acme-*")}
        files = {path.name: path.read_bytes() for path in (copy / "settlements").glob("acme-*")}
        assert len(files) == 3
        assert after_kill.items() <= files.items()
        assert not (told["is_first"] and after_kill)
        assert {*rows(copy / "ledger.db", NOTE_AND_BODY, told["seq"])[0]} <= {*files.values()}
        assert rows(copy / "ledger.db", "SELECT seq FROM settlements") == [(told["seq"],)]
        assert rows(copy / "ledger.db", "SELECT count(*) FROM transactions WHERE type = 'expiry'") == [(1,)]
        seen.add((told["is_first"], len(after_kill)))
        assert_audits(copy / "ledger.db")
    assert seen >= {(True, 0), (False, 0), (False, 1), (False, 2), (False, 3)}


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path / "installation")


async def test_two_at_once_beside_a_server_under_load(installation: Installation, tmp_path: Path) -> None:
    with installation.serve("--workers", "2") as server:
        async with Load(installation.scheme, [server.url]) as load:
            await asyncio.to_thread(_clear, server.url, installation, range(10))
            runs = [await _start(installation, tmp_path / "out") for _ in range(2)]
            await asyncio.to_thread(_clear, server.url, installation, range(10, 20))
            told = [json.loads((await run.communicate())[0]) for run in runs]
            assert [run.returncode for run in runs] == [0, 0]
            await load.until(20)
        load.assert_all_approved()
    assert sorted(each["is_first"] for each in told) == [False, True]
    assert told[0]["sums"] == told[1]["sums"]
    assert 10 <= told[0]["sums"][0]["count"] <= 20
    assert len(files_in(tmp_path / "out")) == 3
    installation.assert_audits()


def _clear(url: str, installation: Installation, numbers: range) -> None:
    for number in numbers:
        name = f"cleared-{number}"
        body = authorisation_body(name, "1.00")
        assert send(url, installation.scheme, "/authorisation", name, body).status == 201
        assert send(url, installation.scheme, "/presentment", f"{name}-p", presentment(name, "1.00")).status == 200


async def _start(installation: Installation, out: Path) -> asyncio.subprocess.Process:
    command = [*map(str, installation.command("settle", "--scheme", "acme", "--out", out, "--json"))]
    return await asyncio.create_subprocess_exec(*command, env=installation.environment(), stdout=subprocess.PIPE)
