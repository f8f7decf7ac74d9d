"""Four servers, the command line, the settlement and a key rotation on one ledger at once: one chain, one truth."""

from pathlib import Path

import pytest

from tests.crowding import SERVERS, crowd
from tests.processes import Installation, installed
from tests.surviving import Survivor


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


async def test_four_servers_commands_a_settlement_and_a_rotation_write_one_chain(installation: Installation) -> None:
    survivor = Survivor(installation, seed=4, conversations=4, pause_seconds=0.03)
    await survivor.add_cards(3)
    async with survivor.traffic:
        servers = await crowd(survivor, day=0, kill=False)
        await survivor.end()
    survivor.assert_survived()
    assert not survivor.deaths
    assert "locked" not in "".join(server.log for server in servers)
    assert all(survivor.traffic.by_server[server.url] > 0 for server in servers)
    assert len(servers) == SERVERS
    kinds = {what for _, what, _ in survivor.done}
    assert kinds == {"load", "block", "unblock", "settlement"}
    (settled,) = [done.of for done in survivor.done if done.what == "settlement"]
    assert settled["EUR"][0] > 0, "it was posted to before it was settled"
    assert installation.rows("SELECT count(*) FROM keys WHERE seq > 4") == [(1,)]
