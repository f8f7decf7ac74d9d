"""Key changes while a server serves: it takes them up by itself and drops no request."""

import asyncio
from pathlib import Path

import pytest

from signed_ledger.encoding import decode_entry, entry_key_name
from signed_ledger.signing import note_key_id, read_private_key
from tests.callers import Load, assert_each_is_there_once, authorisation, send
from tests.processes import ORIGIN, Installation, Party, installed, wait_until


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def signing_key_ids(installation: Installation) -> dict[int, bytes]:
    """By seq, the key id that each entry is signed with."""
    return {seq: decode_entry(note).key_id for seq, note in installation.rows("SELECT seq, note FROM entries")}


def key_id(installation: Installation, kid: str) -> bytes:
    signer = read_private_key(installation.keys / "entry" / f"{kid}.pem", lambda: None)
    return note_key_id(entry_key_name(ORIGIN), signer.public_key)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rotation_under_load_drops_no_request(installation: Installation, workers: int) -> None:
    with installation.serve("--workers", workers) as server:
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(50)
            first = await asyncio.to_thread(installation.run_json, "keys", "rotate", "entry")
            await load.until(50)
            second = await asyncio.to_thread(installation.run_json, "keys", "rotate", "entry")
            await load.until(50)
    load.assert_all_approved()
    assert_each_is_there_once(installation, load.answers)
    old, middle, new = (key_id(installation, kid) for kid in (first["old"], first["new"], second["new"]))
    expected = {
        seq: old if seq <= first["seq"] else middle if seq <= second["seq"] else new
        for seq in range(len(signing_key_ids(installation)))
    }
    assert signing_key_ids(installation) == expected
    assert len(expected) > second["seq"] + 1


async def test_an_idle_server_takes_a_rotation_up_and_signs_with_the_new_key(installation: Installation) -> None:
    with installation.serve() as server:
        rotated = await asyncio.to_thread(installation.run_json, "keys", "rotate", "entry")
        Path(rotated["old_file"]).unlink()
        wait_until(lambda: any(line["event"] == "key_changed" for line in server.lines))
        (line,) = [line for line in server.lines if line["event"] == "key_changed"]
        assert (line["role"], line["kid"]) == ("entry", rotated["new"])
        async with Load(installation.scheme, [server.url], connections=2) as load:
            await load.until(4)
    load.assert_all_approved()
    assert_each_is_there_once(installation, load.answers)


def test_a_scheme_added_to_a_running_server_is_served_at_once(installation: Installation) -> None:
    newcomer = Party(installation.folder, "newcomer")
    with installation.serve() as server:
        refused = send(server.url, newcomer, "/authorisation", "a-1", authorisation("t-1"))
        assert (refused.status, refused.document["code"]) == (401, "key_unknown")
        installation.run("keys", "add", "scheme", "newcomer", newcomer.public_file)
        answer = send(server.url, newcomer, "/authorisation", "a-1", authorisation("t-1"))
        assert answer.status == 201
    assert_each_is_there_once(installation, {"a-1": answer})


def test_a_key_retired_on_a_running_server_is_refused_within_two_seconds(installation: Installation) -> None:
    with installation.serve() as server:
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 201
        installation.run("keys", "retire", installation.scheme.kid)
        wait_until(lambda: any(line["event"] == "key_changed" for line in server.lines), seconds=2.0)
        refused = send(server.url, installation.scheme, "/authorisation", "a-2", authorisation("t-2"))
        assert (refused.status, refused.document["code"]) == (401, "key_revoked")
    installation.assert_audits()


def test_a_retired_key_decides_nothing_even_before_the_server_has_looked(installation: Installation) -> None:
    with installation.serve() as server:
        assert send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1")).status == 201
        seq = installation.json("keys", "retire", installation.scheme.kid)["valid_to"]
        refused = send(server.url, installation.scheme, "/authorisation", "a-2", authorisation("t-2"))
        assert refused.document["code"] == "key_revoked"
    assert installation.rows("SELECT count(*) FROM entries WHERE seq >= ?", seq) == [(0,)]
    installation.assert_audits()
