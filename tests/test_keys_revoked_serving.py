"""Keys are revoked while servers serve under load: nothing is decided on what is not trusted, then all goes on."""

import asyncio
from pathlib import Path

import pytest

from tests.callers import Load, assert_each_is_there_once
from tests.processes import Installation, installed
from tests.test_keys_serving import key_id, signing_key_ids


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


def kid_of_role(installation: Installation, role: str) -> str:
    (key,) = [key for key in installation.run_json("keys", "list") if key["role"] == role and key["current"]]
    return str(key["kid"])


def size(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_revoked_entry_key_stops_what_rests_on_it_until_that_is_signed_again(
    installation: Installation, workers: int
) -> None:
    with installation.serve("--workers", workers) as server:
        stolen = await asyncio.to_thread(kid_of_role, installation, "entry")
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(30)
            before = size(installation)
            await load.until(30)
            revoked = await asyncio.to_thread(installation.run_json, "keys", "revoke", stolen, "--at-size", before)
            await load.until(30)
            decided = installation.rows("SELECT count(*) FROM transactions WHERE seq > ?", revoked["seq"])
            await asyncio.to_thread(installation.run, "keys", "reattest", stolen, "--yes")
            reattested = size(installation)
            await load.until(30)
    assert decided == [(0,)]  # all of it is about one card, which stands on an entry that is not trusted
    refused = [answer for answer in load.answers.values() if answer.status != 201]
    assert {answer.document["code"] for answer in refused} == {"integrity_violation"}
    assert not load.unanswered
    key_ids, new = signing_key_ids(installation), key_id(installation, revoked["rotated"]["new"])
    assert {key_ids[seq] for seq in range(revoked["seq"] + 1, len(key_ids))} == {new}
    assert len(key_ids) > reattested
    assert_each_is_there_once(installation, load.approved)


async def test_a_revoked_checkpoint_key_is_followed_by_the_new_one(installation: Installation) -> None:
    with installation.serve() as server:
        stolen = await asyncio.to_thread(kid_of_role, installation, "checkpoint")
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(10)
            await asyncio.to_thread(installation.run_json, "keys", "revoke", stolen, "--at-size", 5)
            await load.until(10)
        await asyncio.sleep(1.5)
    load.assert_all_approved()
    assert installation.rows("SELECT max(seq) + 1 FROM checkpoints") == [(size(installation),)]
    assert_each_is_there_once(installation, load.answers)
